//! Targets to nodes: names resolved, texts evaluated, platforms chosen.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rondel_buildfile::{
    ComposeUp, Created, DockerBuild, DockerRun, Exec, FileSource, GitQuery, GoBuild, GoTest, Image, Platform, Spanned, Target, TargetKind,
    TargetName, suggest,
};
use rondel_cas::RelativePath;
use rondel_engine::{GlobSet, Graph, Node, NodeId, OutputKind, Step};
use rondel_golang::Host;
use rondel_oci::{ImageConfig, Reference, zoneinfo_environment};
use rondel_process::find_tool;

use crate::docker::{Docker, DockerSocket};
use crate::go_support::{GoRequest, GoSupport};
use crate::request::{LowerError, PlatformChoice, Request};
use crate::steps::compose::{Compose, ComposeDownStep, ComposeUpStep};
use crate::steps::docker_build::DockerBuildStep;
use crate::steps::docker_run::DockerRunStep;
use crate::steps::exec::ExecStep;
use crate::steps::go_build::GoBuildStep;
use crate::steps::go_mod_download::GoModDownloadStep;
use crate::steps::go_test::GoTestStep;
use crate::steps::image::ImageStep;
use crate::steps::layer::{LayerContents, LayerStep};
use crate::steps::load::LoadStep;
use crate::steps::probe::{PROBE_PATH, ProbeStep};
use crate::variables::Variables;

/// A graph, ready to be built.
pub struct Lowered {
    /// All steps that the wanted targets may need.
    pub graph: Graph,
    /// What was asked for.
    pub roots: Vec<NodeId>,
    /// Values that must never be shown.
    pub secrets: Vec<String>,
    /// One-line remarks for people: which platforms are left out.
    pub notes: Vec<String>,
    /// What is odd but no error.
    pub warnings: Vec<String>,
}

/// Lowers the wanted targets and all that they need.
pub fn lower(request: &Request<'_>) -> Result<Lowered, LowerError> {
    let root = match &request.file.root {
        Some(path) => request.root.join(&path.value),
        None => request.root.clone(),
    };
    let mut lowering = Lowering {
        request,
        variables: Variables::new(request.file, request.environment, request.overrides, &request.root),
        root,
        graph: Graph::new(),
        done: BTreeMap::new(),
        go: None,
        modules: None,
        probes: BTreeMap::new(),
        notes: Vec::new(),
        arguments_used: false,
    };
    for name in request.overrides.keys() {
        if !request.file.vars.keys().any(|variable| variable.as_str() == name) {
            let near = suggest(name, request.file.vars.keys().map(rondel_buildfile::VariableName::as_str));
            let error = LowerError::configuration(format!("--set: there is no variable `{name}`"));
            return Err(match near {
                Some(near) => error.hint(format!("did you mean `{near}`?")),
                None => error,
            });
        }
    }
    let mut roots = Vec::new();
    for name in &request.targets {
        roots.extend(lowering.target(name, true)?);
    }
    if !request.arguments.is_empty() && !lowering.arguments_used {
        return Err(LowerError::configuration("none of the targets takes arguments after `--`").hint("`GoTest`, `DockerRun` and `Exec` do"));
    }
    Ok(Lowered {
        secrets: lowering.variables.secrets(),
        warnings: lowering.variables.warnings(),
        graph: lowering.graph,
        roots,
        notes: lowering.notes,
    })
}

struct Lowering<'a> {
    request: &'a Request<'a>,
    variables: Variables<'a>,
    /// Directory of the project: inputs are below it.
    root: PathBuf,
    graph: Graph,
    done: BTreeMap<TargetName, Vec<NodeId>>,
    go: Option<Arc<GoSupport>>,
    modules: Option<NodeId>,
    probes: BTreeMap<Platform, NodeId>,
    notes: Vec<String>,
    arguments_used: bool,
}

type Lowers<T> = Result<T, LowerError>;

impl Lowering<'_> {
    fn find(&self, name: &TargetName) -> Lowers<&'_ Target> {
        self.request.file.targets.iter().find(|target| target.name.value == *name).ok_or_else(|| {
            let names = self.request.file.targets.iter().map(|target| target.name.value.as_str());
            let error = LowerError::configuration(format!("there is no target `{name}`"));
            match suggest(name.as_str(), names) {
                Some(near) => error.hint(format!("did you mean `{near}`? `cargo xtask` lists all")),
                None => error.hint("`cargo xtask` lists all targets"),
            }
        })
    }

    /// The nodes that a target ends with.
    fn target(&mut self, name: &TargetName, wanted: bool) -> Lowers<Vec<NodeId>> {
        if let Some(nodes) = self.done.get(name) {
            return Ok(nodes.clone());
        }
        let file = self.request.file;
        self.find(name)?;
        let target = file.targets.iter().find(|target| target.name.value == *name).expect("found above");
        let mut after = Vec::new();
        let mut downloads = Vec::new();
        for other in &target.after {
            let nodes = self.target(&other.value, false)?;
            let is_download = file.targets.iter().any(|target| target.name.value == other.value && matches!(target.kind, TargetKind::GoModDownload));
            if is_download && matches!(target.kind, TargetKind::GoBuild(_) | TargetKind::GoTest(_)) {
                downloads.extend(nodes);
            } else {
                after.extend(nodes);
            }
        }
        let waits = Waits { after, downloads };
        let nodes = match &target.kind {
            TargetKind::GoModDownload => vec![self.go_mod_download(target, waits)?],
            TargetKind::GoBuild(build) => self.go_build(target, build, &waits)?.into_values().collect(),
            TargetKind::GoTest(test) => vec![self.go_test(target, test, &waits, wanted)?],
            TargetKind::Image(image) => self.image(target, image, &waits, wanted)?,
            TargetKind::DockerBuild(build) => vec![self.docker_build(target, build, waits)?],
            TargetKind::DockerRun(run) => vec![self.docker_run(target, run, waits, wanted)?],
            TargetKind::ComposeUp(up) => vec![self.compose_up(target, up, waits)?],
            TargetKind::ComposeDown(down) => {
                let compose = self.compose(&down.file, &down.env, down.project_name.as_ref())?;
                let step = ComposeDownStep { compose, volumes: down.volumes };
                vec![self.add(target, name.to_string(), waits, Vec::new(), true, Box::new(step))]
            }
            TargetKind::Exec(exec) => vec![self.exec(target, exec, false, waits, wanted)?],
            TargetKind::Shell(exec) => vec![self.exec(target, exec, true, waits, wanted)?],
            TargetKind::Group(members) => {
                let mut nodes = waits.after;
                for member in members {
                    nodes.extend(self.target(&member.value, wanted)?);
                }
                nodes
            }
        };
        self.done.insert(name.clone(), nodes.clone());
        Ok(nodes)
    }

    fn add(&mut self, target: &Target, label: String, waits: Waits, inputs: Vec<NodeId>, streams: bool, step: Box<dyn Step>) -> NodeId {
        self.graph.add(Node {
            title: label.clone(),
            label,
            target: target.name.value.to_string(),
            hidden: false,
            streams,
            inputs,
            after: waits.after,
            on_miss: waits.downloads,
            step,
        })
    }

    fn go(&mut self) -> Lowers<Arc<GoSupport>> {
        if let Some(go) = &self.go {
            return Ok(Arc::clone(go));
        }
        let request = self.request;
        let go = GoSupport::new(&GoRequest {
            choice: &request.file.go.value,
            lock: request.lock,
            module: &self.root,
            cache: &request.cache,
            environment: request.environment,
            offline: request.offline,
            locked: request.locked,
        })
        .map_err(|error| error.at(request.file.go.span))?;
        Ok(Arc::clone(self.go.insert(Arc::new(go))))
    }

    fn go_mod_download(&mut self, target: &Target, waits: Waits) -> Lowers<NodeId> {
        let step = GoModDownloadStep { go: self.go()? };
        Ok(self.add(target, target.name.value.to_string(), waits, Vec::new(), false, Box::new(step)))
    }

    /// The downloads that a Go step needs if it runs: those it names, or one of its own.
    fn downloads(&mut self, waits: &Waits) -> Lowers<Vec<NodeId>> {
        if !waits.downloads.is_empty() {
            return Ok(waits.downloads.clone());
        }
        if let Some(node) = self.modules {
            return Ok(vec![node]);
        }
        let step = Box::new(GoModDownloadStep { go: self.go()? });
        let node = self.graph.add(Node {
            label: "go modules".to_owned(),
            title: "go modules".to_owned(),
            target: "go modules".to_owned(),
            hidden: true,
            streams: false,
            inputs: Vec::new(),
            after: Vec::new(),
            on_miss: Vec::new(),
            step,
        });
        self.modules = Some(node);
        Ok(vec![node])
    }

    /// The platforms to build now, of those that are declared.
    fn platforms(&mut self, own: Option<&Vec<Spanned<Platform>>>, target: &Target, is_image: bool) -> Lowers<Vec<Platform>> {
        let host = Host::current();
        let os = if is_image { "linux" } else { host.os };
        let machine = Platform::new(&format!("{os}/{}", host.architecture)).ok();
        let declared: Vec<Platform> = own.unwrap_or(&self.request.file.platforms).iter().map(|platform| platform.value.clone()).collect();
        let declared = if declared.is_empty() { machine.clone().into_iter().collect() } else { declared };
        if declared.is_empty() {
            return Err(LowerError::configuration(format!("`{}` declares no platform, and Go has none for this machine", target.name.value)));
        }
        match &self.request.platforms {
            PlatformChoice::All => Ok(declared),
            PlatformChoice::Some(wanted) => {
                for platform in wanted {
                    if !declared.contains(platform) {
                        let list: Vec<String> = declared.iter().map(ToString::to_string).collect();
                        return Err(LowerError::configuration(format!("`{}` is not declared for {platform}", target.name.value))
                            .hint(format!("it is for {}; add the platform to `platforms` in build.ron", list.join(", "))));
                    }
                }
                Ok(declared.into_iter().filter(|platform| wanted.contains(platform)).collect())
            }
            PlatformChoice::Own => match machine.filter(|machine| declared.contains(machine)) {
                Some(machine) => {
                    let rest = declared.len() - 1;
                    let note = format!("{machine}; {rest} more with --all-platforms");
                    if rest > 0 && !self.notes.contains(&note) {
                        self.notes.push(note);
                    }
                    Ok(vec![machine])
                }
                None => Ok(declared),
            },
        }
    }

    fn go_build(&mut self, target: &Target, build: &GoBuild, waits: &Waits) -> Lowers<BTreeMap<Platform, NodeId>> {
        let platforms = self.platforms(build.platforms.as_ref(), target, false)?;
        self.go_build_for(target, build, waits, &platforms)
    }

    fn go_build_for(&mut self, target: &Target, build: &GoBuild, waits: &Waits, platforms: &[Platform]) -> Lowers<BTreeMap<Platform, NodeId>> {
        let downloads = self.downloads(waits)?;
        let name = &target.name.value;
        let out = match &build.out {
            Some(out) => output_path(out)?,
            None => path(&format!("dist/{name}"))?,
        };
        let mut nodes = BTreeMap::new();
        for platform in platforms {
            let label = format!("{name} ({platform})");
            let existing = self.graph.nodes().find(|(_, node)| node.label == label).map(|(id, _)| id);
            if let Some(node) = existing {
                nodes.insert(platform.clone(), node);
                continue;
            }
            let step = GoBuildStep {
                go: self.go()?,
                label: label.clone(),
                platform: platform.clone(),
                packages: self.variables.texts(&build.packages)?,
                tags: self.variables.texts(&build.tags)?,
                ldflags: self.variables.texts(&build.ldflags)?,
                stamp: self.variables.pairs(&build.stamp)?,
                gcflags: self.variables.texts(&build.gcflags)?,
                env: self.variables.pairs(&build.env)?,
                out: out.clone(),
            };
            if let Some(package) = step.packages.iter().find(|package| package.starts_with('-')) {
                return Err(LowerError::configuration(format!("`{package}` is a flag, not a package")).at(build.packages[0].span));
            }
            let node = self.graph.add(Node {
                title: if platforms.len() == 1 { name.to_string() } else { label.clone() },
                label,
                target: name.to_string(),
                hidden: false,
                streams: false,
                inputs: Vec::new(),
                after: waits.after.clone(),
                on_miss: downloads.clone(),
                step: Box::new(step),
            });
            nodes.insert(platform.clone(), node);
        }
        Ok(nodes)
    }

    fn go_test(&mut self, target: &Target, test: &GoTest, waits: &Waits, wanted: bool) -> Lowers<NodeId> {
        let downloads = self.downloads(waits)?;
        let excluded = self.declared_outputs()?;
        let inputs = match &test.inputs {
            Some(globs) => GlobSet::new(globs.iter().map(|glob| glob.value.as_str()), excluded),
            None => GlobSet::everything(excluded),
        };
        let step = GoTestStep {
            go: self.go()?,
            packages: self.variables.texts(&test.packages)?,
            race: test.race,
            tags: self.variables.texts(&test.tags)?,
            run: self.variables.optional(test.run.as_ref())?,
            short: test.short,
            timeout: self.variables.optional(test.timeout.as_ref())?,
            env: self.variables.environment(&test.env)?,
            inputs,
            arguments: self.arguments(wanted),
        };
        let waits = Waits { after: waits.after.clone(), downloads };
        Ok(self.add(target, target.name.value.to_string(), waits, Vec::new(), true, Box::new(step)))
    }

    /// What stands after `--`, for a target that was asked for by name.
    fn arguments(&mut self, wanted: bool) -> Vec<String> {
        if !wanted {
            return Vec::new();
        }
        self.arguments_used |= !self.request.arguments.is_empty();
        self.request.arguments.clone()
    }

    /// Outputs in the source tree, which no glob matches; relative to the project's directory.
    fn declared_outputs(&self) -> Lowers<Vec<RelativePath>> {
        let mut outputs = Vec::new();
        for target in &self.request.file.targets {
            if let TargetKind::Exec(exec) | TargetKind::Shell(exec) = &target.kind {
                for output in &exec.outputs {
                    outputs.push(output_path(output)?);
                }
            }
            // `out:` is relative to the workspace, which the project may be a part of.
            let out = match &target.kind {
                TargetKind::GoBuild(build) => build.out.as_ref(),
                TargetKind::Image(image) => image.out.as_ref(),
                _ => None,
            };
            if let Some(out) = out
                && let Ok(below) = self.request.root.join(&out.value).strip_prefix(&self.root)
                && let Ok(below) = RelativePath::from_path(below)
            {
                outputs.push(below);
            }
        }
        Ok(outputs)
    }

    /// The nodes of an image: the layout, and the loading of it.
    fn image(&mut self, target: &Target, image: &Image, waits: &Waits, _wanted: bool) -> Lowers<Vec<NodeId>> {
        let name = target.name.value.clone();
        let platforms = self.platforms(image.platforms.as_ref(), target, true)?;
        let shared = self.shared_layers(target, image, waits)?;
        let mut inputs: Vec<NodeId> = shared.iter().map(|(node, _)| *node).collect();
        let mut layers_of = Vec::with_capacity(platforms.len());
        for platform in &platforms {
            let mut layers: Vec<(usize, String)> = shared.iter().enumerate().map(|(index, (_, what))| (index, what.clone())).collect();
            if let Some(node) = self.output_layer(target, image, waits, platform)? {
                layers.push((inputs.len(), "outputs".to_owned()));
                inputs.push(node);
            }
            layers_of.push((platform.clone(), layers));
        }
        let config = self.image_config(target, image)?;
        let mut annotations: BTreeMap<String, String> = config
            .labels
            .iter()
            .filter(|(name, _)| name.starts_with("org.opencontainers.image."))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        annotations.entry("org.opencontainers.image.title".to_owned()).or_insert_with(|| self.request.file.project.value.clone());
        let mut tags = Vec::new();
        for text in &image.tags {
            let tag = self.variables.text(text).map_err(|error| error.at(text.span))?;
            let tag = Reference::new(&tag).map_err(|error| LowerError::configuration(error.to_string()).at(text.span))?;
            if !tags.contains(&tag) {
                tags.push(tag);
            }
        }
        let out = match &image.out {
            Some(out) => output_path(out)?,
            None => path(&format!("dist/{name}"))?,
        };
        let host = Host::current();
        let loadable = platforms.iter().position(|platform| platform.architecture() == host.architecture).unwrap_or(0);
        let step = ImageStep { config, annotations, tags, platforms: layers_of, loadable, out: out.clone() };
        let layout = self.add(target, name.to_string(), Waits { after: waits.after.clone(), downloads: Vec::new() }, inputs, false, Box::new(step));
        let load = LoadStep { docker: None, socket: DockerSocket::find(self.request.environment), layout: out };
        let load = self.add(target, format!("{name}: docker"), Waits::default(), vec![layout], false, Box::new(load));
        Ok(vec![layout, load])
    }

    /// The layers that all platforms have in common: the base and the files of the tree.
    fn shared_layers(&mut self, target: &Target, image: &Image, waits: &Waits) -> Lowers<Vec<(NodeId, String)>> {
        let name = &target.name.value;
        let zones = if image.tzdata { Some(self.go()?) } else { None };
        let base = self.layer(target, "base", LayerContents::StaticBase(zones), Vec::new(), &Waits::default());
        let mut layers = vec![(base, "static base".to_owned())];
        let mut files = Vec::new();
        for (place, source) in &image.files {
            if let FileSource::File(file) = &source.value {
                files.push((image_path(place)?, path(file).map_err(|error| error.at(source.span))?));
            }
        }
        if !files.is_empty() {
            let contents = LayerContents::Tree { root: self.root.clone(), files, excluded: Vec::new() };
            let node = self.layer(target, "files", contents, Vec::new(), waits);
            layers.push((node, format!("files of {name}")));
        }
        Ok(layers)
    }

    fn layer(&mut self, target: &Target, what: &str, contents: LayerContents, inputs: Vec<NodeId>, waits: &Waits) -> NodeId {
        let label = format!("{}: {what} layer", target.name.value);
        let step = LayerStep { contents, name: format!("{}/{}", target.name.value, what.replace('/', "_")), threads: self.request.threads };
        self.graph.add(Node {
            title: label.clone(),
            label,
            target: target.name.value.to_string(),
            hidden: true,
            streams: false,
            inputs,
            after: waits.after.clone(),
            on_miss: Vec::new(),
            step: Box::new(step),
        })
    }

    /// The layer of what other steps made for one platform, the health probe among it.
    fn output_layer(&mut self, target: &Target, image: &Image, waits: &Waits, platform: &Platform) -> Lowers<Option<NodeId>> {
        let (mut places, mut inputs) = (Vec::new(), Vec::new());
        for (place, source) in &image.files {
            let FileSource::Output(name) = &source.value else { continue };
            let file = self.request.file;
            let producer = file.targets.iter().find(|target| target.name.value == *name).expect("checked when the file was read");
            let node = match &producer.kind {
                TargetKind::GoBuild(build) => {
                    let declared = build.platforms.as_ref().or(Some(&file.platforms)).filter(|list| !list.is_empty());
                    if declared.is_some_and(|list| !list.iter().any(|other| other.value == *platform)) {
                        return Err(LowerError::configuration(format!("`{}` is for {platform}, and `{name}` is not", target.name.value))
                            .at(source.span)
                            .hint(format!("add {platform} to the platforms of `{name}`")));
                    }
                    let waits = self.waits_of(producer)?;
                    self.go_build_for(producer, build, &waits, std::slice::from_ref(platform))?[platform]
                }
                _ => self.target(name, false)?[0],
            };
            places.push(image_path(place)?);
            inputs.push(node);
        }
        if image.health.is_some() {
            places.push(path(PROBE_PATH)?);
            inputs.push(self.probe(platform)?);
        }
        if places.is_empty() {
            return Ok(None);
        }
        let contents = LayerContents::Outputs(places);
        let what = format!("{platform} outputs");
        Ok(Some(self.layer(target, &what, contents, inputs, &Waits { after: waits.after.clone(), downloads: Vec::new() })))
    }

    fn waits_of(&mut self, target: &Target) -> Lowers<Waits> {
        let mut waits = Waits::default();
        for other in &target.after {
            let nodes = self.target(&other.value, false)?;
            let is_download = matches!(self.find(&other.value)?.kind, TargetKind::GoModDownload);
            if is_download { waits.downloads.extend(nodes) } else { waits.after.extend(nodes) }
        }
        Ok(waits)
    }

    fn probe(&mut self, platform: &Platform) -> Lowers<NodeId> {
        if let Some(node) = self.probes.get(platform) {
            return Ok(*node);
        }
        let label = format!("health probe ({platform})");
        let step = Box::new(ProbeStep { go: self.go()?, platform: platform.clone() });
        let node = self.graph.add(Node {
            title: label.clone(),
            target: "health probe".to_owned(),
            label,
            hidden: true,
            streams: false,
            inputs: Vec::new(),
            after: Vec::new(),
            on_miss: Vec::new(),
            step,
        });
        self.probes.insert(platform.clone(), node);
        Ok(node)
    }

    fn image_config(&self, target: &Target, image: &Image) -> Lowers<ImageConfig> {
        let mut environment: Vec<(String, String)> = vec![
            ("PATH".to_owned(), "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned()),
            ("SSL_CERT_FILE".to_owned(), "/etc/ssl/certs/ca-certificates.crt".to_owned()),
        ];
        if image.tzdata {
            environment.push(zoneinfo_environment());
        }
        for (name, value) in self.variables.pairs(&image.env)? {
            environment.retain(|(other, _)| *other != name);
            environment.push((name, value));
        }
        let mut entrypoint = self.variables.texts(&image.entrypoint)?;
        let command = self.variables.texts(&image.command)?;
        if entrypoint.is_empty() && command.is_empty() {
            let outputs: Vec<&Spanned<String>> =
                image.files.iter().filter(|(_, source)| matches!(source.value, FileSource::Output(_))).map(|(place, _)| place).collect();
            let [only] = outputs.as_slice() else {
                return Err(LowerError::configuration(format!("`{}` does not say what it starts", target.name.value))
                    .at(target.name.span)
                    .hint("give it an `entrypoint`"));
            };
            entrypoint.push(only.value.clone());
        }
        let health = image.health.as_ref().map(|health| rondel_oci::Health {
            command: vec![format!("/{PROBE_PATH}"), probe_url(health)],
            interval_s: health.interval_s,
            timeout_s: health.timeout_s,
            start_period_s: health.start_period_s,
            retries: health.retries,
        });
        let user = self.variables.optional(image.user.as_ref())?.unwrap_or_else(|| "65532:65532".to_owned());
        if !is_known_user(&user) {
            let span = image.user.as_ref().map_or(target.name.span, |user| user.span);
            return Err(LowerError::configuration(format!("`{user}` is no user of the static base"))
                .at(span)
                .hint("write numbers, \"10001:10001\", or `nonroot`, `nobody`, `root`"));
        }
        Ok(ImageConfig {
            user,
            ports: image.ports.iter().map(|port| if port.value.contains('/') { port.value.clone() } else { format!("{}/tcp", port.value) }).collect(),
            environment,
            entrypoint,
            command,
            directory: self.variables.optional(image.directory.as_ref())?.unwrap_or_default(),
            labels: self.variables.pairs(&image.labels)?.into_iter().collect(),
            health,
            created_s: self.created(&image.created)?,
        })
    }

    fn created(&self, created: &Created) -> Lowers<u64> {
        match created {
            Created::Epoch => Ok(0),
            Created::CommitTime => self
                .variables
                .git(GitQuery::CommitTimestamp)
                .and_then(|text| text.parse().ok())
                .ok_or_else(|| LowerError::environment("`created: CommitTime`, but git has no commit here").hint("write `created: Epoch`")),
            Created::Environment(name) => match self.request.environment.get(name).filter(|value| !value.is_empty()) {
                None => Ok(0),
                // 9999-12-31: later years do not fit into RFC 3339.
                Some(value) => value.parse().ok().filter(|seconds| *seconds < 253_402_300_800_u64).ok_or_else(|| {
                    LowerError::environment(format!("{name} is `{value}`: expected whole seconds since 1970"))
                }),
            },
        }
    }

    fn docker(&self) -> Lowers<Docker> {
        Docker::find(self.request.environment, &self.root)
    }

    fn docker_build(&mut self, target: &Target, build: &DockerBuild, waits: Waits) -> Lowers<NodeId> {
        let mut tags = Vec::new();
        for text in &build.tags {
            let tag = self.variables.text(text).map_err(|error| error.at(text.span))?;
            tags.push(Reference::new(&tag).map_err(|error| LowerError::configuration(error.to_string()).at(text.span))?.to_string());
        }
        let step = DockerBuildStep {
            docker: self.docker()?,
            name: target.name.value.to_string(),
            dockerfile: self.root.join(&build.dockerfile.value),
            context: build.context.as_ref().map_or_else(|| self.root.clone(), |context| self.root.join(&context.value)),
            build_args: self.variables.pairs(&build.build_args)?,
            stage: self.variables.optional(build.stage.as_ref())?,
            tags,
        };
        Ok(self.add(target, target.name.value.to_string(), waits, Vec::new(), true, Box::new(step)))
    }

    /// The node whose facts name the image of `name` in the daemon.
    fn image_in_docker(&mut self, name: &TargetName, docker: &Docker) -> Lowers<NodeId> {
        let nodes = self.target(name, false)?;
        let [layout, _] = nodes.as_slice() else { return Ok(nodes[0]) };
        let layout = *layout;
        let target = self.request.file.targets.iter().find(|target| target.name.value == *name).expect("checked when the file was read");
        let TargetKind::Image(image) = &target.kind else { return Ok(layout) };
        let out = match &image.out {
            Some(out) => output_path(out)?,
            None => path(&format!("dist/{name}"))?,
        };
        let step = LoadStep { docker: Some(docker.clone()), socket: None, layout: out };
        Ok(self.graph.add(Node {
            label: format!("{name}: into docker"),
            title: format!("{name}: docker"),
            target: name.to_string(),
            hidden: false,
            streams: false,
            inputs: vec![layout],
            after: Vec::new(),
            on_miss: Vec::new(),
            step: Box::new(step),
        }))
    }

    /// The health check that the image of `name` brings.
    fn health_of(&self, name: &TargetName) -> Option<rondel_buildfile::Health> {
        let target = self.request.file.targets.iter().find(|target| target.name.value == *name)?;
        match &target.kind {
            TargetKind::Image(image) => image.health.clone(),
            _ => None,
        }
    }

    fn docker_run(&mut self, target: &Target, run: &DockerRun, waits: Waits, wanted: bool) -> Lowers<NodeId> {
        let docker = self.docker()?;
        let image = self.image_in_docker(&run.image.value, &docker)?;
        let probe = self.health_of(&run.image.value).map(|health| (format!("/{PROBE_PATH}"), probe_url(&health)));
        let mut args = self.variables.texts(&run.args)?;
        args.extend(self.arguments(wanted));
        let step = DockerRunStep {
            docker,
            project: self.request.file.project.value.clone(),
            target: target.name.value.to_string(),
            args,
            user: self.variables.optional(run.user.as_ref())?,
            publish: self.variables.texts(&run.publish)?,
            host_gateway: run.host_gateway,
            env: self.variables.environment(&run.env)?,
            volumes: self.variables.texts(&run.volumes)?,
            network: self.variables.optional(run.network.as_ref())?,
            read_only: run.read_only,
            cap_add: self.variables.texts(&run.cap_add)?,
            health: run.health.clone(),
            probe,
            health_timeout: Duration::from_secs(run.health_timeout_s),
            detach: run.detach,
        };
        Ok(self.add(target, target.name.value.to_string(), waits, vec![image], true, Box::new(step)))
    }

    fn compose(&self, file: &Spanned<String>, env: &[(Spanned<String>, rondel_buildfile::Text)], project_name: Option<&rondel_buildfile::Text>) -> Lowers<Compose> {
        let path = self.root.join(&file.value);
        if !path.is_file() {
            return Err(LowerError::configuration(format!("there is no compose file `{}`", file.value)).at(file.span));
        }
        Ok(Compose {
            docker: self.docker()?,
            file: path,
            project_name: self.variables.optional(project_name)?.unwrap_or_else(|| self.request.file.project.value.clone()),
            env: self.variables.environment(env)?,
        })
    }

    fn compose_up(&mut self, target: &Target, up: &ComposeUp, waits: Waits) -> Lowers<NodeId> {
        let compose = self.compose(&up.file, &up.env, up.project_name.as_ref())?;
        let (mut images, mut inputs) = (Vec::new(), Vec::new());
        for (service, name) in &up.images {
            let health = self.health_of(&name.value).map(|health| vec![format!("/{PROBE_PATH}"), probe_url(&health)]);
            images.push((service.value.clone(), inputs.len(), health));
            inputs.push(self.image_in_docker(&name.value, &compose.docker)?);
        }
        let step = ComposeUpStep { compose, name: target.name.value.to_string(), images, wait: up.wait, wait_timeout_s: up.wait_timeout_s };
        Ok(self.add(target, target.name.value.to_string(), waits, inputs, true, Box::new(step)))
    }

    fn exec(&mut self, target: &Target, exec: &Exec, is_shell: bool, waits: Waits, wanted: bool) -> Lowers<NodeId> {
        let mut command = self.variables.texts(&exec.command)?;
        if is_shell {
            command = vec!["sh".to_owned(), "-eu".to_owned(), "-c".to_owned(), command.remove(0)];
        }
        let arguments = self.arguments(wanted && !is_shell);
        let has_arguments = !arguments.is_empty();
        command.extend(arguments);
        let request = self.request;
        let search_path = request.environment.get("PATH").cloned().unwrap_or_default();
        let directory = exec.directory.as_ref().map_or_else(|| self.root.clone(), |directory| self.root.join(&directory.value));
        let go = if command[0] == "go" && !is_shell { Some(self.go()?) } else { None };
        // A program by name must be there before anything runs; one by path may be what another step makes.
        if go.is_none() && !command[0].contains('/') {
            find_tool(&command[0], &search_path, &directory).map_err(|error| {
                LowerError::environment(error.to_string()).at(target.name.span).hint("install it, or correct `command`")
            })?;
        }
        let excluded = self.declared_outputs()?;
        let mut outputs = Vec::new();
        for output in &exec.outputs {
            let below_root = output_path(output)?;
            let prefix = self.root.strip_prefix(&request.root).unwrap_or(Path::new(""));
            let destination = path(&prefix.join(below_root.as_str()).to_string_lossy())?;
            let kind = if output.value.ends_with('/') { OutputKind::Directory } else { OutputKind::File };
            outputs.push((below_root, destination, kind));
        }
        let downloads = if go.is_some() { self.downloads(&waits)? } else { waits.downloads };
        let step = ExecStep {
            root: self.root.clone(),
            directory,
            directory_key: exec.directory.as_ref().map_or_else(|| ".".to_owned(), |directory| directory.value.clone()),
            command,
            inputs: exec.inputs.as_ref().map(|globs| GlobSet::new(globs.iter().map(|glob| glob.value.as_str()), excluded)),
            outputs,
            env: self.variables.environment(&exec.env)?,
            passed: exec.pass_env.iter().map(|name| (name.value.clone(), request.environment.get(&name.value).cloned())).collect(),
            path: search_path,
            home: request.environment.get("HOME").cloned(),
            timeout: exec.timeout_s.map(Duration::from_secs),
            go,
            has_arguments,
        };
        let waits = Waits { after: waits.after, downloads };
        Ok(self.add(target, target.name.value.to_string(), waits, Vec::new(), true, Box::new(step)))
    }
}

/// What a target waits for, besides its inputs.
#[derive(Clone, Default)]
struct Waits {
    after: Vec<NodeId>,
    downloads: Vec<NodeId>,
}

fn path(text: &str) -> Lowers<RelativePath> {
    RelativePath::new(text).map_err(|error| LowerError::configuration(error.to_string()))
}

fn output_path(text: &Spanned<String>) -> Lowers<RelativePath> {
    path(&text.value).map_err(|error| error.at(text.span))
}

/// A path in an image, without its slash.
fn image_path(text: &Spanned<String>) -> Lowers<RelativePath> {
    path(text.value.trim_start_matches('/')).map_err(|error| error.at(text.span))
}

fn probe_url(health: &rondel_buildfile::Health) -> String {
    format!("http://127.0.0.1:{}{}", health.port, health.path)
}

/// Numbers, or a name that the static base has.
fn is_known_user(user: &str) -> bool {
    let known = |part: &str| part.parse::<u32>().is_ok() || matches!(part, "root" | "nobody" | "nonroot");
    let mut parts = user.split(':');
    parts.clone().count() <= 2 && parts.all(known)
}
