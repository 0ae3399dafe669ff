//! gzip (RFC 1952) of blocks: each is deflated on its own, ended at a byte boundary, and joined to one member.
//!
//! Level 4 takes a quarter off the time of level 6 for two hundredths more bytes. The header has no time, no name and no
//! operating system. The bytes change with the deflate implementation, so its version is pinned with `=`. It is also part
//! of `CODEC`, which is in the key of everything compressed here.

use std::io;

use flate2::{Compress, Compression, FlushCompress, Status};

/// Identity of the encoder, for keys.
pub(crate) const CODEC: &str = "gzip zlib-rs-0.6.8 level-4 block-524288";

/// Size of a block before compression, in bytes.
pub(crate) const BLOCK: usize = 512 * 1024;
const LEVEL: u32 = 4;
/// Magic, deflate, no flags, no time, no extra flags, unknown operating system (RFC 1952).
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

/// Deflates a block.
pub(crate) fn deflate(block: &[u8]) -> io::Result<Block> {
    let mut checksum = crc32fast::Hasher::new();
    checksum.update(block);
    let mut encoder = Compress::new(Compression::new(LEVEL), false);
    let mut deflated = Vec::with_capacity(block.len() / 2 + 1024);
    loop {
        let consumed = encoder.total_in() as usize;
        let room = deflated.capacity() - deflated.len();
        let status =
            encoder.compress_vec(&block[consumed..], &mut deflated, FlushCompress::Sync).map_err(io::Error::other)?;
        // A flush is complete if it left room in the buffer.
        if encoder.total_in() as usize == block.len() && deflated.len() < deflated.capacity() {
            return Ok(Block { deflated, checksum, size: block.len() as u64 });
        }
        if matches!(status, Status::BufError) && room > 0 && encoder.total_in() as usize == block.len() {
            return Ok(Block { deflated, checksum, size: block.len() as u64 });
        }
        deflated.reserve(64 * 1024);
    }
}
