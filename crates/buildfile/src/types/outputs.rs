//! `Output("target")` and `Output("target", "path/in/it")`: the files that a target makes, in commands.

use crate::field::{FieldType, Visitor, Wanted};
use crate::reader::Reader;
use crate::shape::Shape;
use crate::text::{CommandText, OutputReference, Text};
use crate::types::strings::{ENVIRONMENT_NAME, check_path};
use crate::types::{Glob, SourcePath};
use crate::value::Value;
use crate::{Diagnostic, Span, Spanned, TargetName};

/// An input of a command: a glob of the tree, or an output.
#[derive(Clone, Debug)]
pub enum InputSource {
    /// Files of the tree.
    Glob(Glob),
    /// Files that a target makes.
    Output(OutputReference),
}

impl OutputReference {
    /// Returns the shape of the call.
    pub(crate) fn shape() -> Shape {
        let arguments = vec![Spanned::<TargetName>::shape(), SourcePath::shape()];
        Shape::Call { name: "Output", arguments, required: 1 }
    }

    pub(crate) fn visit<'a>(&'a self, visitor: &mut dyn Visitor<'a>) {
        visitor.reference(&self.target, self.span, Wanted::Output);
    }
}

impl Reader<'_> {
    /// Reads the arguments of `Output(…)`.
    pub fn output_reference(&mut self, arguments: Value<'_>, span: Span) -> Option<OutputReference> {
        let values = self.kept(arguments.positional())?;
        let (target, path) = match values.as_slice() {
            [target] => (target, None),
            [target, path] => (target, Some(path)),
            _ => {
                let message = "`Output` takes the name of a target, and optionally a path in its output";
                self.report(Diagnostic::new(span, message));
                return None;
            }
        };
        let target = Spanned::<TargetName>::read(self, *target)?.value;
        let path = match path {
            Some(path) => {
                let path = self.string(*path, "a path")?;
                check_path(self, &path.value, path.span);
                Some(path.value)
            }
            None => None,
        };
        Some(OutputReference { target, path, span })
    }
}

impl FieldType for InputSource {
    const PLURAL: &'static str = "globs or outputs";

    fn read(reader: &mut Reader<'_>, value: Value<'_>) -> Option<InputSource> {
        if let Some(call) = value.call().filter(|call| call.name == "Output")
            && let Some(arguments) = call.arguments
        {
            return reader.output_reference(arguments, value.span()).map(InputSource::Output);
        }
        if !value.is_string() {
            reader.report(value.unexpected("a glob, or `Output(\"target\")`"));
            return None;
        }
        Glob::read(reader, value).map(InputSource::Glob)
    }

    fn shape() -> Shape {
        let doc = "A glob of files below `root`, or the output of a target, which then runs first: `Output(\"target\")` \
                   or `Output(\"target\", \"path/in/it\")`. A glob that matches nothing is an error; one that begins \
                   with `!` takes away, and may match nothing.";
        Shape::named("input", doc, Shape::OneOf(vec![Glob::shape(), OutputReference::shape()]))
    }

    fn visit<'a>(&'a self, visitor: &mut dyn Visitor<'a>) {
        match self {
            InputSource::Glob(glob) => glob.visit(visitor),
            InputSource::Output(output) => output.visit(visitor),
        }
    }
}

impl FieldType for CommandText {
    const PLURAL: &'static str = "texts, secrets or outputs";

    fn read(reader: &mut Reader<'_>, value: Value<'_>) -> Option<CommandText> {
        let is_output = value.call().is_some_and(|call| call.name == "Output");
        if is_output { reader.any_text(value) } else { reader.late_text_or_secret(value) }.map(CommandText)
    }

    fn shape() -> Shape {
        let doc = "A text, in which `{image:digest}` and `{image:ref}` are facts of the image of the target `image`, \
                   which then runs first. Or `Secret(\"NAME\")`: a value of the environment that is in no key, log, \
                   record or image. Or `Output(\"target\")`: the absolute path of what a target makes, which then runs first.";
        let secret = Shape::call("Secret", Shape::string("name", ENVIRONMENT_NAME));
        let shapes = vec![Text::shape(), secret, OutputReference::shape()];
        Shape::named("text, secret or output", doc, Shape::OneOf(shapes))
    }

    fn visit<'a>(&'a self, visitor: &mut dyn Visitor<'a>) {
        self.0.visit(visitor);
    }
}
