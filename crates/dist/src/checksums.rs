//! A file of checksums, as `sha256sum --check` reads it. It looks into no file.

use std::collections::BTreeMap;

use rondel_cas::Digest;

/// Returns the lines of files, by name: the digest in hexadecimal, two spaces, and the name.
///
/// Names have no line breaks and no backslashes (`sha256sum` would escape them).
pub fn checksums_text(files: &BTreeMap<String, Digest>) -> String {
    files.iter().map(|(name, digest)| format!("{}  {name}\n", digest.hex())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_a_file_in_order_of_names() {
        let files = [("b.zip", &b"b"[..]), ("a.tar.gz", &b"a"[..])];
        let text = checksums_text(&files.map(|(name, bytes)| (name.to_owned(), Digest::of(bytes))).into());
        assert_eq!(
            text,
            "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb  a.tar.gz\n\
             3e23e8160039594a33894f6564e1b1348bbd7a0088d42c4acb73eeaed59c009d  b.zip\n"
        );
    }
}
