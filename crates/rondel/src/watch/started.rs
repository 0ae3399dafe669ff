//! Processes and containers below a watch: what they print is shown as it comes, and they end with the watch.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rondel_buildfile::TargetName;
use rondel_process::Cancellation;
use rondel_targets::{Analysis, LogQuery, Running, running_targets};

use crate::asked::Asked;
use crate::cli::groups::AnalysisOptions;
use crate::session::Session;
use crate::ui::{print_line, without_control_sequences};

/// How often it is looked whether something else was started.
const INTERVAL: Duration = Duration::from_millis(50);

/// What goes on below a watch.
#[derive(Default)]
pub(crate) struct Started {
    names: BTreeSet<TargetName>,
    is_over: Arc<AtomicBool>,
    cancellation: Cancellation,
}

impl Started {
    /// Shows from now on what the processes and containers of a build print.
    pub fn follow(&mut self, session: &Session<'_>, analyzed: &Analysis, color: bool) {
        let built: BTreeSet<&TargetName> =
            analyzed.graph.nodes().filter_map(|(_, node)| node.key.target.as_ref()).collect();
        let new: Vec<TargetName> = built.into_iter().filter(|name| !self.names.contains(*name)).cloned().collect();
        let analysis = AnalysisOptions::default();
        for target in running_targets(&session.request(&analysis, Asked::of(new))) {
            let kind = session.file.targets.iter().find(|other| other.name.value == target.name);
            // Services have a log of their own, and many lines.
            if kind.is_none_or(|kind| kind.kind().stays()) {
                continue;
            }
            if let Ok(running) = target.running
                && self.names.insert(target.name.clone())
            {
                let (is_over, cancellation) = (Arc::clone(&self.is_over), self.cancellation.clone());
                let name = target.name.to_string();
                std::thread::spawn(move || show(&name, running.as_ref(), color, &is_over, &cancellation));
            }
        }
    }

    /// Shows nothing more.
    pub fn end(&self) {
        self.is_over.store(true, Ordering::SeqCst);
        self.cancellation.cancel();
    }
}

/// Shows what one target prints, each time that it was started.
fn show(name: &str, running: &dyn Running, color: bool, is_over: &AtomicBool, cancellation: &Cancellation) {
    let prefix = if color { format!("\x1b[36m{name:>12} |\x1b[0m") } else { format!("{name:>12} |") };
    let see = |_: Option<&str>, text: &str| print_line(&format!("{prefix} {}", without_control_sequences(text)));
    let mut last = String::new();
    while !is_over.load(Ordering::SeqCst) {
        let part = running.parts().ok().and_then(|parts| parts.into_iter().next());
        if let Some(part) = part.filter(|part| part.is_running && part.what != last && !part.what.is_empty()) {
            last = part.what;
            let _ = running.logs(LogQuery { tail: None, follow: true }, &see, cancellation);
        }
        std::thread::sleep(INTERVAL);
    }
}

/// Stops what a watch has started, other than what stays by itself.
pub(crate) fn stop(session: &Session<'_>, started: &Started, tell: &dyn Fn(&str)) {
    let analysis = AnalysisOptions::default();
    let file = &session.file;
    let ends = |name: &TargetName| {
        let target = file.targets.iter().find(|target| target.name.value == *name);
        target.is_some_and(|target| !target.kind().stays())
    };
    let names: Vec<TargetName> = started.names.iter().filter(|name| ends(name)).cloned().collect();
    for target in running_targets(&session.request(&analysis, Asked::of(names))) {
        let stopped = target.running.and_then(|running| running.stop());
        match stopped {
            Ok(stopped) => stopped.iter().for_each(|what| tell(&format!("{:>12} {}: {what}", "Stopped", target.name))),
            Err(error) => tell(&format!("warning: `{}` goes on: {error}", target.name)),
        }
    }
}
