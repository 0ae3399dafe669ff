//! Slips: what people write who come from make, just, task, docker or another language, and the hint that each gets.

use std::fmt::Write;

use expect_test::{Expect, expect};

use crate::space::TestSpace;

const TARGETS: &str = r#"
    "image": Image(base: Static, files: {"/server": Output("server")}, entrypoint: ["/server"]),
    "server": GoBuild(packages: ["./cmd/small"]),
    "stack": ComposeUp(file: "compose.yaml"),
    "tests": GoTest(packages: ["./..."]),"#;

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
    let lines = [
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
    let expected: Expect = expect![[r#"
        $ --dry-run image
        error: a build has no option `--dry-run`
        hint: `rondel-under-test plan TARGET` says what would run, and runs nothing
        $ -n image
        error: there is no option `-n`
        hint: `rondel-under-test plan TARGET` says what would run, and runs nothing
        $ -l
        error: there is no option `-l`
        hint: `rondel-under-test list` has all targets
        $ --list
        error: there is no option `--list`
        hint: `rondel-under-test list` has all targets
        $ build image
        error: there is no target `build`
        hint: targets need no word before them: `rondel-under-test image`
        $ run image server
        error: there is no target `run`
        hint: targets need no word before them: `rondel-under-test image server`
        $ make image
        error: there is no target `make`
        hint: targets need no word before them: `rondel-under-test image`
        $ graf image
        error: there is no target `graf`
        hint: did you mean `graph`? `rondel-under-test` lists all targets
        $ compose
        error: there is no target `compose`
        hint: did you mean `stack`? `rondel-under-test` lists all targets
        $ docker
        error: there is no target `docker`
        hint: did you mean `image`? `rondel-under-test` lists all targets
        $ up
        error: there is no target `up`
        hint: did you mean `stack`? `rondel-under-test` lists all targets
        $ down
        error: there is no target `down`
        hint: no target has the kind `ComposeDown`; `rondel-under-test` lists all targets
        $ test
        error: there is no target `test`
        hint: did you mean `tests`? `rondel-under-test` lists all targets
        $ lint
        error: there is no target `lint`
        hint: no target has the kind `GoLint`, `GoVet` or `GoVulncheck`; `rondel-under-test` lists all targets
        $ clean
        error: there is no target `clean`
        hint: no target has the kind `Clean`; `rondel-under-test` lists all targets
        $ help
        error: there is no target `help`
        hint: `rondel-under-test --help` has the verbs and options
        $ version
        error: there is no target `version`
        hint: `rondel-under-test --version` says which one it is
        $ ls
        error: there is no target `ls`
        hint: `rondel-under-test list` has all targets
        $ update
        error: there is no target `update`
        hint: `rondel-under-test lock --update` raises what build.lock pins
        $ imgae
        error: there is no target `imgae`
        hint: did you mean `image`? `rondel-under-test` lists all targets
        $ image,server
        error: there is no target `image,server`
        hint: targets are words of their own: `rondel-under-test image server`
        $ image -B
        error: there is no option `-B`
        hint: `--force` runs everything, whatever is known
        $ image --no-cache
        error: there is no option `--no-cache`
        hint: `--force` runs everything, whatever is known
        $ image -k
        error: there is no option `-k`
        hint: `--keep-going` goes on with what does not need the failed step
        $ image -f other.ron
        error: there is no option `-f`
        hint: `--file PATH` names another build.ron
        $ image -C web
        error: there is no option `-C`
        hint: start it in that directory, or name a build.ron: `--file PATH`
        $ image --json
        error: there is no option `--json`
        hint: `--format json` of `list`, `why`, `show`, `graph` and `inspect`, `--events json` of builds and `plan`
        $ image --target x
        error: there is no option `--target`
        hint: targets are words of their own: `rondel-under-test image`
        $ image -D version=1
        error: there is no option `-D`
        hint: `--set NAME=VALUE` gives a variable another value
        $ list --jsn
        error: there is no option `--jsn`
        hint: `--format json` of `list`, `why`, `show`, `graph` and `inspect`, `--events json` of builds and `plan`
        $ plan --forse image
        error: there is no option `--forse`
        hint: did you mean `--force`? `rondel-under-test --help` lists all
        $ why --al image
        error: there is no option `--al`
        hint: did you mean `--all`? `rondel-under-test --help` lists all
        $ graph --alll image
        error: there is no option `--alll`
        hint: did you mean `--all`? `rondel-under-test --help` lists all
        $ cache clen
        error: `cache` takes `stats`, `gc`, `verify`, `audit` or `clean`, not `clen`
        hint: did you mean `clean`? `rondel-under-test cache --help` says what they do
        $ completions basch
        error: `completions` takes bash, zsh or fish, not `basch`
        hint: did you mean `bash`?
    "#]];
    expected.assert_eq(&said(&space, &lines));
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
    let targets = [
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
    for target in targets {
        space.write("build.ron", &format!("(format: 1, project: \"x\", targets: {target})\n"));
        writeln!(told, "{target}").unwrap();
        told.push_str(&said(&space, &["list"]).replace("$ list\n", ""));
    }
    for text in [r#"(project: "x", targets: {})"#, "# a build\n(format: 1, project: \"x\", targets: {})"] {
        space.write("build.ron", text);
        writeln!(told, "{}", text.escape_debug()).unwrap();
        told.push_str(&said(&space, &["list"]).replace("$ list\n", ""));
    }
    expect![[r#"
        ("vet": Shell("true"))
        error: expected `,`
        hint: a map is written in braces: `{"name": value}`
        ["vet"]
        error: expected a map of targets, found `["vet"]`
        hint: a map is written in braces: `{"name": value}`
        {"vet": Exec("go vet ./...")}
        error: `Exec` has fields with names
        hint: write `Exec(command: ["go", "vet", "./..."])`, or a line of shell: `Shell("go vet ./...")`
        {"vet": Exec(["go", "vet"])}
        error: `Exec` has fields with names
        hint: write `Exec(command: ["go", "vet"])`
        {"a": Shell("true"), "all": Group([a])}
        error: expected the name of a target, found `a`
        hint: texts have double quotes: `"a"`
        {"a": Shell("true"), "all": Group["a"]}
        error: expected `,`
        hint: what belongs to a name is in parentheses: `Name([…])`
        {"all": Group("a")}
        error: expected a list of target names, found `"a"`
        hint: write a list: `["a"]`
        {"a": Shell("true", env: ("A": "b"))}
        error: expected `,`
        hint: a map is written in braces: `{"name": value}`
        {"a": Shell("true", inputs: "src/**")}
        error: expected a list of globs, outputs or sets, found `"src/**"`
        hint: write a list: `["src/**"]`
        {a: Shell("true")}
        error: expected a string as key, found `a`
        hint: texts have double quotes: `"a"`
        {"a": Shell('true')}
        error: expected char (expected fields in parentheses, `(name: value, …)`)
        {"a" = Shell("true")}
        error: expected `:`
        hint: between a name and its value is a colon: `name: value`
        {"a": Shell("true"),,}
        error: unexpected char ',' (expected fields in parentheses, `(name: value, …)`)
        hint: remove one of the two commas
        {"s": GoBuild("./cmd/s")}
        error: `GoBuild` has fields with names
        hint: write `GoBuild(packages: ["./cmd/s"])`
        {"s": GoBuild(packages: "./cmd/s")}
        error: expected a list of texts, found `"./cmd/s"`
        hint: write a list: `["./cmd/s"]`
        {"s": GoBuild(package: ["./cmd/s"])}
        error: `GoBuild` needs the field `packages`
        error: unknown field `package` in `GoBuild`
        hint: did you mean `packages`?
        {"s": Gobuild(packages: ["./cmd/s"])}
        error: `Gobuild` is not a kind of target
        hint: did you mean `GoBuild`?
        {"i": Image(base: "alpine:3.19")}
        error: expected `Static`, `From("alpine:3.19")`, `From(Output("target"))` or `Layout("path")`, found `"alpine:3.19"`
        hint: write `From("alpine:3.19")`
        {"i": Image(base: From(alpine))}
        error: expected an image, "alpine:3.19" for example, found `alpine`
        hint: texts have double quotes: `"alpine"`
        {"i": Image(base: Static, files: {"/etc/x": "x"})}
        error: expected `Output("target")`, `File("path")`, `Link("/target")` or `Directory(mode: 0o750)`, found `"x"`
        hint: for a file of the tree write `File("x")`
        (project: \"x\", targets: {})
        error: `build.ron` needs the field `format`
        hint: write `format: 1`
        # a build\n(format: 1, project: \"x\", targets: {})
        error: expected an `#![enable(...)]` attribute (expected fields in parentheses, `(name: value, …)`)
        hint: a comment begins with `//`
    "#]].assert_eq(&told);
}
