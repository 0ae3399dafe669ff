//! `Cancellation`: one flag for a whole build, and the processes that end when it is raised.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// Time for a group to end after SIGTERM before it gets SIGKILL, unless said otherwise: everything ends within a second.
const GRACE: Duration = Duration::from_millis(700);

/// A cancellation flag. It is cheap to clone; all clones are the same flag.
#[derive(Clone, Default)]
pub struct Cancellation {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// Time between the two signals; `GRACE` if there is none.
    grace: Option<Duration>,
    raised: AtomicBool,
    /// Whoever waits for it is woken by this.
    waiting: Mutex<()>,
    woken: Condvar,
    receivers: Mutex<Vec<Receiver>>,
    finishing: AtomicUsize,
    removed: AtomicUsize,
    foreground: AtomicUsize,
}

/// The receiver of the signals that end a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Receiver {
    /// A program with a process group of its own, by the group's number.
    Group(u32),
    /// A program in Rondel's own group, by its number.
    Process(u32),
}

/// A program in the foreground, until this is dropped.
pub(crate) struct Foreground {
    shared: Arc<Shared>,
}

impl Drop for Foreground {
    fn drop(&mut self) {
        self.shared.foreground.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Work that has to be finished even though the build was cancelled, until this is dropped.
pub struct Finishing {
    shared: Arc<Shared>,
}

impl Finishing {
    /// Notes that so many containers were removed, if the build was cancelled before.
    pub fn note_removed(&self, containers: usize) {
        if self.shared.raised.load(Ordering::SeqCst) {
            self.shared.removed.fetch_add(containers, Ordering::SeqCst);
        }
    }
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

    /// Returns a flag that is not raised, whose programs have `grace` to end after SIGTERM.
    pub fn with_grace(grace: Duration) -> Cancellation {
        Cancellation { shared: Arc::new(Shared { grace: Some(grace), ..Shared::default() }) }
    }

    /// Returns true if the build was asked to stop.
    pub fn is_raised(&self) -> bool {
        self.shared.raised.load(Ordering::SeqCst)
    }

    /// Asks all running programs to end (SIGTERM), and kills them (SIGKILL) 0.7 s later, or after the flag's own time. A
    /// second call kills them at once.
    pub fn cancel(&self) {
        let again = self.shared.raised.swap(true, Ordering::SeqCst);
        self.wake();
        self.signal_all(again);
        if !again {
            let this = self.clone();
            std::thread::spawn(move || {
                std::thread::sleep(this.shared.grace.unwrap_or(GRACE));
                this.signal_all(true);
            });
        }
    }

    /// Waits until the build is asked to stop, at most for `time`. Returns true if it was.
    pub fn wait(&self, time: Duration) -> bool {
        let begun = Instant::now();
        self.wait_while(&|| begun.elapsed() < time, time);
        self.is_raised()
    }

    /// Waits until the build is asked to stop, or until `is_over` is set and `wake` called after that.
    pub fn wait_unless(&self, is_over: &AtomicBool) {
        self.wait_while(&|| !is_over.load(Ordering::SeqCst), Duration::from_secs(60));
    }

    /// Lets all who wait look again whether what they wait for is over.
    pub fn wake(&self) {
        let _waiting = self.shared.waiting.lock().expect("no panic while locked");
        self.shared.woken.notify_all();
    }

    fn wait_while(&self, goes_on: &dyn Fn() -> bool, at_most: Duration) {
        let mut waiting = self.shared.waiting.lock().expect("no panic while locked");
        while !self.is_raised() && goes_on() {
            waiting = self.shared.woken.wait_timeout(waiting, at_most).expect("no panic while locked").0;
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

    /// Returns the number of containers that such work has removed since the build was cancelled.
    pub fn removed_containers(&self) -> usize {
        self.shared.removed.load(Ordering::SeqCst)
    }

    /// Marks a program that has the terminal.
    pub(crate) fn foreground(&self) -> Foreground {
        self.shared.foreground.fetch_add(1, Ordering::SeqCst);
        Foreground { shared: Arc::clone(&self.shared) }
    }

    /// Returns true while a program has the terminal: it gets Ctrl-C itself, and decides what that means.
    pub fn is_in_foreground(&self) -> bool {
        self.shared.foreground.load(Ordering::SeqCst) > 0
    }

    fn signal_all(&self, kill: bool) {
        for receiver in self.shared.receivers.lock().expect("no panic while locked").iter() {
            receiver.signal(kill);
        }
    }

    pub(crate) fn register(&self, receiver: Receiver) {
        self.shared.receivers.lock().expect("no panic while locked").push(receiver);
        // Raised between the caller's check of the flag and this: the new program must end too.
        if self.is_raised() {
            receiver.signal(false);
        }
    }

    pub(crate) fn unregister(&self, receiver: Receiver) {
        self.shared.receivers.lock().expect("no panic while locked").retain(|&other| other != receiver);
    }
}

impl Receiver {
    /// Sends SIGKILL or SIGTERM.
    #[cfg(unix)]
    pub fn signal(self, kill: bool) {
        use rustix::process::{Pid, Signal, kill_process, kill_process_group};
        let signal = if kill { Signal::KILL } else { Signal::TERM };
        let pid = |number: u32| i32::try_from(number).ok().and_then(Pid::from_raw);
        // A program that is gone is fine.
        let _ = match self {
            Receiver::Group(number) => pid(number).map(|pid| kill_process_group(pid, signal)),
            Receiver::Process(number) => pid(number).map(|pid| kill_process(pid, signal)),
        };
    }

    /// Sends nothing.
    #[cfg(not(unix))]
    pub fn signal(self, _kill: bool) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_removed_after_the_stop_counts() {
        let cancellation = Cancellation::new();
        cancellation.finishing().note_removed(1);
        cancellation.cancel();
        drop(cancellation.finishing());
        assert_eq!(cancellation.removed_containers(), 0);
        cancellation.finishing().note_removed(2);
        assert_eq!(cancellation.removed_containers(), 2);
        assert!(!cancellation.is_finishing());
    }
}
