//! `Group`: several targets under one name.

use crate::record::kind;
use crate::{Kind, Makes, Need, Spanned, TargetName};

kind! {
    /// Several targets under one name.
    TargetGroup = "Group" in Group::Other {
        /// The targets.
        targets: Vec<Spanned<TargetName>>,
    }
}

impl Kind for TargetGroup {
    fn makes(&self) -> Makes {
        Makes::Nothing
    }

    fn needs(&self) -> Vec<Need> {
        Vec::new()
    }

    fn members(&self) -> &[Spanned<TargetName>] {
        &self.targets
    }

    fn summary(&self) -> String {
        self.targets.iter().map(|name| name.value.to_string()).collect::<Vec<_>>().join(", ")
    }

    fn has_steps() -> bool {
        false
    }
}
