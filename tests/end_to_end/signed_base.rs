//! `signed_base` of a policy: images lie on bases that real cosign has signed, in both of its forms, and nothing is sent on
//! others. The registries are real ones on loopback: one lists documents, the other does not.

use std::fs;
use std::process::Command;

use crate::base_image::{Form, Registry, distribution, write_layout};
use crate::bases_in_docker::examples;
use crate::push::{crane, pushing};
use crate::push_signatures::{cosign, key_pair};
use crate::space::TestSpace;

const NEW: &[&str] = &["--signing-config", "signing.json"];
const OLD: &[&str] = &["--new-bundle-format=false", "--use-signing-config=false", "--tlog-upload=false"];

/// Signs an image with a key beside the workspace, in one of the forms.
fn sign(space: &TestSpace, form: &[&str], key: &str, image: &str) {
    let (is_made, said) = cosign(&space.beside(""), &[&["sign", "--yes", "--key", key], form, &[image]].concat());
    assert!(is_made, "{said}");
}

/// Puts a base with this file into the registry; returns it by its digest.
fn push_base(space: &TestSpace, registry: &Registry, name: &str, form: Form) -> String {
    let layout = space.beside(name);
    write_layout(&layout, &[distribution("linux/arm64", form), distribution("linux/amd64", form)]);
    registry.push(&layout, "team/base:1");
    let base = format!("{}/team/base", registry.address);
    format!("{base}@{}", crane(&["digest", &format!("{base}:1")]))
}

/// Returns the tag of the signatures of an image in the old form.
fn tag_of(image: &str) -> String {
    image.replace("@sha256:", ":sha256-") + ".sig"
}

/// Puts the manifest of signatures of an image, changed by `edit`, where cosign has put it.
fn put_signatures(space: &TestSpace, image: &str, manifest: &str) {
    let file = space.beside("manifest.json");
    fs::write(&file, manifest).unwrap();
    let (place, tag) = tag_of(image).rsplit_once(':').map(|(place, tag)| (place.to_owned(), tag.to_owned())).unwrap();
    let (host, repository) = place.split_once('/').unwrap();
    let url = format!("http://{host}/v2/{repository}/manifests/{tag}");
    let kind = "Content-Type: application/vnd.oci.image.manifest.v1+json";
    let body = format!("@{}", file.display());
    let arguments = ["--silent", "--fail", "--request", "PUT", "--header", kind, "--data-binary", &body, &url];
    assert!(Command::new("curl").args(arguments).status().unwrap().success(), "{url}");
}

/// The workspace, with two pairs of keys beside it.
fn signed_space(registry: &Registry) -> TestSpace {
    let space = pushing(registry, "From(\"ADDRESS/team/base:1\")", "[\"ADDRESS/team/app:1\"]");
    let policy = "refs: \"dist/refs.txt\", policy: (signed_base: \"cosign.pub\")";
    space.replace("build.ron", "refs: \"dist/refs.txt\"", policy);
    fs::write(space.beside("signing.json"), "{\"mediaType\":\"application/vnd.dev.sigstore.signingconfig.v0.2+json\"}")
        .unwrap();
    for name in ["cosign", "other", "third"] {
        key_pair(&space.beside(""), name);
    }
    space
}

fn use_key(space: &TestSpace, name: &str) {
    space.write("cosign.pub", &fs::read_to_string(space.beside(&format!("{name}.pub"))).unwrap());
}

fn only_on_signed_bases(registry: &Registry) {
    let space = signed_space(registry);
    let refused = |words: &[&str]| {
        space.run(&["push"]).fails(2, words);
        let sent = |line: &String| line.starts_with("PUT") && line.contains("/team/app/");
        assert!(!registry.requests().iter().any(sent), "{words:?}");
    };
    let base = push_base(&space, registry, "base", Form::Gzip);
    refused(&["failed to read `cosign.pub`"]);
    space.write("cosign.pub", "no key\n");
    refused(&["`cosign.pub` is no public key that a base could be signed with"]);
    use_key(&space, "cosign");
    refused(&[
        "`push` needs a signed base, and `",
        "has no signature of `cosign.pub`: nothing signs it",
        "signed_base",
    ]);
    // Another key; an attestation of the right one, which is no signature.
    sign(&space, NEW, "other.key", &base);
    fs::write(space.beside("predicate.json"), "{\"is\": \"bad\"}").unwrap();
    let attest = ["attest", "--yes", "--key", "cosign.key", "--predicate", "predicate.json", "--type", "custom"];
    let (is_made, said) = cosign(&space.beside(""), &[&attest, NEW, &[&base]].concat());
    assert!(is_made, "{said}");
    refused(&["2 signatures about it are of other keys, or damaged", "pin a signed one"]);
    // The signature of another image under the tag of this one.
    let other = push_base(&space, registry, "another", Form::Plain);
    sign(&space, OLD, "cosign.key", &other);
    crane(&["copy", &tag_of(&other), &tag_of(&base)]);
    crane(&["tag", &base, "1"]);
    space.remove(".rondel/bases.1");
    refused(&["3 signatures about it are of other keys, or damaged"]);
    // One flipped character of a signature.
    sign(&space, OLD, "cosign.key", &base);
    let manifest = crane(&["manifest", &tag_of(&base)]);
    let flipped = |at: usize| {
        let mut bytes = manifest.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        String::from_utf8(bytes).unwrap()
    };
    let marks: Vec<usize> = manifest.match_indices("cosign/signature\":\"").map(|(at, mark)| at + mark.len()).collect();
    assert_eq!(marks.len(), 2, "{manifest}");
    for place in [20, 50, 85] {
        put_signatures(&space, &base, &flipped(marks[1] + place));
        refused(&["4 signatures about it are of other keys, or damaged"]);
    }
    put_signatures(&space, &base, &manifest);
    let ran = space.ran(&["push"]);
    for platform in ["linux/amd64", "linux/arm64"] {
        assert!(ran.contains_key(&format!("push: signed base ({platform})")), "{ran:?}");
    }
    // It is known now.
    assert!(space.ran(&["push"]).is_empty());
    put_signatures(&space, &base, &flipped(marks[1] + 20));
    assert!(space.ran(&["push"]).is_empty());
    // Each member of the key: the key, and the base.
    use_key(&space, "third");
    space.run(&["push"]).fails(2, &["has no signature of `cosign.pub`"]);
    use_key(&space, "other");
    assert!(space.ran(&["push"]).contains_key("push: signed base (linux/amd64)"));
    use_key(&space, "cosign");
    assert!(!space.ran(&["push"]).contains_key("push: signed base (linux/amd64)"), "it was known before");
    let base = push_base(&space, registry, "newer", Form::Zstd);
    space.remove(".rondel/bases.1");
    space.run(&["push"]).fails(2, &["nothing signs it"]);
    sign(&space, NEW, "cosign.key", &base);
    assert!(space.ran(&["push"]).contains_key("push: signed base (linux/amd64)"));
    // A pinned image whose name leads elsewhere.
    push_base(&space, registry, "newest", Form::Plain);
    assert!(!space.ran(&["push"]).contains_key("push: signed base (linux/amd64)"));
    use_key(&space, "other");
    space.run(&["push"]).fails(2, &["leads to another image now than to the pinned one"]);
}

#[test]
#[cfg_attr(not(has_registry), ignore = "no registry with crane")]
#[cfg_attr(not(has_cosign), ignore = "no cosign")]
fn images_are_sent_only_on_signed_bases() {
    let place = TestSpace::empty();
    only_on_signed_bases(&Registry::start(&place.beside("registry")));
}

#[test]
#[cfg_attr(not(has_registry_with_referrers), ignore = "no registry-with-referrers (see tests/registries)")]
#[cfg_attr(not(has_cosign), ignore = "no cosign")]
fn images_are_sent_only_on_signed_bases_of_a_registry_with_referrers() {
    let place = TestSpace::empty();
    only_on_signed_bases(&Registry::with_referrers(&place.beside("registry")));
}

/// The second example of docs/policies.md.
#[test]
#[cfg_attr(not(has_registry), ignore = "no registry with crane")]
#[cfg_attr(not(has_cosign), ignore = "no cosign")]
fn the_example_of_the_page_on_signed_bases() {
    let place = TestSpace::empty();
    let registry = Registry::start(&place.beside("registry"));
    let space = signed_space(&registry);
    use_key(&space, "cosign");
    let base = push_base(&space, &registry, "base", Form::Gzip);
    let example = examples("policies.md")[1].replace("registry.example", &registry.address);
    let example = example.replace("Output(\"server\")", "File(\"busybox\")");
    let head = "format: 1, project: \"t\", go: System, platforms: [\"linux/amd64\"], vars: {\"version\": \"1\"}";
    space.write("build.ron", &format!("({head}, targets: {{\n{example}}})\n"));
    space.run(&["push-on-base"]).fails(2, &["nothing signs it"]);
    sign(&space, NEW, "cosign.key", &base);
    assert!(space.ok(&["push-on-base"]).stderr.contains("/team/on-base:1@sha256:"));
}
