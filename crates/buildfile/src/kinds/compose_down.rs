//! `ComposeDown`: fields and needs of one kind.

use crate::record::kind;
use crate::types::{ProcessEnvironment, SourcePath};
use crate::{Kind, Makes, Need, Text};

kind! {
    /// Ends the services of a compose file.
    ComposeDown in Group::Run {
        /// Path of the compose file.
        file: SourcePath = SourcePath::unwritten("docker-compose.yml"),
        /// Removes its volumes too, and what is in them: asked first, unless `--yes` is given.
        volumes: bool = false,
        /// Variables that the compose file may interpolate; `Secret` is allowed.
        env: ProcessEnvironment = ProcessEnvironment::default(),
        /// `--project-name`; `COMPOSE_PROJECT_NAME` of the caller, else the project's name, if left out.
        project_name: Option<Text> = None,
    }
}

impl Kind for ComposeDown {
    fn makes(&self) -> Makes {
        Makes::Processes
    }

    fn question(&self) -> Option<String> {
        self.volumes.then(|| format!("The volumes of `{}` are removed, with all data in them. Go on?", self.file.value))
    }

    fn needs(&self) -> Vec<Need> {
        vec![Need::DockerDaemon, Need::DockerCommand, Need::Compose]
    }
}
