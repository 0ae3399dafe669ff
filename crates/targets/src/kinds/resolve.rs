//! `Resolve`: files with the names of images pinned to digests.

use rondel_buildfile::{InputSource, Resolve, Span, Target, TargetKind, TargetName};
use rondel_engine::{NodeId, Shown, StepKey, UserError};

use crate::analyzer::{Analyze, Analyzed, Analyzer, only_output};
use crate::nodes::{Deps, TargetNodes};
use crate::resolve::{PinnedImage, ResolveStep, literal_directory};

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
        let step = ResolveStep {
            root: analyzer.root.clone(),
            files: analyzer.declared_inputs(target, Some(&globs))?,
            base: literal_directory(self.files.iter().map(|glob| glob.value.as_str())),
            images,
            is_each_needed: self.images.is_some(),
            out: only_output(target, analyzer.request.file)?,
            span: target.name.span,
        };
        let key = StepKey::main(&target.name.value);
        Ok(TargetNodes::end(analyzer.add(target, key, deps, inputs, Shown::OnFailure, Box::new(step))))
    }

    fn named_in_files(&self, analyzer: &Analyzer<'_>) -> Vec<TargetName> {
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
    let packages = analyzer.behaviour(target).packages(analyzer)?;
    Ok(PinnedImage { target: name, span, image, local, packages })
}

/// Returns all targets that push an image.
fn pushes(analyzer: &Analyzer<'_>) -> Vec<TargetName> {
    let targets = analyzer.request.file.targets.iter();
    let pushes = targets.filter(|target| matches!(target.kind, TargetKind::Push(_)));
    pushes.map(|target| target.name.value.clone()).collect()
}
