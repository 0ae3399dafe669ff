//! `ResolveStep`: files with the names of images pinned to digests.

use std::fs;
use std::path::{Path, PathBuf};

use rondel_buildfile::Span;
use rondel_cas::{RelativePath, TEXT_MAX, read_at_most};
use rondel_engine::{
    ActionSpec, DeclaredInputs, Freshness, Input, Job, OutputKind, OutputSpec, Prepared, Query, Report, Step,
    StepContext, StepError, UserError,
};
use rondel_process::Stream;

use crate::image::places::{refuse_outside, with_span};
use crate::resolve::pins::{OtherPush, PinnedImage, Pins};
use crate::resolve::yaml::{KO, Refusal, Scalar, replaced, scalars};

/// Maximum number of places that a warning names.
const SHOWN: usize = 5;

pub(crate) struct ResolveStep {
    /// Directory of the project.
    pub root: PathBuf,
    pub files: DeclaredInputs,
    /// The directory with which all globs begin, as its parts; results are relative to it.
    pub base: Vec<String>,
    pub images: Vec<PinnedImage>,
    /// What other targets push.
    pub others: Vec<OtherPush>,
    /// True if an image that no file names is an error.
    pub is_each_needed: bool,
    /// Name of the directory of the results among the outputs.
    pub name: RelativePath,
    /// Directory of the results, relative to the workspace.
    pub out: RelativePath,
    /// Place of the target's name in build.ron.
    pub span: Span,
}

/// A file of `files`.
struct Source {
    input: Input,
    contents: Contents,
}

enum Contents {
    /// One in which names are looked for, and the scalars that can be some.
    Read(String, Vec<Scalar>),
    Copied(Vec<u8>),
}

impl Source {
    fn names_programs(&self) -> bool {
        match &self.contents {
            Contents::Read(_, scalars) => scalars.iter().any(|scalar| scalar.value.starts_with(KO)),
            Contents::Copied(_) => false,
        }
    }
}

/// What shows in the files.
struct Found {
    /// Which images are named.
    used: Vec<bool>,
    /// Names that are not pinned, with their places.
    left: Vec<String>,
    /// Tags that another target pushes, with their places.
    of_others: Vec<String>,
}

impl ResolveStep {
    /// Returns the place of a file among the results.
    fn place(&self, path: &RelativePath) -> RelativePath {
        let base = RelativePath::new(&self.base.join("/")).ok();
        let rest =
            base.and_then(|base| path.as_str().strip_prefix(base.as_str())?.strip_prefix('/').map(str::to_owned));
        rest.and_then(|rest| RelativePath::new(&rest).ok()).unwrap_or_else(|| path.clone())
    }

    /// Reads a file of `files`.
    fn read(&self, input: Input, workspace: &Path) -> Result<Source, StepError> {
        let bytes = read(&input, workspace).map_err(|error| with_span(error, self.span))?;
        if !is_read(&input.path) {
            return Ok(Source { input, contents: Contents::Copied(bytes) });
        }
        let text = String::from_utf8(bytes).map_err(|error| {
            let place = error.utf8_error().valid_up_to();
            self.refused(&input.path, &Refusal::at(error.as_bytes(), place, "it is not UTF-8"), None)
        })?;
        let scalars = scalars(&text).map_err(|refusal| {
            let hint = format!("take it out of `files` with \"!{}\", if it is no YAML", input.path);
            self.refused(&input.path, &refusal, Some(hint))
        })?;
        Ok(Source { input, contents: Contents::Read(text, scalars) })
    }

    /// Returns the file with its images pinned; marks those that it names as used.
    fn resolved(
        &self,
        path: &RelativePath,
        (text, scalars): (String, Vec<Scalar>),
        pins: &Pins,
        found: &mut Found,
    ) -> Result<String, StepError> {
        let mut values = Vec::new();
        for scalar in scalars {
            // A block text ends with a line break.
            let value = scalar.value.trim_end();
            let pinned = pins.of(value).map_err(|(why, hint)| self.refused(path, &scalar.refusal(why), Some(hint)))?;
            let Some(pinned) = pinned else { continue };
            pinned.images.iter().for_each(|image| found.used[*image] = true);
            if let Some(other) = pinned.other {
                found.of_others.push(format!("{path}:{}: `{value}` is pushed by `{other}`", scalar.line));
            }
            values.push((scalar, pinned.reference));
        }
        let text = match values.is_empty() {
            true => text,
            false => replaced(&text, &values).map_err(|refusal| self.refused(path, &refusal, None))?,
        };
        found.left.extend(left_over(&text, pins).map(|(line, name)| format!("{path}:{line}: `{name}`")));
        Ok(text)
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

impl Found {
    /// Says what may be meant otherwise, as lines that are kept with the result.
    fn warn(mut self, context: &StepContext<'_>) {
        for line in self.of_others {
            context.output(Stream::Stderr, &format!("warning: {line}, and pinned to the image that `images` names"));
        }
        if !self.left.is_empty() {
            let more = if self.left.len() > SHOWN { ", …" } else { "" };
            self.left.truncate(SHOWN);
            let places = self.left.join(", ");
            let line =
                format!("warning: not pinned, since it is not the whole value of an `image` key: {places}{more}");
            context.output(Stream::Stderr, &line);
        }
    }
}

impl Step for ResolveStep {
    type Findings = ();

    fn prepare(&self, context: &Query<'_>) -> Result<Prepared, StepError> {
        let pins = Pins::new(&self.images, &self.others, context)?;
        let count = self.images.len().to_string();
        let mut spec = ActionSpec {
            arguments: vec!["resolve".to_owned(), self.base.join("/"), self.is_each_needed.to_string(), count],
            settings: pins.settings(),
            outputs: vec![OutputSpec {
                name: self.name.clone(),
                destination: self.out.clone(),
                kind: OutputKind::Directory,
            }],
            ..ActionSpec::default()
        };
        for (index, image) in self.images.iter().enumerate().filter(|(_, image)| !image.programs.is_empty()) {
            let reference = pins.reference(index).unwrap_or("no name").to_owned();
            spec.settings.insert(format!("{KO} of image {index}"), reference);
            for artefact in image.programs.iter().filter_map(|program| program.artefact(context)) {
                let slot = RelativePath::new(&format!("program/{index}")).expect("a number").join(&artefact.name);
                spec.titles.insert(slot.clone(), artefact.name.to_string());
                spec.upstream.insert(slot, artefact.entry.clone());
            }
        }
        spec.inputs = self.files.hash(&self.root, &context.workspace.snapshot)?;
        let freshness = Freshness::of(&spec.inputs);
        Ok(Prepared { spec, freshness, findings: () })
    }

    fn run(&self, prepared: &Prepared, context: &Job<'_>) -> Result<Report, StepError> {
        let inputs = prepared.spec.inputs.iter().filter(|input| !input.is_behind_link());
        let sources = inputs.map(|input| self.read(input, &context.workspace.root));
        let sources: Vec<Source> = sources.collect::<Result<_, _>>()?;
        let mut pins = Pins::new(&self.images, &self.others, context)?;
        if sources.iter().any(Source::names_programs) {
            pins.read_programs(&self.images, context)?;
        }
        let mut found = Found { used: vec![false; self.images.len()], left: Vec::new(), of_others: Vec::new() };
        for Source { input, contents } in sources {
            let bytes = match contents {
                Contents::Read(text, scalars) => {
                    self.resolved(&input.path, (text, scalars), &pins, &mut found)?.into_bytes()
                }
                Contents::Copied(bytes) => bytes,
            };
            let to = self.place(&input.path).below(&self.name.below(context.staging));
            let unwritable = |error| StepError::unwritable(&to, &error);
            fs::create_dir_all(to.parent().unwrap_or(context.staging)).map_err(unwritable)?;
            fs::write(&to, bytes).map_err(unwritable)?;
            let permissions =
                fs::metadata(&input.absolute).map_err(|error| StepError::unreadable(&input.absolute, &error))?;
            fs::set_permissions(&to, permissions.permissions()).map_err(unwritable)?;
        }
        self.check_used(&found.used)?;
        found.warn(context);
        Ok(Report::default())
    }
}

/// Returns true for a file in which names are looked for.
fn is_read(path: &RelativePath) -> bool {
    let name = path.as_str().to_ascii_lowercase();
    [".yaml", ".yml", ".json"].iter().any(|end| name.ends_with(end))
}

/// Reads a file; a link must lead to one of the workspace.
fn read(input: &Input, workspace: &Path) -> Result<Vec<u8>, StepError> {
    let path = &input.path;
    let unreadable = |error| StepError::unreadable(&input.absolute, &error);
    let Ok(real) = fs::canonicalize(&input.absolute) else {
        let message = format!("`{path}` is a link that leads to nothing");
        return Err(StepError::input(message).hint(format!("correct it, or leave it out: \"!{path}\" in `files`")));
    };
    if real.is_dir() {
        let message = format!("`{path}` is a link to a directory, and `files` are files");
        return Err(StepError::input(message)
            .hint(format!("leave it out with \"!{path}\", and name the directory that it leads to")));
    }
    refuse_outside(path, &real, &fs::canonicalize(workspace).map_err(unreadable)?)?;
    read_at_most(&real, TEXT_MAX).map_err(unreadable)
}

/// Returns the lines outside of comments that hold the name of a pinned image without its digest.
fn left_over<'p>(text: &str, pins: &'p Pins) -> impl Iterator<Item = (usize, &'p str)> {
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let code = if line.trim_start().starts_with('#') { "" } else { line.split(" #").next().unwrap_or(line) };
        let is_name = code.trim_start().trim_start_matches("- ").starts_with("newName:");
        found.extend(
            pins.names()
                .filter(|(name, digests)| is_named(code, name, digests, is_name))
                .map(|(name, _)| (number + 1, name)),
        );
    }
    found.into_iter()
}

/// Returns true if `line` holds the image `name`, and not with one of its digests. A short name needs a tag to be one,
/// unless the line is one for names.
fn is_named(line: &str, name: &str, digests: &[&str], is_name: bool) -> bool {
    let is_part = |character: char| character.is_ascii_alphanumeric() || "._-/".contains(character);
    line.match_indices(name).any(|(start, _)| {
        let (before, after) = (&line[..start], &line[start + name.len()..]);
        let begins = !before.ends_with(is_part);
        let digest = after.strip_prefix('@').unwrap_or_default();
        let is_pinned = digests.iter().any(|known| digest.starts_with(known));
        let has_tag = after.starts_with('@')
            || after.strip_prefix(':').is_some_and(|tag| tag.starts_with(|first: char| first.is_ascii_alphanumeric()));
        let ends = !after.starts_with(is_part) && !after.starts_with(':') && (is_name || name.contains('/'));
        begins && !is_pinned && (has_tag || ends)
    })
}
