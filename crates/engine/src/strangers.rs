//! What stands in the place of an output and is not as Rondel left it: edited files, and files of others.

use std::path::{Path, PathBuf};

use rondel_cas::{Entry, RelativePath};

use crate::entries::{everything_below, exact_entry, same_contents};
use crate::error::StepError;
use crate::manifest::Manifest;
use crate::workspace::Workspace;

/// A file or link that is not as Rondel left it.
#[derive(Debug)]
pub(crate) struct Stranger {
    /// Path below the output; empty for the output itself.
    pub below: String,
    /// Present place.
    pub place: PathBuf,
    pub entry: Entry,
    /// True if Rondel placed a file of this path: somebody edited it.
    pub was_ours: bool,
}

impl Workspace {
    /// Returns true if Rondel placed the file or link at `path`, or all files below it, and it is as Rondel left it.
    pub fn is_ours(&self, path: &RelativePath) -> bool {
        let place = path.below(&self.root);
        std::fs::symlink_metadata(&place).is_ok() && strangers(self, &place, path).is_ok_and(|found| found.is_empty())
    }
}

/// Returns the files and links at `place` that are not as recorded for the output `destination`. Directories are nobody's.
pub(crate) fn strangers(
    workspace: &Workspace,
    place: &Path,
    destination: &RelativePath,
) -> Result<Vec<Stranger>, StepError> {
    let Ok(metadata) = std::fs::symlink_metadata(place) else { return Ok(Vec::new()) };
    let recorded = workspace.placed.around(destination);
    let mut found = Vec::new();
    let mut check = |below: String, place: PathBuf| {
        let path = if below.is_empty() { destination.clone() } else { joined(destination, &below) };
        let entry = exact_entry(&place, &workspace.snapshot).map_err(|error| StepError::unreadable(&place, &error))?;
        let recorded = recorded.at(&path);
        if !recorded.iter().any(|(_, recorded)| same_contents(recorded, &entry)) {
            let was_ours = recorded.iter().any(|(_, recorded)| !matches!(recorded, Entry::Directory { .. }));
            found.push(Stranger { below, place, entry, was_ours });
        }
        Ok::<(), StepError>(())
    };
    if metadata.is_dir() {
        for below in everything_below(place)?.into_iter().filter(|below| !below.metadata.is_dir()) {
            check(below.path.to_string(), below.path.below(place))?;
        }
    } else if metadata.is_file() || metadata.is_symlink() {
        check(String::new(), place.to_owned())?;
    }
    Ok(found)
}

/// Returns those whose contents are not in `manifest`: what is the same as the new output is no loss.
pub(crate) fn lost(strangers: Vec<Stranger>, manifest: &Manifest) -> Vec<Stranger> {
    let is_lost =
        |stranger: &Stranger| manifest.get(&stranger.below).is_none_or(|entry| !same_contents(entry, &stranger.entry));
    strangers.into_iter().filter(is_lost).collect()
}

pub(crate) fn joined(destination: &RelativePath, below: &str) -> RelativePath {
    RelativePath::new(&format!("{destination}/{below}")).expect("a path below a path")
}
