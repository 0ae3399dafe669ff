//! `Proxies`: the addresses that one Rondel holds while it exchanges services again and again.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use crate::proxy::Proxy;

/// The addresses that are held, each until this is dropped.
#[derive(Clone, Default)]
pub struct Proxies {
    held: Arc<Mutex<BTreeMap<SocketAddr, Arc<Proxy>>>>,
    /// Those that services have, as far as is known since others were let go.
    wanted: Arc<Mutex<BTreeSet<SocketAddr>>>,
}

impl Proxies {
    /// Takes down that a service has this address.
    pub fn want(&self, address: SocketAddr) {
        self.wanted.lock().expect("no panic while locked").insert(address);
    }

    /// Lets go of all addresses that nobody wanted since the last call.
    pub fn let_others_go(&self) {
        let wanted = std::mem::take(&mut *self.wanted.lock().expect("no panic while locked"));
        self.held.lock().expect("no panic while locked").retain(|address, _| wanted.contains(address));
    }

    /// Returns true if the address is one of them.
    pub fn hold(&self, address: SocketAddr) -> bool {
        self.held.lock().expect("no panic while locked").contains_key(&address)
    }

    /// Returns the proxy of an address, which is held from then on.
    pub fn at(&self, address: SocketAddr) -> io::Result<Arc<Proxy>> {
        let mut held = self.held.lock().expect("no panic while locked");
        if let Some(proxy) = held.get(&address) {
            return Ok(Arc::clone(proxy));
        }
        let proxy = Arc::new(Proxy::start(address)?);
        held.insert(address, Arc::clone(&proxy));
        Ok(proxy)
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn an_address_that_no_service_has_is_free_again() {
        let free = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let (kept, left, proxies) = (free(), free(), Proxies::default());
        for address in [kept, left] {
            proxies.want(address);
            proxies.at(address).unwrap();
        }
        proxies.let_others_go();
        assert!(TcpListener::bind(left).is_err());
        proxies.want(kept);
        proxies.let_others_go();
        let begun = Instant::now();
        while TcpListener::bind(left).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(10), "{left} is still held");
            std::thread::sleep(Duration::from_millis(5));
        }
        assert!(TcpListener::bind(kept).is_err());
    }
}
