//! Running a program in the foreground: the standard streams are the user's own. Knows no step.
//!
//! The program stays in Rondel's process group, which is that of the terminal's foreground. So the terminal lets it read,
//! and Ctrl-C, Ctrl-\ and Ctrl-Z reach it as if no Rondel were there.

use std::io::{self, IsTerminal};
use std::process::Stdio;
#[cfg(unix)]
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;

#[cfg(unix)]
use rustix::process::getpgrp;
#[cfg(unix)]
use rustix::termios::{OptionalActions, Termios, tcgetpgrp, tcsetattr};

use crate::run::watch_clock;
use crate::{Cancellation, CommandLine, Finished, ProcessError, Receiver};

/// The signal of Ctrl-C.
const SIGINT: i32 = 2;

/// Returns true if somebody can type and see the answer.
pub fn is_at_terminal() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal()
}

/// The modes of the terminal that programs find, if Rondel has changed them for itself.
#[cfg(unix)]
static MODES: Mutex<Option<Termios>> = Mutex::new(None);

/// Gives these modes of the terminal to each program in the foreground. Whoever has changed them changes them again after it.
#[cfg(unix)]
pub fn keep_terminal_modes(modes: &Termios) {
    *MODES.lock().expect("no panic while locked") = Some(modes.clone());
}

#[cfg(unix)]
fn give_terminal_modes() {
    let modes = MODES.lock().expect("no panic while locked").clone();
    if let Some(modes) = modes.filter(|_| tcgetpgrp(io::stdin()).is_ok_and(|group| group == getpgrp())) {
        // A terminal that is gone needs nothing.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &modes);
    }
}

/// Runs a program with the user's standard input, output and error. Until it ends, Ctrl-C is its own affair
/// ([`Cancellation::is_in_foreground`]). A program that Ctrl-C has ended raises `cancellation`.
pub fn run_in_foreground(line: &CommandLine, cancellation: &Cancellation) -> Result<Finished, ProcessError> {
    if cancellation.is_raised() {
        return Err(ProcessError::Interrupted);
    }
    let start_error = |source: io::Error| ProcessError::Start { program: line.program.display().to_string(), source };
    let mut command = line.to_command().map_err(|error| start_error(io::Error::other(error)))?;
    command.stdin(Stdio::inherit()).stdout(Stdio::inherit()).stderr(Stdio::inherit());
    let _foreground = cancellation.foreground();
    #[cfg(unix)]
    give_terminal_modes();
    let mut child = command.spawn().map_err(start_error)?;
    let receiver = Receiver::Process(child.id());
    cancellation.register(receiver);
    let timed_out = AtomicBool::new(false);
    let status = std::thread::scope(|scope| {
        let (ended, watch) = mpsc::channel::<()>();
        if let Some(timeout) = line.timeout {
            let timed_out = &timed_out;
            scope.spawn(move || watch_clock(receiver, timeout, &watch, timed_out));
        }
        crate::run::wait_without_reaping(&mut child);
        drop(ended);
        cancellation.unregister(receiver);
        child.wait()
    });
    let finished = Finished { status: status.map_err(start_error)? };
    if let (true, Some(timeout)) = (timed_out.load(Ordering::SeqCst), line.timeout) {
        return Err(ProcessError::TimedOut { program: line.program.display().to_string(), seconds: timeout.as_secs() });
    }
    if finished.signal() == Some(SIGINT) {
        cancellation.cancel();
    }
    if cancellation.is_raised() && !finished.status.success() {
        return Err(ProcessError::Interrupted);
    }
    Ok(finished)
}
