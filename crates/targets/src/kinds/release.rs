//! `Release`: the steps of what people download, put together.

use rondel_buildfile::{ArchiveFormat, CommandEnvironment, OutputReference, Platform, Release, Target};
use rondel_dist::ArchiveForm;
use rondel_engine::{Node, NodeId, Shown, StepKey};

use crate::analyzer::{Analyze, Analyzed, Analyzer, only_output};
use crate::created::created_s;
use crate::nodes::{Deps, MadeOutput, TargetNodes};
use crate::policy::{Subject, add_policy, add_vulnerabilities_of_release};
use crate::release::{
    ArchiveStep, Artifact, ArtifactKind, ArtifactsStep, ChecksumsStep, ReleaseNames, add_bills, add_changelog,
    add_formula, add_packages, add_provenance, add_signatures, builds, check_release, path_of,
};

impl Analyze for Release {
    fn analyze(
        &self,
        analyzer: &mut Analyzer<'_>,
        target: &Target,
        deps: Deps,
        _wanted: bool,
    ) -> Analyzed<TargetNodes> {
        let platforms = analyzer.platforms(self.platforms.as_ref(), target, false)?;
        let name = &target.name.value;
        let span = self.version.as_ref().map_or(target.name.span, |version| version.span);
        let names = analyzer.variables.both(&|| ReleaseNames::of(analyzer, self, name, target.name.span))?.0;
        check_release(analyzer, &names.version, span)?;
        let mut artifacts = Vec::new();
        for platform in &platforms {
            let node = archive(analyzer, (target, self), platform, &deps)?;
            artifacts.push(Artifact { node, kind: ArtifactKind::Archive, platform: Some(platform.clone()) });
        }
        artifacts.extend(add_packages(analyzer, (target, self), &platforms, &deps)?);
        for index in 0..artifacts.len() {
            let of = artifacts[index].clone();
            artifacts.extend(add_bills(analyzer, (target, self), &of)?);
        }
        artifacts.extend(add_provenance(analyzer, (target, self), &platforms, &artifacts)?);
        let node = checksums(analyzer, (target, self), &artifacts)?;
        artifacts.push(Artifact { node, kind: ArtifactKind::Checksums, platform: None });
        artifacts.extend(add_signatures(analyzer, (target, self), &artifacts)?);
        artifacts.extend(add_formula(analyzer, (target, self), &artifacts)?);
        artifacts.extend(add_changelog(analyzer, (target, self))?);
        let mut ends: Vec<NodeId> = artifacts.iter().map(|artifact| artifact.node).collect();
        let subject = Subject { target, made: ends.clone(), files: Vec::new(), image: None };
        let mut rules = add_policy(analyzer, self.policy.as_ref(), &subject)?;
        rules.extend(add_vulnerabilities_of_release(analyzer, (target, self), &platforms)?);
        ends.push(list(analyzer, (target, self), artifacts, rules)?);
        Ok(TargetNodes::ends(ends))
    }

    fn made_output(
        &self,
        analyzer: &mut Analyzer<'_>,
        target: &Target,
        reference: &OutputReference,
    ) -> Analyzed<MadeOutput> {
        let nodes = analyzer.target(&target.name.value, false)?.ends;
        Ok(MadeOutput { nodes, ..analyzer.declared_output(target, reference)? })
    }

    fn wants_all_platforms(&self) -> bool {
        true
    }
}

/// Adds the step that makes the archive of a platform.
fn archive(
    analyzer: &mut Analyzer<'_>,
    (target, release): (&Target, &Release),
    platform: &Platform,
    deps: &Deps,
) -> Analyzed<NodeId> {
    let mut inputs = builds(analyzer, (target, release), platform)?;
    let sources = Some(release.archives.files.as_slice());
    let files = analyzer.declared_inputs(target, sources)?;
    let outputs = analyzer.output_uses(sources, &[], &CommandEnvironment::default(), &mut inputs)?;
    let out = only_output(target, analyzer.request.file)?;
    let name = &target.name.value;
    let step = analyzer.step(&|| {
        let names = ReleaseNames::of(analyzer, release, name, target.name.span)?;
        let format = release.archives.format_on(platform);
        let stem = names.fill(&release.archives.name, Some(platform))?;
        Ok(Box::new(ArchiveStep {
            builds: release.builds.iter().map(|build| build.value.clone()).collect(),
            root: analyzer.root.clone(),
            files: files.clone(),
            outputs: outputs.clone(),
            name: path_of(&format!("{stem}{}", format.ending()))?,
            wrap: if release.archives.wrap { Some(path_of(&stem)?) } else { None },
            form: match format {
                ArchiveFormat::TarGz => ArchiveForm::TarGz,
                ArchiveFormat::Zip => ArchiveForm::Zip,
            },
            modified_s: created_s(analyzer, &release.created)?,
            threads: analyzer.request.threads,
            out: out.clone(),
        }))
    })?;
    let key = StepKey::of(name, "archive").on(platform);
    Ok(analyzer.graph.add(Node {
        inputs,
        after: deps.order_only.clone(),
        on_miss: deps.on_miss.clone(),
        ..Node::new(key, target.kind.word(), step)
    }))
}

/// Adds the step that makes the file of checksums.
fn checksums(
    analyzer: &mut Analyzer<'_>,
    (target, release): (&Target, &Release),
    artifacts: &[Artifact],
) -> Analyzed<NodeId> {
    let out = only_output(target, analyzer.request.file)?;
    let name = &target.name.value;
    let step = analyzer.step(&|| {
        let names = ReleaseNames::of(analyzer, release, name, target.name.span)?;
        Ok(Box::new(ChecksumsStep { name: path_of(&names.fill(&release.checksums, None)?)?, out: out.clone() }))
    })?;
    let inputs = artifacts.iter().map(|artifact| artifact.node).collect();
    let key = StepKey::of(name, "checksums");
    Ok(analyzer.add(target, key, Deps::default(), inputs, Shown::Never, step))
}

/// Adds the step that makes the list of all files, which comes after `rules`.
fn list(
    analyzer: &mut Analyzer<'_>,
    (target, release): (&Target, &Release),
    artifacts: Vec<Artifact>,
    rules: Vec<NodeId>,
) -> Analyzed<NodeId> {
    let out = only_output(target, analyzer.request.file)?;
    let name = &target.name.value;
    let step = analyzer.step(&|| {
        Ok(Box::new(ArtifactsStep {
            project: analyzer.request.file.project.value.clone(),
            version: ReleaseNames::of(analyzer, release, name, target.name.span)?.version,
            artifacts: artifacts.clone(),
            out: out.clone(),
        }))
    })?;
    let inputs = artifacts.iter().map(|artifact| artifact.node).collect();
    let key = StepKey::main(name);
    let deps = Deps { order_only: rules, ..Deps::default() };
    Ok(analyzer.add(target, key, deps, inputs, Shown::OnFailure, step))
}
