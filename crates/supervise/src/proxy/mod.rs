//! `Proxy`: holds the address that a service is reached at, while the service itself is exchanged.
//!
//! A request that comes while there is no service waits. One that is under way is finished before the service is stopped, if it
//! ends in time. So nobody sees the exchange but by its time. It reads HTTP/1.1 as far as it must to know where a request ends;
//! everything else (websockets, HTTP/2, other protocols) is passed on as bytes, from a connection to the service to its end. It
//! changes no byte, and knows nothing of what it passes on.

mod exchange;
mod framing;

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// The longest that a connection waits for a service.
const WAIT_MAX: Duration = Duration::from_secs(120);
/// How often the listener looks whether it is to end.
const INTERVAL: Duration = Duration::from_millis(50);
/// The most connections to the service that are kept for later requests.
const IDLE_MAX: usize = 64;

/// A held address.
pub struct Proxy {
    shared: Arc<Shared>,
    address: SocketAddr,
}

#[derive(Default)]
pub(crate) struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    is_over: AtomicBool,
}

#[derive(Default)]
struct State {
    /// Where the service is, if it is ready.
    service: Option<SocketAddr>,
    /// Counts the services: a connection to a former one is of no use.
    generation: u64,
    /// Requests that were sent to the service, and are not answered as a whole.
    under_way: usize,
    idle: Vec<TcpStream>,
}

/// A request under way, until this is dropped.
pub(crate) struct UnderWay<'a> {
    shared: &'a Shared,
    /// Where the service is.
    pub service: SocketAddr,
    generation: u64,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.shared.lock().under_way -= 1;
        self.shared.changed.notify_all();
    }
}

impl UnderWay<'_> {
    /// Returns a connection to the service that was used before, if there is one.
    pub fn idle(&self) -> Option<TcpStream> {
        let mut state = self.shared.lock();
        if state.generation == self.generation { state.idle.pop() } else { None }
    }

    /// Keeps a connection for a later request.
    pub fn keep(&self, connection: TcpStream) {
        let mut state = self.shared.lock();
        if state.generation == self.generation && state.service.is_some() && state.idle.len() < IDLE_MAX {
            state.idle.push(connection);
        }
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("no panic while locked")
    }

    /// Waits for a service, and counts a request to it. `None` if none comes.
    pub fn begin(&self) -> Option<UnderWay<'_>> {
        let begun = Instant::now();
        let mut state = self.lock();
        loop {
            if let Some(service) = state.service {
                state.under_way += 1;
                return Some(UnderWay { shared: self, service, generation: state.generation });
            }
            let left = WAIT_MAX.checked_sub(begun.elapsed()).filter(|_| !self.is_over.load(Ordering::SeqCst))?;
            state = self.changed.wait_timeout(state, left.min(INTERVAL * 10)).expect("no panic while locked").0;
        }
    }
}

impl Proxy {
    /// Holds an address. Whoever connects waits until `open`.
    pub fn start(address: SocketAddr) -> io::Result<Proxy> {
        let listener = TcpListener::bind(address)?;
        let address = listener.local_addr()?;
        listener.set_nonblocking(true)?;
        let shared = Arc::new(Shared::default());
        let own = Arc::clone(&shared);
        std::thread::spawn(move || accept(&listener, &own));
        Ok(Proxy { shared, address })
    }

    /// Returns the address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets everything through to the service at `service`.
    pub fn open(&self, service: SocketAddr) {
        let mut state = self.shared.lock();
        state.generation += 1;
        state.service = Some(service);
        state.idle.clear();
        drop(state);
        self.shared.changed.notify_all();
    }

    /// Lets nothing more through, and waits until what is under way has ended, at most for `patience`. Returns whether all has.
    pub fn hold(&self, patience: Duration) -> bool {
        let begun = Instant::now();
        let mut state = self.shared.lock();
        state.service = None;
        state.idle.clear();
        while state.under_way > 0 {
            let Some(left) = patience.checked_sub(begun.elapsed()) else { return false };
            state = self.shared.changed.wait_timeout(state, left).expect("no panic while locked").0;
        }
        true
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::SeqCst);
        self.shared.lock().service = None;
        self.shared.changed.notify_all();
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    while !shared.is_over.load(Ordering::SeqCst) {
        match listener.accept() {
            Ok((client, _)) => {
                let shared = Arc::clone(shared);
                // Without a thread for it, a client is hung up on.
                let _ = std::thread::Builder::new().spawn(move || exchange::serve(client, &shared));
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => wait_for_client(listener),
            Err(_) => std::thread::sleep(Duration::from_millis(5)),
        }
    }
}

/// Waits for a client, at most an interval.
#[cfg(unix)]
fn wait_for_client(listener: &TcpListener) {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let time = Timespec { tv_sec: 0, tv_nsec: INTERVAL.subsec_nanos().into() };
    let _ = poll(&mut [PollFd::new(listener, PollFlags::IN)], Some(&time));
}

#[cfg(not(unix))]
fn wait_for_client(_listener: &TcpListener) {
    std::thread::sleep(Duration::from_millis(2));
}

#[cfg(test)]
mod tests;
