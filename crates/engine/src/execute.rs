//! One step from start to end: key, lookup, run, check, store, place.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rondel_cas::{ActionResult, BlobError, CacheError, Digest, Metadata, OutputEntry, RelativePath, remove_tree};

use crate::action::{ActionSpec, Members, OutputSpec};
use crate::context::{Artefact, Sources, StepContext, UpstreamResult};
use crate::entries::exact_entry;
use crate::error::{Category, StepError};
use crate::event::{Event, Outcome};
use crate::former::{Former, with_former};
use crate::graph::Node;
use crate::locks::{acquire_pool_slot, lock_step};
use crate::materialize::{self, RestoreError};
use crate::output_log::{self, StoredLog};
use crate::place::{Staged, adopt, look_at_former, place};
use crate::reason::{Reason, differences};
use crate::record::{LastRun, StepRecord, last_action, read_record, record_text, write_record};
use crate::retry::attempt;
use crate::step::{Freshness, PreparedAction, Query, TreeAccess};
use crate::storing::store_outputs;

/// The outcome of a step.
#[derive(Clone, Debug)]
pub(crate) struct StepResult {
    pub outcome: Outcome,
    pub reasons: Vec<Reason>,
    pub result: UpstreamResult,
    /// What the run took that made the result, where the store says so: for a step that did not run.
    pub saved: Option<Duration>,
    /// All places that the step has outputs in, if it was made by its key.
    pub places: Option<Vec<RelativePath>>,
}

/// Runs one step if needed.
pub(crate) fn execute(node: &Node, context: &StepContext<'_>, force: bool) -> Result<StepResult, StepError> {
    let (query, snapshot) = (Query { context }, &context.workspace.snapshot);
    let mut prepared = node.step.prepare(&query);
    let mut result = None;
    if snapshot.vouch().is_some() {
        // What others vouch for is believed of a step for which there is nothing to do. Once there is, everybody looks.
        result = prepared.as_ref().ok().filter(|_| !force).and_then(|prepared| standing(node, &query, &**prepared));
        if result.is_none() {
            snapshot.rely_on_nobody();
            prepared = node.step.prepare(&query);
        }
    }
    let mut prepared = prepared?;
    let mut result = match result {
        Some(result) => result,
        None => execute_prepared(node, context, &*prepared, force)?,
    };
    if result.outcome == Outcome::Ran && node.step.keeps_results() {
        // What it reads is known by now. It keeps that itself.
        prepared = node.step.prepare(&Query { context: &context.question() }).unwrap_or(prepared);
    }
    result.result.sources = Arc::new(Sources { inputs: prepared.take_inputs(), upstream: context.sources.clone() });
    Ok(result)
}

/// Returns the outcome of a step for which there is nothing to do; `None` if there is something.
fn standing(node: &Node, query: &Query<'_>, prepared: &dyn PreparedAction) -> Option<StepResult> {
    match prepared.freshness() {
        Freshness::UpToDate(metadata) => Some(up_to_date(metadata)),
        Freshness::Skip(why) => Some(skipped(why)),
        Freshness::Run(_) => None,
        Freshness::ByKey => {
            let key = prepared.spec().digest().ok()?;
            match lookup(node, query, prepared, &key) {
                Lookup::InPlace(result) => {
                    Some(hit(node, query.context, prepared.spec(), &key, result, Outcome::Cached))
                }
                Lookup::Cached(_) | Lookup::Miss(..) => None,
            }
        }
    }
}

fn up_to_date(metadata: &Metadata) -> StepResult {
    let result = UpstreamResult { metadata: metadata.clone(), ..UpstreamResult::default() };
    StepResult { outcome: Outcome::Cached, reasons: Vec::new(), result, saved: None, places: None }
}

fn skipped(why: &str) -> StepResult {
    let reasons = vec![Reason::Always { why: why.to_owned() }];
    StepResult { outcome: Outcome::Skipped, reasons, result: UpstreamResult::default(), saved: None, places: None }
}

fn execute_prepared(
    node: &Node,
    context: &StepContext<'_>,
    prepared: &dyn PreparedAction,
    force: bool,
) -> Result<StepResult, StepError> {
    match prepared.freshness() {
        Freshness::ByKey => keyed(node, context, prepared, force),
        Freshness::UpToDate(metadata) if !force => Ok(up_to_date(metadata)),
        Freshness::UpToDate(_) => always(node, context, prepared, vec![Reason::Forced]),
        Freshness::Run(reasons) => always(node, context, prepared, reasons.clone()),
        Freshness::Skip(why) => Ok(skipped(why)),
    }
}

/// The answer of the stores about a key.
pub(crate) enum Lookup {
    /// Known, and in place.
    InPlace(ActionResult),
    /// Known but not in place. Damaged blobs show only when they are copied.
    Cached(ActionResult),
    /// Not known: the reasons, and the members of the key if they were made to find the reasons.
    Miss(Vec<Reason>, Option<Members>),
}

/// Asks the action cache. Writes nothing, but removes a damaged entry.
pub(crate) fn lookup(node: &Node, query: &Query<'_>, prepared: &dyn PreparedAction, key: &Digest) -> Lookup {
    let (context, spec) = (query.context, prepared.spec());
    let workspace = context.workspace;
    match workspace.results.get_action_result(key) {
        Ok(Some(result)) if materialize::fits(spec, &result) => {
            if let Some(reason) = node.step.verify_external(query, prepared, &result.metadata) {
                return Lookup::Miss(vec![reason], None);
            }
            if materialize::is_in_place(workspace, spec, &result) {
                return Lookup::InPlace(result);
            }
            let blobs = result.outputs.iter().filter_map(|output| output.entry.contents());
            let missing = workspace.results.find_missing_blobs(blobs);
            let is_missing =
                |output: &&OutputEntry| output.entry.contents().is_some_and(|digest| missing.contains(digest));
            match result.outputs.iter().find(is_missing) {
                Some(output) => Lookup::Miss(vec![Reason::OutputMissing { path: output.path.to_string() }], None),
                None => Lookup::Cached(result),
            }
        }
        Ok(Some(_)) => Lookup::Miss(vec![Reason::Corrupt { what: "the stored result".to_owned() }], None),
        Ok(None) => {
            let (reasons, members) = explain(node, context, spec, key);
            Lookup::Miss(reasons, members)
        }
        Err(CacheError::Tree { path, source: BlobError::Missing(_) }) => {
            Lookup::Miss(vec![Reason::OutputMissing { path: path.to_string() }], None)
        }
        Err(trouble) => {
            context.warn(format!("{trouble}; the step runs again"));
            let what = if matches!(trouble, CacheError::Tree { .. }) { "an output" } else { "the stored result" };
            Lookup::Miss(vec![Reason::Corrupt { what: what.to_owned() }], None)
        }
    }
}

fn explain(node: &Node, context: &StepContext<'_>, spec: &ActionSpec, key: &Digest) -> (Vec<Reason>, Option<Members>) {
    let record = read_record(&context.workspace.state, &node.key);
    match record.action {
        None => (vec![Reason::NoPrevious], None),
        Some(action) if action == *key && record.is_unkept => (vec![Reason::NotKept], None),
        Some(action) if action == *key => (vec![Reason::ResultGone], None),
        Some(_) => {
            let members = spec.members();
            let reasons = differences(&record.members, &members);
            (if reasons.is_empty() { vec![Reason::ResultGone] } else { reasons }, Some(members))
        }
    }
}

fn keyed(
    node: &Node,
    context: &StepContext<'_>,
    prepared: &dyn PreparedAction,
    force: bool,
) -> Result<StepResult, StepError> {
    let (query, spec) = (Query { context }, prepared.spec());
    let key = spec.digest().map_err(|error| StepError::failed(error.to_string()))?;
    if force {
        let _lock = lock_step(node, context)?;
        return run(node, context, prepared, &key, vec![Reason::Forced], None);
    }
    let mut found = lookup(node, &query, prepared, &key);
    let mut _lock = None;
    if !matches!(found, Lookup::InPlace(_)) {
        _lock = lock_step(node, context)?;
        // The former lock holder may have done the work. A damaged entry is gone by now and still is the reason.
        let again = lookup(node, &query, prepared, &key);
        let was_damaged = matches!(&found, Lookup::Miss(reasons, _) if matches!(reasons[..], [Reason::Corrupt { .. }]));
        if !(was_damaged && matches!(again, Lookup::Miss(..))) {
            found = again;
        }
    }
    match found {
        Lookup::InPlace(result) => Ok(hit(node, context, spec, &key, result, Outcome::Cached)),
        Lookup::Cached(result) => match materialize::restore(node, context, spec, &result, &key) {
            Ok(()) => Ok(hit(node, context, spec, &key, result, Outcome::Restored)),
            Err(RestoreError::Blob(error)) => {
                context.warn(format!("{error}; the step runs again"));
                run(node, context, prepared, &key, vec![Reason::Corrupt { what: "an output".to_owned() }], None)
            }
            Err(RestoreError::Step(error)) => Err(error),
        },
        Lookup::Miss(reasons, members) => run(node, context, prepared, &key, reasons, members),
    }
}

fn hit(
    node: &Node,
    context: &StepContext<'_>,
    spec: &ActionSpec,
    key: &Digest,
    result: ActionResult,
    outcome: Outcome,
) -> StepResult {
    if outcome == Outcome::Cached
        && let Err(error) = adopt(node, context.workspace, spec, Some(*key), &result.outputs)
    {
        context.warn(format!("the outputs of `{}` were not recorded: {error}", node.key));
    }
    let state = &context.workspace.state;
    if last_action(state, &node.key) != Some(*key) {
        let last_run = read_record(state, &node.key).last_run;
        store_record(
            node,
            context,
            StepRecord { action: Some(*key), members: spec.members(), last_run, ..StepRecord::default() },
        );
    }
    if context.is_wanted || outcome == Outcome::Restored {
        output_log::replay(context, &result);
    }
    let artefacts = artefacts(context, spec, &result.outputs);
    let saved = Some(Duration::from_millis(result.duration_ms)).filter(|saved| !saved.is_zero());
    let metadata = result.metadata;
    let result = UpstreamResult { artefacts, metadata, action: Some(*key), ..UpstreamResult::default() };
    StepResult { outcome, reasons: Vec::new(), result, saved, places: Some(places(spec)) }
}

/// Returns the destinations of all outputs.
fn places(spec: &ActionSpec) -> Vec<RelativePath> {
    spec.outputs.iter().map(|output| output.destination.clone()).collect()
}

/// Returns where the outputs are, for downstream steps.
pub(crate) fn artefacts(context: &StepContext<'_>, spec: &ActionSpec, outputs: &[OutputEntry]) -> Vec<Artefact> {
    let artefact = |output: &OutputEntry| Artefact {
        name: output.path.clone(),
        path: materialize::destination(context.workspace, spec, &output.path),
        entry: output.entry.clone(),
    };
    outputs.iter().map(artefact).collect()
}

/// Returns the record of a run that started at `begun` and has just ended.
fn last_run(begun: Instant, reasons: &[Reason], action: Option<Digest>) -> LastRun {
    let at_s = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    LastRun { at_s, duration_ms: begun.elapsed().as_millis() as u64, reasons: reasons.to_vec(), action }
}

fn store_record(node: &Node, context: &StepContext<'_>, record: StepRecord) {
    if record.last_run.as_ref().is_some_and(|run| run.reasons.iter().any(Reason::is_of_arguments)) {
        return; // The next run without such words is compared with the last one without.
    }
    if let Err(error) = write_record(&context.workspace.state, &node.key, &record) {
        context.warn(format!("the record of `{}` was not written: {error}", node.key));
    }
}

fn run(
    node: &Node,
    context: &StepContext<'_>,
    prepared: &dyn PreparedAction,
    key: &Digest,
    reasons: Vec<Reason>,
    members: Option<Members>,
) -> Result<StepResult, StepError> {
    let workspace = context.workspace;
    context.prerequisites()?;
    let _turn = node.pool.as_ref().map(|pool| acquire_pool_slot(pool, context)).transpose()?;
    (context.emit)(Event::Started { node: context.node, reasons: reasons.clone() });
    let begun = Instant::now();
    let staging = workspace.new_staging().map_err(|source| StepError::unwritable(&workspace.state, &source))?;
    // The record is made while the step runs: with many inputs it takes a while.
    let (sender, receiver) = std::sync::mpsc::channel();
    let outcome = std::thread::scope(|scope| {
        scope.spawn(|| {
            look_at_former(workspace, node, prepared.spec());
            let members = members.unwrap_or_else(|| prepared.spec().members());
            let record = StepRecord { action: Some(*key), members, ..StepRecord::default() };
            sender.send(record).expect("it is received below")
        });
        with_former(node, context, prepared.spec(), |former| {
            let begin = Begin { staging: &staging, at: begun, reasons: &reasons, record: &receiver };
            run_in(node, context, prepared, key, &begin, former)
        })
    });
    remove_tree(&staging);
    let (result, record) = outcome?;
    store_record(node, context, record);
    Ok(StepResult { outcome: Outcome::Ran, reasons, result, saved: None, places: Some(places(prepared.spec())) })
}

/// The beginning of a run.
struct Begin<'a> {
    staging: &'a Path,
    at: Instant,
    reasons: &'a [Reason],
    /// Gets the record of the step, once, without its run.
    record: &'a Receiver<StepRecord>,
}

fn run_in(
    node: &Node,
    context: &StepContext<'_>,
    prepared: &dyn PreparedAction,
    key: &Digest,
    begin: &Begin<'_>,
    former: Option<&mut Former<'_>>,
) -> Result<(UpstreamResult, StepRecord), StepError> {
    let (spec, staging) = (prepared.spec(), begin.staging);
    let workspace = context.workspace;
    // A change while the step runs must look different afterwards, even if it is undone.
    workspace.snapshot.wait_until_after(spec.inputs.newest_ns());
    let before = SystemTime::now();
    let (report, log) = attempt(node, context, prepared, staging, former.as_deref())?;
    materialize::normalise_all(node, context, spec, staging)?;
    let found = materialize::staged_outputs(spec, staging)?;
    // Revalidation beside the storing: a step that read something else than its key says must not be cached. The whole
    // key is made again, so that it also covers new files.
    let (changed, stored) = std::thread::scope(|scope| {
        let storing = scope.spawn(|| store_outputs(context, &found, &report.digests));
        let changed = changed_meanwhile(node, context, prepared, key, before);
        (changed, storing.join().expect("storing does not panic"))
    });
    let mut stored = stored?;
    let mut kept = stored.are_kept && changed.is_none();
    let outputs = std::mem::take(&mut stored.outputs);
    if let Some(what) = changed {
        context.warn(format!("{what} while `{}` ran: its result is used but not cached", node.key));
    }
    let log = if kept { log.store(context) } else { StoredLog::default() };
    let last_run = Some(last_run(begin.at, begin.reasons, Some(*key)));
    let mut record = StepRecord { last_run, ..begin.record.recv().expect("naming members does not panic") };
    // Without it, only an explanation is missing.
    let describe = || workspace.results.put_bytes(record_text(&node.key, &record).as_bytes()).ok();
    let result = ActionResult {
        description: if kept { describe() } else { None },
        stdout: log.stdout,
        stderr: log.stderr,
        line_order: log.line_order,
        outputs,
        directories: materialize::output_directories(spec),
        exit_code: 0,
        metadata: report.metadata,
        duration_ms: begin.at.elapsed().as_millis() as u64,
        target: node.key.target_text().to_owned(),
        kind: node.kind.to_owned(),
    };
    if kept && let Err(trouble) = workspace.results.update_action_result(key, &result) {
        context.warn(format!("the result of `{}` was not cached: {trouble}", node.key));
        kept = false;
    }
    let staged = Staged { spec, directory: staging, outputs: &result.outputs, action: Some(*key) };
    place(node, context, &staged, former)?;
    stored.remember(context, spec);
    let artefacts = artefacts(context, spec, &result.outputs);
    let metadata = result.metadata;
    let action = kept.then_some(*key);
    record.is_unkept = !kept;
    Ok((UpstreamResult { artefacts, metadata, action, ..UpstreamResult::default() }, record))
}

/// Returns what differs from the step's key, in words.
fn changed_meanwhile(
    node: &Node,
    context: &StepContext<'_>,
    prepared: &dyn PreparedAction,
    key: &Digest,
    before: SystemTime,
) -> Option<String> {
    for artefact in context.upstream.iter().flat_map(|upstream| &upstream.artefacts) {
        if exact_entry(&artefact.path, &context.workspace.snapshot).ok().as_ref() != Some(&artefact.entry) {
            return Some(format!("`{}` changed", artefact.path.display()));
        }
    }
    let again = match node.step.review(&Query { context: &context.question() }, prepared) {
        Ok(again) => again,
        Err(error) => return Some(format!("an input changed ({error})")),
    };
    let first = |reasons: &[Reason]| reasons.first().map_or_else(|| "an input changed".to_owned(), ToString::to_string);
    match again.freshness() {
        Freshness::ByKey if again.spec().digest().is_ok_and(|digest| digest == *key) => {
            inputs_changed(node, context, prepared.spec(), again.spec(), before)
        }
        Freshness::Run(reasons) => Some(first(reasons)),
        Freshness::ByKey | Freshness::UpToDate(_) | Freshness::Skip(_) => {
            Some(first(&differences(&prepared.spec().members(), &again.spec().members())))
        }
    }
}

/// Returns what was changed and changed back while the step ran. Contents are the same then, but stat digests differ.
fn inputs_changed(
    node: &Node,
    context: &StepContext<'_>,
    then: &ActionSpec,
    now: &ActionSpec,
    before: SystemTime,
) -> Option<String> {
    if now.inputs.stat_digest() != then.inputs.stat_digest() {
        return Some(written_since(then, before));
    }
    if node.step.tree_access().may_write() {
        return None;
    }
    // Rondel's own writes would look like changes by the user: outputs in or above a directory of the inputs. They are
    // asked for after the second look, so none that it saw is missing.
    let own = context.workspace.own_writes.since(context.own_writes);
    let is_own = |directory: &Path| own.iter().any(|write| write.covers(directory));
    let names_changed = now.inputs.directory_stat_digest(&is_own) != then.inputs.directory_stat_digest(&is_own);
    names_changed.then(|| "files were added or removed in a directory of the inputs".to_owned())
}

/// Returns the first input that was written after `began`, in words.
fn written_since(spec: &ActionSpec, began: SystemTime) -> String {
    let mut found = None;
    spec.inputs.each_place(&mut |path| {
        let modified = || std::fs::metadata(path).and_then(|metadata| metadata.modified());
        if found.is_none() && modified().is_ok_and(|modified| modified >= began) {
            found = Some(path.to_owned());
        }
    });
    let what = found.map_or_else(|| "an input".to_owned(), |path| format!("`{}`", path.display()));
    format!("{what} was written, though its contents are the same as before,")
}

/// Runs a step whose result is not stored.
fn always(
    node: &Node,
    context: &StepContext<'_>,
    prepared: &dyn PreparedAction,
    reasons: Vec<Reason>,
) -> Result<StepResult, StepError> {
    let (workspace, spec) = (context.workspace, prepared.spec());
    let makes_outputs = node.step.tree_access() == TreeAccess::MakesOutputs || !spec.outputs.is_empty();
    let _own = if makes_outputs { lock_step(node, context)? } else { None };
    context.prerequisites()?;
    let _turn = node.pool.as_ref().map(|pool| acquire_pool_slot(pool, context)).transpose()?;
    (context.emit)(Event::Started { node: context.node, reasons: reasons.clone() });
    let begun = Instant::now();
    let staging = workspace.new_staging().map_err(|source| StepError::unwritable(&workspace.state, &source))?;
    let outcome = with_former(node, context, spec, |mut former| {
        let report = match attempt(node, context, prepared, &staging, former.as_deref()) {
            Ok((report, _)) => report,
            Err(error) if node.step.reports_on_failure() && error.category() == Some(Category::Step) => {
                let made = |output: &&OutputSpec| output.name.below(&staging).exists();
                let outputs: Vec<OutputSpec> = spec.outputs.iter().filter(made).cloned().collect();
                if !outputs.is_empty() {
                    let reports = ActionSpec { outputs, ..ActionSpec::default() };
                    place_unstored(node, context, &reports, &staging, former.as_deref_mut())?;
                }
                return Err(error);
            }
            Err(error) => return Err(error),
        };
        let outputs = place_unstored(node, context, spec, &staging, former.as_deref_mut())?;
        if let Some(former) = former.filter(|_| spec.outputs.is_empty()) {
            former.record_what_stands(node, context)?;
        }
        Ok((artefacts(context, spec, &outputs), report.metadata))
    });
    remove_tree(&staging);
    let (artefacts, metadata): (Vec<Artefact>, Metadata) = outcome?;
    let last_run = Some(last_run(begun, &reasons, None));
    store_record(node, context, StepRecord { members: spec.members(), last_run, ..StepRecord::default() });
    let result = UpstreamResult { artefacts, metadata, ..UpstreamResult::default() };
    Ok(StepResult { outcome: Outcome::Ran, reasons, result, saved: None, places: None })
}

/// Moves the outputs of a step whose result is not stored to their places, and returns them.
fn place_unstored(
    node: &Node,
    context: &StepContext<'_>,
    spec: &ActionSpec,
    staging: &Path,
    former: Option<&mut Former<'_>>,
) -> Result<Vec<OutputEntry>, StepError> {
    materialize::normalise_all(node, context, spec, staging)?;
    let mut outputs = Vec::new();
    for (path, absolute) in materialize::staged_outputs(spec, staging)? {
        let entry = exact_entry(&absolute, &context.workspace.snapshot);
        outputs.push(OutputEntry { path, entry: entry.map_err(|source| StepError::unreadable(&absolute, &source))? });
    }
    let staged = Staged { spec, directory: staging, outputs: &outputs, action: None };
    place(node, context, &staged, former)?;
    Ok(outputs)
}
