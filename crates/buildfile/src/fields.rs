//! Reading the fields of one thing: what was asked for, what was left over, all mistakes kept.

use crate::TargetName;
use crate::template::Template;
use crate::value::{Named, Value};
use crate::{Diagnostic, GitQuery, Span, Spanned, Text, TextSource, suggest};

/// Where mistakes are collected.
pub(crate) struct Reader<'d> {
    pub diagnostics: &'d mut Vec<Diagnostic>,
}

/// The fields of one thing, taken one by one.
pub(crate) struct Fields<'a> {
    /// What it is, for messages: `GoBuild`.
    owner: String,
    span: Span,
    entries: Vec<Named<'a>>,
    known: Vec<&'static str>,
}

impl<'a> Fields<'a> {
    /// Looks for `name`.
    pub fn take(&mut self, name: &'static str) -> Option<Value<'a>> {
        self.known.push(name);
        let index = self.entries.iter().position(|entry| entry.name == name)?;
        Some(self.entries.remove(index).value)
    }
}

impl Reader<'_> {
    pub fn report(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    /// `None` after reporting.
    pub fn kept<T>(&mut self, result: Result<T, Diagnostic>) -> Option<T> {
        result.map_err(|diagnostic| self.report(diagnostic)).ok()
    }

    /// The fields of `value`, each name at most once.
    pub fn fields<'a>(&mut self, owner: &str, span: Span, value: Option<Value<'a>>) -> Option<Fields<'a>> {
        let entries = match value {
            None => Vec::new(),
            Some(value) => self.kept(value.fields())?,
        };
        let entries = self.without_duplicates(entries, "field");
        Some(Fields { owner: owner.to_owned(), span, entries, known: Vec::new() })
    }

    /// Reports what nobody asked for.
    pub fn finish(&mut self, fields: Fields<'_>) {
        for entry in &fields.entries {
            let message = format!("unknown field `{}` in `{}`", entry.name.escape_debug(), fields.owner);
            let hint = match suggest(&entry.name, fields.known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("`{}` has: {}", fields.owner, fields.known.join(", ")),
            };
            self.report(Diagnostic::new(entry.name_span, message).hint(hint));
        }
    }

    /// Reports that a required field is missing.
    pub fn required<T>(&mut self, value: Option<T>, name: &str, fields: &Fields<'_>) -> Option<T> {
        if value.is_none() {
            let message = format!("`{}` needs the field `{name}`", fields.owner);
            self.report(Diagnostic::new(fields.span, message));
        }
        value
    }

    pub fn without_duplicates<'a>(&mut self, entries: Vec<Named<'a>>, what: &str) -> Vec<Named<'a>> {
        let mut kept: Vec<Named<'a>> = Vec::with_capacity(entries.len());
        for entry in entries {
            if kept.iter().any(|other| other.name == entry.name) {
                let message = format!("{what} `{}` is given twice", entry.name.escape_debug());
                self.report(Diagnostic::new(entry.name_span, message).hint("remove one of the two"));
            } else {
                kept.push(entry);
            }
        }
        kept
    }

    pub fn boolean(&mut self, value: Option<Value<'_>>, default: bool) -> bool {
        value.and_then(|value| self.kept(value.parse("`true` or `false`"))).unwrap_or(default)
    }

    pub fn seconds(&mut self, value: Option<Value<'_>>, default: u64) -> u64 {
        let Some(value) = value else { return default };
        match self.kept(value.parse::<u64>("a whole number of seconds")) {
            Some(seconds @ 1..=86_400) => seconds,
            Some(_) => {
                self.report(Diagnostic::new(value.span(), "expected between 1 and 86400 seconds"));
                default
            }
            None => default,
        }
    }

    pub fn string(&mut self, value: Value<'_>, expected: &str) -> Option<Spanned<String>> {
        if !value.is_string() {
            self.report(value.unexpected(expected));
            return None;
        }
        let text: String = self.kept(value.parse(expected))?;
        if text.contains('\0') {
            self.report(Diagnostic::new(value.span(), "a NUL in a string"));
            return None;
        }
        Some(Spanned { value: text, span: value.span() })
    }

    pub fn strings(&mut self, value: Option<Value<'_>>, expected: &str) -> Vec<Spanned<String>> {
        let Some(items) = value.and_then(|value| self.kept(value.list(&format!("a list of {expected}")))) else {
            return Vec::new();
        };
        items.into_iter().filter_map(|item| self.string(item, expected)).collect()
    }

    pub fn target_name(&mut self, value: Value<'_>) -> Option<Spanned<TargetName>> {
        let text = self.string(value, "the name of a target")?;
        match TargetName::new(&text.value) {
            Ok(value) => Some(Spanned { value, span: text.span }),
            Err(error) => {
                self.report(Diagnostic::new(text.span, error.to_string()));
                None
            }
        }
    }

    pub fn target_names(&mut self, value: Option<Value<'_>>) -> Vec<Spanned<TargetName>> {
        let Some(items) = value.and_then(|value| self.kept(value.list("a list of target names"))) else {
            return Vec::new();
        };
        items.into_iter().filter_map(|item| self.target_name(item)).collect()
    }

    pub fn texts(&mut self, value: Option<Value<'_>>) -> Vec<Text> {
        let Some(items) = value.and_then(|value| self.kept(value.list("a list of texts"))) else {
            return Vec::new();
        };
        items.into_iter().filter_map(|item| self.text(item)).collect()
    }

    pub fn optional_text(&mut self, value: Option<Value<'_>>) -> Option<Text> {
        value.and_then(|value| self.text(value))
    }

    /// A text that can be known without secrets; a `Secret` is refused here.
    pub fn text(&mut self, value: Value<'_>) -> Option<Text> {
        let text = self.text_or_secret(value)?;
        if matches!(text.source, TextSource::Secret { .. }) {
            let message = "a secret can't go here: it would reach a command line, a key or an image";
            self.report(
                Diagnostic::new(text.span, message).hint(
                    "a `Secret` goes into the `env` of `DockerRun`, `GoTest`, `Exec`, `Shell` or `Compose…` only",
                ),
            );
            return None;
        }
        Some(text)
    }

    pub fn text_or_secret(&mut self, value: Value<'_>) -> Option<Text> {
        let text = self.any_text(value)?;
        if matches!(text.source, TextSource::Tool { .. }) {
            let message = "a `Tool` can't go here: it is a program, not a text";
            self.report(Diagnostic::new(text.span, message).hint("a `Tool` goes into the `command` of an `Exec`"));
            return None;
        }
        Some(text)
    }

    /// The words of a command: texts, and tools.
    pub fn command(&mut self, value: Value<'_>) -> Vec<Text> {
        let Some(items) = self.kept(value.list("a list of texts")) else { return Vec::new() };
        let mut words = Vec::with_capacity(items.len());
        for item in items {
            let is_tool = item.call().is_some_and(|call| call.name == "Tool");
            words.extend(if is_tool { self.any_text(item) } else { self.text(item) });
        }
        words
    }

    fn any_text(&mut self, value: Value<'_>) -> Option<Text> {
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
        let Some(arguments) = call.arguments else {
            self.report(value.unexpected(EXPECTED));
            return None;
        };
        let arguments = self.kept(arguments.positional())?;
        let source = match (call.name, arguments.as_slice()) {
            ("Env", [name]) => TextSource::Environment { name: self.variable(*name)?, default: None },
            ("Env", [name, default]) => {
                TextSource::Environment { name: self.variable(*name)?, default: Some(self.template(*default)?) }
            }
            ("Git", [query]) => TextSource::Git { query: self.git_query(*query)?, default: None },
            ("Git", [query, default]) => {
                TextSource::Git { query: self.git_query(*query)?, default: Some(self.template(*default)?) }
            }
            ("Tool", [name]) => TextSource::Tool { name: self.tool_name(*name)? },
            ("Secret", [name]) => TextSource::Secret { name: self.variable(*name)? },
            ("Env" | "Git" | "Secret" | "Tool", _) => {
                let message = format!(
                    "`{}` takes a name{}",
                    call.name,
                    if matches!(call.name, "Secret" | "Tool") { "" } else { " and, if you like, a default" }
                );
                self.report(Diagnostic::new(span, message));
                return None;
            }
            (other, _) => {
                let mut diagnostic = Diagnostic::new(call.name_span, format!("`{other}` is not a source of text"));
                diagnostic.hint =
                    suggest(other, ["Env", "Git", "Secret"]).map(|near| format!("did you mean `{near}`?"));
                self.report(diagnostic);
                return None;
            }
        };
        Some(Text { source, span })
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

    /// An import path, or its last element.
    fn tool_name(&mut self, value: Value<'_>) -> Option<String> {
        let text = self.string(value, "the name of a tool")?;
        let sound = |part: &str| {
            !part.is_empty()
                && !part.starts_with(['.', '-'])
                && part.chars().all(|character| character.is_ascii_alphanumeric() || "-_.~+!".contains(character))
        };
        if text.value.split('/').all(sound) {
            return Some(text.value);
        }
        let message = format!("`{}` is not the name of a tool", text.value.escape_debug());
        self.report(Diagnostic::new(text.span, message).hint("write its import path, or the last element of that"));
        None
    }

    /// A name of the process environment.
    fn variable(&mut self, value: Value<'_>) -> Option<String> {
        let text = self.string(value, "the name of an environment variable")?;
        self.check_variable(&text).then_some(text.value)
    }

    pub fn check_variable(&mut self, name: &Spanned<String>) -> bool {
        let sound = !name.value.is_empty()
            && !name.value.starts_with(|first: char| first.is_ascii_digit())
            && name.value.chars().all(|character| character.is_ascii_alphanumeric() || character == '_');
        if !sound {
            let message = format!("`{}` can't be the name of an environment variable", name.value.escape_debug());
            self.report(Diagnostic::new(name.span, message));
        }
        sound
    }

    fn git_query(&mut self, value: Value<'_>) -> Option<GitQuery> {
        const QUERIES: &[(&str, GitQuery)] = &[
            ("Describe", GitQuery::Describe),
            ("Commit", GitQuery::Commit),
            ("ShortCommit", GitQuery::ShortCommit),
            ("CommitTime", GitQuery::CommitTime),
            ("CommitTimestamp", GitQuery::CommitTimestamp),
            ("Branch", GitQuery::Branch),
            ("Dirty", GitQuery::Dirty),
        ];
        self.choice(value, QUERIES)
    }

    /// One of some words.
    pub fn choice<T: Copy>(&mut self, value: Value<'_>, choices: &[(&'static str, T)]) -> Option<T> {
        let word = value.call().filter(|call| call.arguments.is_none()).map(|call| call.name);
        if let Some((_, choice)) = choices.iter().find(|(name, _)| Some(*name) == word) {
            return Some(*choice);
        }
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        let mut diagnostic = value.unexpected(&format!("one of {}", names.join(", ")));
        diagnostic.hint = word.and_then(|word| suggest(word, names)).map(|near| format!("did you mean `{near}`?"));
        self.report(diagnostic);
        None
    }

    /// `{ "NAME": text }` where names are environment variables.
    pub fn environment(&mut self, value: Option<Value<'_>>, secrets: bool) -> Vec<(Spanned<String>, Text)> {
        let entries = self.text_map(value, secrets);
        entries.into_iter().filter(|(name, _)| self.check_variable(name)).collect()
    }

    /// `{ "name": text }`.
    pub fn text_map(&mut self, value: Option<Value<'_>>, secrets: bool) -> Vec<(Spanned<String>, Text)> {
        let Some(entries) = value.and_then(|value| self.kept(value.map("a map, `{\"name\": \"value\"}`"))) else {
            return Vec::new();
        };
        let entries = self.without_duplicates(entries, "key");
        let mut result = Vec::with_capacity(entries.len());
        for entry in entries {
            let text = if secrets { self.text_or_secret(entry.value) } else { self.text(entry.value) };
            if let Some(text) = text {
                result.push((Spanned { value: entry.name, span: entry.name_span }, text));
            }
        }
        result
    }
}
