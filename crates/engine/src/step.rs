//! `Step`: one kind of work. It declares its dependencies (`prepare`), and does the work (`run`).
//!
//! A step holds no state: what `prepare` finds and `run` needs travels in `Prepared`. The steps and their dependencies
//! are in `graph`.

use std::any::Any;
use std::collections::BTreeMap;
use std::ops::Deref;
use std::path::Path;

use rondel_cas::{Digest, Metadata, RelativePath};

use crate::action::{ActionSpec, OutputSpec};
use crate::context::StepContext;
use crate::error::StepError;
use crate::inputs::InputSet;
use crate::reason::Reason;

/// One kind of work.
pub trait Step: Send + Sync + 'static {
    /// Findings of `prepare` that `run` or `review` needs and no key holds; `()` if there are none.
    type Findings: Send + Sync + 'static;

    /// Enumerates what the step depends on, at this moment. Changes nothing. For a question
    /// (`StepContext::is_question`), starts no program and writes nothing.
    fn prepare(&self, query: &Query<'_>) -> Result<Prepared<Self::Findings>, StepError>;

    /// Prepares a second time, after the step ran, to find changes of what `former` found. Always a question.
    fn review(
        &self,
        query: &Query<'_>,
        former: &Prepared<Self::Findings>,
    ) -> Result<Prepared<Self::Findings>, StepError> {
        let _ = former;
        self.prepare(query)
    }

    /// Called when the result is known by its key. Returns why the step has to run nevertheless: something outside its
    /// outputs is missing, such as an image in the Docker daemon.
    fn verify_external(
        &self,
        query: &Query<'_>,
        prepared: &Prepared<Self::Findings>,
        metadata: &Metadata,
    ) -> Option<Reason> {
        let _ = (query, prepared, metadata);
        None
    }

    /// Returns what the step does in the source tree while it runs.
    fn tree_access(&self) -> TreeAccess {
        TreeAccess::Reads
    }

    /// Returns the outputs that it makes in the tree by itself, also where its action declares none (`MakesOutputs`).
    fn tree_outputs(&self) -> Vec<OutputSpec> {
        Vec::new()
    }

    /// Returns true if the outputs that it has made by the time of a failure are placed nevertheless: reports on that
    /// failure. For steps that check their results by themselves (`Freshness::Run`).
    fn reports_on_failure(&self) -> bool {
        false
    }

    /// Returns true if the step itself keeps that it succeeded, under keys of its own: `Freshness::UpToDate` is then the
    /// answer of stored results, and not of what is there.
    fn keeps_results(&self) -> bool {
        false
    }

    /// Forgets that it succeeded with what it depends on now, for a step that keeps its results.
    fn forget(&self, query: &Query<'_>) -> Result<(), StepError> {
        let _ = query;
        Ok(())
    }

    /// Makes the outputs that the prepared action declares, in `job.staging`.
    fn run(&self, prepared: &Prepared<Self::Findings>, job: &Job<'_>) -> Result<Report, StepError>;
}

/// What a step does in the source tree while it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TreeAccess {
    /// It reads its inputs and does nothing else.
    Reads,
    /// It may write anywhere, as a user's command can: names that come and go are its own affair.
    MayWrite,
    /// It makes its outputs there. Two such steps at once would read each other's halves, so one waits for the other.
    MakesOutputs,
}

impl TreeAccess {
    /// Returns true if names that come and go in the tree may be the step's own doing.
    pub fn may_write(self) -> bool {
        match self {
            TreeAccess::Reads => false,
            TreeAccess::MayWrite | TreeAccess::MakesOutputs => true,
        }
    }
}

/// A prepared step: its action, whether it has to run, and its findings.
#[derive(Debug)]
pub struct Prepared<F = ()> {
    /// Everything that the result depends on.
    pub spec: ActionSpec,
    /// How to decide whether the step runs.
    pub freshness: Freshness,
    /// Findings for `run` that no key holds.
    pub findings: F,
}

impl Prepared<()> {
    /// Returns a step whose result is stored under its key.
    pub fn by_key(spec: ActionSpec) -> Prepared<()> {
        Prepared { spec, freshness: Freshness::ByKey, findings: () }
    }

    /// Returns a step without a key: its dependencies are not enumerated.
    pub fn unkeyed(freshness: Freshness) -> Prepared<()> {
        Prepared { spec: ActionSpec::default(), freshness, findings: () }
    }
}

impl<F> Prepared<F> {
    /// Replaces the findings.
    pub fn with<G>(self, findings: G) -> Prepared<G> {
        Prepared { spec: self.spec, freshness: self.freshness, findings }
    }
}

/// How to decide whether a step runs.
#[derive(Debug)]
pub enum Freshness {
    /// By its key: contents decide.
    ByKey,
    /// The step has checked, and everything is as it should be.
    UpToDate(Metadata),
    /// The step has checked and something is missing, or it always runs. Its result is not stored.
    Run(Vec<Reason>),
    /// The step can't be done here and isn't needed; the text says why.
    Skip(String),
}

impl Freshness {
    /// Returns that the step always runs, with the reason in words.
    pub fn always(why: impl Into<String>) -> Freshness {
        Freshness::Run(vec![Reason::Always { why: why.into() }])
    }

    /// Returns that the step runs because a condition that it checks does not hold, in words.
    pub fn not_present(what: impl Into<String>) -> Freshness {
        Freshness::Run(vec![Reason::NotPresent { what: what.into() }])
    }

    /// Returns that a question can't tell whether the step runs, with the reason in words.
    pub fn undecided(why: impl Into<String>) -> Freshness {
        Freshness::Run(vec![Reason::Undecided { why: why.into() }])
    }

    /// Returns `ByKey` if everything readable through these inputs is in the key; otherwise the step always runs.
    pub fn of(inputs: &InputSet) -> Freshness {
        inputs.blind_spot().map_or(Freshness::ByKey, Freshness::always)
    }
}

/// Report of a run, next to the outputs.
#[derive(Debug, Default)]
pub struct Report {
    /// For people and downstream steps. Derived from the outputs, never from time.
    pub metadata: Metadata,
    /// Digests of staged files, where the step knows them because it wrote them. They are not hashed again.
    pub digests: BTreeMap<RelativePath, Digest>,
}

impl Report {
    /// Returns a report without digests.
    pub fn of(metadata: Metadata) -> Report {
        Report { metadata, digests: BTreeMap::new() }
    }
}

/// Context of `prepare`.
pub struct Query<'a> {
    pub(crate) context: &'a StepContext<'a>,
}

/// Context of `run`.
pub struct Job<'a> {
    pub(crate) context: &'a StepContext<'a>,
    /// An empty directory for the outputs, under the names that the action declares.
    pub staging: &'a Path,
}

impl<'a> Deref for Query<'a> {
    type Target = StepContext<'a>;

    fn deref(&self) -> &StepContext<'a> {
        self.context
    }
}

impl<'a> Deref for Job<'a> {
    type Target = StepContext<'a>;

    fn deref(&self) -> &StepContext<'a> {
        self.context
    }
}

/// A prepared action with its findings' type erased.
pub trait PreparedAction: Send + Sync {
    /// Returns everything that the result depends on.
    fn spec(&self) -> &ActionSpec;
    /// Returns how to decide whether the step runs.
    fn freshness(&self) -> &Freshness;
    /// Returns the inputs and leaves an empty set: for users that outlive the action.
    fn take_inputs(&mut self) -> InputSet;
    /// Returns the action as the type that its step knows.
    fn as_any(&self) -> &dyn Any;
}

impl<F: Send + Sync + 'static> PreparedAction for Prepared<F> {
    fn spec(&self) -> &ActionSpec {
        &self.spec
    }

    fn freshness(&self) -> &Freshness {
        &self.freshness
    }

    fn take_inputs(&mut self) -> InputSet {
        std::mem::take(&mut self.spec.inputs)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// A step with its findings' type erased, so that all kinds of steps fit in one graph. A prepared action goes back to
/// the same step only.
pub trait AnyStep: Send + Sync {
    /// `Step::prepare`
    fn prepare(&self, query: &Query<'_>) -> Result<Box<dyn PreparedAction>, StepError>;
    /// `Step::review`
    fn review(&self, query: &Query<'_>, former: &dyn PreparedAction) -> Result<Box<dyn PreparedAction>, StepError>;
    /// `Step::verify_external`
    fn verify_external(&self, query: &Query<'_>, prepared: &dyn PreparedAction, metadata: &Metadata) -> Option<Reason>;
    /// `Step::tree_access`
    fn tree_access(&self) -> TreeAccess;
    /// `Step::tree_outputs`
    fn tree_outputs(&self) -> Vec<OutputSpec>;
    /// `Step::reports_on_failure`
    fn reports_on_failure(&self) -> bool;
    /// `Step::keeps_results`
    fn keeps_results(&self) -> bool;
    /// `Step::forget`
    fn forget(&self, query: &Query<'_>) -> Result<(), StepError>;
    /// `Step::run`
    fn run(&self, prepared: &dyn PreparedAction, job: &Job<'_>) -> Result<Report, StepError>;
}

impl<S: Step> AnyStep for S {
    fn prepare(&self, query: &Query<'_>) -> Result<Box<dyn PreparedAction>, StepError> {
        Ok(Box::new(Step::prepare(self, query)?))
    }

    fn review(&self, query: &Query<'_>, former: &dyn PreparedAction) -> Result<Box<dyn PreparedAction>, StepError> {
        Ok(Box::new(Step::review(self, query, own::<S>(former))?))
    }

    fn verify_external(&self, query: &Query<'_>, prepared: &dyn PreparedAction, metadata: &Metadata) -> Option<Reason> {
        Step::verify_external(self, query, own::<S>(prepared), metadata)
    }

    fn tree_access(&self) -> TreeAccess {
        Step::tree_access(self)
    }

    fn tree_outputs(&self) -> Vec<OutputSpec> {
        Step::tree_outputs(self)
    }

    fn reports_on_failure(&self) -> bool {
        Step::reports_on_failure(self)
    }

    fn keeps_results(&self) -> bool {
        Step::keeps_results(self)
    }

    fn forget(&self, query: &Query<'_>) -> Result<(), StepError> {
        Step::forget(self, query)
    }

    fn run(&self, prepared: &dyn PreparedAction, job: &Job<'_>) -> Result<Report, StepError> {
        Step::run(self, own::<S>(prepared), job)
    }
}

/// Returns the action of `S` with its own type.
fn own<S: Step>(prepared: &dyn PreparedAction) -> &Prepared<S::Findings> {
    prepared.as_any().downcast_ref().expect("a step is handed back what it prepared")
}
