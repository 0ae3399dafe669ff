//! Git, without running anything that a repository chooses: no filter, hook, monitor, driver, pager, helper or
//! transport, whatever its name. A repository is data, and may be hostile.
//!
//! Settings can't promise that: `-c` can't switch off a driver whose name holds `=`. So git is only asked for what it
//! reads from its own files: references, commits, trees, ignored names. It never looks at a source file. Whether one
//! is dirty is decided here, by its bytes. A repository of another user is not asked at all (see `repository`).

mod answers;
mod differences;
mod history;
mod index;
mod notes;
mod repository;
mod sha1;
mod version;
mod work_trees;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use rondel_cas::{MEMORY_MAX, SMALL_MAX, read_text_at_most};
use rondel_process::{Cancellation, CommandLine, capture, find_tool};

pub(crate) use answers::GitAnswers;
pub(crate) use differences::{Difference, How};
pub(crate) use history::{History, Range};
pub use notes::GitNotes;
use repository::Repository;
pub(crate) use work_trees::{Changes, WorkTrees, changes};

/// Settings that keep the answers the same on every machine, and a second bar beside the choice of commands.
const SAFE: &[&str] = &[
    "-c",
    "core.fsmonitor=false",
    "-c",
    "core.untrackedCache=false",
    "-c",
    "core.hooksPath=/dev/null",
    "-c",
    "log.showSignature=false",
    "--no-pager",
    "--no-replace-objects",
];

/// Deadline of an answer. A repository can hold files that git would wait for.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);

/// Asks git about `repository`; returns its output, or `None` if there is no git or no answer.
pub(crate) fn ask(
    environment: &BTreeMap<String, String>,
    repository: &Repository,
    arguments: &[&str],
) -> Option<Vec<u8>> {
    // Relative to the directory that git starts in: an absolute path may not be text.
    let mut bytes = None;
    let text = repository.notes.answer(&arguments.join(" "), || {
        bytes = run(environment, &repository.git, &[("GIT_DIR", ".")], arguments);
        bytes.as_ref().and_then(|bytes| String::from_utf8(bytes.clone()).ok())
    });
    bytes.or_else(|| text.map(String::into_bytes))
}

/// Does the same, for what depends on names in the source tree.
fn ask_about_names(
    environment: &BTreeMap<String, String>,
    repository: &Repository,
    arguments: &[&str],
) -> Option<Vec<u8>> {
    let places = [("GIT_DIR", ".git"), ("GIT_WORK_TREE", ".")];
    run(environment, &repository.top, &places, arguments)
}

fn run(
    environment: &BTreeMap<String, String>,
    directory: &Path,
    places: &[(&str, &str)],
    arguments: &[&str],
) -> Option<Vec<u8>> {
    let path = environment.get("PATH").map_or("", String::as_str);
    let git = find_tool("git", path, directory).ok()?;
    let closed = [
        ("PATH", path),
        ("LC_ALL", "C"),
        ("TZ", "UTC"),
        ("GIT_CONFIG_NOSYSTEM", "1"),
        ("GIT_CONFIG_GLOBAL", "/dev/null"),
        ("GIT_ATTR_NOSYSTEM", "1"),
        ("GIT_OPTIONAL_LOCKS", "0"),
        ("GIT_TERMINAL_PROMPT", "0"),
        // A partial clone would fetch missing objects, by a program that its configuration names.
        ("GIT_ALLOW_PROTOCOL", "none"),
        ("GIT_NO_LAZY_FETCH", "1"),
    ];
    let mut line = CommandLine::new(git, directory)
        .arguments(SAFE.iter().chain(arguments).copied())
        .environment(closed.iter().chain(places).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    line.timeout = Some(ANSWER_WITHIN);
    let captured = capture(&line, &Cancellation::new()).ok()?;
    captured.finished.status.success().then_some(captured.stdout)
}

/// Returns the commit of HEAD, read from the repository's files: a branch with a file of its own or in `packed-refs`,
/// or a detached HEAD. Returns `None` for anything else, such as another format of references.
pub(crate) fn head_commit(repository: &Repository) -> Option<String> {
    repository.notes.answer("HEAD", || read_head(repository))
}

/// Returns the name of the branch that is checked out, as `refs/heads/main`.
fn current_branch(repository: &Repository) -> Option<String> {
    branch_in(&read_text_at_most(&repository.git.join("HEAD"), SMALL_MAX).ok()?).map(str::to_owned)
}

fn branch_in(head: &str) -> Option<&str> {
    head.trim().strip_prefix("ref: ").filter(|name| name.starts_with("refs/heads/") && !name.contains(".."))
}

fn read_head(repository: &Repository) -> Option<String> {
    let head = read_text_at_most(&repository.git.join("HEAD"), SMALL_MAX).ok()?;
    let is_commit = |text: &str| text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let Some(name) = branch_in(&head) else {
        return Some(head.trim().to_owned()).filter(|text| is_commit(text));
    };
    let commit = match read_text_at_most(&repository.common.join(name), SMALL_MAX) {
        Ok(text) => text.trim().to_owned(),
        Err(_) => {
            let packed = read_text_at_most(&repository.common.join("packed-refs"), MEMORY_MAX).ok()?;
            let line = packed.lines().find(|line| line.split_once(' ').is_some_and(|(_, other)| other == name))?;
            line.split_once(' ')?.0.to_owned()
        }
    };
    is_commit(&commit).then_some(commit)
}

/// Returns the commit of HEAD in a repository without tags: `git describe --always` would give the same, and need not
/// run.
pub(crate) fn untagged_commit(repository: &Repository) -> Option<String> {
    repository.notes.answer("HEAD without tags", || read_untagged(repository))
}

fn read_untagged(repository: &Repository) -> Option<String> {
    let packed = match read_text_at_most(&repository.common.join("packed-refs"), MEMORY_MAX) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        packed => packed.ok()?,
    };
    if packed.contains(" refs/tags/") || !has_no_files(&repository.common.join("refs/tags"))? {
        return None;
    }
    head_commit(repository)
}

/// Returns true if the repository does not have all commits behind HEAD.
fn is_shallow(repository: &Repository) -> bool {
    let is_file = || repository.common.join("shallow").is_file().then(|| "yes".to_owned());
    repository.notes.answer("shallow", is_file).is_some()
}

/// Returns true if there is no file below `directory`; `None` if that can't be determined.
fn has_no_files(directory: &Path) -> Option<bool> {
    let entries = match std::fs::read_dir(directory) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Some(true),
        entries => entries.ok()?,
    };
    for entry in entries {
        let entry = entry.ok()?;
        if !entry.file_type().ok()?.is_dir() || !has_no_files(&entry.path())? {
            return Some(false);
        }
    }
    Some(true)
}
