//! The manifest under a tag where cosign keeps signatures (`sha256-….sig`) and attestations (`….att`) of an image: a layer for
//! each, with the signature as an annotation. It knows no key and checks no signature.

use std::collections::BTreeMap;

use rondel_cas::Digest;
use serde_json::{Value, json};

use crate::document::{DocumentError, place};
use crate::image::to_json;
use crate::media_types::{CONFIG, MANIFEST};

/// More layers than anyone's signatures have.
const LAYERS_MAX: usize = 1_000;

/// A signature or an attestation under such a tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureLayer {
    /// Of the contents.
    pub media_type: String,
    /// What is signed, or the envelope around it.
    pub contents: Vec<u8>,
    /// The signature, and what else is said.
    pub annotations: BTreeMap<String, String>,
}

/// The manifest and the configuration that belong under a tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureTag {
    /// Bytes of the manifest, which is of the type `application/vnd.oci.image.manifest.v1+json`.
    pub manifest: Vec<u8>,
    /// Bytes of its configuration.
    pub config: Vec<u8>,
}

impl SignatureLayer {
    fn descriptor(&self) -> Value {
        let digest = Digest::of(&self.contents);
        json!({
            "mediaType": self.media_type,
            "size": digest.size(),
            "digest": digest.oci(),
            "annotations": self.annotations,
        })
    }

    fn is(&self, layer: &Value) -> bool {
        let own = Digest::of(&self.contents).oci();
        let annotations = &layer["annotations"];
        layer["digest"].as_str() == Some(own.as_str())
            && self.annotations.iter().all(|(name, value)| annotations[name].as_str() == Some(value))
    }
}

impl SignatureTag {
    /// Returns what has to be under the tag, so that it has `own` beside what is `there`; `None` if it has them all.
    pub fn with(there: Option<&[u8]>, own: &[SignatureLayer]) -> Result<Option<SignatureTag>, DocumentError> {
        let wrong = |message: &str| DocumentError::new(format!("no manifest of signatures: {message}"));
        let mut manifest: Value = match there {
            Some(bytes) => serde_json::from_slice(bytes).map_err(|error| wrong(&place(&error)))?,
            None => json!({"schemaVersion": 2, "mediaType": MANIFEST, "layers": []}),
        };
        if manifest["mediaType"].as_str().is_some_and(|media_type| media_type != MANIFEST) {
            return Err(wrong("it is of another type"));
        }
        let Some(layers) = manifest.get_mut("layers").and_then(Value::as_array_mut) else {
            return Err(wrong("`layers` is no list"));
        };
        let missing: Vec<Value> = own
            .iter()
            .filter(|one| !layers.iter().any(|layer| one.is(layer)))
            .map(SignatureLayer::descriptor)
            .collect();
        if missing.is_empty() {
            return Ok(None);
        }
        layers.extend(missing);
        if layers.len() > LAYERS_MAX {
            return Err(wrong("it has too many layers"));
        }
        let config = config(layers);
        let digest = Digest::of(&config);
        manifest["config"] = json!({"mediaType": CONFIG, "size": digest.size(), "digest": digest.oci()});
        Ok(Some(SignatureTag { manifest: to_json(&manifest), config }))
    }
}

/// Returns the configuration that cosign gives such a manifest. Its time is that of nobody.
fn config(layers: &[Value]) -> Vec<u8> {
    const NEVER: &str = "0001-01-01T00:00:00Z";
    let digests: Vec<&Value> = layers.iter().map(|layer| &layer["digest"]).collect();
    let history: Vec<Value> = layers.iter().map(|_| json!({"created": NEVER})).collect();
    to_json(&json!({
        "architecture": "", "os": "", "created": NEVER, "config": {},
        "history": history, "rootfs": {"type": "layers", "diff_ids": digests},
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(signature: &str) -> SignatureLayer {
        let annotations = BTreeMap::from([("dev.cosignproject.cosign/signature".to_owned(), signature.to_owned())]);
        SignatureLayer { media_type: "a/b".to_owned(), contents: b"payload".to_vec(), annotations }
    }

    fn layers(tag: &SignatureTag) -> Vec<Value> {
        serde_json::from_slice::<Value>(&tag.manifest).unwrap()["layers"].as_array().unwrap().clone()
    }

    #[test]
    fn signatures_of_others_stay() {
        let first = SignatureTag::with(None, &[layer("one")]).unwrap().unwrap();
        let both = SignatureTag::with(Some(&first.manifest), &[layer("two")]).unwrap().unwrap();
        assert_eq!(layers(&both)[..1], layers(&first));
        assert_eq!(layers(&both).len(), 2);
        let config: Value = serde_json::from_slice(&both.config).unwrap();
        assert_eq!(config["rootfs"]["diff_ids"].as_array().unwrap().len(), 2);
        let manifest: Value = serde_json::from_slice(&both.manifest).unwrap();
        assert_eq!(manifest["config"]["digest"], Digest::of(&both.config).oci());
        // What is there is not written again.
        assert_eq!(SignatureTag::with(Some(&both.manifest), &[layer("two"), layer("one")]).unwrap(), None);
        assert_eq!(SignatureTag::with(None, &[layer("one")]).unwrap().unwrap(), first);
    }

    #[test]
    fn what_is_no_manifest_of_signatures() {
        for text in ["", "[]", "{}", r#"{"layers": {}}"#, r#"{"mediaType": "application/vnd.oci.image.index.v1+json"}"#]
        {
            assert!(SignatureTag::with(Some(text.as_bytes()), &[layer("one")]).is_err(), "{text}");
        }
        let many = vec![json!({}); LAYERS_MAX];
        let many = json!({"mediaType": MANIFEST, "layers": many}).to_string();
        assert!(SignatureTag::with(Some(many.as_bytes()), &[layer("one")]).is_err());
    }
}
