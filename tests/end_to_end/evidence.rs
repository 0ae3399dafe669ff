//! Documents about artefacts: bills of materials in both forms, licences, provenance; and what the libraries of those who
//! specify them say of them.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::base_image::{BaseImage, Form, Item, tar_of, write_layout};
use crate::space::{TestSpace, copy, repository};

/// The sample with a release; its modules come through the proxy, with their own texts.
fn council() -> TestSpace {
    let space = TestSpace::empty().with_shared_go();
    copy(&repository().join("examples"), &space.root().join("examples"), &|_| true);
    for file in ["build.ron", "build.lock"] {
        std::fs::copy(repository().join(file), space.root().join(file)).unwrap();
    }
    space.replace(
        "build.ron",
        "packages: [\"./cmd/council\"],",
        "packages: [\"./cmd/council\"], sbom: [Spdx, CycloneDx],",
    );
    space
}

pub fn git(space: &TestSpace, arguments: &[&str]) {
    let status = Command::new("git")
        .args(["-c", "user.name=t", "-c", "user.email=t@example.com"])
        .args(arguments)
        .current_dir(space.root())
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .status();
    assert!(status.unwrap().success(), "{arguments:?}");
}

/// Whether a date stands somewhere in a text, as in `2026-11-30T10:00:00Z`. A year alone is in one of a thousand digests.
pub fn has_a_date(text: &str) -> bool {
    let is_date =
        |ten: &[u8]| (0..10).all(|at| if matches!(at, 4 | 7) { ten[at] == b'-' } else { ten[at].is_ascii_digit() });
    text.as_bytes().windows(10).any(is_date)
}

#[test]
fn a_date_is_told_from_a_digest() {
    assert!(has_a_date("\"at\": \"2026-11-30T10:00:00Z\""));
    assert!(!has_a_date("sha256:0f2026c1-2026 v0.0.0-20261130100000-0123456789ab"));
}

/// The small module with a release of both platforms.
fn released() -> TestSpace {
    let space = TestSpace::small();
    let text = space.read("build.ron");
    let head = text.split("    targets:").next().unwrap();
    let targets = "\"server\": GoBuild(packages: [\"./cmd/small\"], env: {\"GODEBUG\": \"{version}\"}),
        \"release\": Release(builds: [\"server\"], version: \"1.2.3\", sbom: [Spdx, CycloneDx], provenance: true, created: Epoch, gate: Off),";
    space.write("build.ron", &format!("{head}    targets: {{{targets}}},\n)\n"));
    space
}

fn json(space: &TestSpace, path: &str) -> Value {
    serde_json::from_str(&space.read(path)).unwrap()
}

/// Returns whether a document is valid, and what was said of it.
pub fn checked(form: &str, document: &Path) -> (bool, String) {
    let mut command = match form {
        "spdx" => Command::new("pyspdxtools"),
        _ => Command::new("evidence-python"),
    };
    match form {
        "spdx" => command.arg("-i"),
        _ => command.arg(repository().join("tests/fixtures/check_evidence.py")).arg(form),
    };
    let output = command.arg(document).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.success(), said)
}

/// Licences of real modules, from their own texts in the module cache.
#[test]
fn licences_of_the_sample() {
    let space = council();
    space.ok(&["server"]);
    let document = json(&space, "dist/server/linux_amd64/council.spdx.json");
    let packages = document["packages"].as_array().unwrap();
    let licences: Vec<String> = packages
        .iter()
        .map(|one| format!("{} {}", one["name"].as_str().unwrap(), one["licenseDeclared"].as_str().unwrap()))
        .collect();
    assert_eq!(
        licences,
        [
            "council NOASSERTION",
            "example.com/council NOASSERTION",
            "github.com/cespare/xxhash/v2 MIT",
            "github.com/dgryski/go-rendezvous MIT",
            "github.com/go-chi/chi/v5 MIT",
            "github.com/jackc/pgpassfile MIT",
            "github.com/jackc/pgservicefile MIT",
            "github.com/jackc/pgx/v5 MIT",
            "github.com/jackc/puddle/v2 MIT",
            "github.com/redis/go-redis/v9 BSD-2-Clause",
            "golang.org/x/crypto BSD-3-Clause",
            "golang.org/x/sync BSD-3-Clause",
            "golang.org/x/text BSD-3-Clause",
            "stdlib BSD-3-Clause",
            "go BSD-3-Clause",
        ]
    );
    // go.sum's hash is a property, and no hash of CycloneDX.
    let document = json(&space, "dist/server/linux_amd64/council.cdx.json");
    let components = document["components"].as_array().unwrap();
    let pgx = components.iter().find(|one| one["name"] == "github.com/jackc/pgx/v5").unwrap();
    assert_eq!(pgx["licenses"][0]["license"]["id"], "MIT");
    assert_eq!(pgx["properties"][0]["name"], "rondel:go.sum");
    assert!(pgx["properties"][0]["value"].as_str().unwrap().starts_with("h1:"));
    assert!(components.iter().all(|one| one["hashes"].is_null()));
    assert!(document["metadata"]["timestamp"].is_null());
}

#[test]
#[cfg_attr(not(has_pyspdxtools), ignore = "no pyspdxtools")]
#[cfg_attr(not(has_evidence_python), ignore = "no evidence-python (see .ci/run)")]
fn documents_are_valid() {
    let space = council();
    space.replace(
        "build.ron",
        "builds: [\"server\"],",
        "builds: [\"server\"], version: \"1.0.0\", sbom: [Spdx, CycloneDx], provenance: true, gate: Off,",
    );
    git(&space, &["init", "--quiet"]);
    git(&space, &["add", "--all"]);
    git(&space, &["commit", "--quiet", "--message", "one"]);
    space.ok(&["server", "release", "--snapshot"]);
    let archive = "dist/release/council_1.0.0_linux_amd64.tar.gz";
    for (form, path, from, to) in [
        ("spdx", "dist/server/linux_amd64/council.spdx.json".to_owned(), "SPDXRef-Module-2\"", "no reference\""),
        ("spdx", format!("{archive}.spdx.json"), "\"MIT\"", "\"MIT OR OR\""),
        ("cyclonedx", "dist/server/linux_amd64/council.cdx.json".to_owned(), "\"library\"", "\"book\""),
        ("cyclonedx", format!("{archive}.cdx.json"), "\"MIT\"", "\"The MIT\""),
        ("provenance", "dist/release/council_1.0.0_provenance.json".to_owned(), "https://in-toto.io/Statement/v1", "x"),
    ] {
        let (is_valid, said) = checked(form, &space.root().join(&path));
        assert!(is_valid, "{path}: {said}");
        // They do refuse what is wrong.
        space.write("broken.spdx.json", &space.read(&path).replace(from, to));
        assert!(!checked(form, &space.root().join("broken.spdx.json")).0, "{path}: {from}");
    }
}

#[test]
fn provenance_of_a_release() {
    let mut space = released();
    git(&space, &["init", "--quiet"]);
    git(&space, &["remote", "add", "origin", "https://user:hunter2@example.com/team/small.git"]);
    git(&space, &["add", "--all"]);
    git(&space, &["commit", "--quiet", "--message", "one"]);
    space.ok(&["release", "--snapshot"]);
    let path = "dist/release/small_1.2.3_provenance.json";
    let (text, statement) = (space.read(path), json(&space, path));
    assert_eq!(statement["predicateType"], "https://slsa.dev/provenance/v1");
    let definition = &statement["predicate"]["buildDefinition"];
    assert_eq!(definition["externalParameters"]["variables"]["version"], "v1");
    // Each subject is a file with this digest, as the checksums say too.
    let checksums = space.read("dist/release/small_1.2.3_checksums.txt");
    let subjects = statement["subject"].as_array().unwrap();
    assert_eq!(subjects.len(), 6, "{text}");
    for subject in subjects {
        let (name, digest) = (subject["name"].as_str().unwrap(), subject["digest"]["sha256"].as_str().unwrap());
        assert!(checksums.contains(&format!("{digest}  {name}\n")), "{name}");
    }
    assert!(checksums.contains("  small_1.2.3_provenance.json\n"));
    let kinds = json(&space, "dist/release/artifacts.json");
    let kinds: Vec<&str> =
        kinds["artifacts"].as_array().unwrap().iter().map(|one| one["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds.iter().filter(|kind| **kind == "sbom").count(), 4);
    assert_eq!(kinds.iter().filter(|kind| **kind == "provenance").count(), 1);
    let source = definition["resolvedDependencies"].as_array().unwrap().iter().find(|one| one["name"] == "source");
    let source = source.unwrap();
    assert_eq!(source["uri"], "git+https://example.com/team/small");
    assert!(source["annotations"].is_null());
    for private in ["hunter2", "user:", space.root().to_str().unwrap(), "T00:"] {
        assert!(!text.contains(private), "{private}");
    }
    assert!(!has_a_date(&text), "{text}");
    // Nothing is made twice, and elsewhere it is the same.
    assert!(space.ran(&["release", "--snapshot"]).is_empty());
    let other = space.clone_elsewhere();
    other.ok(&["release", "--snapshot"]);
    assert_eq!(other.read(path), text);
    // Every part of it is in its key.
    let again = |space: &TestSpace| {
        let ran = space.ok(&["release", "--snapshot"]);
        assert!(ran.code == 0 && space.read(path) != text, "{}", ran.stderr);
        space.read(path)
    };
    space.append("greet/text/hello.txt", "edited\n");
    let dirty = again(&space);
    assert!(dirty.contains("\"dirty\": \"true\""), "{dirty}");
    git(&space, &["commit", "--quiet", "--all", "--message", "two"]);
    assert!(!again(&space).contains("\"dirty\""));
    git(&space, &["remote", "set-url", "origin", "git@example.com:team/other.git"]);
    assert!(again(&space).contains("git+https://example.com/team/other\""));
    let before = space.read(path);
    space.append("build.ron", "// A comment.\n");
    assert_ne!(again(&space), before, "the digest of build.ron");
    space.set("LC_ALL", "C");
    assert!(space.ran(&["release", "--snapshot"]).is_empty());
}

/// The texts that decide a licence are inputs, and their absence too.
#[test]
fn licence_texts_are_inputs() {
    let space = released();
    let path = "dist/release/small_1.2.3_linux_amd64.tar.gz.spdx.json";
    let licence = |space: &TestSpace| {
        space.ok(&["release"]);
        let document = json(space, path);
        let packages = document["packages"].as_array().unwrap();
        let own = packages.iter().find(|one| one["name"] == "example.com/small").unwrap();
        own["licenseDeclared"].as_str().unwrap().to_owned()
    };
    assert_eq!(licence(&space), "NOASSERTION");
    let text = std::fs::read_to_string(repository().join("LICENSE")).unwrap();
    space.write("LICENSE", &text);
    assert_eq!(licence(&space), "MIT");
    space.replace("LICENSE", "sublicense", "not sublicense");
    assert_eq!(licence(&space), "NOASSERTION");
    space.write("LICENSE", &text);
    assert_eq!(licence(&space), "MIT");
    space.remove("LICENSE");
    assert_eq!(licence(&space), "NOASSERTION");
}

/// The modules of `vendor` have their hashes from go.sum, and their licences from the texts that are there.
#[test]
fn licences_of_vendored_modules() {
    let space = released();
    space.write("go.mod", "module example.com/small\n\ngo 1.22\n\nrequire example.com/dep v1.0.0\n");
    space.write("vendor/modules.txt", "# example.com/dep v1.0.0\n## explicit; go 1.22\nexample.com/dep\n");
    space.write("vendor/example.com/dep/dep.go", "package dep\n\n// X is used.\nconst X = 1\n");
    space.write("vendor/example.com/dep/LICENSE", &std::fs::read_to_string(repository().join("LICENSE")).unwrap());
    space.append("greet/greet.go", "\n");
    space.write("greet/dep.go", "package greet\n\nimport \"example.com/dep\"\n\n// Dep is used.\nconst Dep = dep.X\n");
    space.replace("build.ron", "packages: [\"./cmd/small\"],", "packages: [\"./cmd/small\"], sbom: true,");
    let licence = |space: &TestSpace| {
        space.ok(&["server"]);
        let document = json(space, "dist/server/linux_amd64/small.spdx.json");
        let packages = document["packages"].as_array().unwrap();
        let module = packages.iter().find(|one| one["name"] == "example.com/dep").unwrap();
        module["licenseDeclared"].as_str().unwrap().to_owned()
    };
    assert_eq!(licence(&space), "MIT");
    space.append("vendor/example.com/dep/LICENSE", "\nNot for commercial use.\n");
    assert_eq!(licence(&space), "NOASSERTION");
}

#[test]
fn the_examples_of_the_page_on_evidence() {
    let space = TestSpace::small();
    let page = std::fs::read_to_string(repository().join("docs/evidence.md")).unwrap();
    let blocks: Vec<&str> = page.split("```ron\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    let text = space.read("build.ron");
    let head = text.split("    targets:").next().unwrap();
    let targets = blocks.concat().replace("packages: [\".\"]", "packages: [\"./cmd/small\"]");
    space.write("build.ron", &format!("{head}    targets: {{\n{targets}}},\n)\n"));
    space.ok(&["server", "release"]);
    for path in [
        "server/linux_amd64/small.spdx.json",
        "server/linux_amd64/small.cdx.json",
        "release/small_1.2.3_linux_amd64.tar.gz.spdx.json",
        "release/small_1.2.3_provenance.json",
    ] {
        assert!(space.exists(&format!("dist/{path}")), "{path}");
    }
    assert!(!space.exists("dist/release/small_1.2.3_linux_amd64.tar.gz.cdx.json"));
}

/// A base with the database of apk, as Alpine has it.
fn alpine(database: &str) -> BaseImage {
    let layer = tar_of(&[
        Item::Directory("etc", 0o755),
        Item::File("etc/os-release", "ID=alpine\nVERSION_ID=3.19.1\n", 0o644),
        Item::File("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n", 0o644),
        Item::File("lib/apk/db/installed", database, 0o644),
    ]);
    BaseImage {
        platform: "linux/amd64",
        config: serde_json::json!({"Entrypoint": ["/bin/sh"]}),
        layers: vec![(layer, Form::Gzip)],
        is_docker: false,
    }
}

#[test]
fn a_bill_of_an_image_has_the_packages_of_its_base() {
    let space = TestSpace::small();
    let database =
        "C:Q1x=\nP:musl\nV:1.2.4-r2\nA:x86_64\nL:MIT\n\nP:busybox\nV:1.36.1-r15\nA:x86_64\nL:GPL-2.0-only\n\n";
    write_layout(&space.root().join("base"), &[alpine(database)]);
    let text = space.read("build.ron");
    let head = text.split("    targets:").next().unwrap().replace(", \"linux/arm64\"", "");
    let targets = "\"server\": GoBuild(packages: [\"./cmd/small\"]),
        \"image\": Image(base: Layout(\"base\"), files: {\"/app/small\": Output(\"server\")}),";
    space.write("build.ron", &format!("{head}    targets: {{{targets}}},\n)\n"));
    space.ok(&["image"]);
    let before = space.read("dist/image/index.json");
    assert!(!space.exists("dist/image.sbom"));
    space.replace("build.ron", "Output(\"server\")}", "Output(\"server\")}, sbom: [Spdx, CycloneDx]");
    space.ok(&["image"]);
    assert_eq!(space.read("dist/image/index.json"), before, "no part of the image");
    let path = "dist/image.sbom/linux_amd64.spdx.json";
    let document = json(&space, path);
    let packages = document["packages"].as_array().unwrap();
    let shown: Vec<String> = packages
        .iter()
        .map(|one| format!("{} {}", one["name"].as_str().unwrap(), one["licenseDeclared"].as_str().unwrap()))
        .collect();
    let expected = [
        "image NOASSERTION",
        "small NOASSERTION",
        "example.com/small NOASSERTION",
        "stdlib BSD-3-Clause",
        "go BSD-3-Clause",
        "base NOASSERTION",
        "alpine NOASSERTION",
        "busybox GPL-2.0-only",
        "musl MIT",
    ];
    assert_eq!(shown, expected);
    let purl = packages[8]["externalRefs"][0]["referenceLocator"].as_str();
    assert_eq!(purl, Some("pkg:apk/alpine/musl@1.2.4-r2?arch=x86_64&distro=alpine-3.19.1"));
    assert!(space.exists("dist/image.sbom/linux_amd64.cdx.json"));
    assert!(space.ran(&["image"]).is_empty());
    // Another base is another bill; one that lies is an error of the bill.
    std::fs::remove_dir_all(space.root().join("base")).unwrap();
    write_layout(&space.root().join("base"), &[alpine("P:musl\nV:1.2.5-r0\nA:x86_64\n\n")]);
    space.ok(&["image"]);
    assert!(space.read(path).contains("musl@1.2.5-r0?"));
    std::fs::remove_dir_all(space.root().join("base")).unwrap();
    write_layout(&space.root().join("base"), &[alpine("P:../../etc\nV:1\n\n")]);
    let run = space.run(&["image"]);
    assert_ne!(run.code, 0);
    assert!(run.stderr.contains("the packages of `base` can't be read"), "{}", run.stderr);
    assert!(run.stderr.contains("has no sound `P`"), "{}", run.stderr);
    // Without the field nothing makes the documents, so they go.
    space.replace("build.ron", ", sbom: [Spdx, CycloneDx]", "");
    space.ok(&["image"]);
    assert!(space.exists("dist/image/index.json") && !space.exists("dist/image.sbom"));
}
