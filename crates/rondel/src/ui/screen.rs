//! Standard error, and the lines at its end that change while a build runs.
//!
//! A terminal shows these lines below all others. Whatever is printed goes above them: they are erased, and drawn again
//! after it. A failed write is not an error, here as elsewhere.

use std::io::{IsTerminal, Write};
use std::sync::Mutex;

use crate::ui::columns::width_of;

/// Lines that stand at the end of the terminal now.
static LIVE: Mutex<Vec<String>> = Mutex::new(Vec::new());

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
    if live.is_empty() && lines.is_empty() {
        return;
    }
    let text = format!("{}{}", erasure(&live, size().columns), drawing(&lines));
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
    *live = lines;
}

/// Prints whole lines above the live ones.
pub(crate) fn print(text: &str) {
    let live = LIVE.lock().expect("no panic while locked");
    let text = match live.is_empty() {
        true => format!("{text}\n"),
        false => format!("{}{text}\n{}", erasure(&live, size().columns), drawing(&live)),
    };
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

/// Does `work`, which writes to the same terminal by another way, without the live lines.
pub(crate) fn beside<T>(work: impl FnOnce() -> T) -> T {
    let live = LIVE.lock().expect("no panic while locked");
    if live.is_empty() {
        return work();
    }
    let _ = std::io::stderr().lock().write_all(erasure(&live, size().columns).as_bytes());
    let done = work();
    let _ = std::io::stderr().lock().write_all(drawing(&live).as_bytes());
    done
}

/// Removes the live lines for good, if nobody is writing: before the process leaves at once.
pub(crate) fn leave() {
    if let Ok(mut live) = LIVE.try_lock()
        && !live.is_empty()
    {
        let _ = std::io::stderr().lock().write_all(erasure(&live, size().columns).as_bytes());
        live.clear();
    }
}

/// Empties the screen, and puts the next line at its top. What was there can still be scrolled back to.
pub(crate) fn clear() {
    beside(|| drop(std::io::stderr().lock().write_all(b"\x1b[H\x1b[2J")));
}

/// Moves to the first row of the lines, and erases all from there. A terminal that has become narrower has given a long
/// line several rows.
fn erasure(lines: &[String], columns: usize) -> String {
    let rows: usize = lines.iter().map(|line| width_of(line).div_ceil(columns.max(1)).max(1)).sum();
    if rows == 0 { String::new() } else { format!("\x1b[{rows}A\r\x1b[J") }
}

/// Writes the lines, cut by the terminal where it counts columns otherwise.
fn drawing(lines: &[String]) -> String {
    if lines.is_empty() { String::new() } else { format!("\x1b[?7l{}\n\x1b[?7h", lines.join("\n")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_drawn_is_erased() {
        let lines = ["[1/2] server".to_owned(), "x".repeat(50), String::new()];
        assert_eq!(drawing(&lines[..1]), "\x1b[?7l[1/2] server\n\x1b[?7h");
        assert_eq!(drawing(&[]), "");
        assert_eq!(erasure(&lines, 80), "\x1b[3A\r\x1b[J");
        // The terminal was made narrower in between.
        assert_eq!(erasure(&lines, 20), "\x1b[5A\r\x1b[J");
        assert_eq!(erasure(&[], 80), "");
    }
}
