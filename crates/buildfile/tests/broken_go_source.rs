//! Fields of the kinds that look after Go sources: the examples of docs/go-source.md, and messages about broken ones.

mod support;

use expect_test::expect;
use support::check;

#[test]
fn generators() {
    check(
        r#"targets: {
            "a": GoGenerate(packages: ["."]),
            "b": GoGenerate(packages: ["."], outputs: []),
            "c": GoGenerate(packages: ["."], outputs: ["!x"]),
            "d": GoGenerate(packages: ["."], outputs: ["x"], run: "("),
            "e": GoGenerate(packages: ["."], outputs: ["x"], tools: {"a/b": "c", "go": "go1", "x": "bin/x", "y": "ok"}),
            "f": GoGenerate(packages: ["."], outputs: ["x"], tools: ["stringer"]),
            "g": GoGenerate(packages: ["."], outputs: ["x"], tools: {"x": Secret("X")}),
            "h": GoGenerate(packages: ["."], outputs: ["x"], tools: {"x": Output("a")}),
        }"#,
        expect![[r#"
            error: `GoGenerate` needs the field `outputs`
             --> build.ron:5:18
              |
            5 |             "a": GoGenerate(packages: ["."]),
              |                  ^^^^^^^^^^
            error: `outputs` is empty
             --> build.ron:6:55
              |
            6 |             "b": GoGenerate(packages: ["."], outputs: []),
              |                                                       ^^
            error: `outputs` names no file
             --> build.ron:7:56
              |
            7 |             "c": GoGenerate(packages: ["."], outputs: ["!x"]),
              |                                                        ^^^^

            hint: write "**/*_string.go"
            error: `(` is not a regular expression: found open group without closing ')'
             --> build.ron:8:67
              |
            8 |       "d": GoGenerate(packages: ["."], outputs: ["x"], run: "("),
              |                                                             ^^^
            error: `a/b` is not the name of a program
             --> build.ron:9:70
              |
            9 |    "e": GoGenerate(packages: ["."], outputs: ["x"], tools: {"a/b": "c", "go": "go1", "x": "bin/x", "y": "ok"}),
              |                                                             ^^^^^

            hint: write a name that PATH is searched for
            error: `go` is always that of the project's own toolchain
             --> build.ron:9:82
              |
            9 | nerate(packages: ["."], outputs: ["x"], tools: {"a/b": "c", "go": "go1", "x": "bin/x", "y": "ok"}),
              |                                                             ^^^^

            hint: leave it out
            error: the tool `bin/x` is neither a name nor an absolute path
             --> build.ron:9:100
              |
            9 | "."], outputs: ["x"], tools: {"a/b": "c", "go": "go1", "x": "bin/x", "y": "ok"}),
              |                                                             ^^^^^^^

            hint: a script of the project is an input: name it in `inputs`, and a directive finds it by its path
            error: expected a map, `{"stringer": Tool("golang.org/x/tools/cmd/stringer@v0.24.0")}`, found `["stringer"]`
              --> build.ron:10:69
               |
            10 |     "f": GoGenerate(packages: ["."], outputs: ["x"], tools: ["stringer"]),
               |                                                             ^^^^^^^^^^^^
            error: a secret is not allowed here: it would reach a command line, a key or an image
              --> build.ron:11:75
               |
            11 | ": GoGenerate(packages: ["."], outputs: ["x"], tools: {"x": Secret("X")}),
               |                                                             ^^^^^^^^^^^

            hint: use `Secret` in the `env` of `DockerRun`, `GoTest`, `Exec`, `Shell` or `Compose…`
        "#]],
    );
}

#[test]
fn vulnerability_checkers() {
    check(
        r#"targets: {
            "a": GoVulncheck(),
            "b": GoVulncheck(packages: ["."], binary: Output("x")),
            "c": GoVulncheck(binary: "x"),
            "d": GoVulncheck(binary: Output("x"), test: true),
            "e": GoVulncheck(packages: ["."], db: "ftp://x", scan: Near),
            "f": GoVulncheck(packages: ["."], db: "../x"),
            "x": GoBuild(packages: ["."]),
        }"#,
        expect![[r#"
            error: `GoVulncheck` needs `packages` or `binary`
             --> build.ron:5:18
              |
            5 |             "a": GoVulncheck(),
              |                  ^^^^^^^^^^^

            hint: write `packages: ["./..."]`
            error: it looks at packages or at an executable, not at both
             --> build.ron:6:41
              |
            6 |             "b": GoVulncheck(packages: ["."], binary: Output("x")),
              |                                         ^^^

            hint: write a target for each
            error: `binary` is what a target makes
             --> build.ron:7:38
              |
            7 |             "c": GoVulncheck(binary: "x"),
              |                                      ^^^

            hint: write `binary: Output("server")`
            error: `test` is about packages: an executable has no tests
             --> build.ron:8:38
              |
            8 |             "d": GoVulncheck(binary: Output("x"), test: true),
              |                                      ^^^^^^^^^^^
            error: `ftp://x` is no address of a database
             --> build.ron:9:51
              |
            9 |             "e": GoVulncheck(packages: ["."], db: "ftp://x", scan: Near),
              |                                                   ^^^^^^^^^

            hint: write a directory relative to `root`, which is keyed by its contents, or an address with https
            error: expected one of Symbol, Package, Module, found `Near`
             --> build.ron:9:68
              |
            9 |      "e": GoVulncheck(packages: ["."], db: "ftp://x", scan: Near),
              |                                                             ^^^^
            error: `../x` leaves the root
              --> build.ron:10:51
               |
            10 |             "f": GoVulncheck(packages: ["."], db: "../x"),
               |                                                   ^^^^^^

            hint: paths are relative to `root`
        "#]],
    );
}

#[test]
fn linters() {
    check(
        r#"targets: {
            "g": GoLint(packages: []),
            "h": GoLint(packages: ["."], config: "/etc/golangci.yml", tool: Secret("X")),
        }"#,
        expect![[r#"
            error: `packages` is empty
             --> build.ron:5:35
              |
            5 |             "g": GoLint(packages: []),
              |                                   ^^
            error: `/etc/golangci.yml` leaves the root
             --> build.ron:6:50
              |
            6 |             "h": GoLint(packages: ["."], config: "/etc/golangci.yml", tool: Secret("X")),
              |                                                  ^^^^^^^^^^^^^^^^^^^

            hint: paths are relative to `root`
            error: a secret is not allowed here: it would reach a command line, a key or an image
             --> build.ron:6:77
              |
            6 |  GoLint(packages: ["."], config: "/etc/golangci.yml", tool: Secret("X")),
              |                                                             ^^^^^^^^^^^

            hint: use `Secret` in the `env` of `DockerRun`, `GoTest`, `Exec`, `Shell` or `Compose…`
        "#]],
    );
}

#[test]
fn the_examples_of_the_page_on_go_sources() {
    let page = include_str!("../../../docs/go-source.md");
    let examples: Vec<&str> = page.split("```ron\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(!examples.is_empty());
    for example in examples {
        let text = format!("(format: 1, project: \"t\", go: FromGoMod, targets: {{{example}}})");
        assert_eq!(support::messages(&text), "no mistakes\n", "{example}");
    }
}
