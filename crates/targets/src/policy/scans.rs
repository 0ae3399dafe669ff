//! Scans of Go builds for known vulnerabilities: which builds an image or a release holds, and the step of each.

use rondel_buildfile::{Base, ExecutablesReference, ModuleDirectory, Origin, Platform, Target, TargetKind};
use rondel_engine::{NodeId, Shown, StepKey};
use rondel_golang::{CheckedCode, CheckerStep, GoPackages, ScanStep};

use crate::analyzer::{Analyzed, Analyzer};
use crate::nodes::{Deps, ScanRequest};
use crate::tool_fields::program_source;
use crate::vulnerability_database::DatabaseUse;

/// A scan in the graph.
pub(super) struct Scan {
    pub node: NodeId,
    /// Name of the build.
    pub build: String,
    pub platform: Platform,
}

/// Adds the step that scans what `packages` returns: that of a build for a platform. Returns the step that is there already.
pub(crate) fn add_scan(
    analyzer: &mut Analyzer<'_>,
    request: &ScanRequest<'_>,
    (of, module, platform): (&Target, Option<&ModuleDirectory>, &Platform),
    packages: &dyn Fn(&Analyzer<'_>, StepKey) -> Analyzed<GoPackages>,
) -> Analyzed<NodeId> {
    let ScanRequest { target, rule } = request;
    let key = StepKey::of(&target.name.value, format!("vulnerabilities of {}", of.name.value)).on(platform);
    if let Some(node) = analyzer.graph.find(&key) {
        return Ok(node);
    }
    let mut upstream = Vec::new();
    let go = analyzer.go_in(module)?;
    let deps = analyzer.deps_of(of)?;
    let downloads = analyzer.downloads(module, &deps)?;
    let program = program_source(analyzer, module, &rule.tool, "govulncheck", &mut upstream)?;
    let step = analyzer.step(&|| {
        let packages = packages(analyzer, key.clone())?;
        let database = DatabaseUse::of(analyzer, target, &rule.db);
        let tags = (!packages.tags.is_empty()).then(|| format!("-tags={}", packages.tags.join(",")));
        let arguments = [database.argument, "-format=json".to_owned(), "-scan=symbol".to_owned()];
        let checker = CheckerStep {
            go: go.clone(),
            root: analyzer.root.clone(),
            name: "govulncheck",
            program: program.clone(),
            search_path: analyzer.request.environment.get("PATH").cloned().unwrap_or_default(),
            arguments: arguments.into_iter().chain(tags).collect(),
            code: CheckedCode::Packages(Box::new(packages)),
            files: database.files,
            configuration: None,
            directories: Vec::new(),
            always: database.always,
            fixes: false,
            hint: "check `db` and `tool` of `no_known_vulnerability`",
        };
        Ok(Box::new(ScanStep { checker, place: key.file_name() }))
    })?;
    let deps = Deps { order_only: deps.order_only, on_miss: downloads };
    let node = analyzer.add(target, key, deps, upstream, Shown::OnFailure, step);
    analyzer.rules.insert(node);
    Ok(node)
}

/// Adds the scans of all Go builds whose executables an image holds, also of the images that it lies on.
pub(super) fn scans_of_image(
    analyzer: &mut Analyzer<'_>,
    request: &ScanRequest<'_>,
    image: &Target,
    platform: &Platform,
) -> Analyzed<Vec<Scan>> {
    let TargetKind::Image(fields) = &image.kind else { return Ok(Vec::new()) };
    let mut scans = Vec::new();
    for (_, source) in &fields.files {
        let Origin::Output { target: producer, .. } = &source.value.origin else { continue };
        let producer = analyzer.find(producer)?;
        scans.extend(scan(analyzer, request, producer, platform)?);
    }
    if let Base::Target(below) = &fields.base {
        let below = analyzer.find(&below.value)?;
        scans.extend(scans_of_image(analyzer, request, below, platform)?);
    }
    Ok(scans)
}

/// Adds the scans of the builds of a release.
pub(super) fn scans_of_builds(
    analyzer: &mut Analyzer<'_>,
    request: &ScanRequest<'_>,
    builds: &[ExecutablesReference],
    platforms: &[Platform],
) -> Analyzed<Vec<Scan>> {
    let mut scans = Vec::new();
    for build in builds {
        let of = analyzer.find(&build.value)?;
        for platform in platforms {
            scans.extend(scan(analyzer, request, of, platform)?);
        }
    }
    Ok(scans)
}

fn scan<'a>(
    analyzer: &mut Analyzer<'a>,
    request: &ScanRequest<'_>,
    of: &'a Target,
    platform: &Platform,
) -> Analyzed<Option<Scan>> {
    let node = analyzer.within(of, |analyzer, kind| kind.scan_node(analyzer, of, platform, request))?;
    Ok(node.map(|node| Scan { node, build: of.name.value.to_string(), platform: platform.clone() }))
}
