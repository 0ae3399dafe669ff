//! Processes that outlived the child that started them.
//!
//! On Linux Rondel makes itself the reaper of such processes, so that a grandchild which left its group (a
//! session of its own) still is Rondel's child and can be found and ended. Elsewhere groups must do.

/// Makes orphaned descendants children of this process. Does nothing where the system can't.
pub fn adopt_orphans() {
    #[cfg(target_os = "linux")]
    {
        // Failure (an old kernel, a sandbox) leaves us with process groups only.
        let _ = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
    }
}

/// Ends every child that is left. Called when no child is wanted any more, so any that is there is a stray.
pub fn end_orphans() {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{Signal, WaitOptions, getpid, kill_process, waitpid};
        let own = getpid();
        // A stray's own children become ours when it dies, hence the rounds.
        for _ in 0..20 {
            let strays = children_of(own.as_raw_nonzero().get());
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
    // `children` lists those that each thread started; it needs a kernel option that distributions set.
    for task in tasks.flatten() {
        if let Ok(text) = std::fs::read_to_string(task.path().join("children")) {
            children.extend(text.split_whitespace().filter_map(|word| word.parse::<i32>().ok()));
        }
    }
    debug_assert!(!children.contains(&parent));
    children
}
