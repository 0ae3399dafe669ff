//! `Books`: which directories are watched, what has happened in them, and what was found.
//!
//! Moments are numbers that grow with what happens. A finding holds if each of its directories was watched before the look began, and
//! nothing has happened there since.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::io::Errno;

use super::writers::has_writers;
use super::{Key, protocol::Answer, read_proc};
use crate::notify::{DIRECTORY, file_system};

/// What is told of a file, under whatever name. That it gets another name is told of the file alone, and so is what is written under that one. Who opens
/// it may map it, and what is written to a mapping is not told.
const FILE: WatchFlags = WatchFlags::MODIFY
    .union(WatchFlags::CLOSE_WRITE)
    .union(WatchFlags::ATTRIB)
    .union(WatchFlags::OPEN)
    .union(WatchFlags::DELETE_SELF)
    .union(WatchFlags::MOVE_SELF)
    .union(WatchFlags::DONT_FOLLOW);

/// File systems on which this kernel sees every change: ext2 to ext4, XFS, Btrfs, tmpfs, F2FS, bcachefs. (Not ZFS:
/// a rollback exchanges what is below.) By their numbers in statfs(2).
const KNOWN: &[u64] = &[0xEF53, 0x5846_5342, 0x9123_683E, 0x0102_1994, 0xF2F5_2010, 0xCA45_1A4E];

/// The most findings. One more, and all are forgotten.
const FINDINGS_MAX: usize = 256;
/// The most directories that are gone and still in the list.
const GONE_MAX: usize = 1000;
/// Time in nanoseconds within which a file can change without looking different: some ticks of a coarse clock.
const TICK_NS: i128 = 100_000_000;
/// The most opened files that are looked at for one answer.
const OPENED_MAX: usize = 5000;

/// What a file looks like from outside: device, number, mode, links, owner, size, and the times of contents and status.
type Look = [i128; 8];
/// Places in it: of the device, of the file's number, of the last change of its status.
const DEVICE: usize = 0;
const NUMBER: usize = 1;
const CHANGED: usize = 7;

struct Directory {
    path: PathBuf,
    /// Device and number.
    number: (u64, u64),
    /// `None` once the directory is gone.
    watch: Option<i32>,
    /// When the youngest watch of it and of its files began.
    watched_since: u64,
    /// When something last happened in it.
    changed: u64,
    /// What its files looked like when the last finding was kept; `None` if something has happened since, or if one can't be watched.
    looks: Option<HashMap<OsString, Look>>,
    /// When that was, in nanoseconds since 1970.
    looked_ns: i128,
    /// Files that are looked at for each answer: they were opened since.
    opened: HashSet<OsString>,
}

/// What a watch is of.
enum Watched {
    /// A directory, by its place in the list.
    Directory(usize),
    /// A file, by all its names here.
    File(Vec<(usize, OsString)>),
}

struct Finding {
    bytes: Vec<u8>,
    /// When the look began.
    since: u64,
    /// Places in the list of directories.
    places: Vec<usize>,
}

/// The books of a resident watcher.
pub(super) struct Books {
    queue: OwnedFd,
    now: u64,
    directories: Vec<Directory>,
    by_path: HashMap<PathBuf, usize>,
    by_watch: HashMap<i32, Watched>,
    findings: HashMap<Key, Finding>,
    /// How many watches it may have.
    watches_max: usize,
    /// How often all was forgotten.
    forgotten: u64,
    /// True if something is not as it should be: all is forgotten before the next answer.
    is_doubtful: bool,
    /// True once there were too many files, also for books that had nothing else in them.
    has_given_up: bool,
}

/// Whether a file is watched.
enum Watching {
    Yes,
    /// It can't be: nothing is vouched for in its directory.
    No,
    /// There are too many.
    Full,
}

impl Books {
    /// Returns empty ones; `None` where the kernel has no queue left for this user.
    pub fn new() -> Option<Books> {
        let queue = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).ok()?;
        // One of another watch is never a later one: it counts on from the time since the machine started, in nanoseconds.
        let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let now = u64::try_from(time.tv_sec).ok()? * 1_000_000_000 + u64::try_from(time.tv_nsec).ok()?;
        let directories = Vec::new();
        let (by_path, by_watch, findings) = (HashMap::new(), HashMap::new(), HashMap::new());
        let limit = read_proc(Path::new("/proc/sys/fs/inotify/max_user_watches")).ok()?;
        // Editors need some too.
        let watches_max = String::from_utf8_lossy(&limit).trim().parse::<usize>().ok()? / 4 * 3;
        Some(Books {
            queue,
            now,
            directories,
            by_path,
            by_watch,
            findings,
            watches_max,
            forgotten: 0,
            is_doubtful: false,
            has_given_up: false,
        })
    }

    /// Forgets everything, since it may be wrong from now on. Where the kernel gives no other queue, nothing is vouched for any more.
    pub fn forget(&mut self) {
        self.findings.clear();
        self.forgotten += 1;
        match Books::new() {
            // Moments go on: one of an earlier answer is never a later one.
            Some(books) => {
                let now = books.now.max(self.now + 1);
                *self = Books { now, forgotten: self.forgotten, has_given_up: self.has_given_up, ..books };
            }
            None => self.has_given_up = true,
        }
    }

    /// Returns the numbers of directories in the list and of watches.
    #[cfg(test)]
    pub fn sizes(&self) -> (usize, usize) {
        (self.directories.len(), self.by_watch.len())
    }

    /// Returns true if a path leads to a watched directory, or into one.
    pub fn concern(&self, path: &Path) -> bool {
        self.by_path.keys().any(|known| are_related(known, path))
    }

    /// Returns the queue of notifications, to wait for them.
    pub fn queue(&self) -> BorrowedFd<'_> {
        self.queue.as_fd()
    }

    /// Takes down everything that was told until now.
    pub fn drain(&mut self) {
        let moment = self.now + 1;
        let mut buffer = [MaybeUninit::uninit(); 64 * 1024];
        let mut told = Vec::new();
        let mut reader = inotify::Reader::new(&self.queue, &mut buffer);
        while let Ok(event) = reader.next() {
            let name = event.file_name().map(|name| OsStr::from_bytes(name.to_bytes()).to_owned());
            told.push((event.wd(), event.events(), name));
        }
        if told.is_empty() {
            return;
        }
        self.now = moment;
        if told.iter().any(|(_, events, _)| events.contains(ReadFlags::QUEUE_OVERFLOW)) {
            // Also that a watch has ended may be among what was lost.
            return self.forget();
        }
        for (watch, events, name) in told {
            let any = |flags: ReadFlags| events.intersects(flags);
            match self.by_watch.get(&watch) {
                Some(Watched::Directory(place)) => {
                    let place = *place;
                    self.happened(place);
                    // What is there under these names from now on is something else, and so is all below.
                    match name {
                        Some(name)
                            if any(ReadFlags::ISDIR)
                                && any(ReadFlags::DELETE | ReadFlags::MOVED_FROM | ReadFlags::MOVED_TO) =>
                        {
                            self.leave(&self.directories[place].path.join(name));
                        }
                        Some(name) if any(ReadFlags::CREATE | ReadFlags::MOVED_TO) && !any(ReadFlags::ISDIR) => {
                            // At once: the next look may begin in a moment, and counts only if it began after this.
                            self.watch_file(place, name);
                        }
                        None if any(ReadFlags::DELETE_SELF
                            | ReadFlags::MOVE_SELF
                            | ReadFlags::IGNORED
                            | ReadFlags::UNMOUNT) =>
                        {
                            self.leave(&self.directories[place].path.clone());
                        }
                        Some(_) | None => {}
                    }
                }
                Some(Watched::File(names)) if events.contains(ReadFlags::OPEN) => {
                    for (place, name) in names {
                        self.directories[*place].opened.insert(name.clone());
                    }
                }
                Some(Watched::File(names)) => {
                    let places: Vec<usize> = names.iter().map(|(place, _)| *place).collect();
                    places.into_iter().for_each(|place| self.happened(place));
                    if any(ReadFlags::MOVE_SELF | ReadFlags::IGNORED | ReadFlags::UNMOUNT) {
                        // Where it is now, if that is here, it is watched anew.
                        self.by_watch.remove(&watch);
                        let _ = inotify::remove_watch(&self.queue, watch);
                    }
                }
                None => {}
            }
        }
        if std::mem::take(&mut self.is_doubtful) {
            self.forget();
        }
    }

    /// Ends the watches of a directory that is no longer what its path leads to, and of all below.
    fn leave(&mut self, path: &Path) {
        let places: Vec<usize> =
            self.by_path.extract_if(|known, _| known.starts_with(path)).map(|(_, place)| place).collect();
        for place in places {
            self.happened(place);
            if let Some(watch) = self.directories[place].watch.take() {
                self.by_watch.remove(&watch);
                let _ = inotify::remove_watch(&self.queue, watch);
            }
        }
    }

    fn happened(&mut self, place: usize) {
        let directory = &mut self.directories[place];
        (directory.changed, directory.looks) = (self.now, None);
    }

    /// Watches a file under a name.
    fn watch_file(&mut self, place: usize, name: OsString) -> Watching {
        let path = self.directories[place].path.join(&name);
        let watch = match inotify::add_watch(&self.queue, &path, FILE) {
            Ok(watch) => watch,
            // It has gone again, which was told.
            Err(Errno::NOENT) => return Watching::Yes,
            Err(Errno::NOSPC | Errno::NOMEM) => return Watching::Full,
            Err(_) => return Watching::No,
        };
        match self.by_watch.entry(watch).or_insert_with(|| Watched::File(Vec::new())) {
            Watched::File(names) if names.iter().any(|known| known.0 == place && known.1 == name) => {}
            Watched::File(names) => {
                // Also where it was watched under another name: what was told until now was told of a directory that may be none any more.
                names.push((place, name));
                self.now += 1;
                self.directories[place].watched_since = self.now;
            }
            // The name is that of a directory by now, whose watch is that of a file since this.
            Watched::Directory(_) => self.is_doubtful = true,
        }
        if self.by_watch.len() <= self.watches_max { Watching::Yes } else { Watching::Full }
    }

    /// Returns what was found under a key, if it holds still.
    pub fn find(&mut self, key: &Key) -> Answer {
        self.drain();
        match self.findings.get(key) {
            Some(finding) if self.holds(finding) => Answer::Found(finding.bytes.clone()),
            _ => {
                self.findings.remove(key);
                Answer::Unknown { now: self.now }
            }
        }
    }

    fn holds(&self, finding: &Finding) -> bool {
        let mut opened = 0;
        finding.places.iter().all(|place| {
            let directory = &self.directories[*place];
            opened += directory.opened.len();
            opened <= OPENED_MAX && self.is_quiet(*place, finding.since) && directory.looks_the_same()
        })
    }

    /// Returns true if a directory was watched at a moment, and nothing has happened in it since.
    fn is_quiet(&self, place: usize, since: u64) -> bool {
        let directory = &self.directories[place];
        directory.watch.is_some() && directory.watched_since <= since && directory.changed <= since
    }

    /// Keeps a finding, if everything is right for that. Else the directories are watched from now on, and the next one is kept.
    pub fn keep(&mut self, key: Key, since: u64, bytes: Vec<u8>, places: &BTreeSet<PathBuf>) {
        self.drain();
        self.findings.remove(&key);
        if self.has_given_up {
            return;
        }
        if self.directories.len() > 2 * self.by_path.len() + GONE_MAX {
            self.forget();
        }
        let is_first = self.directories.is_empty();
        let Some(places) = places.iter().map(|path| self.place_of(path)).collect::<Option<Vec<usize>>>() else {
            return;
        };
        if !places.iter().all(|place| self.look_in(*place)) {
            // Too many. Other findings may have had most of them; if there are none, another try would end the same way.
            self.forget();
            self.has_given_up = is_first;
            return;
        }
        if !places.iter().all(|place| self.is_quiet(*place, since)) {
            return;
        }
        let looks = places.iter().flat_map(|place| &self.directories[*place].looks).flat_map(HashMap::values);
        // By their numbers, since a file may be open under another name.
        let files: HashSet<i128> = looks.map(|look| look[NUMBER]).collect();
        if has_writers(&|number| files.contains(&number)) {
            return;
        }
        for place in &places {
            // Who has opened them before can't write to them: there are no writers.
            self.directories[*place].opened.clear();
        }
        // What happened meanwhile makes it worth nothing.
        let forgotten = self.forgotten;
        self.drain();
        if self.forgotten != forgotten {
            return;
        }
        let is_whole = places.iter().all(|place| self.directories[*place].looks.is_some());
        let finding = Finding { bytes, since, places };
        if is_whole && self.holds(&finding) {
            if self.findings.len() >= FINDINGS_MAX {
                self.findings.clear();
            }
            self.findings.insert(key, finding);
        }
    }

    /// Takes down what the files of a directory look like, if that is not known, and watches each of them. Returns false if there are
    /// too many.
    fn look_in(&mut self, place: usize) -> bool {
        if self.directories[place].looks.is_some() || self.directories[place].watch.is_none() {
            return true;
        }
        let mut looks = HashMap::new();
        let device = i128::from(self.directories[place].number.0);
        let Ok(entries) = fs::read_dir(&self.directories[place].path) else { return true };
        for entry in entries.flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                continue;
            }
            // Watched first: a change after that is told, and one before it is in the look.
            match self.watch_file(place, entry.file_name()) {
                Watching::Yes => {}
                Watching::No => return true,
                Watching::Full => return false,
            }
            match look_at(&entry.path()) {
                // One that is mounted there may be of a file system that does not tell everything.
                Some(look) if look[DEVICE] != device => return true,
                Some(look) => drop(looks.insert(entry.file_name(), look)),
                None => {}
            }
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_nanos());
        let directory = &mut self.directories[place];
        (directory.looks, directory.looked_ns) = (Some(looks), i128::try_from(now).unwrap_or(0));
        true
    }

    /// Returns the place of a directory in the list, which is watched from now on if it was not; `None` if it can't be, or if its
    /// changes are not all told.
    fn place_of(&mut self, path: &Path) -> Option<usize> {
        let metadata = fs::symlink_metadata(path).ok()?;
        let number = (metadata.dev(), metadata.ino());
        if let Some(place) = self.by_path.get(path).copied() {
            if self.directories[place].number == number {
                return Some(place);
            }
            self.leave(path);
        }
        // A link on the way could lead elsewhere without a word.
        if !file_system(path).is_some_and(|number| KNOWN.contains(&number)) || fs::canonicalize(path).ok()? != path {
            return None;
        }
        let watch = inotify::add_watch(&self.queue, path, DIRECTORY).ok()?;
        let place = self.directories.len();
        self.now += 1;
        self.directories.push(Directory {
            path: path.to_owned(),
            number,
            watch: Some(watch),
            watched_since: self.now,
            changed: self.now,
            looks: None,
            looked_ns: 0,
            opened: HashSet::new(),
        });
        // A directory of several names has one watch: the first of them.
        if self.by_watch.insert(watch, Watched::Directory(place)).is_some() {
            self.forget();
            return None;
        }
        self.by_path.insert(path.to_owned(), place);
        Some(place)
    }
}

/// Returns true if one of both is below the other.
pub(super) fn are_related(one: &Path, other: &Path) -> bool {
    one.starts_with(other) || other.starts_with(one)
}

impl Directory {
    fn looks_the_same(&self) -> bool {
        let look = |name: &OsString| self.looks.as_ref().and_then(|looks| looks.get(name));
        self.opened.iter().all(|name| {
            look(name).is_some_and(|look| {
                look[CHANGED] + TICK_NS < self.looked_ns && Some(look) == look_at(&self.path.join(name)).as_ref()
            })
        })
    }
}

fn look_at(path: &Path) -> Option<Look> {
    let metadata = fs::symlink_metadata(path).ok()?;
    let time = |seconds: i64, nanoseconds: i64| i128::from(seconds) * 1_000_000_000 + i128::from(nanoseconds);
    Some([
        metadata.dev().into(),
        metadata.ino().into(),
        metadata.mode().into(),
        metadata.nlink().into(),
        i128::from(metadata.uid()) << 32 | i128::from(metadata.gid()),
        metadata.len().into(),
        time(metadata.mtime(), metadata.mtime_nsec()),
        time(metadata.ctime(), metadata.ctime_nsec()),
    ])
}
