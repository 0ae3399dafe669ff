//! `Attachment(…)`: a document about an image, as a `Push` attaches it. Knows no registry.

use crate::field::{FieldType, Visitor};
use crate::reader::Reader;
use crate::record::{Record, record};
use crate::shape::{Shape, paragraph};
use crate::text::OutputReference;
use crate::types::SourcePath;
use crate::value::Value;
use crate::{Diagnostic, Platform, Spanned};

record! {
    /// A document about an image: a manifest of its own that names the image, never a part of it. So the image's digest
    /// stays. Programs find it by the image: `oras discover`, `cosign`, `inspect REFERENCE`.
    Attachment = "Attachment" {
        /// Media type of the document: `"application/spdx+json"`.
        r#type: MediaType,
        /// The document: `File("path")` of the tree, or `Output("target")` or `Output("target", "path/in/it")`, what a
        /// target makes, which then runs first. One file.
        file: DocumentSource,
        /// Its name among the documents of the image, and that of the file for who downloads it; the file's own if left
        /// out. A document of the same name and type that Rondel attached to the image before is replaced.
        name: Option<DocumentName> = None,
        /// The platform whose image it is about: `"linux/amd64"`; the index over all platforms if left out.
        platform: Option<Spanned<Platform>> = None,
    }
}

/// Where the contents of a document come from.
#[derive(Clone, Debug)]
pub enum DocumentSource {
    /// A file of the tree.
    File(SourcePath),
    /// A file that a target makes.
    Output(OutputReference),
}

/// The type of a document, by RFC 6838.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaType(String);

/// The name of a file, without a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocumentName(String);

impl MediaType {
    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl DocumentName {
    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Reads a name. The error says what is wrong with it.
    pub fn new(text: &str) -> Result<DocumentName, String> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-+".contains(&byte);
        let is_sound = text.bytes().all(fits) && text.starts_with(|first: char| first.is_ascii_alphanumeric());
        match is_sound && text.len() <= 128 {
            true => Ok(DocumentName(text.to_owned())),
            false => Err(format!("`{}` can't be the name of a document", text.escape_debug())),
        }
    }

    /// What a name can be, for a hint.
    pub const RULE: &'static str =
        "it has letters, digits, `_`, `.`, `-` and `+`, a letter or digit first, and at most 128 of them";
}

/// Types that tell how a manifest is read, and are none of a document.
const OF_IMAGES: [&str; 2] = ["application/vnd.oci.image.", "application/vnd.docker."];

impl FieldType for MediaType {
    const PLURAL: &'static str = "media types";

    fn read(reader: &mut Reader<'_>, value: Value<'_>) -> Option<MediaType> {
        let text = reader.string(value, "a media type like \"application/spdx+json\"")?;
        let is_sound = |part: &str| {
            part.starts_with(|first: char| first.is_ascii_alphanumeric())
                && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte))
                && part.len() <= 127
        };
        if !text.value.split_once('/').is_some_and(|(kind, name)| is_sound(kind) && is_sound(name)) {
            let message = format!("`{}` is no media type", text.value.escape_debug());
            reader.report(Diagnostic::new(text.span, message).hint("write \"application/spdx+json\", for example"));
            return None;
        }
        if OF_IMAGES.iter().any(|of_images| text.value.starts_with(of_images)) {
            let message = format!("`{}` is the type of an image, not of a document", text.value);
            reader.report(Diagnostic::new(text.span, message).hint("name what the file itself is"));
            return None;
        }
        Some(MediaType(text.value))
    }

    fn shape() -> Shape {
        Shape::string("media type", "^[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]*/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]*$")
    }
}

impl FieldType for DocumentName {
    const PLURAL: &'static str = "names of documents";

    fn read(reader: &mut Reader<'_>, value: Value<'_>) -> Option<DocumentName> {
        let text = reader.string(value, "the name of a document")?;
        match DocumentName::new(&text.value) {
            Ok(name) => Some(name),
            Err(message) => {
                reader.report(Diagnostic::new(text.span, message).hint(DocumentName::RULE));
                None
            }
        }
    }

    fn shape() -> Shape {
        Shape::string("name of a document", "^[A-Za-z0-9][A-Za-z0-9_.+-]{0,127}$")
    }
}

impl FieldType for DocumentSource {
    const PLURAL: &'static str = "files";

    fn read(reader: &mut Reader<'_>, value: Value<'_>) -> Option<DocumentSource> {
        let call = value.call().and_then(|call| Some((call.name, call.arguments?)));
        match call {
            Some(("Output", arguments)) => reader.output_reference(arguments, value.span()).map(DocumentSource::Output),
            Some(("File", arguments)) => {
                let argument = reader.argument("File", arguments, value.span())?;
                SourcePath::read(reader, argument).map(DocumentSource::File)
            }
            _ => {
                reader.report(value.unexpected("`File(\"path\")` or `Output(\"target\")`"));
                None
            }
        }
    }

    fn shape() -> Shape {
        Shape::OneOf(vec![Shape::call("File", SourcePath::shape()), OutputReference::shape()])
    }

    fn visit<'a>(&'a self, visitor: &mut dyn Visitor<'a>) {
        match self {
            DocumentSource::File(path) => path.visit(visitor),
            DocumentSource::Output(output) => output.visit(visitor),
        }
    }
}

impl FieldType for Attachment {
    const PLURAL: &'static str = "documents";

    fn read(reader: &mut Reader<'_>, value: Value<'_>) -> Option<Attachment> {
        let Some(call) = value.call().filter(|call| call.name == Attachment::WORD) else {
            let expected = "`Attachment(type: \"application/spdx+json\", file: File(\"sbom.spdx.json\"))`";
            reader.report(value.unexpected(expected));
            return None;
        };
        let mut fields = reader.fields(Attachment::WORD, call.name_span, call.arguments)?;
        let attachment = <Attachment as Record>::read(reader, &mut fields);
        reader.finish(fields);
        attachment
    }

    fn shape() -> Shape {
        let (doc, fields) = (paragraph(Attachment::DOC), Attachment::fields());
        Shape::Record { name: Attachment::WORD, doc, fields }
    }

    fn visit<'a>(&'a self, visitor: &mut dyn Visitor<'a>) {
        Record::visit(self, visitor);
    }
}
