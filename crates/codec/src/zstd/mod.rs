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

    /// Numbers that look random, the same in every run.
    fn numbers(seed: u32) -> impl Iterator<Item = u32> {
        std::iter::successors(Some(seed), |state| Some(state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223)))
            .map(|state| state >> 8)
    }

    #[test]
    fn round_trips() {
        for length in (0..70).chain([255, 256, 257, 1_000, BLOCK - 1, BLOCK, BLOCK + 1, 5 * BLOCK + 17]) {
            check(&vec![7; length]);
            let random: Vec<u8> = numbers(1).map(|number| number as u8).take(length).collect();
            assert!(check(&random) <= length + 9 + 3 * (length / BLOCK + 1));
            let text: Vec<u8> =
                numbers(2).flat_map(|number| format!("{} ", number % 1_000).into_bytes()).take(length).collect();
            check(&text);
        }
    }

    /// The bytes are pinned: whoever changes the encoder sees it here, and gives `ZSTD` another number.
    #[test]
    fn golden_sizes_and_sums() {
        let text: Vec<u8> =
            numbers(3).flat_map(|number| format!("{} ", number % 5_000).into_bytes()).take(1 << 20).collect();
        let found: Vec<String> = (3..=9)
            .map(|level| {
                let frame = zstd_frame(&text, level);
                let sum = frame.iter().fold(0_u64, |sum, byte| sum.wrapping_mul(0x100_0000_01b3) ^ u64::from(*byte));
                format!("{level} {} {sum:x}", frame.len())
            })
            .collect();
        expect_test::expect![[r#"
            3 463103 4dcca606591ec86e
            4 458468 a3479c98ad2b57c8
            5 454845 8d8af9a0621f96a0
            6 453149 b51dbc4220af7daf
            7 451807 46d3a990c6802069
            8 449958 4a2256258a89af12
            9 448575 cdee0c28689071c7"#]]
        .assert_eq(&found.join("\n"));
    }

    /// Every mix of literals, copies, distances and kinds of blocks.
    #[test]
    fn mixtures() {
        for seed in 0..60 {
            let mut numbers = numbers(seed);
            let mut next = |most: u32| numbers.next().unwrap() % most;
            let alphabet = [1, 2, 3, 16, 100, 256][next(6) as usize];
            let mut bytes: Vec<u8> = Vec::new();
            while bytes.len() < 200_000 {
                let most = [4, 40, 4_000, 140_000][next(4) as usize];
                let count = 1 + next(most) as usize;
                match next(3) {
                    0 if !bytes.is_empty() => {
                        let back = 1 + next(bytes.len() as u32) as usize;
                        for _ in 0..count {
                            bytes.push(bytes[bytes.len() - back]);
                        }
                    }
                    _ => bytes.extend((0..count).map(|_| next(alphabet) as u8)),
                }
            }
            check(&bytes);
        }
    }
}
