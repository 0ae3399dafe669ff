//! The identity of a toolchain: the digest of the directory tree of the whole SDK.
//!
//! The compiler and the linker read more than programs and sources: `go.env`, `pkg/include`, `lib/time`, `VERSION`. So
//! everything counts, but for directories that only one of the two forms of distribution has. No tool reads those. Modes
//! are left out, since the two forms carry them differently.

use std::fs::{self, Metadata};
use std::io;
use std::path::Path;

use rondel_cas::{Digest, Entry, RelativePath, Tree};

/// Directories that the module zip of a toolchain lacks (cmd/distpack), and the history of a Go built from sources.
const NOT_OF_THE_SDK: &[&str] = &["api", "doc", "misc", "test", ".git"];

/// Depth at which links among directories must be a loop.
const DEPTH_MAX: usize = 40;

/// Returns true if the file at `path` (relative to GOROOT) is part of the identity.
pub(crate) fn counts(path: &str) -> bool {
    !NOT_OF_THE_SDK.contains(&path.split('/').next().unwrap_or(path))
}

/// Adds one file to the tree of the identity.
pub(crate) fn insert(tree: &mut Tree, path: &str, digest: Digest) {
    if counts(path)
        && let Ok(path) = RelativePath::new(path)
    {
        tree.insert(path, Entry::file(digest, false));
    }
}

/// Returns the identity of the toolchain unpacked at `root`. Links are followed: distributions make some directories of
/// an installed Go links.
pub(crate) fn identity_of_directory(
    root: &Path,
    digest: &dyn Fn(&Path, &Metadata) -> io::Result<Digest>,
) -> io::Result<Digest> {
    let mut tree = Tree::new();
    add_directory(&mut tree, root, "", 0, digest)?;
    tree.root_digest().map_err(io::Error::other)
}

fn add_directory(
    tree: &mut Tree,
    root: &Path,
    directory: &str,
    depth: usize,
    digest: &dyn Fn(&Path, &Metadata) -> io::Result<Digest>,
) -> io::Result<()> {
    if depth > DEPTH_MAX {
        return Err(io::Error::other(format!("links in `{directory}` make a loop")));
    }
    for entry in fs::read_dir(root.join(directory))? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_str().ok_or_else(|| io::Error::other("a name that is not UTF-8"))?;
        let path = if directory.is_empty() { name.to_owned() } else { format!("{directory}/{name}") };
        if !counts(&path) {
            continue;
        }
        let metadata = match entry.file_type()?.is_symlink() {
            true => fs::metadata(entry.path())?,
            false => entry.metadata()?,
        };
        if metadata.is_dir() {
            add_directory(tree, root, &path, depth + 1, digest)?;
        } else if metadata.is_file() {
            insert(tree, &path, digest(&entry.path(), &metadata)?);
        }
    }
    Ok(())
}
