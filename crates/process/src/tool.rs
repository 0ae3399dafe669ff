//! Finding programs on a `PATH` that was handed in.

use std::path::{Path, PathBuf};

/// A program is not there, or not executable.
#[derive(Debug, thiserror::Error)]
#[error("`{name}` was not found on PATH")]
pub struct ToolMissing {
    /// What was looked for.
    pub name: String,
}

/// The absolute path of `name`: looked up in the absolute directories of `path` (`.` and other relative ones
/// are passed over, so that nothing planted in a source tree is run), or, if `name` holds a slash, below
/// `directory`.
pub fn find_tool(name: &str, path: &str, directory: &Path) -> Result<PathBuf, ToolMissing> {
    let missing = || ToolMissing { name: name.to_owned() };
    let absolute: Vec<&Path> = path.split(':').map(Path::new).filter(|entry| entry.is_absolute()).collect();
    let joined = std::env::join_paths(absolute).map_err(|_| missing())?;
    which::which_in(name, Some(joined), directory).map_err(|_| missing())
}
