//! Content-addressable storage: digests, the blob store, the action cache, the stat snapshot, and trees of files.
//!
//! This crate knows bytes and names of bytes. It knows no build: what an action is for, which steps there
//! are and when a result may be used is decided above it.

mod action_cache;
mod atomic;
mod blob_store;
mod collect;
mod digest;
mod fingerprint;
mod globs;
mod horizon;
mod listing;
pub mod messages;
mod parallel;
mod relative_path;
mod snapshot;
mod snapshot_file;
mod tree;
mod walk;

pub use action_cache::{ActionCache, ActionResult, CacheTrouble, OutputEntry};
pub use atomic::{
    TemporaryDirectory, TemporaryFile, copy_file, remove_tree, sweep_abandoned, temporary_name, write_atomically,
};
pub use blob_store::{BlobError, BlobStore};
pub use collect::{Collected, RunningBuild, Store, StoredResult, Verified};
pub use digest::{Digest, DigestParseError, Hasher};
pub use fingerprint::{FINGERPRINT_LENGTH, Fingerprint};
pub use globs::GlobSet;
pub use horizon::{HORIZON_LENGTH, Horizon};
pub use listing::{BEHIND_LINK, Listing};
pub use parallel::in_parts;
pub use relative_path::{PathError, RelativePath};
pub use snapshot::StatSnapshot;
pub use tree::{Entry, Tree, TreeError};
pub use walk::WalkError;

/// Version of everything on disk below the cache directory. A store of another version is left alone: each
/// version has a directory of its own, so an older and a newer Rondel can share one machine.
pub const STORE_FORMAT: &str = "v1";
