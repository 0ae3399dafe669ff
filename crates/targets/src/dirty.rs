//! A step that depends on whether its sources are dirty: two steps, of which one is chosen once the inputs are known.

use std::any::Any;
use std::path::Path;
use std::sync::Arc;

use rondel_engine::{
    ActionSpec, AnyStep, Freshness, InputSet, Job, Metadata, OutputSpec, PreparedAction, Query, Reason, Report,
    StepError, TreeAccess,
};

use crate::git::WorkTrees;

pub(crate) struct DirtyStep {
    pub clean: Box<dyn AnyStep>,
    pub dirty: Box<dyn AnyStep>,
    pub trees: Arc<WorkTrees>,
}

/// The chosen step and its prepared action.
struct Chosen {
    is_dirty: bool,
    prepared: Box<dyn PreparedAction>,
}

impl PreparedAction for Chosen {
    fn spec(&self) -> &ActionSpec {
        self.prepared.spec()
    }

    fn freshness(&self) -> &Freshness {
        self.prepared.freshness()
    }

    fn take_inputs(&mut self) -> InputSet {
        self.prepared.take_inputs()
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl DirtyStep {
    /// Chooses by the inputs that `clean` has prepared; both have the same.
    fn choose(
        &self,
        query: &Query<'_>,
        clean: Box<dyn PreparedAction>,
        dirty: &dyn Fn() -> Result<Box<dyn PreparedAction>, StepError>,
    ) -> Result<Box<dyn PreparedAction>, StepError> {
        let mut is_dirty = false;
        let mut look = |path: &Path| is_dirty = is_dirty || self.trees.is_dirty(path);
        clean.spec().inputs.each_place(&mut look);
        query.sources.iter().for_each(|sources| sources.each(&mut look));
        let prepared = if is_dirty { dirty()? } else { clean };
        Ok(Box::new(Chosen { is_dirty, prepared }))
    }

    fn chosen<'p>(&self, prepared: &'p dyn PreparedAction) -> (&dyn AnyStep, &'p dyn PreparedAction) {
        let chosen: &Chosen = prepared.as_any().downcast_ref().expect("a step is handed back what it prepared");
        (if chosen.is_dirty { &*self.dirty } else { &*self.clean }, &*chosen.prepared)
    }
}

impl AnyStep for DirtyStep {
    fn prepare(&self, query: &Query<'_>) -> Result<Box<dyn PreparedAction>, StepError> {
        self.choose(query, self.clean.prepare(query)?, &|| self.dirty.prepare(query))
    }

    fn review(&self, query: &Query<'_>, former: &dyn PreparedAction) -> Result<Box<dyn PreparedAction>, StepError> {
        // The findings do not depend on the answer, so either step can use the other's.
        let (_, former) = self.chosen(former);
        self.choose(query, self.clean.review(query, former)?, &|| self.dirty.review(query, former))
    }

    fn verify_external(&self, query: &Query<'_>, prepared: &dyn PreparedAction, metadata: &Metadata) -> Option<Reason> {
        let (step, prepared) = self.chosen(prepared);
        step.verify_external(query, prepared, metadata)
    }

    fn tree_access(&self) -> TreeAccess {
        self.clean.tree_access()
    }

    fn tree_outputs(&self) -> Vec<OutputSpec> {
        self.clean.tree_outputs()
    }

    fn reports_on_failure(&self) -> bool {
        self.clean.reports_on_failure()
    }

    fn keeps_results(&self) -> bool {
        self.clean.keeps_results()
    }

    fn forget(&self, query: &Query<'_>) -> Result<(), StepError> {
        self.clean.forget(query)?;
        self.dirty.forget(query)
    }

    fn run(&self, prepared: &dyn PreparedAction, job: &Job<'_>) -> Result<Report, StepError> {
        let (step, prepared) = self.chosen(prepared);
        step.run(prepared, job)
    }
}
