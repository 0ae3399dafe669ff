//! `GitQuery`: what `Git(…)` asks, as data. Asks nobody.

use std::fmt;

/// The queries of `Git(…)`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum GitQuery {
    /// `git describe --tags --always --abbrev=12`, or what its options say.
    Describe(Describe),
    /// The tag of HEAD itself.
    Tag,
    /// The commit, 40 hex digits.
    Commit,
    /// Its first digits.
    ShortCommit(usize),
    /// Number of commits that HEAD has behind it, with itself.
    CommitCount,
    /// Committer's time in UTC: RFC 3339, or as the format says.
    CommitTime(Option<TimeFormat>),
    /// Committer's time, seconds since 1970.
    CommitTimestamp,
    /// The branch.
    Branch,
    /// `-dirty` if a source file of the step differs from its commit, else nothing.
    Dirty,
}

/// Digits of a commit where nothing is said.
pub(crate) const DIGITS: usize = 12;

/// `Describe(…)`: which tags count, and the form of the answer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Describe {
    /// Pattern of the tags that count.
    pub pattern: Option<String>,
    /// True if HEAD itself has to have the tag.
    pub exact: bool,
    /// True if only first parents are followed.
    pub first_parent: bool,
    /// Digits of the commit; 0 for the tag alone.
    pub abbrev: usize,
    /// True if the commit is named where HEAD has the tag too.
    pub long: bool,
    /// What follows where sources differ from their commit.
    pub dirty: Option<String>,
}

impl Default for Describe {
    fn default() -> Describe {
        Describe { pattern: None, exact: false, first_parent: false, abbrev: DIGITS, long: false, dirty: None }
    }
}

/// `%Y-%m-%d`: the form of a time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimeFormat {
    written: String,
    parts: Vec<TimePart>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum TimePart {
    Text(char),
    /// A number of RFC 3339, by position.
    Number(usize),
}

/// The fields of a format, in the order of RFC 3339.
const TIME_FIELDS: &[char] = &['Y', 'm', 'd', 'H', 'M', 'S'];

impl TimeFormat {
    /// Reads a format; the error states the mistake.
    pub fn parse(text: &str) -> Result<TimeFormat, String> {
        let mut parts = Vec::new();
        let mut characters = text.chars();
        while let Some(character) = characters.next() {
            if character != '%' {
                parts.push(TimePart::Text(character));
                continue;
            }
            let field = characters.next();
            let position = TIME_FIELDS.iter().position(|known| Some(*known) == field);
            parts.push(match (field, position) {
                (_, Some(position)) => TimePart::Number(position),
                (Some('%'), None) => TimePart::Text('%'),
                (field, None) => {
                    let field: String = field.into_iter().collect();
                    return Err(format!("`%{}` is no part of a time", field.escape_debug()));
                }
            });
        }
        Ok(TimeFormat { written: text.to_owned(), parts })
    }

    /// Returns the time `created`, RFC 3339 in UTC without fractions, in this form.
    pub fn fill(&self, created: &str) -> String {
        let numbers: Vec<&str> = created.split(|character: char| !character.is_ascii_digit()).collect();
        let mut text = String::new();
        for part in &self.parts {
            match part {
                TimePart::Text(character) => text.push(*character),
                TimePart::Number(position) => text.push_str(numbers.get(*position).copied().unwrap_or_default()),
            }
        }
        text
    }
}

impl fmt::Display for TimeFormat {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.written)
    }
}

impl fmt::Display for GitQuery {
    /// Writes it as in build.ron.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GitQuery::Describe(describe) => describe.fmt(formatter),
            GitQuery::Tag => formatter.write_str("Tag"),
            GitQuery::Commit => formatter.write_str("Commit"),
            GitQuery::ShortCommit(DIGITS) => formatter.write_str("ShortCommit"),
            GitQuery::ShortCommit(digits) => write!(formatter, "ShortCommit({digits})"),
            GitQuery::CommitCount => formatter.write_str("CommitCount"),
            GitQuery::CommitTime(None) => formatter.write_str("CommitTime"),
            GitQuery::CommitTime(Some(format)) => write!(formatter, "CommitTime(format: \"{format}\")"),
            GitQuery::CommitTimestamp => formatter.write_str("CommitTimestamp"),
            GitQuery::Branch => formatter.write_str("Branch"),
            GitQuery::Dirty => formatter.write_str("Dirty"),
        }
    }
}

impl fmt::Display for Describe {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut options = Vec::new();
        options.extend(self.pattern.as_ref().map(|pattern| format!("match: \"{pattern}\"")));
        options.extend(self.exact.then(|| "exact: true".to_owned()));
        options.extend(self.first_parent.then(|| "first_parent: true".to_owned()));
        options.extend((self.abbrev != DIGITS).then(|| format!("abbrev: {}", self.abbrev)));
        options.extend(self.long.then(|| "long: true".to_owned()));
        options.extend(self.dirty.as_ref().map(|dirty| format!("dirty: \"{dirty}\"")));
        match options.is_empty() {
            true => formatter.write_str("Describe"),
            false => write!(formatter, "Describe({})", options.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        let filled = |format: &str| TimeFormat::parse(format).map(|format| format.fill("2026-01-02T03:04:05Z"));
        for (format, text) in [
            ("%Y-%m-%d", "2026-01-02"),
            ("%Y%m%d.%H%M%S", "20260102.030405"),
            ("100%% %Y", "100% 2026"),
            ("", ""),
            ("ä", "ä"),
        ] {
            assert_eq!(filled(format).as_deref(), Ok(text), "{format}");
        }
        for (format, field) in [("%y", "%y"), ("%Y-%", "%"), ("%ä", "%ä"), ("%-d", "%-")] {
            assert_eq!(filled(format), Err(format!("`{field}` is no part of a time")), "{format}");
        }
    }
}
