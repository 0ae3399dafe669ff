//! `Image`: layers and a configuration become an OCI layout, which is loaded into a reachable Docker daemon.

use std::collections::BTreeMap;
use std::sync::Arc;

use rondel_buildfile::{
    BASE_USERS, Base, Compression as DeclaredCompression, HealthCheck, Image, Makes, Origin, OutputReference, Platform,
    Spanned, Target, TargetKind,
};
use rondel_engine::{NodeId, Shown, StepKey, UserError};
use rondel_golang::ProbeStep;
use rondel_oci::{Compression, DEFAULT_PATH, ImageConfig, zoneinfo_environment};

use crate::analyzer::{Analyze, Analyzed, Analyzer, path};
use crate::base::{BaseOrigin, BaseStep, Below};
use crate::created::created_s;
use crate::docker::DockerSocket;
use crate::image::archive;
use crate::image::base_layer::BaseLayer;
use crate::image::declared::{added_users, check_awaited, tree_files};
use crate::image::evidence;
use crate::image::facts::index_of;
use crate::image::image_step::{ImageStep, LayeredPlatform, user_names};
use crate::image::layer::{LayerContents, LayerStep};
use crate::image::load::LoadStep;
use crate::image::places::{FilesLayer, TreeFiles};
use crate::nodes::{Deps, ImageSource, MadeOutput, Program, TargetNodes};

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
        let mut inputs: Vec<NodeId> = Vec::new();
        let mut input = |node: NodeId| index_of(node, &mut inputs);
        let (mut images, mut bases) = (Vec::with_capacity(platforms.len()), Vec::with_capacity(platforms.len()));
        for platform in &platforms {
            let base = base_node(analyzer, target, self, platform)?;
            bases.push((platform.clone(), base.as_ref().map(|(node, origin)| (*node, origin.name()))));
            let base_node = base.as_ref().map(|(node, _)| *node);
            let layers = layers_of(analyzer, target, self, &deps, platform, base_node)?;
            images.push(LayeredPlatform {
                platform: platform.clone(),
                layers: layers.into_iter().map(|(node, what)| (input(node), what)).collect(),
                base: base.map(|(node, origin)| (input(node), origin)),
            });
        }
        let (out, _) = archive::places(analyzer, target)?;
        let host = Platform::host();
        let runs_here = |platform: &Platform| platform.architecture() == host.architecture();
        let loadable = platforms.iter().position(runs_here).unwrap_or(0);
        let step = analyzer.step(&|| {
            let config = image_config(analyzer, target, self)?;
            let annotations = annotations(&config, analyzer);
            Ok(Box::new(ImageStep {
                config,
                annotations,
                compression: compression(self),
                tags: analyzer.image_tags(&self.tags)?,
                platforms: images.clone(),
                users: self.users.iter().map(|(name, _)| name.value.clone()).collect(),
                span: target.name.span,
                user_span: self.user.as_ref().map_or(target.name.span, |user| user.span),
                has_own_users: has_own_users(self),
                loadable,
                out: out.clone(),
            }))
        })?;
        let layout = analyzer.add(
            target,
            StepKey::main(&name),
            Deps { order_only: deps.order_only, on_miss: Vec::new() },
            inputs,
            // What can not start is a line of its output.
            Shown::Streamed,
            step,
        );
        let load = LoadStep {
            docker: None,
            socket: DockerSocket::find_any(analyzer.request.environment),
            layout: out.clone(),
            record: StepKey::main(&name).file_name(),
            prune: self.prune,
        };
        let load = analyzer.add(
            target,
            StepKey::of(&name, "docker"),
            Deps::default(),
            vec![layout],
            Shown::OnFailure,
            Box::new(load),
        );
        let mut ends = vec![layout, load];
        ends.extend(archive::add(analyzer, target, layout)?);
        ends.extend(evidence::add(analyzer, (target, self), &bases, (layout, &out))?);
        Ok(TargetNodes { image: Some(ImageSource::Layout { layout, out }), ..TargetNodes::ends(ends) })
    }

    /// `Output("image")` is the layout, and with the archive's path the archive.
    fn made_output(
        &self,
        analyzer: &mut Analyzer<'_>,
        target: &Target,
        reference: &OutputReference,
    ) -> Analyzed<MadeOutput> {
        archive::made_output(analyzer, target, self, reference)
    }

    /// A program has the same import path on each platform, so one of them is asked.
    fn programs(
        &self,
        analyzer: &mut Analyzer<'_>,
        target: &Target,
        nodes: &mut Vec<NodeId>,
    ) -> Analyzed<Vec<Program>> {
        let Some(platform) = analyzer.platforms(self.platforms.as_ref(), target, true)?.into_iter().next() else {
            return Ok(Vec::new());
        };
        let mut programs = Vec::new();
        for (_, source) in &self.files {
            let Origin::Output { target: name, part } = &source.value.origin else { continue };
            let producer = analyzer.find(name)?;
            if producer.makes() != Makes::Executables {
                continue;
            }
            let reader = (target, source.span);
            let node =
                analyzer.within(producer, |analyzer, kind| kind.output_node(analyzer, producer, &platform, reader))?;
            programs.push(Program { upstream: index_of(node, nodes), name: part.clone() });
        }
        Ok(programs)
    }

    fn health(&self) -> Option<&HealthCheck> {
        self.health.as_ref()
    }
}

/// Returns the step of the base that is no `Static`, and where that comes from.
fn base_node(
    analyzer: &mut Analyzer<'_>,
    target: &Target,
    image: &Image,
    platform: &Platform,
) -> Analyzed<Option<(NodeId, Arc<BaseOrigin>)>> {
    let (origin, span, made) = match &image.base {
        Base::Static => return Ok(None),
        Base::From(reference) => {
            let origin = BaseOrigin::Registry { bases: analyzer.bases(), reference: reference.value.clone() };
            (origin, reference.span, None)
        }
        Base::Layout(layout) => {
            let path = path(&layout.value).map_err(|error| error.at(layout.span))?;
            check_awaited(analyzer, target, (&path, layout.span), None)?;
            (BaseOrigin::Tree { root: analyzer.root.clone(), path }, layout.span, None)
        }
        Base::Target(name) => {
            let nodes = analyzer.target(&name.value, false)?;
            let target = name.value.to_string();
            match nodes.image {
                Some(ImageSource::Layout { layout, out }) => {
                    (BaseOrigin::Layout { target, out }, name.span, Some(layout))
                }
                Some(ImageSource::Daemon(node)) => {
                    (BaseOrigin::Daemon { target, docker: analyzer.docker()? }, name.span, Some(node))
                }
                None => return Err(UserError::input(format!("`{target}` makes no image")).at(name.span)),
            }
        }
    };
    let key = match &origin {
        BaseOrigin::Registry { .. } => StepKey::shared(format!("base {}", origin.name())).on(platform),
        BaseOrigin::Tree { .. } | BaseOrigin::Layout { .. } | BaseOrigin::Daemon { .. } => {
            StepKey::of(&target.name.value, "base").on(platform)
        }
    };
    let origin = Arc::new(origin);
    if let Some(node) = analyzer.graph.find(&key) {
        return Ok(Some((node, origin)));
    }
    let threads = analyzer.request.threads;
    // One step for all images on it.
    let wants_bill = |target: &Target| matches!(&target.kind, TargetKind::Image(image) if !image.sbom.is_empty());
    let keeps_packages = analyzer.request.file.targets.iter().any(wants_bill);
    let step = BaseStep { origin: Arc::clone(&origin), platform: platform.clone(), span, threads, keeps_packages };
    let node = analyzer.add_hidden(key, made.into_iter().collect(), Vec::new(), Box::new(step));
    Ok(Some((node, origin)))
}

/// Returns the layers of one platform with their descriptions, lowest first.
fn layers_of(
    analyzer: &mut Analyzer<'_>,
    target: &Target,
    image: &Image,
    deps: &Deps,
    platform: &Platform,
    base: Option<NodeId>,
) -> Analyzed<Vec<(NodeId, String)>> {
    let tree = tree_files(analyzer, target, image)?;
    let mut layers = vec![base_layer(analyzer, target, image, platform, base)?];
    let named = (0..tree.layers.len()).map(FilesLayer::Named);
    for layer in [FilesLayer::Probe, FilesLayer::Tree].into_iter().chain(named).chain([FilesLayer::Outputs]) {
        layers.extend(files_layer(analyzer, (target, image), (&tree, layer), deps, platform, base)?);
    }
    Ok(layers)
}

/// Returns the lowest layer that Rondel writes. On the static base it is the same for all platforms.
fn base_layer(
    analyzer: &mut Analyzer<'_>,
    target: &Target,
    image: &Image,
    platform: &Platform,
    base: Option<NodeId>,
) -> Analyzed<(NodeId, String)> {
    let name = &target.name.value;
    let zones = if image.tzdata { Some(analyzer.go()?) } else { None };
    let authorities = image.authorities.iter();
    let contents = BaseLayer {
        zones,
        certificates: image.certificates,
        root: analyzer.root.clone(),
        authorities: authorities
            .map(|file| Ok((path(&file.value).map_err(|error| error.at(file.span))?, file.span)))
            .collect::<Analyzed<_>>()?,
        users: added_users(image),
    };
    let what = if base.is_some() { "additions to the base" } else { "static base" };
    let key = match base {
        Some(_) => StepKey::of(name, "layer base").on(platform),
        None => StepKey::of(name, "layer base"),
    };
    let node = add_layer(analyzer, image, key, LayerContents::Base(contents), Vec::new(), base, &Deps::default());
    Ok((node, what.to_owned()))
}

/// Returns true if the image puts its own tables of users over those of the base.
fn has_own_users(image: &Image) -> bool {
    let tables = ["/etc", "/etc/passwd", "/etc/group"];
    image.files.iter().any(|(place, _)| tables.contains(&place.value.as_str()))
}

/// Returns the annotations of an image: its labels with names of the OCI specification, and a title.
fn annotations(config: &ImageConfig, analyzer: &Analyzer<'_>) -> BTreeMap<String, String> {
    let labels = config.labels.iter().filter(|(name, _)| name.starts_with("org.opencontainers.image."));
    let mut annotations: BTreeMap<String, String> = labels.map(|(name, value)| (name.clone(), value.clone())).collect();
    let title = annotations.entry("org.opencontainers.image.title".to_owned());
    title.or_insert_with(|| analyzer.request.file.project.value.clone());
    annotations
}

fn compression(image: &Image) -> Compression {
    match image.compression {
        DeclaredCompression::Gzip => Compression::Gzip,
        DeclaredCompression::Zstd(level) => Compression::Zstd(level.get()),
    }
}

fn add_layer(
    analyzer: &mut Analyzer<'_>,
    image: &Image,
    key: StepKey,
    contents: LayerContents,
    mut inputs: Vec<NodeId>,
    base: Option<NodeId>,
    deps: &Deps,
) -> NodeId {
    if let Some(node) = analyzer.graph.find(&key) {
        return node;
    }
    let below = base.map_or(Below::Static, |_| Below::Image(inputs.len()));
    inputs.extend(base);
    let (threads, compression) = (analyzer.request.threads, compression(image));
    let step = LayerStep { contents, name: key.file_name(), compression, threads, below };
    analyzer.add_hidden(key, inputs, deps.order_only.clone(), Box::new(step))
}

/// Returns a layer of files and its description, if it holds any. Without outputs and on the static base it is the same
/// for all platforms.
fn files_layer(
    analyzer: &mut Analyzer<'_>,
    (target, image): (&Target, &Image),
    (tree, layer): (&TreeFiles, FilesLayer),
    deps: &Deps,
    platform: &Platform,
    base: Option<NodeId>,
) -> Analyzed<Option<(NodeId, String)>> {
    let name = &target.name.value;
    let mut inputs = Vec::new();
    for output in tree.outputs_of(layer) {
        inputs.push(match &output.producer {
            Some(producer) => {
                let producer = analyzer.find(producer)?;
                let reader = (target, output.span);
                analyzer.within(producer, |analyzer, kind| kind.output_node(analyzer, producer, platform, reader))?
            }
            None => probe(analyzer, platform)?,
        });
    }
    if inputs.is_empty() && !tree.has_own(layer) {
        return Ok(None);
    }
    let (key, what) = match layer {
        FilesLayer::Probe => ("layer health probe".to_owned(), "health probe".to_owned()),
        FilesLayer::Tree => ("layer files".to_owned(), format!("files of {name}")),
        FilesLayer::Named(position) => (format!("layer {}", tree.layers[position]), tree.layers[position].clone()),
        FilesLayer::Outputs => ("layer outputs".to_owned(), "outputs".to_owned()),
    };
    let key = StepKey::of(name, key);
    let key = if base.is_some() || !inputs.is_empty() { key.on(platform) } else { key };
    let contents = LayerContents::Files { tree: tree.clone(), layer };
    Ok(Some((add_layer(analyzer, image, key, contents, inputs, base, deps), what)))
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
    let is_static = image.base == Base::Static;
    let mut environment: Vec<(String, String)> = Vec::new();
    if is_static {
        environment.push(("PATH".to_owned(), DEFAULT_PATH.to_owned()));
        if image.certificates || !image.authorities.is_empty() {
            environment.push(("SSL_CERT_FILE".to_owned(), "/etc/ssl/certs/ca-certificates.crt".to_owned()));
        }
    }
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
            .filter(|(_, source)| matches!(source.value.origin, Origin::Output { .. }))
            .map(|(place, _)| place)
            .collect();
        match outputs.as_slice() {
            [only] => entrypoint.push(only.value.clone()),
            // That of the base is left.
            _ if !is_static => {}
            _ => {
                let name = &target.name.value;
                let message = format!("`{name}` has no `entrypoint`, and its files do not give one");
                return Err(UserError::input(message).at(target.name.span).hint("give it an `entrypoint`"));
            }
        }
    }
    let health = image.health.as_ref().map(|check| health_of(analyzer, check)).transpose()?;
    let user = analyzer.variables.optional(image.user.as_ref())?;
    let user = user.unwrap_or_else(|| if is_static { "65532:65532".to_owned() } else { String::new() });
    let is_known = |name: &str| BASE_USERS.contains(&name) || image.users.iter().any(|(user, _)| user.value == name);
    if is_static && !user_names(&user).is_some_and(|names| names.into_iter().all(is_known)) {
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
        volumes: image.volumes.iter().map(|path| path.value.clone()).collect(),
        stop_signal: image.stop_signal.as_ref().map(|signal| signal.value.clone()).unwrap_or_default(),
        created_s: created_s(analyzer, &image.created)?,
        ..ImageConfig::default()
    })
}

fn health_of(analyzer: &Analyzer<'_>, check: &HealthCheck) -> Analyzed<rondel_oci::Health> {
    let timing = check.timing();
    Ok(rondel_oci::Health {
        command: analyzer.health_command(check)?,
        interval_s: timing.interval_s.get(),
        timeout_s: timing.timeout_s.get(),
        start_period_s: timing.start_period_s.get(),
        retries: timing.retries,
    })
}
