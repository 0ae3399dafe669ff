//! `GitAnswers`: the answers to `Git(…)`, each asked for once.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rondel_buildfile::{Describe, GitQuery};
use rondel_cas::{SMALL_MAX, read_text_at_most};
use rondel_evidence::without_userinfo;

use super::notes::GitNotes;
use super::repository::{Found, Repository, find};
use super::version::Asker;
use super::{ask, current_branch, head_commit, is_shallow, untagged_commit};
use crate::request::VersionMode;

/// Digits of a description where nothing is said.
const DIGITS: usize = 12;

/// Asks git about the repository of a directory.
pub(crate) struct GitAnswers<'a> {
    environment: &'a BTreeMap<String, String>,
    root: PathBuf,
    mode: VersionMode,
    notes: GitNotes,
    /// True once something depends on the mode.
    uses_mode: Cell<bool>,
    repository: OnceCell<Found>,
    answers: RefCell<BTreeMap<GitQuery, Option<String>>>,
    warnings: RefCell<Vec<String>>,
}

impl<'a> GitAnswers<'a> {
    /// `mode` is what versions say of a commit.
    pub fn new(
        environment: &'a BTreeMap<String, String>,
        root: &Path,
        mode: VersionMode,
        notes: &GitNotes,
    ) -> GitAnswers<'a> {
        GitAnswers {
            environment,
            root: root.to_owned(),
            mode,
            notes: notes.clone(),
            uses_mode: Cell::new(false),
            repository: OnceCell::new(),
            answers: RefCell::default(),
            warnings: RefCell::default(),
        }
    }

    /// Returns what is odd about the answers, such as a shallow clone.
    pub fn warnings(&self) -> Vec<String> {
        self.warnings.borrow().clone()
    }

    /// Returns the files of the repository that an answer depends on, if git was asked: what HEAD is, and all branches and tags.
    pub fn seen(&self) -> Vec<PathBuf> {
        let Some(repository) = self.repository.get().and_then(Found::repository) else { return Vec::new() };
        let branch = current_branch(repository).map(|name| repository.common.join(name));
        let shared = ["packed-refs", "refs/tags/*", "refs/heads/*"].map(|name| repository.common.join(name));
        shared.into_iter().chain(branch).chain([repository.git.join("HEAD")]).collect()
    }

    /// Returns git's answer. What differs from step to step is not part of it: `Dirty`, and the suffix of `Describe`.
    pub fn get(&self, query: &GitQuery) -> Option<String> {
        if let Some(answer) = self.answers.borrow().get(query) {
            return answer.clone();
        }
        let answer = self.ask(query);
        self.answers.borrow_mut().insert(query.clone(), answer.clone());
        answer
    }

    /// Returns the prefix of the version that was asked for.
    pub fn version_prefix(&self) -> Option<String> {
        let answers = self.answers.borrow();
        answers
            .keys()
            .find_map(|query| if let GitQuery::Version(form) = query { Some(form.prefix.clone()) } else { None })
    }

    /// Records that something depends on the mode.
    pub fn use_mode(&self) {
        self.uses_mode.set(true);
    }

    /// Returns true if something depends on the mode: a version, or a release.
    pub fn uses_mode(&self) -> bool {
        self.uses_mode.get()
    }

    /// Returns the tags of HEAD itself, or `None` if git does not tell.
    pub fn tags_here(&self) -> Option<Vec<String>> {
        let repository = self.repository()?;
        let words = ["for-each-ref", "--format=%(refname:strip=2)", "--points-at=HEAD", "refs/tags/"];
        Some(self.text(repository, &words)?.lines().map(str::to_owned).collect())
    }

    /// Returns the address of `origin`, as the repository's own configuration has it, but for user and password. `None` for a
    /// place on this machine.
    pub fn remote(&self) -> Option<String> {
        let repository = self.repository()?;
        let read = || remote_of(&read_text_at_most(&repository.common.join("config"), SMALL_MAX).ok()?);
        // It may hold a password, which is nobody else's.
        let read = || without_userinfo(&read()?);
        repository.notes.answer("remote", read)
    }

    /// Returns true if there is a repository that may be asked.
    pub fn has_repository(&self) -> bool {
        self.repository().is_some()
    }

    fn ask(&self, query: &GitQuery) -> Option<String> {
        let repository = self.repository()?;
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<String>>();
        // Two small files hold the commit; a process is started only for less simple cases.
        let arguments = match query {
            GitQuery::Commit | GitQuery::ShortCommit(_) => match head_commit(repository) {
                Some(commit) => return Some(short(&commit, query)),
                None => words(&["rev-parse", "--verify", "HEAD^{commit}"]),
            },
            GitQuery::Describe(describe) => {
                if let Some(commit) = untagged(repository, describe) {
                    return Some(commit);
                }
                arguments(describe)
            }
            GitQuery::Tag => words(&["describe", "--tags", "--exact-match"]),
            GitQuery::CommitCount => {
                if is_shallow(repository) {
                    self.warn("this is a shallow clone: its commits can't be counted");
                    return None;
                }
                words(&["rev-list", "--count", "HEAD", "--"])
            }
            GitQuery::CommitTime(_) | GitQuery::CommitTimestamp => {
                words(&["rev-list", "-1", "--format=%ct", "HEAD", "--"])
            }
            GitQuery::Branch => words(&["symbolic-ref", "--short", "-q", "HEAD"]),
            GitQuery::Version(form) => {
                self.use_mode();
                let asker = Asker {
                    ask: &|words| self.text(repository, words),
                    get: &|query| self.get(query),
                    warn: &|text| self.warn(&text),
                    mode: self.mode,
                    is_shallow: is_shallow(repository),
                    is_untagged: untagged_commit(repository).is_some(),
                };
                return asker.version(form);
            }
            // There is no single answer.
            GitQuery::Dirty => return None,
        };
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let answer = String::from_utf8(ask(self.environment, repository, &arguments)?).ok()?;
        // `rev-list` writes a line about the commit first.
        let answer = answer.lines().last().unwrap_or_default().trim().to_owned();
        if matches!(query, GitQuery::Describe(_)) && is_shallow(repository) {
            self.warn("this is a shallow clone: `git describe` may miss the nearest tag");
        }
        match query {
            _ if answer.is_empty() => None,
            GitQuery::ShortCommit(_) => Some(short(&answer, query)),
            GitQuery::CommitTime(format) => {
                let created = rondel_oci::created_text(answer.parse().ok()?);
                Some(format.as_ref().map_or(created.clone(), |format| format.fill(&created)))
            }
            GitQuery::Describe(_)
            | GitQuery::Tag
            | GitQuery::Commit
            | GitQuery::CommitCount
            | GitQuery::CommitTimestamp
            | GitQuery::Branch
            | GitQuery::Version(_)
            | GitQuery::Dirty => Some(answer),
        }
    }

    /// Returns git's output as text.
    fn text(&self, repository: &Repository, words: &[&str]) -> Option<String> {
        String::from_utf8(ask(self.environment, repository, words)?).ok()
    }

    fn warn(&self, text: &str) {
        let mut warnings = self.warnings.borrow_mut();
        if !warnings.iter().any(|warning| warning == text) {
            warnings.push(text.to_owned());
        }
    }

    /// Returns the repository that may be asked. Warns once if there is one that may not.
    fn repository(&self) -> Option<&Repository> {
        let found = self.repository.get_or_init(|| {
            let found = find(self.environment, &self.root, &self.notes);
            if let Found::Refused(why) = &found {
                self.warn(why);
            }
            found
        });
        found.repository()
    }
}

/// Returns the wanted digits of a commit. They are cut here, since git takes more if others begin alike, which differs
/// from clone to clone.
fn short(commit: &str, query: &GitQuery) -> String {
    match query {
        GitQuery::ShortCommit(digits) => commit.chars().take(*digits).collect(),
        _ => commit.to_owned(),
    }
}

/// Returns the description of a repository without tags, if git need not be asked for it.
fn untagged(repository: &Repository, describe: &Describe) -> Option<String> {
    // With fewer digits git looks for others that begin alike.
    if describe.exact || describe.abbrev < DIGITS {
        return None;
    }
    let commit = untagged_commit(repository)?;
    (!is_shallow(repository)).then(|| commit.chars().take(describe.abbrev).collect())
}

/// Returns the words of `git describe`.
fn arguments(describe: &Describe) -> Vec<String> {
    let mut words = vec!["describe".to_owned(), "--tags".to_owned(), format!("--abbrev={}", describe.abbrev)];
    words.push(if describe.exact { "--exact-match" } else { "--always" }.to_owned());
    words.extend(describe.first_parent.then(|| "--first-parent".to_owned()));
    words.extend(describe.long.then(|| "--long".to_owned()));
    words.extend(describe.pattern.as_ref().map(|pattern| format!("--match={pattern}")));
    words
}

/// Returns the first `url` of `[remote "origin"]`. Includes of other files are not followed.
fn remote_of(config: &str) -> Option<String> {
    let mut is_origin = false;
    for line in config.lines().map(str::trim) {
        if line.starts_with('[') {
            is_origin = line.split(']').next() == Some("[remote \"origin\"");
        } else if is_origin
            && let Some((name, value)) = line.split_once('=')
            && name.trim().eq_ignore_ascii_case("url")
        {
            return Some(value.trim().trim_matches('"').to_owned()).filter(|url| !url.is_empty());
        }
    }
    None
}
