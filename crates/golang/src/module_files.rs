//! The files of a module as tools of the source take them: what `./...` means, whatever build constraints say.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use rondel_cas::RelativePath;
use rondel_engine::{DeclaredInputs, LeftOut};
use rondel_tree::literal_glob;

/// All Go files of a module that `./...` means, with go.mod files that show where other modules begin.
#[derive(Clone, Debug)]
pub struct ModuleFiles {
    /// Where paths and globs of build.ron begin.
    pub root: PathBuf,
    /// Directory of go.mod below `root`, if it is another one.
    pub directory: Option<RelativePath>,
    /// What is looked at.
    pub inputs: DeclaredInputs,
}

impl ModuleFiles {
    /// Returns the files of the module in `directory` below `root`. The patterns `exclude` and the places `left_out` are
    /// taken away; they are relative to `root`.
    pub fn new<'a>(
        root: &Path,
        directory: Option<RelativePath>,
        exclude: impl Iterator<Item = &'a str>,
        left_out: Vec<LeftOut>,
    ) -> ModuleFiles {
        // The names above a module do not matter: it may be in `_tools`.
        let prefix = directory.as_ref().map(|directory| format!("{}/", literal_glob(directory.as_str())));
        let prefix = prefix.unwrap_or_default();
        let mut globs = vec![format!("{prefix}**/{{*.go,go.mod,go.sum}}")];
        globs.extend(["vendor", "testdata", ".*", "_*"].map(|name| format!("!{prefix}**/{name}/**")));
        globs.extend(exclude.map(|glob| format!("!{glob}")));
        ModuleFiles { root: root.to_owned(), directory, inputs: DeclaredInputs::new(globs, left_out) }
    }

    /// Returns those of `paths` that are Go files of this module, and of none below it.
    pub fn sources(&self, paths: impl Iterator<Item = RelativePath>) -> Vec<String> {
        ModuleFiles::sources_in(self.directory.as_ref(), paths)
    }

    /// Returns those of `paths` that are Go files of the module in `directory`, and of none below it.
    pub fn sources_in(directory: Option<&RelativePath>, paths: impl Iterator<Item = RelativePath>) -> Vec<String> {
        let paths: Vec<RelativePath> = paths.collect();
        let go_mods = paths.iter().filter(|path| path.file_name() == "go.mod").filter_map(RelativePath::parent);
        let modules: BTreeSet<RelativePath> = go_mods.filter(|parent| Some(parent) != directory).collect();
        let is_own = |path: &&RelativePath| {
            path.as_str().ends_with(".go")
                && !std::iter::successors(path.parent(), RelativePath::parent).any(|parent| modules.contains(&parent))
        };
        paths.iter().filter(is_own).map(ToString::to_string).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Only what is below the module's directory and of no module in it, whatever characters its name has.
    #[test]
    fn sources_of_a_module_below_the_root() {
        let all = [
            "go.mod",
            "main.go",
            "_t[1]/go.mod",
            "_t[1]/a.go",
            "_t[1]/in/b.go",
            "_t[1]/vendor/v/c.go",
            "_t[1]/sub/go.mod",
            "_t[1]/sub/d.go",
            "_t1/e.go",
            "_t[1]/_x/f.go",
            "_t[1]/gen.pb.go",
        ];
        let of = |directory: Option<&str>| {
            let directory = directory.map(|directory| RelativePath::new(directory).unwrap());
            let files = ModuleFiles::new(Path::new("/w"), directory, ["**/*.pb.go"].into_iter(), Vec::new());
            let globs = files.inputs.globs();
            let matching = all.iter().filter(|path| globs.matches(path)).map(|path| RelativePath::new(path).unwrap());
            files.sources(matching).join(" ")
        };
        assert_eq!(of(Some("_t[1]")), "_t[1]/a.go _t[1]/in/b.go");
        assert_eq!(of(None), "main.go");
    }
}
