//! The working tree of one run: copies of the inputs under their own names, and nothing else. A command that makes
//! outputs runs there, so that it finds what is declared and can read all that it makes. It does not know the command.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rondel_cas::{Entry, copy_file_with_time};
use rondel_engine::{ActionSpec, Input, StepContext};

/// One file or link to be put into the tree.
struct Item<'a> {
    from: PathBuf,
    place: PathBuf,
    /// The text of a link.
    link: Option<&'a str>,
}

/// Fills the new directory `tree` with the inputs of a step and those results of upstream steps that lie below `root`.
pub(crate) fn fill(tree: &Path, root: &Path, spec: &ActionSpec, context: &StepContext<'_>) -> io::Result<()> {
    fs::create_dir_all(tree)?;
    let inputs: Vec<Input> = spec.inputs.iter().filter(|input| !input.is_behind_link()).collect();
    let mut entries: BTreeMap<PathBuf, (&Path, &Entry)> = BTreeMap::new();
    for artefact in context.upstream.iter().flat_map(|upstream| &upstream.artefacts) {
        if let Ok(below) = artefact.path.strip_prefix(root) {
            entries.insert(tree.join(below), (&artefact.path, &artefact.entry));
        }
    }
    // A result of an upstream step can be an input too; both are the same.
    entries.extend(inputs.iter().map(|input| (input.path.below(tree), (input.absolute.as_path(), &input.entry))));
    let (mut items, mut directories) = (Vec::with_capacity(entries.len()), BTreeSet::new());
    for (place, (from, entry)) in entries {
        let link = match entry {
            Entry::Directory { .. } => {
                directories.insert(place);
                continue;
            }
            Entry::File { .. } => None,
            Entry::Symlink { target } => Some(target.as_str()),
        };
        directories.extend(place.parent().map(Path::to_owned));
        items.push(Item { from: from.to_owned(), place, link });
    }
    directories.iter().try_for_each(fs::create_dir_all)?;
    items.iter().try_for_each(Item::put)?;
    // A link that leads to another input stays a link; any other is what it leads to.
    for item in items.iter().filter(|item| item.link.is_some()) {
        let is_inside = item.place.canonicalize().is_ok_and(|target| target.starts_with(tree));
        if !is_inside && item.from.is_file() {
            fs::remove_file(&item.place)?;
            copy_file_with_time(&item.from, &item.place)?;
        }
    }
    Ok(())
}

impl Item<'_> {
    /// A file keeps its permissions and its time: some tools compare times.
    fn put(&self) -> io::Result<()> {
        match self.link {
            Some(target) => link(Path::new(target), &self.place),
            None => copy_file_with_time(&self.from, &self.place),
        }
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
