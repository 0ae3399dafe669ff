//! `policy` of a `Push` or a `Release`: steps that have to end well before something is sent, or counts as done.

mod clean_tree;
mod image_signatures;
mod signed_base;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use rondel_buildfile::{Base, Platform, Policy, RegistryReference, SourcePath, Span, Spanned, Target, TargetKind};
use rondel_cas::RelativePath;
use rondel_engine::{NodeId, StepKey, UserError};
use rondel_signatures::PublicKey;

use crate::analyzer::{Analyzed, Analyzer};
use crate::git::WorkTrees;
use crate::request::VersionMode;
use clean_tree::CleanTreeStep;
use signed_base::SignedBaseStep;

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
    let Some(policy) = policy else { return Ok(Vec::new()) };
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
