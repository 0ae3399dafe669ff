//! SHA-1, for the names of git's objects. It protects nothing here: it compares a file with a commit.

/// Hashes bytes piece by piece.
pub(super) struct Sha1 {
    state: [u32; 5],
    pending: Vec<u8>,
    length: u64,
}

impl Sha1 {
    pub fn new() -> Sha1 {
        let state = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0];
        Sha1 { state, pending: Vec::with_capacity(64), length: 0 }
    }

    pub fn update(&mut self, mut bytes: &[u8]) {
        self.length += bytes.len() as u64;
        if !self.pending.is_empty() {
            let count = bytes.len().min(64 - self.pending.len());
            self.pending.extend_from_slice(&bytes[..count]);
            bytes = &bytes[count..];
            if self.pending.len() < 64 {
                return;
            }
            let block = std::mem::take(&mut self.pending);
            compress(&mut self.state, &block);
        }
        let whole = bytes.len() / 64 * 64;
        bytes[..whole].chunks_exact(64).for_each(|block| compress(&mut self.state, block));
        self.pending.extend_from_slice(&bytes[whole..]);
    }

    pub fn finish(mut self) -> [u8; 20] {
        let bits = self.length * 8;
        self.update(&[0x80]);
        while self.pending.len() != 56 {
            self.update(&[0]);
        }
        self.update(&bits.to_be_bytes());
        let mut hash = [0; 20];
        hash.chunks_exact_mut(4).zip(self.state).for_each(|(place, word)| place.copy_from_slice(&word.to_be_bytes()));
        hash
    }
}

fn compress(state: &mut [u32; 5], block: &[u8]) {
    let mut words = [0_u32; 80];
    for (word, bytes) in words.iter_mut().zip(block.chunks_exact(4)) {
        *word = u32::from_be_bytes(bytes.try_into().expect("four bytes"));
    }
    for index in 16..80 {
        words[index] = (words[index - 3] ^ words[index - 8] ^ words[index - 14] ^ words[index - 16]).rotate_left(1);
    }
    let [mut a, mut b, mut c, mut d, mut e] = *state;
    for (index, word) in words.into_iter().enumerate() {
        let (mixed, constant) = match index {
            0..20 => ((b & c) | (!b & d), 0x5a82_7999),
            20..40 => (b ^ c ^ d, 0x6ed9_eba1),
            40..60 => ((b & c) | (b & d) | (c & d), 0x8f1b_bcdc_u32),
            _ => (b ^ c ^ d, 0xca62_c1d6),
        };
        let sum = a.rotate_left(5).wrapping_add(mixed).wrapping_add(e).wrapping_add(constant).wrapping_add(word);
        (a, b, c, d, e) = (sum, a, b.rotate_left(30), c, d);
    }
    for (place, word) in state.iter_mut().zip([a, b, c, d, e]) {
        *place = place.wrapping_add(word);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_answers_in_pieces_of_any_size() {
        let hex = |pieces: &[&[u8]]| {
            let mut hasher = Sha1::new();
            pieces.iter().for_each(|piece| hasher.update(piece));
            hasher.finish().iter().map(|byte| format!("{byte:02x}")).collect::<String>()
        };
        assert_eq!(hex(&[]), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
        assert_eq!(hex(&[b"a", b"bc"]), "a9993e364706816aba3e25717850c26c9cd0d89d");
        assert_eq!(hex(&[b"blob 6\0", b"hello\n"]), "ce013625030ba8dba906f756967f9e9ca394464a");
        let million = vec![b'a'; 1_000_000];
        for size in [1, 63, 64, 65, 4096] {
            let pieces: Vec<&[u8]> = million.chunks(size).collect();
            assert_eq!(hex(&pieces), "34aa973cd4c4daa4f61eeb2bdbad27316534016f", "{size}");
        }
    }
}
