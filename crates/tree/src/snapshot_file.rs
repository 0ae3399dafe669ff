//! The stat snapshot on disk: one block a directory, one record of fixed size a name, read when it is asked for and used in place. A build that
//! looks at few directories of a large tree reads the blocks of those.
//!
//! ```text
//! file    mark, SHA-256 of the head, u64 length of the head, head, blocks
//! head    the latest boundary (24), then a line a block, sorted by path
//! line    u32 length of the block, u32 length of the path, SHA-256 of the block, path
//! block   u32 length of all of it; u32 length of the path; u32 number of records; u32 length of the names;
//!         fingerprint of the directory (44); i64 boundary, 0 if its names are not all here;
//!         path; records, sorted by name; names
//! record  fingerprint (44); i64 boundary; SHA-256 (32); u32 place of the name; u16 its length; u8 kind;
//!         u8 1 if there is a digest, whose size is the fingerprint's
//! ```
//!
//! Numbers are little-endian. A file whose head does not match its checksum is no snapshot, and a block that does not match its own is as one
//! that was never written. No contents can make a reader leave its block.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};

use crate::fingerprint::{FINGERPRINT_LENGTH, Fingerprint, Kind};
use crate::mtime_boundary::{MTIME_BOUNDARY_LENGTH, MtimeBoundary};
use rondel_cas::{Digest, open_at_most};

/// Version of the format described above.
pub(crate) const SNAPSHOT_FORMAT: &str = "4";
const MAGIC: &[u8] = b"rondel-snapshot 4\n";
/// Limit of the stored snapshot, in bytes: some ten million files.
const SNAPSHOT_MAX: u64 = 2 << 30;
/// Length of what is before the head.
const BEGIN: usize = MAGIC.len() + 32 + 8;
/// Length of a line without its path.
const LINE: usize = 4 + 4 + 32;
const HEADER: usize = 16 + FINGERPRINT_LENGTH + 8;
const RECORD: usize = FINGERPRINT_LENGTH + 8 + 32 + 8;

/// One directory of a snapshot, in memory.
#[derive(Clone, Debug)]
pub(crate) struct Block(Arc<[u8]>);

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
    /// Returns the block, if its lengths are those of its parts.
    fn of(bytes: Vec<u8>) -> Option<Block> {
        let (path, records, names) = (number(&bytes, 4), number(&bytes, 8), number(&bytes, 12));
        let is_sound = number(&bytes, 0) == bytes.len() && bytes.len() == HEADER + path + records * RECORD + names;
        is_sound.then(|| Block(bytes.into()))
    }

    pub fn bytes(&self) -> &[u8] {
        &self.0
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
        Some(Block(bytes.into()))
    }
}

/// A snapshot on disk. The file is open: another process that saves a newer one takes nothing away.
#[derive(Debug, Default)]
pub(crate) struct SnapshotFile {
    /// The latest boundary of its records; `None` of an empty one.
    pub boundary: Option<MtimeBoundary>,
    head: Vec<u8>,
    lines: Vec<Line>,
    file: Option<Mutex<File>>,
}

/// Where a block is.
#[derive(Debug)]
struct Line {
    /// Start of its line in the head.
    at: usize,
    /// Start of the block in the file.
    begin: u64,
    /// The block, once it was read; `None` if it is damaged.
    read: OnceLock<Option<Block>>,
}

impl SnapshotFile {
    /// Opens a file; returns `None` for anything torn or foreign, or with a damaged head.
    pub fn open(path: &Path) -> Option<SnapshotFile> {
        let (mut file, metadata) = open_at_most(path, SNAPSHOT_MAX).ok()?;
        let mut begin = [0; BEGIN];
        file.read_exact(&mut begin).ok()?;
        let (checksum, length) = begin.strip_prefix(MAGIC)?.split_at_checked(32)?;
        let length = u64::from_le_bytes(length.try_into().ok()?);
        let body = length.checked_add(BEGIN as u64).filter(|body| *body <= metadata.len())?;
        let mut head = Vec::with_capacity(usize::try_from(length).ok()?);
        (&mut file).take(length).read_to_end(&mut head).ok()?;
        if head.len() as u64 != length || Digest::of(&head).hash() != checksum {
            return None;
        }
        let boundary = Some(MtimeBoundary::from_bytes(head.first_chunk::<MTIME_BOUNDARY_LENGTH>()?));
        let (mut lines, mut at, mut begin) = (Vec::new(), MTIME_BOUNDARY_LENGTH, body);
        while at < head.len() {
            let (length, path) = (number(&head, at), number(&head, at + 4));
            if length < HEADER {
                return None;
            }
            lines.push(Line { at, begin, read: OnceLock::new() });
            begin += length as u64;
            at = at.checked_add(LINE)?.checked_add(path)?;
        }
        (at == head.len() && begin == metadata.len()).then(|| SnapshotFile {
            boundary,
            head,
            lines,
            file: Some(Mutex::new(file)),
        })
    }

    /// Returns the file's contents: these blocks, by path.
    pub fn encode(boundary: &MtimeBoundary, blocks: &[(&str, Block)]) -> Vec<u8> {
        let mut head = boundary.to_bytes().to_vec();
        for (path, block) in blocks {
            head.extend_from_slice(&block.bytes()[..4]);
            head.extend_from_slice(&(path.len() as u32).to_le_bytes());
            head.extend_from_slice(Digest::of(block.bytes()).hash());
            head.extend_from_slice(path.as_bytes());
        }
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(Digest::of(&head).hash());
        bytes.extend_from_slice(&(head.len() as u64).to_le_bytes());
        bytes.extend_from_slice(&head);
        blocks.iter().for_each(|(_, block)| bytes.extend_from_slice(block.bytes()));
        bytes
    }

    fn path(&self, line: &Line) -> &[u8] {
        let begin = line.at + LINE;
        self.head.get(begin..begin + number(&self.head, line.at + 4)).unwrap_or(&[])
    }

    fn block(&self, line: &Line) -> Option<Block> {
        line.read.get_or_init(|| self.read(line)).clone()
    }

    /// Reads a block. One that is not as it was written is as none.
    fn read(&self, line: &Line) -> Option<Block> {
        let mut bytes = vec![0; number(&self.head, line.at)];
        let mut file = self.file.as_ref()?.lock().expect("no panic while locked");
        file.seek(SeekFrom::Start(line.begin)).ok()?;
        file.read_exact(&mut bytes).ok()?;
        drop(file);
        let is_whole = self.head.get(line.at + 8..line.at + LINE) == Some(Digest::of(&bytes).hash());
        if is_whole { Block::of(bytes) } else { None }
    }

    /// Returns the block of a directory.
    pub fn find(&self, directory: &Path) -> Option<Block> {
        let wanted = directory.to_str()?.as_bytes();
        let index = self.lines.binary_search_by(|line| self.path(line).cmp(wanted)).ok()?;
        self.block(&self.lines[index])
    }

    /// Returns all blocks and their paths, sorted.
    pub fn blocks(&self) -> impl Iterator<Item = (&str, Block)> {
        self.lines.iter().filter_map(|line| Some((std::str::from_utf8(self.path(line)).ok()?, self.block(line)?)))
    }
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
        let blocks = ["/a", "/a/b", "/c"].map(|path| (path, draft(path).encode().unwrap()));
        SnapshotFile::encode(&MtimeBoundary::now(None), &blocks)
    }

    /// Opens a file with these contents.
    fn opened(name: &str, bytes: &[u8]) -> Option<SnapshotFile> {
        let path = std::env::temp_dir().join(format!("rondel-snapshot-file-{name}-{}", std::process::id()));
        std::fs::write(&path, bytes).unwrap();
        let opened = SnapshotFile::open(&path);
        // It is open, and its name is not needed.
        let _ = std::fs::remove_file(path);
        opened
    }

    #[test]
    fn round_trip() {
        let stored = opened("round", &file()).unwrap();
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

    /// A file that is torn, or flipped before its blocks, is no snapshot. One with a flipped block has the others.
    #[test]
    fn damage_is_as_nothing() {
        let good = file();
        for length in 0..good.len() {
            assert!(opened("torn", &good[..length]).is_none(), "cut at {length}");
        }
        assert!(opened("longer", &[&good[..], b"x"].concat()).is_none());
        let whole = opened("whole", &good).unwrap();
        let blocks = whole.lines[0].begin as usize;
        for index in 0..good.len() {
            let mut bad = good.clone();
            bad[index] ^= 0x10;
            match opened("flipped", &bad) {
                None => assert!(index < blocks, "flipped at {index}"),
                Some(stored) => assert!(index >= blocks && stored.blocks().count() == 2, "flipped at {index}"),
            }
        }
    }

    /// A writer who can compute a checksum can write anything: still no reader leaves a block or panics.
    #[test]
    fn a_hostile_file_with_sound_checksums() {
        let good = file();
        let whole = opened("sound", &good).unwrap();
        for index in MAGIC.len() + 32..good.len() {
            for value in [0, 1, 0x7f, 0x80, 0xff] {
                let mut bad = good.clone();
                bad[index] = value;
                for line in &whole.lines {
                    let (begin, at) = (line.begin as usize, BEGIN + line.at);
                    let hash = *Digest::of(&bad[begin..begin + number(&good, at)]).hash();
                    bad[at + 8..at + LINE].copy_from_slice(&hash);
                }
                let head = Digest::of(&bad[BEGIN..whole.lines[0].begin as usize]);
                bad[MAGIC.len()..MAGIC.len() + 32].copy_from_slice(head.hash());
                let Some(stored) = opened("hostile", &bad) else { continue };
                for (path, block) in stored.blocks() {
                    let _ = (block.own(), block.find("alpha"), block.draft(Path::new(path)).encode());
                    let records = (0..block.len().min(1000)).filter(|index| block.record(*index).known().is_some());
                    assert!(records.count() <= 1000);
                }
            }
        }
    }
}
