//! `sign` of a `Release`: what is signed, when, and what the real cosign and OpenSSL say of it. Private keys are nowhere but in
//! the environment.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::space::{Run, TestSpace, repository};

/// The password of the fixture, which the real cosign has made.
const PASSWORD: &str = "swordfish";
const SIGN: &str =
    r#"Sign(key: Secret("COSIGN_PRIVATE_KEY"), password: Secret("COSIGN_PASSWORD"), public_key: "cosign.pub")"#;

fn fixture(name: &str) -> String {
    fs::read_to_string(repository().join("crates/signatures/src/fixtures").join(name)).unwrap()
}

/// A module with a signed release of an archive, a package and provenance; the keys are those of the fixture.
fn space(fields: &str) -> TestSpace {
    let mut space = TestSpace::empty().with_shared_go();
    space.write("go.mod", "module example.com/app\n\ngo 1.22\n");
    space.write("main.go", "package main\n\nfunc main() { println(\"signed\") }\n");
    space.write(
        "build.ron",
        &format!(
            r#"(
    format: 1, project: "app", go: System, platforms: ["linux/amd64"],
    targets: {{
        "server": GoBuild(packages: ["."]),
        "release": Release(
            builds: ["server"], version: "1.2.3", created: Epoch, provenance: true, {fields}
            packages: [Deb(maintainer: "A <a@example.org>", description: "x")],
            sign: {SIGN},
        ),
    }},
)
"#
        ),
    );
    let path = format!("/usr/local/go/bin:{}", space.variable("PATH"));
    space.set("PATH", &path);
    space.write("cosign.pub", &fixture("cosign.pub"));
    space.set("COSIGN_PRIVATE_KEY", &fixture("cosign.key")).set("COSIGN_PASSWORD", PASSWORD);
    space
}

/// Returns the files of the release, with their contents.
fn files(space: &TestSpace) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(space.root().join("dist/release")).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read(path).unwrap())).collect()
}

/// Fails if a secret stands in a file of the workspace or the cache, or in what people were told.
fn no_secret(space: &TestSpace, runs: &[Run]) {
    let key = fixture("cosign.key");
    let mut secrets: Vec<&str> = key.lines().filter(|line| !line.starts_with("-----")).collect();
    assert!(secrets.len() > 5);
    secrets.push(PASSWORD);
    for secret in secrets {
        let found = Command::new("grep")
            .args(["-r", "-a", "-l", "-F", "--exclude-dir=go", secret])
            .args([space.root(), space.cache()])
            .output()
            .unwrap();
        assert_eq!(String::from_utf8_lossy(&found.stdout), "");
        assert!(runs.iter().all(|run| !run.stdout.contains(secret) && !run.stderr.contains(secret)));
    }
}

/// The steps that sign.
fn signing(ran: &BTreeMap<String, String>) -> Vec<&str> {
    ran.keys().map(String::as_str).filter(|step| step.contains("signature")).collect()
}

#[test]
fn a_release_is_signed_once() {
    let mut space = space("gate: Off, publish: [Directory(\"out\")],");
    let run = space.ok(&["release", "--publish", "--verbose"]);
    let first = files(&space);
    let names: Vec<&str> = first.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "app_1.2.3_amd64.deb",
            "app_1.2.3_amd64.deb.sigstore.json",
            "app_1.2.3_checksums.txt",
            "app_1.2.3_checksums.txt.sig",
            "app_1.2.3_checksums.txt.sigstore.json",
            "app_1.2.3_linux_amd64.tar.gz",
            "app_1.2.3_linux_amd64.tar.gz.sigstore.json",
            "app_1.2.3_provenance.json",
            "app_1.2.3_provenance.json.sigstore.json",
            "artifacts.json",
        ]
    );
    let list: Value = serde_json::from_slice(&first["artifacts.json"]).unwrap();
    let of_kind = |kind: &str| list["artifacts"].as_array().unwrap().iter().filter(|line| line["kind"] == kind).count();
    assert_eq!((of_kind("signature"), of_kind("attestation")), (4, 1));
    for (name, bytes) in &first {
        assert!(space.bytes(&format!("out/{name}")) == *bytes, "{name} was published");
    }
    no_secret(&space, &[run]);
    let audited = space.audit_all(&["release"]);
    assert_eq!(audited.iter().filter(|step| step.contains("signature")).count(), 4, "{audited:?}");

    // Nothing is signed again, and what is lost comes from the cache: without the private key.
    space.unset("COSIGN_PRIVATE_KEY").unset("COSIGN_PASSWORD");
    assert!(space.ran(&["release"]).is_empty());
    space.remove("dist");
    assert!(space.ran(&["release"]).is_empty());
    assert!(files(&space) == first);
    // What can't be signed again is no difference.
    let run = space.run(&["cache", "audit", "release", "--seed", "1"]);
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    // A change is signed where it is.
    space.set("COSIGN_PRIVATE_KEY", &fixture("cosign.key")).set("COSIGN_PASSWORD", PASSWORD);
    space.replace("build.ron", "description: \"x\"", "description: \"y\"");
    let ran = space.ran(&["release"]);
    let expected = [
        "release: signature of checksums",
        "release: signature of deb (linux/amd64)",
        "release: signature of provenance",
    ];
    assert_eq!(signing(&ran), expected);
    space.replace("build.ron", "description: \"y\"", "description: \"x\"");
    space.ok(&["release"]);
    // Signed again, from nothing and elsewhere: the same bytes.
    let mut other = space.clone_elsewhere();
    other
        .set("PATH", space.variable("PATH"))
        .set("COSIGN_PRIVATE_KEY", &fixture("cosign.key"))
        .set("COSIGN_PASSWORD", PASSWORD);
    other.ok(&["release"]);
    assert!(files(&other) == first);
    // Another key signs again, and nothing else is made.
    other.write("cosign.pub", &fixture("rfc6979.pub"));
    other.set("COSIGN_PRIVATE_KEY", &fixture("rfc6979.pkcs8.pem")).unset("COSIGN_PASSWORD");
    let ran = other.ran(&["release"]);
    assert_eq!((signing(&ran).len(), ran.len()), (4, 5), "{ran:?}");
    assert!(ran["release: signature of checksums"].contains("public key"), "{ran:?}");
    // With --snapshot nothing is signed, and no key is asked for.
    other.unset("COSIGN_PRIVATE_KEY");
    other.replace("build.ron", "version: \"1.2.3\"", "version: \"1.2.4\"");
    other.ok(&["release", "--snapshot"]);
    assert!(!files(&other).keys().any(|name| name.ends_with(".sigstore.json") && name.contains("1.2.4")));
}

#[test]
fn keys_that_do_not_sign() {
    let mut space = space("gate: Off,");
    let mut runs = Vec::new();
    let mut refused = |space: &TestSpace, words: &[&str]| {
        let run = space.run(&["release"]);
        run.fails(3, words);
        assert!(!space.exists("dist/release/app_1.2.3_checksums.txt.sig"));
        runs.push(run);
    };
    space.set("COSIGN_PASSWORD", "swordfish\n");
    refused(&space, &["the secret `COSIGN_PRIVATE_KEY` is no private key that can sign: the password is wrong"]);
    space.unset("COSIGN_PASSWORD");
    refused(&space, &["the secret `COSIGN_PASSWORD` is not set, and there is something to sign"]);
    space.set("COSIGN_PASSWORD", PASSWORD).unset("COSIGN_PRIVATE_KEY");
    refused(&space, &["the secret `COSIGN_PRIVATE_KEY` is not set, and there is something to sign"]);
    space.set("COSIGN_PRIVATE_KEY", "/home/me/cosign.key");
    refused(&space, &["no PEM in it", "the variable holds the text of the key, and no path"]);
    space.set("COSIGN_PRIVATE_KEY", &fixture("rfc6979.sec1.pem"));
    refused(&space, &["the secret `COSIGN_PRIVATE_KEY` is not the private key of `cosign.pub`", "4126981e4b699b65…"]);
    // A key that is a file.
    space.replace("build.ron", "key: Secret(\"COSIGN_PRIVATE_KEY\")", "key: KeyFile(\"keys/cosign.key\")");
    refused(&space, &["failed to read the private key `keys/cosign.key`"]);
    let half = fixture("cosign.key");
    space.write("keys/cosign.key", &half[..half.len() / 2]);
    refused(&space, &["`keys/cosign.key` is no private key that can sign: its contents are damaged"]);
    space.remove("keys");
    no_secret(&space, &runs);
    let beside = space.beside("cosign.key");
    fs::write(&beside, fixture("cosign.key")).unwrap();
    space.replace("build.ron", "keys/cosign.key", &beside.display().to_string());
    let run = space.ok(&["release"]);
    no_secret(&space, &[run]);
}

/// The second build signs with the same key, and its bytes are the same. A key in the workspace is copied nowhere.
#[test]
fn a_signed_release_passes_its_gate() {
    let space = space("");
    space.replace("build.ron", "key: Secret(\"COSIGN_PRIVATE_KEY\")", "key: KeyFile(\"cosign.key\")");
    space.write("cosign.key", &fixture("cosign.key"));
    let run = space.ok(&["release"]);
    assert!(run.stderr.contains("identical"), "{}", run.stderr);
    space.remove("cosign.key");
    no_secret(&space, &[run]);
    // The proof is there, so the key is not needed any more.
    let run = space.ok(&["release"]);
    assert!(!run.stderr.contains("identical"), "{}", run.stderr);
}

fn cosign(directory: &Path, arguments: &[&str]) -> Result<String, String> {
    let output =
        Command::new("cosign").args(arguments).current_dir(directory).env("COSIGN_PASSWORD", "").output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(said) } else { Err(said) }
}

const BLOB: [&str; 4] = ["verify-blob", "--key", "cosign.pub", "--insecure-ignore-tlog"];
const ATTESTATION: [&str; 6] =
    ["verify-blob-attestation", "--key", "cosign.pub", "--insecure-ignore-tlog", "--type", "slsaprovenance1"];

/// A key of its own, as people make it.
#[test]
#[cfg_attr(not(has_cosign), ignore = "no cosign")]
fn cosign_accepts_what_was_signed() {
    let mut space = space("gate: Off,");
    let place = space.beside("verified");
    fs::create_dir_all(&place).unwrap();
    cosign(&place, &["generate-key-pair"]).unwrap();
    let read = |name: &str| fs::read_to_string(place.join(name)).unwrap();
    space.write("cosign.pub", &read("cosign.pub"));
    space.set("COSIGN_PRIVATE_KEY", &read("cosign.key")).set("COSIGN_PASSWORD", "");
    space.ok(&["release"]);
    for (name, bytes) in files(&space) {
        fs::write(place.join(name), bytes).unwrap();
    }
    let archive = "app_1.2.3_linux_amd64.tar.gz";
    let provenance = "app_1.2.3_provenance.json.sigstore.json";
    let blob =
        |file: &str| cosign(&place, &[&BLOB[..], &["--bundle", &format!("{file}.sigstore.json"), file]].concat());
    let bare = |file: &str| cosign(&place, &[&BLOB[..], &["--signature", &format!("{file}.sig"), file]].concat());
    let attested = |file: &str| cosign(&place, &[&ATTESTATION[..], &["--bundle", provenance, file]].concat());
    for file in [archive, "app_1.2.3_amd64.deb", "app_1.2.3_checksums.txt"] {
        assert!(blob(file).unwrap().contains("Verified OK"), "{file}");
    }
    assert!(bare("app_1.2.3_checksums.txt").unwrap().contains("Verified OK"));
    for file in [archive, "app_1.2.3_amd64.deb"] {
        assert!(attested(file).unwrap().contains("Verified OK"), "{file}");
    }
    // It is of the files that the statement names.
    assert!(attested("app_1.2.3_checksums.txt").is_err());

    // A byte of what is signed, of a signature, of the key: each is refused.
    let flipped = |name: &str, at: usize, check: &dyn Fn() -> Result<String, String>| {
        let path = place.join(name);
        let good = fs::read(&path).unwrap();
        let mut bad = good.clone();
        bad[at] ^= 1;
        fs::write(&path, bad).unwrap();
        let said = check();
        fs::write(&path, good).unwrap();
        assert!(said.is_err(), "{name}, byte {at}: {said:?}");
    };
    let size = |name: &str| fs::metadata(place.join(name)).unwrap().len() as usize;
    let at = |name: &str, text: &str| read(name).find(text).unwrap() + text.len();
    let sums = "app_1.2.3_checksums.txt";
    let bundle = format!("{sums}.sigstore.json");
    for place in [0, size(sums) / 2, size(sums) - 1] {
        flipped(sums, place, &|| blob(sums));
    }
    flipped(archive, size(archive) / 2, &|| blob(archive));
    flipped(archive, size(archive) / 2, &|| attested(archive));
    for text in ["\"signature\":\"", "\"digest\":\"", "\"mediaType\":\""] {
        flipped(&bundle, at(&bundle, text) + 12, &|| blob(sums));
    }
    for place in [10, 40, size(&format!("{sums}.sig")) - 6] {
        flipped(&format!("{sums}.sig"), place, &|| bare(sums));
    }
    for text in ["\"payload\":\"", "\"sig\":\""] {
        flipped(provenance, at(provenance, text) + 40, &|| attested(archive));
    }
    flipped("cosign.pub", at("cosign.pub", "KEY-----\n") + 80, &|| blob(sums));
    flipped("cosign.pub", at("cosign.pub", "KEY-----\n") + 110, &|| attested(archive));
    assert!(blob(sums).is_ok() && bare(sums).is_ok() && attested(archive).is_ok(), "as it was");
}

/// Returns the commands of a page that follow `head`.
fn commands(page: &str, head: &str) -> String {
    let (_, rest) = page.split_once(head).unwrap_or_else(|| panic!("no `{head}`"));
    rest.split("```sh\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap().to_owned()
}

fn shell(directory: &Path, script: &str) {
    let output = Command::new("sh").args(["-e", "-c", script]).current_dir(directory).output().unwrap();
    assert!(output.status.success(), "{script}\n{}", String::from_utf8_lossy(&output.stderr));
}

/// The release of the page, made and checked by its own words.
fn page() -> (TestSpace, String) {
    let page = fs::read_to_string(repository().join("docs/signatures.md")).unwrap();
    let example = page.split("```ron\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let space = space("gate: Off,");
    let file = space.read("build.ron");
    let (before, rest) = file.split_once("        \"release\"").unwrap();
    let example =
        example.replace("provenance: true,", "provenance: true, version: \"1.2.3\", created: Epoch, gate: Off,");
    assert!(rest.contains("sign:") && example.contains("gate: Off"));
    space.write("build.ron", &format!("{before}{example}    }},\n)\n"));
    space.ok(&["release"]);
    fs::copy(space.root().join("cosign.pub"), space.root().join("dist/release/cosign.pub")).unwrap();
    (space, page)
}

#[test]
#[cfg_attr(not(has_cosign), ignore = "no cosign")]
fn the_page_is_true_with_cosign() {
    let (space, page) = page();
    shell(&space.root().join("dist/release"), &commands(&page, "## With cosign"));
}

#[test]
#[cfg_attr(not(has_openssl), ignore = "no openssl with python3")]
fn the_page_is_true_with_openssl() {
    let (space, page) = page();
    let directory = space.root().join("dist/release");
    let script = commands(&page, "## With OpenSSL");
    shell(&directory, &script);
    let sums = directory.join("app_1.2.3_checksums.txt");
    fs::write(&sums, fs::read_to_string(&sums).unwrap().replacen('0', "1", 1)).unwrap();
    assert!(!Command::new("sh").args(["-e", "-c", &script]).current_dir(&directory).output().unwrap().status.success());
}
