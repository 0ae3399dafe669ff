//! `Clean`: fields of one kind.

use crate::record::kind;
use crate::types::CleanedTarget;
use crate::{Kind, Makes, Need};

kind! {
    /// Removes outputs that Rondel placed: below `dist`, and elsewhere in the tree. Files that somebody made or edited there
    /// stay, and are named. It runs before everything else of the run. Results stay in the cache.
    Clean(targets) in Group::Other {
        /// The targets whose outputs are removed, a group for its members. Without the field: those of all targets.
        targets: Option<Vec<CleanedTarget>> = None,
    }
}

impl Kind for Clean {
    fn makes(&self) -> Makes {
        Makes::Nothing
    }

    fn needs(&self) -> Vec<Need> {
        Vec::new()
    }

    fn removes(&self) -> Option<&[CleanedTarget]> {
        Some(self.targets.as_deref().unwrap_or_default())
    }

    fn summary(&self) -> String {
        let Some(targets) = &self.targets else { return "removes all outputs".to_owned() };
        let names: Vec<&str> = targets.iter().map(|name| name.value.as_str()).collect();
        format!("removes outputs of {}", names.join(", "))
    }
}
