//! Uploads to a registry that breaks off, forgets, leads away, or lies. Real registries are in the end-to-end tests.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use rondel_fetch::{Credentials, Fetcher};

use super::*;
use crate::accounts::Accounts;

/// What the registry does wrong.
#[derive(Clone, Default)]
struct Faults {
    /// Number of uploads that it breaks off, each in the middle of what is left.
    breaks: usize,
    /// It does not say how far an upload got.
    forgets: bool,
    /// It keeps nothing of an upload that broke off.
    loses: bool,
    /// Answers to `POST`, before the usual one.
    posts: Vec<&'static str>,
    /// Answer to `PUT` of a blob, headers included.
    put: Option<String>,
    /// `Location` of an upload.
    location: Option<String>,
    /// What it says of digests.
    told: Option<String>,
    /// It has the blob in this other repository.
    elsewhere: Option<&'static str>,
    /// It mounts nothing.
    forbids: bool,
    /// It answers every `HEAD` with this page.
    page: Option<&'static str>,
}

struct State {
    faults: Faults,
    asked: Vec<String>,
    upload: Vec<u8>,
    blobs: Vec<Vec<u8>>,
    tags: BTreeMap<String, (String, Vec<u8>)>,
}

struct Fake {
    address: String,
    state: Arc<Mutex<State>>,
}

fn start(faults: Faults) -> Fake {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (asked, upload, blobs, tags) = (Vec::new(), Vec::new(), Vec::new(), BTreeMap::new());
    let state = Arc::new(Mutex::new(State { faults, asked, upload, blobs, tags }));
    let shared = Arc::clone(&state);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let _ = serve(stream.unwrap(), &mut shared.lock().unwrap());
        }
    });
    Fake { address, state }
}

fn serve(mut stream: TcpStream, state: &mut State) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?);
    let (first, headers) = head(&mut lines)?;
    let line = first.rsplit_once(' ').unwrap().0.to_owned();
    let range = headers.get("content-range").map(|range| format!(" {range}")).unwrap_or_default();
    state.asked.push(format!("{line}{range}"));
    let length: usize = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut say = |status: &str, headers: &str, body: &[u8]| {
        let head = format!("HTTP/1.1 {status}\r\nConnection: close\r\n{headers}Content-Length: {}\r\n\r\n", body.len());
        stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body))
    };
    let (method, path) = line.split_once(' ').unwrap();
    let session = state.faults.location.clone().unwrap_or_else(|| "/v2/a/b/blobs/uploads/1?state=x".to_owned());
    let location = format!("Location: {session}\r\n");
    match method {
        "POST" => {
            let (status, headers) = begin(state, path, location);
            say(status, &headers, b"")
        }
        "GET" if path.contains("/uploads/") && state.faults.forgets => say("404 No", "", b""),
        "GET" if path.contains("/uploads/") => {
            let last = state.upload.len().saturating_sub(1);
            say("204 No Content", &format!("{location}Range: 0-{last}\r\n"), b"")
        }
        "PUT" if path.contains("/manifests/") => {
            let mut body = vec![0; length];
            lines.read_exact(&mut body)?;
            let told = state.faults.told.clone().unwrap_or_else(|| Digest::of(&body).oci());
            let name = path.rsplit('/').next().unwrap();
            state.tags.insert(name.to_owned(), (headers["content-type"].clone(), body));
            say("201 Created", &format!("Docker-Content-Digest: {told}\r\n"), b"")
        }
        "PUT" if state.faults.breaks > 0 => {
            state.faults.breaks -= 1;
            let half = &mut vec![0; length / 2][..];
            lines.read_exact(half)?;
            state.upload.extend_from_slice(if state.faults.loses { &[] } else { half });
            Ok(())
        }
        "PUT" => {
            let mut body = vec![0; length];
            lines.read_exact(&mut body)?;
            if let Some(answer) = state.faults.put.clone() {
                let (status, headers) = answer.split_once('\n').unwrap_or((&answer, ""));
                return say(status, headers, br#"{"errors":[{"code":"DIGEST_INVALID","message":"not these bytes"}]}"#);
            }
            state.upload.extend_from_slice(&body);
            state.blobs.push(std::mem::take(&mut state.upload));
            let told = state.faults.told.clone().unwrap_or_else(|| Digest::of(&contents()).oci());
            say("201 Created", &format!("Docker-Content-Digest: {told}\r\n"), b"")
        }
        "HEAD" if state.faults.page.is_some() => say("200 OK", state.faults.page.unwrap_or_default(), b""),
        "HEAD" => {
            let name = path.rsplit('/').next().unwrap();
            match state.tags.get(name) {
                Some((kind, _)) => {
                    let told = state.faults.told.clone().map(|told| format!("Docker-Content-Digest: {told}\r\n"));
                    say("200 OK", &format!("{}Content-Type: {kind}\r\n", told.unwrap_or_default()), &[])
                }
                None => say("404 Not Found", "", b""),
            }
        }
        _ => {
            let (kind, body) = &state.tags[path.rsplit('/').next().unwrap()];
            say("200 OK", &format!("Content-Type: {kind}\r\n"), body)
        }
    }
}

/// Returns status and headers of the answer to an upload that begins at `location`.
fn begin(state: &mut State, path: &str, location: String) -> (&'static str, String) {
    let is_of = |from: &str| path.ends_with(&format!("&from={from}"));
    if !state.faults.posts.is_empty() {
        return (state.faults.posts.remove(0), "Retry-After: 0\r\n".to_owned());
    }
    if path.contains("mount=") && state.faults.forbids {
        return ("403 Forbidden", String::new());
    }
    if state.faults.elsewhere.is_some_and(is_of) {
        return ("201 Created", String::new());
    }
    state.upload.clear();
    ("202 Accepted", location)
}

/// Reads the first line and the headers of a request.
fn head(lines: &mut impl BufRead) -> std::io::Result<(String, BTreeMap<String, String>)> {
    let mut first = String::new();
    lines.read_line(&mut first)?;
    let (mut headers, mut next) = (BTreeMap::new(), String::new());
    while lines.read_line(&mut next)? > 2 {
        let (name, value) = next.split_once(':').unwrap();
        headers.insert(name.to_lowercase(), value.trim().to_owned());
        next.clear();
    }
    Ok((first, headers))
}

/// A megabyte in which no part repeats.
fn contents() -> Vec<u8> {
    (0..250_000_u32).flat_map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes()).collect()
}

struct Space(PathBuf);

impl Space {
    fn new() -> Space {
        let directory = std::env::temp_dir().join(rondel_cas::temporary_name());
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("blob"), contents()).unwrap();
        Space(directory)
    }

    fn registry(&self) -> Registry {
        let environment = BTreeMap::from([("DOCKER_CONFIG".to_owned(), self.0.to_str().unwrap().to_owned())]);
        let accounts = Accounts::of_user(&environment, &rondel_process::Cancellation::default()).unwrap();
        Registry::new(Fetcher::new(None, Credentials::default()), accounts, BTreeMap::new())
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Pushes the blob; returns the outcome, and the largest number of bytes that were told.
fn push(fake: &Fake, from: Option<&str>) -> (Result<Placed, String>, u64) {
    let space = Space::new();
    let registry = space.registry();
    let reference = ImageReference::new(&format!("{}/a/b:1", fake.address)).unwrap();
    let to = registry.destination(&reference, from.map(str::to_owned).into_iter().collect());
    let told = AtomicU64::new(0);
    let progress = |done: u64, _: u64| {
        told.fetch_max(done, Ordering::Relaxed);
        true
    };
    let watcher = Watcher { progress: &progress, say: &|_| {} };
    let outcome = registry.push_blob(&to, &Digest::of(&contents()), &space.0.join("blob"), from, &watcher);
    let outcome = outcome.map_err(|error| error.to_string().replace(&fake.address, "HOST"));
    (outcome, told.load(Ordering::Relaxed))
}

/// The requests, with the digest left out.
fn asked(fake: &Fake) -> Vec<String> {
    let digest = Digest::of(&contents()).oci();
    fake.state.lock().unwrap().asked.iter().map(|line| line.replace(&digest, "D")).collect()
}

#[test]
fn an_upload_that_breaks_off_goes_on() {
    let fake = start(Faults { breaks: 2, ..Faults::default() });
    assert_eq!(push(&fake, None), (Ok(Placed::Sent), 1_000_000));
    assert_eq!(fake.state.lock().unwrap().blobs, [contents()]);
    assert_eq!(
        asked(&fake),
        [
            "HEAD /v2/a/b/blobs/D",
            "POST /v2/a/b/blobs/uploads/",
            "PUT /v2/a/b/blobs/uploads/1?state=x&digest=D",
            "GET /v2/a/b/blobs/uploads/1?state=x",
            "PUT /v2/a/b/blobs/uploads/1?state=x&digest=D 500000-999999",
            "GET /v2/a/b/blobs/uploads/1?state=x",
            "PUT /v2/a/b/blobs/uploads/1?state=x&digest=D 750000-999999",
        ]
    );
    // A line that breaks more often than anything is tried, and brings something each time.
    let fake = start(Faults { breaks: 5, ..Faults::default() });
    assert_eq!(push(&fake, None).0, Ok(Placed::Sent));
    assert_eq!(fake.state.lock().unwrap().blobs, [contents()]);
}

#[test]
fn an_upload_that_is_forgotten_begins_again() {
    for faults in [
        Faults { breaks: 1, forgets: true, ..Faults::default() },
        Faults { breaks: 1, loses: true, ..Faults::default() },
        Faults { posts: vec!["503 Busy", "429 Slow"], ..Faults::default() },
    ] {
        let fake = start(faults);
        assert_eq!(push(&fake, None).0, Ok(Placed::Sent));
        assert_eq!(fake.state.lock().unwrap().blobs, [contents()]);
    }
    // One that never works ends.
    let fake = start(Faults { breaks: usize::MAX, loses: true, ..Faults::default() });
    let error = push(&fake, None).0.unwrap_err();
    assert!(error.starts_with("HOST failed for `sha256:"), "{error}");
}

#[test]
fn a_blob_of_another_repository_is_mounted() {
    let fake = start(Faults { elsewhere: Some("team%2Fbase"), ..Faults::default() });
    assert_eq!(push(&fake, Some("team/base")), (Ok(Placed::Mounted), 0));
    assert_eq!(asked(&fake), ["HEAD /v2/a/b/blobs/D", "POST /v2/a/b/blobs/uploads/?mount=D&from=team%2Fbase"]);
    // What is not there after all is sent; so is what may not be taken from there.
    assert_eq!(push(&fake, Some("team/other")).0, Ok(Placed::Sent));
    assert_eq!(fake.state.lock().unwrap().blobs, [contents()]);
    let fake = start(Faults { forbids: true, ..Faults::default() });
    assert_eq!(push(&fake, Some("team/base")).0, Ok(Placed::Sent));
    assert_eq!(fake.state.lock().unwrap().blobs, [contents()]);
}

/// A page in front of the registry, for people to log in, passes for nothing.
#[test]
fn a_page_that_answers_everything() {
    let digest = format!("Docker-Content-Digest: sha256:{}\r\n", "0".repeat(64));
    let digest: &'static str = Box::leak(digest.into_boxed_str());
    for page in ["", digest] {
        let fake = start(Faults {
            page: Some(page),
            put: Some("302 Over there\nLocation: /login\r\n".to_owned()),
            ..Faults::default()
        });
        let error = push(&fake, None).0.unwrap_err();
        assert!(error.contains("it answered 302"), "{error}");
        assert!(asked(&fake).iter().all(|line| !line.contains("/login")), "writes follow no redirect");
    }
}

#[test]
fn refusals_are_told_in_the_words_of_the_registry() {
    for (faults, expected, tries) in [
        (Faults { put: Some("400 Bad".to_owned()), ..Faults::default() }, "it answered 400: not these bytes", 1),
        (Faults { put: Some("500 Broken".to_owned()), ..Faults::default() }, "it answered 500: not these bytes", 4),
        (Faults { put: Some("202 Accepted".to_owned()), ..Faults::default() }, "it answered 202", 1),
        (
            Faults { told: Some(format!("sha256:{}", "0".repeat(64))), ..Faults::default() },
            "it says that its digest",
            8,
        ),
        (Faults { location: Some("ftp://x/".to_owned()), ..Faults::default() }, "does not say where to send", 0),
        (Faults { posts: vec!["403 No"; 2], ..Faults::default() }, "does not let anyone write to `a/b`", 0),
        (Faults { posts: vec!["404 No"], ..Faults::default() }, "`sha256:", 0),
    ] {
        let fake = start(faults);
        let error = push(&fake, None).0.unwrap_err();
        assert!(error.contains(expected), "{error}");
        let puts = asked(&fake).iter().filter(|line| line.starts_with("PUT")).count();
        assert!(puts <= tries, "{expected}: {:?}", asked(&fake));
    }
}

/// Another host gets the bytes, and no account.
#[test]
fn an_upload_is_led_to_another_host() {
    let storage = start(Faults::default());
    let away =
        format!("http://{}/v2/a/b/blobs/uploads/2?signed=yes", storage.address.replace("127.0.0.1", "localhost"));
    for faults in [
        Faults { location: Some(away.clone()), ..Faults::default() },
        Faults { put: Some(format!("307 Over there\nLocation: {away}\r\n")), ..Faults::default() },
    ] {
        let fake = start(faults);
        assert_eq!(push(&fake, None).0, Ok(Placed::Sent));
        assert_eq!(storage.state.lock().unwrap().blobs.pop(), Some(contents()));
    }
    let circle = start(Faults::default());
    let away = format!("http://{}/v2/a/b/blobs/uploads/1", circle.address);
    circle.state.lock().unwrap().faults.put = Some(format!("307 Over there\nLocation: {away}\r\n"));
    assert!(push(&circle, None).0.unwrap_err().contains("without end"));
}

#[test]
fn documents_and_their_names() {
    let space = Space::new();
    for told in [Some(Digest::of(b"document").oci()), None, Some(format!("sha256:{}", "0".repeat(64)))] {
        let fake = start(Faults { told: told.clone(), ..Faults::default() });
        let registry = space.registry();
        let to = registry.destination(&ImageReference::new(&format!("{}/a/b:1", fake.address)).unwrap(), Vec::new());
        let watcher = Watcher { progress: &|_, _| true, say: &|_| {} };
        assert!(matches!(registry.digest_at(&to, "v1", &watcher), Ok(None)));
        let put = registry.put_document(&to, "v1", "x/y", b"document", &watcher);
        let found = registry.digest_at(&to, "v1", &watcher).unwrap();
        match told.filter(|told| told.ends_with("000")) {
            None => {
                put.unwrap();
                assert_eq!(found, Some(Digest::of(b"document").oci()), "also of a registry that does not tell it");
            }
            Some(_) => assert!(put.unwrap_err().to_string().contains("sent something else for `a/b:v1`")),
        }
        assert_eq!(fake.state.lock().unwrap().tags["v1"], ("x/y".to_owned(), b"document".to_vec()));
    }
}
