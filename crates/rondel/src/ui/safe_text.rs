//! Output of children on our terminal: colours pass to the end of their line, other control sequences don't.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::ui::attributes::Attributes;

/// True if nobody wants colours, of whomever.
static DROPS_COLORS: AtomicBool = AtomicBool::new(false);

/// Lets no colours pass from here on.
pub(crate) fn drop_colors() {
    DROPS_COLORS.store(true, Ordering::Relaxed);
}

/// Returns `line` with colours (SGR sequences) and without other control sequences: no moved cursor, no cleared screen,
/// no changed title, no clipboard (OSC 52). A colour that is left on ends with the line.
pub(crate) fn without_control_sequences(line: &str) -> String {
    safe(line, !DROPS_COLORS.load(Ordering::Relaxed))
}

/// Returns a line that a program printed, as a terminal shows it: of text that was drawn several times, each after a
/// carriage return, the last.
pub(crate) fn shown_line(line: &str) -> String {
    if is_plain(line) { line.to_owned() } else { without_control_sequences(last_drawn(line)) }
}

/// Returns what `shown_line` does, without colours.
pub(crate) fn plain_line(line: &str) -> String {
    if is_plain(line) { line.to_owned() } else { stripped(last_drawn(line), &mut |_| false) }
}

fn last_drawn(line: &str) -> &str {
    // What only moves the cursor, or rings, leaves on the screen what was there.
    let draws = |text: &&str| !stripped(text, &mut |_| false).is_empty();
    line.rsplit('\r').find(draws).unwrap_or_default()
}

fn safe(line: &str, keeps_colors: bool) -> String {
    let mut attributes = Attributes::default();
    let mut result = stripped(line, &mut |parameters| {
        attributes.apply(parameters);
        keeps_colors
    });
    if keeps_colors && attributes.are_on() {
        result.push_str("\x1b[0m");
    }
    result
}

/// Whether `line` has only printable ASCII: then nothing of it is taken out. Programs print megabytes of such lines, and this
/// looks at eight bytes at a time.
fn is_plain(line: &str) -> bool {
    const EACH: u64 = u64::from_ne_bytes([1; 8]);
    let is_printable = |byte: &u8| matches!(byte, b' '..=b'~');
    let (words, rest) = line.as_bytes().as_chunks::<8>();
    // The highest bit of a byte of `low` is set if the byte is below a space, of `high` if it is DEL or no ASCII.
    words.iter().all(|word| {
        let word = u64::from_ne_bytes(*word);
        let low = word.wrapping_sub(EACH * 0x20);
        let high = word.wrapping_add(EACH);
        (word | low | high) & (EACH * 0x80) == 0
    }) && rest.iter().all(is_printable)
}

/// Returns `line` without control sequences, except for the colours whose parameters `keeps` is true of.
fn stripped(line: &str, keeps: &mut dyn FnMut(&str) -> bool) -> String {
    if is_plain(line) {
        return line.to_owned();
    }
    let mut result = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(index) = rest.find(|character: char| character.is_control() && character != '\t') {
        result.push_str(&rest[..index]);
        rest = &rest[index..];
        let Some(after) = rest.strip_prefix('\x1b') else {
            rest = rest.get(rest.chars().next().map_or(1, char::len_utf8)..).unwrap_or("");
            continue;
        };
        if let Some(body) = after.strip_prefix('[') {
            let end = body.find(|character: char| ('\u{40}'..='\u{7e}').contains(&character));
            let Some(end) = end else { return result };
            let parameters = &body[..end];
            if body.as_bytes()[end] == b'm'
                && parameters.bytes().all(|byte| byte.is_ascii_digit() || byte == b';' || byte == b':')
                && keeps(parameters)
            {
                result.push_str(&format!("\x1b[{parameters}m"));
            }
            rest = &body[end + 1..];
        } else if after.starts_with([']', 'P', 'X', '^', '_']) {
            // A string that ends with BEL or ST; an unclosed one ends with the line.
            let bell = after.find('\x07').map(|index| (index, 1));
            let terminator = after.find("\x1b\\").map(|index| (index, 2));
            let Some((end, length)) = bell.into_iter().chain(terminator).min() else { return result };
            rest = &after[end + length..];
        } else {
            rest = after.get(after.chars().next().map_or(0, char::len_utf8)..).unwrap_or("");
        }
    }
    result.push_str(rest);
    result
}

#[cfg(test)]
mod tests {
    fn safe(line: &str) -> String {
        super::safe(line, true)
    }

    #[test]
    fn plain_lines_are_told_from_others() {
        for byte in 0..=127_u8 {
            for (before, after) in [(0, 0), (3, 4), (7, 20), (8, 0), (5, 17)] {
                let line = format!("{}{}{}", "~".repeat(before), byte as char, " ".repeat(after));
                assert_eq!(super::is_plain(&line), (32..127).contains(&byte), "{line:?}");
            }
        }
        assert!(!super::is_plain("1234567\u{9b}2J") && !super::is_plain("é") && super::is_plain(""));
    }

    #[test]
    fn a_colour_ends_with_its_line() {
        assert_eq!(safe("\x1b[8mhidden"), "\x1b[8mhidden\x1b[0m");
        assert_eq!(safe("\x1b[38;5;0mblack"), "\x1b[38;5;0mblack\x1b[0m");
        assert_eq!(safe("\x1b[31mred\x1b]0;endless"), "\x1b[31mred\x1b[0m");
        assert_eq!(safe("\x1b[31;1mred\x1b[39;22m"), "\x1b[31;1mred\x1b[39;22m");
        assert_eq!(safe("\x1b[31mred\x1b[m"), "\x1b[31mred\x1b[m");
    }

    #[test]
    fn progress_in_place_is_not_glued_together() {
        assert_eq!(super::shown_line("10%\r20%\r\x1b[K30%\r"), "30%");
        assert_eq!(super::plain_line("\x1b]0;title\x07a\x1b]0;title\x1b\\b \x1b[31mc"), "ab c");
        assert_eq!(super::plain_line("\r\r"), "");
    }

    #[test]
    fn without_colours_none_pass() {
        assert_eq!(super::safe("a\x1b[31mred\x1b[0m \x1b[8mb", false), "ared b");
    }

    #[test]
    fn colours_pass_and_nothing_else() {
        assert_eq!(safe("\x1b[1;31mred\x1b[0m\tx"), "\x1b[1;31mred\x1b[0m\tx");
        assert_eq!(safe("a\x1b[2Jb\x1b[10;10Hc"), "abc");
        assert_eq!(safe("a\x1b]52;c;ZXZpbA==\x07b\x1b]0;t\x1b\\c"), "abc");
        assert_eq!(safe("a\rb\x08c\u{9b}2Jd"), "abc2Jd");
        assert_eq!(safe("a\x1b]52;c;endless"), "a");
        assert_eq!(safe("\x1b[?25lx\x1b"), "x");
    }
}
