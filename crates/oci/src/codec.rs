//! The one gzip encoder: the same bytes on every machine, for any number of cores.
//!
//! The input is cut into blocks of 1 MiB. Each is deflated on its own, ended at a byte boundary, and joined to one gzip
//! member, so blocks run in parallel. The header has no time, no name and no operating system. The bytes change with
//! the deflate implementation, so its version is pinned with `=`. It is also part of `CODEC`, which is in the key of
//! everything compressed here.

use std::io::{self, Read, Write};

use flate2::{Compress, Compression, FlushCompress, Status};

/// Identity of the encoder, for keys.
pub const CODEC: &str = "gzip zlib-rs-0.6.8 level-6 block-1048576";

const BLOCK: usize = 1024 * 1024;
const LEVEL: u32 = 6;
/// Magic, deflate, no flags, no time, no extra flags, unknown operating system (RFC 1952).
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
/// A last, empty block with fixed codes (RFC 1951).
const END: [u8; 2] = [0x03, 0x00];

struct Block {
    deflated: Vec<u8>,
    checksum: crc32fast::Hasher,
}

/// Compresses all of `source` on up to `threads` threads. At most four blocks a thread are in memory.
pub fn compress(mut source: &mut dyn Read, destination: &mut dyn Write, threads: usize) -> io::Result<()> {
    let threads = threads.max(1);
    let mut checksum = crc32fast::Hasher::new();
    let mut size = 0_u64;
    destination.write_all(&HEADER)?;
    loop {
        let mut batch: Vec<Vec<u8>> = Vec::with_capacity(threads * 4);
        while batch.len() < threads * 4 {
            let mut block = Vec::with_capacity(BLOCK);
            Read::take(&mut source, BLOCK as u64).read_to_end(&mut block)?;
            if block.is_empty() {
                break;
            }
            batch.push(block);
        }
        if batch.is_empty() {
            break;
        }
        size += batch.iter().map(|block| block.len() as u64).sum::<u64>();
        for block in deflate_all(&batch, threads)? {
            destination.write_all(&block.deflated)?;
            checksum.combine(&block.checksum);
        }
    }
    destination.write_all(&END)?;
    destination.write_all(&checksum.finalize().to_le_bytes())?;
    destination.write_all(&(size as u32).to_le_bytes())
}

/// Deflates the blocks of a batch in parallel, in their order.
fn deflate_all(batch: &[Vec<u8>], threads: usize) -> io::Result<Vec<Block>> {
    let next = std::sync::atomic::AtomicUsize::new(0);
    let work = || -> io::Result<Vec<(usize, Block)>> {
        let mut done = Vec::new();
        loop {
            let index = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let Some(block) = batch.get(index) else { return Ok(done) };
            done.push((index, deflate(block)?));
        }
    };
    let mut blocks: Vec<(usize, Block)> = Vec::with_capacity(batch.len());
    if threads == 1 || batch.len() == 1 {
        blocks = work()?;
    } else {
        std::thread::scope(|scope| -> io::Result<()> {
            let workers: Vec<_> = (0..threads.min(batch.len())).map(|_| scope.spawn(work)).collect();
            for worker in workers {
                blocks.extend(worker.join().map_err(|_| io::Error::other("a compressing thread failed"))??);
            }
            Ok(())
        })?;
    }
    blocks.sort_by_key(|(index, _)| *index);
    Ok(blocks.into_iter().map(|(_, block)| block).collect())
}

fn deflate(block: &[u8]) -> io::Result<Block> {
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
            return Ok(Block { deflated, checksum });
        }
        if matches!(status, Status::BufError) && room > 0 && encoder.total_in() as usize == block.len() {
            return Ok(Block { deflated, checksum });
        }
        deflated.reserve(64 * 1024);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rondel_cas::Digest;

    /// Returns bytes that are neither all alike nor random.
    fn sample(length: usize) -> Vec<u8> {
        let mut state = 1_u32;
        let mut bytes = Vec::with_capacity(length);
        while bytes.len() < length {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            bytes.extend_from_slice(format!("{} ", state >> 20).as_bytes());
        }
        bytes.truncate(length);
        bytes
    }

    fn gzip(bytes: &[u8], threads: usize) -> Vec<u8> {
        let mut compressed = Vec::new();
        compress(&mut &bytes[..], &mut compressed, threads).unwrap();
        compressed
    }

    #[test]
    fn round_trip_at_every_kind_of_size() {
        for length in [0, 1, 1000, BLOCK - 1, BLOCK, BLOCK + 1, 5 * BLOCK + 17] {
            let bytes = sample(length);
            let compressed = gzip(&bytes, 2);
            let mut back = Vec::new();
            flate2::read::GzDecoder::new(&compressed[..]).read_to_end(&mut back).unwrap();
            assert!(back == bytes, "length {length}");
        }
    }

    #[test]
    fn the_same_for_any_number_of_threads_and_on_every_machine() {
        let bytes = sample(9 * BLOCK + 5);
        let one = gzip(&bytes, 1);
        for threads in [2, 3, 8] {
            assert!(gzip(&bytes, threads) == one, "{threads} threads");
        }
        expect_test::expect!["9675988a2415183db4c7e3bfbe1d4cfe7a9cba0e6854efc2eb1bead62e9cd655/3941367"]
            .assert_eq(&Digest::of(&one).to_string());
    }
}
