//! `Proxy`: holds the address that a service is reached at, while the service itself is exchanged.
//!
//! A request that comes while there is no service waits. One that is under way is finished before the service is stopped, if it
//! ends in time. So nobody sees the exchange but by its time. It reads HTTP/1.1 as far as it must to know where a request ends;
//! everything else (websockets, HTTP/2, other protocols) is passed on as bytes, from a connection to the service to its end. It
//! changes no byte, and knows nothing of what it passes on.

mod answer;
mod chunks;
mod exchange;
mod framing;
mod listen;
mod shared;
mod side;
mod tunnel;
mod upload;
mod wait;

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use shared::{Present, Shared};

/// How often the listener looks whether it is to end.
const INTERVAL: Duration = Duration::from_millis(50);

/// Pause before the system is asked for a thread again.
const NO_THREAD: Duration = Duration::from_millis(20);

/// A held address.
pub struct Proxy {
    shared: Arc<Shared>,
    address: SocketAddr,
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
        self.shared.open(service);
    }

    /// Lets nothing more through, and waits until what is under way has ended, at most for `patience`. Returns whether all has.
    pub fn hold(&self, patience: Duration) -> bool {
        self.shared.hold(patience)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.end();
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    let most = shared::clients_max();
    while !shared.is_over() {
        if !shared.has_room(most) {
            // The others wait in the system's queue.
            std::thread::sleep(Duration::from_millis(1));
            continue;
        }
        match listener.accept() {
            Ok((client, _)) => start(client, shared),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => wait::for_client(listener, INTERVAL),
            Err(_) => {
                shared.end_idle();
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }
}

/// Serves a client on a thread of its own. Where the system has none just now, it waits for one, and the quiet clients make room one
/// after the other.
fn start(client: TcpStream, shared: &Arc<Shared>) {
    let waiting = Arc::new(Mutex::new(Some((client, Present::new(shared)))));
    while !shared.is_over() {
        let own = Arc::clone(&waiting);
        let serve = move || {
            let client = own.lock().expect("no panic while locked").take();
            if let Some((client, present)) = client {
                exchange::serve(client, present.shared());
            }
        };
        if std::thread::Builder::new().spawn(serve).is_ok() {
            return;
        }
        shared.has_room(0);
        std::thread::sleep(NO_THREAD);
    }
}

#[cfg(test)]
mod tests;
