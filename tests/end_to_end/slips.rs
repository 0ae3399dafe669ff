//! Slips: what people write who come from make, just, task, docker or another language, and the hint that each gets.

use std::fmt::Write;

use expect_test::{expect, expect_file};

use crate::space::TestSpace;

const TARGETS: &str = r#"
    "image": Image(base: Static, files: {"/server": Output("server")}, entrypoint: ["/server"]),
    "server": GoBuild(packages: ["./cmd/small"]),
    "stack": ComposeUp(file: "compose.yaml"),
    "tests": GoTest(packages: ["./..."]),"#;

const LINES: &[&str] = &[
    "--dry-run image",
    "-n image",
    "-l",
    "--list",
    "build image",
    "run image server",
    "make image",
    "graf image",
    "compose",
    "docker",
    "up",
    "down",
    "test",
    "lint",
    "clean",
    "help",
    "version",
    "ls",
    "update",
    "imgae",
    "image,server",
    "image -B",
    "image --no-cache",
    "image -k",
    "image -f other.ron",
    "image -C web",
    "image --json",
    "image --target x",
    "image -D version=1",
    "list --jsn",
    "plan --forse image",
    "why --al image",
    "graph --alll image",
    "cache clen",
    "completions basch",
];

/// Maps of targets.
const WRITTEN: &[&str] = &[
    r#"("vet": Shell("true"))"#,
    r#"["vet"]"#,
    r#"{"vet": Exec("go vet ./...")}"#,
    r#"{"vet": Exec(["go", "vet"])}"#,
    r#"{"a": Shell("true"), "all": Group([a])}"#,
    r#"{"a": Shell("true"), "all": Group["a"]}"#,
    r#"{"all": Group("a")}"#,
    r#"{"a": Shell("true", env: ("A": "b"))}"#,
    r#"{"a": Shell("true", inputs: "src/**")}"#,
    r#"{a: Shell("true")}"#,
    r#"{"a": Shell('true')}"#,
    r#"{"a" = Shell("true")}"#,
    r#"{"a": Shell("true"),,}"#,
    r#"{"s": GoBuild("./cmd/s")}"#,
    r#"{"s": GoBuild(packages: "./cmd/s")}"#,
    r#"{"s": GoBuild(package: ["./cmd/s"])}"#,
    r#"{"s": Gobuild(packages: ["./cmd/s"])}"#,
    r#"{"i": Image(base: "alpine:3.19")}"#,
    r#"{"i": Image(base: From(alpine))}"#,
    r#"{"i": Image(base: Static, files: {"/etc/x": "x"})}"#,
];

/// Returns what each line gets: the error and the hint, without the place.
fn said(space: &TestSpace, lines: &[&str]) -> String {
    let mut said = String::new();
    for line in lines {
        let run = space.run(&line.split(' ').collect::<Vec<_>>());
        assert_eq!(run.code, 2, "{line}: {}{}", run.stdout, run.stderr);
        writeln!(said, "$ {line}").unwrap();
        let shown = run.stderr.replace(&space.root().display().to_string(), "[PROJECT]");
        let told = shown.lines().filter(|line| line.starts_with("error: ") || line.starts_with("hint: "));
        told.for_each(|line| writeln!(said, "{line}").unwrap());
    }
    said
}

#[test]
fn of_the_command_line() {
    let space = TestSpace::with_targets(TARGETS);
    expect_file!["slips/command_line.txt"].assert_eq(&said(&space, LINES));
}

#[test]
fn of_a_missing_file() {
    let space = TestSpace::empty();
    expect![[r#"
        $ image
        error: there is no build.ron in `[PROJECT]` or above
        hint: `rondel-under-test init` writes one for a Go repository; `--file PATH` names another
        $ list
        error: there is no build.ron in `[PROJECT]` or above
        hint: `rondel-under-test init` writes one for a Go repository; `--file PATH` names another
        $ --list
        error: there is no option `--list`
        hint: `rondel-under-test list` has all targets
    "#]]
    .assert_eq(&said(&space, &["image", "list", "--list"]));
}

#[test]
fn of_build_ron() {
    let space = TestSpace::empty();
    let mut told = String::new();
    for target in WRITTEN {
        space.write("build.ron", &format!("(format: 1, project: \"x\", targets: {target})\n"));
        writeln!(told, "{target}").unwrap();
        told.push_str(&said(&space, &["list"]).replace("$ list\n", ""));
    }
    for text in [r#"(project: "x", targets: {})"#, "# a build\n(format: 1, project: \"x\", targets: {})"] {
        space.write("build.ron", text);
        writeln!(told, "{}", text.escape_debug()).unwrap();
        told.push_str(&said(&space, &["list"]).replace("$ list\n", ""));
    }
    expect_file!["slips/build_ron.txt"].assert_eq(&told);
}
