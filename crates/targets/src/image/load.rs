//! Loading an image into a reachable Docker daemon, unless it has the image already.

use std::collections::BTreeMap;
use std::time::Duration;

use rondel_cas::RelativePath;
use rondel_engine::{
    Freshness, Job, Metadata, Node, NodeId, Prepared, Query, Report, Step, StepContext, StepError, StepKey, UserError,
};

use crate::analyzer::{Analyzed, Analyzer};
use crate::docker::{Docker, DockerImage, DockerSocket};
use crate::image::loaded::LoadedImages;
use crate::image::metadata::{ImageMetadata, image_of};
use crate::nodes::ImageSource;
use rondel_buildfile::{TargetKind, TargetName};

pub(crate) struct LoadStep {
    /// Set if the daemon is required.
    pub docker: Option<Docker>,
    pub socket: Option<DockerSocket>,
    /// Directory of the layout, relative to the workspace.
    pub layout: RelativePath,
    /// Name of the file with what was loaded for the target.
    pub record: String,
    /// Removes former images of the target that have lost their names.
    pub prune: bool,
}

impl LoadStep {
    fn image(&self, context: &StepContext<'_>) -> Result<ImageMetadata, StepError> {
        image_of(context, 0)
            .ok_or_else(|| StepError::failed("the image's record is incomplete").hint("run again with --force"))
    }
}

/// Returns the report on an image that a daemon calls `id`.
fn loaded(image: &ImageMetadata, id: &str) -> Metadata {
    let (digest, platforms, inherited) = (String::new(), Vec::new(), BTreeMap::new());
    let image_id = id.to_owned();
    Metadata::of(&ImageMetadata { digest, image_id, size_bytes: 0, platforms, inherited, ..image.clone() })
}

/// Returns the image as the daemon has it: its ID is the digest of the configuration, or that of the index.
fn found<E>(
    image: &ImageMetadata,
    ask: impl Fn(&str) -> Result<Option<DockerImage>, E>,
) -> Result<Option<DockerImage>, E> {
    match ask(&image.image_id)? {
        Some(found) => Ok(Some(found)),
        None => ask(&image.digest),
    }
}

impl Step for LoadStep {
    type Findings = ();

    fn prepare(&self, context: &Query<'_>) -> Result<Prepared, StepError> {
        let plan = |freshness| Ok(Prepared::unkeyed(freshness));
        let image = self.image(context)?;
        let goes_on = || !context.cancellation.is_raised();
        let found = match (&self.docker, &self.socket) {
            (Some(docker), _) => {
                if !context.is_question() {
                    docker.require_daemon(context)?;
                }
                found(&image, |id| docker.image(context, id))?
            }
            (None, Some(socket)) => match found(&image, |id| socket.image(id, &goes_on)) {
                Ok(found) => found,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => return Err(StepError::Interrupted),
                Err(error) => return plan(Freshness::Skip(format!("no Docker daemon is reachable ({error})"))),
            },
            (None, None) => return plan(Freshness::Skip("no Docker daemon is reachable".to_owned())),
        };
        let Some(found) = found else {
            return plan(Freshness::not_present("Docker does not have this image"));
        };
        match image.tags.iter().find(|tag| !found.is_named(tag)) {
            Some(tag) => plan(Freshness::not_present(format!("`{tag}` names another image in Docker"))),
            None => plan(Freshness::UpToDate(loaded(&image, &found.id))),
        }
    }

    fn run(&self, _prepared: &Prepared, context: &Job<'_>) -> Result<Report, StepError> {
        let image = self.image(context)?;
        let mut loaded_images = LoadedImages::of(context, &self.record);
        let ids = [&image.image_id, &image.digest];
        let former: Vec<String> = loaded_images.ids().iter().filter(|id| !ids.contains(id)).cloned().collect();
        // A daemon calls it by one of the two. They are recorded before it has the image, so that none is there unrecorded.
        ids.into_iter().for_each(|id| loaded_images.add(id));
        loaded_images.write(context);
        let layout = self.layout.below(&context.workspace.root);
        let socket = self.socket.as_ref().or(self.docker.as_ref().and_then(|docker| docker.socket.as_ref()));
        let goes_on = || !context.cancellation.is_raised();
        let failed = |error: std::io::Error| match error.kind() {
            std::io::ErrorKind::Interrupted => StepError::Interrupted,
            _ => StepError::environment(format!("the image was not loaded into Docker: {error}")),
        };
        let mut found_image = None;
        if let Some(socket) = socket {
            let known: Vec<String> = image.tags.iter().chain(&former).cloned().collect();
            let sent = socket.load(&layout, &known, &goes_on).map_err(failed)?;
            if sent.kept > 0 {
                let what = if sent.kept == 1 { "layer was" } else { "layers were" };
                context.note(format!("{} {what} there; {} bytes sent", sent.kept, sent.bytes));
            }
            found_image = found(&image, |id| socket.image(id, &goes_on)).map_err(failed)?;
        } else if let Some(docker) = &self.docker {
            let archive = context.staging.join("image.tar");
            let mut file =
                std::fs::File::create_new(&archive).map_err(|error| StepError::unwritable(&archive, &error))?;
            let contents = docker.store(context)?.archive(&layout, 0);
            contents
                .and_then(|image| image.write(&mut file))
                .map_err(|error| StepError::unwritable(&archive, &error))?;
            context.run(&docker.command(["load", "--quiet", "--input", &archive.to_string_lossy()]))?;
            found_image = found(&image, |id| docker.image(context, id))?;
        }
        if self.prune {
            let gone = self.remove_former(&former, socket, context)?;
            loaded_images.forget(&gone, context);
        }
        let id = found_image.map_or_else(|| image.image_id.clone(), |found| found.id);
        Ok(Report::of(loaded(&image, &id)))
    }
}

impl LoadStep {
    /// Removes images that Rondel loaded and that have no name any more. Those of a container stay. Returns what is gone.
    fn remove_former(
        &self,
        former: &[String],
        socket: Option<&DockerSocket>,
        context: &Job<'_>,
    ) -> Result<Vec<String>, StepError> {
        let mut gone = Vec::new();
        for id in former {
            let is_gone = match (socket, &self.docker) {
                (Some(socket), _) => socket.remove_nameless(id, &|| !context.cancellation.is_raised()).unwrap_or(false),
                (None, Some(docker)) => match docker.image(context, id)? {
                    Some(image) if image.tags.is_empty() && image.digests.is_empty() => {
                        context.try_capture(&docker.command(["image", "rm", id]))?.finished.status.success()
                    }
                    _ => false,
                },
                (None, None) => false,
            };
            if is_gone {
                context.note(format!("the former image {id} is removed from Docker"));
                gone.push(id.clone());
            }
        }
        Ok(gone)
    }
}

/// Returns the step whose metadata names the image of `name` in the daemon, which is required.
pub(crate) fn image_in_docker(analyzer: &mut Analyzer<'_>, name: &TargetName, docker: &Docker) -> Analyzed<NodeId> {
    let nodes = analyzer.target(name, false)?;
    let (layout, out) = match nodes.image {
        Some(ImageSource::Layout { layout, out }) => (layout, out),
        Some(ImageSource::Daemon(node)) => return Ok(node),
        None => return Err(UserError::input(format!("`{name}` makes no image"))),
    };
    let key = StepKey::of(name, "required docker");
    if let Some(node) = analyzer.graph.find(&key) {
        return Ok(node);
    }
    let prune = matches!(&analyzer.find(name)?.kind, TargetKind::Image(image) if image.prune);
    let step = LoadStep {
        docker: Some(docker.clone()),
        socket: None,
        layout: out,
        record: StepKey::main(name).file_name(),
        prune,
    };
    let node = Node::new(key, "Image", Box::new(step));
    Ok(analyzer.graph.add(Node { title: format!("{name}: docker"), inputs: vec![layout], ..node }))
}

/// The command of a health check in a container, and the longest time that it may take.
pub(crate) struct ContainerHealth {
    pub command: Vec<String>,
    pub timeout: Duration,
}

/// Returns the health check of the image of `name`.
pub(crate) fn health_of(analyzer: &Analyzer<'_>, name: &TargetName) -> Analyzed<Option<ContainerHealth>> {
    let target = analyzer.find(name)?;
    let Some(check) = analyzer.behaviour(target).health() else { return Ok(None) };
    let timeout = Duration::from_secs(check.timing().timeout_s.get());
    Ok(Some(ContainerHealth { command: analyzer.in_scope(target, || analyzer.health_command(check))?, timeout }))
}
