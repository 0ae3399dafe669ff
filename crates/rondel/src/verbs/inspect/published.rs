//! The part of `inspect` that asks registries: what an image is made of there, and the documents about it. All texts come
//! from outside.

use std::io::IsTerminal;

use rondel_names::{ImageReference, Platform};
use rondel_targets::{KnownKeys, PublishedDocument, PublishedImage, PublishedPlatform, Registries};
use serde_json::{Value, json};

use crate::exit::Failure;
use crate::session::{ProcessContext, Session};
use crate::ui::{print_bytes, print_line, without_control_sequences};
use crate::verbs::lock_bases::failure;

/// Returns the image that a word names, if it is one of a registry: it begins with a host, or ends with a digest. A path
/// that is there is a path.
pub(in crate::verbs) fn reference(context: &ProcessContext, word: &str) -> Option<Result<ImageReference, Failure>> {
    let (first, rest) = word.split_once('/').unwrap_or((word, ""));
    let is_host = first.contains(['.', ':']) || first == "localhost";
    let is_path = word.starts_with(['.', '/', '~']) || context.directory.join(first).exists();
    if is_path || !(word.contains("@sha256:") || (is_host && !rest.is_empty())) {
        return None;
    }
    Some(ImageReference::new(word).map_err(|error| Failure::usage(error.to_string())))
}

/// Someone who asks registries.
pub(super) struct Asked {
    registries: Registries,
    /// Signatures are held against the keys of build.ron.
    keys: KnownKeys,
}

fn say(text: String) {
    print_line(&format!("{:>12} {}", "Note", inert(&text)));
}

impl Asked {
    /// Without a build.ron, registries are reached as Docker's tools do.
    pub fn new(session: Option<&Session<'_>>, context: &ProcessContext) -> Asked {
        let registries = match session {
            Some(session) => Registries::new(&session.file, &context.environment),
            None => Registries::undeclared(&context.environment),
        };
        let keys = session.map(|session| KnownKeys::of(&session.file, &session.root)).unwrap_or_default();
        Asked { registries, keys }
    }

    /// Returns the description of an image.
    pub fn describe(&self, reference: &ImageReference) -> Result<Value, Failure> {
        let image = self.read(reference)?;
        Ok(json!({
            "reference": reference.to_string(),
            "digest": image.digest,
            "media_type": image.media_type,
            "annotations": image.annotations,
            "documents": image.documents.iter().map(document).collect::<Vec<_>>(),
            "platforms": image.platforms.iter().map(platform).collect::<Vec<_>>(),
        }))
    }

    /// Prints the document about an image that `wanted` names. With `platforms` it is one of theirs.
    pub fn show(&self, reference: &ImageReference, wanted: &str, platforms: &[Platform]) -> Result<(), Failure> {
        let image = self.read(reference)?;
        let document = chosen(&image, wanted, platforms)?;
        let bytes = image.contents(document, &self.registries, &say).map_err(failure)?;
        // In a pipe they are the bytes of the digest; a terminal obeys no document.
        print_bytes(&if std::io::stdout().is_terminal() { on_terminal(&bytes)? } else { bytes });
        Ok(())
    }

    fn read(&self, reference: &ImageReference) -> Result<PublishedImage, Failure> {
        let image = PublishedImage::read(&self.registries, reference, &self.keys, &say).map_err(failure)?;
        image.notes.iter().for_each(|note| say(format!("{reference}: {note}")));
        Ok(image)
    }
}

/// Returns the one document that `wanted` names. Those of the whole image come before those of platforms.
fn chosen<'a>(
    image: &'a PublishedImage,
    wanted: &str,
    platforms: &[Platform],
) -> Result<&'a PublishedDocument, Failure> {
    let is_asked = |of: &str| {
        let is_it =
            |platform: String| of.strip_prefix(&platform).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        platforms.is_empty() || platforms.iter().any(|platform| is_it(platform.to_string()))
    };
    let of_image = image.documents.iter().filter(|_| platforms.is_empty());
    let of_platforms = image.platforms.iter().filter(|one| is_asked(&one.platform)).flat_map(|one| &one.documents);
    let (of_image, of_platforms): (Vec<_>, Vec<_>) = (of_image.collect(), of_platforms.collect());
    for documents in [&of_image, &of_platforms] {
        let found = documents.iter().copied().filter(|document| is_called(document, wanted));
        let mut found: Vec<&PublishedDocument> = found.collect();
        // A document comes before the same in a signed envelope.
        if found.iter().any(|document| document.signed_by.is_none()) {
            found.retain(|document| document.signed_by.is_none());
        }
        match found.as_slice() {
            [] => {}
            [only] => return Ok(only),
            _ => {
                let message = format!("{} documents are `{}`", found.len(), wanted.escape_debug());
                let hint = format!("name one by its digest: {}; or its image, with --platform", names(&found));
                return Err(Failure::usage(message).hint(hint));
            }
        }
    }
    let all = [of_image, of_platforms].concat();
    let error = Failure::usage(format!("`{}` has no document `{}`", image.reference, wanted.escape_debug()));
    Err(match all.is_empty() {
        true => error.hint("there are no documents about it"),
        false => error.hint(format!("there are: {}", names(&all))),
    })
}

fn names(documents: &[&PublishedDocument]) -> String {
    let name = |document: &&PublishedDocument| {
        let name = document.name.as_deref().unwrap_or(&document.media_type);
        let digest = document.contents.map_or_else(|| document.manifest.clone(), |digest| digest.oci());
        format!("{} ({})", inert(name), digest.get(..19).unwrap_or(&digest))
    };
    documents.iter().map(name).collect::<Vec<_>>().join(", ")
}

/// Returns true if a document has this name, type or beginning of a digest, or is of the kind `sbom`, `provenance` or `vex`.
fn is_called(document: &PublishedDocument, wanted: &str) -> bool {
    let digests = [Some(document.manifest.clone()), document.contents.map(|digest| digest.oci())];
    let is_begin = |digest: &String| {
        wanted.len() >= 8 && (digest.starts_with(wanted) || digest.trim_start_matches("sha256:").starts_with(wanted))
    };
    let kind = format!("{} {}", document.media_type, document.predicate.as_deref().unwrap_or_default()).to_lowercase();
    let name = document.name.as_deref().unwrap_or_default();
    document.name.as_deref() == Some(wanted)
        || document.media_type == wanted
        || digests.iter().flatten().any(is_begin)
        || match wanted {
            "sbom" => ["spdx", "cyclonedx", "syft"].iter().any(|word| kind.contains(word)),
            "provenance" => kind.contains("slsa.dev/provenance") || name.contains("provenance"),
            "vex" => kind.contains("openvex"),
            _ => false,
        }
}

fn document(document: &PublishedDocument) -> Value {
    json!({
        "name": document.name,
        "type": document.media_type,
        "predicate": document.predicate,
        "manifest": document.manifest,
        "digest": document.contents.map(|digest| digest.oci()),
        "size_bytes": document.contents.map(|digest| digest.size()),
        "made_by": document.made_by,
        "annotations": document.annotations,
        "key": document.signed_by.as_ref().and_then(|by| by.fingerprint.as_ref()),
        "signed_by": document.signed_by.as_ref().and_then(|by| by.file.as_ref()),
    })
}

fn platform(platform: &PublishedPlatform) -> Value {
    let history = platform.config["history"].as_array().into_iter().flatten();
    let history: Vec<&Value> = history.filter(|entry| entry["empty_layer"] != json!(true)).collect();
    let layers = platform.layers.iter().enumerate().map(|(index, layer)| {
        let what = history.get(index).map_or(&Value::Null, |entry| &entry["comment"]);
        json!({"digest": layer.oci(), "size_bytes": layer.size(), "what": what})
    });
    json!({
        "platform": platform.platform,
        "manifest": platform.digest,
        "created": platform.config["created"],
        "config": platform.config["config"],
        "annotations": platform.manifest["annotations"],
        "layers": layers.collect::<Vec<_>>(),
        "documents": platform.documents.iter().map(document).collect::<Vec<_>>(),
    })
}

/// Returns the line for a document: name, type, size, maker, digest.
pub(super) fn document_text(document: &Value) -> String {
    let text = |name: &str| document[name].as_str().unwrap_or_default();
    let predicate = Some(text("predicate")).filter(|predicate| !predicate.is_empty());
    let mut parts = vec![predicate.map_or_else(|| text("type").to_owned(), |of| format!("{} ({of})", text("type")))];
    parts.extend(document["size_bytes"].as_u64().map(|size| format!("{size} bytes")));
    parts.extend(Some(text("made_by")).filter(|by| !by.is_empty()).map(|by| format!("by {by}")));
    let key = text("key").get(..16).unwrap_or_default();
    match (text("signed_by"), key) {
        ("", "") => {}
        ("", key) => parts.push(format!("of the key sha256:{key} as it says")),
        (file, key) => parts.push(format!("signed by {file} (sha256:{key})")),
    }
    let digest = if text("digest").is_empty() { text("manifest") } else { text("digest") };
    let name = if text("name").is_empty() { String::new() } else { format!("{} ", text("name")) };
    format!("{name}{digest} {}", parts.join(", "))
}

/// Returns a text that neither moves a cursor nor begins a line of its own, nor turns what stands beside it around.
pub(super) fn inert(text: &str) -> String {
    let mut inert = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '"' | '\'' | '\\' => inert.push(character),
            _ => inert.extend(character.escape_debug()),
        }
    }
    inert
}

/// Returns JSON in which the control characters of texts are escaped that JSON itself allows.
pub(super) fn json_for_terminals(json: &str) -> String {
    let escaped = |character: char| match character.is_control() && character != '\n' {
        true => format!("\\u{:04x}", u32::from(character)),
        false => character.to_string(),
    };
    json.chars().map(escaped).collect()
}

/// Returns the bytes of a document as a terminal may have them.
fn on_terminal(bytes: &[u8]) -> Result<Vec<u8>, Failure> {
    let text = std::str::from_utf8(bytes)
        .map_err(|_| Failure::usage("the document is no text".to_owned()).hint("send it to a file: `> document`"))?;
    Ok(text.lines().map(|line| format!("{}\n", without_control_sequences(line))).collect::<String>().into_bytes())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn one(name: Option<&str>, media_type: &str, predicate: Option<&str>, contents: &[u8]) -> PublishedDocument {
        PublishedDocument {
            name: name.map(str::to_owned),
            media_type: media_type.to_owned(),
            predicate: predicate.map(str::to_owned),
            manifest: format!("sha256:{}", "a".repeat(64)),
            contents: Some(rondel_cas::Digest::of(contents)),
            made_by: "",
            annotations: BTreeMap::new(),
            signed_by: None,
        }
    }

    #[test]
    fn documents_by_name() {
        let platform = PublishedPlatform {
            platform: "linux/amd64".to_owned(),
            digest: String::new(),
            manifest: Value::Null,
            config: Value::Null,
            layers: Vec::new(),
            documents: vec![
                one(None, "application/vnd.in-toto+json", Some("https://slsa.dev/provenance/v1"), b"1"),
                one(None, "application/vnd.in-toto+json", Some("https://spdx.dev/Document"), b"2"),
                one(None, "application/vnd.in-toto+json", Some("https://openvex.dev/ns"), b"6"),
            ],
        };
        let image = PublishedImage {
            reference: ImageReference::new("r.example/a:1").unwrap(),
            digest: String::new(),
            media_type: String::new(),
            annotations: Value::Null,
            documents: vec![
                one(Some("sbom.json"), "application/spdx+json", None, b"3"),
                one(Some("a.txt"), "text/plain", None, b"4"),
                one(Some("b\u{1b}[2J.txt"), "text/plain", None, b"5"),
            ],
            platforms: vec![platform],
            notes: Vec::new(),
        };
        let of_platform = |wanted: &str, platform: &str| {
            chosen(&image, wanted, &[Platform::new(platform).unwrap()]).map(|document| document.contents.unwrap())
        };
        let chosen = |wanted: &str| chosen(&image, wanted, &[]).map(|document| document.contents.unwrap());
        let of = |contents: &[u8]| rondel_cas::Digest::of(contents);
        assert_eq!(chosen("sbom").unwrap(), of(b"3"), "that of the whole image");
        assert_eq!(of_platform("sbom", "linux/amd64").unwrap(), of(b"2"));
        assert!(of_platform("a.txt", "linux/amd64").is_err() && of_platform("sbom", "linux/arm").is_err());
        assert_eq!(chosen("provenance").unwrap(), of(b"1"));
        assert_eq!(chosen("vex").unwrap(), of(b"6"));
        assert_eq!(chosen("a.txt").unwrap(), of(b"4"));
        assert_eq!(chosen("application/spdx+json").unwrap(), of(b"3"));
        assert_eq!(chosen(&of(b"2").oci()[..20]).unwrap(), of(b"2"));
        assert_eq!(chosen(&of(b"2").hex()[..8]).unwrap(), of(b"2"));
        for (wanted, expected) in [
            ("text/plain", "2 documents are `text/plain`"),
            ("x", "`r.example/a:1` has no document `x`"),
            ("sha256:", "`r.example/a:1` has no document `sha256:`"),
        ] {
            let Failure::User(error) = chosen(wanted).unwrap_err() else { panic!("{wanted}") };
            assert_eq!(error.message, expected);
            assert!(!error.hint.unwrap().contains('\u{1b}'));
        }
    }

    #[test]
    fn texts_from_outside() {
        assert_eq!(inert("a\n  digest  sha256:0"), "a\\n  digest  sha256:0");
        assert_eq!(inert("\u{1b}]52;c;x\u{7}\u{202e}"), "\\u{1b}]52;c;x\\u{7}\\u{202e}");
        assert_eq!(inert("\"C:\\é\""), "\"C:\\é\"");
        assert_eq!(json_for_terminals("{\n\"a\": \"\u{9b}2J\"}"), "{\n\"a\": \"\\u009b2J\"}");
        let shown = on_terminal(b"{\n \"a\": \"\x1b[2J\x1b]0;t\x07b\"\n}\n").unwrap();
        assert_eq!(String::from_utf8(shown).unwrap(), "{\n \"a\": \"b\"\n}\n");
        assert!(on_terminal(b"\xff\xfe").is_err());
    }
}
