//! Values of texts: templates, the environment, git, files. Evaluated only if a wanted target uses them.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use rondel_buildfile::{
    BuildFile, EnvFile, GitQuery, Part, Span, Template, Text, TextSource, VariableName, VariableUse, wrong_tag,
};
use rondel_engine::{EnvironmentValue, Seal, UserError};

use crate::env_file::{self, may_be_secret};
use crate::git::GitAnswers;
use crate::request::Request;
use crate::source_files::SourceFiles;

/// Evaluates texts, each variable at most once.
pub(crate) struct Variables<'a> {
    file: &'a BuildFile,
    environment: &'a BTreeMap<String, String>,
    overrides: &'a BTreeMap<String, String>,
    git: GitAnswers<'a>,
    sources: SourceFiles<'a>,
    values: RefCell<BTreeMap<VariableName, String>>,
    /// All values that variables had, and where each came from.
    seen: RefCell<BTreeMap<VariableName, Vec<Value>>>,
    secrets: RefCell<Vec<String>>,
    /// Seals values of files that may be secrets.
    seal: Seal,
    warnings: RefCell<Vec<String>>,
    dirt: Cell<Dirt>,
    /// Parameters of the target that is being analyzed.
    parameters: RefCell<Scope>,
}

/// A value and its source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Value {
    pub text: String,
    /// The source, for people.
    pub origin: String,
}

/// The value of a text, or why there is none: the environment or git lacks it, and there is no default.
enum Answer {
    Value(Value),
    Missing(UserError),
}
/// The parameters of a target: their values, and `None` for one without.
pub(crate) type Scope = BTreeMap<VariableName, Option<String>>;

/// Value of `Git(Dirty)`. It differs from step to step, so a step that uses it is made twice: once for clean and once
/// for dirty sources.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Dirt {
    /// It can't be used here.
    Nowhere,
    /// It has this value; `used` is true once it was read.
    Is { dirty: bool, used: bool },
}

impl<'a> Variables<'a> {
    pub fn new(request: &Request<'a>) -> Variables<'a> {
        Variables {
            file: request.file,
            environment: request.environment,
            overrides: request.overrides,
            git: GitAnswers::new(request.environment, &request.repository, request.version_mode, &request.notes),
            sources: SourceFiles::new(request.file, &request.root),
            values: RefCell::default(),
            seen: RefCell::default(),
            secrets: RefCell::default(),
            seal: request.seal.clone(),
            warnings: RefCell::default(),
            dirt: Cell::new(Dirt::Nowhere),
            parameters: RefCell::default(),
        }
    }

    /// Returns the files of the tree.
    pub fn sources(&self) -> &SourceFiles<'a> {
        &self.sources
    }

    /// Returns the values that variables had so far; several where `Git(Dirty)` is in them.
    pub fn seen(&self) -> BTreeMap<VariableName, Vec<Value>> {
        self.seen.borrow().clone()
    }

    /// Replaces the parameters, and returns the former ones.
    pub fn enter(&self, scope: Scope) -> Scope {
        self.parameters.replace(scope)
    }

    /// Returns the values of all used secrets.
    pub fn secrets(&self) -> Vec<String> {
        self.secrets.borrow().clone()
    }

    /// Returns what is odd about the answers, such as a shallow clone.
    pub fn warnings(&self) -> Vec<String> {
        [self.git.warnings(), self.warnings.borrow().clone()].concat()
    }

    /// Evaluates with `make` for clean sources and, if that matters, once more for dirty ones.
    pub fn both<T>(&self, make: &dyn Fn() -> Result<T, UserError>) -> Result<(T, Option<T>), UserError> {
        let with = |dirty| {
            self.values.borrow_mut().clear();
            self.dirt.set(Dirt::Is { dirty, used: false });
            let made = make();
            let used = matches!(self.dirt.replace(Dirt::Nowhere), Dirt::Is { used: true, .. });
            if used {
                self.values.borrow_mut().clear();
            }
            Ok((made?, used))
        };
        match with(false)? {
            (clean, false) => Ok((clean, None)),
            (clean, true) => Ok((clean, Some(with(true)?.0))),
        }
    }

    /// Returns `suffix` if the sources of the step are dirty, else nothing.
    fn dirty(&self, suffix: &str) -> Result<Option<String>, UserError> {
        if !self.git.has_repository() {
            return Ok(None);
        }
        match self.dirt.get() {
            Dirt::Nowhere => Err(UserError::input("`Git(Dirty)` can't be used here")
                .hint("it is for `GoBuild`, `Image`, `DockerBuild`, `Template`, `Exec` and `Shell`, whose sources can be dirty")),
            Dirt::Is { dirty, .. } => {
                self.dirt.set(Dirt::Is { dirty, used: true });
                Ok(Some(if dirty { suffix } else { "" }.to_owned()))
            }
        }
    }

    /// Returns true if the sources of the step are dirty. False without a repository.
    pub fn is_dirty(&self) -> Result<bool, UserError> {
        Ok(self.dirty("dirty")?.is_some_and(|suffix| !suffix.is_empty()))
    }

    /// Returns the address that the repository was cloned from.
    pub fn git_remote(&self) -> Option<String> {
        self.git.remote()
    }

    /// Returns true if the value of a variable is known only when a target is made.
    pub fn is_late(&self, name: &VariableName) -> bool {
        let is_set = self.overrides.contains_key(name.as_str());
        !is_set
            && self.file.vars.get(name).is_some_and(|variable| match &variable.text.source {
                TextSource::Output(_) => true,
                TextSource::Template(template) => template.variables().any(|name| self.is_late(name)),
                _ => false,
            })
    }

    /// Returns true if a text is known only when a target is made.
    pub fn is_late_text(&self, text: &Text) -> bool {
        matches!(&text.source, TextSource::Template(_))
            && (text.images().next().is_some() || text.variables().iter().any(|name| self.is_late(name)))
    }

    /// Returns the declared value of a variable.
    pub fn declared(&self, name: &VariableName) -> &'a Text {
        &self.file.vars[name].text
    }

    /// Returns the value of a text without secrets.
    pub fn text(&self, text: &Text) -> Result<String, UserError> {
        match self.answer(text)? {
            Answer::Value(value) => Ok(value.text),
            Answer::Missing(why) => Err(why),
        }
    }

    fn answer(&self, text: &Text) -> Result<Answer, UserError> {
        let found = |text, origin: String| Ok(Answer::Value(Value { text, origin }));
        let default = |template: &Option<Template>, origin: String, missing: UserError| match template {
            Some(template) => found(self.template(template)?, origin),
            None => Ok(Answer::Missing(missing)),
        };
        let answer = match &text.source {
            TextSource::Template(template) => found(self.template(template)?, "build.ron".to_owned()),
            TextSource::Environment { name, default: other } => match self.environment.get(name) {
                Some(value) => found(value.clone(), format!("the environment variable {name}")),
                None => {
                    let missing = UserError::environment(format!("the environment variable `{name}` is not set"))
                        .hint(format!("set {name}, or give a default: Env(\"{name}\", \"…\")"));
                    default(other, format!("its default, since {name} is not set"), missing)
                }
            },
            TextSource::Git { query, default: other } => match self.ask_git(query)? {
                Some(value) => found(value, format!("Git({query})")),
                None => {
                    let why = self.git.warnings().pop();
                    let why = why.unwrap_or_else(|| "no repository, no commit, no tag, or no git".to_owned());
                    let missing = UserError::environment(format!("git has no answer here ({why})"))
                        .hint(format!("give a default: Git({query}, \"dev\")"));
                    default(other, format!("its default, since Git({query}) has no answer"), missing)
                }
            },
            TextSource::File { path } => {
                let line = self.sources.line(path)?;
                found(line.value, line.place)
            }
            TextSource::Match { path, pattern } => {
                let matched = self.sources.matched(path, pattern)?;
                found(matched.value, matched.place)
            }
            TextSource::Secret { .. } => Err(UserError::input("a secret is not allowed here")),
            TextSource::Tool { .. } => Err(UserError::input("a tool is not allowed here")),
            TextSource::Output(output) => {
                let message = format!("the value is known only when `{}` is made", output.target);
                Err(UserError::input(message).hint(
                    "use it in the `command` of `Exec`, in the `env` of `Exec` and `Shell`, or in the file of a `Template`",
                ))
            }
        }?;
        match &answer {
            Answer::Value(value) if value.text.contains('\0') => {
                Err(UserError::input("the value holds a NUL").at(text.span))
            }
            Answer::Value(_) | Answer::Missing(_) => Ok(answer),
        }
    }

    pub fn texts(&self, texts: &[Text]) -> Result<Vec<String>, UserError> {
        texts.iter().map(|text| self.text(text).map_err(|error| at(error, text))).collect()
    }

    /// Returns build tags. A text of other sources than the file may be empty, and is no tag then.
    pub fn tags(&self, texts: &[Text]) -> Result<Vec<String>, UserError> {
        let mut tags = Vec::with_capacity(texts.len());
        for text in texts {
            let tag = self.text(text).map_err(|error| at(error, text))?;
            match wrong_tag(&tag) {
                Some(_) if tag.is_empty() => {}
                Some((message, _)) => {
                    return Err(UserError::input(message).at(text.span).hint("a text gives one tag, or is empty"));
                }
                None => tags.push(tag),
            }
        }
        Ok(tags)
    }

    pub fn optional(&self, text: Option<&Text>) -> Result<Option<String>, UserError> {
        text.map(|text| self.text(text).map_err(|error| at(error, text))).transpose()
    }

    pub fn pairs(
        &self,
        pairs: &[(rondel_buildfile::Spanned<String>, Text)],
    ) -> Result<Vec<(String, String)>, UserError> {
        let value = |text: &Text| self.text(text).map_err(|error| at(error, text));
        pairs.iter().map(|(name, text)| Ok((name.value.clone(), value(text)?))).collect()
    }

    /// Returns the entries of a process environment, which may be secrets. Outputs are not among them.
    pub fn environment<K, V: std::ops::Deref<Target = Text>>(
        &self,
        pairs: &rondel_buildfile::Map<K, V>,
    ) -> Result<Vec<(String, EnvironmentValue)>, UserError> {
        self.environment_of(pairs.iter().map(|(name, text)| (name, &**text)))
    }

    /// Returns such entries without those whose values are known when the step is prepared.
    pub fn known_environment<K, V: std::ops::Deref<Target = Text>>(
        &self,
        pairs: &rondel_buildfile::Map<K, V>,
    ) -> Result<Vec<(String, EnvironmentValue)>, UserError> {
        let pairs = pairs.iter().map(|(name, text)| (name, &**text));
        self.environment_of(pairs.filter(|(_, text)| !self.is_late_text(text)))
    }

    /// Returns the environment that a process on this machine gets: `own`, and what it does not replace of files and of the
    /// top level's `env`.
    pub fn of_process(
        &self,
        files: &[EnvFile],
        own: Vec<(String, EnvironmentValue)>,
    ) -> Result<Vec<(String, EnvironmentValue)>, UserError> {
        let own = self.with_files(files, own)?;
        let everywhere = self.file.env.iter().filter(|(name, _)| !own.iter().any(|(other, _)| *other == name.value));
        let mut result = self.environment_of(everywhere.map(|(name, text)| (name, &**text)))?;
        result.extend(own);
        Ok(result)
    }

    /// Returns these entries, and before them those of files that they do not replace.
    pub fn with_files(
        &self,
        files: &[EnvFile],
        own: Vec<(String, EnvironmentValue)>,
    ) -> Result<Vec<(String, EnvironmentValue)>, UserError> {
        let mut result: Vec<(String, EnvironmentValue)> = Vec::new();
        for file in files {
            for (name, value) in self.env_file(file).map_err(|error| error.at(file.path.span))? {
                if may_be_secret(&value) {
                    self.secrets.borrow_mut().push(value.clone());
                }
                let seal = self.seal.value(&name, &value);
                result.retain(|(other, _)| *other != name);
                result.push((name, EnvironmentValue::Sealed { value, seal }));
            }
        }
        result.retain(|(name, _)| !own.iter().any(|(other, _)| other == name));
        result.extend(own);
        Ok(result)
    }

    /// Returns the variables of a file, in its order.
    fn env_file(&self, file: &EnvFile) -> Result<Vec<(String, String)>, UserError> {
        let path = &file.path.value;
        if !self.sources.is_there(path) {
            let hint = format!("make it, or write `Optional(\"{path}\")` if it may be missing");
            let missing = UserError::input(format!("there is no file `{path}`")).hint(hint);
            return if file.is_optional { Ok(Vec::new()) } else { Err(missing) };
        }
        if let Some(maker) = self.sources.maker_of(path) {
            let message = format!("`{path}` is made by `{maker}`, and environment files are read before anything runs");
            return Err(UserError::input(message).hint("read it in the script itself: `. ./file`"));
        }
        let text = self.sources.read(path)?;
        let parsed = env_file::parse(&text, &|name| self.environment.get(name).cloned()).map_err(|mistake| {
            UserError::input(format!("`{path}`, line {}: {}", mistake.line, mistake.what)).hint(mistake.hint)
        })?;
        for line in parsed.quoted_lines {
            let text = format!(
                "`{path}`, line {line}: the quotes are part of the value, as in Docker 28 and before; leave them out"
            );
            let mut warnings = self.warnings.borrow_mut();
            if !warnings.contains(&text) {
                warnings.push(text);
            }
        }
        Ok(parsed.variables)
    }

    fn environment_of<'t>(
        &self,
        pairs: impl Iterator<Item = (&'t rondel_buildfile::Spanned<String>, &'t Text)>,
    ) -> Result<Vec<(String, EnvironmentValue)>, UserError> {
        let mut result = Vec::new();
        for (name, text) in pairs {
            let value = match &text.source {
                TextSource::Secret { name } => EnvironmentValue::Secret(self.secret(name, text.span)?),
                // Its path is known when the step runs.
                TextSource::Output(_) => continue,
                _ => EnvironmentValue::Plain(self.text(text).map_err(|error| at(error, text))?),
            };
            result.push((name.value.clone(), value));
        }
        Ok(result)
    }

    /// Returns the value of a secret, which is hidden from now on.
    pub fn secret(&self, name: &str, span: Span) -> Result<String, UserError> {
        let value = self.environment.get(name).cloned().ok_or_else(|| {
            UserError::environment(format!("the secret `{name}` is not set"))
                .at(span)
                .hint(format!("put it into the environment variable {name}"))
        })?;
        self.secrets.borrow_mut().push(value.clone());
        Ok(value)
    }

    fn template(&self, template: &Template) -> Result<String, UserError> {
        let mut value = String::new();
        for part in &template.parts {
            match part {
                Part::Literal(text) => value.push_str(text),
                Part::Variable(used) => value.push_str(&self.used(used)?),
                Part::Image(fact) => {
                    return Err(UserError::input(format!(
                        "`{fact}` is not allowed here: it is known only when `{}` is made",
                        fact.target
                    )));
                }
            }
        }
        Ok(value)
    }

    /// Returns the filtered value of a variable that is declared.
    pub fn used(&self, used: &VariableUse) -> Result<String, UserError> {
        let (value, why) = match self.variable(&used.name)? {
            Answer::Value(value) => (Some(value.text), None),
            Answer::Missing(why) => (None, Some(why)),
        };
        match used.apply(value).map_err(UserError::input)? {
            Some(value) => Ok(value),
            None => Err(why.unwrap_or_else(|| UserError::input(format!("`{used}` has no value")))),
        }
    }

    /// Returns the value of a variable that is declared.
    pub fn value(&self, name: &VariableName) -> Result<String, UserError> {
        self.used(&VariableUse { name: name.clone(), filters: Vec::new() })
    }

    /// Returns the value of a parameter, or of a variable that is declared.
    fn variable(&self, name: &VariableName) -> Result<Answer, UserError> {
        match self.parameters.borrow().get(name) {
            Some(Some(text)) => {
                return Ok(Answer::Value(Value { text: text.clone(), origin: "parameter".to_owned() }));
            }
            Some(None) => {
                return Ok(Answer::Missing(UserError::input(format!("the parameter `{name}` has no value here"))));
            }
            None => {}
        }
        if let Some(text) = self.values.borrow().get(name) {
            return Ok(Answer::Value(Value { text: text.clone(), origin: String::new() }));
        }
        let value = match self.overrides.get(name.as_str()) {
            Some(text) => Value { text: text.clone(), origin: "--set".to_owned() },
            None => {
                let variable = &self.file.vars[name];
                match self.answer(&variable.text).map_err(|error| at(error, &variable.text))? {
                    Answer::Value(value) => value,
                    Answer::Missing(why) => return Ok(Answer::Missing(at(why, &variable.text))),
                }
            }
        };
        self.values.borrow_mut().insert(name.clone(), value.text.clone());
        let mut seen = self.seen.borrow_mut();
        let values = seen.entry(name.clone()).or_default();
        if !values.contains(&value) {
            values.push(value.clone());
        }
        drop(seen);
        Ok(Answer::Value(value))
    }

    /// Returns the files that values came from, in the tree and in git's repository.
    pub fn files_seen(&self) -> BTreeSet<PathBuf> {
        let mut seen = self.sources.seen();
        seen.extend(self.git.seen());
        seen
    }

    /// Returns what is known of the repository.
    pub fn repository(&self) -> &GitAnswers<'a> {
        &self.git
    }

    /// Returns git's answer, asked for once. The commit's seconds since 1970 serve `created: CommitTime` too.
    pub fn git(&self, query: &GitQuery) -> Option<String> {
        self.git.get(query)
    }

    fn ask_git(&self, query: &GitQuery) -> Result<Option<String>, UserError> {
        match query {
            GitQuery::Dirty => self.dirty("-dirty"),
            GitQuery::Describe(describe) => {
                let Some(mut answer) = self.git.get(query) else { return Ok(None) };
                if let Some(suffix) = &describe.dirty {
                    answer.push_str(&self.dirty(suffix)?.unwrap_or_default());
                }
                Ok(Some(answer))
            }
            GitQuery::Tag
            | GitQuery::Commit
            | GitQuery::ShortCommit(_)
            | GitQuery::CommitCount
            | GitQuery::CommitTime(_)
            | GitQuery::CommitTimestamp
            | GitQuery::Branch
            | GitQuery::Version(_) => Ok(self.git.get(query)),
        }
    }
}

fn at(error: UserError, text: &Text) -> UserError {
    error.at(text.span)
}
