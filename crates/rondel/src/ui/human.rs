//! Progress for people: live lines on a terminal, one line a step elsewhere.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rondel_buildfile::TargetName;
use rondel_diff::Difference;
use rondel_engine::{Event, Graph, NodeId, Outcome, PROGRAM, Reason, Shown as StepShown, StepError, how_it_ended};
use rondel_process::Stream;

use crate::exit::Exit;
use crate::program::with_program;
use crate::ui::lines::Lines;
use crate::ui::progress::Live;
use crate::ui::rebuilds::{rebuilt_text, short};
use crate::ui::results::{Ends, short_command, shortened};
use crate::ui::state::State;
use crate::ui::ticker::Ticker;
use crate::ui::verbosity::Verbosity;
use crate::ui::{
    AuditOutcome, AuditStart, AuditSummary, Audited, BuildEnd, BuildStart, Bundled, MemberState, Printer, RebuildStart,
    RebuildSummary, SECOND_BUILD_FAILED, Sink, Verified, VerifySummary, bytes_text, duration_text, highlight,
    print_answer, reason_text, screen, shown_line, with_hint, without_control_sequences,
};

/// Interval at which live lines are drawn.
const DRAW: Duration = Duration::from_millis(120);
/// Interval at which signs of life are looked for.
const LOOK: Duration = Duration::from_secs(1);

/// Shows builds to people.
pub(crate) struct Human {
    verbosity: Verbosity,
    lines: Arc<Lines>,
    live: Arc<Mutex<Live>>,
    state: Mutex<State>,
    _ticker: Option<Ticker>,
}

/// Maximum number of output lines kept for the report of a failure.
const KEPT_MAX: usize = 2000;

impl Human {
    /// Prints lines with `print`, without their newline.
    pub fn new(verbosity: Verbosity, print: Printer) -> Human {
        let lines = Arc::new(Lines::new(print, verbosity.service));
        let live: Arc<Mutex<Live>> = Arc::default();
        let ticker = match (verbosity.bars, verbosity.heartbeats) {
            (true, _) => {
                let live = Arc::clone(&live);
                Some(Ticker::every(DRAW, move || draw(&live)))
            }
            (false, true) => {
                let (live, lines) = (Arc::clone(&live), Arc::clone(&lines));
                Some(Ticker::every(LOOK, move || {
                    let due = live.lock().expect("no panic while locked").heartbeats(Instant::now());
                    due.iter().for_each(|text| lines.print(&format!("{:>12} running {text}", "Still")));
                }))
            }
            (false, false) => None,
        };
        Human { verbosity, lines, live, state: Mutex::default(), _ticker: ticker }
    }

    fn line(&self, text: &str) {
        self.lines.print(text);
    }

    /// Changes what runs, and shows it.
    fn live(&self, change: impl FnOnce(&mut Live)) {
        change(&mut self.live.lock().expect("no panic while locked"));
        if self.verbosity.bars {
            draw(&self.live);
        }
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

    /// Empties the screen below a watch when the first step of a build begins: what stood there is of the build before.
    fn begin_screen(&self) {
        let mut state = self.state.lock().expect("no panic while locked");
        if self.verbosity.clears && !std::mem::replace(&mut state.has_begun, true) {
            screen::clear();
        }
    }

    /// Prints such a line of one step.
    fn node_line(&self, node: NodeId, verb: &str, code: &str, text: &str) {
        self.state.lock().expect("no panic while locked").speaks(node);
        self.step_line(verb, code, text);
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

    fn progress(&self, graph: &Graph, node: NodeId, message: &str, (done, total): (u64, u64)) {
        let amount =
            if total == 0 { String::new() } else { format!(": {} of {}", bytes_text(done), bytes_text(total)) };
        let text = format!("{message}{amount}");
        self.live(|live| live.say(graph, node, text.clone(), Instant::now()));
        if self.verbosity.bars {
            return;
        }
        let quarter = (done * 4).checked_div(total).unwrap_or(0);
        let key = quarter + 1;
        let former = self.state.lock().expect("no panic while locked").quarters.insert(node, key);
        if former != Some(key) {
            self.node_line(node, "Working", "1;36", &text);
        }
    }

    fn output(&self, graph: &Graph, node: NodeId, stream: Stream, line: &str) {
        let step = graph.node(node);
        if step.shown == StepShown::Answer && stream == Stream::Stdout && self.verbosity.answers {
            return print_answer(line);
        }
        let is_printed = self.streams(step.shown);
        self.live.lock().expect("no panic while locked").line(node, line, is_printed, Instant::now());
        let mut state = self.state.lock().expect("no panic while locked");
        if is_printed {
            state.speaks(node);
            drop(state);
            let line = format!("{:>12} {}", format!("{} |", step.title), shown_line(line));
            self.lines.print_in_group(node, &step.title, &line);
        } else {
            let kept = state.kept.entry(node).or_default();
            if kept.len() < KEPT_MAX {
                kept.push(line.to_owned());
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

    fn step_finished(&self, graph: &Graph, node: NodeId, outcome: Outcome, duration: Duration, reasons: &[Reason]) {
        let step = graph.node(node);
        let mut state = self.state.lock().expect("no panic while locked");
        if outcome != Outcome::Failed {
            state.kept.remove(&node);
        }
        let is_stopping = state.ends.has(Outcome::Interrupted);
        drop(state);
        self.live(|live| live.end(node));
        if step.shown == StepShown::Never && !self.verbosity.verbose && outcome != Outcome::Failed {
            return;
        }
        let why = reasons.first().map(reason_text).unwrap_or_default();
        let took = duration_text(duration);
        let line = |verb: &str, code: &str, text: &str| self.node_line(node, verb, code, text);
        match outcome {
            Outcome::Ran => line("Done", "1;32", &format!("{} in {took}", step.title)),
            Outcome::Cached | Outcome::Skipped if self.verbosity.changes_only => {}
            Outcome::Cached => line("Up to date", "32", &step.title),
            Outcome::Restored => line("Restored", "1;32", &format!("{} from the cache in {took}", step.title)),
            Outcome::Failed => line("Failed", "1;31", &step.title),
            // One line says it of all of them, in the end.
            Outcome::Interrupted if !self.verbosity.verbose => {}
            Outcome::NotRun if is_stopping && !self.verbosity.verbose => {}
            Outcome::Interrupted => line("Stopped", "1;33", &step.title),
            Outcome::Skipped => line("Not needed", "2", &format!("{}: {why}", step.title)),
            Outcome::NotRun => line("Not run", "1;33", &format!("{}: {why}", step.title)),
        }
    }

    /// Prints the errors of steps, each with the output that belongs to it last.
    fn print_failures(&self) {
        let failures = std::mem::take(&mut self.state.lock().expect("no panic while locked").failures);
        for (message, output) in failures {
            self.line(&highlight(&message, self.verbosity.color));
            output.iter().for_each(|line| self.line(&format!("  {line}")));
        }
    }

    /// Returns what a failed step printed that does not stand together on the screen yet. `told` lines of the error's tail
    /// were shown or kept as they came.
    fn output_of(
        &self,
        state: &State,
        node: NodeId,
        shown: StepShown,
        (output, told): (&[String], usize),
    ) -> Vec<String> {
        let (told, rest) = output.split_at(told.min(output.len()));
        let kept = state.kept.get(&node).map_or(told, Vec::as_slice);
        // A log that folds output hides it; between its lines may stand those of others; paths in it may be of elsewhere.
        let is_apart = state.interrupted.contains(&node)
            || self.verbosity.service.is_some()
            || told.iter().any(|line| state.seen(node, line) != shown_line(line));
        let earlier = match self.streams(shown) {
            _ if told.is_empty() => &[],
            true if is_apart => told,
            true => &[],
            false => kept,
        };
        earlier.iter().chain(rest).map(|line| state.seen(node, line)).collect()
    }
}

/// Draws what runs now.
fn draw(live: &Mutex<Live>) {
    // Two threads draw in the order in which they asked.
    let live = live.lock().expect("no panic while locked");
    screen::show(live.frame(screen::size(), Instant::now()));
}

impl Sink for Human {
    fn started(&self, _: &str, _: &[String]) {}

    fn building(&self, start: BuildStart<'_>) {
        let mut state = self.state.lock().expect("no panic while locked");
        *state = State { paths: Some(start.paths), ends: Ends::of(start.graph, &start.forecast), ..State::default() };
        drop(state);
        self.live(|live| live.expect(start.graph, start.forecast));
    }

    fn event(&self, graph: &Graph, event: &Event) {
        match event {
            Event::Started { node, reasons } => {
                let step = graph.node(*node);
                let shown: Vec<String> = reasons.iter().take(2).map(reason_text).collect();
                let more = if reasons.len() > 2 { format!(" (and {} more)", reasons.len() - 2) } else { String::new() };
                if step.shown != StepShown::Never || self.verbosity.verbose {
                    self.begin_screen();
                    self.node_line(*node, "Running", "1;36", &format!("{}: {}{more}", step.title, shown.join(", ")));
                }
                self.live(|live| live.begin(graph, *node, Instant::now()));
            }
            Event::Command { node, line, directory } => {
                let mut state = self.state.lock().expect("no panic while locked");
                state.directories.insert(*node, directory.clone());
                drop(state);
                if self.verbosity.verbose {
                    self.line(&format!("{:>12} {line}", "$"));
                }
            }
            // It was shown when it was printed.
            Event::Output { is_replayed: true, .. } if self.verbosity.changes_only => {}
            Event::Output { node, stream, line, .. } => self.output(graph, *node, *stream, line),
            Event::Progress { node, message, done, total } => self.progress(graph, *node, message, (*done, *total)),
            Event::Parts { node, parts } => self.live(|live| live.set_parts(graph, *node, parts, Instant::now())),
            Event::Note { node, text } => {
                let text = without_control_sequences(&with_program(text));
                let text = format!("{}: {}", graph.node(*node).title, shortened(&text, self.verbosity.verbose));
                self.node_line(*node, "Note", "1;34", &text);
            }
            Event::Warning { text } => {
                let text = without_control_sequences(&with_program(text));
                self.line(&highlight(&format!("warning: {text}"), self.verbosity.color));
            }
            Event::Finished { node, outcome, reasons, duration, saved, metadata, .. } => {
                let mut state = self.state.lock().expect("no panic while locked");
                state.ends.add(*node, *outcome, *saved, metadata.clone());
                drop(state);
                self.step_finished(graph, *node, *outcome, *duration, reasons);
            }
            Event::Reported { .. } => {}
        }
    }

    fn failure(&self, graph: &Graph, node: NodeId, error: &StepError, place: &str) {
        // `built` reports the interruption, once.
        if matches!(error, StepError::Interrupted) {
            return;
        }
        let step = graph.node(node);
        let mut state = self.state.lock().expect("no panic while locked");
        let output = match error {
            StepError::Command { output, told, .. } => self.output_of(&state, node, step.shown, (output, *told)),
            StepError::Foreground { .. } | StepError::User(_) | StepError::Interrupted => Vec::new(),
        };
        let message = match error {
            StepError::Command { summary, status, .. } | StepError::Foreground { summary, status, .. }
                if !self.verbosity.verbose =>
            {
                format!("`{}` {}", short_command(summary), how_it_ended(status))
            }
            error => error.to_string(),
        };
        let message = format!("error: {}: {message}\n{place}", step.title);
        let user = |line: &str| match &state.paths {
            // Only absolute paths in it are of files: the others are as build.ron has them.
            Some(paths) => paths.absolute_seen_in(line),
            None => line.to_owned(),
        };
        let message = with_program(&message).lines().map(without_control_sequences).collect::<Vec<_>>();
        let message = message.iter().map(|line| user(line)).collect::<Vec<_>>().join("\n");
        state.failures.push((with_hint(&message, error.hint_text()), output));
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

    fn built(&self, graph: &Graph, end: &BuildEnd<'_>) {
        self.live(Live::finish);
        self.print_failures();
        let state = self.state.lock().expect("no panic while locked");
        match end.exit {
            Exit::Done => {
                // A round with nothing to do prints nothing. Its output may go to a file of the tree, which would start the next round.
                let is_news = state.ends.has(Outcome::Ran) || state.ends.has(Outcome::Restored);
                if !is_news && self.verbosity.changes_only {
                    return;
                }
                for (verb, text) in state.ends.made(graph, self.verbosity.verbose) {
                    self.step_line(verb, if verb.is_empty() { "0" } else { "1;35" }, &text);
                }
                end.notes.iter().for_each(|note| self.step_line("Platform", "2", note));
                self.step_line("Finished", "1;32", &state.ends.success(graph, end.took));
            }
            Exit::Interrupted => {
                // The terminal shows the key; only a program that had the terminal may have left words before it.
                let begin = match (self.verbosity.bars, state.ends.has_left_terminal(graph)) {
                    (false, _) => "",
                    (true, false) => "\r\x1b[K",
                    (true, true) => "\n",
                };
                self.line(&format!("{begin}{:>12} {}", "Stopped", state.ends.stop(end)));
            }
            Exit::StepFailed | Exit::Configuration | Exit::Environment | Exit::Program(_) => {
                self.step_line("Failed", "1;31", &state.ends.failure(graph, end));
            }
            Exit::Different => {}
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
