//! Outputs of targets in an image: which artefacts of a step `Output("target", "part")` is.

use rondel_cas::{Entry, RelativePath};
use rondel_engine::{Artefact, StepError, UserError};
use rondel_names::suggest;

use crate::image::places::{OutputPlace, Part};

/// Maximum number of names in a message.
const NAMES_MAX: usize = 20;

/// What is put at the place of an output.
pub(crate) enum Made<'a> {
    /// A file.
    File(&'a Artefact),
    /// A directory, and all that is below it.
    Directory(Vec<(RelativePath, &'a Artefact)>),
}

impl OutputPlace {
    /// Returns what is put there, of all that the step made.
    pub fn choose<'a>(&self, artefacts: &'a [Artefact]) -> Result<Made<'a>, StepError> {
        match &self.part {
            Part::Only => match artefacts {
                [only] => self.file(only),
                _ => Err(self.unnamed(artefacts)),
            },
            Part::File(name) => {
                let found = artefacts.iter().find(|artefact| artefact.name == *name);
                self.file(found.ok_or_else(|| self.missing(name, artefacts))?)
            }
            Part::Directory(name) => self.directory(name, below(name, artefacts)),
            Part::Within(name) => {
                let found = artefacts.iter().find(|artefact| artefact.name == *name);
                match found.map(|artefact| (artefact, &artefact.entry)) {
                    Some((artefact, Entry::File { .. } | Entry::Symlink { .. })) => self.file(artefact),
                    Some((_, Entry::Directory { .. })) => self.directory(name, Vec::new()),
                    None => match below(name, artefacts) {
                        all if all.is_empty() => Err(self.missing(name, artefacts)),
                        all => self.directory(name, all),
                    },
                }
            }
        }
    }

    fn file<'a>(&self, artefact: &'a Artefact) -> Result<Made<'a>, StepError> {
        if !self.exclude.is_empty() {
            let message = format!("`{}` is a file, and `exclude` is for directories", artefact.name);
            return Err(self.wrong(message, "leave `exclude` out".to_owned()));
        }
        if matches!(artefact.entry, Entry::File { .. }) {
            return Ok(Made::File(artefact));
        }
        let what = if matches!(artefact.entry, Entry::Symlink { .. }) { "a link" } else { "a directory" };
        let message = format!("`/{}` needs a file, and `{}` is {what}", self.place, artefact.name);
        Err(self.wrong(message, "let the step copy what the link leads to".to_owned()))
    }

    fn directory<'a>(
        &self,
        name: &RelativePath,
        all: Vec<(RelativePath, &'a Artefact)>,
    ) -> Result<Made<'a>, StepError> {
        if self.capabilities == 0 {
            return Ok(Made::Directory(all));
        }
        let message = format!("`{name}` is a directory, and `capabilities` are for files");
        Err(self.wrong(message, "give the file an entry of its own".to_owned()))
    }

    fn unnamed(&self, artefacts: &[Artefact]) -> StepError {
        let (count, producer) = (artefacts.len(), self.producer());
        let message =
            format!("`/{}` needs one output of `{producer}`, and there are {count}: {}", self.place, listed(artefacts));
        let first = artefacts.first().map_or("NAME", |artefact| artefact.name.as_str());
        self.wrong(message, format!("name one: `Output(\"{producer}\", \"{first}\")`"))
    }

    fn missing(&self, name: &RelativePath, artefacts: &[Artefact]) -> StepError {
        let names = artefacts.iter().map(|artefact| artefact.name.as_str());
        let near = suggest(name.as_str(), names).map(|near| format!("did you mean `{near}`? ")).unwrap_or_default();
        self.wrong(
            format!("`{}` makes no `{name}`", self.producer()),
            format!("{near}there are: {}", listed(artefacts)),
        )
    }

    fn producer(&self) -> &str {
        self.producer.as_ref().map_or("health probe", |target| target.as_str())
    }

    fn wrong(&self, message: String, hint: String) -> StepError {
        StepError::User(UserError::input(message).at(self.span).hint(hint))
    }
}

/// Returns the names of some artefacts, as far as a line holds them.
fn listed(artefacts: &[Artefact]) -> String {
    let mut names: Vec<&str> = artefacts.iter().take(NAMES_MAX).map(|artefact| artefact.name.as_str()).collect();
    let more = artefacts.len() - names.len();
    let rest = format!("{more} more");
    names.extend((more > 0).then_some(rest.as_str()));
    names.join(", ")
}

/// Returns what lies below a directory, by its path there.
fn below<'a>(directory: &RelativePath, artefacts: &'a [Artefact]) -> Vec<(RelativePath, &'a Artefact)> {
    let rest = |artefact: &'a Artefact| {
        let rest = artefact.name.as_str().strip_prefix(directory.as_str())?.strip_prefix('/')?;
        Some((RelativePath::new(rest).ok()?, artefact))
    };
    artefacts.iter().filter_map(rest).collect()
}
