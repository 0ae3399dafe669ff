//! `verify PATH`: builds an executable or a layout again in other surroundings, and compares.

use std::path::Path;

use rondel_buildfile::{Makes, Platform, Target, TargetName};
use rondel_diff::{Difference, Traces, diff_files, diff_layouts, read_layout};
use rondel_engine::{Graph, Shown, Summary};
use rondel_golang::BuildInfo;
use rondel_targets::PlatformChoice;

use super::Run;
use crate::asked::Asked;
use crate::build_diff::unreadable;
use crate::exit::{Exit, Failure};
use crate::program;
use crate::second_build::{SecondBuild, check_kinds, planned_sources, unfinished};
use crate::session::Session;
use crate::ui::Verified;

/// Builds the target of `path` and compares. `named` is that target, if the command line names it.
pub(super) fn verify(run: &Run<'_>, path: &Path, named: Option<&String>) -> Result<Exit, Failure> {
    let session = run.session;
    if let Some(word) = run.call.words.get(2) {
        return Err(Failure::usage(format!("`verify PATH` takes one target, and got `{}` too", word.escape_debug())));
    }
    let is_layout = path.is_dir();
    let (platforms, what) = if is_layout { platforms_of_layout(path)? } else { platform_of_file(path)? };
    let target = match named {
        Some(name) if crate::asked::is_value(name) => return Err(session.unknown_target(name, &[], &[])),
        Some(name) => session.asked(std::slice::from_ref(name))?.targets.remove(0),
        None => target_of(session, path, is_layout)?,
    };
    check_kinds(session, std::slice::from_ref(&target))?;
    let choice = match run.call.options.analysis.platforms() {
        PlatformChoice::Own => PlatformChoice::Some(platforms),
        chosen => chosen,
    };
    // Sources outside the tree are known once the inputs are, which needs no build.
    let options = &run.call.options.analysis;
    let sources = planned_sources(session, options, Asked::of(vec![target.clone()]), &choice, None)?;
    run.start();
    let asked = Asked::of(vec![target.clone()]);
    let second = run.second_build(&asked, choice, (&sources, &session.own_paths().collect()))?;
    if let Some(exit) = unfinished(&second.summary, run.sink.as_ref()) {
        return Ok(exit);
    }
    let SecondBuild { place, analysis, summary } = &second;
    let difference = diff_artefact(path, is_layout, &target, &analysis.graph, summary, &place.traces(session))?;
    let label = format!("{} ({what}), built as `{target}`", path.display());
    let steps = [Verified { label, is_hidden: false, summary: "the same bytes".to_owned(), difference }];
    Ok(run.report(&steps, place))
}

fn platform_of_file(path: &Path) -> Result<(Vec<Platform>, String), Failure> {
    let unreadable = |error: std::io::Error| Failure::usage(format!("failed to read `{}`: {error}", path.display()));
    let info = BuildInfo::of_file(path).map_err(unreadable)?;
    let info = info.ok_or_else(|| {
        Failure::usage(format!("`{}` is not a Go executable: it has no build information", path.display()))
            .hint("verify takes targets, Go executables, and directories with an OCI layout")
    })?;
    let (os, architecture) = (info.setting("GOOS").unwrap_or(""), info.setting("GOARCH").unwrap_or(""));
    let base = Platform::new(&format!("{os}/{architecture}"))
        .map_err(|error| Failure::usage(format!("`{}`: {error}", path.display())))?;
    Ok((vec![base], format!("{} {os}/{architecture}", info.go_version)))
}

fn platforms_of_layout(path: &Path) -> Result<(Vec<Platform>, String), Failure> {
    let wrong = |error: std::io::Error| {
        Failure::usage(format!("`{}` is not an OCI layout: {error}", path.display()))
            .hint("verify takes targets, Go executables, and directories with an OCI layout")
    };
    let (digest, images) = read_layout(path).map_err(wrong)?;
    let platforms = images.iter().filter_map(|image| Platform::new(&image.platform).ok());
    Ok((platforms.collect(), digest))
}

/// Returns the target of the artefact at `path`: by its place, else the only possible one.
fn target_of(session: &Session<'_>, path: &Path, is_layout: bool) -> Result<TargetName, Failure> {
    let wanted = if is_layout { Makes::ImageLayout } else { Makes::Executables };
    let is_in = |target: &Target| {
        session.file.outputs_of(target).iter().any(|out| path.starts_with(session.root.join(&out.path)))
    };
    let candidates: Vec<&Target> = session.file.targets.iter().filter(|target| target.makes() == wanted).collect();
    let by_place = candidates.iter().find(|target| is_in(target));
    match (by_place, candidates.as_slice()) {
        (Some(target), _) | (None, [target]) => Ok(target.name.value.clone()),
        (None, several) => {
            let names: Vec<&str> = several.iter().map(|target| target.name.value.as_str()).collect();
            let hint = if names.is_empty() {
                "build.ron has no target that makes one".to_owned()
            } else {
                format!("name the target: `{} verify {} {}`", program::name(), path.display(), names.join("` or `…"))
            };
            Err(Failure::usage(format!("failed to find the target that made `{}`", path.display())).hint(hint))
        }
    }
}

fn diff_artefact(
    path: &Path,
    is_layout: bool,
    target: &TargetName,
    graph: &Graph,
    second: &Summary,
    traces: &Traces,
) -> Result<Option<Difference>, Failure> {
    let own = graph.nodes().filter(|(_, node)| node.key.target.as_ref() == Some(target) && node.shown != Shown::Never);
    let artefacts: Vec<_> =
        own.filter_map(|(id, _)| second.results.get(&id)).flat_map(|result| &result.artefacts).collect();
    if is_layout {
        let mark = artefacts.iter().find(|artefact| artefact.name.as_str().ends_with("/oci-layout"));
        let layout = mark.and_then(|artefact| artefact.path.parent());
        let layout = layout.ok_or_else(|| Failure::usage(format!("`{target}` makes no OCI layout")))?;
        return diff_layouts(path, layout, traces).map_err(unreadable);
    }
    // Of several commands, the one of the same name; of several platforms, the identical one.
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("");
    let named: Vec<_> = artefacts.iter().filter(|artefact| artefact.name.as_str() == name).collect();
    let candidates = if named.is_empty() { artefacts.iter().collect() } else { named };
    let mut last = None;
    for artefact in candidates {
        match diff_files(path, &artefact.path, traces).map_err(unreadable)? {
            None => return Ok(None),
            difference => last = last.or(difference),
        }
    }
    match last {
        None => Err(Failure::usage(format!("`{target}` makes nothing for the platform of `{}`", path.display()))),
        difference => Ok(difference),
    }
}
