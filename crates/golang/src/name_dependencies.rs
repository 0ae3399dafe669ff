//! Names that make a stored closure stale: directories watched for names that come and go.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use rondel_cas::{Digest, Hasher};

/// Which names of a directory matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Names {
    /// Files that Go compiles, without tests.
    Sources,
    /// Those and tests.
    SourcesAndTests,
    /// Everything: something is embedded from here.
    All,
    /// Files that Go compiles, and directories that a pattern with `...` goes into.
    Packages,
}

impl Names {
    /// Reverses `as u8`.
    pub fn of(number: u8) -> Option<Names> {
        let all = [Names::Sources, Names::SourcesAndTests, Names::All, Names::Packages];
        all.into_iter().find(|names| *names as u8 == number)
    }

    /// Returns the line for a name, if it matters.
    fn line(self, name: &str, is_directory: bool) -> Option<String> {
        let matters = match self {
            Names::Sources | Names::SourcesAndTests => {
                !is_directory && is_source(name, self == Names::SourcesAndTests) || name == "go.mod"
            }
            Names::All => true,
            Names::Packages if is_directory => goes_into(name),
            Names::Packages => is_source(name, true) || name == "go.mod",
        };
        let name = name.escape_debug();
        matters.then(|| if is_directory { format!("{name}/") } else { name.to_string() })
    }
}

/// Returns true if Go's patterns enter the directory, see `go help packages`.
fn goes_into(name: &str) -> bool {
    !name.starts_with(['.', '_']) && !matches!(name, "testdata" | "vendor")
}

/// Returns `directory` and all directories below it that matter. Each is watched by itself, since a directory's
/// fingerprint shows only its own names.
pub(crate) fn with_all_below(directory: &Path, names: Names) -> Vec<(PathBuf, Names)> {
    let mut found = Vec::new();
    let mut open = vec![directory.to_owned()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(&next).into_iter().flatten().flatten() {
            let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if is_directory && (names != Names::Packages || goes_into(&entry.file_name().to_string_lossy())) {
                open.push(entry.path());
            }
        }
        found.push((next, names));
    }
    found
}

/// Returns the digest of the names that matter; for an unreadable directory, that of a mark.
pub(crate) fn listing(directory: &Path, names: Names) -> Digest {
    let Ok(lines) = lines(directory, names) else { return Digest::of(b"unreadable") };
    let mut hasher = Hasher::new();
    for line in lines {
        hasher.update(line.as_bytes());
        hasher.update(b"\n");
    }
    hasher.finish()
}

fn lines(directory: &Path, names: Names) -> std::io::Result<BTreeSet<String>> {
    let mut lines = BTreeSet::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        lines.extend(names.line(&entry.file_name().to_string_lossy(), entry.file_type()?.is_dir()));
    }
    Ok(lines)
}

/// Returns true for the endings of `go/build`, and the profile of `-pgo`.
fn is_source(name: &str, tests: bool) -> bool {
    const ENDINGS: &[&str] = &[
        "go", "c", "cc", "cpp", "cxx", "m", "h", "hh", "hpp", "hxx", "f", "F", "for", "f90", "s", "S", "sx", "swig",
        "swigcxx", "syso", "pgo",
    ];
    let ending = name.rsplit_once('.').is_some_and(|(_, ending)| ENDINGS.contains(&ending));
    ending && !name.starts_with(['.', '_']) && (tests || !name.ends_with("_test.go"))
}

/// Returns the directories whose names decide the matches of an embed pattern of the package in `package`.
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
                // A missing directory could appear.
                found.push((directory, Names::All));
            }
        }
        open = next;
    }
    found.extend(open.iter().flat_map(|directory| with_all_below(directory, Names::All)));
    found
}
