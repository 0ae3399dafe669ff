//! A step that says whether its sources are dirty: two steps, of which one is taken once the inputs are known.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rondel_engine::{ActionSpec, Plan, Reason, RunReport, Step, StepContext, StepError};

use crate::git::WorkTrees;

pub(crate) struct DirtyStep {
    pub clean: Box<dyn Step>,
    pub dirty: Box<dyn Step>,
    pub trees: Arc<WorkTrees>,
    /// What `prepare` found.
    pub is_dirty: AtomicBool,
}

impl DirtyStep {
    fn chosen(&self) -> &dyn Step {
        if self.is_dirty.load(Ordering::Relaxed) { &*self.dirty } else { &*self.clean }
    }
}

impl Step for DirtyStep {
    fn prepare(&self, context: &StepContext<'_>) -> Result<Plan, StepError> {
        let plan = self.clean.prepare(context)?;
        let mut found = false;
        let mut look = |path: &Path| found = found || self.trees.is_dirty(path);
        plan.spec.inputs.each_place(&mut look);
        context.sources.iter().for_each(|sources| sources.each(&mut look));
        self.is_dirty.store(found, Ordering::Relaxed);
        if found { self.dirty.prepare(context) } else { Ok(plan) }
    }

    fn verify_external(&self, context: &StepContext<'_>, facts: &BTreeMap<String, String>) -> Option<Reason> {
        self.chosen().verify_external(context, facts)
    }

    fn works_in_tree(&self) -> bool {
        self.clean.works_in_tree()
    }

    fn run(&self, context: &StepContext<'_>, spec: &ActionSpec, staging: &Path) -> Result<RunReport, StepError> {
        self.chosen().run(context, spec, staging)
    }
}
