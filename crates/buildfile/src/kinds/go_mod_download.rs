//! `GoModDownload`: fields and needs of one kind.

use crate::record::kind;
use crate::types::ModuleDirectory;
use crate::{Kind, Makes, Need};

kind! {
    /// Downloads the modules of go.mod into the module cache. It runs only if a build does.
    GoModDownload in Group::Build {
        /// Directory of the module, below `root`: `"examples"`. Without the field it is `root`.
        module: Option<ModuleDirectory> = None,
    }
}

impl Kind for GoModDownload {
    fn makes(&self) -> Makes {
        Makes::Nothing
    }

    fn is_self_contained(&self) -> bool {
        true
    }

    fn needs(&self) -> Vec<Need> {
        vec![Need::Go]
    }

    fn module(&self) -> Option<&ModuleDirectory> {
        self.module.as_ref()
    }
}
