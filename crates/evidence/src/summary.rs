//! Verification summaries (SLSA, `https://slsa.dev/verification_summary/v1`): somebody has built artefacts again and found the
//! same bytes.

use std::collections::BTreeSet;

use rondel_cas::Digest;
use serde_json::json;

/// The verifier is the person who ran `rebuild`. The key of the signature tells who it was.
const VERIFIER: &str = "urn:rondel:verifier:rebuild";
/// What was demanded: docs/rebuilding.md.
const POLICY: &str = "urn:rondel:policy:rebuilt:1";
/// The specification demands a time. Evidence has no clock, so it is the one of all documents.
const TIME: &str = "1970-01-01T00:00:00Z";

/// A summary.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VerificationSummary {
    /// Name and SHA-256 in hexadecimal of each artefact that was built again.
    pub subjects: BTreeSet<(String, String)>,
    /// What the artefacts are: a package URL.
    pub resource: String,
    /// Name and digest of the provenance that the build followed.
    pub provenance: (String, Option<Digest>),
}

impl VerificationSummary {
    /// Type of the predicate.
    pub const PREDICATE: &'static str = "https://slsa.dev/verification_summary/v1";

    /// Returns the bytes of the statement.
    pub fn statement(&self) -> Vec<u8> {
        let subjects = self.subjects.iter().map(|(name, hash)| json!({"name": name, "digest": {"sha256": hash}}));
        let (name, digest) = &self.provenance;
        let inputs = digest.iter().map(|digest| json!({"name": name, "digest": {"sha256": digest.hex()}}));
        let statement = json!({
            "_type": "https://in-toto.io/Statement/v1",
            "subject": subjects.collect::<Vec<_>>(),
            "predicateType": VerificationSummary::PREDICATE,
            "predicate": {
                "verifier": {"id": VERIFIER},
                "timeVerified": TIME,
                "resourceUri": self.resource,
                "policy": {"uri": POLICY},
                "inputAttestations": inputs.collect::<Vec<_>>(),
                "verificationResult": "PASSED",
                "verifiedLevels": ["SLSA_BUILD_LEVEL_1", "RONDEL_REBUILT"],
                "slsaVersion": "1.1",
            },
        });
        serde_json::to_vec(&statement).expect("plain data")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary() {
        let summary = VerificationSummary {
            subjects: [("b".to_owned(), "2".repeat(64)), ("a".to_owned(), "1".repeat(64))].into(),
            resource: "pkg:generic/small".to_owned(),
            provenance: ("small_1.2.3_provenance.json".to_owned(), Some(Digest::of(b"{}"))),
        };
        let value: serde_json::Value = serde_json::from_slice(&summary.statement()).unwrap();
        expect_test::expect![[r#"
            {
              "_type": "https://in-toto.io/Statement/v1",
              "predicate": {
                "inputAttestations": [
                  {
                    "digest": {
                      "sha256": "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
                    },
                    "name": "small_1.2.3_provenance.json"
                  }
                ],
                "policy": {
                  "uri": "urn:rondel:policy:rebuilt:1"
                },
                "resourceUri": "pkg:generic/small",
                "slsaVersion": "1.1",
                "timeVerified": "1970-01-01T00:00:00Z",
                "verificationResult": "PASSED",
                "verifiedLevels": [
                  "SLSA_BUILD_LEVEL_1",
                  "RONDEL_REBUILT"
                ],
                "verifier": {
                  "id": "urn:rondel:verifier:rebuild"
                }
              },
              "predicateType": "https://slsa.dev/verification_summary/v1",
              "subject": [
                {
                  "digest": {
                    "sha256": "1111111111111111111111111111111111111111111111111111111111111111"
                  },
                  "name": "a"
                },
                {
                  "digest": {
                    "sha256": "2222222222222222222222222222222222222222222222222222222222222222"
                  },
                  "name": "b"
                }
              ]
            }"#]]
        .assert_eq(&serde_json::to_string_pretty(&value).unwrap());
    }
}
