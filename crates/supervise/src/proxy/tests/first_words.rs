//! Who speaks first: services that greet, clients that are silent for long, and what becomes of them when a service is exchanged.

use super::*;

/// A service that greets, and repeats what it hears.
fn greeter(name: &'static str) -> impl Fn(TcpStream, usize) + Send + Sync {
    move |mut stream, _| {
        stream.write_all(format!("220 {name}\r\n").as_bytes()).unwrap();
        let _ = std::io::copy(&mut &stream, &mut &stream);
    }
}

#[test]
#[cfg_attr(not(unix), ignore = "needs `poll`")]
fn a_service_may_speak_first() {
    let proxy = Proxy::start(anywhere()).unwrap();
    // There is no service yet.
    let early = connect(proxy.address());
    std::thread::sleep(Duration::from_millis(300));
    proxy.open(scripted(greeter("old")));
    let mut late = connect(proxy.address());
    for client in [&early, &late] {
        assert_eq!(read_to(client, "\n"), "220 old\r\n");
    }
    late.write_all(b"EHLO me\r\n").unwrap();
    assert_eq!(read_to(&late, "\n"), "EHLO me\r\n");
    assert!(proxy.hold(Duration::ZERO), "nobody waits for it");
}

/// A silent client that then speaks, HTTP or something else, before and after an exchange.
#[test]
#[cfg_attr(not(unix), ignore = "needs `poll`")]
fn a_silent_client_decides_when_it_speaks() {
    let connections = Arc::new(AtomicUsize::new(0));
    let start = |name: &'static str| {
        let connections = Arc::clone(&connections);
        scripted(move |mut stream, _| {
            connections.fetch_add(1, Ordering::SeqCst);
            let mut buffer = [0; 100];
            let Ok(count @ 1..) = stream.read(&mut buffer) else { return };
            if buffer.starts_with(b"GET ") {
                write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{name}").unwrap();
            } else {
                stream.write_all(&buffer[..count]).unwrap();
            }
            let _ = stream.read(&mut buffer);
        })
    };
    let proxy = Proxy::start(anywhere()).unwrap();
    proxy.open(start("old"));
    let mut clients: Vec<TcpStream> = (0..4).map(|_| connect(proxy.address())).collect();
    std::thread::sleep(Duration::from_millis(400));
    assert_eq!(connections.load(Ordering::SeqCst), 4, "each has a connection in advance");
    let speak = |client: &mut TcpStream, name: &str| {
        client.write_all(b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n").unwrap();
        assert!(read_to(client, "").ends_with(name));
    };
    speak(&mut clients[0], "old");
    clients[1].write_all(b"\x01binary").unwrap();
    assert_eq!(read_to(&clients[1], "binary"), "\x01binary");
    assert_eq!(connections.load(Ordering::SeqCst), 5, "bytes go the way that there is");
    assert!(proxy.hold(Duration::ZERO));
    std::thread::sleep(Duration::from_millis(50));
    proxy.open(start("new"));
    speak(&mut clients[2], "new");
    clients[3].write_all(b"\x02other").unwrap();
    assert_eq!(read_to(&clients[3], "other"), "\x02other");
}

/// A service that ends silent connections is not asked again, and the client stays.
#[test]
#[cfg_attr(not(unix), ignore = "needs `poll`")]
fn a_hang_up_without_a_word_decides_nothing() {
    let connections = Arc::new(AtomicUsize::new(0));
    let own = Arc::clone(&connections);
    let proxy = proxy_to(move |mut stream, _| {
        own.fetch_add(1, Ordering::SeqCst);
        stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        if stream.read(&mut [0; 100]).is_ok() {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").unwrap();
        }
    });
    let mut client = connect(proxy.address());
    std::thread::sleep(Duration::from_millis(1600));
    assert_eq!(connections.load(Ordering::SeqCst), 1);
    client.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    assert!(read_to(&client, "ok").starts_with("HTTP/1.1 200"));
}

/// A client that says nothing and ends its side still hears what the service has to say.
#[test]
fn a_client_without_words_hears_the_greeting() {
    let proxy = proxy_to(greeter("hello"));
    let client = connect(proxy.address());
    client.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(read_to(&client, ""), "220 hello\r\n");
}

/// The service ends an idle connection, with and without a word: the client sees it. An exchange ends none.
#[test]
#[cfg_attr(not(unix), ignore = "needs `poll`")]
fn an_idle_client_sees_what_the_service_does() {
    for word in ["", "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"] {
        let proxy = proxy_to(move |mut stream, _| {
            read_head(&stream);
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").unwrap();
            std::thread::sleep(Duration::from_millis(100));
            stream.write_all(word.as_bytes()).unwrap();
        });
        let mut client = connect(proxy.address());
        client.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        read_to(&client, "ok");
        assert_eq!(read_to(&client, ""), word);
    }
}

/// Many idle clients cost the service few connections, survive an exchange, and go on.
#[test]
fn many_idle_clients() {
    let proxy = Proxy::start(anywhere()).unwrap();
    let old = Service::start("old", Duration::ZERO);
    proxy.open(old.address);
    let mut clients: Vec<Client> = (0..250).map(|_| Client::new(&proxy)).collect();
    for client in &mut clients {
        assert_eq!(client.post("a"), "200 old:a");
    }
    assert!(proxy.hold(Duration::from_millis(100)));
    old.stop();
    std::thread::sleep(Duration::from_millis(200));
    proxy.open(Service::start("new", Duration::ZERO).address);
    for client in &mut clients {
        assert_eq!(client.post("b"), "200 new:b");
    }
}

/// With too many clients, the one that is quiet for the longest goes, and never one with a request.
#[test]
fn descriptors_are_left_to_others() {
    let proxy = Proxy::start(anywhere()).unwrap();
    let service = Service::start("all", Duration::from_secs(1));
    proxy.open(service.address);
    std::thread::scope(|scope| {
        let until = |counts| {
            while proxy.shared.counts() != counts {
                std::thread::sleep(Duration::from_millis(1));
            }
        };
        let busy = scope.spawn(|| Client::new(&proxy).post("busy"));
        until((0, 1));
        let mut clients = Vec::new();
        for count in 1..=2 {
            clients.push(Client::new(&proxy));
            until((count, 1));
        }
        assert!(proxy.shared.has_room(4) && !proxy.shared.has_room(3));
        assert_eq!(clients[0].0.read(&mut [0]).unwrap(), 0, "it was hung up on");
        assert_eq!(clients[1].post("second"), "200 all:second");
        assert_eq!(busy.join().unwrap(), "200 all:busy");
    });
}
