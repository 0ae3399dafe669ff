//! Moving and copying of files and directories, also to another file system. Knows nothing of outputs.

use std::fs;
use std::io;
use std::path::Path;

use rondel_cas::{copy_file, remove_tree, temporary_name};

/// Moves `from` to the free place `to`. If the two are on different file systems, or `from` is where one begins, the
/// whole copy stands at `to` before anything of `from` goes.
pub(crate) fn move_tree(from: &Path, to: &Path) -> io::Result<()> {
    make_movable(from);
    match fs::rename(from, to) {
        Err(error) if can_copy_instead(&error) => {}
        outcome => return outcome,
    }
    let near = beside(to);
    let copied = copy_tree(from, &near).and_then(|()| fs::rename(&near, to));
    if copied.is_err() {
        remove_tree(&near);
        return copied;
    }
    remove_tree(from);
    Ok(())
}

/// Returns a path of the same directory with a temporary name.
pub(crate) fn beside(path: &Path) -> std::path::PathBuf {
    path.parent().unwrap_or(Path::new(".")).join(temporary_name())
}

/// Returns true if a rename failed only because a file system ends or begins there.
pub(crate) fn can_copy_instead(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::CrossesDevices | io::ErrorKind::ResourceBusy)
}

/// A directory takes its `..` with it, so moving it needs the right to write in it.
pub(crate) fn make_movable(path: &Path) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let Ok(metadata) = fs::symlink_metadata(path) else { return };
        if metadata.is_dir() && metadata.permissions().mode() & 0o200 == 0 {
            let mode = metadata.permissions().mode() | 0o700;
            let _ = fs::set_permissions(path, fs::Permissions::from_mode(mode));
        }
    }
    let _ = path;
}

/// Copies a file or a directory with all below it and all permissions; links stay links.
pub fn copy_tree(from: &Path, to: &Path) -> io::Result<()> {
    let metadata = fs::symlink_metadata(from)?;
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent)?;
    }
    if metadata.is_dir() {
        make_directory(to)?;
        for entry in fs::read_dir(from)? {
            let entry = entry?;
            copy_tree(&entry.path(), &to.join(entry.file_name()))?;
        }
        return fs::set_permissions(to, metadata.permissions());
    }
    #[cfg(unix)]
    if metadata.is_symlink() {
        return std::os::unix::fs::symlink(fs::read_link(from)?, to);
    }
    if !metadata.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    copy_file(from, to).map(drop)
}

/// Makes a directory that nobody else may enter before its permissions are known; one that is there is taken.
pub(crate) fn make_directory(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        outcome => outcome,
    }
}

/// Swaps two paths in one system call, where the system has one.
pub(crate) fn exchange(one: &Path, other: &Path) -> io::Result<()> {
    #[cfg(any(target_os = "linux", target_os = "macos"))]
    {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        Ok(renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE)?)
    }
    #[cfg(not(any(target_os = "linux", target_os = "macos")))]
    {
        let _ = (one, other);
        Err(io::Error::from(io::ErrorKind::Unsupported))
    }
}

/// Gives the directory `to`, which can't be renamed, the contents of `from`: each file at once, the whole not.
pub(crate) fn fill_directory(from: &Path, to: &Path) -> io::Result<()> {
    let wanted: Vec<_> =
        fs::read_dir(from)?.map(|entry| entry.map(|entry| entry.file_name())).collect::<Result<_, _>>()?;
    for entry in fs::read_dir(to)? {
        let entry = entry?;
        if !wanted.contains(&entry.file_name()) {
            remove_tree(&entry.path());
        }
    }
    for name in wanted {
        let (source, place) = (from.join(&name), to.join(&name));
        let is_directory = |path: &Path| fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir());
        if is_directory(&source) && is_directory(&place) {
            fill_directory(&source, &place)?;
            fs::set_permissions(&place, fs::symlink_metadata(&source)?.permissions())?;
            continue;
        }
        if is_directory(&source) != is_directory(&place) {
            remove_tree(&place);
        }
        let near = beside(&place);
        copy_tree(&source, &near).and_then(|()| fs::rename(&near, &place)).inspect_err(|_| remove_tree(&near))?;
    }
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn copies_have_all_permissions_and_a_filled_directory_has_nothing_else() {
        let base = std::env::temp_dir().join(format!("rondel-moving-{}", std::process::id()));
        let (from, to) = (base.join("from"), base.join("to"));
        fs::create_dir_all(from.join("sub/empty")).unwrap();
        fs::create_dir_all(to.join("sub")).unwrap();
        fs::create_dir_all(to.join("file")).unwrap();
        for (path, text) in [(from.join("file"), "new"), (to.join("sub/old"), "old"), (to.join("gone"), "old")] {
            fs::write(path, text).unwrap();
        }
        fs::set_permissions(from.join("file"), fs::Permissions::from_mode(0o600)).unwrap();
        fs::set_permissions(from.join("sub"), fs::Permissions::from_mode(0o750)).unwrap();
        fill_directory(&from, &to).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let names =
            |path: &Path| fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>();
        assert_eq!(rondel_cas::read_text_at_most(&to.join("file"), 10).unwrap(), "new");
        assert_eq!((mode(&to.join("file")), mode(&to.join("sub"))), (0o600, 0o750));
        assert_eq!((names(&to).len(), names(&to.join("sub"))), (2, vec!["empty".into()]));
        copy_tree(&from, &base.join("copy")).unwrap();
        assert_eq!((mode(&base.join("copy/file")), mode(&base.join("copy/sub"))), (0o600, 0o750));
        fs::remove_dir_all(base).unwrap();
    }
}
