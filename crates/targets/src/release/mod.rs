//! The steps of a `Release`: archives, packages, checksums, and the list of all files. Each file is a step of its own, so
//! that it is kept and restored by itself. `kinds/release.rs` puts them together. Also the rules of its version.

mod archive;
mod artifacts;
mod builds;
mod changelog;
mod checksums;
mod evidence;
mod formula;
mod names;
mod package_files;
mod package_step;
mod packages;
mod published_signatures;
mod signatures;
mod texts;
mod version;

pub(crate) use archive::ArchiveStep;
pub(crate) use artifacts::{Artifact, ArtifactKind, ArtifactsStep};
pub(crate) use builds::builds;
pub(crate) use checksums::ChecksumsStep;
pub(crate) use evidence::{add_bills, add_provenance};
pub(crate) use names::{ReleaseNames, path_of};
pub(crate) use packages::add_packages;
pub(crate) use signatures::add_signatures;
pub(crate) use texts::{add_changelog, add_formula};
pub(crate) use version::{check_publishing, check_release, tag_here};
