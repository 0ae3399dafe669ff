//! `Upload`: a thread that passes the body of a request on to the service, while the answer may come already. Knows nothing of
//! the answer.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::chunks::Meter;
use super::side::Side;

/// How an upload ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Uploaded {
    /// The service has all of it.
    Whole,
    /// The service took no more. The rest was read and dropped.
    Refused,
    /// The client ended its side in the middle, and the service was told so.
    Short,
    /// The client has gone.
    Gone,
}

pub(crate) struct Upload {
    thread: Option<JoinHandle<(Uploaded, Vec<u8>)>>,
    client: Arc<TcpStream>,
    service: Arc<TcpStream>,
    /// True if it reads from the client. Nobody else may do so then.
    pub reads_client: bool,
}

impl Upload {
    /// Begins with `read`, which was read of the client already.
    pub fn start(client: &Side, read: Vec<u8>, service: &Side, meter: Meter, reads_client: bool) -> io::Result<Upload> {
        let (from, to) = (Arc::clone(&client.stream), Arc::clone(&service.stream));
        let thread = std::thread::Builder::new().spawn(move || pass(&from, read, &to, meter))?;
        let (client, service) = (Arc::clone(&client.stream), Arc::clone(&service.stream));
        Ok(Upload { thread: Some(thread), client, service, reads_client })
    }

    pub fn is_finished(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Returns how it ended, with what was read after the body.
    pub fn join(mut self) -> (Uploaded, Vec<u8>) {
        let joined = self.thread.take().map(JoinHandle::join);
        joined.and_then(Result::ok).unwrap_or((Uploaded::Gone, Vec::new()))
    }

    /// Ends it: the service gets no more, and what the client still sends is dropped for a while.
    pub fn end(self, patience: Duration) -> (Uploaded, Vec<u8>) {
        let begun = Instant::now();
        let _ = self.service.shutdown(Shutdown::Both);
        while !self.is_finished() && begun.elapsed() < patience {
            std::thread::sleep(Duration::from_millis(5));
        }
        if !self.is_finished() {
            let _ = self.client.shutdown(Shutdown::Read);
        }
        self.join()
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take() {
            let _ = self.service.shutdown(Shutdown::Both);
            if self.reads_client {
                let _ = self.client.shutdown(Shutdown::Both);
            }
            let _ = thread.join();
        }
    }
}

fn pass(mut client: &TcpStream, mut read: Vec<u8>, mut service: &TcpStream, mut meter: Meter) -> (Uploaded, Vec<u8>) {
    let mut uploaded = Uploaded::Whole;
    let mut buffer = vec![0_u8; 64 * 1024];
    loop {
        let count = meter.take(&read);
        // Who takes no more may have answered: the client can only read that if it gets its upload off.
        if uploaded == Uploaded::Whole && service.write_all(&read[..count]).is_err() {
            uploaded = Uploaded::Refused;
        }
        read.drain(..count);
        if meter.is_done() {
            return (uploaded, read);
        }
        match client.read(&mut buffer) {
            Ok(0) => {
                let _ = service.shutdown(Shutdown::Write);
                return (Uploaded::Short, read);
            }
            Ok(count) => read.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => {
                let _ = service.shutdown(Shutdown::Both);
                return (Uploaded::Gone, read);
            }
        }
    }
}
