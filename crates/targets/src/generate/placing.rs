//! `PlacingStep`: compares what was generated with the tree, and puts it there or fails. It does not know how it was made.
//!
//! The globs of `outputs` say which files are generated, so these are replaced. A former file is kept beside Rondel's own
//! state if its contents are nowhere else: if they never were a result.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use rondel_cas::{Entry, MEMORY_MAX, Metadata, RelativePath, read_at_most};
use rondel_engine::{
    Artefact, Freshness, Job, Prepared, Query, Reason, Report, Step, StepContext, StepError, TreeAccess, copy_tree,
    hash_inputs, keep_file,
};

use super::difference::difference;
use super::generators::FILES;
use super::sources::Sources;

/// Number of files whose difference is shown.
const FILES_MAX: usize = 5;

/// The generated files of one target.
pub(crate) struct PlacingStep {
    pub(crate) sources: Sources,
    /// Directory of the project, relative to the workspace.
    pub(crate) below: Option<RelativePath>,
    /// True to compare only.
    pub(crate) check: bool,
    /// Name of the target, for messages.
    pub(crate) target: String,
}

/// How the tree differs from what was generated.
#[derive(Debug, Default)]
pub(crate) struct Differences {
    /// Generated files that are missing or other.
    wrong: Vec<RelativePath>,
    /// Files that `outputs` names and nothing makes.
    left_over: Vec<RelativePath>,
}

impl PlacingStep {
    /// Returns the generated files by their paths in the project.
    fn generated<'c>(&self, context: &'c StepContext<'_>) -> BTreeMap<RelativePath, &'c Artefact> {
        let files = RelativePath::new(FILES).expect("a name");
        let artefacts = context.upstream.iter().flat_map(|upstream| &upstream.artefacts);
        let mut found = BTreeMap::new();
        for artefact in artefacts.filter(|artefact| matches!(artefact.entry, Entry::File { .. })) {
            let below = artefact.name.as_str().strip_prefix(files.as_str()).and_then(|rest| rest.strip_prefix('/'));
            if let Some(Ok(path)) = below.map(RelativePath::new) {
                found.insert(path, artefact);
            }
        }
        found
    }

    fn compare(&self, context: &StepContext<'_>) -> Result<Differences, StepError> {
        let generated = self.generated(context);
        let globs = self.sources.output_globs();
        let there = hash_inputs(&globs, &self.sources.root, None, &context.workspace.snapshot)?;
        let there: BTreeMap<RelativePath, Entry> = there.iter().map(|input| (input.path, input.entry)).collect();
        let is_same = |path: &RelativePath, artefact: &Artefact| match (there.get(path), &artefact.entry) {
            (
                Some(Entry::File { digest, executable, .. }),
                Entry::File { digest: made, executable: is_program, .. },
            ) => digest == made && executable == is_program,
            (_, _) => false,
        };
        let wrong = generated.iter().filter(|(path, artefact)| !is_same(path, artefact));
        let left_over = there.keys().filter(|path| !generated.contains_key(path));
        Ok(Differences {
            wrong: wrong.map(|(path, _)| path.clone()).collect(),
            left_over: left_over.cloned().collect(),
        })
    }

    /// Returns the error for a tree that is not what is generated.
    fn drift(&self, found: &Differences, context: &StepContext<'_>) -> Result<StepError, StepError> {
        let generated = self.generated(context);
        let mut lines = Vec::new();
        for (index, path) in found.wrong.iter().enumerate() {
            let Ok(old) = read_at_most(&path.below(&self.sources.root), MEMORY_MAX) else {
                lines.push(format!("{path}: missing"));
                continue;
            };
            let place = &generated[path].path;
            let new = read_at_most(place, MEMORY_MAX).map_err(|error| StepError::unreadable(place, &error))?;
            lines.push(if old == new { format!("{path}: not executable, or executable") } else { path.to_string() });
            if index < FILES_MAX && old != new {
                lines.extend(difference(&old, &new).into_iter().map(|line| format!("  {line}")));
            }
        }
        lines.extend(found.left_over.iter().map(|path| format!("{path}: nothing generates it")));
        let count = found.wrong.len() + found.left_over.len();
        let message = match count {
            1 => "1 file is not as generated".to_owned(),
            count => format!("{count} files are not as generated"),
        };
        let text = lines.iter().fold(message, |text, line| format!("{text}\n  {line}"));
        let hint = match (found.wrong.is_empty(), found.left_over.first()) {
            (false, _) => "`go generate` writes them; so does a `GoGenerate` without `check`".to_owned(),
            (true, Some(first)) => left_over_hint(first),
            (true, None) => String::new(),
        };
        Ok(StepError::failed(text).hint(hint))
    }

    /// Puts one file into the tree.
    fn place(&self, path: &RelativePath, artefact: &Artefact, job: &Job<'_>, number: usize) -> Result<(), StepError> {
        let place = path.below(&self.sources.root);
        if let Some(kept) = self.keep(path, &place, job)? {
            job.warn(format!(
                "`{path}` was no result of `{}`: those contents are now in `{}`",
                self.target,
                kept.display()
            ));
        }
        let staged = job.staging.join(number.to_string());
        copy_tree(&artefact.path, &staged).map_err(|error| StepError::unwritable(&staged, &error))?;
        let parent = place.parent().unwrap_or(&self.sources.root);
        let put = || {
            fs::create_dir_all(parent)?;
            fs::rename(&staged, &place)
        };
        put().map_err(|error| StepError::unwritable(&place, &error))
    }

    /// Keeps the former contents of a file if the store does not have them.
    fn keep(&self, path: &RelativePath, place: &Path, job: &Job<'_>) -> Result<Option<PathBuf>, StepError> {
        let Ok(bytes) = read_at_most(place, MEMORY_MAX) else { return Ok(None) };
        let digest = rondel_cas::Digest::of(&bytes);
        if bytes.is_empty() || job.workspace.results.find_missing_blobs([&digest]).is_empty() {
            return Ok(None);
        }
        let path = self.below.as_ref().map_or_else(|| path.clone(), |below| below.join(path));
        keep_file(job.workspace, place, &path).map(Some)
    }
}

fn left_over_hint(path: &RelativePath) -> String {
    format!("remove what is not needed any more; if it was not generated, add \"!{path}\" to `outputs`")
}

impl Step for PlacingStep {
    type Findings = Differences;

    fn prepare(&self, query: &Query<'_>) -> Result<Prepared<Differences>, StepError> {
        let found = self.compare(query)?;
        let reasons: Vec<Reason> = match (found.wrong.first(), found.left_over.first().filter(|_| self.check)) {
            (None, None) => Vec::new(),
            (Some(path), _) => vec![Reason::NotPresent { what: format!("`{path}` is not as generated") }],
            (None, Some(path)) => vec![Reason::NotPresent { what: format!("nothing generates `{path}`") }],
        };
        if !self.check && !query.is_question() && !found.left_over.is_empty() {
            let first = &found.left_over[0];
            let more = match found.left_over.len() {
                1 => String::new(),
                count => format!(" (and {} more)", count - 1),
            };
            query.warn(format!("nothing generates `{first}`{more}: {}", left_over_hint(first)));
        }
        let freshness = match reasons.is_empty() {
            true => Freshness::UpToDate(Metadata::default()),
            false => Freshness::Run(reasons),
        };
        Ok(Prepared::unkeyed(freshness).with(found))
    }

    fn tree_access(&self) -> TreeAccess {
        if self.check { TreeAccess::Reads } else { TreeAccess::MayWrite }
    }

    fn run(&self, prepared: &Prepared<Differences>, job: &Job<'_>) -> Result<Report, StepError> {
        let found = &prepared.findings;
        if self.check && !(found.wrong.is_empty() && found.left_over.is_empty()) {
            return Err(self.drift(found, job)?);
        }
        let generated = self.generated(job);
        for (number, path) in found.wrong.iter().enumerate() {
            self.place(path, generated[path], job, number)?;
            job.note(format!("generated {path}"));
        }
        Ok(Report::default())
    }
}
