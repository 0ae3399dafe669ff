//! `TestReads`: which files and directories count for a test, and what is seen at each of them.
//!
//! Contents and permissions count; times do not. What the toolchain's identity or go.sum vouches for is left out, and so
//! are what the test made for itself in the temporary directory, and Rondel's own state.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};

use rondel_cas::{Digest, par_map};
use rondel_tree::{Fingerprint, LinkWay, MtimeBoundary, StatSnapshot};
use serde::{Deserialize, Serialize};

use crate::test_log::TestLog;

/// What a test reads, as it is stored. Paths below the workspace are relative to it; others are absolute.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TestReads {
    pub opened: BTreeSet<String>,
    pub asked: BTreeSet<String>,
    /// Why it may have read more than this, in words.
    pub blind_spot: Option<String>,
}

impl TestReads {
    /// Returns those of a test of which nothing is seen.
    pub fn blind(why: &str) -> TestReads {
        TestReads { blind_spot: Some(why.to_owned()), ..TestReads::default() }
    }
}

/// What was seen, by what was looked at: `open a/b`, `stat c`.
pub(crate) type Sights = BTreeMap<String, String>;

/// Where a test runs, and what does not count there.
pub(crate) struct TestPlace<'a> {
    /// Directory of build.ron.
    pub workspace: &'a Path,
    /// Rondel's state below it.
    pub state: &'a Path,
    /// Directories with contents that are pinned, or of Rondel's own.
    pub left_out: Vec<PathBuf>,
    /// `HOME` of the tests, which may lie in one of those and counts.
    pub home: PathBuf,
    /// Where the tests make temporary files.
    pub temporary: PathBuf,
    pub snapshot: &'a StatSnapshot,
}

impl TestPlace<'_> {
    /// Returns what of the log of a test in `directory` counts; `before` is from before the run.
    pub fn reads(&self, log: &TestLog, directory: &Path, before: &MtimeBoundary) -> TestReads {
        let mut reads = TestReads::default();
        for path in log.opened.iter().map(|path| without_dots(path)) {
            if reads.blind_spot.is_none() && self.may_be_program(&path) {
                let program = for_people(&self.text(&path));
                reads.blind_spot = Some(format!("it may start `{program}`, whose reads are not seen"));
            }
            if self.counts(&path, before) {
                reads.opened.insert(self.text(&path));
            }
        }
        let asked = log.asked.iter().map(|path| without_dots(path)).filter(|path| self.counts(path, before));
        reads.asked = asked.map(|path| self.text(&path)).filter(|path| !reads.opened.contains(path)).collect();
        let own = [Some(directory.to_owned()), directory.canonicalize().ok()];
        let is_known = |path: &Path| self.is_temporary(path) || own.iter().flatten().any(|own| own == path);
        if let Some(path) = log.entered.iter().find(|path| !is_known(path)) {
            let why = format!("it changes to `{}`, and the log does not tell by which links", path.display());
            reads.blind_spot = reads.blind_spot.or(Some(why));
        }
        reads
    }

    /// Returns what is to be seen now.
    pub fn look(&self, reads: &TestReads) -> Sights {
        let opened = reads.opened.iter().map(|path| (true, path));
        let all: Vec<(bool, &String)> = opened.chain(reads.asked.iter().map(|path| (false, path))).collect();
        let seen = par_map(&all, all.len(), |(is_opened, text)| {
            let path = self.workspace.join(text);
            let word = if *is_opened { "open" } else { "stat" };
            (format!("{word} {text}"), self.sight(&path, *is_opened))
        });
        seen.into_iter().collect()
    }

    /// Returns the first of the reads that may have changed since `before`, as far as times can tell. Those in `known`
    /// were looked at before.
    pub fn younger(&self, reads: &TestReads, before: &MtimeBoundary, known: &Sights) -> Option<String> {
        let is_young = |metadata: &fs::Metadata| {
            let fingerprint = Fingerprint::of(metadata);
            !fingerprint.is_older_than(before.on(fingerprint.device()))
        };
        let opened = reads.opened.iter().map(|path| ("open", path));
        let mut all = opened.chain(reads.asked.iter().map(|path| ("stat", path)));
        let found = all.find(|(word, text)| {
            let path = self.workspace.join(text);
            let own = [fs::symlink_metadata(&path), fs::metadata(&path)];
            let is_young_itself = own.iter().flatten().any(is_young);
            if known.contains_key(&format!("{word} {text}")) {
                // What it was before is held against what it is now. Only contents could have come and gone.
                let is_file = own[1].as_ref().is_ok_and(|metadata| !metadata.is_dir());
                return is_file && *word == "open" && is_young_itself;
            }
            // Nothing is known of it but times: its own, those of the directories that lead to it, and those of links. `lib/../x` does not
            // lead through what else came to be in the root.
            let real = real_place(&path);
            let above = real.ancestors().skip(1).take_while(|path| *path != self.workspace && path.parent().is_some());
            let above = above.filter(|path| !self.temporary.starts_with(path));
            let mut above = above.flat_map(|path| [fs::symlink_metadata(path), fs::metadata(path)]).flatten();
            let nearest = || real.ancestors().skip(1).find_map(|path| fs::metadata(path).ok());
            is_young_itself
                || above.any(|metadata| is_young(&metadata))
                || (own[0].is_err() && nearest().is_some_and(|metadata| is_young(&metadata)))
                || LinkWay::of(&path).newest_ns() >= before.on(device_of(self.workspace))
        });
        found.map(|(_, text)| text.clone())
    }

    fn text(&self, path: &Path) -> String {
        match path.strip_prefix(self.workspace) {
            Ok(below) if below.as_os_str().is_empty() => ".".to_owned(),
            Ok(below) => below.to_string_lossy().into_owned(),
            Err(_) => path.to_string_lossy().into_owned(),
        }
    }

    fn counts(&self, path: &Path, before: &MtimeBoundary) -> bool {
        let path = &real_place(path);
        if path.starts_with(self.state) {
            return false;
        }
        if path.starts_with(&self.home) {
            return true;
        }
        let left = self.left_out.iter().find(|left| path.starts_with(left));
        if path.starts_with(self.workspace) {
            // A cache above the workspace leaves nothing of it out.
            return left.is_none_or(|left| self.workspace.starts_with(left));
        }
        if left.is_some() {
            return false;
        }
        let is_of_system = ["/proc", "/sys", "/dev"].iter().any(|system| path.starts_with(system));
        if is_of_system && !path.starts_with("/dev/shm") {
            return false;
        }
        if !path.starts_with(&self.temporary) {
            return true;
        }
        // Fixtures of others may be there too: what was there before the run.
        let is_old = |metadata: fs::Metadata| {
            let fingerprint = Fingerprint::of(&metadata);
            fingerprint.is_older_than(before.on(fingerprint.device()))
        };
        *path != self.temporary && fs::symlink_metadata(path).is_ok_and(is_old)
    }

    /// Returns true for what tests make for themselves. The workspace may lie in the directory for it.
    fn is_temporary(&self, path: &Path) -> bool {
        path.starts_with(&self.temporary) && !path.starts_with(self.workspace)
    }

    /// Returns true if opening it may have meant to start it. A program that is not there now may have been, and one with
    /// a relative name may be elsewhere.
    fn may_be_program(&self, path: &Path) -> bool {
        let is_temporary = self.is_temporary(path);
        let is_test = is_temporary
            && path.to_str().is_some_and(|text| text.contains("/go-build"))
            && path.extension().is_some_and(|ending| ending == "test");
        is_test
            || match fs::metadata(path) {
                Ok(metadata) => metadata.is_file() && Fingerprint::of(&metadata).is_executable(),
                Err(_) => !is_temporary,
            }
    }

    /// Returns what is at a path, in words that are the same while it is the same.
    fn sight(&self, path: &Path, is_opened: bool) -> String {
        let own = match fs::symlink_metadata(path) {
            Ok(own) => own,
            Err(error) => return nothing(&error),
        };
        let link = match own.is_symlink() {
            true => {
                format!("link to {} ", fs::read_link(path).map_or_else(|_| "?".into(), |to| to.display().to_string()))
            }
            false => String::new(),
        };
        let metadata = match fs::metadata(path) {
            Ok(metadata) => metadata,
            Err(error) => return format!("{link}{}", nothing(&error)),
        };
        let mode = mode_text(&metadata);
        if metadata.is_dir() {
            let names = if is_opened { self.names(path) } else { String::new() };
            return format!("{link}directory{names}{mode}");
        }
        if !metadata.is_file() {
            return format!("{link}neither file nor directory{mode}");
        }
        if !is_opened {
            return format!("{link}file of {} bytes{mode}", metadata.len());
        }
        match self.snapshot.digest(path, &metadata) {
            Ok(digest) => format!("{link}{digest}{mode}"),
            Err(error) => format!("{link}{}", nothing(&error)),
        }
    }

    /// Returns a digest of the names in a directory, with what a listing tells of them.
    fn names(&self, directory: &Path) -> String {
        let entries = match fs::read_dir(directory) {
            Ok(entries) => entries,
            Err(error) => return format!(" {}", nothing(&error)),
        };
        let mut lines: Vec<String> = Vec::new();
        for entry in entries.flatten() {
            let path = entry.path();
            if path == self.state || self.left_out.contains(&path) {
                continue;
            }
            let kind = match entry.metadata() {
                Ok(metadata) if metadata.is_dir() => format!("directory{}", mode_text(&metadata)),
                Ok(metadata) if metadata.is_symlink() => "link".to_owned(),
                Ok(metadata) if metadata.is_file() => {
                    format!("file of {} bytes{}", metadata.len(), mode_text(&metadata))
                }
                Ok(metadata) => format!("neither file nor directory{}", mode_text(&metadata)),
                Err(error) => nothing(&error),
            };
            lines.push(format!("{}\0{kind}\n", entry.file_name().to_string_lossy()));
        }
        lines.sort();
        format!(" of {}", Digest::of(lines.concat().as_bytes()))
    }
}

/// Returns the kind of an error; its text may be another one on another system.
fn nothing(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory => "nothing".to_owned(),
        other => other.to_string(),
    }
}

/// Returns the permissions, all of them: a test can ask for each.
#[cfg(unix)]
fn mode_text(metadata: &fs::Metadata) -> String {
    use std::os::unix::fs::PermissionsExt;
    format!(" mode {:o}", metadata.permissions().mode() & 0o7777)
}

#[cfg(not(unix))]
fn mode_text(metadata: &fs::Metadata) -> String {
    format!(" read-only {}", metadata.permissions().readonly())
}

/// Returns the number of the file system of a path.
pub(crate) fn device_of(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |metadata| Fingerprint::of(&metadata).device())
}

/// Returns a stored path in a shorter form, for people only.
pub(crate) fn for_people(text: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in text.split('/') {
        match (part, parts.last()) {
            ("..", Some(last)) if !matches!(*last, ".." | "") => drop(parts.pop()),
            _ => parts.push(part),
        }
    }
    parts.join("/")
}

/// Returns the path without `.`. A `..` stays: behind a link, it leads elsewhere.
fn without_dots(path: &Path) -> PathBuf {
    path.components().filter(|component| *component != Component::CurDir).collect()
}

/// Returns where a path with `..` leads now, links followed but for the last name.
fn real_place(path: &Path) -> PathBuf {
    if !path.components().any(|component| component == Component::ParentDir) {
        return path.to_owned();
    }
    let parent = path.parent().and_then(|parent| parent.canonicalize().ok());
    match (parent, path.file_name()) {
        (Some(parent), Some(name)) => parent.join(name),
        // It ends in `..`, or leads through what is missing.
        _ => path.canonicalize().unwrap_or_else(|_| path.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_for_people() {
        for (text, shown) in [
            ("svc/api/b/../../../migrations/1.sql", "migrations/1.sql"),
            ("a/../../x", "../x"),
            ("../x", "../x"),
            ("/tmp/../etc", "/etc"),
            ("a", "a"),
        ] {
            assert_eq!(for_people(text), shown);
        }
        assert_eq!(without_dots(Path::new("/a/./b/../c")), Path::new("/a/b/../c"));
    }
}
