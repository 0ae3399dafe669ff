//! Outputs that somebody wants removed: what is recorded of the targets at hand, and its removal. Knows no step.

use std::fs;

use rondel_cas::RelativePath;
use rondel_names::TargetName;

use crate::error::StepError;
use crate::ownership::write_hint;
use crate::placed::Owner;
use crate::removal::{Removal, remove, shown};
use crate::strangers::strangers;
use crate::workspace::Workspace;

/// An output that Rondel placed and that is there.
pub struct Cleanable {
    /// Its place in the workspace.
    pub destination: RelativePath,
    /// The first file of it that somebody made or edited since: that stays.
    pub edited: Option<String>,
    owner: Owner,
}

impl Workspace {
    /// Returns the outputs of the build file's targets, as far as `is_wanted` says so, that Rondel placed and that are
    /// there.
    pub fn cleanable(&self, is_wanted: &dyn Fn(&TargetName) -> bool) -> Result<Vec<Cleanable>, StepError> {
        let mut found = Vec::new();
        for (destination, owner) in self.placed.owners() {
            let place = destination.below(&self.root);
            let is_of_target = owner.step.target.as_ref().is_some_and(is_wanted);
            if owner.file == self.build_file && is_of_target && fs::symlink_metadata(&place).is_ok() {
                let edited = strangers(self, &place, &destination)?.first().map(|first| shown(self, &first.place));
                found.push(Cleanable { destination, edited, owner });
            }
        }
        Ok(found)
    }

    /// Removes what is as Rondel left it. Returns a remark where something stays.
    pub fn clean(&self, output: &Cleanable) -> Result<Option<String>, StepError> {
        let Cleanable { destination, owner, .. } = output;
        let removal = remove(self, destination, owner).map_err(|error| {
            StepError::failed(format!("`{destination}` was not removed: {error}"))
                .hint(write_hint(&destination.below(&self.root)))
        })?;
        Ok(match removal {
            Removal::Whole => None,
            Removal::But(path) => Some(format!("`{path}` is not as Rondel left it: it stays")),
            Removal::InUse => Some(format!("`{destination}` is being made by another run: it stays")),
        })
    }
}
