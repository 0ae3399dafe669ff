//! `GoTest`: fields and needs of one kind.

use crate::record::kind;
use crate::types::{CommandEnvironment, InputSource, Packages, Platforms, Tags, late_fact};
use crate::{Diagnostic, Kind, Makes, Need, Text};

kind! {
    /// Runs `go test` on packages of which something has changed: what their tests are made of, or what these read. That
    /// is seen when they run. Of tests that start programs, have C code or a `TestMain`, and some others, not all reads
    /// are seen: then every file below `root` counts, or what `inputs` names.
    GoTest in Group::Check {
        /// Packages, as patterns or import paths.
        packages: Packages,
        /// Adds `-race`. It needs a C compiler, which is then in the key.
        race: bool = false,
        /// Build tags.
        tags: Tags = Tags::default(),
        /// `-run`: a regular expression of the tests to run.
        run: Option<Text> = None,
        /// Adds `-short`.
        short: bool = false,
        /// `-timeout`, a Go duration: `"5m"`.
        timeout: Option<Text> = None,
        /// Environment of the tests, added to Rondel's closed one; `Secret` is allowed, facts of images are not.
        env: CommandEnvironment = CommandEnvironment::default(),
        /// Globs of files, and outputs of targets, that all tests depend on besides. Needed for what is read unseen, by
        /// child processes for example; `["**"]` for every file below `root`.
        inputs: Option<Vec<InputSource>> = None,
    }
}

impl Kind for GoTest {
    fn makes(&self) -> Makes {
        Makes::Nothing
    }

    fn check(&self, _platforms: &Platforms, diagnostics: &mut Vec<Diagnostic>) {
        for (_, text) in &self.env {
            diagnostics.extend(text.images().next().map(|fact| late_fact(fact, text.span)));
        }
    }

    fn needs(&self) -> Vec<Need> {
        let mut needs = vec![Need::Go];
        if self.race {
            needs.push(Need::CCompiler { command: None, because: "race: true" });
        }
        needs
    }
}
