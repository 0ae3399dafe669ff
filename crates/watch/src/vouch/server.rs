//! The resident side: a thread that answers on the socket until it is dropped.

use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::books::{Books, are_related};
use super::client::connect;
use super::mounts::Mounts;
use super::protocol::{Answer, Question};
use super::{SOCKET, View, is_own_peer, open_directory, socket_path};

/// The longest that it waits for a whole question.
const PATIENCE: Duration = Duration::from_millis(200);
/// How often it looks whether it is to end, if nobody asks.
const INTERVAL: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };

/// A resident watcher that vouches for findings, until this is dropped.
pub struct Vouching {
    ends: Arc<AtomicBool>,
    thread: JoinHandle<()>,
    state: PathBuf,
    /// Device and number of the socket.
    own: (u64, u64),
}

impl Vouching {
    /// Begins, with a socket in the directory `state`. Returns `None` if another one answers there, or if the system lacks what it needs: then everybody looks,
    /// as without it.
    pub fn start(state: &Path) -> Option<Vouching> {
        let (view, books, mounts) = (View::own()?, Books::new()?, Mounts::read()?);
        let directory = open_directory(state)?;
        let path = socket_path(&directory);
        if connect(state).is_some() {
            return None;
        }
        // What a killed one has left.
        if fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.file_type().is_socket()) {
            fs::remove_file(&path).ok()?;
        }
        let listener = UnixListener::bind(&path).ok()?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).ok()?;
        listener.set_nonblocking(true).ok()?;
        let metadata = fs::symlink_metadata(&path).ok()?;
        let ends = Arc::new(AtomicBool::new(false));
        let is_over = Arc::clone(&ends);
        let thread = std::thread::spawn(move || Resident { view, books, mounts, listener }.answer(&is_over));
        let own = (metadata.dev(), metadata.ino());
        Some(Vouching { ends, thread, state: state.to_owned(), own })
    }
}

impl Drop for Vouching {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::SeqCst);
        // Wakes it.
        let _ = connect(&self.state);
        let begun = Instant::now();
        // It ends with this process at the latest.
        while !self.thread.is_finished() && begun.elapsed() < 2 * PATIENCE {
            std::thread::sleep(Duration::from_millis(2));
        }
        let path = self.state.join(SOCKET);
        if fs::symlink_metadata(&path).is_ok_and(|metadata| (metadata.dev(), metadata.ino()) == self.own) {
            let _ = fs::remove_file(path);
        }
    }
}

struct Resident {
    view: View,
    books: Books,
    mounts: Mounts,
    listener: UnixListener,
}

impl Resident {
    fn answer(mut self, ends: &AtomicBool) {
        while !ends.load(Ordering::SeqCst) {
            let queue = self.books.queue();
            let mut waits = [PollFd::new(&self.listener, PollFlags::IN), PollFd::new(&queue, PollFlags::IN)];
            let _ = poll(&mut waits, Some(&INTERVAL));
            // Also while nobody asks: the queue holds only so much.
            self.books.drain();
            match self.listener.accept() {
                Ok((stream, _)) => self.one(stream),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                // There are no descriptors left, for example.
                Err(_) => std::thread::sleep(PATIENCE),
            }
        }
    }

    /// Answers one question. Whoever sends nonsense, or nothing in time, gets no answer.
    fn one(&mut self, mut stream: UnixStream) {
        let is_ready = stream.set_nonblocking(false).is_ok() && stream.set_write_timeout(Some(PATIENCE)).is_ok();
        if !is_own_peer(&stream) || !is_ready {
            return;
        }
        let in_time = InTime { stream: &stream, until: Instant::now() + PATIENCE };
        let mut reader = std::io::BufReader::with_capacity(64 * 1024, in_time.take(QUESTION_MAX));
        let Ok((view, question)) = Question::receive(&mut reader) else { return };
        // A directory may be another one since.
        if self.mounts.have_changed(&|path| self.books.concern(path)) {
            self.books.forget();
        }
        if view != self.view {
            return;
        }
        let answer = match question {
            Question::Find { key } => self.books.find(&key),
            Question::Keep { key, since, finding, places } => {
                // Nobody waits for what it costs.
                let _ = Answer::Noted.send(&mut stream);
                if !self.mounts.have_upper(&|upper| places.iter().any(|place| are_related(place, upper))) {
                    self.books.keep(key, since, finding, &places);
                }
                return;
            }
        };
        let _ = answer.send(&mut stream);
    }
}

/// Longest question in bytes.
const QUESTION_MAX: u64 = 256 << 20;

/// A stream that is read up to a moment: whoever sends a byte now and then does not keep everybody else waiting.
struct InTime<'a> {
    stream: &'a UnixStream,
    until: Instant,
}

impl Read for InTime<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.stream.set_read_timeout(Some(left))?;
        let mut stream = self.stream;
        stream.read(buffer)
    }
}
