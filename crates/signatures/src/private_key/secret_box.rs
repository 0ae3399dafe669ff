//! NaCl's secretbox, opened: XSalsa20 with Poly1305. Nothing is decrypted before its tag is right.

use poly1305::Poly1305;
use poly1305::universal_hash::KeyInit as _;
use salsa20::XSalsa20;
use salsa20::cipher::{KeyIvInit as _, StreamCipher as _};

/// Returns what is in the box, or `None` if key or bytes are wrong.
pub(super) fn open(key: &[u8; 32], nonce: &[u8; 24], sealed: &[u8]) -> Option<Vec<u8>> {
    let (tag, contents) = sealed.split_at_checked(16)?;
    let mut stream = XSalsa20::new(key.into(), nonce.into());
    // The first 32 bytes of the stream are the key of the tag.
    let mut tag_key = [0; 32];
    stream.apply_keystream(&mut tag_key);
    let expected = Poly1305::new(&tag_key.into()).compute_unpadded(contents);
    // The time that it takes tells nothing of where they differ.
    if tag.iter().zip(expected).fold(0, |sum, (one, other)| sum | (one ^ other)) != 0 {
        return None;
    }
    let mut opened = contents.to_vec();
    stream.apply_keystream(&mut opened);
    Some(opened)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
        digits.chunks(2).map(|two| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap()).collect()
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
