//! Outputs that no step makes any more: of a target that is gone, of a platform, of a package that left a pattern. They
//! are removed if they are as Rondel left them. Knows nothing of how outputs are placed or removed.

use std::collections::{BTreeMap, HashMap, HashSet};

use rondel_cas::RelativePath;

use crate::event::NodeId;
use crate::graph::Graph;
use crate::removal::{Removal, remove};
use crate::step_key::StepKey;
use crate::workspace::Workspace;

/// Removes what a finished build shows to be outdated. `places` has the destinations of each step that succeeded by its
/// key.
pub(crate) fn clean(
    workspace: &Workspace,
    graph: &Graph,
    roots: &[NodeId],
    places: &BTreeMap<NodeId, &[RelativePath]>,
    warn: &dyn Fn(String),
) {
    let built = Built {
        ids: graph.nodes().map(|(id, node)| (&node.key, id)).collect(),
        roots: roots.iter().map(|&root| &graph.node(root).key).collect(),
        places,
    };
    for (destination, owner) in workspace.placed.owners() {
        if owner.file == workspace.build_file && built.shows_stale(workspace, &destination, &owner.step) {
            match remove(workspace, &destination, &owner) {
                Ok(Removal::Whole | Removal::InUse) => {}
                Ok(Removal::But(path)) => warn(format!(
                    "`{path}` is no output of `{}` any more, and is not as Rondel left it: it stays",
                    owner.step
                )),
                Err(error) => {
                    warn(format!("`{destination}`, which nothing makes any more, was not removed: {error}"));
                }
            }
        }
    }
}

/// What a build was asked for and has made.
struct Built<'a> {
    ids: HashMap<&'a StepKey, NodeId>,
    roots: HashSet<&'a StepKey>,
    places: &'a BTreeMap<NodeId, &'a [RelativePath]>,
}

impl Built<'_> {
    fn shows_stale(&self, workspace: &Workspace, destination: &RelativePath, step: &StepKey) -> bool {
        if let Some(id) = self.ids.get(step) {
            return self.places.get(id).is_some_and(|places| !places.contains(destination));
        }
        let Some(target) = &step.target else { return false };
        if let Some(declared) = &workspace.declared {
            match declared.get(target) {
                None => return true,
                Some(Some(platforms)) if step.platform.as_ref().is_some_and(|own| !platforms.contains(own)) => {
                    return true;
                }
                Some(_) => {}
            }
        }
        // The target was asked for, so all its steps for these platforms are in the graph. The step of all platforms together
        // names none, and those of single ones do.
        let mut own = self.roots.iter().filter(|key| key.target.as_ref() == Some(target)).peekable();
        let is_of = |key: &StepKey| key.target.as_ref() == Some(target) && key.platform == step.platform;
        own.peek().is_some()
            && (step.platform.is_none()
                || own.any(|key| is_of(key) || key.platform.is_none() && self.ids.keys().any(|key| is_of(key))))
    }
}
