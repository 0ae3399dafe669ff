//! Lists with a rule for the whole: not empty, no duplicates.

use crate::field::{FieldType, Visitor};
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

non_empty!(Command of CommandWord, "commands", "texts, tools or outputs");
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
