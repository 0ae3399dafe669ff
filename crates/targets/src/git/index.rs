//! Git's index: how each file looked from outside when it was last the same as a blob.
//!
//! It only saves reading files. What can't be read of it (a split index, another version, damage) counts as unknown.

use std::collections::HashMap;
use std::fs::Metadata;
use std::path::Path;

use rondel_cas::{MEMORY_MAX, read_at_most};

/// The entries by path, and the time of the index itself.
#[derive(Default)]
pub(super) struct Index {
    entries: HashMap<Vec<u8>, Entry>,
    written: (u32, u32),
}

/// One entry. Numbers have 32 bits, as in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    ctime: (u32, u32),
    mtime: (u32, u32),
    inode: u32,
    mode: u32,
    size: u32,
    id: Vec<u8>,
    /// True for a file that is not in the tree of files on purpose (a sparse checkout).
    left_out: bool,
}

impl Index {
    /// Reads the file at `path`, whose identifiers have `width` bytes.
    pub fn read(path: &Path, width: usize) -> Index {
        // The time is taken first: an index written meanwhile makes its entries less credible, not more.
        let Ok(metadata) = std::fs::metadata(path) else { return Index::default() };
        let bytes = read_at_most(path, MEMORY_MAX).unwrap_or_default();
        let entries = parse(&bytes, width).unwrap_or_default();
        Index { entries, written: times(&metadata).1 }
    }

    /// Returns true if the path is in the index.
    pub fn holds(&self, path: &[u8]) -> bool {
        self.entries.contains_key(path)
    }

    /// Returns all names.
    pub fn names(&self) -> impl Iterator<Item = &Vec<u8>> {
        self.entries.keys()
    }

    /// Returns true if the file is not in the tree on purpose.
    pub fn leaves_out(&self, path: &[u8]) -> bool {
        self.entries.get(path).is_some_and(|entry| entry.left_out)
    }

    /// Returns true if the file at `path` looks as it did when it had the contents `id` and this mode, and can't have
    /// changed in the same tick (git's rule of "racily clean" entries).
    pub fn vouches_for(&self, path: &[u8], mode: u32, id: &[u8], metadata: &Metadata) -> bool {
        let Some(entry) = self.entries.get(path) else { return false };
        let (ctime, mtime) = times(metadata);
        let looks_same = entry.mtime == mtime
            && entry.ctime == ctime
            && entry.inode == inode(metadata)
            && u64::from(entry.size) == metadata.len();
        looks_same && entry.mode == mode && entry.id == id && entry.mtime < self.written
    }
}

#[cfg(unix)]
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the file keeps the lower 32 bits")]
fn times(metadata: &Metadata) -> ((u32, u32), (u32, u32)) {
    use std::os::unix::fs::MetadataExt;
    let of = |seconds: i64, rest: i64| (seconds as u32, rest as u32);
    (of(metadata.ctime(), metadata.ctime_nsec()), of(metadata.mtime(), metadata.mtime_nsec()))
}

/// Without change times nothing is believed: no entry is older than the index.
#[cfg(not(unix))]
fn times(_metadata: &Metadata) -> ((u32, u32), (u32, u32)) {
    ((0, 0), (0, 0))
}

#[cfg(unix)]
#[allow(clippy::cast_possible_truncation, reason = "the file keeps the lower 32 bits")]
fn inode(metadata: &Metadata) -> u32 {
    std::os::unix::fs::MetadataExt::ino(metadata) as u32
}

#[cfg(not(unix))]
fn inode(_metadata: &Metadata) -> u32 {
    0
}

/// Returns the entries of versions 2 to 4 (gitformat-index(5)).
fn parse(bytes: &[u8], width: usize) -> Option<HashMap<Vec<u8>, Entry>> {
    let number = |at: usize| Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    let (version, count) = (number(4)?, number(8)?);
    if !bytes.starts_with(b"DIRC") || !(2..=4).contains(&version) {
        return None;
    }
    let (mut at, mut name) = (12, Vec::new());
    let mut entries = HashMap::new();
    for _ in 0..count {
        let begin = at;
        let field = |index: usize| number(begin + 4 * index);
        let id = bytes.get(begin + 40..begin + 40 + width)?.to_vec();
        at = begin + 40 + width;
        let flags = bytes.get(at)?;
        let is_extended = version >= 3 && flags & 0x40 != 0;
        let left_out = is_extended && bytes.get(at + 2)? & 0x40 != 0;
        at += if is_extended { 4 } else { 2 };
        if version == 4 {
            let (cut, length) = offset(bytes.get(at..)?)?;
            at += length;
            name.truncate(name.len().checked_sub(cut)?);
        } else {
            name.clear();
        }
        let end = bytes.get(at..)?.iter().position(|&byte| byte == 0)?;
        name.extend_from_slice(&bytes[at..at + end]);
        at += end + 1;
        if version < 4 {
            // Padded with NULs to a multiple of eight bytes.
            at = begin + (at - begin).next_multiple_of(8);
        }
        let entry = Entry {
            ctime: (field(0)?, field(1)?),
            mtime: (field(2)?, field(3)?),
            inode: field(5)?,
            mode: field(6)?,
            size: field(9)?,
            id,
            left_out,
        };
        entries.insert(name.clone(), entry);
    }
    Some(entries)
}

/// Reads a number in the encoding of offsets in packs; returns it with its length.
fn offset(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut value: usize = 0;
    for (index, byte) in bytes.iter().take(5).enumerate() {
        let more = index > 0;
        value = ((value + usize::from(more)) << 7) | usize::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            return Some((value, index + 1));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, version: u32, kept: Option<u8>) -> Vec<u8> {
        let mut bytes: Vec<u8> = (1..=10_u32).flat_map(u32::to_be_bytes).collect();
        bytes.extend([7; 20]);
        bytes.extend((name.len() as u16).to_be_bytes());
        bytes.extend(kept);
        bytes.extend(name.as_bytes());
        bytes.push(0);
        if version < 4 {
            bytes.resize(bytes.len().next_multiple_of(8), 0);
        }
        bytes
    }

    fn index(version: u32, entries: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = b"DIRC".to_vec();
        bytes.extend(version.to_be_bytes());
        bytes.extend((entries.len() as u32).to_be_bytes());
        bytes.extend(entries.concat());
        bytes
    }

    #[test]
    fn plain_and_compressed_names() {
        let names = |bytes: &[u8]| {
            let mut names: Vec<Vec<u8>> = parse(bytes, 20)?.into_keys().collect();
            names.sort();
            Some(names)
        };
        let wanted = Some(vec![b"cmd/a.go".to_vec(), b"cmd/bcd.go".to_vec(), b"z".to_vec()]);
        let plain = ["cmd/a.go", "cmd/bcd.go", "z"].map(|name| entry(name, 2, None));
        assert_eq!(names(&index(2, &plain)), wanted);
        let short = [entry("cmd/a.go", 4, Some(0)), entry("bcd.go", 4, Some(4)), entry("z", 4, Some(10))];
        assert_eq!(names(&index(4, &short)), wanted);
        assert_eq!(parse(&index(2, &plain), 20).unwrap()[b"z".as_slice()].size, 10);
        // Torn anywhere, foreign, or cutting more than there is: nothing, and no panic.
        for bytes in [index(2, &plain), index(4, &short)] {
            for end in 0..bytes.len() - 8 {
                assert_eq!(parse(&bytes[..end], 20), None, "{end}");
            }
        }
        assert_eq!(parse(&index(4, &[entry("a", 4, Some(9))]), 20), None);
        assert_eq!(parse(&index(5, &plain), 20), None);
    }
}
