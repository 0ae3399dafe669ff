//! What an image is made of besides its configuration: layers, the loading into a daemon, what is reported.

pub(crate) mod layer;
pub(crate) mod load;
pub(crate) mod metadata;
