//! The `inputs` of commands and tests: which paths are Rondel's own and left out, and which globs of build.ron can be
//! refused before anything runs.

use std::cell::LazyCell;
use std::path::{Path, PathBuf};

use rondel_buildfile::{InputSource, Output, Target, TargetName};
use rondel_cas::RelativePath;
use rondel_engine::{DeclaredInputs, LeftOut, Owner, UserError};

use crate::analyzer::{Analyzed, Analyzer};

impl Analyzer<'_> {
    /// Returns the globs among `inputs`, with what is left out for `target`; every file if there are no inputs.
    pub(crate) fn declared_inputs(
        &mut self,
        target: &Target,
        inputs: Option<&[InputSource]>,
    ) -> Analyzed<DeclaredInputs> {
        // Files of the cache could not be told from those of the project.
        if real(&self.request.cache) == real(&self.root) {
            return Err(UserError::environment("the cache directory is the directory of the project")
                .hint("give RONDEL_CACHE_DIR a directory of its own"));
        }
        let left_out = self.left_out(target);
        let Some(inputs) = inputs else {
            return Ok(DeclaredInputs::everything(left_out));
        };
        let globs: Vec<_> = inputs
            .iter()
            .filter_map(|input| match input {
                InputSource::Glob(glob) => Some(glob),
                InputSource::Output(_) => None,
            })
            .collect();
        let declared = DeclaredInputs::new(globs.iter().map(|glob| &glob.value), left_out);
        // A path that names an output of another target is refused even where it lies among the sources: it would be
        // read before or after it is made, as it happens.
        let mut known = declared.clone();
        known.leave_out(self.outputs_of_others(target));
        for glob in globs.iter().filter(|glob| !glob.value.starts_with('!')) {
            if let Some(error) = known.refuse_left_out(&glob.value) {
                return Err(error.at(glob.span));
            }
        }
        self.warn_of_unordered(target, &declared);
        Ok(declared)
    }

    /// Returns what no glob of `target` matches: its own outputs, places in `dist` of targets that it does not wait
    /// for, and what Rondel keeps in the tree.
    pub(crate) fn left_out(&self, target: &Target) -> Vec<LeftOut> {
        let known = self.waited_for(target);
        let mut left_out = Vec::new();
        for other in &self.request.file.targets {
            let is_own = other.name.value == target.name.value;
            if !is_own && known.contains(&other.name.value) {
                continue;
            }
            for output in self.request.file.outputs_of(other) {
                if is_own || output.written.is_none() {
                    let owner = if is_own { Owner::Itself } else { Owner::Target(other.name.value.to_string()) };
                    left_out.extend(self.below_project(&output).map(|path| LeftOut { path, owner }));
                }
            }
        }
        let own = |path: &Path, what| {
            let owner = Owner::Rondel(what);
            places(path, &self.root).into_iter().map(move |path| LeftOut { path, owner: owner.clone() })
        };
        left_out.extend(own(&self.request.cache, "Rondel's cache"));
        left_out.extend(self.request.program.iter().flat_map(|path| own(path, "where Rondel itself was compiled")));
        left_out
    }

    /// Returns all outputs below the project of targets that `target` does not wait for.
    fn outputs_of_others(&self, target: &Target) -> Vec<LeftOut> {
        let known = self.waited_for(target);
        let others = self.request.file.targets.iter();
        let others = others.filter(|other| other.name.value != target.name.value && !known.contains(&other.name.value));
        let mut outputs = Vec::new();
        for other in others {
            for output in self.request.file.outputs_of(other) {
                let owner = Owner::Target(other.name.value.to_string());
                outputs.extend(self.below_project(&output).map(|path| LeftOut { path, owner }));
            }
        }
        outputs
    }

    /// Warns of globs that match what another target of the same run makes, if neither waits for the other. The
    /// contents count as they are, so the next run is right; this one may read the former ones.
    fn warn_of_unordered(&mut self, target: &Target, declared: &DeclaredInputs) {
        let this = &target.name.value;
        // Both look at the whole graph, and few targets read what others make.
        let wanted = LazyCell::new(|| self.wanted());
        let known = LazyCell::new(|| self.waited_for(target));
        let globs = declared.globs();
        let mut warnings = Vec::new();
        for other in self.request.file.targets.iter().filter(|other| other.name.value != *this) {
            let name: &TargetName = &other.name.value;
            for output in self.request.file.outputs_of(other).iter().filter(|output| output.written.is_some()) {
                let Some(path) = self.below_project(output) else { continue };
                let reads =
                    if output.is_directory { globs.covers(path.as_str()) } else { globs.matches(path.as_str()) };
                if reads && wanted.contains(name) && !known.contains(name) {
                    let waits = self.waited_for(other).contains(this);
                    let after = if waits { String::new() } else { format!("`after: [\"{name}\"]`, or ") };
                    warnings.push(format!(
                        "`{this}` reads `{path}`, which `{name}` makes in the same run, and does not wait for it: \
                         give it {after}`\"!{path}\"` in `inputs`"
                    ));
                }
            }
        }
        drop((wanted, known));
        self.warnings.extend(warnings);
    }

    /// Returns the path of an output below the project's directory, if it is there.
    fn below_project(&self, output: &Output<'_>) -> Option<RelativePath> {
        let root = self.request.file.root.as_ref().map_or(".", |root| root.value.as_str());
        match RelativePath::new(root) {
            Ok(root) => {
                let rest = output.path.strip_prefix(root.as_str())?.strip_prefix('/')?;
                RelativePath::new(rest).ok()
            }
            // `.` is no relative path.
            Err(_) => RelativePath::new(&output.path).ok(),
        }
    }
}

/// Returns the paths by which `path` is reached below `root`: as it is named, and where links lead.
fn places(path: &Path, root: &Path) -> Vec<RelativePath> {
    let mut found = Vec::new();
    for (path, root) in [(path.to_owned(), root.to_owned()), (real(path), real(root))] {
        let below = path.strip_prefix(&root).ok().and_then(|below| RelativePath::from_path(below).ok());
        found.extend(below.filter(|below| !found.contains(below)));
    }
    found
}

/// Returns a path without links. The end of it may not exist yet.
fn real(path: &Path) -> PathBuf {
    for ancestor in path.ancestors() {
        if let Ok(real) = ancestor.canonicalize() {
            let rest = path.strip_prefix(ancestor).unwrap_or(Path::new(""));
            return if rest.as_os_str().is_empty() { real } else { real.join(rest) };
        }
    }
    path.to_owned()
}
