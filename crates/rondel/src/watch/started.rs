//! Processes and containers below a watch: what they print is shown as it comes, and they end with the watch.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use rondel_buildfile::TargetName;
use rondel_engine::{Outcome, Summary};
use rondel_process::Cancellation;
use rondel_supervise::{DRAIN, Place, Proxies, Record};
use rondel_targets::{Analysis, Running, RunningTarget, running_targets, undeclared_targets};

use crate::asked::Asked;
use crate::cli::groups::AnalysisOptions;
use crate::session::Session;
use crate::ui::{print_line, shown_line, without_control_sequences};

/// Interval at which an end is noticed.
const INTERVAL: Duration = Duration::from_millis(200);

/// What goes on below a watch.
#[derive(Default)]
pub(crate) struct Started {
    names: BTreeSet<TargetName>,
    /// Those whose ends are told.
    noticed: BTreeSet<TargetName>,
    /// Those that a build has started, or found as they should be.
    made: BTreeSet<TargetName>,
    cancellation: Cancellation,
}

impl Started {
    /// Shows from now on what the processes and containers of a build print.
    pub fn follow(&mut self, session: &Session<'_>, analyzed: &Analysis, proxies: &Proxies, color: bool) {
        let built: BTreeSet<&TargetName> =
            analyzed.graph.nodes().filter_map(|(_, node)| node.key.target.as_ref()).collect();
        let new: Vec<TargetName> = built.into_iter().filter(|name| !self.names.contains(*name)).cloned().collect();
        // Their addresses may be those of what this build starts: who asks there waits for that.
        let state = session.workspace().state;
        for record in undeclared_targets(&session.file, &session.root)
            .iter()
            .filter_map(|target| Record::read(&Place::new(&state, target.name.as_str())))
        {
            if let Some(proxy) = record.held_at().filter(|at| proxies.hold(*at)).and_then(|at| proxies.at(at).ok()) {
                proxy.hold(DRAIN);
            }
        }
        stop_undeclared(session, &print_line);
        let analysis = AnalysisOptions::default();
        for target in running_targets(&session.request(&analysis, Asked::of(new))) {
            let Ok(running) = target.running.map(Arc::<dyn Running>::from) else { continue };
            let name = target.name.to_string();
            if self.noticed.insert(target.name.clone()) {
                let (name, running, cancellation) = (name.clone(), Arc::clone(&running), self.cancellation.clone());
                let first = running.own_end();
                std::thread::spawn(move || notice_ends(&name, running.as_ref(), first, &cancellation));
            }
            let kind = session.file.targets.iter().find(|other| other.name.value == target.name);
            // Services have a log of their own, and many lines.
            if kind.is_none_or(|kind| kind.kind().stays()) {
                continue;
            }
            if self.names.insert(target.name.clone()) {
                let cancellation = self.cancellation.clone();
                let (begun, has_begun) = channel();
                std::thread::spawn(move || show(&name, running.as_ref(), color, &begun, &cancellation));
                // Before anything is started. One that can't be shown says why.
                let _ = has_begun.recv();
            }
        }
    }

    /// Takes down what a build has started. Where it was refused, what runs is somebody else's.
    pub fn note(&mut self, analyzed: &Analysis, summary: &Summary) {
        let done = summary.outcomes.iter().filter(|(_, outcome)| matches!(outcome, Outcome::Ran | Outcome::Cached));
        self.made.extend(done.filter_map(|(id, _)| analyzed.graph.node(*id).key.target.clone()));
    }

    /// Shows nothing more.
    pub fn end(&self) {
        self.cancellation.cancel();
    }
}

/// Tells each time that what a target has started ends by itself. `last` is the end that is known.
fn notice_ends(name: &str, running: &dyn Running, mut last: Option<(u64, String)>, cancellation: &Cancellation) {
    while !cancellation.wait(INTERVAL) {
        let end = running.own_end().filter(|end| last.as_ref() != Some(end));
        if let Some((when, how)) = end {
            print_line(&without_control_sequences(&format!("warning: `{name}` ended by itself: {how}")));
            last = Some((when, how));
        }
    }
}

/// Shows what one target prints, each time that it was started.
fn show(name: &str, running: &dyn Running, color: bool, begun: &Sender<()>, cancellation: &Cancellation) {
    let prefix = if color { format!("\x1b[36m{name:>12} |\x1b[0m") } else { format!("{name:>12} |") };
    let see = |_: Option<&str>, text: &str| print_line(&format!("{prefix} {}", shown_line(text)));
    let begun = || {
        let _ = begun.send(());
    };
    if let Err(error) = running.see_new_lines(&begun, &see, cancellation) {
        print_line(&format!("warning: what `{name}` prints is not shown any more: {error}"));
    }
}

/// Stops what a watch has started, other than what stays by itself, and nothing that somebody else has.
pub(crate) fn stop(session: &Session<'_>, started: &Started, tell: &dyn Fn(&str)) {
    let analysis = AnalysisOptions::default();
    let file = &session.file;
    let ends = |name: &TargetName| {
        let target = file.targets.iter().find(|target| target.name.value == *name);
        target.is_some_and(|target| !target.kind().stays())
    };
    let names: Vec<TargetName> = started.made.iter().filter(|name| ends(name)).cloned().collect();
    for target in running_targets(&session.request(&analysis, Asked::of(names))) {
        stop_one(target, tell);
    }
    stop_undeclared(session, tell);
}

/// Stops what a watch has started for targets that build.ron no longer has.
fn stop_undeclared(session: &Session<'_>, tell: &dyn Fn(&str)) {
    for target in undeclared_targets(&session.file, &session.root) {
        stop_one(target, tell);
    }
}

/// Stops a target, unless somebody else has started what runs of it.
fn stop_one(target: RunningTarget, tell: &dyn Fn(&str)) {
    let stopped = target.running.and_then(|running| if running.is_own() { running.stop() } else { Ok(Vec::new()) });
    match stopped {
        Ok(stopped) => stopped.iter().for_each(|what| tell(&format!("{:>12} {}: {what}", "Stopped", target.name))),
        Err(error) => tell(&format!("warning: `{}` goes on: {error}", target.name)),
    }
}
