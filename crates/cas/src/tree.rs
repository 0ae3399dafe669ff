//! `Tree`: files by path, and the digest of the `Directory` that they make.

use std::collections::BTreeMap;

use crate::messages::{self, Node};
use crate::{Digest, RelativePath};

/// What stands at a path.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Entry {
    /// A regular file: contents and the executable bit, nothing else.
    File {
        /// Digest of the contents.
        digest: Digest,
        /// Is the owner's executable bit set?
        executable: bool,
    },
    /// A symbolic link and the text it holds.
    Symlink {
        /// Where it points, verbatim.
        target: String,
    },
}

impl Entry {
    /// Its node in a `Directory` message, under `name`.
    pub fn node<'a>(&'a self, name: &'a str) -> Node<'a> {
        match self {
            Entry::File { digest, executable } => Node::File { name, digest: *digest, executable: *executable },
            Entry::Symlink { target } => Node::Symlink { name, target },
        }
    }
}

/// Two entries of a tree cannot stand together.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is both a file and a directory")]
pub struct TreeError(pub RelativePath);

/// Files by path, sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    entries: BTreeMap<RelativePath, Entry>,
}

impl Tree {
    /// A tree without files.
    pub fn new() -> Tree {
        Tree::default()
    }

    /// Puts `entry` at `path`, in place of what was there.
    pub fn insert(&mut self, path: RelativePath, entry: Entry) {
        self.entries.insert(path, entry);
    }

    /// The entries, sorted by path.
    pub fn entries(&self) -> impl Iterator<Item = (&RelativePath, &Entry)> {
        self.entries.iter()
    }

    /// What stands at `path`.
    pub fn get(&self, path: &RelativePath) -> Option<&Entry> {
        self.entries.get(path)
    }

    /// How many files and links there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Is there none?
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Digest of the root's canonical `Directory` message, which holds those of its subdirectories.
    pub fn root_digest(&self) -> Result<Digest, TreeError> {
        let entries: Vec<(&str, &Entry)> = self.entries.iter().map(|(path, entry)| (path.as_str(), entry)).collect();
        directory_digest(&entries, 0)
    }
}

/// The digest of the directory that holds `entries`, whose paths share their first `depth` bytes.
fn directory_digest(entries: &[(&str, &Entry)], depth: usize) -> Result<Digest, TreeError> {
    // Sorting whole paths is not sorting names (`a-b` < `a/x`, though `a` < `a-b`), so subdirectories are
    // gathered by name first and the nodes sorted after.
    let mut files: BTreeMap<&str, &Entry> = BTreeMap::new();
    let mut directories: BTreeMap<&str, Vec<(&str, &Entry)>> = BTreeMap::new();
    for (path, entry) in entries {
        match path[depth..].split_once('/') {
            None => {
                files.insert(&path[depth..], entry);
            }
            Some((name, _)) => directories.entry(name).or_default().push((path, entry)),
        }
    }
    let mut nodes = Vec::with_capacity(files.len() + directories.len());
    for (name, entry) in &files {
        nodes.push(entry.node(name));
    }
    for (name, children) in &directories {
        if files.contains_key(name) {
            let path = RelativePath::new(&children[0].0[..depth + name.len()]);
            return Err(TreeError(path.expect("a prefix of a relative path is one")));
        }
        let digest = directory_digest(children, depth + name.len() + 1)?;
        nodes.push(Node::Directory { name, digest });
    }
    Ok(Digest::of(&messages::directory(&nodes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(paths: &[&str]) -> Tree {
        let mut tree = Tree::new();
        for path in paths {
            let entry = Entry::File { digest: Digest::of(path.as_bytes()), executable: false };
            tree.insert(RelativePath::new(path).unwrap(), entry);
        }
        tree
    }

    #[test]
    fn empty_tree_has_the_digest_of_nothing() {
        assert_eq!(Tree::new().root_digest().unwrap(), Digest::of(b""));
    }

    #[test]
    fn names_that_sort_around_a_slash() {
        let one = tree(&["a/x", "a-b", "a/y", "a.c"]).root_digest().unwrap();
        let two = tree(&["a.c", "a/y", "a-b", "a/x"]).root_digest().unwrap();
        assert_eq!(one, two);
        assert_ne!(one, tree(&["a/x", "a-b", "a/y"]).root_digest().unwrap());
    }

    #[test]
    fn executable_bit_link_target_and_name_count() {
        let base = tree(&["a"]).root_digest().unwrap();
        let mut executable = tree(&[]);
        executable.insert(RelativePath::new("a").unwrap(), Entry::File { digest: Digest::of(b"a"), executable: true });
        assert_ne!(base, executable.root_digest().unwrap());
        assert_ne!(base, tree(&["b"]).root_digest().unwrap());
        let link = |target: &str| {
            let mut tree = Tree::new();
            tree.insert(RelativePath::new("l").unwrap(), Entry::Symlink { target: target.into() });
            tree.root_digest().unwrap()
        };
        assert_ne!(link("a"), link("b"));
    }

    #[test]
    fn file_and_directory_of_one_name() {
        assert!(tree(&["a", "a/b"]).root_digest().is_err());
    }
}
