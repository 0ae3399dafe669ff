//! Variables: files, filters, and what becomes of them in names of images.

use expect_test::expect;
use rondel_cas::{Entry, RelativePath};
use rondel_engine::{Artefact, UpstreamResult, Workspace};

use super::Space;

/// Returns what the command word `text` becomes, with `vars`; or the refusal.
fn value(space: &mut Space, vars: &str, text: &str) -> String {
    space.head = format!(r#"go: Version("1.22.12"), vars: {{{vars}}}"#);
    let analysis = space.analyze(&format!(r#""x": Exec(command: ["protoc", "{text}"])"#), &["x"]);
    let analysis = match analysis {
        Ok(analysis) => analysis,
        Err(refusal) => return refusal,
    };
    let (_, node) = analysis.graph.nodes().find(|(_, node)| node.key.to_string() == "x").unwrap();
    let workspace = rondel_engine::Workspace::open(&space.root, &space.root.join("cache"));
    let prepared = rondel_engine::question(node, &workspace, Vec::new()).unwrap();
    prepared.spec().arguments[1].clone()
}

#[test]
fn lines_of_files() {
    let mut space = Space::new();
    let file = r#""v": File("VERSION")"#;
    for (contents, expected) in [
        ("1.2.3", "1.2.3"),
        ("1.2.3\n", "1.2.3"),
        ("1.2.3\r\n", "1.2.3"),
        ("1.2.3\n\n", "1.2.3"),
        (" 1 2 ", " 1 2 "),
        ("", ""),
        ("\n", ""),
        ("{v}; $(x)", "{v}; $(x)"),
    ] {
        space.write("VERSION", contents);
        assert_eq!(value(&mut space, file, "{v}"), expected, "{contents:?}");
    }
    space.write("VERSION", "1\n2\n");
    let two = value(&mut space, file, "{v}");
    space.write("VERSION", "\n1");
    let blank = value(&mut space, file, "{v}");
    std::fs::write(space.root.join("VERSION"), b"1\xff").unwrap();
    let bytes = value(&mut space, file, "{v}");
    space.write("VERSION", "a\0b");
    let nul = value(&mut space, file, "{v}");
    space.write("VERSION", &"1".repeat(1 << 21));
    let large = value(&mut space, file, "{v}");
    let absent = value(&mut space, r#""v": File("sub/V")"#, "{v}");
    let directory = value(&mut space, r#""v": File("bin")"#, "{v}");
    expect![[r#"
        input: `VERSION` has 2 lines, and a variable is one
        at: File("VERSION")
        hint: keep the value alone in the file, or take it with `Match("VERSION", "…(.+)…")`
        input: `VERSION` has 2 lines, and a variable is one
        at: File("VERSION")
        hint: keep the value alone in the file, or take it with `Match("VERSION", "…(.+)…")`
        input: failed to read `VERSION`: it is not text
        at: File("VERSION")
        hint: name a small text file, relative to `root`
        input: the value holds a NUL
        at: File("VERSION")
        input: failed to read `VERSION`: it has 2097152 bytes; at most 1 MiB are read
        at: File("VERSION")
        hint: name a small text file, relative to `root`
        input: failed to read `sub/V`: it is not there
        at: File("sub/V")
        hint: name a small text file, relative to `root`
        input: failed to read `bin`: it is a directory, not a regular file
        at: File("bin")
        hint: name a small text file, relative to `root`"#]]
    .assert_eq(&[two, blank, bytes, nul, large, absent, directory].join("\n"));
}

#[test]
fn files_that_are_not_of_the_tree() {
    let mut space = Space::new();
    let outside = space.root.with_extension("outside");
    std::fs::write(&outside, "secret\n").unwrap();
    std::os::unix::fs::symlink(&outside, space.root.join("OUT")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", space.root.join("ZERO")).unwrap();
    space.write("IN", "1\n");
    std::os::unix::fs::symlink("IN", space.root.join("LINK")).unwrap();
    assert_eq!(value(&mut space, r#""v": File("LINK")"#, "{v}"), "1");
    let out = value(&mut space, r#""v": File("OUT")"#, "{v}").replace(&outside.display().to_string(), "[OUTSIDE]");
    let matched = value(&mut space, r#""v": Match("OUT", "(.)")"#, "{v}");
    assert!(matched.contains("leads out of the workspace"), "{matched}");
    let zero = value(&mut space, r#""v": File("ZERO")"#, "{v}");
    std::fs::remove_file(outside).unwrap();
    space.head = r#"go: Version("1.22.12"), vars: {"v": File("gen/VERSION")}"#.to_owned();
    let targets =
        r#""gen": Exec(command: ["protoc"], inputs: [], outputs: ["gen/"]), "x": Exec(command: ["protoc", "{v}"])"#;
    let made = space.analyze(targets, &["x"]).map(|_| ()).unwrap_err();
    expect![[r#"
        input: `OUT` leads out of the workspace, to `[OUTSIDE]`
        at: File("OUT")
        hint: copy it into the workspace
        input: `ZERO` leads out of the workspace, to `/dev/zero`
        at: File("ZERO")
        hint: copy it into the workspace
        input: `gen/VERSION` is made by `gen`, and `File` and `Match` are for files of the tree
        at: File("gen/VERSION")
        hint: write `Output("gen")`, which then runs first"#]]
    .assert_eq(&[out, zero, made].join("\n"));
}

#[test]
fn matches_in_files() {
    let mut space = Space::new();
    space.write(
        "internal/version.go",
        "package internal\n\nconst Version = \"1.2\"\nconst Old = \"1.1\"\n// Version = \"1.2\"\r\n",
    );
    let mut found =
        |pattern: &str| value(&mut space, &format!(r##""v": Match("internal/version.go", r#"{pattern}"#)"##), "{v}");
    assert_eq!(found("Version = \"([^\"]+)\""), "1.2");
    assert_eq!(found("(?m)^package (.+)$"), "internal");
    assert_eq!(found("// (.+)"), "Version = \"1.2\"");
    assert_eq!(found("Old = \"(?:1)\\.([0-9])"), "1");
    assert_eq!(found("pack()age"), "");
    let refusals = ["Version = '(.+)'", "= \"([^\"]+)\"", "(?s)Old(.+)"].map(found);
    expect![[r##"
        input: nothing in `internal/version.go` matches `Version = '(.+)'`
        at: Match("internal/version.go", r#"Version = '(.+)'"#)
        hint: the expression is searched in the whole file; `(?m)^` is the beginning of a line
        input: `internal/version.go` matches with `1.2` in line 3 and `1.1` in line 4
        at: Match("internal/version.go", r#"= "([^"]+)""#)
        hint: make the regular expression more exact
        input: the match in line 4 of `internal/version.go` has several lines, and a variable is one
        at: Match("internal/version.go", r#"(?s)Old(.+)"#)
        hint: make the regular expression more exact"##]]
    .assert_eq(&refusals.join("\n"));
}

#[test]
fn filters_and_defaults() {
    let mut space = Space::new();
    space.environment.insert("EMPTY".to_owned(), String::new());
    let vars =
        r#""v": "v1.20.3-rc.1", "e": Env("EMPTY"), "n": Env("NOT_SET"), "g": Git(Describe), "w": "{v|trim_prefix:v}""#;
    for (text, expected) in [
        ("{v|major}.{v|minor}.{v|patch}", "1.20.3"),
        ("{w|short:4}", "1.20"),
        ("{e|default:x}{n|default:y}{g|lower|default:z}", "xyz"),
        ("{v|slug|lower}", "v1.20.3-rc.1"),
    ] {
        assert_eq!(value(&mut space, vars, text), expected, "{text}");
    }
    let refusals = ["{n}", "{g|slug}", "{e|major}", "{v|major|patch}"].map(|text| value(&mut space, vars, text));
    expect![[r#"
        environment: the environment variable `NOT_SET` is not set
        at: Env("NOT_SET")
        hint: set NOT_SET, or give a default: Env("NOT_SET", "…")
        environment: git has no answer here (no repository, no commit, no tag, or no git)
        at: Git(Describe)
        hint: give a default: Git(Describe, "dev")
        input: `{e|major}`: `` is no version like `v1.2.3`
        at: "{e|major}"
        input: `{v|major|patch}`: the version `1` has no patch number
        at: "{v|major|patch}""#]]
    .assert_eq(&refusals.join("\n"));
}

/// Analyzes an image with such a tag, and its push to such a place; returns the refusals, or "fine".
fn tagged(branch: &str, tag: &str) -> String {
    let mut space = Space::new();
    let vars = format!(r#""repo": "r.example:5000/a/b", "branch": "{branch}", "tag": "app:{{branch}}""#);
    space.head = format!(r#"go: Version("1.22.12"), vars: {{{vars}}}"#);
    let refused = |targets: &str, name: &str| match space.analyze(targets, &[name]) {
        Ok(_) => "fine\n".to_owned(),
        Err(refusal) => format!("{refusal}\n"),
    };
    let image = r#""image": Image(base: Static, entrypoint: ["/x"]"#;
    refused(&format!(r#"{image}, tags: ["{tag}"])"#), "image")
        + &refused(&format!(r#"{image}), "push": Push(image: "image", to: ["{tag}"])"#), "push")
}

#[test]
fn tags_take_a_slug() {
    for (branch, tag) in [
        ("feature/x", "{repo}:{branch|slug}"),
        ("feature/x", "r.example/{branch}:1"),
        ("5000/x", "r.example:{branch}/app"),
        ("v1.2-a_b", "{repo}:v{branch}"),
    ] {
        assert_eq!(tagged(branch, tag), "fine\nfine\n", "{branch} {tag}");
    }
}

#[test]
fn tags_that_a_slug_would_make() {
    let refusals = [
        ("feature/x", "{repo}:{branch}"),
        ("feature/x", "{repo}:{branch|lower}-1"),
        ("1.2+b", "r.example/app:{branch}"),
        ("5000/x", "localhost:{branch}"),
        ("///", "r.example/app:{branch}"),
        ("feature/x", "{tag}"),
        ("", "r.example/app:{branch}"),
    ]
    .map(|(branch, tag)| tagged(branch, tag));
    expect![[r#"
        input: `{branch}` is `feature/x`, and a tag has no `/`
        at: "{repo}:{branch}"
        hint: write `{branch|slug}`, which gives `feature-x`
        input: `{branch}` is `feature/x`, and a tag has no `/`
        at: "{repo}:{branch}"
        hint: write `{branch|slug}`, which gives `feature-x`
        input: `{branch|lower}` is `feature/x`, and a tag has no `/`
        at: "{repo}:{branch|lower}-1"
        hint: write `{branch|lower|slug}`, which gives `feature-x`
        input: `{branch|lower}` is `feature/x`, and a tag has no `/`
        at: "{repo}:{branch|lower}-1"
        hint: write `{branch|lower|slug}`, which gives `feature-x`
        input: `{branch}` is `1.2+b`, and a tag has no `+`
        at: "r.example/app:{branch}"
        hint: write `{branch|slug}`, which gives `1.2-b`
        input: `{branch}` is `1.2+b`, and a tag has no `+`
        at: "r.example/app:{branch}"
        hint: write `{branch|slug}`, which gives `1.2-b`
        input: `{branch}` is `5000/x`, and a tag has no `/`
        at: "localhost:{branch}"
        hint: write `{branch|slug}`, which gives `5000-x`
        input: `{branch}` is `5000/x`, and a tag has no `/`
        at: "localhost:{branch}"
        hint: write `{branch|slug}`, which gives `5000-x`
        input: `{branch}` is `///`, and a tag has no `/`
        at: "r.example/app:{branch}"
        hint: letters, digits, `_`, `.` and `-` can be in a tag
        input: `{branch}` is `///`, and a tag has no `/`
        at: "r.example/app:{branch}"
        hint: letters, digits, `_`, `.` and `-` can be in a tag
        input: `app:feature/x` can't name an image: write `[registry/]name:tag`, the name in lower case
        at: "{tag}"
        hint: a tag has no `/`; for a variable after the colon write `{name|slug}`
        input: `app:feature/x` is no image: write `[registry/]name:tag` or `[registry/]name@sha256:…`, the name in lower case
        at: "{tag}"
        hint: a tag has no `/`; for a variable after the colon write `{name|slug}`
        input: `r.example/app:` can't name an image: write `[registry/]name:tag`, the name in lower case
        at: "r.example/app:{branch}"
        input: `r.example/app:` is no image: write `[registry/]name:tag` or `[registry/]name@sha256:…`, the name in lower case
        at: "r.example/app:{branch}"
        hint: write "registry.example/team/app:1.2"
    "#]].assert_eq(&refusals.concat());
}

const GENERATED: &str = r#""gen": Exec(command: ["protoc"], inputs: [], outputs: ["gen/VERSION"]), "#;

/// Returns the result of `gen` with these contents, which are in the store and not in their place.
fn made(space: &Space, contents: &[u8]) -> UpstreamResult {
    let workspace = Workspace::open(&space.root, &space.root.join("cache"));
    let digest = workspace.results.put_bytes(contents).unwrap();
    let name = RelativePath::new("gen/VERSION").unwrap();
    let artefact = Artefact { path: name.below(&space.root), name, entry: Entry::file(digest, false) };
    UpstreamResult { artefacts: vec![artefact], ..UpstreamResult::default() }
}

#[test]
fn what_a_target_makes_is_a_value() {
    let mut space = Space::new();
    space.head =
        r#"go: Version("1.22.12"), vars: {"made": Output("gen"), "nested": "v{made|trim_prefix:v}", "plain": "p"}"#
            .to_owned();
    space.write("a.in", "{made|major} {nested} {plain}\n");
    let exec = format!(
        r#"{GENERATED} "x": Exec(command: ["protoc", "{{nested}}-{{plain}}"], inputs: [], env: {{"V": "{{made|minor}}"}})"#
    );
    space.graph(
        &exec,
        &["x"],
        expect![[r#"
        gen, streamed
        x, streamed; from: gen
        asked for: x
    "#]],
    );
    space.action(
        &exec,
        "x",
        "x",
        vec![made(&space, b"v1.2\n")],
        expect![[r#"
        by its key
        arguments ["protoc", "v1.2-p"]
        environment HOME@located
        environment LANG=C.UTF-8
        environment PATH@located
        environment TMPDIR@located
        environment V=2
        setting directory: .
        tool protoc: 4859f6facbd2c235700aba6a8ec5f9359b07ff700c5ccecdba6ef48f51c574ab/20
    "#]],
    );
    let template = format!(r#"{GENERATED} "t": Template(from: "a.in", to: "a.out")"#);
    space.graph(
        &template,
        &["t"],
        expect![[r#"
        gen, streamed
        t, streamed; from: gen
        asked for: t
    "#]],
    );
    space.action(
        &template,
        "t",
        "t",
        vec![made(&space, b"v1.2\n")],
        expect![[r#"
        by its key
        arguments ["template"]
        setting {made|major}: 1
        setting {nested}: v1.2
        setting {plain}: p
        input a.in
        output a.out -> a.out
    "#]],
    );
    // A value of the command line needs no target.
    space.overrides.insert("made".to_owned(), "9.1".to_owned());
    space.graph(
        &exec,
        &["x"],
        expect![[r#"
            x, streamed
            asked for: x
        "#]],
    );
}

#[test]
fn what_a_target_makes_and_is_no_value() {
    let mut space = Space::new();
    space.head = r#"go: Version("1.22.12"), vars: {"made": Output("gen"), "nested": "v{made}"}"#.to_owned();
    let exec = format!(r#"{GENERATED} "x": Exec(command: ["protoc", "{{nested|slug}}{{made|major}}"], inputs: [])"#);
    let analysis = space.analyze(&exec, &["x"]).unwrap();
    let (_, node) = analysis.graph.nodes().find(|(_, node)| node.key.to_string() == "x").unwrap();
    let workspace = Workspace::open(&space.root, &space.root.join("cache"));
    let large = vec![b'1'; 1 << 21];
    let texts = [&b"a\nb\n"[..], b"\xff", b"a\0b", b"dev", &large]
        .map(|contents| super::action_text(&space.root, node, &workspace, vec![made(&space, contents)]));
    expect![[r#"
        refused: the output of `gen` has 2 lines, and a variable is one
        refused: the output of `gen` is not text
        refused: the output of `gen` holds a NUL
        refused: `{made|major}`: `dev` is no version like `v1.2.3`
        refused: the output of `gen` has 2097152 bytes
    "#]]
    .assert_eq(&texts.concat());
    let refused = |targets: &str| match space.analyze(&format!("{GENERATED} {targets}"), &["x"]) {
        Ok(_) => "fine".to_owned(),
        Err(refusal) => refusal,
    };
    let refusals = [
        r#""x": Image(base: Static, entrypoint: ["/x"], tags: ["app:{nested}"])"#,
        r#""x": GoBuild(packages: ["."], stamp: {"main.v": "{made}"})"#,
        r#""x": Exec(command: ["{made}"])"#,
    ]
    .map(refused);
    expect![[r#"
        input: the value is known only when `gen` is made
        at: Output("gen")
        hint: use it in the `command` of `Exec`, in the `env` of `Exec` and `Shell`, or in the file of a `Template`
        input: the value is known only when `gen` is made
        at: Output("gen")
        hint: use it in the `command` of `Exec`, in the `env` of `Exec` and `Shell`, or in the file of a `Template`
        input: what a target makes is known too late for the name of a program
        at: "{made}""#]]
    .assert_eq(&refusals.join("\n"));
}
