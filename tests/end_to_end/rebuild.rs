//! `rebuild`: what was published, built again from a checkout and the provenance beside it. Provenances come from outside.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use expect_test::expect;
use serde_json::{Value, json};

use crate::space::{TestSpace, copy, normalised, repository};

pub fn git(directory: &Path, arguments: &[&str]) {
    let status = Command::new("git")
        .args(["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "init.defaultBranch=main"])
        .args(arguments)
        .current_dir(directory)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()
        .unwrap();
    assert!(status.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&status.stderr));
}

const BUILD_FILE: &str = r#"(
    format: 1,
    project: "small",
    go: Version("1.22.12"),
    platforms: ["linux/amd64"],
    vars: {"version": Git(Version), "channel": Env("CHANNEL", "none")},
    targets: {
        "server": GoBuild(packages: ["."], stamp: {"main.version": "{version} {channel}"}),
        "deploy": Shell(script: "touch deployed", outputs: ["deployed"]),
        "release": Release(builds: ["server"], archives: (files: ["LICENSE"]), sbom: true, provenance: true, gate: Off),
    },
)
"#;

/// A repository with a tagged commit. The program imports nothing: it is compiled from nothing again and again.
pub fn tagged() -> TestSpace {
    tagged_with(&|build_file| build_file)
}

/// The same with another build.ron.
pub fn tagged_with(edit: &dyn Fn(String) -> String) -> TestSpace {
    let space = TestSpace::empty().with_shared_go();
    space.write("go.mod", "module example.com/small\n\ngo 1.22\n");
    space.write("main.go", "package main\n\nvar version string\n\nfunc main() { println(version) }\n");
    space.write("build.ron", &edit(BUILD_FILE.to_owned()));
    let key = repository().join("crates/signatures/src/fixtures/rfc6979.pub");
    space.write("cosign.pub", &fs::read_to_string(key).unwrap());
    space.write("build.lock", &fs::read_to_string(repository().join("build.lock")).unwrap());
    space.write("LICENSE", "free\n");
    space.write(".gitignore", ".rondel/\ndist/\n");
    git(&space.root(), &["init", "-q"]);
    git(&space.root(), &["add", "."]);
    git(&space.root(), &["commit", "-q", "-m", "first"]);
    git(&space.root(), &["tag", "v1.2.3"]);
    space
}

/// The same, and its release in a directory beside it.
fn published() -> (TestSpace, PathBuf) {
    let mut space = tagged();
    space.set("CHANNEL", "stable");
    space.ok(&["release"]);
    let published = space.beside("published");
    copy(&space.root().join("dist/release"), &published, &|_| true);
    (space, published)
}

/// Somebody else's clone of a repository.
pub fn cloned(space: &TestSpace) -> TestSpace {
    let other = TestSpace::empty().with_shared_toolchain();
    fs::remove_dir(other.root()).unwrap();
    git(Path::new("/"), &["clone", "-q", &space.root().display().to_string(), &other.root().display().to_string()]);
    other
}

/// Returns the output without what differs from run to run.
pub fn told(text: &str, published: &Path) -> String {
    let text = normalised(&text.replace(&published.display().to_string(), "PUBLISHED"));
    let without_variations = |line: &str| match line.trim_start().starts_with("Differing") {
        true => format!("{:>12} …", "Differing"),
        false => line.to_owned(),
    };
    let text: String = text.lines().map(|line| without_variations(line) + "\n").collect();
    // Commits, also in versions (`gabc1234`).
    let is_commit = |word: &str| {
        let hex = word.strip_prefix('g').unwrap_or(word);
        hex.len() >= 7 && hex.len() <= 40 && hex.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    let words = text.split_inclusive(|character: char| !character.is_ascii_alphanumeric());
    words
        .map(|word| {
            let bare = word.trim_end_matches(|character: char| !character.is_ascii_alphanumeric());
            if is_commit(bare) { word.replace(bare, "COMMIT") } else { word.to_owned() }
        })
        .collect()
}

#[test]
fn a_release_is_rebuilt_from_its_provenance() {
    let (space, published) = published();
    let other = cloned(&space);
    let place = published.display().to_string();
    fs::write(published.join("notes.txt"), "by hand").unwrap();
    let run = other.run(&["rebuild", &place]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let page = fs::read_to_string(repository().join("docs/rebuilding.md")).unwrap();
    let example = page.split("Downloads/small-1.2.3\n").nth(1).unwrap().split("```").next().unwrap();
    assert_eq!(told(&example.replace("sha256:…", "[DIGEST]"), &published), told(&run.stderr, &published));
    let target = page.split("```ron\n").nth(1).unwrap().split("```").next().unwrap();
    assert!(BUILD_FILE.contains(target), "{target}");
    assert!(!other.exists("dist") && !other.exists("deployed"), "nothing is made in the checkout");

    // One file, also under another name.
    let archive = "small_1.2.3_linux_amd64.tar.gz";
    fs::rename(published.join(archive), published.join("download.tgz")).unwrap();
    let run = other.run(&["rebuild", &published.join("download.tgz").display().to_string(), "--events", "json"]);
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    let events = run.events();
    let of = |name: &str| events.iter().filter(|event| event["event"] == name).collect::<Vec<_>>();
    assert_eq!((of("verified").len(), of("verified")[0]["step"].as_str()), (1, Some(archive)));
    assert_eq!(of("rebuild_started")[0]["taken"], json!({"channel": "stable"}));
    assert_eq!((&of("rebuilt")[0]["same"], &of("rebuilt")[0]["different"]), (&json!(1), &json!(0)));

    fs::rename(published.join("download.tgz"), published.join(archive)).unwrap();
    one_byte_is_named(&space, &other, &published.join(archive));
}

/// Changes one byte of a file in the archive.
fn one_byte_is_named(space: &TestSpace, other: &TestSpace, archive: &Path) {
    let unpacked = space.beside("unpacked");
    fs::create_dir_all(&unpacked).unwrap();
    let tar = |arguments: &[&str]| {
        assert!(Command::new("tar").args(arguments).current_dir(&unpacked).status().unwrap().success());
    };
    let path = archive.display().to_string();
    tar(&["xzf", &path]);
    fs::write(unpacked.join("small_1.2.3_linux_amd64/LICENSE"), "fred\n").unwrap();
    let times = ["--mtime=@0", "--owner=root:0", "--group=root:0", "--sort=name"];
    tar(&[&["czf", &path], &times[..], &["small_1.2.3_linux_amd64/LICENSE", "small_1.2.3_linux_amd64/small"]].concat());
    let run = other.run(&["rebuild", &archive.parent().unwrap().display().to_string()]);
    run.fails(4, &["Different small_1.2.3_linux_amd64.tar.gz: entry small_1.2.3_linux_amd64/LICENSE", "1 of "]);
}

/// Refusals, none of which builds anything.
#[test]
fn another_checkout_is_refused() {
    let (space, published) = published();
    let other = cloned(&space);
    let place = published.display().to_string();
    let refused = |arguments: &[&str]| {
        let run = other.run(&[&["rebuild", &place], arguments].concat());
        assert!(!run.stderr.contains("Rebuilding"), "{}", run.stderr);
        format!("{}\n--- exit code {}\n", told(&run.stderr, &published), run.code)
    };
    let mut all = String::new();
    other.append("LICENSE", "or not\n");
    all += &refused(&[]);
    git(&other.root(), &["commit", "-q", "-a", "-m", "second"]);
    all += &refused(&[]);
    git(&other.root(), &["checkout", "-q", "v1.2.3"]);
    all += &refused(&["--platform", "linux/amd64"]);
    git(&other.root(), &["tag", "-d", "v1.2.3"]);
    all += &refused(&[]);
    all += &refused(&["--set", "version=1.2.4"]);
    git(&other.root(), &["tag", "v1.2.3"]);
    fs::rename(other.root().join(".git"), other.beside("git")).unwrap();
    all += &refused(&[]);
    fs::rename(other.beside("git"), other.root().join(".git")).unwrap();
    expect![[r#"
        error: `LICENSE` differs from the commit `COMMIT`

        hint: undo the changes, or `git stash`; `--other-sources` builds what is here

        --- exit code 2
        error: it was built from the commit `COMMIT`, and this is `COMMIT`

        hint: run `git checkout [DIGEST]`; `--other-sources` builds what is here

        --- exit code 2
        error: `rebuild` takes the platforms of the provenance

        hint: leave out `--platform` and `--all-platforms`

        --- exit code 2
        error: `version` was `1.2.3`, as the provenance says, and here it is `0.0.1-snapshot.1.COMMIT`

        hint: fetch the tags, `git fetch --tags`; or give the value: `--set version=1.2.3`

        --- exit code 2
        error: `version` was `1.2.3`, as the provenance says, and here it is `1.2.4`

        hint: fetch the tags, `git fetch --tags`; or give the value: `--set version=1.2.3`

        --- exit code 2
        error: it was built from the commit `COMMIT`, and git does not say which one this is

        hint: clone the repository; `--other-sources` builds what is here

        --- exit code 3
    "#]]
    .assert_eq(&all);

    // What is here, although it is another: the difference is named, and nothing is said of a commit.
    other.write("LICENSE", "other\n");
    let run = other.run(&["rebuild", &place, "--other-sources", "--set", "version=1.2.3", "--snapshot"]);
    run.fails(
        4,
        &[
            "Different small_1.2.3_linux_amd64.tar.gz: entry small_1.2.3_linux_amd64/LICENSE",
            "Different small_1.2.3_provenance.json",
            "whose commit is not proven",
        ],
    );
}

/// Parameters that a provenance cannot have.
fn wrong_parameters() -> Vec<(&'static str, Value)> {
    vec![
        ("target", json!("deploy")),
        ("target", json!("../../deploy")),
        ("platforms", json!(["linux/arm64"])),
        ("platforms", json!(["../../etc"])),
        ("variables", json!({"PATH": "/tmp"})),
        ("variables", json!({"version": "$(touch deployed)"})),
        ("variables", json!({"channel": "***"})),
        ("declared", json!([{"name": "../../../etc/passwd", "digest": {"sha256": "0".repeat(64)}}])),
        ("target", json!("\u{1b}]0;x\u{7}")),
    ]
}

#[test]
fn hostile_provenances_are_refused() {
    let (space, published) = published();
    let place = published.display().to_string();
    let path = published.join("small_1.2.3_provenance.json");
    let good: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let refused = || {
        let run = space.run(&["rebuild", &place]);
        assert!(!run.stderr.contains("Rebuilding") && !space.exists("deployed"), "{}", run.stderr);
        assert!(!run.stderr.contains(['\u{1b}', '\u{7}']), "{}", run.stderr);
        format!("{}\n--- exit code {}\n", told(&run.stderr, &published), run.code)
    };
    let with = |pointer: &str, value: Value| {
        let mut changed = good.clone();
        *changed.pointer_mut(pointer).unwrap() = value;
        fs::write(&path, changed.to_string()).unwrap();
        refused()
    };
    let parameters = "/predicate/buildDefinition/externalParameters";
    let mut all = String::new();
    for (name, value) in wrong_parameters() {
        all += &with(&format!("{parameters}/{name}"), value);
    }
    let materials = good["predicate"]["buildDefinition"]["resolvedDependencies"].as_array().unwrap();
    let source = materials.iter().position(|one| one["digest"]["gitCommit"].is_string()).unwrap();
    all +=
        &with(&format!("/predicate/buildDefinition/resolvedDependencies/{source}/digest/gitCommit"), json!("--help"));
    fs::write(&path, "[".repeat(1 << 20)).unwrap();
    all += &refused();
    let file = fs::File::create(&path).unwrap();
    file.set_len(1 << 40).unwrap();
    all += &refused();
    fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink("/dev/zero", &path).unwrap();
    all += &refused();
    expect![[r#"
        error: the provenance is of `deploy`, a `Shell`, which makes nothing of that form

        --- exit code 2
        error: the provenance is of the target `../../deploy`, which this build.ron does not have

        hint: rebuild in the repository that the release was made of

        --- exit code 2
        error: the provenance names the platform `linux/arm64`, which `release` does not have

        --- exit code 2
        error: the provenance names the platform `../../etc`, which `release` does not have

        --- exit code 2
        error: the provenance has the variable `PATH`, which this build.ron has not

        --- exit code 2
        error: `version` was `$(touch deployed)`, as the provenance says, and here it is `1.2.3`

        hint: fetch the tags, `git fetch --tags`; or give the value: `--set version=…`

        --- exit code 2
        error: `channel` was `***`, as the provenance says, and here it is `stable`

        hint: it is secret: put it into the environment variable CHANNEL

        --- exit code 2
        error: there is a `build.ron`, which the provenance does not name

        hint: restore it: `git status` says what differs; `--other-sources` builds what is here

        --- exit code 2
        error: the provenance can't be used: the text `\u{1b}]0;x\u{7}` in it has control characters

        --- exit code 2
        error: the provenance can't be used: its commit is none

        --- exit code 2
        error: `PUBLISHED/small_1.2.3_provenance.json` is no provenance: no JSON: recursion limit exceeded at line 1 column 128

        --- exit code 2
        error: failed to read `PUBLISHED/small_1.2.3_provenance.json`: it has COMMIT bytes; at most [SIZE] are read

        --- exit code 2
        error: there is no provenance `…_provenance.json` in `PUBLISHED`

        hint: `provenance: true` of a `Release` writes one; `--provenance PATH` names one that is elsewhere

        --- exit code 2
    "#]].assert_eq(&all);
}

/// Signatures are checked with the public key of the checkout, and no private one is asked for.
#[test]
fn a_signed_release_is_rebuilt_without_its_key() {
    let sign = "provenance: true, sign: Sign(key: Secret(\"SIGNING_KEY\"), public_key: \"cosign.pub\"),";
    let mut space = tagged_with(&|text| text.replace("provenance: true,", sign));
    let key = repository().join("crates/signatures/src/fixtures/rfc6979.pkcs8.pem");
    space.set("SIGNING_KEY", &fs::read_to_string(key).unwrap());
    space.ok(&["release"]);
    let published = space.root().join("dist/release");
    let place = published.display().to_string();
    let other = cloned(&space);
    let run = other.run(&["rebuild", &place]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    for name in
        ["artifacts.json", "small_1.2.3_linux_amd64.tar.gz.sigstore.json", "small_1.2.3_provenance.json.sigstore.json"]
    {
        assert!(run.stderr.contains(&format!("Identical {name}")), "{name}: {}", run.stderr);
    }
    assert!(run.stderr.contains("9 of 9 are what `release` makes of the commit"), "{}", run.stderr);
    // Another signature, and one of something else.
    let bundle = published.join("small_1.2.3_linux_amd64.tar.gz.sigstore.json");
    let other_bundle = published.join("small_1.2.3_checksums.txt.sigstore.json");
    fs::copy(&other_bundle, &bundle).unwrap();
    let run = other.run(&["rebuild", &place]);
    run.fails(
        1,
        &["`small_1.2.3_linux_amd64.tar.gz.sigstore.json` is no signature of the `small_1.2.3_linux_amd64.tar.gz`"],
    );
}
