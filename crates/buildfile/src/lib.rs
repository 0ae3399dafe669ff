//! Text of `build.ron` -> typed `BuildFile`, or diagnostics that point at their place.
//!
//! Pure: no file is opened, no variable of the environment read, nothing run. What a target means is decided
//! in `rondel-targets`; here it is only read and checked.
//!
//! Reading is two-level. `value` cuts the text into raw slices that know where they stand (with `ron`), and
//! `kinds` reads each target on its own, field by field, so that every mistake of every target is reported
//! in one run.

mod check;
mod diagnostic;
mod fields;
mod go_kinds;
mod kinds;
mod lock;
mod model;
mod prescan;
mod read;
mod suggest;
mod template;
mod value;

pub use diagnostic::{Diagnostic, Span, Spanned, render};
pub use lock::{LockFile, LockedGo};
pub use model::*;
pub use rondel_names::{NameError, Platform, PlatformError, TargetName, VariableName};
pub use suggest::suggest;
pub use template::{Part, Template};

/// The `format:` that this Rondel reads.
pub const FORMAT: u64 = 1;
/// Files larger than this are refused unread, in bytes.
pub const SIZE_MAX: usize = 1024 * 1024;

impl BuildFile {
    /// Reads and checks `text`. All mistakes are reported, in the order of their places.
    /// `version` is this Rondel's own (`0.1.0`), which `rondel: ">=…"` is held against.
    pub fn parse(text: &str, version: &str) -> Result<BuildFile, Vec<Diagnostic>> {
        prescan::prescan(text).map_err(|diagnostic| vec![diagnostic])?;
        let mut diagnostics = Vec::new();
        let file = read::build_file(text, version, &mut diagnostics);
        if let Some(file) = &file {
            check::check(file, &mut diagnostics);
        }
        diagnostics.sort_by_key(|diagnostic| (diagnostic.span.start, diagnostic.span.end));
        diagnostics.dedup_by(|one, other| one.span == other.span && one.message == other.message);
        match file {
            Some(file) if diagnostics.is_empty() => Ok(file),
            _ => Err(diagnostics),
        }
    }
}
