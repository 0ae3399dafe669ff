//! Notification by inotify, see inotify(7).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::OsStr;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::io::Errno;

use crate::changes::Changes;

/// What is told of a directory: names that come, go and move, contents and permissions of files.
pub(crate) const DIRECTORY: WatchFlags = WatchFlags::CREATE
    .union(WatchFlags::DELETE)
    .union(WatchFlags::MODIFY)
    .union(WatchFlags::CLOSE_WRITE)
    .union(WatchFlags::ATTRIB)
    .union(WatchFlags::MOVE)
    .union(WatchFlags::DELETE_SELF)
    .union(WatchFlags::MOVE_SELF)
    .union(WatchFlags::ONLYDIR);

/// File systems on which others can write without a word to this kernel: NFS, SMB, CIFS, 9p, FUSE, Ceph, AFS, Coda. By their numbers
/// in statfs(2).
const SILENT: &[u64] =
    &[0x6969, 0x517B, 0xFF53_4D42, 0xFE53_4D42, 0x0102_1997, 0x6573_5546, 0x00C3_6400, 0x5346_414F, 0x7375_7245];

pub(crate) struct Notify {
    queue: OwnedFd,
    watches: BTreeMap<PathBuf, i32>,
    places: HashMap<i32, PathBuf>,
}

impl Notify {
    /// Returns `None` where the kernel has none left for this user.
    pub fn new() -> Option<Notify> {
        let queue = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).ok()?;
        Some(Notify { queue, watches: BTreeMap::new(), places: HashMap::new() })
    }

    /// Watches exactly these directories. Fails with a reason where not all of them can be.
    pub fn set(&mut self, directories: &BTreeSet<PathBuf>) -> Result<(), String> {
        let gone: Vec<PathBuf> = self.watches.keys().filter(|path| !directories.contains(*path)).cloned().collect();
        for path in gone {
            self.forget(&path);
        }
        for directory in directories {
            self.add(directory)?;
        }
        Ok(())
    }

    fn add(&mut self, directory: &Path) -> Result<(), String> {
        let is_new = !self.watches.contains_key(directory);
        if is_new && is_silent(directory) {
            return Err(format!("the file system of `{}` tells of no changes that others make", directory.display()));
        }
        // Also for one that is watched: it may be another directory of the same name by now.
        match inotify::add_watch(&self.queue, directory, DIRECTORY) {
            Ok(watch) => {
                if let Some(former) = self.watches.insert(directory.to_owned(), watch).filter(|former| *former != watch)
                {
                    self.places.remove(&former);
                    let _ = inotify::remove_watch(&self.queue, former);
                }
                self.places.insert(watch, directory.to_owned());
                Ok(())
            }
            Err(Errno::NOSPC) => Err("the system has no more watches (fs.inotify.max_user_watches)".to_owned()),
            Err(Errno::NOMEM) => Err("the system has no memory for more watches".to_owned()),
            // It is gone, which the directory above tells, or nobody may read it.
            Err(_) => {
                self.forget(directory);
                Ok(())
            }
        }
    }

    fn forget(&mut self, directory: &Path) {
        if let Some(watch) = self.watches.remove(directory) {
            self.places.remove(&watch);
            let _ = inotify::remove_watch(&self.queue, watch);
        }
    }

    /// Returns what was told, and waits at most `patience` for it.
    pub fn next(&mut self, patience: Duration) -> Changes {
        let time = Timespec {
            tv_sec: i64::try_from(patience.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: patience.subsec_nanos().into(),
        };
        let _ = poll(&mut [PollFd::new(&self.queue, PollFlags::IN)], Some(&time));
        let mut changes = Changes::default();
        let mut buffer = [MaybeUninit::uninit(); 16 * 1024];
        let mut gone = Vec::new();
        let mut reader = inotify::Reader::new(&self.queue, &mut buffer);
        while let Ok(event) = reader.next() {
            if event.events().contains(ReadFlags::QUEUE_OVERFLOW) {
                changes.add(Changes::everything());
            }
            let Some(place) = self.places.get(&event.wd()) else { continue };
            match event.file_name() {
                Some(name) => changes.insert(place.join(OsStr::from_bytes(name.to_bytes()))),
                None => changes.insert(place.clone()),
            }
            if event.events().contains(ReadFlags::IGNORED) {
                gone.push(place.clone());
            }
        }
        for place in gone {
            self.forget(&place);
        }
        changes
    }
}

fn is_silent(directory: &Path) -> bool {
    file_system(directory).is_some_and(|number| SILENT.contains(&number))
}

/// Returns the number of the file system that a directory is on, see statfs(2).
pub(crate) fn file_system(directory: &Path) -> Option<u64> {
    // The width of the field differs from machine to machine.
    #[allow(
        clippy::cast_sign_loss,
        clippy::unnecessary_cast,
        reason = "a number with 32 bits, on some machines in a signed field"
    )]
    rustix::fs::statfs(directory).ok().map(|system| system.f_type as u64 & 0xFFFF_FFFF)
}
