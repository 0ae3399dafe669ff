//! References to targets, and sources of the files in an image.

use crate::field::{FieldType, Visitor, Wanted};
use crate::reader::Reader;
use crate::shape::Shape;
use crate::types::SourcePath;
use crate::types::strings::check_path;
use crate::value::Value;
use crate::{Diagnostic, Spanned, TargetName};

/// Pattern of the name of a target.
const TARGET_NAME: &str = "^[A-Za-z0-9][A-Za-z0-9_./-]*$";

/// The name of a target that makes an image.
#[derive(Clone, Debug)]
pub struct ImageReference(Spanned<TargetName>);

/// Source of a file in an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileSource {
    /// The output of a target.
    Output(TargetName),
    /// A file or directory of the tree.
    File(String),
}

impl std::ops::Deref for ImageReference {
    type Target = Spanned<TargetName>;
    fn deref(&self) -> &Spanned<TargetName> {
        &self.0
    }
}

impl FieldType for Spanned<TargetName> {
    const PLURAL: &'static str = "target names";

    fn read(reader: &mut Reader<'_>, value: Value<'_>) -> Option<Spanned<TargetName>> {
        let text = reader.string(value, "the name of a target")?;
        match TargetName::new(&text.value) {
            Ok(value) => Some(Spanned { value, span: text.span }),
            Err(error) => {
                reader.report(Diagnostic::new(text.span, error.to_string()));
                None
            }
        }
    }

    fn shape() -> Shape {
        Shape::named("target", "The name of a target.", Shape::string("target", TARGET_NAME))
    }

    fn visit<'a>(&'a self, visitor: &mut dyn Visitor<'a>) {
        visitor.reference(&self.value, self.span, Wanted::Anything);
    }
}

impl FieldType for ImageReference {
    const PLURAL: &'static str = "target names";

    fn read(reader: &mut Reader<'_>, value: Value<'_>) -> Option<ImageReference> {
        Spanned::<TargetName>::read(reader, value).map(ImageReference)
    }

    fn shape() -> Shape {
        let doc = "The name of an `Image` or `DockerBuild` target.";
        Shape::named("image target", doc, Shape::string("image target", TARGET_NAME))
    }

    fn visit<'a>(&'a self, visitor: &mut dyn Visitor<'a>) {
        visitor.reference(&self.0.value, self.0.span, Wanted::Image);
    }
}

impl FieldType for Spanned<FileSource> {
    const PLURAL: &'static str = "sources of files";

    fn read(reader: &mut Reader<'_>, value: Value<'_>) -> Option<Spanned<FileSource>> {
        let span = value.span();
        let call = value.call().filter(|call| matches!(call.name, "Output" | "File"));
        let Some((name, Some(arguments))) = call.map(|call| (call.name, call.arguments)) else {
            reader.report(value.unexpected("`Output(\"target\")` or `File(\"path\")`"));
            return None;
        };
        let argument = reader.argument(name, arguments, span)?;
        let source = if name == "Output" {
            FileSource::Output(Spanned::<TargetName>::read(reader, argument)?.value)
        } else {
            let path = reader.string(argument, "a path")?.value;
            check_path(reader, &path, span);
            FileSource::File(path)
        };
        Some(Spanned { value: source, span })
    }

    fn shape() -> Shape {
        Shape::OneOf(vec![
            Shape::call("Output", Spanned::<TargetName>::shape()),
            Shape::call("File", SourcePath::shape()),
        ])
    }

    fn visit<'a>(&'a self, visitor: &mut dyn Visitor<'a>) {
        match &self.value {
            FileSource::Output(name) => visitor.reference(name, self.span, Wanted::File),
            FileSource::File(path) => visitor.path(path, self.span),
        }
    }
}
