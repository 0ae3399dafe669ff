//! Documents about the files of a release: bills of materials of its archives, and provenance.

use rondel_buildfile::{Platform, Release, Target};
use rondel_engine::{NodeId, Shown, StepKey};

use super::artifacts::{Artifact, ArtifactKind};
use super::builds::{bill, executables};
use super::names::{ReleaseNames, path_of};
use crate::analyzer::{Analyzed, Analyzer, only_output};
use crate::evidence::{ArchiveBillsStep, ProvenanceStep, Recipe, forms, stated};
use crate::nodes::Deps;

/// Adds the step that makes the bills of materials of an archive or a package, if they are declared.
pub(crate) fn add_bills(
    analyzer: &mut Analyzer<'_>,
    (target, release): (&Target, &Release),
    of: &Artifact,
) -> Analyzed<Option<Artifact>> {
    let Some(platform) = of.platform.as_ref().filter(|_| !release.sbom.is_empty()) else { return Ok(None) };
    let mut inputs = vec![of.node];
    for build in &release.builds {
        inputs.extend(bill(analyzer, (target, build), platform)?);
    }
    let step = ArchiveBillsStep {
        project: analyzer.request.file.project.value.clone(),
        forms: forms(&release.sbom).collect(),
        out: only_output(target, analyzer.request.file)?,
    };
    let role = match of.kind == ArtifactKind::Archive {
        true => "sbom".to_owned(),
        false => format!("sbom of {}", analyzer.graph.node(of.node).key.role.as_str()),
    };
    let key = StepKey::of(&target.name.value, role).on(platform);
    let node = analyzer.add_hidden(key, inputs, Vec::new(), Box::new(step));
    Ok(Some(Artifact { node, kind: ArtifactKind::Sbom, platform: Some(platform.clone()) }))
}

/// Adds the step that says what the files were made from, if it is declared.
pub(crate) fn add_provenance(
    analyzer: &mut Analyzer<'_>,
    (target, release): (&Target, &Release),
    platforms: &[Platform],
    artifacts: &[Artifact],
) -> Analyzed<Option<Artifact>> {
    if !release.provenance {
        return Ok(None);
    }
    let mut inputs: Vec<NodeId> = artifacts.iter().map(|artifact| artifact.node).collect();
    for (build, platform) in release.builds.iter().flat_map(|build| platforms.iter().map(move |one| (build, one))) {
        inputs.push(executables(analyzer, (target, build), platform)?);
        inputs.extend(bill(analyzer, (target, build), platform)?);
    }
    let labels: Vec<String> = inputs.iter().map(|node| analyzer.graph.node(*node).key.to_string()).collect();
    let mut targets = vec![target];
    for build in &release.builds {
        targets.push(analyzer.find(&build.value)?);
    }
    let out = only_output(target, analyzer.request.file)?;
    let name = &target.name.value;
    let step = analyzer.step(&|| {
        let names = ReleaseNames::of(analyzer, release, name, target.name.span)?;
        let file = path_of(&format!("{}_{}_provenance.json", analyzer.request.file.project.value, names.version))?;
        Ok(Box::new(ProvenanceStep {
            recipe: Recipe {
                stated: stated(analyzer, target, &targets, platforms)?,
                root: analyzer.request.root.clone(),
                labels: labels.clone(),
                destination: out.join(&file),
                name: file,
            },
            artifacts: artifacts.len(),
        }))
    })?;
    let key = StepKey::of(name, "provenance");
    let node = analyzer.add(target, key, Deps::default(), inputs, Shown::Never, step);
    Ok(Some(Artifact { node, kind: ArtifactKind::Provenance, platform: None }))
}
