//! Runs a step within its timeout, and again after a failure if retries are declared.

use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use rondel_cas::remove_tree;

use crate::context::StepContext;
use crate::error::{Category, StepError};
use crate::event::Event;
use crate::former::Former;
use crate::graph::Node;
use crate::output_log::OutputLog;
use crate::step::{Job, PreparedAction, Report, TreeAccess};

/// Runs the step until it succeeds or its retries are used up. Returns also what the successful try printed.
pub(crate) fn attempt(
    node: &Node,
    context: &StepContext<'_>,
    prepared: &dyn PreparedAction,
    staging: &Path,
    former: Option<&Former<'_>>,
) -> Result<(Report, OutputLog), StepError> {
    let tries = node.retries + 1;
    for number in 1.. {
        let log = Mutex::new(OutputLog::default());
        let emit = |event: Event| {
            if let Event::Output { stream, line, .. } = &event {
                log.lock().expect("no panic while locked").push(*stream, line);
            }
            (context.emit)(event);
        };
        let one = StepContext {
            emit: &emit,
            deadline: node.timeout.map(|timeout| (Instant::now() + timeout, timeout)),
            upstream: context.upstream.clone(),
            sources: context.sources.clone(),
            ..*context
        };
        let run = || node.step.run(prepared, &Job { context: &one, staging });
        let outcome = match node.step.tree_access() {
            TreeAccess::Reads => run(),
            TreeAccess::MayWrite | TreeAccess::MakesOutputs => context.workspace.while_writing_in_tree(run),
        };
        match outcome {
            Err(error) if number < tries && can_pass(&error) && !context.cancellation.is_raised() => {
                context.note(format!("try {number} of {tries} failed ({error}); trying again"));
                empty(staging);
                if let Some(former) = former {
                    former.begin_again();
                }
                pause(number, context);
            }
            outcome => return outcome.map(|report| (report, log.into_inner().expect("no panic while locked"))),
        }
    }
    unreachable!("the last try returns")
}

/// Returns true if another try may succeed. A missing tool stays missing.
fn can_pass(error: &StepError) -> bool {
    error.category() == Some(Category::Step)
}

/// Empties the staging directory: a try's leftovers are not for the next one.
pub(crate) fn empty(staging: &Path) {
    for entry in std::fs::read_dir(staging).into_iter().flatten().flatten() {
        remove_tree(&entry.path());
    }
}

/// Waits a little longer each time, and not a moment after Ctrl-C.
fn pause(number: u32, context: &StepContext<'_>) {
    let until = Instant::now() + Duration::from_millis(100) * (1 << number.min(4));
    while Instant::now() < until && !context.cancellation.is_raised() {
        std::thread::sleep(Duration::from_millis(20));
    }
}
