//! `Meter`: where a body ends that comes in pieces. Knows lengths and chunks (RFC 9112, section 7.1), and not what is in them.

use super::framing::Body;

/// Follows a body and tells where it ends.
#[derive(Clone, Debug)]
pub(crate) enum Meter {
    /// So many bytes are left.
    Length(u64),
    Chunked(Chunks),
    /// Everything belongs to it.
    ToTheEnd,
}

impl Meter {
    pub fn new(body: Body) -> Meter {
        match body {
            Body::Length(length) => Meter::Length(length),
            Body::Chunked => Meter::Chunked(Chunks::default()),
            Body::ToTheEnd => Meter::ToTheEnd,
        }
    }

    /// Takes bytes; returns how many of them belong to the body. What should be chunks and is none has no end but that of
    /// the connection, from these bytes on.
    pub fn take(&mut self, bytes: &[u8]) -> usize {
        let taken = match self {
            Meter::Length(left) => {
                let count = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                *left -= count as u64;
                Some(count)
            }
            Meter::Chunked(chunks) => chunks.take(bytes),
            Meter::ToTheEnd => Some(bytes.len()),
        };
        taken.unwrap_or_else(|| {
            *self = Meter::ToTheEnd;
            bytes.len()
        })
    }

    /// Returns true after the end of the body.
    pub fn is_done(&self) -> bool {
        match self {
            Meter::Length(left) => *left == 0,
            Meter::Chunked(chunks) => chunks.is_done(),
            Meter::ToTheEnd => false,
        }
    }

    /// Returns true if only the end of the connection ends it.
    pub fn is_endless(&self) -> bool {
        matches!(self, Meter::ToTheEnd)
    }
}

/// Follows the chunks of a body.
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
    /// In the contents of a chunk: so many bytes are left.
    Data(u64),
    /// In the end of the line of the contents.
    DataEnd,
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
                self.state = if left == 0 { ChunkState::DataEnd } else { ChunkState::Data(left) };
                continue;
            }
            self.line.push(bytes[at]);
            at += 1;
            if bytes[at - 1] == b'\n' {
                self.end_line()?;
            } else if self.line.len() > LINE_MAX {
                return None;
            }
        }
        Some(at)
    }

    fn end_line(&mut self) -> Option<()> {
        let line = std::mem::take(&mut self.line);
        // Servers disagree about lines without a carriage return, and about one elsewhere.
        let line = line.strip_suffix(b"\r\n").filter(|line| !line.contains(&b'\r'))?;
        self.state = match self.state {
            ChunkState::Trailer if line.is_empty() => ChunkState::Done,
            ChunkState::Trailer => ChunkState::Trailer,
            ChunkState::DataEnd => line.is_empty().then_some(ChunkState::Size)?,
            _ => match chunk_size(line)? {
                0 => ChunkState::Trailer,
                size => ChunkState::Data(size),
            },
        };
        Some(())
    }

    /// Returns true after the end of the body.
    pub fn is_done(&self) -> bool {
        self.state == ChunkState::Done
    }
}

fn chunk_size(line: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(line.split(|byte| *byte == b';').next()?).ok()?;
    let text = text.trim_end_matches([' ', '\t']);
    // The reader of numbers takes a sign, too.
    text.bytes().all(|byte| byte.is_ascii_hexdigit()).then(|| u64::from_str_radix(text, 16).ok())?
}
