//! Changes of a source tree: each is drawn first and done later, perhaps while a step runs.

use std::fs::{self, File, FileTimes};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::chance::Chance;

const DIRECTORIES: &[&str] = &["", "src", "src/a", "src/a/deep", "src/b", "lib", "dist", ".git"];
const NAMES: &[&str] = &["x.c", "y.c", "main.c", "z.txt", "link"];
/// Contents of one size, which only hashing separates; the last ones have other sizes.
const CONTENTS: &[&str] = &["aaaa", "bbbb", "cccc", "dddd", "", "longer than four"];
const LINK_TARGETS: &[&str] = &["x.c", "main.c", "../lib/y.c", "nowhere", "."];

/// One change.
#[derive(Clone, Debug)]
pub enum Change {
    Write {
        path: String,
        contents: &'static str,
    },
    /// Other contents of one size, and the modification time put back.
    WriteAndPutBack {
        path: String,
        contents: &'static str,
    },
    /// A new file takes the old one's name, as editors do it.
    Replace {
        path: String,
        contents: &'static str,
    },
    Rename {
        from: String,
        to: String,
    },
    Remove {
        path: String,
    },
    RemoveDirectory {
        path: String,
    },
    MakeDirectory {
        path: String,
    },
    Mode {
        path: String,
        mode: u32,
    },
    /// Times only, from far back to far ahead.
    Touch {
        path: String,
        seconds: i64,
    },
    Link {
        path: String,
        target: &'static str,
    },
    /// Back to the former contents.
    PutBack {
        path: String,
        contents: Option<Vec<u8>>,
    },
}

fn place(chance: &mut Chance) -> String {
    let (directory, name) = (*chance.of(DIRECTORIES), *chance.of(NAMES));
    if directory.is_empty() { name.to_owned() } else { format!("{directory}/{name}") }
}

impl Change {
    pub fn draw(chance: &mut Chance) -> Change {
        let path = place(chance);
        let contents = *chance.of(CONTENTS);
        match chance.below(20) {
            0..=6 => Change::Write { path, contents },
            7..=9 => Change::WriteAndPutBack { path, contents: CONTENTS[chance.below(4)] },
            10 => Change::Replace { path, contents },
            11 => Change::Rename { from: path, to: place(chance) },
            12 => Change::Remove { path },
            13 => Change::RemoveDirectory { path: (*chance.of(&DIRECTORIES[2..6])).to_owned() },
            14 => Change::MakeDirectory { path: format!("{}/new", chance.of(&DIRECTORIES[1..6])) },
            15 | 16 => Change::Mode { path, mode: *chance.of(&[0o644, 0o755, 0o600, 0o700, 0o744, 0o654]) },
            17 => Change::Touch { path, seconds: *chance.of(&[-1_000_000_000, -86_400, 0, 3600, 1_000_000_000]) },
            18 => Change::Rename { from: "src/a".to_owned(), to: "src/b".to_owned() },
            _ => Change::Link { path, target: LINK_TARGETS[chance.below(LINK_TARGETS.len())] },
        }
    }

    /// Returns the reverse of a change of contents.
    pub fn and_back(&self, root: &Path) -> Option<Change> {
        let (Change::Write { path, .. } | Change::WriteAndPutBack { path, .. } | Change::Remove { path }) = self else {
            return None;
        };
        let is_file = fs::symlink_metadata(root.join(path)).is_ok_and(|metadata| metadata.is_file());
        let contents = is_file.then(|| fs::read(root.join(path)).ok()).flatten();
        Some(Change::PutBack { path: path.clone(), contents })
    }

    /// Does the change; skips what is impossible on the present tree.
    pub fn apply(&self, root: &Path) {
        let at = |path: &String| root.join(path);
        match self {
            Change::Write { path, contents } => write(&at(path), contents),
            Change::WriteAndPutBack { path, contents } => {
                let times = fs::symlink_metadata(at(path)).and_then(|metadata| metadata.modified());
                write(&at(path), contents);
                if let (Ok(modified), Ok(file)) = (times, File::options().write(true).open(at(path))) {
                    let _ = file.set_times(FileTimes::new().set_modified(modified));
                }
            }
            Change::Replace { path, contents } => {
                let aside = root.join("dist/aside");
                write(&aside, contents);
                let _ = fs::create_dir_all(parent(&at(path))).and_then(|()| fs::rename(&aside, at(path)));
            }
            Change::Rename { from, to } => {
                let _ = fs::create_dir_all(parent(&at(to))).and_then(|()| fs::rename(at(from), at(to)));
            }
            Change::Remove { path } => drop(fs::remove_file(at(path))),
            Change::RemoveDirectory { path } => drop(fs::remove_dir_all(at(path))),
            Change::MakeDirectory { path } => drop(fs::create_dir_all(at(path))),
            Change::Mode { path, mode } => {
                if fs::symlink_metadata(at(path)).is_ok_and(|metadata| metadata.is_file()) {
                    let _ = fs::set_permissions(at(path), fs::Permissions::from_mode(*mode));
                }
            }
            Change::Touch { path, seconds } => {
                let shift = Duration::from_secs(seconds.unsigned_abs());
                let now = SystemTime::now();
                let time = if *seconds < 0 { now - shift } else { now + shift };
                if let Ok(file) = File::options().write(true).open(at(path)) {
                    let _ = file.set_times(FileTimes::new().set_modified(time).set_accessed(time));
                }
            }
            Change::PutBack { path, contents: Some(contents) } => drop(fs::write(at(path), contents)),
            Change::PutBack { path, contents: None } => drop(fs::remove_file(at(path))),
            Change::Link { path, target } => {
                let _ = fs::create_dir_all(parent(&at(path)));
                if fs::symlink_metadata(at(path)).is_ok_and(|metadata| metadata.is_dir()) {
                    return;
                }
                let _ = fs::remove_file(at(path));
                let _ = symlink(target, at(path));
            }
        }
    }
}

/// In place, without a new inode. A link in the way goes, so that nothing outside is written.
fn write(path: &Path, contents: &str) {
    if fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_symlink()) {
        let _ = fs::remove_file(path);
    }
    let _ = fs::create_dir_all(parent(path)).and_then(|()| fs::write(path, contents));
}

fn parent(path: &Path) -> PathBuf {
    path.parent().expect("below the root").to_owned()
}
