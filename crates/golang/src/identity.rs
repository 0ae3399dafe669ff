//! The identity of a toolchain: the digest of the directory tree of the whole SDK.
//!
//! The compiler and the linker read more than programs and sources: `go.env`, `pkg/include`, `lib/time`, `VERSION`. So
//! everything counts, but for directories that only one of the two forms of distribution has. No tool reads those. Modes
//! are left out, since the two forms carry them differently.

use std::fs::{self, Metadata};
use std::io;
use std::path::Path;

use rondel_cas::{Digest, Entry, RelativePath, SMALL_MAX, Tree, read_text_at_most, write_atomically};
use rondel_tree::{BEHIND_LINK, GlobSet, StatSnapshot};

/// Directories that the module zip of a toolchain lacks (cmd/distpack), and the history of a Go built from sources.
const NOT_OF_THE_SDK: &[&str] = &["api", "doc", "misc", "test", ".git"];

/// Depth at which links among directories must be a loop.
const DEPTH_MAX: usize = 40;

/// Sees one file: its path relative to GOROOT, its place, and what it looks like.
type Visit<'a> = dyn FnMut(&str, &Path, &Metadata) -> io::Result<()> + 'a;

/// Returns true if the file at `path` (relative to GOROOT) is part of the identity.
fn counts(path: &str) -> bool {
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
    each_file(root, &mut |path, place, metadata| {
        insert(&mut tree, path, digest(place, metadata)?);
        Ok(())
    })?;
    tree.root_digest().map_err(io::Error::other)
}

/// Returns the identity of a toolchain with these files, each with its digest.
pub fn identity_of_files<'a>(files: impl Iterator<Item = (&'a RelativePath, Digest)>) -> io::Result<Digest> {
    let mut tree = Tree::new();
    files.for_each(|(path, digest)| insert(&mut tree, path.as_str(), digest));
    tree.root_digest().map_err(io::Error::other)
}

/// Calls `visit` with each file that counts: its path, its place, and what it looks like. Links are followed.
pub(crate) fn each_file(root: &Path, visit: &mut Visit<'_>) -> io::Result<()> {
    visit_directory(root, "", 0, visit)
}

/// Returns the identity of the installed toolchain at `root`. What its files look like is compared on all cores; the
/// digest of a tree that was seen before is in `memory`, by that of the listing. A new one is added if it `is_kept`.
pub(crate) fn identity_of_installed(
    root: &Path,
    snapshot: &StatSnapshot,
    memory: &Path,
    is_kept: bool,
) -> io::Result<Digest> {
    let by_hand = || identity_of_directory(root, &|path, metadata| snapshot.digest(path, metadata));
    let excluded = NOT_OF_THE_SDK.iter().filter_map(|name| RelativePath::new(name).ok()).collect();
    let Ok(listing) = snapshot.list(root, &GlobSet::new(["**"], excluded)) else { return by_hand() };
    // A listing does not follow links to directories.
    let Some(listed) = listing.root_digest().filter(|_| listing.links_to_directories().next().is_none()) else {
        return by_hand();
    };
    let file = memory.join(listed.hex());
    if let Some(known) = read_text_at_most(&file, SMALL_MAX).ok().and_then(|text| text.trim_end().parse().ok()) {
        return Ok(known);
    }
    let mut tree = Tree::new();
    listing.each(&mut |path, _, entry| {
        if let Entry::File { digest, .. } = entry {
            insert(&mut tree, path.as_str().strip_suffix(BEHIND_LINK).unwrap_or(path.as_str()), digest);
        }
    });
    let identity = tree.root_digest().map_err(io::Error::other)?;
    if is_kept {
        // Without it the next run takes longer.
        let _ = write_atomically(memory, &file, identity.to_string().as_bytes());
    }
    Ok(identity)
}

fn visit_directory(root: &Path, directory: &str, depth: usize, visit: &mut Visit<'_>) -> io::Result<()> {
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
            visit_directory(root, &path, depth + 1, visit)?;
        } else if metadata.is_file() {
            visit(&path, &entry.path(), &metadata)?;
        }
    }
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// Both ways give the same identity; an edit and a link to a directory are seen.
    #[test]
    fn what_is_remembered_is_what_is_there() {
        let base = std::env::temp_dir().join(format!("rondel-identity-{}", std::process::id()));
        let (root, memory) = (base.join("sdk"), base.join("memory"));
        for path in ["bin/go", "src/runtime/a.go", "test/left_out.go", "lib/zone", "go.env"] {
            fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
            fs::write(root.join(path), path).unwrap();
        }
        symlink("zone", root.join("lib/link")).unwrap();
        let identity = || {
            let snapshot = StatSnapshot::open(&base.join("snapshot"));
            let found = identity_of_installed(&root, &snapshot, &memory, true).unwrap();
            assert_eq!(found, identity_of_directory(&root, &|path, metadata| snapshot.digest(path, metadata)).unwrap());
            found
        };
        let first = identity();
        assert_eq!(first, identity());
        fs::write(root.join("test/left_out.go"), "other").unwrap();
        assert_eq!(first, identity());
        assert_eq!(fs::read_dir(&memory).unwrap().count(), 1);
        fs::write(root.join("lib/zone"), "other").unwrap();
        let edited = identity();
        assert_ne!(first, edited);
        symlink("runtime", root.join("src/more")).unwrap();
        assert_ne!(edited, identity());
        let _ = fs::remove_dir_all(base);
    }
}
