//! What is known of vulnerabilities in an artefact, as an OpenVEX 0.2.0 document.
//!
//! The specification demands a time. It is that of the artefact, so that the same findings give the same bytes.

use rondel_cas::Digest;
use serde_json::{Value, json};

use crate::cyclonedx::uuid_of;

/// What is said about vulnerabilities in one artefact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VulnerabilityStatements {
    /// Who says it.
    pub author: String,
    /// RFC 3339.
    pub time: String,
    /// Package URLs of the artefact: one for each place that it is in.
    pub products: Vec<String>,
    /// SHA-256 of the artefact.
    pub digest: Digest,
    /// What is said, one a vulnerability and part.
    pub statements: Vec<VulnerabilityStatement>,
}

/// What is said about one vulnerability.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VulnerabilityStatement {
    /// Its name.
    pub name: String,
    /// Its names in other databases.
    pub aliases: Vec<String>,
    /// A line about it; may be empty.
    pub description: String,
    /// Package URL of the part that has it.
    pub part: Option<String>,
    /// What it means for the artefact.
    pub status: VulnerabilityStatus,
}

/// What a vulnerability means for an artefact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VulnerabilityStatus {
    /// The package with it is not in the artefact.
    NotPresent,
    /// No function with it is called.
    NotReached,
    /// It is there, and the author says what that means.
    Affected(String),
}

impl VulnerabilityStatements {
    /// Type of a statement of in-toto that has the document as its predicate, as vexctl and cosign have it.
    pub const PREDICATE: &'static str = "https://openvex.dev/ns";

    /// Returns the document.
    pub fn document(&self) -> Value {
        let statements: Vec<Value> = self.statements.iter().map(|one| self.statement(one)).collect();
        let mut document = json!({
            "@context": "https://openvex.dev/ns/v0.2.0",
            "author": self.author,
            "timestamp": self.time,
            "version": 1,
            "tooling": "rondel",
            "statements": statements,
        });
        let contents = serde_json::to_vec(&document).expect("plain data");
        document["@id"] = json!(format!("urn:uuid:{}", uuid_of(&contents)));
        document
    }

    fn statement(&self, one: &VulnerabilityStatement) -> Value {
        let mut vulnerability = json!({"name": one.name});
        if !one.aliases.is_empty() {
            vulnerability["aliases"] = json!(one.aliases);
        }
        if !one.description.is_empty() {
            vulnerability["description"] = json!(one.description);
        }
        let product = |name: &String| {
            let mut product = json!({"@id": name, "hashes": {"sha-256": self.digest.hex()}});
            if let Some(part) = &one.part {
                product["subcomponents"] = json!([{"@id": part}]);
            }
            product
        };
        let products: Vec<Value> = self.products.iter().map(product).collect();
        let mut statement = json!({"vulnerability": vulnerability, "products": products});
        let (status, field, value) = match &one.status {
            VulnerabilityStatus::NotPresent => ("not_affected", "justification", "vulnerable_code_not_present"),
            VulnerabilityStatus::NotReached => ("not_affected", "justification", "vulnerable_code_not_in_execute_path"),
            VulnerabilityStatus::Affected(action) => ("affected", "action_statement", action.as_str()),
        };
        statement["status"] = json!(status);
        statement[field] = json!(value);
        statement
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document() {
        let statement = |name: &str, status| VulnerabilityStatement {
            name: name.into(),
            aliases: vec!["CVE-1".into()],
            description: "Versions are believed".into(),
            part: Some("pkg:golang/example.com/m@v1.0.0".into()),
            status,
        };
        let own = VulnerabilityStatement {
            aliases: Vec::new(),
            description: String::new(),
            part: None,
            ..statement("GO-3", VulnerabilityStatus::NotPresent)
        };
        let statements = VulnerabilityStatements {
            author: "small".into(),
            time: "1970-01-01T00:00:00Z".into(),
            products: vec!["pkg:oci/image@sha256%3A00".into()],
            digest: Digest::of(b"image"),
            statements: vec![
                statement("GO-1", VulnerabilityStatus::Affected("only our own files are parsed".into())),
                statement("GO-2", VulnerabilityStatus::NotReached),
                own,
            ],
        };
        let text = serde_json::to_string_pretty(&statements.document()).unwrap();
        expect_test::expect_file!["expected/image.openvex.json"].assert_eq(&text);
    }
}
