//! Digests of images where they are needed: in commands, in files made from a template, in YAML.

use std::fs;
use std::process::Command;

use expect_test::expect;

use crate::base_image::Registry;
use crate::space::{TestSpace, make_executable, repository};

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

/// A manifest and a compose file, with texts that must stay.
const MANIFEST: &str = "# r.example/app:1 in a comment\r\napiVersion: apps/v1\nkind: Deployment\nspec:\n  template:\n    spec:\n      initContainers:\n      - {name: first, image: 'r.example/app:old'}   # flow\n      containers:\n      - name: app\n        image: r.example/app@sha256:00   # pinned before\n        args: [\"--image\", \"busybox\"]\n      - image: postgres:16\n---\napiVersion: v1\nkind: ConfigMap\ndata:\n  inner.yaml: |\n    image: app:1\n";
const COMPOSE: &str = "x-image: &image \"app:1\"\nservices:\n  one:\n    image: *image\n  two: {image: \"${OTHER}\"}\n";

#[test]
fn names_of_images_are_pinned() {
    let space = space(r#""pinned": Resolve(files: ["deploy/**"], images: ["image"], to: "out")"#);
    space.write("deploy/base/app.yaml", MANIFEST);
    space.write("deploy/compose.yml", COMPOSE);
    space.write("deploy/base/app.env", "image: app:1\n");
    let run = space.ok(&["pinned"]);
    let warning = "not pinned, since no `image` key is there: deploy/base/app.yaml:19: `app`\n";
    assert!(run.stderr.contains(warning), "{}", run.stderr);
    let digest = digest(&space);
    let app = format!("r.example/app@{digest}");
    let expected =
        MANIFEST.replace("'r.example/app:old'", &format!("'{app}'")).replace("r.example/app@sha256:00", &app);
    assert_eq!(space.read("out/base/app.yaml"), expected);
    assert_eq!(space.read("out/compose.yml"), COMPOSE.replace("\"app:1\"", &format!("\"app@{digest}\"")));
    assert_eq!(space.read("out/base/app.env"), "image: app:1\n");
    assert_eq!(space.ran(&["pinned"]), std::collections::BTreeMap::new());
    // Another image.
    space.write("x", "2");
    space.ok(&["image"]);
    space.ok(&["plan", "pinned"]).check(expect![[r#"
        up to date  image
        run         pinned: image docker.io/library/app changed from `[DIGEST]` to `[DIGEST]`, image r.example/app changed from `[DIGEST]` to `[DIGEST]`
    "#]]);
    // A name where no image is looked for.
    space.append("deploy/base/app.yaml", "  args: [\"--use\", r.example/app:1]\n");
    let run = space.ok(&["pinned"]);
    let warning = "deploy/base/app.yaml:20: `r.example/app`";
    assert!(run.stderr.contains(warning), "{}", run.stderr);
    for (text, words) in [
        ("image: [\n", "deploy/base/app.yaml:2:1: "),
        ("{{ if .x }}\na: b\n{{ end }}\n", "deploy/base/app.yaml:2:1: "),
        ("image: |\n  app:1\n", "deploy/base/app.yaml:2:3: a block text can't be pinned"),
        (
            "image: ko://example.com/x\n",
            "deploy/base/app.yaml:1:8: `ko://example.com/x` is in none of the images of `image`",
        ),
    ] {
        space.write("deploy/base/app.yaml", text);
        space.run(&["pinned"]).fails(2, &[words]);
    }
    space.write("deploy/base/app.yaml", "image: other\n");
    space.write("deploy/compose.yml", "image: other\n");
    space.run(&["pinned"]).fails(2, &["no file names the image of `image`", "files name it by `image: NAME`"]);
}

/// A parser of its own sees the same files but for the images.
#[test]
#[cfg_attr(not(has_pyyaml), ignore = "no python3 with yaml")]
fn another_parser_agrees() {
    const SCRIPT: &str = r#"
import sys, yaml
def walk(node, image):
    if isinstance(node, dict): return {key: walk(value, key in ["image", "x-image"]) for key, value in node.items()}
    if isinstance(node, list): return [walk(item, False) for item in node]
    return "IMAGE" if image and "app" in node else node
def read(path): return [walk(document, False) for document in yaml.safe_load_all(open(path, newline=""))]
for name in ["app.yaml", "compose.yml"]:
    before, after = read("deploy/" + name), read("out/" + name)
    assert before == after, (before, after)
    assert str(before).count("IMAGE") == 2 and str(after).count("IMAGE") == 2, before
"#;
    let space = space(r#""pinned": Resolve(files: ["deploy/**"], images: ["image"], to: "out")"#);
    space.write("deploy/app.yaml", MANIFEST);
    space.write(
        "deploy/compose.yml",
        &format!("{COMPOSE}  three: {{<<: {{image: *image}}}}\n").replace("one:\n    image: *image", "one: {}"),
    );
    space.ok(&["pinned"]);
    let output = Command::new("python3").args(["-c", SCRIPT]).current_dir(space.root()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A second build makes the same files, and pushes nothing: also where only a file names the push.
#[test]
fn files_are_verified_and_nothing_is_pushed() {
    let space = space(
        r#""push": Push(image: "image", to: ["127.0.0.1:1/app:1"]), "after-push": Template(from: "push.in", to: "of-push"),
        "manifest": Template(from: "image.in", to: "of-image"),
        "pinned": Resolve(files: ["a.yaml"], images: ["image"]), "published": Resolve(files: ["a.yaml"])"#,
    );
    space.write("push.in", "{push:ref}");
    space.write("image.in", "{image:ref}");
    space.write("a.yaml", "image: app\n");
    for target in ["manifest", "pinned"] {
        let run = space.ok(&["verify", target]);
        assert!(run.stderr.contains(&format!("Identical {target}: sha256:")), "{}", run.stderr);
    }
    for target in ["after-push", "published", "push"] {
        space.run(&["verify", target]).fails(2, &["`push` can't be verified: a second build would publish too"]);
    }
}

/// The blocks of build.ron on the page, in order.
fn examples() -> Vec<String> {
    let text = fs::read_to_string(repository().join("docs/digests.md")).unwrap();
    text.split("```ron\n").skip(1).map(|rest| rest.split("```").next().unwrap().to_owned()).collect()
}

#[test]
#[cfg_attr(not(has_registry), ignore = "no registry with crane")]
fn the_examples_of_the_page() {
    let space = TestSpace::small();
    let registry = Registry::start(&space.beside("registry"));
    let name = format!("{}/team/small", registry.address);
    let page = fs::read_to_string(repository().join("docs/digests.md")).unwrap();
    let template = page.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
    space.write("deploy.yaml.in", template);
    space.write("deploy/app/pod.yaml", "containers:\n- image: registry.example/team/small:v0 # it\n- image: small\n");
    space.write("deploy/ko.yaml", "args: [\"ko://example.com/small/cmd/small\"]\nother: {image: postgres:16}\n");
    space.write("deploy.sh", "#!/bin/sh\necho $1 $IMAGE_DIGEST > deployed\n");
    space.write("apply.sh", "#!/bin/sh\ncat $1/ko.yaml $1/app/pod.yaml > applied\n");
    make_executable(&space.root().join("deploy.sh"));
    make_executable(&space.root().join("apply.sh"));
    let head = space.read("build.ron");
    let head = head.split("    targets:").next().unwrap();
    let server = "\"server\": GoBuild(packages: [\"./cmd/small\"])";
    let text = format!("{head}    targets: {{\n{server},\n{}}},\n)\n", examples().concat());
    space.write("build.ron", &text.replace("registry.example", &registry.address));
    space.replace("deploy/app/pod.yaml", "registry.example", &registry.address);
    space.ok(&["deploy", "manifest", "apply"]);
    // All platforms are pushed, so one digest is everywhere, and the registry knows it.
    let digest = digest(&space);
    let reference = format!("{name}@{digest}");
    let output = Command::new("crane").args(["digest", "--insecure"]).arg(format!("{name}:v1")).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), digest, "{output:?}");
    assert_eq!(space.read("deployed"), format!("{reference} {digest}\n"));
    let expected = template.replace("{push:ref}", &reference).replace("\"{version}\"", "\"v1\"");
    assert_eq!(space.read("dist/deploy.yaml"), expected);
    let ko = format!("args: [\"{reference}\"]\nother: {{image: postgres:16}}\n");
    let pod = format!("containers:\n- image: {reference} # it\n- image: {reference}\n");
    assert_eq!(space.read("applied"), format!("{ko}{pod}"));
    let again = space.ran(&["deploy", "manifest", "apply"]);
    assert_eq!(again, std::collections::BTreeMap::new());
}
