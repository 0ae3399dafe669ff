//! `Output(…)` and globs: text -> graph and key. Every part of a use changes the key, and the target's name does not.

use std::collections::BTreeSet;

use expect_test::{Expect, expect};
use rondel_cas::{Digest, Entry, RelativePath};
use rondel_engine::{Artefact, UpstreamResult, Workspace, question};

use super::Space;
use crate::PlatformChoice;

/// What an upstream step made: files of the workspace with their contents.
fn made(space: &Space, files: &[(&str, &str)]) -> UpstreamResult {
    let artefact = |(path, contents): &(&str, &str)| Artefact {
        name: RelativePath::new(path).unwrap(),
        path: space.root.join(path),
        entry: Entry::file(Digest::of(contents.as_bytes()), false),
    };
    UpstreamResult { artefacts: files.iter().map(artefact).collect(), ..UpstreamResult::default() }
}

fn key_of(space: &Space, build_ron: &str, target: &str, upstream: Vec<UpstreamResult>) -> Result<Digest, String> {
    let analysis = space.analyze(build_ron, &[target])?;
    let (_, node) = analysis.graph.nodes().find(|(_, node)| node.key.to_string() == target).unwrap();
    let workspace = Workspace::open(&space.root, &space.root.join("cache"));
    let prepared = question(node, &workspace, upstream)
        .map_err(|error| format!("{error}; {}", error.hint_text().unwrap_or("no hint")))?;
    Ok(prepared.spec().digest().unwrap())
}

const GEN: &str = r#""gen": Exec(command: ["protoc"], inputs: ["*.go"], outputs: ["gen/n.go"]),"#;

#[test]
fn an_output_is_an_edge_and_a_part_of_the_key() {
    let space = Space::new();
    let text = format!(
        r#"{GEN} "pack": Exec(command: ["protoc", Output("gen")], inputs: ["go.mod", Output("gen")], env: {{"GEN": Output("gen")}}, outputs: ["pack.tar"])"#
    );
    space.graph(
        &text,
        &["pack"],
        expect![[r#"
        gen, streamed
        pack, streamed; from: gen
        asked for: pack
    "#]],
    );
    space.action(
        &text,
        "pack",
        "pack",
        vec![made(&space, &[("gen/n.go", "n")])],
        expect![[r#"
            by its key
            arguments ["protoc", "{output}"]
            environment GEN@located
            environment HOME@located
            environment LANG=C.UTF-8
            environment PATH@located
            environment TMPDIR@located
            setting directory: .
            tool protoc: 4859f6facbd2c235700aba6a8ec5f9359b07ff700c5ccecdba6ef48f51c574ab/20
            input go.mod
            upstream output/argument/1/gen/n.go
            upstream output/input/gen/n.go
            upstream output/variable/GEN/gen/n.go
            output pack.tar -> pack.tar
        "#]],
    );
}

/// A sample for each way of using an output, and for each part of a use.
#[test]
fn each_part_of_a_use_counts() {
    let space = Space::new();
    let files = |contents| vec![made(&space, &[("gen/n.go", contents)])];
    let pack = |fields: &str| format!(r#"{GEN} "pack": Exec({fields}, outputs: ["x"])"#);
    let mut keys = BTreeSet::new();
    let mut is_new = |what: &str, text: &str, upstream| {
        let key = key_of(&space, text, "pack", upstream).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert!(keys.insert(key.to_string()), "{what} is not in the key");
    };
    is_new("nothing", &pack(r#"command: ["protoc"], inputs: []"#), Vec::new());
    for (what, fields) in [
        ("an input", r#"command: ["protoc"], inputs: [Output("gen")]"#),
        ("an argument", r#"command: ["protoc", Output("gen")], inputs: []"#),
        ("the position of an argument", r#"command: ["protoc", "{{output}}", Output("gen")], inputs: []"#),
        (
            "an argument that reads like the placeholder",
            r#"command: ["protoc", "{{output}}"], inputs: [], after: ["gen"]"#,
        ),
        ("a variable", r#"command: ["protoc"], inputs: [], env: {"A": Output("gen")}"#),
        ("the name of a variable", r#"command: ["protoc"], inputs: [], env: {"B": Output("gen")}"#),
    ] {
        let upstream = if fields.contains("Output") { files("1") } else { Vec::new() };
        is_new(what, &pack(fields), upstream);
        if fields.contains("Output") {
            is_new(&format!("the contents of {what}"), &pack(fields), files("2"));
        }
    }
    let elsewhere = pack(r#"command: ["protoc", Output("gen")], inputs: []"#).replace("gen/n.go", "other/n.go");
    is_new("the place of an output", &elsewhere, vec![made(&space, &[("other/n.go", "1")])]);
    // Neither the name of the target nor a file beside the named one is a part.
    let text = pack(r#"command: ["protoc", Output("gen")], inputs: []"#);
    let renamed = text.replace("\"gen\"", "\"renamed\"");
    assert_eq!(key_of(&space, &text, "pack", files("1")), key_of(&space, &renamed, "pack", files("1")));
    let of_directory = text.replace("\"gen/n.go\"", "\"gen/\"").replace("Output(\"gen\")", "Output(\"gen\", \"n.go\")");
    let with = |more| vec![made(&space, &[("gen/n.go", "1"), ("gen/more.go", more)])];
    assert_eq!(key_of(&space, &of_directory, "pack", with("1")), key_of(&space, &of_directory, "pack", with("2")));
    let whole = of_directory.replace("Output(\"gen\", \"n.go\")", "Output(\"gen\")");
    assert_ne!(key_of(&space, &whole, "pack", with("1")), key_of(&space, &whole, "pack", with("2")));
}

#[test]
fn executables_by_platform() {
    let text = |output: &str| {
        format!(
            r#""server": GoBuild(packages: ["."], sbom: true), "image": Image(base: Static, entrypoint: ["/x"]), "x": Exec(command: ["protoc", {output}])"#
        )
    };
    let mut space = Space::new();
    space.replace_in_head(r#"platforms: ["linux/amd64", "linux/arm64"]"#, r#"platforms: ["linux/riscv64"]"#);
    // The only platform, whatever the command line asks for.
    space.graph(
        &text(r#"Output("server")"#),
        &["x"],
        expect![[r#"
        go modules, hidden
        server (linux/riscv64) as `server`; on a miss: go modules
        x, streamed; from: server (linux/riscv64)
        asked for: x
    "#]],
    );
    space.graph(
        &text(r#"Output("server", "small")"#),
        &["x"],
        expect![[r#"
            go modules, hidden
            server (linux/riscv64) as `server`; on a miss: go modules
            server: bill (linux/riscv64), hidden; from: server (linux/riscv64)
            server: sbom (linux/riscv64), hidden; from: server: bill (linux/riscv64)
            x, streamed; from: server (linux/riscv64), server: sbom (linux/riscv64)
            asked for: x
        "#]],
    );
    space.graph(
        &text(r#"Output("server", "linux_riscv64/small.spdx.json")"#),
        &["x"],
        expect![[r#"
            go modules, hidden
            server (linux/riscv64) as `server`; on a miss: go modules
            server: bill (linux/riscv64), hidden; from: server (linux/riscv64)
            server: sbom (linux/riscv64), hidden; from: server: bill (linux/riscv64)
            x, streamed; from: server (linux/riscv64), server: sbom (linux/riscv64)
            asked for: x
        "#]],
    );
}

#[test]
fn executables_of_several_platforms() {
    let text = |output: &str| {
        format!(
            r#""server": GoBuild(packages: ["."], sbom: true), "image": Image(base: Static, entrypoint: ["/x"]), "x": Exec(command: ["protoc", {output}])"#
        )
    };
    let mut space = Space::new();
    space.replace_in_head(r#"platforms: ["linux/amd64", "linux/arm64"]"#, r#"platforms: ["linux/riscv64"]"#);
    space.platforms = PlatformChoice::All;
    space.graph(
        &text(r#"Output("image", "index.json")"#),
        &["x"],
        expect![[r#"
            image: layer base, hidden
            image, streamed; from: image: layer base
            image: docker; from: image
            x, streamed; from: image
            asked for: x
        "#]],
    );
    let refused = |space: &Space, output: &str, expected: Expect| {
        expected.assert_eq(&space.analyze(&text(output), &["x"]).err().unwrap_or_default());
    };
    refused(
        &space,
        r#"Output("server", "linux_arm64/small")"#,
        expect![[r#"
        input: `server` is not built for `linux_arm64`
        at: Output("server", "linux_arm64/small")
        hint: it is for linux_riscv64; `platforms` declares more"#]],
    );
    space.replace_in_head("\"linux/riscv64\"", "\"linux/riscv64\", \"linux/s390x\"");
    refused(
        &space,
        r#"Output("server")"#,
        expect![[r#"
        input: `server` is for several platforms, and this machine's is not among them
        at: Output("server")
        hint: name one: `Output("server", "linux_riscv64/NAME")`; it is for linux_riscv64, linux_s390x"#]],
    );
    space.graph(
        &text(r#"Output("server", "linux_s390x/small")"#),
        &["x"],
        expect![[r#"
            go modules, hidden
            server (linux/s390x) as `server`; on a miss: go modules
            server: bill (linux/s390x), hidden; from: server (linux/s390x)
            server: sbom (linux/s390x), hidden; from: server: bill (linux/s390x)
            x, streamed; from: server (linux/s390x), server: sbom (linux/s390x)
            asked for: x
        "#]],
    );
}

#[test]
fn outputs_that_are_not_there() {
    let space = Space::new();
    let text = |outputs: &str, output: &str| {
        format!(
            r#""gen": Exec(command: ["protoc"], inputs: ["*.go"], outputs: [{outputs}]), "x": Exec(command: ["protoc", {output}])"#
        )
    };
    let check = |outputs: &str, output: &str, files: &[(&str, &str)], expected: Expect| {
        let outcome = key_of(&space, &text(outputs, output), "x", vec![made(&space, files)]);
        expected.assert_eq(&outcome.map_or_else(|error| error, |_| "accepted".to_owned()));
    };
    check(
        r#""a", "gen/""#,
        r#"Output("gen")"#,
        &[],
        expect![[r#"
        input: `gen` has 2 outputs, and none is named
        at: Output("gen")
        hint: write `Output("gen", "a")` or `Output("gen", "gen")`"#]],
    );
    check(
        r#""a", "gen/""#,
        r#"Output("gen", "b")"#,
        &[],
        expect![[r#"
        input: `gen` declares no output `b`
        at: Output("gen", "b")
        hint: did you mean `a`?"#]],
    );
    check(
        r#""a", "gen/""#,
        r#"Output("gen", "gem/b")"#,
        &[],
        expect![[r#"
        input: `gen` declares no output `gem/b`
        at: Output("gen", "gem/b")
        hint: its outputs are: a, gen"#]],
    );
    check(
        r#""a", "gen/""#,
        r#"Output("gen", "gen/b")"#,
        &[("a", ""), ("gen/c", "")],
        expect!["`gen` makes no `gen/b`; did you mean `gen/c`?"],
    );
    check(r#""a", "gen/""#, r#"Output("gen", "gen")"#, &[("a", "")], expect!["accepted"]);
    check(r#""gen/""#, r#"Output("gen", "sub/b.go")"#, &[("gen/sub/b.go", "")], expect!["accepted"]);
    check(
        r#""a""#,
        r#"Output("gen", "b")"#,
        &[("a", "")],
        expect![[r#"
        input: `gen` declares no output `b`
        at: Output("gen", "b")
        hint: did you mean `a`?"#]],
    );
    check(r#""a""#, r#"Output("gen", "./a")"#, &[("a", "")], expect!["accepted"]);
    let builds = r#""server": GoBuild(packages: ["./..."]), "x": Exec(command: ["protoc", Output("server")])"#;
    let two = vec![made(&space, &[("dist/server/linux_amd64/one", ""), ("dist/server/linux_amd64/two", "")])];
    expect![[r#"`Output("server")` is one file, and there are 2: one, two; name one: `Output("server", "one")`"#]]
        .assert_eq(&key_of(&space, builds, "x", two).unwrap_err());
}

/// A path that another target makes is refused before anything runs; a glob that meets it counts what is there.
#[test]
fn globs_that_name_outputs_of_others() {
    let mut space = Space::new();
    let text = |inputs: &str, more: &str| {
        format!(
            r#""gen": Exec(command: ["protoc"], inputs: ["main.go"], outputs: ["gen/n.go", "web/"]), "server": GoBuild(packages: ["."]),
            "x": Exec(command: ["protoc"], inputs: [{inputs}], outputs: ["x.out"] {more})"#
        )
    };
    for path in [
        "gen/n.go",
        "web/app.js",
        "dist/server/linux_amd64/small",
        "dist/hand.txt",
        "target/debug/x",
        "cache/v2/cas/x",
        "x.out",
    ] {
        space.write(path, "");
    }
    let check = |space: &Space, inputs: &str, more: &str, expected: Expect| {
        let text = text(inputs, more);
        let refused = space.analyze(&text, &["x"]).err();
        let workspace = Workspace::open(&space.root, &space.root.join("cache"));
        let inputs = || {
            let analysis = space.analyze(&text, &["x"]).unwrap();
            let (_, node) = analysis.graph.nodes().find(|(_, node)| node.key.to_string() == "x").unwrap();
            let upstream = node.inputs.iter().map(|_| made(space, &[("gen/n.go", "")])).collect();
            let prepared = question(node, &workspace, upstream).unwrap();
            let paths: Vec<String> = prepared.spec().inputs.iter().map(|input| input.path.to_string()).collect();
            paths.join(" ")
        };
        expected.assert_eq(&refused.unwrap_or_else(inputs));
    };
    check(
        &space,
        r#""gen/n.go""#,
        "",
        expect![[r#"
        input: the input `gen/n.go` is an output of `gen`, and nothing says that `gen` runs first
        at: "gen/n.go"
        hint: write `Output("gen")` in its place, or add `after: ["gen"]`"#]],
    );
    check(
        &space,
        r#""web/**""#,
        "",
        expect![[r#"
        input: the input `web/**` is an output of `gen`, and nothing says that `gen` runs first
        at: "web/**"
        hint: write `Output("gen")` in its place, or add `after: ["gen"]`"#]],
    );
    check(
        &space,
        r#""dist/server/**""#,
        "",
        expect![[r#"
        input: the input `dist/server/**` is an output of `server`, and nothing says that `server` runs first
        at: "dist/server/**"
        hint: write `Output("server")` in its place, or add `after: ["server"]`"#]],
    );
    check(
        &space,
        r#""x.out""#,
        "",
        expect![[r#"
        input: the input `x.out` counts for nothing: `x.out` is an output of the step itself
        at: "x.out"
        hint: leave it out: a step never reads its own output"#]],
    );
    check(
        &space,
        r#""cache/**""#,
        "",
        expect![[r#"
        input: the input `cache/**` counts for nothing: `cache` is Rondel's cache
        at: "cache/**"
        hint: leave it out"#]],
    );
    check(
        &space,
        r#"".rondel/durations""#,
        "",
        expect![[r#"
        input: the input `.rondel/durations` counts for nothing: `.rondel` is never an input
        at: ".rondel/durations"
        hint: leave it out: Rondel keeps its own state there"#]],
    );
    check(&space, r#""gen/n.go""#, r#", after: ["gen"]"#, expect!["gen/n.go"]);
    check(&space, r#""gen/n.go", Output("gen", "gen/n.go")"#, "", expect!["gen/n.go"]);
    check(&space, r#""dist/server/**""#, r#", after: ["server"]"#, expect!["dist/server/linux_amd64/small"]);
    check(
        &space,
        r#""gen/*.go", "web/app*""#,
        "",
        expect![[r#"
        input: the input `web/app*` is an output of `gen`, and nothing says that `gen` runs first
        at: "web/app*"
        hint: write `Output("gen")` in its place, or add `after: ["gen"]`"#]],
    );
    check(&space, r#""**", "!bin/**""#, "", expect!["dist/hand.txt gen/n.go go.mod main.go web/app.js"]);
    space.cache = Some(space.root.clone());
    check(
        &space,
        r#""**""#,
        "",
        expect![[r#"
        environment: the cache directory is the directory of the project
        hint: give RONDEL_CACHE_DIR a directory of its own"#]],
    );
    // A cache that is reached through a link, and one that does not exist yet.
    std::os::unix::fs::symlink("cache", space.root.join("link")).unwrap();
    space.write("cache/deep/cache/blob", "");
    space.cache = Some(space.root.join("link/deep/cache"));
    check(&space, r#""{link,cache}/**""#, "", expect!["cache/v2/cas/x"]);
}

#[test]
fn globs_that_meet_outputs_of_the_same_run() {
    let space = Space::new();
    let warnings = |text: &str, targets: &[&str]| space.analyze(text, targets).unwrap().warnings.join("\n");
    let text = |inputs: &str, more: &str| format!(r#"{GEN} "x": Exec(command: ["protoc"], inputs: [{inputs}] {more})"#);
    expect![[r#"`x` reads `gen/n.go`, which `gen` makes in the same run, and does not wait for it: give it `after: ["gen"]`, or `"!gen/n.go"` in `inputs`"#]].assert_eq(&warnings(&text(r#""**/*.go""#, ""), &["gen", "x"]));
    for (text, targets) in [
        (text(r#""**/*.go""#, ""), &["x"][..]),
        (text(r#""**/*.go", "!gen/**""#, ""), &["x", "gen"]),
        (text(r#""**/*.go""#, r#", after: ["gen"]"#), &["x", "gen"]),
        (text(r#""**/*.go", Output("gen")"#, ""), &["x", "gen"]),
        (text(r#""*.go""#, ""), &["x", "gen"]),
    ] {
        assert_eq!(warnings(&text, targets), "", "{text}");
    }
}
