//! `Parsed`: what a commit's message says by the rules of Conventional Commits 1.0.0. Another message is a subject alone.

use super::Commit;

/// A message in its parts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Parsed {
    /// The type in lower case: `feat`.
    pub kind: Option<String>,
    /// The part of the project that changed.
    pub scope: Option<String>,
    /// True if it has `!` or a footer that says so.
    pub breaks: bool,
    /// The first paragraph of the footer `BREAKING CHANGE`.
    pub note: Option<String>,
    pub subject: String,
}

impl Parsed {
    /// Returns the subject as it is: the first line that is not empty.
    pub fn plain(commit: &Commit) -> Parsed {
        let subject = commit.message.lines().find(|line| !line.trim().is_empty()).unwrap_or("(no message)");
        Parsed { subject: subject.trim().to_owned(), ..Parsed::default() }
    }

    /// Reads a message.
    pub fn of(commit: &Commit) -> Parsed {
        let plain = Parsed::plain(commit);
        let note = note(&commit.message);
        let Some((head, subject)) = plain.subject.split_once(": ") else {
            return Parsed { breaks: note.is_some(), note, ..plain };
        };
        let (head, has_mark) = head.strip_suffix('!').map_or((head, false), |head| (head, true));
        let (kind, scope) = match head.split_once('(') {
            None => (head, None),
            Some((kind, rest)) => (kind, Some(rest.strip_suffix(')').filter(|scope| !scope.contains(['(', ')'])))),
        };
        let is_type =
            !kind.is_empty() && kind.chars().all(|character| character.is_ascii_alphanumeric() || character == '-');
        if !is_type || scope == Some(None) || subject.trim().is_empty() {
            return Parsed { breaks: note.is_some(), note, ..plain };
        }
        Parsed {
            kind: Some(kind.to_ascii_lowercase()),
            scope: scope.flatten().filter(|scope| !scope.trim().is_empty()).map(|scope| scope.trim().to_owned()),
            breaks: has_mark || note.is_some(),
            note,
            subject: subject.trim().to_owned(),
        }
    }
}

/// Returns the first paragraph of the footer on what breaks. The words are in upper case, as the rules have them.
fn note(message: &str) -> Option<String> {
    let mut lines = message.lines().skip(1);
    let first = lines.find_map(|line| {
        ["BREAKING CHANGE: ", "BREAKING-CHANGE: "].into_iter().find_map(|word| line.strip_prefix(word))
    })?;
    let is_footer = |line: &str| line.split_once(": ").is_some_and(|(word, _)| !word.contains(' '));
    let rest = lines.take_while(|line| !line.trim().is_empty() && !is_footer(line));
    Some([first].into_iter().chain(rest).map(str::trim).collect::<Vec<_>>().join(" "))
}
