//! The files of the repository that a survey reads, by what they are called. It knows no meaning of theirs.
//!
//! Links are not followed, since they can lead anywhere; numbers and sizes are limited. What is left out for that is noted.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use rondel_cas::{SMALL_MAX, read_text_at_most};

/// Entries that are looked at; a tree with more is described by the first of them.
const ENTRIES_MAX: usize = 200_000;
/// Directories below each other.
const DEPTH_MAX: usize = 64;
/// Directories that hold no program of the repository.
const OTHERS: &[&str] = &["vendor", "testdata", "node_modules"];

/// The files that matter.
pub(crate) struct Files {
    top: PathBuf,
    /// Names of Go sources by directory, without tests.
    go: BTreeMap<String, Vec<String>>,
    /// All other files that matter.
    other: Vec<String>,
    notes: Vec<String>,
    has_c: bool,
}

impl Files {
    /// Walks the tree below `top`, but for `skip`.
    pub fn find(top: &Path, skip: Option<&str>) -> Files {
        let mut files =
            Files { top: top.to_owned(), go: BTreeMap::new(), other: Vec::new(), notes: Vec::new(), has_c: false };
        let mut open = vec![(String::new(), 0)];
        let mut count = 0;
        while let Some((directory, depth)) = open.pop() {
            let Ok(entries) = fs::read_dir(top.join(&directory)) else { continue };
            let mut names: Vec<(String, fs::FileType)> = Vec::new();
            for entry in entries.flatten() {
                count += 1;
                let (Ok(name), Ok(kind)) = (entry.file_name().into_string(), entry.file_type()) else { continue };
                names.push((name, kind));
            }
            if count > ENTRIES_MAX {
                files.note(format!("only the first {ENTRIES_MAX} files were looked at"));
                break;
            }
            names.sort_by(|one, other| one.0.cmp(&other.0));
            for (name, kind) in names {
                let path = if directory.is_empty() { name.clone() } else { format!("{directory}/{name}") };
                if kind.is_dir() {
                    let is_foreign = name.starts_with(['.', '_']) || OTHERS.contains(&name.as_str());
                    let is_foreign = is_foreign || skip == Some(path.as_str()) || depth + 1 >= DEPTH_MAX;
                    if !is_foreign && files.is_sound(&path) {
                        open.push((path, depth + 1));
                    }
                } else if is_wanted(&name) && files.is_sound(&path) {
                    files.take(&directory, name, path, kind.is_file());
                }
            }
        }
        files.other.sort();
        files
    }

    fn take(&mut self, directory: &str, name: String, path: String, is_file: bool) {
        match (is_file, name.ends_with(".go")) {
            (false, false) => self.note(format!("`{path}` is no regular file and was not read")),
            (false, true) => {}
            (true, true) => self.go.entry(directory.to_owned()).or_default().push(name),
            (true, false) => self.other.push(path),
        }
    }

    /// Returns true if the path can stand in build.ron as it is; notes it otherwise.
    fn is_sound(&mut self, path: &str) -> bool {
        let is_sound = crate::is_plain(path);
        // Of Go sources in such places there can be thousands.
        if !is_sound && self.notes.len() < 10 && path.chars().any(char::is_control) {
            self.note(format!("a name with control characters was left out: {}", path.escape_debug()));
        }
        is_sound
    }

    /// Adds a note, for people; once.
    pub fn note(&mut self, text: impl Into<String>) {
        let text = text.into();
        if !self.notes.contains(&text) {
            self.notes.push(text);
        }
    }

    /// Notes the first file with C code: of the others nothing more is said.
    pub fn note_c(&mut self, path: &str) {
        if !std::mem::replace(&mut self.has_c, true) {
            self.note(format!(
                "`{path}` imports \"C\", and static builds leave it out; `cgo: true` of a GoBuild takes it in"
            ));
        }
    }

    pub fn into_notes(self) -> Vec<String> {
        self.notes
    }

    /// Returns true if a file of this path is there.
    pub fn has(&self, path: &str) -> bool {
        self.other.iter().any(|other| other == path)
    }

    /// Returns the directories with Go sources, with the names of these.
    pub fn go_directories(&self) -> Vec<(String, Vec<String>)> {
        self.go.iter().map(|(directory, names)| (directory.clone(), names.clone())).collect()
    }

    /// Returns the directories that have a go.mod.
    pub fn module_directories(&self) -> Vec<String> {
        let of = |path: &String| path.strip_suffix("go.mod").map(|rest| rest.trim_end_matches('/').to_owned());
        self.other.iter().filter(|path| name_of(path) == "go.mod").filter_map(of).collect()
    }

    /// Returns the Dockerfiles.
    pub fn dockerfiles(&self) -> Vec<String> {
        self.other.iter().filter(|path| is_dockerfile(name_of(path))).cloned().collect()
    }

    /// Returns those of `names` that are in `directory`, in this order.
    pub fn named(&self, directory: &str, names: &[&str]) -> Vec<String> {
        let paths = names.iter().map(|name| below(directory, name));
        paths.filter(|path| self.has(path)).collect()
    }

    /// Returns the text of a file; notes one that can't be read.
    pub fn text(&mut self, path: &str) -> Option<String> {
        match read_text_at_most(&self.top.join(path), SMALL_MAX) {
            Ok(text) => Some(text),
            Err(error) => {
                self.note(format!("`{path}` was not read: {error}"));
                None
            }
        }
    }

    /// Returns a Go source, or nothing if it is too large to be one that people write.
    pub fn source(&self, directory: &str, name: &str) -> Option<Vec<u8>> {
        rondel_cas::read_at_most(&self.top.join(directory).join(name), 16 * SMALL_MAX).ok()
    }
}

/// Returns the path of `name` in `directory`, which may be empty.
pub(crate) fn below(directory: &str, name: &str) -> String {
    if directory.is_empty() { name.to_owned() } else { format!("{directory}/{name}") }
}

/// Returns the path relative to `root`, if it is there.
pub(crate) fn relative<'p>(path: &'p str, root: &str) -> Option<&'p str> {
    match root {
        "" => Some(path),
        root if path == root => Some(""),
        root => path.strip_prefix(root)?.strip_prefix('/'),
    }
}

fn name_of(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn is_dockerfile(name: &str) -> bool {
    name == "Dockerfile" || name.starts_with("Dockerfile.") && !name.ends_with(".dockerignore")
}

/// Names that are read somewhere.
pub(crate) const COMPOSE: &[&str] = &["compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml"];
pub(crate) const MAKEFILES: &[&str] = &["GNUmakefile", "makefile", "Makefile"];
pub(crate) const GORELEASER: &[&str] = &[".goreleaser.yaml", ".goreleaser.yml", "goreleaser.yaml", "goreleaser.yml"];

fn is_wanted(name: &str) -> bool {
    name.ends_with(".go") && !name.ends_with("_test.go") && !name.starts_with(['.', '_'])
        || matches!(name, "go.mod" | "go.work" | ".dockerignore")
        || is_dockerfile(name)
        || [COMPOSE, MAKEFILES, GORELEASER].iter().any(|names| names.contains(&name))
}
