//! Waits for one of several connections. Where the system has no `poll`, it waits for the first one only. Knows nothing of what
//! comes.

use std::net::{TcpListener, TcpStream};
use std::time::Duration;

/// True if both connections are waited for.
pub(crate) const SEES_BOTH: bool = cfg!(unix);

/// What is waited for at the second connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Watch {
    /// Bytes or its end.
    Reading,
    /// That it was reset, where that can be seen without reading.
    Failing,
}

/// Which connections have something to read, an end or an error among it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ready {
    pub first: bool,
    pub second: bool,
}

/// Waits until there is something at one of the connections, or the time is over.
#[cfg(unix)]
pub(crate) fn wait(first: &TcpStream, second: Option<(&TcpStream, Watch)>, time: Option<Duration>) -> Ready {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let time = time.map(|time| Timespec {
        tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: time.subsec_nanos().into(),
    });
    let first = PollFd::new(first, PollFlags::IN);
    // Other systems than Linux may report an end again after it was read.
    let second = second.filter(|(_, watch)| *watch == Watch::Reading || cfg!(target_os = "linux"));
    let Some((second, watch)) = second else {
        let mut all = [first];
        let is_ready = poll(&mut all, time.as_ref()).is_ok() && !all[0].revents().is_empty();
        return Ready { first: is_ready, second: false };
    };
    let wanted = if watch == Watch::Reading { PollFlags::IN } else { PollFlags::empty() };
    let mut all = [first, PollFd::new(second, wanted)];
    if poll(&mut all, time.as_ref()).is_err() {
        return Ready::default();
    }
    let second = match watch {
        Watch::Reading => !all[1].revents().is_empty(),
        Watch::Failing => all[1].revents().intersects(PollFlags::ERR | PollFlags::NVAL),
    };
    Ready { first: !all[0].revents().is_empty(), second }
}

/// Waits for the first connection, and without a limit leaves that to the read that follows.
#[cfg(not(unix))]
pub(crate) fn wait(first: &TcpStream, _second: Option<(&TcpStream, Watch)>, time: Option<Duration>) -> Ready {
    use std::io::ErrorKind;
    let Some(time) = time else { return Ready { first: true, second: false } };
    let _ = first.set_read_timeout(Some(time));
    let peeked = first.peek(&mut [0]);
    let _ = first.set_read_timeout(None);
    let is_over = peeked.is_err_and(|error| matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut));
    Ready { first: !is_over, second: false }
}

/// Waits for a client, at most an interval.
#[cfg(unix)]
pub(crate) fn for_client(listener: &TcpListener, interval: Duration) {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let time = Timespec { tv_sec: 0, tv_nsec: interval.subsec_nanos().into() };
    let _ = poll(&mut [PollFd::new(listener, PollFlags::IN)], Some(&time));
}

#[cfg(not(unix))]
pub(crate) fn for_client(_listener: &TcpListener, _interval: Duration) {
    std::thread::sleep(Duration::from_millis(2));
}
