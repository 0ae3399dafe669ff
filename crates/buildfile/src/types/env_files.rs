//! Files of variables: `".env"` and `Optional(".env.local")`.

use crate::field::{FieldType, Visitor};
use crate::reader::Reader;
use crate::shape::Shape;
use crate::types::SourcePath;
use crate::value::Value;

/// A file of variables.
#[derive(Clone, Debug)]
pub struct EnvFile {
    /// Its path.
    pub path: SourcePath,
    /// True if it may be missing.
    pub is_optional: bool,
}

impl FieldType for EnvFile {
    const PLURAL: &'static str = "paths of files";

    fn read(reader: &mut Reader<'_>, value: Value<'_>) -> Option<EnvFile> {
        if value.is_string() {
            return Some(EnvFile { path: SourcePath::read(reader, value)?, is_optional: false });
        }
        if let Some(call) = value.call().filter(|call| call.name == "Optional")
            && let Some(arguments) = call.arguments
        {
            let path = reader.argument("Optional", arguments, value.span())?;
            return Some(EnvFile { path: SourcePath::read(reader, path)?, is_optional: true });
        }
        reader.report(value.unexpected("a path, or `Optional(\"path\")`"));
        None
    }

    fn shape() -> Shape {
        let doc = "A path, or `Optional(\"path\")` of a file that may be missing.";
        let optional = Shape::call("Optional", SourcePath::shape());
        Shape::named("environment file", doc, Shape::OneOf(vec![SourcePath::shape(), optional]))
    }

    fn visit<'a>(&'a self, visitor: &mut dyn Visitor<'a>) {
        self.path.visit(visitor);
    }
}
