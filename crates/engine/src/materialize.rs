//! Puts results in place: atomically, inside the workspace, with old outputs whole until new ones stand.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rondel_cas::{ActionResult, BlobError, Entry, OutputEntry, RelativePath, TemporaryFile, remove_tree};

use crate::action::{ActionSpec, OutputKind, OutputSpec};
use crate::error::StepError;
use crate::inputs::{entry_of, walk_with_empty};
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
    let belongs = |path: &RelativePath| spec.outputs.iter().any(|output| belongs_to(path, output));
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

fn belongs_to(path: &RelativePath, output: &OutputSpec) -> bool {
    match output.kind {
        OutputKind::File => *path == output.name,
        OutputKind::Directory => *path != output.name && path.is_within(&output.name),
    }
}

/// Returns true if `path` is the place `below` the output.
fn is_at(path: &RelativePath, output: &OutputSpec, below: &RelativePath) -> bool {
    path.as_str()[output.name.as_str().len()..].strip_prefix('/') == Some(below.as_str())
}

/// Returns true for a link that leads out of its output.
pub(crate) fn leaves(entry: &OutputEntry) -> bool {
    let Entry::Symlink { target } = &entry.entry else { return false };
    let base = entry.path.parent().map(|parent| format!("{parent}/")).unwrap_or_default();
    target.starts_with('/') || RelativePath::new(&format!("{base}{target}")).is_err()
}

/// Returns the destination of the entry at `path` of the staging directory.
pub(crate) fn destination(workspace: &Workspace, spec: &ActionSpec, path: &RelativePath) -> PathBuf {
    let output = spec.outputs.iter().find(|output| belongs_to(path, output)).expect("checked by `fits`");
    let rest = &path.as_str()[output.name.as_str().len()..];
    workspace.root.join(format!("{}{rest}", output.destination))
}

/// Returns true if every output is in place and output directories hold nothing else.
pub(crate) fn is_in_place(workspace: &Workspace, spec: &ActionSpec, result: &ActionResult) -> bool {
    let stands = |entry: &OutputEntry| {
        let path = destination(workspace, spec, &entry.path);
        staged_entry(workspace, &path).is_ok_and(|found| found == entry.entry)
    };
    let directories = spec.outputs.iter().filter(|output| output.kind == OutputKind::Directory);
    let exact = |output: &OutputSpec| {
        let wanted = result.outputs.iter().filter(|entry| belongs_to(&entry.path, output));
        let path = output.destination.below(&workspace.root);
        everything_below(&path).is_ok_and(|found| {
            found.len() == wanted.clone().count()
                && found.iter().zip(wanted).all(|(found, wanted)| is_at(&wanted.path, output, found))
        })
    };
    result.outputs.iter().all(stands) && directories.into_iter().all(exact)
}

/// Copies a stored result into a staging directory and puts it in place.
pub(crate) fn restore(workspace: &Workspace, spec: &ActionSpec, result: &ActionResult) -> Result<(), RestoreError> {
    let write = |path: &Path| {
        let path = path.to_owned();
        move |source: io::Error| RestoreError::Step(StepError::unwritable(&path, &source))
    };
    let staging = workspace.new_staging().map_err(write(&workspace.state))?;
    let outcome = (|| {
        for output in spec.outputs.iter().filter(|output| output.kind == OutputKind::Directory) {
            fs::create_dir_all(output.name.below(&staging)).map_err(write(&staging))?;
        }
        for entry in &result.outputs {
            let path = entry.path.below(&staging);
            let parent = path.parent().expect("below the staging directory");
            fs::create_dir_all(parent).map_err(write(parent))?;
            match &entry.entry {
                Entry::File { digest, executable, .. } => {
                    let mut temporary = TemporaryFile::new_in(parent).map_err(write(&path))?;
                    workspace.results.read(digest, temporary.file(), &path).map_err(RestoreError::Blob)?;
                    temporary.set_mode(if *executable { 0o755 } else { 0o644 }).map_err(write(&path))?;
                    temporary.persist(&path).map_err(write(&path))?;
                }
                Entry::Symlink { target } => make_symlink(target, &path).map_err(write(&path))?,
                Entry::Directory { .. } => fs::create_dir_all(&path).map_err(write(&path))?,
            }
        }
        place(workspace, spec, &staging).map_err(RestoreError::Step)
    })();
    remove_tree(&staging);
    outcome
}

#[cfg(unix)]
fn make_symlink(target: &str, path: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, path)
}

#[cfg(not(unix))]
fn make_symlink(_target: &str, _path: &Path) -> io::Result<()> {
    Err(io::Error::other("links in outputs are not supported on this system"))
}

/// Returns files, links and empty directories below `root`, sorted.
fn everything_below(root: &Path) -> Result<Vec<RelativePath>, StepError> {
    let mut empty = Vec::new();
    let mut found = walk_with_empty(root, &|_, _| false, &mut empty)?;
    found.append(&mut empty);
    found.sort();
    Ok(found)
}

/// Returns the entry at `path`, a result of `staged_outputs`.
pub(crate) fn staged_entry(workspace: &Workspace, path: &Path) -> io::Result<Entry> {
    if fs::symlink_metadata(path)?.is_dir() {
        return Ok(Entry::directory());
    }
    entry_of(path, &workspace.snapshot)
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
                for inner in everything_below(&path)? {
                    let absolute = inner.below(&path);
                    found.insert(output.name.join(&inner), absolute);
                }
            }
            _ => {
                let what = if output.kind == OutputKind::File { "a regular file" } else { "a directory" };
                return Err(StepError::failed(format!("the output `{}` is not {what}", output.destination)));
            }
        }
    }
    Ok(found)
}

/// Moves all declared outputs from `staging` to their destinations. An old output stays until the new one replaces it.
pub(crate) fn place(workspace: &Workspace, spec: &ActionSpec, staging: &Path) -> Result<(), StepError> {
    for output in &spec.outputs {
        let from = output.name.below(staging);
        let to = output.destination.below(&workspace.root);
        let parent = to.parent().expect("below the root");
        // `dist` and `.rondel` hold no sources; but the first output creates `dist` itself.
        let is_apart = ["dist/", ".rondel/"].iter().any(|apart| output.destination.as_str().starts_with(apart));
        if !is_apart || !parent.exists() {
            workspace.note_tree_write();
        }
        fs::create_dir_all(parent).map_err(|source| StepError::unwritable(parent, &source))?;
        check_inside(workspace, parent)?;
        let outcome = match output.kind {
            OutputKind::File => replace_file(&from, &to, staging),
            OutputKind::Directory => replace_directory(&from, &to, staging),
        };
        outcome.map_err(|source| StepError::unwritable(&to, &source))?;
    }
    Ok(())
}

/// A link planted in the way (`dist` -> `/etc`) must not lead outputs out of the workspace.
fn check_inside(workspace: &Workspace, parent: &Path) -> Result<(), StepError> {
    let unreadable = |path: &Path| {
        let path = path.to_owned();
        move |source: io::Error| StepError::unreadable(&path, &source)
    };
    let root = workspace.root.canonicalize().map_err(unreadable(&workspace.root))?;
    let real = parent.canonicalize().map_err(unreadable(parent))?;
    if real.starts_with(&root) {
        return Ok(());
    }
    let message = format!("`{}` leads out of the workspace, to `{}`", parent.display(), real.display());
    Err(StepError::failed(message).hint("remove the symbolic link, or give the target another `out`"))
}

fn replace_file(from: &Path, to: &Path, staging: &Path) -> io::Result<()> {
    if fs::symlink_metadata(to).is_ok_and(|metadata| metadata.is_dir()) {
        move_aside(to, staging)?;
    }
    fs::rename(from, to)
}

fn replace_directory(from: &Path, to: &Path, staging: &Path) -> io::Result<()> {
    match fs::symlink_metadata(to) {
        Err(_) => fs::rename(from, to),
        Ok(_) => {
            if exchange(from, to).is_ok() {
                return Ok(());
            }
            // Without an atomic exchange, the place is empty for a moment. If the second rename fails, the old output
            // is put back.
            let aside = move_aside(to, staging)?;
            fs::rename(from, to).inspect_err(|_| drop(fs::rename(&aside, to)))
        }
    }
}

fn move_aside(path: &Path, staging: &Path) -> io::Result<PathBuf> {
    let aside = staging.join(".rondel-former");
    remove_tree(&aside);
    fs::rename(path, &aside)?;
    Ok(aside)
}

/// Swaps two paths in one system call, where the system has one.
fn exchange(one: &Path, other: &Path) -> io::Result<()> {
    #[cfg(any(target_os = "linux", target_os = "macos"))]
    {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        Ok(renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE)?)
    }
    #[cfg(not(any(target_os = "linux", target_os = "macos")))]
    {
        let _ = (one, other);
        Err(io::Error::from(io::ErrorKind::Unsupported))
    }
}
