//! A deflate encoder (RFC 1951): the same bytes on every machine. It is as fast as a search in two tables allows; deeper ones
//! give a few hundredths less.

mod search;
mod symbols;

use crate::bits::BitWriter;
use search::Search;
use symbols::write_block;

/// Identity of the encoder, for keys. Any change of its bytes needs a new one.
pub const DEFLATE: &str = "deflate rondel-1";

/// Bytes of a block with codes of its own, about.
const BLOCK: usize = 32 * 1024;

/// Deflates all bytes, less than 4 GiB, and ends at the beginning of a byte, so that more may follow. The last block of a stream
/// has yet to come.
pub fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut bits = BitWriter::with_capacity(bytes.len() / 2 + 1024);
    let mut search = Search::new();
    let (mut start, mut steps) = (0, Vec::new());
    while start < bytes.len() {
        steps.clear();
        let end = search.steps(bytes, start, bytes.len().min(start + BLOCK), &mut steps);
        write_block(&bytes[start..end], &steps, &mut bits);
        start = end;
    }
    // An empty block that is not compressed begins with a byte.
    bits.add(0, 3);
    let mut deflated = bits.finish();
    deflated.extend_from_slice(&[0, 0, 0xff, 0xff]);
    deflated
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;
    use std::io::Read;

    fn check(bytes: &[u8]) -> usize {
        let mut deflated = deflate(bytes);
        let length = deflated.len();
        // Twice, to see that another one may follow.
        deflated.extend_from_within(..);
        deflated.extend_from_slice(&[3, 0]);
        let mut back = Vec::new();
        flate2::read::DeflateDecoder::new(&deflated[..]).read_to_end(&mut back).unwrap();
        assert!(back == [bytes, bytes].concat(), "{} bytes", bytes.len());
        length
    }

    #[test]
    fn round_trips() {
        for length in (0..600).chain([BLOCK - 1, BLOCK, BLOCK + 1, 5 * BLOCK + 17]) {
            check(&vec![7; length]);
            assert!(check(&samples::random(length)) <= length + length / 500 + 120);
            check(&samples::text(length));
        }
    }

    /// Every mix of literals, copies and distances.
    #[test]
    fn mixtures() {
        for seed in 0..60 {
            check(&samples::mixture(seed));
        }
    }

    /// Other bytes need another `DEFLATE`, since that is in the keys of layers.
    #[test]
    fn golden_size_and_sum() {
        expect_test::expect!["466167 b4d0ddfe4ec83435"]
            .assert_eq(&samples::size_and_sum(&deflate(&samples::text(1 << 20))));
    }
}
