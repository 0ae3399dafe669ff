//! Where a message of HTTP/1.1 ends (RFC 9112, section 6). Reads a head and nothing more.

/// How long a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    /// There is none, or it has this many bytes.
    Length(u64),
    /// It comes in chunks, the last of which is empty.
    Chunked,
    /// It ends with the connection.
    ToTheEnd,
}

/// What counts of a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub body: Body,
    /// True if the connection is of use for another message.
    pub stays: bool,
    /// Status of a response; 0 for a request.
    pub status: u16,
    /// True for a request whose response has no body.
    pub is_head: bool,
    /// True if the client wants to speak something else from then on.
    pub is_upgrade: bool,
}

/// Methods by which a connection is known to speak HTTP/1.
const METHODS: [&[u8]; 9] =
    [b"GET ", b"HEAD ", b"POST ", b"PUT ", b"DELETE ", b"OPTIONS ", b"PATCH ", b"TRACE ", b"CONNECT "];

/// Returns whether a connection that begins with these bytes speaks HTTP/1; `None` if that can't be told yet.
pub(crate) fn is_http(begin: &[u8]) -> Option<bool> {
    if METHODS.iter().any(|method| begin.starts_with(method)) {
        return Some(true);
    }
    if METHODS.iter().any(|method| method.starts_with(begin)) { None } else { Some(false) }
}

/// Returns the length of the head with its empty line, if the bytes hold all of it.
pub(crate) fn head_length(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|window| window == b"\r\n\r\n").map(|place| place + 4)
}

/// Reads the head of a request. `None` if its end can't be told for certain.
pub(crate) fn request(head: &[u8]) -> Option<Head> {
    let text = std::str::from_utf8(head).ok()?;
    let mut lines = text.split("\r\n");
    let mut first = lines.next()?.split(' ');
    let (method, version) = (first.next()?, first.nth(1)?);
    let fields = fields(lines)?;
    if !version.starts_with("HTTP/1.") || method == "CONNECT" {
        return None;
    }
    let body = fields.body()?.unwrap_or(Body::Length(0));
    Some(Head {
        body,
        stays: fields.stays(version),
        status: 0,
        is_head: method == "HEAD",
        is_upgrade: fields.has("upgrade"),
    })
}

/// Reads the head of a response to a request.
pub(crate) fn response(head: &[u8], to: &Head) -> Option<Head> {
    let text = String::from_utf8_lossy(head);
    let mut lines = text.split("\r\n");
    let mut first = lines.next()?.split(' ');
    let (version, status) = (first.next()?, first.next()?.parse::<u16>().ok()?);
    if !version.starts_with("HTTP/1.") {
        return None;
    }
    let fields = fields(lines)?;
    let body = match status {
        100..200 | 204 | 304 => Body::Length(0),
        _ if to.is_head => Body::Length(0),
        _ => fields.body()?.unwrap_or(Body::ToTheEnd),
    };
    let stays = fields.stays(version) && body != Body::ToTheEnd;
    Some(Head { body, stays, status, is_head: false, is_upgrade: false })
}

struct Fields(Vec<(String, String)>);

fn fields<'a>(lines: impl Iterator<Item = &'a str>) -> Option<Fields> {
    let lines = lines.filter(|line| !line.is_empty());
    let field = |line: &str| {
        let (name, value) = line.split_once(':')?;
        Some((name.to_ascii_lowercase(), value.trim().to_ascii_lowercase()))
    };
    lines.map(field).collect::<Option<Vec<_>>>().map(Fields)
}

impl Fields {
    fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    fn has(&self, name: &str) -> bool {
        self.values(name).next().is_some()
    }

    /// Returns the body that the fields tell of; `None` within if they tell of none, without if they are at odds.
    fn body(&self) -> Option<Option<Body>> {
        let codings: Vec<&str> = self.values("transfer-encoding").collect();
        if !codings.is_empty() {
            return (codings == ["chunked"]).then_some(Some(Body::Chunked));
        }
        let mut lengths = self.values("content-length");
        let Some(length) = lengths.next() else { return Some(None) };
        if lengths.any(|other| other != length) {
            return None;
        }
        length.parse().ok().map(|length| Some(Body::Length(length)))
    }

    fn stays(&self, version: &str) -> bool {
        let says = |word: &str| self.values("connection").any(|value| value.split(',').any(|part| part.trim() == word));
        if version == "HTTP/1.0" { says("keep-alive") } else { !says("close") }
    }
}

/// Follows the chunks of a body and tells where it ends.
#[derive(Clone, Debug, Default)]
pub(crate) struct Chunks {
    state: ChunkState,
    line: Vec<u8>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum ChunkState {
    /// In the line with the size of a chunk.
    #[default]
    Size,
    /// In the contents of a chunk and the end of its line: so many bytes are left.
    Data(u64),
    /// In the lines after the last chunk.
    Trailer,
    Done,
}

/// The longest line between chunks.
const LINE_MAX: usize = 16 * 1024;

impl Chunks {
    /// Takes bytes; returns how many of them belong to the body, or `None` if they are no chunks.
    pub fn take(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut at = 0;
        while at < bytes.len() && !self.is_done() {
            if let ChunkState::Data(left) = self.state {
                let count = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len() - at);
                at += count;
                let left = left - count as u64;
                self.state = if left == 0 { ChunkState::Size } else { ChunkState::Data(left) };
                continue;
            }
            self.line.push(bytes[at]);
            at += 1;
            if self.line.ends_with(b"\r\n") {
                self.end_line()?;
            } else if self.line.len() > LINE_MAX {
                return None;
            }
        }
        Some(at)
    }

    fn end_line(&mut self) -> Option<()> {
        let line = std::mem::take(&mut self.line);
        let text = std::str::from_utf8(&line).ok()?.trim_end();
        self.state = match self.state {
            ChunkState::Trailer if text.is_empty() => ChunkState::Done,
            ChunkState::Trailer => ChunkState::Trailer,
            _ => {
                let size = u64::from_str_radix(text.split(';').next()?.trim(), 16).ok()?;
                if size == 0 { ChunkState::Trailer } else { ChunkState::Data(size.checked_add(2)?) }
            }
        };
        Some(())
    }

    /// Returns true after the end of the body.
    pub fn is_done(&self) -> bool {
        self.state == ChunkState::Done
    }
}
