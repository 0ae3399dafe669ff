//! `LocalModules`: the modules whose sources are directories of this machine: the main module, members of a go.work,
//! and directories that replace modules. go.mod and go.work name them; `go list` is not asked.
//!
//! Which module provides a package depends on files that are in no list: a go.mod between module and package, and a
//! directory of another module that would provide the package too. Those are found here.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use rondel_cas::{TEXT_MAX, read_text_at_most};

use crate::closure_query::ClosureQuery;
use crate::go_mod::GoMod;
use rondel_closure::Names;

/// Modules in directories.
#[derive(Default)]
pub(crate) struct LocalModules {
    /// Module path and directory, absolute and without `..`.
    modules: BTreeSet<(String, PathBuf)>,
    /// go.mod, go.sum, go.work and `vendor/modules.txt`, whether they exist or not.
    pub files: BTreeSet<PathBuf>,
    /// Directories that hold `vendor`, if it exists.
    vendors: BTreeSet<PathBuf>,
    /// Those of them that do hold it. Below a `vendor` that is missing nothing is watched: nothing can come there before
    /// `vendor` itself, which is watched.
    vendored: Vec<PathBuf>,
}

impl LocalModules {
    /// Reads go.mod and go.work. A replacement counts by what its own go.mod requires, even if no package of it is used.
    pub fn of(query: &ClosureQuery) -> LocalModules {
        LocalModules::read(&query.module, query.go_work.as_deref())
    }

    fn read(module: &Path, go_work: Option<&Path>) -> LocalModules {
        let mut found = LocalModules::default();
        let mut open = vec![(None, module.to_owned())];
        found.vendors.insert(module.to_owned());
        if let Some(go_work) = go_work {
            let base = go_work.parent().unwrap_or(Path::new("/"));
            let read = GoMod::parse(&read_text_at_most(go_work, TEXT_MAX).unwrap_or_default());
            found.files.extend([go_work.to_owned(), base.join("go.work.sum")]);
            found.vendors.insert(base.to_owned());
            open.extend(read.uses.iter().map(|directory| (None, base.join(directory))));
            open.extend(read.replaced_by.iter().map(|(old, by)| (Some(old.clone()), base.join(by))));
        }
        let mut seen = BTreeSet::new();
        while let Some((replaced, directory)) = open.pop() {
            let directory = lexically(&directory);
            let go_mod = GoMod::parse(&read_text_at_most(&directory.join("go.mod"), TEXT_MAX).unwrap_or_default());
            for path in replaced.into_iter().chain(go_mod.module.clone()) {
                found.modules.insert((path, directory.clone()));
            }
            if seen.insert(directory.clone()) {
                open.extend(go_mod.replaced_by.iter().map(|(old, by)| (Some(old.clone()), directory.join(by))));
                found.files.extend([directory.join("go.mod"), directory.join("go.sum")]);
            }
        }
        found.files.extend(found.vendors.iter().map(|directory| directory.join("vendor/modules.txt")));
        let vendors = found.vendors.iter().map(|directory| directory.join("vendor"));
        found.vendored = vendors.filter(|vendor| vendor.is_dir()).collect();
        found
    }

    /// Returns the directories whose existence counts: `vendor` changes how packages are found.
    pub fn vendor_directories(&self) -> impl Iterator<Item = (PathBuf, Names)> {
        self.vendors.iter().map(|directory| (directory.join("vendor"), Names::Existence))
    }

    /// Returns the directories that a pattern with `...` starts from.
    pub fn pattern_roots(&self, query: &ClosureQuery, pattern: &str) -> Vec<PathBuf> {
        if !pattern.starts_with("./") && !pattern.starts_with("../") && !Path::new(pattern).is_absolute() {
            return self.directories();
        }
        let base = pattern.split("...").next().unwrap_or("");
        let base = base.rsplit_once('/').map_or(base, |(directory, _)| directory);
        vec![lexically(&query.module.join(base))]
    }

    /// Returns the directory of each module, once.
    pub fn directories(&self) -> Vec<PathBuf> {
        self.modules.iter().map(|(_, directory)| directory.clone()).collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// Returns true if a module stands in place of another that has a name of its own.
    pub fn has_two_names(&self, directory: &Path) -> bool {
        self.modules.iter().filter(|(_, other)| other == directory).count() > 1
    }

    /// Returns the directories in which a module, or `vendor`, would provide the package `import_path`.
    pub fn providers(&self, import_path: &str) -> impl Iterator<Item = (PathBuf, PathBuf)> {
        let of_modules = self.modules.iter().filter_map(move |(path, directory)| {
            let rest = import_path.strip_prefix(path.as_str())?;
            let rest = if rest.is_empty() { rest } else { rest.strip_prefix('/')? };
            Some((directory.clone(), directory.join(rest)))
        });
        let of_vendors = self.vendored.iter().map(move |vendor| (vendor.clone(), vendor.join(import_path)));
        of_modules.chain(of_vendors)
    }
}

/// Returns whether a go command that stands in `module` takes packages from `directory`: it is of that module, of one that
/// the go.work uses, or of a replacement. The error is the directory of the module that it is of, if it is of any.
pub fn takes_packages_from(module: &Path, go_work: Option<&Path>, directory: &Path) -> Result<(), Option<PathBuf>> {
    let owner = directory.ancestors().find(|ancestor| ancestor.join("go.mod").is_file());
    let is_known = |owner: &Path| LocalModules::read(module, go_work).directories().iter().any(|known| known == owner);
    match owner {
        Some(owner) if owner == lexically(module) || is_known(owner) => Ok(()),
        owner => Err(owner.map(Path::to_owned)),
    }
}

/// Returns the go.mod files that could cut `package` off from the module or directory `root`: one in the package's
/// directory, or in any between the two.
pub(crate) fn boundaries(root: &Path, package: &Path) -> Vec<PathBuf> {
    let between = package.ancestors().take_while(|directory| directory.starts_with(root) && *directory != root);
    between.map(|directory| directory.join("go.mod")).collect()
}

/// Returns the path without `.` and `..`.
pub fn lexically(path: &Path) -> PathBuf {
    let mut result = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                result.pop();
            }
            Component::Prefix(_) | Component::RootDir | Component::Normal(_) => result.push(component),
        }
    }
    result
}
