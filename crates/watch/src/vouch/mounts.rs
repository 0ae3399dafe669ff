//! The table of mounts, and what of it concerns some directories: what is mounted on the way to them or in them, and an overlay that writes into
//! them. It does not know the mounts of other processes.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{open_proc, read_proc};

const TABLE: &str = "/proc/self/mountinfo";

/// The table of mounts as it was last read.
pub(super) struct Mounts {
    /// It is readable with priority once something was mounted or unmounted since it was asked.
    table: File,
    lines: BTreeSet<Vec<u8>>,
}

impl Mounts {
    /// Reads it; `None` where there is none.
    pub fn read() -> Option<Mounts> {
        let table = open_proc(Path::new(TABLE)).ok()?;
        Some(Mounts { table, lines: lines()? })
    }

    /// Returns true if something was mounted or unmounted since the last call, or an overlay came, that concerns a directory:
    /// what a path leads to may be something else since. Also if that can't be told.
    pub fn have_changed(&mut self, concerns: &dyn Fn(&Path) -> bool) -> bool {
        let table = self.table.as_fd();
        let mut wait = [PollFd::new(&table, PollFlags::PRI)];
        if poll(&mut wait, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).is_ok_and(|count| count == 0) {
            return false;
        }
        let Some(lines) = lines() else { return true };
        let is_other = differ(&self.lines, &lines, concerns);
        self.lines = lines;
        is_other
    }

    /// Returns true if an overlay file system writes into a directory that concerns. What is written through it to a file is not told of
    /// the file below.
    pub fn have_upper(&self, concerns: &dyn Fn(&Path) -> bool) -> bool {
        self.lines.iter().filter_map(|line| upper(line)).any(|path| is_concerned(&path, concerns))
    }
}

fn lines() -> Option<BTreeSet<Vec<u8>>> {
    Some(read_proc(Path::new(TABLE)).ok()?.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect())
}

/// Returns true if a line that only one of both has is about a directory that concerns.
fn differ(old: &BTreeSet<Vec<u8>>, new: &BTreeSet<Vec<u8>>, concerns: &dyn Fn(&Path) -> bool) -> bool {
    old.symmetric_difference(new).filter(|line| !line.is_empty()).any(|line| {
        // `36 35 98:0 /root /mount/point options - type source options of the file system`, see proc_pid_mountinfo(5).
        let Some(point) = line.split(|byte| *byte == b' ').nth(4) else { return true };
        is_concerned(&unescaped(point), concerns) || upper(line).is_some_and(|path| is_concerned(&path, concerns))
    })
}

/// A path that is not absolute may lead anywhere.
fn is_concerned(path: &Path, concerns: &dyn Fn(&Path) -> bool) -> bool {
    !path.is_absolute() || concerns(path)
}

/// Returns the directory that an overlay writes to.
fn upper(line: &[u8]) -> Option<PathBuf> {
    let mut words = line.split(|byte| *byte == b' ').skip_while(|word| *word != b"-");
    words.nth(1).filter(|kind| *kind == b"overlay")?;
    let options = words.nth(1)?.split(|byte| *byte == b',');
    options.filter_map(|option| option.strip_prefix(b"upperdir=")).map(unescaped).next()
}

/// Reads spaces and the like, which are written as `\040`.
fn unescaped(text: &[u8]) -> PathBuf {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let [first, after @ ..] = rest {
        let number = after.get(..3).filter(|_| *first == b'\\').and_then(|digits| std::str::from_utf8(digits).ok());
        match number.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[3..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    PathBuf::from(OsString::from_vec(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: &str = "22 1 254:0 / / rw,relatime - ext4 /dev/vda rw";

    fn table(lines: &[&str]) -> BTreeSet<Vec<u8>> {
        lines.iter().map(|line| line.as_bytes().to_vec()).collect()
    }

    #[test]
    fn what_concerns_a_directory() {
        let concerns =
            |path: &Path| Path::new("/srv/my tree/in").starts_with(path) || path.starts_with("/srv/my tree/in");
        let layers = "lowerdir=/srv/my\\040tree/in,workdir=/w";
        for (line, expected) in [
            (
                "30 22 0:40 / /var/lib/docker/overlay2/x/merged rw - overlay overlay rw,lowerdir=/l,upperdir=/u,workdir=/w",
                false,
            ),
            ("30 22 0:40 / /srv rw - tmpfs tmpfs rw", true),
            ("30 22 0:40 / /srv/my\\040tree/in/deep rw shared:3 - tmpfs tmpfs rw", true),
            ("30 22 0:40 / /srv/mine rw - tmpfs tmpfs rw", false),
            (&format!("30 22 0:40 / /mnt rw - overlay overlay rw,{layers},upperdir=/srv/my\\040tree"), true),
            (&format!("30 22 0:40 / /mnt rw - overlay overlay rw,{layers},upperdir=/other"), false),
            (&format!("30 22 0:40 / /mnt rw - overlay overlay rw,{layers},upperdir=up"), true),
            ("30 22 0:40 / /mnt rw - ext4 /dev/upperdir=/srv rw", false),
            ("nonsense", true),
        ] {
            let (old, new) = (table(&[ROOT]), table(&[ROOT, line]));
            assert!(!differ(&new, &new, &concerns));
            assert_eq!(differ(&old, &new, &concerns), expected, "{line}");
            assert_eq!(differ(&new, &old, &concerns), expected, "{line}");
            let mounts = Mounts { table: open_proc(Path::new(TABLE)).unwrap(), lines: new };
            let writes = mounts.have_upper(&concerns);
            assert_eq!(writes, expected && line.contains(",upperdir"), "{line}");
        }
        // The same place with something else on it.
        let other = ROOT.replace("/dev/vda", "/dev/vdb");
        assert!(differ(&table(&[ROOT]), &table(&[&other]), &concerns));
    }
}
