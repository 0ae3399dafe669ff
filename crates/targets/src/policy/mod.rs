//! `policy` of a `Push` or a `Release`: steps that have to end well before something is sent, or counts as done.

mod clean_tree;
mod image_signatures;
mod scans;
mod signed_base;
mod vulnerabilities;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use rondel_buildfile::{
    Base, NoKnownVulnerability, Platform, Policy, RegistryReference, Release, SourcePath, Span, Spanned, Target,
    TargetKind,
};
use rondel_cas::RelativePath;
use rondel_engine::{NodeId, Shown, StepKey, UserError};
use rondel_evidence::VulnerabilityStatements;
use rondel_names::ImageReference;
use rondel_oci::created_text;
use rondel_signatures::PublicKey;

use crate::analyzer::{Analyzed, Analyzer, path};
use crate::created::created_s;
use crate::git::WorkTrees;
use crate::nodes::{Deps, ScanRequest};
use crate::push::{Destinations, Pushed, StatementOfPush};
use crate::request::VersionMode;
use clean_tree::CleanTreeStep;
use scans::{Scan, scans_of_builds, scans_of_image};
use signed_base::SignedBaseStep;
use vulnerabilities::{ImageStatements, VulnerabilitiesStep};

pub(crate) use scans::add_scan;

/// What a policy is about.
pub(crate) struct Subject<'a> {
    pub target: &'a Target,
    /// The steps that make it.
    pub made: Vec<NodeId>,
    /// Files that it is made of and that no step reads, relative to the project.
    pub files: Vec<RelativePath>,
    /// The image that is sent, and its platforms.
    pub image: Option<(&'a Target, &'a [Platform])>,
}

/// Adds the steps of a policy, which what comes after waits for.
pub(crate) fn add_policy(
    analyzer: &mut Analyzer<'_>,
    policy: Option<&Spanned<Policy>>,
    subject: &Subject<'_>,
) -> Analyzed<Vec<NodeId>> {
    let Some(policy) = asked(analyzer, policy) else { return Ok(Vec::new()) };
    let mut nodes = Vec::new();
    if policy.value.clean_tree {
        let files = subject.files.iter().map(|file| file.below(&analyzer.root));
        let key = policy.value.signed_base.iter().map(|key| analyzer.root.join(&key.value));
        let files = files.chain(key).collect();
        nodes.extend(add_clean_tree(analyzer, policy.span, subject, files));
    }
    if let (Some(key), Some(image)) = (&policy.value.signed_base, subject.image) {
        nodes.extend(add_signed_base(analyzer, key, subject.target, image)?);
    }
    Ok(nodes)
}

/// Returns the policy, if this run asks for any.
fn asked<'a>(analyzer: &Analyzer<'_>, policy: Option<&'a Spanned<Policy>>) -> Option<&'a Spanned<Policy>> {
    policy.filter(|_| analyzer.request.asks_policies)
}

/// Returns the rule about vulnerabilities, if it is there and asked for.
fn rule<'a>(analyzer: &Analyzer<'_>, policy: Option<&'a Spanned<Policy>>) -> Option<&'a Spanned<NoKnownVulnerability>> {
    asked(analyzer, policy)?.value.no_known_vulnerability.as_ref()
}

/// Adds the steps that look for known vulnerabilities in what a release is made of. Returns the one that judges.
pub(crate) fn add_vulnerabilities_of_release(
    analyzer: &mut Analyzer<'_>,
    (target, release): (&Target, &Release),
    platforms: &[Platform],
) -> Analyzed<Option<NodeId>> {
    let Some(rule) = rule(analyzer, release.policy.as_ref()) else { return Ok(None) };
    let request = ScanRequest { target, rule: &rule.value };
    let scans = scans_of_builds(analyzer, &request, &release.builds, platforms)?;
    add_judge(analyzer, (target, rule), scans, None, &|_| Ok(None)).map(Some)
}

/// Adds the steps that look for known vulnerabilities in what an image is made of. One of them judges, and makes a document
/// for each platform: they are returned.
pub(crate) fn add_vulnerabilities_of_image(
    analyzer: &mut Analyzer<'_>,
    pushed: Pushed<'_>,
    (layout, to): (NodeId, &Destinations<'_>),
) -> Analyzed<Vec<StatementOfPush>> {
    let Some(rule) = rule(analyzer, pushed.push.policy.as_ref()) else { return Ok(Vec::new()) };
    let request = ScanRequest { target: pushed.target, rule: &rule.value };
    let mut scans = Vec::new();
    for platform in pushed.platforms {
        scans.extend(scans_of_image(analyzer, &request, pushed.image, platform)?);
    }
    let name = &pushed.target.name.value;
    let out = path(&format!(".rondel/out/openvex/{name}"))?;
    let node = add_judge(analyzer, (pushed.target, rule), scans, Some(layout), &|analyzer| {
        let TargetKind::Image(image) = &pushed.image.kind else { return Ok(None) };
        let mut repositories: Vec<String> = to(analyzer)?.iter().map(ImageReference::full_repository).collect();
        repositories.sort();
        repositories.dedup();
        Ok(Some(ImageStatements {
            image: pushed.image.name.value.to_string(),
            repositories,
            layout: pushed.layout.clone(),
            platforms: pushed.platforms.to_vec(),
            author: analyzer.request.file.project.value.clone(),
            time: created_text(created_s(analyzer, &image.created)?),
            out: out.clone(),
        }))
    })?;
    let statement = |platform: &Platform| {
        let place = out.join(&ImageStatements::file(platform)?);
        let predicate = VulnerabilityStatements::PREDICATE;
        Ok(StatementOfPush { node, place, platform: platform.clone(), predicate })
    };
    pushed.platforms.iter().map(statement).collect()
}

/// Adds the step that holds findings against the rule.
fn add_judge(
    analyzer: &mut Analyzer<'_>,
    (target, rule): (&Target, &Spanned<NoKnownVulnerability>),
    scans: Vec<Scan>,
    layout: Option<NodeId>,
    statements: &dyn Fn(&Analyzer<'_>) -> Analyzed<Option<ImageStatements>>,
) -> Analyzed<NodeId> {
    let name = &target.name.value;
    if scans.is_empty() {
        let message = format!("`no_known_vulnerability` looks at what `GoBuild` makes, and `{name}` has nothing of it");
        return Err(UserError::input(message)
            .at(rule.span)
            .hint("leave the rule out, or take executables of a `GoBuild`"));
    }
    let upstream = scans.iter().map(|scan| scan.node).chain(layout).collect();
    let step = analyzer.step(&|| {
        Ok(Box::new(VulnerabilitiesStep {
            target: name.clone(),
            scanned: scans.iter().map(|scan| (scan.build.clone(), scan.platform.clone())).collect(),
            reachable_only: rule.value.reachable_only,
            accepted: rule.value.accepted.iter().map(|(name, reason)| (name.value.clone(), reason.clone())).collect(),
            statements: statements(analyzer)?,
            span: rule.span,
        }))
    })?;
    let key = StepKey::of(name, "no known vulnerability");
    let node = analyzer.add(target, key, Deps::default(), upstream, Shown::Never, step);
    analyzer.rules.insert(node);
    Ok(node)
}

/// Adds the step that compares the sources with their commit.
fn add_clean_tree(
    analyzer: &mut Analyzer<'_>,
    span: Span,
    subject: &Subject<'_>,
    files: Vec<PathBuf>,
) -> Option<NodeId> {
    let name = &subject.target.name.value;
    if analyzer.request.version_mode == VersionMode::Snapshot {
        let note = format!("`clean_tree` of `{name}` is not asked for with --snapshot");
        analyzer.notes.push(note);
        return None;
    }
    // What a target of this run makes is not read from the tree. What nothing of this run makes is.
    let wanted: BTreeSet<_> = analyzer.wanted().into_iter().cloned().collect();
    let request = analyzer.request;
    let makers = request.file.targets.iter().filter(|target| wanted.contains(&target.name.value));
    let outputs = makers.flat_map(|target| request.file.outputs_of(target));
    let derived = outputs.map(|output| request.root.join(&output.path)).collect();
    let step = CleanTreeStep {
        target: name.clone(),
        trees: WorkTrees::new(request, derived),
        root: request.root.clone(),
        files,
        span,
    };
    let key = StepKey::of(name, "clean tree");
    Some(analyzer.add_hidden(key, subject.made.clone(), Vec::new(), Box::new(step)))
}

/// Adds a step for each platform that checks whose signature the base of an image has.
fn add_signed_base(
    analyzer: &mut Analyzer<'_>,
    key: &SourcePath,
    target: &Target,
    (image, platforms): (&Target, &[Platform]),
) -> Analyzed<Vec<NodeId>> {
    let text = analyzer.variables.sources().read(&key.value).map_err(|error| error.at(key.span))?;
    let public = PublicKey::from_pem(&text).map_err(|error| {
        let message = format!("`{}` is no public key that a base could be signed with: {error}", key.value);
        UserError::input(message).at(key.span).hint("name the `cosign.pub` of whoever makes the base")
    })?;
    let Some(reference) = base_of(analyzer, image, key.span)? else { return Ok(Vec::new()) };
    let (bases, registries) = (analyzer.bases(), analyzer.registries());
    let mut nodes = Vec::with_capacity(platforms.len());
    for platform in platforms {
        let step = SignedBaseStep {
            target: target.name.value.clone(),
            bases: Arc::clone(&bases),
            registries: Arc::clone(&registries),
            reference: reference.clone(),
            platform: platform.clone(),
            key: public,
            key_path: key.value.clone(),
            offline: analyzer.request.offline,
            span: key.span,
        };
        let key = StepKey::of(&target.name.value, "signed base").on(platform);
        nodes.push(analyzer.add_hidden(key, Vec::new(), Vec::new(), Box::new(step)));
    }
    Ok(nodes)
}

/// Returns the image of a registry that an image lies on at last; `None` if that is the static base, which Rondel makes.
fn base_of(analyzer: &Analyzer<'_>, image: &Target, span: Span) -> Analyzed<Option<RegistryReference>> {
    let unknown = |what: String| {
        let message = format!("`{}` lies on {what}, and nothing says who made that", image.name.value);
        UserError::input(message)
            .at(span)
            .hint("use `base: From(\"registry.example/base:1\")`, or leave out `signed_base`")
    };
    match &image.kind {
        TargetKind::Image(image) => match &image.base {
            Base::Static => Ok(None),
            Base::From(reference) => Ok(Some(reference.value.clone())),
            Base::Layout(layout) => Err(unknown(format!("the layout `{}`", layout.value))),
            Base::Target(below) => base_of(analyzer, analyzer.find(&below.value)?, span),
        },
        kind => Err(unknown(format!("what `{}` makes", kind.word()))),
    }
}
