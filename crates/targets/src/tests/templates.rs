//! `Template`: text and file -> graph and key, and what is refused.

use expect_test::expect;
use rondel_engine::{Metadata, UpstreamResult, Workspace, question};

use super::Space;
use crate::ImageMetadata;

const TARGETS: &str = r#""image": Image(base: Static, entrypoint: ["/x"], tags: ["r.example/app:1"]),
    "docker-image": DockerBuild(tags: ["x:1"]), "server": GoBuild(packages: ["."]),
    "x": Template(from: "deploy.in", to: "out/deploy")"#;

fn made(digest: &str) -> UpstreamResult {
    let metadata = Metadata::of(&ImageMetadata {
        digest: digest.to_owned(),
        image_id: String::new(),
        size_bytes: 1,
        platforms: Vec::new(),
        tags: vec!["r.example/app:1".to_owned()],
        inherited: std::collections::BTreeMap::new(),
    });
    UpstreamResult { metadata, ..UpstreamResult::default() }
}

#[test]
fn a_template_is_keyed_by_its_file_and_the_values() {
    let space = Space::new();
    space.write("deploy.in", "{version} {version} {image:ref} ${commit}\n");
    space.graph(
        TARGETS,
        &["x"],
        expect![[r#"
            image: layer base, hidden
            image, streamed; from: image: layer base
            image: docker; from: image
            x, streamed; from: image
            asked for: x
        "#]],
    );
    space.action(
        TARGETS,
        "x",
        "x",
        vec![made("sha256:1")],
        expect![[r#"
            by its key
            arguments ["template"]
            setting {image:ref}: r.example/app@sha256:1
            setting {version}: v1.2.3
            input deploy.in
            output out/deploy -> out/deploy
        "#]],
    );
}

/// Every value, the file and its permissions change the key; what the file does not name does not.
#[test]
fn each_part_counts() {
    let mut space = Space::new();
    space.replace_in_head("\"v1.2.3\"", "\"v1.2.3\", \"other\": \"1\"");
    let key = |space: &Space, digest: &str| {
        let analysis = space.analyze(TARGETS, &["x"]).unwrap();
        let (_, node) = analysis.graph.nodes().find(|(_, node)| node.key.to_string() == "x").unwrap();
        let workspace = Workspace::open(&space.root, &space.root.join("cache"));
        question(node, &workspace, vec![made(digest)]).unwrap().spec().digest().unwrap().to_string()
    };
    space.write("deploy.in", "{version} {image:digest}\n");
    let mut keys = vec![key(&space, "sha256:1"), key(&space, "sha256:2")];
    space.overrides.insert("version".to_owned(), "v2".to_owned());
    keys.push(key(&space, "sha256:1"));
    space.write("deploy.in", "{version}  {image:digest}\n");
    keys.push(key(&space, "sha256:1"));
    super::make_executable(&space.root.join("deploy.in"));
    keys.push(key(&space, "sha256:1"));
    space.overrides.insert("other".to_owned(), "2".to_owned());
    assert_eq!(key(&space, "sha256:1"), keys[keys.len() - 1]);
    let count = keys.len();
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), count);
}

#[test]
fn templates_that_can_not_be() {
    let space = Space::new();
    let refused = |text: &str| {
        space.write("deploy.in", text);
        space.analyze(TARGETS, &["x"]).err().unwrap_or_default()
    };
    let all =
        ["nothing\n", "a\n  {verison}", "{imgae:digest}", "\n{server:digest}", "{docker-image:ref}", "{image:id}"];
    let mut all = all.map(refused).to_vec();
    std::fs::remove_file(space.root.join("deploy.in")).unwrap();
    all.push(space.analyze(TARGETS, &["x"]).err().unwrap());
    std::os::unix::fs::symlink("/etc/passwd", space.root.join("deploy.in")).unwrap();
    all.push(space.analyze(TARGETS, &["x"]).err().unwrap());
    std::fs::remove_file(space.root.join("deploy.in")).unwrap();
    space.write("gen/x.in", "{version}");
    std::os::unix::fs::symlink("gen/x.in", space.root.join("deploy.in")).unwrap();
    let through_link = r#""gen": Exec(command: ["protoc"], inputs: [], outputs: ["gen/"]),
        "x": Template(from: "deploy.in", to: "x")"#;
    all.push(space.analyze(through_link, &["x"]).err().unwrap());
    let made = r#""gen": Exec(command: ["protoc"], inputs: [], outputs: ["gen/"]),
        "x": Template(from: "gen/x.in", to: "x", after: ["gen"])"#;
    all.push(space.analyze(made, &["x"]).err().unwrap());
    expect![[r#"
        input: `deploy.in` names nothing that has a value
        at: "deploy.in"
        hint: write `{name}` for a variable of `vars`, `{target:digest}` or `{target:ref}` for an image

        input: deploy.in:2:3: there is no variable `verison`
        at: "deploy.in"
        hint: did you mean `{version}`?

        input: deploy.in:1:1: there is no target `imgae`
        at: "deploy.in"
        hint: did you mean `{image:digest}`?

        input: deploy.in:2:1: `server` makes no image with a digest
        at: "deploy.in"
        hint: name an `Image`

        input: deploy.in:1:1: `docker-image` makes no image with a digest
        at: "deploy.in"
        hint: an image that only Docker has gets a digest when it is pushed

        input: deploy.in:1:1: `{image:id}`: an image has `digest` and `ref`
        at: "deploy.in"
        hint: write `\{image:id}` for the text itself

        input: failed to read the template `deploy.in`: it is not there
        at: "deploy.in"
        hint: `from` is the path of a file, relative to `root`

        input: `deploy.in` leads out of the workspace, to `/etc/passwd`
        at: "deploy.in"
        hint: copy it into the workspace

        input: `deploy.in` is made by `gen`, and a template is a file of the tree
        at: "deploy.in"
        hint: its names are read before anything is made; keep the template in the tree

        input: `gen/x.in` is made by `gen`, and a template is a file of the tree
        at: "gen/x.in"
        hint: its names are read before anything is made; keep the template in the tree"#]]
    .assert_eq(&all.join("\n\n"));
}

/// A push that only a file names makes its image for all platforms, as any push does.
#[test]
fn a_push_that_a_file_names() {
    let mut space = Space::new();
    space.platforms = crate::PlatformChoice::Own;
    space.write("deploy.in", "{push:digest}\n");
    let text = r#""server": GoBuild(packages: ["."]), "image": Image(base: Static, files: {"/x": Output("server")}),
        "push": Push(image: "image", to: ["r.example/a:1"]), "x": Template(from: "deploy.in", to: "out/deploy")"#;
    space.graph(
        text,
        &["x"],
        expect![[r#"
            image: layer base, hidden
            go modules, hidden
            server (linux/amd64) as `server`; on a miss: go modules
            image: layer outputs (linux/amd64), hidden; from: server (linux/amd64)
            server (linux/arm64) as `server`; on a miss: go modules
            image: layer outputs (linux/arm64), hidden; from: server (linux/arm64)
            image, streamed; from: image: layer base, image: layer outputs (linux/amd64), image: layer outputs (linux/arm64)
            image: docker; from: image
            push; from: image
            x, streamed; from: push
            asked for: x
        "#]],
    );
}

/// build.ron has no circle here: the files close it.
#[test]
fn circles_through_files() {
    let space = Space::new();
    space.write("one.in", "{image:digest}");
    space.write("two.in", "{other:digest}");
    let text = r#""one": Template(from: "one.in", to: "one"), "two": Template(from: "two.in", to: "two"),
        "image": Image(base: Static, entrypoint: ["/x"], files: {"/x": Output("two")}),
        "other": Image(base: Static, entrypoint: ["/x"], files: {"/x": Output("one")})"#;
    expect![[r#"
        input: targets wait for each other: `one` -> `image` -> `two` -> `other` -> `one`
        at: "one""#]]
    .assert_eq(&space.analyze(text, &["one"]).err().unwrap());
}
