//! `rebuild --attest`: verification summaries, which real cosign accepts, and which are written and sent once.

use std::fs;

use serde_json::Value;

use crate::base_image::Registry;
use crate::push::{counts, crane};
use crate::push_signatures::{PASSWORD, cosign, key_pair};
use crate::rebuild::{cloned, tagged};
use crate::rebuild_image::pushed;
use crate::space::TestSpace;

const SUMMARY: &str = "https://slsa.dev/verification_summary/v1";

/// A clone by somebody with a key of their own, which is beside the workspace.
fn with_key(space: &TestSpace) -> TestSpace {
    let mut other = cloned(space);
    key_pair(&other.beside(""), "rebuilder");
    other.set("COSIGN_PASSWORD", PASSWORD);
    other
}

#[test]
#[cfg_attr(not(has_cosign), ignore = "no cosign")]
fn a_summary_beside_a_release() {
    let space = tagged();
    space.ok(&["release"]);
    let published = space.root().join("dist/release");
    let place = published.display().to_string();
    let other = with_key(&space);
    let key = other.beside("rebuilder.key").display().to_string();
    other.run(&["rebuild", &place, "--attest"]).fails(2, &["there is no key to attest with", "COSIGN_PRIVATE_KEY"]);
    other.run(&["rebuild", &place, "--attest", "--key", "build.ron"]).fails(3, &["is no private key"]);
    other.run(&["rebuild", &place, "--key", &key]).fails(2, &["`--key` is for `--attest`"]);
    let run = other.run(&["rebuild", &place, "--attest", "--key", &key]);
    assert!(run.code == 0 && run.stderr.contains("Attested"), "{}", run.stderr);
    let bundles: Vec<_> = fs::read_dir(&published)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("rebuilt-"))
        .collect();
    let bundle = bundles[0].display().to_string();
    let archive = published.join("small_1.2.3_linux_amd64.tar.gz").display().to_string();
    let verify = |file: &str, public: &str| {
        let options = ["verify-blob-attestation", "--key", public, "--insecure-ignore-tlog", "--type", SUMMARY];
        cosign(&other.beside(""), &[&options[..], &["--bundle", &bundle, file]].concat())
    };
    let (is_right, said) = verify(&archive, "rebuilder.pub");
    assert!(is_right, "{said}");
    assert!(!verify(&other.root().join("LICENSE").display().to_string(), "rebuilder.pub").0);
    // Again: the same bytes, and none is written.
    let before = fs::read(&bundle).unwrap();
    let run = other.run(&["rebuild", &place, "--attest", "--key", &key, "--events", "json"]);
    let events = run.events();
    let attested = events.iter().find(|event| event["event"] == "attested").unwrap();
    assert_eq!(attested["bytes"], 0);
    assert_eq!(fs::read(&bundle).unwrap(), before);
    // Nothing is said where something differs, nor of other sources.
    fs::remove_file(&bundle).unwrap();
    fs::write(published.join("small_1.2.3_checksums.txt"), "").unwrap();
    let run = other.run(&["rebuild", &place, "--attest", "--key", &key]);
    run.fails(4, &["Different small_1.2.3_checksums.txt"]);
    assert!(!fs::exists(&bundle).unwrap());
    let run = other.run(&["rebuild", &place, "--attest", "--key", &key, "--other-sources"]);
    run.fails(2, &["nothing is attested of sources whose commit is not proven"]);
}

fn attached(registry: &Registry) {
    let space = pushed(registry);
    let mut other = with_key(&space);
    let key = fs::read_to_string(other.beside("rebuilder.key")).unwrap();
    other.set("COSIGN_PRIVATE_KEY", &key);
    let name = format!("{}/team/app:1.2.3", registry.address);
    let run = other.run(&["rebuild", &name, "--attest"]);
    assert!(run.code == 0 && run.stderr.contains(" bytes"), "{}", run.stderr);
    let verify = |kind: &str| {
        let options = ["verify-attestation", "--key", "rebuilder.pub", "--insecure-ignore-tlog", "--type", kind, &name];
        cosign(&other.beside(""), &options)
    };
    let (is_right, said) = verify(SUMMARY);
    assert!(is_right, "{said}");
    assert!(!verify("slsaprovenance1").0, "the key has signed the summary alone");
    // What it says.
    let payload = said.lines().find_map(|line| serde_json::from_str::<Value>(line).ok()).unwrap();
    assert!(payload["payload"].is_string(), "{said}");
    let shown = other.ok(&["inspect", &name]).stdout;
    assert!(shown.contains("verification_summary/v1"), "{shown}");
    // Again: nothing is sent.
    let (digest, before) = (crane(&["digest", &name]), registry.requests().len());
    let run = other.run(&["rebuild", &name, "--attest"]);
    assert!(run.code == 0 && run.stderr.contains(": was there"), "{}", run.stderr);
    let sent = counts(registry, before);
    assert!(sent.keys().all(|request| request.starts_with("GET") || request.starts_with("HEAD")), "{sent:?}");
    assert_eq!(crane(&["digest", &name]), digest);
}

#[test]
#[cfg_attr(not(has_registry), ignore = "no registry with crane")]
#[cfg_attr(not(has_cosign), ignore = "no cosign")]
fn a_summary_of_an_image() {
    let place = TestSpace::empty();
    attached(&Registry::start(&place.beside("registry")));
}

#[test]
#[cfg_attr(not(has_registry_with_referrers), ignore = "no registry-with-referrers (see tests/registries)")]
#[cfg_attr(not(has_cosign), ignore = "no cosign")]
fn a_summary_of_an_image_where_the_registry_lists_it() {
    let place = TestSpace::empty();
    attached(&Registry::with_referrers(&place.beside("registry")));
}
