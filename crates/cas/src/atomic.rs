//! Files that appear whole or not at all: written under another name in the same directory, then renamed.
//!
//! No `fsync`: readers of the stores check contents against digests or checksums, so a file torn by a power cut is a
//! miss, never an answer. That keeps a write at tens of microseconds.

use std::cell::OnceCell;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::{Duration, SystemTime};

use crate::Digest;
use crate::regular::{SMALL_MAX, open_regular, read_at_most, require_regular};

const PREFIX: &str = ".rondel-tmp-";
/// Minimum age before files of an invisible process (on another machine or in another container) are removed. A living
/// one renews them.
const UNSEEN_OWNER: Duration = Duration::from_secs(24 * 3600);
/// How often a process renews its files.
const RENEW_EVERY: Duration = Duration::from_secs(3600);

/// Returns a name for a file of this process, which stays behind if the process is killed.
pub fn temporary_name() -> String {
    // Unique among this process's names; creating the file detects a clash with other processes.
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let count = COUNTER.fetch_add(1, Ordering::Relaxed);
    format!("{PREFIX}{}-{}-{count}", process_namespace(), std::process::id())
}

/// Process numbers mean something within one namespace of one running kernel only: two containers that share a cache
/// have two, and so have two machines. Systems without `/proc` are all the same.
fn process_namespace() -> &'static str {
    static NAMESPACE: OnceLock<String> = OnceLock::new();
    NAMESPACE.get_or_init(|| {
        let boot = read_at_most(Path::new("/proc/sys/kernel/random/boot_id"), SMALL_MAX);
        let link = fs::read_link("/proc/self/ns/pid").unwrap_or_default();
        namespace_of(&boot.unwrap_or_default(), link.as_os_str().as_encoded_bytes())
    })
}

fn namespace_of(boot: &[u8], link: &[u8]) -> String {
    if boot.is_empty() && link.is_empty() {
        return "0".to_owned();
    }
    let digest = Digest::of(&[boot, b" ", link].concat());
    let first: [u8; 8] = digest.hash()[..8].try_into().expect("a hash has 32 bytes");
    u64::from_be_bytes(first).to_string()
}

/// Removes temporary files that dead processes have left in `directory`.
pub fn sweep_abandoned(directory: &Path) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    // The file system's own time: machines that share it have clocks of their own.
    let now: OnceCell<Option<SystemTime>> = OnceCell::new();
    let time = || TemporaryFile::new_in(directory).ok()?.file().metadata().ok()?.modified().ok();
    for entry in entries.flatten() {
        let name = entry.file_name();
        let age = || now.get_or_init(time).as_ref()?.duration_since(entry.metadata().ok()?.modified().ok()?).ok();
        if name.to_str().is_some_and(|name| is_abandoned(name, age)) {
            remove_tree(&entry.path());
        }
    }
}

/// Renews the temporary files of this process until it is dropped, so that no other machine takes them for abandoned.
pub struct KeepAlive {
    _stop: Sender<()>,
}

impl KeepAlive {
    /// Renews what this process has in `directories`, now or later.
    pub fn of(directories: Vec<PathBuf>) -> KeepAlive {
        let (stop, stopped) = channel::<()>();
        std::thread::spawn(move || {
            while stopped.recv_timeout(RENEW_EVERY) == Err(RecvTimeoutError::Timeout) {
                directories.iter().for_each(|directory| renew(directory));
            }
        });
        KeepAlive { _stop: stop }
    }
}

/// Gives the temporary files of this process in `directory` the file system's present time.
fn renew(directory: &Path) {
    let own = format!("{PREFIX}{}-{}-", process_namespace(), std::process::id());
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_name().to_str().is_some_and(|name| name.starts_with(&own)) {
            touch(&entry.path());
        }
    }
}

#[cfg(unix)]
fn touch(path: &Path) {
    use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT, utimensat};
    let at = |tv_nsec| Timespec { tv_sec: 0, tv_nsec };
    let times = Timestamps { last_access: at(UTIME_OMIT), last_modification: at(UTIME_NOW) };
    // It may be gone, which is fine.
    let _ = utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW);
}

#[cfg(not(unix))]
fn touch(_path: &Path) {}

fn is_abandoned(name: &str, age: impl Fn() -> Option<Duration>) -> bool {
    let Some(rest) = name.strip_prefix(PREFIX) else { return false };
    let mut parts = rest.split('-');
    match (parts.next(), parts.next().and_then(|pid| pid.parse().ok())) {
        (Some(namespace), Some(pid)) if namespace == process_namespace() => !is_alive(pid),
        _ => age().is_some_and(|age| age > UNSEEN_OWNER),
    }
}

fn is_alive(pid: i32) -> bool {
    #[cfg(unix)]
    {
        use rustix::process::{Pid, test_kill_process};
        Pid::from_raw(pid).is_some_and(|pid| test_kill_process(pid) != Err(rustix::io::Errno::SRCH))
    }
    #[cfg(not(unix))]
    {
        let _ = pid;
        true
    }
}

/// Removes a file, or a directory and everything below it. Makes directories writable first if needed (Go's module
/// cache is read-only). Ignores failures.
pub fn remove_tree(path: &Path) {
    if fs::remove_file(path).is_ok() || fs::remove_dir_all(path).is_ok() {
        return;
    }
    make_writable(path);
    let _ = fs::remove_dir_all(path);
}

fn make_writable(path: &Path) {
    let Ok(metadata) = fs::symlink_metadata(path) else { return };
    if !metadata.is_dir() {
        return;
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let _ = fs::set_permissions(path, fs::Permissions::from_mode(0o755));
    }
    if let Ok(entries) = fs::read_dir(path) {
        entries.flatten().for_each(|entry| make_writable(&entry.path()));
    }
}

/// A file under a temporary name that is removed unless it is persisted.
pub struct TemporaryFile {
    path: PathBuf,
    file: Option<File>,
}

impl TemporaryFile {
    /// Makes a file in `directory`, which is created if needed. Mode 0644, less the umask.
    pub fn new_in(directory: &Path) -> io::Result<TemporaryFile> {
        TemporaryFile::with_options(directory, OpenOptions::new().write(true).read(true).create_new(true))
    }

    /// Does the same for contents that may be private: mode 0600 until `set_mode` says otherwise.
    pub fn private_in(directory: &Path) -> io::Result<TemporaryFile> {
        let mut options = OpenOptions::new();
        options.write(true).read(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        TemporaryFile::with_options(directory, &options)
    }

    fn with_options(directory: &Path, options: &OpenOptions) -> io::Result<TemporaryFile> {
        fs::create_dir_all(directory)?;
        loop {
            let path = directory.join(temporary_name());
            match options.open(&path) {
                Ok(file) => return Ok(TemporaryFile { path, file: Some(file) }),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Returns the file, for writing.
    pub fn file(&mut self) -> &mut File {
        self.file.as_mut().expect("open until it is persisted")
    }

    /// Returns its present path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Sets the permission bits.
    #[cfg(unix)]
    pub fn set_mode(&self, mode: u32) -> io::Result<()> {
        use std::os::unix::fs::PermissionsExt;
        self.file.as_ref().expect("open until it is persisted").set_permissions(fs::Permissions::from_mode(mode))
    }

    /// Sets the permission bits: nothing to do on this system.
    #[cfg(not(unix))]
    pub fn set_mode(&self, _mode: u32) -> io::Result<()> {
        Ok(())
    }

    /// Renames it to its real name, and replaces a former file.
    pub fn persist(mut self, destination: &Path) -> io::Result<()> {
        self.file = None;
        fs::rename(&self.path, destination)?;
        self.path = PathBuf::new();
        Ok(())
    }
}

impl Drop for TemporaryFile {
    fn drop(&mut self) {
        if !self.path.as_os_str().is_empty() {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// A directory under a temporary name that is removed when this is dropped, and swept if the process is killed.
pub struct TemporaryDirectory {
    path: PathBuf,
}

impl TemporaryDirectory {
    /// Makes a directory in `parent`, which is created if needed.
    pub fn new_in(parent: &Path) -> io::Result<TemporaryDirectory> {
        fs::create_dir_all(parent)?;
        loop {
            let path = parent.join(temporary_name());
            match fs::create_dir(&path) {
                Ok(()) => return Ok(TemporaryDirectory { path }),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Returns its path.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for TemporaryDirectory {
    fn drop(&mut self) {
        remove_tree(&self.path);
    }
}

/// Writes `bytes` to `path` through a temporary file in `scratch`, which is a directory of the same file system.
pub fn write_atomically(scratch: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut temporary = TemporaryFile::new_in(scratch)?;
    temporary.file().write_all(bytes)?;
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    temporary.persist(path)
}

/// Copies a regular file's contents and permissions, as `std::fs::copy` does, and retries after a signal.
#[allow(clippy::disallowed_methods, reason = "the one place that copies files")]
pub fn copy_file(from: &Path, to: &Path) -> io::Result<u64> {
    loop {
        // `fs::copy` would wait for the writer of a FIFO.
        require_regular(&fs::metadata(from)?)?;
        match fs::copy(from, to) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            outcome => return outcome,
        }
    }
}

/// Copies the rest of an open file, in the kernel where it can.
pub(crate) fn copy_open(source: &mut File, copy: &mut File) -> io::Result<()> {
    // A signal interrupts that, and both files stand where it went on.
    while let Err(error) = io::copy(source, copy) {
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
    Ok(())
}

/// Copies a regular file's contents, permissions and time of change. A file that is there already is replaced.
pub fn copy_file_with_time(from: &Path, to: &Path) -> io::Result<()> {
    let (mut source, metadata) = open_regular(from)?;
    let mut copy = File::create(to)?;
    copy_open(&mut source, &mut copy)?;
    copy.set_permissions(metadata.permissions())?;
    copy.set_modified(metadata.modified()?)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_copy_has_contents_permissions_and_time() {
        use std::os::unix::fs::PermissionsExt;
        let directory = std::env::temp_dir().join(format!("rondel-copy-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let (from, to) = (directory.join("from"), directory.join("to"));
        for size in [0, 5, 3_000_000] {
            let _ = fs::remove_file(&from);
            fs::write(&from, vec![b'x'; size]).unwrap();
            let then = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000);
            fs::File::options().append(true).open(&from).unwrap().set_modified(then).unwrap();
            fs::set_permissions(&from, fs::Permissions::from_mode(0o750)).unwrap();
            fs::write(&to, "longer than five").unwrap();
            copy_file_with_time(&from, &to).unwrap();
            let metadata = fs::metadata(&to).unwrap();
            assert_eq!((metadata.len(), metadata.modified().unwrap()), (size as u64, then));
            assert_eq!(metadata.permissions().mode() & 0o777, 0o750);
        }
        fs::set_permissions(&from, fs::Permissions::from_mode(0o400)).unwrap();
        fs::remove_file(&to).unwrap();
        copy_file_with_time(&from, &to).unwrap();
        assert_eq!(fs::metadata(&to).unwrap().permissions().mode() & 0o777, 0o400);
        assert!(copy_file_with_time(&directory, &to).is_err());
        fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn what_dead_processes_left_is_swept_and_what_living_ones_have_is_not() {
        let directory = std::env::temp_dir().join(format!("rondel-sweep-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        #[allow(clippy::disallowed_methods, reason = "the test needs the number of a process that is gone")]
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let dead = child.id();
        child.wait().unwrap();
        let own = TemporaryFile::new_in(&directory).unwrap();
        let of = |namespace: &str, pid: u32| directory.join(format!("{PREFIX}{namespace}-{pid}-0"));
        let (left, unseen, other) = (of(process_namespace(), dead), of("12", dead), directory.join("file"));
        fs::create_dir_all(left.join("below/it")).unwrap();
        fs::write(&unseen, "").unwrap();
        fs::write(&other, "").unwrap();
        sweep_abandoned(&directory);
        assert!(!left.exists() && unseen.exists() && other.exists() && own.path().exists());
        assert!(is_abandoned(unseen.file_name().unwrap().to_str().unwrap(), || Some(UNSEEN_OWNER * 2)));
        assert!(!is_abandoned("file", || Some(UNSEEN_OWNER * 2)));
        drop(own);
        fs::remove_dir_all(directory).unwrap();
    }

    /// Another machine, another container, the same machine started again: three that are not this one.
    #[test]
    fn machines_and_containers_are_told_apart() {
        let own = namespace_of(b"boot", b"pid:[1]");
        for other in [namespace_of(b"other", b"pid:[1]"), namespace_of(b"boot", b"pid:[2]"), namespace_of(b"", b"")] {
            assert_ne!(own, other);
        }
        assert!(!own.contains('-') && !process_namespace().contains('-'));
        // A dead process's number on another machine is no sign of death.
        assert!(!is_abandoned(&format!("{PREFIX}{own}-{}-0", i32::MAX), || Some(UNSEEN_OWNER / 2)));
    }

    #[test]
    fn a_living_process_renews_what_it_has() {
        let directory = std::env::temp_dir().join(format!("rondel-renew-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let long_ago = SystemTime::now() - UNSEEN_OWNER * 3;
        let aged = |path: &Path| {
            fs::create_dir(path).unwrap();
            File::open(path).unwrap().set_modified(long_ago).unwrap();
        };
        let own = directory.join(temporary_name());
        let foreign = |name: &str| directory.join(format!("{PREFIX}{name}-1-0"));
        let (dead, alive) = (foreign("dead"), foreign("alive"));
        [&own, &dead, &alive].into_iter().for_each(|path| aged(path));
        touch(&alive);
        renew(&directory);
        assert!(fs::metadata(&own).unwrap().modified().unwrap() > long_ago + UNSEEN_OWNER);
        sweep_abandoned(&directory);
        assert!(own.exists() && alive.exists() && !dead.exists());
        fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn a_temporary_directory_is_swept_by_nobody_else_and_goes_with_its_owner() {
        let parent = std::env::temp_dir().join(format!("rondel-directory-{}", std::process::id()));
        let own = TemporaryDirectory::new_in(&parent).unwrap();
        fs::create_dir(own.path().join("below")).unwrap();
        fs::write(own.path().join("below/file"), "").unwrap();
        // The same process seen from another namespace: its number means nothing here, so it counts as alive.
        let name = own.path().file_name().unwrap().to_str().unwrap();
        let foreign = name.replacen(process_namespace(), "12", 1);
        #[allow(clippy::disallowed_methods, reason = "the test needs the number of a process that is gone")]
        let mut child = std::process::Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        let foreign = parent.join(foreign.replace(&format!("-{}-", std::process::id()), &format!("-{}-", child.id())));
        fs::create_dir(&foreign).unwrap();
        sweep_abandoned(&parent);
        assert!(own.path().join("below/file").exists() && foreign.exists());
        let path = own.path().to_owned();
        drop(own);
        assert!(!path.exists());
        fs::remove_dir_all(parent).unwrap();
    }
}
