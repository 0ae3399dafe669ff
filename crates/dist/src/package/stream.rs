//! An archive as a stream: heads, contents of files, padding. No file is in memory whole.

use std::fs::File;
use std::io::{self, Read};

use rondel_cas::{CONTENTS_MAX, open_at_most};
use rondel_oci::LayerSource;

/// One piece of an archive.
pub(crate) struct Part<'a> {
    /// What comes before the contents.
    pub head: Vec<u8>,
    /// Contents, and their size as it was written into the head.
    pub contents: Option<(&'a LayerSource, u64)>,
}

/// All parts after each other, each with zeros up to a multiple of `alignment`.
pub(crate) struct Stream<'a> {
    parts: std::vec::IntoIter<Part<'a>>,
    alignment: usize,
    current: Box<dyn Read + 'a>,
}

impl<'a> Stream<'a> {
    pub fn new(parts: Vec<Part<'a>>, alignment: usize) -> Stream<'a> {
        Stream { parts: parts.into_iter(), alignment, current: Box::new(io::empty()) }
    }

    fn open(&self, part: Part<'a>) -> io::Result<Box<dyn Read + 'a>> {
        let zeros = |size: u64| {
            let alignment = self.alignment as u64;
            io::repeat(0).take(size.next_multiple_of(alignment) - size)
        };
        let head_size = part.head.len() as u64;
        let head = io::Cursor::new(part.head).chain(zeros(head_size));
        let Some((source, size)) = part.contents else { return Ok(Box::new(head)) };
        let contents = Exactly { inner: open(source)?, left: size, of: source };
        Ok(Box::new(head.chain(contents).chain(zeros(size))))
    }
}

impl Read for Stream<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            let count = self.current.read(buffer)?;
            if count > 0 {
                return Ok(count);
            }
            let Some(part) = self.parts.next() else { return Ok(0) };
            self.current = self.open(part)?;
        }
    }
}

/// Contents that must be as long as the head says.
struct Exactly<'a> {
    inner: Box<dyn Read + 'a>,
    left: u64,
    of: &'a LayerSource,
}

impl Read for Exactly<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let want = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let count = self.inner.read(&mut buffer[..want])?;
        if count == 0 && want > 0 {
            let name = match self.of {
                LayerSource::File(path) => format!("`{}`", path.display()),
                LayerSource::Bytes(_) | LayerSource::Directory | LayerSource::Symlink(_) => "a file".to_owned(),
            };
            return Err(io::Error::other(format!("{name} became shorter while it was read")));
        }
        self.left -= count as u64;
        Ok(count)
    }
}

fn open_file(path: &std::path::Path) -> io::Result<(File, u64)> {
    let (file, metadata) = open_at_most(path, CONTENTS_MAX)
        .map_err(|error| io::Error::new(error.kind(), format!("failed to read `{}`: {error}", path.display())))?;
    Ok((file, metadata.len()))
}

fn open(source: &LayerSource) -> io::Result<Box<dyn Read + '_>> {
    Ok(match source {
        LayerSource::File(path) => Box::new(open_file(path)?.0),
        LayerSource::Bytes(bytes) => Box::new(&bytes[..]),
        LayerSource::Symlink(target) => Box::new(target.as_bytes()),
        LayerSource::Directory => Box::new(io::empty()),
    })
}

/// Returns the number of bytes of the contents; of a link, those of its target.
pub(crate) fn size_of(source: &LayerSource) -> io::Result<u64> {
    Ok(match source {
        LayerSource::File(path) => open_file(path)?.1,
        LayerSource::Bytes(bytes) => bytes.len() as u64,
        LayerSource::Symlink(target) => target.len() as u64,
        LayerSource::Directory => 0,
    })
}

/// Reads all of the contents in pieces.
pub(crate) fn read_whole(source: &LayerSource, take: &mut dyn FnMut(&[u8])) -> io::Result<()> {
    let mut reader = open(source)?;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match reader.read(&mut buffer)? {
            0 => return Ok(()),
            count => take(&buffer[..count]),
        }
    }
}
