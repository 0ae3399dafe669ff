//! Signatures of what a push sends: real cosign accepts them in both of its forms, nothing is sent twice, and no secret is kept.
//! The registries are real ones on loopback: one lists documents, the other does not.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::base_image::Registry;
use crate::bases_in_docker::examples;
use crate::push::{counts, crane, pushing};
use crate::push_documents::oras;
use crate::push_evidence::evident;
use crate::space::{TestSpace, repository};

pub const PASSWORD: &str = "a password of the test";
pub const SIGN: &str =
    r#"sign: Sign(key: Secret("COSIGN_PRIVATE_KEY"), password: Secret("COSIGN_PASSWORD"), public_key: "cosign.pub")"#;
/// The two forms of cosign, by its option.
const FORMS: [&str; 2] = ["--new-bundle-format=true", "--new-bundle-format=false"];

/// Runs cosign; returns whether it succeeded, and what it said.
pub fn cosign(directory: &Path, arguments: &[&str]) -> (bool, String) {
    let mut command = Command::new("cosign");
    command.args(arguments).current_dir(directory).env("COSIGN_PASSWORD", PASSWORD);
    // Nothing is asked of the network: keys of Sigstore are not needed.
    let output = command.env("HOME", directory).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.success(), said)
}

/// Makes a pair of keys, `<name>.key` and `<name>.pub`; returns the private one.
pub fn key_pair(directory: &Path, name: &str) -> String {
    let (is_made, said) = cosign(directory, &["generate-key-pair", "--output-key-prefix", name]);
    assert!(is_made, "{said}");
    std::fs::read_to_string(directory.join(format!("{name}.key"))).unwrap()
}

/// The workspace of `evident` with a key, and a push that signs; the private key is beside the workspace and in the environment.
fn signing(registry: &Registry) -> TestSpace {
    let mut space = evident(registry);
    let private = key_pair(&space.beside(""), "cosign");
    space.write("cosign.pub", &std::fs::read_to_string(space.beside("cosign.pub")).unwrap());
    space.replace("build.ron", "provenance: true", &format!("provenance: true, {SIGN}"));
    space.set("COSIGN_PRIVATE_KEY", &private);
    space.set("COSIGN_PASSWORD", PASSWORD);
    space
}

/// Verifies a signature in one form.
fn verify(directory: &Path, key: &str, form: &str, name: &str) -> (bool, String) {
    cosign(directory, &["verify", "--key", key, "--insecure-ignore-tlog", form, name])
}

pub fn verify_attestation(directory: &Path, key: &str, (form, kind): (&str, &str), name: &str) -> (bool, String) {
    let arguments = ["verify-attestation", "--key", key, "--insecure-ignore-tlog", form, "--type", kind, name];
    cosign(directory, &arguments)
}

/// The index and the images of the platforms, by their digests.
fn images(registry: &Registry, repository: &str) -> Vec<String> {
    let name = format!("{}/{repository}", registry.address);
    let digests = ["all", "linux/amd64", "linux/arm64"].map(|platform| match platform {
        "all" => crane(&["digest", &format!("{name}:1")]),
        platform => crane(&["digest", "--platform", platform, &format!("{name}:1")]),
    });
    digests.map(|digest| format!("{name}@{digest}")).to_vec()
}

pub fn only_questions(registry: &Registry, before: usize) {
    let asked = counts(registry, before);
    assert!(asked.keys().all(|request| request.starts_with("HEAD") || request.starts_with("GET")), "{asked:?}");
}

fn accepted_and_sent_once(registry: &Registry) {
    let mut space = signing(registry);
    let place = space.beside("");
    let run = space.ok(&["push"]);
    assert!(run.stderr.contains("team/app: documents: 13 attached; "), "{}", run.stderr);
    assert!(run.stderr.contains("team/app: tags of signatures: 6 set; "), "{}", run.stderr);
    let images = images(registry, "team/app");
    for form in FORMS {
        for image in &images {
            let (is_right, said) = verify(&place, "cosign.pub", form, image);
            assert!(is_right, "{form} {image}: {said}");
        }
        for (image, kind) in [
            (&images[0], "slsaprovenance1"),
            (&images[1], "spdxjson"),
            (&images[1], "cyclonedx"),
            (&images[2], "spdxjson"),
            (&images[2], "cyclonedx"),
        ] {
            let (is_right, said) = verify_attestation(&place, "cosign.pub", (form, kind), image);
            assert!(is_right, "{form} {image} {kind}: {said}");
        }
        let (is_right, said) = verify_attestation(&place, "cosign.pub", (form, "slsaprovenance1"), &images[1]);
        assert!(!is_right, "nobody said this of a platform: {said}");
    }

    // The same bytes again, from the cache or from an empty one: nothing is sent.
    let before = registry.requests().len();
    assert!(space.ok(&["push"]).stderr.contains(": 0 ran,"));
    only_questions(registry, before);
    let mut other = space.clone_elsewhere();
    for name in ["COSIGN_PRIVATE_KEY", "COSIGN_PASSWORD"] {
        other.unset(name);
        space.unset(name);
    }
    // What was signed needs no key; where nothing is known of it, the error says so.
    assert!(space.ok(&["push"]).stderr.contains(": 0 ran,"));
    other.run(&["push"]).fails(3, &["the secret `COSIGN_PRIVATE_KEY` is not set", "there is something to sign"]);
    other.set("COSIGN_PRIVATE_KEY", &std::fs::read_to_string(place.join("cosign.key")).unwrap());
    other.set("COSIGN_PASSWORD", PASSWORD);
    let before = registry.requests().len();
    assert_eq!(other.outcomes(&["push"])["push"], "cached");
    only_questions(registry, before);

    // People see which key it was.
    let shown = space.ok(&["inspect", &images[0]]).stdout;
    let fingerprint = fingerprint(&place.join("cosign.pub"));
    let signed = format!("signed by cosign.pub (sha256:{})", &fingerprint[..16]);
    // Index and provenance in both forms, and of each platform image and bills as bundles.
    assert_eq!(shown.matches(&signed).count(), 10, "{shown}");
    let elsewhere = TestSpace::empty().ok(&["inspect", &images[0]]).stdout;
    let claimed = format!("of the key sha256:{} as it says", &fingerprint[..16]);
    assert_eq!((elsewhere.matches(&claimed).count(), elsewhere.contains("signed by")), (8, false), "{elsewhere}");
    let provenance = space.ok(&["inspect", &images[0], "--show", "provenance"]).stdout;
    assert_eq!(provenance, space.read("dist/image.provenance.json"), "not the envelope around it");
}

/// SHA-256 of a public key, as OpenSSL has it.
fn fingerprint(public: &Path) -> String {
    let command = format!("openssl pkey -pubin -in {} -outform DER | sha256sum", public.display());
    let output = Command::new("sh").args(["-c", &command]).output().unwrap();
    String::from_utf8(output.stdout).unwrap()[..64].to_owned()
}

#[test]
#[cfg_attr(not(has_registry), ignore = "no registry with crane")]
#[cfg_attr(not(has_cosign), ignore = "no cosign")]
fn cosign_accepts_what_is_sent_once() {
    let place = TestSpace::empty();
    accepted_and_sent_once(&Registry::start(&place.beside("registry")));
}

#[test]
#[cfg_attr(not(has_registry_with_referrers), ignore = "no registry-with-referrers (see tests/registries)")]
#[cfg_attr(not(has_cosign), ignore = "no cosign")]
fn cosign_accepts_what_is_sent_once_where_the_registry_lists_it() {
    let place = TestSpace::empty();
    accepted_and_sent_once(&Registry::with_referrers(&place.beside("registry")));
}

/// The layer of a manifest, as a file.
fn layer(name: &str, to: &Path) -> String {
    let (repository, _) = name.split_once('@').unwrap_or_else(|| name.rsplit_once(':').unwrap());
    let manifest: Value = serde_json::from_str(&crane(&["manifest", name])).unwrap();
    let digest = manifest["layers"][0]["digest"].as_str().unwrap();
    let text = crane(&["blob", &format!("{repository}@{digest}")]);
    std::fs::write(to, &text).unwrap();
    text
}

/// Another key, another image, and one byte that is another one: real cosign refuses what is not right.
#[test]
#[cfg_attr(not(has_registry_with_referrers), ignore = "no registry-with-referrers (see tests/registries)")]
#[cfg_attr(not(has_oras), ignore = "no oras")]
#[cfg_attr(not(has_cosign), ignore = "no cosign")]
fn cosign_refuses_what_is_not_right() {
    let place = TestSpace::empty();
    let registry = Registry::with_referrers(&place.beside("registry"));
    let space = signing(&registry);
    let place = space.beside("");
    let run = space.ok(&["push"]);
    key_pair(&place, "other");
    let image = images(&registry, "team/app").remove(0);
    for form in FORMS {
        assert!(verify(&place, "cosign.pub", form, &image).0);
        assert!(!verify(&place, "other.pub", form, &image).0);
        let base = format!("{}/team/base:1", registry.address);
        assert!(!verify(&place, "cosign.pub", form, &base).0, "nobody signed it");
    }
    // The same image elsewhere, with the bundle and with a broken one.
    let attached = run.stderr.lines().find(|line| line.contains("Attached index.")).unwrap();
    let bundle = layer(attached.split(' ').next_back().unwrap(), &place.join("right.json"));
    let kind = "application/vnd.dev.sigstore.bundle.v0.3+json";
    let signed_elsewhere = |repository: &str, bundle: &str| {
        let copy = format!("{}/{repository}:1", registry.address);
        crane(&["copy", &image, &copy]);
        std::fs::write(place.join("bundle.json"), bundle).unwrap();
        let file = format!("{}:{kind}", place.join("bundle.json").display());
        oras(&["attach", "--disable-path-validation", "--artifact-type", kind, &copy, &file]);
        verify(&place, "cosign.pub", FORMS[0], &copy)
    };
    let (is_right, said) = signed_elsewhere("team/right", &bundle);
    assert!(is_right, "{said}");
    let flipped = |field: &str| {
        let at = bundle.find(&format!("\"{field}\":\"")).unwrap() + field.len() + 4 + 20;
        let other = if &bundle[at..=at] == "A" { "B" } else { "A" };
        format!("{}{other}{}", &bundle[..at], &bundle[at + 1..])
    };
    for (index, field) in ["payload", "sig"].into_iter().enumerate() {
        let (is_right, said) = signed_elsewhere(&format!("team/wrong{index}"), &flipped(field));
        assert!(!is_right, "{field}: {said}");
    }
    // A bundle of one image says nothing of another.
    let base = format!("{}/team/base:1", registry.address);
    let file = format!("{}:{kind}", place.join("right.json").display());
    oras(&["attach", "--disable-path-validation", "--artifact-type", kind, &base, &file]);
    assert!(!verify(&place, "cosign.pub", FORMS[0], &base).0);
}

/// Another key signs beside the first one; neither takes the place of the other. Nothing of a private key is kept.
#[test]
#[cfg_attr(not(has_registry), ignore = "no registry with crane")]
#[cfg_attr(not(has_cosign), ignore = "no cosign")]
fn keys_stay_apart_and_secret() {
    let place = TestSpace::empty();
    let registry = Registry::start(&place.beside("registry"));
    let mut space = signing(&registry);
    let place = space.beside("");
    let first = space.ok(&["push", "-v"]);
    let other = key_pair(&place, "other");
    space.set("COSIGN_PRIVATE_KEY", &other);
    space
        .run(&["push", "--force"])
        .fails(3, &["the secret `COSIGN_PRIVATE_KEY` is not the private key of `cosign.pub`"]);
    space.write("cosign.pub", &std::fs::read_to_string(place.join("other.pub")).unwrap());
    let second = space.ok(&["push"]);
    assert!(second.stderr.contains("8 attached, 5 there"), "{}", second.stderr);
    let image = images(&registry, "team/app").remove(0);
    for (key, form) in ["cosign.pub", "other.pub"].iter().flat_map(|key| FORMS.map(|form| (*key, form))) {
        let (is_right, said) = verify(&place, key, form, &image);
        assert!(is_right, "{key} {form}: {said}");
    }
    let body = |key: &str| key.lines().nth(2).unwrap().to_owned();
    let private = std::fs::read_to_string(place.join("cosign.key")).unwrap();
    for secret in [PASSWORD.to_owned(), body(&private), body(&other)] {
        for said in [&first.stderr, &first.stdout, &second.stderr] {
            assert!(!said.contains(&secret));
        }
        let found = Command::new("grep").args(["-rlF", "--", &secret]).arg(space.root()).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&found.stdout), "");
    }
}

/// Runners of a platform each sign what they know: the images, and not the index.
#[test]
#[cfg_attr(not(has_registry), ignore = "no registry with crane")]
#[cfg_attr(not(has_cosign), ignore = "no cosign")]
fn signatures_of_some_platforms() {
    let place = TestSpace::empty();
    let registry = Registry::start(&place.beside("registry"));
    let space = signing(&registry);
    let place = space.beside("");
    for platform in ["linux/amd64", "linux/arm64"] {
        space.ok(&["push", "--platform", platform]);
        assert_eq!(space.outcomes(&["push", "--platform", platform])["push"], "cached");
    }
    let images = images(&registry, "team/app");
    for form in FORMS {
        assert!(!verify(&place, "cosign.pub", form, &images[0]).0);
        for image in &images[1..] {
            assert!(verify(&place, "cosign.pub", form, image).0, "{form} {image}");
            let (is_right, said) = verify_attestation(&place, "cosign.pub", (form, "slsaprovenance1"), image);
            assert!(is_right, "{form} {image}: {said}");
        }
    }
}

/// What is pushed is built a second time before; the signatures are not, which are the push's own.
#[test]
#[cfg_attr(not(has_registry), ignore = "no registry with crane")]
#[cfg_attr(not(has_cosign), ignore = "no cosign")]
fn a_verified_push_is_signed() {
    let place = TestSpace::empty();
    let registry = Registry::start(&place.beside("registry"));
    let mut space = pushing(&registry, "Static", "[\"ADDRESS/team/app:1\"]");
    let fields = format!("sbom: true, provenance: true, policy: (verified: true), {SIGN}, refs:");
    space.replace("build.ron", "refs:", &fields);
    let private = key_pair(&space.beside(""), "cosign");
    space.write("cosign.pub", &std::fs::read_to_string(space.beside("cosign.pub")).unwrap());
    space.set("COSIGN_PRIVATE_KEY", &private);
    space.set("COSIGN_PASSWORD", PASSWORD);
    space.ok(&["push"]);
    let image = images(&registry, "team/app").remove(0);
    let (is_right, said) = verify(&space.beside(""), "cosign.pub", FORMS[0], &image);
    assert!(is_right, "{said}");
    space.unset("COSIGN_PRIVATE_KEY");
    assert_eq!(space.outcomes(&["push"])["push"], "cached");
}

/// What is signed, where it goes and the public key decide whether something is signed; the private key and its form do not.
#[test]
#[cfg_attr(not(has_registry), ignore = "no registry with crane")]
#[cfg_attr(not(has_cosign), ignore = "no cosign")]
fn the_key_of_signatures() {
    let place = TestSpace::empty();
    let registry = Registry::start(&place.beside("registry"));
    let mut space = signing(&registry);
    let place = space.beside("");
    space.ok(&["push"]);
    let is_signed_again = |space: &TestSpace| {
        let outcomes = space.outcomes(&["push"]);
        assert_eq!(space.outcomes(&["push"])["push: signatures"], "cached");
        outcomes["push: signatures"] != "cached"
    };
    assert!(!is_signed_again(&space));
    // The password of a key is none of it.
    space.unset("COSIGN_PASSWORD");
    assert!(!is_signed_again(&space));
    space.set("COSIGN_PASSWORD", PASSWORD);
    let to = format!("\"{}/team/app:1\"", registry.address);
    space.replace("build.ron", &to, &format!("{to}, {}", to.replace("/app", "/other")));
    assert!(is_signed_again(&space), "another repository");
    for form in FORMS {
        let (is_right, said) = verify(&place, "cosign.pub", form, &format!("{}/team/other:1", registry.address));
        assert!(is_right, "{form}: {said}");
    }
    space.replace("build.ron", "sbom: [Spdx, CycloneDx]", "sbom: [Spdx]");
    assert!(is_signed_again(&space), "another list of documents");
    space.append("greet/text/hello.txt", "edited\n");
    assert!(is_signed_again(&space), "another image");
    space.append("build.ron", "// Provenance has the digest of this file.\n");
    assert!(is_signed_again(&space), "another document");
    let other = key_pair(&place, "other");
    space.set("COSIGN_PRIVATE_KEY", &other);
    space.write("cosign.pub", &std::fs::read_to_string(place.join("other.pub")).unwrap());
    assert!(is_signed_again(&space), "another key");
}

/// The example of docs/registries.md, and its commands.
#[test]
#[cfg_attr(not(has_registry), ignore = "no registry with crane")]
#[cfg_attr(not(has_cosign), ignore = "no cosign")]
fn the_example_of_the_page_on_signatures() {
    let place = TestSpace::empty();
    let registry = Registry::start(&place.beside("registry"));
    let mut space = TestSpace::small();
    let private = key_pair(&space.beside(""), "cosign");
    let public = std::fs::read_to_string(space.beside("cosign.pub")).unwrap();
    space.write("cosign.pub", &public);
    space.set("COSIGN_PRIVATE_KEY", &private);
    space.set("COSIGN_PASSWORD", PASSWORD);
    let example = examples("registries.md")[3].replace("registry.example", &registry.address);
    space.replace("build.ron", "\"test\": GoTest", &format!("{example}\"test\": GoTest"));
    space.ok(&["push", "--set", "version=1.2"]);
    let platform = crane(&["digest", "--platform", "linux/arm64", &format!("{}/team/app:1.2", registry.address)]);
    let page = std::fs::read_to_string(repository().join("docs/registries.md")).unwrap();
    let commands: Vec<&str> = page.lines().filter(|line| line.starts_with("cosign verify")).collect();
    assert_eq!(commands.len(), 4);
    for command in commands {
        let command = command.replace("registry.example", &registry.address).replace("PLATFORM", &platform);
        let words: Vec<&str> = command.split(' ').skip(1).collect();
        let (is_right, said) = cosign(&space.root(), &words);
        assert!(is_right, "{command}: {said}");
    }
}
