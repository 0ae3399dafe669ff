//! `BaseFiles`: the files of a base image as a container sees them, read from its layers without unpacking one.
//!
//! Only names, kinds, permissions and owners are kept, and the contents of a few small files. Layers come from outside:
//! names that lead out of the image, and more than an image can hold, are errors.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};

use rondel_cas::RelativePath;
use serde::{Deserialize, Serialize};

use crate::tar_extension::Extension;

/// Maximum number of entries of all layers together.
const ENTRIES_MAX: usize = 2_000_000;
/// Maximum size of a file whose contents are kept, in bytes.
const CONTENTS_MAX: u64 = 64 << 20;
/// Maximum size of an uncompressed layer in bytes.
pub const LAYER_BYTES_MAX: u64 = 64 << 30;
/// Maximum size of all names together in bytes.
const NAMES_MAX: usize = 256 << 20;
/// Maximum number of links on a way, as Linux has it.
const LINKS_MAX: usize = 40;

/// Marks of removed files (image layer specification, "Whiteouts").
const WHITEOUT: &str = ".wh.";
const OPAQUE: &str = ".wh..wh..opq";

/// One file, directory or link of a base image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseEntry {
    /// What it is.
    pub kind: BaseKind,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

/// Kind of an entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum BaseKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A link, with its text.
    Symlink(String),
    /// A device or a FIFO.
    Other,
}

/// Why a path leads nowhere in the image.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoWay {
    /// A part of the path is no directory.
    #[error("`/{0}` of the base is no directory")]
    NotADirectory(RelativePath),
    /// Links that lead to each other.
    #[error("`/{0}` of the base is a link that leads to itself")]
    Circle(RelativePath),
    /// The way ends at the root of the image.
    #[error("`/{0}` of the base is a link to the root")]
    Root(RelativePath),
}

/// All files of a base image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BaseFiles {
    entries: BTreeMap<RelativePath, BaseEntry>,
    contents: BTreeMap<RelativePath, Vec<u8>>,
    /// Bytes of all names that were read.
    names: usize,
    /// The first name of files with several, by each other name.
    first_names: BTreeMap<RelativePath, RelativePath>,
}

/// A directory that no layer has, and that is above a file of one.
pub(crate) const IMPLIED: BaseEntry = BaseEntry { kind: BaseKind::Directory, mode: 0o755, uid: 0, gid: 0 };

/// The files of one layer, before they are laid over those below.
#[derive(Default)]
struct LayerFiles {
    files: BaseFiles,
    removed: Vec<RelativePath>,
    /// Directories of which nothing below this layer is seen; `None` is the root.
    emptied: Vec<Option<RelativePath>>,
}

impl BaseFiles {
    /// Lays a layer, an uncompressed tar, over what is here. The contents of the files that `keeps` names are kept.
    pub fn add_layer(&mut self, tar: &mut dyn Read, keeps: &dyn Fn(&RelativePath) -> bool) -> io::Result<()> {
        let mut layer = LayerFiles::default();
        let mut archive = tar::Archive::new(tar.take(LAYER_BYTES_MAX));
        let mut extension = Extension::default();
        // Raw: the crate would read names of any length into memory.
        for entry in archive.entries()?.raw(true) {
            let mut entry = entry?;
            if extension.take_in(&mut entry)? {
                continue;
            }
            let extension = std::mem::take(&mut extension);
            self.names += extension.path.as_ref().map_or(100, Vec::len) + extension.link.as_ref().map_or(0, Vec::len);
            if self.names > NAMES_MAX {
                return Err(wrong(format!("its names have more than {NAMES_MAX} bytes")));
            }
            self.read_entry(&mut layer, &mut entry, &extension, keeps)?;
            if layer.files.entries.len() + self.entries.len() > ENTRIES_MAX {
                return Err(wrong(format!("it has more than {ENTRIES_MAX} files")));
            }
        }
        for directory in layer.emptied {
            self.remove_below(directory.as_ref());
        }
        for path in layer.removed {
            self.remove(&path);
        }
        let contents = std::mem::take(&mut layer.files.contents);
        let is_link = |(_, entry): &(&RelativePath, &BaseEntry)| matches!(entry.kind, BaseKind::Symlink(_));
        let own_links: BTreeSet<RelativePath> =
            layer.files.entries.iter().filter(is_link).map(|(path, _)| path.clone()).collect();
        for (path, entry) in layer.files.entries {
            let contents = contents.get(&path);
            let mut parents = std::iter::successors(path.parent(), RelativePath::parent);
            // Within one layer a link is a way.
            let path = match parents.any(|parent| own_links.contains(&parent)) {
                true => self.resolve(&path, false).unwrap_or(path),
                false => path,
            };
            // Engines unpack each layer by itself: a directory that it implies covers a link of the layers below.
            for parent in std::iter::successors(path.parent(), RelativePath::parent) {
                if self.entries.get(&parent).is_some_and(|there| there.kind != BaseKind::Directory) {
                    self.remove(&parent);
                    self.entries.insert(parent, IMPLIED.clone());
                }
            }
            if entry.kind == BaseKind::Directory {
                self.contents.remove(&path);
            } else {
                self.remove(&path);
            }
            self.contents.extend(contents.map(|contents| (path.clone(), contents.clone())));
            self.entries.insert(path, entry);
        }
        self.first_names.extend(std::mem::take(&mut layer.files.first_names));
        Ok(())
    }

    /// Returns the name under which a layer has the contents of a hard link.
    pub fn first_name(&self, path: &RelativePath) -> Option<&RelativePath> {
        self.first_names.get(path)
    }

    fn read_entry(
        &self,
        layer: &mut LayerFiles,
        entry: &mut tar::Entry<'_, impl Read>,
        extension: &Extension,
        keeps: &dyn Fn(&RelativePath) -> bool,
    ) -> io::Result<()> {
        use tar::EntryType;
        let Some(path) = name_of(&extension.name_of(entry))? else { return Ok(()) };
        let link = extension.link_of(entry);
        let name = path.file_name();
        if name == OPAQUE {
            layer.emptied.push(path.parent());
            return Ok(());
        }
        if let Some(name) = name.strip_prefix(WHITEOUT) {
            let name = RelativePath::new(name).map_err(|error| wrong(error.to_string()))?;
            layer.removed.push(path.parent().map_or_else(|| name.clone(), |parent| parent.join(&name)));
            return Ok(());
        }
        let header = entry.header();
        let (uid, gid) = extension.owner_of(entry)?;
        let mode = header.mode()? & 0o7777;
        let kind = match header.entry_type() {
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => BaseKind::File,
            EntryType::Directory => BaseKind::Directory,
            EntryType::Symlink => {
                let target = link.ok_or_else(|| wrong(format!("`/{path}` is a link to nothing")))?;
                BaseKind::Symlink(String::from_utf8_lossy(&target).into_owned())
            }
            EntryType::Link => {
                let target = link.map(|name| name_of(&name)).transpose()?.flatten();
                let target = target.ok_or_else(|| wrong(format!("`/{path}` is a link to nothing")))?;
                let found = layer.files.entries.get(&target).or_else(|| self.entries.get(&target)).cloned();
                let found =
                    found.ok_or_else(|| wrong(format!("`/{path}` is another name of a file that is missing")))?;
                let contents = layer.files.contents.get(&target).or_else(|| self.contents.get(&target)).cloned();
                layer.files.contents.extend(contents.map(|contents| (path.clone(), contents)));
                let first = layer.files.first_names.get(&target).or_else(|| self.first_names.get(&target));
                let first = first.unwrap_or(&target).clone();
                layer.files.first_names.insert(path.clone(), first);
                layer.files.entries.insert(path, found);
                return Ok(());
            }
            EntryType::XGlobalHeader => return Ok(()),
            _ => BaseKind::Other,
        };
        if kind == BaseKind::File && keeps(&path) {
            let size = entry.size();
            if size > CONTENTS_MAX {
                return Err(wrong(format!("`/{path}` has {size} bytes")));
            }
            let mut contents = Vec::new();
            entry.read_to_end(&mut contents)?;
            layer.files.contents.insert(path.clone(), contents);
        } else {
            layer.files.contents.remove(&path);
        }
        layer.files.entries.insert(path, BaseEntry { kind, mode, uid, gid });
        Ok(())
    }

    /// Returns the entry at a path, links not followed.
    pub fn get(&self, path: &RelativePath) -> Option<&BaseEntry> {
        self.entries.get(path)
    }

    /// Returns the contents of a file, if they were kept.
    pub fn contents(&self, path: &RelativePath) -> Option<&[u8]> {
        self.contents.get(path).map(Vec::as_slice)
    }

    /// Returns all entries, sorted.
    pub fn iter(&self) -> impl Iterator<Item = (&RelativePath, &BaseEntry)> {
        self.entries.iter()
    }

    /// Follows the links on a way in the image; see `resolve`.
    pub fn resolve(&self, path: &RelativePath, to_the_end: bool) -> Result<RelativePath, NoWay> {
        resolve(&|path| self.entries.get(path).map(|entry| entry.kind.clone()), path, to_the_end)
    }

    fn remove(&mut self, path: &RelativePath) {
        self.remove_below(Some(path));
        self.entries.remove(path);
        self.contents.remove(path);
    }

    fn remove_below(&mut self, directory: Option<&RelativePath>) {
        let Some(directory) = directory else {
            *self = BaseFiles::default();
            return;
        };
        let below: Vec<RelativePath> = self
            .entries
            .range(directory.clone()..)
            .map(|(path, _)| path)
            // `a-b` sorts between `a` and `a/b`.
            .take_while(|path| path.as_str().starts_with(directory.as_str()))
            .filter(|path| *path != directory && path.is_within(directory))
            .cloned()
            .collect();
        for path in below {
            self.entries.remove(&path);
            self.contents.remove(&path);
        }
    }
}

/// Follows the links on the way to `path`, and `path` itself if `to_the_end`, as a process in a container would: an
/// absolute link starts at the image's root, and nothing is above that. What is missing stays as it is written. `kind_at`
/// knows what is in the image.
pub fn resolve(
    kind_at: &dyn Fn(&RelativePath) -> Option<BaseKind>,
    path: &RelativePath,
    to_the_end: bool,
) -> Result<RelativePath, NoWay> {
    let mut open: Vec<String> = path.as_str().split('/').rev().map(str::to_owned).collect();
    let mut done: Vec<String> = Vec::new();
    let mut links = 0;
    while let Some(part) = open.pop() {
        match part.as_str() {
            "" | "." => continue,
            ".." => {
                done.pop();
                continue;
            }
            _ => done.push(part),
        }
        let Ok(here) = RelativePath::new(&done.join("/")) else { continue };
        match kind_at(&here) {
            Some(BaseKind::Symlink(target)) if to_the_end || !open.is_empty() => {
                links += 1;
                if links > LINKS_MAX {
                    return Err(NoWay::Circle(path.clone()));
                }
                done.pop();
                if target.starts_with('/') {
                    done.clear();
                }
                open.extend(target.split('/').rev().map(str::to_owned));
            }
            Some(BaseKind::File | BaseKind::Other) if !open.is_empty() => return Err(NoWay::NotADirectory(here)),
            _ => {}
        }
    }
    RelativePath::new(&done.join("/")).map_err(|_| NoWay::Root(path.clone()))
}

/// Returns a name of a tar as a path; `None` for the root itself.
fn name_of(bytes: &[u8]) -> io::Result<Option<RelativePath>> {
    // Nothing is made of these names, so one that is not UTF-8 may be shown in another form.
    let text = String::from_utf8_lossy(bytes);
    let shown = || text.escape_debug().to_string();
    let parts: Vec<&str> = text.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    if parts.is_empty() {
        return Ok(None);
    }
    let path = RelativePath::new(&parts.join("/"));
    path.map(Some).map_err(|_| wrong(format!("the name `{}` leads out of the image", shown())))
}

fn wrong(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    enum Item<'a> {
        File(&'a str, &'a str),
        Directory(&'a str),
        Symlink(&'a str, &'a str),
        Hardlink(&'a str, &'a str),
    }
    use Item::{Directory, File, Hardlink, Symlink};

    fn tar_of(items: &[Item<'_>]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for item in items {
            let mut header = tar::Header::new_gnu();
            header.set_mode(0o640);
            header.set_uid(7);
            header.set_gid(8);
            header.set_size(0);
            let (path, kind, target, data) = match item {
                File(path, data) => (path, tar::EntryType::Regular, None, *data),
                Directory(path) => (path, tar::EntryType::Directory, None, ""),
                Symlink(path, target) => (path, tar::EntryType::Symlink, Some(target), ""),
                Hardlink(path, target) => (path, tar::EntryType::Link, Some(target), ""),
            };
            header.set_entry_type(kind);
            header.set_size(data.len() as u64);
            // The safe setters refuse what hostile archives have.
            let name = header.as_gnu_mut().unwrap();
            name.name[..path.len()].copy_from_slice(path.as_bytes());
            if let Some(target) = target {
                name.linkname[..target.len()].copy_from_slice(target.as_bytes());
            }
            header.set_cksum();
            builder.append(&header, data.as_bytes()).unwrap();
        }
        builder.into_inner().unwrap()
    }

    fn files(layers: &[&[Item<'_>]]) -> io::Result<BaseFiles> {
        let mut files = BaseFiles::default();
        for layer in layers {
            files.add_layer(&mut &tar_of(layer)[..], &|path| path.as_str().ends_with(".txt"))?;
        }
        Ok(files)
    }

    fn path(text: &str) -> RelativePath {
        RelativePath::new(text).unwrap()
    }

    fn names(files: &BaseFiles) -> String {
        files.iter().map(|(path, _)| path.as_str()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn layers_are_laid_over_each_other() {
        let lower: &[Item<'_>] = &[
            Directory("./"),
            Directory("./a/"),
            File("a/one.txt", "1"),
            File("a/two", "2"),
            File("a-b", ""),
            Directory("d"),
            File("d/x.txt", "x"),
            File("/e", "e"),
            Symlink("l", "/a"),
        ];
        let found = files(&[lower]).unwrap();
        assert_eq!(names(&found), "a a-b a/one.txt a/two d d/x.txt e l");
        assert_eq!(found.contents(&path("a/one.txt")), Some(&b"1"[..]));
        assert_eq!(found.contents(&path("a/two")), None);
        let entry = found.get(&path("a/two")).unwrap();
        assert_eq!((entry.mode, entry.uid, entry.gid), (0o640, 7, 8));
        for (upper, expected) in [
            (&[File("a/.wh.one.txt", "")][..], "a a-b a/two d d/x.txt e l"),
            (&[File(".wh.a", "")], "a-b d d/x.txt e l"),
            // Only what is below the layer goes; what it brings itself stays, in any order.
            (&[File("a/three", ""), File("a/.wh..wh..opq", "")], "a a-b a/three d d/x.txt e l"),
            (&[File(".wh.a", ""), Directory("a"), File("a/new", "")], "a a-b a/new d d/x.txt e l"),
            (&[File(".wh..wh..opq", ""), File("only", "")], "only"),
            (&[File("a", "now a file")], "a a-b d d/x.txt e l"),
            (&[Directory("e"), File("e/f", "")], "a a-b a/one.txt a/two d d/x.txt e e/f l"),
            // A directory that a layer implies covers the link of a lower one.
            (&[File("l/new.txt", "")], "a a-b a/one.txt a/two d d/x.txt e l l/new.txt"),
            (&[Symlink("d", "a")], "a a-b a/one.txt a/two d e l"),
            (&[Hardlink("copy.txt", "a/one.txt")], "a a-b a/one.txt a/two copy.txt d d/x.txt e l"),
        ] {
            let found = files(&[lower, upper]).unwrap();
            assert_eq!(names(&found), expected);
            for path in found.contents.keys() {
                assert!(found.get(path).is_some(), "contents of `{path}`, which is gone");
            }
        }
        let found = files(&[lower, &[Hardlink("copy.txt", "./a/one.txt")]]).unwrap();
        assert_eq!(found.contents(&path("copy.txt")), Some(&b"1"[..]));
    }

    #[test]
    fn ways_are_as_in_a_container() {
        let found = files(&[&[
            Symlink("lib", "usr/lib"),
            Directory("usr/lib"),
            Symlink("up", "../../../usr"),
            Symlink("etc/ssl/cert.pem", "/etc/ssl/certs/all.pem"),
            Symlink("etc/ssl/certs", "real"),
            Symlink("loop", "loop/x"),
            Symlink("there", "nowhere/else"),
            File("file", ""),
        ]])
        .unwrap();
        for (text, to_the_end, expected) in [
            ("lib/x.so", true, Ok("usr/lib/x.so")),
            ("lib", false, Ok("lib")),
            ("lib", true, Ok("usr/lib")),
            ("up/lib/x", true, Ok("usr/lib/x")),
            ("etc/ssl/cert.pem", true, Ok("etc/ssl/real/all.pem")),
            ("there/x", true, Ok("nowhere/else/x")),
            ("new/a/b", true, Ok("new/a/b")),
            ("file/x", true, Err("`/file` of the base is no directory")),
            ("loop", true, Err("`/loop` of the base is a link that leads to itself")),
        ] {
            let way = found.resolve(&path(text), to_the_end);
            let way = way.map(|way| way.to_string()).map_err(|error| error.to_string());
            assert_eq!(way, expected.map(str::to_owned).map_err(str::to_owned), "{text}");
        }
    }

    #[test]
    fn hostile_layers() {
        for (items, expected) in [
            (&[File("../x", "")][..], "the name `../x` leads out of the image"),
            (&[File("a/../../x", "")], "the name `a/../../x` leads out of the image"),
            (&[Hardlink("a", "b")], "`/a` is another name of a file that is missing"),
            (&[Hardlink("a", "../b")], "the name `../b` leads out of the image"),
            (&[File(".wh.", "")], "empty"),
        ] {
            let error = files(&[items]).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        assert!(
            BaseFiles::default().add_layer(&mut &b"no tar at all, but long enough to be one"[..], &|_| true).is_err()
        );
    }
}
