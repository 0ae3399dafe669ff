//! `GoModTidy`: fields and needs of one kind.

use crate::record::kind;
use crate::types::ModuleDirectory;
use crate::{Kind, Makes, Need};

kind! {
    /// Runs `go mod tidy`. `check: true` changes nothing, and fails if go.mod or go.sum would change.
    GoModTidy in Group::Check {
        /// Directory of the module, below `root`: `"examples"`. Without the field it is `root`.
        module: Option<ModuleDirectory> = None,
        /// True to look only. The result is kept: it runs again if a Go file, go.mod or go.sum changes.
        check: bool = false,
    }
}

impl Kind for GoModTidy {
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
