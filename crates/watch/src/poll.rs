//! Looking, where nothing notifies: names, sizes, times and numbers of everything in the directories, every half second.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Metadata};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::changes::Changes;

/// Time between two looks.
const INTERVAL: Duration = Duration::from_millis(500);

#[derive(Default)]
pub(crate) struct Poll {
    known: BTreeMap<PathBuf, Look>,
    last: Option<Instant>,
}

/// What one directory looks like: each name in it, with what its file looks like from outside.
type Look = BTreeMap<PathBuf, [i128; 5]>;

impl Poll {
    /// Looks at exactly these directories from now on. What they look like now is no change.
    pub fn set(&mut self, directories: &BTreeSet<PathBuf>) {
        self.known.retain(|path, _| directories.contains(path));
        for directory in directories {
            self.known.entry(directory.clone()).or_insert_with(|| look_at(directory));
        }
    }

    /// Returns what looks otherwise than before, and waits at most `patience` for it.
    pub fn next(&mut self, patience: Duration) -> Changes {
        let begun = Instant::now();
        loop {
            let wait = self.last.map_or(Duration::ZERO, |last| INTERVAL.saturating_sub(last.elapsed()));
            let left = patience.saturating_sub(begun.elapsed());
            std::thread::sleep(wait.min(left));
            if wait > left {
                return Changes::default();
            }
            let changes = self.look();
            self.last = Some(Instant::now());
            if !changes.is_empty() || begun.elapsed() >= patience {
                return changes;
            }
        }
    }

    fn look(&mut self) -> Changes {
        let mut changes = Changes::default();
        for (directory, former) in &mut self.known {
            let now = look_at(directory);
            for (path, look) in &now {
                if former.get(path) != Some(look) {
                    changes.insert(path.clone());
                }
            }
            former.keys().filter(|path| !now.contains_key(*path)).for_each(|path| changes.insert(path.clone()));
            *former = now;
        }
        changes
    }
}

fn look_at(directory: &Path) -> Look {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.filter_map(|entry| Some((entry.path(), numbers(&fs::symlink_metadata(entry.path()).ok()?)))).collect()
}

#[cfg(unix)]
fn numbers(metadata: &Metadata) -> [i128; 5] {
    use std::os::unix::fs::MetadataExt;
    let time = |seconds: i64, nanoseconds: i64| i128::from(seconds) * 1_000_000_000 + i128::from(nanoseconds);
    // A directory changes with what is in it, which is looked at by itself if it counts.
    let times = if metadata.is_dir() {
        (0, 0)
    } else {
        (time(metadata.mtime(), metadata.mtime_nsec()), time(metadata.ctime(), metadata.ctime_nsec()))
    };
    let size = if metadata.is_dir() { 0 } else { i128::from(metadata.len()) };
    [times.0, times.1, size, i128::from(metadata.mode()), i128::from(metadata.ino())]
}

#[cfg(not(unix))]
fn numbers(metadata: &Metadata) -> [i128; 5] {
    let since = metadata.modified().ok().and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
    let time = since.map_or(0, |since| i128::try_from(since.as_nanos()).unwrap_or(0));
    [if metadata.is_dir() { 0 } else { time }, 0, i128::from(metadata.len()), i128::from(metadata.is_dir()), 0]
}
