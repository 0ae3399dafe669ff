//! `Transfer`: one request, on a thread of its own, so that its caller can stop waiting at any moment.
//!
//! A blocked system call can't be interrupted, and a name server, a proxy or a server may never answer. So nobody
//! waits for them: the waiter looks at a channel, asks every moment whether to go on, and keeps the deadlines. A thread
//! that is given up ends by its own timeouts, or with the process.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use ureq::ResponseExt as _;
use ureq::http::{HeaderMap, Method, Request};
use ureq::{Agent, SendBody};

/// Maximum size of an answer in bytes; larger ones are refused.
const SIZE_MAX: u64 = 1024 * 1024 * 1024;
/// How often a waiter is asked whether to go on.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Registries store a large blob before they answer.
const CHECKING: Duration = Duration::from_secs(300);
/// Size of a piece, in bytes.
const PIECE: usize = 128 * 1024;

/// Deadlines of a transfer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// The time for the head of the answer, name lookup and proxy included.
    pub answer: Duration,
    /// In each such time the body has to bring `least` bytes.
    pub window: Duration,
    pub least: u64,
    /// The time for a server to check what it was sent.
    pub checking: Duration,
}

impl Default for Patience {
    fn default() -> Patience {
        let minute = Duration::from_secs(60);
        Patience { answer: minute, window: minute, least: 64 * 1024, checking: CHECKING }
    }
}

/// What is asked of a server.
pub(crate) struct Question {
    pub method: Method,
    pub url: String,
    pub headers: Vec<(&'static str, String)>,
    pub body: Sent,
}

/// What is sent with a question.
pub(crate) enum Sent {
    /// A question of a few bytes.
    Bytes(Vec<u8>),
    /// The next `length` bytes of a file.
    File { file: File, length: u64 },
}

/// The bytes of a file on their way. It counts what the connection took, and ends when nobody waits any more.
struct Outgoing {
    rest: io::Take<File>,
    done: Arc<AtomicU64>,
}

impl Read for Outgoing {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // The waiter holds the other one.
        if Arc::strong_count(&self.done) < 2 {
            return Err(io::Error::other("nobody waits for the answer"));
        }
        let count = self.rest.read(buffer)?;
        if count == 0 && self.rest.limit() > 0 {
            return Err(io::Error::other("the file became shorter while it was sent"));
        }
        self.done.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

/// The head of an answer, whatever its status.
pub(crate) struct Answer {
    /// Who answered, after all redirects.
    pub url: String,
    pub status: u16,
    pub headers: HeaderMap,
    pub length: Option<u64>,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Returns the `Content-Range`.
    pub fn range(&self) -> Option<&str> {
        self.header("content-range")
    }

    /// Returns a strong `ETag`, or `Last-Modified`. A weak tag says nothing of bytes.
    pub fn validator(&self) -> Option<&str> {
        self.header("etag").filter(|tag| !tag.starts_with("W/")).or_else(|| self.header("last-modified"))
    }
}

/// Why a transfer has no end.
#[derive(Debug)]
pub(crate) enum TransferError {
    Failed(String),
    /// The waiter was asked to stop.
    Interrupted,
}

enum Message {
    Answer(Answer),
    Piece(Vec<u8>),
    End,
    Failed(TransferError),
}

/// A running request.
pub(crate) struct Transfer {
    messages: Receiver<Message>,
    patience: Patience,
    /// Bytes of a file that were sent.
    sent: Arc<AtomicU64>,
    /// The end, once it came behind bytes.
    end: Cell<Option<Result<(), TransferError>>>,
}

impl Transfer {
    pub fn start(agent: &Agent, question: Question, patience: Patience) -> Transfer {
        // Few pieces wait: a fast server is held up by a slow disk.
        let (sender, messages) = sync_channel(4);
        let agent = agent.clone();
        let sent = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&sent);
        std::thread::spawn(move || {
            let outcome = request(&agent, question, counter, &sender);
            // Nobody may listen any more.
            let _ = sender.send(outcome.map_or_else(Message::Failed, |()| Message::End));
        });
        Transfer { messages, patience, sent, end: Cell::new(None) }
    }

    /// Returns the number of bytes of a file that were sent.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Waits for the head. Calls `goes_on` now and then; it returns whether to go on.
    pub fn answer(&self, goes_on: &dyn Fn() -> bool) -> Result<Answer, TransferError> {
        let seconds = self.patience.answer.as_secs();
        match self.next(self.patience.answer, &format!("no answer after {seconds} s"), goes_on)? {
            Message::Answer(answer) => Ok(answer),
            Message::Failed(error) => Err(error),
            Message::Piece(_) | Message::End => Err(TransferError::Failed("no answer".to_owned())),
        }
    }

    /// Waits for the head while `length` bytes of a file are sent: as long as the server takes what it owes for the time,
    /// and then as long as it may need to check them.
    pub fn answer_to_upload(&self, length: u64, goes_on: &dyn Fn() -> bool) -> Result<Answer, TransferError> {
        let Patience { window, least, checking, .. } = self.patience;
        let mut before = 0;
        loop {
            let is_out = self.sent() >= length;
            let within = if is_out { checking } else { window };
            match self.next(within, "", goes_on) {
                Ok(Message::Answer(answer)) => return Ok(answer),
                Ok(Message::Failed(error)) => return Err(error),
                Ok(Message::Piece(_) | Message::End) => return Err(TransferError::Failed("no answer".to_owned())),
                Err(TransferError::Interrupted) => return Err(TransferError::Interrupted),
                // The time is up. Whoever took the last bytes meanwhile gets the time to check them.
                Err(TransferError::Failed(_)) if !is_out && self.sent() >= length => {}
                Err(TransferError::Failed(_)) if !is_out && self.sent() - before >= least => before = self.sent(),
                Err(TransferError::Failed(_)) => {
                    let (taken, seconds) = (self.sent() - before, within.as_secs());
                    let what = if is_out { "gave no answer".to_owned() } else { format!("took {taken} bytes") };
                    return Err(TransferError::Failed(format!("the server {what} in {seconds} s")));
                }
            }
        }
    }

    /// Returns bytes of the body, at least as many as the server owes for the time; `None` at its end.
    pub fn piece(&self, goes_on: &dyn Fn() -> bool) -> Result<Option<Vec<u8>>, TransferError> {
        if let Some(end) = self.end.take() {
            return end.map(|()| None);
        }
        let Patience { window, least, .. } = self.patience;
        let (begun, mut gathered) = (Instant::now(), Vec::new());
        let end = loop {
            let too_slow = format!("the server sent {} bytes in {} s", gathered.len(), window.as_secs());
            match self.next(window.saturating_sub(begun.elapsed()), &too_slow, goes_on) {
                Ok(Message::Piece(bytes)) => gathered.extend_from_slice(&bytes),
                Ok(Message::End) => break Ok(()),
                Ok(Message::Failed(error)) | Err(error) => break Err(error),
                Ok(Message::Answer(_)) => {}
            }
            if gathered.len() as u64 >= least {
                return Ok(Some(gathered));
            }
        };
        if gathered.is_empty() {
            return end.map(|()| None);
        }
        // What came counts: the next try resumes behind it.
        self.end.set(Some(end));
        Ok(Some(gathered))
    }

    fn next(&self, within: Duration, late: &str, goes_on: &dyn Fn() -> bool) -> Result<Message, TransferError> {
        let begun = Instant::now();
        loop {
            match self.messages.recv_timeout(LOOK_EVERY.min(within.saturating_sub(begun.elapsed()))) {
                Ok(message) => return Ok(message),
                Err(RecvTimeoutError::Disconnected) => return Err(TransferError::Failed("no answer".to_owned())),
                Err(RecvTimeoutError::Timeout) if !goes_on() => return Err(TransferError::Interrupted),
                Err(RecvTimeoutError::Timeout) if begun.elapsed() >= within => {
                    return Err(TransferError::Failed(late.to_owned()));
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }
}

/// Makes the request. Ends early if nobody listens.
fn request(
    agent: &Agent,
    question: Question,
    sent: Arc<AtomicU64>,
    sender: &SyncSender<Message>,
) -> Result<(), TransferError> {
    let failed = |error: &dyn std::fmt::Display| TransferError::Failed(in_words(&error.to_string()));
    let Question { method, url, headers, body } = question;
    let is_asking = matches!(method, Method::GET | Method::HEAD);
    let request = Request::builder().method(method).uri(url);
    let request = headers.into_iter().fold(request, |request, (name, value)| request.header(name, value));
    let outcome = match body {
        Sent::Bytes(_) if is_asking => agent.run(request.body(()).map_err(|error| failed(&error))?),
        // What writes is written where it was said: a redirect is an answer like any other.
        Sent::Bytes(bytes) => {
            let request = request.body(bytes).map_err(|error| failed(&error))?;
            let configured = agent.configure_request(request).max_redirects(0).max_redirects_will_error(false);
            agent.run(configured.build())
        }
        Sent::File { file, length } => {
            let body = SendBody::from_owned_reader(Outgoing { rest: file.take(length), done: sent });
            let request = request.header("Content-Length", length.to_string());
            let request = request.body(body).map_err(|error| failed(&error))?;
            let configured = agent.configure_request(request).max_redirects(0).max_redirects_will_error(false);
            // The waiter has its own deadlines.
            let configured = configured.timeout_recv_response(Some(CHECKING)).timeout_per_read(None);
            agent.run(configured.build())
        }
    };
    let mut response = outcome.map_err(|error| failed(&error))?;
    let answer = Answer {
        url: response.get_uri().to_string(),
        status: response.status().as_u16(),
        headers: response.headers().clone(),
        length: response.body().content_length(),
    };
    if sender.send(Message::Answer(answer)).is_err() {
        return Ok(());
    }
    let mut body = response.body_mut().with_config().limit(SIZE_MAX).reader();
    let mut buffer = vec![0_u8; PIECE];
    loop {
        match body.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) if sender.send(Message::Piece(buffer[..count].to_vec())).is_err() => return Ok(()),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(failed(&error)),
        }
    }
}

/// Returns the message of the client, or what it means where that is not plain.
fn in_words(message: &str) -> String {
    match message {
        message if message.contains("InvalidContentType") => "it does not speak TLS".to_owned(),
        "timeout: per read" | "timeout: receive response" => "no answer in time".to_owned(),
        "redirect failed" => "it leads from one place to the next without end".to_owned(),
        message => message.strip_prefix("io: ").unwrap_or(message).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::TcpListener;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    /// Starts a server that says `head` and one byte of its body every moment; returns its address.
    fn server(head: &'static str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 4096]);
            stream.write_all(head.as_bytes()).unwrap();
            while !head.is_empty() && stream.write_all(b"x").is_ok() {
                std::thread::sleep(Duration::from_millis(5));
            }
            std::thread::sleep(Duration::from_secs(20));
        });
        format!("http://{address}/")
    }

    fn start(url: String, milliseconds: u64) -> Transfer {
        let time = Duration::from_millis(milliseconds);
        let agent = Agent::config_builder().proxy(None).build().new_agent();
        let question = Question { method: Method::GET, url, headers: Vec::new(), body: Sent::Bytes(Vec::new()) };
        Transfer::start(&agent, question, Patience { answer: time, window: time, least: 1 << 20, checking: time })
    }

    #[test]
    fn a_server_that_says_nothing_has_a_deadline() {
        let transfer = start(server(""), 200);
        let error = transfer.answer(&|| true).err();
        assert!(matches!(&error, Some(TransferError::Failed(why)) if why.starts_with("no answer after")), "{error:?}");
    }

    #[test]
    fn a_server_that_trickles_has_a_deadline() {
        let transfer = start(server("HTTP/1.0 200 OK\r\nContent-Length: 4000000\r\n\r\n"), 300);
        assert_eq!(transfer.answer(&|| true).ok().and_then(|answer| answer.length), Some(4_000_000));
        let some = transfer.piece(&|| true).unwrap().unwrap_or_default();
        assert!(some.iter().all(|byte| *byte == b'x'));
        let error = transfer.piece(&|| true).err();
        assert!(matches!(&error, Some(TransferError::Failed(why)) if why.starts_with("the server sent")), "{error:?}");
    }

    #[test]
    fn a_waiter_that_is_asked_to_stop_waits_for_nobody() {
        let asked = AtomicU32::new(0);
        let transfer = start(server(""), 3_600_000);
        let outcome = transfer.answer(&|| asked.fetch_add(1, Ordering::SeqCst) == 0);
        assert!(matches!(outcome, Err(TransferError::Interrupted)));
    }
}
