//! A copy of the tree in a directory of its own, for builds that are not to touch the tree. Removed when dropped.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, SystemTime};

use rondel_cas::{TemporaryDirectory, copy_file, par_chunks, sweep_abandoned};
#[cfg(unix)]
use rondel_engine::mode_under;

use crate::session::Session;

/// Names at the top of the workspace that hold no sources.
const NO_SOURCES: &[&str] = &[".git", ".rondel"];

/// How the copied files look from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Looks {
    /// With the same permissions.
    Same,
    /// As this umask leaves them. Permissions that were set on purpose count, so they stay.
    OfUmask(u32),
}

/// A copy of the tree.
pub(crate) struct TreeCopy {
    directory: TemporaryDirectory,
    /// Directory of the copied build.ron.
    pub root: PathBuf,
}

impl TreeCopy {
    /// Name of the directory of all copies, in the cache directory.
    pub const PLACE: &'static str = "verify";

    /// Copies the workspace without `made`, what builds have made in it, and those of `sources` that lie outside of it.
    pub fn make(
        session: &Session<'_>,
        sources: &BTreeSet<PathBuf>,
        made: &BTreeSet<PathBuf>,
        looks: Looks,
    ) -> io::Result<TreeCopy> {
        let all = session.cache.join(TreeCopy::PLACE);
        sweep_abandoned(&all);
        let directory = TemporaryDirectory::new_in(&all)?;
        let tree = directory.path().join("another-directory");
        let copy = TreeCopy { root: below(&tree, &session.root), directory };
        let mut files = Vec::new();
        tree_files(&session.root, true, made, &mut files)?;
        let is_outside = |path: &&PathBuf| !path.starts_with(&session.root) && !path.starts_with(&session.cache);
        files.extend(sources.iter().filter(is_outside).cloned());
        // Last first: on many file systems this changes the order in which a directory lists its files.
        files.sort();
        let files: Vec<(usize, &PathBuf)> = files.iter().rev().enumerate().collect();
        let copy_all = |part: &[(usize, &PathBuf)]| {
            part.iter().try_for_each(|(index, file)| self::copy(file, &below(&tree, file), *index, looks))
        };
        par_chunks(&files, files.len(), copy_all).into_iter().collect::<io::Result<()>>()?;
        fs::create_dir_all(&copy.root)?;
        copy_repository(&session.root, &copy.root)?;
        Ok(copy)
    }

    /// Returns the path of a directory beside the copy, which goes with it.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

/// Returns the absolute `path` moved below `base`, so that relative paths between files stay the same.
fn below(base: &Path, path: &Path) -> PathBuf {
    let normal = path.components().filter(|component| matches!(component, Component::Normal(_)));
    normal.fold(base.to_owned(), |place, component| place.join(component))
}

fn tree_files(directory: &Path, is_top: bool, made: &BTreeSet<PathBuf>, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let (name, path, kind) = (entry.file_name(), entry.path(), entry.file_type()?);
        let name = name.to_string_lossy();
        if name == ".git" || (is_top && NO_SOURCES.contains(&&*name)) || made.contains(&path) {
            continue;
        }
        if kind.is_dir() {
            tree_files(&path, false, made, files)?;
        } else if kind.is_file() || kind.is_symlink() {
            files.push(path);
        }
    }
    Ok(())
}

/// Copies one file or link. Its time is of another century.
fn copy(from: &Path, to: &Path, index: usize, looks: Looks) -> io::Result<()> {
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent)?;
    }
    let metadata = fs::symlink_metadata(from)?;
    if metadata.is_symlink() {
        return link(&fs::read_link(from)?, to);
    }
    copy_file(from, to)?;
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(946_684_800 + index as u64);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = metadata.permissions().mode();
        let mode = match looks {
            Looks::OfUmask(umask) => mode_under(mode, umask),
            Looks::Same => mode & 0o777,
        };
        fs::set_permissions(to, fs::Permissions::from_mode(mode))?;
    }
    fs::File::options().write(true).open(to).and_then(|file| file.set_modified(time))
}

/// Makes a symbolic link.
#[cfg(unix)]
pub(crate) fn link(target: &Path, place: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, place)
}

/// Makes a symbolic link.
#[cfg(windows)]
pub(crate) fn link(target: &Path, place: &Path) -> io::Result<()> {
    if target.is_dir() {
        std::os::windows::fs::symlink_dir(target, place)
    } else {
        std::os::windows::fs::symlink_file(target, place)
    }
}

/// Copies the references and index of a repository that is the whole workspace; its objects stay where they are.
fn copy_repository(from: &Path, to: &Path) -> io::Result<()> {
    let git = from.join(".git");
    if !git.join("objects").is_dir() {
        return Ok(());
    }
    let target = to.join(".git");
    fs::create_dir_all(target.join("objects/info"))?;
    fs::create_dir_all(target.join("refs"))?;
    for name in ["HEAD", "config", "packed-refs", "index", "shallow", "info/exclude", "info/attributes"] {
        if git.join(name).is_file() {
            fs::create_dir_all(target.join(name).parent().expect("below .git"))?;
            copy_file(&git.join(name), &target.join(name))?;
        }
    }
    let mut references = Vec::new();
    tree_files(&git.join("refs"), false, &BTreeSet::new(), &mut references)?;
    for reference in references {
        let place = target.join(reference.strip_prefix(&git).unwrap_or(&reference));
        fs::create_dir_all(place.parent().expect("below .git"))?;
        copy_file(&reference, &place)?;
    }
    fs::write(target.join("objects/info/alternates"), format!("{}\n", git.join("objects").display()))
}
