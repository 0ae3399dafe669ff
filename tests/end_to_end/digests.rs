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
        "script": Shell(script: "echo $REF", env: {"REF": "{image:ref}"})"#,
    );
    space.ok(&["plan", "deploy"]).check(expect![[r#"
        depends     image: on the outputs of image: layer base (first build), image: layer files (first build)
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
        run         deploy (last [T]): DIGEST changed from `[DIGEST]` to `[DIGEST]`, arguments changed from `r.example/app@[DIGEST]` to `r.example/app@[DIGEST]`
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
        run         manifest (last [T]): {version} changed from `v1` to `v2`
    "#]]);
    // A script stays one.
    make_executable(&space.root().join("deploy/app.yaml.in"));
    space.ok(&["manifest"]);
    let mode = |path: &str| {
        std::os::unix::fs::PermissionsExt::mode(&space.root().join(path).metadata().unwrap().permissions())
    };
    assert_eq!(mode("dist/app.yaml") & 0o777, 0o755);
    assert!(space.audit_all(&[]).contains("manifest"));
    let run = space.ok(&["manifest", "--set", "version="]);
    assert!(run.stderr.contains("warning: `{version}` in `deploy/app.yaml.in` is empty"), "{}", run.stderr);
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
    let warning = "not pinned, since it is not the whole value of an `image` key: deploy/base/app.yaml:19: `app`\n";
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
        run         pinned (last [T]): image docker.io/library/app changed from `[DIGEST]` to `[DIGEST]`, image r.example/app changed from `[DIGEST]` to `[DIGEST]`
    "#]]);
    space.write("deploy/kustomization.yaml", "images:\n- newName: app\n- name: app\n");
    let run = space.ok(&["pinned"]);
    let warning = ": deploy/base/app.yaml:19: `app`, deploy/kustomization.yaml:2: `app`\n";
    assert!(run.stderr.contains(warning), "{}", run.stderr);
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

/// What makes files, as a whole and in parts: in images and in commands, which can list a directory.
#[test]
fn outputs_are_found_by_their_readers() {
    let space = space(
        r#""pinned": Resolve(files: ["deploy/**"], images: ["image"], to: "out/deploy"),
        "default": Resolve(files: ["deploy/a.yaml"], images: ["image"]),
        "manifest": Template(from: "x.in", to: "out/x.yaml"),
        "made": Exec(command: ["sh", "-c", "mkdir made/s; echo 1 > made/s/1"], inputs: [], outputs: ["made/"]),
        "all": Image(base: Static, entrypoint: ["/x"], files: {"/x": File("x", mode: 0o755),
            "/a": Output("pinned"), "/b": Output("default"), "/c": Output("pinned", "s"), "/d/b": Output("pinned", "s/b.yaml"),
            "/d/a": Output("pinned", "out/deploy/a.yaml"), "/d/c": Output("default", "a.yaml"), "/e/1": Output("manifest"),
            "/e/2": Output("manifest", "x.yaml"), "/e/3": Output("manifest", "out/x.yaml"), "/f": Output("made")}),
        "list": Exec(command: ["sh", "-c", "find \"$0\" \"$@\" \"$A\" -type f | sort | sed \"s,$0,PINNED,\" > listed",
            Output("pinned"), Output("pinned", "s"), Output("default"), Output("made")], tools: ["find", "sort", "sed"],
            env: {"A": Output("default")}, inputs: [Output("made")], outputs: ["listed"]),
        "look": Shell(script: "ls $A made > /dev/null && cat $A/s/*", env: {"A": Output("pinned")}, inputs: [Output("made")],
            tools: ["ls", "cat"])"#,
    )
    .may_differ();
    space.replace("build.ron", "targets:", "vars: {\"version\": \"v1\"}, targets:");
    space.write("deploy/a.yaml", "image: app\n");
    space.write("deploy/s/b.yaml", "image: app\n");
    space.write("x.in", "{version}\n");
    space.ok(&["all", "list", "look"]);
    let listed = space.read("listed").replace(&space.root().display().to_string(), "");
    expect![[r#"
        /dist/default/a.yaml
        /dist/default/a.yaml
        /made/s/1
        PINNED/a.yaml
        PINNED/s/b.yaml
        PINNED/s/b.yaml
    "#]]
    .assert_eq(&listed);
    let list = |name: &str| {
        let output =
            Command::new("tar").arg("-tzf").arg(space.root().join("dist/all/blobs/sha256").join(name)).output();
        String::from_utf8(output.unwrap().stdout).unwrap()
    };
    let blobs = fs::read_dir(space.root().join("dist/all/blobs/sha256")).unwrap();
    let all: Vec<String> = blobs.map(|blob| list(blob.unwrap().file_name().to_str().unwrap())).collect();
    let mut files: Vec<&str> = all.iter().flat_map(|list| list.lines()).filter(|line| line.contains("/")).collect();
    files.retain(|line| "abcdef".contains(&line[..1]) && !line.ends_with('/') && line[1..].starts_with('/'));
    files.sort_unstable();
    assert_eq!(
        files,
        ["a/a.yaml", "a/s/b.yaml", "b/a.yaml", "c/b.yaml", "d/a", "d/b", "d/c", "e/1", "e/2", "e/3", "f/s/1"]
    );
}

/// A warning is a line of the output, and so comes with each later result too. Images of which each must be named are in
/// the key.
#[test]
fn what_is_not_pinned_is_told_each_time() {
    let space = space(
        r#""nameless": Image(base: Static, files: {"/y": File("x")}, entrypoint: ["/y"]),
        "debug": Image(base: Static, files: {"/d": File("x")}, entrypoint: ["/d"], tags: ["r.example/app:1-debug"]),
        "push": Push(image: "debug", to: ["r.example/app:1-debug"]),
        "pinned": Resolve(files: ["deploy/*"], images: ["image"], to: "out")"#,
    );
    space.write("deploy/a.yaml", "image: r.example/app:1\n");
    space.write(
        "deploy/b.json",
        r#"{"image": "r.example/app:1-debug", "text": "\ud83d\ude00", "args": ["r.example/app"]}"#,
    );
    let check = || {
        let run = space.ok(&["pinned"]);
        for words in [
            "warning: deploy/b.json:1: `r.example/app:1-debug` is pushed by `push`, and pinned to the image that `images` names",
            "warning: not pinned, since it is not the whole value of an `image` key: deploy/b.json:1: `r.example/app`",
        ] {
            assert!(run.stderr.contains(words), "{}", run.stderr);
        }
    };
    check();
    assert_eq!(space.ran(&["pinned"]), std::collections::BTreeMap::new());
    check();
    fs::remove_dir_all(space.root().join("out")).unwrap();
    check();
    let text = space.read("out/b.json");
    assert!(text.contains(r#""text": "\ud83d\ude00""#) && text.contains(&digest(&space)), "{text}");
    // Two images at one place: the tag decides.
    space.replace("build.ron", r#"images: ["image"]"#, r#"images: ["image", "debug"]"#);
    space.ok(&["pinned"]);
    assert!(space.read("out/a.yaml").contains(&digest(&space)) && !space.read("out/b.json").contains(&digest(&space)));
    space.write("deploy/b.json", r#"{"image": "r.example/app:2"}"#);
    space.run(&["pinned"]).fails(
        2,
        &["`r.example/app:2` can be the image of `image`, `debug`, which differ", "one of them has: `:1`, `:1-debug`"],
    );
    space.write("deploy/b.json", "{}");
    space.run(&["pinned"]).fails(2, &["no file names the image of `debug`"]);
    space.replace("build.ron", r#"["image", "debug"]"#, r#"["image"]"#);
    space.ok(&["pinned"]);
    space.replace("build.ron", r#"images: ["image"]"#, r#"images: ["image", "nameless"]"#);
    space.run(&["pinned"]).fails(2, &["no file names the image of `nameless`"]);
}

/// One image under several names is named by each of them, and is not ambiguous.
#[test]
#[cfg_attr(not(has_registry), ignore = "no registry with crane")]
fn pushes_of_one_image() {
    let space = space(
        r#""one": Push(image: "image", to: ["ADDRESS/app:1"]), "two": Push(image: "image", to: ["ADDRESS/app:2"]),
        "pinned": Resolve(files: ["a.yaml"], to: "out")"#,
    );
    let registry = Registry::start(&space.beside("registry"));
    space.replace("build.ron", "ADDRESS", &registry.address);
    let pushed = format!("{}/app", registry.address);
    let mut former = String::new();
    for images in ["", r#", images: ["one", "two"]"#, r#", images: ["image", "one"]"#] {
        let fields = format!(r#"["a.yaml"]{images}, to"#);
        space.replace("build.ron", &format!(r#"["a.yaml"]{former}, to"#), &fields);
        images.clone_into(&mut former);
        for name in [format!("{pushed}:1"), "app".to_owned()] {
            space.write("a.yaml", &format!("image: {name}\n"));
            space.ok(&["pinned"]);
            // An image that is named itself keeps its own name.
            let own = if name == "app" && images.contains("image\"") { "app" } else { &pushed };
            assert_eq!(space.read("out/a.yaml"), format!("image: {own}@{}\n", digest(&space)), "{images} {name}");
        }
    }
}

#[test]
fn links_among_the_files() {
    let space = space(r#""pinned": Resolve(files: ["deploy/**"], images: ["image"], to: "out")"#);
    space.write("deploy/s/a.yaml", "image: app\n");
    let link = space.root().join("deploy/l");
    for (leads_to, words) in [
        ("s", "`deploy/l` is a link to a directory, and `files` are files"),
        ("nothing", "`deploy/l` is a link that leads to nothing"),
    ] {
        std::os::unix::fs::symlink(leads_to, &link).unwrap();
        space.run(&["pinned"]).fails(2, &[words, "\"!deploy/l\""]);
        fs::remove_file(&link).unwrap();
    }
    std::os::unix::fs::symlink("s/a.yaml", link.with_extension("yaml")).unwrap();
    space.ok(&["pinned"]);
    assert_eq!(space.read("out/l.yaml"), format!("image: app@{}\n", digest(&space)));
}

/// Import paths are those of the executables in the image, whatever the patterns and the module's version.
#[test]
fn programs_by_their_import_paths() {
    let space = TestSpace::small();
    let head = space.read("build.ron");
    let head = head.split("    targets:").next().unwrap();
    let targets = r#""dots": GoBuild(packages: ["./..."]), "two": GoBuild(packages: [".", "./cmd/a"]),
        "image": Image(base: Static, tags: ["r.example/app:1"],
            files: {"/a": Output("dots", "a"), "/m": Output("two", "m")}, entrypoint: ["/a"]),
        "pinned": Resolve(files: ["p.yaml"], images: ["image"], to: "out")"#;
    space.write("build.ron", &format!("{head}    targets: {{{targets}}},\n)\n"));
    for old in ["cmd", "greet"] {
        fs::remove_dir_all(space.root().join(old)).unwrap();
    }
    space.write("go.mod", "module example.com/m/v2\n\ngo 1.22\n");
    for directory in ["", "cmd/a/", "cmd/b/"] {
        space.write(&format!("{directory}main.go"), "package main\n\nfunc main() {}\n");
    }
    space.write("p.yaml", "- ko://example.com/m/v2\n- ko://example.com/m/v2/cmd/a\n");
    space.ok(&["pinned"]);
    let reference = format!("r.example/app@{}", digest(&space));
    assert_eq!(space.read("out/p.yaml"), format!("- {reference}\n- {reference}\n"));
    for path in
        ["example.com/m/v2/cmd/b", "example.com/m/v2/cmd/a/", "example.com/m/v2/cmd", "example.com/m/v2/cmd/a:v1"]
    {
        space.write("p.yaml", &format!("- ko://{path}\n"));
        space.run(&["pinned"]).fails(2, &[&format!("p.yaml:1:3: `ko://{path}` is in none of the images of `image`")]);
    }
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
