//! `created`: the one time in what a target makes, so that no clock takes part.

use rondel_buildfile::{Created, GitQuery};
use rondel_engine::UserError;

use crate::analyzer::{Analyzed, Analyzer};

/// Returns the seconds since 1970 that `created` of build.ron means.
pub(crate) fn created_s(analyzer: &Analyzer<'_>, created: &Created) -> Analyzed<u64> {
    match created {
        Created::Epoch => Ok(0),
        Created::CommitTime => {
            analyzer.variables.git(&GitQuery::CommitTimestamp).and_then(|text| text.parse().ok()).ok_or_else(|| {
                UserError::environment("`created: CommitTime`, but git has no commit here")
                    .hint("write `created: Epoch`")
            })
        }
        Created::Environment(name) => match analyzer.request.environment.get(name).filter(|value| !value.is_empty()) {
            None => Ok(0),
            // 9999-12-31: later years do not fit into RFC 3339.
            Some(value) => value.parse().ok().filter(|seconds| *seconds < 253_402_300_800_u64).ok_or_else(|| {
                UserError::environment(format!("{name} is `{value}`: expected whole seconds since 1970"))
            }),
        },
    }
}
