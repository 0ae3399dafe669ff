//! Against a registry that lies, breaks off, or asks for accounts. Real registries are in the end-to-end tests.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use rondel_fetch::Credentials;

use super::*;

/// One request: `GET /path`, and the headers in lower case.
pub(crate) struct Asked {
    pub line: String,
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

pub(crate) type Answer = dyn Fn(&Asked, &mut TcpStream) + Send + Sync;

/// Starts a server; returns its address, and the list of what it is asked.
pub(crate) fn server(answer: Box<Answer>) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let (log, answer) = (Arc::clone(&asked), Arc::new(answer));
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (log, answer) = (Arc::clone(&log), Arc::clone(&answer));
            std::thread::spawn(move || {
                let mut stream = stream.unwrap();
                let mut lines = BufReader::new(stream.try_clone().unwrap());
                let (mut first, mut headers) = (String::new(), BTreeMap::new());
                lines.read_line(&mut first).unwrap();
                let line = first.rsplit_once(' ').map_or(first.as_str(), |(line, _)| line).to_owned();
                let mut next = String::new();
                while lines.read_line(&mut next).unwrap() > 2 {
                    let (name, value) = next.split_once(':').unwrap();
                    headers.insert(name.to_lowercase(), value.trim().to_owned());
                    next.clear();
                }
                let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
                let mut body = vec![0; length];
                lines.read_exact(&mut body).unwrap();
                let extra = ["range", "authorization"].map(|name| headers.get(name).cloned().unwrap_or_default());
                let told = format!("{line} {} {}", extra.join(" "), String::from_utf8_lossy(&body));
                log.lock().unwrap().push(told.trim_end().to_owned());
                answer(&Asked { line, headers, body }, &mut stream);
            });
        }
    });
    (address, asked)
}

pub(crate) fn say(stream: &mut TcpStream, status: &str, headers: &str, body: &[u8]) {
    let head = format!("HTTP/1.1 {status}\r\nConnection: close\r\n{headers}Content-Length: {}\r\n\r\n", body.len());
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
}

pub(crate) fn registry(accounts: &[(&str, &str)]) -> Registry {
    let directory = std::env::temp_dir().join(rondel_cas::temporary_name());
    fs::create_dir_all(&directory).unwrap();
    let auths: Vec<String> =
        accounts.iter().map(|(host, entry)| format!("{}: {entry}", serde_json::to_string(host).unwrap())).collect();
    fs::write(directory.join("config.json"), format!("{{\"auths\": {{{}}}}}", auths.join(","))).unwrap();
    let environment = BTreeMap::from([("DOCKER_CONFIG".to_owned(), directory.to_str().unwrap().to_owned())]);
    let accounts = Accounts::of_user(&environment, &rondel_process::Cancellation::default()).unwrap();
    fs::remove_dir_all(directory).unwrap();
    Registry::new(Fetcher::new(None, Credentials::default()), accounts, BTreeMap::new())
}

pub(crate) fn reference(address: &str) -> ImageReference {
    ImageReference::new(&format!("{address}/a/b:v1")).unwrap()
}

/// Collects what is said, and never stops.
pub(crate) fn watched<T>(work: impl FnOnce(&Watcher<'_>) -> T) -> (T, Vec<String>) {
    let said = Mutex::new(Vec::new());
    let outcome = work(&Watcher { progress: &|_, _| true, say: &|text| said.lock().unwrap().push(text) });
    (outcome, said.into_inner().unwrap())
}

pub(crate) fn shown(error: &RegistryError, address: &str) -> String {
    error.to_string().replace(address, "HOST")
}

const DOCUMENT: &[u8] = b"{\"schemaVersion\":2}";

#[test]
fn documents_are_what_was_asked_for() {
    let right = Digest::of(DOCUMENT).oci();
    let wrong = Digest::of(b"other").oci();
    for (header, name, expected) in [
        (right.as_str(), "v1", Ok(())),
        ("", "v1", Ok(())),
        (wrong.as_str(), "v1", Err(())),
        (right.as_str(), right.as_str(), Ok(())),
        (wrong.as_str(), right.as_str(), Ok(())),
        (wrong.as_str(), wrong.as_str(), Err(())),
    ] {
        let header = format!("Docker-Content-Digest: {header}\r\nContent-Type: x/y; charset=utf-8\r\n");
        let (address, _) = server(Box::new(move |_, stream| say(stream, "200 OK", &header, DOCUMENT)));
        let separator = if name == "v1" { ":" } else { "@" };
        let reference = ImageReference::new(&format!("{address}/a/b{separator}{name}")).unwrap();
        let (found, _) = watched(|watcher| registry(&[]).document(&reference, watcher));
        match expected {
            Ok(()) => assert_eq!(found.unwrap().media_type, "x/y"),
            Err(()) => assert!(shown(&found.unwrap_err(), &address).contains("HOST sent something else for"), "{name}"),
        }
    }
}

#[test]
fn what_is_not_there_and_what_is_too_large() {
    let error = r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"no such tag"}]}"#;
    let (address, asked) = server(Box::new(move |_, stream| say(stream, "404 Not Found", "", error.as_bytes())));
    let (found, _) = watched(|watcher| registry(&[]).document(&reference(&address), watcher));
    assert_eq!(shown(&found.unwrap_err(), &address), "`HOST/a/b:v1` was not found");
    assert_eq!(asked.lock().unwrap().len(), 1, "asked once only");
    let (address, _) = server(Box::new(|_, stream| say(stream, "200 OK", "", &vec![b' '; 5 << 20])));
    let (found, _) = watched(|watcher| registry(&[]).document(&reference(&address), watcher));
    let told = shown(&found.unwrap_err(), &address);
    assert!(told.ends_with("the answer has more than 4194304 bytes"), "{told}");
}

/// Rondel asks a busy server again, and tells the user how long it waits.
#[test]
fn busy_registries() {
    let count = AtomicUsize::new(0);
    let (address, _) = server(Box::new(move |_, stream| match count.fetch_add(1, Ordering::SeqCst) {
        0 => say(stream, "503 Service Unavailable", "", b""),
        1 => say(stream, "429 Too Many Requests", "Retry-After: 1\r\n", b""),
        _ => say(stream, "200 OK", "", DOCUMENT),
    }));
    let (found, said) = watched(|watcher| registry(&[]).document(&reference(&address), watcher));
    assert_eq!(found.unwrap().bytes, DOCUMENT);
    assert_eq!(said, [format!("{address} limits how often it is asked: waiting 1 s")]);
    let (address, asked) = server(Box::new(|_, stream| say(stream, "500 Oh", "", b"<html>")));
    let (found, _) = watched(|watcher| registry(&[]).document(&reference(&address), watcher));
    assert_eq!(shown(&found.unwrap_err(), &address), "HOST failed for `HOST/a/b:v1`: it answered 500");
    assert_eq!(asked.lock().unwrap().len(), 4);
}

#[test]
fn tokens_and_passwords() {
    let token = |asked: &Asked, stream: &mut TcpStream| {
        let host = &asked.headers["host"];
        let challenge = format!("WWW-Authenticate: Bearer realm=\"http://{host}/token?x=1\",service=\"s p\"\r\n");
        let authorization = asked.headers.get("authorization").map_or("", String::as_str);
        match (asked.line.as_str(), authorization) {
            (line, "Basic dTpw") if line.starts_with("GET /token") => say(stream, "200 OK", "", br#"{"token":"t1"}"#),
            ("POST /token?x=1", "") => say(stream, "200 OK", "", br#"{"access_token":"t1"}"#),
            (line, "") if line.starts_with("GET /token") => say(stream, "200 OK", "", br#"{"token":"nobody"}"#),
            (line, _) if line.starts_with("GET /token") => say(stream, "401 No", "", b""),
            (_, "Bearer t1") => say(stream, "200 OK", "", DOCUMENT),
            (_, "Bearer nobody") => {
                say(stream, "403 No", "", br#"{"errors":[{"code":"DENIED","message":"not for you"}]}"#);
            }
            _ => say(stream, "401 Unauthorized", &challenge, b""),
        }
    };
    let (address, asked) = server(Box::new(token));
    let of = |entry: &str| {
        let registry = registry(&[(&address, entry)]);
        let (found, _) = watched(|watcher| {
            registry
                .document(&reference(&address), watcher)
                .and_then(|_| registry.document(&reference(&address), watcher))
        });
        found.map(|found| found.bytes.len()).map_err(|error| shown(&error, &address))
    };
    assert_eq!(of(r#"{"auth": "dTpw"}"#), Ok(DOCUMENT.len()));
    let scope = "scope=repository%3Aa%2Fb%3Apull";
    let first: Vec<String> = std::mem::take(&mut *asked.lock().unwrap());
    assert_eq!(
        first,
        [
            "GET /v2/a/b/manifests/v1".to_owned(),
            format!("GET /token?x=1&service=s%20p&{scope}  Basic dTpw"),
            "GET /v2/a/b/manifests/v1  Bearer t1".to_owned(),
            // The token is kept.
            "GET /v2/a/b/manifests/v1  Bearer t1".to_owned(),
        ]
    );
    assert_eq!(of(r#"{"identitytoken": "it&"}"#), Ok(DOCUMENT.len()));
    assert!(asked.lock().unwrap().iter().any(|line| line.ends_with("refresh_token=it%26")));
    assert_eq!(of("{}"), Err("HOST does not let anyone read `a/b`: it answered 403: not for you".to_owned()));
    assert_eq!(of(r#"{"auth": "dTpx"}"#), Err("HOST does not let `u` read `a/b`: the account is refused".to_owned()));
}

/// Who writes asks for all scopes at once. Where another repository may not be read, it is left out.
#[test]
fn tokens_to_write() {
    let token = |asked: &Asked, stream: &mut TcpStream| {
        let host = &asked.headers["host"];
        let challenge =
            format!("WWW-Authenticate: Bearer realm=\"http://{host}/token\",scope=\"repository:a/b:pull\"\r\n");
        let authorization = asked.headers.get("authorization").map_or("", String::as_str);
        match (asked.line.as_str(), authorization) {
            (line, _) if line.starts_with("GET /token") && line.contains("secret%2Fbase") => {
                say(stream, "403 No", "", b"")
            }
            (line, _) if line.starts_with("GET /token") => say(stream, "200 OK", "", br#"{"token":"t1"}"#),
            (_, "Bearer t1") => say(stream, "200 OK", "", DOCUMENT),
            _ => say(stream, "401 Unauthorized", &challenge, b""),
        }
    };
    let (address, asked) = server(Box::new(token));
    let registry = registry(&[]);
    let ask = |sources: &[&str]| {
        let sources = sources.iter().map(|source| (*source).to_owned()).collect();
        let to = registry.destination(&reference(&address), sources);
        let (found, _) = watched(|watcher| registry.document_there(&to, "v1", watcher));
        assert_eq!(found.unwrap().unwrap().bytes, DOCUMENT);
        let lines = std::mem::take(&mut *asked.lock().unwrap());
        lines.into_iter().filter(|line| line.contains("/token")).collect::<Vec<_>>()
    };
    let own = "GET /token?scope=repository%3Aa%2Fb%3Apull%2Cpush";
    assert_eq!(ask(&["team/base", "a/b"]), [format!("{own}&scope=repository%3Ateam%2Fbase%3Apull")]);
    // The token is kept.
    assert_eq!(ask(&["team/base"]), [""; 0]);
    registry.known.lock().unwrap().clear();
    assert_eq!(ask(&["secret/base"]), [format!("{own}&scope=repository%3Asecret%2Fbase%3Apull"), own.to_owned()]);
}

#[test]
fn basic_authentication() {
    let (address, _) = server(Box::new(|asked, stream| match asked.headers.get("authorization").map(String::as_str) {
        Some("Basic dTpw") => say(stream, "200 OK", "", DOCUMENT),
        _ => say(stream, "401 No", "WWW-Authenticate: Basic realm=\"x\"\r\n", b""),
    }));
    let ask = |entry: &str| {
        let (found, _) = watched(|watcher| registry(&[(&address, entry)]).document(&reference(&address), watcher));
        found.map(|found| found.bytes.len()).map_err(|error| shown(&error, &address))
    };
    assert_eq!(ask(r#"{"auth": "dTpw"}"#), Ok(DOCUMENT.len()));
    assert_eq!(ask("{}"), Err("HOST does not let anyone read `a/b`: it wants a user and a password".to_owned()));
    let refused = ask(r#"{"auth": "dTpx"}"#).unwrap_err();
    assert!(refused.starts_with("HOST does not let `u` read `a/b`: "), "{refused}");
}

/// What a blob's server does wrong, and what is said.
#[test]
fn blobs_are_checked_and_taken_up_again() {
    let blob: Vec<u8> = (0..300_000_u32).map(|number| (number / 7) as u8).collect();
    let digest = Digest::of(&blob);
    let directory = std::env::temp_dir().join(rondel_cas::temporary_name());
    let get = |answer: Box<Answer>| {
        let (address, asked) = server(answer);
        let (found, _) = watched(|watcher| registry(&[]).blob(&reference(&address), &digest, &directory, watcher));
        let found = found.map(|path| Digest::of_file(&path).unwrap()).map_err(|error| shown(&error, &address));
        let asked = asked.lock().unwrap().clone();
        (found, asked)
    };
    let wrong = |message: &str| Err(format!("HOST sent something else for `{}`: {message}", digest.oci()));
    let mut flipped = blob.clone();
    flipped[1000] ^= 1;
    let other = Digest::of(&flipped).oci();
    assert_eq!(
        get(Box::new(move |_, stream| say(stream, "200 OK", "", &flipped))).0,
        wrong(&format!("its digest is {other}"))
    );
    let short = blob[..5000].to_vec();
    assert_eq!(
        get(Box::new(move |_, stream| say(stream, "200 OK", "", &short))).0,
        wrong("5000 bytes instead of 300000")
    );
    let endless = |_: &Asked, stream: &mut TcpStream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
        while stream.write_all(&[0; 65536]).is_ok() {}
    };
    assert_eq!(get(Box::new(endless)).0, wrong("more than its 300000 bytes"));
    // Nothing wrong was kept: the next one is right, though its connection breaks midway.
    let whole = blob.clone();
    let broken = move |asked: &Asked, stream: &mut TcpStream| {
        let from: usize = asked.headers.get("range").map_or(0, |range| range[6..range.len() - 1].parse().unwrap());
        let to = whole.len().min(from + 180_000);
        let (status, range) = match from {
            0 => ("200 OK", String::new()),
            _ => {
                ("206 Partial Content", format!("Content-Range: bytes {from}-{}/{}\r\n", whole.len() - 1, whole.len()))
            }
        };
        let length = whole.len() - from;
        let head = format!("HTTP/1.1 {status}\r\nConnection: close\r\n{range}Content-Length: {length}\r\n\r\n");
        let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&whole[from..to]));
    };
    let (found, asked) = get(Box::new(broken));
    assert_eq!(found, Ok(digest));
    assert!(asked.len() > 1 && asked[1].contains("bytes="), "{asked:?}");
    fs::remove_dir_all(directory).unwrap();
}

/// Registries send their clients to other servers for blobs. Those get no password.
#[test]
fn redirects_carry_no_password() {
    let (elsewhere, seen) = server(Box::new(|_, stream| say(stream, "200 OK", "", b"blob")));
    let (address, _) = server(Box::new(move |asked, stream| match asked.headers.contains_key("authorization") {
        true => say(stream, "307 Temporary Redirect", &format!("Location: http://{elsewhere}/x?signed\r\n"), b""),
        false => say(stream, "401 No", "WWW-Authenticate: Basic\r\n", b""),
    }));
    let directory = std::env::temp_dir().join(rondel_cas::temporary_name());
    let registry = registry(&[(&address, r#"{"auth": "dTpw"}"#)]);
    let (found, _) = watched(|watcher| registry.blob(&reference(&address), &Digest::of(b"blob"), &directory, watcher));
    assert_eq!(Digest::of_file(&found.unwrap()).unwrap(), Digest::of(b"blob"));
    assert_eq!(*seen.lock().unwrap(), ["GET /x?signed"]);
    fs::remove_dir_all(directory).unwrap();
}

/// Whoever a redirect leads to gets no account, also if it asks for one.
#[test]
fn a_redirect_to_a_thief() {
    let challenges = ["Basic realm=\"x\"", "Bearer realm=\"http://THIEF/token\",service=\"x\""];
    for (status, challenge) in
        challenges.into_iter().flat_map(|challenge| [("401 No", challenge), ("403 No", challenge)])
    {
        let (thief, seen) = server(Box::new(move |asked, stream| {
            let host = asked.headers.get("host").cloned().unwrap_or_default();
            let header = format!("WWW-Authenticate: {}\r\n", challenge.replace("THIEF", &host));
            say(stream, status, &header, br#"{"token": "t"}"#);
        }));
        let to = thief.clone();
        let (address, _) = server(Box::new(move |asked, stream| match asked.headers.contains_key("authorization") {
            true => say(stream, "307 Temporary Redirect", &format!("Location: http://{to}/x\r\n"), b""),
            false => say(stream, "401 No", "WWW-Authenticate: Basic\r\n", b""),
        }));
        let directory = std::env::temp_dir().join(rondel_cas::temporary_name());
        let registry = registry(&[(&address, r#"{"auth": "dTpw"}"#)]);
        let blob =
            |watcher: &Watcher<'_>| registry.blob(&reference(&address), &Digest::of(b"blob"), &directory, watcher);
        let (found, _) = watched(blob);
        let error = found.unwrap_err().to_string();
        let number = &status[..3];
        assert!(error.ends_with(&format!("it leads to http://{thief}, which answered {number}")), "{error}");
        assert_eq!(*seen.lock().unwrap(), ["GET /x"]);
        fs::remove_dir_all(directory).unwrap();
    }
}

#[test]
fn mirrors_come_first_and_the_registry_last() {
    let (mirror, asked) = server(Box::new(|_, stream| say(stream, "404 No", "", b"")));
    let (lying, _) =
        server(Box::new(|_, stream| say(stream, "200 OK", "Docker-Content-Digest: sha256:0\r\n", DOCUMENT)));
    let (address, _) = server(Box::new(|_, stream| say(stream, "200 OK", "", DOCUMENT)));
    let mirrors = vec![format!("http://{mirror}"), format!("http://{lying}")];
    let mut registry = registry(&[]);
    registry.declared.insert(address.clone(), Access { mirrors, plain_http: None });
    let (found, said) = watched(|watcher| registry.document(&reference(&address), watcher));
    assert_eq!(found.unwrap().bytes, DOCUMENT);
    assert_eq!(asked.lock().unwrap().len(), 1);
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].starts_with(&format!("{lying} sent something else for")), "{said:?}");
}

#[test]
fn nobody_waits_for_a_registry_when_asked_to_stop() {
    let (address, _) = server(Box::new(|_, stream| say(stream, "503 Busy", "Retry-After: 50\r\n", b"")));
    let calls = AtomicUsize::new(0);
    let watcher = Watcher { progress: &|_, _| calls.fetch_add(1, Ordering::SeqCst) < 3, say: &|_| {} };
    let begun = Instant::now();
    let found = registry(&[]).document(&reference(&address), &watcher);
    assert!(matches!(found, Err(RegistryError::Interrupted)));
    assert!(begun.elapsed() < Duration::from_secs(20));
}
