//! `Fingerprint`: the stat data of a file.

use std::fs::Metadata;
use std::io;
use std::path::Path;

use rondel_cas::messages::UnixMode;

use crate::modes::counted_mode;

/// Type of a name, as far as inputs go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A socket, a FIFO or a device, which can't be an input.
    Other = 0,
    File = 1,
    Directory = 2,
    Link = 3,
}

impl Kind {
    pub fn of(number: u8) -> Kind {
        match number {
            1 => Kind::File,
            2 => Kind::Directory,
            3 => Kind::Link,
            _ => Kind::Other,
        }
    }
}

/// Length of a fingerprint in bytes.
pub const FINGERPRINT_LENGTH: usize = 44;

/// The stat data of a file.
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
    /// Returns the fingerprint of `stat` data.
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

    /// Returns the fingerprint of the system's data. Without inodes and change times it is never believed (see
    /// `is_older_than`).
    #[cfg(not(unix))]
    pub fn of(metadata: &Metadata) -> Fingerprint {
        let mode = match metadata {
            _ if metadata.is_symlink() => 0o120_000,
            _ if metadata.is_dir() => 0o040_000,
            _ if metadata.is_file() => 0o100_000,
            _ => 0,
        };
        Fingerprint { size: metadata.len(), mtime_ns: 0, ctime_ns: i128::MAX, inode: 0, device: 0, mode }
    }

    /// Returns the fingerprints of `directory` and of the files `names` in it, links not followed; `None` for missing
    /// ones. One walk along the path serves all of them, which halves the cost of a file.
    pub fn of_all(directory: &Path, names: &[&str]) -> (Option<Fingerprint>, Vec<Option<Fingerprint>>) {
        let Ok(opened) = OpenDirectory::new(directory) else { return (None, vec![None; names.len()]) };
        (opened.own().ok(), names.iter().map(|name| opened.stat(name).ok()).collect())
    }

    /// Returns the fingerprint of the directory at `path`, and whether its times show that a name in it came or went.
    /// Returns `None` if it is missing.
    pub fn of_directory(path: &Path) -> Option<(Fingerprint, bool)> {
        let opened = OpenDirectory::new(path).ok()?;
        Some((opened.own().ok()?, opened.tracks_names()))
    }

    #[cfg(unix)]
    #[allow(clippy::unnecessary_cast, reason = "the fields' types differ from system to system")]
    pub(crate) fn of_stat(stat: &rustix::fs::Stat) -> Fingerprint {
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

    /// Returns the bytes for files of callers that store fingerprints themselves.
    pub fn to_bytes(&self) -> [u8; FINGERPRINT_LENGTH] {
        let mut bytes = [0; FINGERPRINT_LENGTH];
        let numbers = [self.size, self.inode, self.device, self.mtime_ns as u64, self.ctime_ns as u64];
        for (place, number) in bytes.chunks_exact_mut(8).zip(numbers) {
            place.copy_from_slice(&number.to_le_bytes());
        }
        bytes[40..].copy_from_slice(&self.mode.to_le_bytes());
        bytes
    }

    /// Reverses `to_bytes`. (Nanoseconds since 1970 fit into 63 bits until 2262.)
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

    /// Returns true if the owner's executable bit is set.
    pub fn is_executable(&self) -> bool {
        self.mode & 0o100 != 0
    }

    /// Returns the permission bits, if they count for a reader.
    pub fn counted_mode(&self) -> Option<UnixMode> {
        counted_mode(self.mode)
    }

    /// Returns true if its last change of any kind was before `boundary_ns`. (Only the change time counts: others can
    /// be set.)
    pub fn is_older_than(&self, boundary_ns: i128) -> bool {
        self.ctime_ns < boundary_ns
    }

    /// Returns true if this may be the file of an earlier fingerprint with another name: all but the time of change is
    /// the same.
    pub(crate) fn is_moved(&self, earlier: &Fingerprint) -> bool {
        self.ctime_ns >= earlier.ctime_ns
            && self.ctime_ns != i128::MAX
            && Fingerprint { ctime_ns: 0, ..*self } == Fingerprint { ctime_ns: 0, ..*earlier }
    }

    /// Returns the size in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Returns the device of the file.
    pub fn device(&self) -> u64 {
        self.device
    }

    /// Returns the fingerprint with another size.
    pub(crate) fn with_size(self, size: u64) -> Fingerprint {
        Fingerprint { size, ..self }
    }

    /// Returns the last change of any kind, in nanoseconds since 1970.
    pub fn ctime_ns(&self) -> i128 {
        self.ctime_ns
    }

    /// Returns the kind of file, as far as inputs go.
    pub(crate) fn kind(&self) -> Kind {
        match self.mode & 0o170_000 {
            0o100_000 => Kind::File,
            0o040_000 => Kind::Directory,
            0o120_000 => Kind::Link,
            _ => Kind::Other,
        }
    }

    /// Returns a number. When files look different, sums of these numbers differ, for all practical purposes.
    pub fn stat_digest(&self) -> u64 {
        self.to_bytes().chunks(8).fold(0xcbf2_9ce4_8422_2325, |sum: u64, part| {
            let mut word = [0; 8];
            word[..part.len()].copy_from_slice(part);
            (sum ^ u64::from_le_bytes(word)).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29)
        })
    }
}

/// An open directory, in which files are found by name.
pub(crate) struct OpenDirectory {
    #[cfg(unix)]
    descriptor: rustix::fd::OwnedFd,
    #[cfg(not(unix))]
    path: std::path::PathBuf,
}

#[cfg(unix)]
use rustix::io::retry_on_intr;

#[cfg(unix)]
impl OpenDirectory {
    /// Opens a directory; its contents can't be listed through this.
    pub fn new(path: &Path) -> io::Result<OpenDirectory> {
        use rustix::fs::{Mode, OFlags, open};
        #[cfg(target_os = "linux")]
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        #[cfg(not(target_os = "linux"))]
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(OpenDirectory { descriptor: retry_on_intr(|| open(path, flags, Mode::empty()))? })
    }

    /// Returns the fingerprint of the directory itself.
    pub fn own(&self) -> io::Result<Fingerprint> {
        Ok(Fingerprint::of_stat(&rustix::fs::fstat(&self.descriptor)?))
    }

    /// Returns the fingerprint of the file `name` in it, links not followed.
    pub fn stat(&self, name: &str) -> io::Result<Fingerprint> {
        let stat = rustix::fs::statat(&self.descriptor, name, rustix::fs::AtFlags::SYMLINK_NOFOLLOW)?;
        Ok(Fingerprint::of_stat(&stat))
    }

    /// Opens the file `name` in it for reading. Does not follow a link, and does not wait for a FIFO that took the
    /// name.
    pub fn open_file(&self, name: &str) -> io::Result<std::fs::File> {
        use rustix::fs::{Mode, OFlags, openat};
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        Ok(retry_on_intr(|| openat(&self.descriptor, name, flags, Mode::empty()))?.into())
    }

    /// Returns the names in it and their kinds.
    pub fn names(&self) -> io::Result<Vec<(std::ffi::OsString, Kind)>> {
        use rustix::fs::{Dir, FileType, Mode, OFlags, openat};
        use std::os::unix::ffi::OsStrExt;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let mut names = Vec::new();
        for entry in Dir::new(retry_on_intr(|| openat(&self.descriptor, ".", flags, Mode::empty()))?)? {
            let entry = entry?;
            let bytes = entry.file_name().to_bytes();
            if bytes == b"." || bytes == b".." {
                continue;
            }
            let kind = match entry.file_type() {
                FileType::RegularFile => Kind::File,
                FileType::Directory => Kind::Directory,
                FileType::Symlink => Kind::Link,
                // Some file systems do not report the type.
                FileType::Unknown => {
                    let fingerprint =
                        rustix::fs::statat(&self.descriptor, entry.file_name(), rustix::fs::AtFlags::SYMLINK_NOFOLLOW);
                    fingerprint.map_or(Kind::Other, |fingerprint| Fingerprint::of_stat(&fingerprint).kind())
                }
                _ => Kind::Other,
            };
            names.push((std::ffi::OsStr::from_bytes(bytes).to_owned(), kind));
        }
        Ok(names)
    }

    /// Returns true if the file system changes a directory's times with its names. For network and other foreign file
    /// systems this is unknown.
    #[cfg(target_os = "linux")]
    pub fn tracks_names(&self) -> bool {
        // ext, xfs, btrfs, tmpfs, overlay, f2fs, zfs, bcachefs (statfs(2)).
        const KNOWN: [i64; 8] =
            [0xef53, 0x5846_5342, 0x9123_683e, 0x0102_1994, 0x794c_7630, 0xf2f5_2010, 0x2fc1_2fc1, 0xca45_1a4e];
        rustix::fs::fstatfs(&self.descriptor).is_ok_and(|found| KNOWN.contains(&(i64::from(found.f_type as u32))))
    }

    #[cfg(not(target_os = "linux"))]
    pub fn tracks_names(&self) -> bool {
        false
    }
}

#[cfg(not(unix))]
impl OpenDirectory {
    pub fn new(path: &Path) -> io::Result<OpenDirectory> {
        if std::fs::metadata(path)?.is_dir() {
            return Ok(OpenDirectory { path: path.to_owned() });
        }
        Err(io::Error::from(io::ErrorKind::NotADirectory))
    }

    pub fn own(&self) -> io::Result<Fingerprint> {
        Ok(Fingerprint::of(&std::fs::metadata(&self.path)?))
    }

    pub fn stat(&self, name: &str) -> io::Result<Fingerprint> {
        Ok(Fingerprint::of(&std::fs::symlink_metadata(self.path.join(name))?))
    }

    pub fn open_file(&self, name: &str) -> io::Result<std::fs::File> {
        rondel_cas::open_regular(&self.path.join(name)).map(|(file, _)| file)
    }

    pub fn names(&self) -> io::Result<Vec<(std::ffi::OsString, Kind)>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.path)? {
            let entry = entry?;
            names.push((entry.file_name(), Fingerprint::of(&entry.metadata()?).kind()));
        }
        Ok(names)
    }

    pub fn tracks_names(&self) -> bool {
        false
    }
}

/// Nanoseconds since 1970.
pub(crate) fn now_ns() -> i128 {
    use std::time::{SystemTime, UNIX_EPOCH};
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |duration| duration.as_nanos() as i128)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fingerprint(time: i128) -> Fingerprint {
        Fingerprint { size: 1, mtime_ns: time, ctime_ns: time, inode: 1, device: 1, mode: 0o100644 }
    }

    #[test]
    fn bytes_round_trip() {
        let one = Fingerprint { mtime_ns: 1_795_489_445_123_456_789, ..fingerprint(7) };
        assert_eq!(Fingerprint::from_bytes(&one.to_bytes()), one);
    }

    #[test]
    fn neither_tick_nor_boundary_may_be_the_same() {
        assert!(!fingerprint(100).is_older_than(100) && fingerprint(99).is_older_than(100));
        // A clock that was put back: the file is younger than its record.
        assert!(!fingerprint(100).is_older_than(50));
    }

    /// Each part of the stat data counts.
    #[test]
    fn fingerprints_differ() {
        let base = fingerprint(5);
        let others = [
            Fingerprint { size: 2, ..base },
            Fingerprint { mtime_ns: 6, ..base },
            Fingerprint { ctime_ns: 6, ..base },
            Fingerprint { inode: 2, ..base },
            Fingerprint { device: 2, ..base },
            Fingerprint { mode: 0o100755, ..base },
        ];
        for other in others {
            assert!(other != base && other.stat_digest() != base.stat_digest(), "{other:?}");
        }
    }
}
