//! What stands beside a licence in its file: titles, and whose the copyright is. Anything else says more than the licence.

use super::words::Words;

/// Maximum number of words of a line that says whose the copyright is.
const NOTICE_MAX: usize = 30;

/// Words that stand in conditions, and not in names of holders.
pub(super) const CONDITIONS: &[&str] = &[
    "agree",
    "agreement",
    "clause",
    "commercial",
    "condition",
    "conditions",
    "derivative",
    "distribute",
    "except",
    "excluding",
    "forbidden",
    "free",
    "grant",
    "granted",
    "license",
    "licensed",
    "licence",
    "may",
    "modify",
    "must",
    "non",
    "not",
    "only",
    "permission",
    "permitted",
    "prohibited",
    "purpose",
    "restricted",
    "restriction",
    "shall",
    "subject",
    "terms",
    "unless",
    "use",
    "warranty",
    "without",
];

/// Lines that are titles.
const TITLES: &[&str] = &[
    "license",
    "licence",
    "copyright",
    "the license",
    "license text",
    "software license",
    "copyright notice",
    "mit license",
    "the mit license",
    "the mit license mit",
    "mit license mit",
    "mit",
    "license mit",
    "mit expat license",
    "mit license expat",
    "original work",
    "modified work",
    "http www opensource org licenses mit license php",
    "the mit expat license",
    "licensed under the mit license",
    "isc license",
    "the isc license",
    "isc",
    "isc license isc",
    "zlib license",
    "the zlib license",
    "bsd license",
    "the bsd license",
    "new bsd license",
    "bsd 3 clause license",
    "the bsd 3 clause license",
    "bsd 3 clause new or revised license",
    "bsd 2 clause license",
    "the bsd 2 clause license",
    "bsd 2 clause simplified license",
    "bsd 3 clause",
    "bsd 2 clause",
    "bsd three clause license",
    "bsd two clause license",
    "simplified bsd license",
    "modified bsd license",
    "3 clause bsd license",
    "2 clause bsd license",
    "apache license",
    "the apache license",
    "apache license version 2 0",
    "apache license 2 0",
    "bsd zero clause license",
    "zero clause bsd",
    "0bsd",
    "boost software license version 1 0",
    "unlicense",
    "the unlicense",
    "mozilla public license version 2 0",
    "all rights reserved",
    "all rights reserved worldwide",
];

/// Returns true if a line of the text that the licences do not cover is neither a title nor a notice.
pub(super) fn says_more(text: &str, words: &Words, covered: &[bool]) -> bool {
    let lines: Vec<&str> = text.lines().collect();
    let mut at = 0;
    let mut last_was_notice = false;
    while at < words.len() {
        let line = words.line(at);
        let end = (at..words.len()).find(|next| words.line(*next) != line).unwrap_or(words.len());
        let left: Vec<&str> = (at..end).filter(|one| !covered[*one]).filter_map(|one| words.get(one)).collect();
        if !left.is_empty() {
            let is_notice = is_notice(lines[line], &left, last_was_notice);
            if !is_notice && !TITLES.contains(&left.join(" ").as_str()) {
                return true;
            }
            last_was_notice = is_notice;
        }
        at = end;
    }
    false
}

/// Returns true if a line says whose the copyright is, or goes on with that.
fn is_notice(line: &str, left: &[&str], last_was_notice: bool) -> bool {
    if left.len() > NOTICE_MAX || left.iter().any(|word| CONDITIONS.contains(word)) {
        return false;
    }
    let is_year = |word: &str| word.len() == 4 && word.bytes().all(|byte| byte.is_ascii_digit());
    let has_sign = line.contains('©') || line.to_ascii_lowercase().contains("(c)");
    let begins = left.iter().take(4).any(|word| *word == "copyright" || *word == "copyrights");
    let ends = left.ends_with(&["all", "rights", "reserved"]);
    let goes_on = last_was_notice && (is_year(left[0]) || ends || line.contains('@'));
    // Which files a licence is for: all licences of a text are asked for, so it changes nothing.
    let is_scope = line.trim().strip_prefix("Files: ").is_some_and(|path| !path.contains(' '));
    begins || has_sign || goes_on || is_scope
}
