//! Analysis: targets to steps. It resolves names, evaluates texts and chooses platforms; `kinds` says how each kind
//! becomes steps.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rondel_buildfile::{BuildFile, Platform, Platforms, Spanned, Target, TargetName, Text, suggest};
use rondel_cas::RelativePath;
use rondel_engine::{AnyStep, Graph, Node, NodeId, PROGRAM, Pool, Shown, StepKey, UserError};

use crate::dirty::DirtyStep;
use crate::docker::Docker;
use crate::git::WorkTrees;
use crate::kinds;
use crate::nodes::{Deps, TargetNodes};
use crate::request::{PlatformChoice, Request};
use crate::variables::Variables;
use rondel_golang::GoSupport;
use rondel_oci::Reference;

/// A graph, ready to be built.
pub struct Analysis {
    /// All steps that the wanted targets may need.
    pub graph: Graph,
    /// The nodes asked for.
    pub roots: Vec<NodeId>,
    /// Values that must never be shown.
    pub secrets: Vec<String>,
    /// One-line remarks for people, such as which platforms are left out.
    pub notes: Vec<String>,
    /// Findings that are odd but no error.
    pub warnings: Vec<String>,
}

/// Analyzes the wanted targets and their dependencies.
pub fn analyze(request: &Request<'_>) -> Result<Analysis, UserError> {
    let root = match &request.file.root {
        Some(path) => request.root.join(&path.value),
        None => request.root.clone(),
    };
    let mut analyzer = Analyzer {
        request,
        variables: Variables::new(request.file, request.environment, request.overrides, &request.repository),
        root,
        graph: Graph::new(),
        done: BTreeMap::new(),
        go: None,
        modules: None,
        trees: OnceCell::new(),
        notes: Vec::new(),
        arguments_used: false,
    };
    for name in request.overrides.keys() {
        if !request.file.vars.keys().any(|variable| variable.as_str() == name) {
            let near = suggest(name, request.file.vars.keys().map(rondel_buildfile::VariableName::as_str));
            let error = UserError::input(format!("--set: there is no variable `{name}`"));
            return Err(match near {
                Some(near) => error.hint(format!("did you mean `{near}`?")),
                None => error,
            });
        }
    }
    let mut roots = Vec::new();
    for name in &request.targets {
        roots.extend(analyzer.target(name, true)?.ends);
    }
    if !request.arguments.is_empty() && !analyzer.arguments_used {
        return Err(UserError::input("none of the targets takes arguments after `--`")
            .hint("`GoTest`, `DockerRun` and `Exec` do"));
    }
    analyzer.limit();
    Ok(Analysis {
        secrets: analyzer.variables.secrets(),
        warnings: analyzer.variables.warnings(),
        graph: analyzer.graph,
        roots,
        notes: analyzer.notes,
    })
}

pub(crate) struct Analyzer<'a> {
    pub(crate) request: &'a Request<'a>,
    pub(crate) variables: Variables<'a>,
    /// Directory of the project: inputs are below it.
    pub(crate) root: PathBuf,
    pub(crate) graph: Graph,
    done: BTreeMap<TargetName, TargetNodes>,
    pub(crate) go: Option<Arc<GoSupport>>,
    pub(crate) modules: Option<NodeId>,
    trees: OnceCell<Arc<WorkTrees>>,
    notes: Vec<String>,
    arguments_used: bool,
}

pub(crate) type Analyzed<T> = Result<T, UserError>;

impl<'a> Analyzer<'a> {
    /// Gives the nodes of each target its pool, its retries and its timeout.
    fn limit(&mut self) {
        let targets = &self.request.file.targets;
        for node in self.graph.nodes_mut() {
            let Some(target) = targets.iter().find(|target| Some(&target.name.value) == node.key.target.as_ref())
            else {
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

    /// Returns the target of this name.
    pub(crate) fn find(&self, name: &TargetName) -> Analyzed<&'a Target> {
        self.request.file.targets.iter().find(|target| target.name.value == *name).ok_or_else(|| {
            let names = self.request.file.targets.iter().map(|target| target.name.value.as_str());
            let error = UserError::input(format!("there is no target `{name}`"));
            match suggest(name.as_str(), names) {
                Some(near) => error.hint(format!("did you mean `{near}`? `{PROGRAM}` lists all")),
                None => error.hint(format!("`{PROGRAM}` lists all targets")),
            }
        })
    }

    /// Returns the steps of a target, and adds them to the graph if needed.
    pub(crate) fn target(&mut self, name: &TargetName, wanted: bool) -> Analyzed<TargetNodes> {
        if let Some(nodes) = self.done.get(name) {
            return Ok(nodes.clone());
        }
        let target = self.find(name)?;
        let deps = self.deps_of(target)?;
        let nodes = kinds::analyze(&target.kind).analyze(self, target, deps, wanted)?;
        self.done.insert(name.clone(), nodes.clone());
        Ok(nodes)
    }

    /// Returns the dependencies from the target's `after`.
    pub(crate) fn deps_of(&mut self, target: &Target) -> Analyzed<Deps> {
        let mut deps = Deps::default();
        for other in &target.common.after {
            let nodes = self.target(&other.value, false)?;
            let is_put_off = nodes.is_download && kinds::analyze(&target.kind).puts_downloads_off();
            if is_put_off { deps.on_miss.extend(nodes.ends) } else { deps.order_only.extend(nodes.ends) }
        }
        Ok(deps)
    }

    /// Returns the `docker` command.
    pub(crate) fn docker(&self) -> Analyzed<Docker> {
        Docker::find(self.request.environment, &self.root)
    }

    /// Returns the names of an image, each once.
    pub(crate) fn image_tags(&self, texts: &[Text]) -> Analyzed<Vec<Reference>> {
        let mut tags = Vec::new();
        for text in texts {
            let tag = self.variables.text(text).map_err(|error| error.at(text.span))?;
            let tag = Reference::new(&tag).map_err(|error| UserError::input(error.to_string()).at(text.span))?;
            if !tags.contains(&tag) {
                tags.push(tag);
            }
        }
        Ok(tags)
    }

    /// Adds the main step of a target.
    pub(crate) fn add(
        &mut self,
        target: &Target,
        key: StepKey,
        deps: Deps,
        inputs: Vec<NodeId>,
        shown: Shown,
        step: Box<dyn AnyStep>,
    ) -> NodeId {
        self.graph.add(Node {
            shown,
            inputs,
            after: deps.order_only,
            on_miss: deps.on_miss,
            ..Node::new(key, target.kind.word(), step)
        })
    }

    /// Adds a step of Rondel's own, shown only if it fails or on request.
    pub(crate) fn add_hidden(
        &mut self,
        key: StepKey,
        inputs: Vec<NodeId>,
        after: Vec<NodeId>,
        step: Box<dyn AnyStep>,
    ) -> NodeId {
        let kind = self.kind_of(key.target.as_ref());
        self.graph.add(Node { shown: Shown::Never, inputs, after, ..Node::new(key, kind, step) })
    }

    /// Returns the kind of a target, in the word of build.ron.
    fn kind_of(&self, target: Option<&TargetName>) -> &'static str {
        let found = self.request.file.targets.iter().find(|other| Some(&other.name.value) == target);
        found.map_or("", |target| target.kind.word())
    }

    /// Returns the declared platforms to build now.
    pub(crate) fn platforms(
        &mut self,
        own: Option<&Platforms>,
        target: &Target,
        is_image: bool,
    ) -> Analyzed<Vec<Platform>> {
        let host = Platform::host();
        let os = if is_image { "linux" } else { host.os() };
        let machine = Platform::new(&format!("{os}/{}", host.architecture())).ok();
        let declared: Vec<Platform> =
            own.unwrap_or(&self.request.file.platforms).iter().map(|platform| platform.value.clone()).collect();
        let declared = if declared.is_empty() { machine.clone().into_iter().collect() } else { declared };
        if declared.is_empty() {
            return Err(UserError::input(format!(
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
                        return Err(UserError::input(format!(
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

    /// Returns the arguments after `--`, for a target asked for by name.
    pub(crate) fn arguments(&mut self, wanted: bool) -> Vec<String> {
        if !wanted {
            return Vec::new();
        }
        self.arguments_used |= !self.request.arguments.is_empty();
        self.request.arguments.clone()
    }

    /// Returns a step, or two of which one is chosen once it is known whether the sources are dirty.
    pub(crate) fn step(&self, make: &dyn Fn() -> Analyzed<Box<dyn AnyStep>>) -> Analyzed<Box<dyn AnyStep>> {
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
        Ok(Box::new(DirtyStep { clean, dirty, trees }))
    }

    /// Returns the targets that must end before `target` starts, by `after` alone.
    pub(crate) fn waited_for<'t>(&'t self, target: &'t Target) -> BTreeSet<&'t TargetName> {
        let mut open: Vec<&TargetName> = target.common.after.iter().map(|name| &name.value).collect();
        self.reach(&mut open, &|target| {
            target.common.after.iter().chain(target.kind().members()).map(|name| &name.value).collect()
        })
    }

    /// Returns the targets of this run.
    pub(crate) fn wanted(&self) -> BTreeSet<&TargetName> {
        self.reach(&mut self.request.targets.iter().collect(), &|target| target.references())
    }

    fn reach<'t>(
        &'t self,
        open: &mut Vec<&'t TargetName>,
        next: &dyn Fn(&'t Target) -> Vec<&'t TargetName>,
    ) -> BTreeSet<&'t TargetName> {
        let mut found = BTreeSet::new();
        while let Some(name) = open.pop() {
            if found.insert(name) {
                let target = self.request.file.targets.iter().find(|target| target.name.value == *name);
                open.extend(target.map(next).unwrap_or_default());
            }
        }
        found
    }

    /// Returns outputs in the source tree, which no glob matches, relative to the project's directory. Outputs that
    /// `reader` waits for are left out: they are files like all others to it.
    pub(crate) fn declared_outputs(&self, reader: Option<&Target>) -> Analyzed<Vec<RelativePath>> {
        let known = reader.map(|reader| self.waited_for(reader)).unwrap_or_default();
        let mut outputs = Vec::new();
        for target in &self.request.file.targets {
            if known.contains(&target.name.value) {
                continue;
            }
            // Outputs are relative to build.ron, and the project may be a part of the workspace.
            for output in target.outputs(self.request.file).iter().filter(|output| output.written.is_some()) {
                if let Ok(below) = self.request.root.join(&output.path).strip_prefix(&self.root)
                    && let Ok(below) = RelativePath::from_path(below)
                {
                    outputs.push(below);
                }
            }
        }
        Ok(outputs)
    }
}

pub(crate) fn path(text: &str) -> Analyzed<RelativePath> {
    RelativePath::new(text).map_err(|error| UserError::input(error.to_string()))
}

/// Returns the only output of `target`, relative to build.ron.
pub(crate) fn only_output(target: &Target, file: &BuildFile) -> Analyzed<RelativePath> {
    match target.outputs(file).as_slice() {
        [output] => path(&output.path).map_err(|error| error.at(output.span)),
        _ => Err(UserError::input(format!("`{}` has not exactly one output", target.name.value)).at(target.name.span)),
    }
}

pub(crate) fn output_path(text: &Spanned<String>) -> Analyzed<RelativePath> {
    path(&text.value).map_err(|error| error.at(text.span))
}

/// Returns a path in an image, without its slash.
pub(crate) fn image_path(text: &Spanned<String>) -> Analyzed<RelativePath> {
    path(text.value.trim_start_matches('/')).map_err(|error| error.at(text.span))
}

pub(crate) fn probe_url(health: &rondel_buildfile::Health) -> String {
    format!("http://127.0.0.1:{}{}", health.port, health.path)
}
