//! Layers: files in, one deterministic compressed tar out.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

use rondel_cas::{CONTENTS_MAX, Digest, HashingReader, HashingWriter, RelativePath, open_at_most};

use crate::codec::Compression;
use crate::tar_header::{Header, Kind};

/// One entry of a layer.
#[derive(Clone, Debug)]
pub struct LayerEntry {
    /// Type and contents.
    pub source: LayerSource,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Capabilities of Linux that a file gives to its process, by number from the lowest bit.
    pub capabilities: u64,
}

/// Type and contents of an entry.
#[derive(Clone, Debug)]
pub enum LayerSource {
    /// A file of this machine.
    File(PathBuf),
    /// These bytes.
    Bytes(Vec<u8>),
    /// An empty directory.
    Directory,
    /// A symbolic link.
    Symlink(String),
}

/// A written layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layer {
    /// Digest of the compressed tar: the descriptor's digest.
    pub digest: Digest,
    /// Digest of the tar itself: the diff ID.
    pub diff_id: Digest,
    /// How the tar is compressed.
    pub compression: Compression,
}

impl LayerEntry {
    /// Returns a file or some bytes, owned by root, 0755 or 0644.
    pub fn file(source: LayerSource, executable: bool) -> LayerEntry {
        LayerEntry { source, mode: if executable { 0o755 } else { 0o644 }, uid: 0, gid: 0, capabilities: 0 }
    }

    /// Returns a directory of root's, 0755.
    pub fn directory() -> LayerEntry {
        LayerEntry { source: LayerSource::Directory, mode: 0o755, uid: 0, gid: 0, capabilities: 0 }
    }
}

/// Adds the directories above all entries that are missing, as `directory` gives them.
pub fn add_parents<E>(entries: &mut BTreeMap<RelativePath, E>, directory: &dyn Fn(&RelativePath) -> E) {
    let paths: Vec<RelativePath> = entries.keys().cloned().collect();
    for path in paths {
        for parent in std::iter::successors(path.parent(), RelativePath::parent) {
            let entry = directory(&parent);
            entries.entry(parent).or_insert(entry);
        }
    }
}

/// Writes the entries as compressed tar, with the epoch for their times. Directories above them that are not among them
/// are those of the layers below. The same entries always give the same bytes.
pub fn write_layer(
    entries: &BTreeMap<RelativePath, LayerEntry>,
    destination: &mut File,
    compression: Compression,
    threads: usize,
) -> io::Result<Layer> {
    write_tar(entries, 0, destination, compression, threads)
}

/// Writes the entries as compressed tar. All have the time `modified_s`, in seconds since 1970 (at most those of the
/// year 2242, which is what a header holds). The same entries and time always give the same bytes.
pub fn write_tar(
    entries: &BTreeMap<RelativePath, LayerEntry>,
    modified_s: u64,
    destination: &mut File,
    compression: Compression,
    threads: usize,
) -> io::Result<Layer> {
    let mut tar = HashingReader::new(TarReader::new(entries, modified_s));
    let mut output = HashingWriter::new(destination);
    compression.compress(&mut tar, &mut output, threads)?;
    Ok(Layer { digest: output.finish(), diff_id: tar.finish(), compression })
}

/// The tar as a stream, so that no layer is in memory whole.
struct TarReader<'a> {
    entries: Vec<(&'a RelativePath, &'a LayerEntry)>,
    modified_s: u64,
    next: usize,
    pending: Vec<u8>,
    offset: usize,
    file: Option<(File, u64, PathBuf)>,
    padding: usize,
    ended: bool,
}

impl<'a> TarReader<'a> {
    fn new(entries: &'a BTreeMap<RelativePath, LayerEntry>, modified_s: u64) -> TarReader<'a> {
        TarReader {
            entries: entries.iter().collect(),
            modified_s,
            next: 0,
            pending: Vec::new(),
            offset: 0,
            file: None,
            padding: 0,
            ended: false,
        }
    }

    /// Prepares the next header, or the end.
    fn advance(&mut self) -> io::Result<()> {
        self.offset = 0;
        self.pending.clear();
        if self.padding > 0 {
            self.pending.resize(std::mem::take(&mut self.padding), 0);
            return Ok(());
        }
        let Some((path, entry)) = self.entries.get(self.next) else {
            if !self.ended {
                self.ended = true;
                self.pending.resize(1024, 0);
            }
            return Ok(());
        };
        self.next += 1;
        let LayerEntry { mode, uid, gid, capabilities, .. } = **entry;
        let modified_s = self.modified_s;
        let header = |kind| Header { path: path.as_str(), kind, mode, uid, gid, modified_s, capabilities }.encode();
        let pad = |size: u64| (size.next_multiple_of(512) - size) as usize;
        match &entry.source {
            LayerSource::Directory => self.pending = header(Kind::Directory)?,
            LayerSource::Symlink(target) => self.pending = header(Kind::Symlink { target })?,
            LayerSource::Bytes(bytes) => {
                self.pending = header(Kind::File { size: bytes.len() as u64 })?;
                self.pending.extend_from_slice(bytes);
                self.padding = pad(bytes.len() as u64);
            }
            LayerSource::File(source) => {
                let (file, metadata) = open_at_most(source, CONTENTS_MAX).map_err(|error| {
                    io::Error::new(error.kind(), format!("failed to read `{}`: {error}", source.display()))
                })?;
                let size = metadata.len();
                self.pending = header(Kind::File { size })?;
                self.padding = pad(size);
                self.file = Some((file, size, source.clone()));
            }
        }
        Ok(())
    }
}

impl Read for TarReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if self.offset < self.pending.len() {
                let count = buffer.len().min(self.pending.len() - self.offset);
                buffer[..count].copy_from_slice(&self.pending[self.offset..self.offset + count]);
                self.offset += count;
                return Ok(count);
            }
            if let Some((file, left, path)) = &mut self.file {
                if *left > 0 {
                    let want = buffer.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                    let count = file.read(&mut buffer[..want])?;
                    if count == 0 {
                        return Err(io::Error::other(format!("`{}` became shorter while it was read", path.display())));
                    }
                    *left -= count as u64;
                    return Ok(count);
                }
                self.file = None;
            }
            self.advance()?;
            if self.pending.is_empty() && self.file.is_none() {
                return Ok(0);
            }
        }
    }
}
