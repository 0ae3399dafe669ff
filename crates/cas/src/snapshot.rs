//! The stat snapshot: digests of files that have not changed since they were last hashed.
//!
//! As git's index does it: path -> (size, mtime, ctime, inode, device, mode) -> digest. An entry is believed
//! only if the file looks exactly as it did, and only if its times were older than the moment of recording
//! by more than the file system's granularity: a file written in the same tick as it was hashed could change
//! again without looking different ("racily clean"), so it is hashed anew until it has aged.
//! Losing the snapshot costs time, never correctness.

use std::collections::HashMap;
use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::{Digest, write_atomically};

/// Times closer than this to the moment of recording are not trusted (2 s: FAT's, and that of unknown ones).
const GRANULARITY_NS: i128 = 2_000_000_000;
const MAGIC: &[u8] = b"rondel-snapshot 1\n";

/// Bytes of a fingerprint.
pub const FINGERPRINT_LENGTH: usize = 44;

/// How a file looks from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    size: u64,
    mtime_ns: i128,
    ctime_ns: i128,
    inode: u64,
    device: u64,
    mode: u32,
}

impl Fingerprint {
    /// From what `stat` said.
    #[cfg(unix)]
    pub fn of(metadata: &Metadata) -> Fingerprint {
        use std::os::unix::fs::MetadataExt;
        let nanoseconds = |seconds: i64, rest: i64| i128::from(seconds) * 1_000_000_000 + i128::from(rest);
        Fingerprint {
            size: metadata.size(),
            mtime_ns: nanoseconds(metadata.mtime(), metadata.mtime_nsec()),
            ctime_ns: nanoseconds(metadata.ctime(), metadata.ctime_nsec()),
            inode: metadata.ino(),
            device: metadata.dev(),
            mode: metadata.mode(),
        }
    }

    /// From what the system said; without inodes and change times, so never believed (see `is_settled`).
    #[cfg(not(unix))]
    pub fn of(metadata: &Metadata) -> Fingerprint {
        let _ = metadata;
        Fingerprint { size: metadata.len(), mtime_ns: 0, ctime_ns: i128::MAX, inode: 0, device: 0, mode: 0 }
    }

    /// Of the directory `directory` and of the files `names` in it, links not followed: one walk along the path
    /// for all of them, which is half of what looking at a file costs. `None` for what is not there.
    #[cfg(unix)]
    pub fn of_all(directory: &Path, names: &[&str]) -> (Option<Fingerprint>, Vec<Option<Fingerprint>>) {
        use rustix::fs::{AtFlags, Mode, OFlags, fstat, open, statat};
        #[cfg(target_os = "linux")]
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        #[cfg(not(target_os = "linux"))]
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let Ok(opened) = open(directory, flags, Mode::empty()) else { return (None, vec![None; names.len()]) };
        let own = fstat(&opened).ok().map(|stat| Fingerprint::of_stat(&stat));
        let one = |name: &&str| statat(&opened, *name, AtFlags::SYMLINK_NOFOLLOW).ok();
        (own, names.iter().map(|name| one(name).map(|stat| Fingerprint::of_stat(&stat))).collect())
    }

    /// The same, one by one.
    #[cfg(not(unix))]
    pub fn of_all(directory: &Path, names: &[&str]) -> (Option<Fingerprint>, Vec<Option<Fingerprint>>) {
        let of = |path: &Path| fs::symlink_metadata(path).ok().map(|metadata| Fingerprint::of(&metadata));
        (of(directory), names.iter().map(|name| of(&directory.join(name))).collect())
    }

    #[cfg(unix)]
    #[allow(clippy::unnecessary_cast, reason = "the fields' types differ from system to system")]
    fn of_stat(stat: &rustix::fs::Stat) -> Fingerprint {
        let nanoseconds = |seconds: i64, rest: i64| i128::from(seconds) * 1_000_000_000 + i128::from(rest);
        Fingerprint {
            size: stat.st_size as u64,
            mtime_ns: nanoseconds(stat.st_mtime as i64, stat.st_mtime_nsec as i64),
            ctime_ns: nanoseconds(stat.st_ctime as i64, stat.st_ctime_nsec as i64),
            inode: stat.st_ino as u64,
            device: stat.st_dev as u64,
            mode: stat.st_mode as u32,
        }
    }

    /// As bytes, for files of those who keep fingerprints themselves.
    pub fn to_bytes(&self) -> [u8; FINGERPRINT_LENGTH] {
        let mut bytes = [0; FINGERPRINT_LENGTH];
        let numbers = [self.size, self.inode, self.device, self.mtime_ns as u64, self.ctime_ns as u64];
        for (place, number) in bytes.chunks_exact_mut(8).zip(numbers) {
            place.copy_from_slice(&number.to_le_bytes());
        }
        bytes[40..].copy_from_slice(&self.mode.to_le_bytes());
        bytes
    }

    /// Undoes `to_bytes`. (Nanoseconds since 1970 fit into 63 bits until 2262.)
    pub fn from_bytes(bytes: &[u8; FINGERPRINT_LENGTH]) -> Fingerprint {
        let number = |index: usize| {
            let part: [u8; 8] = bytes[index * 8..][..8].try_into().expect("eight bytes");
            u64::from_le_bytes(part)
        };
        Fingerprint {
            size: number(0),
            inode: number(1),
            device: number(2),
            mtime_ns: i128::from(number(3) as i64),
            ctime_ns: i128::from(number(4) as i64),
            mode: u32::from_le_bytes(bytes[40..].try_into().expect("four bytes")),
        }
    }

    /// Is the owner's executable bit set?
    pub fn is_executable(&self) -> bool {
        self.mode & 0o100 != 0
    }

    /// Had the file been still long enough at `moment_ns` for a later change to be seen?
    pub fn is_settled(&self, moment_ns: i128) -> bool {
        self.mtime_ns.max(self.ctime_ns) < moment_ns.saturating_sub(GRANULARITY_NS)
    }
}

#[derive(Clone, Copy)]
struct Recorded {
    fingerprint: Fingerprint,
    moment_ns: i128,
    digest: Digest,
}

/// Digests by absolute path. Shared by threads; saved once at the end.
pub struct StatSnapshot {
    file: PathBuf,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    entries: HashMap<PathBuf, Recorded>,
    changed: bool,
}

impl StatSnapshot {
    /// Reads the snapshot at `file`; one that is missing, torn or of another version is an empty one.
    pub fn open(file: &Path) -> StatSnapshot {
        let entries = fs::read(file).ok().and_then(|bytes| decode(&bytes)).unwrap_or_default();
        StatSnapshot { file: file.to_owned(), state: Mutex::new(State { entries, changed: false }) }
    }

    /// The digest of the file at `path`, whose metadata (of the file itself, links not followed) is `metadata`.
    /// Hashes it only if the snapshot has no entry that can be believed.
    pub fn digest(&self, path: &Path, metadata: &Metadata) -> io::Result<Digest> {
        let fingerprint = Fingerprint::of(metadata);
        {
            let state = self.state.lock().expect("no panic while locked");
            if let Some(recorded) = state.entries.get(path)
                && recorded.fingerprint == fingerprint
                && recorded.fingerprint.is_settled(recorded.moment_ns)
            {
                return Ok(recorded.digest);
            }
        }
        // The moment is taken before the first byte is read: a change while reading is then younger than it.
        let moment_ns = now_ns();
        let digest = Digest::of_file(path)?;
        let mut state = self.state.lock().expect("no panic while locked");
        state.changed = true;
        state.entries.insert(path.to_owned(), Recorded { fingerprint, moment_ns, digest });
        Ok(digest)
    }

    /// Saves what was learned. Entries of files that are gone are dropped now and then: when there are twice
    /// as many as were asked for.
    pub fn save(&self) -> io::Result<()> {
        let mut state = self.state.lock().expect("no panic while locked");
        if !state.changed {
            return Ok(());
        }
        if state.entries.len() > 200_000 {
            state.entries.retain(|path, _| fs::symlink_metadata(path).is_ok());
        }
        write_atomically(&self.file, &encode(&state.entries))?;
        state.changed = false;
        Ok(())
    }
}

/// Nanoseconds since 1970.
pub fn now_ns() -> i128 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |duration| duration.as_nanos() as i128)
}

fn encode(entries: &HashMap<PathBuf, Recorded>) -> Vec<u8> {
    let mut sorted: Vec<_> = entries.iter().collect();
    sorted.sort_by_key(|(path, _)| *path);
    let mut body = Vec::with_capacity(entries.len() * 160);
    for (path, recorded) in sorted {
        let Some(path) = path.to_str() else { continue };
        body.extend_from_slice(&(path.len() as u32).to_le_bytes());
        body.extend_from_slice(path.as_bytes());
        let fingerprint = &recorded.fingerprint;
        for number in [fingerprint.size, fingerprint.inode, fingerprint.device, recorded.digest.size()] {
            body.extend_from_slice(&number.to_le_bytes());
        }
        for number in [fingerprint.mtime_ns, fingerprint.ctime_ns, recorded.moment_ns] {
            body.extend_from_slice(&number.to_le_bytes());
        }
        body.extend_from_slice(&fingerprint.mode.to_le_bytes());
        body.extend_from_slice(recorded.digest.hash());
    }
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(Digest::of(&body).hash());
    bytes.extend_from_slice(&body);
    bytes
}

fn decode(bytes: &[u8]) -> Option<HashMap<PathBuf, Recorded>> {
    let rest = bytes.strip_prefix(MAGIC)?;
    let (checksum, body) = rest.split_at_checked(32)?;
    if Digest::of(body).hash() != checksum {
        return None;
    }
    let mut reader = Reader(body);
    let mut entries = HashMap::new();
    while !reader.0.is_empty() {
        let length = u32::from_le_bytes(reader.take()?) as usize;
        let (path, after) = reader.0.split_at_checked(length)?;
        let path = PathBuf::from(std::str::from_utf8(path).ok()?);
        reader.0 = after;
        let size = u64::from_le_bytes(reader.take()?);
        let inode = u64::from_le_bytes(reader.take()?);
        let device = u64::from_le_bytes(reader.take()?);
        let digest_size = u64::from_le_bytes(reader.take()?);
        let mtime_ns = i128::from_le_bytes(reader.take()?);
        let ctime_ns = i128::from_le_bytes(reader.take()?);
        let moment_ns = i128::from_le_bytes(reader.take()?);
        let mode = u32::from_le_bytes(reader.take()?);
        let digest = Digest::from_parts(reader.take()?, digest_size);
        let fingerprint = Fingerprint { size, mtime_ns, ctime_ns, inode, device, mode };
        entries.insert(path, Recorded { fingerprint, moment_ns, digest });
    }
    Some(entries)
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, tail) = self.0.split_first_chunk::<N>()?;
        self.0 = tail;
        Some(*head)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fingerprint(time_ns: i128) -> Fingerprint {
        Fingerprint { size: 1, mtime_ns: time_ns, ctime_ns: time_ns, inode: 2, device: 3, mode: 0o100_644 }
    }

    /// Two ways of asking, one answer.
    #[test]
    fn looking_at_all_is_looking_at_each() {
        let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let (own, files) = Fingerprint::of_all(&here, &["lib.rs", "nowhere.rs", "tree.rs"]);
        let of = |path: &Path| Some(Fingerprint::of(&fs::symlink_metadata(path).unwrap()));
        assert_eq!(own, of(&here));
        assert_eq!(files, [of(&here.join("lib.rs")), None, of(&here.join("tree.rs"))]);
        assert_eq!(Fingerprint::of_all(&here.join("lib.rs"), &["x"]), (None, vec![None]));
    }

    #[test]
    fn fingerprints_as_bytes() {
        let one = Fingerprint { mtime_ns: 1_795_489_445_123_456_789, ..fingerprint(7) };
        assert_eq!(Fingerprint::from_bytes(&one.to_bytes()), one);
    }

    #[test]
    fn racily_clean_entries_are_not_settled() {
        let second = 1_000_000_000;
        assert!(!fingerprint(100 * second).is_settled(100 * second));
        assert!(!fingerprint(100 * second).is_settled(102 * second));
        assert!(fingerprint(100 * second).is_settled(103 * second));
        // A clock that was put back: the file is younger than the recording.
        assert!(!fingerprint(100 * second).is_settled(50 * second));
    }

    #[test]
    fn format_round_trips_and_damage_empties_it() {
        let recorded = Recorded { fingerprint: fingerprint(5), moment_ns: 9, digest: Digest::of(b"x") };
        let entries = HashMap::from([(PathBuf::from("/a/b"), recorded), (PathBuf::from("/c"), recorded)]);
        let good = encode(&entries);
        let read = decode(&good).unwrap();
        assert_eq!(read.len(), 2);
        assert_eq!(read[Path::new("/a/b")].digest, Digest::of(b"x"));
        assert_eq!(read[Path::new("/c")].fingerprint, fingerprint(5));
        for length in 0..good.len() {
            assert!(decode(&good[..length]).is_none(), "cut at {length}");
        }
        for index in 0..good.len() {
            let mut bad = good.clone();
            bad[index] ^= 0x10;
            assert!(decode(&bad).is_none(), "flipped at {index}");
        }
    }
}
