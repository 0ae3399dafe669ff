//! What an image lies on, and how registries are reached. Knows no registry's contents.

use rondel_names::ImageReference;

use crate::field::{FieldType, Visitor, Wanted};
use crate::reader::Reader;
use crate::record::{Record, record};
use crate::shape::{Default, Shape, paragraph};
use crate::types::SourcePath;
use crate::types::references::TARGET_NAME;
use crate::value::Value;
use crate::{Diagnostic, Spanned, TargetName};

/// Base of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Base {
    /// CA certificates, users, `/tmp`; nothing else.
    Static,
    /// An image of a registry.
    From(Spanned<ImageReference>),
    /// The image that a target makes.
    Target(Spanned<TargetName>),
    /// An OCI layout, a directory of the tree.
    Layout(SourcePath),
}

record! {
    /// How a registry is reached.
    RegistryAccess = "Registry" {
        /// Servers that are asked first, in order: `"mirror.example"`, or `"http://mirror.example"` for plain HTTP.
        mirrors: Vec<MirrorHost> = Vec::new(),
        /// Whether plain HTTP is spoken with it; if left out, on loopback only.
        plain_http: Option<bool> = None,
    }
}

/// A server that has the images of a registry: a host, or `http://` and a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MirrorHost(String);

impl MirrorHost {
    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FieldType for Base {
    const PLURAL: &'static str = "bases";

    fn read(reader: &mut Reader<'_>, value: Value<'_>) -> Option<Base> {
        const EXPECTED: &str = "`Static`, `From(\"alpine:3.19\")`, `From(Output(\"target\"))` or `Layout(\"path\")`";
        let span = value.span();
        let call = value.call();
        match call.as_ref().map(|call| (call.name, call.arguments)) {
            Some(("Static", None)) => Some(Base::Static),
            Some(("From", Some(arguments))) => {
                let argument = reader.argument("From", arguments, span)?;
                if argument.call().is_some_and(|call| call.name == "Output") {
                    return target(reader, argument);
                }
                let text = reader.string(argument, "an image, \"alpine:3.19\" for example")?;
                match ImageReference::new(&text.value) {
                    Ok(value) => Some(Base::From(Spanned { value, span: text.span })),
                    Err(error) => {
                        reader.report(Diagnostic::new(text.span, error.to_string()));
                        None
                    }
                }
            }
            Some(("Layout", Some(arguments))) => {
                let argument = reader.argument("Layout", arguments, span)?;
                SourcePath::read(reader, argument).map(Base::Layout)
            }
            _ => {
                let image = value.is_string().then(|| format!("write `From({})`", value.written()));
                reader.report(value.unexpected(EXPECTED).hint_of(image));
                None
            }
        }
    }

    fn shape() -> Shape {
        let reference = Shape::string("image reference", "^[^ ]+$");
        let name = Shape::string("image target", TARGET_NAME);
        let output = Shape::call("Output", name);
        Shape::OneOf(vec![
            Shape::Words(&["Static"]),
            Shape::call("From", Shape::OneOf(vec![reference, output])),
            Shape::call("Layout", SourcePath::shape()),
        ])
    }

    fn visit<'a>(&'a self, visitor: &mut dyn Visitor<'a>) {
        match self {
            Base::Target(name) => visitor.reference(&name.value, name.span, Wanted::Image),
            Base::Layout(path) => visitor.path(&path.value, path.span),
            Base::Static | Base::From(_) => {}
        }
    }
}

/// Reads `Output("target")`.
fn target(reader: &mut Reader<'_>, value: Value<'_>) -> Option<Base> {
    let span = value.span();
    let arguments = value.call()?.arguments;
    let Some(arguments) = arguments else {
        reader.report(value.unexpected("`Output(\"target\")`"));
        return None;
    };
    let argument = reader.argument("Output", arguments, span)?;
    Spanned::<TargetName>::read(reader, argument).map(Base::Target)
}

impl FieldType for RegistryAccess {
    const PLURAL: &'static str = "registries";

    fn read(reader: &mut Reader<'_>, value: Value<'_>) -> Option<RegistryAccess> {
        let Some(call) = value.call().filter(|call| call.name == RegistryAccess::WORD) else {
            reader.report(value.unexpected("`Registry(mirrors: [\"mirror.example\"])`"));
            return None;
        };
        let mut fields = reader.fields(RegistryAccess::WORD, call.name_span, call.arguments)?;
        let access = <RegistryAccess as Record>::read(reader, &mut fields);
        reader.finish(fields);
        access
    }

    fn shape() -> Shape {
        let (doc, fields) = (paragraph(RegistryAccess::DOC), RegistryAccess::fields());
        Shape::Record { name: RegistryAccess::WORD, doc, fields }
    }
}

impl FieldType for MirrorHost {
    const PLURAL: &'static str = "servers";

    fn read(reader: &mut Reader<'_>, value: Value<'_>) -> Option<MirrorHost> {
        let text = reader.string(value, "a server like \"mirror.example\"")?;
        let host = text.value.strip_prefix("http://").or_else(|| text.value.strip_prefix("https://"));
        let host = host.unwrap_or(&text.value).trim_end_matches('/');
        if is_registry(host) {
            return Some(MirrorHost(text.value));
        }
        let message = format!("`{}` is not a server", text.value.escape_debug());
        reader.report(Diagnostic::new(text.span, message).hint(HOST_HINT));
        None
    }

    fn shape() -> Shape {
        Shape::string("server", "^(https?://)?[A-Za-z0-9.:\\[\\]-]+/?$")
    }

    fn as_default(&self) -> Default {
        Default::String(self.0.clone())
    }
}

/// What a host looks like, for people.
pub(super) const HOST_HINT: &str =
    "write a host with a dot or a port, as in an image's name: \"registry.example:5000\"";

/// Returns true for the name of a registry, as it stands in a reference.
pub(super) fn is_registry(host: &str) -> bool {
    ImageReference::new(&format!("{host}/a")).is_ok_and(|reference| reference.registry() == host)
}
