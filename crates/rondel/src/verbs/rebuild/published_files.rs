//! The files of a release as somebody has published them, and the provenance among them. They come from outside: nothing is
//! followed that leads elsewhere, and there is an end to all of it.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rondel_cas::read_at_most;
use rondel_evidence::{STATEMENT_MAX, Statement};

use crate::exit::Failure;

/// How the name of a provenance ends.
const PROVENANCE: &str = "_provenance.json";
/// Maximum number of files of a release, and of directories inside of each other.
const FILES_MAX: usize = 10_000;
const DEPTH_MAX: usize = 16;

/// The files below a directory.
#[derive(Debug, Default)]
pub(super) struct PublishedFiles {
    /// Place of each regular file, by its path with slashes.
    pub files: BTreeMap<String, PathBuf>,
    /// What is neither a file nor a directory, and names that are no text.
    pub others: Vec<String>,
}

impl PublishedFiles {
    /// Lists a directory.
    pub fn list(directory: &Path) -> Result<PublishedFiles, Failure> {
        let mut found = PublishedFiles::default();
        found.add(directory, "", 0).map_err(|error| unreadable(directory, &error))?;
        if found.files.is_empty() {
            return Err(Failure::usage(format!("there are no files in `{}`", directory.display())));
        }
        Ok(found)
    }

    fn add(&mut self, directory: &Path, prefix: &str, depth: usize) -> io::Result<()> {
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            if self.files.len() + self.others.len() >= FILES_MAX || depth > DEPTH_MAX {
                return Err(io::Error::other("it has too many files for a release"));
            }
            match entry.file_name().to_str() {
                Some(_) if kind.is_dir() => self.add(&entry.path(), &format!("{name}/"), depth + 1)?,
                Some(_) if kind.is_file() => drop(self.files.insert(name, entry.path())),
                Some(_) | None => self.others.push(name),
            }
        }
        Ok(())
    }
}

/// Returns the provenance beside the files of a release.
pub(super) fn provenance_in(directory: &Path) -> Result<PathBuf, Failure> {
    let entries = fs::read_dir(directory).map_err(|error| unreadable(directory, &error))?;
    let mut found = Vec::new();
    for entry in entries.take(FILES_MAX) {
        let entry = entry.map_err(|error| unreadable(directory, &error))?;
        let is_it = entry.file_name().to_str().is_some_and(|name| name.ends_with(PROVENANCE));
        if is_it && entry.file_type().is_ok_and(|kind| kind.is_file()) {
            found.push(entry.path());
        }
    }
    match found.as_slice() {
        [only] => Ok(only.clone()),
        [] => Err(Failure::usage(format!("there is no provenance `…{PROVENANCE}` in `{}`", directory.display()))
            .hint("`provenance: true` of a `Release` writes one; `--provenance PATH` names one that is elsewhere")),
        several => Err(Failure::usage(format!("there are {} provenances in `{}`", several.len(), directory.display()))
            .hint("name one with `--provenance PATH`")),
    }
}

/// Reads a provenance.
pub(super) fn read_statement(path: &Path) -> Result<Statement, Failure> {
    let bytes = read_at_most(path, STATEMENT_MAX).map_err(|error| unreadable(path, &error))?;
    Statement::parse(&bytes).map_err(|error| Failure::usage(format!("`{}` is no provenance: {error}", path.display())))
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    Failure::usage(format!("failed to read `{}`: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_and_odd_names_are_not_read() {
        let directory = rondel_cas::TemporaryDirectory::new_in(&std::env::temp_dir()).unwrap();
        let root = directory.path();
        fs::create_dir_all(root.join("a/b")).unwrap();
        for file in ["a/b/c.txt", "x_provenance.json"] {
            fs::write(root.join(file), "{}").unwrap();
        }
        #[cfg(unix)]
        std::os::unix::fs::symlink("/etc/passwd", root.join("a/passwd_provenance.json")).unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink("..", root.join("a/up")).unwrap();
        let found = PublishedFiles::list(root).unwrap();
        assert_eq!(found.files.keys().collect::<Vec<_>>(), ["a/b/c.txt", "x_provenance.json"]);
        #[cfg(unix)]
        assert_eq!(found.others.len(), 2);
        assert_eq!(provenance_in(root).unwrap(), root.join("x_provenance.json"));
        fs::write(root.join("y_provenance.json"), "{}").unwrap();
        assert_eq!(provenance_in(root).unwrap_err().message().split(" in ").next(), Some("there are 2 provenances"));
        assert!(provenance_in(&root.join("a")).is_err(), "a link is none");
        let mut deep = root.join("deep");
        (0..20).for_each(|_| deep.push("d"));
        fs::create_dir_all(&deep).unwrap();
        fs::write(deep.join("f"), "").unwrap();
        assert!(PublishedFiles::list(root).is_err());
    }
}
