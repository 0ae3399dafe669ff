//! Columns of a terminal: how many a text takes, and what of it fits.

use crate::ui::safe_text::plain_line;

/// Ranges of characters that take two columns: East Asian scripts and emoji.
const WIDE: &[(u32, u32)] = &[
    (0x1100, 0x115F),
    (0x2E80, 0xA4CF),
    (0xAC00, 0xD7A3),
    (0xF900, 0xFAFF),
    (0xFE30, 0xFE6F),
    (0xFF00, 0xFF60),
    (0xFFE0, 0xFFE6),
    (0x1F300, 0x1FAFF),
    (0x20000, 0x3FFFD),
];
/// Ranges of characters that take none: combining marks, joiners, variation selectors.
const NONE: &[(u32, u32)] = &[(0x0300, 0x036F), (0x200B, 0x200F), (0xFE00, 0xFE0F)];

/// Returns the number of columns of a text without control characters.
pub(crate) fn width_of(text: &str) -> usize {
    text.chars().map(columns_of).sum()
}

fn columns_of(character: char) -> usize {
    let is_in =
        |ranges: &[(u32, u32)]| ranges.iter().any(|(first, last)| (*first..=*last).contains(&u32::from(character)));
    match (is_in(NONE), is_in(WIDE)) {
        (true, _) => 0,
        (false, true) => 2,
        (false, false) => 1,
    }
}

/// Returns the text without control sequences, its tabulators as blanks: as many characters as a terminal shows.
pub(crate) fn plain(text: &str) -> String {
    plain_line(text).replace('\t', "    ")
}

/// Returns the text if it takes at most so many columns, else its beginning and `…`.
pub(crate) fn cut(text: &str, columns: usize) -> String {
    if width_of(text) <= columns {
        return text.to_owned();
    }
    let mut result = String::new();
    let mut taken = 0;
    for character in text.chars() {
        taken += columns_of(character);
        if taken + 1 > columns {
            break;
        }
        result.push(character);
    }
    if columns > 0 {
        result.push('…');
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_is_shown_whole() {
        for (text, columns, shown) in [
            ("server", 6, "server"),
            ("server", 5, "serv…"),
            ("server", 1, "…"),
            ("server", 0, ""),
            ("日本語", 6, "日本語"),
            ("日本語", 5, "日本…"),
            ("日本語", 4, "日…"),
            ("e\u{301}e\u{301}", 2, "e\u{301}e\u{301}"),
        ] {
            assert_eq!(cut(text, columns), shown, "{text} {columns}");
            assert!(width_of(&cut(text, columns)) <= columns, "{text} {columns}");
        }
    }

    #[test]
    fn colours_take_no_columns() {
        assert_eq!(plain("\x1b[1;31mred\x1b[0m\tx\r\u{7}"), "red    x");
        assert_eq!(plain("\x1b[m\x1b["), "");
    }
}
