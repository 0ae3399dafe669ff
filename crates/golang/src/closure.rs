//! The closure of a build: exactly the files that `go` would read, as `go list` names them.
//!
//! A closure is remembered in the workspace and believed as long as nothing has changed that `go list` looks
//! at: the question itself, go.mod and its kin, the names in the directories concerned, and the heads of the
//! source files. The files' contents are not part of this; they are inputs of the step.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use rondel_cas::{Digest, StatSnapshot, write_atomically};
use rondel_engine::StepError;
use serde::{Deserialize, Serialize};

use crate::go_mod::GoMod;
use crate::head::head_digest;
use crate::watch::{Names, Watched, embed_directories};

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
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Closure {
    query: Digest,
    /// go.mod, go.sum, vendor/modules.txt and the go.mod of each replaced module, with their digests (or none
    /// if the file is not there).
    module_files: BTreeMap<PathBuf, Option<Digest>>,
    watched: Vec<Watched>,
    /// Go files: digest of the contents when the head was taken, and of the head.
    heads: BTreeMap<PathBuf, (Digest, Digest)>,
    /// All files but those of `module_files`.
    pub files: BTreeSet<PathBuf>,
    /// Import paths of the main packages, with their directories.
    pub mains: BTreeMap<String, PathBuf>,
    /// Import path prefix of the module.
    pub module_path: String,
    /// Does a package of the closure use cgo?
    pub uses_cgo: bool,
    /// Directories outside of the tree that `#cgo` lines name with `-I` and `-L`.
    pub c_directories: BTreeSet<PathBuf>,
    /// Directories of the modules in the module cache.
    pub modules: BTreeSet<PathBuf>,
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
    path: String,
    main: bool,
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
        let text = serde_json::to_string(&(3, &self.module, &self.go_work, &self.packages, self.tests, &self.settings));
        Digest::of(text.expect("plain data").as_bytes())
    }
}

impl Closure {
    /// The remembered closure, if it still answers `query`; else why not, in words.
    pub fn recall(file: &Path, query: &ClosureQuery, snapshot: &StatSnapshot) -> Result<Closure, String> {
        let stored = fs::read(file).ok().and_then(|bytes| serde_json::from_slice::<Closure>(&bytes).ok());
        let closure = stored.ok_or("the packages are not known yet")?;
        if closure.query != query.digest() {
            return Err("the packages are asked for in another way".to_owned());
        }
        let relative = |path: &Path| path.strip_prefix(&query.module).unwrap_or(path).display().to_string();
        for (path, digest) in &closure.module_files {
            if file_digest(path, snapshot) != *digest {
                return Err(format!("{} changed", relative(path)));
            }
        }
        for (path, (contents, head)) in &closure.heads {
            let now = file_digest(path, snapshot);
            if now.is_none() {
                return Err(format!("{} is gone", relative(path)));
            }
            if now != Some(*contents) && fs::read(path).map(|source| head_digest(&source)).ok() != Some(*head) {
                return Err(format!("{} changed", relative(path)));
            }
        }
        if let Some(watched) = closure.watched.iter().find(|watched| !watched.holds()) {
            let name = relative(&watched.directory);
            let name = if name.is_empty() { ".".to_owned() } else { name };
            return Err(format!("files came or went in {name}"));
        }
        Ok(closure)
    }

    /// Remembers the closure.
    pub fn remember(&self, file: &Path) -> std::io::Result<()> {
        write_atomically(file, &serde_json::to_vec(self).expect("plain data"))
    }

    /// Makes the closure of what `go list` printed. `outside` are the directories whose files are pinned
    /// otherwise: the toolchain and the module cache.
    pub fn from_list(
        query: &ClosureQuery,
        output: &[u8],
        outside: &[PathBuf],
        snapshot: &StatSnapshot,
    ) -> Result<Closure, StepError> {
        let mut closure = Closure {
            query: query.digest(),
            module_files: BTreeMap::new(),
            watched: Vec::new(),
            heads: BTreeMap::new(),
            files: BTreeSet::new(),
            mains: BTreeMap::new(),
            module_path: String::new(),
            uses_cgo: false,
            c_directories: BTreeSet::new(),
            modules: BTreeSet::new(),
        };
        let mut watched: BTreeSet<(PathBuf, Names)> = BTreeSet::new();
        let mut module_files = module_files(query);
        let mut errors = Vec::new();
        for package in serde_json::Deserializer::from_slice(output).into_iter::<Package>() {
            let package = package.map_err(|error| {
                StepError::failed(format!("`go list` printed something else than expected: {error}"))
            })?;
            if let Some(error) = &package.error {
                let place = if error.pos.is_empty() { String::new() } else { format!("{}: ", error.pos) };
                errors.push(format!("{place}{}", error.err.trim()));
            }
            if !package.standard && !package.cgo_files.is_empty() {
                closure.uses_cgo = true;
                closure.add_c_directories(&package);
            }
            if package.name == "main" && !package.dep_only && !package.import_path.ends_with(".test") {
                closure.mains.insert(package.import_path.clone(), package.dir.clone());
            }
            if let Some(module) = package.module.as_ref().filter(|module| module.main) {
                closure.module_path.clone_from(&module.path);
            }
            let module = package.module.as_ref().map(|module| module.dir.clone()).unwrap_or_default();
            if !package.standard && outside.iter().any(|directory| module.starts_with(directory)) {
                closure.modules.insert(module);
            }
            let elsewhere = package.dir.as_os_str().is_empty()
                || outside.iter().any(|directory| package.dir.starts_with(directory));
            if !package.standard && !elsewhere {
                closure.add_package(&package, query, &mut watched, &mut module_files);
            }
        }
        if !errors.is_empty() {
            errors.dedup();
            let excluded = errors.iter().any(|error| {
                error.contains("build constraints exclude all Go files") || error.starts_with("no Go files in")
            });
            let hint = "a package that needs cgo has no files without it: write `cgo: true`, if that is why";
            return Err(StepError::Command {
                summary: format!("go list {}", query.packages.join(" ")),
                status: "errors".to_owned(),
                output: errors,
                told: 0,
                hint: excluded.then(|| hint.to_owned()),
            });
        }
        for pattern in query.packages.iter().filter(|pattern| pattern.contains("...")) {
            let base = pattern.split("...").next().unwrap_or("").trim_start_matches("./");
            let base = base.rsplit_once('/').map_or("", |(directory, _)| directory);
            watched.insert((query.module.join(base), Names::Packages));
        }
        closure.watched = watched.into_iter().map(|(directory, names)| Watched::look(&directory, names)).collect();
        closure.module_files =
            module_files.into_iter().map(|path| (path.clone(), file_digest(&path, snapshot))).collect();
        for path in closure.files.iter().filter(|path| path.extension().is_some_and(|ending| ending == "go")) {
            let source = fs::read(path).map_err(|error| StepError::unreadable(path, &error))?;
            closure.heads.insert(path.clone(), (Digest::of(&source), head_digest(&source)));
        }
        Ok(closure)
    }

    fn add_package(
        &mut self,
        package: &Package,
        query: &ClosureQuery,
        watched: &mut BTreeSet<(PathBuf, Names)>,
        module_files: &mut BTreeSet<PathBuf>,
    ) {
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
            watched.insert((package.dir.clone(), Names::AllBelow));
            self.files.extend(headers_below(&package.dir));
        }
        let profile = package.dir.join("default.pgo");
        if package.name == "main" && profile.is_file() {
            self.files.insert(profile);
        }
        watched.insert((package.dir.clone(), if query.tests { Names::SourcesAndTests } else { Names::Sources }));
        let test_patterns =
            package.test_embed_patterns.iter().chain(&package.x_test_embed_patterns).filter(|_| query.tests);
        for pattern in package.embed_patterns.iter().chain(test_patterns) {
            watched.extend(embed_directories(&package.dir, pattern));
        }
        module_files.extend(package.module.as_ref().and_then(|module| module.go_mod.clone()));
    }

    fn add_c_directories(&mut self, package: &Package) {
        let flags = package.cgo_c_flags.iter().chain(&package.cgo_cpp_flags).chain(&package.cgo_ld_flags);
        self.c_directories.extend(flags.filter_map(|flag| c_directory(flag)));
    }

    /// go.mod and its kin, as far as they exist.
    pub fn module_files(&self) -> impl Iterator<Item = &PathBuf> {
        self.module_files.iter().filter(|(_, digest)| digest.is_some()).map(|(path, _)| path)
    }
}

fn file_digest(path: &Path, snapshot: &StatSnapshot) -> Option<Digest> {
    let metadata = fs::metadata(path).ok()?;
    snapshot.digest(path, &metadata).ok()
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
