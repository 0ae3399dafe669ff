//! `Image`: layers and a configuration become an OCI layout, which is loaded into a reachable Docker daemon.

use std::collections::BTreeMap;
use std::sync::Arc;

use rondel_buildfile::{
    Attributes, BASE_DIRECTORIES, BASE_FILES, BASE_USERS, Base, Compression as DeclaredCompression, Created, GitQuery,
    Health, Image, Makes, Origin, OutputReference, Platform, Span, Spanned, Target, UserNumbers,
};
use rondel_cas::RelativePath;
use rondel_engine::{NodeId, Shown, StepError, StepKey, UserError};
use rondel_golang::{PROBE_PATH, ProbeStep};
use rondel_oci::{Compression, DEFAULT_PATH, ImageConfig, zoneinfo_environment};

use crate::analyzer::{Analyze, Analyzed, Analyzer, image_path, output_path, path, probe_url};
use crate::base::{BaseOrigin, BaseStep, Below};
use crate::docker::DockerSocket;
use crate::image::added_users::AddedUser;
use crate::image::archive;
use crate::image::base_layer::BaseLayer;
use crate::image::image_step::{ImageStep, LayeredPlatform, user_names};
use crate::image::layer::{LayerContents, LayerStep};
use crate::image::load::LoadStep;
use crate::image::places::{Boundary, MadeEntry, OutputPlace, Placed, TreeFiles, with_span};
use crate::nodes::{Deps, ImageSource, MadeOutput, TargetNodes};

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
        let mut input = |node: NodeId| {
            let known = inputs.iter().position(|other| *other == node);
            known.unwrap_or_else(|| {
                inputs.push(node);
                inputs.len() - 1
            })
        };
        let mut images = Vec::with_capacity(platforms.len());
        for platform in &platforms {
            let base = base_node(analyzer, target, self, platform)?;
            let base_node = base.as_ref().map(|(node, _)| *node);
            let mut layers = lower_layers(analyzer, target, self, &deps, platform, base_node)?;
            if let Some(node) = output_layer(analyzer, target, self, &deps, platform, base_node)? {
                layers.push((node, "outputs".to_owned()));
            }
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
        let mut ends = vec![layout, load];
        ends.extend(archive::add(analyzer, target, layout)?);
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

    fn health(&self) -> Option<&Health> {
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
            check_awaited(analyzer, target, (&path, layout.span))?;
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
    let step = BaseStep { origin: Arc::clone(&origin), platform: platform.clone(), span, threads };
    let node = analyzer.add_hidden(key, made.into_iter().collect(), Vec::new(), Box::new(step));
    Ok(Some((node, origin)))
}

/// Returns the layers below the outputs of targets. Those on the static base are the same for all platforms.
fn lower_layers(
    analyzer: &mut Analyzer<'_>,
    target: &Target,
    image: &Image,
    deps: &Deps,
    platform: &Platform,
    base: Option<NodeId>,
) -> Analyzed<Vec<(NodeId, String)>> {
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
    let key = |layer: &str| match base {
        Some(_) => StepKey::of(name, layer).on(platform),
        None => StepKey::of(name, layer),
    };
    let node = add_layer(
        analyzer,
        image,
        key("layer base"),
        LayerContents::Base(contents),
        Vec::new(),
        base,
        &Deps::default(),
    );
    let mut layers = vec![(node, what.to_owned())];
    let tree = tree_files(analyzer, target, image)?;
    if !tree.files.is_empty() || !tree.made.is_empty() {
        let contents = LayerContents::Tree(tree);
        let node = add_layer(analyzer, image, key("layer files"), contents, Vec::new(), base, deps);
        layers.push((node, format!("files of {name}")));
    }
    Ok(layers)
}

fn added_users(image: &Image) -> Vec<AddedUser> {
    let user = |(name, numbers): &(Spanned<String>, UserNumbers)| AddedUser {
        name: name.value.clone(),
        numbers: *numbers,
        span: name.span,
    };
    let mut users: Vec<AddedUser> = image.users.iter().map(user).collect();
    // The order in build.ron says nothing.
    users.sort_by(|one, other| one.name.cmp(&other.name));
    users
}

/// Returns true if the image puts its own tables of users over those of the base.
fn has_own_users(image: &Image) -> bool {
    let tables = ["/etc", "/etc/passwd", "/etc/group"];
    image.files.iter().any(|(place, _)| tables.contains(&place.value.as_str()))
}

/// Returns the files of the tree in an image, and the places of outputs in it.
fn tree_files(analyzer: &Analyzer<'_>, target: &Target, image: &Image) -> Analyzed<TreeFiles> {
    let (root, users) = (analyzer.root.clone(), added_users(image));
    let mut tree = TreeFiles { root, files: Vec::new(), outputs: Vec::new(), made: Vec::new(), users };
    for (place, source) in &image.files {
        let (attributes, span) = (source.value.attributes.clone(), place.span);
        let place = image_path(place)?;
        match &source.value.origin {
            Origin::File(file) => {
                let path = path(file).map_err(|error| error.at(source.span))?;
                let placed = Placed { place, path, attributes, span: source.span };
                check_awaited(analyzer, target, (&placed.path, placed.span))?;
                tree.files.push(placed);
            }
            Origin::Link(target) => {
                tree.made.push(MadeEntry { place, link: Some(target.clone()), attributes, span });
            }
            Origin::Directory => tree.made.push(MadeEntry { place, link: None, attributes, span }),
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
    check_places(analyzer, image, &tree)?;
    Ok(tree)
}

/// Refuses what shows in the tree as it is now: links out of the workspace, and files below files. What other steps make
/// is checked later.
fn check_places(analyzer: &Analyzer<'_>, image: &Image, tree: &TreeFiles) -> Analyzed<()> {
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
        // What another base holds shows when it is there.
        if image.base != Base::Static {
            continue;
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
fn check_awaited(analyzer: &Analyzer<'_>, target: &Target, (path, span): (&RelativePath, Span)) -> Analyzed<()> {
    let awaited = analyzer.waited_for(target);
    let place = path.below(&analyzer.root);
    for other in &analyzer.request.file.targets {
        if awaited.contains(&other.name.value) {
            continue;
        }
        for output in analyzer.request.file.outputs_of(other) {
            let written = analyzer.request.root.join(&output.path);
            if written.starts_with(&place) || place.starts_with(&written) {
                let name = &other.name.value;
                let message =
                    format!("`{path}` holds the output of `{name}`, which `{}` does not wait for", target.name.value);
                let hint = format!("write `Output(\"{name}\")`, or `after: [\"{name}\"]`");
                return Err(UserError::input(message).at(span).hint(hint));
            }
        }
    }
    Ok(())
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

/// Returns the layer of other steps' outputs for one platform, with the health probe.
fn output_layer(
    analyzer: &mut Analyzer<'_>,
    target: &Target,
    image: &Image,
    deps: &Deps,
    platform: &Platform,
    base: Option<NodeId>,
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
    Ok(Some(add_layer(analyzer, image, key, contents, inputs, base, deps)))
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
            .filter(|(_, source)| matches!(source.value.origin, Origin::Output(_)))
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
    let health = image.health.as_ref().map(|health| rondel_oci::Health {
        command: vec![format!("/{PROBE_PATH}"), probe_url(health)],
        interval_s: health.interval_s.get(),
        timeout_s: health.timeout_s.get(),
        start_period_s: health.start_period_s.get(),
        retries: health.retries,
    });
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
