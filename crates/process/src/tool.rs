//! Finding programs on a given `PATH`.

use std::path::{Path, PathBuf};

/// A program is missing, or not executable.
#[derive(Debug, thiserror::Error)]
pub enum ToolMissing {
    /// Nothing has this name.
    #[error("`{0}` was not found on PATH")]
    NotOnPath(String),
    /// Nothing is at this path.
    #[error("`{0}` was not found")]
    NotThere(String),
    /// It is a file without the permission to execute it.
    #[error("`{}` can't be executed: it has no permission for that", .0.display())]
    NotExecutable(PathBuf),
    /// It is a directory.
    #[error("`{0}` can't be executed: it is a directory")]
    IsDirectory(String),
}

impl ToolMissing {
    /// Returns what helps: `otherwise`, unless the program is there.
    pub fn hint(&self, otherwise: impl Into<String>) -> String {
        match self {
            ToolMissing::NotExecutable(path) => {
                format!("`chmod +x {}` makes it executable", crate::quote(&path.display().to_string()))
            }
            ToolMissing::NotOnPath(_) | ToolMissing::NotThere(_) | ToolMissing::IsDirectory(_) => otherwise.into(),
        }
    }
}

/// Returns the absolute path of `name`. A name with a slash is relative to `directory`. Other names are looked up in
/// the absolute directories of `path`. Relative ones such as `.` are skipped, so that no program planted in a source
/// tree runs.
pub fn find_tool(name: &str, path: &str, directory: &Path) -> Result<PathBuf, ToolMissing> {
    let absolute: Vec<&Path> = path.split(':').map(Path::new).filter(|entry| entry.is_absolute()).collect();
    let joined = std::env::join_paths(&absolute).map_err(|_| ToolMissing::NotOnPath(name.to_owned()))?;
    which::which_in(name, Some(joined), directory).map_err(|_| why_missing(name, &absolute, directory))
}

/// Returns why there is no such program.
fn why_missing(name: &str, path: &[&Path], directory: &Path) -> ToolMissing {
    if !name.contains('/') {
        let there = path.iter().map(|entry| entry.join(name)).find(|place| !name.is_empty() && place.is_file());
        return there.map_or_else(|| ToolMissing::NotOnPath(name.to_owned()), ToolMissing::NotExecutable);
    }
    match directory.join(name).metadata() {
        Ok(metadata) if metadata.is_dir() => ToolMissing::IsDirectory(name.to_owned()),
        // As it is written, and as it is called.
        Ok(_) => ToolMissing::NotExecutable(name.into()),
        Err(_) => ToolMissing::NotThere(name.to_owned()),
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_file_without_permission_is_not_said_to_be_absent() {
        let directory = std::env::temp_dir().join(format!("rondel-tool-{}", std::process::id()));
        fs::create_dir_all(directory.join("sub")).unwrap();
        let script = directory.join("s.sh");
        fs::write(&script, "#!/bin/sh\n").unwrap();
        let path = directory.to_str().unwrap();
        let error = |name: &str| find_tool(name, path, &directory).unwrap_err();
        assert_eq!(error("./s.sh").to_string(), "`./s.sh` can't be executed: it has no permission for that");
        assert_eq!(error("./s.sh").hint("install it"), "`chmod +x ./s.sh` makes it executable");
        assert_eq!(error("s.sh").hint(""), format!("`chmod +x {}` makes it executable", script.display()));
        assert_eq!(error("./sub").to_string(), "`./sub` can't be executed: it is a directory");
        assert_eq!(error("./none").to_string(), "`./none` was not found");
        assert_eq!(error("none").to_string(), "`none` was not found on PATH");
        assert_eq!(error("none").hint("install it"), "install it");
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(find_tool("./s.sh", path, &directory).unwrap(), script);
        fs::remove_dir_all(directory).unwrap();
    }
}
