//! `GoModDownload`: a presence check over the module cache, and the download if something is missing.
//!
//! The cache is mutable and shared, so this is no stored result. On each request, go.mod and go.sum must be unchanged
//! and every module directory must exist. It is requested only when a build runs.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rondel_cas::{Digest, MEMORY_MAX, read_at_most, write_atomically};
use rondel_engine::{
    Freshness, Job, Metadata, MetadataType, Prepared, Query, Reason, Report, Step, StepContext, StepError,
};
use serde::{Deserialize, Serialize};

use crate::module_download::{Downloads, download};
use crate::support::GoSupport;

/// Brings the modules of go.mod into the module cache.
pub struct GoModDownloadStep {
    /// The toolchain and its settings.
    pub go: Arc<GoSupport>,
}

/// State of the module cache.
#[derive(Serialize, Deserialize)]
pub struct ModulesMetadata {
    /// Number of modules.
    pub modules: usize,
    /// True if the modules are in the tree instead.
    pub vendored: bool,
}

impl MetadataType for ModulesMetadata {
    const NAME: &'static str = "go-modules-1";
}

/// Modules after the last download.
#[derive(Serialize, Deserialize, PartialEq)]
struct Presence {
    module_cache: PathBuf,
    module_files: String,
    directories: Vec<PathBuf>,
}

impl GoModDownloadStep {
    /// Returns go.mod and go.sum, as one text.
    fn module_files(&self, context: &StepContext<'_>) -> Result<String, StepError> {
        let mut text = String::new();
        for path in self.go.module_files() {
            let name = path.strip_prefix(&self.go.module).unwrap_or(&path).display().to_string();
            let is_needed = path.ends_with("go.mod") && self.go.go_work.is_none();
            let digest = match std::fs::metadata(&path) {
                Ok(metadata) => {
                    let digest = context.workspace.snapshot.digest(&path, &metadata);
                    digest.map_err(|error| StepError::unreadable(&path, &error))?.to_string()
                }
                Err(_) if !is_needed => "none".to_owned(),
                Err(error) => {
                    return Err(StepError::unreadable(&path, &error)
                        .hint("`root` in build.ron is the directory of go.mod, or `module` of the target"));
                }
            };
            text.push_str(&format!("{name} {digest}\n"));
        }
        Ok(text)
    }

    fn record(&self, context: &StepContext<'_>) -> PathBuf {
        let mut place = self.go.module.to_string_lossy().into_owned();
        if let Some(go_work) = &self.go.go_work {
            place.push_str(&format!("\0{}", go_work.display()));
        }
        let name = Digest::of(place.as_bytes()).short();
        context.workspace.state.join("modules").join(name)
    }
}

/// Returns what to say of the files whose lines differ. A file may have more than one line.
fn completed(before: &str, after: &str, workspace: &Path) -> Option<String> {
    let old: BTreeSet<&str> = before.lines().collect();
    let changed = after.lines().filter(|line| !old.contains(line)).filter_map(|line| line.rsplit_once(' '));
    let shown = |name| Path::new(name).strip_prefix(workspace).unwrap_or(Path::new(name)).display().to_string();
    let names: BTreeSet<String> = changed.map(|(name, _)| shown(name)).collect();
    match &names.into_iter().collect::<Vec<_>>()[..] {
        [] => None,
        [name] => Some(format!("{name} was completed; commit it")),
        names => Some(format!("{} were completed; commit them", names.join(" and "))),
    }
}

impl Step for GoModDownloadStep {
    type Findings = ();

    fn prepare(&self, context: &Query<'_>) -> Result<Prepared, StepError> {
        let plan = |freshness| Ok(Prepared::unkeyed(freshness));
        let present = |modules: usize, vendored: bool| Metadata::of(&ModulesMetadata { modules, vendored });
        let now = self.module_files(context)?;
        if self.go.is_vendored() {
            return plan(Freshness::UpToDate(present(0, true)));
        }
        let stored = read_at_most(&self.record(context), MEMORY_MAX).ok();
        let Some(presence) = stored.and_then(|bytes| serde_json::from_slice::<Presence>(&bytes).ok()) else {
            return plan(Freshness::Run(vec![Reason::NoPrevious]));
        };
        if presence.module_cache != self.go.directories.module_cache {
            return plan(Freshness::not_present("the module cache is in another place"));
        }
        if presence.module_files != now {
            return plan(Freshness::not_present("go.mod or go.sum changed"));
        }
        if let Some(gone) = presence.directories.iter().find(|directory| !directory.is_dir()) {
            let name = gone.strip_prefix(&self.go.directories.module_cache).unwrap_or(gone).display().to_string();
            return plan(Freshness::not_present(format!("{name} is not in the module cache")));
        }
        plan(Freshness::UpToDate(present(presence.directories.len(), false)))
    }

    fn run(&self, _prepared: &Prepared, context: &Job<'_>) -> Result<Report, StepError> {
        let before = self.module_files(context)?;
        let Downloads { mut directories, missing } = download(&self.go, context)?;
        directories.sort();
        // go.sum, or the go.work.sum beside a go.work, may have been completed by the download.
        let after = self.module_files(context)?;
        if let Some(note) = completed(&before, &after, &self.go.workspace) {
            context.note(note);
        }
        let count = directories.len();
        if !missing.is_empty() {
            // Without a record it is asked for again by the next build that runs.
            return Ok(Report::of(Metadata::of(&ModulesMetadata { modules: count, vendored: false })));
        }
        let module_cache = self.go.directories.module_cache.clone();
        let presence = Presence { module_cache, module_files: after, directories };
        let record = self.record(context);
        let text = serde_json::to_vec(&presence).expect("plain data");
        if let Err(error) = write_atomically(&context.workspace.scratch(), &record, &text) {
            context.warn(format!("the list of downloaded modules was not saved: {error}"));
        }
        Ok(Report::of(Metadata::of(&ModulesMetadata { modules: count, vendored: false })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_note_names_the_file_that_was_completed() {
        let files = |sum: &str, work: &str| format!("go.mod 1\ngo.sum {sum}\n/w/go.work.sum {work}\ngo.sum {sum}\n");
        let note = |sum: &str, work: &str| completed(&files("1", "none"), &files(sum, work), Path::new("/w"));
        assert_eq!(note("1", "none"), None);
        assert_eq!(note("2", "none").as_deref(), Some("go.sum was completed; commit it"));
        assert_eq!(note("1", "2").as_deref(), Some("go.work.sum was completed; commit it"));
        assert_eq!(note("2", "2").as_deref(), Some("go.sum and go.work.sum were completed; commit them"));
    }
}
