//! Broken files and what Rondel says of them, word for word.
//!
//! One helper and one call site a case: to change a message, change it and run with `UPDATE_EXPECT=1`.

use expect_test::{Expect, expect};
use rondel_buildfile::{BuildFile, render};

/// Every diagnostic of `text`, as a person sees it.
fn messages(text: &str) -> String {
    match BuildFile::parse(text, "0.1.0") {
        Ok(_) => "no mistakes\n".to_owned(),
        Err(diagnostics) => diagnostics.iter().map(|diagnostic| render("build.ron", text, diagnostic)).collect(),
    }
}

/// `fields` stands after a sound head, on a line of its own.
fn check(fields: &str, expected: Expect) {
    expected.assert_eq(&messages(&format!("(\n    format: 1,\n    project: \"p\",\n    {fields},\n)\n")));
}

#[test]
fn unknown_field() {
    check(
        r#"targets: {"server": GoBuild(packages: ["./x"], ldflag: ["-s"])}"#,
        expect![[r#"
            error: unknown field `ldflag` in `GoBuild`
             --> build.ron:4:52
              |
            4 |     targets: {"server": GoBuild(packages: ["./x"], ldflag: ["-s"])},
              |                                                    ^^^^^^

            hint: did you mean `ldflags`?
        "#]],
    );
}

#[test]
fn unknown_kind() {
    check(
        r#"targets: {"server": GoBulid(packages: ["./x"])}"#,
        expect![[r#"
            error: `GoBulid` is not a kind of target
             --> build.ron:4:25
              |
            4 |     targets: {"server": GoBulid(packages: ["./x"])},
              |                         ^^^^^^^

            hint: did you mean `GoBuild`?
        "#]],
    );
}

#[test]
fn unknown_top_level_field() {
    check(
        r#"target: {}, targets: {}"#,
        expect![[r#"
            error: unknown field `target` in `build.ron`
             --> build.ron:4:5
              |
            4 |     target: {}, targets: {},
              |     ^^^^^^

            hint: did you mean `targets`?
        "#]],
    );
}

#[test]
fn missing_packages() {
    check(
        r#"targets: {"server": GoBuild(tags: ["x"])}"#,
        expect![[r#"
            error: `GoBuild` needs the field `packages`
             --> build.ron:4:25
              |
            4 |     targets: {"server": GoBuild(tags: ["x"])},
              |                         ^^^^^^^
        "#]],
    );
}

#[test]
fn empty_packages() {
    check(
        r#"targets: {"server": GoBuild(packages: [])}"#,
        expect![[r#"
            error: `packages` is empty
             --> build.ron:4:43
              |
            4 |     targets: {"server": GoBuild(packages: [])},
              |                                           ^^
        "#]],
    );
}

#[test]
fn wrong_type() {
    check(
        r#"targets: {"server": GoBuild(packages: "./x")}"#,
        expect![[r#"
            error: expected a list of texts, found `"./x"`
             --> build.ron:4:43
              |
            4 |     targets: {"server": GoBuild(packages: "./x")},
              |                                           ^^^^^
        "#]],
    );
}

#[test]
fn wrong_element() {
    check(
        r#"targets: {"server": GoBuild(packages: [1])}"#,
        expect![[r#"
            error: expected a string, `Env("NAME")` or `Git(…)`, found `1`
             --> build.ron:4:44
              |
            4 |     targets: {"server": GoBuild(packages: [1])},
              |                                            ^
        "#]],
    );
}

#[test]
fn not_a_boolean() {
    check(
        r#"targets: {"test": GoTest(packages: ["./..."], race: yes)}"#,
        expect![[r#"
            error: expected `true` or `false`, found `yes`
             --> build.ron:4:57
              |
            4 |     targets: {"test": GoTest(packages: ["./..."], race: yes)},
              |                                                         ^^^
        "#]],
    );
}

#[test]
fn unknown_target() {
    check(
        r#"targets: {"image": Image(base: Static, files: {"/app": Output("sevrer")}), "server": GoBuild(packages: ["."])}"#,
        expect![[r#"
            error: there is no target `sevrer`
             --> build.ron:4:60
              |
            4 |     targets: {"image": Image(base: Static, files: {"/app": Output("sevrer")}), "server": GoBuild(packages: ["."])},
              |                                                            ^^^^^^^^^^^^^^^^

            hint: did you mean `server`?
        "#]],
    );
}

#[test]
fn output_of_the_wrong_kind() {
    check(
        r#"targets: {"deps": GoModDownload(), "image": Image(base: Static, files: {"/app": Output("deps")})}"#,
        expect![[r#"
            error: `deps` is a `GoModDownload`; needed is a `GoBuild`, or an `Exec` with inputs and exactly one output
             --> build.ron:4:85
              |
            4 | ModDownload(), "image": Image(base: Static, files: {"/app": Output("deps")})},
              |                                                             ^^^^^^^^^^^^^^
        "#]],
    );
}

#[test]
fn run_of_something_that_is_no_image() {
    check(
        r#"targets: {"server": GoBuild(packages: ["."]), "run": DockerRun(image: "server")}"#,
        expect![[r#"
            error: `server` is a `GoBuild`; needed is a `Image` or `DockerBuild`
             --> build.ron:4:75
              |
            4 | "server": GoBuild(packages: ["."]), "run": DockerRun(image: "server")},
              |                                                             ^^^^^^^^
        "#]],
    );
}

#[test]
fn unknown_variable() {
    check(
        r#"vars: {"version": "1"}, targets: {"server": GoBuild(packages: ["."], stamp: {"main.v": "{verison}"})}"#,
        expect![[r#"
            error: there is no variable `verison`
             --> build.ron:4:92
              |
            4 | gets: {"server": GoBuild(packages: ["."], stamp: {"main.v": "{verison}"})},
              |                                                             ^^^^^^^^^^^

            hint: did you mean `{version}`?
        "#]],
    );
}

#[test]
fn bad_template() {
    check(
        r#"targets: {"server": GoBuild(packages: ["."], stamp: {"main.v": "{version"})}"#,
        expect![[r#"
            error: a `{` without its `}`; write `{{` for a brace
             --> build.ron:4:68
              |
            4 | gets: {"server": GoBuild(packages: ["."], stamp: {"main.v": "{version"})},
              |                                                             ^^^^^^^^^^
        "#]],
    );
}

#[test]
fn duplicate_target() {
    check(
        r#"targets: {"a": GoModDownload(), "a": GoBuild(packages: ["."])}"#,
        expect![[r#"
            error: target `a` is given twice
             --> build.ron:4:37
              |
            4 |     targets: {"a": GoModDownload(), "a": GoBuild(packages: ["."])},
              |                                     ^^^

            hint: remove one of the two
        "#]],
    );
}

#[test]
fn duplicate_field() {
    check(
        r#"targets: {"a": GoBuild(packages: ["."], packages: ["./x"])}"#,
        expect![[r#"
            error: field `packages` is given twice
             --> build.ron:4:45
              |
            4 |     targets: {"a": GoBuild(packages: ["."], packages: ["./x"])},
              |                                             ^^^^^^^^

            hint: remove one of the two
        "#]],
    );
}

#[test]
fn duplicate_key() {
    check(
        r#"targets: {"a": GoBuild(packages: ["."], stamp: {"main.a": "1", "main.a": "2"})}"#,
        expect![[r#"
            error: key `main.a` is given twice
             --> build.ron:4:68
              |
            4 | gets: {"a": GoBuild(packages: ["."], stamp: {"main.a": "1", "main.a": "2"})},
              |                                                             ^^^^^^^^

            hint: remove one of the two
        "#]],
    );
}

#[test]
fn cycle() {
    check(
        r#"targets: {"a": Group(targets: ["b"]), "b": Exec(command: ["true"], after: ["c"]), "c": Group(targets: ["a"])}"#,
        expect![[r#"
            error: targets wait for each other: `a` -> `b` -> `c` -> `a`
             --> build.ron:4:15
              |
            4 |     targets: {"a": Group(targets: ["b"]), "b": Exec(command: ["true"], after: ["c"]), "c": Group(targets: ["a"])},
              |               ^^^
        "#]],
    );
}

#[test]
fn variable_cycle() {
    check(
        r#"vars: {"a": "{b}", "b": "{a}"}, targets: {}"#,
        expect![[r#"
            error: the variable `a` is made from itself
             --> build.ron:4:12
              |
            4 |     vars: {"a": "{b}", "b": "{a}"}, targets: {},
              |            ^^^
        "#]],
    );
}

#[test]
fn two_targets_with_one_output() {
    check(
        r#"targets: {"a": Exec(command: ["x"], outputs: ["gen/x"]), "b": Exec(command: ["y"], outputs: ["gen"])}"#,
        expect![[r#"
            error: `b` and `a` both write `gen/x`
             --> build.ron:4:98
              |
            4 | ], outputs: ["gen/x"]), "b": Exec(command: ["y"], outputs: ["gen"])},
              |                                                             ^^^^^

            hint: give one of them another output
        "#]],
    );
}

#[test]
fn path_leaves_the_root() {
    check(
        r#"targets: {"a": Exec(command: ["x"], outputs: ["../x"])}"#,
        expect![[r#"
            error: `../x` leaves the root
             --> build.ron:4:51
              |
            4 |     targets: {"a": Exec(command: ["x"], outputs: ["../x"])},
              |                                                   ^^^^^^

            hint: paths are relative to `root`
        "#]],
    );
}

#[test]
fn absolute_input_file() {
    check(
        r#"targets: {"a": Image(base: Static, files: {"/etc/x": File("/etc/passwd")})}"#,
        expect![[r#"
            error: `/etc/passwd` leaves the root
             --> build.ron:4:58
              |
            4 |     targets: {"a": Image(base: Static, files: {"/etc/x": File("/etc/passwd")})},
              |                                                          ^^^^^^^^^^^^^^^^^^^

            hint: paths are relative to `root`
        "#]],
    );
}

#[test]
fn relative_image_path() {
    check(
        r#"targets: {"a": Image(base: Static, files: {"etc/x": File("x")})}"#,
        expect![[r#"
            error: `etc/x` is not an absolute path of a file
             --> build.ron:4:48
              |
            4 |     targets: {"a": Image(base: Static, files: {"etc/x": File("x")})},
              |                                                ^^^^^^^

            hint: write "/app/name"
        "#]],
    );
}

#[test]
fn secret_in_a_build_argument() {
    check(
        r#"targets: {"a": DockerBuild(build_args: {"TOKEN": Secret("TOKEN")})}"#,
        expect![[r#"
            error: a secret can't go here: it would reach a command line, a key or an image
             --> build.ron:4:54
              |
            4 |     targets: {"a": DockerBuild(build_args: {"TOKEN": Secret("TOKEN")})},
              |                                                      ^^^^^^^^^^^^^^^

            hint: a `Secret` goes into the `env` of `DockerRun`, `GoTest`, `Exec`, `Shell` or `Compose…` only
        "#]],
    );
}

#[test]
fn secret_in_a_command() {
    check(
        r#"targets: {"a": Exec(command: ["curl", Secret("TOKEN")])}"#,
        expect![[r#"
            error: a secret can't go here: it would reach a command line, a key or an image
             --> build.ron:4:43
              |
            4 |     targets: {"a": Exec(command: ["curl", Secret("TOKEN")])},
              |                                           ^^^^^^^^^^^^^^^

            hint: a `Secret` goes into the `env` of `DockerRun`, `GoTest`, `Exec`, `Shell` or `Compose…` only
        "#]],
    );
}

#[test]
fn secret_as_variable() {
    check(
        r#"vars: {"token": Secret("TOKEN")}, targets: {}"#,
        expect![[r#"
            error: a secret can't go here: it would reach a command line, a key or an image
             --> build.ron:4:21
              |
            4 |     vars: {"token": Secret("TOKEN")}, targets: {},
              |                     ^^^^^^^^^^^^^^^

            hint: a `Secret` goes into the `env` of `DockerRun`, `GoTest`, `Exec`, `Shell` or `Compose…` only
        "#]],
    );
}

#[test]
fn unknown_platform() {
    check(
        r#"platforms: ["linux/adm64"], targets: {}"#,
        expect![[r#"
            error: `linux/adm64` is not a platform that Go knows
             --> build.ron:4:17
              |
            4 |     platforms: ["linux/adm64"], targets: {},
              |                 ^^^^^^^^^^^^^

            hint: did you mean `linux/amd64`?
        "#]],
    );
}

#[test]
fn image_for_another_system() {
    check(
        r#"platforms: ["linux/amd64", "darwin/arm64"], targets: {"a": Image(base: Static)}"#,
        expect![[r#"
            error: an image can't be made for `darwin/arm64`: images are for Linux
             --> build.ron:4:32
              |
            4 |     platforms: ["linux/amd64", "darwin/arm64"], targets: {"a": Image(base: Static)},
              |                                ^^^^^^^^^^^^^^

            hint: give the `Image` its own `platforms`
        "#]],
    );
}

#[test]
fn bad_port() {
    check(
        r#"targets: {"a": Image(base: Static, ports: ["http"])}"#,
        expect![[r#"
            error: `http` is not a port
             --> build.ron:4:48
              |
            4 |     targets: {"a": Image(base: Static, ports: ["http"])},
              |                                                ^^^^^^

            hint: write "8080/tcp"
        "#]],
    );
}

#[test]
fn bad_health() {
    check(
        r#"targets: {"a": Image(base: Static, health: Http(port: 99999, path: "/"))}"#,
        expect![[r#"
            error: expected a port between 1 and 65535, found `99999`
             --> build.ron:4:59
              |
            4 |     targets: {"a": Image(base: Static, health: Http(port: 99999, path: "/"))},
              |                                                           ^^^^^
        "#]],
    );
}

#[test]
fn base_that_is_not_there_yet() {
    check(
        r#"targets: {"a": Image(base: From("alpine:3.19"))}"#,
        expect![[r#"
            error: `From` can't be a base yet: `Static` is the only one
             --> build.ron:4:32
              |
            4 |     targets: {"a": Image(base: From("alpine:3.19"))},
              |                                ^^^^^^^^^^^^^^^^^^^

            hint: for an image on top of another one, use a `DockerBuild` target
        "#]],
    );
}

#[test]
fn bad_git_query() {
    check(
        r#"vars: {"v": Git(Descibe)}, targets: {}"#,
        expect![[r#"
            error: expected one of Describe, Commit, ShortCommit, CommitTime, CommitTimestamp, Branch, found `Descibe`
             --> build.ron:4:21
              |
            4 |     vars: {"v": Git(Descibe)}, targets: {},
              |                     ^^^^^^^

            hint: did you mean `Describe`?
        "#]],
    );
}

#[test]
fn bad_target_name() {
    check(
        r#"targets: {"-x": GoModDownload()}"#,
        expect![[r#"
            error: `-x` can't be a target's name: letters, digits, `-`, `_`, `.` and `/`, a letter or digit first
             --> build.ron:4:15
              |
            4 |     targets: {"-x": GoModDownload()},
              |               ^^^^
        "#]],
    );
}

#[test]
fn bad_variable_name() {
    check(
        r#"targets: {"a": Exec(command: ["x"], env: {"A-B": "1"})}"#,
        expect![[r#"
            error: `A-B` can't be the name of an environment variable
             --> build.ron:4:47
              |
            4 |     targets: {"a": Exec(command: ["x"], env: {"A-B": "1"})},
              |                                               ^^^^^
        "#]],
    );
}

#[test]
fn missing_comma() {
    check(
        r#"targets: {"a": GoModDownload() "b": GoModDownload()}"#,
        expect![[r#"
            error: expected `,`
             --> build.ron:4:36
              |
            4 |     targets: {"a": GoModDownload() "b": GoModDownload()},
              |                                    ^
        "#]],
    );
}

#[test]
fn unclosed() {
    check(
        r#"targets: {"a": GoModDownload("#,
        expect![[r#"
            error: unexpected char ',' (expected fields in parentheses, `(name: value, …)`)
             --> build.ron:4:34
              |
            4 |     targets: {"a": GoModDownload(,
              |                                  ^
        "#]],
    );
}

#[test]
fn not_a_target() {
    check(
        r#"targets: {"a": ["./x"]}"#,
        expect![[r#"
            error: expected a kind of target, `GoBuild(…)` for example, found `["./x"]`
             --> build.ron:4:20
              |
            4 |     targets: {"a": ["./x"]},
              |                    ^^^^^^^
        "#]],
    );
}

#[test]
fn empty_file() {
    expect![[r#"
        error: expected opening `(` (expected fields in parentheses, `(name: value, …)`)
         --> build.ron:1:1
          |
        1 | 
          | ^
    "#]].assert_eq(&messages(""));
}

#[test]
fn no_format() {
    expect![[r#"
        error: `build.ron` needs the field `format`
         --> build.ron:1:1
          |
        1 | (project: "p", targets: {})
          | ^^^^^^^^^^^^^^^^^^^^^^^^^^^
    "#]].assert_eq(&messages("(project: \"p\", targets: {})"));
}

#[test]
fn newer_format() {
    expect![[r#"
        error: format 2 is not known; this Rondel reads format 1
         --> build.ron:1:10
          |
        1 | (format: 2, project: "p", targets: {})
          |          ^

        hint: update Rondel, or write `format: 1`
    "#]].assert_eq(&messages("(format: 2, project: \"p\", targets: {})"));
}

#[test]
fn newer_rondel() {
    expect![[r#"
        error: this file needs Rondel >=99.1; this is 0.1.0
         --> build.ron:1:21
          |
        1 | (format: 1, rondel: ">=99.1", project: "p", targets: {})
          |                     ^^^^^^^^

        hint: update Rondel
    "#]].assert_eq(&messages("(format: 1, rondel: \">=99.1\", project: \"p\", targets: {})"));
}

#[test]
fn byte_order_mark() {
    expect![[r#"
        error: the file begins with a byte order mark
         --> build.ron:1:1
          |
        1 | ﻿(format: 1)
          | ^

        hint: save it as UTF-8 without BOM
    "#]].assert_eq(&messages("\u{feff}(format: 1)"));
}

#[test]
fn text_that_shows_other_than_it_says() {
    expect![[r#"
        error: a mark that reorders text (U+202E)
         --> build.ron:1:24
          |
        1 | (format: 1, project: "p�", targets: {})
          |                        ^

        hint: such marks let a file show other than what it says; remove it
    "#]].assert_eq(&messages("(format: 1, project: \"p\u{202e}\", targets: {})"));
}

#[test]
fn control_character() {
    expect![[r#"
        error: a control character (U+001B)
         --> build.ron:1:24
          |
        1 | (format: 1, project: "p�[2J", targets: {})
          |                        ^

        hint: remove it, or write it as an escape in a string
    "#]].assert_eq(&messages("(format: 1, project: \"p\u{1b}[2J\", targets: {})"));
}

#[test]
fn bad_go_version() {
    expect![[r#"
        error: `../../x` is not a Go version
         --> build.ron:1:39
          |
        1 | (format: 1, project: "p", go: Version("../../x"), targets: {})
          |                                       ^^^^^^^^^

        hint: write it as Go does, without `go`: 1.22.12
    "#]].assert_eq(&messages("(format: 1, project: \"p\", go: Version(\"../../x\"), targets: {})"));
}

#[test]
fn every_mistake_of_every_target_in_one_run() {
    let fields = r#"targets: {
        "one": GoBuild(package: ["."], tags: 1),
        "two": Imag(),
        "three": Exec(command: [], env: {"1": "x"}),
    }"#;
    check(fields, expect![[r#"
        error: `GoBuild` needs the field `packages`
         --> build.ron:5:16
          |
        5 |         "one": GoBuild(package: ["."], tags: 1),
          |                ^^^^^^^
        error: unknown field `package` in `GoBuild`
         --> build.ron:5:24
          |
        5 |         "one": GoBuild(package: ["."], tags: 1),
          |                        ^^^^^^^

        hint: did you mean `packages`?
        error: expected a list of texts, found `1`
         --> build.ron:5:46
          |
        5 |         "one": GoBuild(package: ["."], tags: 1),
          |                                              ^
        error: `Imag` is not a kind of target
         --> build.ron:6:16
          |
        6 |         "two": Imag(),
          |                ^^^^

        hint: did you mean `Image`?
        error: `command` is empty
         --> build.ron:7:32
          |
        7 |         "three": Exec(command: [], env: {"1": "x"}),
          |                                ^^
        error: `1` can't be the name of an environment variable
         --> build.ron:7:42
          |
        7 |         "three": Exec(command: [], env: {"1": "x"}),
          |                                          ^^^
    "#]]);
}

#[test]
fn attacks_get_an_error_and_not_a_crash() {
    for text in ["[".repeat(200_000), "(".repeat(200_000), format!("(a: {})", "{\"x\":".repeat(100_000)), "\"".repeat(99_999), "/*".repeat(50_000), "r#".repeat(100_000)] {
        assert!(BuildFile::parse(&text, "0.1.0").is_err());
    }
    let long = format!("(format: 1, project: \"p\", targets: {{}}) // {}", "x".repeat(2_000_000));
    assert!(messages(&long).contains("at most 1048576 are read"));
}

/// Any prefix, and any single changed byte, of a good file is read or refused, never a panic.
#[test]
fn damaged_files_never_panic() {
    let good = include_str!("../../../build.ron");
    assert!(BuildFile::parse(good, "0.1.0").is_ok());
    for end in (0..good.len()).filter(|end| good.is_char_boundary(*end)) {
        let _ = messages(&good[..end]);
    }
    for index in (0..good.len()).step_by(7) {
        for byte in [b'"', b'(', b'}', b'\\', b'0', b'/'] {
            let mut bytes = good.as_bytes().to_vec();
            bytes[index] = byte;
            if let Ok(text) = std::str::from_utf8(&bytes) {
                let _ = messages(text);
            }
        }
    }
}

/// The example of the guide: every kind and every way of writing a value.
#[test]
fn a_file_that_uses_everything() {
    let text = include_str!("everything.ron");
    let file = BuildFile::parse(text, "0.1.0").map_err(|_| messages(text)).unwrap();
    assert_eq!(file.targets.len(), 12);
    assert_eq!(file.targets[0].name.value.as_str(), "deps");
}
