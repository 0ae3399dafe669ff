//! Standard output, which is for data. A reader that goes away has seen enough; any other failed write is an error.

use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::ui::screen;

/// True once data could not be written. What follows would have a gap before it, and is left out.
static IS_LOST: AtomicBool = AtomicBool::new(false);

/// Writes to standard output.
pub(crate) fn print_bytes(bytes: &[u8]) {
    if IS_LOST.load(Ordering::Relaxed) {
        return;
    }
    let write = || {
        let mut stdout = io::stdout().lock();
        stdout.write_all(bytes).and_then(|()| stdout.flush())
    };
    let written = if io::stdout().is_terminal() { screen::beside(write) } else { write() };
    if let Some(text) = loss(&written)
        && !IS_LOST.swap(true, Ordering::Relaxed)
    {
        screen::print(&format!("error: {text}"));
    }
}

/// Returns true if data could not be written, which was reported then.
pub(crate) fn is_data_lost() -> bool {
    IS_LOST.load(Ordering::Relaxed)
}

/// Returns true once nobody reads standard output any more.
pub(crate) fn is_reader_gone() -> bool {
    #[cfg(unix)]
    {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let stdout = io::stdout();
        let mut fds = [PollFd::new(&stdout, PollFlags::empty())];
        let polled = poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }));
        polled.is_ok() && fds[0].revents().intersects(PollFlags::ERR | PollFlags::HUP)
    }
    #[cfg(not(unix))]
    false
}

/// Returns what to say of a write, if anything.
fn loss(written: &io::Result<()>) -> Option<String> {
    let error = written.as_ref().err().filter(|error| error.kind() != io::ErrorKind::BrokenPipe)?;
    Some(format!("failed to write to standard output: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_reader_that_went_away_is_no_loss() {
        assert_eq!(loss(&Ok(())), None);
        assert_eq!(loss(&Err(io::ErrorKind::BrokenPipe.into())), None);
        let full = loss(&Err(io::ErrorKind::StorageFull.into()));
        assert!(full.is_some_and(|text| text.starts_with("failed to write to standard output: ")));
    }
}
