//! What an image lies on other than the static base: an image of a registry, of another target, of a layout in the tree.
//!
//! `BaseStep` finds it, checks it and lists its files; steps above it ask a `BaseView` for them.

mod bases;
mod daemon;
pub(crate) mod layout;
mod pinned;
mod step;
mod view;

pub use bases::{BaseRequest, Bases};
pub use pinned::declared_bases;

pub(crate) use step::{BaseOrigin, BaseStep, layer_of};
pub(crate) use view::{BaseView, Below, ImageView, KEPT_BUNDLES, KeptFile};
