//! `Value`: a slice of build.ron that knows its place and can be cut further.
//!
//! `ron` does the parsing. It returns raw slices only, since those keep positions, order and duplicates, which it drops
//! otherwise.

use std::fmt;

use ron::value::RawValue;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::list_hint::list_hint;
use crate::{Diagnostic, Span};

/// What to write instead of a map in other brackets.
const MAP_HINT: &str = "a map is written in braces: `{\"name\": value}`";

/// One value of the file, unparsed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Value<'a> {
    /// The whole text of the file.
    source: &'a str,
    /// The value's own text, a slice of `source`.
    text: &'a str,
}

/// A named value, with the place of its name.
pub(crate) struct Named<'a> {
    pub name: String,
    pub name_span: Span,
    pub value: Value<'a>,
}

/// `Name`, `Name(…)` or `Name(field: …)`.
pub(crate) struct Call<'a> {
    pub name: &'a str,
    pub name_span: Span,
    /// The parentheses and their contents; `None` if there are none.
    pub arguments: Option<Value<'a>>,
}

impl<'a> Value<'a> {
    /// Returns the whole file.
    pub fn whole(source: &'a str) -> Value<'a> {
        Value { source, text: source }.trimmed()
    }

    fn child(&self, text: &'a str) -> Value<'a> {
        Value { source: self.source, text }.trimmed()
    }

    /// Returns the value without white space and comments before it, and without white space after it.
    fn trimmed(self) -> Value<'a> {
        let mut text = self.text.trim();
        loop {
            if let Some(comment) = text.strip_prefix("//") {
                // Always a slice of the source, even an empty one: places are computed from it.
                text = comment.split_once('\n').map_or(&comment[comment.len()..], |(_, rest)| rest).trim_start();
            } else if let Some(comment) = text.strip_prefix("/*") {
                text = comment.split_once("*/").map_or(&comment[comment.len()..], |(_, rest)| rest).trim_start();
            } else {
                return Value { source: self.source, text };
            }
        }
    }

    pub fn span(&self) -> Span {
        let start = offset_in(self.source, self.text);
        Span { start, end: start + self.text.len() }
    }

    /// Returns true if it begins like a string.
    pub fn is_string(&self) -> bool {
        let raw = self.text.strip_prefix('r').map(|rest| rest.trim_start_matches('#'));
        self.text.starts_with('"') || raw.is_some_and(|rest| rest.starts_with('"'))
    }

    /// Parses the slice as `T`; the error says that it should have been `expected`.
    pub fn parse<T: Deserialize<'a>>(&self, expected: &str) -> Result<T, Diagnostic> {
        ron::from_str(self.text).map_err(|error| self.diagnose(&error, expected))
    }

    pub fn list(&self, expected: &str) -> Result<Vec<Value<'a>>, Diagnostic> {
        if !self.text.starts_with('[') {
            let error = self.unexpected(expected);
            // Names of files may hold blanks.
            let are_words = !["glob", "path", "file"].iter().any(|word| expected.contains(word));
            return Err(if self.is_string() { error.hint(list_hint(self.text, are_words)) } else { error });
        }
        let raw: Vec<&'a RawValue> = self.parse(expected)?;
        Ok(raw.into_iter().map(|raw| self.child(raw.get_ron())).collect())
    }

    /// Returns the entries of `{ "key": value }`, keys read as strings; duplicates are kept.
    pub fn map(&self, expected: &str) -> Result<Vec<Named<'a>>, Diagnostic> {
        if !self.text.starts_with('{') {
            // Nothing is said twice: some callers expect a map that they show.
            let needs_hint = self.text.starts_with(['[', '(']) && !expected.contains("`{");
            return Err(self.unexpected(expected).hint_of(needs_hint.then(|| MAP_HINT.to_owned())));
        }
        let RawMap(raw) = self.parse(expected)?;
        let mut entries = Vec::with_capacity(raw.len());
        for (key, value) in raw {
            let key = self.child(key.get_ron());
            let name: String = if key.is_string() {
                key.parse("a string")?
            } else {
                return Err(key.unexpected("a string as key").hint_of(key.in_quotes()));
            };
            entries.push(Named { name, name_span: key.span(), value: self.child(value.get_ron()) });
        }
        Ok(entries)
    }

    /// Returns the fields of `(name: value, …)`; duplicates are kept.
    pub fn fields(&self) -> Result<Vec<Named<'a>>, Diagnostic> {
        let RawFields(raw) = self.parse("fields in parentheses, `(name: value, …)`")?;
        let mut fields = Vec::with_capacity(raw.len());
        for (name, value) in raw {
            let value = self.child(value.get_ron());
            let name_span = self.name_before(&name, value.span().start);
            fields.push(Named { name, name_span, value });
        }
        Ok(fields)
    }

    /// Returns the values of `(a, b)`.
    pub fn positional(&self) -> Result<Vec<Value<'a>>, Diagnostic> {
        let RawTuple(raw) = self.parse("values in parentheses")?;
        Ok(raw.into_iter().map(|raw| self.child(raw.get_ron())).collect())
    }

    /// Reads `Name`, `Name(…)`; returns `None` if it does not begin with a name.
    pub fn call(&self) -> Option<Call<'a>> {
        let is_name = |character: char| character.is_ascii_alphanumeric() || character == '_';
        let length = self.text.find(|character| !is_name(character)).unwrap_or(self.text.len());
        let name = &self.text[..length];
        if !name.starts_with(|first: char| first.is_ascii_alphabetic()) || self.is_string() {
            return None;
        }
        let start = self.span().start;
        let rest = self.child(&self.text[length..]);
        let arguments = (!rest.text.is_empty()).then_some(rest);
        Some(Call { name, name_span: Span { start, end: start + length }, arguments })
    }

    /// Returns true if the parentheses hold `name: value` pairs (or nothing).
    pub fn is_named(&self) -> bool {
        self.fields().is_ok()
    }

    /// Returns what to write for a word, or for a text in other quotes, that should be a string.
    pub fn in_quotes(&self) -> Option<String> {
        let word = self.text.trim_matches('\'');
        let is_word = word.starts_with(|first: char| first.is_ascii_alphabetic())
            && word.chars().all(|part| part.is_ascii_alphanumeric() || "_-./:".contains(part));
        is_word.then(|| format!("texts have double quotes: `\"{word}\"`"))
    }

    /// Returns the text as it is written.
    pub fn written(&self) -> &'a str {
        self.text
    }

    /// Returns what to write, if it can be told from what stands where `ron` does not go on.
    fn syntax_hint(&self, place: usize) -> Option<&'static str> {
        let (before, after) = (self.source[..place].trim_end(), self.source.get(place..)?.trim_start());
        let follows_name = before.ends_with(|last: char| last.is_ascii_alphanumeric() || last == '_');
        match after.chars().next()? {
            ':' if before.ends_with('"') => Some(MAP_HINT),
            // `ron` takes the first letter for a character.
            _ if before.chars().rev().take(2).any(|part| part == '\'') => Some("texts have double quotes: `\"…\"`"),
            _ if before.ends_with('#') => Some("a comment begins with `//`"),
            '=' => Some("between a name and its value is a colon: `name: value`"),
            '[' | '{' if follows_name => Some("what belongs to a name is in parentheses: `Name([…])`"),
            ',' if before.ends_with(',') => Some("remove one of the two commas"),
            _ => None,
        }
    }

    /// Returns the error "expected …, found …".
    pub fn unexpected(&self, expected: &str) -> Diagnostic {
        Diagnostic::new(self.span(), format!("expected {expected}, found {}", self.describe()))
    }

    fn describe(&self) -> String {
        let short: String = self.text.chars().take(30).take_while(|&character| character != '\n').collect();
        let dots = if short.len() < self.text.len() { "…" } else { "" };
        if short.is_empty() { "nothing".to_owned() } else { format!("`{short}{dots}`") }
    }

    /// Returns the place of the name that belongs to the value at `value_start`.
    fn name_before(&self, name: &str, value_start: usize) -> Span {
        let start = self.source[..value_start].rfind(name).unwrap_or(value_start);
        Span { start, end: start + name.len() }
    }

    fn diagnose(&self, error: &ron::error::SpannedError, expected: &str) -> Diagnostic {
        let base = self.span().start;
        let offset = |position: &ron::error::Position| base + offset_of(self.text, position.line, position.col);
        let start = offset(&error.span.start);
        let span = Span { start, end: offset(&error.span.end).max(start + 1) };
        use ron::error::Error;
        let message = match &error.code {
            Error::Eof => "the file ends too early".to_owned(),
            Error::ExpectedArrayEnd => "expected `,` or `]`".to_owned(),
            Error::ExpectedMapEnd => "expected `,` or `}`".to_owned(),
            Error::ExpectedStructLikeEnd => "expected `,` or `)`".to_owned(),
            Error::ExpectedMapColon => "expected `:`".to_owned(),
            Error::ExpectedComma => "expected `,`".to_owned(),
            Error::TrailingCharacters => "unexpected text after the end".to_owned(),
            Error::ExpectedIdentifier => "expected a field name".to_owned(),
            Error::ExpectedStringEnd => "a string without its closing `\"`".to_owned(),
            Error::UnclosedBlockComment => "a comment without its `*/`".to_owned(),
            Error::InvalidEscape(what) => format!("invalid escape in a string: {what}"),
            Error::ExpectedBoolean
            | Error::ExpectedInteger
            | Error::ExpectedString
            | Error::ExpectedArray
            | Error::ExpectedMap
            | Error::InvalidIntegerDigit { .. }
            | Error::IntegerOutOfBounds
            | Error::InvalidValueForType { .. } => return self.unexpected(expected),
            other => format!("{} (expected {expected})", lower_first(&other.to_string())),
        };
        Diagnostic::new(span, message).hint_of(self.syntax_hint(start).map(str::to_owned))
    }
}

fn lower_first(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| first.to_lowercase().chain(characters).collect())
}

/// Returns the offset of `part`, a slice of `whole`.
fn offset_in(whole: &str, part: &str) -> usize {
    part.as_ptr() as usize - whole.as_ptr() as usize
}

/// Returns the byte offset of a line and column, both from 1, columns in characters.
fn offset_of(text: &str, line: usize, column: usize) -> usize {
    let start: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    let rest = &text[start.min(text.len())..];
    start + rest.char_indices().nth(column.saturating_sub(1)).map_or(rest.len(), |(index, _)| index)
}

struct RawMap<'a>(Vec<(&'a RawValue, &'a RawValue)>);
struct RawFields<'a>(Vec<(String, &'a RawValue)>);
struct RawTuple<'a>(Vec<&'a RawValue>);
struct FieldName(String);

impl<'de> Deserialize<'de> for RawMap<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = RawMap<'de>;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a map")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawMap<'de>, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(RawMap(entries))
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

impl<'de> Deserialize<'de> for RawFields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = RawFields<'de>;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("named fields")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawFields<'de>, A::Error> {
                let mut fields = Vec::new();
                while let Some(FieldName(name)) = map.next_key()? {
                    fields.push((name, map.next_value()?));
                }
                Ok(RawFields(fields))
            }
        }
        deserializer.deserialize_struct("", &[], Entries)
    }
}

impl<'de> Deserialize<'de> for FieldName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Name;
        impl Visitor<'_> for Name {
            type Value = FieldName;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a field name")
            }
            fn visit_str<E>(self, name: &str) -> Result<FieldName, E> {
                Ok(FieldName(name.to_owned()))
            }
        }
        deserializer.deserialize_identifier(Name)
    }
}

impl<'de> Deserialize<'de> for RawTuple<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Elements;
        impl<'de> Visitor<'de> for Elements {
            type Value = RawTuple<'de>;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("values")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<RawTuple<'de>, A::Error> {
                let mut elements = Vec::new();
                while let Some(element) = sequence.next_element()? {
                    elements.push(element);
                }
                Ok(RawTuple(elements))
            }
        }
        deserializer.deserialize_tuple(usize::MAX, Elements)
    }
}
