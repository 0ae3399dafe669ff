//! Encoders whose bytes are the same on every machine, for blocks in memory. A crate of its own, since it has to be compiled for
//! speed wherever it is used.
//!
//! It knows formats of compressed data, and no files, threads or images.

mod bits;
mod deflate;
mod prefix_code;
#[cfg(test)]
mod samples;
mod words;
mod zstd;

pub use deflate::{DEFLATE, deflate};
pub use zstd::{ZSTD, zstd_frame};
