//! `Resolve`: text -> graph and key, and what is refused.

use expect_test::expect;
use rondel_engine::{Metadata, UpstreamResult, Workspace, question};

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

fn pushed(references: &[&str]) -> UpstreamResult {
    let references = references.iter().map(|reference| (*reference).to_owned()).collect();
    UpstreamResult { metadata: Metadata::of(&PushMetadata { references }), ..UpstreamResult::default() }
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
            x; from: push, image, second
            asked for: x
        "#]],
    );
    let upstream = vec![
        pushed(&["r.example/app:1@sha256:11"]),
        made("sha256:11", &["app:1", "r.example/app:0"]),
        pushed(&["s.example/app:1@sha256:22"]),
    ];
    space.action(
        &text,
        "x",
        "x",
        upstream,
        expect![[r#"
        by its key
        arguments ["resolve", "deploy", "false"]
        setting image docker.io/library/app: 2 images
        setting image r.example/app: sha256:11
        setting image s.example/app: sha256:22
        setting ko://example.com/small/cmd/server in image 0: r.example/app@sha256:11
        setting ko://example.com/small/cmd/server in image 1: s.example/app@sha256:22
        input deploy/a.yaml
        input deploy/prod/b.yaml
        output files -> dist/x
    "#]],
    );
    let text = r#""image": Image(base: Static, entrypoint: ["/x"]), "x": Resolve(files: ["deploy/**/*.yaml"])"#;
    expect![[r#"
        input: `x` has no `images`, and there is no `Push`
        at: "x"
        hint: write images: ["image"]"#]]
    .assert_eq(&space.analyze(text, &["x"]).err().unwrap());
}

/// Digests, names, programs, files and the directory of the globs are in the key; tags and names of targets are not.
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
    let mut keys = vec![
        key(&one, vec![made("sha256:1", &["app:1"])]),
        key(&one, vec![made("sha256:2", &["app:1"])]),
        key(&one, vec![made("sha256:1", &["other:1"])]),
        key(&one, vec![made("sha256:1", &["app:1", "other:1"])]),
        key(&one.replace("cmd/server", "cmd/other"), vec![made("sha256:1", &["app:1"])]),
        key(&one.replace("deploy/a.yaml", "deploy/**"), vec![made("sha256:1", &["app:1"])]),
        key(&one.replace("deploy/a.yaml", "dep*/a.yaml"), vec![made("sha256:1", &["app:1"])]),
    ];
    assert_eq!(keys[0], key(&one, vec![made("sha256:1", &["app:2"])]));
    assert_eq!(keys[0], key(&one.replace(r#""image""#, r#""renamed""#), vec![made("sha256:1", &["app:1"])]));
    // Whether each image is needed, and the names of an image that is pushed.
    let sent = one.replace(r#""image"])"#, r#""push"])"#).replace(r#", "second": Push"#, r#", "y": Push"#);
    let all = sent
        .replace(r#", images: ["push"]"#, "")
        .replace(r#", "y": Push(image: "image", to: ["s.example/app:1"])"#, "");
    let of_push = |tag: &str| vec![pushed(&["r.example/app:1@sha256:1"]), made("sha256:1", &[tag])];
    keys.extend([key(&sent, of_push("app:1")), key(&sent, of_push("other:1")), key(&all, of_push("app:1"))]);
    space.write("deploy/a.yaml", "image: app # edited\n");
    keys.push(key(&one, vec![made("sha256:1", &["app:1"])]));
    let count = keys.len();
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), count);
}
