//! A zstd encoder (RFC 8878): the same bytes on every machine. It knows frames, and neither files nor threads.

mod chains;
mod fse;
mod literals;
mod matches;
mod sequences;

use chains::Chains;
use literals::write_literals;
use matches::{Found, Matcher};
use sequences::{Offsets, write_sequences};

/// Identity of the encoder, for keys. Any change of its bytes needs a new one.
pub const ZSTD: &str = "zstd rondel-1";

const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// Maximum size of a block before compression, in bytes.
const BLOCK: usize = 128 * 1024;

/// Returns a frame with these bytes, less than 4 GiB. Frames one after the other are one stream. A level is from 3 to 9, and
/// gives about what the same level of zstd's own program does.
pub fn zstd_frame(bytes: &[u8], level: u8) -> Vec<u8> {
    let mut frame = Vec::with_capacity(bytes.len() / 2 + 1024);
    frame.extend_from_slice(&MAGIC);
    // One segment, whose size has four bytes; no checksum, since layers have digests.
    frame.push(2 << 6 | 1 << 5);
    frame.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    let (mut search, mut offsets) = (Search::of_level(level, bytes.len()), Offsets::START);
    let mut start = 0;
    loop {
        let end = bytes.len().min(start + BLOCK);
        let mut found = Found::default();
        match &mut search {
            Search::Fast(matcher) => matcher.block(bytes, start, end, &mut found),
            Search::Thorough(chains) => chains.block(bytes, start, end, &mut found),
        }
        let mut after = offsets;
        let mut block = Vec::with_capacity(BLOCK);
        write_literals(&found.literals, &mut block);
        write_sequences(&found.sequences, &mut after, &mut block);
        let is_last = end == bytes.len();
        let (kind, contents) = match block.len() < end - start {
            true => (2, &block[..]),
            false => (0, &bytes[start..end]),
        };
        let header = u32::from(is_last) | kind << 1 | (contents.len() as u32) << 3;
        frame.extend_from_slice(&header.to_le_bytes()[..3]);
        frame.extend_from_slice(contents);
        // The distances of a block that is left out are not known to the reader.
        if kind == 2 {
            offsets = after;
        }
        if is_last {
            return frame;
        }
        start = end;
    }
}

/// A way to find what came before.
enum Search {
    Fast(Matcher),
    Thorough(Chains),
}

impl Search {
    fn of_level(level: u8, frame: usize) -> Search {
        match level {
            ..=3 => Search::Fast(Matcher::new()),
            4 => Search::Thorough(Chains::new(frame, 4)),
            5 => Search::Thorough(Chains::new(frame, 8)),
            6 => Search::Thorough(Chains::new(frame, 12)),
            7 => Search::Thorough(Chains::new(frame, 16)),
            8 => Search::Thorough(Chains::new(frame, 24)),
            9.. => Search::Thorough(Chains::new(frame, 32)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;
    use std::io::Read;

    fn check(bytes: &[u8]) -> usize {
        let size = |level: u8| {
            let frame = zstd_frame(bytes, level);
            let mut back = Vec::new();
            ruzstd::decoding::StreamingDecoder::new(&frame[..]).unwrap().read_to_end(&mut back).unwrap();
            assert!(back == bytes, "{} bytes, level {level}", bytes.len());
            frame.len()
        };
        size(3).max(size(5))
    }

    #[test]
    fn round_trips() {
        for length in (0..70).chain([255, 256, 257, 1_000, BLOCK - 1, BLOCK, BLOCK + 1, 5 * BLOCK + 17]) {
            check(&vec![7; length]);
            assert!(check(&samples::random(length)) <= length + 9 + 3 * (length / BLOCK + 1));
            check(&samples::text(length));
        }
    }

    /// Other bytes need another `ZSTD`, since that is in the keys of layers.
    #[test]
    fn golden_sizes_and_sums() {
        let text = samples::text(1 << 20);
        let of_level = |level: u8| format!("{level} {}", samples::size_and_sum(&zstd_frame(&text, level)));
        expect_test::expect![[r#"
            3 463024 75aa26bc594b0c8
            4 458502 e15b49adeb6fcd73
            5 454864 4629438563c9ded8
            6 452949 12b5fd69abeea8a7
            7 451685 f1201154ce814ea8
            8 449795 5df7f6ec4c14471f
            9 448338 93a31660f28d768c"#]]
        .assert_eq(&(3..=9).map(of_level).collect::<Vec<_>>().join("\n"));
    }

    /// Every mix of literals, copies, distances and kinds of blocks.
    #[test]
    fn mixtures() {
        for seed in 0..60 {
            check(&samples::mixture(seed));
        }
    }
}
