//! Provenance: an in-toto Statement v1 with a SLSA v1 predicate, which says how artefacts were made.
//!
//! It is true of every run that makes these bytes: it has no time, no machine and no invocation. Whoever builds the same
//! again gets the same statement.

use std::collections::BTreeMap;

use rondel_cas::Digest;
use serde_json::{Map, Value, json};

/// What the fields of the predicate mean: docs/evidence.md.
pub(crate) const BUILD_TYPE: &str = "urn:rondel:build-type:1";
/// Who vouches: whoever ran the program, and nobody beyond.
const BUILDER: &str = "urn:rondel:builder:local";

/// How artefacts were made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Provenance {
    /// The artefacts.
    pub subjects: Vec<Subject>,
    /// Target of build.ron that was asked for.
    pub target: String,
    /// Platforms of the artefacts.
    pub platforms: Vec<String>,
    /// Values of the variables of build.ron, without those that are secret.
    pub variables: BTreeMap<String, String>,
    /// build.ron and build.lock: what was asked for.
    pub declared: Vec<Material>,
    /// Keys of the steps, by their labels.
    pub steps: BTreeMap<String, String>,
    /// What was used: sources, toolchain, modules, bases.
    pub materials: Vec<Material>,
}

/// An artefact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// Its file name, or the name of an image.
    pub name: String,
    /// Digest of exactly its bytes.
    pub digest: Digest,
}

/// Something that was used.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Material {
    /// Name for people.
    pub name: String,
    /// Where it is known: a package URL, `git+https://…`.
    pub uri: Option<String>,
    /// Digests by their algorithm of in-toto's DigestSet: `sha256`, `gitCommit`, `dirHash`.
    pub digests: BTreeMap<String, String>,
    /// What else is known, in its own terms.
    pub annotations: BTreeMap<String, String>,
}

impl Material {
    /// Returns a file with its digest.
    pub fn file(name: &str, digest: &Digest) -> Material {
        let digests = [("sha256".to_owned(), digest.hex())].into();
        Material { name: name.to_owned(), digests, ..Material::default() }
    }

    /// Returns a Go module. go.sum's `h1:` is a hash over a directory, in-toto's `dirHash`, which has it in hexadecimal.
    pub fn go_module(path: &str, version: &str, purl: Option<&str>, sum: &str) -> Material {
        let name = if version.is_empty() { path.to_owned() } else { format!("{path}@{version}") };
        let mut material = Material { name, uri: purl.map(str::to_owned), ..Material::default() };
        if let Some(hash) = sum.strip_prefix("h1:").and_then(hex_of_base64) {
            material.digests.insert("dirHash".to_owned(), hash);
        }
        if !sum.is_empty() {
            material.annotations.insert("go.sum".to_owned(), sum.to_owned());
        }
        material
    }

    /// Returns a commit of a repository. An address with an account loses the account.
    pub fn commit(remote: Option<&str>, commit: &str) -> Material {
        Material {
            name: "source".to_owned(),
            uri: remote.and_then(repository_uri),
            digests: [("gitCommit".to_owned(), commit.to_owned())].into(),
            annotations: BTreeMap::new(),
        }
    }

    fn json(&self) -> Value {
        let mut value = Map::new();
        value.insert("name".to_owned(), json!(self.name));
        if let Some(uri) = &self.uri {
            value.insert("uri".to_owned(), json!(uri));
        }
        if !self.digests.is_empty() {
            value.insert("digest".to_owned(), json!(self.digests));
        }
        if !self.annotations.is_empty() {
            value.insert("annotations".to_owned(), json!(self.annotations));
        }
        Value::Object(value)
    }
}

impl Provenance {
    /// Version of the statement's form, for keys.
    pub const FORMAT: &'static str = "SLSA-1 rondel-1";
    /// Media type of the statement.
    pub const MEDIA_TYPE: &'static str = "application/vnd.in-toto+json";
    /// Type of the predicate.
    pub const PREDICATE: &'static str = "https://slsa.dev/provenance/v1";

    /// Returns the statement.
    pub fn statement(&self) -> Value {
        let mut subjects: Vec<&Subject> = self.subjects.iter().collect();
        subjects.sort_by(|one, other| (&one.name, one.digest.hex()).cmp(&(&other.name, other.digest.hex())));
        subjects.dedup();
        let subjects: Vec<Value> =
            subjects.iter().map(|one| json!({"name": one.name, "digest": {"sha256": one.digest.hex()}})).collect();
        let sorted = |materials: &[Material]| {
            let mut materials: Vec<&Material> = materials.iter().collect();
            materials.sort();
            materials.dedup();
            materials.into_iter().map(Material::json).collect::<Vec<_>>()
        };
        json!({
            "_type": "https://in-toto.io/Statement/v1",
            "subject": subjects,
            "predicateType": Provenance::PREDICATE,
            "predicate": {
                "buildDefinition": {
                    "buildType": BUILD_TYPE,
                    "externalParameters": {
                        "target": self.target,
                        "platforms": self.platforms,
                        "variables": self.variables,
                        "declared": sorted(&self.declared),
                    },
                    "internalParameters": {"steps": self.steps},
                    "resolvedDependencies": sorted(&self.materials),
                },
                "runDetails": {"builder": {"id": BUILDER}},
            },
        })
    }

    /// Returns the statement, pretty-printed, with a line break at its end.
    pub fn document(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec_pretty(&self.statement()).expect("plain data");
        bytes.push(b'\n');
        bytes
    }
}

/// Returns an address without user, password, query and fragment, each of which may hold a secret. `None` if it is a path of
/// this machine or no address at all.
pub fn without_userinfo(address: &str) -> Option<String> {
    let address = address.split(['?', '#']).next().unwrap_or("").trim();
    if let Some((scheme, rest)) = address.split_once("://") {
        if scheme == "file" {
            return None;
        }
        let (authority, path) = rest.split_once('/').map_or((rest, ""), |(authority, path)| (authority, path));
        let host = authority.rsplit('@').next().unwrap_or("");
        return (!host.is_empty()).then(|| format!("{scheme}://{host}/{path}"));
    }
    // `git@host:path`, where a slash before the colon would make it a path.
    let (authority, path) = address.split_once(':')?;
    let host = authority.rsplit('@').next().unwrap_or("");
    // One letter is a drive.
    let is_host = host.len() > 1 && !authority.contains(['/', '\\']);
    is_host.then(|| format!("ssh://{host}/{}", path.trim_start_matches('/')))
}

/// Returns the name of a repository: one for all who cloned it, by SSH or by HTTPS.
fn repository_uri(remote: &str) -> Option<String> {
    let address = without_userinfo(remote)?;
    let (scheme, rest) = address.split_once("://")?;
    let rest = rest.trim_end_matches('/');
    let rest = rest.strip_suffix(".git").unwrap_or(rest);
    if scheme != "ssh" {
        return Some(format!("git+{scheme}://{rest}"));
    }
    // The port of SSH means nothing to HTTPS.
    let (host, path) = rest.split_once('/')?;
    let host = host.split(':').next().unwrap_or(host);
    Some(format!("git+https://{host}/{path}"))
}

/// Returns the hexadecimal form of 32 bytes in base64, as go.sum has them; `None` if it is something else.
fn hex_of_base64(text: &str) -> Option<String> {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let text = text.strip_suffix('=').filter(|text| text.len() == 43)?;
    let (mut bits, mut count, mut hex) = (0_u32, 0_u32, String::new());
    for letter in text.bytes() {
        let value = LETTERS.iter().position(|one| *one == letter)?;
        bits = bits << 6 | u32::try_from(value).ok()?;
        count += 6;
        if count >= 8 {
            count -= 8;
            hex.push_str(&format!("{:02x}", bits >> count & 0xff));
        }
    }
    Some(hex)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_lose_accounts_and_paths_of_the_machine_are_none() {
        for (address, wanted) in [
            ("https://u:p@example.com/a.git", Some("https://example.com/a.git")),
            ("https://token@example.com:8443/a/b", Some("https://example.com:8443/a/b")),
            ("https://u:p@ss@example.com/a", Some("https://example.com/a")),
            ("https://example.com/a?token=x#y", Some("https://example.com/a")),
            ("ssh://git@example.com/a.git", Some("ssh://example.com/a.git")),
            ("git@example.com:a/b.git", Some("ssh://example.com/a/b.git")),
            ("file:///home/u/a", None),
            ("/home/u/a", None),
            ("../a", None),
            ("./a:b", None),
            ("C:\\a", None),
            ("", None),
            ("https://", None),
        ] {
            assert_eq!(without_userinfo(address).as_deref(), wanted, "{address}");
        }
    }

    #[test]
    fn a_repository_has_one_name() {
        for (address, wanted) in [
            ("git@example.com:a/b.git", Some("git+https://example.com/a/b")),
            ("ssh://git@example.com:2222/a/b", Some("git+https://example.com/a/b")),
            ("https://token@example.com/a/b.git/", Some("git+https://example.com/a/b")),
            ("http://example.com:8080/a/b", Some("git+http://example.com:8080/a/b")),
            ("/srv/a.git", None),
        ] {
            assert_eq!(Material::commit(Some(address), "0").uri.as_deref(), wanted, "{address}");
        }
    }

    #[test]
    fn a_hash_of_go_sum_in_hexadecimal() {
        // The example of in-toto's specification.
        let module = Material::go_module("a", "v1", None, "h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
        assert_eq!(module.digests["dirHash"], "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        assert_eq!(module.annotations["go.sum"], "h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
        for sum in [
            "",
            "h1:",
            "h1:short=",
            "h2:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
            "h1:!7DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
        ] {
            assert!(Material::go_module("a", "v1", None, sum).digests.is_empty(), "{sum}");
        }
    }

    #[test]
    fn a_statement() {
        let provenance = Provenance {
            subjects: vec![
                Subject { name: "b".into(), digest: Digest::of(b"b") },
                Subject { name: "a".into(), digest: Digest::of(b"a") },
            ],
            target: "release".into(),
            platforms: vec!["linux/amd64".into()],
            variables: [("version".to_owned(), "v1".to_owned())].into(),
            declared: vec![Material::file("build.ron", &Digest::of(b"()"))],
            steps: [("server (linux/amd64)".to_owned(), "sha256:1".to_owned())].into(),
            materials: vec![
                Material::go_module("example.com/a", "v1.0.0", Some("pkg:golang/example.com/a@v1.0.0"), ""),
                Material::commit(Some("https://u:p@example.com/x.git"), "0123"),
            ],
        };
        let text = String::from_utf8(provenance.document()).unwrap();
        expect_test::expect_file!["expected/provenance.json"].assert_eq(&text);
        let mut other = provenance.clone();
        other.subjects.reverse();
        other.materials.reverse();
        assert_eq!(other.document(), provenance.document(), "the order of the maker is none of its own");
    }
}
