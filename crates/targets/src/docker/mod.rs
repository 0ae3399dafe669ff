//! Docker: the daemon and its command, compose projects, ignore files.

pub(crate) mod build_context;
mod client;
pub(crate) mod compose;
pub(crate) mod container_labels;
pub(crate) mod context_memory;
pub(crate) mod dockerfile;
pub(crate) mod dockerfile_reads;
pub(crate) mod dockerfile_words;
pub(crate) mod ignore_file;
mod ignore_pattern;
mod loading;
mod regex;
mod socket;
pub(crate) mod taken_port;

pub use client::Docker;
pub(crate) use socket::DockerImage;
pub use socket::DockerSocket;
