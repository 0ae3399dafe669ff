//! Git, without running anything that a repository chooses: no hook, no monitor, no filter, no pager, no transport. A
//! repository is data, and may belong to another user.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use rondel_process::{Cancellation, CommandLine, capture, find_tool};

/// Starts git in `directory`; returns its output, or `None` if there is no git or no answer.
pub(crate) fn ask(environment: &BTreeMap<String, String>, directory: &Path, arguments: &[&str]) -> Option<Vec<u8>> {
    let path = environment.get("PATH").map_or("", String::as_str);
    let git = find_tool("git", path, directory).ok()?;
    let line = CommandLine::new(git, directory).arguments(SAFE.iter().chain(arguments).copied()).environment(
        [
            ("PATH", path),
            ("LC_ALL", "C"),
            ("TZ", "UTC"),
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("GIT_CONFIG_GLOBAL", "/dev/null"),
            ("GIT_OPTIONAL_LOCKS", "0"),
            ("GIT_TERMINAL_PROMPT", "0"),
            // A partial clone would fetch missing objects, by a program that its configuration names.
            ("GIT_ALLOW_PROTOCOL", "none"),
            ("GIT_NO_LAZY_FETCH", "1"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned())),
    );
    let captured = capture(&line, &Cancellation::new()).ok()?;
    captured.finished.status.success().then_some(captured.stdout)
}

/// Returns the commit of HEAD, read from the repository's files: a branch with a file of its own or in `packed-refs`,
/// or a detached HEAD. Returns `None` for anything else (a worktree, another format of references).
pub(crate) fn head_commit(root: &Path) -> Option<String> {
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

/// Returns the commit of HEAD in a repository without tags: `git describe --always` would give the same, and need not
/// run.
pub(crate) fn untagged_commit(root: &Path) -> Option<String> {
    let git = root.ancestors().map(|directory| directory.join(".git")).find(|path| path.exists())?;
    let packed = match std::fs::read_to_string(git.join("packed-refs")) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        packed => packed.ok()?,
    };
    if packed.contains(" refs/tags/") || !has_no_files(&git.join("refs/tags"))? {
        return None;
    }
    head_commit(root)
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

/// Settings that stop a repository from running a hook, a monitor, a pager or an external diff. A repository of another
/// user is then safe to read.
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

/// Source files that differ from their commit. Git runs once for each repository, and only if a build needs to know.
pub(crate) struct WorkTrees {
    environment: BTreeMap<String, String>,
    /// Outputs of other targets. They are derived and never make a build dirty; their sources do.
    derived: Vec<PathBuf>,
    /// Root of a copy of the tree, below which the original's absolute paths are repeated.
    copy: Option<PathBuf>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    repositories: HashMap<PathBuf, Option<PathBuf>>,
    changed: HashMap<PathBuf, Option<BTreeSet<PathBuf>>>,
}

impl WorkTrees {
    /// `root` is the workspace; `repository` is its original if it is a copy, else the same.
    pub fn new(
        environment: &BTreeMap<String, String>,
        root: &Path,
        repository: &Path,
        derived: Vec<PathBuf>,
    ) -> WorkTrees {
        let original = repository.strip_prefix("/").unwrap_or(repository);
        let depth = original.components().count();
        let copy = (root != repository && root.ends_with(original)).then(|| root.ancestors().nth(depth)).flatten();
        WorkTrees { environment: environment.clone(), derived, copy: copy.map(Path::to_owned), state: Mutex::default() }
    }

    /// Returns true if the file at `path` differs from its commit: it was changed or added, or is in no repository.
    /// Files that git ignores are no part of a commit, and don't count.
    pub fn is_dirty(&self, path: &Path) -> bool {
        if self.derived.iter().any(|derived| path.starts_with(derived)) {
            return false;
        }
        let original =
            self.copy.as_ref().and_then(|copy| path.strip_prefix(copy).ok()).map(|rest| Path::new("/").join(rest));
        let path = original.as_deref().unwrap_or(path);
        let mut state = self.state.lock().expect("no panic while locked");
        let Some(directory) = path.parent() else { return true };
        let Some(repository) = repository_of(directory, &mut state.repositories) else { return true };
        let changed =
            state.changed.entry(repository.clone()).or_insert_with(|| changed_files(&self.environment, &repository));
        changed.as_ref().is_none_or(|changed| changed.contains(path))
    }
}

/// Returns the directory that holds `.git`, and records it for each directory on the way.
fn repository_of(directory: &Path, known: &mut HashMap<PathBuf, Option<PathBuf>>) -> Option<PathBuf> {
    if let Some(found) = known.get(directory) {
        return found.clone();
    }
    let found = if directory.join(".git").exists() {
        Some(directory.to_owned())
    } else {
        directory.parent().and_then(|parent| repository_of(parent, known))
    };
    known.insert(directory.to_owned(), found.clone());
    found
}

/// Returns absolute paths of changed, added and removed files; `None` if git has no answer.
fn changed_files(environment: &BTreeMap<String, String>, repository: &Path) -> Option<BTreeSet<PathBuf>> {
    // Content filters are programs that the repository names. Without them a filtered file whose times changed may
    // count as changed, which is the safe side.
    let mut settings = Vec::new();
    let names = ask(environment, repository, &["config", "--list", "--name-only", "-z"])?;
    for name in names.split(|&byte| byte == 0).filter_map(|name| std::str::from_utf8(name).ok()) {
        let filter = name.strip_prefix("filter.").and_then(|rest| rest.rsplit_once('.'));
        if let Some((driver, "clean" | "process" | "smudge" | "required")) = filter {
            let off = ["clean=", "process=", "smudge=", "required=false"];
            settings.extend(off.map(|setting| format!("filter.{driver}.{setting}")));
        }
    }
    let mut arguments: Vec<&str> = settings.iter().flat_map(|setting| ["-c", setting]).collect();
    arguments.extend([
        "status",
        "--porcelain=v1",
        "-z",
        "--untracked-files=all",
        "--ignore-submodules=all",
        "--no-renames",
    ]);
    let output = ask(environment, repository, &arguments)?;
    let entries = output.split(|&byte| byte == 0).filter_map(|entry| entry.get(3..));
    Some(entries.map(|name| repository.join(os_text(name))).collect())
}

#[cfg(unix)]
fn os_text(bytes: &[u8]) -> &OsStr {
    std::os::unix::ffi::OsStrExt::from_bytes(bytes)
}

#[cfg(not(unix))]
fn os_text(bytes: &[u8]) -> &OsStr {
    OsStr::new(std::str::from_utf8(bytes).unwrap_or(""))
}
