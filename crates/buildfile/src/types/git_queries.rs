//! How the queries of `Git(…)` are read, with their options.

use crate::field::FieldType;
use crate::git_query::{DIGITS, Describe, GitQuery, NIGHTLY, SNAPSHOT, TimeFormat, VersionForm, VersionTemplate};
use crate::reader::Reader;
use crate::record::{Record, record};
use crate::shape::{Default, Shape};
use crate::value::Value;
use crate::{Diagnostic, Span};

/// Makes a query.
type Make = fn() -> GitQuery;

/// The queries without options.
const QUERIES: &[(&str, Make)] = &[
    ("Describe", || GitQuery::Describe(Describe::default())),
    ("Tag", || GitQuery::Tag),
    ("Commit", || GitQuery::Commit),
    ("ShortCommit", || GitQuery::ShortCommit(DIGITS)),
    ("CommitCount", || GitQuery::CommitCount),
    ("CommitTime", || GitQuery::CommitTime(None)),
    ("CommitTimestamp", || GitQuery::CommitTimestamp),
    ("Branch", || GitQuery::Branch),
    ("Version", || GitQuery::Version(VersionForm::default())),
    ("Dirty", || GitQuery::Dirty),
];

const WORDS: &[&str] = &[
    "Describe",
    "Tag",
    "Commit",
    "ShortCommit",
    "CommitCount",
    "CommitTime",
    "CommitTimestamp",
    "Branch",
    "Version",
    "Dirty",
];

record! {
    /// Options of `Describe`.
    DescribeOptions = "Describe" {
        /// Pattern of the tags that count, as git has it: `"v*"`.
        r#match: Option<TagPattern> = None,
        /// Whether HEAD itself has to have the tag. If it has none, git has no answer.
        exact: bool = false,
        /// Whether only the first parent of a merge is followed.
        first_parent: bool = false,
        /// Digits of the commit, from 4; 0 for the tag alone.
        abbrev: Digits = Digits(DIGITS),
        /// Whether the commit is named where HEAD has the tag too: `v1.2-0-g…`.
        long: bool = false,
        /// What follows if a source file of the step differs from its commit: `"-dirty"`.
        dirty: Option<String> = None,
    }
}

record! {
    /// Options of `CommitTime`.
    CommitTimeOptions = "CommitTime" {
        /// Form of the time: `%Y`, `%m`, `%d`, `%H`, `%M`, `%S`, `%%` and any text.
        format: Option<TimeForm> = None,
    }
}

record! {
    /// Options of `Version`.
    VersionOptions = "Version" {
        /// What comes before the version or its `v` in a tag: `"cli/"` for `cli/v1.2.3`.
        prefix: TagPrefix = TagPrefix(String::new()),
        /// Version of a commit without a tag, and of all with `--snapshot`: of `{version}` (of the last tag), `{next_patch}`, `{next_minor}`,
        /// `{commits}` (since that tag), `{commit}`, `{short_commit}`, `{date}` (of the commit).
        snapshot: VersionText = VersionText::known(SNAPSHOT),
        /// Version with `--nightly`.
        nightly: VersionText = VersionText::known(NIGHTLY),
    }
}

/// What comes before the version in a tag.
#[derive(Clone, Debug)]
pub struct TagPrefix(String);

/// The form of a version.
#[derive(Clone, Debug)]
pub struct VersionText(VersionTemplate);

impl VersionText {
    fn known(text: &str) -> VersionText {
        VersionText(VersionTemplate::parse(text).expect("a form by the rules"))
    }
}

/// A pattern of tags.
#[derive(Clone, Debug)]
pub struct TagPattern(String);

/// Number of digits of a commit, or 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digits(usize);

/// The form of a time.
#[derive(Clone, Debug)]
pub struct TimeForm(TimeFormat);

impl GitQuery {
    /// Returns the shape of the argument.
    pub(crate) fn shape() -> Shape {
        let call = |name, fields| Shape::CallWith { name, arguments: Vec::new(), required: 0, fields };
        Shape::OneOf(vec![
            Shape::Words(WORDS),
            call(DescribeOptions::WORD, DescribeOptions::fields()),
            Shape::call("ShortCommit", Shape::Integer { min: 4, max: 40 }),
            call(CommitTimeOptions::WORD, CommitTimeOptions::fields()),
            call(VersionOptions::WORD, VersionOptions::fields()),
        ])
    }
}

impl Reader<'_> {
    /// Reads the argument of `Git(…)`.
    pub(super) fn git_query(&mut self, value: Value<'_>) -> Option<GitQuery> {
        let span = value.span();
        let call = value.call();
        match call.as_ref().map(|call| (call.name, call.arguments)) {
            Some(("Describe", Some(arguments))) => {
                let options: DescribeOptions = self.query_options(span, arguments)?;
                if options.long && options.abbrev.0 == 0 {
                    let message = "`long` names the commit, and `abbrev: 0` leaves it out";
                    self.report(Diagnostic::new(span, message).hint("remove one of the two"));
                    return None;
                }
                Some(GitQuery::Describe(Describe {
                    pattern: options.r#match.map(|pattern| pattern.0),
                    exact: options.exact,
                    first_parent: options.first_parent,
                    abbrev: options.abbrev.0,
                    long: options.long,
                    dirty: options.dirty,
                }))
            }
            Some(("CommitTime", Some(arguments))) => {
                let options: CommitTimeOptions = self.query_options(span, arguments)?;
                Some(GitQuery::CommitTime(options.format.map(|format| format.0)))
            }
            Some(("Version", Some(arguments))) => {
                let options: VersionOptions = self.query_options(span, arguments)?;
                let (snapshot, nightly) = (options.snapshot.0, options.nightly.0);
                Some(GitQuery::Version(VersionForm { prefix: options.prefix.0, snapshot, nightly }))
            }
            Some(("ShortCommit", Some(arguments))) => {
                let arguments = self.kept(arguments.positional())?;
                let [digits] = arguments.as_slice() else {
                    self.report(Diagnostic::new(span, "`ShortCommit` takes a number of digits, `ShortCommit(7)`"));
                    return None;
                };
                self.digits(*digits, false).map(GitQuery::ShortCommit)
            }
            _ => self.choice(value, QUERIES).map(|query| query()),
        }
    }

    fn query_options<R: Record>(&mut self, span: Span, arguments: Value<'_>) -> Option<R> {
        let mut fields = self.fields(R::WORD, span, Some(arguments))?;
        let options = R::read(self, &mut fields);
        self.finish(fields);
        options
    }

    /// Reads a number of digits that git takes.
    fn digits(&mut self, value: Value<'_>, may_be_none: bool) -> Option<usize> {
        let digits = self.kept(value.parse::<usize>("a number of digits"))?;
        if (4..=40).contains(&digits) || may_be_none && digits == 0 {
            return Some(digits);
        }
        let none = if may_be_none { ", or 0" } else { "" };
        self.report(Diagnostic::new(value.span(), format!("expected 4 to 40 digits{none}")));
        None
    }
}

impl FieldType for Digits {
    const PLURAL: &'static str = "numbers";

    fn read(reader: &mut Reader<'_>, value: Value<'_>) -> Option<Digits> {
        reader.digits(value, true).map(Digits)
    }

    fn shape() -> Shape {
        Shape::Integer { min: 0, max: 40 }
    }

    fn as_default(&self) -> Default {
        Default::Number(self.0 as u64)
    }
}

impl TagPattern {
    /// Returns the pattern.
    pub fn text(&self) -> &str {
        &self.0
    }
}

impl FieldType for TagPattern {
    const PLURAL: &'static str = "patterns";

    fn read(reader: &mut Reader<'_>, value: Value<'_>) -> Option<TagPattern> {
        let text = reader.string(value, "a pattern of tags, \"v*\"")?;
        if text.value.is_empty() {
            reader.report(Diagnostic::new(text.span, "an empty pattern matches no tag").hint("write \"v*\""));
            return None;
        }
        Some(TagPattern(text.value))
    }

    fn shape() -> Shape {
        Shape::string("pattern of tags", "^.")
    }
}

impl FieldType for TagPrefix {
    const PLURAL: &'static str = "prefixes";

    fn read(reader: &mut Reader<'_>, value: Value<'_>) -> Option<TagPrefix> {
        let text = reader.string(value, "the beginning of tags, \"cli/\"")?;
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/".contains(&byte);
        if text.value.bytes().all(is_plain) && !text.value.starts_with('-') {
            return Some(TagPrefix(text.value));
        }
        let message = "a prefix of tags has letters, digits, `.`, `_`, `-` and `/`";
        reader.report(Diagnostic::new(text.span, message).hint("write \"cli/\" for tags like `cli/v1.2.3`"));
        None
    }

    fn shape() -> Shape {
        Shape::string("beginning of tags", "^([A-Za-z0-9._/][A-Za-z0-9._/-]*)?$")
    }

    fn as_default(&self) -> Default {
        Default::String(self.0.clone())
    }
}

impl FieldType for VersionText {
    const PLURAL: &'static str = "versions";

    fn read(reader: &mut Reader<'_>, value: Value<'_>) -> Option<VersionText> {
        let text = reader.string(value, "a version like \"{next_patch}-nightly.{date}\"")?;
        match VersionTemplate::parse(&text.value) {
            Ok(form) => Some(VersionText(form)),
            Err(message) => {
                let hint = "a version has `{version}`, `{next_patch}`, `{next_minor}`, `{commits}`, `{commit}`, `{short_commit}`, \
                            `{date}` and any text that a semantic version can have";
                reader.report(Diagnostic::new(text.span, message).hint(hint));
                None
            }
        }
    }

    fn shape() -> Shape {
        Shape::string("form of a version", "^.")
    }

    fn as_default(&self) -> Default {
        Default::String(self.0.to_string())
    }
}

impl FieldType for TimeForm {
    const PLURAL: &'static str = "formats";

    fn read(reader: &mut Reader<'_>, value: Value<'_>) -> Option<TimeForm> {
        let text = reader.string(value, "a format like \"%Y-%m-%d\"")?;
        match TimeFormat::parse(&text.value) {
            Ok(format) => Some(TimeForm(format)),
            Err(message) => {
                let hint = "a format has `%Y`, `%m`, `%d`, `%H`, `%M`, `%S` (UTC), `%%` and any text";
                reader.report(Diagnostic::new(text.span, message).hint(hint));
                None
            }
        }
    }

    fn shape() -> Shape {
        Shape::string("format of a time", "^([^%]|%[YmdHMS%])*$")
    }
}
