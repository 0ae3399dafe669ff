//! Texts: templates, and calls that give a text (`Env`, `Git`, `File`, `Match`, `Tool`, `Output`, `Secret`).

use crate::git_query::GitQuery;
use crate::template::{ImageFact, Part, Template};
use crate::{Span, TargetName, VariableName};

/// A text: a template, or a source of one, with its place.
#[derive(Clone, Debug)]
pub struct Text {
    /// Source of the text.
    pub source: TextSource,
    /// Place.
    pub span: Span,
}

/// Source of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TextSource {
    /// `"…{name}…"`
    Template(Template),
    /// `Env("NAME")` or `Env("NAME", "default")`
    Environment {
        /// The variable of the caller's environment.
        name: String,
        /// Used if it is not set.
        default: Option<Template>,
    },
    /// `Git(Describe)` or `Git(Describe, "default")`
    Git {
        /// The query.
        query: GitQuery,
        /// Used if there is no answer.
        default: Option<Template>,
    },
    /// `Tool("name")`: a command of the module's dependencies, built for this machine; only in `command`.
    Tool {
        /// Import path, or its last element if go.mod has it in a `tool` line.
        name: String,
        /// Build tags.
        tags: Vec<String>,
    },
    /// `Output("target")` or `Output("target", "path")`: the absolute path of a file that a target makes, in `command`
    /// and in the environment of a command; in `vars` the line of that file.
    Output(OutputReference),
    /// `File("VERSION")`: the line of a file of the tree; only in `vars`.
    File {
        /// Path below `root`.
        path: String,
    },
    /// `Match("version.go", "= \"(.+)\"")`: the part of a file of the tree that a group matches; only in `vars`.
    Match {
        /// Path below `root`.
        path: String,
        /// The regular expression, with one group.
        pattern: String,
    },
    /// `Secret("NAME")`: from the caller's environment; only into the environment of a process.
    Secret {
        /// The variable of the caller's environment.
        name: String,
    },
}

/// `Output("target")` or `Output("target", "path/in/it")`: what a target makes, or a path in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputReference {
    /// The target.
    pub target: TargetName,
    /// A path in its output.
    pub path: Option<String>,
    /// Its place.
    pub span: Span,
}

/// A text of a process environment, which may be a `Secret`.
#[derive(Clone, Debug)]
pub struct ProcessText(pub(crate) Text);

/// A text of the environment of a command, which may be a `Secret` or an `Output`.
#[derive(Clone, Debug)]
pub struct CommandText(pub(crate) Text);

/// A word of a command: a text, a `Tool` or an `Output`.
#[derive(Clone, Debug)]
pub struct CommandWord(pub(crate) Text);

/// The text of a script, as it is written: a template of one literal.
#[derive(Clone, Debug)]
pub struct Script(pub(crate) Text);

impl Text {
    /// Returns an empty text in place of one that could not be read.
    pub(crate) fn empty(span: Span) -> Text {
        Text { source: TextSource::Template(Template::default()), span }
    }

    /// Returns its variables.
    pub fn variables(&self) -> Vec<&VariableName> {
        let template: Option<&Template> = match &self.source {
            TextSource::Template(template) => Some(template),
            TextSource::Environment { default, .. } | TextSource::Git { default, .. } => default.as_ref(),
            TextSource::Secret { .. }
            | TextSource::Tool { .. }
            | TextSource::Output(_)
            | TextSource::File { .. }
            | TextSource::Match { .. } => None,
        };
        template.map(|template| template.variables().collect()).unwrap_or_default()
    }

    /// Returns the facts of images that it names.
    pub fn images(&self) -> impl Iterator<Item = &ImageFact> {
        let template = match &self.source {
            TextSource::Template(template) => Some(template),
            // A default names none: its reader refuses them.
            TextSource::Environment { .. }
            | TextSource::Git { .. }
            | TextSource::Secret { .. }
            | TextSource::Tool { .. }
            | TextSource::File { .. }
            | TextSource::Match { .. }
            | TextSource::Output(_) => None,
        };
        template.into_iter().flat_map(Template::images)
    }

    /// Returns the text, if the file has it literally.
    pub fn as_literal(&self) -> Option<&str> {
        match &self.source {
            TextSource::Template(template) => template.as_literal(),
            TextSource::Environment { .. }
            | TextSource::Git { .. }
            | TextSource::Tool { .. }
            | TextSource::Output(_)
            | TextSource::File { .. }
            | TextSource::Match { .. }
            | TextSource::Secret { .. } => None,
        }
    }
}

impl CommandWord {
    /// Returns `Tool("…")` as a default.
    pub(crate) fn tool(name: &str) -> CommandWord {
        CommandWord(Text {
            source: TextSource::Tool { name: name.to_owned(), tags: Vec::new() },
            span: Span { start: 0, end: 0 },
        })
    }

    /// Returns a literal word as a default.
    pub(crate) fn name(name: &str) -> CommandWord {
        let template = Template { parts: vec![Part::Literal(name.to_owned())] };
        CommandWord(Text { source: TextSource::Template(template), span: Span { start: 0, end: 0 } })
    }
}

impl std::ops::Deref for ProcessText {
    type Target = Text;
    fn deref(&self) -> &Text {
        &self.0
    }
}

impl std::ops::Deref for CommandText {
    type Target = Text;
    fn deref(&self) -> &Text {
        &self.0
    }
}

impl std::ops::Deref for CommandWord {
    type Target = Text;
    fn deref(&self) -> &Text {
        &self.0
    }
}

impl std::ops::Deref for Script {
    type Target = Text;
    fn deref(&self) -> &Text {
        &self.0
    }
}
