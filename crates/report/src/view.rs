//! `View`: the values of the page, as the template takes them. Texts are without control characters here; the template
//! escapes them.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::diagram::{Diagram, diagram};
use crate::images::{Layer, LayersOf};
use crate::path::critical_path;
use crate::run::{End, Run, Step, Tested};
use crate::text::{bytes, duration, plain, utc};
use crate::trend::{TrendRun, median_of_same, outcome, trend};

/// Maximum number of entries of a list beside the list of steps.
const FEW: usize = 12;
/// Number of ticks of the axis of time.
const TICKS: u64 = 4;

/// Time before the first step from which it is named, in microseconds.
const BEFORE_US: u64 = 100_000;

/// The last run.
#[derive(Debug, Serialize)]
pub(crate) struct View {
    pub project: String,
    pub words: String,
    pub outcome: String,
    pub has_failed: bool,
    pub started: String,
    pub facts: Vec<Fact>,
    pub warnings: Vec<String>,
    pub lanes: Vec<Vec<usize>>,
    pub ticks: Vec<Tick>,
    /// When the first step began, if that took long; else empty.
    pub before: String,
    pub path: Vec<usize>,
    pub path_left_out: usize,
    pub causes: Vec<Cause>,
    pub causes_left_out: usize,
    pub steps: Vec<Row>,
    pub counts: Counts,
    pub left_out: u64,
    pub tests: Vec<Tests>,
    pub images: Vec<ImageView>,
    pub saved: Vec<usize>,
    pub saved_left_out: usize,
    pub diagram: Diagram,
    pub runs: Vec<TrendRun>,
}

/// One number at the head of the page.
#[derive(Debug, Serialize)]
pub(crate) struct Fact {
    pub name: &'static str,
    pub value: String,
    pub note: String,
    pub class: &'static str,
}

/// A mark of the axis of time.
#[derive(Debug, Serialize)]
pub(crate) struct Tick {
    pub at: f64,
    pub text: String,
}

/// A first cause, and the steps that ran for it.
#[derive(Debug, Serialize)]
pub(crate) struct Cause {
    pub text: String,
    pub steps: Vec<usize>,
    pub left_out: usize,
}

/// Number of steps in each state.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Counts {
    pub all: usize,
    pub ran: usize,
    pub failed: usize,
    pub up_to_date: usize,
    pub skipped: usize,
    pub internal: usize,
}

/// One step.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    pub id: usize,
    pub title: String,
    pub kind: String,
    pub target: String,
    /// The class of its state.
    pub state: &'static str,
    pub state_text: &'static str,
    pub is_internal: bool,
    pub is_critical: bool,
    pub has_failed: bool,
    pub reason: String,
    pub reasons: Vec<String>,
    pub start: String,
    pub start_us: u64,
    pub duration: String,
    pub duration_us: u64,
    /// Left end and width of its bar, in percent of the run.
    pub left: f64,
    pub width: f64,
    /// Share of the run's duration, as text.
    pub percent: String,
    pub kept: String,
    /// Share of the longest duration that a kept result saved.
    pub kept_share: f64,
    pub waits_for: Vec<usize>,
    pub waits_left_out: usize,
    pub facts: Vec<(String, String)>,
    pub outputs: Vec<(String, String)>,
    pub outputs_left_out: usize,
    pub message: String,
    pub hint: String,
    pub log: String,
    pub log_left_out: u64,
}

/// The tests of one step.
#[derive(Debug, Serialize)]
pub(crate) struct Tests {
    pub id: usize,
    /// When they ran, if that was in an earlier run.
    pub earlier: String,
    pub passed: u64,
    pub failed: u64,
    pub skipped: u64,
    pub packages: Vec<TestedView>,
}

/// One package.
#[derive(Debug, Serialize)]
pub(crate) struct TestedView {
    pub name: String,
    pub has_passed: bool,
    pub passed: u64,
    pub failed: u64,
    pub skipped: u64,
    pub duration: String,
    pub share: f64,
    pub failed_tests: Vec<String>,
}

/// The images of one step.
#[derive(Debug, Serialize)]
pub(crate) struct ImageView {
    pub id: usize,
    /// Why no layers are known; else empty.
    pub trouble: String,
    pub platforms: Vec<PlatformView>,
}

/// The image of one platform, the largest layer first.
#[derive(Debug, Serialize)]
pub(crate) struct PlatformView {
    pub platform: String,
    pub size: String,
    pub layers: Vec<LayerView>,
}

/// One layer.
#[derive(Debug, Serialize)]
pub(crate) struct LayerView {
    pub what: String,
    pub digest: String,
    pub size: String,
    pub share: f64,
    pub place: usize,
}

impl View {
    /// Returns the view of the last of `runs`; `None` if there is none.
    pub fn of(runs: &[Run], layers_of: &LayersOf<'_>) -> Option<View> {
        let run = runs.last()?;
        let (path, path_us) = critical_path(run);
        let whole_us = whole_us(run);
        let steps = rows(run, &path, whole_us);
        let mut by_time = path.clone();
        by_time.sort_by_key(|place| std::cmp::Reverse(run.steps[*place].duration_us));
        let mut shown: Vec<usize> = by_time.into_iter().take(FEW).collect();
        shown.sort_unstable();
        let mut saved: Vec<usize> =
            (0..steps.len()).filter(|place| run.steps[*place].kept_ms.is_some_and(|ms| ms > 0)).collect();
        saved.sort_by_key(|place| (std::cmp::Reverse(run.steps[*place].kept_ms), *place));
        let (causes, causes_left_out) = causes(run);
        Some(View {
            project: plain(&run.project),
            words: plain(&run.words.join(" ")),
            outcome: outcome(run.exit),
            has_failed: run.exit != 0,
            started: utc(run.started_ms),
            facts: facts(runs, run, path_us),
            warnings: run.warnings.iter().map(|text| plain(text)).collect(),
            lanes: lanes(run),
            ticks: (0..=TICKS)
                .map(|tick| Tick { at: 100.0 / TICKS as f64 * tick as f64, text: duration(whole_us * tick / TICKS) })
                .collect(),
            before: before(run, whole_us),
            path_left_out: path.len() - shown.len(),
            path: shown,
            causes,
            causes_left_out,
            counts: counts(run),
            left_out: run.left_out,
            tests: tests(runs, run),
            images: images(run, layers_of),
            saved_left_out: saved.len().saturating_sub(FEW),
            saved: saved.into_iter().take(FEW).collect(),
            diagram: diagram(run, &path),
            runs: trend(runs),
            steps,
        })
    }
}

/// Returns the length of the axis of time: all steps are on it.
fn whole_us(run: &Run) -> u64 {
    let ends = run.steps.iter().map(|step| step.start_us.saturating_add(step.duration_us));
    ends.max().unwrap_or(0).max(run.duration_ms.saturating_mul(1000)).max(1)
}

/// Returns the time before the first step, if it is worth a word.
fn before(run: &Run, whole_us: u64) -> String {
    let starts = run.steps.iter().filter(|step| step.end != End::Skipped).map(|step| step.start_us);
    let first = starts.min().unwrap_or(0);
    if first >= BEFORE_US && share(first, whole_us) >= 5.0 { duration(first) } else { String::new() }
}

fn share(part: u64, whole: u64) -> f64 {
    (part as f64 / whole.max(1) as f64 * 10_000.0).round() / 100.0
}

fn number(count: usize, one: &str, many: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {many}") }
}

fn facts(runs: &[Run], run: &Run, path_us: u64) -> Vec<Fact> {
    let kept_ms: u64 = run.steps.iter().filter_map(|step| step.kept_ms).fold(0, u64::saturating_add);
    let (ran, failed) = (run.count(|end| end == End::Ran), run.count(|end| end == End::Failed));
    let (known, restored) = (run.count(End::has_used_a_result), run.count(|end| end == End::Restored));
    let median = median_of_same(runs).map_or_else(
        || "no earlier good run of the same".to_owned(),
        |(ms, count)| format!("median of {}: {}", number(count, "earlier run", "earlier runs"), duration(ms * 1000)),
    );
    let whole_us = run.duration_ms.saturating_mul(1000);
    let path = format!("{:.0} % of the run", share(path_us, whole_us).min(100.0));
    let fact = |name, value, note, class| Fact { name, value, note, class };
    let count = |count: usize| count.to_string();
    let failure = if failed > 0 { "failed" } else { "" };
    let restored =
        if restored > 0 { format!("{restored} of them restored") } else { "results were in place".to_owned() };
    let skipped = run.count(|end| end == End::Skipped);
    let skipped = if skipped > 0 { format!("{skipped} did not run") } else { "every step came to its end".to_owned() };
    vec![
        fact("Duration", duration(whole_us), median, ""),
        fact("Critical path", duration(path_us), path, ""),
        fact("Ran", count(ran), format!("up to {} at once", number(run.jobs as usize, "step", "steps")), ""),
        fact("Up to date", count(known), restored, ""),
        fact("Failed", count(failed), skipped, failure),
        fact("Saved", duration(kept_ms.saturating_mul(1000)), "what used results took to make".to_owned(), ""),
    ]
}

fn lanes(run: &Run) -> Vec<Vec<usize>> {
    let mut lanes: Vec<Vec<usize>> = Vec::new();
    for (place, step) in run.steps.iter().enumerate().filter(|(_, step)| step.end != End::Skipped) {
        // A lane that nobody gave is one of a damaged record.
        let slot = (step.slot as usize).min(run.steps.len());
        lanes.resize_with(lanes.len().max(slot + 1), Vec::new);
        lanes[slot].push(place);
    }
    lanes.retain(|lane| !lane.is_empty());
    lanes.iter_mut().for_each(|lane| lane.sort_by_key(|place| run.steps[*place].start_us));
    lanes
}

/// Returns the first causes, those of most steps first. What ran since another step ran has no cause of its own.
fn causes(run: &Run) -> (Vec<Cause>, usize) {
    let mut found: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (place, step) in run.steps.iter().enumerate().filter(|(_, step)| step.end.has_run()) {
        if let Some(reason) = step.reasons.first() {
            let text = if step.follows { "" } else { reason.as_str() };
            found.entry(text).or_default().push(place);
        }
    }
    let mut causes: Vec<Cause> = found
        .into_iter()
        .map(|(text, mut steps)| {
            let left_out = steps.len().saturating_sub(FEW);
            steps.truncate(FEW);
            let text = if text.is_empty() { "the result of a step before them".to_owned() } else { plain(text) };
            Cause { text, steps, left_out }
        })
        .collect();
    let follows = |cause: &Cause| cause.steps.first().is_some_and(|place| run.steps[*place].follows);
    causes.sort_by_key(|cause| (follows(cause), std::cmp::Reverse(cause.steps.len() + cause.left_out)));
    let left_out = causes.len().saturating_sub(FEW);
    causes.truncate(FEW);
    (causes, left_out)
}

fn counts(run: &Run) -> Counts {
    let mut counts = Counts { all: run.steps.len(), ..Counts::default() };
    for step in &run.steps {
        counts.internal += usize::from(step.is_internal && step.end != End::Failed);
        match step.end {
            End::Ran => counts.ran += 1,
            End::Failed | End::Interrupted => counts.failed += 1,
            End::UpToDate | End::Restored => counts.up_to_date += 1,
            End::Skipped => counts.skipped += 1,
        }
    }
    counts
}

fn state(end: End) -> (&'static str, &'static str) {
    match end {
        End::Ran => ("ran", "ran"),
        End::UpToDate => ("known", "up to date"),
        End::Restored => ("restored", "restored"),
        End::Failed => ("failed", "failed"),
        End::Interrupted => ("failed", "interrupted"),
        End::Skipped => ("skipped", "did not run"),
    }
}

fn rows(run: &Run, path: &[usize], whole_us: u64) -> Vec<Row> {
    let most_ms = run.steps.iter().filter_map(|step| step.kept_ms).max().unwrap_or(0);
    let mut is_critical = vec![false; run.steps.len()];
    path.iter().for_each(|place| is_critical[*place] = true);
    let steps = run.steps.iter().enumerate();
    steps.map(|(id, step)| row(id, step, is_critical[id], whole_us, most_ms)).collect()
}

fn row(id: usize, step: &Step, is_critical: bool, whole_us: u64, most_ms: u64) -> Row {
    let (state, state_text) = state(step.end);
    let waits: Vec<usize> = step.dependencies().collect();
    let error = step.error.clone().unwrap_or_default();
    Row {
        id,
        title: plain(&step.title),
        kind: plain(&step.kind),
        target: plain(&step.target),
        state,
        state_text,
        is_internal: step.is_internal && step.end != End::Failed,
        is_critical,
        has_failed: step.end == End::Failed,
        reason: step.reasons.first().map(|reason| plain(reason)).unwrap_or_default(),
        reasons: step.reasons.iter().map(|reason| plain(reason)).collect(),
        start: duration(step.start_us),
        start_us: step.start_us,
        duration: duration(step.duration_us),
        duration_us: step.duration_us,
        left: share(step.start_us, whole_us),
        width: share(step.duration_us, whole_us),
        percent: format!("{:.1} %", share(step.duration_us, whole_us)),
        kept: step.kept_ms.map(|ms| duration(ms.saturating_mul(1000))).unwrap_or_default(),
        kept_share: share(step.kept_ms.unwrap_or(0), most_ms),
        waits_left_out: waits.len().saturating_sub(2 * FEW),
        waits_for: waits.into_iter().take(2 * FEW).collect(),
        facts: step.facts.iter().map(|(name, value)| fact_text(name, value)).collect(),
        outputs: step.outputs.iter().map(|output| (plain(&output.path), bytes(output.size))).collect(),
        outputs_left_out: (step.output_count as usize).saturating_sub(step.outputs.len()),
        message: plain(&error.message),
        hint: plain(&error.hint),
        log: plain(&step.log),
        log_left_out: step.log_left_out,
    }
}

/// Returns a fact for people.
fn fact_text(name: &str, value: &str) -> (String, String) {
    match (name.strip_suffix("_bytes"), value.parse()) {
        (Some(name), Ok(size)) => (plain(name).replace('_', " "), bytes(size)),
        _ => (plain(name).replace('_', " "), plain(value)),
    }
}

/// Returns the tests of the run's steps; of those that are up to date, the last ones that are recorded.
fn tests(runs: &[Run], run: &Run) -> Vec<Tests> {
    let mut found = Vec::new();
    for (id, step) in run.steps.iter().enumerate() {
        let mut earlier = String::new();
        let mut tested = step.tested.as_slice();
        if tested.is_empty() && step.end.has_used_a_result() {
            let is_same = |other: &&Step| other.title == step.title && !other.tested.is_empty();
            let last = runs.iter().rev().find_map(|run| Some((run, run.steps.iter().find(is_same)?)));
            if let Some((run, other)) = last {
                tested = &other.tested;
                earlier = utc(run.started_ms);
            }
        }
        if !tested.is_empty() {
            found.push(tests_of(id, earlier, tested));
        }
    }
    found
}

fn tests_of(id: usize, earlier: String, tested: &[Tested]) -> Tests {
    let longest = tested.iter().map(|package| package.elapsed_ms).max().unwrap_or(0);
    let mut order: Vec<&Tested> = tested.iter().collect();
    order.sort_by_key(|package| (package.has_passed, std::cmp::Reverse(package.elapsed_ms), &package.name));
    let sum = |number: fn(&Tested) -> u64| tested.iter().map(number).fold(0, u64::saturating_add);
    let packages = order.into_iter().map(|package| TestedView {
        name: plain(&package.name),
        has_passed: package.has_passed,
        passed: package.passed,
        failed: package.failed,
        skipped: package.skipped,
        duration: duration(package.elapsed_ms.saturating_mul(1000)),
        share: share(package.elapsed_ms, longest),
        failed_tests: package.failed_tests.iter().map(|name| plain(name)).collect(),
    });
    Tests {
        id,
        earlier,
        passed: sum(|package| package.passed),
        failed: sum(|package| package.failed),
        skipped: sum(|package| package.skipped),
        packages: packages.collect(),
    }
}

fn images(run: &Run, layers_of: &LayersOf<'_>) -> Vec<ImageView> {
    let with_layout = run.steps.iter().enumerate().filter(|(_, step)| step.layout.is_some());
    let view = |(id, step)| {
        let (images, trouble) = match layers_of(step) {
            Ok(images) => (images, String::new()),
            Err(trouble) => (Vec::new(), trouble),
        };
        let platforms = images.iter().map(|image| {
            let largest = image.layers.iter().map(|layer| layer.size).max().unwrap_or(0);
            let all = image.layers.iter().map(|layer| layer.size).fold(0, u64::saturating_add);
            let mut layers: Vec<(usize, &Layer)> = image.layers.iter().enumerate().collect();
            layers.sort_by_key(|(place, layer)| (std::cmp::Reverse(layer.size), *place));
            let layers = layers.into_iter().map(|(place, layer)| LayerView {
                what: plain(&layer.what),
                digest: plain(&layer.digest).chars().take(19).collect(),
                size: bytes(layer.size),
                share: share(layer.size, largest),
                place: place + 1,
            });
            PlatformView { platform: plain(&image.platform), size: bytes(all), layers: layers.collect() }
        });
        ImageView { id, trouble: plain(&trouble), platforms: platforms.collect() }
    };
    with_layout.map(view).collect()
}
