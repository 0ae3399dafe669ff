//! The closure of a build: exactly the files that `go` would read, as `go list` names them.
//!
//! A closure is remembered in the workspace and believed as long as nothing has changed that `go list` looks
//! at: the question itself, go.mod and its kin, the names in the directories concerned, and the heads of the
//! source files. The files' contents are not part of this; they are inputs of the step.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rondel_cas::{Digest, Entry, Fingerprint, Horizon, RelativePath, StatSnapshot, Tree, write_atomically};
use rondel_engine::{Input, InputSet, KnownInputs, StepError};
use serde::Deserialize;

use crate::closure_file::{FoundFile, Header, Looked, Stored, WatchedDirectory, read_all};
use crate::go_mod::GoMod;
use crate::watch::{Names, embed_directories, with_all_below};

/// What is asked, in full: whatever changes the answer of `go list` besides the tree itself.
#[derive(Clone, Debug)]
pub struct ClosureQuery {
    /// Directory of go.mod.
    pub module: PathBuf,
    /// The go.work that is in force.
    pub go_work: Option<PathBuf>,
    /// Package patterns.
    pub packages: Vec<String>,
    /// With the packages' tests?
    pub tests: bool,
    /// Everything else by name: platform, tags, toolchain, mode.
    pub settings: BTreeMap<String, String>,
}

/// The files of a closure.
#[derive(Clone, Debug)]
pub struct Closure {
    stored: Stored,
    /// Directory of go.mod: names in keys are relative to it.
    base: PathBuf,
    /// Is there something to be remembered for the next time?
    is_worth_remembering: bool,
    /// Import paths of the main packages, with their directories.
    pub mains: BTreeMap<String, PathBuf>,
    /// Does a package of the closure use cgo?
    pub uses_cgo: bool,
    /// Directories outside of the tree that `#cgo` lines name with `-I` and `-L`.
    pub c_directories: BTreeSet<PathBuf>,
    /// Directories of the modules in the module cache.
    pub modules: BTreeSet<PathBuf>,
}

/// What is gathered from the packages.
#[derive(Default)]
struct Gathered {
    files: BTreeSet<PathBuf>,
    module_files: BTreeSet<PathBuf>,
    watched: BTreeSet<(PathBuf, Names)>,
    mains: BTreeMap<String, PathBuf>,
    uses_cgo: bool,
    c_directories: BTreeSet<PathBuf>,
    modules: BTreeSet<PathBuf>,
}

/// A package as `go list -json` describes it; the fields asked for.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[derive(Default)]
struct Package {
    import_path: String,
    dir: PathBuf,
    name: String,
    standard: bool,
    dep_only: bool,
    module: Option<Module>,
    error: Option<PackageError>,
    embed_patterns: Vec<String>,
    test_embed_patterns: Vec<String>,
    x_test_embed_patterns: Vec<String>,
    go_files: Vec<String>,
    cgo_files: Vec<String>,
    #[serde(rename = "CgoCFLAGS")]
    cgo_c_flags: Vec<String>,
    #[serde(rename = "CgoCPPFLAGS")]
    cgo_cpp_flags: Vec<String>,
    #[serde(rename = "CgoLDFLAGS")]
    cgo_ld_flags: Vec<String>,
    c_files: Vec<String>,
    #[serde(rename = "CXXFiles")]
    cxx_files: Vec<String>,
    m_files: Vec<String>,
    h_files: Vec<String>,
    f_files: Vec<String>,
    s_files: Vec<String>,
    swig_files: Vec<String>,
    #[serde(rename = "SwigCXXFiles")]
    swig_cxx_files: Vec<String>,
    syso_files: Vec<String>,
    embed_files: Vec<String>,
    test_go_files: Vec<String>,
    #[serde(rename = "XTestGoFiles")]
    x_test_go_files: Vec<String>,
    test_embed_files: Vec<String>,
    #[serde(rename = "XTestEmbedFiles")]
    x_test_embed_files: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[derive(Default)]
struct Module {
    dir: PathBuf,
    go_mod: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PackageError {
    err: String,
    #[serde(default)]
    pos: String,
}

const FIELDS: &str = "-json=ImportPath,Dir,Name,Standard,DepOnly,Module,Error,EmbedPatterns,TestEmbedPatterns,\
XTestEmbedPatterns,GoFiles,CgoFiles,CgoCFLAGS,CgoCPPFLAGS,CgoLDFLAGS,CFiles,CXXFiles,MFiles,HFiles,FFiles,SFiles,SwigFiles,SwigCXXFiles,SysoFiles,\
EmbedFiles,TestGoFiles,XTestGoFiles,TestEmbedFiles,XTestEmbedFiles";

/// The arguments of the `go list` that answers a query; `flags` are those of the build (`-tags`, `-mod`).
pub fn list_arguments(query: &ClosureQuery, flags: &[String]) -> Vec<String> {
    let mut arguments = vec!["list".to_owned(), "-e".to_owned(), "-deps".to_owned(), FIELDS.to_owned()];
    if query.tests {
        arguments.push("-test".to_owned());
    }
    arguments.extend(flags.iter().cloned());
    arguments.push("--".to_owned());
    arguments.extend(query.packages.iter().cloned());
    arguments
}

impl ClosureQuery {
    fn digest(&self) -> Digest {
        let text = serde_json::to_string(&(4, &self.module, &self.go_work, &self.packages, self.tests, &self.settings));
        Digest::of(text.expect("plain data").as_bytes())
    }
}

impl Closure {
    /// The remembered closure, if it still answers `query`; else why not, in words. `snapshot` tells the time.
    pub fn recall(file: &Path, query: &ClosureQuery, snapshot: &StatSnapshot) -> Result<Closure, String> {
        let stored = fs::read(file).ok().and_then(|bytes| Stored::decode(&bytes));
        let mut stored = stored.ok_or("the packages are not known yet")?;
        // Where a clock went back, times come a second time.
        stored.horizon = stored.horizon.filter(|before| !snapshot.begun().went_back_since(before));
        Closure::of(stored, &query.module, false).again(query, snapshot)
    }

    /// The same closure held against the tree again, if it still answers `query`; else why not, in words.
    pub fn again(self, query: &ClosureQuery, snapshot: &StatSnapshot) -> Result<Closure, String> {
        let Closure { mut stored, is_worth_remembering: was_worth, .. } = self;
        if stored.header.query != query.digest().to_string() {
            return Err("the packages are asked for in another way".to_owned());
        }
        let is_worth_remembering = match stored.look_again(&query.module, snapshot) {
            Looked::Same { is_worth_storing } => is_worth_storing || was_worth,
            Looked::Edited => {
                stored.header.root = None;
                true
            }
            Looked::Stale(why) => return Err(why),
        };
        Ok(Closure::of(stored, &query.module, is_worth_remembering))
    }

    fn of(stored: Stored, base: &Path, is_worth_remembering: bool) -> Closure {
        let header = &stored.header;
        Closure {
            mains: header.mains.iter().cloned().collect(),
            uses_cgo: header.uses_cgo,
            c_directories: header.c_directories.iter().cloned().collect(),
            modules: header.modules.iter().cloned().collect(),
            base: base.to_owned(),
            stored,
            is_worth_remembering,
        }
    }

    /// Remembers the closure, if there is anything new to it; `scratch` is where files are written first.
    pub fn remember(&mut self, file: &Path, scratch: &Path) -> std::io::Result<()> {
        if !std::mem::take(&mut self.is_worth_remembering) {
            return Ok(());
        }
        write_atomically(scratch, file, &self.stored.encode())
    }

    /// Makes the closure of what `go list` printed. `outside` are the directories whose files are pinned
    /// otherwise: the toolchain and the module cache.
    pub fn from_list(
        query: &ClosureQuery,
        output: &[u8],
        outside: &[PathBuf],
        snapshot: &StatSnapshot,
    ) -> Result<Closure, StepError> {
        let mut gathered = Gathered { module_files: module_files(query), ..Gathered::default() };
        let mut errors = Vec::new();
        for package in serde_json::Deserializer::from_slice(output).into_iter::<Package>() {
            let package = package.map_err(|error| {
                StepError::failed(format!("`go list` printed something else than expected: {error}"))
            })?;
            if let Some(error) = &package.error {
                let place = if error.pos.is_empty() { String::new() } else { format!("{}: ", error.pos) };
                errors.push(format!("{place}{}", error.err.trim()));
            }
            gathered.add(&package, query, outside);
        }
        if !errors.is_empty() {
            return Err(list_errors(query, errors));
        }
        for pattern in query.packages.iter().filter(|pattern| pattern.contains("...")) {
            let base = pattern.split("...").next().unwrap_or("").trim_start_matches("./");
            let base = base.rsplit_once('/').map_or("", |(directory, _)| directory);
            gathered.watched.extend(with_all_below(&query.module.join(base), Names::Packages));
        }
        gathered.into_closure(query, &snapshot.horizon())
    }

    /// The inputs of a build: all files, by their names in keys. The digest of their tree is made once.
    pub fn inputs(&mut self) -> Result<InputSet, StepError> {
        let root = match self.stored.header.root.as_ref().and_then(|text| text.parse().ok()) {
            Some(root) => root,
            None => {
                let mut tree = Tree::new();
                each_input(&self.base, &self.stored.files, &mut |input| tree.insert(input.path, input.entry))?;
                let root: Digest = tree.root_digest().map_err(|error| StepError::failed(error.to_string()))?;
                self.stored.header.root = Some(root.to_string());
                self.is_worth_remembering = true;
                root
            }
        };
        let watched = self.stored.directories.iter().filter_map(|watched| watched.fingerprint);
        let (mut directory_looks, mut newest_ns) = (0_u64, 0);
        for fingerprint in watched {
            directory_looks = directory_looks.wrapping_add(fingerprint.looks());
            newest_ns = fingerprint.ctime_ns().max(newest_ns);
        }
        let files = Arc::clone(&self.stored.files);
        let files = ClosureInputs { base: self.base.clone(), files, directory_looks, newest_ns };
        Ok(InputSet::known(Some(root), Arc::new(files)))
    }

    /// May a file or directory of it have changed at `horizon` or later?
    pub fn is_younger_than(&self, horizon: &Horizon) -> bool {
        self.looks().any(|looks| !looks.is_older_than(horizon.on(looks.device())))
    }

    /// Does everything look as it does in `other`?
    pub fn looks_like(&self, other: &Closure) -> bool {
        self.looks().eq(other.looks())
    }

    /// Of all files and directories.
    fn looks(&self) -> impl Iterator<Item = &Fingerprint> {
        let files = self.stored.files.iter().filter_map(|file| Some(&file.state.as_ref()?.fingerprint));
        files.chain(self.stored.directories.iter().filter_map(|watched| watched.fingerprint.as_ref()))
    }

    /// Is the file at `path`, or one below it, in the closure?
    pub fn reads(&self, path: &Path) -> bool {
        self.stored.files.iter().any(|file| file.path.starts_with(path))
    }
}

/// The files of a closure as inputs of a step.
struct ClosureInputs {
    base: PathBuf,
    files: Arc<Vec<FoundFile>>,
    directory_looks: u64,
    /// Of the directories.
    newest_ns: i128,
}

impl KnownInputs for ClosureInputs {
    fn each(&self, visit: &mut dyn FnMut(Input)) {
        // Names were checked when the digest of the tree was made.
        let _ = each_input(&self.base, &self.files, visit);
    }

    fn looks(&self) -> u64 {
        let states = self.files.iter().filter_map(|file| file.state.as_ref());
        states.fold(0, |sum: u64, state| sum.wrapping_add(state.fingerprint.looks()))
    }

    fn directory_looks(&self) -> u64 {
        self.directory_looks
    }

    fn newest_ns(&self) -> i128 {
        let states = self.files.iter().filter_map(|file| file.state.as_ref());
        states.map(|state| state.fingerprint.ctime_ns()).max().unwrap_or(0).max(self.newest_ns)
    }
}

/// Files as inputs; a link as two, the text it holds and what it leads to.
fn each_input(base: &Path, files: &[FoundFile], visit: &mut dyn FnMut(Input)) -> Result<(), StepError> {
    // Files are sorted: those of a directory come together, and its name is made once.
    let mut last: Option<(&Path, RelativePath)> = None;
    for file in files {
        let Some(state) = &file.state else { continue };
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
        let entry = Entry::File { digest: state.digest, executable: state.fingerprint.is_executable() };
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

/// The name of a file in keys: relative to `base`, `@up` for each step out of it.
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

fn list_errors(query: &ClosureQuery, mut errors: Vec<String>) -> StepError {
    errors.dedup();
    let excluded = errors
        .iter()
        .any(|error| error.contains("build constraints exclude all Go files") || error.starts_with("no Go files in"));
    let hint = "a package that needs cgo has no files without it: write `cgo: true`, if that is why";
    StepError::Command {
        summary: format!("go list {}", query.packages.join(" ")),
        status: "errors".to_owned(),
        output: errors,
        told: 0,
        hint: excluded.then(|| hint.to_owned()),
    }
}

impl Gathered {
    fn add(&mut self, package: &Package, query: &ClosureQuery, outside: &[PathBuf]) {
        if !package.standard && !package.cgo_files.is_empty() {
            self.uses_cgo = true;
            let flags = package.cgo_c_flags.iter().chain(&package.cgo_cpp_flags).chain(&package.cgo_ld_flags);
            self.c_directories.extend(flags.filter_map(|flag| c_directory(flag)));
        }
        if package.name == "main" && !package.dep_only && !package.import_path.ends_with(".test") {
            self.mains.insert(package.import_path.clone(), package.dir.clone());
        }
        let module = package.module.as_ref().map(|module| module.dir.clone()).unwrap_or_default();
        if !package.standard && outside.iter().any(|directory| module.starts_with(directory)) {
            self.modules.insert(module);
        }
        let elsewhere =
            package.dir.as_os_str().is_empty() || outside.iter().any(|directory| package.dir.starts_with(directory));
        if !package.standard && !elsewhere {
            self.add_package(package, query);
        }
    }

    fn into_closure(self, query: &ClosureQuery, horizon: &Horizon) -> Result<Closure, StepError> {
        // Directories first: what comes between the two looks is then seen as a change.
        let watched = self.watched.into_iter();
        let directories = watched.map(|(path, names)| WatchedDirectory::look(path, names, horizon)).collect();
        let mut paths: BTreeMap<PathBuf, bool> = self.files.into_iter().map(|path| (path, false)).collect();
        paths.extend(self.module_files.into_iter().map(|path| (path, true)));
        let paths: Vec<(PathBuf, bool)> = paths.into_iter().collect();
        if let Some((path, _)) = paths.iter().find(|(path, _)| path.to_str().is_none()) {
            return Err(StepError::failed(format!("`{}` is not valid UTF-8", path.display())));
        }
        let files = read_all(&paths, horizon).map_err(|(path, error)| StepError::unreadable(&path, &error))?;
        let header = Header {
            query: query.digest().to_string(),
            mains: self.mains.into_iter().collect(),
            uses_cgo: self.uses_cgo,
            c_directories: self.c_directories.into_iter().collect(),
            modules: self.modules.into_iter().collect(),
            root: None,
        };
        Ok(Closure::of(
            Stored { header, horizon: Some(*horizon), directories, files: Arc::new(files) },
            &query.module,
            true,
        ))
    }

    fn add_package(&mut self, package: &Package, query: &ClosureQuery) {
        let lists = [
            &package.go_files,
            &package.cgo_files,
            &package.c_files,
            &package.cxx_files,
            &package.m_files,
            &package.h_files,
            &package.f_files,
            &package.s_files,
            &package.swig_files,
            &package.swig_cxx_files,
            &package.syso_files,
            &package.embed_files,
        ];
        let test_lists =
            [&package.test_go_files, &package.x_test_go_files, &package.test_embed_files, &package.x_test_embed_files];
        let names = lists.into_iter().chain(test_lists.into_iter().filter(|_| query.tests)).flatten();
        // The generated main of a test binary is named by its absolute path in the build cache.
        self.files.extend(names.filter(|name| !Path::new(name).is_absolute()).map(|name| package.dir.join(name)));
        if !package.cgo_files.is_empty() {
            // A C file includes what it likes from below its package.
            self.watched.extend(with_all_below(&package.dir, Names::All));
            self.files.extend(headers_below(&package.dir));
        }
        let profile = package.dir.join("default.pgo");
        if package.name == "main" && profile.is_file() {
            self.files.insert(profile);
        }
        self.watched.insert((package.dir.clone(), if query.tests { Names::SourcesAndTests } else { Names::Sources }));
        let test_patterns =
            package.test_embed_patterns.iter().chain(&package.x_test_embed_patterns).filter(|_| query.tests);
        for pattern in package.embed_patterns.iter().chain(test_patterns) {
            self.watched.extend(embed_directories(&package.dir, pattern));
        }
        self.module_files.extend(package.module.as_ref().and_then(|module| module.go_mod.clone()));
    }
}

/// The directory that `-I…` or `-L…` names absolutely.
pub fn c_directory(flag: &str) -> Option<PathBuf> {
    let path = flag.strip_prefix("-I").or_else(|| flag.strip_prefix("-L")).or_else(|| flag.strip_prefix("-isystem"))?;
    Some(PathBuf::from(path.trim())).filter(|path| path.is_absolute())
}

/// go.mod and its kin: of the module, of those that go.work uses, and of directories that replace modules, which
/// count by what they require even if no package of theirs is used.
fn module_files(query: &ClosureQuery) -> BTreeSet<PathBuf> {
    let mut files = BTreeSet::new();
    let mut open = vec![query.module.clone()];
    if let Some(go_work) = &query.go_work {
        let base = go_work.parent().unwrap_or(Path::new("/"));
        let read = fs::read_to_string(go_work).map(|text| GoMod::parse(&text)).unwrap_or_default();
        files.extend([go_work.clone(), base.join("go.work.sum"), base.join("vendor/modules.txt")]);
        open.extend(read.uses.iter().chain(&read.replaced_by).map(|directory| base.join(directory)));
    }
    let mut seen = BTreeSet::new();
    while let Some(directory) = open.pop() {
        let directory = lexically(&directory);
        if !seen.insert(directory.clone()) {
            continue;
        }
        let text = fs::read_to_string(directory.join("go.mod")).unwrap_or_default();
        open.extend(GoMod::parse(&text).replaced_by.iter().map(|by| directory.join(by)));
        files.extend([directory.join("go.mod"), directory.join("go.sum")]);
    }
    files.insert(query.module.join("vendor/modules.txt"));
    files
}

/// The path without `.` and `..`.
fn lexically(path: &Path) -> PathBuf {
    let mut result = PathBuf::new();
    for component in path.components() {
        match component {
            std::path::Component::CurDir => {}
            std::path::Component::ParentDir => {
                result.pop();
            }
            other => result.push(other),
        }
    }
    result
}

/// Files below `directory` that C sources may include; not those of a module inside it.
fn headers_below(directory: &Path) -> Vec<PathBuf> {
    const ENDINGS: &[&str] =
        &["c", "h", "cc", "cpp", "cxx", "hh", "hpp", "hxx", "inc", "inl", "def", "tcc", "ipp", "x", "td"];
    let mut found = Vec::new();
    let mut open = vec![directory.to_owned()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(&next).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                if !path.join("go.mod").exists() {
                    open.push(path);
                }
            } else if path
                .extension()
                .and_then(|ending| ending.to_str())
                .is_some_and(|ending| ENDINGS.contains(&ending))
            {
                found.push(path);
            }
        }
    }
    found
}
