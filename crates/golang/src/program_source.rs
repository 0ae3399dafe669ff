//! `ProgramSource`: where a program comes from that is no part of the toolchain, its place and its part of a key.

use std::path::{Path, PathBuf};

use rondel_cas::{Entry, RelativePath};
use rondel_engine::{ActionSpec, Artefact, OutputUse, StepContext, StepError};
use rondel_process::find_tool;

/// Where a program comes from.
#[derive(Clone, Debug)]
pub enum ProgramSource {
    /// A name on the caller's PATH, or an absolute path.
    Found(String),
    /// The only file of an upstream result.
    Built(usize),
    /// What another target makes.
    Made(OutputUse),
}

impl ProgramSource {
    /// Returns the place of the program.
    pub fn place(&self, context: &StepContext<'_>, search_path: &str, directory: &Path) -> Result<PathBuf, StepError> {
        match self {
            ProgramSource::Found(name) => find_tool(name, search_path, directory).map_err(|error| {
                StepError::environment(error.to_string()).hint(error.hint("install it, or correct `tool`"))
            }),
            ProgramSource::Built(index) => Ok(built(context, *index)?.path.clone()),
            ProgramSource::Made(output) => output.path(context),
        }
    }

    /// Adds the contents of the program to a key, as `role`.
    pub fn identify(
        &self,
        context: &StepContext<'_>,
        role: &str,
        (search_path, directory): (&str, &Path),
        spec: &mut ActionSpec,
    ) -> Result<(), StepError> {
        match self {
            ProgramSource::Found(_) => {
                let place = self.place(context, search_path, directory)?;
                let unreadable = |error: std::io::Error| StepError::unreadable(&place, &error);
                let metadata = std::fs::metadata(&place).map_err(unreadable)?;
                let digest = context.workspace.snapshot.digest(&place, &metadata).map_err(unreadable)?;
                spec.tools.insert(role.to_owned(), digest.to_string());
            }
            ProgramSource::Built(index) => {
                let slot = RelativePath::new(&format!("tools/{role}")).expect("a name");
                spec.upstream.insert(slot, built(context, *index)?.entry.clone());
            }
            ProgramSource::Made(output) => output.add_to(context, spec)?,
        }
        Ok(())
    }
}

fn built<'c>(context: &'c StepContext<'_>, index: usize) -> Result<&'c Artefact, StepError> {
    let files = context.upstream.get(index).into_iter().flat_map(|upstream| &upstream.artefacts);
    let mut files = files.filter(|artefact| matches!(artefact.entry, Entry::File { .. }));
    files.next().ok_or_else(|| StepError::failed("a tool was not built").hint("run again with --force"))
}
