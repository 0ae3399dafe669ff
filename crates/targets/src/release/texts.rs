//! The nodes of the changelog and of the formula of a release.

use std::path::{Component, Path};

use rondel_buildfile::{Changelog, Homebrew, Release, SourcePath, Target};
use rondel_cas::RelativePath;
use rondel_dist::{BREAKING, ChangelogStyle, EVERYTHING_ELSE, Formula, FormulaMachine};
use rondel_engine::{Shown, StepKey, UserError};
use rondel_names::SemanticVersion;

use super::artifacts::{Artifact, ArtifactKind};
use super::builds::builds;
use super::changelog::ChangelogStep;
use super::formula::FormulaStep;
use super::names::{ReleaseNames, path_of};
use crate::analyzer::{Analyzed, Analyzer, only_output};
use crate::git::History;
use crate::nodes::Deps;

/// The groups of a changelog where nothing is said.
const GROUPS: [(&str, &str); 4] =
    [("Breaking changes", BREAKING), ("Features", "feat"), ("Fixes", "fix"), ("Others", EVERYTHING_ELSE)];
/// The types that are left out where nothing is said.
const LEFT_OUT: [&str; 5] = ["chore", "ci", "docs", "style", "test"];
/// Variants of a processor that each machine has.
const BASELINES: [&str; 2] = ["v1", "v8.0"];

/// Adds the step that makes the changelog, if the release has one.
pub(crate) fn add_changelog(
    analyzer: &mut Analyzer<'_>,
    (target, release): (&Target, &Release),
) -> Analyzed<Option<Artifact>> {
    let Some(changelog) = &release.changelog else { return Ok(None) };
    let out = only_output(target, analyzer.request.file)?;
    let name = &target.name.value;
    let step = analyzer.step(&|| {
        let names = ReleaseNames::of(analyzer, release, name, target.name.span)?;
        let title = analyzer.variables.optional(changelog.title.as_ref())?;
        // Evaluated above, so it is known by now how tags of versions begin.
        let prefix = analyzer.variables.repository().version_prefix().unwrap_or_default();
        let since = changelog.since.as_ref().map_or(format!("{prefix}v*"), |pattern| pattern.text().to_owned());
        Ok(Box::new(ChangelogStep {
            history: History {
                environment: analyzer.request.environment.clone(),
                directory: analyzer.request.repository.clone(),
                notes: analyzer.request.notes.clone(),
                paths: changelog.paths.iter().map(|path| from_root(analyzer, path)).collect::<Result<_, _>>()?,
            },
            since,
            with_pre_releases: SemanticVersion::new(&names.version).is_ok_and(|version| version.is_pre_release()),
            style: style(changelog, title.unwrap_or_else(|| names.version.clone())),
            name: path_of(&names.fill(&changelog.file, None)?)?,
            out: out.clone(),
        }))
    })?;
    let key = StepKey::of(name, "changelog");
    let node = analyzer.add(target, key, Deps::default(), Vec::new(), Shown::OnFailure, step);
    Ok(Some(Artifact { node, kind: ArtifactKind::Changelog, platform: None }))
}

/// Returns a path relative to the workspace.
fn from_root(analyzer: &Analyzer<'_>, path: &SourcePath) -> Analyzed<RelativePath> {
    let root = analyzer.request.file.root.as_ref().map_or(".", |root| root.value.as_str());
    let whole = Path::new(root).join(&path.value);
    let parts: Vec<&str> = whole
        .components()
        .filter_map(|part| match part {
            Component::Normal(part) => part.to_str(),
            _ => None,
        })
        .collect();
    RelativePath::new(&parts.join("/")).map_err(|error| UserError::input(error.to_string()).at(path.span))
}

fn style(changelog: &Changelog, title: String) -> ChangelogStyle {
    let groups = match &changelog.groups {
        Some(groups) => groups
            .iter()
            .map(|(title, types)| (title.value.clone(), types.iter().map(|kind| kind.value.clone()).collect()))
            .collect(),
        None => GROUPS.iter().map(|(title, kind)| ((*title).to_owned(), vec![(*kind).to_owned()])).collect(),
    };
    ChangelogStyle {
        title,
        groups,
        leave_out: match &changelog.leave_out {
            Some(types) => types.iter().map(|kind| kind.value.clone()).collect(),
            None => LEFT_OUT.map(str::to_owned).to_vec(),
        },
        commit_url: changelog.commit_url.as_ref().map(|url| url.text().value.clone()),
        issue_url: changelog.issue_url.as_ref().map(|url| url.text().value.clone()),
        authors: changelog.authors,
    }
}

/// Adds the step that makes the formula, if the release has one.
pub(crate) fn add_formula(
    analyzer: &mut Analyzer<'_>,
    (target, release): (&Target, &Release),
    artifacts: &[Artifact],
) -> Analyzed<Option<Artifact>> {
    let Some(formula) = &release.formula else { return Ok(None) };
    let (mut inputs, mut machines, mut first) = (Vec::new(), Vec::new(), None);
    for artifact in artifacts.iter().filter(|artifact| artifact.kind == ArtifactKind::Archive) {
        let Some(platform) = &artifact.platform else { continue };
        let machine = FormulaMachine::of(platform.os(), platform.architecture());
        let is_for_all = platform.variant().is_none_or(|variant| BASELINES.contains(&variant));
        let Some(machine) = machine.filter(|machine| is_for_all && !machines.contains(machine)) else { continue };
        first.get_or_insert_with(|| platform.clone());
        inputs.push(artifact.node);
        machines.push(machine);
    }
    let Some(first) = first else {
        let message = format!("the formula `{}` has no archive for macOS or Linux", formula.name.value);
        return Err(UserError::input(message).at(formula.name.span).hint(
            "Homebrew knows darwin and linux, each with amd64 and arm64: add such platforms, or leave `formula` out",
        ));
    };
    inputs.extend(builds(analyzer, (target, release), &first)?);
    let out = only_output(target, analyzer.request.file)?;
    let name = &target.name.value;
    let step = analyzer.step(&|| {
        let names = ReleaseNames::of(analyzer, release, name, target.name.span)?;
        Ok(Box::new(FormulaStep {
            url: formula.url.text().value.replace("{version}", &names.version),
            formula: without_archives(formula, names.version),
            machines: machines.clone(),
            builds: release.builds.len(),
            out: out.clone(),
        }))
    })?;
    let node = analyzer.add(target, StepKey::of(name, "formula"), Deps::default(), inputs, Shown::OnFailure, step);
    Ok(Some(Artifact { node, kind: ArtifactKind::Formula, platform: None }))
}

fn without_archives(formula: &Homebrew, version: String) -> Formula {
    Formula {
        name: formula.name.value.clone(),
        description: formula.description.value.clone(),
        homepage: formula.homepage.value.clone(),
        version,
        licence: formula.license.as_ref().map(|licence| licence.value.clone()),
        dependencies: formula.dependencies.iter().map(|name| name.value.clone()).collect(),
        archives: Vec::new(),
        install: formula.install.iter().map(|line| line.value.clone()).collect(),
        test: formula.test.iter().map(|line| line.value.clone()).collect(),
    }
}
