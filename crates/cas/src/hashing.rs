//! Readers and writers that hash what passes through them, so that nothing is read a second time for its digest.

use std::io::{self, Read, Write};

use crate::digest::{Digest, Hasher};

/// Hashes all that is read from `inner`.
pub struct HashingReader<R> {
    inner: R,
    hasher: Hasher,
}

/// Hashes all that is written to `inner`.
pub struct HashingWriter<W> {
    inner: W,
    hasher: Hasher,
}

impl<R> HashingReader<R> {
    /// Returns a reader of `inner` that has read nothing.
    pub fn new(inner: R) -> HashingReader<R> {
        HashingReader { inner, hasher: Hasher::new() }
    }

    /// Returns the digest of all that was read.
    pub fn finish(self) -> Digest {
        self.hasher.finish()
    }
}

impl<W> HashingWriter<W> {
    /// Returns a writer to `inner` that has written nothing.
    pub fn new(inner: W) -> HashingWriter<W> {
        HashingWriter { inner, hasher: Hasher::new() }
    }

    /// Returns the digest of all that was written.
    pub fn finish(self) -> Digest {
        self.hasher.finish()
    }
}

impl<R: Read> Read for HashingReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..count]);
        Ok(count)
    }
}

impl<W: Write> Write for HashingWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.inner.write_all(bytes)?;
        self.hasher.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
