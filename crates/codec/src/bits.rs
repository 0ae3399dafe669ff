//! Bits as RFC 8878 and RFC 1951 put them into bytes: from the lowest up.

/// Bytes that are written bit by bit.
#[derive(Default)]
pub(crate) struct BitWriter {
    bytes: Vec<u8>,
    /// Bits that are not in `bytes` yet; fewer than 8 after each `flush`.
    pending: u64,
    count: u32,
}

impl BitWriter {
    /// Returns a writer with room for `bytes`.
    pub fn with_capacity(bytes: usize) -> BitWriter {
        BitWriter { bytes: Vec::with_capacity(bytes + 8), ..BitWriter::default() }
    }

    /// Adds the low `count` bits of `value`, whose other bits are zero. At most 56 bits may come between two flushes.
    pub fn add(&mut self, value: u64, count: u32) {
        debug_assert!(self.count + count <= 64 && (count == 64 || value >> count == 0));
        self.pending |= value << self.count;
        self.count += count;
    }

    /// Moves whole bytes out.
    pub fn flush(&mut self) {
        let whole = self.count / 8;
        let length = self.bytes.len() + whole as usize;
        self.bytes.extend_from_slice(&self.pending.to_le_bytes());
        self.bytes.truncate(length);
        self.pending = self.pending.checked_shr(whole * 8).unwrap_or(0);
        self.count %= 8;
    }

    /// Returns the bytes; the last one is filled up with zeros.
    pub fn finish(mut self) -> Vec<u8> {
        self.flush();
        if self.count > 0 {
            self.bytes.push(self.pending as u8);
        }
        self.bytes
    }

    /// Ends a stream that is read from its end: a one marks the last bit.
    pub fn finish_marked(mut self) -> Vec<u8> {
        self.flush();
        self.add(1, 1);
        self.finish()
    }
}
