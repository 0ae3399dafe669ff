//! What `go list` says of the packages of a build: which files it would read, and which directories decide that.
//!
//! Knows nothing of what is remembered of it, see `closure`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use rondel_cas::{TEXT_MAX, read_text_at_most};
use rondel_engine::StepError;
use serde::Deserialize;

use crate::closure_query::{ClosureQuery, Scope};
use crate::go_mod::GoMod;
use crate::name_dependencies::{Names, embed_directories, with_all_below};

/// What is gathered from the packages.
#[derive(Default)]
pub(crate) struct Gathered {
    pub files: BTreeSet<PathBuf>,
    pub module_files: BTreeSet<PathBuf>,
    pub watched: BTreeSet<(PathBuf, Names)>,
    pub mains: BTreeMap<String, PathBuf>,
    pub uses_cgo: bool,
    pub c_directories: BTreeSet<PathBuf>,
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
    ignored_go_files: Vec<String>,
    ignored_other_files: Vec<String>,
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
IgnoredGoFiles,IgnoredOtherFiles,EmbedFiles,TestGoFiles,XTestGoFiles,TestEmbedFiles,XTestEmbedFiles";

/// The arguments of the `go list` that answers a query; `flags` are those of the build (`-tags`, `-mod`).
pub fn list_arguments(query: &ClosureQuery, flags: &[String]) -> Vec<String> {
    let mut arguments = vec!["list".to_owned(), "-e".to_owned(), "-deps".to_owned(), FIELDS.to_owned()];
    if query.scope == Scope::Vet {
        arguments.push("-test".to_owned());
    }
    arguments.extend(flags.iter().cloned());
    arguments.push("--".to_owned());
    arguments.extend(query.packages.iter().cloned());
    arguments
}

/// Gathers what `go list` printed. `outside` are the directories whose files are pinned otherwise.
pub(crate) fn gather(query: &ClosureQuery, output: &[u8], outside: &[PathBuf]) -> Result<Gathered, StepError> {
    let mut gathered = Gathered { module_files: module_files(query), ..Gathered::default() };
    let mut errors = Vec::new();
    for package in serde_json::Deserializer::from_slice(output).into_iter::<Package>() {
        let package = package
            .map_err(|error| StepError::failed(format!("`go list` printed something else than expected: {error}")))?;
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
    Ok(gathered)
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
        let vet_lists = [
            &package.test_go_files,
            &package.x_test_go_files,
            &package.test_embed_files,
            &package.x_test_embed_files,
            &package.ignored_go_files,
            &package.ignored_other_files,
        ];
        // Of packages that are only imported, tests are not looked at.
        let is_vetted = query.scope == Scope::Vet && !package.dep_only;
        let names = lists.into_iter().chain(vet_lists.into_iter().filter(|_| is_vetted)).flatten();
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
        self.watched.insert((package.dir.clone(), if is_vetted { Names::SourcesAndTests } else { Names::Sources }));
        let test_patterns =
            package.test_embed_patterns.iter().chain(&package.x_test_embed_patterns).filter(|_| is_vetted);
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
        let read = read_text_at_most(go_work, TEXT_MAX).map(|text| GoMod::parse(&text)).unwrap_or_default();
        files.extend([go_work.clone(), base.join("go.work.sum"), base.join("vendor/modules.txt")]);
        open.extend(read.uses.iter().chain(&read.replaced_by).map(|directory| base.join(directory)));
    }
    let mut seen = BTreeSet::new();
    while let Some(directory) = open.pop() {
        let directory = lexically(&directory);
        if !seen.insert(directory.clone()) {
            continue;
        }
        let text = read_text_at_most(&directory.join("go.mod"), TEXT_MAX).unwrap_or_default();
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
