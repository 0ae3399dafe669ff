//! One client of a proxy: its requests, one after the other, each to the service that is there when it is whole. Chooses the
//! connection for each, and decides whether one is sent a second time.

use std::io;
use std::net::TcpStream;
use std::time::Duration;

use super::answer::{Answer, Broken, Exchange, Request};
use super::framing::{Body, request};
use super::listen::{Wish, first_wish, next_wish};
use super::shared::{Kept, Shared, UnderWay};
use super::side::Side;
use super::tunnel::tunnel;

/// The longest body of a request that is read as a whole before it is sent. The others are passed on as they come.
const SHORT_MAX: u64 = 1024 * 1024;
/// The longest that a connection was idle by which a request is sent that can't be sent again. Servers that end idle connections
/// do so after some seconds, and could do it at that very moment.
const FRESH: Duration = Duration::from_secs(1);
/// How often, and at which interval, a service that can't be reached is tried: one that died is being started again.
const ATTEMPTS: u32 = 50;
const PAUSE: Duration = Duration::from_millis(20);

/// Serves one client until it or the service ends the connection.
pub(crate) fn serve(client: TcpStream, shared: &Shared) {
    // The listener's own setting may be inherited.
    let _ = client.set_nonblocking(false);
    let mut client = Side::new(client);
    let _ = requests(&mut client, shared);
    client.hang_up();
}

fn requests(client: &mut Side, shared: &Shared) -> io::Result<()> {
    let mut wish = first_wish(client, shared)?;
    loop {
        let kept = match wish {
            Wish::Nothing => return Ok(()),
            Wish::Bytes(service) => return pass_through(client, shared, service),
            Wish::Request(kept) => kept,
        };
        let Some(request) = whole_request(client)? else { return pass_through(client, shared, None) };
        let Some(kept) = carry_out(client, shared, kept, &request)? else { return Ok(()) };
        wish = next_wish(client, shared, kept)?;
    }
}

/// Reads a request as far as it is needed before a service is asked for. `None` if it can't be framed, or breaks off: then all of
/// it is left as it is, and the service may judge.
fn whole_request(client: &mut Side) -> io::Result<Option<Request>> {
    let Some(bytes) = client.head()? else { return Ok(None) };
    let head = request(&bytes);
    let (head, length) = match head {
        // After an upgrade there is no telling where the body ended.
        Some(head) if head.is_upgrade && (head.expects || !is_short(head.body)) => (None, None),
        Some(head) if head.expects && head.body != Body::Length(0) => (Some(head), None),
        Some(head) => (Some(head), Some(head.body).filter(|body| is_short(*body))),
        None => (None, None),
    };
    let Some(head) = head else {
        client.put_back(bytes);
        return Ok(None);
    };
    let Some(Body::Length(length)) = length else { return Ok(Some(Request { bytes, head, body: None })) };
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    while client.read.len() < length {
        if !client.fill()? {
            client.put_back(bytes);
            return Ok(None);
        }
    }
    let body = Some(client.read.drain(..length).collect());
    Ok(Some(Request { bytes, head, body }))
}

fn is_short(body: Body) -> bool {
    matches!(body, Body::Length(..=SHORT_MAX))
}

/// Sends a request and passes on the answer. Returns whether the client may send another one, with the connection for it.
fn carry_out<'a>(
    client: &mut Side,
    shared: &'a Shared,
    kept: Option<Kept<'a>>,
    request: &Request,
) -> io::Result<Option<Option<Kept<'a>>>> {
    let may_repeat = request.head.is_idempotent && request.body.is_some();
    let mut kept = kept.filter(|kept| may_repeat || kept.age() < FRESH);
    loop {
        let Some((under_way, service, is_used)) = reach(shared, kept.take()) else {
            return unavailable(client).map(|()| None);
        };
        let mut exchange = Exchange::start(client, service, request)?;
        match exchange.answer(&request.head) {
            Ok(Answer::Whole(answer)) => {
                return Ok(exchange.finish(shared, under_way, answer.stays && request.head.stays));
            }
            Ok(Answer::ToTheEnd) => exchange.pass_rest(Some(under_way)),
            Ok(Answer::Switched) => {
                // It may stay for hours: nobody waits for its end.
                drop(under_way);
                exchange.pass_rest(None);
            }
            // A connection that was idle may have ended at that moment. The next one is new, so this happens once at most.
            Err(Broken::Service { is_silent: true, .. }) if is_used && may_repeat => continue,
            Err(Broken::Service { is_reset, .. }) => exchange.hang_up(is_reset),
            Err(Broken::Client) => exchange.let_go(),
        }
        return Ok(None);
    }
}

/// Waits for a service and takes the kept connection to it, or a new one. Returns with it whether it was used before. Nothing is
/// sent yet, so one that can't be reached may be tried again.
fn reach<'a>(shared: &'a Shared, mut kept: Option<Kept<'a>>) -> Option<(UnderWay<'a>, Side, bool)> {
    for _ in 0..ATTEMPTS {
        let under_way = shared.begin()?;
        if let Some(service) = kept.take().and_then(Kept::claim).filter(Side::is_silent) {
            return Some((under_way, service, true));
        }
        if let Ok(service) = Side::connect(under_way.service) {
            return Some((under_way, service, false));
        }
        drop(under_way);
        shared.end_idle();
        std::thread::sleep(PAUSE);
    }
    None
}

/// Tells the client that there is no service.
fn unavailable(client: &Side) -> io::Result<()> {
    let text = "the service is not ready\n";
    let head =
        "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 1\r\nContent-Type: text/plain\r\n";
    client.write(format!("{head}Content-Length: {}\r\n\r\n{text}", text.len()).as_bytes())
}

/// Passes a connection on as bytes, to the end of either side.
fn pass_through(client: &mut Side, shared: &Shared, service: Option<Side>) -> io::Result<()> {
    // It may stay for hours: nobody waits for its end.
    let service = service.or_else(|| reach(shared, None).map(|(_, service, _)| service));
    if let Some(service) = service {
        tunnel(client, service, None);
    }
    Ok(())
}
