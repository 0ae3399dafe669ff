//! One client of a proxy: its requests, one after the other, each to the service that is there when it comes.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use super::framing::{Body, Chunks, Head, head_length, is_http, request, response};
use super::{Shared, UnderWay};

/// The longest head.
const HEAD_MAX: usize = 256 * 1024;
/// The longest body of a request that can be sent a second time.
const REPEATED_MAX: u64 = 1024 * 1024;
/// Time for a connection to a service that is ready.
const CONNECT: Duration = Duration::from_secs(5);

/// A connection, with what was read of it and not used yet.
struct Side {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Side {
    /// Reads more. Returns false at the end.
    fn fill(&mut self) -> io::Result<bool> {
        let mut buffer = [0_u8; 16 * 1024];
        let count = self.stream.read(&mut buffer)?;
        self.read.extend_from_slice(&buffer[..count]);
        Ok(count > 0)
    }

    /// Reads a head as a whole. `None` if the connection ends first, or it is too long.
    fn head(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            if let Some(length) = head_length(&self.read) {
                return Ok(Some(self.read.drain(..length).collect()));
            }
            if self.read.len() > HEAD_MAX || !self.fill()? {
                return Ok(None);
            }
        }
    }
}

/// Serves one client until it or the service ends the connection.
pub(crate) fn serve(client: TcpStream, shared: &Shared) {
    let _ = client.set_nodelay(true);
    // The listener's own setting may be inherited.
    let _ = client.set_nonblocking(false);
    let mut client = Side { stream: client, read: Vec::new() };
    let _ = requests(&mut client, shared);
}

fn requests(client: &mut Side, shared: &Shared) -> io::Result<()> {
    loop {
        while is_http(&client.read).is_none() {
            if !client.fill()? {
                return Ok(());
            }
        }
        if is_http(&client.read) == Some(false) {
            return pass_through(client, shared);
        }
        let Some(bytes) = client.head()? else { return Ok(()) };
        let Some(head) = request(&bytes) else {
            client.read.splice(..0, bytes);
            return pass_through(client, shared);
        };
        let Some(under_way) = shared.begin() else { return unavailable(client) };
        if !one_request(client, &bytes, &head, under_way)? {
            return Ok(());
        }
    }
}

/// Tells the client that there is no service.
fn unavailable(client: &mut Side) -> io::Result<()> {
    let text = "the service is not ready\n";
    let head =
        "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 1\r\nContent-Type: text/plain\r\n";
    write!(client.stream, "{head}Content-Length: {}\r\n\r\n{text}", text.len())
}

fn connect(service: SocketAddr) -> io::Result<Side> {
    let stream = TcpStream::connect_timeout(&service, CONNECT)?;
    stream.set_nodelay(true)?;
    Ok(Side { stream, read: Vec::new() })
}

/// Passes a connection on as bytes, to the end of either side.
fn pass_through(client: &mut Side, shared: &Shared) -> io::Result<()> {
    let Some(under_way) = shared.begin() else { return Ok(()) };
    let service = connect(under_way.service)?;
    // It may stay for hours: nobody waits for its end.
    drop(under_way);
    tunnel(client, service)
}

fn tunnel(client: &mut Side, mut service: Side) -> io::Result<()> {
    service.stream.write_all(&std::mem::take(&mut client.read))?;
    client.stream.write_all(&std::mem::take(&mut service.read))?;
    let (mut from_client, mut to_service) = (client.stream.try_clone()?, service.stream.try_clone()?);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let _ = io::copy(&mut from_client, &mut to_service);
            let _ = to_service.shutdown(Shutdown::Write);
        });
        let _ = io::copy(&mut service.stream, &mut client.stream);
        let _ = client.stream.shutdown(Shutdown::Both);
        let _ = service.stream.shutdown(Shutdown::Both);
    });
    Ok(())
}

/// Sends a request and passes on the answer. Returns true if the client may send another one.
fn one_request(client: &mut Side, bytes: &[u8], head: &Head, under_way: UnderWay<'_>) -> io::Result<bool> {
    // A short body is kept, so that it can be sent again where a kept connection turns out to be dead.
    let mut whole = bytes.to_vec();
    let is_kept = matches!(head.body, Body::Length(length) if length <= REPEATED_MAX);
    if let (true, Body::Length(length)) = (is_kept, head.body) {
        let length = usize::try_from(length).expect("at most a megabyte");
        while client.read.len() < length {
            if !client.fill()? {
                return Ok(false);
            }
        }
        whole.extend(client.read.drain(..length));
    }
    let mut answered = None;
    while let Some(stream) = under_way.idle().filter(|_| is_kept) {
        let mut service = Side { stream, read: Vec::new() };
        if service.stream.write_all(&whole).is_ok()
            && let Ok(Some(first)) = service.head()
        {
            answered = Some((service, first));
            break;
        }
    }
    let (mut service, mut first) = match answered {
        Some(answered) => answered,
        None => {
            let mut service = connect(under_way.service)?;
            service.stream.write_all(&whole)?;
            if !is_kept && !pass_body(client, &mut service.stream, head.body)? {
                return Ok(false);
            }
            let Some(first) = service.head()? else { return Ok(false) };
            (service, first)
        }
    };
    let answer = loop {
        let Some(answer) = response(&first, head) else { return Ok(false) };
        client.stream.write_all(&first)?;
        if answer.status == 101 {
            drop(under_way);
            return tunnel(client, service).map(|()| false);
        }
        if answer.status >= 200 {
            break answer;
        }
        let Some(next) = service.head()? else { return Ok(false) };
        first = next;
    };
    if !pass_body(&mut service, &mut client.stream, answer.body)? {
        return Ok(false);
    }
    if answer.stays && service.read.is_empty() {
        under_way.keep(service.stream);
    }
    Ok(answer.stays && head.stays)
}

/// Passes a body on. Returns false if it breaks off, or ends with its connection.
fn pass_body(from: &mut Side, to: &mut TcpStream, body: Body) -> io::Result<bool> {
    match body {
        Body::Length(length) => {
            let mut left = length;
            while left > 0 {
                if from.read.is_empty() && !from.fill()? {
                    return Ok(false);
                }
                let count = usize::try_from(left).unwrap_or(usize::MAX).min(from.read.len());
                to.write_all(&from.read[..count])?;
                from.read.drain(..count);
                left -= count as u64;
            }
            Ok(true)
        }
        Body::Chunked => {
            let mut chunks = Chunks::default();
            while !chunks.is_done() {
                if from.read.is_empty() && !from.fill()? {
                    return Ok(false);
                }
                let Some(count) = chunks.take(&from.read) else { return Ok(false) };
                to.write_all(&from.read[..count])?;
                from.read.drain(..count);
            }
            Ok(true)
        }
        Body::ToTheEnd => {
            to.write_all(&std::mem::take(&mut from.read))?;
            io::copy(&mut from.stream, to)?;
            Ok(false)
        }
    }
}
