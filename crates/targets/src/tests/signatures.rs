//! Signatures of a release: their keys, and what is refused before anything is built. The private key is asked for by none of
//! these.

use std::collections::BTreeSet;

use expect_test::expect;
use rondel_cas::Digest;
use rondel_engine::{UpstreamResult, Workspace, question};

use super::Space;
use super::actions::executable;
use super::refusals::refused;
use crate::VersionMode;

const PUBLIC: &str = include_str!("../../../signatures/src/fixtures/cosign.pub");
const OTHER: &str = include_str!("../../../signatures/src/fixtures/rfc6979.pub");
const SIGN: &str =
    r#"sign: Sign(key: Secret("COSIGN_PRIVATE_KEY"), password: Secret("COSIGN_PASSWORD"), public_key: "cosign.pub")"#;

fn space() -> Space {
    let space = Space::new();
    space.write("cosign.pub", PUBLIC);
    space
}

fn release(fields: &str) -> String {
    format!(
        "\"server\": GoBuild(packages: [\".\"]), \"rel\": Release(builds: [\"server\"], created: Epoch, \
         version: \"1.2.3\", {fields})"
    )
}

/// Returns the key of a step, or `None` if there is no such step.
fn key(space: &Space, fields: &str, name: &str, upstream: UpstreamResult) -> Option<Digest> {
    let analysis = space.analyze(&release(fields), &["rel"]).unwrap();
    let (_, node) = analysis.graph.nodes().find(|(_, node)| node.key.to_string() == name)?;
    let workspace = Workspace::open(&space.root, &space.root.join("cache"));
    Some(question(node, &workspace, vec![upstream]).unwrap().spec().digest().unwrap())
}

#[test]
fn what_the_keys_of_signatures_hold() {
    let text = release(&format!("provenance: true, {SIGN}"));
    let upstream = |name: &str| vec![executable(name)];
    space().action(
        &text,
        "rel",
        "rel: signature of archive (linux/amd64)",
        upstream("small.tar.gz"),
        expect![[r#"
        by its key
        arguments ["sign", "bundle"]
        setting public key: sha256:4126981e4b699b65032930b630a18fb962edd1f86595d1b4e4af70663f82e477
        setting signatures: rondel-signature-1
        upstream small.tar.gz
        output small.tar.gz.sigstore.json -> dist/rel/small.tar.gz.sigstore.json
    "#]],
    );
    space().action(
        &text,
        "rel",
        "rel: signature of checksums",
        upstream("sums.txt"),
        expect![[r#"
        by its key
        arguments ["sign", "bundle and signature"]
        setting public key: sha256:4126981e4b699b65032930b630a18fb962edd1f86595d1b4e4af70663f82e477
        setting signatures: rondel-signature-1
        upstream sums.txt
        output sums.txt.sigstore.json -> dist/rel/sums.txt.sigstore.json
        output sums.txt.sig -> dist/rel/sums.txt.sig
    "#]],
    );
    space().action(
        &text,
        "rel",
        "rel: signature of provenance",
        upstream("provenance.json"),
        expect![[r#"
        by its key
        arguments ["sign", "statement"]
        setting public key: sha256:4126981e4b699b65032930b630a18fb962edd1f86595d1b4e4af70663f82e477
        setting signatures: rondel-signature-1
        upstream provenance.json
        output provenance.json.sigstore.json -> dist/rel/provenance.json.sigstore.json
    "#]],
    );
}

/// The public key and what is signed; neither the private key nor its place.
#[test]
fn what_counts_for_a_signature() {
    let name = "rel: signature of archive (linux/amd64)";
    let space = space();
    let before = key(&space, SIGN, name, executable("small.tar.gz"));
    let mut keys = BTreeSet::from([before]);
    assert!(before.is_some());
    assert!(keys.insert(key(&space, SIGN, name, executable("other.tar.gz"))), "what is signed");
    space.write("cosign.pub", OTHER);
    assert!(keys.insert(key(&space, SIGN, name, executable("small.tar.gz"))), "the public key");
    space.write("cosign.pub", &format!("# a comment\n{}", PUBLIC.replace('\n', "\r\n")));
    assert_eq!(key(&space, SIGN, name, executable("small.tar.gz")), before, "the same key in other words");
    let of_file = SIGN.replace("Secret(\"COSIGN_PRIVATE_KEY\")", "KeyFile(\"/nowhere/cosign.key\")");
    assert_eq!(key(&space, &of_file, name, executable("small.tar.gz")), before, "the place of the private key");
    let mut with_secrets = self::space();
    for name in ["COSIGN_PRIVATE_KEY", "COSIGN_PASSWORD"] {
        with_secrets.environment.insert(name.to_owned(), format!("value of {name}"));
    }
    assert_eq!(key(&with_secrets, SIGN, name, executable("small.tar.gz")), before, "the secrets");
    let hidden = with_secrets.analyze(&release(SIGN), &["rel"]).unwrap().secrets;
    assert_eq!(hidden, ["value of COSIGN_PRIVATE_KEY", "value of COSIGN_PASSWORD"]);
}

#[test]
fn a_snapshot_is_not_signed() {
    let mut space = space();
    space.version_mode = VersionMode::Snapshot;
    assert_eq!(key(&space, SIGN, "rel: signature of checksums", executable("sums.txt")), None);
}

#[test]
fn public_keys_that_are_refused() {
    let text = release(SIGN);
    let space = space();
    space.write("cosign.pub", include_str!("../../../signatures/src/fixtures/rsa.pub"));
    refused(
        &space,
        &text,
        "rel",
        expect![[r#"
        input: `cosign.pub` is no public key to sign for: it is an RSA key; only ECDSA keys of the curve P-256 can be used, which `cosign generate-key-pair` makes
        at: "cosign.pub"
        hint: `cosign generate-key-pair` writes `cosign.pub`; it belongs into the repository"#]],
    );
    space.write("cosign.pub", "not a key\n");
    refused(
        &space,
        &text,
        "rel",
        expect![[r#"
        input: `cosign.pub` is no public key to sign for: there is no PEM in it (`-----BEGIN …-----`)
        at: "cosign.pub"
        hint: `cosign generate-key-pair` writes `cosign.pub`; it belongs into the repository"#]],
    );
    std::fs::remove_file(space.root.join("cosign.pub")).unwrap();
    refused(
        &space,
        &text,
        "rel",
        expect![[r#"
        input: failed to read `cosign.pub`: it is not there
        at: "cosign.pub"
        hint: name a small text file, relative to `root`"#]],
    );
}
