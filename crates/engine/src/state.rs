//! States of the steps of a build. A state is set once, by the thread that ends the step.

use std::sync::Mutex;

use crate::event::{NodeId, Outcome};
use crate::execute::StepResult;

/// The end of a step.
#[derive(Clone, Debug)]
pub(crate) enum StepState {
    /// It has a result: it ran, its result was known, or it was not needed.
    Done(StepResult),
    /// It has none: it failed, was interrupted, or could not start.
    Stopped(Outcome),
}

impl StepState {
    /// Returns how it ended.
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
    /// Returns `count` steps that have not started.
    pub fn new(count: usize) -> States {
        States { cells: (0..count).map(|_| Mutex::new(None)).collect() }
    }

    /// Returns the end of the step. The first caller runs `run`; a second caller waits for its end.
    pub fn enter(&self, id: NodeId, run: impl FnOnce() -> StepState) -> StepState {
        let mut cell = self.cells[id].lock().expect("no panic while locked");
        cell.get_or_insert_with(run).clone()
    }

    /// Returns the steps that have ended by now.
    pub fn finished(&self) -> Vec<(NodeId, StepState)> {
        let cells = self.cells.iter().enumerate();
        cells.filter_map(|(id, cell)| Some((id, cell.lock().expect("no panic while locked").clone()?))).collect()
    }

    /// Returns the steps that have ended.
    pub fn into_finished(self) -> impl Iterator<Item = (NodeId, StepState)> {
        let cells = self.cells.into_iter().enumerate();
        cells.filter_map(|(id, cell)| Some((id, cell.into_inner().expect("no panic while locked")?)))
    }
}
