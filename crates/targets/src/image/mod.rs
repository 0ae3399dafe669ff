//! Parts of an image next to its configuration: layers, loading into a daemon, reports.

pub(crate) mod added_users;
pub(crate) mod archive;
pub(crate) mod attributes;
pub(crate) mod base_layer;
pub(crate) mod container_user;
pub(crate) mod declared;
pub(crate) mod evidence;
pub(crate) mod excluded;
pub(crate) mod facts;
pub(crate) mod image_step;
pub(crate) mod layer;
pub(crate) mod load;
pub(crate) mod loaded;
pub(crate) mod metadata;
pub(crate) mod outputs;
pub(crate) mod places;
pub(crate) mod program;
pub(crate) mod sources;
