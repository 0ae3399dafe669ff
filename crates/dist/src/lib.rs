//! Files that people download: archives, checksums, changelogs and formulas, the same bytes on every machine. Knows
//! nothing of targets, Go, and networks.

mod archive;
mod archive_file;
mod changelog;
mod checksums;
mod formula;
mod zip;

pub use archive::ArchiveForm;
pub use archive_file::ArchiveFile;
pub use changelog::{BREAKING, ChangelogStyle, Commit, EVERYTHING_ELSE, changelog};
pub use checksums::checksums_text;
pub use formula::{Formula, FormulaArchive, FormulaMachine, install_line};
