//! `Image`: layers and a configuration become an OCI layout, which is loaded into a reachable Docker daemon.

use std::collections::BTreeMap;
use std::path::PathBuf;

use rondel_buildfile::{
    Attributes, BASE_DIRECTORIES, BASE_FILES, BASE_USERS, Created, GitQuery, Health, Image, Makes, Origin, Platform,
    Spanned, Target,
};
use rondel_cas::{Digest, Entry, RelativePath};
use rondel_engine::{
    ActionSpec, Job, Metadata, NodeId, OutputKind, OutputSpec, Prepared, Query, Report, Shown, Step, StepContext,
    StepError, StepKey, UserError,
};
use rondel_golang::{PROBE_PATH, ProbeStep};
use rondel_names::ImageName;
use rondel_oci::{ImageConfig, Layer, LayoutInput, PlatformImage, write_layout, zoneinfo_environment};

use crate::analyzer::{Analyze, Analyzed, Analyzer, image_path, only_output, output_path, path, probe_url};
use crate::docker::DockerSocket;
use crate::image::layer::{LayerContents, LayerStep, TreeFiles};
use crate::image::load::LoadStep;
use crate::image::metadata::{ImageMetadata, LayerMetadata};
use crate::image::places::{Boundary, OutputPlace, Placed, with_span};
use crate::nodes::{Deps, ImageSource, TargetNodes};

impl Analyze for Image {
    fn analyze(
        &self,
        analyzer: &mut Analyzer<'_>,
        target: &Target,
        deps: Deps,
        _wanted: bool,
    ) -> Analyzed<TargetNodes> {
        let name = target.name.value.clone();
        let platforms = analyzer.platforms(self.platforms.as_ref(), target, true)?;
        let shared = shared_layers(analyzer, target, self, &deps)?;
        let mut inputs: Vec<NodeId> = shared.iter().map(|(node, _)| *node).collect();
        let mut layers_of = Vec::with_capacity(platforms.len());
        for platform in &platforms {
            let mut layers: Vec<(usize, String)> =
                shared.iter().enumerate().map(|(index, (_, what))| (index, what.clone())).collect();
            if let Some(node) = output_layer(analyzer, target, self, &deps, platform)? {
                layers.push((inputs.len(), "outputs".to_owned()));
                inputs.push(node);
            }
            layers_of.push((platform.clone(), layers));
        }
        let out = only_output(target, analyzer.request.file)?;
        let host = Platform::host();
        let runs_here = |platform: &Platform| platform.architecture() == host.architecture();
        let loadable = platforms.iter().position(runs_here).unwrap_or(0);
        let step = analyzer.step(&|| {
            let config = image_config(analyzer, target, self)?;
            let mut annotations: BTreeMap<String, String> = config
                .labels
                .iter()
                .filter(|(name, _)| name.starts_with("org.opencontainers.image."))
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect();
            annotations
                .entry("org.opencontainers.image.title".to_owned())
                .or_insert_with(|| analyzer.request.file.project.value.clone());
            Ok(Box::new(ImageStep {
                config,
                annotations,
                tags: analyzer.image_tags(&self.tags)?,
                platforms: layers_of.clone(),
                loadable,
                out: out.clone(),
            }))
        })?;
        let layout = analyzer.add(
            target,
            StepKey::main(&name),
            Deps { order_only: deps.order_only, on_miss: Vec::new() },
            inputs,
            Shown::OnFailure,
            step,
        );
        let load =
            LoadStep { docker: None, socket: DockerSocket::find(analyzer.request.environment), layout: out.clone() };
        let load = analyzer.add(
            target,
            StepKey::of(&name, "docker"),
            Deps::default(),
            vec![layout],
            Shown::OnFailure,
            Box::new(load),
        );
        Ok(TargetNodes { image: Some(ImageSource::Layout { layout, out }), ..TargetNodes::ends(vec![layout, load]) })
    }

    fn health(&self) -> Option<&Health> {
        self.health.as_ref()
    }
}

/// Returns the layers that all platforms share: the base and the files of the tree.
fn shared_layers(
    analyzer: &mut Analyzer<'_>,
    target: &Target,
    image: &Image,
    deps: &Deps,
) -> Analyzed<Vec<(NodeId, String)>> {
    let name = &target.name.value;
    let zones = if image.tzdata { Some(analyzer.go()?) } else { None };
    let key = StepKey::of(name, "layer base");
    let base = add_layer(analyzer, key, LayerContents::StaticBase(zones), Vec::new(), &Deps::default());
    let mut layers = vec![(base, "static base".to_owned())];
    let tree = tree_files(analyzer, target, image)?;
    if !tree.files.is_empty() {
        let contents = LayerContents::Tree(tree);
        let node = add_layer(analyzer, StepKey::of(name, "layer files"), contents, Vec::new(), deps);
        layers.push((node, format!("files of {name}")));
    }
    Ok(layers)
}

/// Returns the files of the tree in an image, and the places of outputs in it.
fn tree_files(analyzer: &Analyzer<'_>, target: &Target, image: &Image) -> Analyzed<TreeFiles> {
    let mut tree = TreeFiles { root: analyzer.root.clone(), files: Vec::new(), outputs: Vec::new() };
    for (place, source) in &image.files {
        let (attributes, span) = (source.value.attributes.clone(), place.span);
        let place = image_path(place)?;
        match &source.value.origin {
            Origin::File(file) => {
                let path = path(file).map_err(|error| error.at(source.span))?;
                let placed = Placed { place, path, attributes, span: source.span };
                check_awaited(analyzer, target, &placed)?;
                tree.files.push(placed);
            }
            Origin::Output(name) => {
                let producer = analyzer.find(name)?;
                let directory = match analyzer.request.file.outputs_of(producer).as_slice() {
                    [output] if output.is_directory && producer.makes() == (Makes::Files { count: 1 }) => {
                        output.written.map(output_path).transpose()?
                    }
                    _ => None,
                };
                tree.outputs.push(OutputPlace { place, directory, attributes, span });
            }
        }
    }
    tree.files.sort_by(|one, other| one.place.cmp(&other.place));
    check_places(analyzer, &tree)?;
    Ok(tree)
}

/// Refuses what shows in the tree as it is now: links out of the workspace, and files below files. What other steps make
/// is checked later.
fn check_places(analyzer: &Analyzer<'_>, tree: &TreeFiles) -> Analyzed<()> {
    let of_user = |error| match error {
        StepError::User(error) => Some(error),
        StepError::Command { .. } | StepError::Interrupted => None,
    };
    let Ok(boundary) = Boundary::new(&analyzer.root, &analyzer.request.root, &[]) else { return Ok(()) };
    for placed in &tree.files {
        if !placed.path.below(&analyzer.root).exists() {
            continue;
        }
        let real = match boundary.resolve(&placed.path) {
            Ok(real) => real,
            Err(error) => return of_user(with_span(error, placed.span)).map_or(Ok(()), Err),
        };
        let is_below = |place: &RelativePath| *place != placed.place && place.is_within(&placed.place);
        let files = tree.files.iter().map(|other| (&other.place, other.span));
        let mut others = files.chain(tree.outputs.iter().map(|other| (&other.place, other.span)));
        if !real.place.is_dir()
            && let Some((place, span)) = others.find(|(place, _)| is_below(place))
        {
            let message = format!("`/{place}` is below `/{}`, which is a file", placed.place);
            return Err(UserError::input(message).at(span).hint("give one of them another path"));
        }
        let is_base_file = BASE_FILES.contains(&format!("/{}", placed.place).as_str());
        let is_base_directory = BASE_DIRECTORIES.contains(&format!("/{}", placed.place).as_str());
        if real.place.is_dir() && is_base_file || !real.place.is_dir() && is_base_directory {
            let (here, there) = if is_base_file { ("directory", "file") } else { ("file", "directory") };
            let message = format!("`/{}` is a {there} of the image, and `{}` is a {here}", placed.place, placed.path);
            return Err(UserError::input(message).at(placed.span).hint("give it another path"));
        }
    }
    Ok(())
}

/// Refuses a file that another target writes, unless the image waits for that target.
fn check_awaited(analyzer: &Analyzer<'_>, target: &Target, placed: &Placed) -> Analyzed<()> {
    let awaited = analyzer.waited_for(target);
    let place = placed.path.below(&analyzer.root);
    for other in &analyzer.request.file.targets {
        if awaited.contains(&other.name.value) {
            continue;
        }
        for output in analyzer.request.file.outputs_of(other) {
            let written = analyzer.request.root.join(&output.path);
            if written.starts_with(&place) || place.starts_with(&written) {
                let name = &other.name.value;
                let message = format!(
                    "`{}` holds the output of `{name}`, which `{}` does not wait for",
                    placed.path, target.name.value
                );
                let hint = format!("write `Output(\"{name}\")`, or `after: [\"{name}\"]`");
                return Err(UserError::input(message).at(placed.span).hint(hint));
            }
        }
    }
    Ok(())
}

fn add_layer(
    analyzer: &mut Analyzer<'_>,
    key: StepKey,
    contents: LayerContents,
    inputs: Vec<NodeId>,
    deps: &Deps,
) -> NodeId {
    let step = LayerStep { contents, name: key.file_name(), threads: analyzer.request.threads };
    analyzer.add_hidden(key, inputs, deps.order_only.clone(), Box::new(step))
}

/// Returns the layer of other steps' outputs for one platform, with the health probe.
fn output_layer(
    analyzer: &mut Analyzer<'_>,
    target: &Target,
    image: &Image,
    deps: &Deps,
    platform: &Platform,
) -> Analyzed<Option<NodeId>> {
    let tree = tree_files(analyzer, target, image)?;
    let (mut places, mut inputs) = (tree.outputs.clone(), Vec::new());
    for (_, source) in &image.files {
        let Origin::Output(name) = &source.value.origin else { continue };
        let producer = analyzer.find(name)?;
        let node = analyzer.behaviour(producer).output_node(analyzer, producer, platform, (target, source.span))?;
        inputs.push(node);
    }
    if image.health.is_some() {
        let attributes = Attributes { mode: None, owner: None };
        places.push(OutputPlace { place: path(PROBE_PATH)?, directory: None, attributes, span: target.name.span });
        inputs.push(probe(analyzer, platform)?);
    }
    if places.is_empty() {
        return Ok(None);
    }
    let contents = LayerContents::Outputs { places, tree };
    let key = StepKey::of(&target.name.value, "layer outputs").on(platform);
    Ok(Some(add_layer(analyzer, key, contents, inputs, deps)))
}

fn probe(analyzer: &mut Analyzer<'_>, platform: &Platform) -> Analyzed<NodeId> {
    let key = StepKey::shared("health probe").on(platform);
    if let Some(node) = analyzer.graph.find(&key) {
        return Ok(node);
    }
    let step = Box::new(ProbeStep { go: analyzer.go()?, platform: platform.clone() });
    Ok(analyzer.add_hidden(key, Vec::new(), Vec::new(), step))
}

fn image_config(analyzer: &Analyzer<'_>, target: &Target, image: &Image) -> Analyzed<ImageConfig> {
    let mut environment: Vec<(String, String)> = vec![
        ("PATH".to_owned(), "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned()),
        ("SSL_CERT_FILE".to_owned(), "/etc/ssl/certs/ca-certificates.crt".to_owned()),
    ];
    if image.tzdata {
        environment.push(zoneinfo_environment());
    }
    for (name, value) in analyzer.variables.pairs(&image.env)? {
        environment.retain(|(other, _)| *other != name);
        environment.push((name, value));
    }
    let mut entrypoint = analyzer.variables.texts(&image.entrypoint)?;
    let command = analyzer.variables.texts(&image.cmd)?;
    if entrypoint.is_empty() && command.is_empty() {
        let outputs: Vec<&Spanned<String>> = image
            .files
            .iter()
            .filter(|(_, source)| matches!(source.value.origin, Origin::Output(_)))
            .map(|(place, _)| place)
            .collect();
        let [only] = outputs.as_slice() else {
            return Err(UserError::input(format!(
                "`{}` has no `entrypoint`, and its files do not give one",
                target.name.value
            ))
            .at(target.name.span)
            .hint("give it an `entrypoint`"));
        };
        entrypoint.push(only.value.clone());
    }
    let health = image.health.as_ref().map(|health| rondel_oci::Health {
        command: vec![format!("/{PROBE_PATH}"), probe_url(health)],
        interval_s: health.interval_s.get(),
        timeout_s: health.timeout_s.get(),
        start_period_s: health.start_period_s.get(),
        retries: health.retries,
    });
    let user = analyzer.variables.optional(image.user.as_ref())?.unwrap_or_else(|| "65532:65532".to_owned());
    if !is_known_user(&user) {
        let span = image.user.as_ref().map_or(target.name.span, |user| user.span);
        return Err(UserError::input(format!("`{user}` is not a user of the static base"))
            .at(span)
            .hint("write numbers, \"10001:10001\", or `nonroot`, `nobody`, `root`"));
    }
    Ok(ImageConfig {
        user,
        ports: image
            .ports
            .iter()
            .map(|port| if port.value.contains('/') { port.value.clone() } else { format!("{}/tcp", port.value) })
            .collect(),
        environment,
        entrypoint,
        command,
        directory: analyzer.variables.optional(image.workdir.as_ref())?.unwrap_or_default(),
        labels: analyzer.variables.pairs(&image.labels)?.into_iter().collect(),
        health,
        created_s: created(analyzer, &image.created)?,
        ..ImageConfig::default()
    })
}

fn created(analyzer: &Analyzer<'_>, created: &Created) -> Analyzed<u64> {
    match created {
        Created::Epoch => Ok(0),
        Created::CommitTime => {
            analyzer.variables.git(GitQuery::CommitTimestamp).and_then(|text| text.parse().ok()).ok_or_else(|| {
                UserError::environment("`created: CommitTime`, but git has no commit here")
                    .hint("write `created: Epoch`")
            })
        }
        Created::Environment(name) => match analyzer.request.environment.get(name).filter(|value| !value.is_empty()) {
            None => Ok(0),
            // 9999-12-31: later years do not fit into RFC 3339.
            Some(value) => value.parse().ok().filter(|seconds| *seconds < 253_402_300_800_u64).ok_or_else(|| {
                UserError::environment(format!("{name} is `{value}`: expected whole seconds since 1970"))
            }),
        },
    }
}

/// Returns true for numbers, or a name that the static base has.
fn is_known_user(user: &str) -> bool {
    let known = |part: &str| part.parse::<u32>().is_ok() || BASE_USERS.contains(&part);
    let mut parts = user.split(':');
    parts.clone().count() <= 2 && parts.all(known)
}

pub(crate) struct ImageStep {
    pub config: ImageConfig,
    pub annotations: BTreeMap<String, String>,
    pub tags: Vec<ImageName>,
    /// Each platform with its upstream layers, lowest first, and a description of each.
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
        let diff_id = upstream.metadata.get::<LayerMetadata>().ok_or_else(broken)?.diff_id;
        Ok((Layer { digest, diff_id }, artefact.path.clone()))
    }
}

impl Step for ImageStep {
    type Findings = ();

    fn prepare(&self, context: &Query<'_>) -> Result<Prepared, StepError> {
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
        put("entrypoint", canonical(&config.entrypoint));
        put("cmd", canonical(&config.command));
        put("workdir", config.directory.clone());
        put("ports", canonical(&config.ports));
        put("env", canonical(&config.environment));
        put("labels", canonical(&config.labels));
        put("health", canonical(&config.health));
        put("created", config.created_s.to_string());
        put("annotations", canonical(&self.annotations));
        put("tags", canonical(&self.tags.iter().map(ToString::to_string).collect::<Vec<_>>()));
        put("loadable platform", self.platforms[self.loadable].0.to_string());
        for (platform, layers) in &self.platforms {
            let names: Vec<&str> = layers.iter().map(|(_, what)| what.as_str()).collect();
            put(&format!("layers of {platform}"), names.join(", "));
            for (position, (index, what)) in layers.iter().enumerate() {
                let (layer, _) = self.layer(context, *index)?;
                let slot = RelativePath::new(&format!("{platform}/{position}"))
                    .map_err(|error| StepError::failed(error.to_string()))?;
                spec.titles.insert(slot.clone(), format!("layer `{what}` ({platform})"));
                spec.upstream.insert(slot, Entry::file(layer.digest, false));
                put(&format!("diff ID {position} of {platform}"), layer.diff_id.to_string());
            }
        }
        spec.settings = settings;
        Ok(Prepared::by_key(spec))
    }

    fn run(&self, _prepared: &Prepared, context: &Job<'_>) -> Result<Report, StepError> {
        let staging = context.staging;
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
                base: None,
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
        Ok(Report {
            metadata: Metadata::of(&ImageMetadata {
                digest: report.index.oci(),
                image_id: report.image_id.oci(),
                size_bytes: report.bytes,
                platforms: self.platforms.iter().map(|(platform, _)| platform.to_string()).collect(),
                tags: self.tags.iter().map(ToString::to_string).collect(),
            }),
        })
    }
}

/// Returns a value as JSON: structs in the order of their fields, maps sorted.
fn canonical(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("plain data")
}

/// Returns the variant for the image specification: always that of `GOARM`, others if they are declared.
fn oci_variant(platform: &Platform) -> Option<String> {
    match (platform.architecture(), platform.variant()) {
        ("arm", None) => Some("v7".to_owned()),
        ("amd64" | "arm" | "arm64", Some(variant)) => Some(variant.trim_end_matches(".0").to_owned()),
        _ => None,
    }
}
