//! One file a kind of step: what it depends on, and how it is done.

pub(crate) mod compose;
pub(crate) mod dirty;
pub(crate) mod docker_build;
pub(crate) mod docker_run;
pub(crate) mod exec;
pub(crate) mod image;
pub(crate) mod layer;
pub(crate) mod load;
