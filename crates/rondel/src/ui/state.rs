//! What one build has shown so far.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use rondel_engine::NodeId;

use crate::ui::paths::Paths;
use crate::ui::results::Ends;
use crate::ui::shown_line;

/// What one build has shown so far.
#[derive(Default)]
pub(crate) struct State {
    /// Output of steps that show it only if they fail.
    pub kept: BTreeMap<NodeId, Vec<String>>,
    /// Last shown quarter of a download, without bars.
    pub quarters: BTreeMap<NodeId, u64>,
    pub ends: Ends,
    /// Errors of steps, each with the output that belongs to it: for the end.
    pub failures: Vec<(String, Vec<String>)>,
    /// Directory of each step's last command.
    pub directories: BTreeMap<NodeId, PathBuf>,
    pub paths: Option<Paths>,
    /// The step of the last line.
    pub voice: Option<NodeId>,
    /// Steps that others have interrupted.
    pub interrupted: BTreeSet<NodeId>,
    /// True once a line of a step was shown.
    pub has_begun: bool,
}

impl State {
    /// Notes that a line of this step stands on the screen.
    pub fn speaks(&mut self, node: NodeId) {
        let former = self.voice.replace(node);
        self.interrupted.extend(former.filter(|former| *former != node));
    }

    /// Returns a line that a step printed, with paths as the user sees them.
    pub fn seen(&self, node: NodeId, line: &str) -> String {
        let line = shown_line(line);
        let Some(paths) = &self.paths else { return line };
        let directory = self.directories.get(&node);
        paths.seen_in(&line, directory.map_or_else(|| paths.root(), PathBuf::as_path))
    }
}
