//! `ProcessIdentity`: the process that a number meant when it was written down.
//!
//! The system gives numbers again. A number with the time of its start, in one running kernel, means one process for ever,
//! so that a signal meant for it reaches no stranger.

/// A process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessIdentity {
    /// Its number.
    pub pid: u32,
    /// When it started, in the system's own words.
    pub start: String,
    /// The running kernel and its namespace of numbers; empty where the time of the start is enough.
    pub boot: String,
}

impl ProcessIdentity {
    /// Returns the process that has this number now; `None` if there is none, or only its exit status is left.
    pub fn of(pid: u32) -> Option<ProcessIdentity> {
        let start = start_of(pid)?;
        Some(ProcessIdentity { pid, start, boot: boot() })
    }

    /// Returns true while it runs.
    pub fn is_running(&self) -> bool {
        ProcessIdentity::of(self.pid).as_ref() == Some(self)
    }

    /// Sends it SIGTERM, or SIGKILL, if it still runs. Returns whether it did.
    pub fn signal(&self, kill: bool) -> bool {
        #[cfg(target_os = "linux")]
        {
            use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
            let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
            // The handle is of one process. What it is of is asked after it was taken.
            if let Some(handle) = pid.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok()) {
                let signal = if kill { Signal::KILL } else { Signal::TERM };
                return self.is_running() && pidfd_send_signal(handle, signal).is_ok();
            }
        }
        let is_running = self.is_running();
        if is_running {
            crate::Receiver::Process(self.pid).signal(kill);
        }
        is_running
    }

    /// Sends SIGTERM, or SIGKILL, to the group that it leads, if it still runs. Returns whether it did.
    pub fn signal_group(&self, kill: bool) -> bool {
        let is_running = self.is_running();
        if is_running {
            crate::Receiver::Group(self.pid).signal(kill);
        }
        is_running
    }
}

/// Returns the ticks from the start of the kernel to that of the process, see proc_pid_stat(5).
#[cfg(target_os = "linux")]
#[allow(clippy::disallowed_methods, reason = "only files of `/proc` are read")]
fn start_of(pid: u32) -> Option<String> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    words_of(&text).filter(|words| !is_over(words))?.get(19).map(|start| (*start).to_owned())
}

/// Returns what follows the name, which may hold anything: first the state, as the 18th the number of threads, as the 20th the start.
#[cfg(target_os = "linux")]
fn words_of(stat: &str) -> Option<Vec<&str>> {
    Some(stat.rsplit_once(") ")?.1.split(' ').collect())
}

/// Returns true if only the exit status is left. The state is that of the first thread: it may have ended before the others, which
/// hold files and ports until they do.
#[cfg(target_os = "linux")]
fn is_over(words: &[&str]) -> bool {
    let is_alone = words.get(17).is_none_or(|threads| matches!(*threads, "0" | "1"));
    words.first().is_none_or(|state| *state == "X" || *state == "Z" && is_alone)
}

/// Returns true if there is no process with this number, or only its exit status is left. What can't be read is there.
#[cfg(target_os = "linux")]
#[allow(clippy::disallowed_methods, reason = "only files of `/proc` are read")]
pub(crate) fn is_gone(pid: i32) -> bool {
    match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(text) => words_of(&text).is_some_and(|words| is_over(&words)),
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    }
}

#[cfg(target_os = "linux")]
#[allow(clippy::disallowed_methods, reason = "only files of `/proc` are read")]
fn boot() -> String {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let namespace = std::fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    format!("{} {}", boot.trim(), namespace.display())
}

/// Returns what `ps` says of the start.
#[cfg(all(unix, not(target_os = "linux")))]
fn start_of(pid: u32) -> Option<String> {
    let line = crate::CommandLine::new("/bin/ps", "/").arguments(["-o", "lstart=", "-p", &pid.to_string()]);
    let captured = crate::capture(&line, &crate::Cancellation::new()).ok()?;
    let text = String::from_utf8_lossy(&captured.stdout).trim().to_owned();
    (captured.finished.status.success() && !text.is_empty()).then_some(text)
}

/// Returns nothing: nobody can be told apart, and so nobody is signalled.
#[cfg(not(unix))]
fn start_of(_pid: u32) -> Option<String> {
    None
}

#[cfg(not(target_os = "linux"))]
fn boot() -> String {
    String::new()
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_is_given_again_is_another_process() {
        let own = ProcessIdentity::of(std::process::id()).unwrap();
        assert!(own.is_running());
        for other in [
            ProcessIdentity { start: format!("{}1", own.start), ..own.clone() },
            ProcessIdentity { boot: format!("{}x", own.boot), ..own.clone() },
        ] {
            assert!(!other.is_running() && !other.signal(true) && !other.signal_group(true));
        }
    }
}
