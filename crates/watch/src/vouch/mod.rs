//! A resident watcher that vouches for findings. Whoever has looked at many files tells it what was found, and in which directories. As long as
//! nothing has happened in them, it gives the finding back, and nobody has to look again.
//!
//! It knows no build: findings are bytes under a key. It vouches only where every change is told: on file systems of this kernel
//! that are known for it, with all directories watched since before the look began, with no notification lost, and with no
//! file of them mapped for writing. In every other case it says nothing, and the one who asks looks. Only processes of the same user and of the
//! same mounts are answered.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};

mod books;
mod client;
mod mounts;
mod protocol;
mod server;
mod writers;

pub use client::Voucher;
pub use server::Vouching;

/// Name of the socket, in the directory of Rondel's state. The number is that of the protocol.
const SOCKET: &str = "vouch.1";

/// Name of a finding: a digest of whatever decides what is looked at.
pub type Key = [u8; 32];

/// What of this process decides how it sees the files: its mounts and its root directory, as numbers of the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct View([u64; 4]);

impl View {
    /// Returns that of this process; `None` where the system does not tell.
    fn own() -> Option<View> {
        use std::os::unix::fs::MetadataExt;
        let mounts = std::fs::metadata("/proc/self/ns/mnt").ok()?;
        let root = std::fs::metadata("/").ok()?;
        Some(View([mounts.dev(), mounts.ino(), root.dev(), root.ino()]))
    }
}

/// Opens a file of the kernel's.
#[allow(clippy::disallowed_methods, reason = "what is in /proc is no device of others")]
fn open_proc(path: &Path) -> io::Result<File> {
    File::open(path)
}

/// Reads a file of the kernel's.
fn read_proc(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_proc(path)?.take(PROC_MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The most that is read of one, in bytes: some 100,000 mappings.
const PROC_MAX: u64 = 16 << 20;

/// Returns the path of the socket in a directory, which is open as long as it is used. A path to a socket is short, and this one is so however deep
/// the directory is.
fn socket_path(directory: &OwnedFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", directory.as_raw_fd())).join(SOCKET)
}

/// Returns true if the other side of a connection is this process's user.
fn is_own_peer(stream: &UnixStream) -> bool {
    rustix::net::sockopt::socket_peercred(stream).is_ok_and(|peer| peer.uid == rustix::process::geteuid())
}

/// Opens a directory, which is no link.
fn open_directory(path: &Path) -> Option<OwnedFd> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::PATH;
    rustix::fs::open(path, flags, Mode::empty()).ok()
}

#[cfg(test)]
mod hostile;
#[cfg(test)]
mod tests;
