//! `Exchange`: one request on its way to the service, and the answer on its way back. Watches both sides, so that each sees what
//! the other does as it would without a proxy. Does not choose the connection, and knows nothing of a second attempt.

use std::io;
use std::net::Shutdown;
use std::time::Duration;

use super::chunks::Meter;
use super::framing::{Body, HEAD_MAX, Head, head_length, may_be_response, response};
use super::shared::{Kept, Shared, UnderWay};
use super::side::{LINGER, Side};
use super::tunnel::tunnel;
use super::upload::{Upload, Uploaded};
use super::wait::{Watch, wait};

/// The most that is read of requests which a client sends before the answer to the former one.
const AHEAD_MAX: usize = 256 * 1024;
/// The longest body that is sent before the answer is waited for. It has room in the buffers of the system.
const AT_ONCE_MAX: usize = 16 * 1024;
/// Intervals at which the end of an upload is looked for.
const SHORTEST_SLICE: Duration = Duration::from_millis(1);
const LONGEST_SLICE: Duration = Duration::from_millis(50);

/// A request.
pub(crate) struct Request {
    pub bytes: Vec<u8>,
    pub head: Head,
    /// The body, if it was read as a whole.
    pub body: Option<Vec<u8>>,
}

/// How far an answer was passed on.
pub(crate) enum Answer {
    /// As a whole, with this as its head.
    Whole(Head),
    /// What follows ends with the connection, or can't be framed.
    ToTheEnd,
    /// Something else than HTTP is spoken from now on.
    Switched,
}

/// Why there is no whole answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    /// The client has gone.
    Client,
    /// The service hung up, and not a byte of an answer had come if `is_silent`.
    Service { is_silent: bool, is_reset: bool },
}

/// What was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Heard {
    /// More of the service.
    Bytes,
    /// Something that does not concern the answer.
    Other,
    /// The service ended the connection.
    End { is_reset: bool },
}

pub(crate) struct Exchange<'c> {
    client: &'c mut Side,
    service: Side,
    /// The body, while it is on its way.
    upload: Option<Upload>,
    uploaded: Uploaded,
    slice: Duration,
    /// True after the service got to know that the client says no more.
    is_end_told: bool,
    has_said: bool,
}

impl<'c> Exchange<'c> {
    /// Sends a request. If the service does not take it, it may still have something to say.
    pub fn start(client: &'c mut Side, service: Side, request: &Request) -> io::Result<Exchange<'c>> {
        let mut upload = None;
        match &request.body {
            Some(body) if body.len() <= AT_ONCE_MAX => {
                let _ = service.write(&[request.bytes.as_slice(), body].concat());
            }
            Some(body) => {
                let _ = service.write(&request.bytes);
                upload = Some(Upload::start(client, body.clone(), &service, Meter::new(request.head.body), false)?);
            }
            None => {
                let _ = service.write(&request.bytes);
                let read = std::mem::take(&mut client.read);
                upload = Some(Upload::start(client, read, &service, Meter::new(request.head.body), true)?);
            }
        }
        let (uploaded, slice) = (Uploaded::Whole, SHORTEST_SLICE);
        Ok(Exchange { client, service, upload, uploaded, slice, is_end_told: false, has_said: false })
    }

    /// Passes the answer on.
    pub fn answer(&mut self, to: &Head) -> Result<Answer, Broken> {
        loop {
            let Some(length) = self.head()? else { return Ok(Answer::ToTheEnd) };
            let Some(answer) = response(&self.service.read[..length], to) else { return Ok(Answer::ToTheEnd) };
            self.pass_on(length)?;
            self.has_said = true;
            match (answer.status, answer.body) {
                (101, _) => return Ok(Answer::Switched),
                (..200, _) => {}
                (_, Body::ToTheEnd) => return Ok(Answer::ToTheEnd),
                (_, body) if self.body(body)? => return Ok(Answer::Whole(answer)),
                _ => return Ok(Answer::ToTheEnd),
            }
        }
    }

    /// Waits for a head and returns its length. `None` if what the service says has none.
    fn head(&mut self) -> Result<Option<usize>, Broken> {
        let mut seen = 0;
        loop {
            if let Some(length) = head_length(&self.service.read, seen) {
                return Ok(Some(length));
            }
            seen = self.service.read.len();
            if !may_be_response(&self.service.read) || self.service.read.len() > HEAD_MAX {
                return Ok(None);
            }
            match self.hear()? {
                Heard::End { is_reset } if self.service.read.is_empty() => {
                    return Err(Broken::Service { is_silent: !self.has_said, is_reset });
                }
                Heard::End { .. } => return Ok(None),
                Heard::Bytes | Heard::Other => {}
            }
        }
    }

    /// Passes a body on. Returns false if it has no end but that of the connection.
    fn body(&mut self, body: Body) -> Result<bool, Broken> {
        let mut meter = Meter::new(body);
        while !meter.is_done() {
            if self.service.read.is_empty() {
                if let Heard::End { is_reset } = self.hear()? {
                    return Err(Broken::Service { is_silent: false, is_reset });
                }
                continue;
            }
            let count = meter.take(&self.service.read);
            if meter.is_endless() {
                return Ok(false);
            }
            self.pass_on(count)?;
        }
        Ok(true)
    }

    /// Passes bytes on that the service said.
    fn pass_on(&mut self, count: usize) -> Result<(), Broken> {
        self.client.write(&self.service.read[..count]).map_err(|_| Broken::Client)?;
        self.service.read.drain(..count);
        Ok(())
    }

    /// Waits for the service, with an eye on the client and on the upload.
    fn hear(&mut self) -> Result<Heard, Broken> {
        if let Some(upload) = self.upload.take_if(|upload| upload.is_finished()) {
            let ended = upload.join();
            return self.end_upload(ended).map(|()| Heard::Other);
        }
        // Requests that were sent ahead come before the end.
        let is_end = self.client.has_ended && self.client.read.is_empty() && self.upload.is_none();
        if is_end && !self.is_end_told {
            self.service.shutdown(Shutdown::Write);
            self.is_end_told = true;
        }
        let is_free = self.upload.as_ref().is_none_or(|upload| !upload.reads_client);
        let has_room = !self.client.has_ended && self.client.read.len() < AHEAD_MAX;
        let watch = if is_free && has_room { Watch::Reading } else { Watch::Failing };
        let slice = self.upload.is_some().then_some(self.slice);
        let ready = wait(&self.service.stream, Some((&self.client.stream, watch)), slice);
        self.slice = (self.slice * 2).min(LONGEST_SLICE);
        if ready.first {
            return Ok(match self.service.fill() {
                Ok(true) => Heard::Bytes,
                Ok(false) => Heard::End { is_reset: false },
                Err(_) => Heard::End { is_reset: true },
            });
        }
        if ready.second && (watch == Watch::Failing || self.client.fill().is_err()) {
            return Err(Broken::Client);
        }
        Ok(Heard::Other)
    }

    fn end_upload(&mut self, (uploaded, left): (Uploaded, Vec<u8>)) -> Result<(), Broken> {
        self.client.put_back(left);
        self.uploaded = uploaded;
        self.client.has_ended |= uploaded == Uploaded::Short;
        if uploaded == Uploaded::Gone { Err(Broken::Client) } else { Ok(()) }
    }

    /// After a whole answer: returns true if the client may send another request, with the connection if it can be used for that.
    pub fn finish<'a>(mut self, shared: &'a Shared, under_way: UnderWay<'a>, stays: bool) -> Option<Option<Kept<'a>>> {
        let generation = under_way.generation;
        // It is answered. A service may go on to read what it has answered already.
        drop(under_way);
        while self.upload.is_some() && self.service.read.is_empty() {
            if !matches!(self.hear(), Ok(Heard::Bytes | Heard::Other)) {
                break;
            }
        }
        if !self.service.read.is_empty() {
            // More than the answer: the client may know what it is.
            self.pass_rest(None);
            return None;
        }
        if self.upload.is_some() || self.uploaded != Uploaded::Whole || !stays {
            self.hang_up(false);
            return None;
        }
        Some(shared.keep(generation, self.service.stream))
    }

    /// Passes on what else there is as bytes, to the end of both connections.
    pub fn pass_rest(mut self, under_way: Option<UnderWay<'_>>) {
        while self.upload.is_some() {
            let heard = match self.pass_on(self.service.read.len()) {
                Ok(()) => self.hear(),
                Err(broken) => Err(broken),
            };
            match heard {
                Ok(Heard::Bytes | Heard::Other) => {}
                Ok(Heard::End { is_reset }) => return self.hang_up(is_reset),
                Err(_) => return self.let_go(),
            }
        }
        tunnel(self.client, self.service, under_way);
    }

    /// Hangs up on the client, as the service did.
    pub fn hang_up(mut self, is_reset: bool) {
        if is_reset {
            self.client.reset();
        } else {
            self.client.shutdown(Shutdown::Write);
        }
        if let Some(upload) = self.upload.take() {
            let ended = upload.end(if is_reset { Duration::ZERO } else { LINGER });
            let _ = self.end_upload(ended);
        }
    }

    /// Tells the service that the client has gone.
    pub fn let_go(self) {
        self.service.shutdown(Shutdown::Both);
        self.client.shutdown(Shutdown::Both);
        self.client.has_ended = true;
    }
}
