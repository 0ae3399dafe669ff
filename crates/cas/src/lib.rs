//! Content-addressable storage: digests, messages, the blob store, the action cache, and garbage collection.
//!
//! This crate knows bytes and names of bytes. It knows no build: the layers above it decide which actions exist and
//! when a result may be used.
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "a test reads the files that it has made"))]

mod action_cache;
mod action_result;
mod atomic;
mod audit_count;
mod blob_store;
mod cache;
mod decode;
mod digest;
mod gc;
mod hashing;
mod last_use;
pub mod messages;
mod metadata;
mod named;
mod own_directory;
mod parallel;
mod regular;
mod relative_path;
mod tree;
mod wire;

pub use action_cache::CacheError;
pub use action_result::{ActionResult, OutputEntry};
pub use atomic::{
    KeepAlive, TemporaryDirectory, TemporaryFile, copy_file, copy_file_with_time, remove_tree, sweep_abandoned,
    temporary_name, write_atomically,
};
pub use audit_count::AuditCount;
pub use blob_store::BlobError;
pub use cache::{Cache, DiskCache};
pub use decode::decode_digest;
pub use digest::{Digest, DigestParseError, Hasher};
pub use gc::{GcOutcome, RunningBuild, Store, StoredResult, VerifyOutcome};
pub use hashing::{HashingReader, HashingWriter};
pub use metadata::{Metadata, MetadataType};
pub use named::{is_written_through, write_named};
pub use own_directory::{DirectoryError, bears_mark, claim_cache, owner_other_than_user, require_own_directory};
pub use parallel::{par_chunks, par_map};
pub use regular::{
    CONTENTS_MAX, MEMORY_MAX, SMALL_MAX, TEXT_MAX, open_at_most, open_regular, read_at_most, read_text_at_most,
};
pub use relative_path::{PathError, RelativePath};
pub use tree::{Entry, Tree, TreeError};
pub use wire::DecodeError;

/// Version of everything on disk below the cache directory. Each version has a directory of its own, so an older and a
/// newer Rondel can share one machine.
pub const STORE_FORMAT: &str = "v2";
