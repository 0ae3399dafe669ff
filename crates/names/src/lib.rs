//! Names with rules, checked once on creation: of targets, of variables, of images, of versions, and of the platforms that Go knows.
//! Also the nearest of some names, for "did you mean".
//!
//! It knows neither build.ron nor the meaning of a target: all crates that name a target or a platform share these
//! types.

mod image_name;
mod image_reference;
mod names;
mod platform;
mod platform_pattern;
mod semantic_version;
mod suggest;

pub use image_name::{ImageName, ImageNameError, is_tag};
pub use image_reference::{ImageReference, ImageReferenceError};
pub use names::{NameError, TargetName, VariableName};
pub use platform::{Platform, PlatformError};
pub use platform_pattern::{PlatformPattern, PlatformPatternError};
pub use semantic_version::{SemanticVersion, SemanticVersionError};
pub use suggest::suggest;
