//! A small HTTP server on loopback that serves files and misbehaves as told: breaks off, changes its mind,
//! asks for a password.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// How the server behaves; changed between requests.
#[derive(Clone, Default)]
pub struct Manners {
    /// Closes the connection after so many bytes of a body, this many times.
    pub breaks_off: Option<(u64, u32)>,
    /// Answers 503 to everything.
    pub is_down: bool,
    /// Goes down once it has broken off the last time.
    pub then_down: bool,
    /// `ETag`
    pub tag: String,
    /// Ignores `If-Range` and sends the rest of whatever it has.
    pub lies: bool,
    /// `Authorization` that is wanted.
    pub wants: Option<String>,
}

/// A running server; it ends with the test's process.
pub struct Server {
    pub url: String,
    state: Arc<Mutex<State>>,
}

struct State {
    files: BTreeMap<String, PathBuf>,
    manners: Manners,
    requests: Vec<String>,
}

impl Server {
    /// Serves `files`: path of the URL to path of the file.
    pub fn start(files: &[(&str, &Path)]) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://127.0.0.1:{}", listener.local_addr().unwrap().port());
        let files = files.iter().map(|(name, path)| ((*name).to_owned(), (*path).to_owned())).collect();
        let manners = Manners { tag: "\"one\"".to_owned(), ..Manners::default() };
        let state = Arc::new(Mutex::new(State { files, manners, requests: Vec::new() }));
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = Arc::clone(&shared);
                std::thread::spawn(move || {
                    let _ = answer(stream, &state);
                });
            }
        });
        Server { url, state }
    }

    pub fn behave(&self, change: impl FnOnce(&mut Manners)) {
        change(&mut self.state.lock().unwrap().manners);
    }

    pub fn serve(&self, name: &str, path: &Path) {
        self.state.lock().unwrap().files.insert(name.to_owned(), path.to_owned());
    }

    /// One line a request: path, and the range that was asked for.
    pub fn requests(&self) -> Vec<String> {
        self.state.lock().unwrap().requests.clone()
    }
}

fn answer(stream: TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut first = String::new();
    reader.read_line(&mut first)?;
    let path = first.split(' ').nth(1).unwrap_or("/").to_owned();
    let mut headers: BTreeMap<String, String> = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.insert(name.to_lowercase(), value.to_owned());
    }
    let range = headers.get("range").map(|text| text.replace("bytes=", "").replace('-', ""));
    let (file, manners) = {
        let mut state = state.lock().unwrap();
        state.requests.push(format!("{path} {}", range.clone().unwrap_or_default()).trim_end().to_owned());
        let manners = state.manners.clone();
        if let Some((_, times)) = &mut state.manners.breaks_off {
            *times -= 1;
            if *times == 0 {
                state.manners.breaks_off = None;
                state.manners.is_down = manners.then_down;
            }
        }
        (state.files.get(&path).cloned(), manners)
    };
    let mut stream = stream;
    if manners.is_down {
        return write!(stream, "HTTP/1.1 503 no\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    }
    if manners.wants.is_some() && headers.get("authorization") != manners.wants.as_ref() {
        return write!(stream, "HTTP/1.1 401 no\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    }
    let Some(file) = file else {
        return write!(stream, "HTTP/1.1 404 no\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    };
    let bytes = std::fs::read(file)?;
    let same = manners.lies || headers.get("if-range") == Some(&manners.tag);
    let begin = range.and_then(|text| text.parse::<usize>().ok()).filter(|_| same).unwrap_or(0);
    let status = if begin > 0 { "206 part" } else { "200 whole" };
    write!(stream, "HTTP/1.1 {status}\r\nETag: {}\r\nConnection: close\r\n", manners.tag)?;
    if begin > 0 {
        write!(stream, "Content-Range: bytes {begin}-{}/{}\r\n", bytes.len() - 1, bytes.len())?;
    }
    write!(stream, "Content-Length: {}\r\n\r\n", bytes.len() - begin)?;
    let end = manners.breaks_off.map_or(bytes.len(), |(count, _)| (begin + count as usize).min(bytes.len()));
    stream.write_all(&bytes[begin..end])
}
