//! Bytes, several at a time.

pub(crate) fn word(bytes: &[u8], place: usize) -> u32 {
    u32::from_le_bytes(bytes[place..place + 4].try_into().expect("four bytes"))
}

pub(crate) fn double_word(bytes: &[u8], place: usize) -> u64 {
    u64::from_le_bytes(bytes[place..place + 8].try_into().expect("eight bytes"))
}

/// Returns the number of bytes in common from two places on; `place` is the later one.
pub(crate) fn common(bytes: &[u8], place: usize, source: usize) -> usize {
    let (later, earlier) = (&bytes[place..], &bytes[source..]);
    let mut count = 0;
    for (one, other) in later.chunks_exact(8).zip(earlier.chunks_exact(8)) {
        let one = u64::from_le_bytes(one.try_into().expect("eight bytes"));
        let other = u64::from_le_bytes(other.try_into().expect("eight bytes"));
        if one != other {
            return count + ((one ^ other).trailing_zeros() / 8) as usize;
        }
        count += 8;
    }
    let rest = later[count..].iter().zip(&earlier[count..]);
    count + rest.take_while(|(one, other)| one == other).count()
}

/// Returns the hash of the first `count` bytes.
pub(crate) fn hash(bytes: u64, count: usize, log: u32) -> usize {
    ((bytes << (64 - 8 * count)).wrapping_mul(0xcf1b_bcdc_b7a5_6463) >> (64 - log)) as usize
}
