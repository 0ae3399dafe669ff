//! Releases that people download, brought to a forge (GitHub, Gitea, Forgejo) or to a plain directory.
//!
//! It knows a tag, its notes, and files with their digests. It knows no target and no build.ron: callers say what
//! belongs to a release, and this crate sees to it that all of it is there, once, before anybody is shown it.

mod announcement;
mod api;
mod asset;
mod client;
mod directory;
mod error;
mod place;
mod release;
mod token;

pub use announcement::Announcement;
pub use asset::Asset;
pub use client::{Client, Patience, Watcher};
pub use directory::{Copied, directory_lacks, publish_to_directory};
pub use error::ForgeError;
pub use place::{ForgeKind, Place};
pub use release::Published;
pub use token::Token;
