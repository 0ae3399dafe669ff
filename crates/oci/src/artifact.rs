//! Documents about an image, as registries keep them (OCI image specification 1.1, "Guidelines for Artifact Usage"): a
//! manifest with one layer, the document, that names the image as its subject. So the image's own digest stays what it
//! is. The bytes hold no time, so that the same document is the same manifest whenever it is made.
//!
//! It knows manifests and indexes of documents. It knows no registry, and not what a document says.

use std::collections::BTreeMap;

use rondel_cas::Digest;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::document::{DocumentError, digest_of, place};
use crate::image::to_json;
use crate::media_types::{INDEX, MANIFEST};

/// The contents of a configuration that says nothing, and its media type.
pub const EMPTY_CONFIG: &[u8] = b"{}";
const EMPTY: &str = "application/vnd.oci.empty.v1+json";

/// The annotation of documents that Rondel attached: the name of the document.
pub const DOCUMENT_NAME: &str = "rondel.document";
/// The name of a file, for programs that download it.
const TITLE: &str = "org.opencontainers.image.title";

/// Maximum number of documents that one list names.
const ENTRIES_MAX: usize = 10_000;

/// What a document is about: an index or a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// Of the index or manifest.
    pub media_type: String,
    /// Its hash and size.
    pub digest: Digest,
}

/// A document about an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artifact {
    /// `application/spdx+json`
    pub artifact_type: String,
    /// Its name among the documents of the image: `sbom.spdx.json`.
    pub name: String,
    /// Hash and size of its contents.
    pub contents: Digest,
    /// The image.
    pub subject: Subject,
    /// What else its manifest says of it.
    pub annotations: BTreeMap<String, String>,
}

/// An entry in a list of documents. It is what the list says, and no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Referrer {
    /// Of the manifest.
    pub media_type: String,
    /// Hash and size of the manifest.
    pub digest: Digest,
    /// The type of the document, if the list says it.
    pub artifact_type: String,
    /// Of the manifest, if the list has them.
    pub annotations: BTreeMap<String, String>,
}

/// The manifest of a document of any program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArtifactManifest {
    /// The type of the document.
    pub artifact_type: String,
    /// Digest of what it is about, `sha256:…`; `None` if it does not say.
    pub subject: Option<String>,
    /// The files of the document.
    pub files: Vec<ArtifactFile>,
    /// What it says of itself.
    pub annotations: BTreeMap<String, String>,
}

/// A file of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArtifactFile {
    /// Its type.
    pub media_type: String,
    /// Hash and size.
    pub digest: Digest,
    /// What its manifest says of it.
    pub annotations: BTreeMap<String, String>,
}

impl ArtifactFile {
    /// Returns its name, if it has one.
    pub fn title(&self) -> Option<&str> {
        self.annotations.get(TITLE).map(String::as_str)
    }
}

impl Artifact {
    /// Returns the media type and the bytes of its manifest.
    pub fn manifest(&self) -> (&'static str, Vec<u8>) {
        let descriptor = |media_type: &str, digest: &Digest| WrittenDescriptor {
            media_type: media_type.to_owned(),
            digest: digest.oci(),
            size: digest.size(),
            annotations: BTreeMap::new(),
        };
        let mut layer = descriptor(&self.artifact_type, &self.contents);
        layer.annotations.insert(TITLE.to_owned(), self.name.clone());
        let bytes = to_json(&WrittenManifest {
            schema_version: 2,
            media_type: MANIFEST,
            artifact_type: &self.artifact_type,
            config: descriptor(EMPTY, &Digest::of(EMPTY_CONFIG)),
            layers: [layer],
            subject: descriptor(&self.subject.media_type, &self.subject.digest),
            annotations: self.annotations(),
        });
        (MANIFEST, bytes)
    }

    fn annotations(&self) -> BTreeMap<String, String> {
        let mut annotations = self.annotations.clone();
        annotations.insert(DOCUMENT_NAME.to_owned(), self.name.clone());
        annotations
    }

    /// Returns its entry in a list.
    fn entry(&self) -> Value {
        let (media_type, bytes) = self.manifest();
        let digest = Digest::of(&bytes);
        json!({
            "mediaType": media_type,
            "digest": digest.oci(),
            "size": digest.size(),
            "artifactType": self.artifact_type,
            "annotations": self.annotations(),
        })
    }

    /// Returns true for the entry of this document or of an earlier one in its place: Rondel's, with its name and type.
    pub fn is_version_of(&self, referrer: &Referrer) -> bool {
        referrer.annotations.get(DOCUMENT_NAME) == Some(&self.name) && referrer.artifact_type == self.artifact_type
    }
}

#[derive(Serialize)]
struct WrittenDescriptor {
    #[serde(rename = "mediaType")]
    media_type: String,
    digest: String,
    size: u64,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<String, String>,
}

#[derive(Serialize)]
struct WrittenManifest<'a> {
    #[serde(rename = "schemaVersion")]
    schema_version: u32,
    #[serde(rename = "mediaType")]
    media_type: &'static str,
    #[serde(rename = "artifactType")]
    artifact_type: &'a str,
    config: WrittenDescriptor,
    layers: [WrittenDescriptor; 1],
    subject: WrittenDescriptor,
    annotations: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct ReadDescriptor {
    #[serde(rename = "mediaType", default)]
    media_type: String,
    digest: String,
    size: u64,
    #[serde(rename = "artifactType", default)]
    artifact_type: Option<String>,
    #[serde(default)]
    annotations: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
struct ReadList {
    manifests: Vec<Value>,
}

#[derive(Deserialize)]
struct ReadManifest {
    #[serde(rename = "mediaType", default)]
    media_type: Option<String>,
    #[serde(rename = "artifactType", default)]
    artifact_type: Option<String>,
    config: ReadDescriptor,
    layers: Vec<ReadDescriptor>,
    #[serde(default)]
    subject: Option<ReadDescriptor>,
    #[serde(default)]
    annotations: Option<BTreeMap<String, String>>,
}

impl Referrer {
    /// Reads a list of documents, an index. Entries with other hashes than SHA-256 are passed over: nothing can be
    /// checked of them.
    pub fn list(bytes: &[u8]) -> Result<Vec<Referrer>, DocumentError> {
        let list: ReadList = serde_json::from_slice(bytes)
            .map_err(|error| DocumentError::new(format!("no list of documents: {}", place(&error))))?;
        if list.manifests.len() > ENTRIES_MAX {
            let count = list.manifests.len();
            return Err(DocumentError::new(format!("a list of {count} documents; at most {ENTRIES_MAX} are taken")));
        }
        Ok(list.manifests.into_iter().filter_map(Referrer::read).collect())
    }

    fn read(entry: Value) -> Option<Referrer> {
        let entry: ReadDescriptor = serde_json::from_value(entry).ok()?;
        Some(Referrer {
            digest: digest_of(&entry.digest, entry.size).ok()?,
            media_type: entry.media_type,
            artifact_type: entry.artifact_type.unwrap_or_default(),
            annotations: entry.annotations.unwrap_or_default(),
        })
    }
}

impl ArtifactManifest {
    /// Reads the manifest of a document.
    pub fn parse(bytes: &[u8]) -> Result<ArtifactManifest, DocumentError> {
        let read: ReadManifest = serde_json::from_slice(bytes)
            .map_err(|error| DocumentError::new(format!("no manifest of a document: {}", place(&error))))?;
        if let Some(other) = read.media_type.filter(|media_type| media_type != MANIFEST) {
            let message = format!("a manifest of the type `{}`", other.escape_debug());
            return Err(DocumentError::new(message));
        }
        let file = |layer: ReadDescriptor| {
            let digest = digest_of(&layer.digest, layer.size)?;
            let annotations = layer.annotations.unwrap_or_default();
            Ok(ArtifactFile { media_type: layer.media_type, digest, annotations })
        };
        Ok(ArtifactManifest {
            artifact_type: read.artifact_type.filter(|kind| !kind.is_empty()).unwrap_or(read.config.media_type),
            subject: read.subject.map(|subject| subject.digest),
            files: read.layers.into_iter().map(file).collect::<Result<_, _>>()?,
            annotations: read.annotations.unwrap_or_default(),
        })
    }
}

/// Returns the list of documents `there`, an index, with `own`, which are about one image. All entries of others stay as
/// they are and in their order; those of Rondel come behind them, ordered by digest, so that two that add to a list leave
/// the same one, whoever is first. An earlier document in the place of one of `own` is replaced.
pub fn list_with(there: Option<&[u8]>, own: &[Artifact]) -> Result<Vec<u8>, DocumentError> {
    let mut index = match there {
        Some(bytes) => serde_json::from_slice(bytes)
            .map_err(|error| DocumentError::new(format!("no list of documents: {}", place(&error))))?,
        None => json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": []}),
    };
    let Some(entries) = index.get_mut("manifests").and_then(Value::as_array_mut) else {
        return Err(DocumentError::new("no list of documents: `manifests` is no list".to_owned()));
    };
    let is_ours = |entry: &Value| entry["annotations"][DOCUMENT_NAME].is_string();
    let (mut ours, others): (Vec<Value>, Vec<Value>) = std::mem::take(entries).into_iter().partition(is_ours);
    ours.retain(|entry| {
        let read = Referrer::read(entry.clone());
        !read.is_some_and(|read| own.iter().any(|artifact| artifact.is_version_of(&read)))
    });
    ours.extend(own.iter().map(Artifact::entry));
    ours.sort_by_cached_key(|entry| entry["digest"].as_str().unwrap_or_default().to_owned());
    ours.dedup_by_key(|entry| entry["digest"].clone());
    entries.extend(others);
    entries.extend(ours);
    Ok(to_json(&index))
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    fn artifact(name: &str, contents: &[u8]) -> Artifact {
        Artifact {
            artifact_type: "application/spdx+json".to_owned(),
            name: name.to_owned(),
            contents: Digest::of(contents),
            subject: Subject { media_type: INDEX.to_owned(), digest: Digest::of(b"index") },
            annotations: BTreeMap::new(),
        }
    }

    fn entries(bytes: &[u8]) -> Vec<Value> {
        serde_json::from_slice::<Value>(bytes).unwrap()["manifests"].as_array().unwrap().clone()
    }

    #[test]
    fn the_manifest_of_a_document() {
        let (media_type, bytes) = artifact("sbom.json", b"{}\n").manifest();
        assert_eq!(media_type, MANIFEST);
        expect![[r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","artifactType":"application/spdx+json","config":{"mediaType":"application/vnd.oci.empty.v1+json","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2},"layers":[{"mediaType":"application/spdx+json","digest":"sha256:ca3d163bab055381827226140568f3bef7eaac187cebd76878e0b63e9e442356","size":3,"annotations":{"org.opencontainers.image.title":"sbom.json"}}],"subject":{"mediaType":"application/vnd.oci.image.index.v1+json","digest":"sha256:1bc04b5291c26a46d918139138b992d2de976d6851d0893b0476b85bfbdfc6e6","size":5},"annotations":{"rondel.document":"sbom.json"}}"#]]
        .assert_eq(std::str::from_utf8(&bytes).unwrap());
        // What else is said of it stands in its manifest and in lists.
        let said = BTreeMap::from([("kind".to_owned(), "bill".to_owned())]);
        let more = Artifact { annotations: said, ..artifact("sbom.json", b"{}\n") };
        assert_eq!(ArtifactManifest::parse(&more.manifest().1).unwrap().annotations["kind"], "bill");
        assert_eq!(more.entry()["annotations"], json!({"kind": "bill", DOCUMENT_NAME: "sbom.json"}));
        let read = ArtifactManifest::parse(&bytes).unwrap();
        assert_eq!(read.artifact_type, "application/spdx+json");
        assert_eq!(read.subject, Some(Digest::of(b"index").oci()));
        assert_eq!((read.files[0].digest, read.files[0].title()), (Digest::of(b"{}\n"), Some("sbom.json")));
        // What says no type of its own has that of its configuration.
        let text = String::from_utf8(bytes).unwrap();
        let old = text.replacen(r#""artifactType":"application/spdx+json","#, "", 1);
        assert_eq!(ArtifactManifest::parse(old.as_bytes()).unwrap().artifact_type, EMPTY);
    }

    #[test]
    fn lists_keep_what_others_have() {
        let signature = json!({
            "mediaType": MANIFEST, "digest": format!("sha256:{}", "f".repeat(64)), "size": 9,
            "artifactType": "application/vnd.dev.sigstore.bundle.v0.3+json", "annotations": {"a": "b"}, "data": "eA==",
        });
        let odd = json!({"digest": "sha512:00", "size": 1, "urls": ["x"]});
        let there = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [signature, odd], "annotations": {"of": "others"}});
        let there = serde_json::to_vec(&there).unwrap();
        let (sbom, licences) = (artifact("sbom.json", b"1"), artifact("licences.json", b"2"));
        let first = list_with(Some(&there), std::slice::from_ref(&sbom)).unwrap();
        let one_way = list_with(Some(&first), std::slice::from_ref(&licences)).unwrap();
        let other_way = list_with(
            Some(&list_with(Some(&there), std::slice::from_ref(&licences)).unwrap()),
            std::slice::from_ref(&sbom),
        )
        .unwrap();
        assert_eq!(one_way, other_way, "whoever comes first");
        assert_eq!(one_way, list_with(Some(&there), &[sbom.clone(), licences.clone()]).unwrap(), "both at once");
        assert_eq!(entries(&one_way)[..2], [signature.clone(), odd.clone()]);
        assert_eq!(entries(&one_way).len(), 4);
        assert_eq!(serde_json::from_slice::<Value>(&one_way).unwrap()["annotations"]["of"], "others");
        // Once more, it is the same; another version takes the place of the first, and of nothing else.
        assert_eq!(list_with(Some(&one_way), &[sbom]).unwrap(), one_way);
        let newer = artifact("sbom.json", b"3");
        let replaced = list_with(Some(&one_way), std::slice::from_ref(&newer)).unwrap();
        assert_eq!(replaced, list_with(Some(&there), &[newer, licences]).unwrap());
        // The name without Rondel's annotation, or with another type, is somebody else's.
        let mut foreign = artifact("sbom.json", b"1").entry();
        foreign["annotations"] = json!({"title": "sbom.json"});
        let mut typed = artifact("sbom.json", b"1").entry();
        typed["artifactType"] = json!("text/plain");
        let there = serde_json::to_vec(&json!({"manifests": [foreign, typed]})).unwrap();
        assert_eq!(entries(&list_with(Some(&there), &[artifact("sbom.json", b"4")]).unwrap()).len(), 3);
    }

    #[test]
    fn hostile_lists() {
        let hex = "a".repeat(64);
        let entry = |digest: &str, size: &str| format!(r#"{{"digest":"{digest}","size":{size}}}"#);
        let sound = entry(&format!("sha256:{hex}"), "5");
        let passed_over = [
            entry("sha512:00", "1"),
            entry(&format!("sha256:{}", "A".repeat(64)), "1"),
            entry("sha256:../../etc", "1"),
            entry(&format!("sha256:{hex}"), "-1"),
            entry(&format!("sha256:{hex}"), "9223372036854775813"),
            "[]".to_owned(),
            "null".to_owned(),
            format!(r#"{{"digest":"sha256:{hex}","size":5,"annotations":[1]}}"#),
        ];
        let list = format!(r#"{{"manifests":[{},{sound}]}}"#, passed_over.join(","));
        assert_eq!(Referrer::list(list.as_bytes()).unwrap().len(), 1);
        let many = format!(r#"{{"manifests":[{}]}}"#, vec!["0"; ENTRIES_MAX + 1].join(","));
        for text in ["", "[]", "{}", r#"{"manifests":{}}"#, "<html>", &many] {
            assert!(Referrer::list(text.as_bytes()).is_err(), "{}", &text[..text.len().min(20)]);
        }
        for text in ["[]", "{}", r#"{"manifests":{}}"#, "<html>", "3"] {
            assert!(list_with(Some(text.as_bytes()), &[artifact("a", b"")]).is_err(), "{text}");
        }
        for text in ["{}", r#"{"config":{"digest":"","size":0},"layers":[{"digest":"sha256:1","size":1}]}"#] {
            assert!(ArtifactManifest::parse(text.as_bytes()).is_err(), "{text}");
        }
    }
}
