//! `Process`: a program of this machine that goes on. Its step is that of a command; `exec/service.rs` keeps it running.

use std::time::Duration;

use rondel_buildfile::{HealthCheck, HeldAddress, Process, Restart, Target, Text};
use rondel_supervise::{Place, Ready};

use crate::analyzer::{Analyze, Analyzed, Analyzer};
use crate::kinds::exec::{ServicePlan, Words, command};
use crate::nodes::{Deps, TargetNodes};
use crate::running::{Processes, Running};

impl Analyze for Process {
    fn analyze(&self, analyzer: &mut Analyzer<'_>, target: &Target, deps: Deps, wanted: bool) -> Analyzed<TargetNodes> {
        let plan = ServicePlan {
            name: target.name.value.to_string(),
            ready: self.ready.as_ref().map(|ready| readiness(analyzer, ready)).transpose()?,
            ready_timeout: Duration::from_secs(self.ready_timeout_s.get()),
            is_detached: self.detach || analyzer.request.kept.is_some(),
            stays: self.detach,
            proxy: self.proxy.as_ref().map(HeldAddress::address),
            kept: crate::held_address::kept(analyzer, &target.name.value, self.proxy.as_ref())?,
            grace: Duration::from_secs(self.grace_s.get()),
            restarts: self.restart == Restart::OnFailure,
        };
        let arguments = analyzer.arguments(wanted);
        let words: Vec<&Text> = self.command.iter().map(|word| &**word).collect();
        command(analyzer, target, Words::Command(&words), &self.fields(), deps, (arguments, wanted), Some(plan))
    }

    fn running(&self, analyzer: &Analyzer<'_>, target: &Target) -> Analyzed<Option<Box<dyn Running>>> {
        let name = target.name.value.to_string();
        let place = Place::new(&analyzer.request.root.join(".rondel"), &name);
        Ok(Some(Box::new(Processes { place, name, is_declared: true })))
    }
}

fn readiness(analyzer: &Analyzer<'_>, ready: &rondel_buildfile::Ready) -> Analyzed<Ready> {
    Ok(match ready {
        rondel_buildfile::Ready::Port(port) => Ready::Port(port.get()),
        rondel_buildfile::Ready::Line(text) => Ready::Line(text.value.clone()),
        rondel_buildfile::Ready::Check(HealthCheck::Http(health)) => {
            Ready::Http { port: health.port.get(), path: health.path.to_string() }
        }
        rondel_buildfile::Ready::Check(HealthCheck::Command { words, .. }) => {
            Ready::Command(analyzer.variables.texts(words)?)
        }
    })
}
