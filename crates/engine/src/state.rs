//! How far each step of a build has come. A state is set once, by whoever brings the step to its end.

use std::sync::Mutex;

use crate::event::{NodeId, Outcome};
use crate::execute::StepResult;

/// The end of a step.
#[derive(Clone, Debug)]
pub(crate) enum StepState {
    /// It has a result: it ran, or its result was known, or it was not needed.
    Done(StepResult),
    /// It has none: it failed, was interrupted, or could not begin.
    Stopped(Outcome),
}

impl StepState {
    /// How it ended.
    pub fn outcome(&self) -> Outcome {
        match self {
            StepState::Done(result) => result.outcome,
            StepState::Stopped(outcome) => *outcome,
        }
    }
}

/// The states of all steps: one cell a step, locked while the step runs.
pub(crate) struct States {
    cells: Vec<Mutex<Option<StepState>>>,
}

impl States {
    /// `count` steps that have not begun.
    pub fn new(count: usize) -> States {
        States { cells: (0..count).map(|_| Mutex::new(None)).collect() }
    }

    /// The end of the step, which `run` brings about if nobody has: whoever comes second waits and finds it.
    pub fn enter(&self, id: NodeId, run: impl FnOnce() -> StepState) -> StepState {
        let mut cell = self.cells[id].lock().expect("no panic while locked");
        cell.get_or_insert_with(run).clone()
    }

    /// The steps that came to an end.
    pub fn into_finished(self) -> impl Iterator<Item = (NodeId, StepState)> {
        let cells = self.cells.into_iter().enumerate();
        cells.filter_map(|(id, cell)| Some((id, cell.into_inner().expect("no panic while locked")?)))
    }
}
