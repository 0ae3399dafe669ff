//! Lists with a rule for the whole: not empty, no duplicates.

use crate::field::{FieldType, Visitor};
use crate::list_hint::shell_hint;
use crate::reader::Reader;
use crate::shape::{Default, Shape};
use crate::text::CommandWord;
use crate::types::{DigestReference, Glob};
use crate::value::Value;
use crate::{Diagnostic, Part, Platform, Spanned, Text, TextSource, suggest};

macro_rules! list {
    ($name:ident of $item:ty) => {
        impl std::ops::Deref for $name {
            type Target = [$item];
            fn deref(&self) -> &[$item] {
                &self.0
            }
        }

        impl<'a> IntoIterator for &'a $name {
            type Item = &'a $item;
            type IntoIter = std::slice::Iter<'a, $item>;
            fn into_iter(self) -> Self::IntoIter {
                self.0.iter()
            }
        }
    };
}

/// Go's package patterns, at least one.
#[derive(Clone, Debug)]
pub struct Packages(Vec<Text>);

/// A program and its arguments, at least the program.
#[derive(Clone, Debug)]
pub struct Command(Vec<CommandWord>);

/// Go's build tags.
#[derive(Clone, Debug, std::default::Default)]
pub struct Tags(Vec<Text>);

/// Where an image goes, at least one place.
#[derive(Clone, Debug)]
pub struct Destinations(Vec<Text>);

/// Patterns of paths, at least one.
#[derive(Clone, Debug)]
pub struct Globs(Vec<Glob>);

/// Targets that make or push an image, at least one.
#[derive(Clone, Debug)]
pub struct Images(Vec<DigestReference>);

/// Platforms, each once.
#[derive(Clone, Debug, std::default::Default)]
pub struct Platforms(Vec<Spanned<Platform>>);

list!(Packages of Text);
list!(Command of CommandWord);
list!(Tags of Text);
list!(Destinations of Text);
list!(Globs of Glob);
list!(Images of DigestReference);
list!(Platforms of Spanned<Platform>);

/// Reads a list that must not be empty. An unreadable element is reported and still counts.
fn non_empty<T: FieldType>(reader: &mut Reader<'_>, value: Value<'_>) -> Option<Vec<T>> {
    let (field, before) = (reader.field, reader.diagnostics.len());
    let items = Vec::<T>::read(reader, value)?;
    if items.is_empty() {
        if reader.diagnostics.len() == before {
            reader.report(Diagnostic::new(value.span(), format!("`{field}` is empty")));
        }
        return None;
    }
    Some(items)
}

impl FieldType for Packages {
    const PLURAL: &'static str = "lists of packages";

    fn read(reader: &mut Reader<'_>, value: Value<'_>) -> Option<Packages> {
        let packages: Vec<Text> = non_empty(reader, value)?;
        for text in &packages {
            // `…` is one character in many editors, and three in Go.
            if let TextSource::Template(template) = &text.source
                && template.parts.iter().any(|part| matches!(part, Part::Literal(text) if text.contains('…')))
            {
                let message = "a package pattern has three dots, and this is one character (`…`)";
                reader.report(Diagnostic::new(text.span, message).hint("write \"./cmd/...\""));
            }
        }
        Some(Packages(packages))
    }

    fn shape() -> Shape {
        Shape::non_empty_list(Text::shape(), "package patterns")
    }

    fn visit<'a>(&'a self, visitor: &mut dyn Visitor<'a>) {
        self.0.visit(visitor);
    }
}

impl FieldType for Tags {
    const PLURAL: &'static str = "lists of build tags";

    fn read(reader: &mut Reader<'_>, value: Value<'_>) -> Option<Tags> {
        let tags = Vec::<Text>::read(reader, value)?;
        for text in &tags {
            if let Some((message, hint)) = text.as_literal().and_then(wrong_tag) {
                reader.report(Diagnostic::new(text.span, message).hint(hint));
            }
        }
        Some(Tags(tags))
    }

    fn shape() -> Shape {
        Shape::list(Text::shape(), "texts")
    }

    fn visit<'a>(&'a self, visitor: &mut dyn Visitor<'a>) {
        self.0.visit(visitor);
    }

    fn as_default(&self) -> Default {
        Default::EmptyList
    }
}

/// Returns why Go has no such build tag, and what to write.
pub fn wrong_tag(tag: &str) -> Option<(String, String)> {
    // `isValidTag` of go/build/constraint.
    let is_of_tags = |character: char| character.is_alphanumeric() || matches!(character, '_' | '.');
    let shown = tag.escape_debug();
    if tag.is_empty() {
        return Some(("a build tag is empty".to_owned(), "leave it out".to_owned()));
    }
    if tag.chars().all(is_of_tags) {
        return None;
    }
    let parts: Vec<&str> = tag.split([',', ' ', '\t', '\n']).filter(|part| !part.is_empty()).collect();
    let list =
        format!("write a list: [{}]", parts.iter().map(|part| format!("\"{part}\"")).collect::<Vec<_>>().join(", "));
    Some(match parts.as_slice() {
        [] => (format!("`{shown}` is no build tag"), "leave it out".to_owned()),
        [_, _, ..] if parts.iter().all(|part| part.chars().all(is_of_tags)) => {
            (format!("`{shown}` is {} build tags in one text", parts.len()), list)
        }
        _ if tag.starts_with("-tags") => {
            (format!("`{shown}` is a flag, not a build tag"), "write the tags alone: tags: [\"netgo\"]".to_owned())
        }
        _ if tag.starts_with('!') => {
            let hint = "a tag is set or left out; `!` is for `//go:build` lines".to_owned();
            (format!("`{shown}` is no build tag"), hint)
        }
        _ => (format!("`{shown}` is no build tag"), "tags are made of letters, digits, `_` and `.`".to_owned()),
    })
}

/// Makes a list a type of fields that refuses an empty one: `non_empty!(Name of Item, "plural", "plural of its items")`.
macro_rules! non_empty {
    ($name:ident of $item:ty, $plural:literal, $items:literal) => {
        impl FieldType for $name {
            const PLURAL: &'static str = $plural;

            fn read(reader: &mut Reader<'_>, value: Value<'_>) -> Option<$name> {
                non_empty(reader, value).map($name)
            }

            fn shape() -> Shape {
                Shape::non_empty_list(<$item>::shape(), $items)
            }

            fn visit<'a>(&'a self, visitor: &mut dyn Visitor<'a>) {
                self.0.visit(visitor);
            }
        }
    };
}

impl FieldType for Command {
    const PLURAL: &'static str = "commands";

    fn read(reader: &mut Reader<'_>, value: Value<'_>) -> Option<Command> {
        if let Some(hint) = value.is_string().then(|| shell_hint(value.written())).flatten() {
            reader.report(value.unexpected("a list of texts").hint(hint));
            return None;
        }
        non_empty(reader, value).map(Command)
    }

    fn shape() -> Shape {
        Shape::non_empty_list(CommandWord::shape(), "texts, tools or outputs")
    }

    fn visit<'a>(&'a self, visitor: &mut dyn Visitor<'a>) {
        self.0.visit(visitor);
    }
}

non_empty!(Destinations of Text, "lists of names of images", "names of images");
non_empty!(Globs of Glob, "lists of globs", "globs");
non_empty!(Images of DigestReference, "lists of target names", "target names");

impl FieldType for Spanned<Platform> {
    const PLURAL: &'static str = "platforms";

    fn read(reader: &mut Reader<'_>, value: Value<'_>) -> Option<Spanned<Platform>> {
        let text = reader.string(value, "a platform like \"linux/amd64\"")?;
        match Platform::new(&text.value) {
            Ok(value) => Some(Spanned { value, span: text.span }),
            Err(error) => {
                let all: Vec<String> = Platform::all().collect();
                let mut diagnostic = Diagnostic::new(text.span, error.to_string());
                diagnostic.hint =
                    suggest(&text.value, all.iter().map(String::as_str)).map(|near| format!("did you mean `{near}`?"));
                reader.report(diagnostic);
                None
            }
        }
    }

    fn shape() -> Shape {
        let doc = "`os/architecture` or `os/architecture/variant`, in Go's words: `linux/amd64`, `linux/arm/v7`.";
        Shape::named("platform", doc, Shape::string("platform", "^[a-z0-9]+/[a-z0-9]+(/[a-z0-9.]+)?$"))
    }
}

impl FieldType for Platforms {
    const PLURAL: &'static str = "lists of platforms";

    fn read(reader: &mut Reader<'_>, value: Value<'_>) -> Option<Platforms> {
        let items = reader.kept(value.list("a list of platforms"))?;
        if items.is_empty() {
            reader.report(Diagnostic::new(value.span(), "the list of platforms is empty"));
        }
        let mut result: Vec<Spanned<Platform>> = Vec::new();
        for item in items {
            let Some(platform) = Spanned::<Platform>::read(reader, item) else { continue };
            if result.iter().any(|other| other.value == platform.value) {
                reader.report(Diagnostic::new(platform.span, format!("platform `{}` is given twice", platform.value)));
            } else {
                result.push(platform);
            }
        }
        Some(Platforms(result))
    }

    fn shape() -> Shape {
        Shape::non_empty_list(Spanned::<Platform>::shape(), "platforms")
    }

    fn as_default(&self) -> Default {
        Default::None
    }
}
