//! What to type where a path belongs to somebody else, or can't be written.

use std::fs;
use std::path::Path;

use rondel_cas::owner_other_than_user;

/// Returns how to take over a path of another user.
pub(crate) fn ownership_hint(path: &Path) -> String {
    format!("take it over: sudo chown -R \"$(id -u)\" {0}; or remove it: sudo rm -r {0}", quoted(path))
}

/// Returns what to do where the user may not write.
pub(crate) fn write_hint(path: &Path) -> String {
    let existing = path.ancestors().find_map(|path| Some((path, fs::symlink_metadata(path).ok()?)));
    match existing {
        Some((path, metadata)) if owner_other_than_user(&metadata).is_some() => {
            format!("`{}` belongs to another user; {}", path.display(), ownership_hint(path))
        }
        Some((path, _)) => format!("make `{}` writable: chmod u+w {}", path.display(), quoted(path)),
        None => "make it writable".to_owned(),
    }
}

/// Returns the path as a word of a shell.
pub(crate) fn quoted(path: &Path) -> String {
    rondel_process::quote(&path.display().to_string())
}
