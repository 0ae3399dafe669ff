//! Output of children on our terminal: colours pass, other control sequences don't.

/// Returns `line` with colours (SGR sequences) and without other control sequences: no moved cursor, no cleared screen,
/// no changed title, no clipboard (OSC 52).
pub(crate) fn without_control_sequences(line: &str) -> String {
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
    use super::without_control_sequences as safe;

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
