//! `Changes`: what may have changed.

use std::collections::BTreeSet;
use std::path::PathBuf;

/// The most paths that are told apart.
const PATHS_MAX: usize = 4096;

/// What may have changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    paths: BTreeSet<PathBuf>,
    /// True if some changes are not known: everything may have changed.
    is_everything: bool,
}

impl Changes {
    /// Returns that everything may have changed.
    pub(crate) fn everything() -> Changes {
        Changes { paths: BTreeSet::new(), is_everything: true }
    }

    /// Adds a path.
    pub fn insert(&mut self, path: PathBuf) {
        if self.paths.len() < PATHS_MAX {
            self.paths.insert(path);
        } else {
            self.is_everything = true;
        }
    }

    /// Adds others.
    pub fn add(&mut self, others: Changes) {
        self.is_everything |= others.is_everything;
        others.paths.into_iter().for_each(|path| self.insert(path));
    }

    /// Returns true if nothing has changed.
    pub fn is_empty(&self) -> bool {
        self.paths.is_empty() && !self.is_everything
    }

    /// Returns true if more may have changed than the paths.
    pub fn is_everything(&self) -> bool {
        self.is_everything
    }

    /// Returns the files and directories that may have changed.
    pub fn paths(&self) -> &BTreeSet<PathBuf> {
        &self.paths
    }
}
