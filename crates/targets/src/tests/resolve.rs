//! `Resolve`: text -> graph and key, and what is refused.

use expect_test::expect;
use rondel_cas::{Digest, Entry, RelativePath};
use rondel_engine::{Artefact, Metadata, UpstreamResult, Workspace, question};

use super::Space;
use crate::{ImageMetadata, PushMetadata};

const TARGETS: &str = r#""server": GoBuild(packages: ["./cmd/server"]),
    "image": Image(base: Static, files: {"/x": Output("server")}, tags: ["app:1"]),
    "push": Push(image: "image", to: ["r.example/app:1"]), "second": Push(image: "image", to: ["s.example/app:1"]),"#;

fn space() -> Space {
    let space = Space::new();
    space.write("deploy/a.yaml", "image: app\n");
    space.write("deploy/prod/b.yaml", "image: r.example/app\n");
    space
}

fn made(digest: &str, tags: &[&str]) -> UpstreamResult {
    let metadata = Metadata::of(&ImageMetadata {
        digest: digest.to_owned(),
        image_id: String::new(),
        size_bytes: 1,
        platforms: Vec::new(),
        tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
        inherited: std::collections::BTreeMap::new(),
    });
    UpstreamResult { metadata, ..UpstreamResult::default() }
}

/// What the step of a build makes.
fn built(contents: &str) -> UpstreamResult {
    let entry = Entry::File { digest: Digest::of(contents.as_bytes()), executable: true, mode: None };
    let name = RelativePath::new("server").unwrap();
    UpstreamResult {
        artefacts: vec![Artefact { path: name.below("/out".as_ref()), name, entry }],
        ..UpstreamResult::default()
    }
}

fn pushed(references: &[&str]) -> UpstreamResult {
    let references = references.iter().map(|reference| (*reference).to_owned()).collect();
    UpstreamResult {
        metadata: Metadata::of(&PushMetadata { references, attached: Vec::new() }),
        ..UpstreamResult::default()
    }
}

#[test]
fn all_pushes_if_no_image_is_named() {
    let space = space();
    let text = format!(r#"{TARGETS} "x": Resolve(files: ["deploy/**/*.yaml"])"#);
    space.graph(
        &text,
        &["x"],
        expect![[r#"
            image: layer base, hidden
            go modules, hidden
            server (linux/amd64) as `server`; on a miss: go modules
            image: layer outputs (linux/amd64), hidden; from: server (linux/amd64)
            image, streamed; from: image: layer base, image: layer outputs (linux/amd64)
            image: docker; from: image
            push; from: image
            second; from: image
            x, streamed; from: push, image, server (linux/amd64), second
            asked for: x
        "#]],
    );
    let upstream = vec![
        pushed(&["r.example/app:1@sha256:11"]),
        made("sha256:11", &["app:1", "r.example/app:0"]),
        built("1"),
        pushed(&["s.example/app:1@sha256:22"]),
    ];
    space.action(
        &text,
        "x",
        "x",
        upstream,
        expect![[r#"
            by its key
            arguments ["resolve", "deploy", "false", "2"]
            setting image docker.io/library/app: r.example/app@sha256:11 of 0; s.example/app@sha256:22 of 1
            setting image docker.io/library/app:1: r.example/app@sha256:11 of 0; s.example/app@sha256:22 of 1
            setting image r.example/app: sha256:11 of 0
            setting image s.example/app: sha256:22 of 1
            setting ko:// of image 0: r.example/app@sha256:11
            setting ko:// of image 1: s.example/app@sha256:22
            input deploy/a.yaml
            input deploy/prod/b.yaml
            upstream program/0/server
            upstream program/1/server
            output dist/x -> dist/x
        "#]],
    );
    let text = r#""gen": Exec(command: ["protoc"], inputs: [], outputs: ["out/"]),
        "image": Image(base: Static, entrypoint: ["/x"]), "x": Resolve(files: ["out/**"], images: ["image"])"#;
    expect![[r#"
        input: the input `out/**` is an output of `gen`, and nothing says that `gen` runs first
        at: "out/**"
        hint: add `after: ["gen"]`"#]]
    .assert_eq(&space.analyze(text, &["x"]).err().unwrap());
    let text = r#""image": Image(base: Static, entrypoint: ["/x"]), "x": Resolve(files: ["deploy/**/*.yaml"])"#;
    expect![[r#"
        input: `x` has no `images`, and there is no `Push`
        at: "x"
        hint: write images: ["image"]"#]]
    .assert_eq(&space.analyze(text, &["x"]).err().unwrap());
}

/// Digests, names, programs, files and the directory of the globs are in the key; tags and names of targets are not, where
/// they decide nothing.
#[test]
fn each_part_counts() {
    let space = space();
    let key = |text: &str, upstream: Vec<UpstreamResult>| {
        let analysis = space.analyze(text, &["x"]).unwrap();
        let (_, node) = analysis.graph.nodes().find(|(_, node)| node.key.to_string() == "x").unwrap();
        let workspace = Workspace::open(&space.root, &space.root.join("cache"));
        question(node, &workspace, upstream).unwrap().spec().digest().unwrap().to_string()
    };
    let one = format!(r#"{TARGETS} "x": Resolve(files: ["deploy/a.yaml"], images: ["image"])"#);
    let image = |digest: &str, tags: &[&str]| vec![made(digest, tags), built("1")];
    let plain = || image("sha256:1", &["app:1"]);
    let mut keys = vec![
        key(&one, plain()),
        key(&one, image("sha256:2", &["app:1"])),
        key(&one, image("sha256:1", &["other:1"])),
        key(&one, image("sha256:1", &["app:1", "other:1"])),
        key(&one, image("sha256:1", &["other:1", "app:1"])),
        key(&one, vec![made("sha256:1", &["app:1"]), built("2")]),
        key(&one.replace("deploy/a.yaml", "deploy/**"), plain()),
        key(&one.replace("deploy/a.yaml", "dep*/a.yaml"), plain()),
    ];
    assert_eq!(keys[0], key(&one, image("sha256:1", &["app:2"])));
    assert_eq!(keys[0], key(&one.replace(r#""image""#, r#""renamed""#), plain()));
    // Another image, of which each is needed: also one without a name.
    let two = one.replace(r#"["image"]"#, r#"["image", "second-image"]"#);
    let two = format!(r#"{two}, "second-image": Image(base: Static, entrypoint: ["/x"])"#);
    let with = |other: UpstreamResult| [plain(), vec![other]].concat();
    keys.extend([
        key(&two, with(made("sha256:2", &[]))),
        key(&two, with(made("sha256:1", &["app:2"]))),
        // Where the images of a name differ, the tags decide.
        key(&two, with(made("sha256:2", &["app:2"]))),
        key(&two, with(made("sha256:2", &["app:3"]))),
    ]);
    // Whether each image is needed, and the names of an image that is pushed.
    let sent = one.replace(r#""image"])"#, r#""push"])"#).replace(r#", "second": Push"#, r#", "y": Push"#);
    let all = sent
        .replace(r#", images: ["push"]"#, "")
        .replace(r#", "y": Push(image: "image", to: ["s.example/app:1"])"#, "");
    let of_push = |tag: &str| vec![pushed(&["r.example/app:1@sha256:1"]), made("sha256:1", &[tag]), built("1")];
    keys.extend([key(&sent, of_push("app:1")), key(&sent, of_push("other:1")), key(&all, of_push("app:1"))]);
    // What others push to the same place: a file that names it is warned of.
    let other = |to: &str| {
        format!(r#"{sent}, "d": Image(base: Static, entrypoint: ["/x"]), "debug": Push(image: "d", to: ["{to}"])"#)
    };
    keys.extend([
        key(&other("r.example/app:1-debug"), of_push("app:1")),
        key(&other("r.example/app:1-slim"), of_push("app:1")),
    ]);
    assert_eq!(key(&sent, of_push("app:1")), key(&other("r.example/app2:1-debug"), of_push("app:1")));
    space.write("deploy/a.yaml", "image: app # edited\n");
    keys.push(key(&one, plain()));
    let count = keys.len();
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), count);
}
