//! Which of the changes that were told are news: contents decide, and what Rondel or its steps write themselves is none for ever.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use rondel_cas::{Digest, read_at_most};
use rondel_watch::Changes;

/// Largest file whose contents are compared, in bytes. A larger one counts as changed.
const SIZE_MAX: u64 = 8 * 1024 * 1024;
/// How often in a row a file may change while a build runs, and cause the next, before it is left out.
const OWN_WRITES_MAX: u32 = 3;

/// What is known of files that have changed before.
#[derive(Default)]
pub(crate) struct News {
    /// Places that are never news.
    own: Vec<PathBuf>,
    known: BTreeMap<PathBuf, Option<Digest>>,
    /// How often in a row each file changed while a build ran.
    in_builds: BTreeMap<PathBuf, u32>,
    left_out: BTreeSet<PathBuf>,
}

/// When changes were told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// While nothing was built.
    Between,
    /// While a build ran, which may have made them itself.
    InBuild,
}

impl News {
    /// Takes the places that are never news: Rondel's own state and outputs.
    pub fn set_own(&mut self, own: Vec<PathBuf>) {
        self.own = own;
    }

    /// Returns the files that are news, and calls `warn` with each that is left out from now on. `None` if everything may be.
    pub fn of(&mut self, changes: &Changes, told: Told, warn: &dyn Fn(&Path)) -> Option<BTreeSet<PathBuf>> {
        if changes.is_everything() {
            self.known.clear();
            return None;
        }
        let mut news = BTreeSet::new();
        for path in changes.paths() {
            let is_own = self.own.iter().any(|own| path.starts_with(own)) || self.left_out.contains(path);
            if !is_own && self.is_new(path) && self.counts(path, told, warn) {
                news.insert(path.clone());
            }
        }
        if told == Told::Between {
            self.in_builds.clear();
        }
        Some(news)
    }

    fn is_new(&mut self, path: &Path) -> bool {
        let now = std::fs::symlink_metadata(path).ok().map(|metadata| {
            if metadata.is_file() {
                read_at_most(path, SIZE_MAX).ok().map(|bytes| looks(&metadata, &bytes))
            } else {
                None
            }
        });
        match now {
            // A file: its contents and its permissions.
            Some(Some(digest)) => self.known.insert(path.to_owned(), Some(digest)) != Some(Some(digest)),
            // A directory, or what can't be read.
            Some(None) => true,
            None => self.known.insert(path.to_owned(), None) != Some(None),
        }
    }

    /// Returns false for a file that each build writes anew.
    fn counts(&mut self, path: &Path, told: Told, warn: &dyn Fn(&Path)) -> bool {
        if told == Told::Between {
            return true;
        }
        let count = self.in_builds.entry(path.to_owned()).or_default();
        *count += 1;
        if *count > OWN_WRITES_MAX {
            self.left_out.insert(path.to_owned());
            warn(path);
            return false;
        }
        true
    }
}

#[cfg(unix)]
fn looks(metadata: &std::fs::Metadata, bytes: &[u8]) -> Digest {
    let mode = std::os::unix::fs::PermissionsExt::mode(&metadata.permissions());
    Digest::of(&[&mode.to_le_bytes(), bytes].concat())
}

#[cfg(not(unix))]
fn looks(_metadata: &std::fs::Metadata, bytes: &[u8]) -> Digest {
    Digest::of(bytes)
}
