//! `LayerPrograms`: the names in a layer that is written here with their permissions, what starts each executable of it, and
//! its tables of users. It is kept beside the layer, so that nobody unpacks one to know what is in it.

use std::collections::BTreeMap;
use std::io::{self, Read};

use rondel_cas::{CONTENTS_MAX, RelativePath, open_at_most};
use serde::{Deserialize, Serialize};

use crate::base_files::BaseKind;
use crate::layer::{LayerEntry, LayerSource};
use crate::program_start::ProgramStart;

/// Name of what is kept, for keys; a change of its meaning changes the name.
pub const PROGRAMS_FORMAT: &str = "programs-1";

/// Tables of users and groups, and the size up to which they are kept.
const TABLES: &[&str] = &["etc/passwd", "etc/group"];
const TABLE_MAX: u64 = 1 << 20;

/// An entry of a layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<ProgramStart>,
}

/// The entries of a layer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerPrograms {
    entries: BTreeMap<RelativePath, LayerProgram>,
    tables: BTreeMap<RelativePath, String>,
}

impl LayerPrograms {
    /// Reads the entries of a layer: of files only what starts the executable ones, and the tables.
    pub fn of(entries: &BTreeMap<RelativePath, LayerEntry>) -> io::Result<LayerPrograms> {
        let mut found = LayerPrograms::default();
        for (path, entry) in entries {
            let LayerEntry { mode, uid, gid, .. } = *entry;
            let kind = match &entry.source {
                LayerSource::Directory => BaseKind::Directory,
                LayerSource::Symlink(target) => BaseKind::Symlink(target.clone()),
                LayerSource::File(_) | LayerSource::Bytes(_) => BaseKind::File,
            };
            let mut start = None;
            if kind == BaseKind::File && TABLES.contains(&path.as_str()) {
                let mut table = Vec::new();
                contents(&entry.source)?.take(TABLE_MAX + 1).read_to_end(&mut table)?;
                if table.len() as u64 <= TABLE_MAX {
                    found.tables.insert(path.clone(), String::from_utf8_lossy(&table).into_owned());
                }
            } else if kind == BaseKind::File && mode & 0o111 != 0 {
                start = Some(ProgramStart::read(contents(&entry.source)?)?);
            }
            found.entries.insert(path.clone(), LayerProgram { kind, mode: mode & 0o7777, uid, gid, start });
        }
        Ok(found)
    }

    /// Returns it as bytes for a file.
    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("plain data")
    }

    /// Reverses `encode`; `None` if these are other bytes.
    pub fn decode(bytes: &[u8]) -> Option<LayerPrograms> {
        serde_json::from_slice(bytes).ok()
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

fn contents(source: &LayerSource) -> io::Result<Box<dyn Read + '_>> {
    match source {
        LayerSource::File(path) => match open_at_most(path, CONTENTS_MAX) {
            Ok((file, _)) => Ok(Box::new(file)),
            Err(error) => Err(io::Error::new(error.kind(), format!("failed to read `{}`: {error}", path.display()))),
        },
        LayerSource::Bytes(bytes) => Ok(Box::new(&bytes[..])),
        LayerSource::Directory | LayerSource::Symlink(_) => Ok(Box::new(io::empty())),
    }
}
