//! `Step`: one kind of work. It says what it depends on (`prepare`), and does it (`run`).
//!
//! A step holds no state: what `prepare` finds and `run` needs travels in `Prepared`. Which steps there are, and what
//! they wait for, is in `graph`.

use std::any::Any;
use std::ops::Deref;
use std::path::Path;

use rondel_cas::Metadata;

use crate::action::ActionSpec;
use crate::context::StepContext;
use crate::error::StepError;
use crate::inputs::InputSet;
use crate::reason::Reason;

/// One kind of work.
pub trait Step: Send + Sync + 'static {
    /// What `prepare` finds that `run` or `review` needs and no key holds; `()` if there is no such thing.
    type Findings: Send + Sync + 'static;

    /// Enumerates what the step depends on, at this moment. Runs nothing that changes anything; a question
    /// (`StepContext::is_question`) runs nothing at all and writes nothing.
    fn prepare(&self, query: &Query<'_>) -> Result<Prepared<Self::Findings>, StepError>;

    /// Looks a second time, after the step ran: has anything changed of what `former` found? Always a question.
    fn review(
        &self,
        query: &Query<'_>,
        former: &Prepared<Self::Findings>,
    ) -> Result<Prepared<Self::Findings>, StepError> {
        let _ = former;
        self.prepare(query)
    }

    /// Asked when the result is known by its key: why the step has to run after all, because something outside of its
    /// outputs is missing (an image that the daemon no longer has).
    fn verify_external(
        &self,
        query: &Query<'_>,
        prepared: &Prepared<Self::Findings>,
        metadata: &Metadata,
    ) -> Option<Reason> {
        let _ = (query, prepared, metadata);
        None
    }

    /// What it does in the source tree while it runs.
    fn tree_access(&self) -> TreeAccess {
        TreeAccess::Reads
    }

    /// Makes the outputs that the prepared action declares, in `job.staging`.
    fn run(&self, prepared: &Prepared<Self::Findings>, job: &Job<'_>) -> Result<Report, StepError>;
}

/// What a step does in the source tree while it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TreeAccess {
    /// It reads its inputs and nothing else happens there.
    Reads,
    /// It may write anywhere, as a user's command can: names that come and go there are its own affair.
    MayWrite,
    /// It makes its outputs there: two of them at once would read each other's halves, so one waits for the other.
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

/// What a step would do, whether it has to, and what it found out on the way.
#[derive(Debug)]
pub struct Prepared<F = ()> {
    /// All that the result depends on.
    pub spec: ActionSpec,
    /// How it is decided whether the step runs.
    pub freshness: Freshness,
    /// What the step needs when it runs and no key holds.
    pub findings: F,
}

impl Prepared<()> {
    /// A step whose result is stored under its key.
    pub fn by_key(spec: ActionSpec) -> Prepared<()> {
        Prepared { spec, freshness: Freshness::ByKey, findings: () }
    }

    /// A step that has no key: what it depends on is not enumerated.
    pub fn unkeyed(freshness: Freshness) -> Prepared<()> {
        Prepared { spec: ActionSpec::default(), freshness, findings: () }
    }
}

impl<F> Prepared<F> {
    /// The same with other findings.
    pub fn with<G>(self, findings: G) -> Prepared<G> {
        Prepared { spec: self.spec, freshness: self.freshness, findings }
    }
}

/// How it is decided whether a step runs.
#[derive(Debug)]
pub enum Freshness {
    /// By its key: content decides.
    ByKey,
    /// The step has looked and found all as it should be.
    UpToDate(Metadata),
    /// The step has looked and found something missing, or runs always. Its result is not stored.
    Run(Vec<Reason>),
    /// The step can't be done here and isn't needed; the text says why.
    Skip(String),
}

impl Freshness {
    /// The step runs always; why, in words.
    pub fn always(why: impl Into<String>) -> Freshness {
        Freshness::Run(vec![Reason::Always { why: why.into() }])
    }

    /// The step runs because something that it looks at by itself is not as it should be; what, in words.
    pub fn not_present(what: impl Into<String>) -> Freshness {
        Freshness::Run(vec![Reason::NotPresent { what: what.into() }])
    }

    /// By the key, if what can be read through these inputs is in it; else the step runs always.
    pub fn of(inputs: &InputSet) -> Freshness {
        inputs.blind_spot().map_or(Freshness::ByKey, Freshness::always)
    }
}

/// What a run reports besides its outputs.
#[derive(Debug, Default)]
pub struct Report {
    /// For people and for steps downstream. Derived from the outputs, never from time.
    pub metadata: Metadata,
}

/// What a step is asked while it is prepared.
pub struct Query<'a> {
    pub(crate) context: &'a StepContext<'a>,
}

/// What a step gets to run with.
pub struct Job<'a> {
    pub(crate) context: &'a StepContext<'a>,
    /// An empty directory; outputs are made in it under the names that the action declares.
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

/// A prepared action whose findings' type is hidden.
pub trait PreparedAction: Send + Sync {
    /// All that the result depends on.
    fn spec(&self) -> &ActionSpec;
    /// How it is decided whether the step runs.
    fn freshness(&self) -> &Freshness;
    /// The inputs, which are left behind empty: for what outlives the action.
    fn take_inputs(&mut self) -> InputSet;
    /// The action as the type that its step knows.
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

/// A step whose findings' type is hidden, so that steps of all kinds stand in one graph. What it prepares is handed back
/// to the same step only.
pub trait AnyStep: Send + Sync {
    /// `Step::prepare`
    fn prepare(&self, query: &Query<'_>) -> Result<Box<dyn PreparedAction>, StepError>;
    /// `Step::review`
    fn review(&self, query: &Query<'_>, former: &dyn PreparedAction) -> Result<Box<dyn PreparedAction>, StepError>;
    /// `Step::verify_external`
    fn verify_external(&self, query: &Query<'_>, prepared: &dyn PreparedAction, metadata: &Metadata) -> Option<Reason>;
    /// `Step::tree_access`
    fn tree_access(&self) -> TreeAccess;
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

    fn run(&self, prepared: &dyn PreparedAction, job: &Job<'_>) -> Result<Report, StepError> {
        Step::run(self, own::<S>(prepared), job)
    }
}

/// What `S` prepared, as it made it.
fn own<S: Step>(prepared: &dyn PreparedAction) -> &Prepared<S::Findings> {
    prepared.as_any().downcast_ref().expect("a step is handed back what it prepared")
}
