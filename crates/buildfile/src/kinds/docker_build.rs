//! `DockerBuild`: fields and needs of one kind.

use crate::image_layout::check_tags;
use crate::record::kind;
use crate::types::{Environment, Platforms, SourcePath};
use crate::{Diagnostic, Kind, Makes, Need, Text};

kind! {
    /// `docker build`, with BuildKit if buildx is installed. Keyed by Dockerfile, build arguments, what Docker is sent of
    /// the context, and the daemon's IDs of the images that the Dockerfile reads. It always runs if the Dockerfile reads
    /// what no key can hold: an address, or an image that Docker does not have and that is not named by its digest.
    /// `.rondel`, default outputs below `dist` and Cargo's `target` are not sent unless the Dockerfile or the ignore file
    /// names them. Downloads of a `RUN` are in no key.
    DockerBuild in Group::Build {
        /// Path of the Dockerfile.
        dockerfile: SourcePath = SourcePath::unwritten("Dockerfile"),
        /// Directory of the context; `root` if left out.
        context: Option<SourcePath> = None,
        /// `--build-arg`, by name.
        build_args: Environment = Environment::default(),
        /// `--target`: the stage to build.
        target: Option<Text> = None,
        /// Names of the image: `"council:latest"`.
        tags: Vec<Text> = Vec::new(),
    }
}

impl Kind for DockerBuild {
    fn check(&self, _platforms: &Platforms, diagnostics: &mut Vec<Diagnostic>) {
        check_tags(&self.tags, diagnostics);
    }

    fn makes(&self) -> Makes {
        Makes::DaemonImage
    }

    fn needs(&self) -> Vec<Need> {
        vec![Need::DockerDaemon, Need::DockerCommand, Need::Buildx]
    }
}
