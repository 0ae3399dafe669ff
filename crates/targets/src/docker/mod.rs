//! Docker: the daemon and its command, compose projects, ignore files.

mod client;
pub(crate) mod compose;
pub(crate) mod ignore_file;

pub use client::{Docker, DockerSocket};
