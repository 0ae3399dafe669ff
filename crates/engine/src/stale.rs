//! Outputs that no step makes any more: of a target that is gone, of a platform, of a package that left a pattern. They
//! are removed if they are as Rondel left them. Knows nothing of how outputs are placed.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::path::Path;

use rondel_cas::RelativePath;

use crate::entries::everything_below;
use crate::event::NodeId;
use crate::graph::Graph;
use crate::locks::try_lock_key;
use crate::moving::make_movable;
use crate::placed::{Change, Owner};
use crate::step_key::StepKey;
use crate::strangers::strangers;
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
        if owner.file == workspace.build_file
            && built.shows_stale(workspace, &destination, &owner.step)
            && let Err(error) = remove(workspace, &destination, &owner, warn)
        {
            warn(format!("`{destination}`, which nothing makes any more, was not removed: {error}"));
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
        // The target was asked for, so all its steps for these platforms are in the graph.
        let mut own = self.roots.iter().filter(|key| key.target.as_ref() == Some(target)).peekable();
        own.peek().is_some() && (step.platform.is_none() || own.any(|key| key.platform == step.platform))
    }
}

/// Removes the files of an output that are as Rondel left them, then directories that are empty.
fn remove(
    workspace: &Workspace,
    destination: &RelativePath,
    owner: &Owner,
    warn: &dyn Fn(String),
) -> std::io::Result<()> {
    let Some(_lock) = try_lock_key(workspace, &owner.step)? else { return Ok(()) };
    let place = destination.below(&workspace.root);
    let others =
        |path: &RelativePath| workspace.placed.around(path).at(path).into_iter().any(|(other, _)| other != destination);
    let edited: Vec<_> = strangers(workspace, &place, destination).map_err(std::io::Error::other)?;
    workspace.note_tree_write();
    if let Ok(metadata) = fs::symlink_metadata(&place) {
        if metadata.is_dir() {
            let below = everything_below(&place).map_err(std::io::Error::other)?;
            for found in below.iter().rev() {
                let path = found.path.below(&place);
                if found.metadata.is_dir() {
                    make_movable(&path);
                } else if !edited.iter().any(|stranger| stranger.place == path)
                    && !others(&destination.join(&found.path))
                {
                    make_movable(path.parent().expect("below the output"));
                    fs::remove_file(&path)?;
                }
            }
            for directory in below.iter().rev().filter(|found| found.metadata.is_dir()) {
                let _ = fs::remove_dir(directory.path.below(&place));
            }
        } else if edited.is_empty() && !others(destination) {
            fs::remove_file(&place)?;
        }
    }
    remove_empty(&place, &workspace.root);
    if let Some(first) = edited.first() {
        let path = first.place.strip_prefix(&workspace.root).unwrap_or(&first.place).display().to_string();
        warn(format!("`{path}` is no output of `{}` any more, and is not as Rondel left it: it stays", owner.step));
    }
    workspace.placed.record(&[Change::Forget { destination }])
}

/// Removes `path` and the directories above it while they are empty.
fn remove_empty(path: &Path, root: &Path) {
    let mut path = path;
    while path != root && (fs::remove_dir(path).is_ok() || fs::symlink_metadata(path).is_err()) {
        let Some(parent) = path.parent() else { return };
        path = parent;
    }
}
