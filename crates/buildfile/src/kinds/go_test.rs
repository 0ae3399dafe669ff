//! `GoTest`: fields and needs of one kind.

use crate::record::kind;
use crate::types::{CommandEnvironment, InputSource, Packages};
use crate::{Kind, Makes, Need, Text};

kind! {
    /// Runs `go test`. A test may read anything, so all files below `root` are inputs unless `inputs` says less.
    GoTest in Group::Check {
        /// Packages, as patterns or import paths.
        packages: Packages,
        /// Adds `-race`. It needs a C compiler, which is then in the key.
        race: bool = false,
        /// Build tags.
        tags: Vec<Text> = Vec::new(),
        /// `-run`: a regular expression of the tests to run.
        run: Option<Text> = None,
        /// Adds `-short`.
        short: bool = false,
        /// `-timeout`, a Go duration: `"5m"`.
        timeout: Option<Text> = None,
        /// Environment of the tests, added to Rondel's closed one; `Secret` is allowed.
        env: CommandEnvironment = CommandEnvironment::default(),
        /// Globs of the files that the tests may read, and outputs of targets; all files below `root` if left out.
        inputs: Option<Vec<InputSource>> = None,
    }
}

impl Kind for GoTest {
    fn makes(&self) -> Makes {
        Makes::Nothing
    }

    fn needs(&self) -> Vec<Need> {
        let mut needs = vec![Need::Go];
        if self.race {
            needs.push(Need::CCompiler { command: None, because: "race: true" });
        }
        needs
    }
}
