//! A proxy between real sockets, and the framing of messages.

mod first_words;
mod messages;
mod uploads;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::chunks::Chunks;
use super::framing::{self, Body, request, response};
use super::*;

/// The longest that a test waits for bytes.
const PATIENCE: Duration = Duration::from_secs(10);

fn anywhere() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
}

fn head_length(bytes: &[u8]) -> Option<usize> {
    framing::head_length(bytes, 0)
}

/// A service that answers each request of each connection with its name and what it was sent, after `delay`.
struct Service {
    address: SocketAddr,
    over: Arc<AtomicBool>,
    served: Arc<AtomicUsize>,
}

impl Service {
    fn start(name: &'static str, delay: Duration) -> Service {
        let listener = TcpListener::bind(anywhere()).unwrap();
        let address = listener.local_addr().unwrap();
        let (over, served) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (is_over, count) = (Arc::clone(&over), Arc::clone(&served));
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if is_over.load(Ordering::SeqCst) {
                    return;
                }
                let (is_over, count) = (Arc::clone(&is_over), Arc::clone(&count));
                std::thread::spawn(move || answer(client, name, delay, &is_over, &count));
            }
        });
        Service { address, over, served }
    }

    /// Ends it as a process that is killed: the listener and all connections are gone.
    fn stop(&self) {
        self.over.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
    }
}

fn answer(mut client: TcpStream, name: &str, delay: Duration, over: &AtomicBool, count: &AtomicUsize) {
    client.set_read_timeout(Some(Duration::from_millis(10))).unwrap();
    let (mut read, mut buffer) = (Vec::new(), [0; 4096]);
    while !over.load(Ordering::SeqCst) {
        match client.read(&mut buffer) {
            Ok(0) => return,
            Ok(count) => read.extend_from_slice(&buffer[..count]),
            Err(_) => continue,
        }
        while let Some(length) = head_length(&read) {
            let Body::Length(body) = request(&read[..length]).unwrap().body else { panic!("no chunks here") };
            let whole = length + usize::try_from(body).unwrap();
            if read.len() < whole {
                break;
            }
            let text = format!("{name}:{}", String::from_utf8_lossy(&read[length..whole]));
            read.drain(..whole);
            std::thread::sleep(delay);
            count.fetch_add(1, Ordering::SeqCst);
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", text.len());
            client.write_all(format!("{head}{text}").as_bytes()).unwrap();
        }
    }
}

/// A service that does `act` with each connection, and is given its number.
fn scripted(act: impl Fn(TcpStream, usize) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind(anywhere()).unwrap();
    let address = listener.local_addr().unwrap();
    let act = Arc::new(act);
    std::thread::spawn(move || {
        for (number, stream) in listener.incoming().map_while(Result::ok).enumerate() {
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            let act = Arc::clone(&act);
            std::thread::spawn(move || act(stream, number));
        }
    });
    address
}

/// A proxy to such a service.
fn proxy_to(act: impl Fn(TcpStream, usize) + Send + Sync + 'static) -> Proxy {
    let proxy = Proxy::start(anywhere()).unwrap();
    proxy.open(scripted(act));
    proxy
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Reads to the first `end` and no byte more, or to the end of the connection.
fn read_to(mut stream: &TcpStream, end: &str) -> String {
    let (mut read, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let count = match stream.peek(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) => panic!("{error} after {} bytes", read.len()),
        };
        let before = read.len();
        read.extend_from_slice(&buffer[..count]);
        let begin = before.saturating_sub(end.len());
        let place = read[begin..].windows(end.len().max(1)).position(|part| part == end.as_bytes());
        let taken = place.map_or(count, |place| begin + place + end.len() - before);
        read.truncate(before + taken);
        stream.read_exact(&mut buffer[..taken]).unwrap();
        if place.is_some() {
            break;
        }
    }
    String::from_utf8_lossy(&read).into_owned()
}

/// Reads a head without a body.
fn read_head(stream: &TcpStream) -> String {
    read_to(stream, "\r\n\r\n")
}

/// A client with one connection for all its requests.
struct Client(TcpStream);

impl Client {
    fn new(proxy: &Proxy) -> Client {
        let stream = TcpStream::connect(proxy.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.set_nodelay(true).unwrap();
        Client(stream)
    }

    fn post(&mut self, body: &str) -> String {
        write!(self.0, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{body}", body.len()).unwrap();
        self.response()
    }

    fn response(&mut self) -> String {
        let (mut read, mut buffer) = (Vec::new(), [0; 4096]);
        loop {
            let count = self.0.read(&mut buffer).unwrap();
            assert!(count > 0, "the connection broke off: {}", String::from_utf8_lossy(&read));
            read.extend_from_slice(&buffer[..count]);
            let Some(length) = head_length(&read) else { continue };
            let head = response(&read[..length], &request(b"GET / HTTP/1.1\r\n\r\n").unwrap()).unwrap();
            let Body::Length(body) = head.body else { panic!("a length") };
            if read.len() >= length + usize::try_from(body).unwrap() {
                return format!("{} {}", head.status, String::from_utf8_lossy(&read[length..]));
            }
        }
    }
}

/// Twenty exchanges of the service below clients that never stop, on kept and on new connections.
#[test]
fn an_exchange_drops_no_request() {
    let proxy = Proxy::start(anywhere()).unwrap();
    let (ends, done) = (AtomicBool::new(false), AtomicUsize::new(0));
    let mut service = Service::start("0", Duration::from_millis(2));
    proxy.open(service.address);
    let names: Vec<&'static str> = (0..21).map(|number| &*format!("{number}").leak()).collect();
    std::thread::scope(|scope| {
        for number in 0..8 {
            let (proxy, ends, done) = (&proxy, &ends, &done);
            scope.spawn(move || {
                let mut client = Client::new(proxy);
                while !ends.load(Ordering::SeqCst) {
                    if number % 2 == 0 {
                        client = Client::new(proxy);
                    }
                    let body = "x".repeat(number * 7);
                    let answer = client.post(&body);
                    assert!(answer.starts_with("200 ") && answer.ends_with(&format!(":{body}")), "{answer}");
                    done.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        for name in &names[1..] {
            std::thread::sleep(Duration::from_millis(30));
            assert!(proxy.hold(Duration::from_secs(5)), "all requests have ended");
            service.stop();
            std::thread::sleep(Duration::from_millis(20));
            service = Service::start(name, Duration::from_millis(2));
            proxy.open(service.address);
        }
        std::thread::sleep(Duration::from_millis(50));
        ends.store(true, Ordering::SeqCst);
    });
    assert!(service.served.load(Ordering::SeqCst) > 0 && done.load(Ordering::SeqCst) > 100);
}

#[test]
fn a_request_waits_for_the_service_and_the_end_waits_for_the_request() {
    let proxy = Proxy::start(anywhere()).unwrap();
    let service = Service::start("slow", Duration::from_millis(300));
    std::thread::scope(|scope| {
        let early = scope.spawn(|| Client::new(&proxy).post("early"));
        std::thread::sleep(Duration::from_millis(100));
        assert!(!early.is_finished());
        proxy.open(service.address);
        std::thread::sleep(Duration::from_millis(100));
        let begun = Instant::now();
        assert!(!proxy.hold(Duration::from_millis(20)), "it is under way");
        assert!(proxy.hold(Duration::from_secs(5)) && begun.elapsed() > Duration::from_millis(50));
        assert_eq!(early.join().unwrap(), "200 slow:early");
    });
}

/// Upgrades and what is no HTTP at all.
#[test]
fn bytes_are_passed_through() {
    let listener = TcpListener::bind(anywhere()).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut client in listener.incoming().map_while(Result::ok) {
            let mut buffer = [0; 1024];
            let count = client.read(&mut buffer).unwrap();
            if buffer.starts_with(b"GET ") {
                client.write_all(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n").unwrap();
            } else {
                client.write_all(&buffer[..count]).unwrap();
            }
            while let Ok(count @ 1..) = client.read(&mut buffer) {
                client.write_all(&buffer[..count]).unwrap();
            }
        }
    });
    let proxy = Proxy::start(anywhere()).unwrap();
    proxy.open(address);
    for (begin, expected) in [
        (&b"\x00\x01binary"[..], &b"\x00\x01binary"[..]),
        (b"PRI * HTTP/2.0\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\n"),
        (
            b"GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n",
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
        ),
    ] {
        let mut client = TcpStream::connect(proxy.address()).unwrap();
        client.write_all(begin).unwrap();
        let mut answer = vec![0; expected.len()];
        client.read_exact(&mut answer).unwrap();
        assert_eq!(answer, expected);
        client.write_all(b"and more").unwrap();
        let mut answer = [0; 8];
        client.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"and more");
        // What is open for ever keeps nobody waiting.
        assert!(proxy.hold(Duration::from_secs(1)));
        proxy.open(address);
    }
}

#[test]
fn heads() {
    let of = |text: &str| request(text.replace('\n', "\r\n").as_bytes());
    let body = |text: &str| of(text).map(|head| head.body);
    assert_eq!(body("GET / HTTP/1.1\nHost: x\n\n"), Some(Body::Length(0)));
    assert_eq!(body("POST / HTTP/1.1\ncontent-length: 12\n\n"), Some(Body::Length(12)));
    assert_eq!(body("POST / HTTP/1.1\nTransfer-Encoding: chunked\nContent-Length: 3\n\n"), Some(Body::Chunked));
    // In any pieces, and as the most lenient reader sees it.
    for text in ["GET / HTTP/1.1\r\nHost: x\r\n\r\n", "GET /\n\n", "GET /\r\nHost: x\n\r\n"] {
        for seen in 0..text.len() {
            assert_eq!(head_length(&text.as_bytes()[..seen]), None);
            let more = format!("{text}\n\n");
            assert_eq!(framing::head_length(more.as_bytes(), seen), Some(text.len()), "{text} {seen}");
        }
    }
    // Whose end can't be told is not taken apart.
    for odd in [
        "Content-Length: 1\nContent-Length: 2",
        "Content-Length: x",
        "Content-Length: +1",
        "Content-Length : 1",
        "Content-Length: 1\n 2",
        "Transfer-Encoding: gzip, chunked",
        "no field",
    ] {
        assert_eq!(body(&format!("POST / HTTP/1.1\n{odd}\n\n")), None, "{odd}");
    }
    assert!(of("GET / HTTP/1.0\nConnection: keep-alive\n\n").unwrap().stays);
    assert!(!of("GET / HTTP/1.0\n\n").unwrap().stays && !of("GET / HTTP/1.1\nConnection: x, Close\n\n").unwrap().stays);
    let get = of("GET / HTTP/1.1\n\n").unwrap();
    let answer = |text: &str| response(text.replace('\n', "\r\n").as_bytes(), &get).map(|head| (head.body, head.stays));
    assert_eq!(answer("HTTP/1.1 204 No Content\n\n"), Some((Body::Length(0), true)));
    assert_eq!(answer("HTTP/1.1 200 OK\n\n"), Some((Body::ToTheEnd, false)));
    let head = of("HEAD / HTTP/1.1\n\n").unwrap();
    assert_eq!(response(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", &head).unwrap().body, Body::Length(0));
}

#[test]
fn chunks_in_any_pieces() {
    let text = b"4;ext=1\r\nWiki\r\nc\r\n in chunks.\n\r\n0\r\nTrailer: x\r\n\r\nGET / HTTP/1.1";
    let end = text.len() - b"GET / HTTP/1.1".len();
    for size in 1..text.len() {
        let (mut chunks, mut taken) = (Chunks::default(), 0);
        for piece in text.chunks(size) {
            if !chunks.is_done() {
                taken += chunks.take(piece).unwrap();
            }
        }
        assert!(chunks.is_done() && taken == end, "{size}: {taken}");
    }
    assert_eq!(Chunks::default().take(b"xyz\r\n"), None);
    assert_eq!(Chunks::default().take(b"fffffffffffffffff\r\n"), None);
    // Servers disagree about these.
    for odd in [&b"+5\r\n"[..], b"5\nhello", b"2\r\nhello\r\n", b" 5\r\n", b"\r\n", b"5\rx\r\n", b"0\r\n\n"] {
        assert_eq!(Chunks::default().take(odd), None, "{}", odd.escape_ascii());
    }
}
