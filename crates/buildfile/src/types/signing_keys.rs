//! Where a private key and its password come from, as build.ron says it. It reads neither.

use crate::Spanned;
use crate::field::{FieldType, Visitor};
use crate::reader::Reader;
use crate::shape::Shape;
use crate::text::{Text, TextSource};
use crate::types::strings::ENVIRONMENT_NAME;
use crate::value::Value;

/// Where a private key is.
#[derive(Clone, Debug)]
pub enum SigningKey {
    /// Its text is in a variable of the caller's environment.
    Secret(Text),
    /// It is a file, relative to `root` or absolute.
    File(Spanned<String>),
}

/// The password of a private key: the name of a variable of the caller's environment.
#[derive(Clone, Debug)]
pub struct KeyPassword(Text);

impl KeyPassword {
    /// Returns the secret as a text of the environment of a process is one.
    pub fn text(&self) -> &Text {
        &self.0
    }
}

/// Reads `Secret("NAME")`; `None` if the value is something else.
fn secret(reader: &mut Reader<'_>, value: Value<'_>) -> Option<Option<Text>> {
    let span = value.span();
    let call = value.call().filter(|call| call.name == "Secret")?;
    let arguments = call.arguments?;
    let name = reader.argument("Secret", arguments, span).and_then(|name| reader.variable(name));
    Some(name.map(|name| Text { source: TextSource::Secret { name }, span }))
}

impl FieldType for SigningKey {
    const PLURAL: &'static str = "keys";

    fn read(reader: &mut Reader<'_>, value: Value<'_>) -> Option<SigningKey> {
        if let Some(read) = secret(reader, value) {
            return read.map(SigningKey::Secret);
        }
        match value.call().map(|call| (call.name, call.arguments)) {
            Some(("KeyFile", Some(arguments))) => {
                let path = reader.argument("KeyFile", arguments, value.span())?;
                reader.string(path, "a path").map(SigningKey::File)
            }
            _ => {
                let hint = "a private key is never in build.ron: Secret(\"COSIGN_PRIVATE_KEY\") is its text in the environment";
                reader.report(value.unexpected("`Secret(\"NAME\")` or `KeyFile(\"path\")`").hint(hint));
                None
            }
        }
    }

    fn shape() -> Shape {
        Shape::OneOf(vec![
            Shape::call("Secret", Shape::string("name", ENVIRONMENT_NAME)),
            Shape::call("KeyFile", Shape::string("path", ".")),
        ])
    }

    fn visit<'a>(&'a self, visitor: &mut dyn Visitor<'a>) {
        match self {
            SigningKey::Secret(text) => visitor.text(text),
            SigningKey::File(_) => {}
        }
    }
}

impl FieldType for KeyPassword {
    const PLURAL: &'static str = "passwords";

    fn read(reader: &mut Reader<'_>, value: Value<'_>) -> Option<KeyPassword> {
        if let Some(read) = secret(reader, value) {
            return read.map(KeyPassword);
        }
        let hint =
            "a password comes from the environment, so that none is in a file or shown: Secret(\"COSIGN_PASSWORD\")";
        reader.report(value.unexpected("`Secret(\"NAME\")`").hint(hint));
        None
    }

    fn shape() -> Shape {
        Shape::call("Secret", Shape::string("name", ENVIRONMENT_NAME))
    }

    fn visit<'a>(&'a self, visitor: &mut dyn Visitor<'a>) {
        visitor.text(&self.0);
    }
}
