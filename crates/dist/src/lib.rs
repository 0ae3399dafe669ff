//! Files that people download: archives, packages, checksums, changelogs and formulas, the same bytes on every machine.
//! Knows nothing of targets, Go, and networks.

mod archive;
mod archive_file;
mod changelog;
mod checksums;
mod deb;
mod formula;
mod md5;
mod package;
mod rpm;
#[cfg(test)]
mod tests;
mod zip;

pub use archive::ArchiveForm;
pub use archive_file::ArchiveFile;
pub use changelog::{BREAKING, ChangelogStyle, Commit, EVERYTHING_ELSE, changelog};
pub use checksums::checksums_text;
pub use deb::{DEB_FORMAT, check_deb, write_deb};
pub use formula::{Formula, FormulaArchive, FormulaMachine, install_line};
pub use package::{
    Package, PackageEntry, PackageError, Relations, Scripts, debian_architecture, is_owner, is_unit, package_path,
    package_version, rpm_architecture,
};
pub use rpm::{RPM_FORMAT, check_rpm, write_rpm};
