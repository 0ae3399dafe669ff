//! Documents of registries and layouts: index, manifest and configuration, by OCI (image specification 1.1) and by
//! Docker (image manifest version 2, schema 2). They come from outside: everything is checked, and what is not used is
//! passed over.

use std::collections::BTreeMap;

use rondel_cas::Digest;
use serde::Deserialize;

use crate::media_types::{INDEX, MANIFEST};

/// Docker's media types of index and manifest.
const DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";

/// All media types of documents that an image is found by, for `Accept`.
pub const DOCUMENT_TYPES: &[&str] = &[INDEX, DOCKER_INDEX, MANIFEST, DOCKER_MANIFEST];

/// Maximum size of a document in bytes, as registries have it.
pub const DOCUMENT_BYTES_MAX: u64 = 4 << 20;
/// Maximum size of a blob in bytes: far more than any layer has, and no sum of them overflows.
const BLOB_BYTES_MAX: u64 = 1 << 40;
/// Maximum numbers of entries of an index, and of layers of an image (overlay file systems end there).
const ENTRIES_MAX: usize = 1_000;
const LAYERS_MAX: usize = 127;

/// Why a document is not usable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct DocumentError(String);

impl DocumentError {
    pub(crate) fn new(text: String) -> DocumentError {
        DocumentError(text)
    }
}

/// Where a blob or another document is, and how its bytes are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// `application/vnd.oci.image.layer.v1.tar+gzip`
    pub media_type: String,
    /// Hash and size.
    pub digest: Digest,
    /// For which platform, in an index.
    pub platform: Option<DocumentPlatform>,
    /// True for an attestation, which BuildKit keeps among the images.
    pub is_attestation: bool,
}

/// The platform of an entry of an index.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct DocumentPlatform {
    /// `linux`
    #[serde(default)]
    pub os: String,
    /// `arm`
    #[serde(default)]
    pub architecture: String,
    /// `v7`
    #[serde(default)]
    pub variant: Option<String>,
}

/// What a reference leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Document {
    /// Images for several platforms.
    Index(Vec<Descriptor>),
    /// One image.
    Manifest {
        /// Its configuration.
        config: Descriptor,
        /// Lowest first.
        layers: Vec<Descriptor>,
    },
}

impl std::fmt::Display for DocumentPlatform {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}/{}", self.os.escape_debug(), self.architecture.escape_debug())?;
        match &self.variant {
            Some(variant) if !variant.is_empty() => write!(formatter, "/{}", variant.escape_debug()),
            _ => Ok(()),
        }
    }
}

#[derive(Deserialize)]
struct WireDescriptor {
    #[serde(rename = "mediaType", default)]
    media_type: String,
    digest: String,
    size: u64,
    #[serde(default)]
    platform: Option<DocumentPlatform>,
    #[serde(default)]
    annotations: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
struct WireDocument {
    #[serde(rename = "schemaVersion")]
    schema_version: u64,
    #[serde(rename = "mediaType", default)]
    media_type: Option<String>,
    #[serde(default)]
    manifests: Option<Vec<WireDescriptor>>,
    #[serde(default)]
    config: Option<WireDescriptor>,
    #[serde(default)]
    layers: Option<Vec<WireDescriptor>>,
}

impl Document {
    /// Reads a document; `media_type` is what the server or the descriptor calls it, without parameters.
    pub fn parse(media_type: &str, bytes: &[u8]) -> Result<Document, DocumentError> {
        let wrong = |text: String| DocumentError(text);
        let wire: WireDocument = serde_json::from_slice(bytes)
            .map_err(|error| wrong(format!("no image manifest or index: {}", place(&error))))?;
        if wire.schema_version != 2 {
            let version = wire.schema_version;
            return Err(wrong(format!("a manifest of schema version {version}; Docker replaced it in 2016")));
        }
        // The document's own word wins: it is under the digest, and the server's is not.
        let kind = wire.media_type.as_deref().unwrap_or(media_type);
        match (kind, wire.manifests, wire.config, wire.layers) {
            (INDEX | DOCKER_INDEX, Some(manifests), None, None) if manifests.len() <= ENTRIES_MAX => {
                manifests.into_iter().map(WireDescriptor::check).collect::<Result<_, _>>().map(Document::Index)
            }
            (MANIFEST | DOCKER_MANIFEST, None, Some(config), Some(layers)) if layers.len() <= LAYERS_MAX => {
                let layers = layers.into_iter().map(WireDescriptor::check).collect::<Result<_, _>>()?;
                Ok(Document::Manifest { config: config.check()?, layers })
            }
            (INDEX | DOCKER_INDEX, Some(many), None, None) => {
                Err(wrong(format!("an index of {} entries; at most {ENTRIES_MAX} are taken", many.len())))
            }
            (INDEX | DOCKER_INDEX | MANIFEST | DOCKER_MANIFEST, ..) => {
                Err(wrong(format!("a document that says it is `{kind}`, and has other fields")))
            }
            _ => Err(wrong(format!("a document of the type `{}`, which is no image", kind.escape_debug()))),
        }
    }
}

/// Returns what is wrong with a text, without the names of fields in this program.
pub(crate) fn place(error: &serde_json::Error) -> String {
    match error.classify() {
        serde_json::error::Category::Data => {
            format!("line {}, column {} is not as expected", error.line(), error.column())
        }
        _ => "it is no JSON, or ends too early".to_owned(),
    }
}

impl WireDescriptor {
    fn check(self) -> Result<Descriptor, DocumentError> {
        let digest = digest_of(&self.digest, self.size)?;
        let annotations = self.annotations.unwrap_or_default();
        let unknown = self.platform.as_ref().is_some_and(|platform| platform.os == "unknown");
        Ok(Descriptor {
            media_type: self.media_type,
            digest,
            platform: self.platform,
            is_attestation: unknown || annotations.contains_key("vnd.docker.reference.type"),
        })
    }
}

/// Reads `sha256:…`.
pub fn digest_of(text: &str, size: u64) -> Result<Digest, DocumentError> {
    let wrong = || {
        let shown: String = text.chars().take(100).collect();
        DocumentError(format!("`{}` is no digest that Rondel checks: only `sha256:` is", shown.escape_debug()))
    };
    if size > BLOB_BYTES_MAX {
        return Err(DocumentError(format!("a blob of {size} bytes; at most {BLOB_BYTES_MAX} are taken")));
    }
    let hex = text.strip_prefix("sha256:").ok_or_else(wrong)?;
    format!("{hex}/{size}").parse().map_err(|_| wrong())
}

/// Returns the entry for a platform: that of the variant if it is named, else the best that runs there, as containerd
/// chooses (`arm` without a variant is v7, `arm64` is v8, and a lower variant runs on a higher machine).
pub fn choose<'a>(
    entries: &'a [Descriptor],
    os: &str,
    architecture: &str,
    variant: Option<&str>,
) -> Option<&'a Descriptor> {
    let usual = |variant: Option<&str>| match (architecture, variant.unwrap_or("")) {
        ("arm", "") => 7,
        ("arm64", "") => 8,
        ("amd64", "") => 1,
        (_, variant) => variant.trim_start_matches('v').split('.').next().and_then(|n| n.parse().ok()).unwrap_or(0),
    };
    let wanted = usual(variant);
    let fitting = entries.iter().filter(|entry| !entry.is_attestation).filter_map(|entry| {
        let platform = entry.platform.as_ref()?;
        let own: u32 = usual(platform.variant.as_deref());
        (platform.os == os && platform.architecture == architecture && own <= wanted).then_some((own, entry))
    });
    // Of two with the same variant the first wins.
    fitting
        .fold(None, |best: Option<(u32, &Descriptor)>, (own, entry)| match best {
            Some((found, _)) if found >= own => best,
            _ => Some((own, entry)),
        })
        .map(|(_, entry)| entry)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

    fn entry(platform: &str, more: &str) -> String {
        let mut parts = platform.split('/');
        let (os, architecture) = (parts.next().unwrap(), parts.next().unwrap());
        let variant = parts.next().map(|variant| format!(r#","variant":"{variant}""#)).unwrap_or_default();
        format!(
            r#"{{"digest":"{HEX}","size":{},"platform":{{"os":"{os}","architecture":"{architecture}"{variant}}}{more}}}"#,
            platform.len()
        )
    }

    fn index(entries: &[String]) -> String {
        format!(r#"{{"schemaVersion":2,"manifests":[{}]}}"#, entries.join(","))
    }

    #[test]
    fn the_best_entry_for_a_platform() {
        let attestation =
            entry("linux/amd64", r#","annotations":{"vnd.docker.reference.type":"attestation-manifest"}"#);
        let entries = ["linux/arm/v5", "linux/arm/v7", "linux/arm64/v8", "linux/amd64", "windows/amd64"];
        let mut entries: Vec<String> = entries.iter().map(|platform| entry(platform, "")).collect();
        entries.insert(0, attestation);
        entries.push(entry("unknown/unknown", ""));
        let Document::Index(found) = Document::parse(INDEX, index(&entries).as_bytes()).unwrap() else { panic!() };
        let chosen = |os, architecture, variant| {
            choose(&found, os, architecture, variant).map(|entry| entry.platform.as_ref().unwrap().to_string())
        };
        for (architecture, variant, expected) in [
            ("amd64", None, Some("linux/amd64")),
            ("amd64", Some("v3"), Some("linux/amd64")),
            ("arm", None, Some("linux/arm/v7")),
            ("arm", Some("v7"), Some("linux/arm/v7")),
            ("arm", Some("v6"), Some("linux/arm/v5")),
            ("arm64", None, Some("linux/arm64/v8")),
            ("riscv64", None, None),
        ] {
            assert_eq!(chosen("linux", architecture, variant).as_deref(), expected, "{architecture} {variant:?}");
        }
        assert!(!choose(&found, "linux", "amd64", None).unwrap().is_attestation);
        assert_eq!(chosen("unknown", "unknown", None), None);
    }

    #[test]
    fn hostile_documents() {
        let manifest = |digest: &str| {
            format!(
                r#"{{"schemaVersion":2,"mediaType":"{MANIFEST}","config":{{"digest":"{digest}","size":2}},"layers":[]}}"#
            )
        };
        assert!(Document::parse("text/plain", manifest(HEX).as_bytes()).is_ok(), "its own word wins");
        let many = vec![entry("linux/amd64", ""); ENTRIES_MAX + 1];
        for (media_type, text, expected) in [
            (INDEX, "{".to_owned(), "no image manifest"),
            (INDEX, r#"{"schemaVersion":1}"#.to_owned(), "schema version 1"),
            ("text/html", index(&[]), "which is no image"),
            (MANIFEST, index(&[]), "other fields"),
            (INDEX, index(&many), "an index of 1001 entries"),
            (MANIFEST, manifest("sha512:00"), "is no digest"),
            (MANIFEST, manifest(&HEX.to_uppercase()), "is no digest"),
            (MANIFEST, manifest("sha256:\u{e9}"), "is no digest"),
            (
                MANIFEST,
                manifest(HEX).replace("\"size\":2", "\"size\":9223372036854775813"),
                "a blob of 9223372036854775813 bytes",
            ),
            (MANIFEST, manifest(&format!("sha256:{}é", "a".repeat(62))), "is no digest"),
        ] {
            let error = Document::parse(media_type, text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
