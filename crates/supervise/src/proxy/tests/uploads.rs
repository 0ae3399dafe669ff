//! Requests with bodies: slow ones, long ones, ones that are answered early, and clients that go in the middle.

use std::sync::mpsc::channel;

use super::*;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// A short body that comes slowly is no matter of the service that is there when it begins.
#[test]
fn a_slow_upload_keeps_no_exchange_waiting() {
    let proxy = Proxy::start(anywhere()).unwrap();
    let old = Service::start("old", Duration::ZERO);
    proxy.open(old.address);
    let mut client = Client::new(&proxy);
    client.0.write_all(b"POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\n12345").unwrap();
    std::thread::sleep(Duration::from_millis(100));
    assert!(proxy.hold(Duration::from_millis(100)), "nothing is under way");
    old.stop();
    client.0.write_all(b"67890").unwrap();
    std::thread::sleep(Duration::from_millis(50));
    proxy.open(Service::start("new", Duration::ZERO).address);
    assert_eq!(client.response(), "200 new:1234567890");
}

/// The service answers, and hangs up without reading the body. Whatever the body's length, the client gets the answer.
#[test]
fn an_early_answer_arrives() {
    let proxy = proxy_to(|mut stream, _| {
        read_head(&stream);
        stream.write_all(b"HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 3\r\n\r\nbig").unwrap();
    });
    for (framing, length) in [
        ("Content-Length: 30000000", 30_000_000),
        ("Content-Length: 900000", 900_000),
        ("Transfer-Encoding: chunked", 0),
    ] {
        let client = connect(proxy.address());
        let mut writer = &client;
        write!(writer, "POST / HTTP/1.1\r\n{framing}\r\n\r\n").unwrap();
        let piece = if length == 0 { format!("10000\r\n{}\r\n", "x".repeat(65536)) } else { "x".repeat(length / 100) };
        for _ in 0..100 {
            writer.write_all(piece.as_bytes()).unwrap();
        }
        if length == 0 {
            writer.write_all(b"0\r\n\r\n").unwrap();
        }
        assert!(read_to(&client, "").ends_with("\r\n\r\nbig"), "{framing}");
    }
}

/// The service answers and hangs up, and the client waits for that before it goes on with its body.
#[test]
fn an_early_end_is_seen() {
    let proxy = proxy_to(|mut stream, _| {
        read_head(&stream);
        stream.write_all(b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n").unwrap();
    });
    let mut client = connect(proxy.address());
    client.write_all(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n").unwrap();
    assert!(read_to(&client, "").starts_with("HTTP/1.1 401 No"));
    assert!(proxy.hold(Duration::ZERO), "it was answered");
}

#[test]
fn an_upload_goes_on_after_its_answer() {
    let (sender, receiver) = channel();
    let proxy = proxy_to(move |mut stream, _| {
        read_head(&stream);
        stream.write_all(OK.as_bytes()).unwrap();
        sender.send(read_to(&stream, "0\r\n\r\n")).unwrap();
        read_head(&stream);
        stream.write_all(OK.as_bytes()).unwrap();
    });
    let mut client = connect(proxy.address());
    client.write_all(b"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n").unwrap();
    assert_eq!(read_to(&client, "ok"), OK);
    for piece in ["5\r\nhel", "lo\r\n", "0\r\n\r\nGET / HTTP/1.1\r\n\r\n"] {
        client.write_all(piece.as_bytes()).unwrap();
        std::thread::sleep(Duration::from_millis(30));
    }
    assert_eq!(receiver.recv().unwrap(), "5\r\nhello\r\n0\r\n\r\n");
    assert_eq!(read_to(&client, "ok"), OK);
}

/// A request that waits for a word before its body, one that gets its answer in pieces while its body comes in pieces, and trailers.
#[test]
fn both_sides_speak_in_turns() {
    let proxy = proxy_to(|mut stream, _| {
        let head = read_head(&stream);
        if head.contains("Expect") {
            stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").unwrap();
            assert_eq!(read_to(&stream, "abc"), "abc");
            return stream.write_all(OK.as_bytes()).unwrap();
        }
        stream.write_all(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n").unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").unwrap();
        for piece in ["3\r\none\r\n", "3\r\ntwo\r\n", "0\r\nSum: 6\r\n\r\n"] {
            assert_eq!(read_to(&stream, piece), piece);
            stream.write_all(piece.as_bytes()).unwrap();
        }
    });
    let mut client = connect(proxy.address());
    client.write_all(b"POST / HTTP/1.1\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n").unwrap();
    assert_eq!(read_head(&client), "HTTP/1.1 100 Continue\r\n\r\n");
    client.write_all(b"abc").unwrap();
    assert_eq!(read_to(&client, "ok"), OK);
    let mut client = connect(proxy.address());
    client.write_all(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n").unwrap();
    assert_eq!(read_head(&client), "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n");
    assert_eq!(read_head(&client), "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    for piece in ["3\r\none\r\n", "3\r\ntwo\r\n", "0\r\nSum: 6\r\n\r\n"] {
        client.write_all(piece.as_bytes()).unwrap();
        assert_eq!(read_to(&client, piece), piece);
    }
}

/// A long body that the service sends back while it comes, and reads no faster than that.
#[test]
fn an_echo_of_any_length() {
    let proxy = proxy_to(|stream, _| {
        let head = read_head(&stream);
        // A connection in advance, for a client that took its time.
        let Some(length) = head.split("Length: ").nth(1) else { return };
        let length: u64 = length.trim().parse().unwrap();
        (&stream).write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n").as_bytes()).unwrap();
        std::io::copy(&mut (&stream).take(length), &mut &stream).unwrap();
    });
    for length in [0, 10_000, 100_000, 1_000_000, 24_000_000] {
        let body: Vec<u8> = (0..length).map(|number| (number % 251) as u8).collect();
        let client = connect(proxy.address());
        std::thread::scope(|scope| {
            scope.spawn(|| {
                write!(&client, "POST / HTTP/1.1\r\nContent-Length: {length}\r\n\r\n").unwrap();
                (&client).write_all(&body).unwrap();
            });
            read_head(&client);
            let mut answer = vec![0; length];
            (&client).read_exact(&mut answer).unwrap();
            assert!(answer == body, "{length}");
        });
    }
}

/// Whatever a client waits for, the service sees that it has gone; and that it has ended its side only, which gets the answer.
#[test]
#[cfg_attr(not(unix), ignore = "needs `poll`")]
fn a_client_that_goes_is_seen() {
    let (sender, receiver) = channel();
    let proxy = proxy_to(move |mut stream, _| {
        let head = read_head(&stream);
        if head.contains("/stream") {
            stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").unwrap();
        }
        let mut buffer = [0; 100];
        while stream.read(&mut buffer).is_ok_and(|count| count > 0) {}
        sender.send(head).unwrap();
        let _ = stream.write_all(OK.as_bytes());
    });
    let upload = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel";
    let service = proxy.shared.service_after(0).unwrap().0;
    for (text, is_reset) in [
        ("GET /hold HTTP/1.1\r\n\r\n", false),
        ("GET /hold HTTP/1.1\r\n\r\n", true),
        ("GET /stream HTTP/1.1\r\n\r\n", false),
        ("GET /stream HTTP/1.1\r\n\r\n", true),
        (upload, false),
        (upload, true),
    ] {
        let mut client = connect(proxy.address());
        client.write_all(text.as_bytes()).unwrap();
        std::thread::sleep(Duration::from_millis(50));
        if is_reset {
            rustix::net::sockopt::set_socket_linger(&client, Some(Duration::ZERO)).unwrap();
        }
        drop(client);
        receiver.recv_timeout(Duration::from_secs(3)).unwrap_or_else(|_| panic!("{text} {is_reset}"));
        assert!(proxy.hold(Duration::from_secs(1)), "{text} {is_reset}");
        proxy.open(service);
    }
    let mut client = connect(proxy.address());
    client.write_all(b"GET /half HTTP/1.1\r\n\r\n").unwrap();
    client.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(read_to(&client, ""), OK);
}

/// A long upload is under way: an exchange waits for it.
#[test]
fn an_exchange_waits_for_an_upload() {
    let proxy = proxy_to(|mut stream, _| {
        read_head(&stream);
        read_to(&stream, "0\r\n\r\n");
        stream.write_all(OK.as_bytes()).unwrap();
    });
    let mut client = connect(proxy.address());
    client.write_all(b"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n").unwrap();
    std::thread::sleep(Duration::from_millis(50));
    assert!(!proxy.hold(Duration::from_millis(50)));
    client.write_all(b"0\r\n\r\n").unwrap();
    assert!(proxy.hold(Duration::from_secs(2)));
    assert_eq!(read_to(&client, "ok"), OK);
}

/// What is under way when the proxy ends is still answered.
#[test]
fn an_answer_outlives_the_proxy() {
    let service = Service::start("late", Duration::from_millis(200));
    let proxy = Proxy::start(anywhere()).unwrap();
    proxy.open(service.address);
    let mut client = Client::new(&proxy);
    client.0.write_all(b"POST / HTTP/1.1\r\nContent-Length: 1\r\n\r\nx").unwrap();
    std::thread::sleep(Duration::from_millis(50));
    drop(proxy);
    assert_eq!(client.response(), "200 late:x");
    assert!(client.post("y").starts_with("503 "));
}
