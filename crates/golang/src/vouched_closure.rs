//! A stored closure that is not compared with the tree, since somebody vouches that it still holds. It does not know what
//! is in a closure.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use rondel_cas::Digest;
use rondel_closure::ClosureFile;
use rondel_engine::finding_key;
use rondel_tree::StatSnapshot;

use crate::closure_query::ClosureQuery;

/// The finding that a stored closure holds.
pub(crate) struct ClosureFinding<'a> {
    key: Digest,
    snapshot: &'a StatSnapshot,
}

impl ClosureFinding<'_> {
    /// Returns that of the closure in `stored`, which answers `query`; `None` if nobody vouches for anything.
    pub(crate) fn of<'a>(
        stored: &[u8],
        query: &ClosureQuery,
        snapshot: &'a StatSnapshot,
    ) -> Option<ClosureFinding<'a>> {
        snapshot.vouch()?;
        let words = serde_json::json!(["closure 1", Digest::of(stored).hex(), query.digest().hex()]);
        Some(ClosureFinding { key: finding_key(&words)?, snapshot })
    }

    /// Returns true if a look would find that it still holds.
    pub(crate) fn holds(&self) -> bool {
        self.snapshot.vouch().is_some_and(|vouch| vouch.find(&self.key).is_some())
    }

    /// Tells that a look has found nothing changed. It began after `holds`, and left the stored closure as it is. With links
    /// among the files it depends on more than directories, and nothing is told.
    pub(crate) fn tell(&self, closure: &ClosureFile) {
        let has_links = closure.files.iter().filter_map(|file| file.state.as_ref()).any(|state| state.link.is_some());
        if let Some(vouch) = self.snapshot.vouch().filter(|_| !has_links) {
            vouch.keep(&self.key, Vec::new(), places_of(closure));
        }
    }
}

/// Returns the directories that decide what a look finds: of each file, of each watched directory, and of what is
/// missing the nearest that is there.
fn places_of(closure: &ClosureFile) -> BTreeSet<PathBuf> {
    let mut named: BTreeSet<&Path> = closure.directories.iter().map(|watched| watched.path.as_path()).collect();
    // Files are sorted, so those of a directory come together.
    let groups = closure.files.chunk_by(|one, other| one.path.parent() == other.path.parent());
    named.extend(groups.filter_map(|group| group[0].path.parent()));
    let is_there = |place: &&Path| std::fs::symlink_metadata(place).is_ok_and(|found| found.is_dir());
    named.into_iter().filter_map(|place| place.ancestors().find(is_there)).map(Path::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::Arc;

    use rondel_closure::{FileRole, Names, SourceFile, WatchedDirectory};

    use super::*;

    #[test]
    fn what_is_missing_is_watched_for_where_it_would_appear() {
        let root = std::env::temp_dir().join(format!("rondel-places-{}", std::process::id()));
        fs::create_dir_all(root.join("cmd/assets")).unwrap();
        fs::write(root.join("cmd/main.go"), "package main\n").unwrap();
        let snapshot = StatSnapshot::open(&root.join("snapshot"));
        snapshot.ask_clock_in(&root.join("tmp"));
        let boundary = snapshot.mtime_boundary();
        let file = |name: &str, role| SourceFile::read(root.join(name), role, &boundary).unwrap();
        let watched = |name: &str| WatchedDirectory::read(root.join(name), Names::Existence, &boundary);
        let files = vec![
            file("cmd/main.go", FileRole::Source),
            file("cmd/sub/go.mod", FileRole::Decider),
            file("other/deep/go.mod", FileRole::Module),
        ];
        let directories = ["cmd/assets", "cmd/main.go/none", "vendor/a"].map(watched);
        let closure =
            ClosureFile { files: Arc::new(files), directories: Arc::new(directories.into()), ..Default::default() };
        assert_eq!(places_of(&closure), BTreeSet::from([root.clone(), root.join("cmd"), root.join("cmd/assets")]));
        fs::remove_dir_all(&root).unwrap();
    }
}
