//! A bill of materials as CycloneDX 1.6 in JSON.
//!
//! It has no timestamp, which the specification leaves open, and its serial number follows from the contents.

use rondel_cas::Digest;
use serde_json::{Value, json};

use crate::bill::{Bill, Component, ComponentKind, Relation};

/// Prefix of the names of properties.
const OWN: &str = "rondel:";

/// Returns the document.
pub fn cyclonedx_document(bill: &Bill) -> Value {
    let is_tool = |position: usize| {
        let mut of_part = bill.relations.iter().filter(|(_, _, part)| *part == position).peekable();
        of_part.peek().is_some() && of_part.all(|(_, relation, _)| *relation == Relation::BuiltWith)
    };
    let components: Vec<Value> = bill
        .components
        .iter()
        .enumerate()
        .map(|(position, one)| {
            let mut value = component(one, &reference(position));
            if is_tool(position) {
                value["scope"] = json!("excluded");
            }
            value
        })
        .collect();
    let mut dependencies = Vec::new();
    for position in 0..bill.components.len() {
        let of_whole =
            bill.relations.iter().filter(|(whole, relation, _)| *whole == position && *relation != Relation::BuiltWith);
        let mut parts: Vec<usize> = of_whole.map(|(_, _, part)| *part).collect();
        parts.sort_unstable();
        parts.dedup();
        if !parts.is_empty() {
            let parts: Vec<String> = parts.into_iter().map(reference).collect();
            dependencies.push(json!({"ref": reference(position), "dependsOn": parts}));
        }
    }
    let metadata = json!({
        "tools": {"components": [{"type": "application", "name": "rondel"}]},
        "component": components[0],
        "properties": [{"name": format!("{OWN}project"), "value": bill.project}],
    });
    let mut document = json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": metadata,
        "components": components[1..],
        "dependencies": dependencies,
    });
    let contents = serde_json::to_vec(&document).expect("plain data");
    document["serialNumber"] = json!(format!("urn:uuid:{}", uuid_of(&contents)));
    document
}

fn component(component: &Component, reference: &str) -> Value {
    let kind = match component.kind {
        ComponentKind::Executable | ComponentKind::Toolchain => "application",
        ComponentKind::Archive => "file",
        ComponentKind::Image => "container",
        ComponentKind::Module | ComponentKind::Package => "library",
        ComponentKind::OperatingSystem => "operating-system",
    };
    let mut value = json!({"type": kind, "bom-ref": reference, "name": component.name});
    if !component.version.is_empty() {
        value["version"] = json!(component.version);
    }
    if let Some(purl) = &component.purl {
        value["purl"] = json!(purl);
    }
    if let Some(digest) = &component.digest {
        value["hashes"] = json!([{"alg": "SHA-256", "content": digest.hex()}]);
    }
    if let Some(licence) = &component.licence {
        // What the authors say; nobody has judged it.
        value["licenses"] = match licence.contains(' ') {
            true => json!([{"expression": licence, "acknowledgement": "declared"}]),
            false => json!([{"license": {"id": licence, "acknowledgement": "declared"}}]),
        };
    }
    if !component.facts.is_empty() {
        let facts = component.facts.iter();
        let facts = facts.map(|fact| json!({"name": format!("{OWN}{}", fact.name), "value": fact.value}));
        value["properties"] = json!(facts.collect::<Vec<_>>());
    }
    value
}

fn reference(position: usize) -> String {
    format!("component-{position}")
}

/// Returns the UUID of a text: version 8 of RFC 9562, whose bits are the maker's own, here those of the SHA-256.
pub(crate) fn uuid_of(contents: &[u8]) -> String {
    let digest = Digest::of(contents);
    let mut bytes: [u8; 16] = digest.hash()[..16].try_into().expect("16 of 32 bytes");
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}
