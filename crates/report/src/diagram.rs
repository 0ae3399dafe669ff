//! `Diagram`: the graph of steps as boxes in columns and lines between them. A step stands right of all that it waits for.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::run::Run;
use crate::text::cut;

/// Maximum number of boxes: more can't be read.
const BOXES_MAX: usize = 120;
/// Maximum number of characters in a box.
const TITLE_MAX: usize = 26;
const WIDTH: u32 = 178;
const HEIGHT: u32 = 26;
const COLUMN: u32 = 226;
const ROW: u32 = 36;
const MARGIN: u32 = 8;

/// Boxes and lines, in pixels.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Diagram {
    pub width: u32,
    pub height: u32,
    pub boxes: Vec<StepBox>,
    pub lines: Vec<Line>,
    /// Number of steps that have no box.
    pub left_out: usize,
}

/// One step.
#[derive(Debug, Serialize)]
pub(crate) struct StepBox {
    /// Its place in the run.
    pub id: usize,
    pub x: u32,
    pub y: u32,
    pub text: String,
    /// On the critical path.
    pub is_critical: bool,
}

/// One dependency.
#[derive(Debug, Serialize)]
pub(crate) struct Line {
    /// The path of SVG.
    pub path: String,
    /// The step reads the result of the other.
    pub is_input: bool,
    pub is_critical: bool,
}

/// Draws the steps of a run: those that ran and what they wait for come first if there are too many.
pub(crate) fn diagram(run: &Run, critical: &[usize]) -> Diagram {
    let chosen = choose(run, critical);
    let edges = edges(run, &chosen);
    let mut columns: Vec<Vec<usize>> = Vec::new();
    let mut places: Vec<(u32, u32)> = vec![(0, 0); chosen.len()];
    for index in 0..chosen.len() {
        let column = edges[index].iter().map(|(other, _)| places[*other].0 + 1).max().unwrap_or(0);
        places[index].0 = column;
        columns.resize_with(columns.len().max(column as usize + 1), Vec::new);
        columns[column as usize].push(index);
    }
    for column in &mut columns {
        // A step stands about where the steps stand that it waits for.
        column.sort_by_key(|index| {
            let rows: Vec<u32> = edges[*index].iter().map(|(other, _)| places[*other].1 * 8).collect();
            (rows.iter().sum::<u32>() / (rows.len() as u32).max(1), *index)
        });
        column.iter().enumerate().for_each(|(row, index)| places[*index].1 = row as u32);
    }
    let rows = columns.iter().map(Vec::len).max().unwrap_or(0) as u32;
    let is_critical = |index: usize| critical.contains(&chosen[index]);
    let boxes = chosen.iter().enumerate().map(|(index, &id)| {
        let mut text = run.steps[id].title.clone();
        cut(&mut text, TITLE_MAX);
        let (x, y) = corner(places[index]);
        StepBox { id, x, y, text, is_critical: is_critical(index) }
    });
    let lines = edges.iter().enumerate().flat_map(|(index, edges)| {
        let is_critical = &is_critical;
        let places = &places;
        edges.iter().map(move |&(other, is_input)| Line {
            path: curve(corner(places[other]), corner(places[index])),
            is_input,
            is_critical: is_critical(other) && is_critical(index),
        })
    });
    Diagram {
        width: (columns.len() as u32).saturating_sub(1) * COLUMN + WIDTH + 2 * MARGIN,
        height: rows.saturating_sub(1) * ROW + HEIGHT + 2 * MARGIN,
        boxes: boxes.collect(),
        lines: lines.collect(),
        left_out: run.steps.len() - chosen.len(),
    }
}

fn corner((column, row): (u32, u32)) -> (u32, u32) {
    (MARGIN + column * COLUMN, MARGIN + row * ROW)
}

fn curve(from: (u32, u32), to: (u32, u32)) -> String {
    let (x, y) = (from.0 + WIDTH, from.1 + HEIGHT / 2);
    let (to_x, to_y) = (to.0, to.1 + HEIGHT / 2);
    let middle = (x + to_x) / 2;
    format!("M{x} {y}C{middle} {y} {middle} {to_y} {to_x} {to_y}")
}

/// Returns the steps that get a box, in their order.
fn choose(run: &Run, critical: &[usize]) -> Vec<usize> {
    if run.steps.len() <= BOXES_MAX {
        return (0..run.steps.len()).collect();
    }
    let ran = (0..run.steps.len()).filter(|index| run.steps[*index].end.has_run());
    let around = ran.clone().flat_map(|index| run.steps[index].dependencies().collect::<Vec<_>>());
    let mut chosen = BTreeSet::new();
    for index in critical.iter().copied().chain(ran).chain(around).chain(0..run.steps.len()) {
        if chosen.len() == BOXES_MAX {
            break;
        }
        chosen.insert(index);
    }
    chosen.into_iter().collect()
}

/// Returns for each chosen step what it waits for, without what follows from others: a line for each would hide the rest.
fn edges(run: &Run, chosen: &[usize]) -> Vec<Vec<(usize, bool)>> {
    let mut all: Vec<Vec<(usize, bool)>> = Vec::with_capacity(chosen.len());
    let mut behind: Vec<BTreeSet<usize>> = Vec::with_capacity(chosen.len());
    for &id in chosen {
        let step = &run.steps[id];
        let place = |other: &u32| chosen.binary_search(&(*other as usize)).ok();
        let inputs: BTreeSet<usize> = step.inputs.iter().filter_map(place).collect();
        let others: BTreeSet<usize> = step.after.iter().filter_map(place).chain(inputs.iter().copied()).collect();
        let follows = |other: &usize| others.iter().any(|between| behind[*between].contains(other));
        let direct = others.iter().filter(|other| !follows(other));
        all.push(direct.map(|other| (*other, inputs.contains(other))).collect());
        behind.push(others.iter().flat_map(|other| behind[*other].iter().copied().chain([*other])).collect());
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::{End, Step};

    fn step(inputs: &[u32], after: &[u32]) -> Step {
        Step { title: "t".repeat(40), inputs: inputs.to_vec(), after: after.to_vec(), ..Step::default() }
    }

    #[test]
    fn steps_stand_right_of_what_they_wait_for() {
        let steps = vec![step(&[], &[]), step(&[], &[]), step(&[0], &[]), step(&[2, 0], &[1])];
        let drawn = diagram(&Run { steps, ..Run::default() }, &[0, 2, 3]);
        let places: Vec<(u32, u32)> = drawn.boxes.iter().map(|drawn| (drawn.x, drawn.y)).collect();
        assert_eq!(places, [(8, 8), (8, 44), (234, 8), (460, 8)]);
        assert_eq!(drawn.boxes[0].text.chars().count(), 27);
        // The line from 0 to 3 follows from 2.
        let lines: Vec<(&str, bool, bool)> =
            drawn.lines.iter().map(|line| (line.path.as_str(), line.is_input, line.is_critical)).collect();
        let wanted = [
            ("M186 21C210 21 210 21 234 21", true, true),
            ("M186 57C323 57 323 21 460 21", false, false),
            ("M412 21C436 21 436 21 460 21", true, true),
        ];
        assert_eq!(lines, wanted);
        assert_eq!((drawn.width, drawn.height, drawn.left_out), (646, 78, 0));
    }

    #[test]
    fn of_many_steps_those_that_ran_are_drawn() {
        let mut steps = vec![step(&[], &[]); 500];
        steps[499] = Step { end: End::Ran, ..step(&[300], &[]) };
        let drawn = diagram(&Run { steps, ..Run::default() }, &[]);
        let ids: Vec<usize> = drawn.boxes.iter().map(|drawn| drawn.id).collect();
        assert_eq!((ids.len(), drawn.left_out), (120, 380));
        assert!(ids.contains(&499) && ids.contains(&300));
        assert_eq!(diagram(&Run::default(), &[]).boxes.len(), 0);
    }
}
