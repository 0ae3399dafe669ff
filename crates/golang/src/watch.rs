//! What makes a remembered closure stale: directories that gained or lost a name that matters.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use rondel_cas::{Digest, Hasher};
use serde::{Deserialize, Serialize};

/// Which names of a directory matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Names {
    /// Files that Go compiles, without tests.
    Sources,
    /// Those and tests.
    SourcesAndTests,
    /// Everything: something is embedded from here.
    All,
    /// Everything below, for an embedded directory.
    AllBelow,
    /// All directories below that a pattern with `...` may match, with their source files.
    Packages,
}

/// One directory and what it held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Watched {
    pub directory: PathBuf,
    pub names: Names,
    pub digest: Digest,
}

impl Watched {
    /// Looks now.
    pub fn look(directory: &Path, names: Names) -> Watched {
        Watched { directory: directory.to_owned(), names, digest: listing(directory, names) }
    }

    /// Does the directory hold what it held?
    pub fn holds(&self) -> bool {
        listing(&self.directory, self.names) == self.digest
    }
}

/// Digest of the names that matter; of a directory that can't be read, that of a mark.
fn listing(directory: &Path, names: Names) -> Digest {
    let mut lines = BTreeSet::new();
    if collect(directory, "", names, &mut lines).is_err() {
        return Digest::of(b"unreadable");
    }
    let mut hasher = Hasher::new();
    for line in lines {
        hasher.update(line.as_bytes());
        hasher.update(b"\n");
    }
    hasher.finish()
}

fn collect(directory: &Path, prefix: &str, names: Names, lines: &mut BTreeSet<String>) -> std::io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().escape_debug().to_string();
        let is_directory = entry.file_type()?.is_dir();
        let path = format!("{prefix}{name}");
        match names {
            Names::Sources | Names::SourcesAndTests => {
                if !is_directory && is_source(&name, names == Names::SourcesAndTests) || name == "go.mod" {
                    lines.insert(path);
                }
            }
            Names::All => {
                lines.insert(if is_directory { format!("{path}/") } else { path });
            }
            Names::AllBelow => {
                if is_directory {
                    collect(&entry.path(), &format!("{path}/"), names, lines)?;
                }
                lines.insert(path);
            }
            Names::Packages => {
                // Go passes over these, see `go help packages`.
                let passed_over = name.starts_with(['.', '_']) || matches!(name.as_str(), "testdata" | "vendor");
                if is_directory && !passed_over {
                    collect(&entry.path(), &format!("{path}/"), names, lines)?;
                } else if !is_directory && (is_source(&name, true) || name == "go.mod") {
                    lines.insert(path);
                }
            }
        }
    }
    Ok(())
}

/// The endings of `go/build`, and the profile of `-pgo`.
fn is_source(name: &str, tests: bool) -> bool {
    const ENDINGS: &[&str] = &[
        "go", "c", "cc", "cpp", "cxx", "m", "h", "hh", "hpp", "hxx", "f", "F", "for", "f90", "s", "S", "sx", "swig",
        "swigcxx", "syso", "pgo",
    ];
    let ending = name.rsplit_once('.').is_some_and(|(_, ending)| ENDINGS.contains(&ending));
    ending && !name.starts_with(['.', '_']) && (tests || !name.ends_with("_test.go"))
}

/// The directories whose names decide what an embed pattern of the package in `package` matches.
pub(crate) fn embed_directories(package: &Path, pattern: &str) -> Vec<(PathBuf, Names)> {
    let pattern = pattern.strip_prefix("all:").unwrap_or(pattern);
    let mut open = vec![package.to_owned()];
    let mut found = Vec::new();
    let components: Vec<&str> = pattern.split('/').collect();
    for (index, component) in components.iter().enumerate() {
        let is_last = index + 1 == components.len();
        let is_glob = component.contains(['*', '?', '[', '\\']);
        let mut next = Vec::new();
        for directory in open {
            if is_glob || is_last {
                found.push((directory.clone(), Names::All));
            }
            if is_glob {
                // Every directory is taken as a match: that watches too much, never too little.
                let entries = fs::read_dir(&directory).into_iter().flatten().flatten();
                next.extend(entries.map(|entry| entry.path()).filter(|path| path.is_dir()));
            } else if directory.join(component).is_dir() {
                next.push(directory.join(component));
            } else {
                // What isn't there could appear.
                found.push((directory, Names::All));
            }
        }
        open = next;
    }
    found.extend(open.into_iter().map(|directory| (directory, Names::AllBelow)));
    found
}
