//! A bill of materials as SPDX 2.3 in JSON.
//!
//! It is deterministic: no random identifier, no time of day; the same artefact has the same document. A hash that is of
//! no file (go.sum's `h1:` is one over a directory) is given in words and never as a checksum.

use rondel_cas::Digest;
use serde_json::{Value, json};

use crate::bill::{Bill, Component, ComponentKind, Relation};

/// Word of the specification for what is not known.
const UNKNOWN: &str = "NOASSERTION";

/// Returns the document.
pub fn spdx_document(bill: &Bill) -> Value {
    let ids: Vec<String> =
        bill.components.iter().enumerate().map(|(index, component)| id(index, component.kind)).collect();
    let packages: Vec<Value> = bill.components.iter().zip(&ids).map(|(one, id)| package(one, id)).collect();
    let relationship = |from: &str, kind: &str, to: &str| json!({"spdxElementId": from, "relationshipType": kind, "relatedSpdxElement": to});
    let mut relationships = vec![relationship("SPDXRef-DOCUMENT", "DESCRIBES", &ids[0])];
    for (whole, relation, part) in &bill.relations {
        let (whole, part) = (&ids[*whole], &ids[*part]);
        relationships.push(match relation {
            Relation::GeneratedFrom => relationship(whole, "GENERATED_FROM", part),
            Relation::Links => relationship(whole, "STATIC_LINK", part),
            Relation::Contains => relationship(whole, "CONTAINS", part),
            Relation::BuiltWith => relationship(part, "BUILD_TOOL_OF", whole),
        });
    }
    let name = format!("{}/{}", bill.project, bill.components[0].name);
    // Unique for each document, as the specification wants it, and the same for the same one.
    let contents = serde_json::to_vec(&json!([name, packages, relationships])).expect("plain data");
    json!({
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": name,
        "documentNamespace": format!("https://spdx.org/spdxdocs/{}-{}", file_name(&bill.components[0].name), Digest::of(&contents).hex()),
        // The specification wants a time. This one says that none was looked at.
        "creationInfo": {"created": "1970-01-01T00:00:00Z", "creators": ["Tool: rondel"]},
        "documentDescribes": [ids[0]],
        "packages": packages,
        "relationships": relationships,
    })
}

fn package(component: &Component, id: &str) -> Value {
    let mut package = json!({
        "SPDXID": id,
        "name": component.name,
        "downloadLocation": UNKNOWN,
        "filesAnalyzed": false,
        "primaryPackagePurpose": purpose(component.kind),
        // Nobody has judged it: what the authors say is declared.
        "licenseConcluded": UNKNOWN,
        "licenseDeclared": component.licence.as_deref().unwrap_or(UNKNOWN),
        "copyrightText": UNKNOWN,
    });
    if !component.version.is_empty() {
        package["versionInfo"] = json!(component.version);
    }
    if let Some(digest) = &component.digest {
        package["checksums"] = json!([{"algorithm": "SHA256", "checksumValue": digest.hex()}]);
    }
    if matches!(component.kind, ComponentKind::Executable | ComponentKind::Archive) {
        package["packageFileName"] = json!(component.name);
    }
    if let Some(purl) = &component.purl {
        package["externalRefs"] = json!([{
            "referenceCategory": "PACKAGE-MANAGER",
            "referenceType": "purl",
            "referenceLocator": purl,
        }]);
    }
    if !component.facts.is_empty() {
        let facts = component.facts.iter().map(|fact| match &fact.note {
            Some(note) => format!("{}: {} ({note})", fact.name, fact.value),
            None => format!("{}: {}", fact.name, fact.value),
        });
        package["sourceInfo"] = json!(facts.collect::<Vec<_>>().join("; "));
    }
    package
}

/// Returns the identifier of a component in the document.
fn id(index: usize, kind: ComponentKind) -> String {
    let word = match kind {
        ComponentKind::Executable => "Executable",
        ComponentKind::Archive => "Archive",
        ComponentKind::Image => "Image",
        ComponentKind::Module => "Module",
        ComponentKind::Package => "Package",
        ComponentKind::OperatingSystem => "OperatingSystem",
        ComponentKind::Toolchain => "Toolchain",
    };
    format!("SPDXRef-{word}-{index}")
}

fn purpose(kind: ComponentKind) -> &'static str {
    match kind {
        ComponentKind::Executable | ComponentKind::Toolchain => "APPLICATION",
        ComponentKind::Archive => "ARCHIVE",
        ComponentKind::Image => "CONTAINER",
        ComponentKind::Module | ComponentKind::Package => "LIBRARY",
        ComponentKind::OperatingSystem => "OPERATING-SYSTEM",
    }
}

/// Returns a name as a part of a URL.
fn file_name(name: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    name.chars().map(|c| if fits(c) { c } else { '-' }).collect()
}
