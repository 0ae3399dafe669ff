//! `{image:digest}` in commands: text -> graph and key. A fact is an edge, and is in the key by its value.

use expect_test::expect;
use rondel_cas::Digest;
use rondel_engine::{Metadata, UpstreamResult, Workspace, question};

use super::Space;
use crate::{ImageMetadata, PushMetadata};

/// What the step of an image reports.
fn made(contents: &str, tags: &[&str]) -> UpstreamResult {
    let metadata = Metadata::of(&ImageMetadata {
        digest: Digest::of(contents.as_bytes()).oci(),
        image_id: String::new(),
        size_bytes: 1,
        platforms: Vec::new(),
        tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
        inherited: std::collections::BTreeMap::new(),
    });
    UpstreamResult { metadata, ..UpstreamResult::default() }
}

const IMAGE: &str = r#""image": Image(base: Static, entrypoint: ["/x"], tags: ["r.example/app:{version}", "app:1"]),"#;

fn key_of(text: &str, upstream: UpstreamResult) -> Result<Digest, String> {
    let space = Space::new();
    let analysis = space.analyze(text, &["x"])?;
    let (_, node) = analysis.graph.nodes().find(|(_, node)| node.key.to_string() == "x").unwrap();
    let workspace = Workspace::open(&space.root, &space.root.join("cache"));
    let prepared = question(node, &workspace, vec![upstream]);
    let prepared = prepared.map_err(|error| format!("{error}; {}", error.hint_text().unwrap_or("no hint")))?;
    Ok(prepared.spec().digest().unwrap())
}

#[test]
fn a_fact_is_an_edge_and_a_part_of_the_key() {
    let space = Space::new();
    let text = format!(
        r#"{IMAGE} "x": Exec(command: ["protoc", "--image={{image:ref}}", "{{version}}"], inputs: [],
            env: {{"DIGEST": "{{image:digest}}", "PLAIN": "{{version}}"}}, outputs: ["x.out"])"#
    );
    space.graph(
        &text,
        &["x"],
        expect![[r#"
            image: layer base, hidden
            image, streamed; from: image: layer base
            image: docker; from: image
            x, streamed; from: image
            asked for: x
        "#]],
    );
    space.action(&text, "x", "x", vec![made("1", &["r.example/app:v1.2.3", "app:1"])], expect![[r#"
        by its key
        arguments ["protoc", "--image=r.example/app@sha256:6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b", "v1.2.3"]
        environment DIGEST=sha256:6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b
        environment HOME@located
        environment LANG=C.UTF-8
        environment PATH@located
        environment PLAIN=v1.2.3
        environment TMPDIR@located
        setting directory: .
        tool protoc: 4859f6facbd2c235700aba6a8ec5f9359b07ff700c5ccecdba6ef48f51c574ab/20
        output x.out -> x.out
    "#]]);
    let script = format!(
        r#"{IMAGE} "x": Shell(script: "deploy $REF", inputs: [], env: {{"REF": "{{image:ref}} {{image:digest}}"}})"#
    );
    space.action(&script, "x", "x", vec![made("1", &["app:1"])], expect![[r#"
        by its key
        arguments ["sh", "-eu", "-c", "deploy $REF"]
        environment HOME@located
        environment LANG=C.UTF-8
        environment PATH@located
        environment REF=app@sha256:6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b sha256:6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b
        environment TMPDIR@located
        setting directory: .
        tool sh: 2a5c38bcc54413d6b80c50802e7b634a52e4ed4e6767857b70abdbc01eb619b3/16
    "#]]);
}

/// Another image changes the key wherever it is named; another name of its target, tag or order of tags does not.
#[test]
fn each_fact_counts_by_its_value() {
    let tags = &["r.example/app:1"][..];
    for fields in [
        r#"Exec(command: ["protoc", "{image:digest}"], inputs: [])"#,
        r#"Exec(command: ["protoc", "a{image:ref}b"], inputs: [])"#,
        r#"Exec(command: ["protoc"], inputs: [], env: {"A": "{image:digest}"})"#,
        r#"Exec(command: ["protoc", "{image:ref}"], inputs: [])"#,
        r#"Shell(script: "echo", inputs: [], env: {"A": "{image:ref}"})"#,
    ] {
        let text = format!(r#"{IMAGE} "x": {fields}"#);
        let key = key_of(&text, made("1", tags)).unwrap();
        assert_ne!(key, key_of(&text, made("2", tags)).unwrap(), "{fields}");
        assert_eq!(key, key_of(&text, made("1", &["r.example/app:2"])).unwrap(), "{fields}");
        let is_named = fields.contains(":ref");
        assert_eq!(key != key_of(&text, made("1", &["other:1"])).unwrap(), is_named, "{fields}");
        let renamed = text.replace("\"image\"", "\"renamed\"").replace("{image:", "{renamed:");
        assert_eq!(key, key_of(&renamed, made("1", tags)).unwrap(), "{fields}");
    }
}

/// A push knows its own digests: with platforms that were there before, a name can have another one.
#[test]
fn facts_of_a_push() {
    let text = |value: &str| {
        format!(
            r#"{IMAGE} "push": Push(image: "image", to: ["r.example/a:1", "r.example/b:1"]),
            "x": Exec(command: ["protoc", "{value}"], inputs: [])"#
        )
    };
    let space = Space::new();
    space.graph(
        &text("{push:ref}"),
        &["x"],
        expect![[r#"
            image: layer base, hidden
            image, streamed; from: image: layer base
            image: docker; from: image
            push; from: image
            x, streamed; from: push
            asked for: x
        "#]],
    );
    let references = ["r.example/a:1@sha256:11", "r.example/b:1@sha256:22"].map(str::to_owned).to_vec();
    let pushed = UpstreamResult {
        metadata: Metadata::of(&PushMetadata { references, attached: Vec::new() }),
        ..UpstreamResult::default()
    };
    space.action(
        &text("{push:ref} {push:digest}"),
        "x",
        "x",
        vec![pushed.clone()],
        expect![[r#"
        by its key
        arguments ["protoc", "r.example/a@sha256:11 sha256:11"]
        environment HOME@located
        environment LANG=C.UTF-8
        environment PATH@located
        environment TMPDIR@located
        setting directory: .
        tool protoc: 4859f6facbd2c235700aba6a8ec5f9359b07ff700c5ccecdba6ef48f51c574ab/20
    "#]],
    );
}

#[test]
fn facts_that_there_are_not() {
    let text = |value: &str| format!(r#"{IMAGE} "x": Exec(command: ["protoc", "{value}"], inputs: [])"#);
    let no_name = key_of(&text("{image:ref}"), made("1", &[])).unwrap_err();
    expect!["`{image:ref}`: `image` has no `tags`, so nothing refers to it; give it a name with `tags`, or write `{image:digest}`"].assert_eq(&no_name);
    assert!(key_of(&text("{image:digest}"), made("1", &[])).is_ok());
    let of_daemon = key_of(&text("{image:digest}"), UpstreamResult::default()).unwrap_err();
    expect!["the record of `image` is incomplete; run again with --force"].assert_eq(&of_daemon);
    let program = format!(r#"{IMAGE} "x": Exec(command: ["{{image:digest}}"], inputs: [])"#);
    let tool = format!(r#"{IMAGE} "x": Exec(command: ["protoc"], tools: ["{{image:digest}}"], inputs: [])"#);
    let space = Space::new();
    let refused = [program, tool].map(|text| space.analyze(&text, &["x"]).err().unwrap());
    expect![[r#"
        input: an image is no program
        at: "{image:digest}"
        input: `{image:digest}` is not allowed here: it is known only when `image` is made
        at: "{image:digest}""#]]
    .assert_eq(&refused.join("\n"));
}
