//! `--publish`: the graph that comes after a build of releases. It runs and shows nothing itself.

use rondel_buildfile::TargetName;
use rondel_engine::{Summary, UserError};
use rondel_targets::{Analysis, Request, check_publish, publish, publishable};

use crate::asked::Asked;
use crate::cli::groups::AnalysisOptions;
use crate::exit::Failure;
use crate::session::Session;

/// The releases of a build that go somewhere.
pub(crate) struct Publication<'a> {
    session: &'a Session<'a>,
    options: &'a AnalysisOptions,
    asked: Asked,
    /// Their names.
    pub releases: Vec<TargetName>,
}

impl<'a> Publication<'a> {
    /// Finds the releases of a build.
    pub fn of(
        session: &'a Session<'a>,
        options: &'a AnalysisOptions,
        asked: Asked,
        built: &Analysis,
    ) -> Publication<'a> {
        let mut publication = Publication { session, options, asked, releases: Vec::new() };
        publication.releases = publishable(&publication.request(), built);
        publication
    }

    /// Fails if `--publish` is sure to fail, before anything is made.
    pub fn check(&self, built: &Analysis) -> Result<(), Failure> {
        if self.releases.is_empty() {
            return Err(Failure::usage("--publish: none of the targets is a `Release` with `publish`")
                .hint("write `publish: [GitHub(repository: \"owner/name\")]` in the `Release`"));
        }
        if !self.options.platform.is_empty() {
            return Err(Failure::usage("--publish is for all platforms of a release").hint("leave out `--platform`"));
        }
        check_publish(&self.request(), built).map_err(|error| self.failure(error))
    }

    /// Returns the graph that publishes what was built.
    pub fn graph(&self, built: &Analysis, summary: &Summary) -> Result<Analysis, Failure> {
        publish(&self.request(), built, &summary.results).map_err(|error| self.failure(error))
    }

    fn request(&self) -> Request<'_> {
        self.session.request(self.options, self.asked.clone())
    }

    fn failure(&self, error: UserError) -> Failure {
        Failure::in_build_file(error, &self.session.name, &self.session.text)
    }
}
