//! Text of `build.ron` -> typed `BuildFile`, or diagnostics that point at their place.
//!
//! Pure: it opens no file, reads no variable of the environment and runs nothing. It only reads and checks targets;
//! `rondel-targets` gives them their meaning.
//!
//! A field is declared once, with `record!` or `kind!`: name, type, default and meaning. The declaration gives the
//! struct, its reader, the reference in docs/build-ron.md and the JSON Schema. `value` cuts the text into raw slices
//! that know their places (with `ron`). Each field's type reads its slice, so that every mistake of every target is
//! reported in one run. To add a kind, write `kinds/<kind>.rs` and a line in `for_each_kind!`.

mod build_settings;
mod check;
mod check_names;
mod diagnostic;
mod field;
mod file;
mod filter;
mod git_query;
mod health;
mod image_layout;
mod image_path;
mod kind;
mod kinds;
mod list_hint;
mod lock;
mod options;
mod places;
mod prescan;
mod pushed_documents;
mod reader;
mod record;
mod reference;
mod schema;
mod script;
mod shape;
mod target;
mod template;
mod text;
mod types;
mod value;

pub use build_settings::GoBuildSettings;
pub use diagnostic::{Diagnostic, Span, Spanned, render, render_place};
pub use field::{Visitor, Wanted};
pub use file::{BuildFile, Format, Requirement, Variable};
pub use filter::{Filter, VariableUse};
pub use git_query::{Describe, GitQuery, TimeFormat, VersionFact, VersionForm, VersionTemplate};
pub use health::{Health, HealthCheck, HealthTiming};
pub use image_layout::{BASE_DIRECTORIES, BASE_FILES, BASE_USERS, PROBE_FILE, ZONE_FILE};
pub use kind::{Declared, Group, Kind, Makes, Need};
pub use kinds::*;
pub use lock::{LockFile, LockedBlob, LockedGo, LockedImage, LockedTool};
pub use places::{Output, Places};
pub use reference::reference;
pub use rondel_names::suggest;
pub use rondel_names::{
    ImageName, ImageReference as RegistryReference, NameError, Platform, PlatformError, PlatformPattern, TargetName,
    VariableName,
};
pub use schema::json_schema;
pub use target::{Common, Limits, Target, Targets};
pub use template::{ImageFact, ImageQuery, Part, Template};
pub use text::{CommandText, CommandWord, OutputReference, ProcessText, Script, Text, TextSource};
pub use types::*;

/// The `format:` that this Rondel reads.
pub const FORMAT: u64 = 1;
/// Maximum size of a file in bytes; larger ones are refused unread.
pub const SIZE_MAX: usize = 1024 * 1024;

impl BuildFile {
    /// Reads and checks `text`. Returns all mistakes, in the order of their places. `version` is this Rondel's own
    /// (`0.1.0`), for the check of `rondel: ">=…"`.
    pub fn parse(text: &str, version: &str) -> Result<BuildFile, Vec<Diagnostic>> {
        prescan::prescan(text).map_err(|diagnostic| vec![diagnostic])?;
        let mut diagnostics = Vec::new();
        let file = file::read(text, version, &mut diagnostics);
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
