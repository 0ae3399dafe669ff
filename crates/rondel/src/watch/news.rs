//! Which of the reported changes are news: contents decide. What Rondel writes itself is never news. A file that changes during each build may be
//! written by a step, so the next build begins later each time. No edit is lost.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rondel_cas::{Digest, read_at_most};
use rondel_watch::Changes;

/// Largest file whose contents are compared, in bytes. A larger one counts as changed.
const SIZE_MAX: u64 = 8 * 1024 * 1024;
/// How often in a row a file may change while a build runs, and begin the next one at once.
const AT_ONCE_MAX: u32 = 3;
/// How long the next build waits after that. It doubles each time.
const FIRST_DELAY: Duration = Duration::from_secs(1);
/// The longest time that it waits.
const LONGEST_DELAY: Duration = Duration::from_secs(30);
/// How often in a row a file that looks as before may begin the next build, since this one may have read something else of it.
const SAME_MAX: u32 = 1;

/// What is known of files that have changed before.
#[derive(Default)]
pub(crate) struct News {
    /// Places that are never news.
    own: Vec<PathBuf>,
    known: BTreeMap<PathBuf, Option<Digest>>,
    /// How often in a row each file was written while a build ran.
    in_builds: BTreeMap<PathBuf, InBuilds>,
    warned: BTreeSet<PathBuf>,
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
    /// While a build ran, whose steps may have made them. They had ended at this time.
    InBuild(SystemTime),
}

impl News {
    /// Takes the places that are never news: Rondel's own state and outputs.
    pub fn set_own(&mut self, own: Vec<PathBuf>) {
        self.own = own;
    }

    /// Returns how long the next build waits: not at all for most, some time if only files have changed that each build changes.
    /// `None` if nothing is news. Calls `warn` once with each such file.
    pub fn of(&mut self, changes: &Changes, told: Told, warn: &dyn Fn(&Path)) -> Option<Duration> {
        if changes.is_everything() {
            self.known.clear();
            return Some(Duration::ZERO);
        }
        let mut shortest: Option<Duration> = None;
        for path in changes.paths() {
            if self.own.iter().any(|own| path.starts_with(own)) || is_for_git_alone(path) {
                continue;
            }
            let metadata = std::fs::symlink_metadata(path).ok();
            let is_new = self.is_new(path, metadata.as_ref());
            let delay = if told.may_be_of_a_step(metadata.as_ref()) {
                self.delay(path, is_new, warn)
            } else {
                is_new.then_some(Duration::ZERO)
            };
            shortest = shortest.into_iter().chain(delay).min();
        }
        if told == Told::Between && shortest.is_some() {
            self.in_builds.clear();
        }
        shortest
    }

    fn is_new(&mut self, path: &Path, metadata: Option<&std::fs::Metadata>) -> bool {
        let now = metadata.map(|metadata| {
            if metadata.is_file() {
                read_at_most(path, SIZE_MAX).ok().map(|bytes| looks(metadata, &bytes))
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

    /// Returns how long the next build waits for a file that was written while one ran. `None` if it need not be.
    fn delay(&mut self, path: &Path, is_new: bool, warn: &dyn Fn(&Path)) -> Option<Duration> {
        let count = self.in_builds.entry(path.to_owned()).or_default();
        if !is_new {
            count.same += 1;
            return (count.same <= SAME_MAX).then_some(Duration::ZERO);
        }
        count.changed += 1;
        if count.changed <= AT_ONCE_MAX {
            return Some(Duration::ZERO);
        }
        if self.warned.insert(path.to_owned()) {
            warn(path);
        }
        let doubled = 2_u32.saturating_pow(count.changed - AT_ONCE_MAX - 1);
        Some(FIRST_DELAY.saturating_mul(doubled).min(LONGEST_DELAY))
    }
}

impl Told {
    /// Returns true if a step of the build may have written the file.
    fn may_be_of_a_step(self, metadata: Option<&std::fs::Metadata>) -> bool {
        let Told::InBuild(ended) = self else { return false };
        // Nothing tells when a file was removed.
        metadata.and_then(|metadata| metadata.modified().ok()).is_none_or(|written| written <= ended)
    }
}

/// Returns true for a file of a repository that no value depends on: all but HEAD, branches and tags. Editors ask git all the time, and git writes its index
/// then.
fn is_for_git_alone(path: &Path) -> bool {
    let mut parts =
        path.components().skip_while(|part| part.as_os_str() != ".git").skip(1).map(|part| part.as_os_str());
    let is_lock = path.extension().is_some_and(|ending| ending == "lock");
    match parts.next() {
        // Not in a repository, or the directory itself.
        None => path.file_name().is_some_and(|name| name == ".git") && path.is_dir(),
        // A further work tree has its own HEAD, in `worktrees/NAME`.
        Some(first) if first == "worktrees" => is_lock || parts.nth(1).is_none_or(|name| name != "HEAD"),
        Some(first) => is_lock || (first != "HEAD" && first != "packed-refs" && first != "refs"),
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

    #[test]
    fn what_of_git_is_news() {
        for (path, expected) in [
            ("/w/.git/HEAD", false),
            ("/w/.git/HEAD.lock", true),
            ("/w/.git/index", true),
            ("/w/.git/index.lock", true),
            ("/w/.git/refs/heads/main", false),
            ("/w/.git/refs/heads/main.lock", true),
            ("/w/.git/refs/tags/v1", false),
            ("/w/.git/packed-refs", false),
            ("/w/.git/objects/ab", true),
            ("/w/.git/worktrees/other/HEAD", false),
            ("/w/.git/worktrees/other/index", true),
            ("/w/.github/HEAD", false),
            ("/w/go.mod", false),
            ("/w/vendor/yarn.lock", false),
        ] {
            assert_eq!(is_for_git_alone(Path::new(path)), expected, "{path}");
        }
    }

    /// A build may have read what a file held for a moment: that it looks as before is then no reason to do nothing.
    #[test]
    fn what_was_otherwise_for_a_moment_while_a_build_ran() {
        let root = std::env::temp_dir().join(format!("rondel-news-{}", std::process::id()));
        std::fs::create_dir_all(&root).unwrap();
        let (file, mut watcher, mut news) = (root.join("file"), Watcher::new(), News::default());
        watcher.watch(&BTreeSet::from([root.clone()]));
        let mut told = |ended: Option<SystemTime>, texts: &[&str]| {
            texts.iter().for_each(|text| std::fs::write(&file, text).unwrap());
            let changes = watcher.wait(Duration::from_secs(5));
            let told = ended.map_or(Told::Between, Told::InBuild);
            news.of(&changes, told, &|_| panic!("it is not each build"))
        };
        let (at_once, later) = (Some(Duration::ZERO), Some(SystemTime::now() + Duration::from_secs(3600)));
        assert_eq!(told(None, &["a"]), at_once);
        assert_eq!(told(None, &["b", "a"]), None);
        assert_eq!(told(later, &["b", "a"]), at_once);
        // The look after that found nothing: whoever writes the same each time does not build for ever.
        assert_eq!(told(later, &["a"]), None);
        assert_eq!(told(None, &["c"]), at_once);
        assert_eq!(told(later, &["c"]), at_once);
        // After its steps, so none of them has written it.
        let earlier = Some(SystemTime::now() - Duration::from_secs(3600));
        assert_eq!(told(earlier, &["d", "c"]), None);
        assert_eq!(told(earlier, &["d"]), at_once);
        std::fs::remove_dir_all(root).unwrap();
    }

    /// Whoever edits during each build waits a little; nothing is lost, and one edit between two builds ends it.
    #[test]
    fn what_each_build_writes_waits_longer_and_longer() {
        let root = std::env::temp_dir().join(format!("rondel-news-each-{}", std::process::id()));
        std::fs::create_dir_all(&root).unwrap();
        let (mut watcher, mut news, warned) = (Watcher::new(), News::default(), std::cell::Cell::new(0));
        watcher.watch(&BTreeSet::from([root.clone()]));
        let later = Told::InBuild(SystemTime::now() + Duration::from_secs(3600));
        let mut number = 0;
        let mut write = |told: Told, names: &[&str]| {
            number += 1;
            names.iter().for_each(|name| std::fs::write(root.join(name), number.to_string()).unwrap());
            let delay = news.of(&watcher.wait(Duration::from_secs(5)), told, &|_| warned.set(warned.get() + 1));
            delay.unwrap().as_secs()
        };
        let delays: Vec<u64> = (0..10).map(|_| write(later, &["file"])).collect();
        assert_eq!(delays, [0, 0, 0, 1, 2, 4, 8, 16, 30, 30]);
        assert_eq!(write(later, &["file", "other"]), 0);
        assert_eq!(write(later, &["file"]), 30);
        assert_eq!(write(Told::Between, &["file"]), 0);
        assert_eq!(write(later, &["file"]), 0);
        assert_eq!(warned.get(), 1);
        std::fs::remove_dir_all(root).unwrap();
    }
}
