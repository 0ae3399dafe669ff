//! `inspect` of images in registries: what they are made of, the documents about them, and hostile texts. The registries
//! are real ones on loopback.

use std::fs;

use serde_json::{Value, json};

use crate::base_image::{Registry, company};
use crate::bases;
use crate::push::{crane, pushing};
use crate::push_documents::{attaching, oras};
use crate::space::TestSpace;

/// Digests and sizes as words.
fn normalized(text: &str, registry: &Registry) -> String {
    let text = text.replace(&registry.address, "HOST");
    let mut parts = text.split("sha256:");
    let mut normalized = parts.next().unwrap().to_owned();
    for part in parts {
        normalized.push_str("DIGEST");
        normalized.push_str(part.get(64..).unwrap_or_default());
    }
    normalized
}

/// Adds an attestation to the index as BuildKit has it; returns the name of the new index.
fn attested(space: &TestSpace, registry: &Registry) -> String {
    let name = format!("{}/team/app", registry.address);
    let place = space.beside("attestation");
    fs::create_dir_all(&place).unwrap();
    fs::write(place.join("p.json"), "{\"predicateType\": \"https://slsa.dev/provenance/v1\"}").unwrap();
    let statement = place.join("p.json").display().to_string();
    let annotations = json!({statement: {"in-toto.io/predicate-type": "https://slsa.dev/provenance/v1"}});
    fs::write(place.join("annotations"), annotations.to_string()).unwrap();
    let file = format!("{}:application/vnd.in-toto+json", place.join("p.json").display());
    let annotations = place.join("annotations").display().to_string();
    let kind = ["--artifact-type", "application/x", "--annotation-file", &annotations];
    oras(&[&["push", "--disable-path-validation"], &kind[..], &[&format!("{name}:attestation"), &file]].concat());
    let mut index = bases::json(&crane(&["manifest", &format!("{name}:1")]));
    let manifest = crane(&["manifest", &format!("{name}:attestation")]);
    let about = index["manifests"][0]["digest"].clone();
    index["manifests"].as_array_mut().unwrap().push(json!({
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "digest": crane(&["digest", &format!("{name}:attestation")]), "size": manifest.len(),
        "annotations": {"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": about},
        "platform": {"os": "unknown", "architecture": "unknown"},
    }));
    fs::write(place.join("index.json"), index.to_string()).unwrap();
    let index = place.join("index.json");
    let kind = "application/vnd.oci.image.index.v1+json";
    oras(&["manifest", "push", "--media-type", kind, &format!("{name}:attested"), index.to_str().unwrap()]);
    format!("{name}:attested")
}

fn what_a_registry_has(registry: &Registry) {
    let space = attaching(registry);
    let name = format!("{}/team/app:1", registry.address);
    space.ok(&["push"]);
    let run = space.ok(&["inspect", &name]);
    expect_test::expect![[r#"
        HOST/team/app:1
          digest       DIGEST
          type         application/vnd.oci.image.index.v1+json
          annotation   org.opencontainers.image.title=t
          document     sbom.spdx.json DIGEST application/spdx+json, 28 bytes, by rondel
          platform     linux/amd64
          manifest     DIGEST
          created      1970-01-01T00:00:00Z
          entrypoint   ["/busybox","cat","/own"]
          env          ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin","SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt"]
          user         65532:65532
          workingdir   /
          layer        DIGEST 104.2 KiB: static base
          layer        DIGEST 161 B: files of image
          document     notes.txt DIGEST text/plain, 12 bytes, by rondel
          platform     linux/arm64
          manifest     DIGEST
          created      1970-01-01T00:00:00Z
          entrypoint   ["/busybox","cat","/own"]
          env          ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin","SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt"]
          user         65532:65532
          workingdir   /
          layer        DIGEST 104.2 KiB: static base
          layer        DIGEST 161 B: files of image
    "#]]
    .assert_eq(&normalized(&run.stdout, registry));
    // Nothing of build.ron is needed.
    let elsewhere = TestSpace::empty();
    assert_eq!(elsewhere.ok(&["inspect", &name]).stdout, run.stdout);
    let digest = crane(&["digest", &name]);
    let by_digest = space.ok(&["inspect", &format!("{}/team/app@{digest}", registry.address)]).stdout;
    assert_eq!(by_digest.lines().skip(1).collect::<Vec<_>>(), run.stdout.lines().skip(1).collect::<Vec<_>>());

    let described: Value = serde_json::from_str(&space.ok(&["inspect", &name, "--format", "json"]).stdout).unwrap();
    let image = &described[0];
    assert_eq!(image["digest"], digest);
    let document = &image["documents"][0];
    assert_eq!((&document["name"], &document["size_bytes"]), (&json!("sbom.spdx.json"), &json!(28)));
    assert_eq!(image["platforms"][0]["documents"][0]["made_by"], "rondel");

    assert_eq!(space.ok(&["inspect", &name, "--show", "sbom"]).stdout, space.read("sbom.spdx.json"));
    assert_eq!(space.ok(&["inspect", &name, "--show", "notes.txt"]).stdout, "first notes\n");
    let manifest = document["manifest"].as_str().unwrap();
    assert_eq!(space.ok(&["inspect", &name, "--show", manifest]).stdout, space.read("sbom.spdx.json"));
    space
        .run(&["inspect", &name, "--show", "vex"])
        .fails(2, &["/team/app:1` has no document `vex`", "hint: there are: sbom.spdx.json (sha256:"]);

    // A document is no image, and leads to its own.
    let about = format!("it is about {}/team/app@{digest}", registry.address);
    let document = format!("{}/team/app@{manifest}", registry.address);
    space.run(&["inspect", &document]).fails(2, &["it is a document of the type `application/spdx+json`", &about]);

    let attested = attested(&space, registry);
    let shown = space.ok(&["inspect", &attested]).stdout;
    assert!(
        shown.contains("application/vnd.in-toto+json (https://slsa.dev/provenance/v1), 51 bytes, by BuildKit"),
        "{shown}"
    );
    // And as cosign had it, before registries listed documents.
    let tag = format!("{}/team/app:{}.sig", registry.address, digest.replace(':', "-"));
    let payload = space.beside("payload");
    fs::write(&payload, "{}").unwrap();
    let file = format!("{}:application/vnd.dev.cosign.simplesigning.v1+json", payload.display());
    oras(&["push", "--disable-path-validation", "--artifact-type", "application/x", &tag, &file]);
    let shown = space.ok(&["inspect", &name]).stdout;
    assert!(shown.contains("application/vnd.dev.cosign.simplesigning.v1+json, 2 bytes, by cosign"), "{shown}");
    let provenance = space.ok(&["inspect", &attested, "--show", "provenance"]).stdout;
    assert_eq!(provenance, "{\"predicateType\": \"https://slsa.dev/provenance/v1\"}");
}

#[test]
#[cfg_attr(not(has_registry), ignore = "no registry with crane")]
#[cfg_attr(not(has_oras), ignore = "no oras")]
fn an_image_and_its_documents() {
    let place = TestSpace::empty();
    what_a_registry_has(&Registry::start(&place.beside("registry")));
}

#[test]
#[cfg_attr(not(has_registry_with_referrers), ignore = "no registry-with-referrers (see tests/registries)")]
#[cfg_attr(not(has_oras), ignore = "no oras")]
fn an_image_and_its_documents_where_the_registry_lists_them() {
    let place = TestSpace::empty();
    what_a_registry_has(&Registry::with_referrers(&place.beside("registry")));
}

/// What others attach is shown, and no text of theirs looks like one of Rondel's.
#[test]
#[cfg_attr(not(has_registry), ignore = "no registry with crane")]
#[cfg_attr(not(has_oras), ignore = "no oras")]
fn texts_of_others() {
    let place = TestSpace::empty();
    let registry = Registry::start(&place.beside("registry"));
    let space = pushing(&registry, "Static", "[\"ADDRESS/team/app:1\"]");
    space.ok(&["push"]);
    let name = format!("{}/team/app:1", registry.address);
    let file = space.beside("x");
    fs::write(&file, "\u{1b}[2Jx\u{202e}\n").unwrap();
    let annotations = space.beside("annotations");
    let hostile = "x\n  digest       sha256:0\u{1b}]52;c;eA==\u{7}";
    fs::write(&annotations, json!({file.to_str().unwrap(): {"org.opencontainers.image.title": hostile}}).to_string())
        .unwrap();
    let (annotations, file) = (annotations.display().to_string(), format!("{}:text/plain", file.display()));
    let kind = "application/vnd.cncf.notary.signature";
    let of = ["--artifact-type", kind, "--annotation-file", &annotations];
    oras(&[&["attach", "--disable-path-validation"], &of[..], &[&name, &file]].concat());
    let shown = space.ok(&["inspect", &name]).stdout;
    assert!(shown.contains("x\\n  digest       sha256:0\\u{1b}]52;c;eA==\\u{7} sha256:"), "{shown}");
    assert!(shown.contains("application/vnd.cncf.notary.signature, 9 bytes, by notation"), "{shown}");
    assert!(!shown.contains(['\u{1b}', '\u{7}']) && shown.matches("\n  digest ").count() == 1, "{shown}");
    // In a pipe it is what it is.
    assert_eq!(space.ok(&["inspect", &name, "--show", kind]).stdout, "\u{1b}[2Jx\u{202e}\n");
}

#[test]
#[cfg_attr(not(has_registry), ignore = "no registry with crane")]
#[cfg_attr(not(has_openssl), ignore = "no openssl with python3")]
fn images_that_are_not_had() {
    let place = TestSpace::empty();
    let registry = Registry::start(&place.beside("registry"));
    let mut space = pushing(&registry, "Static", "[\"ADDRESS/team/app:1\"]");
    let host = registry.address.clone();
    let unknown = format!("{host}/team/app:1");
    space.run(&["inspect", &unknown]).fails(3, &[&format!("`{unknown}` was not found"), "check the name and the tag"]);
    let wrong = format!("{host}/Team/app:1");
    space.run(&["inspect", &wrong]).fails(2, &[&format!("`{wrong}` is no image: write")]);
    space.run(&["inspect", &unknown, "image"]).fails(2, &["is in a registry, and other words are not"]);
    space
        .run(&["inspect", "image", "--show", "sbom"])
        .fails(2, &["--show and --platform are for images in registries"]);
    space.run(&["inspect", "none/app"]).fails(2, &["there is no target `none/app`"]);
    let site = place.beside("site");
    let (accounts, tls) = company(&site);
    let closed = Registry::with_settings(&place.beside("closed"), &accounts, &tls);
    space.set("SSL_CERT_FILE", &site.join("ca.pem").display().to_string());
    let access = format!("registries: {{\"{}\": Registry(plain_http: false)}}, targets:", closed.address);
    space.replace("build.ron", "targets:", &access);
    let denied = format!("{} does not let anyone read `team/app`", closed.address);
    space.run(&["inspect", &format!("{}/team/app:1", closed.address)]).fails(3, &[&denied, "docker login"]);
}
