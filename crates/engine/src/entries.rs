//! Entries of outputs: contents and exact permissions, and how a step's outputs get them. Knows nothing of steps.

use std::fs;
use std::io;
use std::path::Path;

use rondel_cas::messages::UnixMode;
use rondel_cas::{Entry, PathError, RelativePath};
use rondel_tree::{StatSnapshot, kept_mode};

use crate::error::StepError;
use crate::inputs::{entry_of, not_text};

/// Something below a directory.
pub(crate) struct Below {
    pub path: RelativePath,
    pub metadata: fs::Metadata,
    /// True for a directory without files, links and directories.
    pub is_empty: bool,
}

/// Returns everything below `root`, sorted; links are not followed. Sockets, FIFOs and devices are left out.
pub(crate) fn everything_below(root: &Path) -> Result<Vec<Below>, StepError> {
    let mut all = Vec::new();
    let mut open: Vec<Option<usize>> = vec![None];
    while let Some(directory) = open.pop() {
        let path = directory.map(|index: usize| {
            let below: &Below = &all[index];
            below.path.clone()
        });
        let absolute = path.as_ref().map_or_else(|| root.to_owned(), |path| path.below(root));
        let unreadable = |source: io::Error| StepError::unreadable(&absolute, &source);
        for entry in fs::read_dir(&absolute).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let name = entry.file_name();
            let name = name
                .to_str()
                .ok_or_else(|| not_text(PathError::NotText(entry.path().to_string_lossy().into_owned())))?;
            let name = RelativePath::new(name).map_err(|error| StepError::failed(error.to_string()))?;
            let metadata = entry.metadata().map_err(unreadable)?;
            if !(metadata.is_dir() || metadata.is_file() || metadata.is_symlink()) {
                continue;
            }
            if let Some(index) = directory {
                all[index].is_empty = false;
            }
            if metadata.is_dir() {
                open.push(Some(all.len()));
            }
            let path = path.as_ref().map_or_else(|| name.clone(), |parent| parent.join(&name));
            all.push(Below { path, is_empty: metadata.is_dir(), metadata });
        }
    }
    all.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(all)
}

/// Returns the entry at `path` with its exact permissions.
pub(crate) fn exact_entry(path: &Path, snapshot: &StatSnapshot) -> io::Result<Entry> {
    let metadata = fs::symlink_metadata(path)?;
    if metadata.is_dir() {
        return Ok(Entry::Directory { mode: directory_mode(&metadata) });
    }
    Ok(match entry_of(path, snapshot)? {
        Entry::File { digest, executable, .. } => Entry::File { digest, executable, mode: file_mode(&metadata) },
        entry => entry,
    })
}

/// Returns true if the owner may execute the file.
pub(crate) fn is_executable(metadata: &fs::Metadata) -> bool {
    bits(metadata).is_some_and(|bits| bits & 0o100 != 0)
}

/// Returns the permissions of a file, if they are not the ordinary ones.
pub(crate) fn file_mode(metadata: &fs::Metadata) -> Option<UnixMode> {
    let bits = bits(metadata)? & 0o777;
    UnixMode::new(bits)?.unless_ordinary_file(bits & 0o100 != 0)
}

/// Returns the permissions of a directory, if they are not the ordinary ones.
pub(crate) fn directory_mode(metadata: &fs::Metadata) -> Option<UnixMode> {
    UnixMode::new(bits(metadata)? & 0o777)?.unless_ordinary_directory()
}

/// Returns true if the two have the same contents, whatever their permissions.
pub(crate) fn same_contents(one: &Entry, other: &Entry) -> bool {
    match (one, other) {
        (Entry::File { digest, .. }, Entry::File { digest: other, .. }) => digest == other,
        (Entry::Symlink { target }, Entry::Symlink { target: other }) => target == other,
        (Entry::Directory { .. }, Entry::Directory { .. }) => true,
        (Entry::File { .. } | Entry::Symlink { .. } | Entry::Directory { .. }, _) => false,
    }
}

/// Returns the bits that `entry` wants; `None` for a link.
pub(crate) fn wanted_bits(entry: &Entry) -> Option<u32> {
    match entry {
        Entry::File { executable, mode, .. } => {
            let ordinary = if *executable { UnixMode::EXECUTABLE } else { UnixMode::PLAIN };
            Some(mode.map_or(ordinary, UnixMode::bits))
        }
        Entry::Directory { mode } => Some(mode.map_or(UnixMode::EXECUTABLE, UnixMode::bits)),
        Entry::Symlink { .. } => None,
    }
}

/// Gives what stands at `path` the permissions of an output, and returns bits that were taken away and give rights: the
/// user's or group's identity to a program. A step that works in a staging directory chose none: its files have ordinary
/// ones. A command may have chosen them, so they are kept, except what the umask alone decided.
pub(crate) fn normalise(path: &Path, metadata: &fs::Metadata, are_chosen: bool) -> io::Result<u32> {
    let Some(bits) = bits(metadata).filter(|_| !metadata.is_symlink()) else { return Ok(0) };
    let is_directory = metadata.is_dir();
    let ordinary = if is_directory || bits & 0o100 != 0 { UnixMode::EXECUTABLE } else { UnixMode::PLAIN };
    let wanted = if are_chosen { kept_mode(bits, is_directory) } else { ordinary };
    if wanted != bits {
        set_bits(path, wanted)?;
    }
    // A directory has its group's bit from the directory above, not by choice.
    Ok(bits & if is_directory { 0o5000 } else { 0o7000 })
}

#[cfg(unix)]
fn bits(metadata: &fs::Metadata) -> Option<u32> {
    use std::os::unix::fs::PermissionsExt;
    Some(metadata.permissions().mode() & 0o7777)
}

#[cfg(not(unix))]
fn bits(_metadata: &fs::Metadata) -> Option<u32> {
    None
}

/// Sets the permission bits, where the system has them.
pub(crate) fn set_bits(path: &Path, bits: u32) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(path, fs::Permissions::from_mode(bits))?;
    }
    let _ = (path, bits);
    Ok(())
}
