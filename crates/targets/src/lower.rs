//! Targets to nodes: names resolved, texts evaluated, platforms chosen.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use rondel_buildfile::{GoBuild, GoTest, Platform, Spanned, Target, TargetKind, TargetName, suggest};
use rondel_cas::RelativePath;
use rondel_engine::{GlobSet, Graph, Node, NodeId, Step};
use rondel_golang::Host;

use crate::go_support::{GoRequest, GoSupport};
use crate::request::{LowerError, PlatformChoice, Request};
use crate::steps::compose::ComposeDownStep;
use crate::steps::go_build::GoBuildStep;
use crate::steps::go_mod_download::GoModDownloadStep;
use crate::steps::go_test::GoTestStep;
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
        return Err(LowerError::configuration("none of the targets takes arguments after `--`")
            .hint("`GoTest`, `DockerRun` and `Exec` do"));
    }
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
    go: Option<Arc<GoSupport>>,
    modules: Option<NodeId>,
    pub(crate) probes: BTreeMap<Platform, NodeId>,
    notes: Vec<String>,
    arguments_used: bool,
}

pub(crate) type Lowers<T> = Result<T, LowerError>;

impl Lowering<'_> {
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
        for other in &target.after {
            let nodes = self.target(&other.value, false)?;
            let is_download = file
                .targets
                .iter()
                .any(|target| target.name.value == other.value && matches!(target.kind, TargetKind::GoModDownload));
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

    /// A step of Rondel's own, which people see only if it fails or they ask for all.
    pub(crate) fn add_hidden(
        &mut self,
        target: &str,
        label: String,
        inputs: Vec<NodeId>,
        after: Vec<NodeId>,
        step: Box<dyn Step>,
    ) -> NodeId {
        self.graph.add(Node {
            title: label.clone(),
            label,
            target: target.to_owned(),
            hidden: true,
            streams: false,
            inputs,
            after,
            on_miss: Vec::new(),
            step,
        })
    }

    pub(crate) fn go(&mut self) -> Lowers<Arc<GoSupport>> {
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

    pub(crate) fn go_mod_download(&mut self, target: &Target, waits: Waits) -> Lowers<NodeId> {
        let step = GoModDownloadStep { go: self.go()? };
        Ok(self.add(target, target.name.value.to_string(), waits, Vec::new(), false, Box::new(step)))
    }

    /// The downloads that a Go step needs if it runs: those it names, or one of its own.
    pub(crate) fn downloads(&mut self, waits: &Waits) -> Lowers<Vec<NodeId>> {
        if !waits.downloads.is_empty() {
            return Ok(waits.downloads.clone());
        }
        if let Some(node) = self.modules {
            return Ok(vec![node]);
        }
        let step = Box::new(GoModDownloadStep { go: self.go()? });
        let node = self.add_hidden("go modules", "go modules".to_owned(), Vec::new(), Vec::new(), step);
        self.modules = Some(node);
        Ok(vec![node])
    }

    /// The platforms to build now, of those that are declared.
    pub(crate) fn platforms(
        &mut self,
        own: Option<&Vec<Spanned<Platform>>>,
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
                    if !declared.contains(platform) {
                        let list: Vec<String> = declared.iter().map(ToString::to_string).collect();
                        return Err(LowerError::configuration(format!(
                            "`{}` is not declared for {platform}",
                            target.name.value
                        ))
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

    pub(crate) fn go_build(
        &mut self,
        target: &Target,
        build: &GoBuild,
        waits: &Waits,
    ) -> Lowers<BTreeMap<Platform, NodeId>> {
        let platforms = self.platforms(build.platforms.as_ref(), target, false)?;
        self.go_build_for(target, build, waits, &platforms)
    }

    pub(crate) fn go_build_for(
        &mut self,
        target: &Target,
        build: &GoBuild,
        waits: &Waits,
        platforms: &[Platform],
    ) -> Lowers<BTreeMap<Platform, NodeId>> {
        check_compile_settings(&build.env)?;
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
                return Err(LowerError::configuration(format!("`{package}` is a flag, not a package"))
                    .at(build.packages[0].span));
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

    pub(crate) fn go_test(&mut self, target: &Target, test: &GoTest, waits: &Waits, wanted: bool) -> Lowers<NodeId> {
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
    pub(crate) fn arguments(&mut self, wanted: bool) -> Vec<String> {
        if !wanted {
            return Vec::new();
        }
        self.arguments_used |= !self.request.arguments.is_empty();
        self.request.arguments.clone()
    }

    /// Outputs in the source tree, which no glob matches; relative to the project's directory.
    pub(crate) fn declared_outputs(&self) -> Lowers<Vec<RelativePath>> {
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

    pub(crate) fn waits_of(&mut self, target: &Target) -> Lowers<Waits> {
        let mut waits = Waits::default();
        for other in &target.after {
            let nodes = self.target(&other.value, false)?;
            let is_download = matches!(self.find(&other.value)?.kind, TargetKind::GoModDownload);
            if is_download { waits.downloads.extend(nodes) } else { waits.after.extend(nodes) }
        }
        Ok(waits)
    }
}

/// `env` of a `GoBuild` is for `GOAMD64` and its kin. What Rondel sets itself can't be set, and cgo would bring
/// a C compiler that no key knows.
fn check_compile_settings(env: &[(Spanned<String>, rondel_buildfile::Text)]) -> Lowers<()> {
    const OWN: &[&str] = &[
        "GOOS",
        "GOARCH",
        "GOROOT",
        "GOCACHE",
        "GOMODCACHE",
        "GOPATH",
        "GOENV",
        "GOWORK",
        "GOTOOLCHAIN",
        "GOPROXY",
        "GO111MODULE",
        "HOME",
        "PATH",
        "TMPDIR",
        "GOTMPDIR",
    ];
    for (name, _) in env {
        if name.value.starts_with("CGO_") || matches!(name.value.as_str(), "CC" | "CXX" | "PKG_CONFIG") {
            return Err(LowerError::configuration(format!("`{}`: `GoBuild` builds without cgo", name.value))
                .at(name.span)
                .hint("build with cgo in a `DockerBuild`"));
        }
        if OWN.contains(&name.value.as_str()) {
            return Err(LowerError::configuration(format!("`{}` is set by Rondel itself", name.value))
                .at(name.span)
                .hint("platforms are given in `platforms`, the toolchain in `go`"));
        }
    }
    Ok(())
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
