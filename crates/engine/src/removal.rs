//! Removes an output from the tree: what is as Rondel left it, and nothing else. Knows no reason for it.

use std::fs;
use std::io;
use std::path::Path;

use rondel_cas::RelativePath;

use crate::entries::everything_below;
use crate::locks::try_lock_key;
use crate::moving::make_movable;
use crate::placed::{Change, Owner};
use crate::strangers::strangers;
use crate::workspace::Workspace;

/// What became of an output.
pub(crate) enum Removal {
    /// Nothing of it is there.
    Whole,
    /// It is removed but for what is not as Rondel left it; the path is the first of that.
    But(String),
    /// Another run has its step: nothing was removed.
    InUse,
}

/// Removes the files of an output that are as Rondel left them, then directories that are empty. The output is not
/// Rondel's any more.
pub(crate) fn remove(workspace: &Workspace, destination: &RelativePath, owner: &Owner) -> io::Result<Removal> {
    let Some(_lock) = try_lock_key(workspace, &owner.step)? else { return Ok(Removal::InUse) };
    let place = destination.below(&workspace.root);
    let others =
        |path: &RelativePath| workspace.placed.around(path).at(path).into_iter().any(|(other, _)| other != destination);
    let edited: Vec<_> = strangers(workspace, &place, destination).map_err(io::Error::other)?;
    workspace.note_tree_write();
    if let Ok(metadata) = fs::symlink_metadata(&place) {
        if metadata.is_dir() {
            let below = everything_below(&place).map_err(io::Error::other)?;
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
    workspace.placed.record(&[Change::Forget { destination }])?;
    Ok(edited.first().map_or(Removal::Whole, |first| Removal::But(shown(workspace, &first.place))))
}

/// Returns a path for people, relative to the workspace.
pub(crate) fn shown(workspace: &Workspace, place: &Path) -> String {
    place.strip_prefix(&workspace.root).unwrap_or(place).display().to_string()
}

/// Removes `path` and the directories above it while they are empty.
fn remove_empty(path: &Path, root: &Path) {
    let mut path = path;
    while path != root && (fs::remove_dir(path).is_ok() || fs::symlink_metadata(path).is_err()) {
        let Some(parent) = path.parent() else { return };
        path = parent;
    }
}
