//! Releases: the steps of what people download, and the rules of its version.

mod version;

pub(crate) use version::{check_publishing, release_version};
