//! How the value of a variable is read: a text, or what a file of the tree or of a target says.

use regex_lite::Regex;

use crate::field::FieldType;
use crate::reader::Reader;
use crate::shape::Shape;
use crate::text::{OutputReference, Text, TextSource};
use crate::types::SourcePath;
use crate::value::Value;
use crate::{Diagnostic, Span};

/// Returns the shape of a variable's value.
pub(crate) fn variable_shape() -> Shape {
    let doc = "A text; or `File(\"VERSION\")`, the one line of a file of the tree, without its end; or \
               `Match(\"version.go\", \"Version = \\\"(.+)\\\"\")`, the part of a file of the tree that the group of a \
               regular expression matches, which is the same wherever it matches; or `Output(\"target\")`, the one line of a \
               file that a target makes, known where facts of images are.";
    let pattern = Shape::string("regular expression with one group", "\\(");
    let shapes = vec![
        Text::shape(),
        Shape::call("File", SourcePath::shape()),
        Shape::Call { name: "Match", arguments: vec![SourcePath::shape(), pattern], required: 2 },
        OutputReference::shape(),
    ];
    Shape::named("value of a variable", doc, Shape::OneOf(shapes))
}

impl Reader<'_> {
    /// Reads the value of a variable.
    pub(crate) fn variable_text(&mut self, value: Value<'_>) -> Option<Text> {
        let span = value.span();
        let call = value.call().filter(|call| matches!(call.name, "File" | "Match" | "Output"));
        let Some((name, Some(arguments))) = call.map(|call| (call.name, call.arguments)) else {
            return self.text(value);
        };
        if name == "Output" {
            let source = TextSource::Output(self.output_reference(arguments, span)?);
            return Some(Text { source, span });
        }
        let arguments = self.kept(arguments.positional())?;
        let source = match (name, arguments.as_slice()) {
            ("File", [path]) => TextSource::File { path: self.variable_file(*path)? },
            ("Match", [path, pattern]) => {
                TextSource::Match { path: self.variable_file(*path)?, pattern: self.pattern(*pattern)? }
            }
            ("File", _) => return self.wrong_arguments(span, "`File` takes the path of a file, `File(\"VERSION\")`"),
            _ => {
                let message = "`Match` takes the path of a file and a regular expression with one group";
                return self.wrong_arguments(span, message);
            }
        };
        Some(Text { source, span })
    }

    fn variable_file(&mut self, value: Value<'_>) -> Option<String> {
        SourcePath::read(self, value).map(|path| path.value.clone())
    }

    fn wrong_arguments(&mut self, span: Span, message: &str) -> Option<Text> {
        self.report(Diagnostic::new(span, message));
        None
    }

    /// Reads a regular expression with one group.
    fn pattern(&mut self, value: Value<'_>) -> Option<String> {
        let text = self.string(value, "a regular expression")?;
        let regex = match Regex::new(&text.value) {
            Ok(regex) => regex,
            Err(error) => {
                self.report(Diagnostic::new(text.span, format!("a broken regular expression: {error}")));
                return None;
            }
        };
        // The whole match is counted too.
        if regex.captures_len() != 2 {
            let message = format!("the regular expression has {} groups", regex.captures_len() - 1);
            let hint = "put parentheses around the value, once; `(?:…)` is no group that counts";
            self.report(Diagnostic::new(text.span, message).hint(hint));
            return None;
        }
        Some(text.value)
    }
}
