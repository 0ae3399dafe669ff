//! The files of a module as tools of the source take them: what `./...` means, whatever build constraints say.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use rondel_cas::RelativePath;
use rondel_engine::{DeclaredInputs, LeftOut};

/// All Go files of a module that `./...` means, with go.mod files that show where other modules begin.
#[derive(Clone, Debug)]
pub struct ModuleFiles {
    /// Directory of go.mod.
    pub root: PathBuf,
    /// What is looked at.
    pub inputs: DeclaredInputs,
}

impl ModuleFiles {
    /// Returns the files below `root`. The patterns `exclude` and the places `left_out` are taken away.
    pub fn new<'a>(root: &Path, exclude: impl Iterator<Item = &'a str>, left_out: Vec<LeftOut>) -> ModuleFiles {
        let mut globs: Vec<String> =
            ["**/{*.go,go.mod,go.sum}", "!**/vendor/**", "!**/testdata/**", "!**/.*/**", "!**/_*/**"]
                .map(str::to_owned)
                .to_vec();
        globs.extend(exclude.map(|glob| format!("!{glob}")));
        ModuleFiles { root: root.to_owned(), inputs: DeclaredInputs::new(globs, left_out) }
    }

    /// Returns those of `paths` that are Go files of this module, and of none below it.
    pub fn sources(paths: impl Iterator<Item = RelativePath>) -> Vec<String> {
        let paths: Vec<RelativePath> = paths.collect();
        let modules: BTreeSet<RelativePath> =
            paths.iter().filter(|path| path.file_name() == "go.mod").filter_map(RelativePath::parent).collect();
        let is_own = |path: &&RelativePath| {
            path.as_str().ends_with(".go")
                && !std::iter::successors(path.parent(), RelativePath::parent).any(|parent| modules.contains(&parent))
        };
        paths.iter().filter(is_own).map(ToString::to_string).collect()
    }
}
