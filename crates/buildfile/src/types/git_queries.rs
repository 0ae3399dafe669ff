//! How the queries of `Git(…)` are read, with their options.

use crate::field::FieldType;
use crate::git_query::{DIGITS, Describe, GitQuery, TimeFormat};
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
    ("Dirty", || GitQuery::Dirty),
];

const WORDS: &[&str] =
    &["Describe", "Tag", "Commit", "ShortCommit", "CommitCount", "CommitTime", "CommitTimestamp", "Branch", "Dirty"];

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
