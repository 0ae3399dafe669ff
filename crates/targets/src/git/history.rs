//! `History`: the commits since the last release. What they are is found by names of commits first, so that a step's key
//! costs no reading of messages.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rondel_cas::RelativePath;
use rondel_dist::Commit;

use super::notes::GitNotes;
use super::repository::{Found, Repository, find};
use super::{ask, head_commit, is_shallow, untagged_commit};

/// Tags of pre-releases, as git's pattern: `v1.2.3-rc.1`.
const PRE_RELEASES: &str = "--exclude=*[0-9].*-*";

/// Asks for commits of the repository of a directory.
pub(crate) struct History {
    pub environment: BTreeMap<String, String>,
    pub directory: PathBuf,
    /// What git answered.
    pub notes: GitNotes,
    /// Paths below the directory whose commits are listed; all commits if there is none.
    pub paths: Vec<RelativePath>,
}

/// A range of commits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    /// The last commit.
    pub head: String,
    /// The commit of the tag before; `None` for everything up to `head`.
    pub base: Option<String>,
}

impl History {
    /// Returns the range from the last tag that matches `pattern` and is not HEAD's own. The error states what is missing.
    pub fn since(&self, pattern: &str, with_pre_releases: bool) -> Result<Range, String> {
        let repository = self.repository()?;
        if is_shallow(&repository) {
            return Err("this is a shallow clone: it does not have all commits since the last release".to_owned());
        }
        let head = match head_commit(&repository) {
            Some(head) => head,
            None => self.text(&repository, &["rev-parse", "--verify", "HEAD^{commit}"])?,
        };
        if untagged_commit(&repository).is_some() {
            return Ok(Range { head, base: None });
        }
        let here = ["for-each-ref", "--format=--exclude=%(refname:strip=2)", "--points-at=HEAD", "refs/tags/"];
        let here = self.text(&repository, &here)?;
        let pattern = format!("--match={pattern}");
        let mut words = vec!["describe", "--tags", "--abbrev=0", &pattern];
        words.extend(here.lines());
        words.extend((!with_pre_releases).then_some(PRE_RELEASES));
        // A failure means that there is no such tag.
        let Some(tag) = ask(&self.environment, &repository, &words).and_then(|tag| String::from_utf8(tag).ok()) else {
            return Ok(Range { head, base: None });
        };
        let commit = format!("refs/tags/{}^{{commit}}", tag.trim());
        let base = self.text(&repository, &["rev-parse", "--verify", &commit])?;
        Ok(Range { head, base: Some(base) })
    }

    /// Returns the newest commits of a range, at most `max`, and whether there are others. Merges are left out: they say what
    /// their parents say.
    pub fn commits(&self, range: &Range, max: usize) -> Result<(Vec<Commit>, bool), String> {
        let repository = self.repository()?;
        let count = format!("--max-count={}", max + 1);
        let base = range.base.as_ref().map(|base| format!("^{base}"));
        let mut words = vec!["rev-list", "--no-merges", "--encoding=UTF-8", "--format=%H%x00%an%x00%B%x00", &count];
        words.push(&range.head);
        words.extend(base.as_deref());
        words.push("--");
        let paths = self.path_words(&repository)?;
        words.extend(paths.iter().map(String::as_str));
        let answer = ask(&self.environment, &repository, &words).ok_or("git does not list the commits")?;
        let answer = String::from_utf8_lossy(&answer);
        let mut fields = answer.split('\0');
        let mut commits = Vec::new();
        // Before each there is a line about the commit.
        while let (Some(head), Some(author), Some(message)) = (fields.next(), fields.next(), fields.next()) {
            let hash = head.lines().last().unwrap_or_default().to_owned();
            commits.push(Commit { hash, author: author.to_owned(), message: message.to_owned() });
        }
        let has_more = commits.len() > max;
        commits.truncate(max);
        Ok((commits, has_more))
    }

    /// Returns the paths as git takes them: from the top, and without patterns.
    fn path_words(&self, repository: &Repository) -> Result<Vec<String>, String> {
        let below = || Some(self.directory.strip_prefix(&repository.top).ok()?.to_str()?.to_owned());
        let below = repository.notes.answer("place of build.ron", below);
        let below = below.ok_or("the project lies elsewhere than its repository")?;
        let place = |path: &RelativePath| Path::new(&below).join(path.as_str()).display().to_string();
        Ok(self.paths.iter().map(|path| format!(":(top,literal){}", place(path))).collect())
    }

    fn repository(&self) -> Result<Repository, String> {
        match find(&self.environment, &self.directory, &self.notes) {
            Found::Repository(repository) => Ok(repository),
            Found::Refused(why) => Err(why),
            Found::Nothing => Err("there is no git repository here".to_owned()),
        }
    }

    fn text(&self, repository: &Repository, words: &[&str]) -> Result<String, String> {
        let answer = ask(&self.environment, repository, words).and_then(|answer| String::from_utf8(answer).ok());
        answer.map(|answer| answer.trim().to_owned()).ok_or_else(|| "git has no commit here".to_owned())
    }
}
