//! The end of a rebuild in words.

use crate::ui::{RebuildSummary, duration_text};

/// Returns what a rebuild has proven, and what not.
pub(crate) fn rebuilt_text(summary: &RebuildSummary<'_>) -> String {
    let RebuildSummary { start, same, different, unproven, took, .. } = summary;
    let sources = match start.commit {
        Some(commit) => format!("the commit {}", short(commit)),
        None => "these sources, whose commit is not proven".to_owned(),
    };
    let (total, took) = (same + different, duration_text(*took));
    let mut text = match different {
        0 => format!("in {took}: {same} of {total} are what `{}` makes of {sources}", start.target),
        _ => format!("in {took}: {different} of {total} are not what `{}` makes of {sources}", start.target),
    };
    if !unproven.is_empty() {
        text.push_str(&format!("; {} not proven", unproven.len()));
    }
    text
}

/// Returns the first digits of a commit.
pub(crate) fn short(commit: &str) -> &str {
    commit.get(..12).unwrap_or(commit)
}
