//! Parts of an image next to its configuration: layers, loading into a daemon, reports.

pub(crate) mod layer;
pub(crate) mod load;
pub(crate) mod metadata;
