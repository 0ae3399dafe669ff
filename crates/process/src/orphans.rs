//! Processes that outlived their parents.
//!
//! On Linux Rondel makes itself the reaper of such processes. A grandchild that left its group (a session of its own)
//! is then still Rondel's child, and can be found and ended. Other systems have only the groups.
//!
//! A killed Rondel can end no process. But its children have inherited its locks, so their work stays locked until the
//! last of them is gone. A process that waits for such a lock can find them by it.
#![allow(clippy::disallowed_methods, reason = "only files of `/proc` are read")]

use std::fs::File;
use std::path::Path;

#[cfg(target_os = "linux")]
use crate::detached::is_detached;
#[cfg(target_os = "linux")]
use crate::identity::is_gone;

/// Makes orphaned descendants children of this process. Does nothing on systems that can't.
pub fn become_subreaper() {
    #[cfg(target_os = "linux")]
    {
        // A failure (an old kernel, a sandbox) leaves only the process groups.
        let _ = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
    }
}

/// Ends every remaining child, other than those that were started to stay. Called when no child is wanted any more.
pub fn kill_orphans() {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{Signal, WaitOptions, getpid, kill_process, waitpid};
        let own = getpid();
        // An orphan's own children become ours when it dies, hence the rounds.
        for _ in 0..20 {
            let mut strays = children_of(own.as_raw_nonzero().get());
            strays.retain(|pid| !is_detached(*pid));
            if strays.is_empty() {
                return;
            }
            for pid in strays.into_iter().filter_map(rustix::process::Pid::from_raw) {
                let _ = kill_process(pid, Signal::KILL);
                let _ = waitpid(Some(pid), WaitOptions::empty());
            }
        }
    }
}

#[cfg(target_os = "linux")]
fn children_of(parent: i32) -> Vec<i32> {
    let Ok(tasks) = std::fs::read_dir("/proc/self/task") else { return Vec::new() };
    let mut children = Vec::new();
    // `children` lists the children of each thread; it needs a kernel option that distributions set.
    for task in tasks.flatten() {
        if let Ok(text) = std::fs::read_to_string(task.path().join("children")) {
            children.extend(text.split_whitespace().filter_map(|word| word.parse::<i32>().ok()));
        }
    }
    debug_assert!(!children.contains(&parent));
    children
}

/// Lets processes started from now on hold the lock of `file` too, in case this process is killed. The lock must then
/// be released by unlocking: closing the file here is not enough.
pub fn inherit_lock(file: &File) {
    #[cfg(unix)]
    {
        // Failure leaves the lock to this process alone.
        let _ = rustix::io::fcntl_setfd(file, rustix::io::FdFlags::empty());
    }
    #[cfg(not(unix))]
    {
        let _ = file;
    }
}

/// Ends the processes that hold the lock of the file at `path` and were left behind by the dead process that took it.
/// Sends SIGTERM, or SIGKILL if `kill` is set. Returns their numbers. Does nothing on systems that can't list them.
pub fn kill_lock_holders(path: &Path, kill: bool) -> Vec<i32> {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{Pid, Signal, kill_process};
        let holders = lock_holders(path);
        for pid in holders.iter().copied().filter_map(Pid::from_raw) {
            let _ = kill_process(pid, if kill { Signal::KILL } else { Signal::TERM });
        }
        holders
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = (path, kill);
        Vec::new()
    }
}

#[cfg(target_os = "linux")]
fn lock_holders(path: &Path) -> Vec<i32> {
    let Ok(path) = path.canonicalize() else { return Vec::new() };
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    numbers.filter(|&pid| has_inherited_lock(pid, &path)).collect()
}

/// Returns true if the process holds a lock of the file that another, dead process has taken.
#[cfg(target_os = "linux")]
fn has_inherited_lock(pid: i32, path: &Path) -> bool {
    let files = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let ours = files.filter(|entry| std::fs::read_link(entry.path()).is_ok_and(|target| target == path));
    // `lock: 1: FLOCK ADVISORY WRITE <number of the process that took it> …`, see proc_pid_fdinfo(5).
    let taker = |text: &str| {
        let line = text.lines().find(|line| line.starts_with("lock:") && line.contains("FLOCK"))?;
        line.split_whitespace().nth(5)?.parse::<i32>().ok().filter(|pid| *pid > 0)
    };
    ours.filter_map(|entry| {
        let text = std::fs::read_to_string(format!("/proc/{pid}/fdinfo/{}", entry.file_name().to_str()?)).ok()?;
        taker(&text)
    })
    .any(is_gone)
}
