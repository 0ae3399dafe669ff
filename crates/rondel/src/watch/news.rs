//! Which of the changes that were told are news: contents decide, and what Rondel or its steps write themselves is none for ever.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use rondel_cas::{Digest, read_at_most};
use rondel_watch::Changes;

/// Largest file whose contents are compared, in bytes. A larger one counts as changed.
const SIZE_MAX: u64 = 8 * 1024 * 1024;
/// How often in a row a file may change while a build runs, and cause the next, before it is left out.
const OWN_WRITES_MAX: u32 = 3;
/// How often in a row a file that looks as before may cause the next build, since this one may have read something else of it.
const SAME_MAX: u32 = 1;

/// What is known of files that have changed before.
#[derive(Default)]
pub(crate) struct News {
    /// Places that are never news.
    own: Vec<PathBuf>,
    known: BTreeMap<PathBuf, Option<Digest>>,
    /// How often in a row each file changed while a build ran.
    in_builds: BTreeMap<PathBuf, InBuilds>,
    left_out: BTreeSet<PathBuf>,
}

/// How often in a row a file was written while a build ran.
#[derive(Clone, Copy, Default)]
struct InBuilds {
    changed: u32,
    same: u32,
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
            if is_own {
                continue;
            }
            let is_new = self.is_new(path);
            if self.counts(path, is_new, told, warn) {
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

    /// Returns false for a file that looks as before, and for one that each build writes anew.
    fn counts(&mut self, path: &Path, is_new: bool, told: Told, warn: &dyn Fn(&Path)) -> bool {
        if told == Told::Between {
            return is_new;
        }
        let count = self.in_builds.entry(path.to_owned()).or_default();
        if !is_new {
            count.same += 1;
            return count.same <= SAME_MAX;
        }
        count.changed += 1;
        if count.changed > OWN_WRITES_MAX {
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rondel_watch::Watcher;

    use super::*;

    /// A build may have read what a file held for a moment: that it looks as before is then no reason to do nothing.
    #[test]
    fn what_was_otherwise_for_a_moment_while_a_build_ran() {
        let root = std::env::temp_dir().join(format!("rondel-news-{}", std::process::id()));
        std::fs::create_dir_all(&root).unwrap();
        let (file, mut watcher, mut news) = (root.join("file"), Watcher::new(), News::default());
        watcher.watch(&BTreeSet::from([root.clone()]));
        let mut told = |told: Told, texts: &[&str]| {
            texts.iter().for_each(|text| std::fs::write(&file, text).unwrap());
            let changes = watcher.wait(Duration::from_secs(5));
            news.of(&changes, told, &|_| panic!("it is not left out")).unwrap().len()
        };
        assert_eq!(told(Told::Between, &["a"]), 1);
        assert_eq!(told(Told::Between, &["b", "a"]), 0);
        assert_eq!(told(Told::InBuild, &["b", "a"]), 1);
        // The look after that found nothing: whoever writes the same each time does not build for ever.
        assert_eq!(told(Told::InBuild, &["a"]), 0);
        assert_eq!(told(Told::Between, &["c"]), 1);
        assert_eq!(told(Told::InBuild, &["c"]), 1);
        std::fs::remove_dir_all(root).unwrap();
    }
}
