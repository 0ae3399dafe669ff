//! The fields that `Exec` and `Shell` share: what a command reads, makes and sees.

use crate::record::record;
use crate::types::{EnvironmentName, Glob, OutPath, ProcessEnvironment, SourcePath};
use crate::{Makes, Output, kind::Places};

record! {
    /// What a command reads, makes and sees.
    Process = "a command" {
        /// Globs of the files that the command reads; without the field it always runs. A link among the inputs
        /// counts by its text and by the file that it leads to. If one leads to a directory that is not among the
        /// inputs, the step always runs and says so; `!path` leaves the link out.
        inputs: Option<Vec<Glob>> = None,
        /// Files that the command makes, relative to `root`. A path that ends with `/` is a directory; a
        /// directory below it that holds nothing is not kept.
        outputs: Vec<OutPath> = Vec::new(),
        /// Environment of the command, which is in the key; `Secret` is allowed. The environment is closed: the
        /// command sees `PATH`, `HOME`, `LANG=C.UTF-8`, these, and those of `pass_env`.
        env: ProcessEnvironment = ProcessEnvironment::default(),
        /// Variables that are handed through from the caller. Only their names are in the key: they are for how to
        /// reach the world, not for what to make.
        pass_env: Vec<EnvironmentName> = Vec::new(),
        /// Directory where the command starts, below `root`; `root` itself if left out.
        dir: Option<SourcePath> = None,
    }
}

impl Process {
    /// Files, if they depend on declared inputs alone.
    pub(crate) fn makes(&self) -> Makes {
        match (&self.inputs, self.outputs.len()) {
            (None, _) | (_, 0) => Makes::Nothing,
            (Some(_), count) => Makes::Files { count },
        }
    }

    pub(crate) fn places<'a>(&'a self, places: &Places<'a>) -> Vec<Output<'a>> {
        self.outputs.iter().map(|output| places.path(output)).collect()
    }
}
