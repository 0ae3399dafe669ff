//! How texts are read: templates, and the calls `Env`, `Git`, `Tool`, `Output` and `Secret`.

use crate::field::{FieldType, Visitor, Wanted};
use crate::git_query::GitQuery;
use crate::reader::Reader;
use crate::shape::Shape;
use crate::template::{ImageFact, Part, Template};
use crate::text::{CommandWord, OutputReference, ProcessText, Script, Text, TextSource};
use crate::types::strings::{ENVIRONMENT_NAME, is_environment_name};
use crate::types::tools::tool_shape;
use crate::value::Value;
use crate::{Diagnostic, Span, suggest};

impl FieldType for Text {
    const PLURAL: &'static str = "texts";

    fn read(reader: &mut Reader<'_>, value: Value<'_>) -> Option<Text> {
        reader.text(value)
    }

    fn shape() -> Shape {
        let doc = "A template (`{name}` is a variable, `{name|slug}` one with a filter, `{{` a brace), a variable of the environment, or an answer of \
                   git; the second argument is used if there is none.";
        let name = || Shape::string("name", ENVIRONMENT_NAME);
        let template = || Shape::string("template", "");
        let shapes = vec![
            template(),
            Shape::Call { name: "Env", arguments: vec![name(), template()], required: 1 },
            Shape::Call { name: "Git", arguments: vec![GitQuery::shape(), template()], required: 1 },
        ];
        Shape::named("text", doc, Shape::OneOf(shapes))
    }

    fn visit<'a>(&'a self, visitor: &mut dyn Visitor<'a>) {
        visitor.text(self);
        if let TextSource::Output(output) = &self.source {
            output.visit(visitor);
        }
        self.images().for_each(|fact| visitor.reference(&fact.target, self.span, Wanted::Digest));
    }
}

impl FieldType for ProcessText {
    const PLURAL: &'static str = "texts or secrets";

    fn read(reader: &mut Reader<'_>, value: Value<'_>) -> Option<ProcessText> {
        reader.text_or_secret(value).map(ProcessText)
    }

    fn shape() -> Shape {
        let doc = "A text, or `Secret(\"NAME\")`: a value of the environment that is in no key, log, record or image.";
        let secret = Shape::call("Secret", Shape::string("name", ENVIRONMENT_NAME));
        Shape::named("text or secret", doc, Shape::OneOf(vec![Text::shape(), secret]))
    }

    fn visit<'a>(&'a self, visitor: &mut dyn Visitor<'a>) {
        visitor.text(&self.0);
    }
}

impl FieldType for CommandWord {
    const PLURAL: &'static str = "texts";

    fn read(reader: &mut Reader<'_>, value: Value<'_>) -> Option<CommandWord> {
        let is_program = value.call().is_some_and(|call| matches!(call.name, "Tool" | "Output"));
        if is_program { reader.any_text(value) } else { reader.late_text(value) }.map(CommandWord)
    }

    fn shape() -> Shape {
        let doc = "A text, in which `{image:digest}` and `{image:ref}` are facts of the image of the target `image`, \
                   which then runs first. Or `Tool(\"name\")`: a command that the module depends on, built for this machine; or `Tool(\"import/path@v1.2.3\")`, one of another module; with `tags: [\"postgres\"]` it is built with build tags. Or \
                   `Output(\"target\")`: the absolute path of what a target makes, which then runs first.";
        let tool = tool_shape();
        Shape::named("text, tool or output", doc, Shape::OneOf(vec![Text::shape(), tool, OutputReference::shape()]))
    }

    fn place(&mut self, span: Span) {
        self.0.span = span;
    }

    fn visit<'a>(&'a self, visitor: &mut dyn Visitor<'a>) {
        self.0.visit(visitor);
    }
}

impl FieldType for Script {
    const PLURAL: &'static str = "scripts";

    fn read(reader: &mut Reader<'_>, value: Value<'_>) -> Option<Script> {
        let text = reader.string(value, "a script, in quotes")?;
        let template = Template { parts: vec![Part::Literal(text.value)] };
        Some(Script(Text { source: TextSource::Template(template), span: text.span }))
    }

    fn shape() -> Shape {
        Shape::string("script", "")
    }

    fn visit<'a>(&'a self, visitor: &mut dyn Visitor<'a>) {
        visitor.script(&self.0);
    }
}

/// Returns the mistake of a fact of an image where a text must be known before anything is made.
pub(crate) fn late_fact(fact: &ImageFact, span: Span) -> Diagnostic {
    let message = format!("`{fact}` is not allowed here: it is known only when `{}` is made", fact.target);
    Diagnostic::new(span, message)
        .hint("use it in the `command` of `Exec`, in the `env` of `Exec` and `Shell`, or in the file of a `Template`")
}

impl Reader<'_> {
    /// Reads a text without secrets, and without what is known only when other targets are made.
    pub fn text(&mut self, value: Value<'_>) -> Option<Text> {
        let text = self.late_text(value)?;
        self.without_images(text)
    }

    /// Reads a text as `text` does, or a secret.
    pub fn text_or_secret(&mut self, value: Value<'_>) -> Option<Text> {
        let text = self.late_text_or_secret(value)?;
        self.without_images(text)
    }

    /// Refuses facts of images where a text must be known before anything is made.
    fn without_images(&mut self, text: Text) -> Option<Text> {
        let Some(fact) = text.images().next() else { return Some(text) };
        self.report(late_fact(fact, text.span));
        None
    }

    /// Reads a text without secrets, which may name facts of images; a `Secret` is refused here.
    pub(super) fn late_text(&mut self, value: Value<'_>) -> Option<Text> {
        let text = self.late_text_or_secret(value)?;
        if matches!(text.source, TextSource::Secret { .. }) {
            let message = "a secret is not allowed here: it would reach a command line, a key or an image";
            self.report(
                Diagnostic::new(text.span, message)
                    .hint("use `Secret` in the `env` of `DockerRun`, `GoTest`, `Exec`, `Shell` or `Compose…`"),
            );
            return None;
        }
        Some(text)
    }

    /// Reads a text or a secret; a text may name facts of images.
    pub(super) fn late_text_or_secret(&mut self, value: Value<'_>) -> Option<Text> {
        let text = self.any_text(value)?;
        if matches!(text.source, TextSource::Tool { .. }) {
            let message = "a `Tool` is not allowed here: it is a program, not a text";
            self.report(Diagnostic::new(text.span, message).hint("use `Tool` in the `command` of an `Exec`"));
            return None;
        }
        if matches!(text.source, TextSource::Output(_)) {
            let message = "an `Output` is not allowed here: it is a path of this machine, not a text";
            let hint = "use `Output` in the `command`, `env` or `inputs` of `Exec`, `Shell` or `GoTest`";
            self.report(Diagnostic::new(text.span, message).hint(hint));
            return None;
        }
        Some(text)
    }

    pub(super) fn any_text(&mut self, value: Value<'_>) -> Option<Text> {
        const EXPECTED: &str = "a string, `Env(\"NAME\")` or `Git(…)`";
        let span = value.span();
        if value.is_string() {
            let template = self.template(value)?;
            return Some(Text { source: TextSource::Template(template), span });
        }
        let Some(call) = value.call() else {
            self.report(value.unexpected(EXPECTED));
            return None;
        };
        if call.name == "Host" {
            let message =
                "`Host` is no source of text: its answer is another on each machine, and so would the result be";
            let hint = "write `Env(\"USER\", \"nobody\")`, or a variable that `--set` overrides; both are in the key";
            self.report(Diagnostic::new(call.name_span, message).hint(hint));
            return None;
        }
        let Some(arguments) = call.arguments else {
            self.report(value.unexpected(EXPECTED));
            return None;
        };
        if call.name == "Output" {
            let source = TextSource::Output(self.output_reference(arguments, span)?);
            return Some(Text { source, span });
        }
        let arguments = self.kept(arguments.positional())?;
        let source = match (call.name, arguments.as_slice()) {
            ("Env", [name]) => TextSource::Environment { name: self.variable(*name)?, default: None },
            ("Env", [name, default]) => {
                TextSource::Environment { name: self.variable(*name)?, default: Some(self.default(*default)?) }
            }
            ("Git", [query]) => TextSource::Git { query: self.git_query(*query)?, default: None },
            ("Git", [query, default]) => {
                TextSource::Git { query: self.git_query(*query)?, default: Some(self.default(*default)?) }
            }
            ("Tool", [name]) => {
                let (name, tags) = (self.tool_name(*name), self.tool_tags(span));
                TextSource::Tool { name: name?, tags: tags? }
            }
            ("Secret", [name]) => TextSource::Secret { name: self.variable(*name)? },
            ("Env" | "Git" | "Secret" | "Tool", _) => {
                let message = format!(
                    "`{}` takes a name{}",
                    call.name,
                    if matches!(call.name, "Secret" | "Tool") { "" } else { " and optionally a default" }
                );
                self.report(Diagnostic::new(span, message));
                return None;
            }
            ("File" | "Match", _) => {
                let message = format!("`{}` is for `vars`", call.name);
                let hint = "declare a variable, `vars: {\"version\": File(\"VERSION\")}`, and write `{version}` here";
                self.report(Diagnostic::new(call.name_span, message).hint(hint));
                return None;
            }
            (other, _) => {
                let mut diagnostic = Diagnostic::new(call.name_span, format!("`{other}` is not a source of text"));
                diagnostic.hint =
                    suggest(other, ["Env", "Git", "Output", "Secret"]).map(|near| format!("did you mean `{near}`?"));
                self.report(diagnostic);
                return None;
            }
        };
        Some(Text { source, span })
    }

    /// Reads a default, which must be known before anything is made.
    fn default(&mut self, value: Value<'_>) -> Option<Template> {
        let template = self.template(value)?;
        let text = Text { source: TextSource::Template(template.clone()), span: value.span() };
        self.without_images(text).map(|_| template)
    }

    fn template(&mut self, value: Value<'_>) -> Option<Template> {
        let text = self.string(value, "a string")?;
        match Template::parse(&text.value) {
            Ok(template) => Some(template),
            Err(message) => {
                self.report(Diagnostic::new(text.span, message));
                None
            }
        }
    }

    /// Reads a name of the process environment.
    pub fn variable(&mut self, value: Value<'_>) -> Option<String> {
        let text = self.string(value, "the name of an environment variable")?;
        is_environment_name(self, &text).then_some(text.value)
    }
}
