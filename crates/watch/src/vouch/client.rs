//! The side of whoever asks.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use super::protocol::{Answer, Question};
use super::{Key, SOCKET, View, is_own_peer, open_directory, socket_path};

/// The longest that an answer is waited for. A look of one's own would not take much longer.
const PATIENCE: Duration = Duration::from_millis(100);

/// Asks the resident watcher of a workspace. It is asked no more once it has not answered.
pub struct Voucher {
    state: PathBuf,
    view: View,
    /// The moments of its answers that it knows nothing. `None` once it did not answer.
    since: Mutex<Option<HashMap<Key, u64>>>,
}

impl Voucher {
    /// Returns the one whose socket is in the directory `state`; `None` if there is none.
    pub fn at(state: &Path) -> Option<Voucher> {
        is_own_socket(&state.join(SOCKET)).then_some(())?;
        Some(Voucher { state: state.to_owned(), view: View::own()?, since: Mutex::new(Some(HashMap::new())) })
    }

    /// Returns what was found under a key, if it holds still.
    pub fn find(&self, key: &Key) -> Option<Vec<u8>> {
        let mut since = self.since.lock().expect("no panic while locked");
        let moments = since.as_mut()?;
        match self.ask(&Question::Find { key: *key }) {
            Some(Answer::Found(finding)) => Some(finding),
            Some(Answer::Unknown { now }) => {
                // Of two looks at once, the moment of the first holds for both.
                moments.entry(*key).or_insert(now);
                None
            }
            Some(Answer::Noted) | None => {
                *since = None;
                None
            }
        }
    }

    /// Tells what a look has found that began after `find` had no answer, and in which directories.
    pub fn keep(&self, key: &Key, finding: Vec<u8>, places: BTreeSet<PathBuf>) {
        let moment = self.since.lock().expect("no panic while locked").as_mut().and_then(|since| since.remove(key));
        if let Some(since) = moment {
            // Whether it is taken, the next question tells.
            let _ = self.ask(&Question::Keep { key: *key, since, finding, places });
        }
    }

    fn ask(&self, question: &Question) -> Option<Answer> {
        let mut stream = connect(&self.state)?;
        question.send(self.view, &mut stream).ok()?;
        Answer::receive(&mut stream).ok()
    }
}

fn is_own_socket(path: &Path) -> bool {
    let own = rustix::process::geteuid().as_raw();
    fs::symlink_metadata(path).is_ok_and(|metadata| metadata.file_type().is_socket() && metadata.uid() == own)
}

/// Connects to the socket in a directory, without waiting: one that many wait for is of no use.
pub(super) fn connect(state: &Path) -> Option<UnixStream> {
    let directory = open_directory(state)?;
    let path = socket_path(&directory);
    if !is_own_socket(&path) {
        return None;
    }
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None).ok()?;
    rustix::net::connect(&socket, &SocketAddrUnix::new(&path).ok()?).ok()?;
    let stream = UnixStream::from(socket);
    if !is_own_peer(&stream) {
        return None;
    }
    stream.set_nonblocking(false).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    stream.set_write_timeout(Some(PATIENCE)).ok()?;
    Some(stream)
}
