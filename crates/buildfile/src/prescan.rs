//! A scan of the whole text before any parsing, for contents that no parser should see. These are sizes and depths that
//! are attacks, marks that make a file look different from its contents, and bytes that no editor writes on purpose.

use crate::diagnostic::is_bidirectional;
use crate::{Diagnostic, SIZE_MAX, Span};

/// Maximum depth of nesting (`ron` itself gives up at 128).
const DEPTH_MAX: usize = 64;

/// Returns an error for the first thing that makes the text unfit for reading.
pub(crate) fn prescan(text: &str) -> Result<(), Diagnostic> {
    if text.len() > SIZE_MAX {
        let span = Span { start: 0, end: 1 };
        let message = format!("the file has {} bytes; at most {SIZE_MAX} are read", text.len());
        return Err(Diagnostic::new(span, message));
    }
    if text.starts_with('\u{feff}') {
        let span = Span { start: 0, end: 3 };
        return Err(
            Diagnostic::new(span, "the file begins with a byte order mark").hint("save it as UTF-8 without BOM")
        );
    }
    for (start, character) in text.char_indices() {
        let span = Span { start, end: start + character.len_utf8() };
        if is_bidirectional(character) {
            let message = format!("a mark that reorders text (U+{:04X})", u32::from(character));
            return Err(Diagnostic::new(span, message)
                .hint("remove it: such marks make a file look different from its contents"));
        }
        if character.is_control() && !matches!(character, '\n' | '\r' | '\t') {
            let message = format!("a control character (U+{:04X})", u32::from(character));
            return Err(Diagnostic::new(span, message).hint("remove it, or write it as an escape in a string"));
        }
    }
    check_depth(text)
}

/// Counts brackets outside strings and comments.
fn check_depth(text: &str) -> Result<(), Diagnostic> {
    let bytes = text.as_bytes();
    let mut index = 0;
    let mut depth = 0_usize;
    while index < bytes.len() {
        match bytes[index] {
            b'"' => index = end_of_string(bytes, index + 1),
            b'r' if raw_string_hashes(bytes, index).is_some() && !is_word(bytes, index) => {
                index = end_of_raw_string(bytes, index);
            }
            b'/' if bytes.get(index + 1) == Some(&b'/') => {
                index = bytes[index..].iter().position(|&byte| byte == b'\n').map_or(bytes.len(), |at| index + at);
            }
            b'/' if bytes.get(index + 1) == Some(&b'*') => index = end_of_block_comment(bytes, index),
            b'(' | b'[' | b'{' => {
                depth += 1;
                if depth > DEPTH_MAX {
                    let span = Span { start: index, end: index + 1 };
                    let message = format!("brackets are nested more than {DEPTH_MAX} deep");
                    return Err(Diagnostic::new(span, message));
                }
            }
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        index += 1;
    }
    Ok(())
}

pub(crate) fn is_word(bytes: &[u8], index: usize) -> bool {
    index > 0 && (bytes[index - 1].is_ascii_alphanumeric() || bytes[index - 1] == b'_')
}

pub(crate) fn raw_string_hashes(bytes: &[u8], index: usize) -> Option<usize> {
    let hashes = bytes[index + 1..].iter().take_while(|&&byte| byte == b'#').count();
    (bytes.get(index + 1 + hashes) == Some(&b'"')).then_some(hashes)
}

/// Returns the index of the closing quote, or the end of the text.
pub(crate) fn end_of_string(bytes: &[u8], mut index: usize) -> usize {
    while index < bytes.len() && bytes[index] != b'"' {
        index += if bytes[index] == b'\\' { 2 } else { 1 };
    }
    index
}

pub(crate) fn end_of_raw_string(bytes: &[u8], index: usize) -> usize {
    let hashes = raw_string_hashes(bytes, index).unwrap_or(0);
    let mut at = index + hashes + 2;
    while at < bytes.len() {
        let closes =
            bytes[at] == b'"' && bytes[at + 1..].iter().take(hashes).filter(|&&byte| byte == b'#').count() == hashes;
        if closes {
            return at + hashes;
        }
        at += 1;
    }
    at
}

/// Returns the end of a block comment. Block comments nest in RON.
pub(crate) fn end_of_block_comment(bytes: &[u8], mut index: usize) -> usize {
    let mut depth = 0;
    while index + 1 < bytes.len() {
        match &bytes[index..index + 2] {
            b"/*" => {
                depth += 1;
                index += 2;
            }
            b"*/" => {
                depth -= 1;
                index += 2;
                if depth == 0 {
                    return index - 1;
                }
            }
            _ => index += 1,
        }
    }
    bytes.len()
}
