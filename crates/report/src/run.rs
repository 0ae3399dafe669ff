//! `Run`: what is kept of a run, and its limits. The form of the files in `.rondel/runs.1`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::text::{cut, tail};

/// Maximum number of steps that are kept of a run; those that ran or failed go first.
const STEPS_MAX: usize = 4000;
/// Maximum number of bytes that are kept of what one step printed.
const LOG_MAX: usize = 16 << 10;
/// The same of all steps of a run together.
const LOGS_MAX: usize = 384 << 10;
/// Maximum number of characters of a short text: a title, a reason, a fact.
const TEXT_MAX: usize = 400;
/// The same of an error.
const ERROR_MAX: usize = 8000;
/// Maximum number of entries of a list in a step.
const LIST_MAX: usize = 24;
/// Maximum number of packages that are kept of a step's tests, failed and slow ones first.
const TESTED_MAX: usize = 400;

/// One run of targets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Name of the project.
    pub project: String,
    /// The words of the command line: targets and values.
    pub words: Vec<String>,
    /// Milliseconds since 1970.
    pub started_ms: u64,
    /// Duration in milliseconds.
    pub duration_ms: u64,
    /// Exit code.
    pub exit: u8,
    /// The most steps that could run at once.
    pub jobs: u32,
    /// The steps. Those that a step waits for stand before it.
    pub steps: Vec<Step>,
    /// Number of further steps that are not kept.
    #[serde(default)]
    pub left_out: u64,
    /// Warnings.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// How a step ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// It ran and succeeded.
    Ran,
    /// Its result was known and in place.
    UpToDate,
    /// Its result was known and was put back in place.
    Restored,
    /// It failed.
    Failed,
    /// It was stopped.
    Interrupted,
    /// It was not needed, or could not run.
    #[default]
    Skipped,
}

/// One step of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Step {
    /// Name for people.
    pub title: String,
    /// The word of build.ron for its kind.
    pub kind: String,
    /// The target, if it belongs to one.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub target: String,
    /// True if people do not see it unless they ask for everything.
    #[serde(skip_serializing_if = "is_false")]
    pub is_internal: bool,
    /// How it ended.
    pub end: End,
    /// Why it ran or was passed over, the first cause first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
    /// True if it ran first of all since a step before it did.
    #[serde(skip_serializing_if = "is_false")]
    pub follows: bool,
    /// Microseconds from the start of the run.
    pub start_us: u64,
    /// Duration in microseconds.
    pub duration_us: u64,
    /// The lane among steps that ran at the same time.
    #[serde(skip_serializing_if = "is_zero")]
    pub slot: u32,
    /// Places in the list of the steps whose results it reads.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<u32>,
    /// Places of the steps that it waits for otherwise.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<u32>,
    /// Milliseconds that the used result took when it was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kept_ms: Option<u64>,
    /// What it reported, as texts by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub facts: BTreeMap<String, String>,
    /// Its first outputs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub outputs: Vec<Output>,
    /// Number of all outputs.
    #[serde(skip_serializing_if = "is_zero")]
    pub output_count: u32,
    /// The directory of its OCI layout, relative to the workspace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layout: Option<String>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<StepError>,
    /// The end of what it printed, without secrets.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub log: String,
    /// Number of lines before that.
    #[serde(skip_serializing_if = "is_zero_64")]
    pub log_left_out: u64,
    /// The packages that it tested.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tested: Vec<Tested>,
}

/// A file that a step has made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    /// Relative to the workspace.
    pub path: String,
    /// Number of bytes.
    pub size: u64,
}

/// An error, for people.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepError {
    /// What is wrong, and its place in build.ron if it has one.
    pub message: String,
    /// What to do next; may be empty.
    #[serde(default)]
    pub hint: String,
}

/// How the tests of one package went.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tested {
    /// The package.
    pub name: String,
    /// True if it passed.
    pub has_passed: bool,
    /// Duration in milliseconds.
    pub elapsed_ms: u64,
    /// Number of tests that passed.
    pub passed: u64,
    /// Number of tests that failed.
    pub failed: u64,
    /// Number of tests that were skipped.
    pub skipped: u64,
    /// Names of tests that failed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failed_tests: Vec<String>,
}

fn is_false(value: &bool) -> bool {
    !value
}

fn is_zero(value: &u32) -> bool {
    *value == 0
}

fn is_zero_64(value: &u64) -> bool {
    *value == 0
}

impl End {
    /// Returns true if work was done for the step in this run.
    pub fn has_run(self) -> bool {
        matches!(self, End::Ran | End::Failed | End::Interrupted)
    }

    /// Returns true if a result was used that was there.
    pub fn has_used_a_result(self) -> bool {
        matches!(self, End::UpToDate | End::Restored)
    }
}

impl Step {
    /// Returns the places of all steps that it waits for.
    pub fn dependencies(&self) -> impl Iterator<Item = usize> + '_ {
        self.inputs.iter().chain(&self.after).map(|place| *place as usize)
    }
}

impl Run {
    /// Returns the number of steps that ended so, without those that people do not see, as a build's last line counts.
    pub(crate) fn count(&self, is_so: impl Fn(End) -> bool) -> usize {
        self.steps.iter().filter(|step| is_so(step.end) && (!step.is_internal || step.end == End::Failed)).count()
    }

    /// Gives each step a lane, so that no two in one lane overlap: as few lanes as steps ran at once.
    pub(crate) fn assign_slots(&mut self) {
        let mut order: Vec<usize> =
            (0..self.steps.len()).filter(|index| self.steps[*index].end != End::Skipped).collect();
        order.sort_by_key(|index| (self.steps[*index].start_us, *index));
        let mut free_from: Vec<u64> = Vec::new();
        for index in order {
            let step = &mut self.steps[index];
            let end = step.start_us.saturating_add(step.duration_us);
            let free = free_from.iter().position(|free| *free <= step.start_us);
            let slot = free.unwrap_or(free_from.len());
            step.slot = slot as u32;
            if slot == free_from.len() {
                free_from.push(end);
            } else {
                free_from[slot] = end;
            }
        }
    }

    /// Cuts what is longer than a record may be.
    pub(crate) fn limit(&mut self) {
        self.limit_steps();
        self.words.truncate(LIST_MAX);
        self.warnings.truncate(LIST_MAX);
        self.words.iter_mut().chain(&mut self.warnings).for_each(|text| cut(text, TEXT_MAX));
        cut(&mut self.project, TEXT_MAX);
        self.steps.iter_mut().for_each(Step::limit);
        // The logs of failed steps are kept before those of others.
        let mut left = LOGS_MAX;
        for is_failed in [true, false] {
            for step in self.steps.iter_mut().filter(|step| (step.end == End::Failed) == is_failed) {
                step.log_left_out += tail(&mut step.log, LOG_MAX.min(left));
                left -= step.log.len();
            }
        }
    }

    fn limit_steps(&mut self) {
        let more = self.steps.len().saturating_sub(STEPS_MAX);
        if more == 0 {
            return;
        }
        let mut order: Vec<usize> = (0..self.steps.len()).collect();
        order.sort_by_key(|index| (!self.steps[*index].end.has_run(), *index));
        order.truncate(STEPS_MAX);
        order.sort_unstable();
        let places: BTreeMap<u32, u32> =
            order.iter().enumerate().map(|(place, index)| (*index as u32, place as u32)).collect();
        let mut steps: Vec<Option<Step>> = std::mem::take(&mut self.steps).into_iter().map(Some).collect();
        for index in order {
            let mut step = steps[index].take().expect("each step is moved once");
            for list in [&mut step.inputs, &mut step.after] {
                *list = list.iter().filter_map(|other| places.get(other).copied()).collect();
            }
            self.steps.push(step);
        }
        self.left_out += more as u64;
    }

    /// Removes dependencies that lead nowhere or forward: what a damaged record could hold.
    pub(crate) fn mend(&mut self) {
        for (index, step) in self.steps.iter_mut().enumerate() {
            step.inputs.retain(|other| (*other as usize) < index);
            step.after.retain(|other| (*other as usize) < index);
        }
    }
}

impl Step {
    fn limit(&mut self) {
        self.reasons.truncate(LIST_MAX);
        self.outputs.truncate(LIST_MAX);
        while self.facts.len() > LIST_MAX {
            self.facts.pop_last();
        }
        let texts = [&mut self.title, &mut self.kind, &mut self.target].into_iter().chain(&mut self.reasons);
        texts.chain(self.outputs.iter_mut().map(|output| &mut output.path)).for_each(|text| cut(text, TEXT_MAX));
        self.facts.values_mut().chain(&mut self.layout).for_each(|text| cut(text, TEXT_MAX));
        if let Some(error) = &mut self.error {
            cut(&mut error.message, ERROR_MAX);
            cut(&mut error.hint, TEXT_MAX);
        }
        if self.tested.len() > TESTED_MAX {
            self.tested.sort_by_key(|package| (package.has_passed, std::cmp::Reverse(package.elapsed_ms)));
            self.tested.truncate(TESTED_MAX);
        }
        for package in &mut self.tested {
            cut(&mut package.name, TEXT_MAX);
            package.failed_tests.truncate(LIST_MAX);
            package.failed_tests.iter_mut().for_each(|name| cut(name, TEXT_MAX));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(start_us: u64, duration_us: u64, end: End) -> Step {
        Step { title: format!("at {start_us}"), start_us, duration_us, end, ..Step::default() }
    }

    #[test]
    fn no_two_steps_overlap_in_a_lane() {
        let steps = vec![
            step(0, 10, End::Ran),
            step(5, 10, End::Ran),
            step(10, 5, End::Failed),
            step(0, 99, End::Skipped),
            step(12, 1, End::UpToDate),
            step(15, 1, End::UpToDate),
        ];
        let mut run = Run { steps, ..Run::default() };
        run.assign_slots();
        let slots: Vec<u32> = run.steps.iter().map(|step| step.slot).collect();
        assert_eq!(slots, [0, 1, 0, 0, 2, 0]);
    }

    #[test]
    fn a_long_run_keeps_what_ran_and_its_edges() {
        let mut steps: Vec<Step> = (0..STEPS_MAX + 10).map(|index| step(index as u64, 1, End::UpToDate)).collect();
        let last = steps.len() - 1;
        steps[last].end = End::Ran;
        steps[last].inputs = vec![0, last as u32 - 1];
        let mut run = Run { steps, ..Run::default() };
        run.limit();
        assert_eq!((run.steps.len(), run.left_out), (STEPS_MAX, 10));
        let kept = run.steps.last().unwrap();
        assert_eq!((kept.title.as_str(), kept.inputs.as_slice()), ("at 4009", [0].as_slice()));
    }

    #[test]
    fn logs_are_bounded_and_failed_steps_have_theirs() {
        let line = "x".repeat(99) + "\n";
        let talk = |end| Step { log: line.repeat(1000), ..step(0, 1, end) };
        let mut run = Run { steps: vec![talk(End::Ran); 40], ..Run::default() };
        run.steps.push(talk(End::Failed));
        run.limit();
        let all: usize = run.steps.iter().map(|step| step.log.len()).sum();
        assert!(all <= LOGS_MAX, "{all}");
        let failed = run.steps.last().unwrap();
        assert_eq!((failed.log.len(), failed.log_left_out), (16_300, 837));
        assert_eq!((run.steps[39].log.as_str(), run.steps[39].log_left_out), ("", 1000));
    }

    #[test]
    fn edges_that_lead_forward_are_dropped() {
        let mut run = Run { steps: vec![step(0, 1, End::Ran), step(1, 1, End::Ran)], ..Run::default() };
        run.steps[0].inputs = vec![0, 1, 7];
        run.steps[1].after = vec![0, 1];
        run.mend();
        assert_eq!((run.steps[0].inputs.len(), run.steps[1].after.as_slice()), (0, [0].as_slice()));
    }
}
