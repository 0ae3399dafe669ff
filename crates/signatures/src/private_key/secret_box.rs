//! NaCl's secretbox, opened: XSalsa20 with Poly1305. Nothing is decrypted before its tag is right.

use super::salsa::Stream;

/// Returns what is in the box, or `None` if key or bytes are wrong.
pub(super) fn open(key: &[u8; 32], nonce: &[u8; 24], sealed: &[u8]) -> Option<Vec<u8>> {
    let (tag, contents) = sealed.split_at_checked(16)?;
    let stream = Stream::new(key, nonce);
    let first = stream.block(0);
    let expected = poly1305(first.first_chunk()?, contents);
    // The time that it takes tells nothing of where they differ.
    if tag.iter().zip(expected).fold(0, |sum, (one, other)| sum | (one ^ other)) != 0 {
        return None;
    }
    // The first 32 bytes of the stream are the key of the tag.
    let mut block = first;
    let mut opened = Vec::with_capacity(contents.len());
    for (place, byte) in contents.iter().enumerate() {
        let place = place + 32;
        if place.is_multiple_of(64) {
            block = stream.block(u32::try_from(place / 64).ok()?);
        }
        opened.push(byte ^ block[place % 64]);
    }
    Some(opened)
}

/// Returns the Poly1305 of `message` under a key that is used once. Numbers are in five limbs of 26 bits.
fn poly1305(key: &[u8; 32], message: &[u8]) -> [u8; 16] {
    const MASK: u64 = (1 << 26) - 1;
    let limbs = |bytes: &[u8; 16], top: u64| {
        let number = u128::from_le_bytes(*bytes);
        let limb = |place: u32| u64::try_from((number >> (26 * place)) & u128::from(MASK)).expect("26 bits");
        [limb(0), limb(1), limb(2), limb(3), limb(4) | top << 24]
    };
    let mut first = [0; 16];
    first.copy_from_slice(&key[..16]);
    let clamped = u128::from_le_bytes(first) & 0x0fff_fffc_0fff_fffc_0fff_fffc_0fff_ffff;
    let r = limbs(&clamped.to_le_bytes(), 0);
    let mut sum = [0_u64; 5];
    for chunk in message.chunks(16) {
        let mut block = [0; 16];
        block[..chunk.len()].copy_from_slice(chunk);
        let is_whole = chunk.len() == 16;
        if !is_whole {
            block[chunk.len()] = 1;
        }
        for (limb, added) in sum.iter_mut().zip(limbs(&block, u64::from(is_whole))) {
            *limb += added;
        }
        // Products that pass 2^130 come back times five.
        let mut product = [0_u64; 5];
        for (place, limb) in product.iter_mut().enumerate() {
            for (other, value) in sum.iter().enumerate() {
                let factor = if other <= place { r[place - other] } else { 5 * r[5 + place - other] };
                *limb += value * factor;
            }
        }
        sum = carried(product);
    }
    let mut sum = carried(sum);
    // Less than 2^130 is left; it is reduced once more if it is not below 2^130 - 5.
    let mut less = sum;
    less[0] += 5;
    for place in 0..4 {
        less[place + 1] += less[place] >> 26;
        less[place] &= MASK;
    }
    let passes = (less[4] >> 26).wrapping_neg();
    less[4] &= MASK;
    for (limb, reduced) in sum.iter_mut().zip(less) {
        *limb = (*limb & !passes) | (reduced & passes);
    }
    let mut number: u128 = 0;
    for (place, limb) in (0_u32..).zip(sum) {
        // What is above 128 bits counts for nothing.
        number = number.wrapping_add(u128::from(limb) << (26 * place));
    }
    let mut second = [0; 16];
    second.copy_from_slice(&key[16..]);
    number.wrapping_add(u128::from_le_bytes(second)).to_le_bytes()
}

/// Brings each limb back to 26 bits, twice around.
fn carried(mut limbs: [u64; 5]) -> [u64; 5] {
    const MASK: u64 = (1 << 26) - 1;
    for _ in 0..2 {
        let mut carry = 0;
        for limb in &mut limbs {
            *limb += carry;
            carry = *limb >> 26;
            *limb &= MASK;
        }
        limbs[0] += carry * 5;
    }
    limbs[1] += limbs[0] >> 26;
    limbs[0] &= MASK;
    limbs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
        digits.chunks(2).map(|two| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap()).collect()
    }

    /// RFC 8439, 2.5.2, and the vectors of its appendix A.3 whose numbers pass the prime.
    #[test]
    fn poly1305_is_that_of_the_standard() {
        let key = bytes("85d6be7857556d337f4452fe42d506a80103808afb0db2fd4abff6af4149f51b");
        let tag = poly1305(key.first_chunk().unwrap(), b"Cryptographic Forum Research Group");
        assert_eq!(tag.to_vec(), bytes("a8061dc1305136c6c22b8baf0c0127a9"));
        let cases = [
            ("02", "00", "ffffffffffffffffffffffffffffffff", "03"),
            ("02", "ffffffffffffffffffffffffffffffff", "02", "03"),
            (
                "01",
                "00",
                "ffffffffffffffffffffffffffffffff f0ffffffffffffffffffffffffffffff 11000000000000000000000000000000",
                "05",
            ),
            (
                "01",
                "00",
                "ffffffffffffffffffffffffffffffff fbfefefefefefefefefefefefefefefe 01010101010101010101010101010101",
                "00",
            ),
            ("02", "00", "fdffffffffffffffffffffffffffffff", "faffffffffffffffffffffffffffffff"),
        ];
        let padded = |hex: &str| {
            let mut bytes = bytes(hex);
            bytes.resize(bytes.len().next_multiple_of(16), 0);
            bytes
        };
        for (r, s, message, tag) in cases {
            let key = [padded(r), padded(s)].concat();
            assert_eq!(poly1305(key.first_chunk().unwrap(), &padded(message)).to_vec(), padded(tag), "{message}");
        }
    }

    /// The vector of NaCl's own tests (`secretbox.c`).
    #[test]
    fn a_box_of_nacl_is_opened() {
        let key = bytes("1b27556473e985d462cd51197a9a46c76009549eac6474f206c4ee0844f68389");
        let nonce = bytes("69696ee955b62b73cd62bda875fc73d68219e0036b7a0b37");
        let sealed = bytes(
            "f3ffc7703f9400e52a7dfb4b3d3305d9 8e993b9f48681273c29650ba32fc76ce 48332ea7164d96a4476fb8c531a1186a
             c0dfc17c98dce87b4da7f011ec48c972 71d2c20f9b928fe2270d6fb863d51738 b48eeee314a7cc8ab932164548e526ae
             90224368517acfeabd6bb3732bc0e9da 99832b61ca01b6de56244a9e88d5f9b3 7973f622a43d14a6599b1f654cb45a74
             e355a5",
        );
        let opened = open(key.first_chunk().unwrap(), nonce.first_chunk().unwrap(), &sealed).unwrap();
        assert_eq!(opened[..4], bytes("be075fc5"));
        assert_eq!(opened.len(), 131);
        for place in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[place] ^= 1;
            assert!(open(key.first_chunk().unwrap(), nonce.first_chunk().unwrap(), &changed).is_none(), "{place}");
        }
        assert!(open(key.first_chunk().unwrap(), nonce.first_chunk().unwrap(), &sealed[..15]).is_none());
    }
}
