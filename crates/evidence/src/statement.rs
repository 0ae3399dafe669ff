//! Statements about artefacts that others have written: in-toto's, by itself or in an envelope of DSSE, also in a bundle of
//! Sigstore. And what a provenance of Rondel says in one.
//!
//! They come from outside. All is checked that is handed on, and nothing here says who wrote it: signatures are not looked
//! at.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde_json::Value;

use crate::provenance::{BUILD_TYPE, Provenance};

/// Size in bytes above which no statement is read.
pub const STATEMENT_MAX: u64 = 16 << 20;
/// Maximum numbers of subjects, and of entries of other lists.
const SUBJECTS_MAX: usize = 10_000;
const ENTRIES_MAX: usize = 1_000;
/// Maximum length of a name and of a variable's value in bytes.
const TEXT_MAX: usize = 4_096;

/// Why a statement is not usable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct StatementError(String);

/// A statement of in-toto.
#[derive(Clone, Debug, PartialEq)]
pub struct Statement {
    /// SHA-256 of each artefact, by its name; several may have one.
    pub subjects: Vec<(String, String)>,
    /// The type of what it says.
    pub predicate_type: String,
    /// What it says.
    pub predicate: Value,
}

/// What a provenance of Rondel says of a build.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StatedBuild {
    /// Target of build.ron.
    pub target: String,
    /// Platforms.
    pub platforms: Vec<String>,
    /// Values of variables; secret parts of them are `***`.
    pub variables: BTreeMap<String, String>,
    /// SHA-256 of build.ron and build.lock, by their names.
    pub declared: BTreeMap<String, String>,
    /// The commit of the sources.
    pub commit: Option<String>,
    /// True if the sources differed from it.
    pub is_dirty: bool,
}

#[derive(Deserialize)]
#[serde(expecting = "an object")]
struct WireStatement {
    #[serde(rename = "_type")]
    kind: String,
    #[serde(default)]
    subject: Vec<WireSubject>,
    #[serde(rename = "predicateType")]
    predicate_type: String,
    #[serde(default)]
    predicate: Value,
}

#[derive(Deserialize)]
#[serde(expecting = "an object")]
struct WireSubject {
    #[serde(default)]
    name: String,
    #[serde(default)]
    digest: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object")]
struct WirePredicate {
    build_definition: WireDefinition,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object")]
struct WireDefinition {
    build_type: String,
    external_parameters: WireParameters,
    #[serde(default)]
    resolved_dependencies: Vec<WireMaterial>,
}

#[derive(Deserialize)]
#[serde(expecting = "an object")]
struct WireParameters {
    target: String,
    #[serde(default)]
    platforms: Vec<String>,
    #[serde(default)]
    variables: BTreeMap<String, String>,
    #[serde(default)]
    declared: Vec<WireMaterial>,
}

#[derive(Deserialize)]
#[serde(expecting = "an object")]
struct WireMaterial {
    #[serde(default)]
    name: String,
    #[serde(default)]
    digest: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, Value>,
}

impl Statement {
    /// Reads a statement, or the envelope or bundle around one.
    pub fn parse(bytes: &[u8]) -> Result<Statement, StatementError> {
        if bytes.len() as u64 > STATEMENT_MAX {
            return Err(wrong(format!("it has {} bytes, and at most {STATEMENT_MAX} are read", bytes.len())));
        }
        let value: Value = serde_json::from_slice(bytes).map_err(|error| wrong(format!("no JSON: {error}")))?;
        let value = match payload(&value) {
            Some(payload) => {
                let bytes = decoded(payload?)?;
                serde_json::from_slice(&bytes).map_err(|error| wrong(format!("its payload is no JSON: {error}")))?
            }
            None => value,
        };
        let statement: WireStatement = serde_json::from_value(value)
            .map_err(|error| wrong(format!("no statement of in-toto: {}", shown(&error.to_string()))))?;
        if !matches!(statement.kind.as_str(), "https://in-toto.io/Statement/v1" | "https://in-toto.io/Statement/v0.1") {
            return Err(wrong(format!("no statement of in-toto, but of the type `{}`", shown(&statement.kind))));
        }
        if statement.subject.len() > SUBJECTS_MAX {
            return Err(wrong(format!("{} subjects", statement.subject.len())));
        }
        let mut subjects = Vec::with_capacity(statement.subject.len());
        for WireSubject { name, digest } in statement.subject {
            let Some(hash) = digest.get("sha256").filter(|hash| is_hexadecimal(hash, &[64])) else {
                return Err(wrong(format!("its subject `{}` has no SHA-256", shown(&name))));
            };
            subjects.push((text(name)?, hash.to_ascii_lowercase()));
        }
        Ok(Statement { subjects, predicate_type: text(statement.predicate_type)?, predicate: statement.predicate })
    }

    /// Returns what it says of a build by Rondel.
    pub fn build(&self) -> Result<StatedBuild, StatementError> {
        if self.predicate_type != Provenance::PREDICATE {
            return Err(wrong(format!("it says `{}`, and not how something was built", shown(&self.predicate_type))));
        }
        let predicate: WirePredicate = WirePredicate::deserialize(&self.predicate)
            .map_err(|error| wrong(format!("its provenance is not as SLSA has it: {}", shown(&error.to_string()))))?;
        let WireDefinition { build_type, external_parameters, resolved_dependencies } = predicate.build_definition;
        if build_type != BUILD_TYPE {
            return Err(wrong(format!("it is of a build of the type `{}`, and not by Rondel", shown(&build_type))));
        }
        let WireParameters { target, platforms, variables, declared } = external_parameters;
        if platforms.len().max(variables.len()).max(declared.len()) > ENTRIES_MAX {
            return Err(wrong("its lists are too long".to_owned()));
        }
        let mut build = StatedBuild { target: text(target)?, ..StatedBuild::default() };
        build.platforms = platforms.into_iter().map(text).collect::<Result<_, _>>()?;
        for (name, value) in variables {
            build.variables.insert(text(name)?, text(value)?);
        }
        for material in declared {
            let Some(hash) = material.digest.get("sha256").filter(|hash| is_hexadecimal(hash, &[64])) else {
                return Err(wrong(format!("`{}`, which it names, has no SHA-256", shown(&material.name))));
            };
            build.declared.insert(text(material.name)?, hash.to_ascii_lowercase());
        }
        if let Some(source) = resolved_dependencies.iter().find(|material| material.digest.contains_key("gitCommit")) {
            let commit = source.digest["gitCommit"].to_ascii_lowercase();
            if !is_hexadecimal(&commit, &[40, 64]) {
                return Err(wrong("its commit is none".to_owned()));
            }
            build.is_dirty = source.annotations.get("dirty").is_some_and(|dirty| dirty != "false");
            build.commit = Some(commit);
        }
        Ok(build)
    }
}

/// Returns the payload of an envelope, also of one in a bundle; `None` if it is no envelope.
fn payload(value: &Value) -> Option<Result<&str, StatementError>> {
    let envelope = if value["dsseEnvelope"].is_object() { &value["dsseEnvelope"] } else { value };
    let payload = envelope["payload"].as_str()?;
    Some(match envelope["payloadType"].as_str().unwrap_or_default() {
        "application/vnd.in-toto+json" => Ok(payload),
        other => Err(wrong(format!("its payload is of the type `{}`", shown(other)))),
    })
}

/// Returns the bytes of a text in base64, of which there are several spellings.
fn decoded(text: &str) -> Result<Vec<u8>, StatementError> {
    let forms = [STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD];
    let found = forms.iter().find_map(|form| form.decode(text).ok());
    found.ok_or_else(|| wrong("its payload is no base64".to_owned()))
}

fn wrong(text: String) -> StatementError {
    StatementError(text)
}

/// Returns a text without control characters, or an error.
fn text(text: String) -> Result<String, StatementError> {
    if text.len() > TEXT_MAX {
        return Err(wrong(format!("a text in it has {} bytes", text.len())));
    }
    match text.chars().any(char::is_control) {
        true => Err(wrong(format!("the text `{}` in it has control characters", shown(&text)))),
        false => Ok(text),
    }
}

/// Returns the beginning of a text as it can be shown.
fn shown(text: &str) -> String {
    let start: String = text.chars().take(100).collect();
    start.escape_debug().to_string()
}

fn is_hexadecimal(text: &str, lengths: &[usize]) -> bool {
    lengths.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use rondel_cas::Digest;
    use serde_json::json;

    use super::*;
    use crate::provenance::{Material, Subject};

    fn provenance() -> Provenance {
        let mut source = Material::commit(Some("https://example.com/x.git"), &"0a".repeat(20));
        source.annotations.insert("dirty".to_owned(), "true".to_owned());
        Provenance {
            subjects: vec![Subject { name: "a.tar.gz".into(), digest: Digest::of(b"a") }],
            target: "release".into(),
            platforms: vec!["linux/amd64".into()],
            variables: [("version".to_owned(), "v1".to_owned())].into(),
            declared: vec![Material::file("build.ron", &Digest::of(b"()"))],
            steps: BTreeMap::new(),
            materials: vec![source],
        }
    }

    fn error(value: &Value) -> String {
        let statement = Statement::parse(value.to_string().as_bytes());
        statement.and_then(|statement| statement.build()).expect_err("it is wrong").to_string()
    }

    #[test]
    fn what_was_written_is_read() {
        let document = provenance().document();
        let statement = Statement::parse(&document).unwrap();
        assert_eq!(statement.subjects, [("a.tar.gz".to_owned(), Digest::of(b"a").hex())]);
        let build = statement.build().unwrap();
        assert_eq!(
            build,
            StatedBuild {
                target: "release".into(),
                platforms: vec!["linux/amd64".into()],
                variables: [("version".to_owned(), "v1".to_owned())].into(),
                declared: [("build.ron".to_owned(), Digest::of(b"()").hex())].into(),
                commit: Some("0a".repeat(20)),
                is_dirty: true,
            }
        );
        // In an envelope, and in a bundle around it.
        for form in [STANDARD, URL_SAFE_NO_PAD] {
            let envelope = json!({
                "payloadType": "application/vnd.in-toto+json", "payload": form.encode(&document), "signatures": [],
            });
            assert_eq!(Statement::parse(envelope.to_string().as_bytes()).unwrap(), statement);
            let bundle =
                json!({"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json", "dsseEnvelope": envelope});
            assert_eq!(Statement::parse(bundle.to_string().as_bytes()).unwrap(), statement);
        }
    }

    #[test]
    fn hostile_statements_are_refused() {
        let good = provenance().statement();
        let with = |path: &str, value: Value| {
            let mut changed = good.clone();
            *changed.pointer_mut(path).expect("it is there") = value;
            error(&changed)
        };
        let definition = "/predicate/buildDefinition";
        let messages = [
            with("/_type", json!("x\u{1b}[2J")),
            with("/predicateType", json!("https://spdx.dev/Document")),
            with("/subject/0/digest/sha256", json!("../../etc/passwd")),
            with("/subject/0/name", json!("a\nb")),
            with("/subject/0", json!(1)),
            with(&format!("{definition}/buildType"), json!("https://actions.github.io/buildtypes/workflow/v1")),
            with(&format!("{definition}/externalParameters/target"), json!(["release"])),
            with(&format!("{definition}/externalParameters/target"), json!("x".repeat(5_000))),
            with(&format!("{definition}/externalParameters/variables/version"), json!("v1\u{0}")),
            with(&format!("{definition}/externalParameters/declared/0/digest"), json!({})),
            with(&format!("{definition}/externalParameters/platforms"), json!(vec!["linux/amd64"; 2_000])),
            with(&format!("{definition}/resolvedDependencies/0/digest/gitCommit"), json!("--upload-pack=x")),
            with("/predicate", Value::Null),
            error(&json!({"payloadType": "text/plain", "payload": "", "signatures": []})),
            error(&json!({"payloadType": "application/vnd.in-toto+json", "payload": "!", "signatures": []})),
            Statement::parse(b"{").unwrap_err().to_string(),
            Statement::parse("[".repeat(100_000).as_bytes()).unwrap_err().to_string(),
            Statement::parse(&vec![b' '; 17 << 20]).unwrap_err().to_string(),
        ];
        expect_test::expect![[r#"
            no statement of in-toto, but of the type `x\u{1b}[2J`
            it says `https://spdx.dev/Document`, and not how something was built
            its subject `a.tar.gz` has no SHA-256
            the text `a\nb` in it has control characters
            no statement of in-toto: invalid type: integer `1`, expected an object
            it is of a build of the type `https://actions.github.io/buildtypes/workflow/v1`, and not by Rondel
            its provenance is not as SLSA has it: invalid type: sequence, expected a string
            a text in it has 5000 bytes
            the text `v1\0` in it has control characters
            `build.ron`, which it names, has no SHA-256
            its lists are too long
            its commit is none
            its provenance is not as SLSA has it: invalid type: null, expected an object
            its payload is of the type `text/plain`
            its payload is no base64
            no JSON: EOF while parsing an object at line 1 column 1
            no JSON: recursion limit exceeded at line 1 column 128
            it has 17825792 bytes, and at most 16777216 are read"#]]
        .assert_eq(&messages.join("\n"));
    }
}
