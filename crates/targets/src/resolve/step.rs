//! `ResolveStep`: files with the names of images pinned to digests.

use std::fs;
use std::path::{Path, PathBuf};

use rondel_buildfile::Span;
use rondel_cas::{RelativePath, TEXT_MAX, read_at_most};
use rondel_engine::{
    ActionSpec, DeclaredInputs, Freshness, Input, Job, OutputKind, OutputSpec, Prepared, Query, Report, Step,
    StepError, UserError,
};

use crate::resolve::pins::{PinnedImage, Pins};
use crate::resolve::yaml::{Refusal, replaced, scalars};

/// Maximum number of places that a warning names.
const SHOWN: usize = 5;

pub(crate) struct ResolveStep {
    /// Directory of the project.
    pub root: PathBuf,
    pub files: DeclaredInputs,
    /// The directory with which all globs begin, as its parts; results are relative to it.
    pub base: Vec<String>,
    pub images: Vec<PinnedImage>,
    /// True if an image that no file names is an error.
    pub is_each_needed: bool,
    /// Directory of the results, relative to the workspace.
    pub out: RelativePath,
    /// Place of the target's name in build.ron.
    pub span: Span,
}

impl ResolveStep {
    /// Returns the place of a file among the results.
    fn place(&self, path: &RelativePath) -> RelativePath {
        let base = RelativePath::new(&self.base.join("/")).ok();
        let rest =
            base.and_then(|base| path.as_str().strip_prefix(base.as_str())?.strip_prefix('/').map(str::to_owned));
        rest.and_then(|rest| RelativePath::new(&rest).ok()).unwrap_or_else(|| path.clone())
    }

    /// Returns the file with its images pinned; marks those that it names as used.
    fn resolved(
        &self,
        path: &RelativePath,
        bytes: Vec<u8>,
        pins: &Pins,
        used: &mut [bool],
    ) -> Result<String, StepError> {
        let text = String::from_utf8(bytes).map_err(|error| {
            let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
            self.refused(path, &Refusal { line, column: 1, why: "it is not UTF-8".to_owned() }, None)
        })?;
        let unread = |refusal: Refusal| {
            let hint = format!("take it out of `files` with \"!{path}\", if it is no YAML");
            self.refused(path, &refusal, Some(hint))
        };
        let mut values = Vec::new();
        for scalar in scalars(&text).map_err(unread)? {
            // A block text ends with a line break.
            let pinned = pins
                .of(scalar.value.trim_end())
                .map_err(|(why, hint)| self.refused(path, &scalar.refusal(why), Some(hint)))?;
            if let Some(pinned) = pinned {
                used[pinned.image] = true;
                values.push((scalar, pinned.reference));
            }
        }
        if values.is_empty() {
            return Ok(text);
        }
        replaced(&text, &values).map_err(|refusal| self.refused(path, &refusal, None))
    }

    /// Returns the error for a place in a file.
    fn refused(&self, path: &RelativePath, refusal: &Refusal, hint: Option<String>) -> StepError {
        let message = format!("{path}:{}:{}: {}", refusal.line, refusal.column, refusal.why);
        let error = UserError::input(message).at(self.span);
        StepError::User(match hint {
            Some(hint) => error.hint(hint),
            None => error,
        })
    }

    /// Refuses images that no file names.
    fn check_used(&self, used: &[bool]) -> Result<(), StepError> {
        let unused = self.images.iter().zip(used).find(|(_, used)| !**used).map(|(image, _)| image);
        let Some(image) = unused.filter(|_| self.is_each_needed || !used.contains(&true)) else { return Ok(()) };
        let message = format!("no file names the image of `{}`", image.target);
        let hint = "files name it by `image: NAME`, any tag, or by `ko://` and the import path of its program";
        Err(StepError::User(UserError::input(message).at(image.span).hint(hint)))
    }
}

impl Step for ResolveStep {
    type Findings = ();

    fn prepare(&self, context: &Query<'_>) -> Result<Prepared, StepError> {
        let name = RelativePath::new("files").expect("a constant");
        let mut spec = ActionSpec {
            arguments: vec!["resolve".to_owned(), self.base.join("/"), self.is_each_needed.to_string()],
            settings: Pins::new(&self.images, context)?.settings(),
            outputs: vec![OutputSpec { name, destination: self.out.clone(), kind: OutputKind::Directory }],
            ..ActionSpec::default()
        };
        spec.inputs = self.files.hash(&self.root, &context.workspace.snapshot)?;
        let freshness = Freshness::of(&spec.inputs);
        Ok(Prepared { spec, freshness, findings: () })
    }

    fn run(&self, prepared: &Prepared, context: &Job<'_>) -> Result<Report, StepError> {
        let pins = Pins::new(&self.images, context)?;
        let mut used = vec![false; self.images.len()];
        let mut left = Vec::new();
        for input in prepared.spec.inputs.iter().filter(|input| !input.is_behind_link()) {
            let bytes = read(&input, &context.workspace.root)?;
            let bytes = if is_read(&input.path) {
                let text = self.resolved(&input.path, bytes, &pins, &mut used)?;
                left.extend(left_over(&text, &pins).map(|(line, name)| format!("{}:{line}: `{name}`", input.path)));
                text.into_bytes()
            } else {
                bytes
            };
            let to = self.place(&input.path).below(&context.staging.join("files"));
            let unwritable = |error| StepError::unwritable(&to, &error);
            fs::create_dir_all(to.parent().unwrap_or(context.staging)).map_err(unwritable)?;
            fs::write(&to, bytes).map_err(unwritable)?;
            let permissions =
                fs::metadata(&input.absolute).map_err(|error| StepError::unreadable(&input.absolute, &error))?;
            fs::set_permissions(&to, permissions.permissions()).map_err(unwritable)?;
        }
        self.check_used(&used)?;
        if !left.is_empty() {
            let more = if left.len() > SHOWN { ", …" } else { "" };
            left.truncate(SHOWN);
            context.warn(format!("not pinned, since no `image` key is there: {}{more}", left.join(", ")));
        }
        Ok(Report::default())
    }
}

/// Returns true for a file in which names are looked for.
fn is_read(path: &RelativePath) -> bool {
    [".yaml", ".yml", ".json"].iter().any(|end| path.as_str().ends_with(end))
}

/// Reads a file; a link must not lead out of the workspace.
fn read(input: &Input, workspace: &Path) -> Result<Vec<u8>, StepError> {
    let unreadable = |error| StepError::unreadable(&input.absolute, &error);
    let real = fs::canonicalize(&input.absolute).map_err(unreadable)?;
    let workspace = fs::canonicalize(workspace).map_err(unreadable)?;
    if !real.starts_with(&workspace) {
        let message = format!("`{}` leads out of the workspace, to `{}`", input.path, real.display());
        return Err(StepError::input(message).hint("copy it into the workspace"));
    }
    read_at_most(&real, TEXT_MAX).map_err(unreadable)
}

/// Returns the lines outside of comments that hold the name of a pinned image without its digest.
fn left_over<'p>(text: &str, pins: &'p Pins) -> impl Iterator<Item = (usize, &'p str)> {
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let code = if line.trim_start().starts_with('#') { "" } else { line.split(" #").next().unwrap_or(line) };
        found.extend(
            pins.names().filter(|(name, digest)| is_named(code, name, digest)).map(|(name, _)| (number + 1, name)),
        );
    }
    found.into_iter()
}

/// Returns true if `line` holds the image `name`, and not with its digest. A short name needs a tag to be one.
fn is_named(line: &str, name: &str, digest: &str) -> bool {
    let is_part = |character: char| character.is_ascii_alphanumeric() || "._-/".contains(character);
    line.match_indices(name).any(|(start, _)| {
        let (before, after) = (&line[..start], &line[start + name.len()..]);
        let begins = !before.ends_with(is_part);
        let is_pinned = after.strip_prefix('@').is_some_and(|after| after.starts_with(digest));
        let has_tag = after.starts_with('@')
            || after.strip_prefix(':').is_some_and(|tag| tag.starts_with(|first: char| first.is_ascii_alphanumeric()));
        let ends = !after.starts_with(is_part) && !after.starts_with(':') && name.contains('/');
        begins && !is_pinned && (has_tag || ends)
    })
}
