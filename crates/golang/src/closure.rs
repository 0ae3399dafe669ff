//! The closure of a build: exactly the files that `go` would read, as `go list` names them.
//!
//! A closure is stored in the workspace and valid as long as the inputs of `go list` are unchanged. These are the query
//! itself, go.mod and related files, the names in the directories concerned, and the headers of the source files. The
//! files' contents are not part of this; they are inputs of the step.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rondel_cas::{Digest, Entry, Hasher, MEMORY_MAX, RelativePath, Tree, read_at_most, write_atomically};
use rondel_closure::{ClosureFile, FileRole, FileState, Revalidation, SourceFile, WatchedDirectory, read_all};
use rondel_engine::{Input, InputSet, KnownInputs, StepError, entry_text};
use rondel_tree::{Fingerprint, LinkWay, MtimeBoundary, StatSnapshot};
use serde::{Deserialize, Serialize};

use crate::closure_query::{ClosureQuery, Scope};
use crate::go_list::{Gathered, gather};
use crate::index_shield::{are_real, may_shield, source_directories};
use crate::test_packages::TestPackage;
use crate::vouched_closure::ClosureFinding;

/// Returns directories of headers and libraries, and the files that say so, for names of pkg-config.
pub type AskPkgConfig<'a> = dyn Fn(&BTreeSet<String>) -> Result<(Vec<PathBuf>, Vec<PathBuf>), StepError> + 'a;

/// What is stored with the files and directories, as JSON.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Header {
    query: String,
    mains: Vec<(String, PathBuf)>,
    uses_cgo: bool,
    /// True if nothing in the packages forbids the index shield.
    may_be_shielded: bool,
    c_directories: Vec<PathBuf>,
    modules: Vec<PathBuf>,
    /// Files that the go command does not hash: the package's directory, whether C compilers read them, and the files.
    unhashed: Vec<(PathBuf, bool, Vec<PathBuf>)>,
    /// Why the inputs are not all known, in words.
    untracked: Option<String>,
    /// The packages that were named, if tests are asked for.
    #[serde(default)]
    tests: Vec<TestPackage>,
    /// Digest of the inputs' tree, once it was made.
    root: Option<String>,
}

/// The files of a closure.
#[derive(Clone, Debug)]
pub struct Closure {
    stored: ClosureFile,
    header: Header,
    /// Names in keys are relative to it.
    base: PathBuf,
    /// True if the stored closure should be updated.
    is_worth_storing: bool,
    /// Import paths of the main packages, with their directories.
    pub mains: BTreeMap<String, PathBuf>,
    /// True if a package of the closure uses cgo.
    pub uses_cgo: bool,
    /// Directories outside of the tree in `-I` and `-L` of `#cgo` lines.
    pub c_directories: BTreeSet<PathBuf>,
    /// Directories of the modules in the module cache.
    pub modules: BTreeSet<PathBuf>,
    /// Why the inputs are not all known, in words: then a step always runs.
    pub untracked: Option<String>,
}

/// Why a question does not know the inputs: `go list` was never asked here.
const UNLISTED: &str = "its packages are listed when it is built";

impl Closure {
    /// Returns the stored closure, if it still answers `query`; else the reason in words. `snapshot` gives the time.
    pub fn recall(file: &Path, query: &ClosureQuery, snapshot: &StatSnapshot) -> Result<Closure, String> {
        let bytes = read_at_most(file, MEMORY_MAX).map_err(|_| UNLISTED)?;
        let read =
            ClosureFile::decode(&bytes).and_then(|stored| Some((serde_json::from_slice(&stored.header).ok()?, stored)));
        let (header, mut stored): (Header, ClosureFile) = read.ok_or(UNLISTED)?;
        // After a clock went back, times occur a second time.
        stored.boundary = stored.boundary.filter(|before| !snapshot.begun().went_back_since(before));
        let finding = ClosureFinding::of(&bytes, query, snapshot);
        let closure = Closure::of(stored, header, &query.base, false);
        if finding.as_ref().is_some_and(|finding| closure.answers(query) && finding.holds()) {
            return Ok(closure);
        }
        let closure = closure.again(query, snapshot)?;
        if let Some(finding) = finding.filter(|_| !closure.is_worth_storing) {
            finding.tell(&closure.stored);
        }
        Ok(closure)
    }

    fn answers(&self, query: &ClosureQuery) -> bool {
        self.header.query == query.digest().to_string()
    }

    /// Compares the closure with the tree again. Returns it if it still answers `query`; else the reason in words.
    pub fn again(self, query: &ClosureQuery, snapshot: &StatSnapshot) -> Result<Closure, String> {
        if !self.answers(query) {
            return Err("the query for the packages changed".to_owned());
        }
        let Closure { mut stored, mut header, is_worth_storing: was_worth, .. } = self;
        let is_worth_storing = match stored.revalidate(&query.base, snapshot) {
            Revalidation::Unchanged { is_worth_storing } => is_worth_storing || was_worth,
            Revalidation::ContentsOnly => {
                header.root = None;
                true
            }
            Revalidation::Invalid(why) => return Err(why),
        };
        Ok(Closure::of(stored, header, &query.base, is_worth_storing))
    }

    fn of(stored: ClosureFile, header: Header, base: &Path, is_worth_storing: bool) -> Closure {
        Closure {
            untracked: header.untracked.clone(),
            mains: header.mains.iter().cloned().collect(),
            uses_cgo: header.uses_cgo,
            c_directories: header.c_directories.iter().cloned().collect(),
            modules: header.modules.iter().cloned().collect(),
            base: base.to_owned(),
            stored,
            header,
            is_worth_storing,
        }
    }

    /// Stores the closure, if there is anything new to it; `scratch` is the directory for unfinished files.
    pub fn remember(&mut self, file: &Path, scratch: &Path) -> std::io::Result<()> {
        if !std::mem::take(&mut self.is_worth_storing) {
            return Ok(());
        }
        self.stored.header = serde_json::to_vec(&self.header)?;
        write_atomically(scratch, file, &self.stored.encode())
    }

    /// Makes the closure from the output of `go list`. `outside` are the directories with other pins: the toolchain and
    /// the module cache. `pkg_config` asks for directories and files of the names given to it.
    pub fn from_list(
        query: &ClosureQuery,
        output: &[u8],
        outside: &[PathBuf],
        snapshot: &StatSnapshot,
        pkg_config: &AskPkgConfig<'_>,
    ) -> Result<Closure, StepError> {
        let mut gathered = gather(query, output, outside)?;
        if !gathered.pkg_config.is_empty() {
            let (directories, files) = pkg_config(&gathered.pkg_config)?;
            gathered.c_directories.extend(directories);
            gathered.deciders.extend(files);
        }
        into_closure(gathered, query, outside, &snapshot.mtime_boundary())
    }

    /// Returns digests of files that the go command does not hash: the package's directory, whether C compilers read
    /// them, and the digest.
    pub fn unhashed(&self) -> Vec<(PathBuf, bool, Digest)> {
        let files = &self.stored.files;
        let digest_of = |path: &PathBuf| {
            let index = files.binary_search_by(|file| file.path.cmp(path)).ok()?;
            files[index].state.as_ref().map(|state| state.digest)
        };
        let digest = |paths: &Vec<PathBuf>| {
            let lines = paths.iter().map(|path| (path, digest_of(path)));
            let lines = lines.map(|(path, digest)| {
                format!("{} {}\n", path.display(), digest.map_or_else(String::new, |digest| digest.to_string()))
            });
            Digest::of(lines.collect::<String>().as_bytes())
        };
        self.header.unhashed.iter().map(|(package, by_c, paths)| (package.clone(), *by_c, digest(paths))).collect()
    }

    /// Returns the Go files of the package in `directory` that are compiled.
    pub(crate) fn go_files(&self, directory: &Path) -> Vec<PathBuf> {
        let first = self.stored.files.partition_point(|file| file.path.as_path() < directory);
        let below = self.stored.files[first..].iter().take_while(|file| file.path.starts_with(directory));
        let is_own = |file: &&SourceFile| file.role == FileRole::Source && file.path.parent() == Some(directory);
        let paths = below.filter(is_own).map(|file| file.path.clone());
        paths.filter(|path| path.extension().is_some_and(|ending| ending == "go")).collect()
    }

    /// Returns the packages that were named, if tests were asked for.
    pub(crate) fn tests(&self) -> &[TestPackage] {
        &self.header.tests
    }

    /// Keeps some of these packages; the others are not tested. Their files stay in the closure.
    pub(crate) fn retain_tests(&mut self, is_kept: &dyn Fn(&TestPackage) -> bool) {
        self.header.tests.retain(is_kept);
    }

    /// Returns the files that a package's test is made of, and whether they are the package's own.
    pub(crate) fn files_of_test<'a>(&'a self, test: &'a TestPackage) -> impl Iterator<Item = (&'a Path, bool)> {
        let files = test.files.iter().flat_map(|&(begin, end)| self.stored.files.get(begin as usize..end as usize));
        let inputs = files.flatten().filter(|file| file.role.is_input());
        inputs.map(|file| (file.path.as_path(), file.path.parent() == Some(test.directory.as_path())))
    }

    /// Returns for each of these packages a digest of the files that its test is made of, with their names in keys.
    pub(crate) fn test_digests(&self) -> Result<Vec<Digest>, StepError> {
        let line = |file: &SourceFile| -> Result<String, StepError> {
            let mut line = String::new();
            each_input(&self.base, std::slice::from_ref(file), &mut |input| {
                line.push_str(&format!("{}\0{}\n", input.path, entry_text(&input.entry)));
            })?;
            Ok(line)
        };
        let lines: Vec<String> = self.stored.files.iter().map(line).collect::<Result<_, _>>()?;
        Ok(self.of_tests(&lines))
    }

    /// Returns for each of these packages a digest that changes when one of the files is written, contents the same or
    /// not.
    pub(crate) fn test_stat_digests(&self) -> Vec<Digest> {
        let line = |file: &SourceFile| {
            let link = |state: &FileState| state.link.as_ref().map(|_| LinkWay::of(&file.path).stat_digest());
            let state = file.state.as_ref().map(|state| (state.fingerprint.stat_digest(), link(state)));
            state.map_or_else(String::new, |(own, link)| format!("{own} {}\n", link.unwrap_or_default()))
        };
        self.of_tests(&self.stored.files.iter().map(line).collect::<Vec<_>>())
    }

    /// Returns for each package the digest of the lines of its files.
    fn of_tests(&self, lines: &[String]) -> Vec<Digest> {
        let digest = |package: &TestPackage| {
            let mut hasher = Hasher::new();
            for &(begin, end) in &package.files {
                let lines = lines.get(begin as usize..end as usize).into_iter().flatten();
                lines.for_each(|line| hasher.update(line.as_bytes()));
            }
            hasher.finish()
        };
        self.tests().iter().map(digest).collect()
    }

    /// Returns the directories that need the index shield, or `None` if it is not possible. `outside` are the toolchain
    /// and the module cache, whose files do not change.
    pub(crate) fn shielded_directories(&self, outside: &[PathBuf]) -> Option<BTreeSet<PathBuf>> {
        if !self.header.may_be_shielded {
            return None;
        }
        let directories = source_directories(&self.stored.files, outside);
        let directories = directories.into_iter().map(Path::to_owned).collect();
        are_real(&directories).then_some(directories)
    }

    /// Returns the inputs of a build: all files, by their names in keys. The digest of their tree is made once.
    pub fn inputs(&mut self) -> Result<InputSet, StepError> {
        let root = match self.header.root.as_ref().and_then(|text| text.parse().ok()) {
            Some(root) => root,
            None => {
                let mut tree = Tree::new();
                each_input(&self.base, &self.stored.files, &mut |input| tree.insert(input.path, input.entry))?;
                let root: Digest = tree.root_digest().map_err(|error| StepError::failed(error.to_string()))?;
                self.header.root = Some(root.to_string());
                self.is_worth_storing = true;
                root
            }
        };
        let directories = Arc::clone(&self.stored.directories);
        let files = Arc::clone(&self.stored.files);
        let links = inputs_of(&files).filter(|(_, state)| state.link.is_some());
        let (mut link_stat_digest, mut newest_ns) = (0_u64, 0);
        for way in links.map(|(file, _)| LinkWay::of(&file.path)) {
            link_stat_digest = link_stat_digest.wrapping_add(way.stat_digest());
            newest_ns = way.newest_ns().max(newest_ns);
        }
        let files = ClosureInputs { base: self.base.clone(), files, directories, link_stat_digest, newest_ns };
        Ok(InputSet::known(Some(root), Arc::new(files)))
    }

    /// Returns true if a file or directory of it may have changed at `boundary` or later.
    pub fn is_younger_than(&self, boundary: &MtimeBoundary) -> bool {
        self.stat_digest().any(|fingerprint| !fingerprint.is_older_than(boundary.on(fingerprint.device())))
    }

    /// Returns true if all files have the fingerprints that they have in `other`, and all directories the names. (The
    /// time of a directory changes with names that do not matter, such as those of outputs.)
    pub fn looks_like(&self, other: &Closure) -> bool {
        let files = |closure: &Closure| {
            let files = closure.stored.files.iter();
            files
                .map(|file| (file.path.clone(), file.state.as_ref().map(|state| state.fingerprint)))
                .collect::<Vec<_>>()
        };
        let names = |closure: &Closure| {
            let directories = closure.stored.directories.iter();
            directories.map(|watched| (watched.path.clone(), watched.listing)).collect::<Vec<_>>()
        };
        files(self) == files(other) && names(self) == names(other)
    }

    /// Returns the fingerprints of all files and directories.
    fn stat_digest(&self) -> impl Iterator<Item = &Fingerprint> {
        let files = self.stored.files.iter().filter_map(|file| Some(&file.state.as_ref()?.fingerprint));
        files.chain(self.stored.directories.iter().filter_map(|watched| watched.fingerprint.as_ref()))
    }

    /// Returns true if the file at `path`, or one below it, is in the closure.
    pub fn reads(&self, path: &Path) -> bool {
        inputs_of(&self.stored.files).any(|(file, _)| file.path.starts_with(path))
    }
}

/// The files of a closure as inputs of a step.
struct ClosureInputs {
    base: PathBuf,
    files: Arc<Vec<SourceFile>>,
    directories: Arc<Vec<WatchedDirectory>>,
    /// That of the links on the way to files.
    link_stat_digest: u64,
    /// Last change of the links.
    newest_ns: i128,
}

impl KnownInputs for ClosureInputs {
    fn each(&self, visit: &mut dyn FnMut(Input)) {
        // Names were checked when the digest of the tree was made.
        let _ = each_input(&self.base, &self.files, visit);
    }

    fn stat_digest(&self) -> u64 {
        let files = inputs_of(&self.files).map(|(_, state)| state.fingerprint.stat_digest());
        files.fold(self.link_stat_digest, u64::wrapping_add)
    }

    fn each_directory(&self, visit: &mut dyn FnMut(&Path, &Fingerprint)) {
        for watched in self.directories.iter() {
            if let Some(fingerprint) = &watched.fingerprint {
                visit(&watched.path, fingerprint);
            }
        }
    }

    fn newest_ns(&self) -> i128 {
        inputs_of(&self.files).map(|(_, state)| state.fingerprint.ctime_ns()).max().unwrap_or(0).max(self.newest_ns)
    }
}

/// Returns the files that are inputs, with their states.
fn inputs_of(files: &[SourceFile]) -> impl Iterator<Item = (&SourceFile, &FileState)> {
    files.iter().filter(|file| file.role.is_input()).filter_map(|file| Some((file, file.state.as_ref()?)))
}

/// Calls `visit` with the files as inputs; a link counts as two, its text and its target.
fn each_input(base: &Path, files: &[SourceFile], visit: &mut dyn FnMut(Input)) -> Result<(), StepError> {
    // Files are sorted, so those of a directory come together, and its name is made once.
    let mut last: Option<(&Path, RelativePath)> = None;
    for (file, state) in inputs_of(files) {
        let path = match (file.path.parent().filter(|parent| !base.starts_with(parent)), RelativePath::new(file.name()))
        {
            (Some(parent), Ok(name)) => {
                if last.as_ref().is_none_or(|(directory, _)| *directory != parent) {
                    last = Some((parent, key_path(base, parent)?));
                }
                let (_, directory) = last.as_ref().expect("just set");
                directory.join(&name)
            }
            _ => key_path(base, &file.path)?,
        };
        let entry = Entry::file(state.digest, state.fingerprint.is_executable());
        if let Some(target) = &state.link {
            let behind = Input::name_behind_link(&path);
            visit(Input { path, absolute: file.path.clone(), entry: Entry::Symlink { target: target.clone() } });
            visit(Input { path: behind, absolute: file.path.clone(), entry });
        } else {
            visit(Input { path, absolute: file.path.clone(), entry });
        }
    }
    Ok(())
}

/// Returns the name of a file in keys: relative to `base`, with `@up` for each step out of it.
pub fn key_path(base: &Path, path: &Path) -> Result<RelativePath, StepError> {
    let mut base = base;
    let mut climbed = String::new();
    loop {
        if let Ok(rest) = path.strip_prefix(base) {
            let rest =
                rest.to_str().ok_or_else(|| StepError::failed(format!("`{}` is not valid UTF-8", path.display())))?;
            return RelativePath::new(&format!("{climbed}{rest}"))
                .map_err(|error| StepError::failed(error.to_string()));
        }
        climbed.push_str("@up/");
        base = base.parent().ok_or_else(|| StepError::failed(format!("`{}` has no place in a key", path.display())))?;
    }
}

/// Reads all gathered files.
fn into_closure(
    gathered: Gathered,
    query: &ClosureQuery,
    outside: &[PathBuf],
    boundary: &MtimeBoundary,
) -> Result<Closure, StepError> {
    // Directories first: an edit between the two reads then shows as a change.
    let watched = gathered.watched.into_iter();
    let directories = watched.map(|(path, names)| WatchedDirectory::read(path, names, boundary)).collect();
    let directories = Arc::new(directories);
    let mut paths: BTreeMap<PathBuf, FileRole> = BTreeMap::new();
    paths.extend(gathered.deciders.into_iter().map(|path| (path, FileRole::Decider)));
    paths.extend(gathered.files.into_iter().map(|path| (path, FileRole::Source)));
    paths.extend(gathered.module_files.iter().map(|path| (path.clone(), FileRole::Module)));
    let paths: Vec<(PathBuf, FileRole)> = paths.into_iter().collect();
    if let Some((path, _)) = paths.iter().find(|(path, _)| path.to_str().is_none()) {
        return Err(StepError::failed(format!("`{}` is not valid UTF-8", path.display())));
    }
    let files = read_all(&paths, boundary).map_err(|(path, error)| StepError::unreadable(&path, &error))?;
    let places: Vec<&Path> = files.iter().map(|file| file.path.as_path()).collect();
    let tests = match query.scope {
        Scope::Test => gathered.parts.packages(&places, &gathered.module_files),
        Scope::Build | Scope::Vet => Vec::new(),
    };
    // With cgo the go command treats an overlay in ways of its own.
    let may_be_shielded = !gathered.uses_cgo && may_shield(&source_directories(&files, outside), &gathered.embeds);
    let header = Header {
        query: query.digest().to_string(),
        mains: gathered.mains.into_iter().collect(),
        uses_cgo: gathered.uses_cgo,
        may_be_shielded,
        c_directories: gathered.c_directories.into_iter().collect(),
        modules: gathered.modules.into_iter().collect(),
        unhashed: gathered
            .unhashed
            .into_iter()
            .map(|(package, of)| (package, of.by_c, of.files.into_iter().collect()))
            .collect(),
        untracked: gathered.untracked,
        tests,
        root: None,
    };
    let stored = ClosureFile { header: Vec::new(), boundary: Some(*boundary), directories, files: Arc::new(files) };
    Ok(Closure::of(stored, header, &query.base, true))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::closure_query::Scope;

    /// A stored closure is believed by its fingerprints, unless a clock went back: then the same fingerprints occur a
    /// second time.
    #[test]
    fn a_clock_that_went_back_ends_belief() {
        let directory = std::env::temp_dir().join(format!("rondel-closure-{}", std::process::id()));
        let query = ClosureQuery {
            module: directory.join("module"),
            base: directory.join("module"),
            go_work: None,
            packages: vec!["./cmd".to_owned()],
            scope: Scope::Build,
            settings: BTreeMap::new(),
            workspace: directory.clone(),
            c_flags: Vec::new(),
        };
        fs::create_dir_all(query.module.join("cmd")).unwrap();
        fs::write(query.module.join("go.mod"), "module example.com/x\n").unwrap();
        fs::write(query.module.join("cmd/main.go"), "package main\n").unwrap();
        let snapshot = StatSnapshot::open(&directory.join("snapshot"));
        snapshot.ask_clock_in(&directory.join("tmp"));
        snapshot.wait_for_next_tick();
        let package = serde_json::json!({
            "ImportPath": "example.com/x/cmd", "Dir": query.module.join("cmd"), "Name": "main", "GoFiles": ["main.go"],
        });
        let mut closure =
            Closure::from_list(&query, package.to_string().as_bytes(), &[], &snapshot, &|_| unreachable!()).unwrap();
        let digest_of = |closure: &Closure| {
            let found = closure.stored.files.iter().find(|file| file.name() == "main.go").unwrap();
            found.state.as_ref().unwrap().digest
        };
        // As if an edit had left the fingerprints as they were.
        let other = Digest::of(b"something else");
        let files = Arc::make_mut(&mut closure.stored.files);
        files.iter_mut().find(|file| file.name() == "main.go").unwrap().state.as_mut().unwrap().digest = other;
        let remembered = directory.join("closure");
        for (ahead_ns, believed) in [(0_i64, other), (3_600_000_000_000, Digest::of(b"package main\n"))] {
            let mut bytes = snapshot.mtime_boundary().to_bytes();
            let time_ns = i64::from_le_bytes(bytes[8..16].try_into().unwrap()) + ahead_ns;
            bytes[8..16].copy_from_slice(&time_ns.to_le_bytes());
            closure.stored.boundary = Some(MtimeBoundary::from_bytes(&bytes));
            closure.is_worth_storing = true;
            closure.remember(&remembered, &directory).unwrap();
            let now = StatSnapshot::open(&directory.join("snapshot"));
            now.ask_clock_in(&directory.join("tmp"));
            assert_eq!(digest_of(&Closure::recall(&remembered, &query, &now).unwrap()), believed, "{ahead_ns}");
        }
        fs::remove_dir_all(directory).unwrap();
    }
}
