//! What `go list` says of the packages of a build: which files it would read, and which directories decide that.
//!
//! Knows nothing of what is remembered of it, see `closure`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use rondel_engine::StepError;
use serde::Deserialize;

use crate::closure_query::{ClosureQuery, Scope};
use crate::includes::{Includes, Reader, SearchPath, scan};
use crate::link_inputs::{CFlags, c_directory};
use crate::local_modules::{LocalModules, boundaries};
use crate::test_packages::TestParts;
use rondel_closure::{Names, embed_directories, sources_in, with_all_below};

/// Files of a package that the go command does not hash.
#[derive(Default)]
pub(crate) struct UnhashedFiles {
    /// True if C compilers read them, false if Go's assembler does.
    pub by_c: bool,
    pub files: BTreeSet<PathBuf>,
}

/// What is gathered from the packages.
#[derive(Default)]
pub(crate) struct Gathered {
    pub files: BTreeSet<PathBuf>,
    pub module_files: BTreeSet<PathBuf>,
    /// Files that are no inputs and decide which files are.
    pub deciders: BTreeSet<PathBuf>,
    /// By directory of a package: files that its compilers read and that the go command does not hash.
    pub unhashed: BTreeMap<PathBuf, UnhashedFiles>,
    /// Why the inputs are not all known, in words.
    pub untracked: Option<String>,
    /// Names for pkg-config.
    pub pkg_config: BTreeSet<String>,
    pub watched: BTreeSet<(PathBuf, Names)>,
    pub mains: BTreeMap<String, PathBuf>,
    pub uses_cgo: bool,
    /// Embed patterns of local packages, those of their tests too, with the package's directory.
    pub embeds: BTreeSet<(PathBuf, String)>,
    pub c_directories: BTreeSet<PathBuf>,
    pub modules: BTreeSet<PathBuf>,
    /// What each package is made of, if tests are asked for.
    pub parts: TestParts,
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
    deps: Vec<String>,
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
    #[serde(rename = "CgoCXXFLAGS")]
    cgo_cxx_flags: Vec<String>,
    #[serde(rename = "CgoFFLAGS")]
    cgo_f_flags: Vec<String>,
    #[serde(rename = "CgoLDFLAGS")]
    cgo_ld_flags: Vec<String>,
    cgo_pkg_config: Vec<String>,
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
XTestEmbedPatterns,GoFiles,CgoFiles,CgoCFLAGS,CgoCPPFLAGS,CgoCXXFLAGS,CgoFFLAGS,CgoLDFLAGS,CgoPkgConfig,CFiles,CXXFiles,MFiles,HFiles,FFiles,SFiles,SwigFiles,SwigCXXFiles,SysoFiles,\
IgnoredGoFiles,IgnoredOtherFiles,EmbedFiles,TestGoFiles,XTestGoFiles,TestEmbedFiles,XTestEmbedFiles";

impl Package {
    /// Returns the paths of files. The generated main of a test is named by its absolute path in the build cache.
    fn places<'a>(&'a self, lists: &'a [&'a Vec<String>]) -> impl Iterator<Item = PathBuf> + 'a {
        let names = lists.iter().flat_map(|list| list.iter()).filter(|name| !Path::new(name).is_absolute());
        names.map(|name| self.dir.join(name))
    }
}

/// The arguments of the `go list` that answers a query; `flags` are those of the build (`-tags`, `-mod`).
pub fn list_arguments(query: &ClosureQuery, flags: &[String]) -> Vec<String> {
    let fields = if query.scope == Scope::Test { format!("{FIELDS},Deps") } else { FIELDS.to_owned() };
    let mut arguments = vec!["list".to_owned(), "-e".to_owned(), "-deps".to_owned(), fields];
    if query.scope.has_tests() {
        arguments.push("-test".to_owned());
    }
    arguments.extend(flags.iter().cloned());
    arguments.push("--".to_owned());
    arguments.extend(query.packages.iter().cloned());
    arguments
}

/// Gathers what `go list` printed. `outside` are the directories whose files are pinned otherwise.
pub(crate) fn gather(query: &ClosureQuery, output: &[u8], outside: &[PathBuf]) -> Result<Gathered, StepError> {
    let modules = LocalModules::of(query);
    let mut gathered = Gathered { module_files: modules.files.clone(), ..Gathered::default() };
    gathered.watched.extend(modules.vendor_directories());
    let mut errors = Vec::new();
    for package in serde_json::Deserializer::from_slice(output).into_iter::<Package>() {
        let package = package
            .map_err(|error| StepError::failed(format!("`go list` printed something else than expected: {error}")))?;
        if let Some(error) = &package.error {
            let place = if error.pos.is_empty() { String::new() } else { format!("{}: ", error.pos) };
            errors.push(format!("{place}{}", error.err.trim()));
        }
        gathered.add(&package, query, &modules, outside)?;
    }
    if !errors.is_empty() {
        return Err(list_errors(query, errors));
    }
    let is_wide = |pattern: &&String| pattern.contains("...") || matches!(pattern.as_str(), "all" | "work" | "tool");
    for pattern in query.packages.iter().filter(is_wide) {
        let roots = modules.pattern_roots(query, pattern);
        for (directory, names) in roots.iter().flat_map(|root| with_all_below(root, Names::Packages)) {
            // A package whose files are all excluded is not listed, and one of them may join.
            gathered.deciders.extend(sources_in(&directory));
            gathered.watched.insert((directory, names));
        }
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
    fn add(
        &mut self,
        package: &Package,
        query: &ClosureQuery,
        modules: &LocalModules,
        outside: &[PathBuf],
    ) -> Result<(), StepError> {
        if package.standard {
            return Ok(());
        }
        self.uses_cgo |= !package.cgo_files.is_empty();
        // Of a package with test files alone, no command is made.
        let is_compiled = !package.go_files.is_empty() || !package.cgo_files.is_empty();
        let is_test = package.import_path.ends_with(".test");
        if package.name == "main" && !package.dep_only && !is_test && is_compiled {
            // Of files that are named, the first gives the command its name.
            let file = package.go_files.first().or(package.cgo_files.first()).and_then(|name| name.strip_suffix(".go"));
            let path = match file {
                Some(file) if package.import_path == "command-line-arguments" => {
                    format!("command-line-arguments/{file}")
                }
                _ => package.import_path.clone(),
            };
            self.mains.insert(path, package.dir.clone());
        }
        let module = package.module.as_ref().map(|module| module.dir.clone()).unwrap_or_default();
        if outside.iter().any(|directory| module.starts_with(directory)) {
            self.modules.insert(module);
        }
        self.add_providers(package, modules);
        let elsewhere =
            package.dir.as_os_str().is_empty() || outside.iter().any(|directory| package.dir.starts_with(directory));
        let import_path = &package.import_path;
        if is_test {
            self.parts.add_main(import_path, &package.deps);
        }
        if elsewhere {
            self.parts.add_unit(import_path, BTreeSet::new(), !package.cgo_files.is_empty());
            let flags = package.cgo_c_flags.iter().chain(&package.cgo_cpp_flags).chain(&package.cgo_ld_flags);
            self.c_directories.extend(flags.filter_map(|flag| c_directory(flag)));
            self.pkg_config.extend(package.cgo_pkg_config.iter().cloned());
            return Ok(());
        }
        let mut own = Gathered::default();
        own.add_package(package);
        own.add_includes(package, query, modules, outside);
        self.parts.add_unit(import_path, own.files.clone(), !package.cgo_files.is_empty());
        self.merge(own);
        // Of packages that are only imported, tests are not looked at.
        if query.scope.has_tests() && !package.dep_only {
            self.add_vetted(package);
        }
        self.check_embeds(package)
    }

    /// Adds what was gathered of one package.
    fn merge(&mut self, own: Gathered) {
        self.files.extend(own.files);
        self.module_files.extend(own.module_files);
        self.deciders.extend(own.deciders);
        for (directory, UnhashedFiles { by_c, files }) in own.unhashed {
            let known = self.unhashed.entry(directory).or_default();
            known.by_c = by_c;
            known.files.extend(files);
        }
        self.untracked = self.untracked.take().or(own.untracked);
        self.pkg_config.extend(own.pkg_config);
        self.watched.extend(own.watched);
        self.embeds.extend(own.embeds);
        self.c_directories.extend(own.c_directories);
    }

    /// Watches what decides which module provides the package: go.mod files that could appear between a module and it,
    /// and directories of other modules that would provide it too.
    fn add_providers(&mut self, package: &Package, modules: &LocalModules) {
        // `import/path [for.test]`
        let import_path = package.import_path.split(' ').next().unwrap_or("");
        for (root, directory) in modules.providers(import_path) {
            self.deciders.extend(boundaries(&root, &directory));
            self.watched.insert((directory, Names::Sources));
        }
    }

    /// Refuses to embed Rondel's own state, which is another one after each build.
    fn check_embeds(&self, package: &Package) -> Result<(), StepError> {
        let own = package.embed_files.iter().find(|name| name.split('/').any(|part| part == ".rondel"));
        let Some(name) = own else { return Ok(()) };
        let message = format!("`{}` embeds `{name}`, which Rondel writes itself", package.import_path);
        Err(StepError::input(message).hint("write an embed pattern that does not match `.rondel`"))
    }

    fn add_package(&mut self, package: &Package) {
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
        self.files.extend(package.places(&lists));
        let profile = package.dir.join("default.pgo");
        if package.name == "main" && profile.exists() && !profile.is_dir() {
            self.files.insert(profile);
        }
        // Also what constraints exclude, and tests: their constraints and package clauses decide.
        self.deciders.extend(sources_in(&package.dir));
        self.watched.insert((package.dir.clone(), Names::Sources));
        let test_patterns = package.test_embed_patterns.iter().chain(&package.x_test_embed_patterns);
        let all_patterns = package.embed_patterns.iter().chain(test_patterns);
        self.embeds.extend(all_patterns.map(|pattern| (package.dir.clone(), pattern.clone())));
        for pattern in &package.embed_patterns {
            self.watched.extend(embed_directories(&package.dir, pattern));
        }
        self.module_files.extend(package.module.as_ref().and_then(|module| module.go_mod.clone()));
    }

    /// Adds tests of a package that a pattern named, and what constraints exclude: vet looks at it.
    fn add_vetted(&mut self, package: &Package) {
        let lists = [
            &package.test_go_files,
            &package.x_test_go_files,
            &package.test_embed_files,
            &package.x_test_embed_files,
            &package.ignored_go_files,
            &package.ignored_other_files,
        ];
        let vetted: Vec<PathBuf> = package.places(&lists).collect();
        self.files.extend(vetted.iter().cloned());
        for pattern in package.test_embed_patterns.iter().chain(&package.x_test_embed_patterns) {
            self.watched.extend(embed_directories(&package.dir, pattern));
        }
        // A package that a test compiles anew is no package of its own.
        let import_path = &package.import_path;
        if !import_path.contains(' ') && !import_path.ends_with(".test") {
            self.parts.add_named(import_path, &package.dir, vetted, &package.deps);
        }
    }

    /// Adds what the C compiler, the assemblers and the linker read, as far as it is in the tree.
    fn add_includes(&mut self, package: &Package, query: &ClosureQuery, modules: &LocalModules, outside: &[PathBuf]) {
        let module_directories = modules.directories();
        let is_local = |path: &Path| {
            path.starts_with(&query.workspace) || module_directories.iter().any(|module| path.starts_with(module))
        };
        let place = |name: &String| package.dir.join(name);
        let system = outside.iter().map(|directory| directory.join("pkg/include")).collect();
        let mut search = SearchPath { package: package.dir.clone(), system, ..SearchPath::default() };
        let mut roots: Vec<(PathBuf, Reader)> = Vec::new();
        if package.cgo_files.is_empty() {
            roots.extend(package.s_files.iter().map(|name| (place(name), Reader::GoAssembler)));
        } else {
            self.pkg_config.extend(package.cgo_pkg_config.iter().cloned());
            let lists = [
                &package.cgo_c_flags,
                &package.cgo_cpp_flags,
                &package.cgo_cxx_flags,
                &package.cgo_f_flags,
                &package.cgo_ld_flags,
            ];
            let declared = query.c_flags.iter().map(String::as_str);
            let flags = lists.into_iter().flatten().map(String::as_str).chain(declared);
            let flags: Vec<&str> = flags.collect();
            search.flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
            let flags = CFlags::parse(flags, &package.dir);
            let (local, system): (Vec<PathBuf>, Vec<PathBuf>) =
                flags.includes.iter().cloned().partition(|path| is_local(path));
            self.c_directories.extend(system);
            self.c_directories.extend(flags.libraries.iter().filter(|path| !is_local(path)).cloned());
            search.directories = local;
            let (linked, missing) = flags.link_inputs(&is_local);
            roots.extend(flags.files.iter().filter(|path| path.is_file()).map(|path| (path.clone(), Reader::C)));
            self.add_unhashed(package, linked, missing);
            roots.extend(package.cgo_files.iter().map(|name| (place(name), Reader::Preamble)));
            let sources = [&package.c_files, &package.cxx_files, &package.m_files, &package.h_files];
            let others = [&package.f_files, &package.s_files, &package.swig_files, &package.swig_cxx_files];
            let names = sources.into_iter().chain(others).flatten();
            roots.extend(names.map(|name| (place(name), Reader::C)));
        }
        if roots.is_empty() {
            return;
        }
        let Includes { mut files, missing, unresolved, untracked } = scan(roots, &search);
        // An include that is gone must not come back from Go's build cache.
        files.extend(unresolved);
        if untracked.is_some() {
            // So that no object of it comes back from Go's build cache either.
            self.unhashed.entry(package.dir.clone()).or_default().by_c = !package.cgo_files.is_empty();
            self.untracked = self.untracked.take().or(untracked);
        }
        self.add_unhashed(package, files, missing);
    }

    /// Adds files of which the go command takes no notice, except those of the package itself.
    fn add_unhashed(&mut self, package: &Package, files: BTreeSet<PathBuf>, missing: BTreeSet<PathBuf>) {
        self.deciders.extend(missing);
        let of_package = [&package.h_files, &package.c_files, &package.cxx_files, &package.m_files, &package.s_files];
        let hashed: BTreeSet<PathBuf> = of_package.into_iter().flatten().map(|name| package.dir.join(name)).collect();
        let unhashed: BTreeSet<PathBuf> = files.difference(&hashed).cloned().collect();
        if !unhashed.is_empty() {
            self.files.extend(unhashed.iter().filter(|path| path.is_file()).cloned());
            let of_package = self.unhashed.entry(package.dir.clone()).or_default();
            of_package.by_c = !package.cgo_files.is_empty();
            of_package.files.extend(unhashed);
        }
    }
}
