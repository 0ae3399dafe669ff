//! `Image`: layers and a configuration become an OCI layout.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rondel_buildfile::Platform;
use rondel_cas::{Digest, Entry, RelativePath};
use rondel_engine::{ActionSpec, Freshness, OutputKind, OutputSpec, Plan, RunReport, Step, StepContext, StepError};
use rondel_oci::{ImageConfig, Layer, LayoutInput, PlatformImage, Reference, write_layout};

pub(crate) struct ImageStep {
    pub config: ImageConfig,
    pub annotations: BTreeMap<String, String>,
    pub tags: Vec<Reference>,
    /// Each platform and which of the upstream layers it has, lowest first, with a word on what each is.
    pub platforms: Vec<(Platform, Vec<(usize, String)>)>,
    /// Index into `platforms` of the one that a Docker daemon here can run.
    pub loadable: usize,
    /// Directory of the layout, relative to the workspace.
    pub out: RelativePath,
}

impl ImageStep {
    fn layer(&self, context: &StepContext<'_>, index: usize) -> Result<(Layer, PathBuf), StepError> {
        let upstream = &context.upstream[index];
        let broken = || StepError::failed("a layer's record is incomplete").hint("run again with --force");
        let artefact = upstream.artefacts.first().ok_or_else(broken)?;
        let Entry::File { digest, .. } = artefact.entry else { return Err(broken()) };
        let diff_id: Digest = upstream.facts.get("diff_id").and_then(|text| text.parse().ok()).ok_or_else(broken)?;
        Ok((Layer { digest, diff_id }, artefact.path.clone()))
    }
}

impl Step for ImageStep {
    fn prepare(&self, context: &StepContext<'_>) -> Result<Plan, StepError> {
        let name = RelativePath::new("layout").expect("a constant");
        let mut spec = ActionSpec {
            arguments: vec!["image".to_owned()],
            outputs: vec![OutputSpec { name, destination: self.out.clone(), kind: OutputKind::Directory }],
            ..ActionSpec::default()
        };
        let config = &self.config;
        let mut settings = std::collections::BTreeMap::new();
        let mut put = |name: &str, value: String| settings.insert(name.to_owned(), value);
        put("layout", "oci-1.1 docker-manifest-1".to_owned());
        put("user", config.user.clone());
        put("entrypoint", format!("{:?}", config.entrypoint));
        put("cmd", format!("{:?}", config.command));
        put("workdir", config.directory.clone());
        put("ports", config.ports.join(" "));
        put("env", format!("{:?}", config.environment));
        put("labels", format!("{:?}", config.labels));
        put("health", format!("{:?}", config.health));
        put("created", config.created_s.to_string());
        put("annotations", format!("{:?}", self.annotations));
        put("tags", self.tags.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "));
        put("loadable platform", self.platforms[self.loadable].0.to_string());
        for (platform, layers) in &self.platforms {
            let names: Vec<&str> = layers.iter().map(|(_, what)| what.as_str()).collect();
            put(&format!("layers of {platform}"), names.join(", "));
            for (position, (index, what)) in layers.iter().enumerate() {
                let (layer, _) = self.layer(context, *index)?;
                let slot = RelativePath::new(&format!("{platform}/{position} {what}"))
                    .map_err(|error| StepError::failed(error.to_string()))?;
                spec.upstream.insert(slot, Entry::file(layer.digest, false));
                put(&format!("diff ID {position} of {platform}"), layer.diff_id.to_string());
            }
        }
        spec.settings = settings;
        Ok(Plan { spec, freshness: Freshness::ByKey })
    }

    fn run(&self, context: &StepContext<'_>, _spec: &ActionSpec, staging: &Path) -> Result<RunReport, StepError> {
        let mut files: BTreeMap<Digest, PathBuf> = BTreeMap::new();
        let mut images = Vec::with_capacity(self.platforms.len());
        for (platform, indices) in &self.platforms {
            let mut layers = Vec::with_capacity(indices.len());
            for (index, what) in indices {
                let (layer, path) = self.layer(context, *index)?;
                files.insert(layer.digest, path);
                layers.push((layer, what.clone()));
            }
            images.push(PlatformImage {
                os: platform.os().to_owned(),
                architecture: platform.architecture().to_owned(),
                variant: oci_variant(platform),
                layers,
            });
        }
        let input = LayoutInput {
            images: &images,
            layers: &files,
            config: &self.config,
            annotations: &self.annotations,
            tags: &self.tags,
            loadable: self.loadable,
        };
        let directory = staging.join("layout");
        let report = write_layout(&input, &directory).map_err(|error| StepError::unwritable(&directory, &error))?;
        let platforms: Vec<String> = self.platforms.iter().map(|(platform, _)| platform.to_string()).collect();
        let facts = [
            ("digest", report.index.oci()),
            ("image_id", report.image_id.oci()),
            ("size_bytes", report.bytes.to_string()),
            ("platforms", platforms.join(" ")),
            ("tags", self.tags.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")),
        ];
        Ok(RunReport { facts: facts.map(|(name, value)| (name.to_owned(), value)).into() })
    }
}

/// The variant as the image specification has it: that of `GOARM` is always said, others if they are declared.
fn oci_variant(platform: &Platform) -> Option<String> {
    match (platform.architecture(), platform.variant()) {
        ("arm", None) => Some("v7".to_owned()),
        ("amd64" | "arm" | "arm64", Some(variant)) => Some(variant.trim_end_matches(".0").to_owned()),
        _ => None,
    }
}
