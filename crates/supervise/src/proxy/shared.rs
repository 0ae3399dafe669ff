//! What all clients of a proxy share: where the service is, what is under way to it, and the connections that are open to it
//! though no request is under way on them. Knows nothing of what is said on a connection.

use std::collections::BTreeMap;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use super::side::Side;

/// The longest that a connection waits for a service.
const WAIT_MAX: Duration = Duration::from_secs(120);
/// Interval at which a waiting client looks whether the proxy has ended.
const INTERVAL: Duration = Duration::from_millis(500);
/// The most idle connections to the service: each needs a descriptor of this process, beside that of its client.
const IDLE_MAX: usize = 128;

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
    /// Connections to the service without a request, by their numbers.
    idle: BTreeMap<u64, Arc<TcpStream>>,
    /// Connections of clients without a request, by their numbers.
    quiet: BTreeMap<u64, Arc<TcpStream>>,
    /// The number of the next one of either.
    next: u64,
    /// How many clients there are.
    clients: usize,
}

impl State {
    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// Ends all idle connections: a service that is to end may wait for them.
    fn end_idle(&mut self) {
        for stream in std::mem::take(&mut self.idle).into_values() {
            // Its client's thread is waiting for it, and is woken by this.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

/// A request under way, until this is dropped.
pub(crate) struct UnderWay<'a> {
    shared: &'a Shared,
    /// Where the service is.
    pub service: SocketAddr,
    /// Which service it is.
    pub generation: u64,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.shared.lock().under_way -= 1;
        self.shared.changed.notify_all();
    }
}

/// An idle connection to the service. It is ended from elsewhere when the service is exchanged.
pub(crate) struct Kept<'a> {
    shared: &'a Shared,
    number: u64,
    stream: Arc<TcpStream>,
    since: Instant,
    /// Which service it leads to.
    pub generation: u64,
}

/// Returns how many clients a proxy takes: each may need two descriptors, and a third of all is left to the rest of the process.
#[cfg(unix)]
pub(crate) fn clients_max() -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    limit.and_then(|limit| usize::try_from(limit / 3).ok()).unwrap_or(usize::MAX)
}

#[cfg(not(unix))]
pub(crate) fn clients_max() -> usize {
    usize::MAX
}

impl Kept<'_> {
    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Returns how long it has been idle.
    pub fn age(&self) -> Duration {
        self.since.elapsed()
    }

    /// Takes it for use. `None` if it was ended since the service is exchanged.
    pub fn claim(self) -> Option<Side> {
        let is_there = self.shared.lock().idle.remove(&self.number).is_some();
        is_there.then(|| Side::from(Arc::clone(&self.stream)))
    }
}

impl Drop for Kept<'_> {
    fn drop(&mut self) {
        self.shared.lock().idle.remove(&self.number);
    }
}

/// A client that is connected, until this is dropped.
pub(crate) struct Present(Arc<Shared>);

impl Present {
    pub fn new(shared: &Arc<Shared>) -> Present {
        shared.lock().clients += 1;
        Present(Arc::clone(shared))
    }

    pub fn shared(&self) -> &Shared {
        &self.0
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        self.0.lock().clients -= 1;
    }
}

/// A client that has no request under way, until this is dropped.
pub(crate) struct Quiet<'a> {
    shared: &'a Shared,
    number: u64,
}

impl Drop for Quiet<'_> {
    fn drop(&mut self) {
        self.shared.lock().quiet.remove(&self.number);
    }
}

impl Shared {
    /// Returns true if there are fewer clients than `most`. Else the one that is quiet for the longest is hung up on, as servers do
    /// with idle connections.
    pub fn has_room(&self, most: usize) -> bool {
        let mut state = self.lock();
        if state.clients < most {
            return true;
        }
        if let Some((_, stream)) = state.quiet.pop_first() {
            // Its thread is woken by that, and still reads a request that has come by now.
            let _ = stream.shutdown(Shutdown::Read);
        }
        false
    }

    /// Returns how many clients are quiet, and how many requests are under way.
    #[cfg(test)]
    pub fn counts(&self) -> (usize, usize) {
        let state = self.lock();
        (state.quiet.len(), state.under_way)
    }

    /// Notes that a client has no request under way.
    pub fn quiet(&self, client: &Side) -> Quiet<'_> {
        let mut state = self.lock();
        let number = state.number();
        state.quiet.insert(number, Arc::clone(&client.stream));
        Quiet { shared: self, number }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic while locked")
    }

    /// Returns true if the proxy has ended.
    pub fn is_over(&self) -> bool {
        self.is_over.load(Ordering::SeqCst)
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
            let left = WAIT_MAX.checked_sub(begun.elapsed()).filter(|_| !self.is_over())?;
            state = self.changed.wait_timeout(state, left.min(INTERVAL)).expect("no panic while locked").0;
        }
    }

    /// Returns where the service is and which it is, if there is one now that came after the given one.
    pub fn service_after(&self, generation: u64) -> Option<(SocketAddr, u64)> {
        let state = self.lock();
        state.service.filter(|_| state.generation > generation).map(|service| (service, state.generation))
    }

    /// Returns true if this is the service that there is now.
    pub fn is_current(&self, generation: u64) -> bool {
        let state = self.lock();
        state.service.is_some() && state.generation == generation
    }

    /// Keeps a connection to a service. `None` if the service is no longer there, or too many are kept.
    pub fn keep(&self, generation: u64, stream: Arc<TcpStream>) -> Option<Kept<'_>> {
        let mut state = self.lock();
        if state.generation != generation || state.service.is_none() || state.idle.len() >= IDLE_MAX {
            return None;
        }
        let number = state.number();
        state.idle.insert(number, Arc::clone(&stream));
        Some(Kept { shared: self, number, stream, since: Instant::now(), generation })
    }

    /// Gives up all idle connections, since something failed that needs a descriptor. Their clients get others.
    pub fn end_idle(&self) {
        self.lock().end_idle();
    }

    /// Lets everything through to the service at `service`.
    pub fn open(&self, service: SocketAddr) {
        let mut state = self.lock();
        state.generation += 1;
        state.service = Some(service);
        state.end_idle();
        drop(state);
        self.changed.notify_all();
    }

    /// Lets nothing more through, and waits until what is under way has ended. Returns true if all has.
    pub fn hold(&self, patience: Duration) -> bool {
        let begun = Instant::now();
        let mut state = self.lock();
        state.service = None;
        state.end_idle();
        while state.under_way > 0 {
            let Some(left) = patience.checked_sub(begun.elapsed()) else { return false };
            state = self.changed.wait_timeout(state, left).expect("no panic while locked").0;
        }
        true
    }

    /// Ends the proxy. What is under way is still finished.
    pub fn end(&self) {
        self.is_over.store(true, Ordering::SeqCst);
        let mut state = self.lock();
        state.service = None;
        state.end_idle();
        drop(state);
        self.changed.notify_all();
    }
}
