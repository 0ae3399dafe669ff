//! Files that `go` would never finish reading: FIFOs, links to devices, sparse files of terabytes.
//!
//! `go` opens whatever has the name of a source or of a module file, and waits. So the names below a module are looked
//! at before `go` starts. It knows names only; which packages a build has, `go list` says.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rondel_cas::{MEMORY_MAX, TEXT_MAX, open_at_most, read_text_at_most};
use rondel_engine::{StepError, UserError};

use crate::GoMod;

/// Endings of files that `go list` opens, or that its compilers get.
const ENDINGS: &[&str] = &[
    "go", "c", "cc", "cpp", "cxx", "m", "h", "hh", "hpp", "hxx", "f", "F", "for", "f90", "s", "S", "sx", "swig",
    "swigcxx", "syso", "inc",
];
/// Names of files that `go` opens wherever they are.
const NAMES: &[&str] = &["go.mod", "go.sum", "go.work", "go.work.sum", "modules.txt", "default.pgo"];

/// Fails if `go` could not finish reading a file of the modules whose go.mod or go.work is among `module_files`.
pub(crate) fn check(module_files: &[PathBuf]) -> Result<(), StepError> {
    let mut roots: BTreeSet<PathBuf> =
        module_files.iter().filter_map(|path| path.parent()).map(Path::to_owned).collect();
    for go_mod in module_files.iter().filter(|path| path.file_name().is_some_and(|name| name == "go.mod")) {
        let (Some(directory), Ok(text)) = (go_mod.parent(), read_text_at_most(go_mod, TEXT_MAX)) else { continue };
        roots.extend(GoMod::parse(&text).replaced_by.iter().map(|(_, by)| directory.join(by)));
    }
    let mut seen: BTreeSet<PathBuf> = BTreeSet::new();
    // Without `..`, which would hide that one is not below the other.
    for root in roots.into_iter().map(|root| root.canonicalize().unwrap_or(root)).collect::<BTreeSet<_>>() {
        // A root below another one is walked with it.
        if !seen.iter().any(|other| root.starts_with(other)) {
            check_below(&root)?;
            seen.insert(root);
        }
    }
    Ok(())
}

fn check_below(root: &Path) -> Result<(), StepError> {
    let mut open = vec![root.to_owned()];
    while let Some(directory) = open.pop() {
        // What can't be listed, `go` reports.
        for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
            let (name, path) = (entry.file_name(), entry.path());
            let Some(name) = name.to_str() else { continue };
            let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if is_directory && !name.starts_with(['.', '_']) {
                open.push(path);
            } else if !is_directory && is_opened(name) {
                check_file(&path)?;
            }
        }
    }
    Ok(())
}

fn is_opened(name: &str) -> bool {
    let ending = Path::new(name).extension().and_then(|ending| ending.to_str());
    NAMES.contains(&name) || ending.is_some_and(|ending| ENDINGS.contains(&ending))
}

fn check_file(path: &Path) -> Result<(), StepError> {
    let metadata = match fs::metadata(path) {
        // `go` reports a link to nothing, and takes no directory for a source.
        Err(_) => return Ok(()),
        Ok(metadata) if metadata.is_dir() || metadata.is_file() && metadata.len() <= MEMORY_MAX => return Ok(()),
        Ok(_) => open_at_most(path, MEMORY_MAX),
    };
    metadata.map(drop).map_err(|error| unreadable(path, &error))
}

/// Returns the text of go.mod, go.work or a file like them; `None` if there is none. Anything but a text of a sensible
/// size is an error.
pub fn module_text(path: &Path) -> Result<Option<String>, UserError> {
    match read_text_at_most(path, TEXT_MAX) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
        read => read.map(Some).map_err(|error| {
            UserError::input(format!("failed to read `{}`: {error}", path.display()))
                .hint("Go reads it as a text; put the real file there")
        }),
    }
}

fn unreadable(path: &Path, error: &io::Error) -> StepError {
    StepError::unreadable(path, error).hint("`go` opens every file with such a name; remove or rename it")
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_never_ends_is_found_before_go_waits_for_it() {
        let root = std::env::temp_dir().join(format!("rondel-readable-{}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        fs::create_dir_all(root.join("one/deep")).unwrap();
        fs::create_dir_all(root.join("two")).unwrap();
        fs::create_dir_all(root.join("one/.hidden")).unwrap();
        fs::write(root.join("one/go.mod"), "module a\n\nreplace b => ../two\n").unwrap();
        let files = [root.join("one/go.mod"), root.join("one/go.sum")];
        // Nobody reads these.
        std::os::unix::fs::symlink("/dev/zero", root.join("one/data.bin")).unwrap();
        std::os::unix::fs::symlink("/dev/zero", root.join("one/.hidden/x.go")).unwrap();
        std::os::unix::fs::symlink("nowhere", root.join("one/y.go")).unwrap();
        check(&files).unwrap();
        for place in ["one/deep/z.go", "one/deep/default.pgo", "two/x.s", "one/go.sum"] {
            let place = root.join(place);
            std::os::unix::fs::symlink("/dev/zero", &place).unwrap();
            let error = check(&files).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("failed to read `{}`: it is a device, not a regular file", place.display())
            );
            fs::remove_file(place).unwrap();
        }
        fs::File::create(root.join("two/large.go")).unwrap().set_len(1 << 40).unwrap();
        assert!(check(&files).unwrap_err().to_string().ends_with("at most 512 MiB are read"));
        fs::remove_dir_all(root).unwrap();
    }
}
