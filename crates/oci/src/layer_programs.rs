//! `LayerPrograms`: the names in a layer that was written here, and what starts each executable of it.

use std::collections::BTreeMap;
use std::io::{self, Read};

use rondel_cas::RelativePath;

use crate::base_files::{BaseKind, LAYER_BYTES_MAX};
use crate::program_start::{HEAD_MAX, Interpreter};
use crate::tar_extension::Extension;

/// An entry of a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerProgram {
    /// What it is.
    pub kind: BaseKind,
    /// True if anyone may execute it.
    pub is_executable: bool,
    /// What starts it, if it is executable and names something.
    pub interpreter: Option<Interpreter>,
}

/// The entries of a layer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LayerPrograms(BTreeMap<RelativePath, LayerProgram>);

impl LayerPrograms {
    /// Reads a layer, an uncompressed tar.
    pub fn read(tar: impl Read) -> io::Result<LayerPrograms> {
        let mut found = BTreeMap::new();
        let mut archive = tar::Archive::new(tar.take(LAYER_BYTES_MAX));
        let mut extension = Extension::default();
        for entry in archive.entries()?.raw(true) {
            let mut entry = entry?;
            if extension.take_in(&mut entry)? {
                continue;
            }
            let Extension { path, link, .. } = std::mem::take(&mut extension);
            let name = path.unwrap_or_else(|| entry.header().path_bytes().into_owned());
            let Ok(path) = RelativePath::new(String::from_utf8_lossy(&name).trim_end_matches('/')) else { continue };
            let kind = match entry.header().entry_type() {
                tar::EntryType::Directory => BaseKind::Directory,
                tar::EntryType::Symlink => {
                    let link = link.or_else(|| entry.header().link_name_bytes().map(|link| link.into_owned()));
                    BaseKind::Symlink(String::from_utf8_lossy(&link.unwrap_or_default()).into_owned())
                }
                tar::EntryType::Regular => BaseKind::File,
                _ => BaseKind::Other,
            };
            let is_executable = entry.header().mode()? & 0o111 != 0;
            let mut head = Vec::new();
            if kind == BaseKind::File && is_executable {
                entry.by_ref().take(HEAD_MAX).read_to_end(&mut head)?;
            }
            found.insert(path, LayerProgram { kind, is_executable, interpreter: Interpreter::of(&head) });
        }
        Ok(LayerPrograms(found))
    }

    /// Returns all entries.
    pub fn entries(&self) -> impl Iterator<Item = (&RelativePath, &LayerProgram)> {
        self.0.iter()
    }

    /// Returns the entry at a path, links not followed.
    pub fn get(&self, path: &RelativePath) -> Option<&LayerProgram> {
        self.0.get(path)
    }
}
