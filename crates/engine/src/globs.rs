//! Globs over the source tree: `**`, `*`, `?`, `[…]`, `{a,b}`, and `!` to take away again.
//!
//! They never match `.git`, `target`, `.rondel` or `dist` at the top, or the declared outputs of any target.
//! `.gitignore` has no say: an ignored file can change a result all the same.

use std::path::Path;

use rondel_cas::{RelativePath, StatSnapshot};

use crate::error::StepError;
use crate::inputs::{InputSet, walk};

/// Directories at any depth that hold no sources.
const NEVER: &[&str] = &[".git", ".rondel"];
/// Directories at the top of the workspace that hold no sources.
const NEVER_AT_TOP: &[&str] = &["target", "dist"];

/// A list of globs, in order: a path matches if the last glob that says something about it says yes.
#[derive(Clone, Debug)]
pub struct GlobSet {
    patterns: Vec<(String, bool)>,
    excluded: Vec<RelativePath>,
}

impl GlobSet {
    /// Globs, and outputs that are never matched. Both are relative to the directory that is walked.
    pub fn new<I: IntoIterator<Item = S>, S: AsRef<str>>(globs: I, excluded: Vec<RelativePath>) -> GlobSet {
        let patterns = globs.into_iter().map(|glob| {
            let (text, positive) = match glob.as_ref().strip_prefix('!') {
                Some(rest) => (rest, false),
                None => (glob.as_ref(), true),
            };
            (text.trim_start_matches("./").to_owned(), positive)
        });
        GlobSet { patterns: patterns.collect(), excluded }
    }

    /// Everything that is never left out.
    pub fn everything(excluded: Vec<RelativePath>) -> GlobSet {
        GlobSet::new(["**"], excluded)
    }

    /// Does `path` match?
    pub fn matches(&self, path: &RelativePath) -> bool {
        let last = self.patterns.iter().rev().find(|(pattern, _)| fast_glob::glob_match(pattern, path.as_str()));
        last.is_some_and(|(_, positive)| *positive)
    }

    fn is_excluded(&self, path: &RelativePath, is_directory: bool) -> bool {
        let never = NEVER.contains(&path.file_name()) && is_directory;
        let never_at_top = path.parent().is_none() && NEVER_AT_TOP.contains(&path.as_str());
        never || never_at_top || self.excluded.iter().any(|output| path.is_within(output))
    }

    /// All files and links below `root` but those in directories that `skip` names, sorted.
    pub fn files_below(root: &Path, skip: &dyn Fn(&RelativePath) -> bool) -> Result<Vec<RelativePath>, StepError> {
        walk(root, &|path, is_directory| is_directory && skip(path))
    }

    /// Hashes all files below `root` that match; `prefix` goes before their names in the key.
    pub fn collect(
        &self,
        root: &Path,
        prefix: Option<&RelativePath>,
        snapshot: &StatSnapshot,
    ) -> Result<InputSet, StepError> {
        let mut inputs = InputSet::default();
        for path in walk(root, &|path, is_directory| self.is_excluded(path, is_directory))? {
            if self.matches(&path) {
                let absolute = path.below(root);
                let name = prefix.map_or_else(|| path.clone(), |prefix| prefix.join(&path));
                inputs.add(name, absolute, snapshot)?;
            }
        }
        Ok(inputs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        let path = |text: &str| RelativePath::new(text).unwrap();
        let globs = GlobSet::new(["**/*.go", "go.{mod,sum}", "!vendor/**", "vendor/keep.go"], vec![]);
        for yes in ["a.go", "x/y/b.go", "go.mod", "go.sum", "vendor/keep.go"] {
            assert!(globs.matches(&path(yes)), "{yes}");
        }
        for no in ["a.txt", "vendor/x/b.go", "x/go.mod", "go.work"] {
            assert!(!globs.matches(&path(no)), "{no}");
        }
        assert!(GlobSet::everything(vec![]).matches(&path(".hidden/x")));
    }
}
