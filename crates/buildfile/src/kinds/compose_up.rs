//! `ComposeUp`: fields and needs of one kind.

use crate::record::kind;
use crate::types::{ProcessEnvironment, Seconds, ServiceImages, SourcePath};
use crate::{Kind, Makes, Need, Text};

kind! {
    /// Starts the services of a compose file.
    ComposeUp in Group::Run {
        /// Path of the compose file.
        file: SourcePath = SourcePath::unwritten("docker-compose.yml"),
        /// Services that run an image made by a target: `{"service": "target"}`.
        images: ServiceImages = ServiceImages::default(),
        /// Waits until the services are healthy.
        wait: bool = true,
        /// Seconds for the services to become healthy.
        wait_timeout_s: Seconds = Seconds(120),
        /// Variables that the compose file may interpolate; `Secret` is allowed.
        env: ProcessEnvironment = ProcessEnvironment::default(),
        /// Profiles of the file whose services start too.
        profiles: Vec<Text> = Vec::new(),
        /// `--project-name`; `COMPOSE_PROJECT_NAME` of the caller, else the project's name, if left out.
        project_name: Option<Text> = None,
    }
}

impl Kind for ComposeUp {
    fn makes(&self) -> Makes {
        Makes::Processes
    }

    fn stays(&self) -> bool {
        true
    }

    fn needs(&self) -> Vec<Need> {
        vec![Need::DockerDaemon, Need::DockerCommand, Need::Compose]
    }
}
