//! The critical path of a run: the chain of steps, each of which waits for the one before, that took longest together.
//! With any number of cores the run can't be shorter.

use crate::run::{End, Run};

/// Returns the places of its steps, the first one first, and what they took together, in microseconds.
pub(crate) fn critical_path(run: &Run) -> (Vec<usize>, u64) {
    let mut longest: Vec<(u64, Option<usize>)> = Vec::with_capacity(run.steps.len());
    for step in &run.steps {
        let own = if step.end == End::Skipped { 0 } else { step.duration_us };
        // Of equal ones, the last: it is nearer.
        let before = step.dependencies().max_by_key(|other| (longest[*other].0, *other));
        let time = before.map_or(0, |other| longest[other].0);
        longest.push((time.saturating_add(own), before.filter(|_| time > 0)));
    }
    let Some(mut place) = (0..longest.len()).max_by_key(|place| (longest[*place].0, std::cmp::Reverse(*place))) else {
        return (Vec::new(), 0);
    };
    let total = longest[place].0;
    let mut path = vec![place];
    while let Some(before) = longest[place].1 {
        path.push(before);
        place = before;
    }
    path.retain(|place| run.steps[*place].end != End::Skipped);
    path.reverse();
    (path, total)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::Step;

    #[test]
    fn the_longest_chain_is_found() {
        let step = |duration_us, inputs: &[u32], after: &[u32]| Step {
            duration_us,
            end: End::Ran,
            inputs: inputs.to_vec(),
            after: after.to_vec(),
            ..Step::default()
        };
        let steps = vec![
            step(10, &[], &[]),
            step(30, &[], &[]),
            step(5, &[0], &[1]),
            Step { end: End::Skipped, ..step(900, &[2], &[]) },
            step(1, &[3], &[]),
            step(30, &[0], &[]),
        ];
        let run = Run { steps, ..Run::default() };
        assert_eq!(critical_path(&run), (vec![0, 5], 40));
        let run = Run { steps: run.steps[..5].to_vec(), ..run };
        assert_eq!(critical_path(&run), (vec![1, 2, 4], 36));
        assert_eq!(critical_path(&Run::default()), (Vec::new(), 0));
    }
}
