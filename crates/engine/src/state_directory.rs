//! `.rondel`: made, and checked before anything is written into it.
//!
//! A repository can bring `.rondel` itself, or links in it: a lock that leads to a file of the user would be emptied.
//! Rondel makes no link there, so each one is refused, and so is what belongs to another user.

use std::fs;
use std::path::Path;

use rondel_cas::{DirectoryError, require_own_directory};

use crate::error::UserError;
use crate::ownership::{ownership_hint, quoted, write_hint};

/// Makes the directory if it is missing. Fails if it, or something in it, is not Rondel's.
pub(crate) fn claim(state: &Path) -> Result<(), UserError> {
    require_own_directory(state).map_err(|error| not_own(&error))?;
    fs::create_dir_all(state).map_err(|error| {
        let message = format!("failed to write `{}`: {error}", state.display());
        UserError::environment(message).hint(write_hint(state))
    })?;
    let mut open = vec![(state.to_owned(), 0)];
    while let Some((directory, depth)) = open.pop() {
        for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
            let path = entry.path();
            match entry.file_type() {
                Ok(kind) if kind.is_file() => {}
                // What steps make is swept, never written through.
                Ok(kind) if kind.is_dir() && depth == 0 && is_scratch(&path) => {}
                Ok(kind) if kind.is_dir() => open.push((path, depth + 1)),
                Ok(kind) if depth == 0 && is_socket(kind) => {}
                _ => {
                    let message =
                        format!("`{}` is a link or a special file, and Rondel makes none there", path.display());
                    return Err(UserError::environment(message).hint(format!("remove it: rm {}", quoted(&path))));
                }
            }
        }
    }
    Ok(())
}

/// Returns true for a socket: that of a `watch`. Nothing is ever written through one by its name alone.
#[cfg(unix)]
fn is_socket(kind: fs::FileType) -> bool {
    std::os::unix::fs::FileTypeExt::is_socket(&kind)
}

#[cfg(not(unix))]
fn is_socket(_kind: fs::FileType) -> bool {
    false
}

/// Returns true for directories of unfinished work and of files of users, which may hold links.
fn is_scratch(path: &Path) -> bool {
    path.file_name().is_some_and(|name| ["staging", "tmp", "trees", "former", "kept"].iter().any(|own| name == *own))
}

/// Returns the error for a directory that is not this user's own, with the remedy.
pub fn not_own(error: &DirectoryError) -> UserError {
    let remedy = match error {
        DirectoryError::Link(path) => format!(
            "remove the link (rm {}), or name the directory that it leads to; RONDEL_CACHE_DIR moves the cache",
            quoted(path)
        ),
        DirectoryError::NotDirectory(path) => format!("move it away: mv {0} {0}.old", quoted(path)),
        DirectoryError::Foreign { path, .. } => ownership_hint(path),
    };
    UserError::environment(error.to_string()).hint(remedy)
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn nothing_is_written_through_a_link() {
        let place = std::env::temp_dir().join(format!("rondel-state-{}", std::process::id()));
        let _ = fs::remove_dir_all(&place);
        let (state, victim) = (place.join("work/.rondel"), place.join("victim"));
        fs::create_dir_all(place.join("work")).unwrap();
        fs::create_dir_all(&victim).unwrap();
        symlink(&victim, &state).unwrap();
        let error = claim(&state).unwrap_err();
        assert!(error.message.ends_with("is a symbolic link, and nothing is written through it"), "{error}");
        fs::remove_file(&state).unwrap();
        claim(&state).unwrap();
        for link in ["locks/step/m", "out", "snapshot.4", "tmp"] {
            let link = state.join(link);
            fs::create_dir_all(link.parent().unwrap()).unwrap();
            symlink(&victim, &link).unwrap();
            let error = claim(&state).unwrap_err();
            assert_eq!(error.hint, Some(format!("remove it: rm {}", link.display())));
            fs::remove_file(link).unwrap();
        }
        // What a killed step has left is swept, whatever it is.
        fs::create_dir_all(state.join("staging/x")).unwrap();
        symlink(&victim, state.join("staging/x/link")).unwrap();
        claim(&state).unwrap();
        assert_eq!(fs::read_dir(&victim).unwrap().count(), 0);
        fs::remove_dir_all(place).unwrap();
    }
}
