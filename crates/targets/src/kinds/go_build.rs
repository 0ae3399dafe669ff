//! `GoBuild`: one step a platform, and a bill of materials for each on request.

use std::collections::BTreeMap;
use std::sync::Arc;

use rondel_buildfile::{
    BuildMode, ExecutableNames, GoBuild, GoBuildSettings, OutputReference, Platform, Span, Target, suggest,
};
use rondel_cas::RelativePath;
use rondel_engine::{Node, NodeId, StepKey, UserError};
use rondel_golang::{self as golang, BillStep, CSupport, GoBuildStep, GoPackages, GoSupport, Scope, go_version_of};

use crate::analyzer::{Analyze, Analyzed, Analyzer, only_output, path};
use crate::evidence::{ExecutableBillsStep, forms};
use crate::go_variables::refuse_own;
use crate::nodes::{Deps, MadeOutput, ScanRequest, TargetNodes};
use crate::policy::add_scan;

impl Analyze for GoBuild {
    fn analyze(
        &self,
        analyzer: &mut Analyzer<'_>,
        target: &Target,
        deps: Deps,
        _wanted: bool,
    ) -> Analyzed<TargetNodes> {
        let platforms = analyzer.platforms(self.platforms.as_ref(), target, false)?;
        let builds = builds(analyzer, target, self, &deps, &platforms)?;
        let mut nodes: Vec<NodeId> = builds.values().copied().collect();
        if !self.sbom.is_empty() {
            for (platform, node) in builds {
                nodes.push(sbom(analyzer, (target, self), &platform, node)?);
            }
        }
        Ok(TargetNodes::ends(nodes))
    }

    fn puts_downloads_off(&self) -> bool {
        true
    }

    fn made_output(
        &self,
        analyzer: &mut Analyzer<'_>,
        target: &Target,
        reference: &OutputReference,
    ) -> Analyzed<MadeOutput> {
        let wanted = reference.path.as_deref().map(path).transpose()?;
        let (platform, rest) = analyzer.output_platform(self.platforms.as_ref(), target, wanted.as_ref())?;
        let deps = analyzer.deps_of(target)?;
        let node = builds(analyzer, target, self, &deps, std::slice::from_ref(&platform))?[&platform];
        let mut nodes = vec![node];
        let directory = only_output(target, analyzer.request.file)?.join(&path(&platform.directory_name())?);
        let place = match rest {
            Some(rest) => Some(directory.join(&executable(self, target, &platform, rest)?)),
            None => wanted.map(|_| directory),
        };
        if !self.sbom.is_empty() && place.is_some() {
            nodes.push(sbom(analyzer, (target, self), &platform, node)?);
        }
        Ok(MadeOutput { nodes, place, may_be_empty: false })
    }

    fn bill_node(
        &self,
        analyzer: &mut Analyzer<'_>,
        target: &Target,
        platform: &Platform,
        reader: (&Target, Span),
    ) -> Analyzed<Option<NodeId>> {
        let node = self.output_node(analyzer, target, platform, reader)?;
        bill(analyzer, (target, self), platform, node).map(Some)
    }

    fn scan_node(
        &self,
        analyzer: &mut Analyzer<'_>,
        target: &Target,
        platform: &Platform,
        request: &ScanRequest<'_>,
    ) -> Analyzed<Option<NodeId>> {
        let go = analyzer.go_in(self.module.as_ref())?;
        let foreign = analyzer.made_by_others(target)?;
        let settings = self.on(platform);
        add_scan(analyzer, request, (target, self.module.as_ref(), platform), &|analyzer, key| {
            let packages = packages(analyzer, (self, &settings), Arc::clone(&go), key)?;
            Ok(GoPackages { foreign: foreign.clone(), ..packages })
        })
        .map(Some)
    }

    fn output_node(
        &self,
        analyzer: &mut Analyzer<'_>,
        target: &Target,
        platform: &Platform,
        (reader, span): (&Target, Span),
    ) -> Analyzed<NodeId> {
        let file = analyzer.request.file;
        let name = &target.name.value;
        let declared = self.platforms.as_ref().or(Some(&file.platforms)).filter(|list| !list.is_empty());
        if declared.is_some_and(|list| !list.iter().any(|other| other.value == *platform)) {
            return Err(UserError::input(format!("`{}` is for {platform}, and `{name}` is not", reader.name.value))
                .at(span)
                .hint(format!("add {platform} to the platforms of `{name}`")));
        }
        let deps = analyzer.deps_of(target)?;
        Ok(builds(analyzer, target, self, &deps, std::slice::from_ref(platform))?[platform])
    }
}

fn names(build: &GoBuild) -> golang::ExecutableNames {
    match &build.name {
        None => golang::ExecutableNames::GoOwn,
        Some(ExecutableNames::Only(name)) => golang::ExecutableNames::Only(name.value.clone()),
        Some(ExecutableNames::Each(names)) => golang::ExecutableNames::Each(
            names.iter().map(|(package, name)| (package.value.clone(), name.value.clone())).collect(),
        ),
    }
}

/// Returns the file that `Output("target", "wanted")` is in the directory of a platform: an executable by its declared
/// name, also where that has an ending, or the file as written.
fn executable(build: &GoBuild, target: &Target, platform: &Platform, wanted: RelativePath) -> Analyzed<RelativePath> {
    let Some(names) = &build.name else { return Ok(wanted) };
    let ending = if platform.os() == "windows" { ".exe" } else { "" };
    if names.all().contains(&wanted.as_str()) {
        return path(&format!("{wanted}{ending}"));
    }
    let ExecutableNames::Only(name) = names else { return Ok(wanted) };
    let file = format!("{}{ending}", name.value);
    let documents = forms(&build.sbom).map(|form| format!("{file}{}", form.ending()));
    let made: Vec<String> = [file.clone()].into_iter().chain(documents).collect();
    if made.iter().any(|name| wanted.as_str() == name) {
        return Ok(wanted);
    }
    let made: Vec<&str> = made.iter().map(String::as_str).collect();
    let error = UserError::input(format!("`{}` makes no `{wanted}`", target.name.value));
    Err(match suggest(wanted.as_str(), made.iter().copied()) {
        Some(near) => error.hint(format!("did you mean `{near}`?")),
        None => error.hint(format!("it makes {}", made.join(", "))),
    })
}

/// Returns the step of each platform; reuses steps that are in the graph.
fn builds(
    analyzer: &mut Analyzer<'_>,
    target: &Target,
    build: &GoBuild,
    deps: &Deps,
    platforms: &[Platform],
) -> Analyzed<BTreeMap<Platform, NodeId>> {
    let module = build.module.as_ref();
    let (go, downloads) = (analyzer.go_in(module)?, analyzer.downloads(module, deps)?);
    let name = &target.name.value;
    let out = only_output(target, analyzer.request.file)?;
    let foreign = analyzer.made_by_others(target)?;
    let mut nodes = BTreeMap::new();
    for platform in platforms {
        let key = StepKey::main(name).on(platform);
        if let Some(node) = analyzer.graph.find(&key) {
            nodes.insert(platform.clone(), node);
            continue;
        }
        let settings = build.on(platform);
        check_settings(&settings, platform, &go)?;
        let step = analyzer.step(&|| {
            let step = GoBuildStep {
                packages: GoPackages {
                    foreign: foreign.clone(),
                    ..packages(analyzer, (build, &settings), Arc::clone(&go), key.clone())?
                },
                names: names(build),
                ldflags: analyzer.variables.texts(settings.ldflags)?,
                stamp: analyzer.variables.pairs(&settings.stamp)?,
                gcflags: analyzer.variables.texts(settings.gcflags)?,
                build_mode: match settings.buildmode {
                    BuildMode::Default => None,
                    BuildMode::Executable => Some("exe"),
                    BuildMode::PositionIndependent => Some("pie"),
                },
                out: out.clone(),
            };
            check_flags(build, &settings, &step)?;
            Ok(Box::new(step))
        })?;
        let node = analyzer.graph.add(Node {
            title: if platforms.len() == 1 { name.to_string() } else { key.to_string() },
            after: deps.order_only.clone(),
            on_miss: downloads.clone(),
            ..Node::new(key, "GoBuild", step)
        });
        nodes.insert(platform.clone(), node);
    }
    Ok(nodes)
}

/// Returns what is built for the platform of `key`.
fn packages(
    analyzer: &Analyzer<'_>,
    (build, settings): (&GoBuild, &GoBuildSettings<'_>),
    go: Arc<GoSupport>,
    key: StepKey,
) -> Analyzed<GoPackages> {
    let platform = key.platform.clone().expect("a build is for a platform");
    let env = analyzer.variables.pairs(&settings.env)?;
    Ok(GoPackages {
        patterns: analyzer.packages(build.module.as_ref(), &build.packages)?,
        tags: analyzer.variables.tags(settings.tags)?,
        c: if settings.cgo { Some(CSupport::find(&go, &platform, &env)?) } else { None },
        go,
        key,
        platform,
        env,
        race: false,
        scope: Scope::Build,
        foreign: Vec::new(),
    })
}

fn sbom(
    analyzer: &mut Analyzer<'_>,
    (target, build): (&Target, &GoBuild),
    platform: &Platform,
    node: NodeId,
) -> Analyzed<NodeId> {
    let key = StepKey::of(&target.name.value, "sbom").on(platform);
    if let Some(sbom) = analyzer.graph.find(&key) {
        return Ok(sbom);
    }
    let directory = only_output(target, analyzer.request.file)?.join(&path(&platform.directory_name())?);
    let step = ExecutableBillsStep { forms: forms(&build.sbom).collect(), directory };
    let bill = bill(analyzer, (target, build), platform, node)?;
    Ok(analyzer.add_hidden(key, vec![bill], Vec::new(), Box::new(step)))
}

/// Adds the step that says what the executables of a platform are made of.
fn bill(
    analyzer: &mut Analyzer<'_>,
    (target, build): (&Target, &GoBuild),
    platform: &Platform,
    node: NodeId,
) -> Analyzed<NodeId> {
    let key = StepKey::of(&target.name.value, "bill").on(platform);
    if let Some(bill) = analyzer.graph.find(&key) {
        return Ok(bill);
    }
    let step = BillStep {
        go: analyzer.go_in(build.module.as_ref())?,
        project: analyzer.request.file.project.value.clone(),
        place: key.file_name(),
    };
    Ok(analyzer.add_hidden(key, vec![node], Vec::new(), Box::new(step)))
}

/// Checks `env` of a `GoBuild`: it is for `GOEXPERIMENT` and the like, and for cgo where it is declared. Variables that
/// Rondel sets itself are refused.
fn check_settings(build: &GoBuildSettings<'_>, platform: &Platform, go: &GoSupport) -> Analyzed<()> {
    for (name, _) in &build.env {
        refuse_own(name, &["CGO_ENABLED", "HOME", "PATH", "TMPDIR", "TZ", "LC_ALL"])?;
        let is_c = name.value.starts_with("CGO_") || matches!(name.value.as_str(), "CC" | "CXX" | "PKG_CONFIG");
        if is_c && !build.cgo {
            let message = format!("`{}`: this `GoBuild` builds without cgo", name.value);
            return Err(UserError::input(message).at(name.span).hint("write `cgo: true`"));
        }
        if platform.variant_setting().is_some_and(|(variable, _)| variable == name.value) {
            let message = format!("`{}` and the platform {platform} both set the variant", name.value);
            return Err(UserError::input(message).at(name.span).hint("remove one of the two"));
        }
    }
    if let Some((variable @ ("GOARM64" | "GORISCV64"), _)) = platform.variant_setting()
        && let Some(version) = go.version().filter(|version| go_version_of(version) < go_version_of("1.23.0"))
    {
        let message = format!("{platform}: Go {version} does not know {variable} (1.23 does)");
        return Err(UserError::input(message).hint("leave the variant out, or raise `go`"));
    }
    let pie = build.buildmode == BuildMode::PositionIndependent;
    if pie && !build.cgo && !links_pie_internally(platform) {
        let message = format!("`buildmode: \"pie\"` for {platform} needs a C linker, so cgo");
        return Err(UserError::input(message).hint("write `cgo: true`, or leave `buildmode` out"));
    }
    Ok(())
}

/// Returns true if Go's own linker makes position-independent executables (internal/platform/supported.go of Go 1.22).
fn links_pie_internally(platform: &Platform) -> bool {
    matches!(
        (platform.os(), platform.architecture()),
        ("android", "arm64")
            | ("darwin" | "windows", "amd64" | "arm64")
            | ("linux", "amd64" | "arm64" | "loong64" | "ppc64le" | "riscv64" | "s390x")
            | ("windows", "386" | "arm")
    )
}

/// Refuses flags whose effect no key covers.
fn check_flags(build: &GoBuild, settings: &GoBuildSettings<'_>, step: &GoBuildStep) -> Analyzed<()> {
    let wrong = |texts: &[rondel_buildfile::Text], index: usize, message: String, hint: &str| {
        Err(UserError::input(message).at(texts[index].span).hint(hint))
    };
    if let Some(index) = step.packages.patterns.iter().position(|package| package.starts_with('-')) {
        let message = format!("`{}` is a flag, not a package", step.packages.patterns[index]);
        return wrong(&build.packages, index, message, "flags have fields of their own: `tags`, `ldflags`, `gcflags`");
    }
    if step.packages.c.is_some() {
        return Ok(());
    }
    let external = |flag: &String| flag.contains("-linkmode=external") || flag.contains("-linkmode external");
    let of_linker = |flag: &String| flag.contains("-extld");
    if let Some(index) = step.ldflags.iter().position(external) {
        let message = format!("`{}` links with a C linker", step.ldflags[index]);
        return wrong(settings.ldflags, index, message, "write `cgo: true`");
    }
    if let Some(index) = step.ldflags.iter().position(of_linker) {
        let flag = &step.ldflags[index];
        let message = format!("`{flag}` does nothing: it is for a C linker, and only cgo uses one");
        let is_static = step.packages.platform.os() == "linux" && settings.buildmode != BuildMode::PositionIndependent;
        let asks_for_static = step.ldflags[index..].iter().take(2).any(|flag| flag.contains("-static"));
        return match is_static && asks_for_static {
            true => wrong(settings.ldflags, index, message, "leave it out: the executable is static already"),
            false => wrong(settings.ldflags, index, message, "leave it out, or write `cgo: true`"),
        };
    }
    Ok(())
}
