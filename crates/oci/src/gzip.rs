//! gzip (RFC 1952) of blocks: each is deflated on its own, ended at a byte boundary, and joined to one member.
//!
//! The header has no time, no name and no operating system.

use rondel_codec::deflate;

/// Size of a block before compression, in bytes.
pub(crate) const BLOCK: usize = 512 * 1024;
/// Magic, deflate, no flags, no time, no extra flags, unknown operating system.
pub(crate) const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
/// A last, empty block with fixed codes (RFC 1951).
const END: [u8; 2] = [0x03, 0x00];

/// A deflated block.
pub(crate) struct Block {
    pub deflated: Vec<u8>,
    checksum: crc32fast::Hasher,
    /// Of the input, in bytes.
    size: u64,
}

impl Block {
    /// Deflates the input of a block.
    pub fn of(bytes: &[u8]) -> Block {
        let mut checksum = crc32fast::Hasher::new();
        checksum.update(bytes);
        Block { deflated: deflate(bytes), checksum, size: bytes.len() as u64 }
    }
}

/// The trailer of a member, so far.
#[derive(Default)]
pub(crate) struct Trailer {
    checksum: crc32fast::Hasher,
    size: u64,
}

impl Trailer {
    /// Adds the next block.
    pub fn add(&mut self, block: &Block) {
        self.checksum.combine(&block.checksum);
        self.size += block.size;
    }

    /// Returns the end of the member.
    pub fn finish(self) -> Vec<u8> {
        [&END[..], &self.checksum.finalize().to_le_bytes(), &(self.size as u32).to_le_bytes()].concat()
    }
}
