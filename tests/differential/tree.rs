//! Everything below a directory, as it is at a moment: to compare, to put back, to tell what an edit did.

use std::collections::BTreeMap;
use std::fs::{self, File, FileTimes};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rondel_cas::Digest;

#[derive(Clone, PartialEq, Eq)]
pub enum Entry {
    File(Vec<u8>),
    Link(PathBuf),
    Directory,
}

/// Entries with their modification times, by paths relative to the directory.
#[derive(Clone)]
pub struct Tree(BTreeMap<PathBuf, (Entry, SystemTime)>);

impl Tree {
    /// Reads it; what Rondel makes there is left out.
    pub fn read(top: &Path) -> Tree {
        let mut tree = Tree(BTreeMap::new());
        tree.add(top, Path::new(""));
        tree
    }

    fn add(&mut self, top: &Path, below: &Path) {
        for entry in fs::read_dir(top.join(below)).into_iter().flatten().flatten() {
            let path = below.join(entry.file_name());
            if path == Path::new("work/.rondel") || path == Path::new("work/dist") {
                continue;
            }
            let metadata = entry.metadata().expect("nothing else writes here");
            let modified = metadata.modified().expect("times are there");
            let read = if metadata.is_symlink() {
                Entry::Link(fs::read_link(entry.path()).expect("it is a link"))
            } else if metadata.is_dir() {
                self.add(top, &path);
                Entry::Directory
            } else {
                Entry::File(fs::read(entry.path()).expect("it can be read"))
            };
            self.0.insert(path, (read, modified));
        }
    }

    pub fn files(&self) -> impl Iterator<Item = (&Path, &[u8])> {
        self.0.iter().filter_map(|(path, (entry, _))| match entry {
            Entry::File(contents) => Some((path.as_path(), contents.as_slice())),
            Entry::Link(_) | Entry::Directory => None,
        })
    }

    pub fn directories(&self) -> impl Iterator<Item = &Path> {
        self.0.iter().filter(|(_, (entry, _))| *entry == Entry::Directory).map(|(path, _)| path.as_path())
    }

    pub fn links(&self) -> impl Iterator<Item = &Path> {
        self.0.iter().filter(|(_, (entry, _))| matches!(entry, Entry::Link(_))).map(|(path, _)| path.as_path())
    }

    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.0.keys().map(PathBuf::as_path)
    }

    /// Returns a digest of names and contents, not of times.
    pub fn digest(&self) -> Digest {
        let mut bytes = Vec::new();
        for (path, (entry, _)) in &self.0 {
            bytes.extend_from_slice(path.as_os_str().as_encoded_bytes());
            match entry {
                Entry::File(contents) => {
                    bytes.extend_from_slice(format!("\0file {}\0", contents.len()).as_bytes());
                    bytes.extend_from_slice(contents);
                }
                Entry::Link(target) => bytes.extend_from_slice(format!("\0link {}\0", target.display()).as_bytes()),
                Entry::Directory => bytes.extend_from_slice(b"\0directory\0"),
            }
        }
        Digest::of(&bytes)
    }

    /// Returns the paths that differ, what is now at them first.
    pub fn changed_since<'a>(&'a self, before: &'a Tree) -> Vec<&'a Path> {
        let mut changed: Vec<&Path> = Vec::new();
        for (path, (entry, _)) in &self.0 {
            if before.0.get(path).is_none_or(|(other, _)| other != entry) {
                changed.push(path);
            }
        }
        changed.extend(before.0.keys().filter(|path| !self.0.contains_key(*path)).map(PathBuf::as_path));
        changed
    }

    /// Returns what differs in words, lines that came with `+`, lines that went with `-`.
    pub fn difference(&self, before: &Tree) -> String {
        let lines_of = |tree: &Tree, path: &Path| match tree.0.get(path) {
            None => vec!["(nothing)".to_owned()],
            Some((Entry::Directory, _)) => vec!["(directory)".to_owned()],
            Some((Entry::Link(target), _)) => vec![format!("(link to {})", target.display())],
            Some((Entry::File(contents), _)) => {
                std::iter::once("(file)").chain(String::from_utf8_lossy(contents).lines()).map(str::to_owned).collect()
            }
        };
        let mut text = String::new();
        for path in self.changed_since(before) {
            let (old, new) = (lines_of(before, path), lines_of(self, path));
            text.push_str(&format!("      {}\n", path.display()));
            for (sign, lines, others) in [('-', &old, &new), ('+', &new, &old)] {
                for line in lines.iter().filter(|line| !others.contains(line)) {
                    text.push_str(&format!("      {sign} {line}\n"));
                }
            }
        }
        text
    }

    /// Gives what changed since `before` its old time, or `long_ago` if it is new; directories too.
    pub fn put_times_back(&self, top: &Path, before: &Tree, long_ago: SystemTime) {
        for path in self.changed_since(before) {
            let time = before.0.get(path).map_or(long_ago, |(_, time)| *time);
            set_time(&top.join(path), time);
        }
        for (path, (_, time)) in before.0.iter().filter(|(_, (entry, _))| *entry == Entry::Directory) {
            set_time(&top.join(path), *time);
        }
    }

    /// Gives everything this time.
    pub fn set_times(&self, top: &Path, time: SystemTime) {
        self.0.keys().for_each(|path| set_time(&top.join(path), time));
    }

    /// Makes `top` as it was, with its times if `with_times`. What is as it was is not touched.
    pub fn restore(&self, top: &Path, with_times: bool) {
        let now = Tree::read(top);
        for (path, (entry, _)) in now.0.iter().rev() {
            let is_kept = self.0.get(path).is_some_and(|(own, _)| match (own, entry) {
                (Entry::File(_), Entry::File(_)) | (Entry::Directory, Entry::Directory) => true,
                (own, entry) => own == entry,
            });
            if !is_kept {
                let removed = if *entry == Entry::Directory {
                    fs::remove_dir(top.join(path))
                } else {
                    fs::remove_file(top.join(path))
                };
                removed.expect("it was there, and empty");
            }
        }
        for (path, (entry, _)) in &self.0 {
            let place = top.join(path);
            match entry {
                Entry::Directory => fs::create_dir_all(place),
                Entry::Link(target) if fs::read_link(&place).is_err() => symlink(target, place),
                Entry::Link(_) => Ok(()),
                Entry::File(contents) => match now.0.get(path) {
                    Some((Entry::File(other), _)) if other == contents => Ok(()),
                    _ => fs::write(place, contents),
                },
            }
            .expect("it can be made");
        }
        if with_times {
            // Directories last: what is made in them changes their times.
            for (path, (_, time)) in self.0.iter().rev() {
                set_time(&top.join(path), *time);
            }
        }
    }
}

/// Sets the modification time; a link has none that is looked at.
fn set_time(path: &Path, time: SystemTime) {
    if fs::symlink_metadata(path).is_ok_and(|metadata| !metadata.is_symlink())
        && let Ok(file) = File::open(path)
    {
        let _ = file.set_times(FileTimes::new().set_modified(time));
    }
}
