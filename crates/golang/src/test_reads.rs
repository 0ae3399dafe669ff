//! `TestReads`: which files and directories count for a test, and what is seen at each of them.
//!
//! Contents count, and permissions that are not ordinary; times do not. What the toolchain's identity or go.sum vouches
//! for is left out, and so are what the test made for itself in the temporary directory, and Rondel's own state.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};

use rondel_cas::{Digest, par_map};
use rondel_tree::{Fingerprint, MtimeBoundary, StatSnapshot};
use serde::{Deserialize, Serialize};

use crate::test_log::TestLog;

/// What a test reads, as it is stored. Paths below the workspace are relative to it; others are absolute.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TestReads {
    /// Variables of this machine's that it asked for.
    pub variables: BTreeSet<String>,
    pub opened: BTreeSet<String>,
    pub asked: BTreeSet<String>,
    /// Why it may have read more than this, in words.
    pub blind_spot: Option<String>,
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
    /// Where the tests make temporary files.
    pub temporary: PathBuf,
    pub snapshot: &'a StatSnapshot,
}

impl TestPlace<'_> {
    /// Returns what of a log counts. `variables` are those with values of this machine; `before` is from before the run.
    pub fn reads(&self, log: &TestLog, variables: &[(String, String)], before: &MtimeBoundary) -> TestReads {
        let mut reads = TestReads::default();
        let asked_for = variables.iter().map(|(name, _)| name).filter(|name| log.variables.contains(*name));
        reads.variables.extend(asked_for.cloned());
        for path in &log.opened {
            let path = cleaned(path);
            if reads.blind_spot.is_none() && self.is_program(&path) {
                reads.blind_spot = Some(format!("it may start `{}`, whose reads are not seen", path.display()));
            }
            if self.counts(&path, before) {
                reads.opened.insert(self.text(&path));
            }
        }
        let asked = log.asked.iter().map(|path| cleaned(path)).filter(|path| self.counts(path, before));
        reads.asked = asked.map(|path| self.text(&path)).filter(|path| !reads.opened.contains(path)).collect();
        reads
    }

    /// Returns what is to be seen now.
    pub fn look(&self, reads: &TestReads, variables: &[(String, String)]) -> Sights {
        let mut sights = Sights::new();
        for (name, value) in variables.iter().filter(|(name, _)| reads.variables.contains(name)) {
            sights.insert(format!("variable {name}"), value.clone());
        }
        let opened = reads.opened.iter().map(|path| (true, path));
        let all: Vec<(bool, &String)> = opened.chain(reads.asked.iter().map(|path| (false, path))).collect();
        let seen = par_map(&all, all.len(), |(is_opened, text)| {
            let path = self.workspace.join(text);
            let word = if *is_opened { "open" } else { "stat" };
            (format!("{word} {text}"), self.sight(&path, *is_opened))
        });
        sights.extend(seen);
        sights
    }

    /// Returns the first of the reads that changed since `before`, as far as its own times can tell.
    pub fn younger(&self, reads: &TestReads, before: &MtimeBoundary, known: &Sights) -> Option<String> {
        let is_young = |metadata: &fs::Metadata| {
            let fingerprint = Fingerprint::of(metadata);
            !fingerprint.is_older_than(before.on(fingerprint.device()))
        };
        let opened = reads.opened.iter().map(|path| ("open", path));
        let mut all = opened.chain(reads.asked.iter().map(|path| ("stat", path)));
        let found = all.find(|(word, text)| {
            let path = self.workspace.join(text);
            let is_known = known.contains_key(&format!("{word} {text}"));
            match (fs::symlink_metadata(&path), fs::metadata(&path)) {
                (Ok(own), Ok(behind)) if !behind.is_dir() => *word == "open" && (is_young(&own) || is_young(&behind)),
                // Names come and go in a directory by the tests themselves: then it is held against what was seen before.
                (Ok(_), Ok(directory)) => *word == "open" && !is_known && is_young(&directory),
                (_, Err(_)) | (Err(_), _) if is_known => false,
                (_, Err(_)) | (Err(_), _) => {
                    let mut above = path.ancestors().skip(1);
                    above.find_map(|path| fs::metadata(path).ok()).is_some_and(|metadata| is_young(&metadata))
                }
            }
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
        if path.starts_with(self.state) || self.left_out.iter().any(|left| path.starts_with(left)) {
            return false;
        }
        if path.starts_with(self.workspace) {
            return true;
        }
        if ["/proc", "/sys", "/dev"].iter().any(|system| path.starts_with(system)) {
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

    /// Returns true if opening it may have meant to start it.
    fn is_program(&self, path: &Path) -> bool {
        let is_test = path.starts_with(&self.temporary)
            && path.to_str().is_some_and(|text| text.contains("/go-build"))
            && path.extension().is_some_and(|ending| ending == "test");
        let is_executable = |metadata: fs::Metadata| metadata.is_file() && Fingerprint::of(&metadata).is_executable();
        is_test || fs::metadata(path).is_ok_and(is_executable)
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
        let looks = Fingerprint::of(&metadata);
        let mode = looks.counted_mode().map_or_else(String::new, |mode| format!(" mode {:o}", mode.bits()));
        let mode = if looks.is_executable() { format!(" executable{mode}") } else { mode };
        if metadata.is_dir() {
            let names = if is_opened { self.names(path) } else { String::new() };
            return format!("{link}directory{names}");
        }
        if !metadata.is_file() {
            return format!("{link}neither file nor directory");
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
                Ok(metadata) if metadata.is_dir() => "directory".to_owned(),
                Ok(metadata) if metadata.is_symlink() => "link".to_owned(),
                Ok(metadata) => {
                    format!("file of {} bytes {}", metadata.len(), Fingerprint::of(&metadata).is_executable())
                }
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

/// Returns the path without `.` and `..`, if that is the same place: a link before a `..` leads elsewhere.
fn cleaned(path: &Path) -> PathBuf {
    let mut cleaned = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => drop(cleaned.pop()),
            other => cleaned.push(other),
        }
    }
    let real = |path: &Path| path.parent().and_then(|parent| parent.canonicalize().ok());
    let is_climbing = path.components().any(|component| component == Component::ParentDir);
    if is_climbing && real(path) != real(&cleaned) { path.to_owned() } else { cleaned }
}
