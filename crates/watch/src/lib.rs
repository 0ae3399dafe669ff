//! Tells that something in directories has changed: by notification where the system has it for the file system, else by looking
//! every half second.
//!
//! It knows no build. A change that it reports is a hint to look; whoever builds decides by contents what is different. So a
//! report too many costs a look, and what a network file system does not report is looked for.

mod changes;
#[cfg(target_os = "linux")]
mod notify;
mod poll;
#[cfg(target_os = "linux")]
mod vouch;

pub use changes::Changes;
#[cfg(target_os = "linux")]
pub use vouch::{Key, Voucher, Vouching};

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::poll::Poll;

/// Watches directories, each for itself and not for what is below.
pub struct Watcher {
    means: Means,
    directories: BTreeSet<PathBuf>,
}

enum Means {
    #[cfg(target_os = "linux")]
    Notify(notify::Notify),
    Poll(Poll),
}

/// Time without another change after which a series of changes is over: an editor writes a file in several steps, git thousands.
const QUIET: Duration = Duration::from_millis(12);
/// The longest series.
const LONGEST: Duration = Duration::from_secs(3);

impl Watcher {
    /// Returns a watcher of nothing.
    pub fn new() -> Watcher {
        #[cfg(target_os = "linux")]
        if let Some(notify) = notify::Notify::new() {
            return Watcher { means: Means::Notify(notify), directories: BTreeSet::new() };
        }
        Watcher { means: Means::Poll(Poll::default()), directories: BTreeSet::new() }
    }

    /// Returns a watcher of nothing that looks, whatever the system can do.
    pub fn looking() -> Watcher {
        Watcher { means: Means::Poll(Poll::default()), directories: BTreeSet::new() }
    }

    /// Watches exactly these directories from now on. Returns why it looks from now on, if it was notified until now.
    pub fn watch(&mut self, directories: &BTreeSet<PathBuf>) -> Option<String> {
        let mut why = None;
        match &mut self.means {
            #[cfg(target_os = "linux")]
            Means::Notify(notify) => {
                if let Err(reason) = notify.set(directories) {
                    let mut poll = Poll::default();
                    poll.set(directories);
                    self.means = Means::Poll(poll);
                    why = Some(reason);
                }
            }
            Means::Poll(poll) => poll.set(directories),
        }
        self.directories.clone_from(directories);
        why
    }

    /// Returns the number of directories.
    pub fn count(&self) -> usize {
        self.directories.len()
    }

    /// Returns true if it looks instead of being notified.
    pub fn looks(&self) -> bool {
        matches!(self.means, Means::Poll(_))
    }

    /// Waits for a series of changes, at most `patience` for its first. Returns all of it.
    pub fn wait(&mut self, patience: Duration) -> Changes {
        let mut changes = self.next(patience);
        if changes.is_empty() {
            return changes;
        }
        let begun = Instant::now();
        while begun.elapsed() < LONGEST {
            let more = self.next(QUIET);
            if more.is_empty() {
                break;
            }
            changes.add(more);
        }
        changes
    }

    /// Returns what has changed, and waits at most `patience` for it.
    fn next(&mut self, patience: Duration) -> Changes {
        match &mut self.means {
            #[cfg(target_os = "linux")]
            Means::Notify(notify) => notify.next(patience),
            Means::Poll(poll) => poll.next(patience),
        }
    }
}

impl Default for Watcher {
    fn default() -> Watcher {
        Watcher::new()
    }
}

#[cfg(all(test, unix))]
mod tests;
