//! The working tree of one run: copies of the inputs under their own names, and nothing else. A command that makes
//! outputs runs there, so that it finds what is declared and can read all that it makes. It does not know the command.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rondel_cas::{Entry, copy_file};
use rondel_engine::{ActionSpec, StepContext};

/// Fills the new directory `tree` with the inputs of a step and those results of upstream steps that lie below `root`.
pub(crate) fn fill(tree: &Path, root: &Path, spec: &ActionSpec, context: &StepContext<'_>) -> io::Result<()> {
    fs::create_dir_all(tree)?;
    let mut links = BTreeMap::new();
    for input in spec.inputs.iter().filter(|input| !input.is_behind_link()) {
        let place = input.path.below(tree);
        put(&input.absolute, &place, &input.entry, &mut links)?;
    }
    for artefact in context.upstream.iter().flat_map(|upstream| &upstream.artefacts) {
        if let Ok(below) = artefact.path.strip_prefix(root) {
            put(&artefact.path, &tree.join(below), &artefact.entry, &mut links)?;
        }
    }
    // A link that leads to another input stays a link; any other is what it leads to.
    for (place, from) in links {
        let is_inside = place.canonicalize().is_ok_and(|target| target.starts_with(tree));
        if !is_inside && from.is_file() {
            fs::remove_file(&place)?;
            copy(&from, &place)?;
        }
    }
    Ok(())
}

fn put(from: &Path, place: &Path, entry: &Entry, links: &mut BTreeMap<PathBuf, PathBuf>) -> io::Result<()> {
    let parent = place.parent().expect("below the tree");
    // Most inputs have neighbours: the parent is there.
    let outcome = put_in(from, place, entry, links);
    match outcome {
        Err(error) if error.kind() == io::ErrorKind::NotFound && !parent.exists() => {
            fs::create_dir_all(parent)?;
            put_in(from, place, entry, links)
        }
        outcome => outcome,
    }
}

fn put_in(from: &Path, place: &Path, entry: &Entry, links: &mut BTreeMap<PathBuf, PathBuf>) -> io::Result<()> {
    match entry {
        Entry::Directory { .. } => fs::create_dir_all(place),
        Entry::File { .. } => copy(from, place),
        Entry::Symlink { target } => {
            link(Path::new(target), place)?;
            links.insert(place.to_owned(), from.to_owned());
            Ok(())
        }
    }
}

/// Copies a file with its permissions and its time: some tools compare times.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    copy_file(from, to)?;
    let modified = fs::metadata(from)?.modified()?;
    match fs::File::options().append(true).open(to) {
        Ok(file) => file.set_modified(modified),
        // A file that nobody may write has the time of its copying.
        Err(_) => Ok(()),
    }
}

#[cfg(unix)]
fn link(target: &Path, place: &Path) -> io::Result<()> {
    match std::os::unix::fs::symlink(target, place) {
        // A result of an upstream step that is an input too.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        outcome => outcome,
    }
}

#[cfg(not(unix))]
fn link(target: &Path, place: &Path) -> io::Result<()> {
    let base = place.parent().unwrap_or(Path::new(""));
    fs::copy(base.join(target), place).map(drop)
}
