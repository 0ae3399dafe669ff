//! A forge on this machine that behaves like GitHub's release interface, or Gitea's, with faults at chosen calls. Its
//! state is in memory. It is shared by the tests of `rondel-forge` and the end-to-end tests.
#![allow(dead_code, reason = "each test uses a part of it")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};

use rondel_cas::Digest;
use serde_json::{Value, json};

/// The token that opens it.
pub const TOKEN: &str = "loopback-token-5e1f";
/// The repository that it has.
pub const REPOSITORY: &str = "me/app";

/// Which forge it is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// GitHub.
    GitHub,
    /// Gitea and Forgejo.
    Gitea,
}

/// What goes wrong at a call.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// The connection ends, and nothing was done.
    DropBefore,
    /// It is done, and the connection ends without an answer.
    DropAfter,
    /// Half of what is sent comes; GitHub has half an asset then.
    Half,
    /// All is sent and nothing of it is kept but the name, with the answer 502.
    Lost,
    /// Status, headers (with their line ends) and body, and nothing is done.
    Answer(&'static str, &'static str, &'static str),
}

/// A file of a release.
#[derive(Clone, Debug)]
pub struct StoredAsset {
    /// Its number.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// What came of it.
    pub bytes: Vec<u8>,
    /// True if all of it came.
    pub is_whole: bool,
}

/// A release.
#[derive(Clone, Debug)]
pub struct StoredRelease {
    /// Its number.
    pub id: u64,
    /// What was said of it at last.
    pub told: Value,
    /// Its files.
    pub assets: Vec<StoredAsset>,
}

impl StoredRelease {
    /// Returns true if nobody sees it.
    pub fn is_draft(&self) -> bool {
        self.told["draft"] == true
    }
}

/// Everything that it knows.
pub struct State {
    /// Which forge it is like.
    pub dialect: Dialect,
    /// True if it tells digests of assets, as GitHub does since 2025.
    pub tells_digests: bool,
    /// Number of entries on a page.
    pub page: usize,
    /// All releases.
    pub releases: Vec<StoredRelease>,
    /// Each call: method and path, the number of bytes that came, and the `Authorization`.
    pub calls: Vec<(String, usize, Option<String>)>,
    /// Faults by the number of a call.
    pub faults: BTreeMap<usize, Fault>,
    /// How often each name was stored as a whole.
    pub stored: BTreeMap<String, usize>,
    /// Where downloads are led or told to be, `http://127.0.0.1:1`.
    pub downloads_at: Option<String>,
    /// Where GitHub wants uploads.
    pub uploads_at: Option<String>,
    own: String,
    last_id: u64,
}

/// A running forge.
pub struct ForgeServer {
    /// `http://127.0.0.1:1234`, as it is declared.
    pub url: String,
    state: Arc<Mutex<State>>,
}

impl ForgeServer {
    /// Starts one; it ends with the process.
    pub fn start(dialect: Dialect) -> ForgeServer {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        let state = Arc::new(Mutex::new(State {
            dialect,
            tells_digests: dialect == Dialect::GitHub,
            page: 2,
            releases: Vec::new(),
            calls: Vec::new(),
            faults: BTreeMap::new(),
            stored: BTreeMap::new(),
            downloads_at: None,
            uploads_at: None,
            own: url.clone(),
            last_id: 0,
        }));
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let _ = serve(stream, &mut shared.lock().expect("no panic while locked"));
            }
        });
        ForgeServer { url, state }
    }

    /// Returns what it knows; it answers nobody meanwhile.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic while locked")
    }

    /// Adds a release with assets, as if somebody had made it.
    pub fn add(&self, tag: &str, is_draft: bool, assets: &[(&str, &[u8], bool)]) {
        let mut state = self.state();
        let told = json!({"tag_name": tag, "name": tag, "body": "", "draft": is_draft, "prerelease": false});
        let id = state.next_id();
        let mut release = StoredRelease { id, told, assets: Vec::new() };
        for (name, bytes, is_whole) in assets {
            let (id, name, bytes) = (state.next_id(), (*name).to_owned(), bytes.to_vec());
            release.assets.push(StoredAsset { id, name, bytes, is_whole: *is_whole });
        }
        state.releases.push(release);
    }
}

/// A request that came.
struct Asked {
    method: String,
    path: String,
    query: BTreeMap<String, String>,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

/// Status, headers and body of an answer.
type Reply = (&'static str, String, Vec<u8>);

fn serve(mut stream: TcpStream, state: &mut State) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?);
    let (first, headers) = head(&mut lines)?;
    let mut words = first.split_whitespace();
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let query = query.split('&').filter_map(|pair| pair.split_once('='));
    let query = query.map(|(name, value)| (name.to_owned(), unescaped(value))).collect();
    let length = headers.get("content-length").and_then(|length| length.parse::<usize>().ok());
    let authorization = headers.get("authorization").cloned();
    let number = state.calls.len();
    state.calls.push((format!("{method} {path}"), length.unwrap_or(0), authorization));
    let fault = state.faults.get(&number).copied();
    let mut asked = Asked { method: method.to_owned(), path: path.to_owned(), query, headers, body: Vec::new() };
    if let Some(Fault::DropBefore) = fault {
        return Ok(());
    }
    let read = if matches!(fault, Some(Fault::Half)) { length.unwrap_or(0) / 2 } else { length.unwrap_or(0) };
    asked.body.resize(read, 0);
    lines.read_exact(&mut asked.body)?;
    let mut say = |(status, headers, body): Reply| {
        let length = body.len();
        let head = format!("HTTP/1.1 {status}\r\nConnection: close\r\n{headers}Content-Length: {length}\r\n\r\n");
        stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body))
    };
    match fault {
        Some(Fault::Half) => {
            state.keep_part(&asked);
            Ok(())
        }
        Some(Fault::Lost) => {
            asked.body.clear();
            state.keep_part(&asked);
            say(("502 Bad Gateway", String::new(), b"<html>".to_vec()))
        }
        Some(Fault::Answer(status, headers, body)) => say((status, headers.to_owned(), body.as_bytes().to_vec())),
        Some(Fault::DropAfter) => {
            state.answer(&asked);
            Ok(())
        }
        Some(Fault::DropBefore) | None => {
            let reply = state.answer(&asked);
            say(reply)
        }
    }
}

fn head(lines: &mut impl BufRead) -> std::io::Result<(String, BTreeMap<String, String>)> {
    let mut first = String::new();
    lines.read_line(&mut first)?;
    let (mut headers, mut next) = (BTreeMap::new(), String::new());
    while lines.read_line(&mut next)? > 2 {
        if let Some((name, value)) = next.split_once(':') {
            headers.insert(name.to_lowercase(), value.trim().to_owned());
        }
        next.clear();
    }
    Ok((first, headers))
}

fn unescaped(text: &str) -> String {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((&first, tail)) = rest.split_first() {
        let digits = (first == b'%').then(|| std::str::from_utf8(tail.get(..2)?).ok()).flatten();
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => (bytes.push(byte), rest = &tail[2..]).1,
            None => (bytes.push(first), rest = tail).1,
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn reply(status: &'static str, body: &Value) -> Reply {
    (status, "Content-Type: application/json\r\n".to_owned(), body.to_string().into_bytes())
}

fn missing() -> Reply {
    reply("404 Not Found", &json!({"message": "Not Found"}))
}

fn exists(field: &str) -> Reply {
    let errors = json!([{"resource": "Release", "code": "already_exists", "field": field}]);
    reply("422 Unprocessable Entity", &json!({"message": "Validation Failed", "errors": errors}))
}

impl State {
    fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    fn answer(&mut self, asked: &Asked) -> Reply {
        let word = if self.dialect == Dialect::GitHub { "Bearer" } else { "token" };
        if self.dialect == Dialect::Gitea && asked.path.starts_with("/attachments/") {
            return self.download(asked.path.rsplit('/').next().unwrap_or_default());
        }
        if asked.headers.get("authorization") != Some(&format!("{word} {TOKEN}")) {
            return reply("401 Unauthorized", &json!({"message": "Bad credentials"}));
        }
        let base = if self.dialect == Dialect::GitHub { "" } else { "/api/v1" };
        let path = asked.path.strip_prefix(base).unwrap_or_default();
        let path = path.strip_prefix("/uploads").unwrap_or(path);
        let Some(path) = path.strip_prefix(&format!("/repos/{REPOSITORY}/releases")) else { return missing() };
        let parts: Vec<&str> = path.split('/').skip(1).collect();
        match (asked.method.as_str(), parts.as_slice()) {
            ("GET", []) => self.list(asked, self.releases.iter().map(|release| self.shown(release)).collect()),
            ("POST", []) => self.create(asked),
            ("GET", ["tags", tag]) => {
                let tag = unescaped(tag);
                let is_shown = |release: &&StoredRelease| {
                    release.told["tag_name"] == tag.as_str() && (self.dialect == Dialect::Gitea || !release.is_draft())
                };
                let found = self.releases.iter().find(is_shown);
                found.map_or_else(missing, |release| reply("200 OK", &self.shown(release)))
            }
            ("DELETE", ["assets", asset]) if self.dialect == Dialect::GitHub => self.delete(asset),
            ("DELETE", [_, "assets", asset]) if self.dialect == Dialect::Gitea => self.delete(asset),
            ("GET", ["assets", asset]) if self.dialect == Dialect::GitHub => self.download(asset),
            ("PATCH", [release]) => self.update(release, asked),
            ("GET", [release, "assets"]) => {
                let found = self.releases.iter().find(|one| one.id.to_string() == **release);
                let Some(found) = found else { return missing() };
                let assets: Vec<Value> = found.assets.iter().map(|asset| self.shown_asset(asset)).collect();
                if self.dialect == Dialect::Gitea { reply("200 OK", &assets.into()) } else { self.list(asked, assets) }
            }
            ("POST", [release, "assets"]) => self.store(release, asked),
            _ => missing(),
        }
    }

    fn list(&self, asked: &Asked, all: Vec<Value>) -> Reply {
        let number: usize = asked.query.get("page").and_then(|page| page.parse().ok()).unwrap_or(1);
        let page: Vec<Value> = all.iter().skip((number - 1) * self.page).take(self.page).cloned().collect();
        let (status, mut headers, body) = reply("200 OK", &page.into());
        if all.len() > number * self.page {
            headers.push_str(&format!("Link: <{}{}?page={}>; rel=\"next\"\r\n", self.own, asked.path, number + 1));
        }
        (status, headers, body)
    }

    fn shown(&self, release: &StoredRelease) -> Value {
        let mut shown = release.told.clone();
        shown["id"] = release.id.into();
        shown["html_url"] = format!("{}/{REPOSITORY}/releases/{}", self.own, release.id).into();
        if self.dialect == Dialect::GitHub {
            let at = self.uploads_at.as_ref().unwrap_or(&self.own);
            let url = format!("{at}/uploads/repos/{REPOSITORY}/releases/{}/assets{{?name,label}}", release.id);
            shown["upload_url"] = url.into();
        }
        shown
    }

    fn shown_asset(&self, asset: &StoredAsset) -> Value {
        let mut shown = json!({"id": asset.id, "name": asset.name, "size": asset.bytes.len()});
        let at = self.downloads_at.as_ref().unwrap_or(&self.own);
        shown["browser_download_url"] = format!("{at}/attachments/{}", asset.id).into();
        if self.dialect == Dialect::GitHub {
            shown["state"] = if asset.is_whole { "uploaded" } else { "starter" }.into();
            let digest = (asset.is_whole && self.tells_digests).then(|| Digest::of(&asset.bytes).oci());
            shown["digest"] = digest.into();
        }
        shown
    }

    fn create(&mut self, asked: &Asked) -> Reply {
        let Ok(told) = serde_json::from_slice::<Value>(&asked.body) else { return exists("body") };
        let mut same = self.releases.iter().filter(|release| release.told["tag_name"] == told["tag_name"]);
        match self.dialect {
            // Any number of drafts may have one tag.
            Dialect::GitHub if same.any(|release| !release.is_draft()) => return exists("tag_name"),
            Dialect::Gitea if same.next().is_some() => {
                return reply("409 Conflict", &json!({"message": "Release is has no Tag"}));
            }
            Dialect::GitHub | Dialect::Gitea => {}
        }
        let release = StoredRelease { id: self.next_id(), told, assets: Vec::new() };
        let reply = reply("201 Created", &self.shown(&release));
        self.releases.push(release);
        reply
    }

    fn update(&mut self, id: &str, asked: &Asked) -> Reply {
        let Ok(Value::Object(changes)) = serde_json::from_slice(&asked.body) else { return exists("body") };
        let Some(release) = self.releases.iter_mut().find(|release| release.id.to_string() == id) else {
            return missing();
        };
        for (name, value) in changes {
            release.told[name] = value;
        }
        let release = release.clone();
        reply("200 OK", &self.shown(&release))
    }

    fn delete(&mut self, id: &str) -> Reply {
        for release in &mut self.releases {
            let before = release.assets.len();
            release.assets.retain(|asset| asset.id.to_string() != id);
            if release.assets.len() < before {
                return ("204 No Content", String::new(), Vec::new());
            }
        }
        missing()
    }

    fn download(&self, id: &str) -> Reply {
        let mut assets = self.releases.iter().flat_map(|release| &release.assets);
        match (assets.find(|asset| asset.id.to_string() == id), &self.downloads_at) {
            (None, _) => missing(),
            (Some(_), Some(at)) => ("302 Found", format!("Location: {at}/attachments/{id}\r\n"), Vec::new()),
            (Some(asset), None) => ("200 OK", String::new(), asset.bytes.clone()),
        }
    }

    fn store(&mut self, id: &str, asked: &Asked) -> Reply {
        let dialect = self.dialect;
        let name = named(asked, dialect);
        let next = self.next_id();
        let Some(release) = self.releases.iter_mut().find(|release| release.id.to_string() == id) else {
            return missing();
        };
        if !asked.headers.contains_key("content-length") || asked.body.is_empty() {
            return reply("400 Bad Request", &json!({"message": "Bad Content-Length"}));
        }
        if dialect == Dialect::GitHub && release.assets.iter().any(|asset| asset.name == name) {
            return exists("name");
        }
        let asset = StoredAsset { id: next, name: name.clone(), bytes: asked.body.clone(), is_whole: true };
        release.assets.push(asset.clone());
        *self.stored.entry(name).or_default() += 1;
        reply("201 Created", &self.shown_asset(&asset))
    }

    /// Keeps what came of an upload, as GitHub does; Gitea keeps nothing.
    fn keep_part(&mut self, asked: &Asked) {
        let next = self.next_id();
        let id = asked.path.rsplit('/').nth(1).unwrap_or_default();
        let found = self.releases.iter_mut().find(|release| release.id.to_string() == id);
        let is_upload = asked.method == "POST" && asked.path.ends_with("/assets");
        if let Some(release) = found.filter(|_| is_upload && self.dialect == Dialect::GitHub) {
            let (name, bytes) = (named(asked, Dialect::GitHub), asked.body.clone());
            if release.assets.iter().all(|asset| asset.name != name) {
                release.assets.push(StoredAsset { id: next, name, bytes, is_whole: false });
            }
        }
    }
}

/// GitHub has a dot for characters that it does not like.
fn named(asked: &Asked, dialect: Dialect) -> String {
    let name = asked.query.get("name").cloned().unwrap_or_default();
    let is_kept = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '+' | '@');
    match dialect {
        Dialect::GitHub => name.chars().map(|c| if is_kept(c) { c } else { '.' }).collect(),
        Dialect::Gitea => name,
    }
}
