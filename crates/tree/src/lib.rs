//! The source tree: the stat snapshot, the walk, globs, and the mtime boundary up to which stat data can be believed.
//!
//! It knows files, names and digests of contents. It knows no store and no build: the layers above it decide which step
//! a file is an input of.

mod fingerprint;
mod globs;
mod link_way;
mod listing;
mod modes;
mod mtime_boundary;
mod snapshot;
mod snapshot_file;
mod vouch;
mod walk;

pub use fingerprint::{FINGERPRINT_LENGTH, Fingerprint};
pub use globs::{GlobSet, literal_glob};
pub use link_way::LinkWay;
pub use listing::{BEHIND_LINK, Listing};
pub use modes::{counted_mode, kept_mode, mode_under, process_umask, set_process_umask};
pub use mtime_boundary::{MTIME_BOUNDARY_LENGTH, MtimeBoundary};
pub use snapshot::StatSnapshot;
pub use vouch::Vouch;
pub use walk::WalkError;
