//! `TestPackage`: which files of a closure the test of one package is made of.
//!
//! `go list -deps -test` names each package with its dependencies, and a package again for each test that compiles it
//! anew (`p [q.test]`). Test files belong to the test of their own package only.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// A package that was named by a pattern.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TestPackage {
    pub import_path: String,
    /// Absolute: the tests run there.
    pub directory: PathBuf,
    /// Places of its files in the closure's list of files, as beginnings and ends of runs.
    pub files: Vec<(u32, u32)>,
    /// True if C code is linked into the test.
    pub uses_cgo: bool,
    /// False if there is nothing to run.
    pub has_tests: bool,
}

/// What `go list` said of packages, as far as tests are concerned.
#[derive(Default)]
pub(crate) struct TestParts {
    units: BTreeMap<String, Unit>,
    named: Vec<Named>,
    /// By import path of a test's main package (`p.test`): all that it is made of.
    mains: BTreeMap<String, Vec<String>>,
}

/// One entry of the list.
#[derive(Default)]
struct Unit {
    files: BTreeSet<PathBuf>,
    uses_cgo: bool,
}

struct Named {
    import_path: String,
    directory: PathBuf,
    /// Its tests, and files that constraints exclude: `go test` vets too.
    vetted: Vec<PathBuf>,
    deps: Vec<String>,
}

impl TestParts {
    /// Adds an entry of the list that is not of the standard library. Those of downloaded modules have no files here.
    pub fn add_unit(&mut self, import_path: &str, files: BTreeSet<PathBuf>, uses_cgo: bool) {
        self.units.insert(import_path.to_owned(), Unit { files, uses_cgo });
    }

    /// Adds the generated main package of a test.
    pub fn add_main(&mut self, import_path: &str, deps: &[String]) {
        self.mains.insert(import_path.to_owned(), deps.to_vec());
    }

    /// Adds a package that a pattern named.
    pub fn add_named(&mut self, import_path: &str, directory: &Path, vetted: Vec<PathBuf>, deps: &[String]) {
        self.named.push(Named {
            import_path: import_path.to_owned(),
            directory: directory.to_owned(),
            vetted,
            deps: deps.to_vec(),
        });
    }

    /// Returns the packages, sorted. `files` are the sorted files of the closure; `module_files` belong to each package.
    pub fn packages(&self, files: &[&Path], module_files: &BTreeSet<PathBuf>) -> Vec<TestPackage> {
        let place = |path: &Path| files.binary_search(&path).ok().map(|place| place as u32);
        let shared: Vec<u32> = module_files.iter().filter_map(|path| place(path)).collect();
        let of_unit = |unit: &Unit| unit.files.iter().filter_map(|path| place(path)).collect::<Vec<u32>>();
        let places: BTreeMap<&str, Vec<u32>> =
            self.units.iter().map(|(import_path, unit)| (import_path.as_str(), of_unit(unit))).collect();
        let mut packages: Vec<TestPackage> = Vec::with_capacity(self.named.len());
        for named in &self.named {
            let main = self.mains.get(&format!("{}.test", named.import_path));
            let mut own: BTreeSet<u32> = shared.iter().copied().collect();
            own.extend(named.vetted.iter().filter_map(|path| place(path)));
            let mut uses_cgo = false;
            for import_path in named.deps.iter().chain(main.into_iter().flatten()).chain([&named.import_path]) {
                own.extend(places.get(import_path.as_str()).into_iter().flatten());
                uses_cgo |= self.units.get(import_path).is_some_and(|unit| unit.uses_cgo);
            }
            packages.push(TestPackage {
                import_path: named.import_path.clone(),
                directory: named.directory.clone(),
                files: runs(own),
                uses_cgo,
                has_tests: main.is_some(),
            });
        }
        packages.sort_by(|one, other| one.import_path.cmp(&other.import_path));
        packages
    }
}

/// Returns sorted numbers as runs.
fn runs(numbers: BTreeSet<u32>) -> Vec<(u32, u32)> {
    let mut runs: Vec<(u32, u32)> = Vec::new();
    for number in numbers {
        match runs.last_mut() {
            Some((_, end)) if *end == number => *end += 1,
            Some(_) | None => runs.push((number, number + 1)),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_files_of_other_packages_do_not_count() {
        let set = |names: &[&str]| names.iter().map(PathBuf::from).collect::<BTreeSet<_>>();
        let files = ["/a/a.go", "/a/a_test.go", "/b/b.go", "/b/b_test.go", "/c/c.go", "/go.mod"];
        let files: Vec<&Path> = files.iter().map(Path::new).collect();
        let mut parts = TestParts::default();
        parts.add_unit("m/a", set(&["/a/a.go"]), false);
        parts.add_unit("m/b", set(&["/b/b.go"]), false);
        parts.add_unit("m/b [m/b.test]", set(&["/b/b.go", "/b/b_test.go"]), false);
        parts.add_unit("m/c", set(&["/c/c.go"]), true);
        parts.add_main("m/b.test", &["m/a".to_owned(), "m/b [m/b.test]".to_owned()]);
        parts.add_named("m/b", Path::new("/b"), vec!["/b/b_test.go".into()], &["m/a".to_owned(), "fmt".to_owned()]);
        parts.add_named("m/a", Path::new("/a"), vec!["/a/a_test.go".into()], &[]);
        parts.add_named("m/c", Path::new("/c"), Vec::new(), &["m/a".to_owned()]);
        let packages = parts.packages(&files, &set(&["/go.mod"]));
        let seen: Vec<_> = packages
            .iter()
            .map(|package| (&*package.import_path, package.files.clone(), package.uses_cgo, package.has_tests))
            .collect();
        assert_eq!(
            seen,
            [
                ("m/a", vec![(0, 2), (5, 6)], false, false),
                ("m/b", vec![(0, 1), (2, 4), (5, 6)], false, true),
                ("m/c", vec![(0, 1), (4, 6)], true, false),
            ]
        );
    }
}
