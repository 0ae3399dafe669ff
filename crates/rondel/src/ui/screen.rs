//! Standard error, and the lines at its end that change while a build runs.
//!
//! `indicatif` draws these lines below all others. Whatever is printed goes above them. A failed write is not an error, here as
//! elsewhere.

use std::io::{IsTerminal, Write};
use std::sync::{LazyLock, Mutex};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Lines that stand at the end of the terminal now.
static LIVE: LazyLock<Mutex<Live>> = LazyLock::new(Mutex::default);

struct Live {
    all: MultiProgress,
    /// One for each line.
    lines: Vec<ProgressBar>,
}

impl Default for Live {
    fn default() -> Live {
        Live { all: MultiProgress::with_draw_target(ProgressDrawTarget::stderr()), lines: Vec::new() }
    }
}

/// Size assumed of a terminal that does not say its own.
const USUAL: Size = Size { columns: 80, rows: 24 };

/// The size of a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size {
    pub columns: usize,
    pub rows: usize,
}

/// Returns the size of the terminal at standard error.
pub(crate) fn size() -> Size {
    #[cfg(unix)]
    {
        let size = rustix::termios::tcgetwinsize(std::io::stderr()).ok();
        let size = size.map(|size| (usize::from(size.ws_col), usize::from(size.ws_row)));
        size.filter(|(columns, rows)| *columns > 0 && *rows > 0).map_or(USUAL, |(columns, rows)| Size { columns, rows })
    }
    #[cfg(not(unix))]
    USUAL
}

/// Returns true if lines at the end of standard error can change.
pub(crate) fn is_terminal() -> bool {
    std::io::stderr().is_terminal()
}

/// Replaces the live lines; without any, nothing of them is left.
pub(crate) fn show(lines: Vec<String>) {
    let mut live = LIVE.lock().expect("no panic while locked");
    while live.lines.len() > lines.len() {
        live.remove_last();
    }
    while live.lines.len() < lines.len() {
        let line = live.all.add(ProgressBar::new_spinner());
        line.set_style(ProgressStyle::with_template("{msg}").expect("a constant template"));
        live.lines.push(line);
    }
    for (line, text) in live.lines.iter().zip(lines) {
        line.set_message(text);
        line.tick();
    }
}

impl Live {
    fn remove_last(&mut self) {
        if let Some(line) = self.lines.pop() {
            line.finish_and_clear();
            self.all.remove(&line);
        }
    }
}

/// Prints whole lines above the live ones.
pub(crate) fn print(text: &str) {
    beside(|| {
        let _ = std::io::stderr().lock().write_all(format!("{text}\n").as_bytes());
    });
}

/// Does `work`, which writes to the same terminal by another way, without the live lines.
pub(crate) fn beside<T>(work: impl FnOnce() -> T) -> T {
    let live = LIVE.lock().expect("no panic while locked");
    if live.lines.is_empty() { work() } else { live.all.suspend(work) }
}

/// Removes the live lines for good, if nobody is writing: before the process leaves at once.
pub(crate) fn leave() {
    if let Ok(mut live) = LIVE.try_lock() {
        while !live.lines.is_empty() {
            live.remove_last();
        }
    }
}

/// Empties the screen, and puts the next line at its top. What was there can still be scrolled back to.
pub(crate) fn clear() {
    beside(|| {
        let _ = std::io::stderr().lock().write_all(b"\x1b[H\x1b[2J");
    });
}
