//! The encoders of layers: the same bytes on every machine, for any number of cores.
//!
//! The input is cut into blocks. Each is compressed on its own, so blocks run in parallel, beside the reading of the next
//! ones. What is done is written in order. The crate `codec` and `gzip` know how a block is compressed, and no threads.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::sync::{Mutex, mpsc};

use rondel_codec::{DEFLATE, ZSTD, zstd_frame};

use crate::gzip::{self, Trailer};
use crate::media_types::{GZIP_LAYER, ZSTD_LAYER};

/// How layers are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// All engines read it.
    Gzip,
    /// Smaller, and faster to make and to read, with a level from 3 to 9. Docker before 23.0 does not read it.
    Zstd(u8),
}

/// Size of a frame of zstd before compression, in bytes.
const FRAME: usize = 1024 * 1024;
/// Number of blocks in memory for each thread.
const BLOCKS_OF_A_THREAD: usize = 3;

impl Compression {
    /// Returns the identity of the encoder, for keys.
    pub fn codec(self) -> String {
        match self {
            Compression::Gzip => format!("gzip {DEFLATE} block-{}", gzip::BLOCK),
            Compression::Zstd(level) => format!("{ZSTD} level-{level} frame-{FRAME}"),
        }
    }

    /// Returns the media type of such layers.
    pub fn media_type(self) -> &'static str {
        match self {
            Compression::Gzip => GZIP_LAYER,
            Compression::Zstd(_) => ZSTD_LAYER,
        }
    }

    /// Returns the usual ending of file names.
    pub fn ending(self) -> &'static str {
        match self {
            Compression::Gzip => "gz",
            Compression::Zstd(_) => "zst",
        }
    }

    /// Compresses all of `source` on up to `threads` threads. At most three blocks a thread are in memory.
    pub fn compress(self, source: &mut dyn Read, destination: &mut dyn Write, threads: usize) -> io::Result<()> {
        match self {
            Compression::Gzip => {
                let mut trailer = Trailer::default();
                destination.write_all(&gzip::HEADER)?;
                let blocks = Blocks { size: gzip::BLOCK, encode: &gzip::Block::of };
                blocks.encode(source, threads, &mut |block| {
                    trailer.add(&block);
                    destination.write_all(&block.deflated)
                })?;
                destination.write_all(&trailer.finish())
            }
            Compression::Zstd(level) => {
                let mut is_empty = true;
                let blocks = Blocks { size: FRAME, encode: &|block: &[u8]| zstd_frame(block, level) };
                blocks.encode(source, threads, &mut |frame| {
                    is_empty = false;
                    destination.write_all(&frame)
                })?;
                if is_empty { destination.write_all(&zstd_frame(&[], level)) } else { Ok(()) }
            }
        }
    }
}

/// Input in blocks, all of them but the last of one size, which are encoded to `T`.
struct Blocks<'a, T> {
    size: usize,
    encode: &'a (dyn Fn(&[u8]) -> T + Sync),
}

impl<T: Send> Blocks<'_, T> {
    /// Encodes all blocks of `source`; `write` gets them in order.
    fn encode(
        &self,
        source: &mut dyn Read,
        threads: usize,
        write: &mut dyn FnMut(T) -> io::Result<()>,
    ) -> io::Result<()> {
        if threads > 1 {
            return self.side_by_side(source, threads, write);
        }
        let mut block = Vec::new();
        while self.read(source, &mut block)? {
            write((self.encode)(&block))?;
        }
        Ok(())
    }

    /// Reads the next block of the input; returns false at the end.
    fn read(&self, mut source: &mut dyn Read, block: &mut Vec<u8>) -> io::Result<bool> {
        block.clear();
        block.reserve_exact(self.size);
        Read::take(&mut source, self.size as u64).read_to_end(block)?;
        Ok(!block.is_empty())
    }

    /// Encodes blocks on `threads` threads, while this one reads the input and writes what is done, in order.
    fn side_by_side(
        &self,
        source: &mut dyn Read,
        threads: usize,
        write: &mut dyn FnMut(T) -> io::Result<()>,
    ) -> io::Result<()> {
        let (to_workers, blocks) = mpsc::channel::<(usize, Vec<u8>)>();
        let blocks = Mutex::new(blocks);
        let (to_here, results) = mpsc::channel::<(usize, T, Vec<u8>)>();
        let work = |to_here: mpsc::Sender<(usize, T, Vec<u8>)>| {
            loop {
                let next = blocks.lock().map(|blocks| blocks.recv());
                // The end of the input, or of this function by an error.
                let Ok(Ok((index, block))) = next else { return };
                let encoded = (self.encode)(&block);
                if to_here.send((index, encoded, block)).is_err() {
                    return;
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..threads {
                let to_here = to_here.clone();
                scope.spawn(|| work(to_here));
            }
            drop(to_here);
            let (to_workers, results) = (to_workers, results);
            let lost = || io::Error::other("a compressing thread failed");
            let mut done: BTreeMap<usize, T> = BTreeMap::new();
            let mut unused: Vec<Vec<u8>> = Vec::new();
            let (mut read, mut written, mut is_at_end) = (0, 0, false);
            while !is_at_end || written < read {
                if !is_at_end && read - written < threads * BLOCKS_OF_A_THREAD {
                    let mut block = unused.pop().unwrap_or_default();
                    if self.read(source, &mut block)? {
                        to_workers.send((read, block)).map_err(|_| lost())?;
                        read += 1;
                    } else {
                        is_at_end = true;
                    }
                    continue;
                }
                let (index, encoded, block) = results.recv().map_err(|_| lost())?;
                // Memory that was used before costs no page faults.
                unused.push(block);
                done.insert(index, encoded);
                while let Some(block) = done.remove(&written) {
                    write(block)?;
                    written += 1;
                }
            }
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rondel_cas::Digest;

    const BLOCK: usize = gzip::BLOCK;
    const ALL: [Compression; 2] = [Compression::Gzip, Compression::Zstd(3)];

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

    fn compressed(compression: Compression, bytes: &[u8], threads: usize) -> Vec<u8> {
        let mut compressed = Vec::new();
        compression.compress(&mut &bytes[..], &mut compressed, threads).unwrap();
        compressed
    }

    #[test]
    fn round_trip_at_every_kind_of_size() {
        for length in [0, 1, 1000, BLOCK - 1, BLOCK, BLOCK + 1, 5 * BLOCK + 17] {
            let bytes = sample(length);
            for compression in ALL {
                let mut back = Vec::new();
                let compressed = compressed(compression, &bytes, 2);
                crate::decompressed(&compressed[..]).unwrap().read_to_end(&mut back).unwrap();
                assert!(back == bytes, "{compression:?} length {length}");
            }
        }
    }

    /// The threads end when the input or the output fails.
    #[test]
    fn failures_on_either_side() {
        struct Fails(usize);
        impl Read for Fails {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                self.0 = self.0.checked_sub(buffer.len()).ok_or_else(|| io::Error::other("broken"))?;
                buffer.fill(7);
                Ok(buffer.len())
            }
        }
        impl Write for Fails {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0 = self.0.checked_sub(bytes.len()).ok_or_else(|| io::Error::other("full"))?;
                Ok(bytes.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let bytes = sample(40 * BLOCK);
        for (compression, threads) in ALL.into_iter().flat_map(|compression| [(compression, 1), (compression, 3)]) {
            let error = compression.compress(&mut Fails(40 * BLOCK), &mut io::sink(), threads).unwrap_err();
            assert_eq!(error.to_string(), "broken");
            let error = compression.compress(&mut &bytes[..], &mut Fails(3 * BLOCK), threads).unwrap_err();
            assert_eq!(error.to_string(), "full");
        }
    }

    #[test]
    fn the_same_for_any_number_of_threads_and_on_every_machine() {
        let bytes = sample(9 * BLOCK + 5);
        for (compression, expected) in [
            (
                Compression::Gzip,
                expect_test::expect!["50ea4b6acdb2fd131d0ae4e6db7e9e959ae90353ab90cf906e183efeb0d01f48/2076200"],
            ),
            (
                Compression::Zstd(3),
                expect_test::expect!["134ccb2829364259f8164979caa19a75cd298543b25043bbb35c99d6508b241b/2067288"],
            ),
        ] {
            let one = compressed(compression, &bytes, 1);
            for threads in [2, 3, 8] {
                assert!(compressed(compression, &bytes, threads) == one, "{compression:?} on {threads} threads");
            }
            expected.assert_eq(&Digest::of(&one).to_string());
        }
    }
}
