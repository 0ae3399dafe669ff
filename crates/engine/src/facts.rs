//! What a step told, as the metadata of a stored result.

use std::collections::BTreeMap;

use rondel_cas::Metadata;

const TYPE_NAME: &str = "facts";

/// `facts` for the store: canonical JSON, since a map is sorted; nothing, where nothing was told.
pub(crate) fn to_metadata(facts: &BTreeMap<String, String>) -> Metadata {
    if facts.is_empty() {
        return Metadata::default();
    }
    let value = serde_json::to_vec(facts).expect("texts are plain data");
    Metadata { type_name: TYPE_NAME.to_owned(), value }
}

/// The facts that `metadata` holds; `None` if it is of another type, or damaged.
pub(crate) fn of_metadata(metadata: &Metadata) -> Option<BTreeMap<String, String>> {
    match metadata.type_name.as_str() {
        "" => Some(BTreeMap::new()),
        TYPE_NAME => serde_json::from_slice(&metadata.value).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_come_back() {
        let some = BTreeMap::from([("digest".to_owned(), "sha256:0".to_owned())]);
        assert_eq!(to_metadata(&some).value, br#"{"digest":"sha256:0"}"#);
        for facts in [some, BTreeMap::new()] {
            assert_eq!(of_metadata(&to_metadata(&facts)), Some(facts));
        }
        let of = |type_name: &str, value: &[u8]| {
            of_metadata(&Metadata { type_name: type_name.to_owned(), value: value.to_vec() })
        };
        assert_eq!(of("facts", b"not JSON"), None);
        assert_eq!(of("another", b"{}"), None);
    }
}
