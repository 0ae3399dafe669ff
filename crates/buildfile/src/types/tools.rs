//! How `Tool("import/path@v1.2.3", tags: ["postgres"])` is read: a name, and options of the build. Knows nothing of where it
//! may stand.

use crate::reader::Reader;
use crate::record::{Record, record};
use crate::shape::Shape;
use crate::types::lists::Tags;
use crate::value::Value;
use crate::{Diagnostic, Span};

record! {
    /// Options of `Tool`.
    ToolOptions = "Tool" {
        /// Build tags of the command, as they are: `["postgres"]`.
        tags: Tags = Tags::default(),
    }
}

/// Returns the shape of `Tool(…)`.
pub(super) fn tool_shape() -> Shape {
    let arguments = vec![Shape::string("name or import path", "")];
    Shape::CallWith { name: "Tool", arguments, required: 1, fields: ToolOptions::fields() }
}

impl Reader<'_> {
    /// Reads the options of the `Tool` at `span`; returns its build tags.
    pub(super) fn tool_tags(&mut self, span: Span) -> Option<Vec<String>> {
        let options = self.with_options("Tool", span, |reader, fields| ToolOptions::read(reader, fields))?;
        let mut tags = Vec::with_capacity(options.tags.len());
        for tag in options.tags.iter() {
            let Some(literal) = tag.as_literal() else {
                let message = "a build tag of a `Tool` is no template: all targets that start the tool share it";
                self.report(Diagnostic::new(tag.span, message).hint("write the tag itself"));
                return None;
            };
            tags.push(literal.to_owned());
        }
        Some(tags)
    }

    /// Reads an import path, its last element, or an import path with a version.
    pub(super) fn tool_name(&mut self, value: Value<'_>) -> Option<String> {
        let text = self.string(value, "the name of a tool")?;
        let (path, version) = match text.value.split_once('@') {
            Some((path, version)) => (path, Some(version)),
            None => (text.value.as_str(), None),
        };
        if let Some(version) = version
            && !(is_release(version) && path.contains('/'))
        {
            let message = format!("`{}` is not a command at a version", text.value.escape_debug());
            let hint = "write its import path and a release, `github.com/x/y/cmd/z@v1.2.3`: `latest` and branches move";
            self.report(Diagnostic::new(text.span, message).hint(hint));
            return None;
        }
        let sound = |part: &str| {
            !part.is_empty()
                && !part.starts_with(['.', '-'])
                && part.chars().all(|character| character.is_ascii_alphanumeric() || "-_.~+!".contains(character))
        };
        if path.split('/').all(sound) {
            return Some(text.value);
        }
        let message = format!("`{}` is not the name of a tool", text.value.escape_debug());
        self.report(Diagnostic::new(text.span, message).hint("write its import path, or the last element of it"));
        None
    }
}

/// Returns true for a version of a module as go.mod has it: `v1.2.3`, `v1.2.3-rc.1`, `v2.0.0+incompatible`.
fn is_release(version: &str) -> bool {
    let Some(rest) = version.strip_prefix('v') else { return false };
    let end = rest.find(['-', '+']).unwrap_or(rest.len());
    let (numbers, suffix) = rest.split_at(end);
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let is_sound = |byte: u8| byte.is_ascii_alphanumeric() || b"-+.".contains(&byte);
    numbers.split('.').count() == 3
        && numbers.split('.').all(is_number)
        && suffix.len() != 1
        && suffix.len() < 100
        && suffix.bytes().all(is_sound)
}
