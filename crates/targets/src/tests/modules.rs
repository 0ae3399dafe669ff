//! `module` of targets: graphs, actions, the Go of each module, and what is refused.

use expect_test::{Expect, expect};

use rondel_buildfile::BuildFile;

use super::Space;
use crate::modules::Module;

/// A module at the top, one that replaces it, and one of tools that asks for another Go line.
fn three_modules() -> Space {
    let mut space = Space::new();
    space.head = r#"go: FromGoMod, platforms: ["linux/amd64"]"#.to_owned();
    let replaced = "\nrequire example.com/small v0.0.0\n\nreplace example.com/small => ../\n";
    space.write("examples/go.mod", &format!("module example.com/small/examples\n\ngo 1.22.3\n{replaced}"));
    space.write("examples/hello/main.go", "package main\n\nfunc main() {}\n");
    space.write("tools/go.mod", "module example.com/tools\n\ngo 1.22\n\ntool example.com/gen/cmd/gen\n");
    space.write("tools/tools.go", "package tools\n");
    space
}

fn refused(space: &Space, targets: &str, target: &str, expected: Expect) {
    let error = space.analyze(targets, &[target]).err().unwrap_or_else(|| "nothing".to_owned());
    expected.assert_eq(&(error.replace(&space.root.display().to_string(), "[ROOT]") + "\n"));
}

#[test]
fn each_module_has_its_downloads_and_tools() {
    let targets = r#"
        "deps": GoModDownload(), "example-deps": GoModDownload(module: "./examples/"),
        "server": GoBuild(packages: ["."], after: ["deps"]),
        "hello": GoBuild(module: "examples", packages: ["./hello"], sbom: true, after: ["deps", "example-deps"]),
        "vet": GoVet(module: "examples", packages: ["./..."], after: ["deps"]),
        "test": GoTest(module: "examples/", packages: ["./..."]),
        "gen": Exec(module: "tools", command: [Tool("gen")]),
        "tidy": GoModTidy(module: "tools", check: true), "fmt": GoFmt(module: "tools", check: true),
        "all": Group(targets: ["server", "hello", "vet", "test", "gen", "tidy", "fmt"]),
    "#;
    three_modules().graph(targets, &["all"], expect![[r#"
        deps
        server (linux/amd64) as `server`; on a miss: deps
        example-deps
        hello (linux/amd64) as `hello`; on a miss: deps, example-deps
        hello: bill (linux/amd64), hidden; from: hello (linux/amd64)
        hello: sbom (linux/amd64), hidden; from: hello: bill (linux/amd64)
        go modules of examples, hidden
        vet (linux/amd64) as `vet`, streamed; on a miss: deps, go modules of examples
        test, streamed; on a miss: go modules of examples
        go modules of tools, hidden
        tool example.com/gen/cmd/gen of tools, hidden; on a miss: go modules of tools
        gen, streamed; from: tool example.com/gen/cmd/gen of tools; on a miss: go modules of tools
        tidy, streamed
        fmt, streamed
        asked for: server (linux/amd64), hello (linux/amd64), hello: sbom (linux/amd64), vet (linux/amd64), test, gen, tidy, fmt
    "#]]);
}

#[test]
fn actions_of_a_module() {
    let space = three_modules();
    space.write("tools/sub/go.mod", "module example.com/sub\n");
    space.write("tools/sub/sub.go", "package sub\n");
    let targets = r#"
        "tidy": GoModTidy(module: "tools", check: true),
        "fmt": GoFmt(module: "./tools/", check: true, exclude: ["tools/sub/**"]),
    "#;
    space.action(
        targets,
        "tidy",
        "tidy",
        Vec::new(),
        expect![[r#"
        by its key
        arguments ["go", "mod", "tidy"]
        environment CGO_ENABLED=0
        environment GO111MODULE=on
        environment GOARCH=[HOST]
        environment GOCACHE@located
        environment GODEBUG@passed
        environment GOENV=off
        environment GOEXPERIMENT=
        environment GOFLAGS=-mod=mod
        environment GOMODCACHE@located
        environment GOOS=[HOST]
        environment GOPATH@located
        environment GOPROXY=off
        environment GOROOT@located
        environment GOTELEMETRY=off
        environment GOTOOLCHAIN=local
        environment GOWORK=off
        environment HOME@located
        environment LC_ALL=C
        environment PATH@located
        environment TZ=UTC
        tool go: go1.22.12 abababababababababababababababababababababababababababababababab/1
        input tools/go.mod
        input tools/sub/go.mod
        input tools/sub/sub.go
        input tools/tools.go
    "#]],
    );
    space.action(
        targets,
        "fmt",
        "fmt",
        Vec::new(),
        expect![[r#"
        by its key
        arguments ["gofmt", "-l"]
        tool go: go1.22.12 abababababababababababababababababababababababababababababababab/1
        input tools/go.mod
        input tools/tools.go
    "#]],
    );
}

/// `.` and the path with `./` or a slash are the same module; the key of the target does not tell them apart.
#[test]
fn ways_to_write_a_module() {
    let space = three_modules();
    let graph = |module: &str| {
        let targets = format!(r#""t": GoVet({module} packages: ["./..."])"#);
        let analysis = space.analyze(&targets, &["t"]).unwrap();
        analysis.graph.nodes().map(|(id, node)| super::node_text(&analysis.graph, id, node)).collect::<String>()
    };
    assert_eq!(graph(r#"module: "examples","#), graph(r#"module: "./x/..//examples/","#));
    assert_ne!(graph(r#"module: "examples","#), graph(""));
    assert_eq!(graph(r#"module: ".","#), graph(""));
}

#[test]
fn modules_that_there_are_not() {
    let space = three_modules();
    space.write("docs/page.md", "");
    space.write("examples/deep/er/main.go", "package main\n");
    space.write("bin/go.mod/x", "");
    let vet = |module: &str| format!(r#""t": GoVet(module: "{module}", packages: ["./..."])"#);
    refused(
        &space,
        &vet("exmples"),
        "t",
        expect![[r#"
        input: the module `exmples` does not exist
        at: "exmples"
        hint: did you mean `examples`?
    "#]],
    );
    refused(
        &space,
        &vet("services/api"),
        "t",
        expect![[r#"
        input: the module `services/api` does not exist
        at: "services/api"
        hint: go.mod is in: `.`, `examples`, `tools`
    "#]],
    );
    refused(
        &space,
        &vet("docs"),
        "t",
        expect![[r#"
        input: there is no go.mod in `docs`
        at: "docs"
        hint: the nearest one above is that of `root`: leave `module` out, and write its packages as `./docs`
    "#]],
    );
    refused(
        &space,
        &vet("examples/deep/er"),
        "t",
        expect![[r#"
        input: there is no go.mod in `examples/deep/er`
        at: "examples/deep/er"
        hint: the nearest one above is in `examples`: write `module: "examples"`, and its packages as `./deep/er`
    "#]],
    );
    refused(
        &space,
        &vet("main.go"),
        "t",
        expect![[r#"
        input: the module `main.go` is not a directory
        at: "main.go"
        hint: go.mod is in: `.`, `examples`, `tools`
    "#]],
    );
    refused(
        &space,
        &vet("bin"),
        "t",
        expect![[r#"
        input: there is no go.mod in `bin`
        at: "bin"
        hint: the nearest one above is that of `root`: leave `module` out, and write its packages as `./bin`
    "#]],
    );
}

#[test]
fn a_module_that_leads_out_of_the_root() {
    let space = three_modules();
    let targets = r#""t": GoVet(module: "link", packages: ["./..."])"#;
    let outside = space.root.with_extension("outside");
    std::fs::create_dir_all(&outside).unwrap();
    std::os::unix::fs::symlink(&outside, space.root.join("link")).unwrap();
    refused(
        &space,
        targets,
        "t",
        expect![[r#"
        input: the module `link` is a link to `[ROOT].outside`, outside of the root
        at: "link"
        hint: put `build.ron` into a directory that holds both
    "#]],
    );
    std::fs::remove_dir_all(&outside).unwrap();
}

#[test]
fn packages_of_other_modules() {
    let space = three_modules();
    let vet = |fields: &str| format!(r#""t": GoVet({fields})"#);
    // Replaced by a directory, its packages are to be had.
    assert!(space.analyze(&vet(r#"module: "examples", packages: ["..", "../..."]"#), &["t"]).is_ok());
    refused(
        &space,
        &vet(r#"module: "examples", packages: ["./hello", "../tools"]"#),
        "t",
        expect![[r#"
        input: `../tools` is in the module of `tools`, and not in that of `examples`
        at: "../tools"
        hint: give it a target with `module: "tools"` and `packages: ["."]`; a declared go.work joins modules
    "#]],
    );
    refused(
        &space,
        &vet(r#"module: "tools", packages: ["../..."]"#),
        "t",
        expect![[r#"
        input: `../...` is in the module of `root`, and not in that of `tools`
        at: "../..."
        hint: give it a target without `module` and `packages: ["./..."]`; a declared go.work joins modules
    "#]],
    );
    refused(
        &space,
        &vet(r#"packages: ["./examples/hello"]"#),
        "t",
        expect![[r#"
        input: `./examples/hello` is in the module of `examples`, and not in that of `root`
        at: "./examples/hello"
        hint: give it a target with `module: "examples"` and `packages: ["./hello"]`; a declared go.work joins modules
    "#]],
    );
    refused(
        &space,
        &vet(r#"packages: ["./examples/..."]"#),
        "t",
        expect![[r#"
        input: `./examples/...` is in the module of `examples`, and not in that of `root`
        at: "./examples/..."
        hint: give it a target with `module: "examples"` and `packages: ["./..."]`; a declared go.work joins modules
    "#]],
    );
    refused(
        &space,
        &vet(r#"module: "tools", packages: ["../../"]"#),
        "t",
        expect![[r#"
        input: `../../` is not in the module of `tools`
        at: "../../"
        hint: packages are patterns below the module's directory, or import paths
    "#]],
    );
    // What is not there, Go reports.
    assert!(space.analyze(&vet(r#"packages: ["./nowhere/..."]"#), &["t"]).is_ok());
}

#[test]
fn a_go_work_counts_for_the_modules_that_it_uses() {
    let mut space = three_modules();
    space.head.push_str(", go_work: \"go.work\"");
    space.write("go.work", "go 1.22\n\nuse (\n\t.\n\t./examples\n)\n");
    let targets = r#"
        "example": GoVet(module: "examples", packages: ["./...", "../"]), "top": GoVet(packages: ["./examples/..."]),
        "tools": GoVet(module: "tools", packages: ["./..."]), "out": GoVet(module: "tools", packages: ["../examples/..."]),
    "#;
    assert!(space.analyze(targets, &["example", "top", "tools"]).is_ok());
    refused(
        &space,
        targets,
        "out",
        expect![[r#"
        input: `../examples/...` is in the module of `examples`, and not in that of `tools`
        at: "../examples/..."
        hint: give it a target with `module: "examples"` and `packages: ["./..."]`; a declared go.work joins modules
    "#]],
    );
    // The module of the root, which is not used.
    space.write("go.work", "go 1.22\n\nuse ./examples\n");
    assert!(space.analyze(targets, &["top"]).is_ok());
    refused(
        &space,
        r#""t": GoVet(packages: ["./examples/...", "."])"#,
        "t",
        expect![[r#"
        input: `.` is in the module of `root`, which `go.work` does not use
        at: "."
        hint: write `module: "."` to build it without the go.work; `go work use .` adds the module
    "#]],
    );
    space.graph(
        r#""t": GoVet(module: ".", packages: ["."]), "top": GoVet(packages: ["./examples/..."]), "gen": Exec(module: ".", command: [Tool("x/y")])"#,
        &["t", "top", "gen"],
        expect![[r#"
            go modules of ., hidden
            t (linux/amd64) as `t`, streamed; on a miss: go modules of .
            go modules, hidden
            top (linux/amd64) as `top`, streamed; on a miss: go modules
            tool x/y of ., hidden; on a miss: go modules of .
            gen, streamed; from: tool x/y of .; on a miss: go modules of .
            asked for: t (linux/amd64), top (linux/amd64), gen
        "#]],
    );
    // One name of two modules, as Go refuses it too.
    space.write("tools/go.mod", "module example.com/small\n");
    space.write("go.work", "go 1.22\n\nuse (\n\t.\n\t./tools\n)\n");
    assert!(space.analyze(targets, &["example"]).is_ok(), "a go.work that does not count is not looked at");
    refused(
        &space,
        targets,
        "tools",
        expect![[r#"
        input: `go.work` uses two modules named `example.com/small`: `.` and `tools`
        at: "go.work"
        hint: Go takes a module's path once: change that of one, or remove its `use`
    "#]],
    );
}

/// `go: FromGoMod` is the Go of each module.
#[test]
fn each_module_says_its_go() {
    let space = three_modules();
    let targets = r#""server": GoVet(packages: ["."]), "tools": GoVet(module: "tools", packages: ["."])"#;
    assert!(space.analyze(targets, &["server", "tools"]).is_ok());
    space.write("tools/go.mod", "module example.com/tools\n\ngo 1.24.1\n");
    assert!(space.analyze(targets, &["server"]).is_ok(), "another module is not asked");
    refused(
        &space,
        targets,
        "tools",
        expect![[r#"
            input: tools/go.mod asks for Go 1.24.1, and build.lock pins Go 1.22.12
            at: "tools"
            hint: run `{this program} lock` and commit build.lock
        "#]],
    );
    space.write("tools/.go-version", "1.22.12\n");
    refused(
        &space,
        targets,
        "tools",
        expect![[r#"
            input: tools/go.mod asks for Go 1.24.1, and tools/.go-version says Go 1.22.12
            at: "tools"
            hint: raise it in `tools/.go-version`, then run `{this program} lock`
        "#]],
    );
    space.write("tools/go.mod", "module example.com/tools\n");
    std::fs::remove_file(space.root.join("tools/.go-version")).unwrap();
    refused(
        &space,
        targets,
        "tools",
        expect![[r#"
        input: tools/go.mod has neither a `go` nor a `toolchain` line
        at: "tools"
        hint: write `go: Version("…")`
    "#]],
    );
    // One Go for all, which is too old for one of them.
    let mut space = three_modules();
    space.replace_in_head("FromGoMod", "Version(\"1.22.12\")");
    space.write("tools/go.mod", "module example.com/tools\n\ngo 1.23\n");
    refused(
        &space,
        targets,
        "tools",
        expect![[r#"
        input: tools/go.mod asks for Go 1.23, and build.ron says Go 1.22.12
        at: "tools"
        hint: raise `go:` in build.ron, then run `{this program} lock`
    "#]],
    );
}

/// Modules below `root` alone: what belongs to none of them is built with the newest Go that one asks for.
#[test]
fn a_root_without_a_module() {
    let space = three_modules();
    std::fs::remove_file(space.root.join("go.mod")).unwrap();
    let targets = r#"
        "hello": GoBuild(module: "examples", packages: ["./hello"]), "tools": GoVet(module: "tools", packages: ["./..."]),
        "image": Image(base: Static, files: {"/hello": Output("hello")}, tzdata: true), "lost": GoVet(packages: ["./..."]),
    "#;
    space.graph(
        targets,
        &["image", "tools"],
        expect![[r#"
        image: layer base, hidden
        go modules of examples, hidden
        hello (linux/amd64) as `hello`; on a miss: go modules of examples
        image: layer outputs (linux/amd64), hidden; from: hello (linux/amd64)
        image, streamed; from: image: layer base, image: layer outputs (linux/amd64)
        image: docker; from: image
        go modules of tools, hidden
        tools (linux/amd64) as `tools`, streamed; on a miss: go modules of tools
        asked for: image, image: docker, tools (linux/amd64)
    "#]],
    );
    refused(
        &space,
        targets,
        "lost",
        expect![[r#"
            input: there is no go.mod in `root`, and this target names no module
            at: "lost"
            hint: write `module: "examples"` or `module: "tools"`
        "#]],
    );
    refused(
        &space,
        r#""lost": GoVet(packages: ["./..."])"#,
        "lost",
        expect![[r#"
        input: `go: FromGoMod`, but there is no `[ROOT]/go.mod`
        at: FromGoMod
        hint: write `go: Version("…")`, or set `root`, or `module` of the targets
    "#]],
    );
}

#[test]
fn tools_that_a_module_has_not() {
    let space = three_modules();
    let run = |fields: &str| format!(r#""t": Exec({fields} command: [Tool("gen")])"#);
    refused(
        &space,
        &run(""),
        "t",
        expect![[r#"
        input: go.mod has no tool `gen`
        at: Tool("gen")
        hint: write its import path, or add it: `go get -tool IMPORT-PATH` (Go 1.24 and later)
    "#]],
    );
    refused(
        &space,
        &run(r#"module: "examples","#),
        "t",
        expect![[r#"
        input: examples/go.mod has no tool `gen`
        at: Tool("gen")
        hint: write its import path, or add it: `go get -tool IMPORT-PATH` (Go 1.24 and later)
    "#]],
    );
    assert!(space.analyze(&run(r#"module: "tools","#), &["t"]).is_ok());
}

/// Which go.work is in force for which module.
#[test]
fn modules_in_and_out_of_a_go_work() {
    let space = three_modules();
    let go_work = |uses: &str, module: &str| {
        space.write("go.work", &format!("go 1.22\n\nuse (\n{uses}\n)\n"));
        let text = format!(
            r#"(format: 1, project: "p", go_work: "go.work", targets: {{"t": GoVet({module} packages: ["."])}})"#
        );
        let file = BuildFile::parse(&text, "0.1.0").unwrap();
        Module::of(&file, &space.root, file.targets[0].kind().module()).unwrap().go_work.is_some()
    };
    assert!(go_work("./examples/", r#"module: "examples","#));
    assert!(go_work("./tools/../examples", r#"module: "./examples","#));
    assert!(!go_work("./examples", r#"module: "tools","#));
    assert!(go_work("./examples", ""), "packages of members can be named from the root");
    assert!(!go_work("./examples", r#"module: ".","#));
    assert!(go_work(".", "") && go_work(".", r#"module: ".","#));
    assert!(!go_work(".", r#"module: "examples","#));
    std::os::unix::fs::symlink("tools", space.root.join("link")).unwrap();
    assert!(go_work("./link", r#"module: "tools","#));
    std::fs::remove_file(space.root.join("go.mod")).unwrap();
    assert!(go_work("./examples", ""));
}
