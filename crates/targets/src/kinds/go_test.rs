//! `GoTest`: one step for all packages of the target.

use rondel_buildfile::{GoTest, Target};
use rondel_engine::{Shown, StepKey};
use rondel_golang::{CSupport, GoTestStep};

use crate::analyzer::{Analyze, Analyzed, Analyzer};
use crate::nodes::{Deps, TargetNodes};

impl Analyze for GoTest {
    fn analyze(&self, analyzer: &mut Analyzer<'_>, target: &Target, deps: Deps, wanted: bool) -> Analyzed<TargetNodes> {
        let downloads = analyzer.downloads(&deps)?;
        let sources = self.inputs.as_deref();
        let mut upstream = Vec::new();
        let outputs_used = analyzer.output_uses(sources, &[], &self.env, &mut upstream)?;
        let inputs = analyzer.declared_inputs(target, sources)?;
        let go = analyzer.go()?;
        let step = GoTestStep {
            platform: go.own_platform()?,
            packages: analyzer.variables.texts(&self.packages)?,
            race: if self.race { Some(CSupport::find(&go, &[])?) } else { None },
            go,
            tags: analyzer.variables.texts(&self.tags)?,
            run: analyzer.variables.optional(self.run.as_ref())?,
            short: self.short,
            timeout: analyzer.variables.optional(self.timeout.as_ref())?,
            env: analyzer.variables.environment(&self.env)?,
            inputs,
            outputs_used,
            arguments: analyzer.arguments(wanted),
        };
        let deps = Deps { order_only: deps.order_only, on_miss: downloads };
        let key = StepKey::main(&target.name.value);
        Ok(TargetNodes::end(analyzer.add(target, key, deps, upstream, Shown::Streamed, Box::new(step))))
    }

    fn puts_downloads_off(&self) -> bool {
        true
    }
}
