//! `Resolve`: files with the names of images pinned to digests.

use rondel_buildfile::{InputSource, Push, Resolve, Span, Target, TargetKind, TargetName};
use rondel_engine::{NodeId, Shown, StepKey, UserError};

use crate::analyzer::{Analyze, Analyzed, Analyzer};
use crate::kinds::push::destinations;
use crate::nodes::{Deps, TargetNodes};
use crate::outputs::named_output;
use crate::resolve::{OtherPush, PinnedImage, ResolveStep, literal_directory};

impl Analyze for Resolve {
    fn analyze(
        &self,
        analyzer: &mut Analyzer<'_>,
        target: &Target,
        deps: Deps,
        _wanted: bool,
    ) -> Analyzed<TargetNodes> {
        let mut inputs = Vec::new();
        let named: Vec<(TargetName, Span)> = match &self.images {
            Some(images) => images.iter().map(|image| (image.value.clone(), image.span)).collect(),
            None => pushes(analyzer).into_iter().map(|name| (name, target.name.span)).collect(),
        };
        if named.is_empty() {
            let message = format!("`{}` has no `images`, and there is no `Push`", target.name.value);
            let hint = "write images: [\"image\"]";
            return Err(UserError::input(message).at(target.name.span).hint(hint));
        }
        let mut images: Vec<PinnedImage> = Vec::new();
        for (name, span) in named {
            if !images.iter().any(|known| known.target == name) {
                images.push(pinned(analyzer, name, span, &mut inputs)?);
            }
        }
        let globs: Vec<InputSource> = self.files.iter().map(|glob| InputSource::Glob(glob.clone())).collect();
        let (name, out) = named_output(target, analyzer.request.file)?;
        let step = ResolveStep {
            root: analyzer.root.clone(),
            files: analyzer.declared_inputs(target, Some(&globs)).map_err(without_output)?,
            base: literal_directory(self.files.iter().map(|glob| glob.value.as_str())),
            others: others(analyzer, &images),
            images,
            is_each_needed: self.images.is_some(),
            name,
            out,
            span: target.name.span,
        };
        let key = StepKey::main(&target.name.value);
        // What is not pinned is a line of its output.
        Ok(TargetNodes::end(analyzer.add(target, key, deps, inputs, Shown::Streamed, Box::new(step))))
    }

    fn named_in_files(&self, analyzer: &Analyzer<'_>, _target: &Target) -> Vec<TargetName> {
        if self.images.is_some() { Vec::new() } else { pushes(analyzer) }
    }
}

/// Returns the image of `name`, and adds the steps that know it to `inputs`.
fn pinned(
    analyzer: &mut Analyzer<'_>,
    name: TargetName,
    span: Span,
    inputs: &mut Vec<NodeId>,
) -> Analyzed<PinnedImage> {
    let image = analyzer.upstream_image(&name, span, inputs)?;
    let local = image.layout_of_push(inputs);
    let target = analyzer.find(&name)?;
    let programs = analyzer.within(target, |analyzer, kind| kind.programs(analyzer, target, inputs))?;
    Ok(PinnedImage { target: name, span, image, local, programs })
}

/// Takes `Output(…)` out of a hint: `files` are globs.
fn without_output(error: UserError) -> UserError {
    match error.hint.as_deref().and_then(|hint| hint.strip_prefix("write `Output(")?.split_once(", or ")) {
        Some((_, rest)) => {
            let hint = rest.to_owned();
            error.hint(hint)
        }
        None => error,
    }
}

/// Returns what other targets push that sends none of `images`. What can't be known now is left out: it is only for a
/// warning.
fn others(analyzer: &Analyzer<'_>, images: &[PinnedImage]) -> Vec<OtherPush> {
    let is_named = |name: &TargetName| images.iter().any(|image| image.target == *name);
    let sent: Vec<&TargetName> =
        all_pushes(analyzer).filter(|(name, _)| is_named(name)).map(|(_, push)| &push.image.value).collect();
    let is_other = |name: &TargetName, push: &Push| {
        !is_named(name) && !is_named(&push.image.value) && !sent.contains(&&push.image.value)
    };
    let mut others = Vec::new();
    for (target, push) in all_pushes(analyzer).filter(|(name, push)| is_other(name, push)) {
        let Ok(found) = analyzer.find(target) else { continue };
        let to = analyzer.in_scope(found, || destinations(push, analyzer)).unwrap_or_default();
        others.extend(to.into_iter().map(|(to, _)| OtherPush { target: target.clone(), to }));
    }
    others
}

/// Returns all targets that push an image.
fn pushes(analyzer: &Analyzer<'_>) -> Vec<TargetName> {
    all_pushes(analyzer).map(|(name, _)| name.clone()).collect()
}

fn all_pushes<'a>(analyzer: &Analyzer<'a>) -> impl Iterator<Item = (&'a TargetName, &'a Push)> {
    let pushes = |target: &'a Target| {
        if let TargetKind::Push(push) = &target.kind { Some((&target.name.value, push)) } else { None }
    };
    analyzer.request.file.targets.iter().filter_map(pushes)
}
