//! Names with rules, checked once on creation: of targets, variables, images, and of the platforms that Go knows.
//!
//! It knows neither build.ron nor the meaning of a target: all crates that name a target or a platform share these
//! types.

mod image_name;
mod names;
mod platform;

pub use image_name::{ImageName, ImageNameError};
pub use names::{NameError, TargetName, VariableName};
pub use platform::{Platform, PlatformError};
