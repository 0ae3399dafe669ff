//! The first difference of two artefacts that should be the same, described so that its cause can be found. It may be a
//! section of an executable, a build ID, an embedded path or the time of an archive's entry.
//!
//! It reads files, archives, packages, executables and OCI layouts, all of which may be hostile. It knows no target and no step,
//! and it builds nothing.

mod archive;
mod binary;
mod elf;
mod json;
mod layout;
mod rpm;
mod words;

pub use layout::{LayoutImage, diff_layouts, layer_files, read_layout};

use std::fs;
use std::io;
use std::path::Path;

/// The first difference of two artefacts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Its place, from the outside to the inside: a file, an entry of an archive, a section.
    pub place: Vec<String>,
    /// Descriptions, one a line.
    pub what: Vec<String>,
}

impl Difference {
    pub(crate) fn new(what: impl Into<String>) -> Difference {
        Difference { place: Vec::new(), what: vec![what.into()] }
    }

    /// Returns the difference as one inside of `outer`.
    pub fn within(mut self, place: impl Into<String>) -> Difference {
        self.place.insert(0, place.into());
        self
    }
}

/// Traces of the two builds: texts that are in an artefact only if it depends on its place.
#[derive(Clone, Debug, Default)]
pub struct Traces {
    /// Directories of the first build.
    pub first: Vec<String>,
    /// Directories of the second build.
    pub second: Vec<String>,
    /// Formats that explain a difference better than bytes do.
    pub readers: Vec<FormatReader>,
}

/// Reads one format in two different contents. Returns what each says that the other does not, a line each. Returns
/// nothing for contents of another format.
pub type FormatReader = fn(&[u8], &[u8]) -> Vec<String>;

/// Maximum depth of nested archives.
pub(crate) const DEPTH_MAX: u32 = 4;
/// Size in bytes above which contents are compared but not explained.
pub(crate) const SIZE_MAX: u64 = 1024 * 1024 * 1024;

/// Returns the first difference of two files; `None` if they have the same bytes.
#[allow(clippy::disallowed_methods, reason = "both were made by builds of this machine, and stand still")]
pub fn diff_files(first: &Path, second: &Path, traces: &Traces) -> io::Result<Option<Difference>> {
    for path in [first, second] {
        if fs::metadata(path)?.len() > SIZE_MAX {
            let same = same_bytes(first, second)?;
            return Ok((!same).then(|| Difference::new("the contents differ; the files are too large to be explained")));
        }
    }
    Ok(diff_bytes(&fs::read(first)?, &fs::read(second)?, traces, 0))
}

/// Returns the first difference of two JSON texts; `None` if their values are the same or one is no JSON.
pub fn diff_json(first: &[u8], second: &[u8]) -> Option<Difference> {
    let value = |bytes| serde_json::from_slice(bytes).ok();
    json::compare(&value(first)?, &value(second)?)
}

/// Returns the first difference of two contents.
pub(crate) fn diff_bytes(first: &[u8], second: &[u8], traces: &Traces, depth: u32) -> Option<Difference> {
    if first == second {
        return None;
    }
    let inside =
        || archive::compare(first, second, traces, depth).or_else(|| rpm::compare(first, second, traces, depth));
    let inside = (depth < DEPTH_MAX).then(inside).flatten();
    Some(inside.unwrap_or_else(|| binary::compare(first, second, traces)))
}

#[allow(clippy::disallowed_methods, reason = "both were made by builds of this machine, and stand still")]
fn same_bytes(first: &Path, second: &Path) -> io::Result<bool> {
    use std::io::Read;
    if fs::metadata(first)?.len() != fs::metadata(second)?.len() {
        return Ok(false);
    }
    let (mut one, mut other) = (fs::File::open(first)?, fs::File::open(second)?);
    let (mut left, mut right) = (vec![0; 1 << 20], vec![0; 1 << 20]);
    loop {
        let count = one.read(&mut left)?;
        if count == 0 {
            return Ok(true);
        }
        other.read_exact(&mut right[..count])?;
        if left[..count] != right[..count] {
            return Ok(false);
        }
    }
}
