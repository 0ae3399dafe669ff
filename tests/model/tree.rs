//! The source tree as the model sees it: read with nothing but the standard library, by rules written a second time.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rondel_cas::Digest;

/// One entry of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    File {
        contents: Vec<u8>,
        mode: u32,
    },
    Link {
        target: String,
    },
    /// An empty one, or one with permissions of its own.
    Directory {
        mode: u32,
    },
}

impl Value {
    /// Returns the text of the value in a reason.
    pub fn text(&self) -> String {
        match self {
            Value::File { contents, mode: 0o644 } => Digest::of(contents).to_string(),
            Value::File { contents, mode: 0o755 } => format!("{} executable", Digest::of(contents)),
            Value::File { contents, mode } => {
                let executable = if mode & 0o100 != 0 { " executable" } else { "" };
                format!("{}{executable} mode {mode:o}", Digest::of(contents))
            }
            Value::Link { target } => format!("link to {target}"),
            Value::Directory { mode: 0o755 } => "directory".to_owned(),
            Value::Directory { mode } => format!("directory mode {mode:o}"),
        }
    }
}

/// A glob, and the same as a predicate.
pub struct Pattern {
    pub glob: &'static str,
    pub matches: fn(&str) -> bool,
}

/// Lists of globs that steps have.
pub const PATTERNS: &[&[Pattern]] = &[
    &[Pattern { glob: "**", matches: |_| true }],
    &[Pattern { glob: "src/**", matches: |path| path.starts_with("src/") }],
    &[Pattern { glob: "**/*.c", matches: |path| path.ends_with(".c") }],
    &[
        Pattern { glob: "src/a/*", matches: |path| path.rsplit_once('/').is_some_and(|(parent, _)| parent == "src/a") },
        Pattern { glob: "*.txt", matches: |path| !path.contains('/') && path.ends_with(".txt") },
    ],
    &[
        Pattern { glob: "src/{a,b}/**", matches: |path| path.starts_with("src/a/") || path.starts_with("src/b/") },
        Pattern { glob: "!**/x*", matches: |path| path.rsplit('/').next().is_some_and(|name| name.starts_with('x')) },
    ],
];

/// Returns true if the last pattern that matches `path` includes it.
pub fn matches(patterns: &[Pattern], path: &str) -> bool {
    let last = patterns.iter().rev().find(|pattern| (pattern.matches)(path));
    last.is_some_and(|pattern| !pattern.glob.starts_with('!'))
}

/// Returns the matching inputs below `root`; the contents behind a link are an input of their own.
pub fn inputs(root: &Path, patterns: &[Pattern]) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    read(root, "", &mut |path, value| {
        if !matches(patterns, path) {
            return;
        }
        if matches!(value, Value::Link { .. })
            && let Some(behind) = value_of(&root.join(path), true)
        {
            found.insert(format!("{path} (behind the link)"), behind);
        }
        found.insert(path.to_owned(), value);
    });
    found
}

/// Returns the file at `path`; for a link, its text or its target. Returns `None` if it can't be an input.
pub fn value_of(path: &Path, follow: bool) -> Option<Value> {
    let metadata = if follow { fs::metadata(path) } else { fs::symlink_metadata(path) }.ok()?;
    if metadata.is_symlink() {
        return Some(Value::Link { target: fs::read_link(path).ok()?.to_str()?.to_owned() });
    }
    let mode = metadata.permissions().mode() & 0o777;
    metadata.is_file().then(|| fs::read(path).ok()).flatten().map(|contents| Value::File { contents, mode })
}

/// Does the same for an output, which can be a directory.
pub fn value_of_output(path: &Path) -> Option<Value> {
    let directory = fs::symlink_metadata(path).ok().filter(fs::Metadata::is_dir);
    match directory {
        Some(metadata) => Some(Value::Directory { mode: metadata.permissions().mode() & 0o777 }),
        None => value_of(path, false),
    }
}

fn read(root: &Path, directory: &str, visit: &mut dyn FnMut(&str, Value)) {
    for entry in fs::read_dir(root.join(directory)).into_iter().flatten().flatten() {
        let name = entry.file_name().into_string().expect("the model writes text");
        let path = if directory.is_empty() { name.clone() } else { format!("{directory}/{name}") };
        if matches!(path.as_str(), "dist" | "gen") || name == ".git" || name == ".rondel" {
            continue;
        }
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            read(root, &path, visit);
        } else if let Some(value) = value_of(&root.join(&path), false) {
            visit(&path, value);
        }
    }
}
