//! Characters and escapes of YAML about which readers differ. It knows no structure.

use std::borrow::Cow;

/// Returns the first character that ends a line in YAML 1.1 and does not in YAML 1.2, or NUL, which ends the file for
/// some readers; and why it is refused: readers differ about what such a file means.
pub(super) fn doubtful(text: &str) -> Option<(usize, &'static str)> {
    const BREAKS: [char; 4] = ['\u{85}', '\u{2028}', '\u{2029}', '\0'];
    let place = text.find(BREAKS)?;
    let why = match text[place..].starts_with('\0') {
        true => "some programs end the file at this character, NUL, and some do not: write it as an escape, \"\\0\"",
        false => "some programs end the line at this character, and some do not: write it as an escape, \"\\u2028\"",
    };
    Some((place, why))
}

/// Returns the text for the parser, which refuses what JSON makes of a character beyond U+FFFF: two escapes,
/// `\ud83d\ude00`. Each is replaced by one of a private character, of the same length.
pub(super) fn parsed(text: &str) -> Cow<'_, str> {
    let mut bytes = Cow::Borrowed(text.as_bytes());
    let is_half = |escape: Option<&[u8]>, digits: &[u8]| {
        escape.is_some_and(|escape| {
            escape.starts_with(b"\\u")
                && escape[2].eq_ignore_ascii_case(&b'd')
                && digits.contains(&escape[3].to_ascii_lowercase())
                && escape[4..].iter().all(u8::is_ascii_hexdigit)
        })
    };
    let mut index = 0;
    while let Some(found) = text.as_bytes()[index..].iter().position(|byte| *byte == b'\\') {
        let place = index + found;
        let escape = |from: usize| text.as_bytes().get(from..from + 6);
        if is_half(escape(place), b"89ab") && is_half(escape(place + 6), b"cdef") {
            bytes.to_mut()[place + 2] = b'e';
            bytes.to_mut()[place + 8] = b'e';
            index = place + 12;
        } else {
            // With what it escapes, which may be another one.
            index = (place + 2).min(text.len());
        }
    }
    match bytes {
        Cow::Borrowed(_) => Cow::Borrowed(text),
        Cow::Owned(bytes) => Cow::Owned(String::from_utf8(bytes).expect("letters in place of letters")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_of_characters() {
        for (text, expected) in
            [(r"\ud83d\uDE00", r"\ue83d\ueE00"), (r"\\\ud83d\ude00\udbff\udfff", r"\\\ue83d\uee00\uebff\uefff")]
        {
            assert_eq!(parsed(text), expected);
        }
        // An escaped backslash, halves without the other one, other characters.
        for text in [
            r"\\ud83d\ude00",
            r"\ud83d\ud83d",
            r"\ude00\ud83d",
            r"\ud83d",
            r"\ud83d\ude0",
            r"\ue83d\uee00",
            "\\",
            "ä\\",
        ] {
            assert_eq!(parsed(text), text);
        }
    }
}
