//! `Group`: several targets under one name.

use crate::record::kind;
use crate::{Kind, Makes, Need, Spanned, TargetName};

kind! {
    /// Several targets under one name.
    TargetGroup = "Group"(targets) in Group::Other {
        /// The targets.
        targets: Vec<Spanned<TargetName>>,
        /// `false` runs them in order: each begins when the ones before it have ended well, with all that they wait for.
        parallel: bool = true,
    }
}

impl Kind for TargetGroup {
    fn makes(&self) -> Makes {
        Makes::Nothing
    }

    fn is_self_contained(&self) -> bool {
        true
    }

    fn needs(&self) -> Vec<Need> {
        Vec::new()
    }

    fn members(&self) -> &[Spanned<TargetName>] {
        &self.targets
    }

    fn is_ordered(&self) -> bool {
        !self.parallel
    }

    fn summary(&self) -> String {
        self.targets.iter().map(|name| name.value.to_string()).collect::<Vec<_>>().join(", ")
    }

    fn has_steps() -> bool {
        false
    }
}
