//! `Log`: the end of what a step prints, in bounded memory.

use crate::text::tail;

/// Maximum number of bytes that are kept meanwhile; a record keeps less.
const KEPT_MAX: usize = 64 << 10;
/// Maximum number of bytes of one line.
const LINE_MAX: usize = 4 << 10;

/// Lines, of which the first ones go if they are many.
#[derive(Debug, Default)]
pub struct Log {
    text: String,
    left_out: u64,
}

impl Log {
    /// Adds a line, without its newline.
    pub fn push(&mut self, line: &str) {
        let mut end = line.len().min(LINE_MAX);
        while !line.is_char_boundary(end) {
            end -= 1;
        }
        self.text.push_str(&line[..end]);
        if end < line.len() {
            self.text.push('…');
        }
        self.text.push('\n');
        if self.text.len() > KEPT_MAX {
            self.left_out += tail(&mut self.text, KEPT_MAX / 2);
        }
    }

    /// Returns the lines, and the number of those before them.
    pub fn finish(self) -> (String, u64) {
        (self.text, self.left_out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_stay() {
        let mut log = Log::default();
        for number in 0..100_000 {
            log.push(&format!("line {number}"));
        }
        log.push(&"ä".repeat(LINE_MAX));
        let (text, left_out) = log.finish();
        assert!(text.len() <= KEPT_MAX, "{}", text.len());
        assert_eq!(text.lines().count() as u64 + left_out, 100_001);
        assert!(text.ends_with("ä…\n") && text.contains("line 99999\n"));
    }
}
