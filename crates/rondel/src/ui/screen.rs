//! Standard error, and the lines at its end that change while a build runs.
//!
//! A terminal shows these lines below all others. Whatever is printed goes above them: they are erased, and drawn again
//! after it. A failed write is not an error, here as elsewhere.

use std::io::{IsTerminal, Write};
use std::sync::Mutex;

use crate::ui::columns::{cut, width_of};

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
    let _ = std::io::stderr().lock().write_all(exchange(&mut live, lines, "", size().columns).as_bytes());
}

/// Prints whole lines above the live ones.
pub(crate) fn print(text: &str) {
    let mut live = LIVE.lock().expect("no panic while locked");
    let text = format!("{text}\n");
    let text = if live.is_empty() { text } else { again(&mut live, &text, size().columns) };
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

/// Does `work`, which writes to the same terminal by another way, without the live lines.
pub(crate) fn beside<T>(work: impl FnOnce() -> T) -> T {
    let mut live = LIVE.lock().expect("no panic while locked");
    if live.is_empty() {
        return work();
    }
    let _ = std::io::stderr().lock().write_all(erasure(&live, size().columns).as_bytes());
    let done = work();
    fit(&mut live, size().columns);
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

/// Returns what prints `text` in place of the lines that stand there, and draws `lines` below it.
fn exchange(live: &mut Vec<String>, lines: Vec<String>, text: &str, columns: usize) -> String {
    let erasure = erasure(live, columns);
    *live = lines;
    fit(live, columns);
    format!("{erasure}{text}{}", drawing(live))
}

/// Returns what prints `text` above the lines that stand there.
fn again(live: &mut Vec<String>, text: &str, columns: usize) -> String {
    let lines = live.clone();
    exchange(live, lines, text, columns)
}

/// Cuts the lines to the width that they are drawn at. The terminal would cut them too, and what stands there would take
/// fewer rows than they seem to.
fn fit(lines: &mut [String], columns: usize) {
    lines.iter_mut().filter(|line| width_of(line) >= columns).for_each(|line| *line = cut(line, columns.max(1) - 1));
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

    #[test]
    fn lines_that_are_drawn_again_on_a_narrower_terminal_take_a_row_each() {
        let mut live = Vec::new();
        assert_eq!(exchange(&mut live, vec!["x".repeat(50)], "", 80), format!("\x1b[?7l{}\n\x1b[?7h", "x".repeat(50)));
        // What stood there wraps; what is drawn now does not.
        let cut = format!("{}…", "x".repeat(18));
        assert_eq!(again(&mut live, "a\n", 20), format!("\x1b[3A\r\x1b[Ja\n\x1b[?7l{cut}\n\x1b[?7h"));
        assert_eq!(again(&mut live, "b\n", 20), format!("\x1b[1A\r\x1b[Jb\n\x1b[?7l{cut}\n\x1b[?7h"));
    }
}
