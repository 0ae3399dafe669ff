//! Outputs of a step as entries of a result: what is staged, what is in place, what is restored from the store.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rondel_cas::{ActionResult, BlobError, Digest, Entry, OutputEntry, RelativePath, TemporaryFile, remove_tree};

use crate::action::{ActionSpec, OutputKind, OutputSpec};
use crate::context::StepContext;
use crate::entries::{directory_mode, everything_below, exact_entry, normalise, set_bits, wanted_bits};
use crate::error::StepError;
use crate::graph::Node;
use crate::place::{Staged, place};
use crate::step::TreeAccess;
use crate::workspace::Workspace;

/// Why a stored result could not be put in its place.
pub(crate) enum RestoreError {
    /// A blob is gone or damaged: the step has to run.
    Blob(BlobError),
    /// The workspace can't be written.
    Step(StepError),
}

/// Returns true if the result is a success, each entry belongs to a declared output, and no output is missing.
pub(crate) fn fits(spec: &ActionSpec, result: &ActionResult) -> bool {
    let belongs = |path: &RelativePath| spec.outputs.iter().any(|output| output.holds(path));
    let present = |output: &OutputSpec| match output.kind {
        OutputKind::File => {
            result.outputs.iter().any(|entry| entry.path == output.name && entry.entry.contents().is_some())
        }
        OutputKind::Directory => result.directories.contains(&output.name),
    };
    result.exit_code == 0
        && result.outputs.iter().all(|entry| belongs(&entry.path) && !leaves(entry))
        && spec.outputs.iter().all(present)
}

/// Returns true for a link that leads out of its output.
pub(crate) fn leaves(entry: &OutputEntry) -> bool {
    let Entry::Symlink { target } = &entry.entry else { return false };
    let base = entry.path.parent().map(|parent| format!("{parent}/")).unwrap_or_default();
    target.starts_with('/') || RelativePath::new(&format!("{base}{target}")).is_err()
}

/// Returns the destination of the entry at `path` of the staging directory.
pub(crate) fn destination(workspace: &Workspace, spec: &ActionSpec, path: &RelativePath) -> PathBuf {
    let output = spec.outputs.iter().find(|output| output.holds(path)).expect("checked by `fits`");
    let rest = &path.as_str()[output.name.as_str().len()..];
    workspace.root.join(format!("{}{rest}", output.destination))
}

/// Returns true if every output is in place and output directories hold nothing else.
pub(crate) fn is_in_place(workspace: &Workspace, spec: &ActionSpec, result: &ActionResult) -> bool {
    let stands = |entry: &OutputEntry| {
        let path = destination(workspace, spec, &entry.path);
        exact_entry(&path, &workspace.snapshot).is_ok_and(|found| found == entry.entry)
    };
    let directories = spec.outputs.iter().filter(|output| output.kind == OutputKind::Directory);
    let exact = |output: &OutputSpec| {
        let wanted = result.outputs.iter().filter(|entry| output.holds(&entry.path)).map(|entry| &entry.path);
        let found = entries_of_directory(&output.destination.below(&workspace.root), &output.name);
        found.is_ok_and(|found| found.iter().map(|(path, _)| path).eq(wanted))
    };
    result.outputs.iter().all(stands) && directories.into_iter().all(exact)
}

/// Returns the entries of the output directory `name` that stands at `place`, sorted by path: files, links, directories
/// that are empty, and those with permissions that count.
fn entries_of_directory(place: &Path, name: &RelativePath) -> Result<Vec<(RelativePath, PathBuf)>, StepError> {
    let metadata = fs::symlink_metadata(place).map_err(|source| StepError::unreadable(place, &source))?;
    let mut found = Vec::new();
    if directory_mode(&metadata).is_some() {
        found.push((name.clone(), place.to_owned()));
    }
    for below in everything_below(place)? {
        if !below.metadata.is_dir() || below.is_empty || directory_mode(&below.metadata).is_some() {
            found.push((name.join(&below.path), below.path.below(place)));
        }
    }
    Ok(found)
}

/// Copies a stored result into a staging directory and puts it in place.
pub(crate) fn restore(
    node: &Node,
    context: &StepContext<'_>,
    spec: &ActionSpec,
    result: &ActionResult,
    key: &Digest,
) -> Result<(), RestoreError> {
    let workspace = context.workspace;
    let write = |path: &Path| {
        let path = path.to_owned();
        move |source: io::Error| RestoreError::Step(StepError::unwritable(&path, &source))
    };
    let staging = workspace.new_staging().map_err(write(&workspace.state))?;
    let outcome = fill(workspace, spec, result, &staging).and_then(|()| {
        let staged = Staged { spec, directory: &staging, outputs: &result.outputs, action: Some(*key) };
        place(node, context, &staged, None).map_err(RestoreError::Step)
    });
    remove_tree(&staging);
    outcome
}

/// Writes a stored result into a staging directory.
pub(crate) fn fill(
    workspace: &Workspace,
    spec: &ActionSpec,
    result: &ActionResult,
    staging: &Path,
) -> Result<(), RestoreError> {
    let write = |path: &Path| {
        let path = path.to_owned();
        move |source: io::Error| RestoreError::Step(StepError::unwritable(&path, &source))
    };
    for output in spec.outputs.iter().filter(|output| output.kind == OutputKind::Directory) {
        fs::create_dir_all(output.name.below(staging)).map_err(write(staging))?;
    }
    for entry in &result.outputs {
        let path = entry.path.below(staging);
        let parent = path.parent().expect("below the staging directory");
        fs::create_dir_all(parent).map_err(write(parent))?;
        match &entry.entry {
            Entry::File { digest, .. } => {
                let mut temporary = TemporaryFile::private_in(parent).map_err(write(&path))?;
                workspace.results.read(digest, temporary.file(), &path).map_err(RestoreError::Blob)?;
                let bits = wanted_bits(&entry.entry).expect("a file has permissions");
                temporary.set_mode(bits).map_err(write(&path))?;
                temporary.persist(&path).map_err(write(&path))?;
            }
            Entry::Symlink { target } => make_symlink(target, &path).map_err(write(&path))?,
            Entry::Directory { .. } => fs::create_dir_all(&path).map_err(write(&path))?,
        }
    }
    // Last, and from the inside out: a directory may forbid to write in it.
    let entries: BTreeMap<&RelativePath, &Entry> = result.outputs.iter().map(|it| (&it.path, &it.entry)).collect();
    for output in spec.outputs.iter().filter(|output| output.kind == OutputKind::Directory) {
        let root = output.name.below(staging);
        let below = everything_below(&root).map_err(RestoreError::Step)?;
        for directory in below.iter().rev().filter(|below| below.metadata.is_dir()) {
            let entry = entries.get(&output.name.join(&directory.path));
            let bits = entry.and_then(|entry| wanted_bits(entry)).unwrap_or(0o755);
            set_bits(&directory.path.below(&root), bits).map_err(write(&root))?;
        }
    }
    Ok(())
}

#[cfg(unix)]
fn make_symlink(target: &str, path: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, path)
}

#[cfg(not(unix))]
fn make_symlink(_target: &str, _path: &Path) -> io::Result<()> {
    Err(io::Error::other("links in outputs are not supported on this system"))
}

/// Returns the outputs that are directories, sorted.
pub(crate) fn output_directories(spec: &ActionSpec) -> Vec<RelativePath> {
    let directories = spec.outputs.iter().filter(|output| output.kind == OutputKind::Directory);
    let mut names: Vec<RelativePath> = directories.map(|output| output.name.clone()).collect();
    names.sort();
    names
}

/// Returns the contents of the staging directory by path: files, links and empty directories. Missing outputs and links
/// that lead out of their output are errors.
pub(crate) fn staged_outputs(spec: &ActionSpec, staging: &Path) -> Result<BTreeMap<RelativePath, PathBuf>, StepError> {
    let mut found = BTreeMap::new();
    for output in &spec.outputs {
        let path = output.name.below(staging);
        let metadata = fs::symlink_metadata(&path)
            .map_err(|_| StepError::failed(format!("the step did not make its output `{}`", output.destination)))?;
        match output.kind {
            OutputKind::File if metadata.is_file() => {
                found.insert(output.name.clone(), path);
            }
            OutputKind::Directory if metadata.is_dir() => {
                found.extend(entries_of_directory(&path, &output.name)?);
            }
            _ => {
                let what = if output.kind == OutputKind::File { "a regular file" } else { "a directory" };
                return Err(StepError::failed(format!("the output `{}` is not {what}", output.destination)));
            }
        }
    }
    Ok(found)
}

/// Gives all staged outputs their permissions, and says which of them were not kept.
pub(crate) fn normalise_all(
    node: &Node,
    context: &StepContext<'_>,
    spec: &ActionSpec,
    staging: &Path,
) -> Result<(), StepError> {
    let are_chosen = node.step.tree_access() == TreeAccess::MakesOutputs;
    for output in &spec.outputs {
        let root = output.name.below(staging);
        let Ok(metadata) = std::fs::symlink_metadata(&root) else { continue };
        let mut all = vec![(output.destination.to_string(), root.clone(), metadata.clone())];
        if metadata.is_dir() {
            let below = everything_below(&root)?.into_iter();
            let shown = |path: &RelativePath| format!("{}/{path}", output.destination);
            all.extend(below.map(|below| (shown(&below.path), below.path.below(&root), below.metadata)));
        }
        // From the inside out: a directory may forbid to change anything in it.
        for (shown, path, metadata) in all.iter().rev() {
            let dropped =
                normalise(path, metadata, are_chosen).map_err(|source| StepError::unwritable(path, &source))?;
            if dropped != 0 {
                context
                    .warn(format!("`{shown}` has no set-user-ID, set-group-ID or sticky bit: outputs can't have them"));
            }
        }
    }
    Ok(())
}
