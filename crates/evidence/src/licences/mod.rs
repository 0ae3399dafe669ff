//! Licences by their text: which files of a module hold one, and which licence a text is.
//!
//! A text is compared word by word, without case, punctuation and line breaks. What is left beside the licence may be
//! a title and lines that say whose the copyright is, nothing else: a changed or added word makes the text unknown. So an
//! unusual condition is never covered by a usual name; the price is that some texts stay unknown that a person would name.
//!
//! GPL, LGPL and AGPL are given as `-only`, since whether later versions are allowed stands in the sources and not in
//! this text: nobody is promised more than there is.

mod known;
mod pattern;
mod remainder;
mod words;

use known::known;
use remainder::says_more;
use words::Words;

use crate::expression::and_expression;

/// Version of the knowledge of licences, for keys.
pub const LICENCES_FORMAT: &str = "licences-1";

/// Maximum size of a text that is looked at, in bytes.
const TEXT_MAX: usize = 256 << 10;

/// Returns true if a file of a module's root holds a licence, by its name: `LICENSE`, `COPYING.md`, `LICENSE-MIT`.
pub fn is_licence_file(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let Some(rest) = ["license", "licence", "unlicense", "copying"].iter().find_map(|begin| name.strip_prefix(begin))
    else {
        return false;
    };
    // Documentation has a licence of its own, and none of it is in a program.
    let ending = rest.rsplit_once('.').map_or("", |(_, ending)| ending);
    let is_source =
        matches!(ending, "go" | "tmpl" | "docs" | "header" | "json" | "yml" | "yaml" | "sh" | "py" | "html");
    !is_source && (rest.is_empty() || rest.starts_with(['.', '-', '_']))
}

/// Returns the licence of a module as an SPDX expression, from its licence files (in any order). `None` if there is none,
/// or one of them is unknown.
pub fn licence_of_files<'a>(texts: impl IntoIterator<Item = &'a [u8]>) -> Option<String> {
    let mut found = Vec::new();
    for text in texts {
        found.push(licence_of_text(text)?);
    }
    // The LGPL is written as additions to the GPL, whose text lies beside it.
    if found.iter().any(|one| one == "LGPL-3.0-only") {
        found.retain(|one| one != "GPL-3.0-only");
    }
    and_expression(&found)
}

/// Returns the licence of a text as an SPDX expression, if the text is nothing but licences.
pub fn licence_of_text(text: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(text.get(..TEXT_MAX.min(text.len()))?).ok().filter(|_| text.len() <= TEXT_MAX)?;
    let words = Words::of(text);
    let (fixed, patterns) = known();
    let mut found: Vec<String> = Vec::new();
    let mut covered = vec![false; words.len()];
    let mut at = 0;
    while at < words.len() {
        let of_fixed = fixed.iter().filter_map(|one| Some((one.matches(&words, at)?, one.id)));
        let of_patterns = patterns.iter().filter_map(|one| Some((one.pattern.longest(&words, at)?, one.id)));
        let Some((length, id)) = of_fixed.chain(of_patterns).max_by_key(|(length, _)| *length) else {
            at += 1;
            continue;
        };
        covered[at..at + length].fill(true);
        at += length;
        // An appendix is no licence.
        if id != "-" {
            found.push(id.to_owned());
        }
    }
    if says_more(text, &words, &covered) {
        return None;
    }
    and_expression(&found)
}

#[cfg(test)]
mod tests;
