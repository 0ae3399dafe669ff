//! `cache audit`: runs steps again whose results are stored, in a copy of the tree, and compares. What differs is removed
//! from the store, and its step marked.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Instant;

use rondel_buildfile::{Makes, Platform, Target, TargetName};
use rondel_diff::{Difference, Traces, diff_json};
use rondel_engine::{
    Artefact, Asks, Audit, AuditMark, Event, Hit, Known, Node, NodeId, Shown as StepShown, StepError, UpstreamResult,
    Verdict, Workspace, clear_mark, forget_result, known, mark_step,
};
use rondel_process::{Cancellation, Redactor};
use rondel_targets::{Analysis, Request};

use super::sampling::{Except, Rate, Seed, TimeLimit, choose};
use crate::asked::Asked;
use crate::build_diff::{diff_artefacts, diff_results, summary_of};
use crate::cli::groups::{AnalysisOptions, BuildOptions, Events, Jobs};
use crate::cli::option::{option, options};
use crate::cli::verb::{Arguments, Call, Verb};
use crate::exit::{Exit, Failure};
use crate::session::Session;
use crate::signals;
use crate::tree_copy::{Looks, TreeCopy};
use crate::ui::{AuditOutcome, AuditStart, AuditSummary, Audited, Shown, Sink, sink};

/// Number of lines of a failed step's output that stand in its difference.
const LAST_LINES: usize = 5;

options! {
    /// Options of `cache audit`.
    struct AuditOptions {
        /// take this share of the stored results (default: all)
        rate: Rate = option("rate").value("PERCENT"),
        /// begin no step after this time: 60s, 5m (default: no limit)
        time: Option<TimeLimit> = option("time").value("TIME"),
        /// choose and order by this number (default: another one each time, which is printed)
        seed: Option<Seed> = option("seed").value("N"),
        /// leave out the results whose keys are in this file, one a line: those of former audits
        except: Except = option("except").value("FILE"),
        /// run up to N steps at once (default: number of cores)
        jobs: Jobs = option("jobs").short('j').value("N"),
        /// print one JSON object a line on standard output
        events: Option<Events> = option("events").value("json"),
        ..analysis: AnalysisOptions,
    }
}

/// `cache audit`
pub(super) struct AuditCache;

impl Verb for AuditCache {
    const NAME: &'static str = "audit";
    const ABOUT: &'static str = "run steps again whose results are stored, in a copy of the tree, and compare";
    const ARGUMENTS: Arguments = Arguments {
        least: 0,
        forms: &["[TARGET…]"],
        docs: &[("TARGET", "a target of build.ron; all if none is named")],
        ..Arguments::TARGETS
    };
    const EXAMPLE: &'static str = "cache audit --rate 1% --time 60s";
    const DETAILS: &'static str = "\
A stored result that differs is removed, and its step is marked as not reproducible: `why` and `plan` say so until
another audit finds the step the same under another key. The exit code is then 4.";
    type Options = AuditOptions;

    fn run(session: Result<Session<'_>, Failure>, call: &Call<'_, AuditOptions>) -> Result<Exit, Failure> {
        let session = session?;
        session.require_cache()?;
        let begun = Instant::now();
        let build = BuildOptions { jobs: call.options.jobs, events: call.options.events, ..BuildOptions::default() };
        let sink = sink(call.context, call.global, &build, Shown::AsUsual);
        let exit = audit(&session, call, sink.as_ref(), begun)?;
        sink.finished(exit, begun.elapsed());
        Ok(exit)
    }
}

/// What an audit has counted.
#[derive(Default)]
struct Counts {
    reached: usize,
    checked: u64,
    differed: u64,
    not_checked: u64,
}

fn audit(
    session: &Session<'_>,
    call: &Call<'_, AuditOptions>,
    sink: &dyn Sink,
    begun: Instant,
) -> Result<Exit, Failure> {
    let options = &call.options;
    session.prepare_seal()?;
    let (asked, analyzed, left_out) = analyze(session, call)?;
    let workspace = session.workspace();
    workspace.prepare()?;
    let _running = workspace.store.begin_build();
    let known = known(&analyzed.graph, &analyzed.roots, &workspace, Asks::Nothing, &|_| {});
    let seed = options.seed.unwrap_or_else(Seed::random);
    let (outside, inside): (Vec<NodeId>, Vec<NodeId>) =
        known.hits.keys().partition(|id| acts_outside(session, analyzed.graph.node(**id)));
    let keyed = inside.iter().map(|id| (*id, known.hits[id].action));
    let keyed: Vec<_> = keyed.filter(|(_, key)| !options.except.contains(key)).collect();
    let chosen = choose(&keyed, options.rate, seed);
    let cancellation = Cancellation::new();
    signals::forward_to(&cancellation);
    sink.started(&session.file.project.value, call.words);
    left_out.iter().for_each(|text| sink.event(&analyzed.graph, &Event::Warning { text: text.clone() }));
    sink.auditing(&AuditStart { chosen: chosen.len(), stored: keyed.len(), rate: options.rate.words(), seed: seed.0 });
    let run = Run { session, call, sink, workspace: &workspace, analyzed: &analyzed, known: &known, begun };
    for id in &outside {
        let why = "it acts outside of the tree".to_owned();
        sink.audited(&audited(analyzed.graph.node(*id), &known.hits[id], AuditOutcome::NotChecked(why)));
    }
    let counts = match chosen.is_empty() {
        true => Counts::default(),
        false => run.in_copy(asked, &chosen, &cancellation)?,
    };
    if counts.checked > 0
        && let Err(error) = workspace.store.add_audit(counts.checked, counts.differed)
    {
        run.warn(format!("the counts of the audit were not saved: {error}"));
    }
    sink.audit_summary(&AuditSummary {
        checked: counts.checked,
        differed: counts.differed,
        not_checked: counts.not_checked + outside.len() as u64,
        not_reached: chosen.len().saturating_sub(counts.reached) as u64,
        took: begun.elapsed(),
    });
    Ok(match (cancellation.is_raised(), counts.differed) {
        (true, _) => Exit::Interrupted,
        (false, 0) => Exit::Done,
        (false, _) => Exit::Different,
    })
}

/// Returns the request for these targets, without the order of groups: nothing of the tree is made or removed.
fn request<'a>(session: &'a Session<'_>, analysis: &'a AnalysisOptions, asked: Asked) -> Request<'a> {
    Request { platforms: analysis.platforms(), is_ordered: false, ..session.request(analysis, asked) }
}

/// Returns the graph of the targets that are named, else of all that need no values, and a line for each that can't be
/// analyzed.
fn analyze(session: &Session<'_>, call: &Call<'_, AuditOptions>) -> Result<(Asked, Analysis, Vec<String>), Failure> {
    let options = &call.options.analysis;
    let analysis = |asked: Asked| session.analyze_request(&request(session, options, asked));
    if !call.words.is_empty() {
        let asked = session.asked(call.words)?;
        return Ok((asked.clone(), analysis(asked)?, Vec::new()));
    }
    let host = Platform::host();
    let is_meant = |target: &&Target| {
        target.required_params().next().is_none() && target.kind().removes().is_none() && target.runs_on(&host)
    };
    let mut names: Vec<TargetName> =
        session.file.targets.iter().filter(is_meant).map(|target| target.name.value.clone()).collect();
    // One graph has shared steps once. If one target can't be analyzed, each is tried alone.
    let mut left_out = Vec::new();
    let mut together = analysis(Asked::of(names.clone()));
    if together.is_err() {
        names.retain(|name| match analysis(Asked::of(vec![name.clone()])) {
            Ok(_) => true,
            Err(failure) => {
                let why = match &failure {
                    Failure::BuildFile { diagnostics, .. } => diagnostics.first().map(|it| it.message.clone()),
                    Failure::User(_) | Failure::Other(_) => None,
                };
                left_out.push(format!("`{name}` is not audited: {}", why.unwrap_or_else(|| failure.message())));
                false
            }
        });
        if !names.is_empty() {
            together = analysis(Asked::of(names.clone()));
        }
    }
    Ok((Asked::of(names), together?, left_out))
}

/// Returns true for a step that makes more than its outputs: it would put an image into the daemon, or publish.
fn acts_outside(session: &Session<'_>, node: &Node) -> bool {
    let target = session.file.targets.iter().find(|target| Some(&target.name.value) == node.key.target.as_ref());
    target.is_some_and(|target| match target.makes() {
        Makes::DaemonImage | Makes::Processes => true,
        Makes::Nothing => target.only_sends(),
        Makes::Executables | Makes::ImageLayout | Makes::Files { .. } => false,
    })
}

fn audited(node: &Node, hit: &Hit, outcome: AuditOutcome) -> Audited {
    Audited { label: node.key.to_string(), key: hit.action, is_hidden: node.shown == StepShown::Never, outcome }
}

/// One audit of chosen steps.
struct Run<'a> {
    session: &'a Session<'a>,
    call: &'a Call<'a, AuditOptions>,
    sink: &'a dyn Sink,
    workspace: &'a Workspace,
    analyzed: &'a Analysis,
    known: &'a Known,
    begun: Instant,
}

impl Run<'_> {
    fn warn(&self, text: String) {
        self.sink.event(&self.analyzed.graph, &Event::Warning { text });
    }

    /// Audits the chosen steps in a copy of the tree.
    fn in_copy(&self, asked: Asked, chosen: &[NodeId], cancellation: &Cancellation) -> Result<Counts, Failure> {
        let (session, options) = (self.session, &self.call.options);
        let copy = self.copy()?;
        let request = Request { root: copy.root.clone(), ..request(session, &options.analysis, asked) };
        let again = session.analyze_request(&request)?;
        let mut workspace = session.workspace_in(&copy.root);
        workspace.pool_locks.clone_from(&self.workspace.state);
        workspace.prepare()?;
        let _alive = workspace.keep_alive();
        let (graph, redactor) = (&self.analyzed.graph, Redactor::new(again.secrets.iter().cloned()));
        let known = self.known.in_copy(graph, &again.graph, &session.root, &copy.root);
        let counts = Mutex::new(Counts::default());
        let report = |node: &Node, verdict: Verdict<Difference>| {
            self.report(node, verdict, &redactor, &mut counts.lock().expect("no panic while locked"));
        };
        let twin = |id: &NodeId| again.graph.find(&graph.node(*id).key).filter(|id| known.hits.contains_key(id));
        for id in chosen.iter().filter(|id| twin(id).is_none()) {
            report(graph.node(*id), Verdict::NotCompared("a copy of the tree has no such step".to_owned()));
        }
        let steps: Vec<NodeId> = chosen.iter().filter_map(twin).collect();
        let traces = self.traces(&copy.root);
        let audit = Audit {
            graph: &again.graph,
            workspace: &workspace,
            known: &known,
            state: &self.workspace.state,
            jobs: options.jobs.number(),
            until: options.time.map(|limit| self.begun + limit.0),
            cancellation,
            redactor: &redactor,
            emit: &|event| {
                if self.call.global.verbose {
                    self.sink.event(&again.graph, &event);
                }
            },
            explain: &|id, stored, now| difference(&known.results[&id], &copy.root, stored, now, &traces),
        };
        audit.run(&steps, &|id, verdict| report(again.graph.node(id), verdict));
        Ok(counts.into_inner().expect("no panic while locked"))
    }

    /// Copies the tree, without what builds have made in it. But what a step reads there as a source is one, whoever made it.
    fn copy(&self) -> Result<TreeCopy, Failure> {
        let (sources, results) = (self.known.sources(), self.known.results.values());
        let artefacts = results.flat_map(|result| &result.artefacts).map(|artefact| artefact.path.clone());
        let mut made: BTreeSet<PathBuf> = artefacts.filter(|path| !sources.contains(path)).collect();
        made.extend(self.session.own_paths());
        TreeCopy::make(self.session, &sources, &made, Looks::Same).map_err(|error| {
            let place = self.session.cache.join(TreeCopy::PLACE);
            Failure::environment(format!("failed to copy the tree to `{}`: {error}", place.display()))
                .hint("an audit needs room for a copy of the tree and for what the steps make")
        })
    }

    fn traces(&self, copy: &Path) -> Traces {
        let text = |path: &Path| path.display().to_string();
        Traces {
            first: vec![text(&self.session.root)],
            second: vec![text(copy)],
            readers: vec![rondel_golang::executable_differences],
        }
    }

    /// Counts and shows a verdict. A result that differs is removed, and its step marked.
    fn report(&self, node: &Node, verdict: Verdict<Difference>, redactor: &Redactor, counts: &mut Counts) {
        counts.reached += 1;
        let Some(id) = self.analyzed.graph.find(&node.key) else { return };
        let (state, hit) = (&self.workspace.state, &self.known.hits[&id]);
        let outcome = match verdict {
            Verdict::Same => {
                if let Err(error) = clear_mark(state, &node.key, &hit.action) {
                    self.warn(format!("the mark of `{}` was not removed: {error}", node.key));
                }
                let result = &self.known.results[&id];
                let has_files = !result.artefacts.is_empty();
                AuditOutcome::Same(if has_files { summary_of(result) } else { "it succeeded again".to_owned() })
            }
            Verdict::Different(difference) => AuditOutcome::Different(difference),
            Verdict::Failed(error) => AuditOutcome::Different(failure(&error)),
            Verdict::NotCompared(why) => AuditOutcome::NotChecked(redactor.apply(&why)),
        };
        match &outcome {
            AuditOutcome::NotChecked(_) => counts.not_checked += 1,
            AuditOutcome::Same(_) => counts.checked += 1,
            AuditOutcome::Different(difference) => {
                counts.checked += 1;
                counts.differed += 1;
                if let Err(error) = forget_result(&self.analyzed.graph, id, self.workspace, self.known) {
                    self.warn(format!("the stored result of `{}` was not removed: {error}", node.key));
                }
                let redacted = |lines: &[String]| lines.iter().map(|line| redactor.apply(line)).collect();
                let (place, what) = (redacted(&difference.place), redacted(&difference.what));
                let mark = AuditMark { step: node.key.clone(), action: hit.action, place, what };
                if let Err(error) = mark_step(state, &mark) {
                    self.warn(format!("`{}` was not marked: {error}", node.key));
                }
                let difference = Difference { place: mark.place, what: mark.what };
                return self.sink.audited(&audited(node, hit, AuditOutcome::Different(difference)));
            }
        }
        self.sink.audited(&audited(node, hit, outcome));
    }
}

/// Names the difference of a stored result and the one that the step made now. `places` is the stored one in the copy.
fn difference(
    places: &UpstreamResult,
    copy: &Path,
    stored: &UpstreamResult,
    now: &UpstreamResult,
    traces: &Traces,
) -> Difference {
    let shown = |artefact: &Artefact| {
        let place = places.artefacts.iter().find(|other| other.name == artefact.name).map(|other| &other.path);
        let place = place.and_then(|place| place.strip_prefix(copy).ok());
        place.map_or_else(|| artefact.name.to_string(), |place| place.display().to_string())
    };
    let files = || diff_artefacts(stored, now, traces, &shown);
    let found = diff_results(stored, now, traces, &shown).and_then(|found| found.map_or_else(files, |it| Ok(Some(it))));
    let only = |what: String| Difference { place: Vec::new(), what: vec![what] };
    match found {
        Ok(Some(found)) => found,
        Ok(None) => diff_json(&stored.metadata.value, &now.metadata.value)
            .unwrap_or_else(|| only("what the step reports of its result is another text".to_owned()))
            .within("report of the step"),
        Err(failure) => only(format!("they differ, and can't be read: {}", failure.message())),
    }
}

/// Names the difference of a stored success and a failure.
fn failure(error: &StepError) -> Difference {
    let mut what = vec![format!("the stored result is one of success, and now it fails: {error}")];
    if let StepError::Command { output, .. } = error {
        what.extend(output.iter().skip(output.len().saturating_sub(LAST_LINES)).cloned());
    }
    Difference { place: Vec::new(), what }
}
