//! `formula` of a `Release`: what a package manager needs beside the archives.

use crate::field::FieldType;
use crate::reader::Reader;
use crate::record::{Record, record};
use crate::shape::{Shape, paragraph};
use crate::types::url_templates::{ArchiveUrl, check_url};
use crate::value::Value;
use crate::{Diagnostic, Span, Spanned};

record! {
    /// A formula for Homebrew: `<name>.rb`, with the address and the SHA-256 of each archive for macOS and Linux.
    Homebrew = "Homebrew" {
        /// The formula's name: `small`.
        name: FormulaName,
        /// What it is, in a line without a dot at its end.
        description: OneLine,
        /// Address of the project.
        homepage: WebAddress,
        /// License in the terms of SPDX: `"MIT"`, `"MIT OR Apache-2.0"`.
        license: Option<OneLine> = None,
        /// Address of an archive: `"https://example.com/x/releases/download/v{version}/{file}"`.
        url: ArchiveUrl,
        /// Formulas that it needs.
        dependencies: Vec<FormulaName> = Vec::new(),
        /// Lines of Ruby that install it, `"man1.install \"small.1\""`; the executables go to `bin` if left out.
        install: Vec<OneLine> = Vec::new(),
        /// Lines of Ruby that test it, `"system bin/\"small\", \"--version\""`.
        test: Vec<OneLine> = Vec::new(),
    }
}

/// The name of a formula.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormulaName(Spanned<String>);

/// A text without line breaks and other controls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OneLine(Spanned<String>);

/// An address on the web.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebAddress(Spanned<String>);

macro_rules! is_a_string {
    ($name:ident) => {
        impl std::ops::Deref for $name {
            type Target = Spanned<String>;
            fn deref(&self) -> &Spanned<String> {
                &self.0
            }
        }
    };
}
is_a_string!(FormulaName);
is_a_string!(OneLine);
is_a_string!(WebAddress);

/// A message, and a hint.
type Mistake = (String, &'static str);

/// Reads a string that `check` accepts.
fn read(
    reader: &mut Reader<'_>,
    value: Value<'_>,
    expected: &str,
    check: &dyn Fn(&str) -> Result<(), Mistake>,
) -> Option<Spanned<String>> {
    let text = reader.string(value, expected)?;
    match check(&text.value) {
        Ok(()) => Some(text),
        Err((message, hint)) => {
            reader.report(Diagnostic::new(text.span, message).hint(hint));
            None
        }
    }
}

impl FieldType for FormulaName {
    const PLURAL: &'static str = "formulas";

    fn read(reader: &mut Reader<'_>, value: Value<'_>) -> Option<FormulaName> {
        let check = |name: &str| {
            let is_part = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+._-@".contains(&byte);
            match name.starts_with(|first: char| first.is_ascii_lowercase()) && name.bytes().all(is_part) {
                true => Ok(()),
                false => Err((
                    format!("`{}` is no name of a formula", name.escape_debug()),
                    "write it in lower case: \"small\"",
                )),
            }
        };
        read(reader, value, "the name of a formula, \"small\"", &check).map(FormulaName)
    }

    fn place(&mut self, span: Span) {
        self.0.span = span;
    }

    fn shape() -> Shape {
        Shape::string("name of a formula", "^[a-z][a-z0-9+._@-]*$")
    }
}

impl FieldType for OneLine {
    const PLURAL: &'static str = "lines";

    fn read(reader: &mut Reader<'_>, value: Value<'_>) -> Option<OneLine> {
        let check = |line: &str| match (line.trim().is_empty(), line.contains(char::is_control)) {
            (true, _) => Err(("the line is empty".to_owned(), "write a text, or leave the field out")),
            (_, true) => Err(("a line has no line breaks and no other controls".to_owned(), "write it as one line")),
            (false, false) => Ok(()),
        };
        read(reader, value, "a line of text", &check).map(OneLine)
    }

    fn place(&mut self, span: Span) {
        self.0.span = span;
    }

    fn shape() -> Shape {
        Shape::string("line", "\\S")
    }
}

impl FieldType for WebAddress {
    const PLURAL: &'static str = "addresses";

    fn read(reader: &mut Reader<'_>, value: Value<'_>) -> Option<WebAddress> {
        let check = |url: &str| check_url(url).map_err(|message| (message, "write \"https://example.com/small\""));
        read(reader, value, "an address, \"https://…\"", &check).map(WebAddress)
    }

    fn place(&mut self, span: Span) {
        self.0.span = span;
    }

    fn shape() -> Shape {
        Shape::string("address", "^https?://[^{}]+$")
    }
}

impl FieldType for Homebrew {
    const PLURAL: &'static str = "formulas";

    fn read(reader: &mut Reader<'_>, value: Value<'_>) -> Option<Homebrew> {
        let call = value.call();
        let Some(("Homebrew", arguments)) = call.as_ref().map(|call| (call.name, call.arguments)) else {
            reader.report(value.unexpected("`Homebrew(name: \"small\", …)`"));
            return None;
        };
        let mut fields = reader.fields(Homebrew::WORD, value.span(), arguments)?;
        let formula = <Homebrew as Record>::read(reader, &mut fields);
        reader.finish(fields);
        formula
    }

    fn shape() -> Shape {
        Shape::Record { name: Homebrew::WORD, doc: paragraph(Homebrew::DOC), fields: Homebrew::fields() }
    }

    fn visit<'a>(&'a self, visitor: &mut dyn crate::field::Visitor<'a>) {
        Record::visit(self, visitor);
    }
}
