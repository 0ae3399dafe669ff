//! The stat snapshot on disk: one block a directory, one record of fixed size a name, read at once and used in place.
//!
//! ```text
//! file    mark, SHA-256 of the SHA-256s of each MiB of the rest, the latest boundary (24), then the blocks, sorted by
//! path
//! block   u32 length of all of it; u32 length of the path; u32 number of records; u32 length of the names;
//!         fingerprint of the directory (44); i64 boundary, 0 if its names are not all here;
//!         path; records, sorted by name; names
//! record  fingerprint (44); i64 boundary; SHA-256 (32); u32 place of the name; u16 its length; u8 kind;
//!         u8 1 if there is a digest, whose size is the fingerprint's
//! ```
//!
//! Numbers are little-endian. A file that does not match its checksum is no snapshot. No contents can make a reader
//! leave its block.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::fingerprint::{FINGERPRINT_LENGTH, Fingerprint, Kind};
use crate::mtime_boundary::{MTIME_BOUNDARY_LENGTH, MtimeBoundary};
use rondel_cas::{Digest, par_chunks};

/// Version of the format described above.
pub(crate) const SNAPSHOT_FORMAT: &str = "3";
const MAGIC: &[u8] = b"rondel-snapshot 3\n";
const HEADER: usize = 16 + FINGERPRINT_LENGTH + 8;
const RECORD: usize = FINGERPRINT_LENGTH + 8 + 32 + 8;
const PIECE: usize = 1 << 20;

/// One directory of a snapshot, in memory.
#[derive(Clone, Debug)]
pub(crate) enum Block {
    /// A part of the file.
    InFile { bytes: Arc<Vec<u8>>, from: usize, to: usize },
    /// Made in this process.
    Fresh(Arc<[u8]>),
}

/// One name of a directory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record<'a>(&'a [u8; RECORD], &'a str);

/// An unfinished block: the contents of one directory.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    pub path: PathBuf,
    /// Its fingerprint and boundary, if all its names are here.
    pub own: Option<(Fingerprint, i128)>,
    pub entries: Vec<DraftEntry>,
}

#[derive(Clone, Debug)]
pub(crate) struct DraftEntry {
    pub name: String,
    pub kind: Kind,
    /// Fingerprint, boundary and hash of the file.
    pub known: Option<(Fingerprint, i128, [u8; 32])>,
}

fn number(bytes: &[u8], at: usize) -> usize {
    bytes.get(at..at + 4).map_or(0, |part| u32::from_le_bytes(part.try_into().expect("four bytes")) as usize)
}

impl Block {
    pub fn bytes(&self) -> &[u8] {
        match self {
            Block::InFile { bytes, from, to } => &bytes[*from..*to],
            Block::Fresh(bytes) => bytes,
        }
    }

    /// Returns the number of names.
    pub fn len(&self) -> usize {
        number(self.bytes(), 8)
    }

    /// Returns the directory's fingerprint, and the boundary up to which it vouches for the names.
    pub fn own(&self) -> Option<(Fingerprint, i128)> {
        let bytes = self.bytes();
        let fingerprint: &[u8; FINGERPRINT_LENGTH] = bytes.get(16..16 + FINGERPRINT_LENGTH)?.try_into().ok()?;
        let boundary = i64::from_le_bytes(bytes.get(HEADER - 8..HEADER)?.try_into().ok()?);
        (boundary != 0).then(|| (Fingerprint::from_bytes(fingerprint), i128::from(boundary)))
    }

    pub fn record(&self, index: usize) -> Record<'_> {
        const NOTHING: &[u8; RECORD] = &[0; RECORD];
        let bytes = self.bytes();
        let records = HEADER + number(bytes, 4);
        let Some(record) = bytes.get(records + index * RECORD..).and_then(|rest| rest.first_chunk::<RECORD>()) else {
            return Record(NOTHING, "");
        };
        let names = records + self.len() * RECORD;
        let place = names + number(record, RECORD - 8);
        let length = usize::from(u16::from_le_bytes([record[RECORD - 4], record[RECORD - 3]]));
        let name = bytes.get(place..place + length).and_then(|name| std::str::from_utf8(name).ok());
        Record(record, name.unwrap_or(""))
    }

    /// Returns the record of `name`.
    pub fn find(&self, name: &str) -> Option<Record<'_>> {
        let (mut from, mut to) = (0, self.len());
        while from < to {
            let middle = from.midpoint(to);
            let record = self.record(middle);
            match record.name().cmp(name) {
                std::cmp::Ordering::Equal => return Some(record),
                std::cmp::Ordering::Less => from = middle + 1,
                std::cmp::Ordering::Greater => to = middle,
            }
        }
        None
    }

    /// Returns the block for changes.
    pub fn draft(&self, path: &Path) -> Draft {
        let entry = |index| {
            let record = self.record(index);
            DraftEntry { name: record.name().to_owned(), kind: record.kind(), known: record.known() }
        };
        Draft { path: path.to_owned(), own: self.own(), entries: (0..self.len()).map(entry).collect() }
    }
}

impl<'a> Record<'a> {
    pub fn name(&self) -> &'a str {
        self.1
    }

    pub fn kind(&self) -> Kind {
        Kind::of(self.0[RECORD - 2])
    }

    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::from_bytes(self.0.first_chunk().expect("longer than that"))
    }

    fn mtime_boundary(&self) -> i128 {
        let part = &self.0[FINGERPRINT_LENGTH..FINGERPRINT_LENGTH + 8];
        i128::from(i64::from_le_bytes(part.try_into().expect("eight bytes")))
    }

    /// Returns the digest of a file with the fingerprint `now`, if it is known.
    pub fn digest_if(&self, now: &Fingerprint) -> Option<Digest> {
        let same = self.0[RECORD - 1] == 1 && self.0[..FINGERPRINT_LENGTH] == now.to_bytes();
        (same && now.is_older_than(self.mtime_boundary())).then(|| self.digest())
    }

    /// Returns the digest at the time of reading.
    pub fn digest(&self) -> Digest {
        let hash = &self.0[FINGERPRINT_LENGTH + 8..FINGERPRINT_LENGTH + 40];
        Digest::from_parts(hash.try_into().expect("32 bytes"), self.fingerprint().size())
    }

    pub fn known(&self) -> Option<(Fingerprint, i128, [u8; 32])> {
        (self.0[RECORD - 1] == 1).then(|| (self.fingerprint(), self.mtime_boundary(), *self.digest().hash()))
    }
}

impl Draft {
    /// Returns the block of this directory, with sorted entries. Returns `None` if there is more than a block can hold.
    pub fn encode(mut self) -> Option<Block> {
        self.entries.sort_by(|one, other| one.name.cmp(&other.name));
        // A directory whose path is not UTF-8 is not found again: that costs time.
        let path = self.path.to_string_lossy();
        let names: usize = self.entries.iter().map(|entry| entry.name.len()).sum();
        let length = HEADER + path.len() + self.entries.len() * RECORD + names;
        let mut bytes = Vec::with_capacity(length);
        for part in [length, path.len(), self.entries.len(), names] {
            bytes.extend_from_slice(&u32::try_from(part).ok()?.to_le_bytes());
        }
        match &self.own {
            Some((fingerprint, boundary)) => {
                bytes.extend_from_slice(&fingerprint.to_bytes());
                bytes.extend_from_slice(&(*boundary as i64).to_le_bytes());
            }
            None => bytes.extend_from_slice(&[0; FINGERPRINT_LENGTH + 8]),
        }
        bytes.extend_from_slice(path.as_bytes());
        let mut place = 0_u32;
        for entry in &self.entries {
            match &entry.known {
                Some((fingerprint, boundary, hash)) => {
                    bytes.extend_from_slice(&fingerprint.to_bytes());
                    bytes.extend_from_slice(&(*boundary as i64).to_le_bytes());
                    bytes.extend_from_slice(hash);
                }
                None => bytes.extend_from_slice(&[0; RECORD - 8]),
            }
            let length = u16::try_from(entry.name.len()).ok()?;
            bytes.extend_from_slice(&place.to_le_bytes());
            bytes.extend_from_slice(&length.to_le_bytes());
            bytes.extend_from_slice(&[entry.kind as u8, u8::from(entry.known.is_some())]);
            place += u32::from(length);
        }
        for entry in &self.entries {
            bytes.extend_from_slice(entry.name.as_bytes());
        }
        Some(Block::Fresh(bytes.into()))
    }
}

/// A snapshot as read from disk.
#[derive(Debug, Default)]
pub(crate) struct SnapshotFile {
    bytes: Arc<Vec<u8>>,
    /// The latest boundary of its records; `None` of an empty one.
    pub boundary: Option<MtimeBoundary>,
    /// Start of each block, in the order of their paths.
    begins: Vec<u32>,
}

impl SnapshotFile {
    /// Reads a file's contents; returns `None` for anything torn, flipped or foreign.
    pub fn decode(bytes: Vec<u8>) -> Option<SnapshotFile> {
        let (checksum, body) = bytes.strip_prefix(MAGIC)?.split_at_checked(32)?;
        if body.len() > u32::MAX as usize || checksum_of(body) != checksum {
            return None;
        }
        let boundary = Some(MtimeBoundary::from_bytes(body.first_chunk::<MTIME_BOUNDARY_LENGTH>()?));
        let (mut begins, mut place) = (Vec::new(), MAGIC.len() + 32 + MTIME_BOUNDARY_LENGTH);
        while place < bytes.len() {
            let length = number(&bytes, place);
            let (path, records, names) =
                (number(&bytes, place + 4), number(&bytes, place + 8), number(&bytes, place + 12));
            if length != HEADER + path + records * RECORD + names || length > bytes.len() - place {
                return None;
            }
            begins.push(place as u32);
            place += length;
        }
        Some(SnapshotFile { bytes: Arc::new(bytes), boundary, begins })
    }

    /// Returns the file's contents: these blocks, by path.
    pub fn encode<'b>(boundary: &MtimeBoundary, blocks: impl Iterator<Item = &'b [u8]>) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&[0; 32]);
        bytes.extend_from_slice(&boundary.to_bytes());
        blocks.for_each(|block| bytes.extend_from_slice(block));
        let (head, body) = bytes.split_at_mut(MAGIC.len() + 32);
        head[MAGIC.len()..].copy_from_slice(&checksum_of(body));
        bytes
    }

    fn path(&self, begin: u32) -> &[u8] {
        let begin = begin as usize + HEADER;
        let length = number(&self.bytes, begin - HEADER + 4);
        self.bytes.get(begin..begin + length).unwrap_or(&[])
    }

    fn block(&self, begin: u32) -> Block {
        let from = begin as usize;
        Block::InFile { bytes: Arc::clone(&self.bytes), from, to: from + number(&self.bytes, from) }
    }

    /// Returns the block of a directory.
    pub fn find(&self, directory: &Path) -> Option<Block> {
        let wanted = directory.to_str()?.as_bytes();
        let index = self.begins.binary_search_by(|begin| self.path(*begin).cmp(wanted)).ok()?;
        Some(self.block(self.begins[index]))
    }

    /// Returns all blocks and their paths, sorted.
    pub fn blocks(&self) -> impl Iterator<Item = (&str, Block)> {
        self.begins.iter().filter_map(|begin| Some((std::str::from_utf8(self.path(*begin)).ok()?, self.block(*begin))))
    }
}

/// Returns the checksum of pieces, so that all cores share the work.
fn checksum_of(body: &[u8]) -> [u8; 32] {
    let pieces: Vec<&[u8]> = body.chunks(PIECE).collect();
    let parts = par_chunks(&pieces, body.len() / 4096, |part| {
        part.iter().flat_map(|piece| *Digest::of(piece).hash()).collect::<Vec<u8>>()
    });
    *Digest::of(&parts.concat()).hash()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fingerprint(size: u64, ctime_ns: i128) -> Fingerprint {
        let mut bytes = [0; FINGERPRINT_LENGTH];
        bytes[..8].copy_from_slice(&size.to_le_bytes());
        bytes[32..40].copy_from_slice(&(ctime_ns as i64).to_le_bytes());
        Fingerprint::from_bytes(&bytes)
    }

    fn draft(path: &str) -> Draft {
        let entry = |name: &str, known| DraftEntry { name: name.to_owned(), kind: Kind::File, known };
        let known = Some((fingerprint(1, 50), 100, *Digest::of(b"x").hash()));
        let entries =
            vec![entry("zeta", None), entry("alpha", known), entry("né", Some((fingerprint(1, 100), 100, [7; 32])))];
        Draft { path: path.into(), own: Some((fingerprint(9, 3), 8)), entries }
    }

    fn file() -> Vec<u8> {
        let blocks: Vec<Block> = ["/a", "/a/b", "/c"].map(|path| draft(path).encode().unwrap()).into();
        SnapshotFile::encode(&MtimeBoundary::now(None), blocks.iter().map(Block::bytes))
    }

    #[test]
    fn round_trip() {
        let stored = SnapshotFile::decode(file()).unwrap();
        let paths: Vec<&str> = stored.blocks().map(|(path, _)| path).collect();
        assert_eq!(paths, ["/a", "/a/b", "/c"]);
        assert!(stored.find(Path::new("/b")).is_none());
        let block = stored.find(Path::new("/a/b")).unwrap();
        assert_eq!((block.len(), block.own()), (3, Some((fingerprint(9, 3), 8))));
        assert_eq!(block.find("alpha").unwrap().digest_if(&fingerprint(1, 50)), Some(Digest::of(b"x")));
        assert_eq!(block.find("alpha").unwrap().digest_if(&fingerprint(2, 50)), None, "another size");
        assert_eq!(block.find("né").unwrap().digest_if(&fingerprint(1, 100)), None, "changed at the boundary");
        assert_eq!(block.find("zeta").unwrap().digest_if(&fingerprint(0, 0)), None, "never hashed");
        assert!(block.find("beta").is_none());
        assert_eq!(block.draft(Path::new("/a/b")).encode().unwrap().bytes(), block.bytes());
    }

    /// A file torn or flipped anywhere is no snapshot.
    #[test]
    fn damage_empties_it() {
        let good = file();
        for length in 0..good.len() {
            assert!(SnapshotFile::decode(good[..length].to_vec()).is_none(), "cut at {length}");
        }
        for index in 0..good.len() {
            let mut bad = good.clone();
            bad[index] ^= 0x10;
            assert!(SnapshotFile::decode(bad).is_none(), "flipped at {index}");
        }
    }

    /// A writer who can compute a checksum can write anything: still no reader leaves a block or panics.
    #[test]
    fn a_hostile_file_with_a_sound_checksum() {
        let good = file();
        let body = MAGIC.len() + 32;
        for index in body..good.len() {
            for value in [0, 1, 0x7f, 0x80, 0xff] {
                let mut bad = good.clone();
                bad[index] = value;
                let checksum = checksum_of(&bad[body..]);
                bad[MAGIC.len()..body].copy_from_slice(&checksum);
                let Some(stored) = SnapshotFile::decode(bad) else { continue };
                for (path, block) in stored.blocks() {
                    let _ = (block.own(), block.find("alpha"), block.draft(Path::new(path)).encode());
                    let records = (0..block.len().min(1000)).filter(|index| block.record(*index).known().is_some());
                    assert!(records.count() <= 1000);
                }
            }
        }
    }
}
