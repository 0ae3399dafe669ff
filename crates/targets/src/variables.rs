//! Values of texts: templates, the environment, git. Evaluated only where a wanted target uses them.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rondel_buildfile::{BuildFile, GitQuery, Part, Template, Text, TextSource, VariableName};
use rondel_process::{Cancellation, CommandLine, capture, find_tool};

use crate::request::LowerError;

/// Evaluates texts, each variable at most once.
pub(crate) struct Variables<'a> {
    file: &'a BuildFile,
    environment: &'a BTreeMap<String, String>,
    overrides: &'a BTreeMap<String, String>,
    root: PathBuf,
    values: RefCell<BTreeMap<VariableName, String>>,
    answers: RefCell<BTreeMap<GitQuery, Option<String>>>,
    secrets: RefCell<Vec<String>>,
    warnings: RefCell<Vec<String>>,
}

/// The value of an entry of a process environment.
pub(crate) enum EnvironmentValue {
    /// In the key.
    Plain(String),
    /// Never seen.
    Secret(String),
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
            values: RefCell::default(),
            answers: RefCell::default(),
            secrets: RefCell::default(),
            warnings: RefCell::default(),
        }
    }

    /// Values of all secrets that were used.
    pub fn secrets(&self) -> Vec<String> {
        self.secrets.borrow().clone()
    }

    /// What is odd about the answers, a shallow clone for example.
    pub fn warnings(&self) -> Vec<String> {
        self.warnings.borrow().clone()
    }

    /// The value of a text that holds no secret.
    pub fn text(&self, text: &Text) -> Result<String, LowerError> {
        let value = match &text.source {
            TextSource::Template(template) => self.template(template),
            TextSource::Environment { name, default } => match (self.environment.get(name), default) {
                (Some(value), _) => Ok(value.clone()),
                (None, Some(default)) => self.template(default),
                (None, None) => Err(LowerError::environment(format!("the environment variable `{name}` is not set"))
                    .hint(format!("set {name}, or give a default: Env(\"{name}\", \"…\")"))),
            },
            TextSource::Git { query, default } => match (self.git(*query), default) {
                (Some(value), _) => Ok(value),
                (None, Some(default)) => self.template(default),
                (None, None) => {
                    Err(LowerError::environment("git has no answer here (no repository, no commit, or no git)")
                        .hint("give a default: Git(Describe, \"dev\")"))
                }
            },
            TextSource::Secret { .. } => Err(LowerError::configuration("a secret can't go here")),
        }?;
        if value.contains('\0') {
            return Err(LowerError::configuration("the value holds a NUL").at(text.span));
        }
        Ok(value)
    }

    pub fn texts(&self, texts: &[Text]) -> Result<Vec<String>, LowerError> {
        texts.iter().map(|text| self.text(text).map_err(|error| at(error, text))).collect()
    }

    pub fn optional(&self, text: Option<&Text>) -> Result<Option<String>, LowerError> {
        text.map(|text| self.text(text).map_err(|error| at(error, text))).transpose()
    }

    pub fn pairs(
        &self,
        pairs: &[(rondel_buildfile::Spanned<String>, Text)],
    ) -> Result<Vec<(String, String)>, LowerError> {
        let value = |text: &Text| self.text(text).map_err(|error| at(error, text));
        pairs.iter().map(|(name, text)| Ok((name.value.clone(), value(text)?))).collect()
    }

    /// An entry of a process environment, which may be a secret.
    pub fn environment(
        &self,
        pairs: &[(rondel_buildfile::Spanned<String>, Text)],
    ) -> Result<Vec<(String, EnvironmentValue)>, LowerError> {
        let mut result = Vec::with_capacity(pairs.len());
        for (name, text) in pairs {
            let value = match &text.source {
                TextSource::Secret { name: variable } => {
                    let value = self.environment.get(variable).cloned().ok_or_else(|| {
                        LowerError::environment(format!("the secret `{variable}` is not set"))
                            .at(text.span)
                            .hint(format!("put it into the environment variable {variable}"))
                    })?;
                    self.secrets.borrow_mut().push(value.clone());
                    EnvironmentValue::Secret(value)
                }
                _ => EnvironmentValue::Plain(self.text(text).map_err(|error| at(error, text))?),
            };
            result.push((name.value.clone(), value));
        }
        Ok(result)
    }

    fn template(&self, template: &Template) -> Result<String, LowerError> {
        let mut value = String::new();
        for part in &template.parts {
            match part {
                Part::Literal(text) => value.push_str(text),
                Part::Variable(name) => value.push_str(&self.variable(name)?),
            }
        }
        Ok(value)
    }

    fn variable(&self, name: &VariableName) -> Result<String, LowerError> {
        if let Some(value) = self.overrides.get(name.as_str()) {
            return Ok(value.clone());
        }
        if let Some(value) = self.values.borrow().get(name) {
            return Ok(value.clone());
        }
        let variable = &self.file.vars[name];
        let value = self.text(&variable.text).map_err(|error| at(error, &variable.text))?;
        self.values.borrow_mut().insert(name.clone(), value.clone());
        Ok(value)
    }

    /// What git says, asked once. Seconds since 1970 of the commit serve `created: CommitTime` too.
    pub fn git(&self, query: GitQuery) -> Option<String> {
        if let Some(answer) = self.answers.borrow().get(&query) {
            return answer.clone();
        }
        let answer = self.ask_git(query);
        self.answers.borrow_mut().insert(query, answer.clone());
        answer
    }

    fn ask_git(&self, query: GitQuery) -> Option<String> {
        // The commit stands in two small files; a process is started only for what is not as simple as that.
        if let (GitQuery::Commit | GitQuery::ShortCommit, Some(commit)) = (query, head_commit(&self.root)) {
            let length = if query == GitQuery::Commit { commit.len() } else { 12 };
            return Some(commit[..length].to_owned());
        }
        let arguments: &[&str] = match query {
            GitQuery::Describe => &["describe", "--tags", "--always", "--abbrev=12"],
            GitQuery::Commit | GitQuery::ShortCommit => &["rev-parse", "--verify", "HEAD^{commit}"],
            GitQuery::CommitTime | GitQuery::CommitTimestamp => &["log", "-1", "--no-show-signature", "--format=%ct"],
            GitQuery::Branch => &["symbolic-ref", "--short", "-q", "HEAD"],
        };
        let path = self.environment.get("PATH").map_or("", String::as_str);
        let git = find_tool("git", path, &self.root).ok()?;
        let line = CommandLine::new(git, &self.root).arguments(SAFE.iter().chain(arguments).copied()).environment(
            [
                ("PATH", path),
                ("LC_ALL", "C"),
                ("TZ", "UTC"),
                ("GIT_CONFIG_NOSYSTEM", "1"),
                ("GIT_CONFIG_GLOBAL", "/dev/null"),
                ("GIT_OPTIONAL_LOCKS", "0"),
                ("GIT_TERMINAL_PROMPT", "0"),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned())),
        );
        let captured = capture(&line, &Cancellation::new()).ok()?;
        if !captured.finished.status.success() {
            return None;
        }
        let answer = String::from_utf8(captured.stdout).ok()?.trim().to_owned();
        if query == GitQuery::Describe && self.is_shallow() {
            self.warnings
                .borrow_mut()
                .push("this is a shallow clone: `git describe` may not see the tag that others see".to_owned());
        }
        match query {
            _ if answer.is_empty() => None,
            GitQuery::ShortCommit => Some(answer.chars().take(12).collect()),
            GitQuery::CommitTime => Some(rondel_oci::created_text(answer.parse().ok()?)),
            _ => Some(answer),
        }
    }

    fn is_shallow(&self) -> bool {
        self.root.ancestors().any(|directory| directory.join(".git/shallow").is_file())
    }
}

/// The commit that HEAD names, read from the repository's files: a branch with a file of its own or in
/// `packed-refs`, or a detached HEAD. Anything else (a worktree, another format of references) is `None`.
fn head_commit(root: &Path) -> Option<String> {
    let git = root.ancestors().map(|directory| directory.join(".git")).find(|path| path.exists())?;
    let head = std::fs::read_to_string(git.join("HEAD")).ok()?;
    let is_commit = |text: &str| text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let Some(name) = head.trim().strip_prefix("ref: ") else {
        return Some(head.trim().to_owned()).filter(|text| is_commit(text));
    };
    if !name.starts_with("refs/heads/") || name.contains("..") {
        return None;
    }
    let commit = match std::fs::read_to_string(git.join(name)) {
        Ok(text) => text.trim().to_owned(),
        Err(_) => {
            let packed = std::fs::read_to_string(git.join("packed-refs")).ok()?;
            let line = packed.lines().find(|line| line.split_once(' ').is_some_and(|(_, other)| other == name))?;
            line.split_once(' ')?.0.to_owned()
        }
    };
    is_commit(&commit).then_some(commit)
}

/// A repository is data: it gets no hook, no monitor, no pager and no external diff of its own run; and one
/// that belongs to somebody else is read all the same, since nothing of it is run.
const SAFE: &[&str] = &[
    "-c",
    "core.fsmonitor=false",
    "-c",
    "core.hooksPath=/dev/null",
    "-c",
    "safe.directory=*",
    "-c",
    "log.showSignature=false",
    "--no-pager",
];

fn at(mut error: LowerError, text: &Text) -> LowerError {
    error.span.get_or_insert(text.span);
    error
}
