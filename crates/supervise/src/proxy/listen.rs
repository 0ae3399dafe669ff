//! What a client wants that has no request under way: it is waited for, beside the connection to the service that there may be
//! for it. Knows how a client begins to speak, and nothing of requests.

use std::io;
use std::time::Duration;

use super::framing::speaks_http;
use super::shared::{Kept, Shared};
use super::side::Side;
use super::wait::{SEES_BOTH, Watch, wait};

/// Silence after which a client may be waiting for the first word of the service, as in SMTP or MySQL.
const SILENCE: Duration = Duration::from_millis(200);
/// Interval at which a client that is silent since then looks whether there is another service.
const LATER: Duration = Duration::from_secs(1);
/// Time after which a service that hung up is not just being exchanged.
const MOMENT: Duration = Duration::from_millis(100);

/// What a client wants.
pub(crate) enum Wish<'a> {
    /// Its request begins, and the connection can be used for it.
    Request(Option<Kept<'a>>),
    /// Its bytes are to be passed on, by the connection if there is one.
    Bytes(Option<Side>),
    /// Nothing more.
    Nothing,
}

/// Waits for the first words of a client. Silent ones get a connection to the service in advance, once for each service.
pub(crate) fn first_wish<'a>(client: &mut Side, shared: &'a Shared) -> io::Result<Wish<'a>> {
    let _quiet = shared.quiet(client);
    let (mut advance, mut tried, mut pause) = (None::<Kept<'_>>, 0, SILENCE);
    loop {
        match speaks_http(&client.read) {
            Some(true) => return Ok(Wish::Request(None)),
            Some(false) => return Ok(Wish::Bytes(advance.and_then(Kept::claim))),
            None => {}
        }
        if client.has_ended {
            // It may still read, as `nc` does whose input is empty. Where there is nothing to read it isn't kept waiting.
            let is_over = client.read.is_empty() && shared.service_after(0).is_none();
            return Ok(if is_over { Wish::Nothing } else { Wish::Bytes(advance.and_then(Kept::claim)) });
        }
        let service = advance.as_ref().map(|kept| (kept.stream(), Watch::Reading));
        let ready = wait(&client.stream, service, advance.is_none().then_some(pause));
        if ready.first {
            client.fill()?;
        } else if ready.second {
            // A service that hangs up without a word tells nothing of what the client wants: browsers open connections that
            // they use later.
            if let Some(mut service) = advance.take().and_then(Kept::claim)
                && service.fill().unwrap_or(false)
            {
                return Ok(Wish::Bytes(Some(service)));
            }
        } else if SEES_BOTH && advance.is_none() && client.read.is_empty() {
            pause = LATER;
            if let Some((address, generation)) = shared.service_after(tried) {
                tried = generation;
                advance = Side::connect(address).ok().and_then(|side| shared.keep(generation, side.stream));
            }
        }
    }
}

/// Waits for the next request of a client. If the service ends their connection meanwhile, the client is to see that.
pub(crate) fn next_wish<'a>(client: &mut Side, shared: &'a Shared, mut kept: Option<Kept<'a>>) -> io::Result<Wish<'a>> {
    let _quiet = shared.quiet(client);
    let mut left = None;
    loop {
        // Some clients send an empty line after a body.
        let blank = client.read.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        client.read.drain(..blank);
        match speaks_http(&client.read) {
            Some(true) => return Ok(Wish::Request(kept)),
            Some(false) => return Ok(Wish::Bytes(kept.and_then(Kept::claim).filter(Side::is_silent))),
            None if client.has_ended && client.read.is_empty() => return Ok(Wish::Nothing),
            None if client.has_ended => return Ok(Wish::Bytes(None)),
            None => {}
        }
        let service = kept.as_ref().map(|kept| (kept.stream(), Watch::Reading));
        let ready = wait(&client.stream, service, left.map(|_| MOMENT));
        if ready.first {
            client.fill()?;
        } else if ready.second {
            let generation = kept.as_ref().map(|kept| kept.generation);
            if let Some(mut service) = kept.take().and_then(Kept::claim) {
                if service.fill().unwrap_or(false) {
                    return Ok(Wish::Bytes(Some(service)));
                }
                left = generation;
            }
        } else if left.take().is_some_and(|generation| shared.is_current(generation)) {
            return Ok(Wish::Nothing);
        }
    }
}
