//! `GoLint`: fields and needs of one kind.

use crate::record::kind;
use crate::types::{ModuleDirectory, Packages, SourcePath, Tags};
use crate::{CommandWord, Glob, Kind, Makes, Need, Text};

kind! {
    /// Runs `golangci-lint run` by its own configuration. The result is kept: it runs again if a file of the packages or of
    /// what they import, their tests, the configuration or the program changes.
    GoLint in Group::Check {
        /// Directory of the module, below `root`: `"examples"`. Without the field it is `root`. `config` and `inputs` begin at `root`.
        module: Option<ModuleDirectory> = None,
        /// Packages, as patterns.
        packages: Packages,
        /// The configuration, relative to `root`. If left out, the first of `.golangci.yml`, `.golangci.yaml`,
        /// `.golangci.toml` and `.golangci.json` in the module's directory, then in `root`; if there is none, golangci-lint
        /// runs without one, whatever a directory above or the home directory has.
        config: Option<SourcePath> = None,
        /// Globs of other files that linters read: `["tools/header.txt"]`.
        inputs: Vec<Glob> = Vec::new(),
        /// Build tags.
        tags: Tags = Tags::default(),
        /// True to mend what can be mended. It then always runs, and changes files of the tree.
        fix: bool = false,
        /// More arguments, before the packages: `["--enable=gosec"]`.
        args: Vec<Text> = Vec::new(),
        /// The program: `Tool("github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.12.2")`, `Output("target")`, a
        /// name on the caller's `PATH` or an absolute path. If left out, `golangci-lint` on `PATH`, keyed by its contents.
        tool: CommandWord = CommandWord::name("golangci-lint"),
    }
}

impl Kind for GoLint {
    fn makes(&self) -> Makes {
        Makes::Nothing
    }

    fn needs(&self) -> Vec<Need> {
        [Need::Go].into_iter().chain(Need::of_program(&self.tool)).collect()
    }

    fn module(&self) -> Option<&ModuleDirectory> {
        self.module.as_ref()
    }
}
