//! MD5 (RFC 1321), for the one file that is made of it: the `md5sums` of Debian's packages, which `dpkg --verify` and
//! `debsums` compare. Nothing is trusted because of it.

/// Left rotations of a step, by round and place.
const SHIFTS: [[u32; 4]; 4] = [[7, 12, 17, 22], [5, 9, 14, 20], [4, 11, 16, 23], [6, 10, 15, 21]];

/// The state of a sum.
pub(crate) struct Md5 {
    state: [u32; 4],
    constants: [u32; 64],
    block: Vec<u8>,
    size: u64,
}

impl Md5 {
    pub fn new() -> Md5 {
        Md5 {
            state: [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476],
            constants: constants(),
            block: Vec::with_capacity(64),
            size: 0,
        }
    }

    pub fn update(&mut self, mut bytes: &[u8]) {
        self.size += bytes.len() as u64;
        while !bytes.is_empty() {
            let count = bytes.len().min(64 - self.block.len());
            self.block.extend_from_slice(&bytes[..count]);
            bytes = &bytes[count..];
            if self.block.len() == 64 {
                self.mix();
                self.block.clear();
            }
        }
    }

    /// Returns the sum as hex digits.
    pub fn finish(mut self) -> String {
        let bits = self.size.wrapping_mul(8);
        self.update(&[0x80]);
        while self.block.len() != 56 {
            self.update(&[0]);
        }
        self.update(&bits.to_le_bytes());
        self.state.iter().flat_map(|word| word.to_le_bytes()).map(|byte| format!("{byte:02x}")).collect()
    }

    fn mix(&mut self) {
        let mut words = [0_u32; 16];
        for (word, bytes) in words.iter_mut().zip(self.block.chunks_exact(4)) {
            *word = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        }
        let [mut a, mut b, mut c, mut d] = self.state;
        for step in 0..64 {
            let (mixed, word) = match step / 16 {
                0 => (b & c | !b & d, step),
                1 => (d & b | !d & c, (5 * step + 1) % 16),
                2 => (b ^ c ^ d, (3 * step + 5) % 16),
                _ => (c ^ (b | !d), 7 * step % 16),
            };
            let sum = a.wrapping_add(mixed).wrapping_add(self.constants[step]).wrapping_add(words[word]);
            (a, d, c) = (d, c, b);
            b = b.wrapping_add(sum.rotate_left(SHIFTS[step / 16][step % 4]));
        }
        for (word, mixed) in self.state.iter_mut().zip([a, b, c, d]) {
            *word = word.wrapping_add(mixed);
        }
    }
}

/// Returns `floor(2^32 * abs(sin(i + 1)))`. The sines are far enough from whole numbers for any machine's last bit.
fn constants() -> [u32; 64] {
    std::array::from_fn(|index| (f64::from(index as u32 + 1).sin().abs() * 4_294_967_296.0) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The test suite of RFC 1321, and lengths about the size of a block, as `md5sum` gives them.
    #[test]
    fn sums_of_the_standard() {
        for (text, expected) in [
            (String::new(), "d41d8cd98f00b204e9800998ecf8427e"),
            ("a".to_owned(), "0cc175b9c0f1b6a831c399e269772661"),
            ("message digest".to_owned(), "f96b697d7cb7938d525a2f31aaf161d0"),
            ("1234567890".repeat(8), "57edf4a22be3c955ac49da2e2107b67a"),
            ("x".repeat(55), "04364420e25c512fd958a70738aa8f72"),
            ("x".repeat(56), "668a72d5ba17f08e62dabcafad6db14b"),
            ("x".repeat(64), "c1bb4f81d892b2d57947682aeb252456"),
        ] {
            for piece in [1, 7, 1000] {
                let mut sum = Md5::new();
                for bytes in text.as_bytes().chunks(piece) {
                    sum.update(bytes);
                }
                assert_eq!(sum.finish(), expected, "{text} in pieces of {piece}");
            }
        }
    }
}
