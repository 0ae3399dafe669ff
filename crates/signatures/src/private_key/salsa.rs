//! Salsa20: the core that scrypt and NaCl's secretbox are made of, and the stream of the latter (XSalsa20).

/// Returns the words of `block` after so many double rounds, without the last addition.
pub(super) fn rounds(block: &[u32; 16], double_rounds: usize) -> [u32; 16] {
    /// The words that a quarter of a round changes, and from which.
    const QUARTERS: [[usize; 4]; 8] = [
        [0, 4, 8, 12],
        [5, 9, 13, 1],
        [10, 14, 2, 6],
        [15, 3, 7, 11],
        [0, 1, 2, 3],
        [5, 6, 7, 4],
        [10, 11, 8, 9],
        [15, 12, 13, 14],
    ];
    let mut words = *block;
    for _ in 0..double_rounds {
        for [a, b, c, d] in QUARTERS {
            words[b] ^= words[a].wrapping_add(words[d]).rotate_left(7);
            words[c] ^= words[b].wrapping_add(words[a]).rotate_left(9);
            words[d] ^= words[c].wrapping_add(words[b]).rotate_left(13);
            words[a] ^= words[d].wrapping_add(words[c]).rotate_left(18);
        }
    }
    words
}

/// Returns the core with its last addition.
pub(super) fn core(block: &[u32; 16], double_rounds: usize) -> [u32; 16] {
    let mut words = rounds(block, double_rounds);
    for (word, first) in words.iter_mut().zip(block) {
        *word = word.wrapping_add(*first);
    }
    words
}

/// The stream of XSalsa20 by blocks of 64 bytes.
pub(super) struct Stream {
    key: [u32; 8],
    nonce: [u32; 2],
}

impl Stream {
    /// Derives the key of the stream from the first two thirds of the nonce.
    pub fn new(key: &[u8; 32], nonce: &[u8; 24]) -> Stream {
        let nonce = words::<6>(nonce);
        let mixed = rounds(&block(&words::<8>(key), &[nonce[0], nonce[1], nonce[2], nonce[3]]), 10);
        let derived = [0, 5, 10, 15, 6, 7, 8, 9].map(|place| mixed[place]);
        Stream { key: derived, nonce: [nonce[4], nonce[5]] }
    }

    /// Returns a block of the stream.
    pub fn block(&self, number: u32) -> [u8; 64] {
        let mut bytes = [0; 64];
        let words = core(&block(&self.key, &[self.nonce[0], self.nonce[1], number, 0]), 10);
        for (four, word) in bytes.chunks_exact_mut(4).zip(words) {
            four.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }
}

/// Puts key and input between the constants ("expand 32-byte k").
fn block(key: &[u32; 8], input: &[u32; 4]) -> [u32; 16] {
    let [c0, c1, c2, c3] = [0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574];
    let [k0, k1, k2, k3, k4, k5, k6, k7] = *key;
    let [i0, i1, i2, i3] = *input;
    [c0, k0, k1, k2, k3, c1, i0, i1, i2, i3, c2, k4, k5, k6, k7, c3]
}

/// Reads little-endian words.
pub(super) fn words<const COUNT: usize>(bytes: &[u8]) -> [u32; COUNT] {
    let mut words = [0; COUNT];
    for (word, four) in words.iter_mut().zip(bytes.chunks_exact(4)) {
        *word = u32::from_le_bytes([four[0], four[1], four[2], four[3]]);
    }
    words
}
