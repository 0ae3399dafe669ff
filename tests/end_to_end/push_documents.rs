//! Documents about images in registries: attached once, found by others' programs, and never part of the image. The
//! registries are real ones on loopback: one lists documents, the other has an index under a tag.

use std::process::Command;

use serde_json::Value;

use crate::base_image::Registry;
use crate::bases::json;
use crate::bases_in_docker::examples;
use crate::push::{counts, crane, of, pushing};
use crate::space::TestSpace;

const ATTACH: &str = r#"refs: "dist/refs.txt", attach: [
    Attachment(type: "application/spdx+json", file: File("sbom.spdx.json")),
    Attachment(type: "text/plain", file: Output("notes"), platform: "linux/amd64"),
]"#;

/// A workspace that pushes an image with two documents: one of the index, one of a platform.
pub fn attaching(registry: &Registry) -> TestSpace {
    let space = pushing(registry, "Static", "[\"ADDRESS/team/app:1\"]");
    space.replace("build.ron", "refs: \"dist/refs.txt\"", ATTACH);
    let notes = r#""notes": Shell("cat words > out/notes.txt", inputs: ["words"], outputs: ["out/notes.txt"]), "push""#;
    space.replace("build.ron", "\"push\"", notes);
    space.write("words", "first notes\n");
    space.write("sbom.spdx.json", "{\"spdxVersion\": \"SPDX-2.3\"}\n");
    space
}

pub fn oras(arguments: &[&str]) -> String {
    let output = Command::new("oras").args(arguments).arg("--plain-http").output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Types and digests of what ORAS finds about `name`, by type. The types are those of the manifests: not each registry
/// lists them.
fn discovered(name: &str) -> Vec<(String, String)> {
    discovered_at(name, ":1")
}

fn discovered_at(name: &str, tag: &str) -> Vec<(String, String)> {
    let found = json(&oras(&["discover", "--format", "json", "--depth", "1", name]));
    let list = found["referrers"].as_array().or_else(|| found["manifests"].as_array()).cloned().unwrap_or_default();
    let repository = name.split('@').next().unwrap().trim_end_matches(tag);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let kind = |digest: &str| text(&json(&crane(&["manifest", &format!("{repository}@{digest}")]))["artifactType"]);
    let digests = list.iter().map(|entry| text(&entry["digest"]));
    let mut found: Vec<(String, String)> = digests.map(|digest| (kind(&digest), digest)).collect();
    found.sort();
    found
}

/// Types of the documents about `name`.
pub fn types(name: &str) -> Vec<String> {
    types_at(name, ":1")
}

pub fn types_at(name: &str, tag: &str) -> Vec<String> {
    discovered_at(name, tag).into_iter().map(|(kind, _)| kind).collect()
}

/// `gets` are the requests that ask which documents there are.
fn attached_once(registry: &Registry, gets: &[(&str, usize)]) {
    let space = attaching(registry);
    let name = format!("{}/team/app", registry.address);
    let run = space.ok(&["push"]);
    let digest = crane(&["digest", &format!("{name}:1")]);
    assert!(space.ok(&["inspect", "image"]).stdout.contains(&digest), "the digest is that of the layout");
    assert!(run.stderr.contains("team/app: documents: 2 attached; 3 blobs, 42 bytes sent"), "{}", run.stderr);
    assert!(run.stderr.contains(&format!("Attached sbom.spdx.json {name}@sha256:")), "{}", run.stderr);
    let last = registry.requests().into_iter().rfind(|line| line.starts_with("PUT")).unwrap();
    assert!(last.contains("/manifests/1"), "the name comes last: {last}");

    // Others find them, and get the same bytes.
    let amd64 = crane(&["digest", "--platform", "linux/amd64", &format!("{name}:1")]);
    let amd64 = format!("{name}@{amd64}");
    assert_eq!(types(&amd64), ["text/plain"]);
    let found = discovered(&format!("{name}:1"));
    let [(kind, sbom)] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!(kind, "application/spdx+json");
    let place = space.beside("pulled");
    oras(&["pull", "--output", place.to_str().unwrap(), &format!("{name}@{sbom}")]);
    assert_eq!(std::fs::read_to_string(place.join("sbom.spdx.json")).unwrap(), space.read("sbom.spdx.json"));
    let manifest = json(&crane(&["manifest", &format!("{name}@{sbom}")]));
    assert_eq!(
        (&manifest["subject"]["digest"], manifest["annotations"].as_object().unwrap().len()),
        (&digest.into(), 1)
    );

    // Nothing changed, here or elsewhere: nothing is sent.
    let expected = of(&[&[("HEAD manifests", 1)], gets].concat());
    let before = registry.requests().len();
    let run = space.ok(&["push"]);
    assert!(run.stderr.contains(": 0 ran,") && run.stderr.contains("Attached sbom.spdx.json"), "{}", run.stderr);
    assert_eq!(counts(registry, before), expected);
    let before = registry.requests().len();
    assert_eq!(space.clone_elsewhere().outcomes(&["push"])["push"], "cached");
    assert_eq!(counts(registry, before), expected);

    // Another document: the image stays what it is, the former document goes, and what others attached stays.
    std::fs::write(space.beside("signature"), "signed").unwrap();
    let signature = format!("{}:text/plain", space.beside("signature").display());
    let kind = "application/of.others";
    oras(&["attach", "--disable-path-validation", "--artifact-type", kind, &format!("{name}:1"), &signature]);
    space.write("sbom.spdx.json", "{\"spdxVersion\": \"SPDX-2.4\"}\n");
    let before = registry.requests().len();
    let run = space.ok(&["push"]);
    assert!(run.stderr.contains("lacks `sbom.spdx.json` of sha256:"), "{}", run.stderr);
    assert!(run.stderr.contains("documents: 1 attached, 1 there; 1 blobs, 28 bytes sent"), "{}", run.stderr);
    assert_eq!(counts(registry, before)["PUT uploads"], 1);
    let after = discovered(&format!("{name}:1"));
    assert_eq!(after.iter().map(|(kind, _)| kind.as_str()).collect::<Vec<_>>(), [kind, "application/spdx+json"]);
    assert_ne!(after[1].1, *sbom);
    assert_eq!(crane(&["digest", &format!("{name}:1")]), manifest["subject"]["digest"].as_str().unwrap());
    assert_eq!(space.outcomes(&["push"])["push"], "cached");
    // Attached again, it is the same.
    space.ok(&["push", "--force"]);
    assert_eq!(discovered(&format!("{name}:1")), after);
}

#[test]
#[cfg_attr(not(has_registry), ignore = "no registry with crane")]
#[cfg_attr(not(has_oras), ignore = "no oras")]
fn documents_are_attached_once() {
    let place = TestSpace::empty();
    let gets = [("GET referrers", 2), ("GET manifests", 2)];
    attached_once(&Registry::start(&place.beside("registry")), &gets);
}

#[test]
#[cfg_attr(not(has_registry_with_referrers), ignore = "no registry-with-referrers (see tests/registries)")]
#[cfg_attr(not(has_oras), ignore = "no oras")]
fn documents_are_attached_once_where_the_registry_lists_them() {
    let place = TestSpace::empty();
    attached_once(&Registry::with_referrers(&place.beside("registry")), &[("GET referrers", 2)]);
}

/// A registry without lists has no way to add to one in one step; both documents are there nevertheless.
#[test]
#[cfg_attr(not(has_registry), ignore = "no registry with crane")]
#[cfg_attr(not(has_oras), ignore = "no oras")]
fn two_that_attach_at_the_same_time() {
    let place = TestSpace::empty();
    let registry = Registry::start(&place.beside("registry"));
    let name = format!("{}/team/app:1", registry.address);
    let first = pushing(&registry, "Static", "[\"ADDRESS/team/app:1\"]");
    first.ok(&["push"]);
    let attach = |space: &TestSpace, file: &str| {
        let attach = format!("attach: [Attachment(type: \"text/plain\", file: File(\"{file}\"))], refs:");
        space.replace("build.ron", "refs:", &attach);
        space.write(file, file);
    };
    let spaces: Vec<TestSpace> = (0..3)
        .map(|number| {
            let space = first.clone_elsewhere();
            space.ok(&["image", "--all-platforms"]);
            attach(&space, &format!("notes-{number}.txt"));
            space
        })
        .collect();
    std::thread::scope(|scope| {
        for space in &spaces {
            scope.spawn(|| space.ok(&["push"]));
        }
    });
    assert_eq!(types(&name), ["text/plain"; 3]);
    for space in &spaces {
        assert_eq!(space.outcomes(&["push"])["push"], "cached");
    }
}

/// A part of the platforms: each runner attaches what is about its own, and a document of the index follows the index.
#[test]
#[cfg_attr(not(has_registry), ignore = "no registry with crane")]
#[cfg_attr(not(has_oras), ignore = "no oras")]
fn documents_of_some_platforms() {
    let place = TestSpace::empty();
    let registry = Registry::start(&place.beside("registry"));
    let space = attaching(&registry);
    let name = format!("{}/team/app", registry.address);
    space.ok(&["push", "--platform", "linux/arm64"]);
    assert_eq!(types(&format!("{name}:1")), ["application/spdx+json"]);
    assert_eq!(space.outcomes(&["push", "--platform", "linux/arm64"])["push"], "cached");
    space.ok(&["push", "--platform", "linux/amd64"]);
    assert_eq!(types(&format!("{name}:1")), ["application/spdx+json"]);
    let amd64 = crane(&["digest", "--platform", "linux/amd64", &format!("{name}:1")]);
    assert_eq!(types(&format!("{name}@{amd64}")), ["text/plain"]);
    assert_eq!(space.outcomes(&["push"])["push"], "cached");
}

/// The example of docs/registries.md, with real bills of materials.
#[test]
#[cfg_attr(not(has_registry), ignore = "no registry with crane")]
#[cfg_attr(not(has_oras), ignore = "no oras")]
fn the_example_of_the_page() {
    let place = TestSpace::empty();
    let registry = Registry::start(&place.beside("registry"));
    let space = TestSpace::small();
    let example = examples("registries.md")[1].replace("registry.example", &registry.address);
    let example = example.replace("./cmd/server", "./cmd/small").replace("/server.spdx.json", "/small.spdx.json");
    let head = space.read("build.ron");
    let head = head.split("    targets:").next().unwrap();
    space.write("build.ron", &format!("{head}    targets: {{\n{example}}},\n)\n"));
    space.write("CHANGES.md", "# Changes\n");
    space.ok(&["push", "--set", "version=1.2"]);
    let name = format!("{}/team/app:1.2", registry.address);
    assert_eq!(discovered_at(&name, ":1.2").len(), 1);
    for platform in ["linux/amd64", "linux/arm64"] {
        let shown = space.ok(&["inspect", &name, "--show", "sbom", "--platform", platform]).stdout;
        let directory = platform.replace('/', "_");
        assert_eq!(shown, space.read(&format!("dist/server/{directory}/small.spdx.json")));
    }
    let two = "hint: name one by its digest: small.spdx.json (sha256:";
    space.run(&["inspect", &name, "--show", "sbom"]).fails(2, &["2 documents are `sbom`", two, "--platform"]);
    assert_eq!(space.outcomes(&["push", "--set", "version=1.2"])["push"], "cached");
}
