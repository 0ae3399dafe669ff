//! Messages of all kinds: those that can't be framed, those that end with the connection, and what is sent a second time.

use std::net::{Ipv6Addr, Shutdown};

use super::*;

/// What the service says to the request, to its end; and the same through a proxy.
fn direct_and_proxied(answer: &'static str, request: &str) -> [String; 2] {
    let service = scripted(move |mut stream, _| {
        let head = read_head(&stream);
        if head.starts_with("GET /0.9") || !head.is_empty() {
            stream.write_all(answer.as_bytes()).unwrap();
            std::thread::sleep(Duration::from_millis(30));
        }
    });
    let proxy = Proxy::start(anywhere()).unwrap();
    proxy.open(service);
    [service, proxy.address()].map(|address| {
        let mut client = connect(address);
        client.write_all(request.as_bytes()).unwrap();
        read_to(&client, "")
    })
}

/// Each of these ends with the connection, since the service ends it, and is passed on byte by byte.
#[test]
#[cfg_attr(not(unix), ignore = "needs `poll`")]
fn answers_of_any_form_are_passed_on() {
    for answer in [
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\nConnection: close\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nno chunks",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\nabc\n0\n\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\nContent-Length: 3, 3\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\nContent-Length: +3\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 3\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\nno field\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc and more",
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc",
        "HTTP/1.0 200 OK\n\nabc",
        "HTTP/1.1 200 OK\nContent-Length: 3\n\nabc",
        "HTTP/1.0 200 OK\r\n\r\nabc",
        "HTTP/1.1 200\r\nContent-Length: 3\r\n\r\nabc",
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\nabc",
        "HTTP/1.1 200 O",
        "ICY 200 OK\r\n\r\nabc",
        "<html>0.9",
        "x",
        "",
    ] {
        let [direct, proxied] = direct_and_proxied(answer, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!((direct.as_str(), proxied.as_str()), (answer, answer));
    }
}

/// The service gets each of these as it is, and it ends after the answer.
#[test]
fn requests_of_any_form_are_passed_on() {
    for request in [
        "GET / HTTP/1.0\n\nx\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n",
        "GET / HTTP/1.1\r\nX: a\r\n b\r\n\r\n",
        "GET /0.9\r\n\r\n",
        "GET /a b HTTP/1.1\r\n\r\n",
        "PROPFIND / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nX: \u{e4}\r\n\r\n",
        "CONNECT a:1 HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nConnection: close\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n",
    ] {
        let proxy = proxy_to(|mut stream, _| {
            let head = read_head(&stream);
            let answer =
                format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{head}", head.len());
            stream.write_all(answer.as_bytes()).unwrap();
        });
        let mut client = connect(proxy.address());
        client.write_all(request.as_bytes()).unwrap();
        assert!(read_to(&client, "").ends_with(&format!("\r\n\r\n{request}")), "{request}");
    }
}

/// A request that breaks off is the service's to judge.
#[test]
fn a_broken_request_reaches_the_service() {
    for text in ["GET / HTTP/1.1\r\nHo", "GE", "POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nabc"] {
        let proxy = proxy_to(|mut stream, _| {
            let text = read_to(&stream, "");
            stream.write_all(format!("bad: {text}").as_bytes()).unwrap();
        });
        let mut client = connect(proxy.address());
        client.write_all(text.as_bytes()).unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        assert_eq!(read_to(&client, ""), format!("bad: {text}"));
    }
}

/// Heads of a size that servers take are framed, and others are passed on as well.
#[test]
fn very_large_heads() {
    for length in [200_000, 1_000_000, 3_000_000] {
        let proxy = proxy_to(move |mut stream, _| {
            let head = read_head(&stream);
            write!(stream, "HTTP/1.1 200 OK\r\nX: {}\r\nContent-Length: 2\r\n\r\nok", "y".repeat(length)).unwrap();
            assert!(head.len() > length);
        });
        let mut client = connect(proxy.address());
        write!(client, "GET / HTTP/1.1\r\nX: {}\r\n\r\n", "y".repeat(length)).unwrap();
        assert!(read_to(&client, "ok").len() > length);
    }
}

/// Ends of connections: a body that ends with one may be cut, and that has to be seen.
#[test]
fn a_reset_stays_a_reset() {
    let proxy = proxy_to(|mut stream, _| {
        read_head(&stream);
        stream.write_all(b"HTTP/1.0 200 OK\r\n\r\nhalf").unwrap();
        std::thread::sleep(Duration::from_millis(50));
        rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO)).unwrap();
    });
    let mut client = connect(proxy.address());
    client.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    read_to(&client, "half");
    assert!(client.read(&mut [0; 10]).is_err(), "it looks whole");
}

/// Versions, methods and statuses that say whether the connection stays, and requests sent ahead.
#[test]
fn connections_stay_or_end_as_they_should() {
    let proxy = proxy_to(|mut stream, number| {
        loop {
            let head = read_head(&stream);
            let answer = match head.split(' ').nth(1) {
                None => return,
                Some("/204") => "HTTP/1.1 204 No Content\r\n\r\n".to_owned(),
                Some("/304") => "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n".to_owned(),
                Some(_) if head.starts_with("HEAD") => "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n".to_owned(),
                Some("/1.0") => {
                    format!("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\n{number}")
                }
                Some(_) => format!("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{number}"),
            };
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    let mut client = connect(proxy.address());
    client.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
    assert_eq!(read_to(&client, ""), "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n0");
    let mut client = connect(proxy.address());
    for request in [
        "GET /1.0 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        "HEAD / HTTP/1.1\r\n\r\n",
        "GET /204 HTTP/1.1\r\n\r\n",
        "GET /304 HTTP/1.1\r\n\r\n",
    ] {
        client.write_all(request.as_bytes()).unwrap();
        let answer = read_to(&client, if request.contains("/1.0 ") { "\r\n\r\n1" } else { "\r\n\r\n" });
        assert!(answer.starts_with("HTTP/1."), "{request} {answer}");
    }
    // Ahead of the answers, and the last one with the end of the client's side.
    client
        .write_all(b"HEAD / HTTP/1.1\r\n\r\nGET /a HTTP/1.1\r\n\r\n\r\nGET /b HTTP/1.1\r\nConnection: close\r\n\r\n")
        .unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let answers = read_to(&client, "");
    assert_eq!(
        (answers.matches("HTTP/1.1 200").count(), answers.matches("\r\n\r\n1HTTP").count()),
        (3, 1),
        "{answers}"
    );
}

/// The service hangs up on the second request of each connection. What may be repeated is, once, on a new connection.
#[test]
fn nothing_is_sent_twice_that_may_not_be() {
    for (method, answers_new, expected) in
        [("POST", false, 1), ("PATCH", true, 1), ("GET", true, 2), ("PUT", true, 2), ("DELETE", false, 2)]
    {
        let count = Arc::new(AtomicUsize::new(0));
        let own = Arc::clone(&count);
        let proxy = proxy_to(move |mut stream, number| {
            for turn in 0..2 {
                let head = read_head(&stream);
                if head.contains("/second") {
                    own.fetch_add(1, Ordering::SeqCst);
                }
                if turn == 1 || head.contains("/second") && (!answers_new || number == 0) {
                    return;
                }
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").unwrap();
            }
        });
        // Other kept connections are no reason to try again.
        let others: Vec<TcpStream> = (0..4)
            .map(|_| {
                let mut other = connect(proxy.address());
                other.write_all(b"GET /other HTTP/1.1\r\n\r\n").unwrap();
                read_to(&other, "ok");
                other
            })
            .collect();
        let mut client = connect(proxy.address());
        client.write_all(b"GET /first HTTP/1.1\r\n\r\n").unwrap();
        read_to(&client, "ok");
        write!(client, "{method} /second HTTP/1.1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").unwrap();
        let answer = read_to(&client, "");
        assert_eq!(answer.ends_with("ok"), expected == 2 && answers_new, "{method}: {answer}");
        assert_eq!(count.load(Ordering::SeqCst), expected, "{method}");
        drop(others);
    }
}

#[test]
fn a_service_of_the_other_loopback_is_reached() {
    // A machine may have no IPv6.
    let Ok(listener) = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)) else { return };
    let proxy = Proxy::start(anywhere()).unwrap();
    proxy.open(SocketAddr::from((Ipv4Addr::LOCALHOST, listener.local_addr().unwrap().port())));
    let mut client = connect(proxy.address());
    client.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
    let mut service = listener.accept().unwrap().0;
    read_head(&service);
    service.write_all(b"HTTP/1.0 200 OK\r\n\r\nsix").unwrap();
    drop(service);
    assert!(read_to(&client, "").ends_with("six"));
}
