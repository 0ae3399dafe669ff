//! `Sources`: the files that generators of a module can read, and the directives in them. All are declared or follow from
//! the Go files: nothing is what is left over. It knows no program.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use regex_lite::Regex;
use rondel_cas::{MEMORY_MAX, RelativePath, TEXT_MAX, read_at_most, read_text_at_most};
use rondel_engine::{DeclaredInputs, InputSet, StepError, hash_inputs};
use rondel_golang::{Directive, GoMod, ModuleFiles, SourceLines, selects_directory};
use rondel_tree::{GlobSet, StatSnapshot, literal_glob};

/// What every generator can read: the files that make up packages, and go.mod and go.sum, also of modules in directories
/// below. `./...` leaves the same places out.
const OF_PACKAGES: [&str; 5] = ["**/*.{go,s,h}", "**/go.{mod,sum}", "!**/testdata/**", "!**/.*/**", "!**/_*/**"];

/// The sources of one module.
#[derive(Clone, Debug)]
pub(crate) struct Sources {
    /// Where paths of build.ron begin. The copy of it is what generators see.
    pub(crate) root: PathBuf,
    /// Directory of go.mod below `root`, if it is another one.
    pub(crate) directory: Option<RelativePath>,
    /// Package patterns.
    pub(crate) patterns: Vec<String>,
    /// `inputs` of build.ron.
    pub(crate) declared: DeclaredInputs,
    /// Its globs.
    pub(crate) globs: Vec<String>,
    /// Places that are no sources.
    pub(crate) left_out: Vec<RelativePath>,
    /// `outputs` of build.ron.
    pub(crate) outputs: Vec<String>,
    /// True if former outputs are inputs.
    pub(crate) sees_outputs: bool,
    /// Text of directives that run; all if there is none.
    pub(crate) run: Option<String>,
    /// The go.work that is in force, below `root`.
    pub(crate) go_work: Option<RelativePath>,
    /// True if packages come from `vendor`.
    pub(crate) is_vendored: bool,
}

/// A directive and its file.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    /// The Go file.
    pub(crate) file: RelativePath,
    /// The line.
    pub(crate) directive: Directive,
    /// True if a build constraint may leave the file out.
    pub(crate) is_constrained: bool,
}

impl Found {
    /// Returns the place for messages.
    pub(crate) fn place(&self) -> String {
        format!("{}:{}", self.file, self.directive.line)
    }
}

impl Sources {
    /// Returns the globs of `outputs`.
    pub(crate) fn output_globs(&self) -> GlobSet {
        GlobSet::new(&self.outputs, self.left_out.clone())
    }

    /// Returns all inputs, and the directives that run.
    pub(crate) fn find(&self, snapshot: &StatSnapshot) -> Result<(InputSet, Vec<Found>), StepError> {
        let place = self.directory.as_ref().map_or_else(|| self.root.clone(), |directory| directory.below(&self.root));
        let go_mod = GoMod::parse(&read_text_at_most(&place.join("go.mod"), TEXT_MAX).unwrap_or_default());
        self.refuse_replacements(&go_mod)?;
        let module = go_mod.module.unwrap_or_default();
        // A glob of build.ron that counts for nothing is refused here.
        self.declared.hash(&self.root, snapshot)?;
        let files = hash_inputs(&self.globs_with(&[]), &self.root, None, snapshot)?;
        let own = ModuleFiles::sources_in(self.directory.as_ref(), files.iter().map(|input| input.path));
        let own: BTreeSet<&str> = own.iter().map(String::as_str).collect();
        let (mut found, mut embeds) = (Vec::new(), Vec::new());
        for input in files.iter().filter(|input| input.path.as_str().ends_with(".go") && !input.is_behind_link()) {
            let bytes = read_at_most(&input.absolute, MEMORY_MAX)
                .map_err(|error| StepError::unreadable(&input.absolute, &error))?;
            let lines = SourceLines::read(input.path.file_name(), &String::from_utf8_lossy(&bytes));
            let directory = input.path.parent().map(|parent| parent.to_string()).unwrap_or_default();
            let below = |pattern: &String| match directory.as_str() {
                "" => pattern.clone(),
                directory => format!("{directory}/{pattern}"),
            };
            embeds.extend(lines.embeds.iter().map(below).flat_map(|path| [format!("{path}/**"), path]));
            let in_module = match &self.directory {
                Some(own) if directory == own.as_str() => Some(""),
                Some(own) => directory.strip_prefix(own.as_str()).and_then(|rest| rest.strip_prefix('/')),
                None => Some(directory.as_str()),
            };
            let is_wanted =
                |below: &str| self.patterns.iter().any(|pattern| selects_directory(pattern, &module, below));
            if own.contains(input.path.as_str()) && in_module.is_some_and(is_wanted) {
                let is_constrained = lines.is_constrained;
                let of_file = |directive| Found { file: input.path.clone(), directive, is_constrained };
                found.extend(lines.directives.into_iter().map(of_file));
            }
        }
        if let Some(run) = &self.run {
            let regex = Regex::new(run).map_err(|error| StepError::input(error.to_string()))?;
            found.retain(|found| regex.is_match(&found.directive.text));
        }
        self.refuse_outputs_with_directives(snapshot)?;
        let inputs =
            if embeds.is_empty() { files } else { hash_inputs(&self.globs_with(&embeds), &self.root, None, snapshot)? };
        Ok((inputs, found))
    }

    /// Refuses a go.mod that names directories which the copy of the project does not have.
    fn refuse_replacements(&self, go_mod: &GoMod) -> Result<(), StepError> {
        let own = Path::new(self.directory.as_ref().map_or("", RelativePath::as_str));
        let is_outside = |by: &str| by.starts_with('/') || within_root(&own.join(by)).is_none();
        let Some((module, by)) = go_mod.replaced_by.iter().find(|(_, by)| is_outside(by)) else { return Ok(()) };
        let message = format!("go.mod replaces `{module}` by `{by}`, and generators see a copy of `root` alone");
        Err(StepError::input(message)
            .hint("use `Exec(command: [\"go\", \"generate\", …])` without `inputs`: it runs in the tree itself"))
    }

    /// Returns the globs of all inputs: the last one that matches a path decides.
    fn globs_with(&self, embeds: &[String]) -> GlobSet {
        let mut globs: Vec<String> = OF_PACKAGES.map(str::to_owned).to_vec();
        // Names above a module do not matter: it may be in `_tools`.
        if let Some(directory) = &self.directory {
            let below = |glob: &str| match glob.strip_prefix('!') {
                Some(glob) => format!("!{}", glob_in(Some(directory), glob)),
                None => glob_in(Some(directory), glob),
            };
            globs.extend(OF_PACKAGES.map(below));
        }
        globs.push("!**/vendor/**".to_owned());
        let go_work_place = self.go_work.as_ref().and_then(RelativePath::parent);
        let owner = if self.go_work.is_some() { go_work_place.as_ref() } else { self.directory.as_ref() };
        globs.extend(self.is_vendored.then(|| glob_in(owner, "vendor/**")));
        let go_works = self.go_work.iter().flat_map(|file| [file.to_string(), format!("{file}.sum")]);
        globs.extend(go_works.map(|file| literal_glob(&file)));
        globs.extend(embeds.iter().chain(&self.globs).cloned());
        if !self.sees_outputs {
            let inverse = |glob: &String| glob.strip_prefix('!').map_or_else(|| format!("!{glob}"), str::to_owned);
            globs.extend(self.outputs.iter().map(inverse));
        }
        GlobSet::new(globs, self.left_out.clone())
    }

    /// Refuses globs of `outputs` that match a file with directives: it would be no input, and they would not run.
    fn refuse_outputs_with_directives(&self, snapshot: &StatSnapshot) -> Result<(), StepError> {
        if self.sees_outputs {
            return Ok(());
        }
        let outputs = hash_inputs(&self.output_globs(), &self.root, None, snapshot)?;
        for output in outputs.iter().filter(|output| output.path.as_str().ends_with(".go")) {
            let Ok(bytes) = read_at_most(&output.absolute, MEMORY_MAX) else { continue };
            let lines = SourceLines::read(output.path.file_name(), &String::from_utf8_lossy(&bytes));
            // Some generators write the directive that runs them again.
            let is_generated = String::from_utf8_lossy(&bytes).lines().any(is_mark);
            if let Some(directive) = lines.directives.first().filter(|_| !is_generated) {
                let path = &output.path;
                let message = format!(
                    "`{path}:{}` is a directive, and `outputs` says that the file is generated",
                    directive.line
                );
                return Err(StepError::input(message).hint(format!("add \"!{path}\" to `outputs`")));
            }
        }
        Ok(())
    }
}

/// Returns a glob for what lies in `directory`; `None` is the root.
fn glob_in(directory: Option<&RelativePath>, glob: &str) -> String {
    directory.map_or_else(|| glob.to_owned(), |directory| format!("{}/{glob}", literal_glob(directory.as_str())))
}

/// Returns a path below the root without `.` and `..`, by its text alone; `None` if it leads out of the root.
pub(super) fn within_root(path: &Path) -> Option<PathBuf> {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir if !normal.pop() => return None,
            Component::ParentDir | Component::CurDir => {}
            Component::RootDir | Component::Prefix(_) | Component::Normal(_) => normal.push(component),
        }
    }
    Some(normal)
}

/// Returns true for the line that marks a generated file (golang.org/s/generatedcode).
fn is_mark(line: &str) -> bool {
    line.starts_with("// Code generated ") && line.ends_with(" DO NOT EDIT.")
}
