//! Programs that go on when Rondel ends: started, and spared when Rondel ends what is left of its children.

use std::io;
use std::process::{ChildStdin, ChildStdout, Stdio};
use std::sync::Mutex;

use crate::{CommandLine, ProcessError};

/// Numbers of the programs that this process has started to stay.
static DETACHED: Mutex<Vec<u32>> = Mutex::new(Vec::new());

/// Names of programs that others start to stay.
static STAYING: Mutex<&[&str]> = Mutex::new(&[]);

/// Spares programs with these names (those of the kernel) when Rondel ends what is left of its children. Podman has no daemon: programs
/// that it starts keep its containers running.
pub fn let_stay(names: &'static [&'static str]) {
    *STAYING.lock().expect("no panic while locked") = names;
}

/// A program that was started to stay.
#[derive(Debug)]
pub struct Detached {
    /// Its number.
    pub pid: u32,
    /// Its standard input; it ends when this is dropped.
    pub stdin: ChildStdin,
    /// Its standard output. When this is dropped, the program's writes fail.
    pub stdout: ChildStdout,
}

/// Starts a program that goes on when Rondel ends. Its standard error is dropped. It calls [`leave_session`] itself.
pub fn start_detached(line: &CommandLine) -> Result<Detached, ProcessError> {
    let start_error = |source: io::Error| ProcessError::Start { program: line.program.display().to_string(), source };
    let mut command = line.to_command().map_err(|error| start_error(io::Error::other(error)))?;
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut detached = DETACHED.lock().expect("no panic while locked");
    let mut child = command.spawn().map_err(start_error)?;
    detached.push(child.id());
    let lost = || start_error(io::Error::other("its pipes are missing"));
    let (stdin, stdout) = (child.stdin.take().ok_or_else(lost)?, child.stdout.take().ok_or_else(lost)?);
    Ok(Detached { pid: child.id(), stdin, stdout })
}

/// Returns true for a program that was started to stay.
#[cfg(target_os = "linux")]
pub(crate) fn is_detached(pid: i32) -> bool {
    let detached = DETACHED.lock().expect("no panic while locked");
    u32::try_from(pid).is_ok_and(|pid| detached.contains(&pid)) || is_staying(pid)
}

#[cfg(target_os = "linux")]
#[allow(clippy::disallowed_methods, reason = "only a file of `/proc` is read")]
fn is_staying(pid: i32) -> bool {
    let names = *STAYING.lock().expect("no panic while locked");
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm"));
    !names.is_empty() && name.is_ok_and(|name| names.contains(&name.trim_end()))
}

/// Leaves the terminal and the session of whoever started this process, so that Ctrl-C there no longer reaches it.
pub fn leave_session() {
    #[cfg(unix)]
    {
        // It fails for the leader of a group, which is alone already.
        let _ = rustix::process::setsid();
    }
}
