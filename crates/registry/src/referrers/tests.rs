//! Documents about images in registries that list them, that do not, that lie, and that others write to at the same time.
//! Real registries are in the end-to-end tests.

use std::collections::BTreeMap;
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use rondel_oci::Subject;
use serde_json::{Value, json};

use super::*;
use crate::client::tests::{Asked, reference, registry, say, server, shown, watched};

/// What the registry does.
#[derive(Clone, Copy, Default)]
struct Ways {
    /// It lists documents.
    lists: bool,
    /// It says so when it gets one.
    says_so: bool,
    /// It refuses to remove anything.
    keeps: bool,
    /// Entries of a page.
    page: Option<usize>,
}

/// A registry in memory.
struct Fake {
    address: String,
    asked: Arc<Mutex<Vec<String>>>,
    /// Manifests by digest or tag.
    manifests: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
}

/// Called after each `PUT` of a manifest, with its name and all manifests.
type Others = dyn Fn(&str, &mut BTreeMap<String, Vec<u8>>) + Send + Sync;

fn start(ways: Ways, others: Box<Others>) -> Fake {
    let manifests: Arc<Mutex<BTreeMap<String, Vec<u8>>>> = Arc::default();
    let blobs: Mutex<BTreeMap<String, Vec<u8>>> = Mutex::default();
    let shared = Arc::clone(&manifests);
    let answer = move |asked: &Asked, stream: &mut TcpStream| {
        let (method, path) = asked.line.split_once(' ').unwrap();
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let name = path.rsplit('/').next().unwrap();
        let mut manifests = shared.lock().unwrap();
        let mut blobs = blobs.lock().unwrap();
        match method {
            "POST" => say(stream, "202 Accepted", "Location: /v2/a/b/blobs/uploads/1\r\n", b""),
            "PUT" if path.contains("/uploads/") => {
                blobs.insert(query.replacen("digest=", "", 1), asked.body.clone());
                say(stream, "201 Created", "", b"");
            }
            "HEAD" if path.contains("/blobs/") => {
                let found = blobs.get(name);
                say(stream, if found.is_some() { "200 OK" } else { "404 No" }, "", found.map_or(b"", Vec::as_slice));
            }
            "PUT" => {
                manifests.insert(name.to_owned(), asked.body.clone());
                others(name, &mut manifests);
                let subject = serde_json::from_slice::<Value>(&asked.body).unwrap()["subject"]["digest"].clone();
                let told = subject.as_str().filter(|_| ways.says_so);
                let header = told.map(|told| format!("OCI-Subject: {told}\r\n")).unwrap_or_default();
                say(stream, "201 Created", &header, b"");
            }
            "DELETE" if ways.keeps => say(stream, "405 No", "", b""),
            "DELETE" => {
                manifests.remove(name);
                say(stream, "202 Accepted", "", b"");
            }
            "GET" if path.contains("/referrers/") && !ways.lists => say(stream, "404 No", "", b"404 page not found"),
            "GET" if path.contains("/referrers/") => list(stream, &manifests, name, query, ways.page),
            _ => match manifests.get(name) {
                Some(body) => {
                    let value: Value = serde_json::from_slice(body).unwrap();
                    let kind = value["mediaType"].as_str().unwrap();
                    say(stream, "200 OK", &format!("Content-Type: {kind}\r\n"), body);
                }
                None => say(stream, "404 No", "", b""),
            },
        }
    };
    let (address, asked) = server(Box::new(answer));
    Fake { address, asked, manifests }
}

fn list(
    stream: &mut TcpStream,
    manifests: &BTreeMap<String, Vec<u8>>,
    subject: &str,
    query: &str,
    page: Option<usize>,
) {
    let parsed = manifests.values().map(|body| (body, serde_json::from_slice::<Value>(body).unwrap()));
    let entries: Vec<Value> = parsed
        .filter(|(_, value)| value["subject"]["digest"] == subject)
        .map(|(body, value)| {
            json!({"mediaType": value["mediaType"], "digest": Digest::of(body).oci(), "size": body.len(),
                "artifactType": value["artifactType"], "annotations": value["annotations"]})
        })
        .collect();
    let from: usize = query.strip_prefix("from=").map_or(0, |from| from.parse().unwrap());
    let page = page.unwrap_or(entries.len().max(1));
    let shown: Vec<&Value> = entries.iter().skip(from).take(page).collect();
    let next = from + page;
    let link = format!("Link: </v2/a/b/referrers/{subject}?from={next}>; a=\"b\"; rel=\"next\"\r\n");
    let link = if next < entries.len() { link } else { String::new() };
    let body = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": shown}).to_string();
    say(stream, "200 OK", &format!("{link}Content-Type: {INDEX}\r\n"), body.as_bytes());
}

fn nobody() -> Box<Others> {
    Box::new(|_, _| {})
}

fn document(name: &str, contents: &[u8]) -> Artifact {
    Artifact {
        artifact_type: "application/spdx+json".to_owned(),
        name: name.to_owned(),
        contents: Digest::of(contents),
        subject: Subject { media_type: INDEX.to_owned(), digest: Digest::of(b"image") },
        annotations: Default::default(),
    }
}

impl Fake {
    /// Attaches documents if they are not listed; returns what was done, or nothing.
    fn attach(&self, documents: &[(&str, &[u8])]) -> Result<Option<Attached>, String> {
        let scratch = std::env::temp_dir().join(rondel_cas::temporary_name());
        fs::create_dir_all(&scratch).unwrap();
        let made: Vec<(Artifact, PathBuf)> = documents
            .iter()
            .map(|(name, contents)| {
                let path = scratch.join(name);
                fs::write(&path, contents).unwrap();
                (document(name, contents), path)
            })
            .collect();
        let registry = registry(&[]);
        let to = registry.destination(&reference(&self.address), Vec::new());
        let (outcome, _) = watched(|watcher| {
            let wanted: Vec<&Artifact> = made.iter().map(|(document, _)| document).collect();
            if registry.attached(&to, &wanted, watcher)?.iter().all(|is_there| *is_there) {
                return Ok(None);
            }
            registry.attach(&to, &made, &scratch, watcher).map(Some)
        });
        fs::remove_dir_all(scratch).unwrap();
        outcome.map_err(|error| shown(&error, &self.address))
    }

    /// The names of all documents that are found.
    fn names(&self) -> Vec<String> {
        let (found, _) =
            watched(|watcher| registry(&[]).referrers(&reference(&self.address), &Digest::of(b"image").oci(), watcher));
        let mut names: Vec<String> = found
            .unwrap()
            .into_iter()
            .filter_map(|referrer| referrer.annotations.get(DOCUMENT_NAME).cloned())
            .collect();
        names.sort();
        names
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }
}

fn tag() -> String {
    tag_of(&Digest::of(b"image").oci())
}

#[test]
fn a_registry_that_lists_documents() {
    for says_so in [true, false] {
        let fake = start(Ways { lists: true, says_so, page: Some(1), ..Ways::default() }, nobody());
        let sent = fake.attach(&[("a.json", b"one"), ("b.json", b"two")]).unwrap().unwrap();
        assert_eq!(sent, Attached { blobs: (3, 8), left: Vec::new() });
        assert!(!fake.manifests.lock().unwrap().contains_key(&tag()), "no tag is needed");
        fake.asked();
        assert_eq!(fake.attach(&[("a.json", b"one"), ("b.json", b"two")]), Ok(None));
        let asked = fake.asked();
        assert!(asked.len() == 2 && asked.iter().all(|line| line.starts_with("GET ")), "two pages: {asked:?}");
        // Another version: the former is removed, and nothing else.
        assert_eq!(fake.attach(&[("a.json", b"three")]).unwrap().unwrap().blobs, (1, 5));
        assert_eq!(fake.names(), ["a.json", "b.json"]);
        let removed: Vec<String> = fake.asked().into_iter().filter(|line| line.starts_with("DELETE")).collect();
        let former = Digest::of(&document("a.json", b"one").manifest().1).oci();
        assert_eq!(removed, [format!("DELETE /v2/a/b/manifests/{former}")]);
    }
}

#[test]
fn a_registry_that_removes_nothing() {
    let fake = start(Ways { lists: true, says_so: true, keeps: true, page: None }, nobody());
    fake.attach(&[("a.json", b"one")]).unwrap();
    let former = Digest::of(&document("a.json", b"one").manifest().1).oci();
    assert_eq!(fake.attach(&[("a.json", b"two")]).unwrap().unwrap().left, [former]);
    assert_eq!(fake.names(), ["a.json", "a.json"]);
}

/// An entry that only says that it is Rondel's is not removed: it may be the image of somebody else.
#[test]
fn nothing_of_others_is_removed() {
    let mut image: Value = serde_json::from_slice(&document("a.json", b"old").manifest().1).unwrap();
    image["artifactType"] = json!("application/of.others");
    let image = image.to_string().into_bytes();
    let digest = Digest::of(&image);
    let shown = image.clone();
    let (address, asked) = server(Box::new(move |asked, stream| {
        let own = document("a.json", b"new").manifest().1;
        let entry = |bytes: &[u8]| {
            json!({"mediaType": INDEX, "digest": Digest::of(bytes).oci(), "size": bytes.len(),
                "artifactType": "application/spdx+json", "annotations": {DOCUMENT_NAME: "a.json"}})
        };
        let list = json!({"manifests": [entry(&shown), entry(&own)]}).to_string();
        match asked.line.as_str() {
            line if line.starts_with("HEAD") => {
                let found: &[u8] = if line.contains(&Digest::of(b"{}").oci()) { b"{}" } else { b"new" };
                say(stream, "200 OK", "", found);
            }
            line if line.starts_with("PUT") => say(stream, "201 Created", "", b""),
            line if line.contains("/referrers/") => {
                say(stream, "200 OK", &format!("Content-Type: {INDEX}\r\n"), list.as_bytes());
            }
            _ => say(stream, "200 OK", "", &shown),
        }
    }));
    let manifests = Arc::default();
    let fake = Fake { address, asked, manifests };
    let made = registry(&[]);
    let to = made.destination(&reference(&fake.address), Vec::new());
    let scratch = std::env::temp_dir().join(rondel_cas::temporary_name());
    fs::create_dir_all(&scratch).unwrap();
    let path = scratch.join("new");
    fs::write(&path, "new").unwrap();
    let documents = [(document("a.json", b"new"), path.clone())];
    let (attached, _) = watched(|watcher| made.attach(&to, &documents, &scratch, watcher));
    fs::remove_dir_all(&scratch).unwrap();
    assert_eq!(attached.unwrap().left, [""; 0]);
    let asked = fake.asked();
    assert!(asked.iter().any(|line| line.contains(&format!("GET /v2/a/b/manifests/{}", digest.oci()))), "{asked:?}");
    assert!(!asked.iter().any(|line| line.starts_with("DELETE")), "{asked:?}");
}

#[test]
fn a_registry_without_lists() {
    let fake = start(Ways::default(), nobody());
    assert_eq!(fake.attach(&[("a.json", b"one")]).unwrap().unwrap().blobs, (2, 5));
    fake.asked();
    assert_eq!(fake.attach(&[("a.json", b"one")]), Ok(None));
    let asked = fake.asked();
    assert_eq!(asked.len(), 2, "the list and the tag: {asked:?}");
    assert_eq!(fake.attach(&[("b.json", b"two")]).unwrap().unwrap().blobs, (1, 3));
    assert_eq!(fake.names(), ["a.json", "b.json"]);
    fake.attach(&[("a.json", b"three")]).unwrap();
    assert_eq!(fake.names(), ["a.json", "b.json"]);
    assert!(!fake.asked().iter().any(|line| line.starts_with("DELETE")));
}

/// Another one who read the list before it was written, and writes it after that: both documents stay.
#[test]
fn two_that_write_the_list() {
    let count = AtomicUsize::new(0);
    let other = list_with(None, &[document("other.json", b"2")]).unwrap();
    let fake = start(
        Ways::default(),
        Box::new(move |name, manifests| {
            if name == tag() && count.fetch_add(1, Ordering::SeqCst) == 0 {
                manifests.insert(tag(), other.clone());
            }
        }),
    );
    fake.attach(&[("a.json", b"one")]).unwrap();
    assert_eq!(fake.names(), ["a.json", "other.json"]);
    let puts = fake.asked().iter().filter(|line| line.starts_with(&format!("PUT /v2/a/b/manifests/{}", tag()))).count();
    assert_eq!(puts, 2);
    // One who never lets go.
    let empty = list_with(None, &[]).unwrap();
    let fake = start(
        Ways::default(),
        Box::new(move |name, manifests| {
            if name == tag() {
                manifests.insert(tag(), empty.clone());
            }
        }),
    );
    let failed = fake.attach(&[("a.json", b"one")]).unwrap_err();
    assert!(failed.contains("others write its list of documents again and again"), "{failed}");
}

#[test]
fn hostile_lists() {
    let subject = Digest::of(b"image").oci();
    let list = |status: &'static str, headers: &'static str, body: Vec<u8>| {
        let (address, asked) = server(Box::new(move |asked, stream| {
            let headers = headers.replace("HOST", &asked.headers["host"]);
            match asked.line.contains("/referrers/") {
                true => say(stream, status, &format!("{headers}Content-Type: {INDEX}; x=y\r\n"), &body),
                false => say(stream, "404 No", "", b""),
            }
        }));
        let (found, _) = watched(|watcher| registry(&[]).referrers(&reference(&address), &subject, watcher));
        let asked = asked.lock().unwrap().len();
        (found.map(|found| found.len()).map_err(|error| shown(&error, &address)), asked)
    };
    let wrong = |message: &str| Err(format!("HOST sent something else for `a/b@{subject}`: {message}"));
    let none = br#"{"manifests":[]}"#.to_vec();
    for status in ["400 No", "404 No", "405 No", "406 No", "410 No", "501 No"] {
        assert_eq!(list(status, "", Vec::new()), (Ok(0), 2), "{status}");
    }
    let circle = "Link: <?n=1>; rel=next\r\n";
    assert_eq!(list("200 OK", circle, none.clone()).0, wrong("its list of documents has no end"));
    let elsewhere = "Link: <http://127.0.0.2:1/v2/a/b/referrers/x>; rel=\"next\"\r\n";
    assert_eq!(list("200 OK", elsewhere, none.clone()).0, wrong("its list of documents leads to another host"));
    let other_link = "Link: <http://127.0.0.2:1/>; rel=\"prev\", <x>; rel=\"last\"\r\n";
    assert_eq!(list("200 OK", other_link, none).0, Ok(0));
    assert_eq!(list("200 OK", "", b"[".to_vec()).0, wrong("no list of documents: it is no JSON, or ends too early"));
    let large = list("200 OK", "", vec![b' '; 5 << 20]).0.unwrap_err();
    assert!(large.ends_with("the answer has more than 4194304 bytes"), "{large}");
    let refused = list("403 No", "", br#"{"errors":[{"message":"not for you"}]}"#.to_vec()).0.unwrap_err();
    assert_eq!(refused, "HOST does not let anyone read `a/b`: it answered 403: not for you");
    // A page that answers everything is no list, and neither is an image under the tag.
    let (address, _) = server(Box::new(|_, stream| say(stream, "200 OK", "Content-Type: text/html\r\n", b"<html>")));
    let (found, _) = watched(|watcher| registry(&[]).referrers(&reference(&address), &subject, watcher));
    let found = shown(&found.unwrap_err(), &address);
    assert_eq!(found, format!("HOST sent something else for `a/b:{}`: no list of documents, but `text/html`", tag()));
}
