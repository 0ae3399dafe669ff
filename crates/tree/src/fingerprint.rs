//! How a file looks from outside: what one `stat` tells.

use std::fs::Metadata;
use std::io;
use std::path::Path;

/// What a name stands for, as far as inputs go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A socket, a FIFO, a device: holds nothing that could be an input.
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

    /// From what the system said; without inodes and change times, so never believed (see `is_older_than`).
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

    /// Of the directory `directory` and of the files `names` in it, links not followed: one walk along the path
    /// for all of them, which is half of what looking at a file costs. `None` for what is not there.
    pub fn of_all(directory: &Path, names: &[&str]) -> (Option<Fingerprint>, Vec<Option<Fingerprint>>) {
        let Ok(opened) = OpenDirectory::new(directory) else { return (None, vec![None; names.len()]) };
        (opened.own().ok(), names.iter().map(|name| opened.stat(name).ok()).collect())
    }

    /// Of the directory at `path`, and whether its times tell when a name in it comes or goes; `None` if it is not there.
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

    /// Was the last change of anything about it before `boundary_ns`? (Only the change time tells: others can be set.)
    pub fn is_older_than(&self, boundary_ns: i128) -> bool {
        self.ctime_ns < boundary_ns
    }

    /// Size, in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The device that it lies on.
    pub fn device(&self) -> u64 {
        self.device
    }

    /// The same with another size.
    pub(crate) fn with_size(self, size: u64) -> Fingerprint {
        Fingerprint { size, ..self }
    }

    /// When anything about it changed last, in nanoseconds since 1970.
    pub fn ctime_ns(&self) -> i128 {
        self.ctime_ns
    }

    /// The kind of file, of those that can be inputs.
    pub(crate) fn kind(&self) -> Kind {
        match self.mode & 0o170_000 {
            0o100_000 => Kind::File,
            0o040_000 => Kind::Directory,
            0o120_000 => Kind::Link,
            _ => Kind::Other,
        }
    }

    /// A number that sums of which differ, for all practical purposes, when the files look different.
    pub fn stat_digest(&self) -> u64 {
        self.to_bytes().chunks(8).fold(0xcbf2_9ce4_8422_2325, |sum: u64, part| {
            let mut word = [0; 8];
            word[..part.len()].copy_from_slice(part);
            (sum ^ u64::from_le_bytes(word)).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29)
        })
    }
}

/// A directory through which the files in it are looked at by name.
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
    /// Opens it; what is in it can't be listed through this.
    pub fn new(path: &Path) -> io::Result<OpenDirectory> {
        use rustix::fs::{Mode, OFlags, open};
        #[cfg(target_os = "linux")]
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        #[cfg(not(target_os = "linux"))]
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(OpenDirectory { descriptor: retry_on_intr(|| open(path, flags, Mode::empty()))? })
    }

    /// How the directory itself looks.
    pub fn own(&self) -> io::Result<Fingerprint> {
        Ok(Fingerprint::of_stat(&rustix::fs::fstat(&self.descriptor)?))
    }

    /// How the file `name` in it looks, links not followed.
    pub fn stat(&self, name: &str) -> io::Result<Fingerprint> {
        let stat = rustix::fs::statat(&self.descriptor, name, rustix::fs::AtFlags::SYMLINK_NOFOLLOW)?;
        Ok(Fingerprint::of_stat(&stat))
    }

    /// Opens the file `name` in it for reading. A link is not followed, and a FIFO that took the name is not waited for.
    pub fn open_file(&self, name: &str) -> io::Result<std::fs::File> {
        use rustix::fs::{Mode, OFlags, openat};
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        Ok(retry_on_intr(|| openat(&self.descriptor, name, flags, Mode::empty()))?.into())
    }

    /// What is in it: names and kinds.
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
                // Some file systems do not say.
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

    /// Does the file system keep a directory's times in step with its names? Of network and other foreign file
    /// systems nobody knows.
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
        std::fs::File::open(self.path.join(name))
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
        // A clock that was put back: the file is younger than the recording.
        assert!(!fingerprint(100).is_older_than(50));
    }

    /// Each part of the looks counts.
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
