//! Targets to nodes: names resolved, texts evaluated, platforms chosen.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rondel_buildfile::{BuildFile, Platform, Platforms, Spanned, Target, TargetKind, TargetName, suggest};
use rondel_cas::RelativePath;
use rondel_engine::{Graph, Node, NodeId, Pool, Step};
use rondel_golang::Host;

use crate::git::WorkTrees;
use crate::go_support::GoSupport;
use crate::request::{LowerError, PlatformChoice, Request};
use crate::steps::compose::ComposeDownStep;
use crate::steps::dirty::DirtyStep;
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
        variables: Variables::new(request.file, request.environment, request.overrides, &request.repository),
        root,
        graph: Graph::new(),
        done: BTreeMap::new(),
        go: None,
        modules: None,
        probes: BTreeMap::new(),
        sboms: BTreeMap::new(),
        tools: BTreeMap::new(),
        trees: OnceCell::new(),
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
        return Err(LowerError::configuration("none of the targets takes arguments after `--`")
            .hint("`GoTest`, `DockerRun` and `Exec` do"));
    }
    lowering.limit();
    Ok(Lowered {
        secrets: lowering.variables.secrets(),
        warnings: lowering.variables.warnings(),
        graph: lowering.graph,
        roots,
        notes: lowering.notes,
    })
}

pub(crate) struct Lowering<'a> {
    pub(crate) request: &'a Request<'a>,
    pub(crate) variables: Variables<'a>,
    /// Directory of the project: inputs are below it.
    pub(crate) root: PathBuf,
    pub(crate) graph: Graph,
    done: BTreeMap<TargetName, Vec<NodeId>>,
    pub(crate) go: Option<Arc<GoSupport>>,
    pub(crate) modules: Option<NodeId>,
    pub(crate) probes: BTreeMap<Platform, NodeId>,
    /// Bills of materials by the build that they are of.
    pub(crate) sboms: BTreeMap<NodeId, NodeId>,
    /// Tools by import path.
    pub(crate) tools: BTreeMap<String, NodeId>,
    trees: OnceCell<Arc<WorkTrees>>,
    notes: Vec<String>,
    arguments_used: bool,
}

pub(crate) type Lowers<T> = Result<T, LowerError>;

impl Lowering<'_> {
    /// Gives the nodes of each target its pool, its retries and its timeout.
    fn limit(&mut self) {
        let targets = &self.request.file.targets;
        for node in self.graph.nodes_mut() {
            let Some(target) = targets.iter().find(|target| target.name.value.as_str() == node.target) else {
                continue;
            };
            node.pool = target.limits.pool.as_ref().map(|pool| {
                let declared = self.request.file.pools.iter().find(|(name, _)| name.value == pool.value);
                Pool { name: pool.value.clone(), depth: declared.map_or(1, |(_, depth)| depth.get()) }
            });
            node.retries = target.limits.retries.get();
            node.timeout = target.limits.timeout_s.map(|seconds| Duration::from_secs(seconds.get()));
        }
    }

    pub(crate) fn find(&self, name: &TargetName) -> Lowers<&'_ Target> {
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
    pub(crate) fn target(&mut self, name: &TargetName, wanted: bool) -> Lowers<Vec<NodeId>> {
        if let Some(nodes) = self.done.get(name) {
            return Ok(nodes.clone());
        }
        let file = self.request.file;
        self.find(name)?;
        let target = file.targets.iter().find(|target| target.name.value == *name).expect("found above");
        let mut after = Vec::new();
        let mut downloads = Vec::new();
        for other in &target.common.after {
            let nodes = self.target(&other.value, false)?;
            let is_download = file
                .targets
                .iter()
                .any(|target| target.name.value == other.value && matches!(target.kind, TargetKind::GoModDownload(_)));
            if is_download && matches!(target.kind, TargetKind::GoBuild(_) | TargetKind::GoTest(_)) {
                downloads.extend(nodes);
            } else {
                after.extend(nodes);
            }
        }
        let waits = Waits { after, downloads };
        let nodes = match &target.kind {
            TargetKind::GoModDownload(_) => vec![self.go_mod_download(target, waits)?],
            TargetKind::GoBuild(build) => self.go_build(target, build, &waits)?,
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
            TargetKind::Exec(exec) => vec![self.exec(target, &exec.command, &exec.process, waits, wanted)?],
            TargetKind::Shell(shell) => vec![self.shell(target, shell, waits)?],
            TargetKind::TargetGroup(group) => {
                let mut nodes = waits.after;
                for member in &group.targets {
                    nodes.extend(self.target(&member.value, wanted)?);
                }
                nodes
            }
        };
        self.done.insert(name.clone(), nodes.clone());
        Ok(nodes)
    }

    pub(crate) fn add(
        &mut self,
        target: &Target,
        label: String,
        waits: Waits,
        inputs: Vec<NodeId>,
        streams: bool,
        step: Box<dyn Step>,
    ) -> NodeId {
        self.graph.add(Node {
            streams,
            inputs,
            after: waits.after,
            on_miss: waits.downloads,
            ..Node::new(label, target.name.value.to_string(), target.kind.word(), step)
        })
    }

    /// A step of Rondel's own, which people see only if it fails or they ask for all.
    pub(crate) fn add_hidden(
        &mut self,
        target: &str,
        label: String,
        inputs: Vec<NodeId>,
        after: Vec<NodeId>,
        step: Box<dyn Step>,
    ) -> NodeId {
        let kind = self.kind_of(target);
        self.graph.add(Node { hidden: true, inputs, after, ..Node::new(label, target.to_owned(), kind, step) })
    }

    /// The kind of a target, in the word of build.ron.
    pub(crate) fn kind_of(&self, target: &str) -> &'static str {
        let found = self.request.file.targets.iter().find(|other| other.name.value.as_str() == target);
        found.map_or("", |target| target.kind.word())
    }

    /// The platforms to build now, of those that are declared.
    pub(crate) fn platforms(
        &mut self,
        own: Option<&Platforms>,
        target: &Target,
        is_image: bool,
    ) -> Lowers<Vec<Platform>> {
        let host = Host::current();
        let os = if is_image { "linux" } else { &host.os };
        let machine = Platform::new(&format!("{os}/{}", host.architecture)).ok();
        let declared: Vec<Platform> =
            own.unwrap_or(&self.request.file.platforms).iter().map(|platform| platform.value.clone()).collect();
        let declared = if declared.is_empty() { machine.clone().into_iter().collect() } else { declared };
        if declared.is_empty() {
            return Err(LowerError::configuration(format!(
                "`{}` declares no platform, and Go has none for this machine",
                target.name.value
            )));
        }
        match &self.request.platforms {
            PlatformChoice::All => Ok(declared),
            PlatformChoice::Some(wanted) => {
                for platform in wanted {
                    if !declared.iter().any(|other| platform.means(other)) {
                        let list: Vec<String> = declared.iter().map(ToString::to_string).collect();
                        return Err(LowerError::configuration(format!(
                            "`{}` is not declared for {platform}",
                            target.name.value
                        ))
                        .hint(format!("it is for {}; add the platform to `platforms` in build.ron", list.join(", "))));
                    }
                }
                let is_wanted = |platform: &Platform| wanted.iter().any(|word| word.means(platform));
                Ok(declared.into_iter().filter(is_wanted).collect())
            }
            PlatformChoice::Own => {
                match machine.and_then(|own| declared.iter().find(|other| own.means(other)).cloned()) {
                    Some(machine) => {
                        let rest = declared.len() - 1;
                        let note = format!("{machine}; {rest} more with --all-platforms");
                        if rest > 0 && !self.notes.contains(&note) {
                            self.notes.push(note);
                        }
                        Ok(vec![machine])
                    }
                    None => Ok(declared),
                }
            }
        }
    }

    /// What stands after `--`, for a target that was asked for by name.
    pub(crate) fn arguments(&mut self, wanted: bool) -> Vec<String> {
        if !wanted {
            return Vec::new();
        }
        self.arguments_used |= !self.request.arguments.is_empty();
        self.request.arguments.clone()
    }

    /// A step, or two of which one is taken once it is known whether the sources are dirty.
    pub(crate) fn step(&self, make: &dyn Fn() -> Lowers<Box<dyn Step>>) -> Lowers<Box<dyn Step>> {
        let (clean, dirty) = self.variables.both(make)?;
        let Some(dirty) = dirty else { return Ok(clean) };
        let trees = match self.trees.get() {
            Some(trees) => Arc::clone(trees),
            None => {
                let outputs = self.declared_outputs(None)?;
                let derived = outputs.iter().map(|output| output.below(&self.root)).collect();
                let trees = Arc::new(WorkTrees::new(
                    self.request.environment,
                    &self.request.root,
                    &self.request.repository,
                    derived,
                ));
                Arc::clone(self.trees.get_or_init(|| trees))
            }
        };
        Ok(Box::new(DirtyStep { clean, dirty, trees, is_dirty: false.into() }))
    }

    /// The targets that must be through before `target` begins, by `after` alone.
    pub(crate) fn waited_for<'a>(&'a self, target: &'a Target) -> BTreeSet<&'a TargetName> {
        let mut open: Vec<&TargetName> = target.common.after.iter().map(|name| &name.value).collect();
        self.reach(&mut open, &|target| {
            target.common.after.iter().chain(target.kind().members()).map(|name| &name.value).collect()
        })
    }

    /// The targets of this run.
    pub(crate) fn wanted(&self) -> BTreeSet<&TargetName> {
        self.reach(&mut self.request.targets.iter().collect(), &|target| target.references())
    }

    fn reach<'a>(
        &'a self,
        open: &mut Vec<&'a TargetName>,
        next: &dyn Fn(&'a Target) -> Vec<&'a TargetName>,
    ) -> BTreeSet<&'a TargetName> {
        let mut found = BTreeSet::new();
        while let Some(name) = open.pop() {
            if found.insert(name) {
                let target = self.request.file.targets.iter().find(|target| target.name.value == *name);
                open.extend(target.map(next).unwrap_or_default());
            }
        }
        found
    }

    /// Outputs in the source tree, which no glob matches; relative to the project's directory. Those that
    /// `reader` waits for are files like all others to it.
    pub(crate) fn declared_outputs(&self, reader: Option<&Target>) -> Lowers<Vec<RelativePath>> {
        let known = reader.map(|reader| self.waited_for(reader)).unwrap_or_default();
        let mut outputs = Vec::new();
        for target in &self.request.file.targets {
            if known.contains(&target.name.value) {
                continue;
            }
            for output in target.outputs(self.request.file) {
                // The default places are in `dist` at the top, which no glob matches.
                outputs.extend(output.written.map(output_path).transpose()?);
            }
        }
        Ok(outputs)
    }

    pub(crate) fn waits_of(&mut self, target: &Target) -> Lowers<Waits> {
        let mut waits = Waits::default();
        for other in &target.common.after {
            let nodes = self.target(&other.value, false)?;
            let is_download = matches!(self.find(&other.value)?.kind, TargetKind::GoModDownload(_));
            if is_download { waits.downloads.extend(nodes) } else { waits.after.extend(nodes) }
        }
        Ok(waits)
    }
}

/// What a target waits for, besides its inputs.
#[derive(Clone, Default)]
pub(crate) struct Waits {
    pub(crate) after: Vec<NodeId>,
    pub(crate) downloads: Vec<NodeId>,
}

pub(crate) fn path(text: &str) -> Lowers<RelativePath> {
    RelativePath::new(text).map_err(|error| LowerError::configuration(error.to_string()))
}

/// The only place of a target that writes one.
pub(crate) fn only_output(target: &Target, file: &BuildFile) -> Lowers<RelativePath> {
    let outputs = target.outputs(file);
    let output = outputs.first().expect("the kind writes one directory");
    path(&output.path).map_err(|error| error.at(output.span))
}

pub(crate) fn output_path(text: &Spanned<String>) -> Lowers<RelativePath> {
    path(&text.value).map_err(|error| error.at(text.span))
}

/// A path in an image, without its slash.
pub(crate) fn image_path(text: &Spanned<String>) -> Lowers<RelativePath> {
    path(text.value.trim_start_matches('/')).map_err(|error| error.at(text.span))
}

pub(crate) fn probe_url(health: &rondel_buildfile::Health) -> String {
    format!("http://127.0.0.1:{}{}", health.port, health.path)
}
