//! Names that make a stored closure stale: directories watched for names that come and go.

use std::collections::BTreeSet;
use std::fs::{self, FileType};
use std::path::{Path, PathBuf};

use rondel_cas::{Digest, Hasher};

/// Which names of a directory matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Names {
    /// Files that belong to a Go package, tests too: the go command reads the header of each.
    Sources,
    /// Everything: something is embedded or linked from here.
    All,
    /// Files that belong to a Go package, and directories that a pattern with `...` goes into.
    Packages,
    /// Only whether there is such a directory, and whether it is a link to one.
    Existence,
}

impl Names {
    /// Reverses `as u8`.
    pub fn of(number: u8) -> Option<Names> {
        let all = [Names::Sources, Names::All, Names::Packages, Names::Existence];
        all.into_iter().find(|names| *names as u8 == number)
    }

    /// Returns the line for a name, if it matters. It shows the type too: the go command embeds no links, and takes a
    /// link to a directory for no source.
    fn line(self, name: &str, kind: FileType) -> Option<String> {
        let matters = match self {
            Names::Sources => !kind.is_dir() && is_source(name) || name == "go.mod",
            Names::All => true,
            Names::Packages => !kind.is_dir() && (is_source(name) || name == "go.mod"),
            Names::Existence => false,
        };
        let mark = match kind {
            kind if kind.is_dir() => "/",
            kind if kind.is_symlink() => "@",
            kind if kind.is_file() => "",
            _ => "|",
        };
        let is_own = kind.is_dir() && RONDELS_OWN.contains(&name);
        (matters && !is_own).then(|| format!("{}{mark}", name.escape_debug()))
    }
}

/// Directories that come and go by Rondel's own doing, and that hold no sources.
const RONDELS_OWN: &[&str] = &[".rondel"];

/// Returns true if Go's patterns enter the directory, see `go help packages`.
fn goes_into(name: &str) -> bool {
    !name.starts_with(['.', '_']) && !matches!(name, "testdata" | "vendor")
}

/// Returns `directory` and all directories below it that matter. Each is watched by itself, since a directory's
/// fingerprint shows only its own names.
pub fn with_all_below(directory: &Path, names: Names) -> Vec<(PathBuf, Names)> {
    let mut found = Vec::new();
    let mut open = vec![directory.to_owned()];
    while let Some(next) = open.pop() {
        open.extend(directories_in(&next, names));
        found.push((next, names));
    }
    found
}

/// Returns the directories in `directory` that are watched with it.
pub fn directories_in(directory: &Path, names: Names) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let directories = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let matters = |name: &str| match names {
        Names::Packages => goes_into(name),
        Names::All => !RONDELS_OWN.contains(&name),
        Names::Sources | Names::Existence => false,
    };
    directories.filter(|entry| matters(&entry.file_name().to_string_lossy())).map(|entry| entry.path()).collect()
}

/// Returns the digest of the names that matter; for an unreadable directory, that of a mark. A missing directory is like
/// an empty one, except where its existence is the question.
pub fn listing(directory: &Path, names: Names) -> Digest {
    use std::io::ErrorKind::{NotADirectory, NotFound};
    let lines = match lines(directory, names) {
        Ok(lines) => lines,
        Err(error) if matches!(error.kind(), NotFound | NotADirectory) => BTreeSet::new(),
        Err(_) => return Digest::of(b"unreadable"),
    };
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
        let (name, kind) = (entry.file_name(), entry.file_type()?);
        let name = name.to_string_lossy();
        lines.extend(names.line(&name, kind));
        // A directory without sources, such as one of outputs, is nothing to a pattern.
        if names == Names::Packages && kind.is_dir() && goes_into(&name) && holds_sources(&entry.path()) {
            lines.insert(format!("{}/", name.escape_debug()));
        }
    }
    if names == Names::Existence {
        let is_link = fs::symlink_metadata(directory)?.is_symlink();
        lines.insert(if is_link { "exists@" } else { "exists" }.to_owned());
    }
    Ok(lines)
}

/// Returns true if a pattern with `...` can match something in the directory or below it.
fn holds_sources(directory: &Path) -> bool {
    let mut open = vec![directory.to_owned()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(&next).into_iter().flatten().flatten() {
            let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if is_directory && goes_into(&name) {
                open.push(entry.path());
            } else if !is_directory && (is_source(&name) || name == "go.mod") {
                return true;
            }
        }
    }
    false
}

/// Returns true for the endings of `go/build`, and the profile of `-pgo`.
pub fn is_source(name: &str) -> bool {
    const ENDINGS: &[&str] = &[
        "go", "c", "cc", "cpp", "cxx", "m", "h", "hh", "hpp", "hxx", "f", "F", "for", "f90", "s", "S", "sx", "swig",
        "swigcxx", "syso", "pgo",
    ];
    let ending = name.rsplit_once('.').is_some_and(|(_, ending)| ENDINGS.contains(&ending));
    ending && !name.starts_with(['.', '_'])
}

/// Returns the names in `directory` that can belong to a Go package.
pub fn sources_in(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let files = entries.filter(|entry| !entry.file_type().is_ok_and(|kind| kind.is_dir()));
    files.filter(|entry| is_source(&entry.file_name().to_string_lossy())).map(|entry| entry.path()).collect()
}

/// Returns the directories whose names decide the matches of an embed pattern of the package in `package`.
pub fn embed_directories(package: &Path, pattern: &str) -> Vec<(PathBuf, Names)> {
    let pattern = pattern.strip_prefix("all:").unwrap_or(pattern);
    let mut open = vec![package.to_owned()];
    let mut found = Vec::new();
    for component in pattern.split('/') {
        let mut next = Vec::new();
        for directory in open {
            let named = directory.join(component);
            if !is_glob(component) && named.exists() {
                // Other names in the directory do not matter, so that results beside a main package that embeds a file
                // change nothing. A link or a module (go.mod) on the way is refused by the go command. A file is an input.
                found.push((directory, Names::Sources));
                if named.is_dir() {
                    found.push((named.clone(), Names::Existence));
                    next.push(named);
                }
                continue;
            }
            found.push((directory.clone(), Names::All));
            if is_glob(component) {
                let entries = fs::read_dir(&directory).into_iter().flatten().flatten();
                let matching = entries.filter(|entry| matches_glob(component, &entry.file_name().to_string_lossy()));
                next.extend(matching.map(|entry| entry.path()).filter(|path| path.is_dir()));
            }
        }
        open = next;
    }
    found.extend(open.iter().flat_map(|directory| with_all_below(directory, Names::All)));
    found
}

/// Returns true if a component of an embed pattern is no plain name.
pub fn is_glob(component: &str) -> bool {
    component.contains(['*', '?', '[', '\\'])
}

/// Returns true if Go's `path.Match` may match; also where the pattern is malformed, or holds a class of characters.
pub fn matches_glob(pattern: &str, name: &str) -> bool {
    fn matches(pattern: &[char], name: &[char]) -> bool {
        match (pattern.first(), name.first()) {
            (None, None) => true,
            (Some('*'), _) => matches(&pattern[1..], name) || (!name.is_empty() && matches(pattern, &name[1..])),
            // A class is taken to match everything that follows: that watches too much, never too little.
            (Some('['), _) => true,
            (Some('?'), Some(_)) => matches(&pattern[1..], &name[1..]),
            (Some('\\'), _) if pattern.len() > 1 => {
                name.first() == pattern.get(1) && matches(&pattern[2..], &name[1..])
            }
            (Some(one), Some(other)) => one == other && matches(&pattern[1..], &name[1..]),
            (Some(_), None) | (None, Some(_)) => false,
        }
    }
    let characters = |text: &str| text.chars().collect::<Vec<char>>();
    matches(&characters(pattern), &characters(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A main package often lies where results are put, and embeds a file by its name.
    #[test]
    fn a_name_without_a_glob_watches_no_other_names() {
        let root = std::env::temp_dir().join(format!("rondel-embed-directories-{}", std::process::id()));
        fs::create_dir_all(root.join("web/assets/css")).unwrap();
        fs::write(root.join("web/page.html"), "").unwrap();
        let watched = |pattern: &str| -> Vec<(String, Names)> {
            let found = embed_directories(&root, pattern);
            let relative = |path: &Path| path.strip_prefix(&root).unwrap().display().to_string();
            found.iter().map(|(path, names)| (relative(path), *names)).collect()
        };
        let (sources, all, existence) = (Names::Sources, Names::All, Names::Existence);
        let expected = |list: &[(&str, Names)]| -> Vec<(String, Names)> {
            list.iter().map(|(path, names)| ((*path).to_owned(), *names)).collect()
        };
        assert_eq!(watched("web/page.html"), expected(&[("", sources), ("web", existence), ("web", sources)]));
        assert_eq!(
            watched("all:web/assets"),
            expected(&[
                ("", sources),
                ("web", existence),
                ("web", sources),
                ("web/assets", existence),
                ("web/assets", all),
                ("web/assets/css", all)
            ])
        );
        assert_eq!(watched("*/none"), expected(&[("", all), ("web", all)]), "what is missing may come");
        assert_eq!(watched("none"), expected(&[("", all)]));
        // The go command embeds nothing through a link.
        let before = listing(&root.join("web"), existence);
        fs::rename(root.join("web"), root.join("other")).unwrap();
        std::os::unix::fs::symlink("other", root.join("web")).unwrap();
        assert_ne!(listing(&root.join("web"), existence), before);
        fs::remove_dir_all(&root).unwrap();
    }

    #[test]
    fn globs_match_as_in_go_or_more() {
        for (pattern, name, expected) in [
            ("*", ".git", true),
            ("*.txt", "a.txt", true),
            ("*.txt", "web", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("\\*", "*", true),
            ("\\*", "a", false),
            ("[a-z]", "q", true),
            ("x", "xy", false),
        ] {
            assert_eq!(matches_glob(pattern, name), expected, "{pattern} {name}");
        }
    }
}
