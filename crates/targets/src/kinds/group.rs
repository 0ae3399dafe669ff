//! `Group`: several targets under one name.

use rondel_buildfile::{Target, TargetGroup};

use crate::analyzer::{Analyze, Analyzed, Analyzer};
use crate::nodes::{Deps, TargetNodes};
use crate::orders::Order;

impl Analyze for TargetGroup {
    fn analyze(&self, analyzer: &mut Analyzer<'_>, target: &Target, deps: Deps, wanted: bool) -> Analyzed<TargetNodes> {
        let mut members = Vec::with_capacity(self.targets.len());
        for member in &self.targets {
            let nodes = analyzer.target(&member.value, wanted)?;
            members.push((member.value.clone(), member.span, nodes.ends));
        }
        let ends = deps.order_only.into_iter().chain(members.iter().flat_map(|(_, _, ends)| ends).copied()).collect();
        if !self.parallel {
            analyzer.orders.push(Order { group: target.name.value.clone(), members });
        }
        Ok(TargetNodes::ends(ends))
    }
}
