//! `no_known_vulnerability` of a policy: the real `govulncheck`, a database with an invented vulnerability, and real registries on
//! loopback.

use serde_json::Value;

use crate::base_image::Registry;
use crate::bases_in_docker::examples;
use crate::go_checkers::vulnerable;
use crate::push::{counts, crane};
use crate::push_documents::types;
use crate::push_signatures::{PASSWORD, SIGN, key_pair, only_questions, verify_attestation};
use crate::space::TestSpace;

const PREDICATE: &str = "https://openvex.dev/ns";
const RULE: &str = "no_known_vulnerability: (db: \"vulndb\")";

/// The module that calls what the database knows, as an image that is pushed and as a release.
fn sent(address: &str) -> TestSpace {
    let space = vulnerable();
    space.write(
        "build.ron",
        &r#"(format: 1, project: "small", go: Version("1.22.12"), platforms: ["linux/amd64", "linux/arm64"],
            vars: {"version": "1.0.0"}, targets: {
            "x": GoBuild(packages: ["."]),
            "image": Image(base: Static, files: {"/x": Output("x")}, entrypoint: ["/x"], created: Epoch),
            "push": Push(image: "image", to: ["ADDRESS/team/app:1"], policy: (RULE)),
            "release": Release(builds: ["x"], created: Epoch, gate: Off, policy: (RULE)),
        })"#
        .replace("ADDRESS", address)
        .replace("RULE", RULE),
    );
    space.ok(&["lock"]);
    space
}

/// The same for one platform.
fn sent_for_one(address: &str) -> TestSpace {
    let space = sent(address);
    space.replace("build.ron", ", \"linux/arm64\"", "");
    space
}

/// Calls a function of the same package that is sound.
fn mend(space: &TestSpace) {
    space.replace("main.go", "IsValid(\"v1.0.0\")", "Major(\"v1.0.0\")");
}

#[test]
fn what_reaches_a_vulnerability_is_not_released() {
    let space = sent("127.0.0.1:1");
    let refused = [
        "`release` wants no known vulnerability, and there is GO-2026-9001 (Versions are believed) of golang.org/x/mod@v0.17.0, \
         mended in v0.18.0, called by x.main -> semver.IsValid in `x` (linux/amd64, linux/arm64)",
        RULE.split_once(": ").unwrap().1,
        "hint: run `go get golang.org/x/mod@v0.18.0`; or say in `accepted` of the rule why it does not count: `{\"GO-2026-9001\": \"…\"}`",
    ];
    space.run(&["release"]).fails(2, &refused);
    space.run(&["push"]).fails(2, &["`push` wants no known vulnerability"]);
    assert!(!space.exists("dist/release/artifacts.json"));

    // Code that is near and not called counts only on demand.
    space.replace("build.ron", ", \"linux/arm64\"", "");
    mend(&space);
    let run = space.ok(&["release"]);
    assert!(run.stderr.contains("known vulnerabilities that do not count: GO-2026-9001"), "{}", run.stderr);
    assert!(space.exists("dist/release/artifacts.json"));
    assert!(space.ran(&["release"]).is_empty());
    // The second build of the gate asks for no rule.
    space.replace("build.ron", "gate: Off, ", "");
    let run = space.ok(&["release"]);
    assert!(run.stderr.contains(": identical"), "{}", run.stderr);
    space.replace("build.ron", "created: Epoch, policy: (no", "created: Epoch, gate: Off, policy: (no");
    space.replace("build.ron", "(db: \"vulndb\")", "(db: \"vulndb\", reachable_only: false)");
    space.run(&["release"]).fails(2, &["GO-2026-9001", "in code that is not called in `x`"]);
    // A reason that is given counts, by any of its names.
    space.replace(
        "build.ron",
        "reachable_only: false",
        "reachable_only: false, accepted: {\"CVE-2026-9001\": \"our own versions\"}",
    );
    space.run(&["release"]).fails(2, &["GO-2026-9001"]);
    space.replace("vulndb/ID/GO-2026-9001.json", "\"summary\"", "\"aliases\": [\"CVE-2026-9001\"], \"summary\"");
    space.ok(&["release"]);
    assert!(space.ran(&["release"]).is_empty());

    // Each member of the keys.
    let steps = ["release: vulnerabilities of x (linux/amd64)", "release: no known vulnerability"];
    let edits: [(&str, &str, &dyn Fn()); 5] = [
        ("a source", steps[0], &|| space.append("main.go", "// more\n")),
        ("the database", steps[0], &|| space.replace("vulndb/ID/GO-2026-9001.json", "invented", "made up")),
        ("a text of the database", steps[1], &|| space.replace("vulndb/ID/GO-2026-9001.json", "believed", "trusted")),
        ("tags", steps[0], &|| space.replace("build.ron", "packages: [\".\"]", "packages: [\".\"], tags: [\"a\"]")),
        ("the reason", steps[1], &|| space.replace("build.ron", "our own versions", "versions of our own")),
    ];
    for (what, step, edit) in edits {
        edit();
        assert!(space.ran(&["release"]).contains_key(step), "{what}");
        assert!(space.ran(&["release"]).is_empty(), "{what}, the second time");
    }
    // A note and another target change nothing.
    space.write("README.md", "# x\n");
    space.replace("build.ron", "targets: {", "targets: {\"other\": Shell(\"true\"),");
    assert!(space.ran(&["release"]).is_empty());
}

#[test]
fn a_database_that_says_nothing_is_no_answer() {
    let space = sent_for_one("127.0.0.1:1");
    mend(&space);
    // An address can have other contents each time, and this one has none.
    space.replace("build.ron", "\"vulndb\"", "\"http://127.0.0.1:1\"");
    space.run(&["release"]).fails(1, &["127.0.0.1:1", "hint: check `db` and `tool` of `no_known_vulnerability`"]);
    // A program that says nothing has not looked.
    space.replace("build.ron", "\"http://127.0.0.1:1\"", "\"vulndb\", tool: \"true\"");
    space.run(&["release"]).fails(1, &["what `govulncheck` says is not understood: it has no configuration"]);
    space.replace("build.ron", "tool: \"true\"", "tool: \"no-such-program\"");
    space.run(&["release"]).fails(3, &["no-such-program"]);
    space.replace("build.ron", "\"vulndb\", tool: \"no-such-program\"", "\"nowhere\"");
    space.run(&["release"]).fails(2, &["there is no `nowhere`"]);
    // An image without a Go program has nothing to look at.
    space.write("own", "text\n");
    space.replace("build.ron", "Output(\"x\")", "File(\"own\")");
    space
        .run(&["push"])
        .fails(2, &["`no_known_vulnerability` looks at what `GoBuild` makes, and `push` has nothing of it"]);
}

fn statements(space: &TestSpace, name: &str, platform: &str) -> Value {
    let shown = space.ok(&["inspect", name, "--show", "vex", "--platform", platform]).stdout;
    for private in [space.root().to_str().unwrap(), "T03:04:05Z"] {
        assert!(!shown.contains(private), "{shown}");
    }
    serde_json::from_str(&shown).unwrap()
}

/// The documents about a platform, whether the registry lists them or not.
fn attached_and_sent_once(registry: &Registry) {
    let space = sent(&registry.address);
    space.run(&["push"]).fails(2, &["`push` wants no known vulnerability, and there is GO-2026-9001"]);
    assert_eq!(counts(registry, 0).keys().filter(|request| !request.starts_with("GET")).count(), 0, "nothing is sent");
    mend(&space);
    let run = space.ok(&["push"]);
    assert!(run.stderr.contains("team/app: documents: 2 attached; "), "{}", run.stderr);
    let name = format!("{}/team/app:1", registry.address);
    for platform in ["linux/amd64", "linux/arm64"] {
        let manifest = crane(&["digest", "--platform", platform, &name]);
        let hex = manifest.strip_prefix("sha256:").unwrap();
        let statement = statements(&space, &name, platform);
        assert_eq!(statement["predicateType"], PREDICATE);
        let subject = serde_json::json!([{"name": format!("image ({platform})"), "digest": {"sha256": hex}}]);
        assert_eq!(statement["subject"], subject);
        let document = &statement["predicate"];
        assert_eq!((&document["author"], &document["timestamp"]), (&"small".into(), &"1970-01-01T00:00:00Z".into()));
        let [one] = document["statements"].as_array().unwrap().as_slice() else { panic!("{document}") };
        assert_eq!(
            (&one["status"], &one["justification"]),
            (&"not_affected".into(), &"vulnerable_code_not_in_execute_path".into())
        );
        assert_eq!(one["vulnerability"]["name"], "GO-2026-9001");
        let product = &one["products"][0];
        let repository = registry.address.replace(':', "%3A");
        assert_eq!(product["@id"], format!("pkg:oci/app@sha256%3A{hex}?repository_url={repository}%2Fteam%2Fapp"));
        assert_eq!(product["subcomponents"][0]["@id"], "pkg:golang/golang.org/x/mod@v0.17.0");
    }
    // The same bytes, here and elsewhere.
    let before = registry.requests().len();
    assert!(space.ok(&["push"]).stderr.contains(": 0 ran,"));
    only_questions(registry, before);
    let (other, before) = (space.clone_elsewhere(), registry.requests().len());
    assert_eq!(other.outcomes(&["push"])["push"], "cached");
    only_questions(registry, before);

    // Where nothing is known, nothing is said.
    space.replace("main.go", "semver.Major(\"v1.0.0\")", "1");
    space.replace("main.go", "\n\n\t\"golang.org/x/mod/semver\"", "");
    space.replace("build.ron", "app:1", "app:2");
    let run = space.ok(&["push"]);
    assert!(!run.stderr.contains("documents"), "{}", run.stderr);
    let name = format!("{}/team/app:2", registry.address);
    space
        .run(&["inspect", &name, "--show", "vex"])
        .fails(2, &["has no document `vex`", "there are no documents about it"]);
}

#[test]
#[cfg_attr(not(has_registry), ignore = "no registry with crane")]
fn findings_are_attached_once() {
    let place = TestSpace::empty();
    attached_and_sent_once(&Registry::start(&place.beside("registry")));
}

#[test]
#[cfg_attr(not(has_registry_with_referrers), ignore = "no registry-with-referrers (see tests/registries)")]
fn findings_are_attached_once_with_referrers() {
    let place = TestSpace::empty();
    attached_and_sent_once(&Registry::with_referrers(&place.beside("registry")));
}

/// The third example of docs/policies.md, with the targets of the first.
#[test]
#[cfg_attr(not(has_registry), ignore = "no registry with crane")]
fn the_example_of_the_page_on_policies() {
    let place = TestSpace::empty();
    let registry = Registry::start(&place.beside("registry"));
    let space = sent(&registry.address);
    let blocks = examples("policies.md");
    let (targets, _) = blocks[0].split_once("\"push\"").unwrap();
    let targets = targets.replace("./cmd/small", ".");
    let example = blocks[2].replace("registry.example", &registry.address);
    let head =
        "format: 1, project: \"x\", go: Version(\"1.22.12\"), platforms: [\"linux/amd64\"], vars: {\"version\": \"1\"}";
    space.write("build.ron", &format!("({head}, targets: {{\n{targets}{example}}})\n"));
    space.run(&["checked"]).fails(2, &["`checked` wants no known vulnerability"]);
    mend(&space);
    assert!(space.ok(&["checked"]).stderr.contains("/team/checked:1@sha256:"));
}

#[test]
#[cfg_attr(not(has_registry), ignore = "no registry with crane")]
#[cfg_attr(not(has_oras), ignore = "no oras")]
#[cfg_attr(not(has_cosign), ignore = "no cosign")]
fn findings_are_signed() {
    let place = TestSpace::empty();
    let registry = Registry::start(&place.beside("registry"));
    let mut space = sent_for_one(&registry.address);
    mend(&space);
    let private = key_pair(&space.beside(""), "cosign");
    space.write("cosign.pub", &std::fs::read_to_string(space.beside("cosign.pub")).unwrap());
    space.replace("build.ron", "app:1\"]", &format!("app:1\"], {SIGN}"));
    space.set("COSIGN_PRIVATE_KEY", &private);
    space.set("COSIGN_PASSWORD", PASSWORD);
    space.ok(&["push"]);
    let name = format!("{}/team/app", registry.address);
    let manifest = crane(&["digest", "--platform", "linux/amd64", &format!("{name}:1")]);
    for form in ["--new-bundle-format=true", "--new-bundle-format=false"] {
        let image = format!("{name}@{manifest}");
        let (is_right, said) = verify_attestation(&space.beside(""), "cosign.pub", (form, "openvex"), &image);
        assert!(is_right, "{form}: {said}");
    }
    let documents = types(&format!("{name}@{manifest}")).len();
    assert!(documents >= 3, "a statement, its signature, and that of the image: {documents}");

    // Nothing is signed where nothing is said.
    space.replace("main.go", "semver.Major(\"v1.0.0\")", "1");
    space.replace("main.go", "\n\n\t\"golang.org/x/mod/semver\"", "");
    let run = space.ok(&["push"]);
    assert!(run.stderr.contains("team/app: documents: 2 attached; "), "{}", run.stderr);
}
