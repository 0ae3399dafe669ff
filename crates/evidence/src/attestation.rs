//! Statements about artefacts that are to be signed: an in-toto Statement v1 around a document of another form.

use serde_json::{Value, json};

use crate::bill::BillForm;
use crate::provenance::Subject;

/// What cosign says of an image that it signs, and no more than that it was signed.
pub const SIGNED: &str = "https://sigstore.dev/cosign/sign/v1";

/// Returns the bytes of a statement: what is said (`predicate`) of `subject`.
pub fn statement(subject: &Subject, predicate_type: &str, predicate: Value) -> Vec<u8> {
    let statement = json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": subject.name, "digest": {"sha256": subject.digest.hex()}}],
        "predicateType": predicate_type,
        "predicate": predicate,
    });
    serde_json::to_vec(&statement).expect("plain data")
}

/// Returns the package URL of an image in a repository (`registry.example/team/app`), by its digest (`sha256:…`).
pub fn image_purl(repository: &str, digest: &str) -> String {
    let encoded = |text: &str| text.replace(':', "%3A").replace('/', "%2F");
    let name = repository.rsplit('/').next().unwrap_or_default();
    format!("pkg:oci/{name}@{}?repository_url={}", encoded(digest), encoded(repository))
}

impl BillForm {
    /// Returns the type of a statement that has a bill of this form as its predicate.
    pub fn predicate_type(self) -> &'static str {
        match self {
            BillForm::Spdx => "https://spdx.dev/Document",
            BillForm::CycloneDx => "https://cyclonedx.org/bom",
        }
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use rondel_cas::Digest;

    use super::*;

    #[test]
    fn a_statement_about_an_image() {
        let subject = Subject { name: "image".into(), digest: Digest::of(b"index") };
        let bytes = statement(&subject, SIGNED, json!({}));
        expect![[r#"{"_type":"https://in-toto.io/Statement/v1","predicate":{},"predicateType":"https://sigstore.dev/cosign/sign/v1","subject":[{"digest":{"sha256":"1bc04b5291c26a46d918139138b992d2de976d6851d0893b0476b85bfbdfc6e6"},"name":"image"}]}"#]]
        .assert_eq(std::str::from_utf8(&bytes).unwrap());
    }
}
