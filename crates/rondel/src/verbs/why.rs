//! `why`: the causes of the last run of each step of a target. For a step that would run, how it differs from the nearest stored
//! result; with `--against`, all differences from another record.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rondel_engine::{
    ActionSpec, Asks, AuditMark, Nearest, Node, Planned, Reason, Shown, StepRecord, Workspace, audit_mark, in_words,
    known, nearest, read_record, read_record_file,
};
use rondel_process::Cancellation;
use rondel_report::{End, Run, read_runs};
use serde_json::{Value, json};

use crate::cli::groups::{AnalysisOptions, TextOrJson};
use crate::cli::option::{option, options};
use crate::cli::verb::{Arguments, Call, Holds, Verb};
use crate::exit::{Exit, Failure};
use crate::session::Session;
use crate::signals;
use crate::ui::{duration_text, print_data, reason_text, without_control_sequences};

/// Maximum number of inputs that are listed.
const FEW: usize = 12;

options! {
    /// Options of `why`.
    struct Options {
        /// show what differs from another run: a record, or a directory of records
        against: Option<String> = option("against").value("RECORD"),
        /// list what each step depends on too
        all: bool = option("all"),
        /// print the causes as
        format: TextOrJson = option("format").value("FORMAT"),
        ..analysis: AnalysisOptions,
    }
}

/// Prints the causes.
pub(crate) struct Why;

impl Verb for Why {
    const NAME: &'static str = "why";
    const ABOUT: &'static str = "why a target's steps ran the last time";
    const ARGUMENTS: Arguments = Arguments {
        holds: Holds::TargetsOrPaths,
        least: 1,
        most: usize::MAX,
        forms: &["TARGET…", "--against RECORD RECORD"],
        needed: "a target",
        docs: &[
            ("TARGET", "a target of build.ron"),
            ("RECORD", "a file of `.rondel/actions.3` in a workspace, also of another machine"),
        ],
    };
    const TAKES_REST: bool = true;
    const EXAMPLE: &'static str = "why image";
    type Options = Options;

    fn run(session: Result<Session<'_>, Failure>, call: &Call<'_, Options>) -> Result<Exit, Failure> {
        why(&session?, call)
    }
}

/// The state of one step and its record.
struct Explanation {
    step: String,
    state: &'static str,
    detail: String,
    record: StepRecord,
    /// The last run here, if it failed.
    failed: Option<FailedRun>,
    /// What an audit found out about it.
    mark: Option<AuditMark>,
    /// For a step that would run: the nearest stored result, if it is not that of the last run here.
    nearest: Option<Nearest>,
}

/// A run of a step that did not succeed.
struct FailedRun {
    /// Seconds since 1970.
    at_s: u64,
    took: Duration,
    was_stopped: bool,
    reasons: Vec<String>,
    message: String,
}

impl FailedRun {
    /// Returns that of a node, if its last run failed. `runs` are the recorded ones, the latest first.
    fn last<'a>(node: &Node, runs: impl Iterator<Item = &'a Run>) -> Option<FailedRun> {
        let target = node.key.target.as_ref().map(ToString::to_string).unwrap_or_default();
        let mut steps = runs.filter_map(|run| {
            Some((run, run.steps.iter().find(|step| step.title == node.title && step.target == target)?))
        });
        let (run, step) = steps.find(|(_, step)| step.end != End::Skipped)?;
        let was_stopped = step.end == End::Interrupted;
        (was_stopped || step.end == End::Failed).then(|| FailedRun {
            at_s: (run.started_ms + step.start_us / 1000) / 1000,
            took: Duration::from_micros(step.duration_us),
            was_stopped,
            reasons: step.reasons.clone(),
            message: step.error.as_ref().and_then(|error| error.message.lines().next()).unwrap_or_default().to_owned(),
        })
    }

    fn as_text(&self) -> String {
        let how = if self.was_stopped { "was stopped" } else { "failed" };
        let mut text = format!("  last run {} ago {how} after {}", ago(self.at_s), duration_text(self.took));
        text.push_str(if self.message.is_empty() { "" } else { ": " });
        text.push_str(&format!("{}; it ran because\n", without_control_sequences(&self.message)));
        for reason in &self.reasons {
            text.push_str(&format!("    {}\n", without_control_sequences(reason)));
        }
        text
    }
}

fn why(session: &Session<'_>, call: &Call<'_, Options>) -> Result<Exit, Failure> {
    let (options, words) = (&call.options, call.words);
    // Two records, from any machine, need no target.
    if let ([word], Some(against)) = (words, &options.against)
        && session.target(word).is_none()
        && session.context.directory.join(word).is_file()
    {
        let record = record_at(session, word)?;
        return against_record(session, options.format, vec![(word.clone(), record)], against);
    }
    let targets = session.asked(words)?;
    let analyzed = session.analyze(&options.analysis, call.rest, targets)?;
    let workspace = session.workspace();
    let cancellation = Cancellation::new();
    signals::forward_to(&cancellation);
    let known = known(&analyzed.graph, &analyzed.roots, &workspace, Asks::Programs(&cancellation), &|_| {});
    let runs = read_runs(&workspace.state).runs;
    let mut all = Vec::new();
    for (id, state) in &known.planned {
        let node = analyzed.graph.node(*id);
        let record = read_record(&workspace.state, &node.key);
        let failed = FailedRun::last(node, runs.iter().rev());
        if node.shown == Shown::Never && !call.global.verbose && record.last_run.is_none() && failed.is_none() {
            continue;
        }
        let nearest = match state {
            // Where only a build can tell what it depends on, there is nothing to compare.
            Planned::Run(reasons) if !Reason::are_undecided(reasons) => {
                known.specs.get(id).and_then(|spec| nearest_elsewhere(node, spec, &workspace, &record))
            }
            _ => None,
        };
        let (state, detail) = match state {
            Planned::UpToDate => ("up to date", String::new()),
            Planned::Restore => ("stored, not in place", String::new()),
            Planned::Run(reasons) if Reason::are_undecided(reasons) => ("unknown", with_values(reasons, "    ")),
            Planned::Run(reasons) => ("would run", with_values(reasons, "    ")),
            Planned::Depends(_) => ("waits for steps that would run", String::new()),
            Planned::Skip(why) => ("passed over", format!("    {why}\n")),
            Planned::OnDemand => ("runs only if a step needs it", String::new()),
            Planned::Unknown(error) => ("unknown", format!("    {error}\n")),
        };
        let mark = audit_mark(&workspace.state, &node.key);
        all.push(Explanation { step: node.key.to_string(), state, detail, record, failed, mark, nearest });
    }
    if let Some(against) = &options.against {
        let records = all.into_iter().map(|explained| (explained.step, explained.record)).collect();
        return against_record(session, options.format, records, against);
    }
    match options.format {
        TextOrJson::Text => all.iter().for_each(|step| print_data(&as_text(step, options.all, call.global.verbose))),
        TextOrJson::Json => print_data(&format!("{}\n", json!(all.iter().map(as_json).collect::<Vec<Value>>()))),
    }
    Ok(Exit::Done)
}

/// Returns the nearest stored result, unless it is what the step here was compared with.
fn nearest_elsewhere(node: &Node, spec: &ActionSpec, workspace: &Workspace, record: &StepRecord) -> Option<Nearest> {
    let found = nearest(&workspace.store, node, spec)?;
    (found.record.action != record.action && !found.differences.is_empty()).then_some(found)
}

fn as_text(explained: &Explanation, is_all: bool, verbose: bool) -> String {
    let mut text = format!("{}: {}\n{}", explained.step, explained.state, explained.detail);
    if let Some(mark) = &explained.mark {
        let difference = without_control_sequences(&mark.summary());
        text.push_str(&format!("  an audit found it not reproducible: {difference}\n"));
    }
    text.push_str(&explained.failed.as_ref().map(FailedRun::as_text).unwrap_or_default());
    match &explained.record.last_run {
        None if explained.failed.is_some() => text.push_str("  no run of it has succeeded in this workspace\n"),
        None => text.push_str("  it has not run in this workspace\n"),
        Some(run) => {
            let ago = ago(run.at_s);
            let took = duration_text(Duration::from_millis(run.duration_ms));
            let which = if explained.failed.is_some() { "last success" } else { "last run" };
            text.push_str(&format!("  {which} {ago} ago, {took}, because\n"));
            text.push_str(&with_values(&run.reasons, "    "));
        }
    }
    if let Some(nearest) = &explained.nearest {
        let made = nearest.record.last_run.as_ref().map(|run| format!(", made {} ago,", ago(run.at_s)));
        text.push_str(&format!("  the nearest stored result{} differs:\n", made.unwrap_or_default()));
        text.push_str(&with_values(&nearest.differences, "    "));
    }
    let counts = explained.record.counts();
    if !counts.is_empty() {
        let words: Vec<String> = counts.iter().map(|(count, word)| format!("{count} {word}")).collect();
        text.push_str(&format!("  depends on {}\n", words.join(", ")));
    }
    if !is_all && !verbose {
        return text;
    }
    let inputs = counts.iter().find(|(_, word)| *word == "inputs").map_or(0, |(count, _)| *count);
    for line in explained.record.describe() {
        let is_short = (inputs <= FEW || !line.starts_with("input ")) && !line.ends_with(" @located");
        if verbose || is_short {
            text.push_str(&format!("    {}\n", without_control_sequences(&line)));
        }
    }
    if inputs > FEW && !verbose {
        text.push_str("    (--verbose lists the inputs)\n");
    }
    text
}

fn as_json(explained: &Explanation) -> Value {
    json!({
        "step": explained.step,
        "state": explained.state,
        "last_run": explained.record.last_run,
        "last_failure": explained.failed.as_ref().map(|failed| json!({
            "at_s": failed.at_s,
            "duration_ms": failed.took.as_millis() as u64,
            "was_stopped": failed.was_stopped,
            "reasons": failed.reasons,
            "message": failed.message,
        })),
        "depends_on": explained.record.describe(),
        "nearest": explained.nearest.as_ref().map(|nearest| json!({
            "action": nearest.record.action,
            "last_run": nearest.record.last_run,
            "differences": nearest.differences,
        })),
        "not_reproducible": explained.mark.as_ref().map(|mark| json!({"place": mark.place, "what": mark.what})),
    })
}

/// Compares records with another one, or with those of the same names in a directory.
fn against_record(
    session: &Session<'_>,
    format: TextOrJson,
    records: Vec<(String, StepRecord)>,
    against: &str,
) -> Result<Exit, Failure> {
    let path = session.context.directory.join(against);
    let mut differences: Vec<(String, Vec<Reason>)> = Vec::new();
    if path.is_dir() {
        let others = records_in(&path)?;
        for (step, record) in &records {
            if let Some(other) = others.iter().find(|other| other.step == record.step) {
                differences.push((step.clone(), record.differences_from(other)));
            }
        }
    } else {
        let other = record_at(session, against)?;
        let same = records.iter().find(|(_, record)| record.step == other.step);
        let known = || records.iter().filter(|(_, record)| record.action.is_some() || record.last_run.is_some());
        let (step, record) = match (same, known().count()) {
            (Some(found), _) => found,
            (None, 1) => known().next().expect("there is one"),
            _ => {
                let steps: Vec<&str> = records.iter().map(|(step, _)| step.as_str()).collect();
                let step = other.step.as_ref().map(ToString::to_string).unwrap_or_default();
                let message = format!("`{against}` is a record of `{step}`, which is none of: {}", steps.join(", "));
                return Err(Failure::usage(message));
            }
        };
        differences.push((step.clone(), record.differences_from(&other)));
    }
    if differences.is_empty() {
        return Err(Failure::usage(format!("`{against}` has no record of these steps"))
            .hint("records are the files of `.rondel/actions.3` in a workspace, one for each step that ran there"));
    }
    if format == TextOrJson::Json {
        let all: Vec<Value> =
            differences.iter().map(|(step, reasons)| json!({"step": step, "differences": reasons})).collect();
        print_data(&format!("{}\n", json!(all)));
        return Ok(Exit::Done);
    }
    for (step, reasons) in differences {
        match reasons.is_empty() {
            true => print_data(&format!("{step}: the same as in `{against}`\n")),
            false => print_data(&format!("{step}: differs from `{against}`\n{}", with_values(&reasons, "    "))),
        }
    }
    Ok(Exit::Done)
}

fn record_at(session: &Session<'_>, path: &str) -> Result<StepRecord, Failure> {
    read_record_file(&session.context.directory.join(path)).map_err(|error| {
        Failure::usage(format!("failed to read the record `{path}`: {error}"))
            .hint("records are the files of `.rondel/actions.3` in a workspace, one for each step that ran there")
    })
}

fn records_in(directory: &Path) -> Result<Vec<StepRecord>, Failure> {
    let entries = std::fs::read_dir(directory)
        .map_err(|error| Failure::usage(format!("failed to read `{}`: {error}", directory.display())))?;
    Ok(entries.flatten().filter_map(|entry| read_record_file(&entry.path()).ok()).collect())
}

/// Returns one line a reason, the first cause first, with the old and the new value if there are any.
fn with_values(reasons: &[Reason], indent: &str) -> String {
    let mut text = String::new();
    for reason in reasons {
        let (old, new) = match reason {
            Reason::InputChanged { old, new, .. } => (Some(old), Some(new)),
            Reason::InputAdded { new, .. } => (None, Some(new)),
            Reason::InputRemoved { old, .. } => (Some(old), None),
            Reason::UpstreamChanged { old, new, .. } => (old.as_ref(), new.as_ref()),
            Reason::EnvironmentChanged { old, new, .. }
            | Reason::SettingChanged { old, new, .. }
            | Reason::ToolChanged { old, new, .. } => (old.as_ref(), new.as_ref()),
            _ => (None, None),
        };
        text.push_str(&format!("{indent}{}\n", without_control_sequences(&reason_text(reason))));
        for (word, value) in [("was", old), ("is ", new)] {
            if let Some(value) = value.filter(|value| !value.is_empty()) {
                text.push_str(&format!("{indent}  {word} {}\n", without_control_sequences(&readable(value))));
            }
        }
    }
    text
}

/// Returns `<hash>/<size>` as a digest and a size; anything else unchanged.
fn readable(value: &str) -> String {
    let (digest, rest) = value.split_once(' ').unwrap_or((value, ""));
    match digest.parse::<rondel_cas::Digest>() {
        Ok(digest) => format!("{}, {} bytes {rest}", digest.oci(), digest.size()).trim_end().to_owned(),
        Err(_) => in_words(value.strip_prefix('=').unwrap_or(value)),
    }
}

/// Returns how long ago a time is that is given in seconds since 1970.
fn ago(at_s: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    age(now.saturating_sub(at_s))
}

fn age(seconds: u64) -> String {
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7199 => format!("{} min", seconds / 60),
        7200..=172_799 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}
