//! Digests of images where they are needed: in commands, in files made from a template, in YAML.

use std::process::Command;

use expect_test::expect;

use crate::base_image::Registry;
use crate::space::{TestSpace, make_executable};

/// An image without Go: the file `x`, under two names.
const IMAGE: &str = r#""image": Image(base: Static, files: {"/x": File("x")}, entrypoint: ["/x"],
    tags: ["REGISTRY/app:1", "app:1"])"#;

fn space(targets: &str) -> TestSpace {
    let space = TestSpace::with_targets(&format!("{IMAGE}, {targets}").replace("REGISTRY", "r.example"));
    space.write("x", "1");
    space
}

/// The digest of the image as its layout says it.
fn digest(space: &TestSpace) -> String {
    let index: serde_json::Value = serde_json::from_str(&space.read("dist/image/index.json")).unwrap();
    index["manifests"][0]["digest"].as_str().unwrap().to_owned()
}

#[test]
fn a_command_runs_again_when_the_image_is_another_one() {
    let space = space(
        r#""deploy": Exec(command: ["sh", "-c", "echo $0 $DIGEST > out", "{image:ref}"], inputs: [],
            env: {"DIGEST": "{image:digest}"}, outputs: ["out"]),
        "script": Shell("echo {image:ref}")"#,
    );
    space.ok(&["plan", "deploy"]).check(expect![[r#"
        depends     image: on the outputs of image: layer base, image: layer files
        depends     deploy: on the outputs of image
    "#]]);
    assert_eq!(
        space.ran(&["deploy"]).keys().map(String::as_str).collect::<Vec<_>>(),
        ["deploy", "image", "image: layer base", "image: layer files"]
    );
    let first = digest(&space);
    assert_eq!(space.read("out"), format!("r.example/app@{first} {first}\n"));
    assert!(space.ok(&["script"]).stderr.contains(&format!("r.example/app@{first}\n")));
    // A name of another repository is no part of the digest, and the first one is that of `ref`.
    space.replace("build.ron", "\"app:1\"", "\"other:1\"");
    assert!(!space.ran(&["deploy"]).contains_key("deploy"));
    assert_eq!(digest(&space), first);
    space.write("x", "2");
    space.ok(&["image"]);
    let second = digest(&space);
    space.ok(&["plan", "deploy"]).check(expect![[r#"
        up to date  image
        run         deploy: DIGEST changed from `[DIGEST]` to `[DIGEST]`, arguments changed from `r.example/app@[DIGEST]` to `r.example/app@[DIGEST]`
    "#]]);
    space.ok(&["deploy"]);
    assert_eq!(space.read("out"), format!("r.example/app@{second} {second}\n"));
    assert_ne!(first, second);
    space.write("x", "1");
    assert_eq!(space.outcomes(&["deploy"])["deploy"], "cached");
    assert_eq!(space.read("out"), format!("r.example/app@{first} {first}\n"));
    space.ok(&["graph", "deploy"]).check(expect![[r#"
        flowchart LR
          n0["image: layer base"]:::cached
          n1["image: layer files"]:::cached
          n2["image"]:::cached
          n4["deploy"]:::cached
          n0 --> n2
          n1 --> n2
          n2 --> n4
          classDef cached fill:#dfd
          classDef changed fill:#fdd
          classDef unknown fill:#eee
    "#]]);
}

/// Braces of others survive, and each value is where its name was.
#[test]
fn a_template_has_values_in_place_of_names() {
    let space = space(
        r#""manifest": Template(from: "deploy/app.yaml.in", to: "dist/app.yaml"),
        "use": Exec(command: ["sh", "-c", "cat $0 > copy", Output("manifest")], inputs: [], outputs: ["copy"])"#,
    );
    space.replace("build.ron", "targets:", "vars: {\"version\": \"v1\"}, targets:");
    let text =
        "# {version} of \\{version}\r\nimage: {image:ref}\nargs: [\"${HOME}\", {a: {}}, '{{ .Values.x }}']\n\t{3}";
    space.write("deploy/app.yaml.in", text);
    space.ok(&["use"]);
    let digest = digest(&space);
    let expected = text.replacen("{version}", "v1", 1).replace("\\{", "{");
    let expected = expected.replace("{image:ref}", &format!("r.example/app@{digest}"));
    assert_eq!(space.read("copy"), expected);
    assert_eq!(space.ran(&["use"]), std::collections::BTreeMap::new());
    space.ok(&["plan", "manifest", "--set", "version=v2"]).check(expect![[r#"
        up to date  image
        run         manifest: {version} changed from `v1` to `v2`
    "#]]);
    // A script stays one.
    make_executable(&space.root().join("deploy/app.yaml.in"));
    space.ok(&["manifest"]);
    let mode = |path: &str| {
        std::os::unix::fs::PermissionsExt::mode(&space.root().join(path).metadata().unwrap().permissions())
    };
    assert_eq!(mode("dist/app.yaml") & 0o777, 0o755);
    space.append("deploy/app.yaml.in", "{verison}");
    let run = space.run(&["manifest"]);
    run.fails(2, &["deploy/app.yaml.in:4:5: there is no variable `verison`", "hint: did you mean `{version}`?"]);
}

/// The digest is the one that a registry gives the image, and the reference leads to it.
#[test]
#[cfg_attr(not(has_registry), ignore = "no registry with crane")]
fn the_digest_is_that_of_a_registry() {
    let space =
        space(r#""deploy": Exec(command: ["sh", "-c", "echo $0 > out", "{image:ref}"], inputs: [], outputs: ["out"])"#);
    let registry = Registry::start(&space.beside("registry"));
    space.replace("build.ron", "r.example", &registry.address);
    space.replace("build.ron", "targets:", "platforms: [\"linux/amd64\", \"linux/arm64\"], targets:");
    for arguments in [&["deploy"][..], &["deploy", "--all-platforms"]] {
        space.ok(arguments);
        registry.push(&space.root().join("dist/image"), "app:1");
        let output =
            Command::new("crane").args(["digest", "--insecure"]).arg(space.read("out").trim()).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), digest(&space), "{output:?}");
    }
}
