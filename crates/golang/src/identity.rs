//! The identity of a toolchain: the digest of the directory tree of `bin/`, `pkg/tool/` and `src/`.
//!
//! Modes are left out, since the two forms in which Go is distributed carry them differently.

use std::fs::{self, Metadata};
use std::io;
use std::path::Path;

use rondel_cas::{Digest, Entry, RelativePath, Tree};

/// Returns true if the file at `path` (relative to GOROOT) is part of the identity.
pub(crate) fn counts(path: &str) -> bool {
    ["bin/", "pkg/tool/", "src/"].iter().any(|prefix| path.starts_with(prefix))
}

/// Adds one file to the tree of the identity.
pub(crate) fn insert(tree: &mut Tree, path: &str, digest: Digest) {
    if counts(path)
        && let Ok(path) = RelativePath::new(path)
    {
        tree.insert(path, Entry::file(digest, false));
    }
}

/// Returns the identity of the toolchain unpacked at `root`.
pub(crate) fn identity_of_directory(
    root: &Path,
    digest: &dyn Fn(&Path, &Metadata) -> io::Result<Digest>,
) -> io::Result<Digest> {
    let mut tree = Tree::new();
    for top in ["bin", "pkg/tool", "src"] {
        add_directory(&mut tree, root, top, digest)?;
    }
    tree.root_digest().map_err(io::Error::other)
}

fn add_directory(
    tree: &mut Tree,
    root: &Path,
    directory: &str,
    digest: &dyn Fn(&Path, &Metadata) -> io::Result<Digest>,
) -> io::Result<()> {
    for entry in fs::read_dir(root.join(directory))? {
        let entry = entry?;
        let name = entry.file_name();
        let path =
            format!("{directory}/{}", name.to_str().ok_or_else(|| io::Error::other("a name that is not UTF-8"))?);
        let metadata = entry.metadata()?;
        if metadata.is_dir() {
            add_directory(tree, root, &path, digest)?;
        } else if metadata.is_file() {
            insert(tree, &path, digest(&entry.path(), &metadata)?);
        }
    }
    Ok(())
}
