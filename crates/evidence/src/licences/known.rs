//! The licences that are known: short ones as patterns, long ones by the digest of their words.

use std::sync::OnceLock;

use rondel_cas::Digest;

use super::pattern::Pattern;
use super::words::Words;

/// A long text: `id first-words… count digest`. That of a GPL has 35 KB, and its words are the same everywhere.
pub(super) struct Fixed {
    /// Identifier of SPDX; `-` for an appendix.
    pub id: &'static str,
    begin: Vec<&'static str>,
    count: usize,
    digest: &'static str,
}

/// A short text.
pub(super) struct Short {
    /// Identifier of SPDX.
    pub id: &'static str,
    /// Its text, with the places where texts differ.
    pub pattern: Pattern,
}

const FIXED: &str = include_str!("fixed.txt");

const SHORT: &[(&str, &str)] = &[
    ("0BSD", include_str!("texts/0BSD.txt")),
    ("Apache-2.0", include_str!("texts/Apache-2.0-notice.txt")),
    ("BSD-2-Clause", include_str!("texts/BSD-2-Clause.txt")),
    ("BSD-3-Clause", include_str!("texts/BSD-3-Clause.txt")),
    ("BSL-1.0", include_str!("texts/BSL-1.0.txt")),
    ("ISC", include_str!("texts/ISC.txt")),
    ("MIT", include_str!("texts/MIT.txt")),
    ("Unlicense", include_str!("texts/Unlicense.txt")),
    ("Zlib", include_str!("texts/Zlib.txt")),
    ("-", include_str!("texts/Apache-2.0-appendix.txt")),
    ("-", include_str!("texts/remarks.txt")),
];

/// Returns the long and the short texts.
pub(super) fn known() -> &'static (Vec<Fixed>, Vec<Short>) {
    static KNOWN: OnceLock<(Vec<Fixed>, Vec<Short>)> = OnceLock::new();
    KNOWN.get_or_init(|| {
        let fixed = FIXED.lines().filter(|line| !line.starts_with('#')).map(Fixed::of_line).collect();
        let short = SHORT.iter().map(|(id, text)| Short { id, pattern: Pattern::new(text) }).collect();
        (fixed, short)
    })
}

impl Fixed {
    fn of_line(line: &'static str) -> Fixed {
        let columns: Vec<&str> = line.split('\t').collect();
        let [id, begin, count, digest] = columns[..] else { panic!("fixed.txt has four columns") };
        Fixed { id, begin: begin.split(' ').collect(), count: count.parse().expect("a number"), digest }
    }

    /// Returns the number of words if the text stands at `at`.
    pub fn matches(&self, words: &Words, at: usize) -> Option<usize> {
        if !self.begin.iter().enumerate().all(|(index, word)| words.get(at + index) == Some(*word)) {
            return None;
        }
        let text = words.joined(at, self.count)?;
        (Digest::of(text.as_bytes()).hex() == self.digest).then_some(self.count)
    }
}
