//! The context of a `docker build`: the entries that Docker is sent, and what Rondel leaves out of it. Docker is sent
//! names, contents, permissions, empty directories, links as links, and special files.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rondel_cas::{Entry, PathError, RelativePath};
use rondel_engine::{Input, InputSet, StepError};
use rondel_tree::StatSnapshot;

use crate::docker::dockerfile_reads::Reads;
use crate::docker::ignore_file::{DockerIgnore, Matched};

/// The entries of a context.
#[derive(Debug, Default)]
pub(crate) struct BuildContext {
    /// Regular files, with their sizes.
    pub files: Vec<(RelativePath, u64)>,
    /// Links and their texts.
    pub links: Vec<(RelativePath, String)>,
    /// Type, permission bits and path of every entry, one a line.
    pub modes: Vec<String>,
}

impl BuildContext {
    /// Lists the context at `root`.
    pub fn list(root: &Path, ignore: &DockerIgnore) -> Result<BuildContext, StepError> {
        let mut context = BuildContext::default();
        context.directory(root, None, ignore, &Matched::default())?;
        context.modes.sort();
        Ok(context)
    }

    /// Adds the entries of a directory. Returns true if any of them is sent, which sends the directory too.
    fn directory(
        &mut self,
        root: &Path,
        path: Option<&RelativePath>,
        ignore: &DockerIgnore,
        parent: &Matched,
    ) -> Result<bool, StepError> {
        let absolute = path.map_or_else(|| root.to_owned(), |path| path.below(root));
        let unreadable = |error: io::Error| StepError::unreadable(&absolute, &error);
        let mut is_any_sent = false;
        for child in fs::read_dir(&absolute).map_err(unreadable)? {
            let child = child.map_err(unreadable)?;
            let name = child.file_name().into_string().map_err(|_| not_text(&child.path()))?;
            let name = RelativePath::new(&name).map_err(|error| StepError::input(error.to_string()))?;
            let child_path = path.map_or_else(|| name.clone(), |path| path.join(&name));
            let (is_ignored, matched) = ignore.ignores(child_path.as_str(), parent);
            let kind = child.file_type().map_err(unreadable)?;
            let mut is_sent = !is_ignored;
            if kind.is_dir() && (!is_ignored || ignore.may_send_below(child_path.as_str())) {
                match self.directory(root, Some(&child_path), ignore, &matched) {
                    Ok(is_any) => is_sent |= is_any,
                    // Docker does not mind a directory that it may not read and is not to send.
                    Err(_) if is_ignored && fs::read_dir(child.path()).is_err() => {}
                    Err(error) => return Err(error),
                }
            }
            if is_sent {
                self.entry(child_path, &child)?;
                is_any_sent = true;
            }
        }
        Ok(is_any_sent)
    }

    fn entry(&mut self, path: RelativePath, entry: &fs::DirEntry) -> Result<(), StepError> {
        let absolute = entry.path();
        let unreadable = |error: io::Error| StepError::unreadable(&absolute, &error);
        let metadata = entry.metadata().map_err(unreadable)?;
        self.modes.push(mode_line(&path, &metadata));
        if metadata.is_symlink() {
            let target = fs::read_link(&absolute).map_err(unreadable)?;
            self.links.push((path, target.to_str().ok_or_else(|| not_text(&absolute))?.to_owned()));
        } else if metadata.is_file() {
            self.files.push((path, metadata.len()));
        }
        Ok(())
    }

    /// Adds contents and links to the inputs of a step, below `prefix`.
    pub fn add_to(
        &self,
        inputs: &mut InputSet,
        root: &Path,
        prefix: &RelativePath,
        snapshot: &StatSnapshot,
    ) -> Result<(), StepError> {
        for (path, _) in &self.files {
            inputs.add(prefix.join(path), path.below(root), snapshot)?;
        }
        for (path, target) in &self.links {
            let entry = Entry::Symlink { target: target.clone() };
            inputs.insert(Input { path: prefix.join(path), absolute: path.below(root), entry });
        }
        Ok(())
    }

    /// Returns the size in bytes.
    pub fn size(&self) -> u64 {
        self.files.iter().map(|(_, size)| size).sum()
    }

    /// Returns the largest parts, largest first: files and directories at the top, and directories in those.
    pub fn largest(&self, count: usize) -> Vec<(String, u64)> {
        let mut parts: BTreeMap<String, u64> = BTreeMap::new();
        for (path, size) in &self.files {
            let mut words = path.as_str().splitn(3, '/');
            let (first, second, third) = (words.next().unwrap_or_default(), words.next(), words.next());
            let part = match (second, third) {
                (Some(second), Some(_)) => format!("{first}/{second}"),
                _ => first.to_owned(),
            };
            *parts.entry(part).or_default() += size;
        }
        let mut parts: Vec<(String, u64)> = parts.into_iter().collect();
        parts.sort_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(&other.0)));
        parts.truncate(count);
        parts
    }
}

/// Returns the directories of Rondel's own to leave out of the context at `root`. Those that the Dockerfile or the ignore
/// file names are sent. `outputs` are places below the directory `dist`.
pub(crate) fn left_out(
    root: &Path,
    own: &[PathBuf],
    dist: &Path,
    outputs: &[PathBuf],
    reads: &Reads,
    ignore: &DockerIgnore,
) -> Vec<RelativePath> {
    let below = |path: &PathBuf| path.strip_prefix(root).ok().and_then(|path| RelativePath::from_path(path).ok());
    let mut paths: Vec<RelativePath> = own.iter().filter_map(below).collect();
    let wanted = |path: &RelativePath| is_named(path, reads) || ignore.takes_back(path.as_str());
    // With nothing else in it, the whole of `dist` is Rondel's.
    let is_whole = holds_only(dist, outputs);
    match below(&dist.to_owned()).filter(|dist| is_whole && !wanted(dist)) {
        Some(dist) => paths.push(dist),
        None => paths.extend(outputs.iter().filter_map(below)),
    }
    paths.retain(|path| !wanted(path));
    paths
}

/// Returns true if every entry of `directory` is one of `outputs`, or holds nothing but such.
fn holds_only(directory: &Path, outputs: &[PathBuf]) -> bool {
    let Ok(entries) = fs::read_dir(directory) else { return !directory.exists() };
    entries.into_iter().all(|entry| {
        let Ok(path) = entry.map(|entry| entry.path()) else { return false };
        let is_above = outputs.iter().any(|output| output.starts_with(&path) && *output != path);
        outputs.contains(&path) || (is_above && holds_only(&path, outputs))
    })
}

/// Returns true if a source of the Dockerfile names `path`, a part of it, or a directory around it other than the whole
/// context.
fn is_named(path: &RelativePath, reads: &Reads) -> bool {
    if reads.has_unknown_sources && path.as_str() != ".rondel" {
        return true;
    }
    reads.sources.iter().any(|source| {
        let Ok(source) = RelativePath::new(source.trim_start_matches('/')) else { return false };
        let first = |path: &RelativePath| path.as_str().split('/').next().unwrap_or_default().to_owned();
        let glob = first(&source);
        let is_glob = glob.contains(['*', '?', '[']) && !matches!(glob.as_str(), "*" | "**");
        source.is_within(path) || path.is_within(&source) || (is_glob && fast_glob::glob_match(&glob, first(path)))
    })
}

/// Returns a path as a line of an ignore file.
pub(crate) fn ignore_line(path: &RelativePath) -> String {
    let mut line = String::from("/");
    for character in path.as_str().chars() {
        if matches!(character, '*' | '?' | '[' | ']' | '\\') {
            line.push('\\');
        }
        line.push(character);
    }
    line
}

fn not_text(path: &Path) -> StepError {
    let error = PathError::NotText(path.to_string_lossy().into_owned());
    StepError::input(error.to_string()).hint("rename it, or name it in .dockerignore by a pattern for its directory")
}

/// Returns type, permission bits and path of an entry.
#[cfg(unix)]
fn mode_line(path: &RelativePath, metadata: &fs::Metadata) -> String {
    use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
    let kind = metadata.file_type();
    let device = if kind.is_block_device() || kind.is_char_device() { metadata.rdev() } else { 0 };
    format!("{:o} {device} {path}", metadata.permissions().mode())
}

#[cfg(not(unix))]
fn mode_line(path: &RelativePath, _metadata: &fs::Metadata) -> String {
    path.to_string()
}
