//! `GitQuery`: what `Git(…)` asks, as data. Asks nobody.

use std::fmt;

use rondel_names::SemanticVersion;

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
    /// The version that a release of HEAD has: its tag, or what follows the last one.
    Version(VersionForm),
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

/// `Version(…)`: which tags are versions, and the versions of commits without one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct VersionForm {
    /// What comes before the version or its `v` in a tag: `cli/`.
    pub prefix: String,
    /// The version of a commit that has no tag.
    pub snapshot: VersionTemplate,
    /// The version of a nightly build.
    pub nightly: VersionTemplate,
}

impl Default for VersionForm {
    fn default() -> VersionForm {
        let template = |text| VersionTemplate::parse(text).expect("a form by the rules");
        VersionForm { prefix: String::new(), snapshot: template(SNAPSHOT), nightly: template(NIGHTLY) }
    }
}

/// Version of a commit without a tag, where nothing is said.
pub(crate) const SNAPSHOT: &str = "{next_patch}-snapshot.{commits}.g{short_commit}";
/// Version of a nightly build, where nothing is said.
pub(crate) const NIGHTLY: &str = "{next_patch}-nightly.{date}";

/// `{next_patch}-nightly.{date}`: a version made of the last one and of facts of the commit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct VersionTemplate {
    written: String,
    parts: Vec<VersionPart>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum VersionPart {
    Text(String),
    Fact(VersionFact),
}

/// A fact that a version can be made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum VersionFact {
    /// The version of the last tag, `0.0.0` without one.
    Version,
    /// The patch after it.
    NextPatch,
    /// The minor version after it.
    NextMinor,
    /// Number of commits since that tag.
    Commits,
    /// The commit.
    Commit,
    /// Its first seven digits.
    ShortCommit,
    /// The committer's day in UTC, `20260131`.
    Date,
}

/// The facts by name, each with a value that is as odd as it can be.
const VERSION_FACTS: &[(&str, VersionFact, &str)] = &[
    ("version", VersionFact::Version, "1.2.3-rc.1"),
    ("next_patch", VersionFact::NextPatch, "1.2.4"),
    ("next_minor", VersionFact::NextMinor, "1.3.0"),
    ("commits", VersionFact::Commits, "10"),
    ("commit", VersionFact::Commit, "0123456701234567012345670123456701234567"),
    ("short_commit", VersionFact::ShortCommit, "0123456"),
    ("date", VersionFact::Date, "20260131"),
];

impl VersionTemplate {
    /// Reads a form; the error states the mistake.
    pub fn parse(text: &str) -> Result<VersionTemplate, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}').ok_or_else(|| "a `{` without its `}`".to_owned())?;
            let known = VERSION_FACTS.iter().find(|(known, ..)| *known == name);
            let fact = known.ok_or_else(|| format!("`{{{}}}` is no part of a version", name.escape_debug()))?.1;
            parts.extend([VersionPart::Text(before.to_owned()), VersionPart::Fact(fact)]);
            rest = after;
        }
        parts.push(VersionPart::Text(rest.to_owned()));
        let form = VersionTemplate { written: text.to_owned(), parts };
        let sample = |fact| VERSION_FACTS.iter().find(|(_, other, _)| *other == fact).map(|known| known.2.to_owned());
        let sample = form.fill(&mut |fact| sample(fact)).unwrap_or_default();
        match SemanticVersion::new(&sample) {
            Ok(_) => Ok(form),
            Err(why) => Err(format!("`{}` would be no semantic version: {why}", sample.escape_debug())),
        }
    }

    /// Returns the version; `None` if a fact has no answer.
    pub fn fill(&self, answer: &mut dyn FnMut(VersionFact) -> Option<String>) -> Option<String> {
        let of_part = |part: &VersionPart| match part {
            VersionPart::Text(text) => Some(text.clone()),
            VersionPart::Fact(fact) => answer(*fact),
        };
        self.parts.iter().map(of_part).collect()
    }
}

impl fmt::Display for VersionTemplate {
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
            GitQuery::Version(form) => form.fmt(formatter),
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

impl fmt::Display for VersionForm {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut options = Vec::new();
        let own = VersionForm::default();
        options.extend((self.prefix != own.prefix).then(|| format!("prefix: \"{}\"", self.prefix)));
        options.extend((self.snapshot != own.snapshot).then(|| format!("snapshot: \"{}\"", self.snapshot)));
        options.extend((self.nightly != own.nightly).then(|| format!("nightly: \"{}\"", self.nightly)));
        match options.is_empty() {
            true => formatter.write_str("Version"),
            false => write!(formatter, "Version({})", options.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_of_versions() {
        let form = VersionTemplate::parse("{version}-x.{commits}+g{short_commit}.{date}").unwrap();
        let filled = form.fill(&mut |fact| {
            Some(match fact {
                VersionFact::Version => "1.0.0".to_owned(),
                VersionFact::Commits => "3".to_owned(),
                _ => "y".to_owned(),
            })
        });
        assert_eq!(filled.as_deref(), Some("1.0.0-x.3+gy.y"));
        assert_eq!(form.fill(&mut |_| None), None);
        for (form, mistake) in [
            ("{nxt}", "`{nxt}` is no part of a version"),
            ("{version", "a `{` without its `}`"),
            ("nightly", "`nightly` would be no semantic version: `nightly` is not three numbers"),
            ("v{version}", "`v1.2.3-rc.1` would be no semantic version: `v1` is no number"),
            // A commit may have digits alone, with a zero before them.
            ("{next_patch}-{short_commit}", "`1.2.4-0123456` would be no semantic version: `0123456` begins with 0"),
            ("{next_patch}-a/b", "`1.2.4-a/b` would be no semantic version: `a/b` can't follow `-`"),
        ] {
            assert_eq!(VersionTemplate::parse(form).map(|_| ()), Err(mistake.to_owned()), "{form}");
        }
    }

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
