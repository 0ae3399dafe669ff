//! Lowering of what Go does: downloads, builds, tests, tools.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use rondel_buildfile::{BuildMode, GoBuild, GoTest, Platform, Target};
use rondel_cas::{GlobSet, RelativePath};
use rondel_engine::{Node, NodeId};
use rondel_golang::{GoMod, go_version_of};

use crate::c_support::CSupport;
use crate::go_support::{GoRequest, GoSupport};
use crate::go_version::go_work_of;
use crate::lower::{Lowering, Lowers, Waits, only_output, output_path, path};
use crate::request::LowerError;
use crate::steps::go_build::{GoBuildStep, executable_name};
use crate::steps::go_mod_download::GoModDownloadStep;
use crate::steps::go_test::GoTestStep;
use crate::steps::sbom::SbomStep;

impl Lowering<'_> {
    pub(crate) fn go(&mut self) -> Lowers<Arc<GoSupport>> {
        if let Some(go) = &self.go {
            return Ok(Arc::clone(go));
        }
        let request = self.request;
        let go = GoSupport::new(&GoRequest {
            choice: &request.file.go.value,
            lock: request.lock,
            module: &self.root,
            go_work: go_work_of(request.file, &self.root)?,
            workspace: &request.root,
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

    /// The builds of all platforms, and their bills of materials.
    pub(crate) fn go_build(&mut self, target: &Target, build: &GoBuild, waits: &Waits) -> Lowers<Vec<NodeId>> {
        let platforms = self.platforms(build.platforms.as_ref(), target, false)?;
        let builds = self.go_build_for(target, build, waits, &platforms)?;
        let mut nodes: Vec<NodeId> = builds.values().copied().collect();
        if build.sbom {
            for (platform, node) in builds {
                nodes.push(self.sbom(target, &platform, node)?);
            }
        }
        Ok(nodes)
    }

    fn sbom(&mut self, target: &Target, platform: &Platform, node: NodeId) -> Lowers<NodeId> {
        if let Some(sbom) = self.sboms.get(&node) {
            return Ok(*sbom);
        }
        let directory = only_output(target, self.request.file)?.join(&path(&platform.directory_name())?);
        let step = SbomStep { go: self.go()?, project: self.request.file.project.value.clone(), directory };
        let label = format!("{}: sbom", self.graph.node(node).label);
        let sbom = self.add_hidden(target.name.value.as_str(), label, vec![node], Vec::new(), Box::new(step));
        self.sboms.insert(node, sbom);
        Ok(sbom)
    }

    pub(crate) fn go_build_for(
        &mut self,
        target: &Target,
        build: &GoBuild,
        waits: &Waits,
        platforms: &[Platform],
    ) -> Lowers<BTreeMap<Platform, NodeId>> {
        let downloads = self.downloads(waits)?;
        let go = self.go()?;
        let name = &target.name.value;
        let out = only_output(target, self.request.file)?;
        let foreign = self.made_by_others(target)?;
        let mut nodes = BTreeMap::new();
        for platform in platforms {
            let label = format!("{name} ({platform})");
            let existing = self.graph.nodes().find(|(_, node)| node.label == label).map(|(id, _)| id);
            if let Some(node) = existing {
                nodes.insert(platform.clone(), node);
                continue;
            }
            check_settings(build, platform, &go)?;
            let step = self.step(&|| {
                let env = self.variables.pairs(&build.env)?;
                let step = GoBuildStep {
                    go: Arc::clone(&go),
                    label: label.clone(),
                    platform: platform.clone(),
                    packages: self.variables.texts(&build.packages)?,
                    tags: self.variables.texts(&build.tags)?,
                    ldflags: self.variables.texts(&build.ldflags)?,
                    stamp: self.variables.pairs(&build.stamp)?,
                    gcflags: self.variables.texts(&build.gcflags)?,
                    c: if build.cgo { Some(CSupport::find(&go, &env)?) } else { None },
                    env,
                    build_mode: match build.buildmode {
                        BuildMode::Default => None,
                        BuildMode::Executable => Some("exe"),
                        BuildMode::PositionIndependent => Some("pie"),
                    },
                    foreign: foreign.clone(),
                    modules: Mutex::default(),
                    out: out.clone(),
                };
                check_flags(build, &step)?;
                Ok(Box::new(step))
            })?;
            let node = self.graph.add(Node {
                title: if platforms.len() == 1 { name.to_string() } else { label.clone() },
                after: waits.after.clone(),
                on_miss: downloads.clone(),
                ..Node::new(label, name.to_string(), "GoBuild", step)
            });
            nodes.insert(platform.clone(), node);
        }
        Ok(nodes)
    }

    /// Outputs in the source tree of targets of this run that `target` does not wait for.
    fn made_by_others(&self, target: &Target) -> Lowers<Vec<(PathBuf, String)>> {
        let (wanted, known) = (self.wanted(), self.waited_for(target));
        let mut made = Vec::new();
        for other in &self.request.file.targets {
            let name = &other.name.value;
            if *name == target.name.value || !wanted.contains(name) || known.contains(name) {
                continue;
            }
            for written in other.outputs(self.request.file).iter().filter_map(|output| output.written) {
                made.push((output_path(written)?.below(&self.root), name.to_string()));
            }
        }
        Ok(made)
    }

    pub(crate) fn go_test(&mut self, target: &Target, test: &GoTest, waits: &Waits, wanted: bool) -> Lowers<NodeId> {
        let downloads = self.downloads(waits)?;
        let excluded = self.declared_outputs(Some(target))?;
        let inputs = match &test.inputs {
            Some(globs) => GlobSet::new(globs.iter().map(|glob| glob.value.as_str()), excluded),
            None => GlobSet::everything(excluded),
        };
        let go = self.go()?;
        let step = GoTestStep {
            platform: go.own_platform()?,
            packages: self.variables.texts(&test.packages)?,
            race: if test.race { Some(CSupport::find(&go, &[])?) } else { None },
            go,
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

    /// The node that builds the command that `Tool(name)` means, for this machine; one for all that use it.
    pub(crate) fn tool(&mut self, name: &str) -> Lowers<NodeId> {
        let import_path = self.tool_path(name)?;
        if let Some(node) = self.tools.get(&import_path) {
            return Ok(*node);
        }
        let downloads = self.downloads(&Waits::default())?;
        let go = self.go()?;
        let label = format!("tool {import_path}");
        let step = GoBuildStep {
            label: label.clone(),
            platform: go.own_platform()?,
            packages: vec![import_path.clone()],
            tags: Vec::new(),
            ldflags: Vec::new(),
            stamp: Vec::new(),
            gcflags: Vec::new(),
            env: Vec::new(),
            build_mode: None,
            c: None,
            foreign: Vec::new(),
            modules: Mutex::default(),
            out: RelativePath::new(&format!(".rondel/out/tools/{import_path}"))
                .map_err(|error| LowerError::configuration(error.to_string()))?,
            go,
        };
        let node = Node::new(label, "tools".to_owned(), "GoBuild", Box::new(step));
        let node = self.graph.add(Node { hidden: true, on_miss: downloads, ..node });
        self.tools.insert(import_path, node);
        Ok(node)
    }

    /// An import path as it stands; one element is looked up among go.mod's `tool` lines.
    fn tool_path(&self, name: &str) -> Lowers<String> {
        if name.contains('/') {
            return Ok(name.to_owned());
        }
        let text = std::fs::read_to_string(self.root.join("go.mod")).unwrap_or_default();
        let tools = GoMod::parse(&text).tools;
        let named: Vec<&String> = tools.iter().filter(|path| executable_name(path, "linux") == name).collect();
        match named.as_slice() {
            [only] => Ok((*only).clone()),
            [] => {
                let error = LowerError::configuration(format!("go.mod has no tool `{name}`"));
                let names: Vec<String> = tools.iter().map(|path| executable_name(path, "linux")).collect();
                Err(if names.is_empty() {
                    error.hint("write its import path, or add it: `go get -tool IMPORT-PATH` (Go 1.24 and later)")
                } else {
                    error.hint(format!("its tools are: {}", names.join(", ")))
                })
            }
            several => {
                let paths: Vec<&str> = several.iter().map(|path| path.as_str()).collect();
                Err(LowerError::configuration(format!("go.mod has several tools `{name}`: {}", paths.join(", ")))
                    .hint("write the import path"))
            }
        }
    }
}

/// `env` of a `GoBuild` is for `GOEXPERIMENT` and its kin, and for cgo where it is declared. What Rondel sets
/// itself can't be set.
fn check_settings(build: &GoBuild, platform: &Platform, go: &GoSupport) -> Lowers<()> {
    const OWN: &[&str] = &[
        "GOOS",
        "GOARCH",
        "GOROOT",
        "GOCACHE",
        "GOMODCACHE",
        "GOPATH",
        "GOENV",
        "GOFLAGS",
        "GOWORK",
        "GOTOOLCHAIN",
        "GOPROXY",
        "GO111MODULE",
        "CGO_ENABLED",
        "HOME",
        "PATH",
        "TMPDIR",
        "GOTMPDIR",
        "TZ",
        "LC_ALL",
    ];
    for (name, _) in &build.env {
        if OWN.contains(&name.value.as_str()) {
            let hint = match name.value.as_str() {
                "CGO_ENABLED" => "write `cgo: true`",
                "GOFLAGS" => "flags have fields of their own: `tags`, `ldflags`, `gcflags`, `buildmode`",
                "GOWORK" => "write `go_work: \"go.work\"` at the top level",
                _ => "platforms are given in `platforms`, the toolchain in `go`",
            };
            let message = format!("`{}` is set by Rondel itself", name.value);
            return Err(LowerError::configuration(message).at(name.span).hint(hint));
        }
        let is_c = name.value.starts_with("CGO_") || matches!(name.value.as_str(), "CC" | "CXX" | "PKG_CONFIG");
        if is_c && !build.cgo {
            let message = format!("`{}`: this `GoBuild` builds without cgo", name.value);
            return Err(LowerError::configuration(message).at(name.span).hint("write `cgo: true`"));
        }
        if platform.variant_setting().is_some_and(|(variable, _)| variable == name.value) {
            let message = format!("`{}` and the platform {platform} both say the variant", name.value);
            return Err(LowerError::configuration(message).at(name.span).hint("remove one of the two"));
        }
    }
    if let Some((variable @ ("GOARM64" | "GORISCV64"), _)) = platform.variant_setting()
        && let Some(version) = go.version().filter(|version| go_version_of(version) < go_version_of("1.23.0"))
    {
        let message = format!("{platform}: Go {version} does not know {variable} (1.23 does)");
        return Err(LowerError::configuration(message).hint("leave the variant out, or raise `go`"));
    }
    let cross = platform.base() != go.own_platform()?;
    if build.cgo && cross && !build.env.iter().any(|(name, _)| name.value == "CC") {
        let message = format!("cgo for {platform} needs a C compiler that makes programs for it");
        return Err(LowerError::configuration(message)
            .hint("name it: env: {\"CC\": \"aarch64-linux-gnu-gcc\"}, or give the target its own `platforms`"));
    }
    let pie = build.buildmode == BuildMode::PositionIndependent;
    if pie && !build.cgo && !links_pie_internally(platform) {
        let message = format!("`buildmode: \"pie\"` for {platform} needs a C linker, so cgo");
        return Err(LowerError::configuration(message).hint("write `cgo: true`, or leave `buildmode` out"));
    }
    Ok(())
}

/// Where Go's own linker makes position-independent executables (internal/platform/supported.go of Go 1.22).
fn links_pie_internally(platform: &Platform) -> bool {
    matches!(
        (platform.os(), platform.architecture()),
        ("android", "arm64")
            | ("darwin" | "windows", "amd64" | "arm64")
            | ("linux", "amd64" | "arm64" | "loong64" | "ppc64le" | "riscv64" | "s390x")
            | ("windows", "386" | "arm")
    )
}

/// Flags that would bring in what no key knows.
fn check_flags(build: &GoBuild, step: &GoBuildStep) -> Lowers<()> {
    let wrong = |texts: &[rondel_buildfile::Text], index: usize, message: String, hint: &str| {
        Err(LowerError::configuration(message).at(texts[index].span).hint(hint))
    };
    if let Some(index) = step.packages.iter().position(|package| package.starts_with('-')) {
        let message = format!("`{}` is a flag, not a package", step.packages[index]);
        return wrong(&build.packages, index, message, "flags have fields of their own: `tags`, `ldflags`, `gcflags`");
    }
    let external = |flag: &String| {
        flag.contains("-linkmode=external") || flag.contains("-linkmode external") || flag.contains("-extld")
    };
    if step.c.is_none()
        && let Some(index) = step.ldflags.iter().position(external)
    {
        let message = format!("`{}` links with a C linker", step.ldflags[index]);
        return wrong(&build.ldflags, index, message, "write `cgo: true`");
    }
    Ok(())
}
