//! The steps of the builds that a release has: their executables, and the bills of those. It adds none of its own.

use rondel_buildfile::{ExecutablesReference, Platform, Release, Target};
use rondel_engine::NodeId;

use crate::analyzer::{Analyzed, Analyzer};

/// Returns the steps that make the executables of a platform, one a build.
pub(crate) fn builds(
    analyzer: &mut Analyzer<'_>,
    (target, release): (&Target, &Release),
    platform: &Platform,
) -> Analyzed<Vec<NodeId>> {
    release.builds.iter().map(|build| executables(analyzer, (target, build), platform)).collect()
}

/// Returns the step that makes the executables of a build.
pub(super) fn executables(
    analyzer: &mut Analyzer<'_>,
    (target, build): (&Target, &ExecutablesReference),
    platform: &Platform,
) -> Analyzed<NodeId> {
    let of = analyzer.find(&build.value)?;
    analyzer.within(of, |analyzer, kind| kind.output_node(analyzer, of, platform, (target, build.span)))
}

/// Returns the step that knows what the executables of a build are made of, if there is one.
pub(super) fn bill(
    analyzer: &mut Analyzer<'_>,
    (target, build): (&Target, &ExecutablesReference),
    platform: &Platform,
) -> Analyzed<Option<NodeId>> {
    let of = analyzer.find(&build.value)?;
    analyzer.within(of, |analyzer, kind| kind.bill_node(analyzer, of, platform, (target, build.span)))
}
