//! An address that is held for a service, while the service below it is exchanged.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rondel_engine::StepError;
use rondel_process::listener_at;
use rondel_supervise::Proxy;

/// Takes the proxy of an address for the target `name`, lets nothing more through, and waits for the requests that are under way, at
/// most for `patience`.
pub(crate) fn hold(
    name: &str,
    address: SocketAddr,
    proxy: io::Result<Arc<Proxy>>,
    patience: Duration,
) -> Result<Arc<Proxy>, StepError> {
    let proxy = proxy.map_err(|error| {
        let holder = listener_at(address.port()).map(|holder| format!("{holder} listens there"));
        let why = holder.unwrap_or_else(|| error.to_string());
        StepError::environment(format!("`{name}` can't hold `{address}`: {why}"))
            .hint("stop it, or hold another address")
    })?;
    proxy.hold(patience);
    Ok(proxy)
}
