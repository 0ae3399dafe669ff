//! `GoGenerate`: its graph, what its generators depend on, and the directives that are refused before anything runs.

use expect_test::expect;
use rondel_cas::{Digest, Entry, RelativePath};
use rondel_engine::{Artefact, UpstreamResult};

use super::{Space, make_executable};

const STEP: &str = "gen: generators";

fn tool() -> UpstreamResult {
    let artefact = Artefact {
        name: RelativePath::new("z").unwrap(),
        path: "/nowhere/z".into(),
        entry: Entry::file(Digest::of(b"z"), true),
    };
    UpstreamResult { artefacts: vec![artefact], ..UpstreamResult::default() }
}

#[test]
fn generating_is_one_step_and_placing_another() {
    Space::new().graph(
        r#""gen": GoGenerate(packages: ["./..."], outputs: ["*_gen.go"], tools: {"z": Tool("example.com/x/cmd/z@v1.2.3")}, after: ["x"]),
           "x": Exec(command: ["sh"])"#,
        &["gen"],
        expect![[r#"
            x, streamed
            go modules, hidden
            tool example.com/x/cmd/z@v1.2.3, hidden
            gen: generators, streamed; from: tool example.com/x/cmd/z@v1.2.3; after: x; on a miss: go modules
            gen, streamed; from: gen: generators; after: x
            asked for: gen
        "#]],
    );
}

#[test]
fn generators_are_keyed_by_sources_programs_and_settings() {
    let space = Space::new();
    for (path, text) in [
        (
            "a/a.go",
            "package a\n\n//go:embed data/*.txt\n//go:generate z\n//go:generate sh x.sh\n//go:generate ./run.sh\n",
        ),
        ("a/data/1.txt", "1"),
        ("a/run.sh", "1"),
        ("a/a_gen.go", "package a\n"),
        ("a/hand_gen.go", "package a\n"),
        ("a/testdata/t.go", "package t\n"),
        ("vendor/v/v.go", "package v\n"),
        ("beside/go.mod", "module beside\n"),
        ("db/q.sql", "1"),
        ("db/q.txt", "1"),
    ] {
        space.write(path, text);
    }
    space.action(
        r#""gen": GoGenerate(
            packages: ["./a", "./..."], outputs: ["**/*_gen.go", "!a/hand_gen.go"], inputs: ["db/*.sql", "a/run.sh"], run: "z|sh", tags: ["x", "y"],
            env: {"A": "{version}"}, tools: {"z": Tool("example.com/x/cmd/z@v1.2.3"), "pb": "protoc"}, network: true, sandbox: Off,
        )"#,
        "gen",
        STEP,
        vec![tool()],
        expect![[r#"
            by its key
            arguments ["go", "generate", "-tags=x,y", "-run=z|sh", "--", "./a", "./..."]
            environment A=v1.2.3
            environment CGO_ENABLED=0
            environment GO111MODULE=on
            environment GOARCH=[HOST]
            environment GOCACHE@located
            environment GODEBUG=goindex=0
            environment GOENV=off
            environment GOEXPERIMENT=
            environment GOFLAGS=-buildvcs=false
            environment GOMODCACHE@located
            environment GOOS=[HOST]
            environment GOPATH@located
            environment GOPROXY=off
            environment GOROOT@located
            environment GOSUMDB=off
            environment GOTELEMETRY=off
            environment GOTOOLCHAIN=local
            environment GOWORK=off
            environment HOME@located
            environment LANG=C.UTF-8
            environment LC_ALL=C
            environment PATH@located
            environment TMPDIR@located
            environment TZ=UTC
            setting network: on
            setting outputs: "**/*_gen.go", "!a/hand_gen.go"
            setting sandbox: off
            setting tool pb: protoc
            setting tool z: made
            tool go: go1.22.12 abababababababababababababababababababababababababababababababab/1
            tool protoc: 4859f6facbd2c235700aba6a8ec5f9359b07ff700c5ccecdba6ef48f51c574ab/20
            tool sh: 2a5c38bcc54413d6b80c50802e7b634a52e4ed4e6767857b70abdbc01eb619b3/16
            input a/a.go
            input a/data/1.txt
            input a/hand_gen.go
            input a/run.sh
            input beside/go.mod
            input db/q.sql
            input go.mod
            input main.go
            input vendor/v/v.go
            upstream tools/z
            output files -> .rondel/out/generate/gen
        "#]],
    );
}

#[test]
fn former_outputs_are_inputs_where_generators_see_them() {
    let space = Space::new();
    space.write("a/a.go", "package a\n\n//go:generate sh x\n");
    space.write("a/a_gen.go", "package a\n");
    space.action(
        r#""gen": GoGenerate(packages: ["./..."], outputs: ["**/*_gen.go"], sees_outputs: true)"#,
        "gen",
        STEP,
        Vec::new(),
        expect![[r#"
            by its key
            arguments ["go", "generate", "--", "./..."]
            environment CGO_ENABLED=0
            environment GO111MODULE=on
            environment GOARCH=[HOST]
            environment GOCACHE@located
            environment GODEBUG=goindex=0
            environment GOENV=off
            environment GOEXPERIMENT=
            environment GOFLAGS=-buildvcs=false
            environment GOMODCACHE@located
            environment GOOS=[HOST]
            environment GOPATH@located
            environment GOPROXY=off
            environment GOROOT@located
            environment GOSUMDB=off
            environment GOTELEMETRY=off
            environment GOTOOLCHAIN=local
            environment GOWORK=off
            environment HOME@located
            environment LANG=C.UTF-8
            environment LC_ALL=C
            environment PATH@located
            environment TMPDIR@located
            environment TZ=UTC
            setting outputs: "**/*_gen.go"
            tool go: go1.22.12 abababababababababababababababababababababababababababababababab/1
            tool sh: 2a5c38bcc54413d6b80c50802e7b634a52e4ed4e6767857b70abdbc01eb619b3/16
            input a/a.go
            input a/a_gen.go
            input go.mod
            input main.go
            output files -> .rondel/out/generate/gen
        "#]],
    );
}

#[test]
fn directives_without_a_program_are_refused_with_their_place() {
    let space = Space::new();
    space.write("bin/mine", "#!/bin/false\n");
    make_executable(&space.root.join("bin/mine"));
    space.write("gen.sh", "1");
    let check = |directive: &str| {
        space.write("a/a.go", &format!("package a\n\n//go:generate {directive}\n"));
        let target = r#""gen": GoGenerate(packages: ["./..."], outputs: ["**/*_gen.go"])"#;
        let analysis = space.analyze(target, &["gen"]).unwrap();
        let (_, node) = analysis.graph.nodes().find(|(_, node)| node.key.to_string() == STEP).unwrap();
        let workspace = rondel_engine::Workspace::open(&space.root, &space.root.join("cache"));
        let Err(error) = rondel_engine::question(node, &workspace, Vec::new()) else { return "none\n".to_owned() };
        format!("{error}; {}\n", error.hint_text().unwrap_or("no hint"))
    };
    let all: String = [
        "stringer -type=A",
        "other",
        "mine",
        "go run example.com/x@latest",
        "go run example.com/x@v1.2.3",
        "$HOME/x",
        "../gen.sh",
        "../../gen.sh",
        "./made-by-another",
    ]
    .map(check)
    .concat();
    expect![[r#"
        a/a.go:3 starts `stringer`, which is neither in `tools` nor on PATH; write `tools: {"stringer": Tool("golang.org/x/tools/cmd/stringer@v…")}` with a version, or install it
        a/a.go:3 starts `other`, which is neither in `tools` nor on PATH; write `tools: {"other": Tool("import/path@v…")}` with a version, or install it
        none
        a/a.go:3 runs `example.com/x@latest`, which is another program each time; write a version, `@v1.2.3`
        none
        a/a.go:3 starts `$HOME/x`, and what that is, is known only when it runs; write its name in the directive, and where it comes from in `tools`
        a/a.go:3 starts `gen.sh`, which is no input; add "gen.sh" to `inputs`
        a/a.go:3 starts `a/../../gen.sh`, which is outside of `root`; give it by `tools`, under a name
        none
    "#]].assert_eq(&all);
}

#[test]
fn what_would_generate_nothing_or_something_else_is_refused() {
    let space = Space::new();
    let check = |files: &[(&str, &str)], fields: &str| {
        for (path, text) in files {
            space.write(path, text);
        }
        let target = format!(r#""gen": GoGenerate(packages: ["./a"], {fields})"#);
        let analysis = match space.analyze(&target, &["gen"]) {
            Ok(analysis) => analysis,
            Err(error) => return format!("{error}\n"),
        };
        let (_, node) = analysis.graph.nodes().find(|(_, node)| node.key.to_string() == STEP).unwrap();
        let workspace = rondel_engine::Workspace::open(&space.root, &space.root.join("cache"));
        let Err(error) = rondel_engine::question(node, &workspace, Vec::new()) else { return "none\n".to_owned() };
        format!("{error}; {}\n", error.hint_text().unwrap_or("no hint"))
    };
    let outputs = r#"outputs: ["a/*_gen.go"]"#;
    let all = [
        check(&[("b/b.go", "package b\n\n//go:generate sh\n")], outputs),
        check(&[("a/a.go", "package a\n\n//go:generate sh\n")], r#"outputs: ["a/*_gen.go"], run: "mockgen""#),
        check(&[], r#"outputs: ["a/**"]"#),
        check(&[], r#"outputs: ["a/*_gen.go"], inputs: ["db/*.sql"]"#),
        check(&[], r#"outputs: ["a/*_gen.go"], tools: {"z": "nothing"}"#),
        check(&[("a/w_gen.go", "// Code generated by w. DO NOT EDIT.\n\n//go:generate sh\n")], outputs),
        check(&[("a/u_windows.go", "package a\n\n//go:generate nothing\n")], outputs),
        check(&[("go.mod", "module example.com/small\n\nreplace example.com/y => ../y\n")], outputs),
    ];
    expect![[r#"
        no directive `//go:generate` runs in ./a; correct `packages` or `run`, or leave the target out
        no directive `//go:generate` runs in ./a; correct `packages` or `run`, or leave the target out
        `a/a.go:3` is a directive, and `outputs` says that the file is generated; add "!a/a.go" to `outputs`
        the input `db/*.sql` counts for nothing: there is no `db`; did you mean `b/*.sql`?
        environment: `nothing` was not found on PATH
        at: "nothing"
        hint: install it, or correct the field
        none
        none
        go.mod replaces `example.com/y` by `../y`, and generators see a copy of `root` alone; use `Exec(command: ["go", "generate", …])` without `inputs`: it runs in the tree itself
    "#]].assert_eq(&all.concat());
}
