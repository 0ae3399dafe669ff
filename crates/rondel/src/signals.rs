//! Ctrl-C and similar signals: the first asks, the second insists, the third exits.

use rondel_process::Cancellation;

/// Raises `cancellation` when the process is asked to stop. SIGPIPE needs nothing: writes are checked.
pub(crate) fn forward_to(cancellation: &Cancellation) {
    let cancellation = cancellation.clone();
    let wanted = [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM, signal_hook::consts::SIGHUP];
    // Without a handler the default action ends the process, which is no worse than not starting at all.
    let Ok(mut signals) = signal_hook::iterator::Signals::new(wanted) else { return };
    std::thread::spawn(move || {
        for (count, _) in signals.forever().enumerate() {
            if count < 2 {
                cancellation.cancel();
            } else {
                leave();
            }
        }
    });
}

/// Turns the signal of a file size limit into an error of the write. (A handler, which other programs do not inherit;
/// an ignored signal would be inherited.)
pub(crate) fn survive_size_limits() {
    #[cfg(unix)]
    {
        let _ = signal_hook::flag::register(signal_hook::consts::SIGXFSZ, std::sync::Arc::default());
    }
}

#[allow(clippy::disallowed_methods, reason = "the third Ctrl-C: the user wants to leave, whatever hangs")]
fn leave() {
    rondel_process::kill_orphans();
    std::process::exit(130);
}
