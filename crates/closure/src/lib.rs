//! The files and names that decide a Go build, as they were when `go list` was asked: kept on disk, and compared with
//! the tree again.
//!
//! It knows which names and headers matter to the go command. It does not know the go command itself, or which files
//! and directories are concerned: `golang` says that. It is apart from `golang` because each run goes through it, so it
//! is compiled with optimisation; the rest of `golang` waits for processes.

mod encoding;
mod file;
mod name_dependencies;
mod source_header;

pub use file::{ClosureFile, FileRole, FileState, Revalidation, SourceFile, WatchedDirectory, read_all};
pub use name_dependencies::{Names, embed_directories, is_source, matches_glob, sources_in, with_all_below};
pub use source_header::{head_digest, package_name};
