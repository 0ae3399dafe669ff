//! Go programs in an image, for `ko://`: their import paths, as the executables themselves say them.

use rondel_engine::{Artefact, StepContext, StepError};
use rondel_golang::BuildInfo;

use crate::nodes::Program;

impl Program {
    /// Returns the executable, if the build made it; the image itself says what is missing.
    pub fn artefact<'c>(&self, context: &'c StepContext<'_>) -> Option<&'c Artefact> {
        let artefacts = &context.upstream.get(self.upstream)?.artefacts;
        match &self.name {
            Some(name) => artefacts.iter().find(|artefact| artefact.name.as_str() == name),
            None => artefacts.first(),
        }
    }

    /// Returns the import path of its main package; `None` for one that is made of single files.
    pub fn import_path(&self, context: &StepContext<'_>) -> Result<Option<String>, StepError> {
        let Some(artefact) = self.artefact(context) else { return Ok(None) };
        let info = BuildInfo::of_file(&artefact.path).map_err(|error| StepError::unreadable(&artefact.path, &error))?;
        Ok(info.map(|info| info.path).filter(|path| path != "command-line-arguments"))
    }
}
