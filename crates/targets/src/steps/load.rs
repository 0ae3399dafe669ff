//! Loading an image into a Docker daemon that is reachable, unless it has the image already.

use std::collections::BTreeMap;
use std::path::Path;

use rondel_cas::RelativePath;
use rondel_engine::{ActionSpec, Freshness, Plan, Reason, RunReport, Step, StepContext, StepError};

use crate::docker::{Docker, DockerSocket};

pub(crate) struct LoadStep {
    /// For when the daemon has to be there.
    pub docker: Option<Docker>,
    pub socket: Option<DockerSocket>,
    /// Directory of the layout, relative to the workspace.
    pub layout: RelativePath,
}

impl LoadStep {
    fn fact<'c>(&self, context: &'c StepContext<'_>, name: &str) -> &'c str {
        context.upstream[0].facts.get(name).map_or("", String::as_str)
    }

    fn facts(&self, context: &StepContext<'_>) -> BTreeMap<String, String> {
        let facts = ["image_id", "tags"].map(|name| (name.to_owned(), self.fact(context, name).to_owned()));
        facts.into()
    }
}

impl Step for LoadStep {
    fn prepare(&self, context: &StepContext<'_>) -> Result<Plan, StepError> {
        let plan = |freshness| Ok(Plan { spec: ActionSpec::default(), freshness });
        let (id, tags) = (self.fact(context, "image_id"), self.fact(context, "tags"));
        let found = match (&self.docker, &self.socket) {
            (Some(docker), _) => {
                if !context.is_query {
                    docker.require_daemon(context)?;
                }
                docker.image(context, id)?
            }
            (None, Some(socket)) => match socket.image(id) {
                Ok(found) => found,
                Err(error) => return plan(Freshness::Skip(format!("no Docker daemon is reachable ({error})"))),
            },
            (None, None) => return plan(Freshness::Skip("no Docker daemon is reachable".to_owned())),
        };
        let missing = |tag: &str, found: &[String]| !found.iter().any(|other| other == tag);
        match found {
            None => {
                plan(Freshness::Run(vec![Reason::NotPresent { what: "Docker does not have this image".to_owned() }]))
            }
            Some(image) => match tags.split_whitespace().find(|tag| missing(tag, &image.tags)) {
                Some(tag) => plan(Freshness::Run(vec![Reason::NotPresent {
                    what: format!("`{tag}` is another image in Docker"),
                }])),
                None => plan(Freshness::UpToDate(self.facts(context))),
            },
        }
    }

    fn run(&self, context: &StepContext<'_>, _spec: &ActionSpec, staging: &Path) -> Result<RunReport, StepError> {
        let layout = self.layout.below(&context.workspace.root);
        let socket = self.socket.as_ref().or(self.docker.as_ref().and_then(|docker| docker.socket.as_ref()));
        if let Some(socket) = socket {
            socket
                .load(&layout)
                .map_err(|error| StepError::environment(format!("the image was not loaded into Docker: {error}")))?;
        } else if let Some(docker) = &self.docker {
            let archive = staging.join("image.tar");
            let mut file =
                std::fs::File::create_new(&archive).map_err(|error| StepError::unwritable(&archive, &error))?;
            rondel_oci::write_archive(&layout, &mut file).map_err(|error| StepError::unwritable(&archive, &error))?;
            context.run(&docker.command(["load", "--quiet", "--input", &archive.to_string_lossy()]))?;
        }
        Ok(RunReport { facts: self.facts(context) })
    }
}
