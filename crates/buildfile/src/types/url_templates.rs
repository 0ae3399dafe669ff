//! Addresses with a place for something: of commits, issues, archives. No text in one can leave a link of Markdown or a
//! string of another language.

use std::marker::PhantomData;

use crate::field::FieldType;
use crate::reader::Reader;
use crate::shape::Shape;
use crate::value::Value;
use crate::{Diagnostic, Span, Spanned};

/// The places that an address can have.
pub trait UrlPlaces {
    /// The place that it has to have.
    const NEEDED: &'static str;
    /// Others that it can have.
    const OTHERS: &'static [&'static str];
    /// What it is the address of, with an example.
    const EXPECTED: &'static str;
}

/// An address with places in braces.
#[derive(Clone, Debug)]
pub struct UrlTemplate<P> {
    text: Spanned<String>,
    places: PhantomData<P>,
}

/// Places of the address of a commit.
#[derive(Clone, Debug)]
pub enum OfCommit {}
/// Places of the address of an issue.
#[derive(Clone, Debug)]
pub enum OfIssue {}
/// Places of the address of an archive.
#[derive(Clone, Debug)]
pub enum OfArchive {}

/// Address of a commit, with `{hash}`.
pub type CommitUrl = UrlTemplate<OfCommit>;
/// Address of an issue, with `{number}`.
pub type IssueUrl = UrlTemplate<OfIssue>;
/// Address of an archive, with `{file}`, and `{version}` where it is needed.
pub type ArchiveUrl = UrlTemplate<OfArchive>;

impl UrlPlaces for OfCommit {
    const NEEDED: &'static str = "{hash}";
    const OTHERS: &'static [&'static str] = &[];
    const EXPECTED: &'static str = "the address of a commit, \"https://example.com/x/commit/{hash}\"";
}

impl UrlPlaces for OfIssue {
    const NEEDED: &'static str = "{number}";
    const OTHERS: &'static [&'static str] = &[];
    const EXPECTED: &'static str = "the address of an issue, \"https://example.com/x/issues/{number}\"";
}

impl UrlPlaces for OfArchive {
    const NEEDED: &'static str = "{file}";
    const OTHERS: &'static [&'static str] = &["{version}"];
    const EXPECTED: &'static str = "the address of an archive, \"https://example.com/x/v{version}/{file}\"";
}

impl<P> UrlTemplate<P> {
    /// Returns the text as written.
    pub fn text(&self) -> &Spanned<String> {
        &self.text
    }
}

/// Checks an address: `http` or `https`, and characters that stand for themselves everywhere.
pub(super) fn check_url(url: &str) -> Result<(), String> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    if rest.is_none_or(|rest| rest.is_empty() || rest.starts_with('/')) {
        return Err(format!("`{}` is no address", url.escape_debug()));
    }
    let is_sound = |character: char| character.is_ascii_alphanumeric() || "-._~:/?#@!$&*+,;=%".contains(character);
    match url.chars().find(|character| !is_sound(*character)) {
        None => Ok(()),
        Some(character) => Err(format!("`{}` can't be in an address", character.escape_debug())),
    }
}

impl<P: UrlPlaces + Clone + std::fmt::Debug> FieldType for UrlTemplate<P> {
    const PLURAL: &'static str = "addresses";

    fn read(reader: &mut Reader<'_>, value: Value<'_>) -> Option<UrlTemplate<P>> {
        let text = reader.string(value, P::EXPECTED)?;
        let without =
            [P::NEEDED].iter().chain(P::OTHERS).fold(text.value.clone(), |text, place| text.replace(place, "x"));
        let message = match check_url(&without) {
            Ok(()) if text.value.contains(P::NEEDED) => return Some(UrlTemplate { text, places: PhantomData }),
            Ok(()) => format!("the address has no `{}`", P::NEEDED),
            Err(message) => message,
        };
        reader.report(Diagnostic::new(text.span, message).hint(format!("write {}", P::EXPECTED)));
        None
    }

    fn place(&mut self, span: Span) {
        self.text.span = span;
    }

    fn shape() -> Shape {
        Shape::string("address", "^https?://.")
    }
}
