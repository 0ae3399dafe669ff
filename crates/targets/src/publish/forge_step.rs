//! `ForgeStep`: a release goes to a forge. It asks what is there, sends the rest, and publishes it when all is there.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use rondel_engine::{Freshness, Job, Metadata, MetadataType, Prepared, Query, Report, Step, StepContext, StepError};
use rondel_fetch::{Credentials, Fetcher};
use rondel_forge::{Announcement, Asset, Client, ForgeError, Patience, Place, Token, Watcher};
use serde::{Deserialize, Serialize};

/// The way to forges, for all steps of a run.
pub(super) struct Forges {
    certificates: Option<PathBuf>,
    fetcher: OnceLock<Arc<Fetcher>>,
}

pub(super) struct ForgeStep {
    pub forges: Arc<Forges>,
    pub place: Place,
    pub token: Token,
    pub announcement: Announcement,
    pub assets: Vec<Asset>,
}

/// Where a release is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishedMetadata {
    /// The place, for people.
    pub place: String,
}

impl MetadataType for PublishedMetadata {
    const NAME: &'static str = "published-1";
}

impl Forges {
    /// Nothing is read yet.
    pub fn new(environment: &BTreeMap<String, String>) -> Forges {
        let certificates = environment.get("SSL_CERT_FILE").filter(|path| !path.is_empty()).map(PathBuf::from);
        Forges { certificates, fetcher: OnceLock::new() }
    }

    fn fetcher(&self) -> Arc<Fetcher> {
        let make = || Arc::new(Fetcher::new(self.certificates.clone(), Credentials::default()));
        Arc::clone(self.fetcher.get_or_init(make))
    }
}

impl ForgeStep {
    fn client(&self, context: &StepContext<'_>) -> Client {
        let (place, token) = (self.place.clone(), self.token.clone());
        Client::new(self.forges.fetcher(), place, token, Patience::default(), context.workspace.scratch())
    }

    fn metadata(&self) -> Metadata {
        let place = format!("{}/{} {}", self.place.host(), self.place.repository(), self.announcement.tag);
        Metadata::of(&PublishedMetadata { place })
    }
}

impl Step for ForgeStep {
    type Findings = ();

    fn prepare(&self, context: &Query<'_>) -> Result<Prepared, StepError> {
        if context.is_question() {
            return Ok(Prepared::unkeyed(Freshness::always("the forge is asked what it has")));
        }
        let progress = |_, _| !context.cancellation.is_raised();
        let say = |text: String| context.note(text);
        let watcher = Watcher { progress: &progress, say: &say };
        let lack = self.client(context).lack(&self.announcement, &self.assets, &watcher).map_err(step_error)?;
        let freshness = match lack {
            Some(lack) => Freshness::not_present(lack),
            None if context.is_forced() => Freshness::always("--force"),
            None => {
                let (tag, count) = (&self.announcement.tag, self.assets.len());
                context.note(format!("{tag} is at {} with all {count} files; 0 bytes sent", self.place.host()));
                Freshness::UpToDate(self.metadata())
            }
        };
        Ok(Prepared::unkeyed(freshness))
    }

    fn run(&self, _prepared: &Prepared, context: &Job<'_>) -> Result<Report, StepError> {
        let progress = |done, total| {
            if total > 0 {
                context.progress("publishing", done, total);
            }
            !context.cancellation.is_raised()
        };
        let say = |text: String| context.note(text);
        let watcher = Watcher { progress: &progress, say: &say };
        let published = self.client(context).publish(&self.announcement, &self.assets, &watcher).map_err(step_error)?;
        for (here, there) in &published.renamed {
            context.note(format!("`{here}` is called `{there}` there"));
        }
        if !published.others.is_empty() {
            context.note(format!("it also has {}, which this release does not", published.others.join(", ")));
        }
        let tag = &self.announcement.tag;
        match &published.url {
            Some(url) => context.note(format!("{tag}: {published}: {url}")),
            None => context.note(format!("{tag}: {published}")),
        }
        Ok(Report::of(self.metadata()))
    }
}

/// Returns the failure of a place as that of a step.
pub(super) fn step_error(error: ForgeError) -> StepError {
    let found = match &error {
        ForgeError::Interrupted => return StepError::Interrupted,
        ForgeError::Differs { .. } | ForgeError::Asset(_) => StepError::failed(error.to_string()),
        ForgeError::Place(_)
        | ForgeError::Token(_)
        | ForgeError::NotFound { .. }
        | ForgeError::Denied { .. }
        | ForgeError::Limited { .. }
        | ForgeError::Refused { .. }
        | ForgeError::Failed { .. }
        | ForgeError::Read { .. }
        | ForgeError::Write { .. } => StepError::environment(error.to_string()),
    };
    match error.hint() {
        Some(hint) => found.hint(hint),
        None => found,
    }
}
