//! `GoModDownload`: fields and needs of one kind.

use crate::record::kind;
use crate::{Kind, Makes, Need};

kind! {
    /// The module cache holds what go.mod needs. It is looked at only if a build runs.
    GoModDownload in Group::Build {}
}

impl Kind for GoModDownload {
    fn makes(&self) -> Makes {
        Makes::Nothing
    }

    fn needs(&self) -> Vec<Need> {
        vec![Need::Go]
    }
}
