//! Where the head of a message of HTTP/1 ends, and what it says of its body (RFC 9112, sections 2 and 6). Where servers disagree
//! it says nothing, and what follows is passed on as bytes. Does no reading itself.

/// The longest head. Servers take a megabyte at most.
pub(crate) const HEAD_MAX: usize = 1024 * 1024 + 64 * 1024;

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
    /// True for a request that may be carried out twice.
    pub is_idempotent: bool,
    /// True for a request whose body comes only after a word of the service.
    pub expects: bool,
}

/// The longest method.
const METHOD_MAX: usize = 24;

/// Returns whether a connection that begins with these bytes speaks HTTP/1; `None` if that can't be told yet.
pub(crate) fn speaks_http(begin: &[u8]) -> Option<bool> {
    let end = begin.iter().position(|byte| *byte == b'\n');
    let line = &begin[..end.unwrap_or(begin.len())];
    let is_open = end.is_none() && begin.len() <= HEAD_MAX;
    let undecided = if is_open { None } else { Some(false) };
    let method = line.iter().take_while(|byte| byte.is_ascii_uppercase() || **byte == b'-').count();
    if method == line.len() && method <= METHOD_MAX {
        return undecided;
    }
    if method == 0 || method > METHOD_MAX || line[method] != b' ' {
        return Some(false);
    }
    match line.get(method + 1) {
        None => undecided,
        // A path, a whole address, or everything. A line of another protocol may look the same up to its end.
        Some(b'/' | b'h' | b'H' | b'*') if is_open => None,
        Some(b'/' | b'h' | b'H' | b'*') => {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            Some(line.ends_with(b" HTTP/1.1") || line.ends_with(b" HTTP/1.0"))
        }
        Some(_) => Some(false),
    }
}

/// Returns true if these bytes can be the begin of a response of HTTP/1.
pub(crate) fn may_be_response(begin: &[u8]) -> bool {
    let version = b"HTTP/1.";
    let count = begin.len().min(version.len());
    begin[..count] == version[..count]
}

/// Returns the length of the head with its empty line, if the bytes hold all of it and the first `seen` do not: a long one comes
/// in many pieces. It ends where the most lenient reader says so.
pub(crate) fn head_length(bytes: &[u8], seen: usize) -> Option<usize> {
    let begin = seen.saturating_sub(2);
    let ends = bytes[begin..].iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| begin + at + 1);
    ends.filter_map(|at| match bytes.get(at..)? {
        [b'\n', ..] => Some(at + 1),
        [b'\r', b'\n', ..] => Some(at + 2),
        _ => None,
    })
    .next()
}

/// Reads the head of a request. `None` if its end can't be told for certain.
pub(crate) fn request(head: &[u8]) -> Option<Head> {
    let text = String::from_utf8_lossy(head);
    let mut lines = text.split("\r\n");
    let first: Vec<&str> = lines.next()?.split(' ').collect();
    let [method, _, version] = first[..] else { return None };
    let fields = fields(lines)?;
    if !is_version(version) || method == "CONNECT" {
        return None;
    }
    // Servers refuse a request with other codings, or they do not know where it ends.
    let body = match fields.codings().as_slice() {
        [] => Body::Length(fields.length()?.unwrap_or(0)),
        ["chunked"] if version == "HTTP/1.1" => Body::Chunked,
        _ => return None,
    };
    Some(Head {
        body,
        stays: fields.stays(version),
        status: 0,
        is_head: method == "HEAD",
        is_upgrade: fields.has("upgrade"),
        is_idempotent: matches!(method, "GET" | "HEAD" | "PUT" | "DELETE" | "OPTIONS" | "TRACE"),
        expects: fields.has("expect"),
    })
}

/// Reads the head of a response to a request. `None` if its end can't be told for certain.
pub(crate) fn response(head: &[u8], to: &Head) -> Option<Head> {
    let text = String::from_utf8_lossy(head);
    let mut lines = text.split("\r\n");
    let first = lines.next()?;
    let mut words = first.split(' ');
    let (version, status) = (words.next()?, words.next()?);
    if !is_version(version) || status.len() != 3 || first.contains('\n') {
        return None;
    }
    let status = number(status).and_then(|status| u16::try_from(status).ok())?;
    let fields = fields(lines)?;
    let codings = fields.codings();
    let framed = match codings.as_slice() {
        [] => fields.length()?.map_or(Body::ToTheEnd, Body::Length),
        _ if version == "HTTP/1.0" => return None,
        // Whatever the other codings are, the chunks are around them.
        [others @ .., "chunked"] if !others.contains(&"chunked") => Body::Chunked,
        _ => Body::ToTheEnd,
    };
    let body = match status {
        100..200 | 204 | 304 => Body::Length(0),
        _ if to.is_head => Body::Length(0),
        _ => framed,
    };
    let stays = fields.stays(version) && body != Body::ToTheEnd;
    Some(Head { body, stays, status, is_head: false, is_upgrade: false, is_idempotent: false, expects: false })
}

fn is_version(text: &str) -> bool {
    text == "HTTP/1.1" || text == "HTTP/1.0"
}

/// Reads digits only: the reader of numbers takes a sign, too.
fn number(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

struct Fields(Vec<(String, String)>);

/// Reads the lines after the first. `None` if one of them is read in several ways: a continued line, a blank before the colon, a
/// line that does not end as it should.
fn fields<'a>(lines: impl Iterator<Item = &'a str>) -> Option<Fields> {
    let lines = lines.filter(|line| !line.is_empty());
    let field = |line: &str| {
        let (name, value) = line.split_once(':')?;
        let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic());
        let is_line = is_name && !value.contains(['\r', '\n', '\0']);
        is_line.then(|| (name.to_ascii_lowercase(), value.trim_matches([' ', '\t']).to_ascii_lowercase()))
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

    /// Returns the codings of the body, in their order.
    fn codings(&self) -> Vec<&str> {
        self.values("transfer-encoding").flat_map(|value| value.split(',')).map(str::trim).collect()
    }

    /// Returns the length that the fields give: `Some(None)` if they give none, `None` if they contradict each other.
    fn length(&self) -> Option<Option<u64>> {
        let mut lengths = self.values("content-length");
        let Some(length) = lengths.next() else { return Some(None) };
        if lengths.any(|other| other != length) {
            return None;
        }
        number(length).map(Some)
    }

    fn stays(&self, version: &str) -> bool {
        let says = |word: &str| self.values("connection").any(|value| value.split(',').any(|part| part.trim() == word));
        if version == "HTTP/1.0" { says("keep-alive") && !says("close") } else { !says("close") }
    }
}
