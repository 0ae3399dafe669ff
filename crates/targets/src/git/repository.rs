//! Where a repository is, and whether it may be asked: git's own rules of discovery and ownership.
//!
//! A `.git` of another user, at the project or above it, is not asked, as with git. `safe.directory` of the user's own
//! configuration lifts that, and only git itself reads it.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::path::{Path, PathBuf};

use rondel_cas::{MEMORY_MAX, SMALL_MAX, open_at_most, read_at_most};
use rondel_process::{Cancellation, CommandLine, capture, find_tool};

use super::ANSWER_WITHIN;
use super::notes::GitNotes;

/// Files of a repository that git reads without asking how long they are.
const FILES: &[&str] = &["config", "config.worktree", "packed-refs", "shallow", "index", "info/exclude", "info/grafts"];
/// Maximum number of references that are looked at.
const REFERENCES_MAX: usize = 1_000_000;

/// A repository that may be asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Repository {
    /// The directory that holds `.git`.
    pub top: PathBuf,
    /// Its own directory: `.git`, or where that file points to.
    pub git: PathBuf,
    /// The directory that it shares with other work trees; mostly the same.
    pub common: PathBuf,
    /// What it answered.
    pub notes: GitNotes,
}

/// Result of the search.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// No directory above holds one.
    Nothing,
    /// One that is not asked, and why, with what to do.
    Refused(String),
    /// One that may be asked.
    Repository(Repository),
}

impl Found {
    /// Returns the repository, if it may be asked.
    pub fn repository(&self) -> Option<&Repository> {
        match self {
            Found::Repository(repository) => Some(repository),
            Found::Nothing | Found::Refused(_) => None,
        }
    }
}

/// Returns the repository of `directory`: in it, or in the nearest directory above on the same file system. The one of
/// given notes has no place.
pub(crate) fn find(environment: &BTreeMap<String, String>, directory: &Path, notes: &GitNotes) -> Found {
    let mut found = Found::Nothing;
    let known = notes.answer("repository", || {
        found = find_directory(environment, directory);
        found.repository().map(|_| "yes".to_owned())
    });
    let of = |repository| Found::Repository(Repository { notes: notes.clone(), ..repository });
    match found {
        Found::Repository(repository) => of(repository),
        Found::Nothing if known.is_some() => of(Repository::default()),
        Found::Nothing | Found::Refused(_) => found,
    }
}

fn find_directory(environment: &BTreeMap<String, String>, directory: &Path) -> Found {
    let device = device(directory);
    for top in directory.ancestors().take_while(|ancestor| self::device(ancestor) == device) {
        let link = top.join(".git");
        let Ok(metadata) = std::fs::symlink_metadata(&link) else { continue };
        let git = match std::fs::metadata(&link) {
            Ok(found) if found.is_dir() => link.clone(),
            // The file of a work tree or a submodule.
            Ok(_) => match pointed_to(&link, top) {
                Ok(git) => git,
                Err(why) => return Found::Refused(why),
            },
            Err(_) => continue,
        };
        // Git too goes on above a directory that is none of its own.
        if !git.join("HEAD").exists() && std::fs::symlink_metadata(git.join("HEAD")).is_err() {
            continue;
        }
        let common = match common_directory(&git) {
            Ok(common) => common,
            Err(why) => return Found::Refused(why),
        };
        let repository = Repository { top: top.to_owned(), git, common, notes: GitNotes::default() };
        if let Some(owner) = foreign_owner(environment, &repository, &metadata)
            && !is_declared_safe(environment, &repository)
        {
            let top = top.display();
            return Found::Refused(format!(
                "the repository in `{top}` belongs to another user ({owner}), so git is not asked; if you trust it: \
                 git config --global --add safe.directory '{top}'"
            ));
        }
        return match unreadable_file(&repository) {
            Some(why) => Found::Refused(why),
            None => Found::Repository(repository),
        };
    }
    Found::Nothing
}

/// Returns the directory that a file `.git` names.
fn pointed_to(file: &Path, top: &Path) -> Result<PathBuf, String> {
    let bytes = read_at_most(file, SMALL_MAX).map_err(|error| refusal(file, &error))?;
    let path = bytes.strip_prefix(b"gitdir: ").ok_or_else(|| refusal(file, &"it names no repository"))?;
    Ok(top.join(path_of(path.trim_ascii_end())))
}

fn common_directory(git: &Path) -> Result<PathBuf, String> {
    let file = git.join("commondir");
    match read_at_most(&file, SMALL_MAX) {
        Ok(bytes) => Ok(git.join(path_of(bytes.trim_ascii_end()))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(git.to_owned()),
        Err(error) => Err(refusal(&file, &error)),
    }
}

fn refusal(path: &Path, why: &dyn std::fmt::Display) -> String {
    format!("git is not asked: failed to read `{}`: {why}", path.display())
}

/// Returns why a file can't be read that git would read.
fn unreadable_file(repository: &Repository) -> Option<String> {
    let here = |name: &str| [repository.git.join(name), repository.common.join(name)];
    let mut files: Vec<PathBuf> = FILES.iter().flat_map(|name| here(name)).collect();
    files.extend([repository.git.join("HEAD"), repository.common.join("objects/info/alternates")]);
    files.dedup();
    for file in files {
        match open_at_most(&file, MEMORY_MAX) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Some(refusal(&file, &error)),
            _ => {}
        }
    }
    // References of any name: git opens each.
    let mut open = vec![repository.common.join("refs"), repository.git.join("refs")];
    let mut count = 0;
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            count += 1;
            if count > REFERENCES_MAX {
                return Some(refusal(&entry.path(), &"there are too many references"));
            }
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => open.push(entry.path()),
                Ok(kind) if kind.is_file() && entry.metadata().is_ok_and(|found| found.len() <= SMALL_MAX) => {}
                _ => match open_at_most(&entry.path(), SMALL_MAX) {
                    Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                        return Some(refusal(&entry.path(), &error));
                    }
                    _ => {}
                },
            }
        }
    }
    None
}

/// Returns the path that a file of git holds.
#[cfg(unix)]
pub(super) fn path_of(bytes: &[u8]) -> &Path {
    Path::new(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(bytes))
}

#[cfg(not(unix))]
pub(super) fn path_of(bytes: &[u8]) -> &Path {
    Path::new(std::str::from_utf8(bytes).unwrap_or(""))
}

/// Asks git whether the user's own configuration declares the repository safe. It reads no setting of the repository
/// before it knows.
fn is_declared_safe(environment: &BTreeMap<String, String>, repository: &Repository) -> bool {
    let path = environment.get("PATH").map_or("", String::as_str);
    let Ok(git) = find_tool("git", path, &repository.top) else { return false };
    let names = ["PATH", "HOME", "XDG_CONFIG_HOME", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM"];
    let closed = names.iter().filter_map(|name| Some(((*name).to_owned(), environment.get(*name)?.clone())));
    let mut line = CommandLine::new(git, &repository.top)
        .arguments(["-c", "safe.bareRepository=explicit", "rev-parse", "--git-dir"])
        .environment(closed);
    line.timeout = Some(ANSWER_WITHIN);
    capture(&line, &Cancellation::new()).is_ok_and(|captured| captured.finished.status.success())
}

/// Returns the owner of a part of the repository, if it is neither this user nor the one who called `sudo`.
#[cfg(unix)]
fn foreign_owner(environment: &BTreeMap<String, String>, repository: &Repository, link: &Metadata) -> Option<String> {
    use std::os::unix::fs::MetadataExt;
    let own = rondel_process::effective_user();
    let caller = environment.get("SUDO_UID").and_then(|id| id.parse::<u32>().ok()).filter(|_| own == 0);
    let places = [&repository.top, &repository.git, &repository.common];
    let owners = places.into_iter().map(|place| std::fs::metadata(place).map_or(u32::MAX, |found| found.uid()));
    let foreign = owners.chain([link.uid()]).find(|owner| *owner != own && Some(*owner) != caller)?;
    Some(format!("number {foreign}"))
}

#[cfg(not(unix))]
fn foreign_owner(_: &BTreeMap<String, String>, _: &Repository, _: &Metadata) -> Option<String> {
    None
}

#[cfg(unix)]
fn device(path: &Path) -> Option<u64> {
    std::fs::metadata(path).ok().map(|metadata| std::os::unix::fs::MetadataExt::dev(&metadata))
}

#[cfg(not(unix))]
fn device(_path: &Path) -> Option<u64> {
    None
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs;

    use super::*;

    struct Place(PathBuf);

    impl Place {
        fn new(name: &str) -> Place {
            let path = std::env::temp_dir().join(format!("rondel-repository-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&path);
            fs::create_dir_all(path.join("top/deep")).unwrap();
            Place(path)
        }

        fn repository(&self, at: &str) -> PathBuf {
            let git = self.0.join(at);
            fs::create_dir_all(git.join("refs/heads")).unwrap();
            fs::create_dir_all(git.join("objects")).unwrap();
            fs::write(git.join("HEAD"), "ref: refs/heads/main\n").unwrap();
            git
        }

        fn find(&self) -> Found {
            find(&BTreeMap::new(), &self.0.join("top/deep"), &GitNotes::default())
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn above_beside_and_elsewhere() {
        let place = Place::new("found");
        let git = place.repository("top/.git");
        let top = place.0.join("top");
        let of = |git: &Path, common: &Path| {
            let (git, common) = (git.to_owned(), common.to_owned());
            Found::Repository(Repository { top: top.clone(), git, common, notes: GitNotes::default() })
        };
        assert_eq!(place.find(), of(&git, &git));
        // A directory that is no repository hides none.
        fs::create_dir(place.0.join("top/deep/.git")).unwrap();
        assert_eq!(place.find(), of(&git, &git));
        // A work tree: its own directory, and the common one.
        let elsewhere = place.repository("elsewhere/.git/worktrees/w");
        place.repository("elsewhere/.git");
        fs::write(elsewhere.join("commondir"), "../..\n").unwrap();
        fs::remove_dir_all(&git).unwrap();
        fs::write(&git, format!("gitdir: {}\n", elsewhere.display())).unwrap();
        assert_eq!(place.find(), of(&elsewhere, &elsewhere.join("../..")));
    }

    #[test]
    fn files_that_never_end() {
        for name in ["HEAD", "packed-refs", "config", "refs/tags/v1", "objects/info/alternates", "info/exclude"] {
            let place = Place::new("endless");
            let git = place.repository("top/.git");
            let file = git.join(name);
            let _ = fs::remove_file(&file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::os::unix::fs::symlink("/dev/zero", &file).unwrap();
            let why =
                format!("git is not asked: failed to read `{}`: it is a device, not a regular file", file.display());
            assert_eq!(place.find(), Found::Refused(why));
        }
    }
}
