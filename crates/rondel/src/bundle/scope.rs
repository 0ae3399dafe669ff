//! What can be bundled: targets that are made of sources, modules, Go and images alone. The same rule holds for a bundle that
//! somebody else made, before anything of it runs.

use std::collections::BTreeSet;

use rondel_buildfile::{Base, Platform, Target, TargetKind, TargetName};
use rondel_engine::Graph;
use rondel_targets::Analysis;

use crate::exit::Failure;
use crate::program;
use crate::second_build::check_kinds;
use crate::session::Session;

/// Refuses targets that need more of the machine than a bundle holds. Nothing has been read but build.ron.
pub(super) fn check_targets(session: &Session<'_>, asked: &[TargetName]) -> Result<(), Failure> {
    let mut open: Vec<&TargetName> = asked.iter().collect();
    let mut seen = BTreeSet::new();
    while let Some(name) = open.pop() {
        if !seen.insert(name) {
            continue;
        }
        let Some(target) = session.file.targets.iter().find(|target| target.name.value == *name) else { continue };
        check_target(session, target)?;
        open.extend(session.file.references_on(target, &Platform::host()));
    }
    check_kinds(session, asked)
}

/// Returns the targets that have steps, also those that only files name.
pub(super) fn targets<'s>(session: &'s Session<'_>, graph: &Graph) -> Vec<&'s Target> {
    let names = graph.targets();
    session.file.targets.iter().filter(|target| names.contains(&target.name.value)).collect()
}

/// Refuses values that no bundle may hold, and toolchains and images that nothing pins.
pub(super) fn check_analysis(session: &Session<'_>, analysis: &Analysis) -> Result<(), Failure> {
    targets(session, &analysis.graph).into_iter().try_for_each(|target| check_target(session, target))?;
    if !analysis.secrets.is_empty() {
        return Err(Failure::usage(
            "it is made with secrets, or with values of environment files, and a bundle holds none",
        )
        .hint("bundle a target that is made without them"));
    }
    if analysis.go.iter().any(|go| go.sdk_place().is_none()) {
        return Err(Failure::usage("`go: System` is whatever is installed, and can't be bundled")
            .hint(format!("write `go: Version(\"…\")` and run `{} lock`", program::name())));
    }
    for (name, platform) in bases(session, &analysis.graph) {
        if !session.lock.images.get(&name).is_some_and(|platforms| platforms.contains_key(&platform)) {
            return Err(Failure::usage(format!("build.lock does not pin `{name}` for {platform}"))
                .hint(format!("run `{} lock` and commit build.lock", program::name())));
        }
    }
    Ok(())
}

/// Returns the images of registries that the steps lie on, each with its platforms, as build.lock calls them.
pub(super) fn bases(session: &Session<'_>, graph: &Graph) -> BTreeSet<(String, String)> {
    let mut found = BTreeSet::new();
    for (_, node) in graph.nodes() {
        let (Some(name), Some(platform)) = (&node.key.target, &node.key.platform) else { continue };
        let target = session.file.targets.iter().find(|target| target.name.value == *name);
        if let Some(TargetKind::Image(image)) = target.map(|target| &target.kind)
            && let Base::From(reference) = &image.base
        {
            found.insert((reference.value.to_string(), platform.to_string()));
        }
    }
    found
}

fn check_target(session: &Session<'_>, target: &Target) -> Result<(), Failure> {
    let name = &target.name.value;
    let word = target.kind.word();
    if !target.kind().is_self_contained() {
        return Err(Failure::usage(format!("`{name}` can't be bundled: `{word}` needs more of the machine than Go"))
            .hint("bundle what is made without it: `GoBuild`, `Image`, `Release`, `Template` and `Resolve`"));
    }
    if target.kind().signing_key().is_some() {
        let message = format!("`{name}` can't be bundled: it is signed with a key, and a bundle holds none");
        return Err(Failure::usage(message).hint("bundle what it is made of, or a target without `sign`"));
    }
    let needs = target.needs(&session.file.platforms);
    match needs.iter().find(|need| need.is_required() && **need != rondel_buildfile::Need::Go) {
        None => Ok(()),
        Some(rondel_buildfile::Need::CCompiler { because, .. }) => Err(Failure::usage(format!(
            "`{name}` can't be bundled: `{because}` links with a C compiler of the machine"
        ))),
        Some(_) => Err(Failure::usage(format!("`{name}` can't be bundled: it needs programs of the machine"))),
    }
}
