//! Text around a difference: the readable words there, and whether they look like a time.

/// Returns the readable text around `offset`, at most 100 characters.
pub(crate) fn text_around(bytes: &[u8], offset: usize) -> String {
    let is_text = |byte: &u8| (0x20..0x7f).contains(byte) || *byte >= 0x80;
    let offset = offset.min(bytes.len());
    let before = bytes[..offset].iter().rev().take(40).take_while(|byte| is_text(byte)).count();
    let after = bytes[offset..].iter().take(60).take_while(|byte| is_text(byte)).count();
    String::from_utf8_lossy(&bytes[offset - before..offset + after]).escape_debug().to_string()
}

/// Returns true if a text holds something like a time: present-day seconds since 1970, or a date.
pub(crate) fn looks_like_time(text: &str) -> bool {
    let bytes = text.as_bytes();
    let is_date = bytes.windows(10).any(|window| {
        let digits = |range: std::ops::Range<usize>| window[range].iter().all(u8::is_ascii_digit);
        digits(0..4) && window[4] == b'-' && digits(5..7) && window[7] == b'-' && digits(8..10)
    });
    let is_clock = bytes.windows(8).any(|window| {
        let digit = |index: usize| window[index].is_ascii_digit();
        digit(0) && digit(1) && window[2] == b':' && digit(3) && digit(4) && window[5] == b':' && digit(6) && digit(7)
    });
    let is_count = text.split(|character: char| !character.is_ascii_digit()).any(|digits| {
        matches!(digits.len(), 10 | 13 | 16 | 19)
            && digits[..10].parse::<u64>().is_ok_and(|seconds| (1_000_000_000..4_102_444_800).contains(&seconds))
    });
    is_date || is_clock || is_count
}

/// Returns true if `needle` is in `haystack`.
pub(crate) fn contains(haystack: &[u8], needle: &str) -> bool {
    let needle = needle.as_bytes();
    if needle.is_empty() || haystack.len() < needle.len() {
        return false;
    }
    let mut begin = 0;
    while let Some(at) = haystack[begin..].iter().position(|byte| *byte == needle[0]) {
        if haystack[begin + at..].starts_with(needle) {
            return true;
        }
        begin += at + 1;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        for text in ["1732412345", "built 2026-11-24T03:04:05Z", "at 03:04:05", "t=1732412345123456789x"] {
            assert!(looks_like_time(text), "{text}");
        }
        for text in ["v1.2.3", "9999999999", "12-34-56", "abc", "0123456789"] {
            assert!(!looks_like_time(text), "{text}");
        }
    }
}
