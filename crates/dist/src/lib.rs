//! Files that people download: archives and checksums, the same bytes on every machine. Knows nothing of targets, Go,
//! and networks.

mod checksums;

pub use checksums::checksums_text;
