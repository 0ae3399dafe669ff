//! `Group`: several targets under one name.

use rondel_buildfile::{Platform, Target, TargetGroup};

use crate::analyzer::{Analyze, Analyzed, Analyzer};
use crate::nodes::{Deps, TargetNodes};
use crate::orders::Order;

impl Analyze for TargetGroup {
    fn analyze(&self, analyzer: &mut Analyzer<'_>, target: &Target, deps: Deps, wanted: bool) -> Analyzed<TargetNodes> {
        let mut members = Vec::with_capacity(self.targets.len());
        let host = Platform::host();
        let (here, left_out) = analyzer.request.file.members_on(target, &host);
        for name in left_out {
            if !analyzer.left_out.contains(name) {
                analyzer.left_out.push(name.clone());
                analyzer.notes.push(format!("{host}: {name} is for other machines, skipped"));
            }
        }
        for member in here {
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
