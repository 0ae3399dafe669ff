//! `verify`: builds once more, elsewhere, and compares. Or builds once and compares with what is there already.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Instant;

use rondel_buildfile::{Makes, Platform, Target, TargetName};
use rondel_cas::Entry;
use rondel_compare::{Difference, Traces, compare_files, compare_layouts, read_layout};
use rondel_engine::{Graph, NodeId, Summary, UpstreamResult};
use rondel_golang::BuildInfo;
use rondel_process::Cancellation;
use rondel_targets::{Lowered, PlatformChoice};
use serde_json::json;

use crate::cli::Invocation;
use crate::elsewhere::{Elsewhere, with_private_umask};
use crate::exit::{Exit, Failure};
use crate::session::Session;
use crate::signals;
use crate::ui::{duration_text, print_data, print_line, without_control_sequences};
use crate::verbs::build::{Shown, exit_of, run_graph};

/// What became of one step.
struct Compared {
    label: String,
    is_hidden: bool,
    /// How many files were compared, and what the whole is.
    summary: String,
    difference: Option<Difference>,
}

/// Builds twice and compares.
pub(crate) fn verify(session: &Session<'_>, invocation: &Invocation, words: &[String]) -> Result<Exit, Failure> {
    let Some(first) = words.first() else {
        return Err(
            Failure::usage("`verify` needs a target, or a file that one made").hint("`cargo xtask verify image`")
        );
    };
    let is_target = session.file.targets.iter().any(|target| target.name.value.as_str() == first);
    let path = session.caller.directory.join(first);
    if !is_target && path.exists() {
        return verify_artefact(session, invocation, &path, words.get(1));
    }
    let targets = session.target_names(words)?;
    check_kinds(session, &targets)?;
    let cancellation = Cancellation::new();
    signals::forward_to(&cancellation);
    let begun = Instant::now();
    let lowered = session.lower(invocation, targets.clone())?;
    let workspace = session.workspace();
    let first = run_graph(session, invocation, &lowered, &workspace, &cancellation, Shown::AsUsual)?;
    if exit_of(&first) != Exit::Done {
        return Ok(exit_of(&first));
    }
    let (sources, made) = (sources_of(&first), artefacts_of(&first));
    let platforms = invocation.platforms.clone().unwrap_or(PlatformChoice::Own);
    let (place, again, second) =
        build_elsewhere(session, invocation, &targets, platforms, (&sources, &made), &cancellation)?;
    if exit_of(&second) != Exit::Done {
        return Ok(failed_elsewhere(&second));
    }
    let compared = compare_graphs(&lowered.graph, &first, &again.graph, &second, &place.traces(session))?;
    Ok(report(invocation, &compared, &place, begun))
}

/// Steps whose second run would start something, or that promise no bytes, are said before anything runs.
fn check_kinds(session: &Session<'_>, targets: &[TargetName]) -> Result<(), Failure> {
    let mut open: Vec<&TargetName> = targets.iter().collect();
    let mut seen = BTreeSet::new();
    let mut makes = false;
    while let Some(name) = open.pop() {
        if !seen.insert(name) {
            continue;
        }
        let Some(target) = session.file.targets.iter().find(|target| target.name.value == *name) else { continue };
        let why = match target.makes() {
            Makes::DaemonImage => Some("`docker build` promises no identical bytes"),
            Makes::Processes => Some("it runs something and makes nothing that could be compared"),
            Makes::Nothing | Makes::Executables | Makes::ImageLayout | Makes::Files { .. } => None,
        };
        if let Some(why) = why {
            return Err(Failure::usage(format!("`{name}` can't be verified: {why}")));
        }
        makes |= target.makes().is_comparable();
        open.extend(target.references());
    }
    if makes { Ok(()) } else { Err(Failure::usage("there is nothing to verify: no target among them makes files")) }
}

fn sources_of(summary: &Summary) -> BTreeSet<PathBuf> {
    let mut sources = BTreeSet::new();
    for result in summary.results.values() {
        result.sources.each(&mut |path| {
            sources.insert(path.to_owned());
        });
    }
    sources
}

fn artefacts_of(summary: &Summary) -> BTreeSet<PathBuf> {
    let artefacts = summary.results.values().flat_map(|result| &result.artefacts);
    artefacts.map(|artefact| artefact.path.clone()).collect()
}

/// The second build. Its own steps are not shown; what goes wrong is.
fn build_elsewhere(
    session: &Session<'_>,
    invocation: &Invocation,
    targets: &[TargetName],
    platforms: PlatformChoice,
    (sources, made): (&BTreeSet<PathBuf>, &BTreeSet<PathBuf>),
    cancellation: &Cancellation,
) -> Result<(Elsewhere, Lowered, Summary), Failure> {
    if !invocation.quiet && !invocation.events_json {
        print_line(&format!("{:>12} by a second build, elsewhere and from nothing", "Verifying"));
    }
    let place = Elsewhere::make(session, sources, made)?;
    let lowered = session.lower_elsewhere(invocation, targets.to_vec(), platforms, &place)?;
    let workspace = place.workspace();
    let summary =
        with_private_umask(|| run_graph(session, invocation, &lowered, &workspace, cancellation, Shown::FailuresOnly))?;
    Ok((place, lowered, summary))
}

/// A step that works here and not there depends on something that it does not declare.
fn failed_elsewhere(summary: &Summary) -> Exit {
    let exit = exit_of(summary);
    if exit != Exit::StepFailed {
        return exit;
    }
    print_line(
        "\nhint: the second build failed where the first did not: the step needs something that the tree does not hold",
    );
    Exit::Different
}

fn compare_graphs(
    graph: &Graph,
    first: &Summary,
    again: &Graph,
    second: &Summary,
    traces: &Traces,
) -> Result<Vec<Compared>, Failure> {
    let twins: BTreeMap<&str, NodeId> = again.nodes().map(|(id, node)| (node.label.as_str(), id)).collect();
    let mut differing: BTreeSet<NodeId> = BTreeSet::new();
    let mut compared = Vec::new();
    for (id, node) in graph.nodes() {
        let results =
            (first.results.get(&id), twins.get(node.label.as_str()).and_then(|twin| second.results.get(twin)));
        let (Some(one), Some(other)) = results else { continue };
        if one.artefacts.is_empty() {
            continue;
        }
        // What is made from something that differs differs with it: the cause is said once.
        if node.inputs.iter().chain(&node.after).any(|other| differing.contains(other)) {
            differing.insert(id);
            continue;
        }
        let difference = compare_results(one, other, traces)?;
        if difference.is_some() {
            differing.insert(id);
        }
        compared.push(Compared {
            label: node.label.clone(),
            is_hidden: node.hidden,
            summary: summary_of(one),
            difference,
        });
    }
    Ok(compared)
}

fn summary_of(result: &UpstreamResult) -> String {
    if let Some(digest) = result.facts.get("digest") {
        return digest.clone();
    }
    match result.artefacts.as_slice() {
        [only] => match &only.entry {
            Entry::File { digest, .. } => digest.oci(),
            Entry::Symlink { target } => format!("link to {target}"),
        },
        several => format!("{} files", several.len()),
    }
}

fn compare_results(
    one: &UpstreamResult,
    other: &UpstreamResult,
    traces: &Traces,
) -> Result<Option<Difference>, Failure> {
    let unreadable = |error: std::io::Error| Failure::Environment {
        message: format!("an artefact can't be read: {error}"),
        hint: None,
    };
    let layout = |result: &UpstreamResult| {
        let mark = result.artefacts.iter().find(|artefact| artefact.name.as_str().ends_with("/oci-layout"));
        mark.and_then(|artefact| artefact.path.parent().map(Path::to_owned))
    };
    if let (Some(left), Some(right)) = (layout(one), layout(other)) {
        let difference = compare_layouts(&left, &right, traces).map_err(unreadable)?;
        return Ok(difference.map(|difference| difference.within(left.display().to_string())));
    }
    for artefact in &one.artefacts {
        let Some(twin) = other.artefacts.iter().find(|twin| twin.name == artefact.name) else {
            return Ok(Some(only_in("first", artefact.name.as_str())));
        };
        if artefact.entry == twin.entry {
            continue;
        }
        let place = artefact.path.display().to_string();
        let difference = match (&artefact.entry, &twin.entry) {
            (Entry::File { executable: one, .. }, Entry::File { executable: other, .. }) => {
                let inside = compare_files(&artefact.path, &twin.path, traces).map_err(unreadable)?;
                inside.unwrap_or_else(|| {
                    let word = |executable: bool| if executable { "executable" } else { "not executable" };
                    Difference { place: Vec::new(), what: vec![format!("{} and {}", word(*one), word(*other))] }
                })
            }
            (one, other) => Difference { place: Vec::new(), what: vec![format!("{one:?} and {other:?}")] },
        };
        return Ok(Some(difference.within(place)));
    }
    let extra = other.artefacts.iter().find(|twin| !one.artefacts.iter().any(|artefact| artefact.name == twin.name));
    Ok(extra.map(|artefact| only_in("second", artefact.name.as_str())))
}

fn only_in(which: &str, name: &str) -> Difference {
    Difference { place: Vec::new(), what: vec![format!("`{name}` is in the {which} build only")] }
}

fn report(invocation: &Invocation, compared: &[Compared], place: &Elsewhere, begun: Instant) -> Exit {
    let differing = compared.iter().filter(|step| step.difference.is_some()).count();
    let exit = if differing == 0 { Exit::Done } else { Exit::Different };
    if invocation.events_json {
        for step in compared {
            let outcome = if step.difference.is_some() { "different" } else { "identical" };
            let empty = Difference { place: Vec::new(), what: Vec::new() };
            let difference = step.difference.as_ref().unwrap_or(&empty);
            print_data(&format!(
                "{}\n",
                json!({"event": "verified", "step": step.label, "outcome": outcome, "summary": step.summary,
                       "place": difference.place, "what": difference.what})
            ));
        }
        let outcome = if differing == 0 { "ok" } else { "different" };
        let ms = begun.elapsed().as_millis() as u64;
        print_data(&format!(
            "{}\n",
            json!({"event": "finished", "outcome": outcome, "exit_code": exit.code(), "duration_ms": ms})
        ));
        return exit;
    }
    for step in compared {
        match &step.difference {
            None if step.is_hidden && !invocation.verbose => {}
            None if invocation.quiet => {}
            None => print_line(&format!("{:>12} {}: {}", "Identical", step.label, step.summary)),
            Some(difference) => print_difference(&step.label, difference),
        }
    }
    if !invocation.quiet {
        print_line(&format!("{:>12} {}", "Differing", place.differences.join(", ")));
        let word = if differing == 0 {
            "identical".to_owned()
        } else {
            format!("{differing} of {} different", compared.len())
        };
        print_line(&format!("{:>12} in {}: {word}", "Verified", duration_text(begun.elapsed())));
    }
    exit
}

fn print_difference(label: &str, difference: &Difference) {
    let safe = |text: &str| without_control_sequences(text).to_string();
    print_line(&format!("{:>12} {label}: {}", "Different", safe(&difference.place.join(", "))));
    for line in &difference.what {
        print_line(&format!("{:>12}   {}", "", safe(line)));
    }
}

/// Builds elsewhere what `path` should be, and compares.
fn verify_artefact(
    session: &Session<'_>,
    invocation: &Invocation,
    path: &Path,
    named: Option<&String>,
) -> Result<Exit, Failure> {
    let begun = Instant::now();
    let is_layout = path.is_dir();
    let (platforms, what) = if is_layout { platforms_of_layout(path)? } else { platform_of_file(path)? };
    let target = match named {
        Some(name) => session.target_names(std::slice::from_ref(name))?.remove(0),
        None => target_of(session, path, is_layout)?,
    };
    check_kinds(session, std::slice::from_ref(&target))?;
    let cancellation = Cancellation::new();
    signals::forward_to(&cancellation);
    let choice = invocation.platforms.clone().unwrap_or(PlatformChoice::Some(platforms));
    let none = BTreeSet::new();
    // What lies outside of the tree is known once the inputs are: asked without building.
    let sources = planned_sources(session, invocation, &target, &choice)?;
    let (place, again, second) =
        build_elsewhere(session, invocation, std::slice::from_ref(&target), choice, (&sources, &none), &cancellation)?;
    if exit_of(&second) != Exit::Done {
        return Ok(failed_elsewhere(&second));
    }
    let difference = compare_artefact(path, is_layout, &target, &again.graph, &second, &place.traces(session))?;
    let label = format!("{} ({what}), built as `{target}`", path.display());
    let compared = [Compared { label, is_hidden: false, summary: "the same bytes".to_owned(), difference }];
    Ok(report(invocation, &compared, &place, begun))
}

fn planned_sources(
    session: &Session<'_>,
    invocation: &Invocation,
    target: &TargetName,
    platforms: &PlatformChoice,
) -> Result<BTreeSet<PathBuf>, Failure> {
    let wanted = Invocation { platforms: Some(platforms.clone()), ..invocation.clone() };
    let lowered = session.lower(&wanted, vec![target.clone()])?;
    let workspace = session.workspace();
    Ok(rondel_engine::planned_sources(&lowered.graph, &lowered.roots, &workspace))
}

fn platform_of_file(path: &Path) -> Result<(Vec<Platform>, String), Failure> {
    let unreadable = |error: std::io::Error| Failure::usage(format!("failed to read `{}`: {error}", path.display()));
    let info = BuildInfo::of_file(path).map_err(unreadable)?;
    let info = info.ok_or_else(|| {
        Failure::usage(format!("`{}` is no Go executable: it does not say how it was built", path.display()))
            .hint("verify takes targets, executables that Go made, and directories with an OCI layout")
    })?;
    let (os, architecture) = (info.setting("GOOS").unwrap_or(""), info.setting("GOARCH").unwrap_or(""));
    let base = Platform::new(&format!("{os}/{architecture}"))
        .map_err(|error| Failure::usage(format!("`{}`: {error}", path.display())))?;
    Ok((vec![base], format!("{} {os}/{architecture}", info.go_version)))
}

fn platforms_of_layout(path: &Path) -> Result<(Vec<Platform>, String), Failure> {
    let wrong = |error: std::io::Error| {
        Failure::usage(format!("`{}` is no OCI layout: {error}", path.display()))
            .hint("verify takes targets, executables that Go made, and directories with an OCI layout")
    };
    let (digest, images) = read_layout(path).map_err(wrong)?;
    let platforms = images.iter().filter_map(|image| Platform::new(&image.platform).ok());
    Ok((platforms.collect(), digest))
}

/// The target that makes what is at `path`: by its place, else the only one that could.
fn target_of(session: &Session<'_>, path: &Path, is_layout: bool) -> Result<TargetName, Failure> {
    let wanted = if is_layout { Makes::ImageLayout } else { Makes::Executables };
    let fits = |target: &&Target| target.makes() == wanted;
    let is_in = |target: &Target| {
        target.outputs(&session.file).iter().any(|out| path.starts_with(session.root.join(&out.path)))
    };
    let candidates: Vec<&Target> = session.file.targets.iter().filter(fits).collect();
    let by_place = candidates.iter().find(|target| is_in(target));
    match (by_place, candidates.as_slice()) {
        (Some(target), _) | (None, [target]) => Ok(target.name.value.clone()),
        (None, several) => {
            let names: Vec<&str> = several.iter().map(|target| target.name.value.as_str()).collect();
            let hint = if names.is_empty() {
                "build.ron has no target that makes such a thing".to_owned()
            } else {
                format!("name the target: `verify {} {}`", path.display(), names.join("` or `…"))
            };
            Err(Failure::usage(format!("which target made `{}` can't be told", path.display())).hint(hint))
        }
    }
}

fn compare_artefact(
    path: &Path,
    is_layout: bool,
    target: &TargetName,
    graph: &Graph,
    second: &Summary,
    traces: &Traces,
) -> Result<Option<Difference>, Failure> {
    let unreadable = |error: std::io::Error| Failure::Environment {
        message: format!("an artefact can't be read: {error}"),
        hint: None,
    };
    let own = graph.nodes().filter(|(_, node)| node.target == target.as_str() && !node.hidden);
    let artefacts: Vec<_> =
        own.filter_map(|(id, _)| second.results.get(&id)).flat_map(|result| &result.artefacts).collect();
    if is_layout {
        let mark = artefacts.iter().find(|artefact| artefact.name.as_str().ends_with("/oci-layout"));
        let layout = mark.and_then(|artefact| artefact.path.parent());
        let layout = layout.ok_or_else(|| Failure::usage(format!("`{target}` makes no OCI layout")))?;
        return compare_layouts(path, layout, traces).map_err(unreadable);
    }
    // Of several commands the one of the same name; of several platforms the one that is the same.
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("");
    let named: Vec<_> = artefacts.iter().filter(|artefact| artefact.name.as_str() == name).collect();
    let candidates = if named.is_empty() { artefacts.iter().collect() } else { named };
    let mut last = None;
    for artefact in candidates {
        match compare_files(path, &artefact.path, traces).map_err(unreadable)? {
            None => return Ok(None),
            difference => last = last.or(difference),
        }
    }
    match last {
        None => Err(Failure::usage(format!("`{target}` makes nothing for the platform of `{}`", path.display()))),
        difference => Ok(difference),
    }
}
