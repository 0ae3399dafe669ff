//! The `Static` base: the files that a static binary needs, and nothing else.

use std::collections::BTreeMap;

use base64::Engine as _;
use rondel_cas::RelativePath;

use crate::layer::{LayerEntry, LayerSource};

/// Version of the root certificates, for keys: Mozilla's, from the pinned crate.
pub const ROOT_BUNDLE: &str = "webpki-root-certs-1.0.11";

/// Returns certificates, users, `/tmp`. The user `nonroot` has the number 65532, as in other minimal images.
pub fn static_base() -> BTreeMap<RelativePath, LayerEntry> {
    let mut entries = base_without_certificates();
    let certificates = LayerEntry::file(LayerSource::Bytes(root_certificates().into_bytes()), false);
    entries.insert(RelativePath::new("etc/ssl/certs/ca-certificates.crt").expect("a constant"), certificates);
    entries
}

/// Returns the base without its only large file.
pub fn base_without_certificates() -> BTreeMap<RelativePath, LayerEntry> {
    let text = |text: &str| LayerEntry::file(LayerSource::Bytes(text.as_bytes().to_vec()), false);
    let path = |text: &str| RelativePath::new(text).expect("a constant");
    let home = LayerEntry { mode: 0o700, uid: 65532, gid: 65532, ..LayerEntry::directory() };
    BTreeMap::from([
        (
            path("etc/passwd"),
            text(
                "root:x:0:0:root:/root:/sbin/nologin\nnobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n",
            ),
        ),
        (path("etc/group"), text("root:x:0:\nnobody:x:65534:\nnonroot:x:65532:\n")),
        (path("home/nonroot"), home),
        (path("root"), LayerEntry { mode: 0o700, ..LayerEntry::directory() }),
        (path("tmp"), LayerEntry { mode: 0o1777, ..LayerEntry::directory() }),
    ])
}

/// Path of an image's time zones, as one archive that Go's `time` reads.
pub fn zoneinfo_path() -> RelativePath {
    RelativePath::new("usr/share/zoneinfo.zip").expect("a constant")
}

/// Variable that gives this path to Go's `time`.
pub fn zoneinfo_environment() -> (String, String) {
    ("ZONEINFO".to_owned(), format!("/{}", zoneinfo_path()))
}

/// Returns Mozilla's certificates as PEM, in the order of their bytes.
pub fn root_certificates() -> String {
    let mut roots: Vec<&[u8]> = webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().map(AsRef::as_ref).collect();
    roots.sort_unstable();
    let mut pem = String::new();
    for der in roots {
        pem.push_str("-----BEGIN CERTIFICATE-----\n");
        let text = base64::engine::general_purpose::STANDARD.encode(der);
        for line in text.as_bytes().chunks(64) {
            pem.push_str(std::str::from_utf8(line).expect("base64 is ASCII"));
            pem.push('\n');
        }
        pem.push_str("-----END CERTIFICATE-----\n");
    }
    pem
}
