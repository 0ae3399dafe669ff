//! `GoFmt`: fields and needs of one kind.

use crate::record::kind;
use crate::types::ModuleDirectory;
use crate::{Glob, Kind, Makes, Need};

kind! {
    /// Formats the module's Go files with the project's own `gofmt`. `check: true` changes nothing, and fails if a file
    /// is not formatted.
    GoFmt in Group::Check {
        /// Directory of the module, below `root`: `"examples"`. Without the field it is `root`. Globs of `exclude` begin at `root`.
        module: Option<ModuleDirectory> = None,
        /// True to look only. The result is kept: it runs again if a Go file changes.
        check: bool = false,
        /// True to simplify code too (`gofmt -s`).
        simplify: bool = false,
        /// Files that are left out: `["**/*.pb.go"]`. Those of `vendor`, `testdata` and of directories whose names begin
        /// with `.` or `_` are, as for `go fmt ./...`.
        exclude: Vec<Glob> = Vec::new(),
    }
}

impl Kind for GoFmt {
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
