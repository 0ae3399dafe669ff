//! Named options after a positional argument: `File("path", mode: 0o755)`.
//!
//! `ron` reads positional or named arguments, never both. So the options are taken out of the text that `ron` sees, and
//! spaces stand in their place: all other positions remain. The reader of such a call asks for them by its place. Knows
//! neither the names of options nor their meaning.

use crate::Span;
use crate::prescan::{end_of_block_comment, end_of_raw_string, end_of_string, is_word, raw_string_hashes};

/// The calls that take options.
const WORDS: &[&str] = &["Clean", "Command", "File", "Group", "Link", "Output", "Shell", "Tool"];

/// The options of one call, from the comma before them to the closing bracket.
#[derive(Debug)]
pub(crate) struct Options {
    /// First byte of the call's word.
    pub call: usize,
    /// Their place.
    pub span: Span,
    /// True once a field has taken them.
    pub is_read: bool,
}

/// Returns the text without options, of the same length, and the options.
pub(crate) fn without_options(text: &str) -> (String, Vec<Options>) {
    let mut bytes = text.as_bytes().to_vec();
    let mut found = Vec::new();
    let mut index = 0;
    while index < bytes.len() {
        if let Some(options) = options_at(text.as_bytes(), index) {
            for byte in &mut bytes[options.span.start..options.span.end] {
                // Lines stay, so that the parser's own positions do.
                if !matches!(byte, b'\n' | b'\r') {
                    *byte = b' ';
                }
            }
            index = options.span.end;
            found.push(options);
        } else {
            index = end_of_token(text.as_bytes(), index) + 1;
        }
    }
    (String::from_utf8(bytes).expect("whole characters became spaces"), found)
}

/// Returns the last byte of the string, comment or other character that begins at `index`.
fn end_of_token(bytes: &[u8], index: usize) -> usize {
    match bytes[index] {
        b'"' => end_of_string(bytes, index + 1),
        b'r' if raw_string_hashes(bytes, index).is_some() && !is_word(bytes, index) => end_of_raw_string(bytes, index),
        b'/' if bytes.get(index + 1) == Some(&b'/') => {
            bytes[index..].iter().position(|&byte| byte == b'\n').map_or(bytes.len(), |at| index + at)
        }
        b'/' if bytes.get(index + 1) == Some(&b'*') => end_of_block_comment(bytes, index),
        _ => index,
    }
}

/// Returns the first byte at or after `index` that is neither white space nor part of a comment.
fn after_space(bytes: &[u8], mut index: usize) -> usize {
    while let Some(byte) = bytes.get(index) {
        let end = end_of_token(bytes, index);
        let is_comment = *byte == b'/' && end > index;
        if !byte.is_ascii_whitespace() && !is_comment {
            break;
        }
        index = end + 1;
    }
    index
}

/// Returns the options of the call whose word begins at `index`: strings or lists, each with a
/// comma, then `name:`.
fn options_at(bytes: &[u8], index: usize) -> Option<Options> {
    let word = WORDS.iter().find(|word| bytes[index..].starts_with(word.as_bytes()))?;
    if is_word(bytes, index) {
        return None;
    }
    let open = after_space(bytes, index + word.len());
    if bytes.get(open) != Some(&b'(') {
        return None;
    }
    let mut argument = after_space(bytes, open + 1);
    let (mut comma, mut is_first) = (open, true);
    while let Some(end) = end_of_argument(bytes, argument) {
        is_first = false;
        comma = after_space(bytes, end + 1);
        if bytes.get(comma) != Some(&b',') {
            return None;
        }
        argument = after_space(bytes, comma + 1);
    }
    let is_name = |byte: &&u8| byte.is_ascii_alphanumeric() || **byte == b'_';
    let length = bytes.get(argument..)?.iter().take_while(is_name).count();
    let colon = after_space(bytes, argument + length);
    if is_first || length == 0 || bytes.get(colon) != Some(&b':') {
        return None;
    }
    let end = end_of_brackets(bytes, comma, b')')?;
    Some(Options { call: index, span: Span { start: comma, end }, is_read: false })
}

/// Returns the last byte of the string or list that begins at `index`.
fn end_of_argument(bytes: &[u8], index: usize) -> Option<usize> {
    match bytes.get(index)? {
        b'"' => Some(end_of_string(bytes, index + 1)),
        b'r' if raw_string_hashes(bytes, index).is_some() => Some(end_of_raw_string(bytes, index)),
        b'[' => end_of_brackets(bytes, index + 1, b']'),
        _ => None,
    }
}

/// Returns the place of the bracket that closes what `index` is in; `None` if another one comes first. Going on would
/// read a broken file once for each such call.
fn end_of_brackets(bytes: &[u8], index: usize, closing: u8) -> Option<usize> {
    let (mut depth, mut at) = (0_usize, index);
    while at < bytes.len() {
        match bytes[at] {
            b'(' | b'[' | b'{' => depth += 1,
            byte @ (b')' | b']' | b'}') if depth == 0 => return (byte == closing).then_some(at),
            b')' | b']' | b'}' => depth -= 1,
            _ => {}
        }
        at = end_of_token(bytes, at) + 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_options_become_spaces() {
        for (text, expected) in [
            ("File(\"a\", mode: 0o755)", "File(\"a\"             )"),
            (
                "[Output ( /* c */ r#\"ü\"#,\n owner: f(\"),\"),), 1]",
                "[Output ( /* c */ r#\"ü\"# \n                ), 1]",
            ),
            ("File(\"a\")", "File(\"a\")"),
            ("Output(\"a\", \"b\")", "Output(\"a\", \"b\")"),
            ("Output(\"a\", r\"b\",\n mode: 1)", "Output(\"a\", r\"b\" \n        )"),
            ("Command([\"a]\", \"b\"], x: [1])", "Command([\"a]\", \"b\"]        )"),
            ("Command([(]), x: 1)", "Command([(]), x: 1)"),
            ("Command([)], x: 1)", "Command([)], x: 1)"),
            ("MyFile(\"a\", b: 1)", "MyFile(\"a\", b: 1)"),
            ("\"File(\\\"a\\\", b: 1)\" // File(\"a\", b: 1)", "\"File(\\\"a\\\", b: 1)\" // File(\"a\", b: 1)"),
            ("File(\"a\", b: 1", "File(\"a\", b: 1"),
            ("File(\"a\", b: 1], c)", "File(\"a\", b: 1], c)"),
            ("File(", "File("),
            ("File", "File"),
        ] {
            let (masked, _) = without_options(text);
            assert_eq!(masked, expected);
            assert_eq!(masked.len(), text.len());
        }
    }
}
