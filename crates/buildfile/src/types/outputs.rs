//! `Output("target")` and `Output("target", "path/in/it")`: the files that a target makes, in commands.

use crate::field::{FieldType, Visitor, Wanted};
use crate::reader::Reader;
use crate::shape::Shape;
use crate::text::{CommandText, OutputReference, Text};
use crate::types::strings::{ENVIRONMENT_NAME, check_path};
use crate::types::{Glob, SourcePath};
use crate::value::Value;
use crate::{Diagnostic, Span, Spanned, TargetName, suggest};

/// Number of sets of which each names the next.
const SET_DEPTH_MAX: usize = 16;
/// Number of inputs that all sets of a file stand for.
const SET_INPUTS_MAX: usize = 100_000;

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

impl Reader<'_> {
    /// Reads the inputs of the set whose name `name` is.
    fn set(&mut self, name: Value<'_>) -> Vec<InputSource> {
        let Some(name) = self.string(name, "the name of a set") else { return Vec::new() };
        let found = self.sets.get(&name.value).copied();
        let Some(value) = found else {
            let names: Vec<&str> = self.sets.keys().map(String::as_str).collect();
            let message = format!("there is no set `{}` in `sets`", name.value.escape_debug());
            let hint = match suggest(&name.value, names.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None if names.is_empty() => format!("declare it: sets: {{\"{}\": [\"…\"]}}", name.value.escape_debug()),
                None => format!("sets are: {}", names.join(", ")),
            };
            self.report(Diagnostic::new(name.span, message).hint(hint));
            return Vec::new();
        };
        if let Some(begin) = self.open_sets.iter().position(|open| *open == name.value) {
            let circle: Vec<String> = self.open_sets[begin..].iter().map(|name| format!("`{name}`")).collect();
            let message = format!("sets name each other: {} -> `{}`", circle.join(" -> "), name.value);
            self.report(Diagnostic::new(name.span, message).hint("remove one of them"));
            return Vec::new();
        }
        if self.open_sets.len() >= SET_DEPTH_MAX || self.set_inputs > SET_INPUTS_MAX {
            let message = format!("`{}` stands for too much", name.value.escape_debug());
            let hint = "sets name each other to a depth of 16, and stand for 100000 inputs in a file";
            self.report(Diagnostic::new(name.span, message).hint(hint));
            return Vec::new();
        }
        self.open_sets.push(name.value);
        let inputs = Vec::<InputSource>::read(self, value).unwrap_or_default();
        self.open_sets.pop();
        self.set_inputs += inputs.len() + 1;
        inputs
    }
}

impl FieldType for InputSource {
    const PLURAL: &'static str = "globs, outputs or sets";

    fn read_items(reader: &mut Reader<'_>, value: Value<'_>) -> Vec<InputSource> {
        if let Some(call) = value.call().filter(|call| call.name == "Set")
            && let Some(arguments) = call.arguments
        {
            let name = reader.argument("Set", arguments, value.span());
            return name.map(|name| reader.set(name)).unwrap_or_default();
        }
        InputSource::read(reader, value).into_iter().collect()
    }

    fn read(reader: &mut Reader<'_>, value: Value<'_>) -> Option<InputSource> {
        if let Some(call) = value.call().filter(|call| call.name == "Output")
            && let Some(arguments) = call.arguments
        {
            return reader.output_reference(arguments, value.span()).map(InputSource::Output);
        }
        if !value.is_string() {
            reader.report(value.unexpected("a glob, `Output(\"target\")` or `Set(\"name\")`"));
            return None;
        }
        Glob::read(reader, value).map(InputSource::Glob)
    }

    fn shape() -> Shape {
        let doc = "A glob of files below `root`, or the output of a target, which then runs first: `Output(\"target\")` \
                   or `Output(\"target\", \"path/in/it\")`. A glob that matches nothing is an error; one that begins \
                   with `!` takes away, and may match nothing. `Set(\"name\")` stands for the inputs of a set of `sets`.";
        Shape::named(
            "input",
            doc,
            Shape::OneOf(vec![
                Glob::shape(),
                OutputReference::shape(),
                Shape::call("Set", Shape::string("name of a set", "")),
            ]),
        )
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
