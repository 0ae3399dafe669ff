//! An index that a push for some platforms leaves: its own entries, and those of all other platforms that the name had.

use rondel_oci::{DOCUMENT_BYTES_MAX, Document, DocumentPlatform};
use serde_json::Value;

/// An index with entries of another one.
pub(crate) struct Merged {
    pub bytes: Vec<u8>,
    /// Platform and digest, `sha256:…`, of what was kept.
    pub kept: Vec<(String, String)>,
}

/// Returns the index `own` with the entries of `there` that are for other platforms. Both are bytes of an index. The error
/// says why `there` can't be kept.
pub(crate) fn merged_index(own: &[u8], media_type: &str, there: &[u8]) -> Result<Merged, String> {
    match Document::parse(media_type, there).map_err(|error| error.to_string())? {
        Document::Index(_) => {}
        Document::Manifest { .. } => {
            return Err("it is an image without an index, and does not say for which platform".to_owned());
        }
    }
    let parse = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).map_err(|_| "it is no JSON".to_owned());
    let (mut index, there) = (parse(own)?, parse(there)?);
    let entries = |index: &Value| index["manifests"].as_array().cloned().unwrap_or_default();
    let mut all = entries(&index);
    let replaced: Vec<DocumentPlatform> = all.iter().filter_map(platform_of).collect();
    let (of_others, rest): (Vec<Value>, Vec<Value>) =
        entries(&there).into_iter().partition(|entry| platform_of(entry).is_some_and(|own| own.os != "unknown"));
    let others: Vec<Value> = of_others
        .into_iter()
        .filter(|entry| platform_of(entry).is_some_and(|platform| !replaced.iter().any(|own| is_same(own, &platform))))
        .collect();
    let kept =
        others.iter().filter_map(|entry| Some((platform_of(entry)?.to_string(), entry["digest"].as_str()?.to_owned())));
    let kept: Vec<(String, String)> = kept.collect();
    // BuildKit's attestations go with the image that they are about.
    let attestations = rest.into_iter().filter(|entry| {
        let about = entry["annotations"]["vnd.docker.reference.digest"].as_str();
        about.is_some_and(|about| kept.iter().any(|(_, digest)| digest == about))
    });
    let attestations: Vec<Value> = attestations.collect();
    all.extend(others.iter().cloned());
    // The order says which runner was last otherwise.
    all.sort_by_key(|entry| platform_of(entry).map(|platform| platform.to_string()));
    all.extend(attestations);
    index["manifests"] = Value::Array(all);
    let bytes = serde_json::to_vec(&index).expect("plain data");
    if bytes.len() as u64 > DOCUMENT_BYTES_MAX {
        return Err(format!("the index would have {} bytes", bytes.len()));
    }
    Ok(Merged { bytes, kept })
}

fn platform_of(entry: &Value) -> Option<DocumentPlatform> {
    serde_json::from_value(entry["platform"].clone()).ok()
}

/// Returns true for two names of one platform: `arm64` is `arm64/v8`, `arm` is `arm/v7`.
fn is_same(one: &DocumentPlatform, other: &DocumentPlatform) -> bool {
    let variant = |platform: &DocumentPlatform| match (platform.architecture.as_str(), platform.variant.as_deref()) {
        ("arm64", None | Some("")) => "v8".to_owned(),
        ("arm", None | Some("")) => "v7".to_owned(),
        (_, variant) => variant.unwrap_or_default().to_owned(),
    };
    (&one.os, &one.architecture, variant(one)) == (&other.os, &other.architecture, variant(other))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const INDEX: &str = "application/vnd.oci.image.index.v1+json";

    fn entry(platform: &str, digit: char) -> Value {
        let mut parts = platform.split('/');
        let mut entry = json!({
            "digest": format!("sha256:{}", digit.to_string().repeat(64)), "size": 7,
            "platform": {"os": parts.next(), "architecture": parts.next()}, "urls": ["kept as it is"],
        });
        if let Some(variant) = parts.next() {
            entry["platform"]["variant"] = json!(variant);
        }
        entry
    }

    fn index(entries: &[Value]) -> Vec<u8> {
        serde_json::to_vec(&json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries})).unwrap()
    }

    #[test]
    fn other_platforms_stay() {
        let mut attestation = entry("unknown/unknown", 'a');
        attestation["annotations"] = json!({"vnd.docker.reference.digest": format!("sha256:{}", "2".repeat(64))});
        let mut stale = attestation.clone();
        stale["annotations"]["vnd.docker.reference.digest"] = json!(format!("sha256:{}", "1".repeat(64)));
        let there = [
            attestation.clone(),
            entry("linux/arm64/v8", '1'),
            entry("linux/amd64", '2'),
            entry("linux/arm/v6", '3'),
            stale,
        ];
        let merged = merged_index(&index(&[entry("linux/arm64", '9')]), INDEX, &index(&there)).unwrap();
        let platforms: Vec<&str> = merged.kept.iter().map(|(platform, _)| platform.as_str()).collect();
        assert_eq!(platforms, ["linux/amd64", "linux/arm/v6"]);
        let expected = [entry("linux/amd64", '2'), entry("linux/arm/v6", '3'), entry("linux/arm64", '9'), attestation];
        assert_eq!(merged.bytes, index(&expected));
        // Once more, it is the same.
        let again = merged_index(&index(&[entry("linux/arm64", '9')]), INDEX, &merged.bytes).unwrap();
        assert_eq!(again.bytes, merged.bytes);
    }

    #[test]
    fn what_can_not_be_kept() {
        let own = index(&[entry("linux/arm64", '9')]);
        let manifest = json!({"schemaVersion": 2, "config": {"digest": format!("sha256:{}", "1".repeat(64)), "size": 2}, "layers": []});
        let manifest = serde_json::to_vec(&manifest).unwrap();
        let kind = "application/vnd.oci.image.manifest.v1+json";
        assert!(merged_index(&own, kind, &manifest).err().unwrap().contains("without an index"));
        assert!(merged_index(&own, "text/html", b"<html>").is_err());
    }
}
