//! Files that people download: archives, checksums and changelogs, the same bytes on every machine. Knows nothing of
//! targets, Go, and networks.

mod changelog;
mod checksums;

pub use changelog::{BREAKING, ChangelogStyle, Commit, EVERYTHING_ELSE, changelog};
pub use checksums::checksums_text;
