//! Values of texts: templates, the environment, git. Evaluated only if a wanted target uses them.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rondel_buildfile::{BuildFile, GitQuery, Part, Template, Text, TextSource, VariableName};
use rondel_engine::{EnvironmentValue, UserError};

use crate::git::{self, Found, Repository};

/// Evaluates texts, each variable at most once.
pub(crate) struct Variables<'a> {
    file: &'a BuildFile,
    environment: &'a BTreeMap<String, String>,
    overrides: &'a BTreeMap<String, String>,
    root: PathBuf,
    repository: OnceCell<Found>,
    values: RefCell<BTreeMap<VariableName, String>>,
    answers: RefCell<BTreeMap<GitQuery, Option<String>>>,
    secrets: RefCell<Vec<String>>,
    warnings: RefCell<Vec<String>>,
    dirt: Cell<Dirt>,
    /// Parameters of the target that is being analyzed.
    parameters: RefCell<Scope>,
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
    pub fn new(
        file: &'a BuildFile,
        environment: &'a BTreeMap<String, String>,
        overrides: &'a BTreeMap<String, String>,
        root: &Path,
    ) -> Variables<'a> {
        Variables {
            file,
            environment,
            overrides,
            root: root.to_owned(),
            repository: OnceCell::new(),
            values: RefCell::default(),
            answers: RefCell::default(),
            secrets: RefCell::default(),
            warnings: RefCell::default(),
            dirt: Cell::new(Dirt::Nowhere),
            parameters: RefCell::default(),
        }
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
        self.warnings.borrow().clone()
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

    fn dirty(&self) -> Result<Option<String>, UserError> {
        if self.repository().is_none() {
            return Ok(None);
        }
        match self.dirt.get() {
            Dirt::Nowhere => Err(UserError::input("`Git(Dirty)` can't be used here")
                .hint("it is for `GoBuild`, `Image`, `DockerBuild`, `Template`, `Exec` and `Shell`, whose sources can be dirty")),
            Dirt::Is { dirty, .. } => {
                self.dirt.set(Dirt::Is { dirty, used: true });
                Ok(Some(if dirty { "-dirty" } else { "" }.to_owned()))
            }
        }
    }

    /// Returns the value of a text without secrets.
    pub fn text(&self, text: &Text) -> Result<String, UserError> {
        let value = match &text.source {
            TextSource::Template(template) => self.template(template),
            TextSource::Environment { name, default } => match (self.environment.get(name), default) {
                (Some(value), _) => Ok(value.clone()),
                (None, Some(default)) => self.template(default),
                (None, None) => Err(UserError::environment(format!("the environment variable `{name}` is not set"))
                    .hint(format!("set {name}, or give a default: Env(\"{name}\", \"…\")"))),
            },
            TextSource::Git { query, default } => match (self.answer(*query)?, default) {
                (Some(value), _) => Ok(value),
                (None, Some(default)) => self.template(default),
                (None, None) => {
                    Err(UserError::environment("git has no answer here (no repository, no commit, or no git)")
                        .hint("give a default: Git(Describe, \"dev\")"))
                }
            },
            TextSource::Secret { .. } => Err(UserError::input("a secret is not allowed here")),
            TextSource::Tool { .. } => Err(UserError::input("a tool is not allowed here")),
            TextSource::Output(_) => Err(UserError::input("an output is not allowed here")),
        }?;
        if value.contains('\0') {
            return Err(UserError::input("the value holds a NUL").at(text.span));
        }
        Ok(value)
    }

    pub fn texts(&self, texts: &[Text]) -> Result<Vec<String>, UserError> {
        texts.iter().map(|text| self.text(text).map_err(|error| at(error, text))).collect()
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

    /// Returns such entries without those that name images, whose values are known when the step is prepared.
    pub fn known_environment<K, V: std::ops::Deref<Target = Text>>(
        &self,
        pairs: &rondel_buildfile::Map<K, V>,
    ) -> Result<Vec<(String, EnvironmentValue)>, UserError> {
        let pairs = pairs.iter().map(|(name, text)| (name, &**text));
        self.environment_of(pairs.filter(|(_, text)| text.images().next().is_none()))
    }

    fn environment_of<'t>(
        &self,
        pairs: impl Iterator<Item = (&'t rondel_buildfile::Spanned<String>, &'t Text)>,
    ) -> Result<Vec<(String, EnvironmentValue)>, UserError> {
        let mut result = Vec::new();
        for (name, text) in pairs {
            let value = match &text.source {
                TextSource::Secret { name: variable } => {
                    let value = self.environment.get(variable).cloned().ok_or_else(|| {
                        UserError::environment(format!("the secret `{variable}` is not set"))
                            .at(text.span)
                            .hint(format!("put it into the environment variable {variable}"))
                    })?;
                    self.secrets.borrow_mut().push(value.clone());
                    EnvironmentValue::Secret(value)
                }
                // Its path is known when the step runs.
                TextSource::Output(_) => continue,
                _ => EnvironmentValue::Plain(self.text(text).map_err(|error| at(error, text))?),
            };
            result.push((name.value.clone(), value));
        }
        Ok(result)
    }

    fn template(&self, template: &Template) -> Result<String, UserError> {
        let mut value = String::new();
        for part in &template.parts {
            match part {
                Part::Literal(text) => value.push_str(text),
                Part::Variable(name) => value.push_str(&self.variable(name)?),
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

    /// Returns the value of a parameter, or of a variable that is declared.
    pub fn variable(&self, name: &VariableName) -> Result<String, UserError> {
        match self.parameters.borrow().get(name) {
            Some(Some(value)) => return Ok(value.clone()),
            Some(None) => return Err(UserError::input(format!("the parameter `{name}` has no value here"))),
            None => {}
        }
        if let Some(value) = self.overrides.get(name.as_str()) {
            return Ok(value.clone());
        }
        if let Some(value) = self.values.borrow().get(name) {
            return Ok(value.clone());
        }
        let no_variable = || UserError::input(format!("there is no variable `{name}`"));
        let variable = self.file.vars.get(name).ok_or_else(no_variable)?;
        let value = self.text(&variable.text).map_err(|error| at(error, &variable.text))?;
        self.values.borrow_mut().insert(name.clone(), value.clone());
        Ok(value)
    }

    /// Returns git's answer, asked for once. The commit's seconds since 1970 serve `created: CommitTime` too.
    pub fn git(&self, query: GitQuery) -> Option<String> {
        if let Some(answer) = self.answers.borrow().get(&query) {
            return answer.clone();
        }
        let answer = self.ask_git(query);
        self.answers.borrow_mut().insert(query, answer.clone());
        answer
    }

    fn answer(&self, query: GitQuery) -> Result<Option<String>, UserError> {
        if query == GitQuery::Dirty { self.dirty() } else { Ok(self.git(query)) }
    }

    fn ask_git(&self, query: GitQuery) -> Option<String> {
        // Two small files hold the commit; a process is started only for less simple cases.
        let repository = self.repository()?;
        if let (GitQuery::Commit | GitQuery::ShortCommit, Some(commit)) = (query, git::head_commit(repository)) {
            let length = if query == GitQuery::Commit { commit.len() } else { 12 };
            return Some(commit[..length].to_owned());
        }
        if query == GitQuery::Describe
            && let Some(commit) = git::untagged_commit(repository)
            && !is_shallow(repository)
        {
            return Some(commit[..12].to_owned());
        }
        let arguments: &[&str] = match query {
            GitQuery::Describe => &["describe", "--tags", "--always", "--abbrev=12"],
            GitQuery::Commit | GitQuery::ShortCommit => &["rev-parse", "--verify", "HEAD^{commit}"],
            GitQuery::CommitTime | GitQuery::CommitTimestamp => &["rev-list", "-1", "--format=%ct", "HEAD", "--"],
            GitQuery::Branch => &["symbolic-ref", "--short", "-q", "HEAD"],
            // There is no single answer: see `dirty`.
            GitQuery::Dirty => return None,
        };
        let answer = git::ask(self.environment, repository, arguments)?;
        let answer = String::from_utf8(answer).ok()?;
        // `rev-list` writes a line about the commit first.
        let answer = answer.lines().last().unwrap_or_default().trim().to_owned();
        if query == GitQuery::Describe && is_shallow(repository) {
            self.warnings
                .borrow_mut()
                .push("this is a shallow clone: `git describe` may miss the nearest tag".to_owned());
        }
        match query {
            _ if answer.is_empty() => None,
            GitQuery::ShortCommit => Some(answer.chars().take(12).collect()),
            GitQuery::CommitTime => Some(rondel_oci::created_text(answer.parse().ok()?)),
            _ => Some(answer),
        }
    }

    /// Returns the repository that may be asked. Warns once if there is one that may not.
    fn repository(&self) -> Option<&Repository> {
        let found = self.repository.get_or_init(|| {
            let found = git::find(self.environment, &self.root);
            if let Found::Refused(why) = &found {
                self.warnings.borrow_mut().push(why.clone());
            }
            found
        });
        found.repository()
    }
}

fn is_shallow(repository: &Repository) -> bool {
    repository.common.join("shallow").is_file()
}

fn at(error: UserError, text: &Text) -> UserError {
    error.at(text.span)
}
