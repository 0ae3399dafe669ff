//! Documents about an image, beside its layout: a bill of materials of each platform, and provenance. The image does not
//! depend on them.

use std::collections::BTreeSet;

use rondel_buildfile::{Image, Origin, Platform, Target};
use rondel_cas::RelativePath;
use rondel_engine::{NodeId, Shown, StepKey};

use crate::analyzer::{Analyzed, Analyzer, path};
use crate::evidence::{BaseMaterial, ImageBillsStep, ImageProvenanceStep, Recipe, forms, stated};
use crate::image::facts::index_of;
use crate::nodes::Deps;

/// Roles of the steps.
const BILLS: &str = "sbom";
const PROVENANCE: &str = "provenance";

/// A platform, with the step and the name of its base if that is no `Static`.
pub(crate) type PlatformBase = (Platform, Option<(NodeId, String)>);

/// Adds the steps of the documents that the image declares.
pub(crate) fn add(
    analyzer: &mut Analyzer<'_>,
    (target, image): (&Target, &Image),
    bases: &[PlatformBase],
    layout: (NodeId, &RelativePath),
) -> Analyzed<Vec<NodeId>> {
    let mut ends = Vec::new();
    for base in bases.iter().filter(|_| !image.sbom.is_empty()) {
        ends.push(add_bills(analyzer, (target, image), base, layout)?);
    }
    if image.provenance {
        ends.push(add_provenance(analyzer, (target, image), bases, layout)?);
    }
    Ok(ends)
}

/// Returns the directory of the bills of an image.
pub(crate) fn bills_directory(layout: &RelativePath) -> Analyzed<RelativePath> {
    path(&format!("{layout}.sbom"))
}

/// Returns the file of the provenance of an image.
pub(crate) fn provenance_file(layout: &RelativePath) -> Analyzed<RelativePath> {
    path(&format!("{layout}.provenance.json"))
}

/// Returns the key of the step that makes the bills of an image's platform.
pub(crate) fn bills_key(target: &Target, platform: &Platform) -> StepKey {
    StepKey::of(&target.name.value, BILLS).on(platform)
}

/// Returns the key of the step that makes the provenance of an image.
pub(crate) fn provenance_key(target: &Target) -> StepKey {
    StepKey::of(&target.name.value, PROVENANCE)
}

fn add_bills(
    analyzer: &mut Analyzer<'_>,
    (target, image): (&Target, &Image),
    (platform, base): &PlatformBase,
    (layout, out): (NodeId, &RelativePath),
) -> Analyzed<NodeId> {
    let mut inputs = vec![layout];
    let base = base.as_ref().map(|(node, name)| (index_of(*node, &mut inputs), name.clone()));
    let bills = executable_bills(analyzer, (target, image), platform)?;
    let bills: BTreeSet<usize> = bills.into_iter().map(|node| index_of(node, &mut inputs)).collect();
    let step = ImageBillsStep {
        project: analyzer.request.file.project.value.clone(),
        name: target.name.value.to_string(),
        platform: platform.clone(),
        forms: forms(&image.sbom).collect(),
        layout: out.clone(),
        base,
        bills: bills.into_iter().collect(),
        out: bills_directory(out)?,
    };
    Ok(analyzer.add_hidden(bills_key(target, platform), inputs, Vec::new(), Box::new(step)))
}

/// Returns the steps that know what the executables of the image are made of.
fn executable_bills(
    analyzer: &mut Analyzer<'_>,
    (target, image): (&Target, &Image),
    platform: &Platform,
) -> Analyzed<Vec<NodeId>> {
    let mut bills = Vec::new();
    for (_, source) in &image.files {
        let Origin::Output { target: producer, .. } = &source.value.origin else { continue };
        let producer = analyzer.find(producer)?;
        let reader = (target, source.span);
        bills.extend(analyzer.within(producer, |analyzer, kind| kind.bill_node(analyzer, producer, platform, reader))?);
    }
    Ok(bills)
}

fn add_provenance(
    analyzer: &mut Analyzer<'_>,
    (target, image): (&Target, &Image),
    bases: &[PlatformBase],
    (layout, out): (NodeId, &RelativePath),
) -> Analyzed<NodeId> {
    let mut inputs = vec![layout];
    inputs.extend(analyzer.graph.made_from(&analyzer.graph.node(layout).inputs));
    let before_bills = inputs.len();
    for (platform, _) in bases {
        for bill in executable_bills(analyzer, (target, image), platform)? {
            index_of(bill, &mut inputs);
        }
    }
    let of_bases = bases.iter().filter_map(|(platform, base)| Some((platform, base.as_ref()?)));
    let of_bases: Vec<BaseMaterial> = of_bases
        .map(|(platform, (node, name))| BaseMaterial {
            upstream: index_of(*node, &mut inputs),
            name: name.clone(),
            platform: platform.to_string(),
        })
        .collect();
    let keys: Vec<&StepKey> = inputs.iter().map(|node| &analyzer.graph.node(*node).key).collect();
    let labels: Vec<String> = keys.iter().map(ToString::to_string).collect();
    let names: BTreeSet<_> = keys.iter().filter_map(|key| key.target.clone()).collect();
    let targets: Vec<&Target> = names.iter().map(|name| analyzer.find(name)).collect::<Analyzed<_>>()?;
    let platforms: Vec<Platform> = bases.iter().map(|(platform, _)| platform.clone()).collect();
    let destination = provenance_file(out)?;
    let step = analyzer.step(&|| {
        Ok(Box::new(ImageProvenanceStep {
            recipe: Recipe {
                stated: stated(analyzer, target, &targets, &platforms)?,
                root: analyzer.request.root.clone(),
                labels: labels.clone(),
                name: path(destination.file_name())?,
                destination: destination.clone(),
            },
            name: target.name.value.to_string(),
            layout: out.clone(),
            bases: of_bases.clone(),
            before_bills,
        }))
    })?;
    Ok(analyzer.add(target, provenance_key(target), Deps::default(), inputs, Shown::Never, step))
}
