//! `DirectoryStep`: a release goes to a directory of this machine.

use std::path::PathBuf;

use rondel_engine::{Freshness, Job, Metadata, Prepared, Query, Report, Step, StepError};
use rondel_forge::{Asset, directory_lacks, publish_to_directory};

use super::forge_step::{PublishedMetadata, step_error};

pub(super) struct DirectoryStep {
    pub path: PathBuf,
    /// Its path as build.ron has it.
    pub written: String,
    pub assets: Vec<Asset>,
}

impl DirectoryStep {
    fn metadata(&self) -> Metadata {
        Metadata::of(&PublishedMetadata { place: self.written.clone() })
    }
}

impl Step for DirectoryStep {
    type Findings = ();

    fn prepare(&self, context: &Query<'_>) -> Result<Prepared, StepError> {
        let freshness = match directory_lacks(&self.path, &self.assets).map_err(step_error)? {
            Some(lack) => Freshness::not_present(lack),
            None => {
                if !context.is_question() {
                    context.note(format!("all {} files are there; 0 bytes written", self.assets.len()));
                }
                Freshness::UpToDate(self.metadata())
            }
        };
        Ok(Prepared::unkeyed(freshness))
    }

    fn run(&self, _prepared: &Prepared, context: &Job<'_>) -> Result<Report, StepError> {
        let progress = |done, total| {
            context.progress("publishing", done, total);
            !context.cancellation.is_raised()
        };
        let copied = publish_to_directory(&self.path, &self.assets, &progress).map_err(step_error)?;
        let counts = [(copied.written.len(), "written"), (copied.kept, "there")];
        let words = counts.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}"));
        let words: Vec<String> = words.collect();
        context.note(format!("files: {}; {} bytes written", words.join(", "), copied.bytes));
        Ok(Report::of(self.metadata()))
    }
}
