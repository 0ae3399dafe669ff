//! Questions and answers on the socket: one of each for a connection. Numbers are little-endian; what is longer than its limit is
//! refused.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use super::{Key, View};

/// Largest finding in bytes.
const FINDING_MAX: u32 = 64 * 1024;
/// Most directories of a finding.
const PLACES_MAX: u32 = 200_000;
/// Longest path in bytes, that of the system.
const PATH_MAX: u32 = 4096;

/// What somebody wants to know, or tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Question {
    /// What was found under this key?
    Find { key: Key },
    /// This was found under the key, by a look at these directories that began after the moment `since`.
    Keep { key: Key, since: u64, finding: Vec<u8>, places: BTreeSet<PathBuf> },
}

/// What the resident watcher answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It holds still.
    Found(Vec<u8>),
    /// Nothing is vouched for. The moment is that of this answer.
    Unknown { now: u64 },
    /// It was taken down. Whether it is vouched for, a later question tells.
    Noted,
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

fn number_of(stream: &mut impl Read) -> io::Result<u64> {
    let mut bytes = [0; 8];
    stream.read_exact(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

fn bytes_of(stream: &mut impl Read, limit: u32) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let length = u32::from_le_bytes(length);
    if length > limit {
        return Err(invalid("it is too long"));
    }
    let mut bytes = vec![0; length as usize];
    stream.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn push_bytes(message: &mut Vec<u8>, bytes: &[u8]) -> io::Result<()> {
    let length = u32::try_from(bytes.len()).map_err(|_| invalid("it is too long"))?;
    message.extend_from_slice(&length.to_le_bytes());
    message.extend_from_slice(bytes);
    Ok(())
}

impl Question {
    /// Sends it, with the view of the one who asks.
    pub fn send(&self, view: View, stream: &mut impl Write) -> io::Result<()> {
        let mut message = Vec::new();
        view.0.iter().for_each(|number| message.extend_from_slice(&number.to_le_bytes()));
        match self {
            Question::Find { key } => {
                message.push(b'f');
                message.extend_from_slice(key);
            }
            Question::Keep { key, since, finding, places } => {
                message.push(b'k');
                message.extend_from_slice(key);
                message.extend_from_slice(&since.to_le_bytes());
                push_bytes(&mut message, finding)?;
                let count = u32::try_from(places.len()).map_err(|_| invalid("too many directories"))?;
                message.extend_from_slice(&count.to_le_bytes());
                places.iter().try_for_each(|place| push_bytes(&mut message, place.as_os_str().as_bytes()))?;
            }
        }
        stream.write_all(&message)
    }

    /// Reads one, and the view of the one who asks.
    pub fn receive(stream: &mut impl Read) -> io::Result<(View, Question)> {
        let mut view = [0; 4];
        for number in &mut view {
            *number = number_of(stream)?;
        }
        let (mut kind, mut key) = ([0], [0; 32]);
        stream.read_exact(&mut kind)?;
        stream.read_exact(&mut key)?;
        let question = match kind[0] {
            b'f' => Question::Find { key },
            b'k' => {
                let since = number_of(stream)?;
                let finding = bytes_of(stream, FINDING_MAX)?;
                let mut count = [0; 4];
                stream.read_exact(&mut count)?;
                let count = u32::from_le_bytes(count);
                if count > PLACES_MAX {
                    return Err(invalid("too many directories"));
                }
                let place = |_| bytes_of(stream, PATH_MAX).map(|bytes| PathBuf::from(OsStr::from_bytes(&bytes)));
                let places = (0..count).map(place).collect::<io::Result<BTreeSet<PathBuf>>>()?;
                Question::Keep { key, since, finding, places }
            }
            _ => return Err(invalid("no such question")),
        };
        Ok((View(view), question))
    }
}

impl Answer {
    /// Sends it.
    pub fn send(&self, stream: &mut impl Write) -> io::Result<()> {
        let mut message = Vec::new();
        match self {
            Answer::Found(finding) => {
                message.push(b'f');
                push_bytes(&mut message, finding)?;
            }
            Answer::Unknown { now } => {
                message.push(b'u');
                message.extend_from_slice(&now.to_le_bytes());
            }
            Answer::Noted => message.push(b'n'),
        }
        stream.write_all(&message)
    }

    /// Reads one.
    pub fn receive(stream: &mut impl Read) -> io::Result<Answer> {
        let mut kind = [0];
        stream.read_exact(&mut kind)?;
        match kind[0] {
            b'f' => bytes_of(stream, FINDING_MAX).map(Answer::Found),
            b'u' => number_of(stream).map(|now| Answer::Unknown { now }),
            b'n' => Ok(Answer::Noted),
            _ => Err(invalid("no such answer")),
        }
    }
}
