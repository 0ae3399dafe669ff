//! Progress for people: live bars on a terminal, one line a step elsewhere.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::sync::Mutex;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use rondel_buildfile::TargetName;
use rondel_diff::Difference;
use rondel_engine::{Event, Graph, Metadata, NodeId, Outcome, PROGRAM, Reason, Shown as StepShown, StepError};
use rondel_process::Stream;
use rondel_targets::{ImageMetadata, PublishedMetadata, PushMetadata};

use crate::cli::groups::{GlobalOptions, Progress};
use crate::exit::Exit;
use crate::program::with_program;
use crate::session::ProcessContext;
use crate::ui::{
    AuditOutcome, AuditStart, AuditSummary, Audited, Bundled, MemberState, Printer, RebuildStart, RebuildSummary,
    SECOND_BUILD_FAILED, Shown, Sink, Verified, VerifySummary, bytes_text, duration_text, highlight, print_answer,
    reason_text, with_hint, without_control_sequences,
};

/// Amount of output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Verbosity {
    pub quiet: bool,
    pub verbose: bool,
    /// True if answers of steps go to standard output.
    pub answers: bool,
    pub bars: bool,
    pub steps: bool,
    pub color: bool,
}

impl Verbosity {
    /// Returns the amount for the options and the terminal.
    pub fn of(context: &ProcessContext, global: &GlobalOptions, shown: Shown) -> Verbosity {
        let is_silent = shown == Shown::FailuresOnly;
        let terminal = std::io::stderr().is_terminal();
        Verbosity {
            quiet: global.quiet || is_silent,
            answers: !is_silent,
            verbose: global.verbose && !is_silent,
            bars: match global.progress {
                _ if is_silent => false,
                Progress::Auto => terminal && !global.quiet,
                Progress::Bar => true,
                Progress::Plain | Progress::None => false,
            },
            steps: global.progress != Progress::None && !is_silent,
            color: context.wants_color(global.color),
        }
    }
}

/// Shows builds to people.
pub(crate) struct Human {
    print: Printer,
    verbosity: Verbosity,
    bars: MultiProgress,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    bars: BTreeMap<NodeId, ProgressBar>,
    /// Output of steps that show it only if they fail.
    kept: BTreeMap<NodeId, Vec<String>>,
    /// Last shown quarter of a download, without bars.
    quarters: BTreeMap<NodeId, u64>,
    results: BTreeMap<NodeId, (Outcome, Metadata)>,
}

/// Maximum number of output lines kept for the report of a failure.
const KEPT_MAX: usize = 2000;

impl Human {
    /// Prints lines with `print`, without their newline.
    pub fn new(verbosity: Verbosity, print: Printer) -> Human {
        let bars = MultiProgress::new();
        if !verbosity.bars {
            bars.set_draw_target(ProgressDrawTarget::hidden());
        }
        Human { print, verbosity, bars, state: Mutex::default() }
    }

    fn line(&self, text: &str) {
        self.bars.suspend(|| (self.print)(text));
    }

    /// Prints `   Running server: why`, the verb right-aligned in a column, in colour.
    fn step_line(&self, verb: &str, code: &str, text: &str) {
        if self.verbosity.quiet || !self.verbosity.steps {
            return;
        }
        let padded = format!("{verb:>12}");
        let verb = if self.verbosity.color { format!("\x1b[{code}m{padded}\x1b[0m") } else { padded };
        // It holds file names, which can hold anything.
        self.line(&format!("{verb} {}", without_control_sequences(&text.replace('\n', "\\n"))));
    }

    /// Prints a line of `verify`, which `--progress none` does not silence.
    fn remark(&self, word: &str, text: &str) {
        if !self.verbosity.quiet {
            self.line(&format!("{word:>12} {text}"));
        }
    }

    /// Prints a difference, which nothing silences.
    fn difference(&self, label: &str, difference: &Difference) {
        let place = without_control_sequences(&difference.place.join(", "));
        let place = if place.is_empty() { place } else { format!(": {place}") };
        self.line(&format!("{:>12} {label}{place}", "Different"));
        for line in &difference.what {
            self.line(&format!("{:>12}   {}", "", without_control_sequences(line)));
        }
    }

    fn bar(&self, node: NodeId, message: &str, total: u64) -> ProgressBar {
        let mut state = self.state.lock().expect("no panic while locked");
        let bar = state.bars.entry(node).or_insert_with(|| {
            let bar = self.bars.add(ProgressBar::new_spinner());
            let style = ProgressStyle::with_template("{spinner:>12} {msg} {elapsed}").expect("a constant template");
            bar.set_style(style);
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        let length = bar.length().unwrap_or(0);
        if total > 0 && length != total {
            bar.set_length(total);
            bar.set_style(
                ProgressStyle::with_template("{bar:>12} {msg} {bytes}/{total_bytes} {eta}")
                    .expect("a constant template"),
            );
        } else if total == 0 && length > 0 {
            bar.unset_length();
            bar.set_style(ProgressStyle::with_template("{spinner:>12} {msg} {elapsed}").expect("a constant template"));
        }
        bar.set_message(message.to_owned());
        bar.clone()
    }

    fn progress(&self, node: NodeId, message: &str, done: u64, total: u64) {
        self.bar(node, message, total).set_position(done);
        if self.verbosity.bars {
            return;
        }
        let quarter = (done * 4).checked_div(total).unwrap_or(0);
        let key = quarter + 1;
        let mut state = self.state.lock().expect("no panic while locked");
        let is_news = state.quarters.get(&node) != Some(&key);
        state.quarters.insert(node, key);
        drop(state);
        if is_news && total == 0 {
            self.step_line("Working", "1;36", message);
        } else if is_news {
            self.step_line("Working", "1;36", &format!("{message}: {} of {}", bytes_text(done), bytes_text(total)));
        }
    }

    fn output(&self, graph: &Graph, node: NodeId, stream: Stream, line: &str) {
        let step = graph.node(node);
        if step.shown == StepShown::Answer && stream == Stream::Stdout && self.verbosity.answers {
            return self.bars.suspend(|| print_answer(line));
        }
        let line = without_control_sequences(line);
        if self.streams(step.shown) {
            self.line(&format!("{:>12} {line}", format!("{} |", step.title)));
        } else {
            let mut state = self.state.lock().expect("no panic while locked");
            let kept = state.kept.entry(node).or_default();
            if kept.len() < KEPT_MAX {
                kept.push(line);
            }
        }
    }

    /// Returns true if the output of such a step is shown as it comes.
    fn streams(&self, shown: StepShown) -> bool {
        let is_streamed = match shown {
            StepShown::Streamed | StepShown::Answer | StepShown::Foreground => true,
            StepShown::OnFailure | StepShown::Never => false,
        };
        (is_streamed && !self.verbosity.quiet) || self.verbosity.verbose
    }

    fn step_finished(
        &self,
        graph: &Graph,
        node: NodeId,
        (outcome, duration): (Outcome, Duration),
        reasons: &[Reason],
        metadata: &Metadata,
    ) {
        let step = graph.node(node);
        let mut state = self.state.lock().expect("no panic while locked");
        if let Some(bar) = state.bars.remove(&node) {
            bar.finish_and_clear();
        }
        if outcome != Outcome::Failed {
            state.kept.remove(&node);
        }
        state.results.insert(node, (outcome, metadata.clone()));
        drop(state);
        if step.shown == StepShown::Never && !self.verbosity.verbose && outcome != Outcome::Failed {
            return;
        }
        let why = reasons.first().map(reason_text).unwrap_or_default();
        let took = duration_text(duration);
        match outcome {
            Outcome::Ran => self.step_line("Done", "1;32", &format!("{} in {took}", step.title)),
            Outcome::Cached => self.step_line("Up to date", "32", &step.title),
            Outcome::Restored => {
                self.step_line("Restored", "1;32", &format!("{} from the cache in {took}", step.title))
            }
            Outcome::Failed => self.step_line("Failed", "1;31", &step.title),
            Outcome::Interrupted => self.step_line("Stopped", "1;33", &step.title),
            Outcome::Skipped => self.step_line("Not needed", "2", &format!("{}: {why}", step.title)),
        }
    }

    /// Prints the last lines of a build: images, and how many steps ran.
    fn summary(&self, graph: &Graph, took: Duration, notes: &[String]) {
        let state = self.state.lock().expect("no panic while locked");
        for (node, (outcome, metadata)) in &state.results {
            let image = metadata.get::<ImageMetadata>().filter(|image| !image.digest.is_empty());
            let (Some(image), false) = (image, *outcome == Outcome::Failed) else { continue };
            let (title, size) = (&graph.node(*node).title, bytes_text(image.size_bytes));
            let text = format!("{title} {} {size} {}", image.digest, image.platforms.join(" "));
            self.step_line("Image", "1;35", &text);
            if !image.tags.is_empty() {
                self.step_line("", "0", &image.tags.join(", "));
            }
        }
        for (_, metadata) in state.results.values() {
            let Some(pushed) = metadata.get::<PushMetadata>() else { continue };
            pushed.references.iter().for_each(|reference| self.step_line("Pushed", "1;35", reference));
            pushed.attached.iter().for_each(|document| self.step_line("Attached", "1;35", document));
        }
        for (_, metadata) in state.results.values() {
            if let Some(published) = metadata.get::<PublishedMetadata>() {
                self.step_line("Published", "1;35", &published.place);
            }
        }
        let count = |wanted: &[Outcome]| {
            state
                .results
                .iter()
                .filter(|(node, (outcome, _))| wanted.contains(outcome) && graph.node(**node).shown != StepShown::Never)
                .count()
        };
        for note in notes {
            self.step_line("Platform", "2", note);
        }
        let (ran, cached) = (count(&[Outcome::Ran]), count(&[Outcome::Cached, Outcome::Restored]));
        self.step_line("Finished", "1;32", &format!("in {}: {ran} ran, {cached} up to date", duration_text(took)));
    }
}

impl Sink for Human {
    fn started(&self, _: &str, _: &[String]) {}

    fn event(&self, graph: &Graph, event: &Event) {
        match event {
            Event::Started { node, reasons } => {
                let step = graph.node(*node);
                let shown: Vec<String> = reasons.iter().take(2).map(reason_text).collect();
                let more = if reasons.len() > 2 { format!(" (and {} more)", reasons.len() - 2) } else { String::new() };
                if step.shown != StepShown::Never || self.verbosity.verbose {
                    self.step_line("Running", "1;36", &format!("{}: {}{more}", step.title, shown.join(", ")));
                }
                if step.shown != StepShown::Foreground {
                    self.bar(*node, &step.title, 0);
                }
            }
            Event::Command { line, .. } if self.verbosity.verbose => self.line(&format!("{:>12} {line}", "$")),
            Event::Output { node, stream, line, .. } => self.output(graph, *node, *stream, line),
            Event::Progress { node, message, done, total } => self.progress(*node, message, *done, *total),
            Event::Note { node, text } => {
                let text = format!("{}: {}", graph.node(*node).title, without_control_sequences(&with_program(text)));
                self.step_line("Note", "1;34", &text);
            }
            Event::Warning { text } => {
                let text = without_control_sequences(&with_program(text));
                self.line(&highlight(&format!("warning: {text}"), self.verbosity.color));
            }
            Event::Finished { node, outcome, reasons, duration, metadata, .. } => {
                self.step_finished(graph, *node, (*outcome, *duration), reasons, metadata);
            }
            Event::Command { .. } | Event::Reported { .. } => {}
        }
    }

    fn failure(&self, graph: &Graph, node: NodeId, error: &StepError, place: &str) {
        // `built` reports the interruption, once.
        if matches!(error, StepError::Interrupted) {
            return;
        }
        let step = graph.node(node);
        let mut text = String::new();
        if let StepError::Command { output, told, .. } = error {
            let state = self.state.lock().expect("no panic while locked");
            // Output shown as it came is not repeated; kept output is longer than the error's tail.
            let shown_as_it_came = self.streams(step.shown);
            let (told, rest) = output.split_at((*told).min(output.len()));
            let kept = state.kept.get(&node).map_or(told, Vec::as_slice);
            let earlier = if shown_as_it_came || told.is_empty() { &[] } else { kept };
            for line in earlier.iter().chain(rest) {
                text.push_str(&format!("  {}\n", without_control_sequences(line)));
            }
        }
        let message = format!("error: {}: {error}\n{place}", step.title);
        let message = with_program(&message).lines().map(without_control_sequences).collect::<Vec<_>>().join("\n");
        text.push_str(&with_hint(&message, error.hint_text()));
        self.line(&highlight(&text, self.verbosity.color));
    }

    fn members(&self, group: &TargetName, members: &[(TargetName, MemberState)]) {
        let word = |state| match state {
            MemberState::Ran => "ran",
            MemberState::UpToDate => "up to date",
            MemberState::Failed => "failed",
            MemberState::Unfinished => "not finished",
            MemberState::DidNotRun => "did not run",
        };
        let mut parts: Vec<(MemberState, Vec<&str>)> = Vec::new();
        for (name, state) in members {
            match parts.iter_mut().find(|(other, _)| other == state) {
                Some((_, names)) => names.push(name.as_str()),
                None => parts.push((*state, vec![name.as_str()])),
            }
        }
        let parts: Vec<String> =
            parts.into_iter().map(|(state, names)| format!("{} {}", names.join(", "), word(state))).collect();
        self.line(&format!("{:>12} {group}: {}", "Group", parts.join("; ")));
    }

    fn built(&self, graph: &Graph, exit: Exit, took: Duration, notes: &[String]) {
        match exit {
            Exit::Done => self.summary(graph, took, notes),
            Exit::Interrupted => self.line("interrupted; the former outputs are untouched"),
            Exit::StepFailed | Exit::Configuration | Exit::Environment | Exit::Different | Exit::Program(_) => {}
        }
    }

    fn unpublished(&self, releases: &[TargetName]) {
        let names: Vec<&str> = releases.iter().map(TargetName::as_str).collect();
        self.remark("Unpublished", &format!("{}: `--publish` publishes what was made", names.join(", ")));
    }

    fn verifying(&self) {
        self.remark("Verifying", "by a second build, in other surroundings and from an empty cache");
    }

    fn proven(&self, releases: &[TargetName]) {
        let names: Vec<&str> = releases.iter().map(TargetName::as_str).collect();
        self.remark("Verified", &format!("{} before, by a second build of the same steps", names.join(", ")));
    }

    fn second_build_failed(&self) {
        self.line(&highlight(&format!("\nhint: {SECOND_BUILD_FAILED}"), self.verbosity.color));
    }

    fn verified(&self, step: &Verified) {
        let Some(difference) = &step.difference else {
            if !step.is_hidden || self.verbosity.verbose {
                self.remark("Identical", &format!("{}: {}", step.label, step.summary));
            }
            return;
        };
        self.difference(&step.label, difference);
    }

    fn verify_summary(&self, summary: &VerifySummary<'_>) {
        self.remark("Differing", &summary.variations.join(", "));
        let word = match summary.different {
            0 => "identical".to_owned(),
            different => format!("{different} of {} different", summary.steps),
        };
        self.remark("Verified", &format!("in {}: {word}", duration_text(summary.took)));
    }

    fn rebuilding(&self, start: &RebuildStart<'_>) {
        let of = start.commit.map(|commit| format!(" of the commit {}", short(commit))).unwrap_or_default();
        self.remark("Rebuilding", &format!("{}{of}, in other surroundings and from an empty cache", start.target));
        for (name, value) in start.taken {
            self.remark("Taken", &format!("{name} = `{}`, of the provenance", value.escape_debug()));
        }
    }

    fn rebuilt(&self, summary: &RebuildSummary<'_>) {
        for (what, why) in summary.unproven {
            self.remark("Unproven", &without_control_sequences(&format!("{what}: {why}")));
        }
        self.remark("Differing", &summary.variations.join(", "));
        self.remark("Rebuilt", &rebuilt_text(summary));
    }

    fn bundled(&self, bundle: &Bundled<'_>) {
        let (path, size) = (bundle.path.display(), bytes_text(bundle.digest.size()));
        self.remark("Bundled", &format!("{path}: {} files, {size}, {}", bundle.files, bundle.digest.oci()));
    }

    fn attested(&self, place: &str, bytes: u64) {
        let what = if bytes == 0 { "was there".to_owned() } else { format!("{bytes} bytes") };
        self.remark("Attested", &without_control_sequences(&format!("{place}: {what}")));
    }

    fn auditing(&self, start: &AuditStart) {
        let rate = start.rate.as_ref().map(|rate| format!("{rate}, ")).unwrap_or_default();
        let (chosen, stored, seed) = (start.chosen, start.stored, start.seed);
        self.remark("Auditing", &format!("{chosen} of {stored} stored results ({rate}seed {seed})"));
    }

    fn audited(&self, audited: &Audited) {
        match &audited.outcome {
            AuditOutcome::Different(difference) => self.difference(&audited.label, difference),
            AuditOutcome::Same(_) if audited.is_hidden && !self.verbosity.verbose => {}
            AuditOutcome::Same(summary) => self.remark("Same", &format!("{}: {summary}", audited.label)),
            AuditOutcome::NotChecked(why) => {
                let why = without_control_sequences(&with_program(why).replace('\n', "\\n"));
                self.remark("Unchecked", &format!("{}: {why}", audited.label));
            }
        }
    }

    fn audit_summary(&self, summary: &AuditSummary) {
        let (took, checked, differed) = (duration_text(summary.took), summary.checked, summary.differed);
        let mut text = format!("in {took}: {checked} checked, {differed} differed");
        for (count, words) in [(summary.not_checked, "can't be checked"), (summary.not_reached, "not reached")] {
            if count > 0 {
                text.push_str(&format!(", {count} {words}"));
            }
        }
        self.remark("Audited", &text);
        if differed > 0 {
            let what = format!(
                "what differed was removed, and the next build makes it again; `{PROGRAM} why` says of \
                                which steps it is"
            );
            self.line(&highlight(&format!("\nhint: {}", with_program(&what)), self.verbosity.color));
        }
    }

    fn finished(&self, _: Exit, _: Duration) {}
}

/// Returns what a rebuild has proven, and what not.
fn rebuilt_text(summary: &RebuildSummary<'_>) -> String {
    let RebuildSummary { start, same, different, unproven, took, .. } = summary;
    let sources = match start.commit {
        Some(commit) => format!("the commit {}", short(commit)),
        None => "these sources, whose commit is not proven".to_owned(),
    };
    let (total, took) = (same + different, duration_text(*took));
    let mut text = match different {
        0 => format!("in {took}: {same} of {total} are what `{}` makes of {sources}", start.target),
        _ => format!("in {took}: {different} of {total} are not what `{}` makes of {sources}", start.target),
    };
    if !unproven.is_empty() {
        text.push_str(&format!("; {} not proven", unproven.len()));
    }
    text
}

fn short(commit: &str) -> &str {
    commit.get(..12).unwrap_or(commit)
}
