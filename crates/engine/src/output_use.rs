//! `OutputUse`: an output of an upstream step as an input, an argument or a variable of a process.
//!
//! The key holds its contents and its place below the workspace, since a command can depend on a name; it does not hold
//! the name of the target, nor where the workspace is.

use std::path::PathBuf;

use rondel_cas::{Digest, Entry, RelativePath, read_at_most};
use rondel_names::suggest;

use crate::action::ActionSpec;
use crate::context::{Artefact, StepContext};
use crate::error::StepError;

/// One use of an upstream output.
#[derive(Clone, Debug)]
pub struct OutputUse {
    /// What it is used as.
    pub role: OutputRole,
    /// Indices into the upstream results.
    pub upstream: Vec<usize>,
    /// The target that makes it, for messages.
    pub target: String,
    /// The file or directory, relative to the workspace; the only file of the first upstream result if there is none.
    pub place: Option<RelativePath>,
    /// True if the place is a declared directory, which may be empty.
    pub may_be_empty: bool,
}

/// What an output is used as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OutputRole {
    /// A file that the command reads in its place.
    Input,
    /// A word of the command, by position.
    Argument(usize),
    /// A variable of the environment, by name.
    Variable(String),
}

impl OutputRole {
    /// Returns the directory of the upstream slots.
    fn slot(&self) -> String {
        match self {
            OutputRole::Input => "output/input".to_owned(),
            OutputRole::Argument(position) => format!("output/argument/{position}"),
            OutputRole::Variable(name) => format!("output/variable/{name}"),
        }
    }
}

impl OutputUse {
    /// The word that stands for the path in a key.
    pub const PLACEHOLDER: &'static str = "{output}";

    /// Returns the absolute path of the file or directory.
    pub fn path(&self, context: &StepContext<'_>) -> Result<PathBuf, StepError> {
        self.find(context).map(|(path, _)| path)
    }

    /// Returns the contents of the file, of at most `max` bytes. Before it stands in its place they are those of the store.
    pub fn contents(&self, context: &StepContext<'_>, max: u64) -> Result<Vec<u8>, StepError> {
        let (path, artefacts) = self.find(context)?;
        let entry = artefacts.iter().find(|artefact| artefact.path == path).map(|artefact| &artefact.entry);
        let Some(Entry::File { digest, .. }) = entry else {
            let message = format!("what `{}` makes is a directory or a link, and no file", self.target);
            return Err(StepError::input(message).hint("name a file in it: `Output(\"target\", \"path/in/it\")`"));
        };
        if digest.size() > max {
            return Err(StepError::input(format!("the output of `{}` has {} bytes", self.target, digest.size()))
                .hint(format!("at most {max} are read as a text")));
        }
        let in_place = read_at_most(&path, max).ok().filter(|bytes| Digest::of(bytes) == *digest);
        in_place.or_else(|| context.workspace.results.read_bytes(digest).ok()).ok_or_else(|| {
            StepError::failed(format!("the output of `{}` is not there any more", self.target)).hint("run again")
        })
    }

    /// Adds its contents and its place to a key.
    pub fn add_to(&self, context: &StepContext<'_>, spec: &mut ActionSpec) -> Result<(), StepError> {
        let (path, artefacts) = self.find(context)?;
        let mut entries: Vec<(PathBuf, Entry)> =
            artefacts.iter().map(|artefact| (artefact.path.clone(), artefact.entry.clone())).collect();
        if entries.is_empty() {
            entries.push((path.clone(), Entry::directory()));
        }
        for (path, entry) in entries {
            let below = path.strip_prefix(&context.workspace.root).unwrap_or(&path);
            let place = RelativePath::from_path(below).map_err(|error| StepError::failed(error.to_string()))?;
            let slot = RelativePath::new(&self.role.slot()).expect("a fixed text, a number, or a name").join(&place);
            spec.titles.insert(slot.clone(), place.to_string());
            spec.upstream.insert(slot, entry);
        }
        Ok(())
    }

    /// Returns the path, and all artefacts that a reader of it sees.
    fn find<'c>(&self, context: &'c StepContext<'_>) -> Result<(PathBuf, Vec<&'c Artefact>), StepError> {
        let of = |index: &usize| context.upstream.get(*index).map(|upstream| upstream.artefacts.iter());
        let Some(place) = &self.place else {
            let all: Vec<&Artefact> = self.upstream.first().and_then(of).into_iter().flatten().collect();
            return match all.as_slice() {
                [only] => Ok((only.path.clone(), all)),
                [] => Err(self.nothing()),
                _ => {
                    let names: Vec<&str> = all.iter().map(|artefact| file_name(artefact)).collect();
                    let message = format!(
                        "`Output(\"{}\")` is one file, and there are {}: {}",
                        self.target,
                        names.len(),
                        names.join(", ")
                    );
                    Err(StepError::input(message)
                        .hint(format!("name one: `Output(\"{}\", \"{}\")`", self.target, names[0])))
                }
            };
        };
        let path = place.below(&context.workspace.root);
        let all: Vec<&Artefact> = self.upstream.iter().filter_map(of).flatten().collect();
        let within: Vec<&Artefact> = all.iter().copied().filter(|artefact| artefact.path.starts_with(&path)).collect();
        if within.is_empty() && !self.may_be_empty {
            return Err(if all.is_empty() { self.nothing() } else { self.missing(place, &all, context) });
        }
        // A link can lead to any other file of its output.
        let has_link = within.iter().any(|artefact| matches!(artefact.entry, Entry::Symlink { .. }));
        Ok((path, if has_link { all } else { within }))
    }

    fn nothing(&self) -> StepError {
        StepError::failed(format!("`{}` has no outputs in this run", self.target))
            .hint("a target that was given arguments keeps none; build it without")
    }

    fn missing(&self, place: &RelativePath, all: &[&Artefact], context: &StepContext<'_>) -> StepError {
        let below = |artefact: &&Artefact| {
            let path = artefact.path.strip_prefix(&context.workspace.root).unwrap_or(&artefact.path);
            path.display().to_string()
        };
        let names: Vec<String> = all.iter().map(below).collect();
        let error = StepError::input(format!("`{}` makes no `{place}`", self.target));
        match suggest(place.as_str(), names.iter().map(String::as_str)) {
            Some(near) => error.hint(format!("did you mean `{near}`?")),
            None => {
                let first: Vec<&str> = names.iter().take(5).map(String::as_str).collect();
                error.hint(format!("it makes {}{}", first.join(", "), if names.len() > 5 { ", …" } else { "" }))
            }
        }
    }
}

fn file_name(artefact: &Artefact) -> &str {
    artefact.path.file_name().and_then(|name| name.to_str()).unwrap_or_else(|| artefact.name.as_str())
}
