//! The context of a step.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rondel_cas::{Digest, Entry, Metadata, MetadataType, RelativePath};
use rondel_process::{
    Cancellation, Captured, CommandLine, ProcessError, Redactor, Stream, capture_redacted, run, run_in_foreground,
};

use crate::error::StepError;
use crate::event::{Event, NodeId, Part};
use crate::inputs::InputSet;
use crate::own_writes::Reach;
use crate::workspace::Workspace;

/// Number of output lines kept for the report of a failure.
const TAIL_LINES: usize = 200;

/// One file made by an upstream step.
#[derive(Clone, Debug)]
pub struct Artefact {
    /// Name among the outputs of that step.
    pub name: RelativePath,
    /// Place on this machine.
    pub path: PathBuf,
    /// Type, contents and permissions.
    pub entry: Entry,
}

/// Result of an upstream step.
#[derive(Clone, Debug, Default)]
pub struct UpstreamResult {
    /// Its files, sorted by name.
    pub artefacts: Vec<Artefact>,
    /// Metadata that the step reported.
    pub metadata: Metadata,
    /// Source files that the result was made from.
    pub sources: Arc<Sources>,
    /// Its key, if the result is stored under it.
    pub action: Option<Digest>,
}

/// Source files that a result was made from: the inputs of the step and of all steps before it.
#[derive(Debug, Default)]
pub struct Sources {
    /// The step's own inputs.
    pub inputs: InputSet,
    /// Sources of the steps before it.
    pub upstream: Vec<Arc<Sources>>,
}

impl Sources {
    /// Calls `visit` with the place of each file; a file may be visited more than once.
    pub fn each(&self, visit: &mut dyn FnMut(&Path)) {
        self.inputs.each_place(visit);
        self.upstream.iter().for_each(|sources| sources.each(visit));
    }
}

/// Why a step is prepared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// For a build: programs that list inputs may be started, and their findings stored.
    Build,
    /// For an answer: nothing is started and nothing written.
    Question,
    /// For an answer that may wait: programs that list inputs may be started where they are here already.
    Plan,
}

/// The context of a step.
pub struct StepContext<'a> {
    /// Directories and stores.
    pub workspace: &'a Workspace,
    /// Raised to stop the build.
    pub cancellation: &'a Cancellation,
    /// Results of the node's `inputs`, in their order.
    pub upstream: Vec<UpstreamResult>,
    /// Sources of the steps before this one: of `upstream`, and of the steps in `after`.
    pub sources: Vec<Arc<Sources>>,
    pub(crate) purpose: Purpose,
    /// Number of Rondel's own writes in the tree before the step looked at its inputs.
    pub(crate) own_writes: usize,
    /// Deadline for the commands of this try, and the whole timeout.
    pub(crate) deadline: Option<(Instant, Duration)>,
    pub(crate) node: NodeId,
    /// True if it was asked for by name: what an earlier run printed is then shown again.
    pub(crate) is_wanted: bool,
    /// True if everything runs, whatever is known.
    pub(crate) is_forced: bool,
    pub(crate) redactor: &'a Redactor,
    pub(crate) emit: &'a (dyn Fn(Event) + Sync),
    pub(crate) prerequisites: &'a (dyn Fn() -> Result<(), StepError> + Sync + 'a),
}

impl StepContext<'_> {
    /// Returns true if nothing may be written, and nothing started but what `may_ask` allows.
    pub fn is_question(&self) -> bool {
        self.purpose != Purpose::Build
    }

    /// Returns true if programs may be started that only list inputs.
    pub fn may_ask(&self) -> bool {
        self.purpose != Purpose::Question
    }

    /// Returns true if everything runs, whatever is known (`--force`).
    pub fn is_forced(&self) -> bool {
        self.is_forced
    }

    /// Tells in which directories Rondel has put outputs since the step looked at its inputs, or is putting some: their
    /// times tell nothing of what others did there. To be asked after a second look at them.
    pub fn puts_outputs_in(&self) -> impl Fn(&Path) -> bool + use<> {
        let mut own = self.workspace.own_writes.since(self.own_writes);
        // A command in the tree, such as the step itself, may write what is an input.
        own.retain(|write| **write != Reach::Everything);
        move |directory| own.iter().any(|write| write.covers(directory))
    }

    /// Makes sure that the node's `on_miss` steps are done.
    pub fn prerequisites(&self) -> Result<(), StepError> {
        (self.prerequisites)()
    }

    /// Returns `text` without secrets.
    pub fn redact(&self, text: &str) -> String {
        self.redactor.apply(text)
    }

    /// Returns what hides secrets, for output that is read elsewhere.
    pub fn redactor(&self) -> &Redactor {
        self.redactor
    }

    /// Emits a note for people.
    pub fn note(&self, text: impl Into<String>) {
        (self.emit)(Event::Note { node: self.node, text: self.redactor.apply(&text.into()) });
    }

    /// Emits a warning for people; the build continues.
    pub fn warn(&self, text: impl Into<String>) {
        (self.emit)(Event::Warning { text: self.redactor.apply(&text.into()) });
    }

    /// Emits what the step says of itself before it ends.
    pub fn reported<T: MetadataType>(&self, value: &T) {
        (self.emit)(Event::Reported { node: self.node, metadata: Metadata::of(value) });
    }

    /// Emits the progress of long work, in bytes.
    pub fn progress(&self, message: &str, done: u64, total: u64) {
        (self.emit)(Event::Progress { node: self.node, message: message.to_owned(), done, total });
    }

    /// Emits how the parts of the step are.
    pub fn parts(&self, parts: Vec<Part>) {
        (self.emit)(Event::Parts { node: self.node, parts });
    }

    /// Emits a line of output that did not come from a command started here.
    pub fn output(&self, stream: Stream, line: &str) {
        (self.emit)(Event::Output { node: self.node, stream, line: self.redactor.apply(line), is_replayed: false });
    }

    /// Returns this for a question about the same step.
    pub(crate) fn question(&self) -> StepContext<'_> {
        StepContext {
            purpose: Purpose::Question,
            upstream: self.upstream.clone(),
            sources: self.sources.clone(),
            prerequisites: &|| Ok(()),
            ..*self
        }
    }

    /// Emits a line again that an earlier run of the step has shown, if the step was asked for by name.
    pub fn output_again(&self, line: &str) {
        if self.is_wanted && !self.is_question() {
            let line = self.redactor.apply(line);
            (self.emit)(Event::Output { node: self.node, stream: Stream::Stdout, line, is_replayed: true });
        }
    }

    /// Runs a command and shows its output as it comes. An exit status other than 0 is an error.
    pub fn run(&self, line: &CommandLine) -> Result<(), StepError> {
        self.run_and_see(line, &|_, _| {})
    }

    /// Runs a command as `run` does, and calls `see` with each line, secrets hidden.
    pub fn run_and_see(&self, line: &CommandLine, see: &(dyn Fn(Stream, &str) + Sync)) -> Result<(), StepError> {
        let line = &self.announce(line);
        let tail: Mutex<VecDeque<String>> = Mutex::default();
        let finished = run(line, self.cancellation, self.redactor, &|stream, text| {
            see(stream, text);
            let text = text.to_owned();
            let mut tail = tail.lock().expect("no panic while locked");
            if tail.len() == TAIL_LINES {
                tail.pop_front();
            }
            tail.push_back(text.clone());
            drop(tail);
            (self.emit)(Event::Output { node: self.node, stream, line: text, is_replayed: false });
        });
        let finished = finished.map_err(|error| self.with_whole_timeout(error))?;
        if finished.status.success() {
            return Ok(());
        }
        let output = Vec::from(tail.into_inner().expect("no panic while locked"));
        let (summary, status, told) = (self.summary(line), finished.describe(), output.len());
        Err(StepError::Command { summary, status, output, told, hint: None })
    }

    /// Runs a command and hands its lines to `see`, secrets hidden. Nothing is shown. An exit status other than 0 is an
    /// error without output.
    pub fn run_unseen(&self, line: &CommandLine, see: &(dyn Fn(Stream, &str) + Sync)) -> Result<(), StepError> {
        let line = &self.announce(line);
        let finished = run(line, self.cancellation, self.redactor, see);
        let finished = finished.map_err(|error| self.with_whole_timeout(error))?;
        if finished.status.success() {
            return Ok(());
        }
        let (summary, status) = (self.summary(line), finished.describe());
        Err(StepError::Command { summary, status, output: Vec::new(), told: 0, hint: None })
    }

    /// Runs a command that has the terminal: its standard streams are the user's. Nothing of them is seen here, so that
    /// secrets in them are not hidden. An exit status other than 0 is an error with that status.
    pub fn run_in_foreground(&self, line: &CommandLine) -> Result<(), StepError> {
        let line = &self.announce(line);
        let finished = run_in_foreground(line, self.cancellation);
        let finished = finished.map_err(|error| self.with_whole_timeout(error))?;
        if finished.status.success() {
            return Ok(());
        }
        let (summary, status) = (self.summary(line), finished.describe());
        Err(StepError::Foreground { summary, status, code: finished.shell_code() })
    }

    /// Runs a command and returns its output. An exit status other than 0 is an error.
    pub fn capture(&self, line: &CommandLine) -> Result<Captured, StepError> {
        let line = &self.announce(line);
        let captured = capture_redacted(line, self.cancellation, self.redactor);
        let captured = captured.map_err(|error| self.with_whole_timeout(error))?;
        if captured.finished.status.success() {
            return Ok(captured);
        }
        let output: Vec<String> = captured.stderr.lines().map(str::to_owned).collect();
        let status = captured.finished.describe();
        Err(StepError::Command { summary: self.summary(line), status, output, told: 0, hint: None })
    }

    /// Runs a command and returns its output, whatever its exit status.
    pub fn try_capture(&self, line: &CommandLine) -> Result<Captured, StepError> {
        let line = &self.announce(line);
        let captured = capture_redacted(line, self.cancellation, self.redactor);
        Ok(captured.map_err(|error| self.with_whole_timeout(error))?)
    }

    /// Emits a command that the caller runs itself, and returns it with the workspace's extra variables.
    pub fn announce(&self, line: &CommandLine) -> CommandLine {
        let mut line = line.clone();
        for (name, value) in &self.workspace.perturbation {
            if !line.environment.iter().any(|(other, _)| other == name) {
                line.environment.push((name.clone(), value.clone()));
            }
        }
        if let Some((deadline, _)) = self.deadline {
            let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
            line.timeout = Some(line.timeout.map_or(left, |own| own.min(left)));
        }
        (self.emit)(Event::Command {
            node: self.node,
            line: self.redactor.apply(&line.to_shell()),
            directory: line.directory.clone(),
        });
        line
    }

    /// People know the timeout of the step, not the time left for its last command.
    fn with_whole_timeout(&self, error: ProcessError) -> ProcessError {
        match (error, self.deadline) {
            (ProcessError::TimedOut { program, .. }, Some((_, whole))) => {
                ProcessError::TimedOut { program, seconds: whole.as_secs() }
            }
            (error, _) => error,
        }
    }

    fn summary(&self, line: &CommandLine) -> String {
        let mut short = line.clone();
        short.program = line.program.file_name().map_or_else(|| line.program.clone(), PathBuf::from);
        self.redactor.apply(&short.summary())
    }
}
