//! Files of the tree that analysis reads for a value, `File("VERSION")` and `Match("version.go", "…")`. They lie in the
//! workspace, and no target makes them. Knows nothing of variables.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use regex_lite::Regex;
use rondel_buildfile::{BuildFile, TargetName};
use rondel_cas::{RelativePath, SMALL_MAX, read_text_at_most};
use rondel_engine::UserError;

/// The files of a project.
pub(crate) struct SourceFiles<'a> {
    file: &'a BuildFile,
    /// Directory of build.ron.
    workspace: PathBuf,
    /// Directory of the project.
    root: PathBuf,
    /// What was looked for, there or not.
    seen: RefCell<BTreeSet<PathBuf>>,
}

/// A value and its place.
pub(crate) struct Found {
    pub value: String,
    /// The place, for people: `` `version.go`, line 3 ``.
    pub place: String,
}

/// Returns the one line of a text, without its end; or the number of lines if there are several.
pub(crate) fn only_line(text: &str) -> Result<&str, usize> {
    let line = text.trim_end_matches(['\n', '\r']);
    match line.lines().count() {
        0 | 1 => Ok(line),
        lines => Err(lines),
    }
}

impl<'a> SourceFiles<'a> {
    pub fn new(file: &'a BuildFile, workspace: &Path) -> SourceFiles<'a> {
        let root = file.root.as_ref().map_or_else(|| workspace.to_owned(), |path| workspace.join(&path.value));
        SourceFiles { file, workspace: workspace.to_owned(), root, seen: RefCell::default() }
    }

    /// Returns the files that values came from, and those that were missing: absolute, and where links among them lead.
    pub fn seen(&self) -> BTreeSet<PathBuf> {
        self.seen.borrow().clone()
    }

    /// Returns the one line of a file, without its end.
    pub fn line(&self, path: &str) -> Result<Found, UserError> {
        let text = self.read(path)?;
        let value = only_line(&text).map_err(|lines| {
            let hint = format!("keep the value alone in the file, or take it with `Match(\"{path}\", \"…(.+)…\")`");
            UserError::input(format!("`{path}` has {lines} lines, and a variable is one")).hint(hint)
        })?;
        Ok(Found { value: value.to_owned(), place: format!("the file `{path}`") })
    }

    /// Returns what the group of `pattern` matches in a file, which is the same wherever it matches.
    pub fn matched(&self, path: &str, pattern: &str) -> Result<Found, UserError> {
        let text = self.read(path)?;
        let regex = Regex::new(pattern).map_err(|error| UserError::input(error.to_string()))?;
        let mut found: Option<(&str, usize)> = None;
        for captures in regex.captures_iter(&text) {
            let Some(group) = captures.get(1) else { continue };
            let value = group.as_str().trim_end_matches('\r');
            let line = text[..group.start()].matches('\n').count() + 1;
            match found {
                None => found = Some((value, line)),
                Some((first, _)) if first == value => {}
                Some((first, first_line)) => {
                    let message = format!(
                        "`{path}` matches with `{}` in line {first_line} and `{}` in line {line}",
                        first.escape_debug(),
                        value.escape_debug()
                    );
                    return Err(UserError::input(message).hint("make the regular expression more exact"));
                }
            }
        }
        let Some((value, line)) = found else {
            let hint = "the expression is searched in the whole file; `(?m)^` is the beginning of a line";
            return Err(UserError::input(format!("nothing in `{path}` matches `{pattern}`")).hint(hint));
        };
        if value.contains('\n') {
            let message = format!("the match in line {line} of `{path}` has several lines, and a variable is one");
            return Err(UserError::input(message).hint("make the regular expression more exact"));
        }
        Ok(Found { value: value.to_owned(), place: format!("`{path}`, line {line}") })
    }

    /// Returns true if there is something at `path`.
    pub fn is_there(&self, path: &str) -> bool {
        let place = RelativePath::new(path).map(|path| path.below(&self.root));
        self.seen.borrow_mut().extend(place.clone());
        place.is_ok_and(|place| place.symlink_metadata().is_ok())
    }

    /// Returns the text of a file of the tree.
    pub fn read(&self, path: &str) -> Result<String, UserError> {
        let relative = RelativePath::new(path).map_err(|error| UserError::input(error.to_string()))?;
        let place = relative.below(&self.root);
        self.seen.borrow_mut().insert(place.clone());
        if let Some(target) = self.maker(&place) {
            let message = format!("`{path}` is made by `{target}`, and `File` and `Match` are for files of the tree");
            return Err(UserError::input(message).hint(format!("write `Output(\"{target}\")`, which then runs first")));
        }
        let unreadable = |error: std::io::Error| {
            let why = match error.kind() {
                std::io::ErrorKind::NotFound => "it is not there".to_owned(),
                std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
                std::io::ErrorKind::InvalidData => "it is not text".to_owned(),
                _ => error.to_string(),
            };
            UserError::input(format!("failed to read `{path}`: {why}"))
                .hint("name a small text file, relative to `root`")
        };
        let real = fs::canonicalize(&place).map_err(unreadable)?;
        if !real.starts_with(fs::canonicalize(&self.workspace).map_err(unreadable)?) {
            let message = format!("`{path}` leads out of the workspace, to `{}`", real.display());
            return Err(UserError::input(message).hint("copy it into the workspace"));
        }
        self.seen.borrow_mut().insert(real.clone());
        read_text_at_most(&real, SMALL_MAX).map_err(unreadable)
    }

    /// Returns the target that makes the file at `path`.
    pub fn maker_of(&self, path: &str) -> Option<&'a TargetName> {
        self.maker(&RelativePath::new(path).ok()?.below(&self.root))
    }

    /// Returns the target that makes what is at `place`, as it is written or where links lead.
    pub fn maker(&self, place: &Path) -> Option<&'a TargetName> {
        let real = fs::canonicalize(place).ok();
        let is_within = |output: &Path| {
            let leads_there = || Some(real.as_ref()?.starts_with(fs::canonicalize(output).ok()?));
            place.starts_with(output) || leads_there() == Some(true)
        };
        let made = |target: &&rondel_buildfile::Target| {
            let outputs = self.file.outputs_of(target).into_iter();
            outputs.map(|output| self.workspace.join(output.path)).any(|output| is_within(&output))
        };
        self.file.targets.iter().find(made).map(|target| &target.name.value)
    }
}
