//! `Metadata`: a step's report on its result, typed by its kind and stored as bytes.
//!
//! The engine stores and passes on the bytes; only code that knows the type reads them.

use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// A type of metadata. Its serialization is canonical: the fields of a struct in their order, maps sorted.
pub trait MetadataType: Serialize + DeserializeOwned {
    /// Name of the type in the store; a change of its fields changes the name.
    const NAME: &'static str;
}

/// The name of a type, and a value of it as JSON. Empty if a step reports nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// `MetadataType::NAME`
    pub type_name: String,
    /// The value.
    pub value: Vec<u8>,
}

impl Metadata {
    /// Encodes `value`.
    pub fn of<T: MetadataType>(value: &T) -> Metadata {
        Metadata { type_name: T::NAME.to_owned(), value: serde_json::to_vec(value).expect("metadata is plain data") }
    }

    /// Returns the value, if it is of this type.
    pub fn get<T: MetadataType>(&self) -> Option<T> {
        if self.type_name == T::NAME { serde_json::from_slice(&self.value).ok() } else { None }
    }

    /// Returns the value as texts by name, whatever its type: for reports. Lists are joined by blanks.
    pub fn facts(&self) -> BTreeMap<String, String> {
        let Ok(Value::Object(fields)) = serde_json::from_slice(&self.value) else { return BTreeMap::new() };
        fields.into_iter().map(|(name, value)| (name, text_of(value))).collect()
    }
}

fn text_of(value: Value) -> String {
    match value {
        Value::String(text) => text,
        Value::Array(items) => items.into_iter().map(text_of).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, serde::Deserialize)]
    struct Sample {
        name: String,
        tags: Vec<String>,
        size_bytes: u64,
    }

    impl MetadataType for Sample {
        const NAME: &'static str = "sample-1";
    }

    #[test]
    fn typed_and_as_texts() {
        let sample = Sample { name: "n".into(), tags: vec!["a b".into(), "c".into()], size_bytes: 7 };
        let metadata = Metadata::of(&sample);
        assert_eq!(metadata.get::<Sample>(), Some(sample));
        let facts: Vec<String> = metadata.facts().into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(facts, ["name=n", "size_bytes=7", "tags=a b c"]);
        let other = Metadata { type_name: "sample-2".into(), ..metadata };
        assert_eq!(other.get::<Sample>(), None);
        assert!(Metadata::default().facts().is_empty());
    }
}
