//! `Checkout`: what git says of the tree of build.ron, for who wants to build exactly one commit.

use std::collections::BTreeMap;
use std::path::Path;

use rondel_buildfile::GitQuery;

use crate::git::{GitAnswers, GitNotes, changes};
use crate::request::VersionMode;

/// The commit of a tree, and whether the tree is it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkout {
    /// HEAD; `None` without a repository that may be asked, or without git.
    pub commit: Option<String>,
    /// The first tracked file that differs from it, and the number of all of them. `None` also if git does not tell.
    pub changed: Option<(String, usize)>,
    /// False if git does not tell which files differ.
    pub is_known: bool,
}

impl Checkout {
    /// Asks git about the repository of a directory.
    pub fn read(environment: &BTreeMap<String, String>, directory: &Path) -> Checkout {
        let notes = GitNotes::default();
        let commit = GitAnswers::new(environment, directory, VersionMode::Tag, &notes).get(&GitQuery::Commit);
        let changes = changes(environment, directory, &notes);
        let is_known = changes.is_some();
        let changed = changes.and_then(|changes| changes.first.map(|first| (first, changes.count)));
        Checkout { commit, changed, is_known }
    }
}
