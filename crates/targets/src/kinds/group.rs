//! `Group`: several targets under one name.

use rondel_buildfile::{Target, TargetGroup};

use crate::analyzer::{Analyze, Analyzed, Analyzer};
use crate::nodes::{Deps, TargetNodes};

impl Analyze for TargetGroup {
    fn analyze(
        &self,
        analyzer: &mut Analyzer<'_>,
        _target: &Target,
        deps: Deps,
        wanted: bool,
    ) -> Analyzed<TargetNodes> {
        let mut ends = deps.order_only;
        for member in &self.targets {
            ends.extend(analyzer.target(&member.value, wanted)?.ends);
        }
        Ok(TargetNodes::ends(ends))
    }
}
