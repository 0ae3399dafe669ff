//! Names with rules, checked once where they are made: of targets, of variables, and of the platforms that Go knows.
//!
//! It knows neither build.ron nor what a target is: whatever speaks of a target or a platform shares these types.

mod names;
mod platform;

pub use names::{NameError, TargetName, VariableName};
pub use platform::{Platform, PlatformError};
