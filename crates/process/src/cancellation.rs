//! `Cancellation`: one flag for a whole build, and the process groups that end when it is raised.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Time for a group to end after SIGTERM before it gets SIGKILL: everything ends within a second.
const GRACE: Duration = Duration::from_millis(700);

/// A cancellation flag. It is cheap to clone; all clones are the same flag.
#[derive(Clone, Default)]
pub struct Cancellation {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    raised: AtomicBool,
    groups: Mutex<Vec<u32>>,
    finishing: AtomicUsize,
}

/// Work that has to be finished even though the build was cancelled, until this is dropped.
pub struct Finishing {
    shared: Arc<Shared>,
}

impl Drop for Finishing {
    fn drop(&mut self) {
        self.shared.finishing.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Cancellation {
    /// Returns a flag that is not raised.
    pub fn new() -> Cancellation {
        Cancellation::default()
    }

    /// Returns true if the build was asked to stop.
    pub fn is_raised(&self) -> bool {
        self.shared.raised.load(Ordering::SeqCst)
    }

    /// Asks all running groups to end (SIGTERM), and kills them (SIGKILL) 0.7 s later. A second call kills them at
    /// once.
    pub fn cancel(&self) {
        let again = self.shared.raised.swap(true, Ordering::SeqCst);
        self.signal_all(again);
        if !again {
            let this = self.clone();
            std::thread::spawn(move || {
                std::thread::sleep(GRACE);
                this.signal_all(true);
            });
        }
    }

    /// Marks work that a cancelled build still does, such as the stop of a container.
    pub fn finishing(&self) -> Finishing {
        self.shared.finishing.fetch_add(1, Ordering::SeqCst);
        Finishing { shared: Arc::clone(&self.shared) }
    }

    /// Returns true while such work goes on.
    pub fn is_finishing(&self) -> bool {
        self.shared.finishing.load(Ordering::SeqCst) > 0
    }

    fn signal_all(&self, kill: bool) {
        for &group in self.shared.groups.lock().expect("no panic while locked").iter() {
            signal_group(group, kill);
        }
    }

    pub(crate) fn register(&self, group: u32) {
        self.shared.groups.lock().expect("no panic while locked").push(group);
        // Raised between the caller's check of the flag and this: the new group must end too.
        if self.is_raised() {
            signal_group(group, false);
        }
    }

    pub(crate) fn unregister(&self, group: u32) {
        self.shared.groups.lock().expect("no panic while locked").retain(|&other| other != group);
    }
}

#[cfg(unix)]
pub(crate) fn signal_group(group: u32, kill: bool) {
    use rustix::process::{Pid, Signal, kill_process_group};
    let signal = if kill { Signal::KILL } else { Signal::TERM };
    if let Some(pid) = i32::try_from(group).ok().and_then(Pid::from_raw) {
        // A group that is gone is fine.
        let _ = kill_process_group(pid, signal);
    }
}

#[cfg(not(unix))]
pub(crate) fn signal_group(_group: u32, _kill: bool) {}
