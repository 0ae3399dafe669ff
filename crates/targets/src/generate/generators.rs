//! `GeneratorsStep`: `go generate` in a copy of the module that holds its inputs and nothing else. Its output is all that
//! the globs of `outputs` match afterwards. It does not know what is in the tree.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rondel_cas::{Digest, Entry, MEMORY_MAX, RelativePath, read_at_most};
use rondel_engine::{
    ActionSpec, Class, Environment, Freshness, Job, OutputKind, OutputSpec, Prepared, Query, Report, Step, StepError,
    copy_tree, files_below,
};
use rondel_golang::{GoSupport, INDEX_OFF};
use rondel_process::CommandLine;

use super::programs::{Programs, Started};
use super::sources::Sources;
use crate::closed::{Closed, Surroundings};

/// Name of the output: a directory with all generated files.
pub(super) const FILES: &str = "files";
/// Number of files that an error names.
const NAMED_MAX: usize = 20;

/// One run of all generators.
pub(crate) struct GeneratorsStep {
    pub(crate) go: Arc<GoSupport>,
    pub(crate) sources: Sources,
    pub(crate) programs: Programs,
    /// Build tags.
    pub(crate) tags: Vec<String>,
    /// Declared variables.
    pub(crate) env: Vec<(String, String)>,
    /// What the generators see.
    pub(crate) closed: Closed,
    /// Place of the generated files, relative to the workspace.
    pub(crate) out: RelativePath,
}

impl GeneratorsStep {
    fn arguments(&self) -> Vec<String> {
        let mut words = ["go", "generate"].map(str::to_owned).to_vec();
        words.extend((!self.tags.is_empty()).then(|| format!("-tags={}", self.tags.join(","))));
        words.extend(self.sources.run.as_ref().map(|run| format!("-run={run}")));
        words.push("--".to_owned());
        words.extend(self.sources.patterns.iter().cloned());
        words
    }

    /// Returns the globs of `outputs` as the key has them.
    fn quoted_outputs(&self) -> String {
        let quoted = |glob: &String| format!("\"{}\"", glob.escape_default());
        self.sources.outputs.iter().map(quoted).collect::<Vec<_>>().join(", ")
    }

    /// `root` is GOROOT. `around` are the surroundings of a run.
    fn environment(&self, root: &Path, around: Option<&Surroundings>) -> Result<Environment, StepError> {
        let mut environment = self.go.compile_environment(root, &self.go.own_platform().map_err(StepError::User)?);
        // What generators build is not known, so no shield keeps the index from it.
        environment.set(Class::Keyed, "GODEBUG", INDEX_OFF);
        environment.set(Class::Keyed, "LANG", "C.UTF-8");
        // What `go run` needs was fetched before, and checked.
        environment.set(Class::Keyed, "GOSUMDB", "off");
        let go_work = match (around, &self.sources.go_work) {
            (_, None) => "off".to_owned(),
            (Some(around), Some(file)) => file.below(around.root(&self.closed)).display().to_string(),
            (None, Some(_)) => String::new(),
        };
        let class = if self.sources.go_work.is_some() { Class::Located } else { Class::Keyed };
        environment.set(class, "GOWORK", go_work);
        let place = |place: &dyn Fn(&Surroundings) -> &PathBuf| {
            around.map(|around| place(around).display().to_string()).unwrap_or_default()
        };
        environment.set(Class::Located, "PATH", place(&|around| &around.programs));
        environment.set(Class::Located, "HOME", place(&|around| &around.home));
        environment.set(Class::Located, "TMPDIR", place(&|around| &around.temporary));
        for (name, value) in &self.env {
            environment.set(Class::Keyed, name, value);
        }
        Ok(environment)
    }

    /// Moves what was generated to the staging directory. Refuses files that `outputs` does not name, and changed inputs.
    fn gather(&self, tree: &Path, spec: &ActionSpec, job: &Job<'_>) -> Result<(), StepError> {
        let files = job.staging.join(FILES);
        fs::create_dir_all(&files).map_err(|error| StepError::unwritable(&files, &error))?;
        let outputs = self.sources.output_globs();
        let inputs: BTreeMap<RelativePath, Entry> = spec.inputs.iter().map(|input| (input.path, input.entry)).collect();
        // The working tree holds what other targets made, too.
        let artefacts = job.upstream.iter().flat_map(|upstream| &upstream.artefacts);
        let made: BTreeSet<&Path> =
            artefacts.filter_map(|artefact| artefact.path.strip_prefix(&self.sources.root).ok()).collect();
        let (mut is_empty, mut others, mut changed) = (true, Vec::new(), Vec::new());
        for path in files_below(tree, &|path| path.file_name() == ".git")? {
            let place = path.below(tree);
            if outputs.matches(path.as_str()) {
                if place.is_symlink() {
                    return Err(StepError::failed(format!(
                        "`{path}` was generated as a link, and links can't be kept"
                    )));
                }
                let to = path.below(&files);
                let parent = to.parent().unwrap_or(&files);
                fs::create_dir_all(parent).map_err(|error| StepError::unwritable(parent, &error))?;
                copy_tree(&place, &to).map_err(|error| StepError::unwritable(&to, &error))?;
                is_empty = false;
                continue;
            }
            match inputs.get(&path) {
                None if made.contains(Path::new(path.as_str())) => {}
                None => others.push(path.to_string()),
                Some(Entry::File { digest, .. }) => {
                    let bytes =
                        read_at_most(&place, MEMORY_MAX).map_err(|error| StepError::unreadable(&place, &error))?;
                    if Digest::of(&bytes) != *digest {
                        changed.push(path.to_string());
                    }
                }
                Some(Entry::Symlink { .. } | Entry::Directory { .. }) => {}
            }
        }
        if !others.is_empty() {
            return Err(StepError::failed(named("generators made files that `outputs` does not name", &others))
                .hint("add them to `outputs`, so that they are kept and compared"));
        }
        if !changed.is_empty() {
            return Err(StepError::failed(named("generators changed files that `outputs` does not name", &changed))
                .hint("a file that generators change is an output; go.mod and go.sum have to be tidy before"));
        }
        if is_empty {
            return Err(StepError::failed("generators made nothing that `outputs` names")
                .hint("correct `outputs`: its globs are relative to `root`"));
        }
        Ok(())
    }
}

/// Returns a message with the first of some names.
fn named(message: &str, names: &[String]) -> String {
    let mut text = message.to_owned();
    names.iter().take(NAMED_MAX).for_each(|name| text.push_str(&format!("\n  {name}")));
    if names.len() > NAMED_MAX {
        text.push_str(&format!("\n  and {} more", names.len() - NAMED_MAX));
    }
    text
}

impl Step for GeneratorsStep {
    type Findings = Started;

    fn prepare(&self, query: &Query<'_>) -> Result<Prepared<Started>, StepError> {
        let (inputs, directives) = self.sources.find(&query.workspace.snapshot)?;
        if directives.is_empty() {
            let message = format!("no directive `//go:generate` runs in {}", self.sources.patterns.join(" "));
            return Err(StepError::input(message).hint("correct `packages` or `run`, or leave the target out"));
        }
        let started = self.programs.started(&directives, &inputs)?;
        let mut spec = ActionSpec {
            arguments: self.arguments(),
            environment: self.environment(Path::new("/"), None)?,
            inputs,
            outputs: vec![OutputSpec {
                name: RelativePath::new(FILES).expect("a name"),
                destination: self.out.clone(),
                kind: OutputKind::Directory,
            }],
            ..ActionSpec::default()
        };
        spec.tools.insert("go".to_owned(), self.go.identity(query)?);
        spec.settings.insert("outputs".to_owned(), self.quoted_outputs());
        if let Some(directory) = &self.sources.directory {
            spec.settings.insert("directory".to_owned(), directory.to_string());
        }
        self.closed.settings(&mut spec);
        self.programs.identify(query, &started, &mut spec)?;
        let freshness = Freshness::of(&spec.inputs);
        Ok(Prepared { spec, freshness, findings: started })
    }

    fn run(&self, prepared: &Prepared<Started>, job: &Job<'_>) -> Result<Report, StepError> {
        let (spec, started) = (&prepared.spec, &prepared.findings);
        let toolchain = self.go.toolchain(job)?;
        self.go.check_required_modules(job)?;
        let scratch = job.staging.join("commands");
        fs::create_dir_all(&scratch).map_err(|error| StepError::unwritable(&scratch, &error))?;
        self.go.fetch_commands(job, &started.published, &scratch)?;
        let tools = self.programs.for_run(job, started)?;
        let others = self.go.places(&toolchain);
        let around = self.closed.enter(spec, job, &tools, Some(&toolchain.root.join("bin")), others)?;
        let environment = self.environment(&toolchain.root, Some(&around))?;
        let mut line = CommandLine::new(toolchain.go(), around.directory(&self.closed))
            .arguments(spec.arguments[1..].iter().cloned())
            .environment(environment.for_process());
        line.sandbox.clone_from(&around.sandbox);
        job.run(&line)
            .map_err(|error| error_with_hint(self.closed.explain(error, &around), self.sources.sees_outputs))?;
        self.gather(around.root(&self.closed), spec, job)?;
        Ok(Report::default())
    }
}

/// Says what a generator may miss that `go generate` in the tree itself has.
fn error_with_hint(error: StepError, sees_outputs: bool) -> StepError {
    let StepError::Command { hint: None, output, .. } = &error else { return error };
    let is_of_go = |line: &String| line.contains("undefined: ") || line.contains("no required module provides package");
    match !sees_outputs && output.iter().any(is_of_go) {
        true => error.hint(
            "generators begin without the files that `outputs` names; if a package builds only with the former ones, \
             write `sees_outputs: true`",
        ),
        false => error,
    }
}
