//! Compares the results of two builds, step by step.

use std::collections::BTreeSet;

use rondel_cas::Entry;
use rondel_cas::messages::UnixMode;
use rondel_diff::{Difference, Traces, diff_files, diff_layouts};
use rondel_engine::{Artefact, Graph, NodeId, Shown, Summary, UpstreamResult};
use rondel_targets::ImageMetadata;

use crate::exit::Failure;
use crate::ui::Verified;

/// Returns the error for an artefact that can't be read.
pub(crate) fn unreadable(error: std::io::Error) -> Failure {
    Failure::environment(format!("failed to read an artefact: {error}"))
}

/// Compares the results of each step of two graphs. A step whose inputs differ is left out: the cause is named once.
pub(crate) fn diff_graphs(
    graph: &Graph,
    first: &Summary,
    again: &Graph,
    second: &Summary,
    traces: &Traces,
) -> Result<Vec<Verified>, Failure> {
    let mut differing: BTreeSet<NodeId> = BTreeSet::new();
    let mut compared = Vec::new();
    for (id, node) in graph.nodes() {
        let results = (first.results.get(&id), again.find(&node.key).and_then(|twin| second.results.get(&twin)));
        let (Some(one), Some(other)) = results else { continue };
        if one.artefacts.is_empty() {
            continue;
        }
        // A result made from a differing one differs with it: the cause is reported once.
        if node.inputs.iter().chain(&node.after).any(|other| differing.contains(other)) {
            differing.insert(id);
            continue;
        }
        let difference = diff_results(one, other, traces, &|artefact| artefact.path.display().to_string())?;
        if difference.is_some() {
            differing.insert(id);
        }
        compared.push(Verified {
            label: node.key.to_string(),
            is_hidden: node.shown == Shown::Never,
            summary: summary_of(one),
            difference,
        });
    }
    Ok(compared)
}

/// Returns the digest of a result, or the number of its files.
pub(crate) fn summary_of(result: &UpstreamResult) -> String {
    if let Some(image) = result.metadata.get::<ImageMetadata>().filter(|image| !image.digest.is_empty()) {
        return image.digest;
    }
    match result.artefacts.as_slice() {
        [only] => match &only.entry {
            Entry::File { digest, .. } => digest.oci(),
            Entry::Symlink { target } => format!("link to {target}"),
            Entry::Directory { .. } => "an empty directory".to_owned(),
        },
        several => format!("{} files", several.len()),
    }
}

/// Returns the first difference of two results of one step. `shown` names the place of an artefact of the first.
pub(crate) fn diff_results(
    one: &UpstreamResult,
    other: &UpstreamResult,
    traces: &Traces,
    shown: &dyn Fn(&Artefact) -> String,
) -> Result<Option<Difference>, Failure> {
    let layout = |result: &UpstreamResult| {
        let mark = result.artefacts.iter().find(|artefact| artefact.name.as_str().ends_with("/oci-layout"));
        mark.and_then(|artefact| Some((artefact.path.parent()?.to_owned(), shown(artefact))))
    };
    if let (Some((left, place)), Some((right, _))) = (layout(one), layout(other)) {
        let difference = diff_layouts(&left, &right, traces).map_err(unreadable)?;
        let place = place.strip_suffix("/oci-layout").unwrap_or(&place);
        return Ok(difference.map(|difference| difference.within(place)));
    }
    diff_artefacts(one, other, traces, shown)
}

/// Returns the first difference of two results, file by file.
pub(crate) fn diff_artefacts(
    one: &UpstreamResult,
    other: &UpstreamResult,
    traces: &Traces,
    shown: &dyn Fn(&Artefact) -> String,
) -> Result<Option<Difference>, Failure> {
    for artefact in &one.artefacts {
        let Some(twin) = other.artefacts.iter().find(|twin| twin.name == artefact.name) else {
            return Ok(Some(only_in("first", artefact.name.as_str())));
        };
        if artefact.entry == twin.entry {
            continue;
        }
        let files = artefact.entry.contents().is_some() && twin.entry.contents().is_some();
        let inside = if files { diff_files(&artefact.path, &twin.path, traces).map_err(unreadable)? } else { None };
        let outside = || {
            let what = format!("{} and {}", entry_words(&artefact.entry), entry_words(&twin.entry));
            Difference { place: Vec::new(), what: vec![what] }
        };
        return Ok(Some(inside.unwrap_or_else(outside).within(shown(artefact))));
    }
    let extra = other.artefacts.iter().find(|twin| !one.artefacts.iter().any(|artefact| artefact.name == twin.name));
    Ok(extra.map(|artefact| only_in("second", artefact.name.as_str())))
}

/// Returns type and permissions of an entry.
fn entry_words(entry: &Entry) -> String {
    let with = |what: &str, mode: &Option<UnixMode>| match mode {
        Some(mode) => format!("{what} with mode {:04o}", mode.bits()),
        None => what.to_owned(),
    };
    match entry {
        Entry::File { executable: true, mode, .. } => with("executable", mode),
        Entry::File { executable: false, mode, .. } => with("not executable", mode),
        Entry::Symlink { target } => format!("a link to {target}"),
        Entry::Directory { mode } => with("a directory", mode),
    }
}

fn only_in(which: &str, name: &str) -> Difference {
    Difference { place: Vec::new(), what: vec![format!("`{name}` is in the {which} build only")] }
}
