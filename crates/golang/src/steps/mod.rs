//! One file a kind of step: what it depends on, and how it is done.

pub(crate) mod command;
pub(crate) mod go_build;
pub(crate) mod go_mod_download;
pub(crate) mod go_test;
pub(crate) mod probe;
pub(crate) mod sbom;
