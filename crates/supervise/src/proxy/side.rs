//! `Side`: one connection of a proxy, to a client or to the service, with what was read of it and not used yet. Knows how to
//! connect and how to hang up, and not what the bytes mean.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::framing::{HEAD_MAX, head_length};

/// Time for a connection to a service that is ready. Its queue may be short, and the system tries again after 1, 3 and 7 s.
const CONNECT: Duration = Duration::from_secs(30);
/// Time in which a client that was hung up on can end its side.
pub(crate) const LINGER: Duration = Duration::from_secs(2);

pub(crate) struct Side {
    pub stream: Arc<TcpStream>,
    pub read: Vec<u8>,
    /// True after its end was read.
    pub has_ended: bool,
    /// True after `reset`.
    is_reset: bool,
}

impl From<Arc<TcpStream>> for Side {
    fn from(stream: Arc<TcpStream>) -> Side {
        Side { stream, read: Vec::new(), has_ended: false, is_reset: false }
    }
}

impl Side {
    pub fn new(stream: TcpStream) -> Side {
        // A message is written as a whole wherever it is there as a whole.
        let _ = stream.set_nodelay(true);
        Side::from(Arc::new(stream))
    }

    /// Connects to the service. One that is said to be at 127.0.0.1 may listen at ::1 only, as programs do that listen at
    /// "localhost".
    pub fn connect(service: SocketAddr) -> io::Result<Side> {
        let first = connect_to(service);
        let is_refused = first.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused);
        if is_refused && service.ip() == Ipv4Addr::LOCALHOST {
            let other = SocketAddr::from((Ipv6Addr::LOCALHOST, service.port()));
            return connect_to(other).or(first).map(Side::new);
        }
        first.map(Side::new)
    }

    /// Reads more. Returns false at the end.
    pub fn fill(&mut self) -> io::Result<bool> {
        let mut buffer = [0_u8; 32 * 1024];
        loop {
            match (&*self.stream).read(&mut buffer) {
                Ok(count) => {
                    self.read.extend_from_slice(&buffer[..count]);
                    self.has_ended = count == 0;
                    return Ok(count > 0);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Takes a head as a whole. `None` if the connection ends before it does, or it is too long; then all is left as it is.
    pub fn head(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut seen = 0;
        loop {
            if let Some(length) = head_length(&self.read, seen) {
                return Ok(Some(self.read.drain(..length).collect()));
            }
            seen = self.read.len();
            if self.read.len() > HEAD_MAX || !self.fill()? {
                return Ok(None);
            }
        }
    }

    pub fn write(&self, bytes: &[u8]) -> io::Result<()> {
        (&*self.stream).write_all(bytes)
    }

    /// Puts back what was taken.
    pub fn put_back(&mut self, bytes: Vec<u8>) {
        self.read.splice(..0, bytes);
    }

    pub fn shutdown(&self, how: Shutdown) {
        let _ = self.stream.shutdown(how);
    }

    /// Returns true if the other side is there, and has said nothing.
    pub fn is_silent(&self) -> bool {
        let silent = || -> io::Result<bool> {
            self.stream.set_nonblocking(true)?;
            let peeked = self.stream.peek(&mut [0]);
            self.stream.set_nonblocking(false)?;
            Ok(peeked.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock))
        };
        self.read.is_empty() && silent().unwrap_or(false)
    }

    /// Hangs up so that what was written arrives. If there were unread bytes of the other side, the system would reset the
    /// connection, and that can destroy an answer on its way. So they are read first, for a while.
    pub fn hang_up(&mut self) {
        if self.is_reset {
            return;
        }
        self.shutdown(Shutdown::Write);
        let begun = Instant::now();
        while let Some(left) = LINGER.checked_sub(begun.elapsed()).filter(|left| !left.is_zero() && !self.has_ended) {
            self.read.clear();
            if self.stream.set_read_timeout(Some(left)).is_err() || self.fill().is_err() {
                return;
            }
        }
    }

    /// Hangs up as a program does that is killed: the other side must not take what it has for the whole.
    pub fn reset(&mut self) {
        self.is_reset = true;
        #[cfg(unix)]
        let _ = rustix::net::sockopt::set_socket_linger(&*self.stream, Some(Duration::ZERO));
        // Wakes who reads, and sends nothing. The reset itself is sent when the last owner closes the connection.
        self.shutdown(Shutdown::Read);
    }
}

fn connect_to(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, CONNECT)?;
    // Where nobody listens, the system may choose the very port to connect from: then it is connected to itself.
    if stream.local_addr()? == address {
        return Err(io::ErrorKind::ConnectionRefused.into());
    }
    Ok(stream)
}
