//! Bills of materials and provenance that a push attaches: made from nothing but the image, the same elsewhere, and sent once.
//! The registries are real ones on loopback.

use serde_json::Value;

use crate::base_image::{Form, Registry, distribution, write_layout};
use crate::bases_in_docker::examples;
use crate::evidence::{checked, git, has_a_date};
use crate::push::{counts, crane, of};
use crate::push_documents::{types, types_at};
use crate::space::TestSpace;

/// The small module in a repository, with an image on a base of the registry and a push that attaches all that it can.
pub fn evident(registry: &Registry) -> TestSpace {
    let space = TestSpace::small();
    let layout = space.beside("base");
    write_layout(&layout, &[distribution("linux/amd64", Form::Gzip), distribution("linux/arm64", Form::Gzip)]);
    registry.push(&layout, "team/base:1");
    let text = space.read("build.ron");
    let head = text.split("    targets:").next().unwrap();
    let targets = r#""server": GoBuild(packages: ["./cmd/small"], stamp: {"main.version": "{version}"}),
        "image": Image(base: From("ADDRESS/team/base:1"), files: {"/app/small": Output("server")}),
        "push": Push(image: "image", to: ["ADDRESS/team/app:1"], sbom: [Spdx, CycloneDx], provenance: true)"#;
    space.write("build.ron", &format!("{head}    targets: {{{targets}}},\n)\n").replace("ADDRESS", &registry.address));
    space.ok(&["lock"]);
    git(&space, &["init", "--quiet"]);
    git(&space, &["remote", "add", "origin", "https://user:hunter2@example.com/team/small.git"]);
    git(&space, &["add", "--all"]);
    git(&space, &["commit", "--quiet", "--message", "one"]);
    space
}

fn digest(arguments: &[&str], name: &str) -> String {
    crane(&[&["digest"], arguments, &[name]].concat())
}

/// `gets` are the requests that ask which documents there are.
fn sent_once(registry: &Registry, gets: &[(&str, usize)]) {
    let space = evident(registry);
    let name = format!("{}/team/app:1", registry.address);
    let run = space.ok(&["push"]);
    assert!(run.stderr.contains("team/app: documents: 5 attached; "), "{}", run.stderr);
    let index = digest(&[], &name);
    assert!(space.ok(&["inspect", "image"]).stdout.contains(&index), "the digest is that of the layout");
    assert_eq!(types(&name), ["application/vnd.in-toto+json"]);
    let kinds = ["application/spdx+json", "application/vnd.cyclonedx+json"];
    let platforms = ["linux/amd64", "linux/arm64"];
    let manifests = platforms.map(|platform| digest(&["--platform", platform], &name));
    for (platform, manifest) in platforms.iter().zip(&manifests) {
        assert_eq!(types(&format!("{}/team/app@{manifest}", registry.address)), kinds);
        let shown = space.ok(&["inspect", &name, "--show", kinds[0], "--platform", platform]).stdout;
        assert_eq!(shown, space.read(&format!("dist/image.sbom/{}.spdx.json", platform.replace('/', "_"))));
        let hex = manifest.strip_prefix("sha256:").unwrap();
        assert!(shown.contains(hex), "{shown}");
    }

    // The statement is about all of them, and holds what was used.
    let text = space.ok(&["inspect", &name, "--show", "provenance"]).stdout;
    assert_eq!(text, space.read("dist/image.provenance.json"));
    let statement: Value = serde_json::from_str(&text).unwrap();
    let subject =
        |name: &str, digest: &str| serde_json::json!({"name": name, "digest": {"sha256": &digest["sha256:".len()..]}});
    let subjects = [
        subject("image", &index),
        subject("image (linux/amd64)", &manifests[0]),
        subject("image (linux/arm64)", &manifests[1]),
    ];
    assert_eq!(statement["subject"], serde_json::json!(subjects));
    let definition = &statement["predicate"]["buildDefinition"];
    let external = &definition["externalParameters"];
    assert_eq!((&external["target"], &external["platforms"]), (&"image".into(), &serde_json::json!(platforms)));
    assert_eq!(external["variables"], serde_json::json!({"version": "v1"}));
    assert_eq!(external["declared"].as_array().unwrap().len(), 2);
    let materials = definition["resolvedDependencies"].as_array().unwrap();
    let names: Vec<&str> = materials.iter().map(|one| one["name"].as_str().unwrap()).collect();
    let base = format!("{}/team/base:1", registry.address);
    assert_eq!(names, [base.as_str(), base.as_str(), "go1.22.12", "source"]);
    for platform in platforms {
        let found = materials.iter().find(|one| one["annotations"]["platform"] == platform).unwrap();
        assert_eq!(found["digest"]["sha256"], digest(&["--platform", platform], &base)["sha256:".len()..]);
    }
    assert_eq!(materials[3]["uri"], "git+https://example.com/team/small");
    let steps = definition["internalParameters"]["steps"].as_object().unwrap();
    assert!(steps.contains_key("image") && steps.contains_key("server (linux/arm64)"), "{text}");
    for private in ["hunter2", "user:", space.root().to_str().unwrap(), "T00:"] {
        assert!(!text.contains(private), "{private}");
    }
    assert!(!has_a_date(&text), "{text}");
    if cfg!(has_evidence_python) {
        let (is_valid, said) = checked("provenance", &space.root().join("dist/image.provenance.json"));
        assert!(is_valid, "{said}");
    }

    // Nothing is sent a second time, here or elsewhere.
    let expected = of(&[&[("HEAD manifests", 1)], gets].concat());
    let before = registry.requests().len();
    assert!(space.ok(&["push"]).stderr.contains(": 0 ran,"));
    assert_eq!(counts(registry, before), expected);
    let (other, before) = (space.clone_elsewhere(), registry.requests().len());
    assert_eq!(other.outcomes(&["push"])["push"], "cached");
    let sent = counts(registry, before);
    assert!(sent.keys().all(|request| request.starts_with("HEAD") || request.starts_with("GET")), "{sent:?}");
    assert_eq!(other.read("dist/image.provenance.json"), text);

    // The image is what it is without documents.
    other.replace("build.ron", ", sbom: [Spdx, CycloneDx], provenance: true", "");
    other.ok(&["image", "--all-platforms"]);
    assert!(other.ok(&["inspect", "image"]).stdout.contains(&index));
}

#[test]
#[cfg_attr(not(has_registry), ignore = "no registry with crane")]
#[cfg_attr(not(has_oras), ignore = "no oras")]
fn evidence_is_sent_once() {
    let place = TestSpace::empty();
    sent_once(&Registry::start(&place.beside("registry")), &[("GET referrers", 3), ("GET manifests", 3)]);
}

#[test]
#[cfg_attr(not(has_registry_with_referrers), ignore = "no registry-with-referrers (see tests/registries)")]
#[cfg_attr(not(has_oras), ignore = "no oras")]
fn evidence_is_sent_once_where_the_registry_lists_it() {
    let place = TestSpace::empty();
    sent_once(&Registry::with_referrers(&place.beside("registry")), &[("GET referrers", 3)]);
}

/// All that a statement says is in the key of its step, and all that decides it.
#[test]
#[cfg_attr(not(has_registry), ignore = "no registry with crane")]
fn the_key_of_provenance() {
    let place = TestSpace::empty();
    let registry = Registry::start(&place.beside("registry"));
    let mut space = evident(&registry);
    let path = "dist/image.provenance.json";
    let mut before = String::new();
    let mut again = |space: &TestSpace, options: &[&str]| {
        space.ok(&[&["image", "--all-platforms"], options].concat());
        let text = space.read(path);
        assert_ne!(text, before);
        before.clone_from(&text);
        text
    };
    let first = again(&space, &[]);
    assert!(space.ran(&["image", "--all-platforms"]).is_empty());
    again(&space, &["--set", "version=v2"]);
    assert_eq!(again(&space, &[]), first);
    space.append("greet/text/hello.txt", "edited\n");
    assert!(again(&space, &[]).contains("\"dirty\": \"true\""));
    git(&space, &["commit", "--quiet", "--all", "--message", "two"]);
    assert!(!again(&space, &[]).contains("\"dirty\""));
    git(&space, &["remote", "set-url", "origin", "git@example.com:team/other.git"]);
    assert!(again(&space, &[]).contains("git+https://example.com/team/other\""));
    space.append("build.ron", "// A comment.\n");
    again(&space, &[]);
    space.replace("build.ron", "{\"/app/small\": Output", "{\"/app/other\": Output");
    again(&space, &[]);
    let layout = space.beside("another-base");
    write_layout(&layout, &[distribution("linux/amd64", Form::Zstd), distribution("linux/arm64", Form::Zstd)]);
    registry.push(&layout, "team/base:2");
    space.replace("build.ron", "/team/base:1", "/team/base:2");
    space.ok(&["lock"]);
    assert!(again(&space, &[]).contains("/team/base:2\""));
    space.remove("build.lock");
    let without = again(&space, &[]);
    assert!(without.contains("/team/base:2\"") && !without.contains("build.lock"));
    space.set("LC_ALL", "C");
    assert!(space.ran(&["image", "--all-platforms"]).is_empty());
}

/// A runner of one platform does not know the index, so what it says is about its own image.
#[test]
#[cfg_attr(not(has_registry_with_referrers), ignore = "no registry-with-referrers (see tests/registries)")]
#[cfg_attr(not(has_oras), ignore = "no oras")]
fn evidence_of_some_platforms() {
    let place = TestSpace::empty();
    let registry = Registry::with_referrers(&place.beside("registry"));
    let space = evident(&registry);
    let name = format!("{}/team/app:1", registry.address);
    for platform in ["linux/amd64", "linux/arm64"] {
        space.ok(&["push", "--platform", platform]);
        let manifest = digest(&["--platform", platform], &name);
        let kinds = types(&format!("{}/team/app@{manifest}", registry.address));
        assert_eq!(kinds, ["application/spdx+json", "application/vnd.cyclonedx+json", "application/vnd.in-toto+json"]);
        let text = space.ok(&["inspect", &name, "--show", "provenance", "--platform", platform]).stdout;
        assert!(text.contains(manifest.strip_prefix("sha256:").unwrap()), "{text}");
        assert_eq!(space.outcomes(&["push", "--platform", platform])["push"], "cached");
    }
    assert!(types(&name).is_empty());
}

/// The example of docs/registries.md.
#[test]
#[cfg_attr(not(has_registry), ignore = "no registry with crane")]
#[cfg_attr(not(has_oras), ignore = "no oras")]
fn the_example_of_the_page_on_evidence() {
    let place = TestSpace::empty();
    let registry = Registry::start(&place.beside("registry"));
    let space = TestSpace::small();
    let example = examples("registries.md")[2].replace("registry.example", &registry.address);
    space.replace("build.ron", "\"test\": GoTest", &format!("{example}\"test\": GoTest"));
    space.ok(&["push"]);
    assert_eq!(types_at(&format!("{}/team/app:v1", registry.address), ":v1"), ["application/vnd.in-toto+json"]);
    assert_eq!(space.outcomes(&["push"])["push"], "cached");
    // In other surroundings it is the same.
    space.ok(&["verify", "image"]);
}
