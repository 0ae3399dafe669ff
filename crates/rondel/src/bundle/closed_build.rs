//! A build of what lies in a scratch directory, from nothing: git's answers are those of the description, and there are no
//! programs, home or variables of the machine.

use std::collections::{BTreeMap, BTreeSet};

use rondel_diff::Difference;
use rondel_engine::{Graph, NodeId, Shown as StepShown, Summary, entry_text};
use rondel_process::Cancellation;
use rondel_targets::{Analysis, GitNotes, Request};

use super::contents::Declared;
use super::description::{Description, ExpectedStep};
use super::scope::{check_analysis, check_targets};
use crate::build_diff::summary_of;
use crate::cli::groups::{BuildOptions, GlobalOptions};
use crate::cli::verb::Call;
use crate::exit::Failure;
use crate::perturbed_build::with_other_umask;
use crate::runner::Runner;
use crate::session::{ProcessContext, Session};
use crate::signals;
use crate::ui::{Shown, Sink, Verified, sink};

/// What is the same for all builds of a verb.
pub(crate) struct Caller<'a> {
    pub context: &'a ProcessContext,
    pub global: &'a GlobalOptions,
    pub options: &'a BuildOptions,
    pub cancellation: &'a Cancellation,
    pub sink: &'a dyn Sink,
}

impl<'a> Caller<'a> {
    /// Returns who called a verb.
    pub fn of<O>(
        call: &Call<'a, O>,
        options: &'a BuildOptions,
        (cancellation, sink): (&'a Cancellation, &'a dyn Sink),
    ) -> Caller<'a> {
        Caller { context: call.context, global: call.global, options, cancellation, sink }
    }

    /// Starts the output: the command line has no errors left.
    pub fn start(&self, project: &str, words: &[String]) {
        signals::forward_to(self.cancellation);
        self.sink.started(project, words);
    }

    /// Returns a sink for a build of which only errors are shown.
    pub fn quiet_sink(&self) -> Box<dyn Sink> {
        sink(self.context, self.global, self.options, Shown::FailuresOnly)
    }
}

/// A build that has ended, well or not.
pub(super) struct ClosedBuild {
    pub analysis: Analysis,
    pub summary: Summary,
}

/// Names and values that the build must not depend on.
const PERTURBATION: [(&str, &str); 5] = [
    ("USER", "rondel-bundle"),
    ("LOGNAME", "rondel-bundle"),
    ("TZ", "Asia/Kathmandu"),
    ("LANG", "tr_TR.UTF-8"),
    ("LC_ALL", "tr_TR.UTF-8"),
];

impl ClosedBuild {
    /// Checks what is to be built, and builds it. `context` is that of the scratch directory.
    pub fn run(
        caller: &Caller<'_>,
        context: &ProcessContext,
        description: &Description,
        offline: bool,
        sink: &dyn Sink,
    ) -> Result<ClosedBuild, Failure> {
        let session = Session::open(context, Some(&description.build_file))?;
        let options = description.request.options(offline)?;
        let asked = session.asked(&description.request.targets)?;
        check_targets(&session, &asked.targets)?;
        let request = Request {
            notes: GitNotes::given(description.git.clone()),
            platforms: options.platforms(),
            asks_policies: false,
            ..session.request(&options, asked)
        };
        let analysis = session.analyze_request(&request)?;
        check_analysis(&session, &analysis)?;
        let declared = Declared::of(&session, &analysis)?;
        if let Some(name) = description.environment.keys().find(|name| !declared.environment.contains_key(*name)) {
            let name = name.escape_debug();
            return Err(Failure::usage(format!(
                "the bundle has a value of `{name}`, which its build.ron does not name"
            )));
        }
        let mut workspace = session.workspace();
        workspace.perturbation = PERTURBATION.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        let runner = Runner {
            context,
            options: caller.options,
            cancellation: caller.cancellation,
            session: &session,
            recorder: None,
        };
        let summary = with_other_umask(|| runner.run(&analysis, &workspace, sink))?;
        Ok(ClosedBuild { analysis, summary })
    }

    /// Compares each step with the expected result.
    pub fn compare(&self, expected: &[ExpectedStep]) -> Vec<Verified> {
        compare(expected, &self.analysis.graph, &self.summary)
    }
}

/// Compares results with those that are expected. A step whose inputs differ is left out: the cause is named once.
fn compare(expected: &[ExpectedStep], graph: &Graph, summary: &Summary) -> Vec<Verified> {
    let wanted: BTreeMap<&str, &ExpectedStep> = expected.iter().map(|step| (step.step.as_str(), step)).collect();
    let mut differing: BTreeSet<NodeId> = BTreeSet::new();
    let mut compared = Vec::new();
    let mut seen = BTreeSet::new();
    for (id, node) in graph.nodes() {
        let label = node.key.to_string();
        let Some(result) = summary.results.get(&id).filter(|result| !result.artefacts.is_empty()) else { continue };
        seen.insert(label.clone());
        if node.inputs.iter().chain(&node.after).any(|other| differing.contains(other)) {
            differing.insert(id);
            continue;
        }
        let made: BTreeMap<String, String> =
            result.artefacts.iter().map(|artefact| (artefact.name.to_string(), entry_text(&artefact.entry))).collect();
        let difference = match wanted.get(label.as_str()) {
            Some(step) => first_difference(&step.files, &made),
            None => Some(Difference { place: Vec::new(), what: vec!["the bundle expects no such step".to_owned()] }),
        };
        if difference.is_some() {
            differing.insert(id);
        }
        let is_hidden = node.shown == StepShown::Never;
        compared.push(Verified { label, is_hidden, summary: summary_of(result), difference });
    }
    let is_missing = |step: &&ExpectedStep| !seen.contains(&step.step) && differing.is_empty();
    compared.extend(expected.iter().filter(is_missing).map(|step| Verified {
        label: step.step.clone(),
        is_hidden: false,
        summary: String::new(),
        difference: Some(Difference { place: Vec::new(), what: vec!["it made nothing".to_owned()] }),
    }));
    compared
}

/// Returns the first file that is another one than expected.
fn first_difference(expected: &BTreeMap<String, String>, made: &BTreeMap<String, String>) -> Option<Difference> {
    let names: BTreeSet<&String> = expected.keys().chain(made.keys()).collect();
    let name = names.into_iter().find(|name| expected.get(*name) != made.get(*name))?;
    let text = |files: &BTreeMap<String, String>| files.get(name).map_or("nothing", String::as_str).to_owned();
    let what = vec![format!("expected: {}", text(expected)), format!("built:    {}", text(made))];
    Some(Difference { place: vec![name.clone()], what })
}
