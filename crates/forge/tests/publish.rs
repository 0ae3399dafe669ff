//! Releases brought to a forge on this machine that fails in every way that it knows, at every call.

#[path = "../../../tests/forge_server/mod.rs"]
mod forge_server;

use std::fs;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use forge_server::{Dialect, Fault, ForgeServer, REPOSITORY, TOKEN};
use rondel_cas::{Digest, TemporaryDirectory, read_at_most};
use rondel_fetch::{Credentials, Fetcher};
use rondel_forge::{Announcement, Asset, Client, ForgeError, ForgeKind, Patience, Place, Published, Token, Watcher};

const NO_PATIENCE: Patience =
    Patience { attempts: 1, first: Duration::from_millis(1), longest: Duration::from_secs(3) };
const PATIENCE: Patience = Patience { attempts: 4, ..NO_PATIENCE };

/// Returns one for all: reading the system's certificates takes longer than a release.
fn fetcher() -> Arc<Fetcher> {
    static FETCHER: OnceLock<Arc<Fetcher>> = OnceLock::new();
    Arc::clone(FETCHER.get_or_init(|| Arc::new(Fetcher::new(None, Credentials::default()))))
}

/// The files of a release, and what is said of it.
struct Release {
    directory: TemporaryDirectory,
    assets: Vec<Asset>,
    announcement: Announcement,
    patience: Patience,
    said: Mutex<Vec<String>>,
}

impl Release {
    fn new(patience: Patience) -> Release {
        let directory = TemporaryDirectory::new_in(&std::env::temp_dir()).unwrap();
        let announcement = Announcement {
            tag: "v1.2.0".to_owned(),
            name: "1.2.0".to_owned(),
            notes: "- what is new\n".to_owned(),
            commit: Some("0123456789012345678901234567890123456789".to_owned()),
            is_prerelease: false,
            stays_draft: false,
            replaces: false,
        };
        let mut release = Release { directory, assets: Vec::new(), announcement, patience, said: Mutex::default() };
        for (name, size) in [("app_1.2.0_linux_amd64.tar.gz", 30_000), ("app 1.2~rc.deb", 10), ("checksums.txt", 77)] {
            release.add(name, &name.bytes().cycle().take(size).collect::<Vec<u8>>());
        }
        release
    }

    fn add(&mut self, name: &str, bytes: &[u8]) {
        let path = self.directory.path().join(name);
        fs::write(&path, bytes).unwrap();
        self.assets.retain(|asset| asset.name != name);
        self.assets.push(Asset { name: name.to_owned(), path, digest: Digest::of(bytes) });
    }

    fn client(&self, server: &ForgeServer, token: &str) -> Client {
        let kind = match server.state().dialect {
            Dialect::GitHub => ForgeKind::GitHub,
            Dialect::Gitea => ForgeKind::Gitea,
        };
        let place = Place::new(kind, &server.url, REPOSITORY).unwrap();
        Client::new(fetcher(), place, Token::new(token).unwrap(), self.patience, self.directory.path().join("scratch"))
    }

    fn publish_with(&self, server: &ForgeServer, token: &str) -> Result<Published, ForgeError> {
        let say = |text: String| self.said.lock().unwrap().push(text);
        let watcher = Watcher { progress: &|_, _| true, say: &say };
        self.client(server, token).publish(&self.announcement, &self.assets, &watcher)
    }

    fn publish(&self, server: &ForgeServer) -> Result<Published, ForgeError> {
        self.publish_with(server, TOKEN)
    }

    fn lack(&self, server: &ForgeServer) -> Option<String> {
        let watcher = Watcher { progress: &|_, _| true, say: &|_| {} };
        self.client(server, TOKEN).lack(&self.announcement, &self.assets, &watcher).unwrap()
    }

    /// Fails unless the forge has the release once, published, with each asset once.
    fn check(&self, server: &ForgeServer, context: &str) {
        let state = server.state();
        let own: Vec<_> = state.releases.iter().filter(|release| release.told["tag_name"] == "v1.2.0").collect();
        assert_eq!(own.len(), 1, "{context}");
        assert!(!own[0].is_draft(), "{context}");
        assert_eq!(own[0].told["body"], self.announcement.notes, "{context}");
        let mut there: Vec<_> =
            own[0].assets.iter().map(|asset| (&*asset.name, asset.is_whole, Digest::of(&asset.bytes))).collect();
        there.sort();
        let name = |asset: &Asset| match state.dialect {
            Dialect::GitHub => asset.name.replace([' ', '~'], "."),
            Dialect::Gitea => asset.name.clone(),
        };
        let named: Vec<_> = self.assets.iter().map(|asset| (name(asset), true, asset.digest)).collect();
        let mut here: Vec<_> = named.iter().map(|(name, is_whole, digest)| (&**name, *is_whole, *digest)).collect();
        here.sort();
        assert_eq!(there, here, "{context}");
        for (name, count) in &state.stored {
            assert_eq!(*count, 1, "{context}: `{name}` was stored {count} times");
        }
    }
}

/// Releases that are there before: enough for several pages.
fn start(dialect: Dialect) -> ForgeServer {
    let server = ForgeServer::start(dialect);
    for number in 0..5 {
        server.add(&format!("v0.{number}"), number % 2 == 0, &[]);
    }
    server
}

#[test]
fn a_release_is_public_when_it_is_whole_and_a_second_run_sends_nothing() {
    for dialect in [Dialect::GitHub, Dialect::Gitea] {
        let (server, release) = (start(dialect), Release::new(NO_PATIENCE));
        assert_eq!(release.lack(&server).unwrap(), format!("{} has no release v1.2.0", &server.url[7..]));
        let published = release.publish(&server).unwrap();
        assert_eq!(published.to_string(), "assets: 3 sent; 30087 bytes sent; published");
        release.check(&server, "at once");
        assert_eq!(release.lack(&server), None);
        let (calls, sent) = (server.state().calls.clone(), |calls: &[(String, usize, _)]| {
            calls.iter().map(|(_, bytes, _)| bytes).sum::<usize>()
        });
        // Nobody sees it before the last call.
        assert!(calls.iter().any(|(line, ..)| line.starts_with("PATCH")));
        let again = release.publish(&server).unwrap();
        assert_eq!(again.to_string(), "assets: 3 there; 0 bytes sent; published");
        assert!(!again.is_changed);
        let later = server.state().calls[calls.len()..].to_vec();
        assert_eq!(sent(&later), 0, "{later:?}");
        assert!(later.iter().all(|(line, ..)| line.starts_with("GET")), "{later:?}");
    }
}

/// Returns a number of calls that publish a release on a server that never fails.
fn calls_of(dialect: Dialect) -> usize {
    let server = start(dialect);
    Release::new(NO_PATIENCE).publish(&server).unwrap();
    server.state().calls.len()
}

const FAULTS: &[Fault] = &[
    Fault::DropBefore,
    Fault::DropAfter,
    Fault::Half,
    Fault::Lost,
    Fault::Answer("500 Internal Server Error", "", "{}"),
    Fault::Answer("503 Busy", "Retry-After: 0\r\n", ""),
];

#[test]
fn cut_off_at_every_call_and_run_again() {
    for dialect in [Dialect::GitHub, Dialect::Gitea] {
        let calls = calls_of(dialect);
        assert!(calls >= 8, "{calls}");
        for call in 0..calls {
            for fault in FAULTS {
                let (server, release) = (start(dialect), Release::new(NO_PATIENCE));
                server.state().faults.insert(call, *fault);
                let first = release.publish(&server);
                let context = format!("{dialect:?}, call {call}, {fault:?}");
                assert!(first.is_err(), "{context}: a fault is an end without patience");
                let before = server.state().releases.iter().find(|one| one.told["tag_name"] == "v1.2.0").cloned();
                let is_public = before.is_some_and(|release| !release.is_draft());
                assert!(!is_public || server.state().stored.len() == 3, "{context}: it was public too early");
                release.publish(&server).unwrap_or_else(|error| panic!("{context}: {error}"));
                release.check(&server, &context);
            }
        }
    }
}

#[test]
fn a_patient_run_mends_a_fault_at_every_call() {
    for dialect in [Dialect::GitHub, Dialect::Gitea] {
        for call in 0..calls_of(dialect) {
            for fault in FAULTS {
                let (server, release) = (start(dialect), Release::new(PATIENCE));
                server.state().faults.insert(call, *fault);
                let context = format!("{dialect:?}, call {call}, {fault:?}");
                let published = release.publish(&server).unwrap_or_else(|error| panic!("{context}: {error}"));
                assert_eq!((published.sent.len(), published.kept), (3, 0), "{context}");
                release.check(&server, &context);
            }
        }
    }
}

#[test]
fn two_faults_one_after_the_other() {
    let calls = calls_of(Dialect::GitHub);
    for call in 0..calls {
        for (first, second) in [(Fault::Half, Fault::DropAfter), (Fault::DropAfter, Fault::Lost)] {
            let (server, release) = (start(Dialect::GitHub), Release::new(PATIENCE));
            server.state().faults.extend([(call, first), (call + 1, second)]);
            let context = format!("calls {call} and {}, {first:?}, {second:?}", call + 1);
            release.publish(&server).unwrap_or_else(|error| panic!("{context}: {error}"));
            release.check(&server, &context);
        }
    }
}

#[test]
fn who_may_not_write_is_told_what_a_token_needs() {
    let (server, release) = (start(Dialect::GitHub), Release::new(PATIENCE));
    let host = server.url[7..].to_owned();
    let error = release.publish_with(&server, "another-word").unwrap_err();
    assert_eq!(error.to_string(), format!("{host} answered 401 for `me/app`: Bad credentials"));
    assert_eq!(error.hint().unwrap(), "the token is wrong or has run out: make a new one");
    assert_eq!(server.state().calls.len(), 1, "it is not asked again");

    let answer = Fault::Answer(
        "403 Forbidden",
        "X-Accepted-GitHub-Permissions: contents=write\r\n",
        "{\"message\":\"no loopback-token-5e1f\"}",
    );
    server.state().faults.insert(1, answer);
    let error = release.publish(&server).unwrap_err();
    assert_eq!(error.to_string(), format!("{host} answered 403 for `me/app`: no ***"));
    assert_eq!(error.hint().unwrap(), "the token needs `contents=write` for me/app");
}

#[test]
fn a_limit_is_waited_for_if_it_is_short() {
    let limited = "{\"message\":\"API rate limit exceeded\"}";
    let (server, release) = (start(Dialect::GitHub), Release::new(NO_PATIENCE));
    let host = server.url[7..].to_owned();
    // At a question, at the draft, and at an upload.
    for call in [0, 5, 8] {
        server.state().faults.insert(call, Fault::Answer("403 Forbidden", "Retry-After: 1\r\n", limited));
    }
    release.publish(&server).unwrap();
    release.check(&server, "limits");
    let said = release.said.lock().unwrap().clone();
    assert_eq!(said, vec![format!("{host} limits how often it is asked: waiting 1 s"); 3]);

    let server = start(Dialect::GitHub);
    server.state().faults.insert(0, Fault::Answer("429 Too Many", "Retry-After: 3000\r\n", limited));
    let error = release.publish(&server).unwrap_err();
    assert_eq!(error.to_string(), format!("{} limits how often it is asked, for another 3000 s", &server.url[7..]));
    assert_eq!(server.state().calls.len(), 1);
}

#[test]
fn a_repository_that_is_not_there() {
    let (server, mut release) = (start(Dialect::GitHub), Release::new(PATIENCE));
    let place = Place::new(ForgeKind::GitHub, &server.url, "me/other").unwrap();
    let scratch = release.directory.path().join("scratch");
    let client = Client::new(fetcher(), place, Token::new(TOKEN).unwrap(), PATIENCE, scratch);
    let watcher = Watcher { progress: &|_, _| true, say: &|_| {} };
    let error = client.publish(&release.announcement, &release.assets, &watcher).unwrap_err();
    assert_eq!(error.to_string(), format!("{} has no `me/other` for this token", &server.url[7..]));

    // Nor is a tag that the forge does not take.
    release.announcement.tag = "v1.2.0".to_owned();
    let refusal =
        "{\"message\":\"Validation Failed\",\"errors\":[{\"code\":\"invalid\",\"field\":\"target_commitish\"}]}";
    for call in 0..60 {
        server.state().faults.insert(call, Fault::Answer("422 Unprocessable", "", refusal));
    }
    let error = release.publish(&server).unwrap_err().to_string();
    assert!(error.ends_with("(422: Validation Failed, target_commitish invalid)"), "{error}");
}

#[test]
fn other_bytes_are_refused_with_both_digests() {
    for dialect in [Dialect::GitHub, Dialect::Gitea] {
        let (server, mut release) = (start(dialect), Release::new(PATIENCE));
        server.add("v1.2.0", true, &[("checksums.txt", b"other", true), ("notes.md", b"x", true)]);
        let error = release.publish(&server).unwrap_err().to_string();
        let here = release.assets.iter().find(|asset| asset.name == "checksums.txt").unwrap().digest.oci();
        let there = Digest::of(b"other").oci();
        let host = &server.url[7..];
        let message = format!("the release v1.2.0 at {host} has another `checksums.txt`: {there} there, {here} here");
        assert_eq!(error, message);
        assert!(server.state().stored.is_empty(), "nothing is sent before");

        release.announcement.replaces = true;
        let published = release.publish(&server).unwrap();
        assert_eq!(published.to_string(), "assets: 3 sent, 1 removed; 30087 bytes sent; published");
        assert_eq!(published.others, ["notes.md"]);

        // What is published is never changed.
        release.add("checksums.txt", b"once more");
        let error = release.publish(&server).unwrap_err();
        assert!(matches!(error, ForgeError::Differs { is_published: true, .. }), "{error}");
        assert_eq!(server.state().stored["checksums.txt"], 1);
    }
}

#[test]
fn the_same_size_is_not_the_same_file() {
    for (dialect, tells) in [(Dialect::GitHub, true), (Dialect::GitHub, false), (Dialect::Gitea, false)] {
        let (server, release) = (start(dialect), Release::new(PATIENCE));
        server.state().tells_digests = tells;
        server.add("v1.2.0", true, &[("checksums.txt", &[b'x'; 77], true)]);
        assert!(release.lack(&server).is_some());
        let error = release.publish(&server).unwrap_err();
        assert!(matches!(error, ForgeError::Differs { is_published: false, .. }), "{error}");
        // A forge that tells none is asked for the bytes.
        let was_got = server.state().calls.iter().any(|(line, ..)| {
            line.contains("GET") && line.contains("/attachments/") || line.contains("releases/assets/")
        });
        assert_eq!(was_got, !tells, "{dialect:?}");
    }
}

#[test]
fn a_half_asset_of_an_earlier_run_goes_also_from_a_published_release() {
    for is_draft in [true, false] {
        let (server, mut release) = (start(Dialect::GitHub), Release::new(PATIENCE));
        if !is_draft {
            release.announcement.notes = String::new();
        }
        server.add("v1.2.0", is_draft, &[("checksums.txt", b"ch", false)]);
        let published = release.publish(&server).unwrap();
        assert_eq!((published.sent.len(), published.removed), (3, 1));
        release.check(&server, "half");
    }
}

#[test]
fn a_second_draft_of_somebody_is_named() {
    let (server, release) = (start(Dialect::GitHub), Release::new(PATIENCE));
    server.add("v1.2.0", true, &[]);
    server.add("v1.2.0", true, &[]);
    let error = release.publish(&server).unwrap_err().to_string();
    assert!(error.ends_with("it has 2 drafts of v1.2.0: remove all but one"), "{error}");
}

#[test]
fn a_draft_that_stays_one() {
    let (server, mut release) = (start(Dialect::GitHub), Release::new(PATIENCE));
    release.announcement.stays_draft = true;
    let published = release.publish(&server).unwrap();
    assert_eq!(published.to_string(), "assets: 3 sent; 30087 bytes sent; a draft");
    assert_eq!(release.lack(&server), None);
    let calls = server.state().calls.len();
    assert!(!release.publish(&server).unwrap().is_changed);
    assert!(server.state().calls[calls..].iter().all(|(line, ..)| line.starts_with("GET")));
    // Somebody wrote other notes into build.ron meanwhile.
    release.announcement.notes = "- more\n".to_owned();
    assert!(release.publish(&server).unwrap().is_changed);
    release.announcement.stays_draft = false;
    assert_eq!(release.lack(&server).unwrap(), format!("v1.2.0 is a draft at {}", &server.url[7..]));
    release.publish(&server).unwrap();
    release.check(&server, "published at last");
}

#[test]
fn no_other_host_gets_the_token() {
    let (server, release) = (start(Dialect::GitHub), Release::new(PATIENCE));
    let other = ForgeServer::start(Dialect::Gitea);
    // Downloads lead to another host, as GitHub's do.
    server.state().tells_digests = false;
    let bytes = read_at_most(&release.assets[2].path, 100).unwrap();
    server.add("v1.2.0", true, &[("checksums.txt", &bytes, true)]);
    let id = server.state().releases.last().unwrap().assets[0].id;
    other.add("x", false, &[]);
    other.state().releases[0].assets.push(server.state().releases.last().unwrap().assets[0].clone());
    server.state().downloads_at = Some(other.url.clone());
    let published = release.publish(&server).unwrap();
    assert_eq!((published.sent.len(), published.kept), (2, 1));
    let calls = other.state().calls.clone();
    assert_eq!(calls, [(format!("GET /attachments/{id}"), 0, None)]);

    // Uploads that lead there are refused.
    let server = start(Dialect::GitHub);
    server.state().uploads_at = Some(other.url.clone());
    let error = release.publish(&server).unwrap_err().to_string();
    assert_eq!(error, format!("{} wants assets sent to `{}`, which gets no token", &server.url[7..], other.url));
    assert_eq!(other.state().calls.len(), 1);

    // Gitea tells where the bytes are.
    let gitea = start(Dialect::Gitea);
    gitea.add("v1.2.0", true, &[("checksums.txt", &bytes, true)]);
    gitea.state().releases.last_mut().unwrap().assets[0].id = id;
    gitea.state().downloads_at = Some(other.url.clone());
    release.publish(&gitea).unwrap();
    assert_eq!(other.state().calls.last().unwrap(), &(format!("GET /attachments/{id}"), 0, None));

    // So is a repository that has moved.
    let moved: &'static str = Box::leak(format!("Location: {}/repos/me/app/releases\r\n", other.url).into_boxed_str());
    let server = start(Dialect::GitHub);
    server.state().faults.insert(0, Fault::Answer("301 Moved", moved, ""));
    let error = release.publish(&server).unwrap_err().to_string();
    assert!(error.contains("`me/app`, which has another name now: write that one (301"), "{error}");
    assert!(other.state().calls.iter().all(|(_, _, authorization)| authorization.is_none()));
}

#[test]
fn a_run_that_is_asked_to_stop_asks_nobody() {
    let (server, release) = (start(Dialect::GitHub), Release::new(PATIENCE));
    let watcher = Watcher { progress: &|_, _| false, say: &|_| {} };
    let outcome = release.client(&server, TOKEN).publish(&release.announcement, &release.assets, &watcher);
    assert!(matches!(outcome, Err(ForgeError::Interrupted)));
    assert!(server.state().calls.is_empty());
}
