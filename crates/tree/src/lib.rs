//! How files look from outside: the stat snapshot, the walk, globs, and the time up to which a look can be believed.
//!
//! It knows files, names and digests of contents. It knows no store and no build: what a file is an input of, and what
//! follows when it changes, is decided above it.

mod fingerprint;
mod globs;
mod listing;
mod mtime_boundary;
mod snapshot;
mod snapshot_file;
mod walk;

pub use fingerprint::{FINGERPRINT_LENGTH, Fingerprint};
pub use globs::GlobSet;
pub use listing::{BEHIND_LINK, Listing};
pub use mtime_boundary::{MTIME_BOUNDARY_LENGTH, MtimeBoundary};
pub use snapshot::StatSnapshot;
pub use walk::WalkError;
