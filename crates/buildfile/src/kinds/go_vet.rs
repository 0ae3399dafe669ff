//! `GoVet`: fields and needs of one kind.

use crate::record::kind;
use crate::types::{Environment, ModuleDirectory, Packages, Platforms, Tags};
use crate::{Kind, Makes, Need, Text};

kind! {
    /// Runs `go vet`, with Rondel's warm build cache. Inputs are exactly the files that `go` reads: those of the
    /// packages and of what they import, their tests, and the files of theirs that build constraints exclude.
    GoVet in Group::Check {
        /// Directory of the module, below `root`: `"examples"`. Without the field it is `root`. Patterns of packages begin there, paths and globs at `root`.
        module: Option<ModuleDirectory> = None,
        /// Packages, as patterns or import paths.
        packages: Packages,
        /// Build tags.
        tags: Tags = Tags::default(),
        /// Analyzers to run, by name: `"printf"`; or all but some: `"!composites"`. All of Go's own if left out.
        analyzers: Vec<Text> = Vec::new(),
        /// `GOEXPERIMENT`, `GODEBUG` and the like.
        env: Environment = Environment::default(),
        /// Platforms, instead of those of the file: files for other platforms are looked at only for them.
        platforms: Option<Platforms> = None,
    }
}

impl Kind for GoVet {
    fn makes(&self) -> Makes {
        Makes::Nothing
    }

    fn needs(&self) -> Vec<Need> {
        vec![Need::Go]
    }

    fn module(&self) -> Option<&ModuleDirectory> {
        self.module.as_ref()
    }
}
