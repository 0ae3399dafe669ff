//! `LayerPrograms`: the names in a layer that was written here with their permissions, what starts each executable of it,
//! and its tables of users.

use std::collections::BTreeMap;
use std::io::{self, Read};

use rondel_cas::RelativePath;

use crate::base_files::{BaseKind, LAYER_BYTES_MAX};
use crate::program_start::ProgramStart;
use crate::tar_extension::Extension;

/// Tables of users and groups, and the size up to which they are kept.
const TABLES: &[&str] = &["etc/passwd", "etc/group"];
const TABLE_MAX: u64 = 1 << 20;

/// An entry of a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerProgram {
    /// What it is.
    pub kind: BaseKind,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// What starts it, if it is a file that anyone may execute.
    pub start: Option<ProgramStart>,
}

/// The entries of a layer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LayerPrograms {
    entries: BTreeMap<RelativePath, LayerProgram>,
    tables: BTreeMap<RelativePath, String>,
}

impl LayerPrograms {
    /// Reads a layer, an uncompressed tar.
    pub fn read(tar: impl Read) -> io::Result<LayerPrograms> {
        let mut found = LayerPrograms::default();
        let mut archive = tar::Archive::new(tar.take(LAYER_BYTES_MAX));
        let mut extension = Extension::default();
        for entry in archive.entries()?.raw(true) {
            let mut entry = entry?;
            if extension.take_in(&mut entry)? {
                continue;
            }
            let extension = std::mem::take(&mut extension);
            let name = extension.name_of(&entry);
            let Ok(path) = RelativePath::new(String::from_utf8_lossy(&name).trim_end_matches('/')) else { continue };
            let kind = match entry.header().entry_type() {
                tar::EntryType::Directory => BaseKind::Directory,
                tar::EntryType::Symlink => {
                    let link = extension.link_of(&entry).unwrap_or_default();
                    BaseKind::Symlink(String::from_utf8_lossy(&link).into_owned())
                }
                tar::EntryType::Regular => BaseKind::File,
                _ => BaseKind::Other,
            };
            let mode = entry.header().mode()? & 0o7777;
            let (uid, gid) = extension.owner_of(&entry)?;
            let mut start = None;
            if kind == BaseKind::File && TABLES.contains(&path.as_str()) && entry.size() <= TABLE_MAX {
                let mut table = Vec::new();
                entry.read_to_end(&mut table)?;
                found.tables.insert(path.clone(), String::from_utf8_lossy(&table).into_owned());
            } else if kind == BaseKind::File && mode & 0o111 != 0 {
                start = Some(ProgramStart::read(&mut entry)?);
            }
            found.entries.insert(path, LayerProgram { kind, mode, uid, gid, start });
        }
        Ok(found)
    }

    /// Returns all entries.
    pub fn entries(&self) -> impl Iterator<Item = (&RelativePath, &LayerProgram)> {
        self.entries.iter()
    }

    /// Returns the entry at a path, links not followed.
    pub fn get(&self, path: &RelativePath) -> Option<&LayerProgram> {
        self.entries.get(path)
    }

    /// Returns the text of a table of users or groups, if it is one and not too large.
    pub fn table(&self, path: &RelativePath) -> Option<&str> {
        self.tables.get(path).map(String::as_str)
    }
}
