//! Whether a service is ready: asked again and again, and at most for its time.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use rondel_process::{Cancellation, CommandLine, capture, find_tool, listener_at};

use crate::service::{Ready, Service};

/// The shortest life of a service that says nothing of its readiness.
const MIN_LIFE: Duration = Duration::from_millis(500);
/// Interval between two questions at first. It doubles up to the other: after each question that starts a program, and after a second
/// of those that do not.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const OFTEN: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);
/// The longest that one question may take.
const PATIENCE: Duration = Duration::from_secs(3);
/// The longest wait for a port that a former run of the same service still holds.
const PORT_PATIENCE: Duration = Duration::from_secs(3);

/// How the wait for readiness ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Probed {
    Ready,
    TimedOut,
    /// The service ended before.
    Ended,
}

/// Waits until the service is ready, its time is over, or `ended` is closed.
pub(crate) fn wait_until_ready(service: &Service, saw_line: &AtomicBool, ended: &Receiver<()>) -> Probed {
    let begun = Instant::now();
    let mut pause = FIRST_PAUSE;
    loop {
        match ended.recv_timeout(pause) {
            Err(RecvTimeoutError::Timeout) => {}
            Ok(()) | Err(RecvTimeoutError::Disconnected) => return Probed::Ended,
        }
        if is_ready(service, saw_line, begun) {
            // A program that has just died may have been answered for by another one.
            return match ended.try_recv() {
                Err(std::sync::mpsc::TryRecvError::Empty) => Probed::Ready,
                _ => Probed::Ended,
            };
        }
        if begun.elapsed() > service.ready_timeout {
            return Probed::TimedOut;
        }
        let is_cheap = !matches!(service.ready, Some(Ready::Command(_)));
        pause = if is_cheap && begun.elapsed() < OFTEN { pause } else { (pause * 2).min(LONGEST_PAUSE) };
    }
}

fn is_ready(service: &Service, saw_line: &AtomicBool, begun: Instant) -> bool {
    match &service.ready {
        None => begun.elapsed() >= MIN_LIFE,
        Some(Ready::Line(_)) => saw_line.load(Ordering::SeqCst),
        Some(Ready::Port(port)) => {
            loopbacks(*port).iter().any(|address| TcpStream::connect_timeout(address, PATIENCE).is_ok())
        }
        Some(Ready::Http { port, path }) => loopbacks(*port).iter().any(|address| http_answers(*address, path)),
        Some(Ready::Command(words)) => ends_well(service, words),
    }
}

fn loopbacks(port: u16) -> [SocketAddr; 2] {
    [SocketAddr::from((Ipv4Addr::LOCALHOST, port)), SocketAddr::from((Ipv6Addr::LOCALHOST, port))]
}

fn ends_well(service: &Service, words: &[String]) -> bool {
    let Some((program, arguments)) = words.split_first() else { return false };
    let path = service.environment.iter().find(|(name, _)| name == "PATH").map_or("", |(_, value)| value);
    let program: PathBuf = match find_tool(program, path, &service.directory) {
        Ok(program) => program,
        Err(_) => return false,
    };
    let line = CommandLine::new(program, &service.directory).arguments(arguments.iter().cloned());
    let line = line.environment(service.environment.iter().cloned());
    let line = CommandLine { timeout: Some(PATIENCE), ..line };
    capture(&line, &Cancellation::new()).is_ok_and(|captured| captured.finished.status.success())
}

/// Sends a GET request of HTTP/1.0; returns true if the answer has a status of 2xx.
pub fn http_answers(address: SocketAddr, path: &str) -> bool {
    let answer = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(2))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n")?;
        let mut head = [0_u8; 12];
        stream.read_exact(&mut head)?;
        Ok(head.starts_with(b"HTTP/1.") && head[9] == b'2')
    };
    answer().unwrap_or(false)
}

/// Fails if another program listens at the port that the service is to listen at: it would answer in its place. Waits a moment
/// first, since a process that has ended may still hold it.
pub(crate) fn require_free_port(service: &Service, cancellation: &Cancellation) -> Result<(), String> {
    let Some(port) = service.ready.as_ref().and_then(Ready::port) else { return Ok(()) };
    let begun = Instant::now();
    loop {
        // Each of them is asked for readiness.
        let Some(taken) = loopbacks(port).into_iter().find(is_taken) else { return Ok(()) };
        if cancellation.is_raised() || begun.elapsed() > PORT_PATIENCE {
            let holder = listener_at(port).map_or_else(|| "another program".to_owned(), |holder| holder.to_string());
            let place = if taken.is_ipv6() { format!("at {taken}") } else { "there".to_owned() };
            return Err(format!("port {port} is taken: {holder} listens {place}"));
        }
        std::thread::sleep(FIRST_PAUSE);
    }
}

/// Returns true if somebody listens at the address. A system without IPv6 has nobody there.
fn is_taken(address: &SocketAddr) -> bool {
    match TcpListener::bind(address) {
        Ok(_) => false,
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => true,
        // A port that only the system's own programs may bind, for example, can be answered all the same.
        Err(_) => TcpStream::connect_timeout(address, PATIENCE).is_ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_taken_on_either_loopback() {
        for own in [SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), SocketAddr::from((Ipv6Addr::LOCALHOST, 0))] {
            // A machine without IPv6 has one of them.
            let Ok(listener) = TcpListener::bind(own) else { continue };
            let address = listener.local_addr().unwrap();
            let taken = || loopbacks(address.port()).into_iter().filter(is_taken).collect::<Vec<_>>();
            assert_eq!(taken(), [address]);
            drop(listener);
            assert!(taken().is_empty());
        }
    }
}
