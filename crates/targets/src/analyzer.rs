//! `Analyzer`: what the analysis of every kind works with: the file, its variables, the graph so far, platforms, what
//! targets wait for. It knows no kind: each comes to it as an `Analyze`.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use rondel_buildfile::{
    BuildFile, HealthCheck, Output, OutputReference, Platform, Platforms, Span, Spanned, Target, TargetKind,
    TargetName, Text, suggest,
};
use rondel_cas::RelativePath;
use rondel_engine::{AnyStep, Graph, Node, NodeId, PROGRAM, Shown, StepKey, UserError};

use crate::base::{BaseRequest, Bases};
use crate::dirty::DirtyStep;
use crate::docker::Docker;
use crate::git::WorkTrees;
use crate::known_modules::KnownModules;
use crate::nodes::{Deps, HeldStep, MadeOutput, Program, ScanRequest, TargetNodes};
use crate::orders::{Cleaning, Order};
use crate::registries::Registries;
use crate::request::{PlatformChoice, Request};
use crate::running::Running;
use crate::tag_texts::{tag_text, wrong_tag};
use crate::variables::Variables;
use rondel_golang::PROBE_PATH;
use rondel_names::{ImageName, ImageReference};

/// How a kind becomes steps.
pub(crate) trait Analyze {
    /// Adds the steps of `target`, which is of this kind. `wanted` says that it was asked for by name.
    fn analyze(&self, analyzer: &mut Analyzer<'_>, target: &Target, deps: Deps, wanted: bool) -> Analyzed<TargetNodes>;

    /// True if downloads that it waits for are needed only when its steps run.
    fn puts_downloads_off(&self) -> bool {
        false
    }

    /// The step that makes the only output of `target` for `platform`; who reads it, and where that is written.
    fn output_node(
        &self,
        analyzer: &mut Analyzer<'_>,
        target: &Target,
        platform: &Platform,
        reader: (&Target, Span),
    ) -> Analyzed<NodeId> {
        let _ = (platform, reader);
        Ok(analyzer.target(&target.name.value, false)?.ends[0])
    }

    /// The step that says what its executables for `platform` are made of, if they are of a language that does.
    fn bill_node(
        &self,
        analyzer: &mut Analyzer<'_>,
        target: &Target,
        platform: &Platform,
        reader: (&Target, Span),
    ) -> Analyzed<Option<NodeId>> {
        let _ = (analyzer, target, platform, reader);
        Ok(None)
    }

    /// The step that looks for known vulnerabilities in what its executables for `platform` are made of, if they are of a language
    /// for which Rondel does. The step belongs to the target whose policy asks.
    fn scan_node(
        &self,
        analyzer: &mut Analyzer<'_>,
        target: &Target,
        platform: &Platform,
        request: &ScanRequest<'_>,
    ) -> Analyzed<Option<NodeId>> {
        let _ = (analyzer, target, platform, request);
        Ok(None)
    }

    /// The steps that make the output which a command names, and its place.
    fn made_output(
        &self,
        analyzer: &mut Analyzer<'_>,
        target: &Target,
        reference: &OutputReference,
    ) -> Analyzed<MadeOutput> {
        analyzer.declared_output(target, reference)
    }

    /// The targets that a file of the tree names, which then run before this one.
    fn named_in_files(&self, analyzer: &Analyzer<'_>, target: &Target) -> Vec<TargetName> {
        let _ = (analyzer, target);
        Vec::new()
    }

    /// The Go programs that its image holds. Adds the steps that build them to `nodes`, the upstream of their user.
    fn programs(
        &self,
        analyzer: &mut Analyzer<'_>,
        target: &Target,
        nodes: &mut Vec<NodeId>,
    ) -> Analyzed<Vec<Program>> {
        let _ = (analyzer, target, nodes);
        Ok(Vec::new())
    }

    /// True if it, and what it names, is made for all platforms.
    fn wants_all_platforms(&self) -> bool {
        false
    }

    /// What it has started, for those who ask later.
    fn running(&self, analyzer: &Analyzer<'_>, target: &Target) -> Analyzed<Option<Box<dyn Running>>> {
        let _ = (analyzer, target);
        Ok(None)
    }

    /// The health check that its image brings.
    fn health(&self) -> Option<&HealthCheck> {
        None
    }
}

pub(crate) struct Analyzer<'a> {
    pub(crate) request: &'a Request<'a>,
    pub(crate) variables: Variables<'a>,
    /// Directory of the project: inputs are below it.
    pub(crate) root: PathBuf,
    pub(crate) graph: Graph,
    done: BTreeMap<TargetName, TargetNodes>,
    /// The targets that are being analyzed, each named by the one before.
    open: Vec<TargetName>,
    /// Modules, and the Go of each.
    pub(crate) modules: KnownModules,
    registries: Option<Arc<Registries>>,
    bases: Option<Arc<Bases>>,
    /// What is pushed in this run, and by which target.
    pub(crate) pushed: BTreeMap<ImageReference, TargetName>,
    pub(crate) held_addresses: BTreeMap<SocketAddr, TargetName>,
    /// Targets that are made for all their platforms, unless the command line says otherwise.
    whole: BTreeSet<TargetName>,
    trees: OnceCell<Arc<WorkTrees>>,
    /// Steps that wait for a proof.
    pub(crate) held: Vec<HeldStep>,
    /// Steps that look whether something may go out, and make nothing of it.
    pub(crate) rules: BTreeSet<NodeId>,
    /// Groups whose members run in order.
    pub(crate) orders: Vec<Order>,
    pub(crate) cleanings: Vec<Cleaning>,
    /// Members of groups that are for other machines.
    pub(crate) left_out: Vec<TargetName>,
    pub(crate) notes: Vec<String>,
    pub(crate) warnings: Vec<String>,
    pub(crate) arguments_used: bool,
    behaviour: fn(&TargetKind) -> &dyn Analyze,
}

pub(crate) type Analyzed<T> = Result<T, UserError>;

impl<'a> Analyzer<'a> {
    /// An empty graph for `request`; `behaviour` says how each kind becomes steps.
    pub(crate) fn new(request: &'a Request<'a>, behaviour: fn(&TargetKind) -> &dyn Analyze) -> Analyzer<'a> {
        Analyzer {
            request,
            variables: Variables::new(request),
            root: request
                .file
                .root
                .as_ref()
                .map_or_else(|| request.root.clone(), |path| request.root.join(&path.value)),
            graph: Graph::new(),
            done: BTreeMap::new(),
            open: Vec::new(),
            modules: KnownModules::default(),
            registries: None,
            bases: None,
            pushed: BTreeMap::new(),
            held_addresses: BTreeMap::new(),
            whole: BTreeSet::new(),
            trees: OnceCell::new(),
            held: Vec::new(),
            rules: BTreeSet::new(),
            orders: Vec::new(),
            cleanings: Vec::new(),
            left_out: Vec::new(),
            notes: Vec::new(),
            warnings: Vec::new(),
            arguments_used: false,
            behaviour,
        }
    }

    /// How the kind of `target` becomes steps.
    pub(crate) fn behaviour(&self, target: &'a Target) -> &'a dyn Analyze {
        (self.behaviour)(&target.kind)
    }

    /// Returns the last steps of each analyzed target.
    pub(crate) fn ends(&self) -> BTreeMap<TargetName, Vec<NodeId>> {
        self.done.iter().map(|(name, nodes)| (name.clone(), nodes.ends.clone())).collect()
    }

    /// The target of this name.
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

    /// The steps of a target, added to the graph if they are not in it.
    pub(crate) fn target(&mut self, name: &TargetName, wanted: bool) -> Analyzed<TargetNodes> {
        if let Some(nodes) = self.done.get(name) {
            return Ok(nodes.clone());
        }
        let target = self.find(name)?;
        // build.ron has no circle, but a file that is read by analysis can close one.
        let begin = self.open.iter().position(|other| other == name);
        self.open.push(name.clone());
        if let Some(begin) = begin {
            let circle: Vec<String> = self.open[begin..].iter().map(|name| format!("`{name}`")).collect();
            return Err(
                UserError::input(format!("targets wait for each other: {}", circle.join(" -> "))).at(target.name.span)
            );
        }
        let deps = self.deps_of(target)?;
        let nodes = self.within(target, |analyzer, kind| kind.analyze(analyzer, target, deps, wanted))?;
        self.open.pop();
        self.done.insert(name.clone(), nodes.clone());
        Ok(nodes)
    }

    /// The target that is being analyzed.
    pub(crate) fn open_target(&self) -> Option<&'a Target> {
        self.find(self.open.last()?).ok()
    }

    /// What a target waits for by its `after`.
    pub(crate) fn deps_of(&mut self, target: &Target) -> Analyzed<Deps> {
        let mut deps = Deps::default();
        for other in &target.common.after {
            let nodes = self.target(&other.value, false)?;
            let is_put_off = nodes.is_download && (self.behaviour)(&target.kind).puts_downloads_off();
            if is_put_off { deps.on_miss.extend(nodes.ends) } else { deps.order_only.extend(nodes.ends) }
        }
        Ok(deps)
    }

    /// The `docker` command.
    pub(crate) fn docker(&self) -> Analyzed<Docker> {
        Docker::find(self.request.environment, &self.root)
    }

    /// The way to registries, for all targets.
    pub(crate) fn registries(&mut self) -> Arc<Registries> {
        let request = self.request;
        let make = || Arc::new(Registries::new(request.file, request.environment));
        Arc::clone(self.registries.get_or_insert_with(make))
    }

    /// The images of registries, for all targets.
    pub(crate) fn bases(&mut self) -> Arc<Bases> {
        let (request, registries) = (self.request, self.registries());
        let bases = self.bases.get_or_insert_with(|| {
            Arc::new(Bases::new(&BaseRequest {
                registries,
                lock: request.lock,
                // A copy of the workspace shares what is remembered.
                workspace: &request.repository,
                cache: &request.cache,
                offline: request.offline,
                locked: request.locked,
            }))
        });
        Arc::clone(bases)
    }

    /// Names of an image, each once.
    pub(crate) fn image_tags(&self, texts: &[Text]) -> Analyzed<Vec<ImageName>> {
        let mut tags = Vec::new();
        for text in texts {
            let tag = tag_text(text, &self.variables)?;
            let tag = ImageName::new(&tag).map_err(|error| wrong_tag(&tag, error.to_string()).at(text.span))?;
            if !tags.contains(&tag) {
                tags.push(tag);
            }
        }
        Ok(tags)
    }

    /// The command of a health check, as the container runs it.
    pub(crate) fn health_command(&self, check: &HealthCheck) -> Analyzed<Vec<String>> {
        match check {
            HealthCheck::Http(health) => {
                Ok(vec![format!("/{PROBE_PATH}"), format!("http://127.0.0.1:{}{}", health.port, health.path)])
            }
            HealthCheck::Command { words, .. } => self.variables.texts(words),
        }
    }

    /// The main step of a target.
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

    /// A step of Rondel's own, which people see only if it fails or they ask for all.
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

    /// The kind of a target, in the word of build.ron.
    fn kind_of(&self, target: Option<&TargetName>) -> &'static str {
        let found = self.request.file.targets.iter().find(|other| Some(&other.name.value) == target);
        found.map_or("", |target| target.kind.word())
    }

    /// The platforms to build now, of those that are declared.
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
            PlatformChoice::Own if self.whole.contains(&target.name.value) => Ok(declared),
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

    /// What stands after `--`, for a target that was asked for by name.
    pub(crate) fn arguments(&mut self, wanted: bool) -> Vec<String> {
        if !wanted {
            return Vec::new();
        }
        self.arguments_used |= !self.request.arguments.is_empty();
        self.request.arguments.clone()
    }

    /// A step, or two of which one is taken once it is known whether the sources are dirty.
    pub(crate) fn step(&self, make: &dyn Fn() -> Analyzed<Box<dyn AnyStep>>) -> Analyzed<Box<dyn AnyStep>> {
        let (clean, dirty) = self.variables.both(make)?;
        let Some(dirty) = dirty else { return Ok(clean) };
        let trees = match self.trees.get() {
            Some(trees) => Arc::clone(trees),
            None => {
                let trees = Arc::new(WorkTrees::new(self.request, self.written_outputs()));
                Arc::clone(self.trees.get_or_init(|| trees))
            }
        };
        Ok(Box::new(DirtyStep { clean, dirty, trees }))
    }

    /// The targets that have ended before the steps of `target` begin: all that it mentions, in `after` or by
    /// `Output`, and what those wait for.
    pub(crate) fn waited_for<'t>(&'t self, target: &'t Target) -> BTreeSet<&'t TargetName> {
        self.reach(&mut self.named_by(target), &|target| self.named_by(target))
    }

    /// Looks for targets of this run that are for all platforms, and so need others for all.
    pub(crate) fn find_whole(&mut self) {
        let wanted = self.wanted();
        let named = self.request.file.targets.iter().filter(|target| wanted.contains(&target.name.value));
        let publishing = named.filter(|target| (self.behaviour)(&target.kind).wants_all_platforms());
        let mut open = publishing.map(|target| &target.name.value).collect();
        self.whole = self.reach(&mut open, &|target| self.named_by(target)).into_iter().cloned().collect();
    }

    /// The targets of this run.
    pub(crate) fn wanted(&self) -> BTreeSet<&TargetName> {
        self.reach(&mut self.request.targets.iter().collect(), &|target| self.named_by(target))
    }

    /// Returns true if `name` runs `other` first.
    pub(crate) fn needs(&self, name: &TargetName, other: &TargetName) -> bool {
        self.reach(&mut vec![name], &|target| self.named_by(target)).contains(other)
    }

    /// The targets that `target` names, in build.ron and in files that are read by analysis.
    fn named_by<'t>(&'t self, target: &'t Target) -> Vec<&'t TargetName> {
        let named = (self.behaviour)(&target.kind).named_in_files(self, target);
        let others = self.request.file.targets.iter().map(|other| &other.name.value);
        self.request
            .file
            .references_on(target, &Platform::host())
            .into_iter()
            .chain(others.filter(|other| named.contains(other)))
            .collect()
    }

    fn reach<'t>(
        &'t self,
        open: &mut Vec<&'t TargetName>,
        next: &dyn Fn(&'t Target) -> Vec<&'t TargetName>,
    ) -> BTreeSet<&'t TargetName> {
        let mut found = BTreeSet::new();
        let targets: BTreeMap<&TargetName, &Target> =
            self.request.file.targets.iter().map(|target| (&target.name.value, target)).collect();
        while let Some(name) = open.pop() {
            if found.insert(name) {
                open.extend(targets.get(name).map(|target| next(target)).unwrap_or_default());
            }
        }
        found
    }

    /// Written outputs of all targets: they are derived from sources, and no sources themselves.
    fn written_outputs(&self) -> Vec<PathBuf> {
        let targets = self.request.file.targets.iter();
        let outputs = targets.flat_map(|target| self.request.file.outputs_of(target));
        outputs.filter(|output| output.written.is_some()).map(|output| self.request.root.join(&output.path)).collect()
    }
}

pub(crate) fn path(text: &str) -> Analyzed<RelativePath> {
    RelativePath::new(text).map_err(|error| UserError::input(error.to_string()))
}

/// The only place that `target` writes, relative to build.ron.
pub(crate) fn only_output(target: &Target, file: &BuildFile) -> Analyzed<RelativePath> {
    match file.outputs_of(target).as_slice() {
        [output] => path(&output.path).map_err(|error| error.at(output.span)),
        _ => Err(UserError::input(format!("`{}` has not exactly one output", target.name.value)).at(target.name.span)),
    }
}

pub(crate) fn output_path(text: &Spanned<String>) -> Analyzed<RelativePath> {
    path(&text.value).map_err(|error| error.at(text.span))
}

/// Returns the name of a declared output in the result of its step: the path as written below `root`, or else the one
/// relative to build.ron.
pub(crate) fn output_name(output: &Output<'_>) -> Analyzed<RelativePath> {
    match output.written.map(|written| RelativePath::new(&written.value)) {
        Some(Ok(path)) => Ok(path),
        Some(Err(_)) | None => path(&output.path).map_err(|error| error.at(output.span)),
    }
}
