//! `Redactor`: takes the values of secrets out of text before it is shown. `RedactedLines` does so for a stream of
//! bytes, whatever the pieces in which it comes.

use memchr::{memchr, memmem};

/// What stands in place of a secret.
const MASK: &[u8] = b"***";

/// Replaces each secret value by `***`.
#[derive(Clone, Default)]
pub struct Redactor {
    values: Vec<String>,
}

impl Redactor {
    /// Returns a redactor of `values`. Skips empty ones. Each line of a value counts by itself, since output is shown
    /// by lines; white space around it does not count, since programs trim it.
    pub fn new<I: IntoIterator<Item = String>>(values: I) -> Redactor {
        let mut lines: Vec<String> = Vec::new();
        for value in values {
            let parts = value.split(['\n', '\r']).map(|line| line.trim().to_owned());
            lines.extend(parts.filter(|line| !line.is_empty()));
        }
        lines.sort_by(|one, other| other.len().cmp(&one.len()).then_with(|| one.cmp(other)));
        lines.dedup();
        Redactor { values: lines }
    }

    /// Returns `text` without secrets. Secrets that overlap are replaced together.
    pub fn apply(&self, text: &str) -> String {
        if self.values.is_empty() {
            return text.to_owned();
        }
        let mut covered = vec![false; text.len()];
        self.cover(text.as_bytes(), &mut covered);
        let mut result = Vec::with_capacity(text.len());
        append(text.as_bytes(), &covered, &mut false, &mut result);
        // Values are whole characters, so what is left is too.
        String::from_utf8_lossy(&result).into_owned()
    }

    /// Returns the length in bytes of the longest value; 0 if there is none.
    pub(crate) fn longest(&self) -> usize {
        self.values.first().map_or(0, String::len)
    }

    /// Marks all bytes of `text` that belong to a secret.
    fn cover(&self, text: &[u8], covered: &mut [bool]) {
        for value in self.values.iter().map(String::as_bytes) {
            let mut begin = 0;
            while let Some(found) = memmem::find(&text[begin..], value) {
                let at = begin + found;
                covered[at..at + value.len()].fill(true);
                begin = at + 1;
            }
        }
    }

    /// Returns where the first secret begins that `text` may end within; the length of `text` if there is none.
    fn open_end(&self, text: &[u8]) -> usize {
        let from = text.len().saturating_sub(self.longest().saturating_sub(1));
        let begins = |at: &usize| {
            let rest = &text[*at..];
            self.values.iter().any(|value| value.len() > rest.len() && value.as_bytes().starts_with(rest))
        };
        (from..text.len()).find(begins).unwrap_or(text.len())
    }
}

/// Appends `text` to `result`, each run of covered bytes as one mask. `is_masked` says whether the text before ended
/// in such a run.
fn append(text: &[u8], covered: &[bool], is_masked: &mut bool, result: &mut Vec<u8>) {
    for (byte, is_covered) in text.iter().zip(covered) {
        if !is_covered {
            result.push(*byte);
        } else if !*is_masked {
            result.extend_from_slice(MASK);
        }
        *is_masked = *is_covered;
    }
}

/// Makes lines without secrets from the bytes of a stream. A secret may lie across any number of pieces. Only the
/// bytes that may be the beginning of a secret wait for the next piece.
pub(crate) struct RedactedLines<'a> {
    redactor: &'a Redactor,
    /// Longest line; a longer one is passed on in pieces.
    limit: usize,
    /// Bytes of the stream that are not looked at, or that a secret may begin with.
    raw: Vec<u8>,
    /// Number of bytes of `raw`, from its start, that belong to a secret which began before.
    covered: usize,
    is_masked: bool,
    /// The line so far, without secrets.
    line: Vec<u8>,
    /// True if a piece of the line was passed on already.
    is_begun: bool,
}

impl<'a> RedactedLines<'a> {
    pub fn new(redactor: &'a Redactor, limit: usize) -> RedactedLines<'a> {
        RedactedLines {
            redactor,
            limit,
            raw: Vec::new(),
            covered: 0,
            is_masked: false,
            line: Vec::new(),
            is_begun: false,
        }
    }

    /// Takes the next bytes and passes on the lines that they complete.
    pub fn push(&mut self, mut bytes: &[u8], on_line: &mut dyn FnMut(&str)) {
        while let Some(end) = memchr(b'\n', bytes) {
            self.raw.extend_from_slice(&bytes[..end]);
            self.take(self.raw.len(), on_line);
            self.end_line(on_line);
            bytes = &bytes[end + 1..];
        }
        self.raw.extend_from_slice(bytes);
        self.take(self.redactor.open_end(&self.raw), on_line);
    }

    /// Passes on what has no newline at its end.
    pub fn finish(mut self, on_line: &mut dyn FnMut(&str)) {
        self.take(self.raw.len(), on_line);
        if !self.line.is_empty() {
            self.end_line(on_line);
        }
    }

    /// Takes the first `end` bytes; none of them is the beginning of a secret that goes on after `raw`.
    fn take(&mut self, end: usize, on_line: &mut dyn FnMut(&str)) {
        if self.redactor.values.is_empty() {
            self.line.extend_from_slice(&self.raw[..end]);
            self.raw.drain(..end);
        } else {
            self.take_covered(end);
        }
        while self.line.len() > self.limit {
            let cut = self.cut();
            on_line(&String::from_utf8_lossy(&self.line[..cut]));
            self.line.drain(..cut);
            self.is_begun = true;
        }
    }

    /// Moves the first `end` bytes to the line, with masks in place of secrets.
    fn take_covered(&mut self, end: usize) {
        let mut covered = vec![false; self.raw.len()];
        let open = self.covered.min(covered.len());
        covered[..open].fill(true);
        self.redactor.cover(&self.raw, &mut covered);
        append(&self.raw[..end], &covered[..end], &mut self.is_masked, &mut self.line);
        self.raw.drain(..end);
        // Also a secret that ends within the bytes that wait: they are covered even if they begin no other.
        self.covered = covered[end..].iter().take_while(|is_covered| **is_covered).count();
    }

    /// Returns the length of the next piece of a long line: it ends where a character ends.
    fn cut(&self) -> usize {
        let is_inside = |at: &usize| self.line[*at] & 0xC0 == 0x80;
        (self.limit.saturating_sub(3)..=self.limit).rev().find(|at| !is_inside(at)).unwrap_or(self.limit)
    }

    fn end_line(&mut self, on_line: &mut dyn FnMut(&str)) {
        let text = String::from_utf8_lossy(&self.line);
        let text = text.trim_end_matches('\r');
        if !(text.is_empty() && self.is_begun) {
            on_line(text);
        }
        self.line.clear();
        (self.covered, self.is_masked, self.is_begun) = (0, false, false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redactor(values: &[&str]) -> Redactor {
        Redactor::new(values.iter().map(|value| (*value).to_owned()))
    }

    /// The lines of `text` that comes in pieces of `size` bytes.
    fn lines(values: &[&str], text: &[u8], size: usize, limit: usize) -> Vec<String> {
        let redactor = redactor(values);
        let mut found = Vec::new();
        let mut stream = RedactedLines::new(&redactor, limit);
        for piece in text.chunks(size) {
            stream.push(piece, &mut |line| found.push(line.to_owned()));
        }
        stream.finish(&mut |line| found.push(line.to_owned()));
        found
    }

    #[test]
    fn overlaps_and_lines() {
        for (values, text, expected) in [
            (&["abc", "abcdef", "l1\nl2", ""][..], "x abcdef abc l2 y", "x *** *** *** y"),
            (&["xab", "abc"], "-xabc-", "-***-"),
            (&["aa"], "baaaab", "b***b"),
            (&["  token\t\n"], "(token)", "(***)"),
            (&["a\r\nb"], "a-b", "***-***"),
            (&["é"], "caf\u{e9}", "caf***"),
            (&[], "abc", "abc"),
        ] {
            assert_eq!(redactor(values).apply(text), expected, "{values:?} in {text}");
        }
    }

    /// A stream gives the same lines as the whole text, in pieces of any size.
    #[test]
    fn pieces_do_not_matter() {
        let values = ["secret", "cretin", "first line\nsecond line", "aba", "se"];
        let text =
            "a secret\n\nsecretin se sec\r\nfirst line\nsecond line\nababababa b\u{e9}se\u{e9}\nno newline: secre";
        let expected: Vec<String> = text.lines().map(|line| redactor(&values).apply(line)).collect();
        for size in 1..=text.len() {
            assert_eq!(lines(&values, text.as_bytes(), size, 1000), expected, "in pieces of {size}");
        }
    }

    /// A line that is too long is cut, and no secret shows at the cut.
    #[test]
    fn long_lines_hide_secrets_too() {
        let secret = "CANARY0123456789";
        for before in 0..40 {
            let text = format!("{}{secret}{}\nend", "x".repeat(before), "y".repeat(50));
            let whole = format!("{}***{}", "x".repeat(before), "y".repeat(50));
            for (size, limit) in [(1, 8), (7, 8), (16, 20), (64, 8), (1000, 16), (3, 64)] {
                let found = lines(&[secret], text.as_bytes(), size, limit);
                assert!(found.iter().all(|line| line.len() <= limit), "{found:?}");
                assert_eq!(found.concat(), format!("{whole}end"), "{before} before it, {size}, {limit}");
            }
        }
    }

    /// Only what may be the beginning of a secret waits, and an endless overlap takes no memory.
    #[test]
    fn nothing_waits_without_need() {
        let redactor = redactor(&["aa", "password"]);
        let mut stream = RedactedLines::new(&redactor, 8);
        let mut found = Vec::new();
        stream.push(b"0123456789 pass", &mut |line| found.push(line.to_owned()));
        assert_eq!((found.concat().as_str(), stream.raw.as_slice()), ("01234567", &b"pass"[..]));
        stream.push(b"es", &mut |line| found.push(line.to_owned()));
        assert!(stream.raw.is_empty());
        for _ in 0..1000 {
            stream.push(b"aaaaaaaa", &mut |line| found.push(line.to_owned()));
            assert!(stream.raw.len() < 8 && stream.line.len() <= 16);
        }
        stream.finish(&mut |line| found.push(line.to_owned()));
        assert_eq!(found.concat(), "0123456789 passes***");
    }
}
