//! Files to be made or extended: all are known before the first is written. It knows no content.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use rondel_cas::{SMALL_MAX, read_text_at_most};

use crate::exit::Failure;

/// One file, relative to the top.
struct Change {
    path: &'static str,
    former: Option<String>,
    text: String,
}

/// What will be written below `top`.
pub(super) struct Changes {
    top: PathBuf,
    changes: Vec<Change>,
}

impl Changes {
    pub fn new(top: &Path) -> Changes {
        Changes { top: top.to_owned(), changes: Vec::new() }
    }

    /// Returns true if something stands at `path`, be it a link to nothing.
    pub fn is_taken(&self, path: &str) -> bool {
        self.top.join(path).symlink_metadata().is_ok()
    }

    /// Returns the text of a file that can be extended, if it is there. A link could lead out of the repository.
    pub fn former(&self, path: &str) -> Result<Option<String>, Failure> {
        let full = self.top.join(path);
        self.require_plain_parents(path)?;
        match full.symlink_metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Ok(metadata) if metadata.is_file() => {
                let text = read_text_at_most(&full, SMALL_MAX);
                text.map(Some).map_err(|error| Failure::usage(format!("failed to read `{path}`: {error}")))
            }
            Ok(_) => Err(Failure::usage(format!("`{path}` is no regular file")).hint("nothing was written")),
            Err(error) => Err(Failure::usage(format!("failed to look at `{path}`: {error}"))),
        }
    }

    /// Adds a file that is not there yet.
    pub fn create(&mut self, path: &'static str, text: String) -> Result<(), Failure> {
        self.require_plain_parents(path)?;
        if self.is_taken(path) {
            return Err(Failure::usage(format!("there is a `{path}` already")).hint("nothing was written"));
        }
        self.changes.push(Change { path, former: None, text });
        Ok(())
    }

    /// Adds what a file becomes; nothing if it stays as it is.
    pub fn extend(&mut self, path: &'static str, text: Option<String>) -> Result<(), Failure> {
        let former = self.former(path)?;
        if let Some(text) = text.filter(|text| former.as_ref() != Some(text)) {
            self.changes.push(Change { path, former, text });
        }
        Ok(())
    }

    fn require_plain_parents(&self, path: &str) -> Result<(), Failure> {
        for parent in Path::new(path).ancestors().skip(1).filter(|parent| !parent.as_os_str().is_empty()) {
            let metadata = self.top.join(parent).symlink_metadata();
            if metadata.is_ok_and(|metadata| !metadata.is_dir()) {
                let message = format!("`{}` is no directory of the repository", parent.display());
                return Err(Failure::usage(message).hint("nothing was written"));
            }
        }
        Ok(())
    }

    /// Writes all. A file that came or changed meanwhile stays as it is.
    pub fn write(&self) -> Result<(), Failure> {
        for change in &self.changes {
            let written = match &change.former {
                None => self.write_new(change),
                Some(former) => self.write_again(change, former),
            };
            written.map_err(|error| Failure::environment(format!("failed to write `{}`: {error}", change.path)))?;
        }
        Ok(())
    }

    fn write_new(&self, change: &Change) -> io::Result<()> {
        let path = self.top.join(change.path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        File::options().write(true).create_new(true).open(path)?.write_all(change.text.as_bytes())
    }

    fn write_again(&self, change: &Change, former: &str) -> io::Result<()> {
        let path = self.top.join(change.path);
        if read_text_at_most(&path, SMALL_MAX)? != former {
            return Err(io::Error::other("it has changed meanwhile"));
        }
        let permissions = path.metadata()?.permissions();
        let directory = path.parent().unwrap_or(&self.top);
        rondel_cas::write_named(directory, &path, change.text.as_bytes())?;
        fs::set_permissions(path, permissions)
    }

    /// Returns all files with their texts, or with the lines that are new in them.
    pub fn shown(&self) -> String {
        let mut shown = String::new();
        for change in &self.changes {
            let former = change.former.as_deref().unwrap_or_default();
            let what = if change.former.is_some() { "further lines" } else { "new" };
            shown.push_str(&format!("--- {} ({what})\n", change.path));
            let lines = change.text.lines().filter(|line| !former.lines().any(|other| other == *line));
            match &change.former {
                None => shown.push_str(&change.text),
                Some(_) => lines.for_each(|line| shown.push_str(&format!("{line}\n"))),
            }
            shown.push('\n');
        }
        shown.push_str("nothing was written\n");
        shown
    }

    /// Returns one line a file.
    pub fn done(&self) -> Vec<String> {
        let word = |change: &Change| if change.former.is_some() { "Extended" } else { "Written" };
        self.changes.iter().map(|change| format!("{:>12} {}", word(change), change.path)).collect()
    }
}
