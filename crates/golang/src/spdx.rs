//! A bill of materials of one executable: SPDX 2.3 in JSON, from its embedded build information.
//!
//! It is deterministic: no random identifier, no time of day; the same executable has the same document. go.sum's `h1:`
//! is a hash over a directory and not of any file, so it is given in words and never as a checksum.

use rondel_cas::Digest;
use rondel_fetch::percent_escaped;
use serde_json::{Value, json};

use crate::build_info::{BuildInfo, ModuleVersion};

/// Version of the document's form, for keys.
pub const SPDX_FORMAT: &str = "SPDX-2.3 rondel-1";

/// Subject of the document.
pub struct SpdxSubject<'a> {
    /// Name of the file.
    pub name: &'a str,
    /// Digest of the file.
    pub digest: Digest,
    /// Its embedded build information.
    pub info: &'a BuildInfo,
    /// Name of the project.
    pub project: &'a str,
}

/// Returns the document, pretty-printed, with a line break at its end.
pub fn spdx_document(subject: &SpdxSubject<'_>) -> Vec<u8> {
    let info = subject.info;
    let go_version = info.go_version.split_whitespace().next().unwrap_or("").trim_start_matches("go");
    let main = info.main.clone().unwrap_or_default();
    let mut packages = vec![json!({
        "SPDXID": "SPDXRef-Executable",
        "name": subject.name,
        "versionInfo": stated(&main.version),
        "packageFileName": subject.name,
        "primaryPackagePurpose": "APPLICATION",
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": false,
        "licenseConcluded": "NOASSERTION",
        "licenseDeclared": "NOASSERTION",
        "copyrightText": "NOASSERTION",
        "checksums": [{"algorithm": "SHA256", "checksumValue": subject.digest.hex()}],
        "comment": settings(info),
    })];
    let mut relationships = vec![json!({
        "spdxElementId": "SPDXRef-DOCUMENT",
        "relationshipType": "DESCRIBES",
        "relatedSpdxElement": "SPDXRef-Executable",
    })];
    let mut contain = |package: Value, relationship: &str| {
        relationships.push(json!({
            "spdxElementId": "SPDXRef-Executable",
            "relationshipType": relationship,
            "relatedSpdxElement": package["SPDXID"],
        }));
        packages.push(package);
    };
    if !main.path.is_empty() {
        contain(module_package(0, &main), "GENERATED_FROM");
    }
    for (index, module) in info.dependencies.iter().enumerate() {
        contain(module_package(index + 1, module), "STATIC_LINK");
    }
    let library = ModuleVersion { path: "stdlib".into(), version: go_version.into(), ..ModuleVersion::default() };
    let mut library = module_package(info.dependencies.len() + 1, &library);
    library["licenseDeclared"] = json!("BSD-3-Clause");
    contain(library, "STATIC_LINK");
    let document = json!({
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": format!("{}/{}", subject.project, subject.name),
        // Unique for each executable, as the specification wants it, and the same for the same one.
        "documentNamespace": format!("https://spdx.org/spdxdocs/{}-{}", subject.name, subject.digest.hex()),
        "creationInfo": {"created": "1970-01-01T00:00:00Z", "creators": ["Tool: rondel"]},
        "documentDescribes": ["SPDXRef-Executable"],
        "packages": packages,
        "relationships": relationships,
    });
    let mut bytes = serde_json::to_vec_pretty(&document).expect("plain data");
    bytes.push(b'\n');
    bytes
}

fn module_package(index: usize, module: &ModuleVersion) -> Value {
    let used = module.replaced_by.as_deref().unwrap_or(module);
    let mut package = json!({
        "SPDXID": format!("SPDXRef-Module-{index}"),
        "name": used.path,
        "versionInfo": stated(&used.version),
        "primaryPackagePurpose": "LIBRARY",
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": false,
        "licenseConcluded": "NOASSERTION",
        "licenseDeclared": "NOASSERTION",
        "copyrightText": "NOASSERTION",
    });
    let is_versioned = !used.version.is_empty() && used.version != "(devel)";
    // A directory that replaces a module has no public name.
    if !used.path.starts_with(['.', '/']) {
        let version = if is_versioned { format!("@{}", percent_escaped(&used.version)) } else { String::new() };
        let path: Vec<String> = used.path.split('/').map(percent_escaped).collect();
        package["externalRefs"] = json!([{
            "referenceCategory": "PACKAGE-MANAGER",
            "referenceType": "purl",
            "referenceLocator": format!("pkg:golang/{}{version}", path.join("/")),
        }]);
    }
    let mut remarks = Vec::new();
    if !used.sum.is_empty() {
        remarks
            .push(format!("go.sum: {} (hash over the module's directory, golang.org/x/mod/sumdb/dirhash)", used.sum));
    }
    if module.replaced_by.is_some() {
        remarks.push(format!("go.mod puts it in the place of {} {}", module.path, module.version));
    }
    if !remarks.is_empty() {
        package["sourceInfo"] = json!(remarks.join("; "));
    }
    package
}

fn stated(version: &str) -> &str {
    if version.is_empty() { "NOASSERTION" } else { version }
}

fn settings(info: &BuildInfo) -> String {
    let settings: Vec<String> = info.settings.iter().map(|(name, value)| format!("{name}={value}")).collect();
    format!("{}; package {}; {}", info.go_version, info.path, settings.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document() {
        let module = |path: &str, version: &str, sum: &str| ModuleVersion {
            path: path.into(),
            version: version.into(),
            sum: sum.into(),
            replaced_by: None,
        };
        let mut replaced = module("example.com/old", "v1.0.0", "");
        replaced.replaced_by = Some(Box::new(module("./fork", "", "")));
        let info = BuildInfo {
            go_version: "go1.22.12".into(),
            path: "example.com/x".into(),
            main: Some(module("example.com/x", "(devel)", "")),
            dependencies: vec![module("example.com/A+b", "v1.2.3+incompatible", "h1:abc="), replaced],
            settings: vec![("GOOS".into(), "linux".into())],
        };
        let subject = SpdxSubject { name: "x", digest: Digest::of(b"x"), info: &info, project: "p" };
        let text = String::from_utf8(spdx_document(&subject)).unwrap();
        let document: Value = serde_json::from_str(&text).unwrap();
        let packages = document["packages"].as_array().unwrap();
        let purl = |index: usize| packages[index]["externalRefs"][0]["referenceLocator"].as_str();
        assert_eq!(purl(1), Some("pkg:golang/example.com/x"));
        assert_eq!(purl(2), Some("pkg:golang/example.com/A%2Bb@v1.2.3%2Bincompatible"));
        assert_eq!(purl(3), None, "a directory");
        assert_eq!(purl(4), Some("pkg:golang/stdlib@1.22.12"));
        assert!(packages.iter().skip(1).all(|package| package["checksums"].is_null()), "h1 is no checksum");
        assert_eq!(document["relationships"].as_array().unwrap().len(), packages.len());
        assert_eq!(text.as_bytes(), spdx_document(&subject), "the same again");
    }
}
