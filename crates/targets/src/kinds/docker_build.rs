//! `DockerBuild`: any Dockerfile through `docker build`, keyed by all its inputs.
//!
//! The key holds the Dockerfile, all that Docker is sent of the context, the build arguments, and the daemon's ID of each
//! image that the Dockerfile reads. A build that reads what no key can hold always runs. Network access of a `RUN` is
//! outside of any key: a cached `RUN` keeps its first answer.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use rondel_buildfile::{DockerBuild, Platform, Target};
use rondel_cas::{Digest, RelativePath, SMALL_MAX, TEXT_MAX, read_text_at_most};
use rondel_engine::{
    ActionSpec, Freshness, Job, Metadata, OutputKind, OutputSpec, Prepared, Query, Reason, Report, Shown, Step,
    StepContext, StepError, StepKey,
};

use crate::analyzer::{Analyze, Analyzed, Analyzer};
use crate::docker::Docker;
use crate::docker::build_context::{self, BuildContext, ignore_line};
use crate::docker::context_memory::ContextMemory;
use crate::docker::dockerfile::Dockerfile;
use crate::docker::dockerfile_reads::{Reads, is_pinned, reads};
use crate::docker::ignore_file::{DockerIgnore, Matched, UnreadableLine};
use crate::image::metadata::ImageMetadata;
use crate::nodes::{Deps, ImageSource, TargetNodes};

impl Analyze for DockerBuild {
    fn analyze(
        &self,
        analyzer: &mut Analyzer<'_>,
        target: &Target,
        deps: Deps,
        _wanted: bool,
    ) -> Analyzed<TargetNodes> {
        let docker = analyzer.docker()?;
        let file = analyzer.request.file;
        let outputs: Vec<String> = file
            .targets
            .iter()
            .flat_map(|target| file.outputs_of(target))
            .filter(|output| output.written.is_none())
            .map(|output| output.path)
            .collect();
        let step = analyzer.step(&|| {
            Ok(Box::new(DockerBuildStep {
                docker: docker.clone(),
                name: target.name.value.to_string(),
                dockerfile: analyzer.root.join(&self.dockerfile.value),
                context: self
                    .context
                    .as_ref()
                    .map_or_else(|| analyzer.root.clone(), |context| analyzer.root.join(&context.value)),
                build_args: analyzer.variables.pairs(&self.build_args)?,
                stage: analyzer.variables.optional(self.target.as_ref())?,
                tags: analyzer.image_tags(&self.tags)?.iter().map(ToString::to_string).collect(),
                outputs: outputs.clone(),
            }))
        })?;
        let key = StepKey::main(&target.name.value);
        let node = analyzer.add(target, key, deps, Vec::new(), Shown::Streamed, step);
        Ok(TargetNodes { image: Some(ImageSource::Daemon(node)), ..TargetNodes::end(node) })
    }
}

/// Size in bytes above which a context is warned about.
const CONTEXT_WORTH_A_WORD: u64 = 50 * 1000 * 1000;

pub(crate) struct DockerBuildStep {
    pub docker: Docker,
    /// Name of the target, for paths.
    pub name: String,
    /// Absolute.
    pub dockerfile: PathBuf,
    /// Absolute.
    pub context: PathBuf,
    pub build_args: Vec<(String, String)>,
    pub stage: Option<String>,
    pub tags: Vec<String>,
    /// Default places of outputs, below `dist`, relative to the workspace.
    pub outputs: Vec<String>,
}

/// What Docker is sent, beside the context itself.
pub(crate) struct Sent {
    dockerfile: String,
    /// Text of the ignore file, with what Rondel leaves out.
    ignore: String,
    /// What that is, as far as it exists.
    left_out: Vec<String>,
    /// The daemon's IDs of the images that are read.
    images: BTreeMap<String, Option<String>>,
    size: u64,
    count: usize,
    largest: Vec<(String, u64)>,
}

impl DockerBuildStep {
    fn has_buildx(&self) -> bool {
        self.docker.has_plugin("buildx")
    }

    /// Returns the text of the ignore file; empty if there is none. Only BuildKit asks for one beside the Dockerfile; there,
    /// an empty one counts too.
    fn ignore_text(&self, workspace: &Path) -> Result<String, StepError> {
        let own = PathBuf::from(format!("{}.dockerignore", self.dockerfile.display()));
        let files = [Some(own).filter(|_| self.has_buildx()), Some(self.context.join(".dockerignore"))];
        let found = files.into_iter().flatten().find(|path| path.exists());
        found.map_or_else(|| Ok(String::new()), |path| text_of(&path, workspace))
    }

    /// Returns the daemon's IDs of images that another time may have others.
    fn images(&self, context: &StepContext<'_>, reads: &Reads) -> Result<BTreeMap<String, Option<String>>, StepError> {
        let mut images = BTreeMap::new();
        for image in reads.images.iter().filter(|image| !is_pinned(image)) {
            images.insert(image.clone(), self.docker.image(context, image)?.map(|image| image.id));
        }
        Ok(images)
    }

    /// Returns paths of the context that are Rondel's or Cargo's own and that nobody asked for.
    fn left_out(
        &self,
        context: &StepContext<'_>,
        root: &Path,
        reads: &Reads,
        ignore: &DockerIgnore,
    ) -> Vec<RelativePath> {
        let real = |path: &Path| fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let workspace = real(&context.workspace.root);
        let mut own = vec![real(&context.workspace.cache), workspace.join(".rondel")];
        // Cargo marks its directory. One without the mark is the project's.
        if workspace.join("target/CACHEDIR.TAG").is_file() {
            own.push(workspace.join("target"));
        }
        let outputs: Vec<PathBuf> = self.outputs.iter().map(|output| workspace.join(output)).collect();
        build_context::left_out(root, &own, &workspace.join("dist"), &outputs, reads, ignore)
    }

    /// Prepares with the images that `known` has, or else those that the daemon has now.
    fn prepare_with(
        &self,
        context: &Query<'_>,
        known: Option<&BTreeMap<String, Option<String>>>,
    ) -> Result<Prepared<Sent>, StepError> {
        let (snapshot, workspace) = (&context.workspace.snapshot, &context.workspace.root);
        let text = text_of(&self.dockerfile, workspace)?;
        let root = fs::canonicalize(&self.context).map_err(|error| StepError::unreadable(&self.context, &error))?;
        require_within(&self.context, &root, workspace)?;
        let mut spec = self.spec()?;
        spec.inputs.add(RelativePath::new("Dockerfile").expect("a constant"), self.dockerfile.clone(), snapshot)?;
        let file = Dockerfile::parse(&text);
        let reads = reads(&file, &self.build_args, Platform::host().architecture());
        let mut always: Vec<String> =
            reads.untracked.iter().map(|line| format!("`{line}` reads what no key can hold")).collect();
        let mut ignore_text = self.ignore_text(workspace)?;
        let mut left_out = Vec::new();
        let ignore = match DockerIgnore::parse(&ignore_text) {
            Ok(ignore) => ignore,
            Err(UnreadableLine(line)) => {
                always.push(format!("`{line}` in the ignore file can't be read as Docker reads it"));
                DockerIgnore::default()
            }
        };
        let own = self.left_out(context, &root, &reads, &ignore);
        let lines: String = own.iter().map(|path| format!("{}\n", ignore_line(path))).collect();
        let mut effective = ignore;
        if self.has_buildx() {
            left_out = own.iter().filter(|path| path.below(&root).exists()).map(ToString::to_string).collect();
            let separator = if ignore_text.is_empty() || ignore_text.ends_with('\n') { "" } else { "\n" };
            ignore_text.push_str(separator);
            ignore_text.push_str(&lines);
            effective = DockerIgnore::parse(&ignore_text).unwrap_or(effective);
        } else if effective.ignores(".rondel", &Matched::default()).0 {
            // The older builder reads only the project's own ignore file.
        } else if own.iter().any(|path| path.as_str() == ".rondel") {
            always.push("`.rondel` is in the context; add it to .dockerignore, or install buildx".to_owned());
            effective = DockerIgnore::parse(&format!("{ignore_text}\n/.rondel\n")).unwrap_or(effective);
        }
        let sent = BuildContext::list(&root, &effective)?;
        sent.add_to(&mut spec.inputs, &root, &RelativePath::new("context").expect("a constant"), snapshot)?;
        let digest = Digest::of(sent.modes.join("\n").as_bytes()).to_string();
        spec.settings.insert("directories and permissions of the context".to_owned(), digest);
        let images = known.map_or_else(|| self.images(context, &reads), |known| Ok(known.clone()))?;
        for (image, id) in &images {
            if id.is_none() {
                always.push(format!(
                    "`{image}` is not in Docker, so a newer one can't be seen: pull it, or write its digest"
                ));
            }
            let id = id.clone().unwrap_or_else(|| "not in Docker yet".to_owned());
            spec.tools.insert(format!("base image {image}"), id);
        }
        let freshness = if always.is_empty() { Freshness::ByKey } else { Freshness::always(always.join("; ")) };
        let (size, count, largest) = (sent.size(), sent.files.len(), sent.largest(3));
        let findings = Sent { dockerfile: text, ignore: ignore_text, left_out, images, size, count, largest };
        Ok(Prepared { spec, freshness, findings })
    }

    /// Returns the part of the key that needs no file.
    fn spec(&self) -> Result<ActionSpec, StepError> {
        let destination = RelativePath::new(&format!(".rondel/out/{}/image-id", self.name))
            .map_err(|error| StepError::failed(error.to_string()))?;
        let name = RelativePath::new("image-id").expect("a constant");
        let mut spec = ActionSpec {
            arguments: [vec!["docker".to_owned(), "build".to_owned()], self.arguments()].concat(),
            environment: self.docker.environment().clone(),
            outputs: vec![OutputSpec { name, destination, kind: OutputKind::File }],
            ..ActionSpec::default()
        };
        let builder = if self.has_buildx() { "buildx" } else { "docker" };
        spec.settings.insert("builder".to_owned(), builder.to_owned());
        Ok(spec)
    }

    /// Writes the Dockerfile and its ignore file for BuildKit; returns the place of the former.
    fn stage(&self, sent: &Sent, staging: &Path) -> Result<PathBuf, StepError> {
        let directory = staging.join("dockerfile");
        let name = self.dockerfile.file_name().map_or_else(|| "Dockerfile".into(), ToOwned::to_owned);
        let file = directory.join(&name);
        let ignore = PathBuf::from(format!("{}.dockerignore", file.display()));
        let unwritable = |error| StepError::unwritable(&directory, &error);
        fs::create_dir_all(&directory).map_err(unwritable)?;
        fs::write(&file, &sent.dockerfile).map_err(unwritable)?;
        // A comment, so that BuildKit does not take an empty file for none.
        fs::write(&ignore, format!("{}\n#\n", sent.ignore)).map_err(unwritable)?;
        Ok(file)
    }

    fn tell(&self, sent: &Sent, context: &StepContext<'_>) {
        let worth_a_word: Vec<&str> =
            sent.left_out.iter().map(String::as_str).filter(|path| *path != ".rondel").collect();
        if !worth_a_word.is_empty() {
            context.note(format!("not sent to Docker: {}", worth_a_word.join(", ")));
        }
        if sent.size > CONTEXT_WORTH_A_WORD {
            let mb = |size: u64| format!("{} MB", size / 1_000_000);
            let large = sent.largest.iter().filter(|(_, size)| *size >= 1_000_000);
            let parts: Vec<String> = large.map(|(part, size)| format!("{part} {}", mb(*size))).collect();
            context.warn(format!(
                "{}: the context has {} in {} files ({}); a .dockerignore makes it smaller",
                self.name,
                mb(sent.size),
                sent.count,
                parts.join(", ")
            ));
        }
    }

    fn arguments(&self) -> Vec<String> {
        let mut arguments = Vec::new();
        for (name, value) in &self.build_args {
            arguments.extend(["--build-arg".to_owned(), format!("{name}={value}")]);
        }
        if let Some(stage) = &self.stage {
            arguments.extend(["--target".to_owned(), stage.clone()]);
        }
        for tag in &self.tags {
            arguments.extend(["--tag".to_owned(), tag.clone()]);
        }
        arguments
    }
}

/// Returns a text that no other build has.
fn fresh_name(staging: &Path) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    format!("{now} {}", staging.display())
}

/// Returns a path of the context that ends with `name`: BuildKit knows its copy by the last part.
#[cfg(unix)]
fn named_context(context: &Path, staging: &Path, name: &str) -> Result<PathBuf, StepError> {
    let link = staging.join(format!("context-{name}"));
    std::os::unix::fs::symlink(context, &link).map_err(|error| StepError::unwritable(&link, &error))?;
    Ok(link)
}

#[cfg(not(unix))]
fn named_context(context: &Path, _staging: &Path, _name: &str) -> Result<PathBuf, StepError> {
    Ok(context.to_owned())
}

/// Returns the text of a Dockerfile or an ignore file in the workspace.
fn text_of(path: &Path, workspace: &Path) -> Result<String, StepError> {
    let unreadable = |error: io::Error| StepError::unreadable(path, &error);
    let real = fs::canonicalize(path).map_err(unreadable)?;
    require_within(path, &real, workspace)?;
    read_text_at_most(&real, TEXT_MAX).map_err(unreadable)
}

/// Refuses a path whose links lead out of the workspace.
fn require_within(path: &Path, real: &Path, workspace: &Path) -> Result<(), StepError> {
    let workspace = fs::canonicalize(workspace).map_err(|error| StepError::unreadable(workspace, &error))?;
    if real.starts_with(&workspace) {
        return Ok(());
    }
    let message = format!("`{}` leads out of the workspace, to `{}`", path.display(), real.display());
    Err(StepError::input(message).hint("copy it into the workspace"))
}

impl Step for DockerBuildStep {
    type Findings = Sent;

    fn prepare(&self, context: &Query<'_>) -> Result<Prepared<Sent>, StepError> {
        self.prepare_with(context, None)
    }

    /// The images are those that the build began with: it may itself have fetched some.
    fn review(&self, context: &Query<'_>, former: &Prepared<Sent>) -> Result<Prepared<Sent>, StepError> {
        self.prepare_with(context, Some(&former.findings.images))
    }

    fn verify_external(&self, context: &Query<'_>, _prepared: &Prepared<Sent>, metadata: &Metadata) -> Option<Reason> {
        let id = &metadata.get::<ImageMetadata>()?.image_id;
        let gone = |what: String| Some(Reason::NotPresent { what });
        match self.docker.image(context, id) {
            Ok(Some(image)) => {
                let missing = self.tags.iter().find(|tag| !image.tags.contains(tag))?;
                gone(format!("`{missing}` names another image in Docker"))
            }
            Ok(None) => gone("Docker no longer has the image".to_owned()),
            Err(error) => gone(error.to_string()),
        }
    }

    fn run(&self, prepared: &Prepared<Sent>, context: &Job<'_>) -> Result<Report, StepError> {
        let (sent, staging) = (&prepared.findings, context.staging);
        self.docker.require_daemon(context)?;
        self.tell(sent, context);
        let id_file = staging.join("image-id");
        let buildx = self.has_buildx();
        let memory_name = format!("{}@{}", self.name.replace('/', "+"), self.docker.endpoint());
        let memory = ContextMemory::of(context.workspace, &memory_name);
        let (remembered, looks) = memory.begin(&prepared.spec.inputs, &fresh_name(staging));
        let (mut arguments, file, directory) = if buildx {
            let words = ["buildx", "build", "--load", "--provenance=false", "--progress=plain"];
            let directory = named_context(&self.context, staging, &remembered.name)?;
            (words.map(str::to_owned).to_vec(), self.stage(sent, staging)?, directory)
        } else {
            (vec!["build".to_owned()], self.dockerfile.clone(), self.context.clone())
        };
        arguments.extend(["--file".to_owned(), file.display().to_string()]);
        arguments.extend(["--iidfile".to_owned(), id_file.display().to_string()]);
        arguments.extend(self.arguments());
        arguments.push(directory.display().to_string());
        let builder = if buildx { "1" } else { "0" };
        let line = self.docker.command(arguments).environment([("DOCKER_BUILDKIT".to_owned(), builder.to_owned())]);
        context.run(&line)?;
        memory.keep(&remembered, &prepared.spec.inputs, &looks);
        let id = read_text_at_most(&id_file, SMALL_MAX).map_err(|error| StepError::unreadable(&id_file, &error))?;
        Ok(Report::of(Metadata::of(&ImageMetadata {
            digest: String::new(),
            image_id: id.trim().to_owned(),
            size_bytes: 0,
            platforms: Vec::new(),
            tags: self.tags.clone(),
            inherited: BTreeMap::new(),
        })))
    }
}
