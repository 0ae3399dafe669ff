//! Finding programs on a given `PATH`.

use std::path::{Path, PathBuf};

/// A program is missing, or not executable.
#[derive(Debug, thiserror::Error)]
#[error("`{name}` was not found on PATH")]
pub struct ToolMissing {
    /// The name that was looked up.
    pub name: String,
}

/// Returns the absolute path of `name`. A name with a slash is relative to `directory`. Other names are looked up in
/// the absolute directories of `path`. Relative ones such as `.` are skipped, so that no program planted in a source
/// tree runs.
pub fn find_tool(name: &str, path: &str, directory: &Path) -> Result<PathBuf, ToolMissing> {
    let missing = || ToolMissing { name: name.to_owned() };
    let absolute: Vec<&Path> = path.split(':').map(Path::new).filter(|entry| entry.is_absolute()).collect();
    let joined = std::env::join_paths(absolute).map_err(|_| missing())?;
    which::which_in(name, Some(joined), directory).map_err(|_| missing())
}
