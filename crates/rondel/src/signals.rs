//! Ctrl-C and similar signals end everything within a second.
//!
//! A build is asked first: its steps get SIGTERM, then SIGKILL, and its outputs stay whole. But a thread may be in a
//! system call that never returns: a name server, a file of a dead server. So a second later the process leaves, as if
//! it were killed, which every stored file survives. Questions have nothing to finish, and leave at once.

use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use rondel_process::Cancellation;
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};

use crate::ui::{leave_screen, print_error_line};

/// Time from the first signal to the end of the process, whatever hangs.
const LEAVE_AFTER: Duration = Duration::from_millis(950);
/// The longest that a container's stop holds up the end.
const FINISH_WITHIN: Duration = Duration::from_secs(20);

/// The cancellation of the running build; `None` while there is none.
static BUILD: Mutex<Option<Cancellation>> = Mutex::new(None);

/// Handles signals from here on. SIGPIPE needs nothing: writes are checked.
pub(crate) fn listen() {
    let wanted = [SIGINT, SIGQUIT, SIGTERM, SIGHUP];
    // Without a handler the default action ends the process, which is no worse than not starting at all.
    let Ok(mut signals) = signal_hook::iterator::Signals::new(wanted) else { return };
    std::thread::spawn(move || {
        let mut count = 0;
        for signal in signals.forever() {
            let build = BUILD.lock().expect("no panic while locked").clone();
            // The terminal sends these to the program in the foreground too, which decides what they mean.
            let is_of_keys = matches!(signal, SIGINT | SIGQUIT);
            if is_of_keys && build.as_ref().is_some_and(Cancellation::is_in_foreground) {
                continue;
            }
            if signal == SIGQUIT {
                end_children();
                let _ = signal_hook::low_level::emulate_default_handler(signal);
            }
            count += 1;
            match build {
                Some(cancellation) if count <= 2 => {
                    cancellation.cancel();
                    if count == 1 {
                        std::thread::spawn(move || leave_soon(&cancellation));
                    }
                }
                _ => leave(),
            }
        }
    });
}

/// Returns a flag that SIGTERM and its like raise. Nothing else happens: a service has its own time to end.
pub(crate) fn stop_on_request() -> Cancellation {
    let cancellation = Cancellation::new();
    let raised = cancellation.clone();
    if let Ok(mut signals) = signal_hook::iterator::Signals::new([SIGINT, SIGTERM, SIGHUP]) {
        std::thread::spawn(move || signals.forever().for_each(|_| raised.cancel()));
    }
    cancellation
}

/// Lets signals raise `cancellation` first.
pub(crate) fn forward_to(cancellation: &Cancellation) {
    *BUILD.lock().expect("no panic while locked") = Some(cancellation.clone());
}

fn leave_soon(cancellation: &Cancellation) {
    let begun = Instant::now();
    let mut until = begun + LEAVE_AFTER;
    // After the stop of a container, what waited for it has the same time again to say so.
    while Instant::now() < until {
        std::thread::sleep(Duration::from_millis(20));
        if cancellation.is_finishing() && begun.elapsed() < FINISH_WITHIN {
            until = Instant::now() + LEAVE_AFTER;
        }
    }
    leave_screen();
    print_error_line("interrupted; something did not stop by itself. The former outputs are untouched");
    leave();
}

/// Turns the signal of a file size limit into an error of the write. (A handler, which other programs do not inherit;
/// an ignored signal would be inherited.)
pub(crate) fn survive_size_limits() {
    #[cfg(unix)]
    {
        let _ = signal_hook::flag::register(signal_hook::consts::SIGXFSZ, std::sync::Arc::default());
    }
}

#[allow(clippy::disallowed_methods, reason = "the user wants to leave, whatever hangs")]
fn leave() {
    end_children();
    std::process::exit(130);
}

/// Gives the terminal back and kills what was started, at once.
fn end_children() {
    leave_screen();
    // A killed process can still be in a system call that does not end: nobody waits for it.
    let (ended, wait) = channel();
    std::thread::spawn(move || {
        rondel_process::kill_orphans();
        let _ = ended.send(());
    });
    let _ = wait.recv_timeout(Duration::from_millis(200));
}
