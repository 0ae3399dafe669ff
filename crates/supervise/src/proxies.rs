//! `Proxies`: the addresses that one Rondel holds while it exchanges services again and again.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use crate::proxy::Proxy;

/// The addresses that are held, each until this is dropped.
#[derive(Clone, Default)]
pub struct Proxies {
    held: Arc<Mutex<BTreeMap<SocketAddr, Arc<Proxy>>>>,
}

impl Proxies {
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
