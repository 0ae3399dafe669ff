//! `DockerBuild`: any Dockerfile through `docker build`, keyed by all its inputs.
//!
//! The key holds the Dockerfile, the context after `.dockerignore`, the build arguments, and the daemon's ID of each
//! base image. Network access of the build is outside of any key: a cached `RUN` keeps its first answer.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rondel_buildfile::{DockerBuild, Target};
use rondel_cas::{Digest, RelativePath, SMALL_MAX, TEXT_MAX, read_text_at_most};
use rondel_engine::{
    ActionSpec, Job, Metadata, OutputKind, OutputSpec, Prepared, Query, Reason, Report, Shown, Step, StepError,
    StepKey, files_below,
};

use crate::analyzer::{Analyze, Analyzed, Analyzer};
use crate::docker::Docker;
use crate::docker::ignore_file::DockerIgnore;
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
            }))
        })?;
        let key = StepKey::main(&target.name.value);
        let node = analyzer.add(target, key, deps, Vec::new(), Shown::Streamed, step);
        Ok(TargetNodes { image: Some(ImageSource::Daemon(node)), ..TargetNodes::end(node) })
    }
}

/// Size in bytes above which a context gets a note.
const CONTEXT_WORTH_A_WORD: u64 = 50 * 1024 * 1024;

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
}

impl DockerBuildStep {
    fn ignore(&self) -> Result<DockerIgnore, StepError> {
        let own = PathBuf::from(format!("{}.dockerignore", self.dockerfile.display()));
        let read = |path: &Path| match read_text_at_most(path, TEXT_MAX) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            read => read.map(Some).map_err(|error| StepError::unreadable(path, &error)),
        };
        let text = read(&own)?.map_or_else(|| read(&self.context.join(".dockerignore")), |text| Ok(Some(text)))?;
        Ok(text.map(|text| DockerIgnore::parse(&text)).unwrap_or_default())
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

impl Step for DockerBuildStep {
    type Findings = ();

    fn prepare(&self, context: &Query<'_>) -> Result<Prepared, StepError> {
        let snapshot = &context.workspace.snapshot;
        let text = read_text_at_most(&self.dockerfile, TEXT_MAX)
            .map_err(|error| StepError::unreadable(&self.dockerfile, &error))?;
        let destination = RelativePath::new(&format!(".rondel/out/{}/image-id", self.name))
            .map_err(|error| StepError::failed(error.to_string()))?;
        let name = RelativePath::new("image-id").expect("a constant");
        let mut spec = ActionSpec {
            arguments: [vec!["docker".to_owned(), "build".to_owned()], self.arguments()].concat(),
            environment: self.docker.environment().clone(),
            outputs: vec![OutputSpec { name, destination, kind: OutputKind::File }],
            ..ActionSpec::default()
        };
        spec.settings.insert(
            "builder".to_owned(),
            if self.docker.has_plugin("buildx") { "buildx" } else { "docker" }.to_owned(),
        );
        spec.inputs.add(RelativePath::new("Dockerfile").expect("a constant"), self.dockerfile.clone(), snapshot)?;
        let ignore = self.ignore()?;
        let prefix = RelativePath::new("context").expect("a constant");
        // Docker copies permission bits and empty directories, which inputs do not have.
        let modes = RefCell::new(String::new());
        let files = files_below(&self.context, &|path| {
            let skipped = path.as_str() == ".rondel" || path.as_str() == ".git";
            if !skipped && !ignore.ignores(path) {
                modes.borrow_mut().push_str(&mode_line(path, &path.below(&self.context)));
            }
            skipped
        })?;
        for path in files {
            if !ignore.ignores(&path) {
                let absolute = path.below(&self.context);
                modes.borrow_mut().push_str(&mode_line(&path, &absolute));
                spec.inputs.add(prefix.join(&path), absolute, snapshot)?;
            }
        }
        let mut lines: Vec<String> = modes.into_inner().lines().map(str::to_owned).collect();
        lines.sort();
        let digest = Digest::of(lines.join("\n").as_bytes()).to_string();
        spec.settings.insert("directories and permissions of the context".to_owned(), digest);
        for base in base_images(&text, &self.build_args) {
            let id =
                self.docker.image(context, &base)?.map_or_else(|| "not in Docker yet".to_owned(), |image| image.id);
            spec.tools.insert(format!("base image {base}"), id);
        }
        Ok(Prepared::by_key(spec))
    }

    fn verify_external(&self, context: &Query<'_>, _prepared: &Prepared, metadata: &Metadata) -> Option<Reason> {
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

    fn run(&self, prepared: &Prepared<Self::Findings>, context: &Job<'_>) -> Result<Report, StepError> {
        let (spec, staging) = (&prepared.spec, context.staging);
        self.docker.require_daemon(context)?;
        let bytes: u64 = spec
            .inputs
            .iter()
            .filter_map(|input| std::fs::metadata(&input.absolute).ok())
            .map(|metadata| metadata.len())
            .sum();
        if bytes > CONTEXT_WORTH_A_WORD {
            context.note(format!(
                "the context has {} MB in {} files; a .dockerignore makes it smaller",
                bytes / 1_000_000,
                spec.inputs.iter().count()
            ));
        }
        let id_file = staging.join("image-id");
        let buildx = self.docker.has_plugin("buildx");
        let mut arguments: Vec<String> = if buildx {
            ["buildx", "build", "--load", "--provenance=false", "--progress=plain"].map(str::to_owned).to_vec()
        } else {
            vec!["build".to_owned()]
        };
        arguments.extend(["--file".to_owned(), self.dockerfile.display().to_string()]);
        arguments.extend(["--iidfile".to_owned(), id_file.display().to_string()]);
        arguments.extend(self.arguments());
        arguments.push(self.context.display().to_string());
        let builder = if buildx { "1" } else { "0" };
        let line = self.docker.command(arguments).environment([("DOCKER_BUILDKIT".to_owned(), builder.to_owned())]);
        context.run(&line)?;
        let id = read_text_at_most(&id_file, SMALL_MAX).map_err(|error| StepError::unreadable(&id_file, &error))?;
        Ok(Report {
            metadata: Metadata::of(&ImageMetadata {
                digest: String::new(),
                image_id: id.trim().to_owned(),
                size_bytes: 0,
                platforms: Vec::new(),
                tags: self.tags.clone(),
            }),
        })
    }
}

/// Returns permission bits and path of one file or directory.
fn mode_line(path: &RelativePath, absolute: &Path) -> String {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::symlink_metadata(absolute).map_or(0, |metadata| metadata.permissions().mode());
        format!("{mode:o} {path}\n")
    }
    #[cfg(not(unix))]
    {
        let _ = absolute;
        format!("{path}\n")
    }
}

/// Returns the base images of a Dockerfile. Stages of its own and `scratch` are left out. So are names with a variable
/// that no `ARG` before the first `FROM` and no build argument sets.
fn base_images(dockerfile: &str, build_args: &[(String, String)]) -> Vec<String> {
    let mut variables: BTreeMap<String, String> = BTreeMap::new();
    let mut stages: Vec<String> = Vec::new();
    let mut images: Vec<String> = Vec::new();
    for line in dockerfile.lines() {
        let words: Vec<&str> = line.split_whitespace().filter(|word| !word.starts_with("--")).collect();
        match words.as_slice() {
            [word, argument, ..] if word.eq_ignore_ascii_case("ARG") && images.is_empty() && stages.is_empty() => {
                let (name, default) = argument.split_once('=').unwrap_or((argument, ""));
                let given = build_args.iter().find(|(other, _)| other == name).map_or(default, |(_, value)| value);
                variables.insert(name.to_owned(), given.trim_matches('"').to_owned());
            }
            [word, image, rest @ ..] if word.eq_ignore_ascii_case("FROM") => {
                let mut image = (*image).to_owned();
                for (name, value) in &variables {
                    image = image.replace(&format!("${{{name}}}"), value).replace(&format!("${name}"), value);
                }
                if image != "scratch" && !image.contains('$') && !stages.contains(&image) && !images.contains(&image) {
                    images.push(image);
                }
                if let [word, name, ..] = rest
                    && word.eq_ignore_ascii_case("AS")
                {
                    stages.push((*name).to_owned());
                }
            }
            _ => {}
        }
    }
    images
}

#[cfg(test)]
mod tests {
    use super::base_images;

    #[test]
    fn images_of_a_dockerfile() {
        let text = "ARG GO=1.22\nFROM --platform=$BUILDPLATFORM golang:${GO}-alpine AS build\nRUN x\nfrom build as test\nFROM scratch\nFROM alpine:3.19\nFROM $OTHER\n";
        assert_eq!(base_images(text, &[]), ["golang:1.22-alpine", "alpine:3.19"]);
        assert_eq!(base_images(text, &[("GO".to_owned(), "1.23".to_owned())])[0], "golang:1.23-alpine");
    }
}
