//! Docker: the daemon and its command, compose projects, ignore files.

mod client;
pub(crate) mod compose;
pub(crate) mod ignore_file;
mod socket;

pub use client::Docker;
pub use socket::DockerSocket;
