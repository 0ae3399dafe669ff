//! Files that people download: archives and checksums, the same bytes on every machine. Knows nothing of targets, Go,
//! and networks.

mod archive;
mod archive_file;
mod checksums;
mod zip;

pub use archive::ArchiveForm;
pub use archive_file::ArchiveFile;
pub use checksums::checksums_text;
