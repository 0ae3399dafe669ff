//! The stored result of a step that differs least from what it depends on now, whichever workspace it was made in.

use std::time::SystemTime;

use rondel_cas::Store;

use crate::action::ActionSpec;
use crate::graph::Node;
use crate::reason::Reason;
use crate::record::{StepRecord, parse_record};

/// The nearest stored result of a step.
#[derive(Debug)]
pub struct Nearest {
    /// What it depends on, and the run that made it.
    pub record: StepRecord,
    /// When it was last used or stored.
    pub used: SystemTime,
    /// How the step as it is now differs from it.
    pub differences: Vec<Reason>,
}

/// Returns the stored result of a step that has the fewest differences from `prepared`; of several, the one that was used last. `None`
/// if there is none, or if the step would not look into the store.
pub fn nearest(store: &Store, node: &Node, spec: &ActionSpec) -> Option<Nearest> {
    let stored = store.descriptions(node.key.target_text(), node.kind).ok()?;
    let near = |(used, text): (SystemTime, Vec<u8>)| {
        let record =
            parse_record(std::str::from_utf8(&text).ok()?).filter(|record| record.step.as_ref() == Some(&node.key))?;
        let differences = record.differences_to(spec)?;
        Some(Nearest { record, used, differences })
    };
    stored.into_iter().filter_map(near).min_by_key(|near| (near.differences.len(), std::cmp::Reverse(near.used)))
}
