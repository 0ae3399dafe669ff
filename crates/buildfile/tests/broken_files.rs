//! Broken files and Rondel's messages about them, word for word.
//!
//! One helper and one call site a case: to change a message, change it and run with `UPDATE_EXPECT=1`.

mod support;

use expect_test::expect;
use rondel_buildfile::BuildFile;
use support::{check, messages};

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

            hint: write a list: `["./x"]`
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
            error: expected a `GoBuild`, or an `Exec` or `Shell` with inputs and outputs, found `deps` (`GoModDownload`)
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
            error: expected an `Image` or `DockerBuild` target, found `server` (`GoBuild`)
             --> build.ron:4:75
              |
            4 | "server": GoBuild(packages: ["."]), "run": DockerRun(image: "server")},
              |                                                             ^^^^^^^^
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
    "#]]
    .assert_eq(&messages(""));
}

#[test]
fn no_format() {
    expect![[r#"
        error: `build.ron` needs the field `format`
         --> build.ron:1:1
          |
        1 | (project: "p", targets: {})
          | ^^^^^^^^^^^^^^^^^^^^^^^^^^^

        hint: write `format: 1`
    "#]]
    .assert_eq(&messages("(project: \"p\", targets: {})"));
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
    "#]]
    .assert_eq(&messages("(format: 2, project: \"p\", targets: {})"));
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
    "#]]
    .assert_eq(&messages("(format: 1, rondel: \">=99.1\", project: \"p\", targets: {})"));
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
    "#]]
    .assert_eq(&messages("\u{feff}(format: 1)"));
}

#[test]
fn text_that_shows_other_than_it_says() {
    expect![[r#"
        error: a mark that reorders text (U+202E)
         --> build.ron:1:24
          |
        1 | (format: 1, project: "p�", targets: {})
          |                        ^

        hint: remove it: such marks make a file look different from its contents
    "#]]
    .assert_eq(&messages("(format: 1, project: \"p\u{202e}\", targets: {})"));
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
    "#]]
    .assert_eq(&messages("(format: 1, project: \"p\u{1b}[2J\", targets: {})"));
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
    "#]]
    .assert_eq(&messages("(format: 1, project: \"p\", go: Version(\"../../x\"), targets: {})"));
}

#[test]
fn every_mistake_of_every_target_in_one_run() {
    let fields = r#"targets: {
        "one": GoBuild(package: ["."], tags: 1),
        "two": Imag(),
        "three": Exec(command: [], env: {"1": "x"}),
    }"#;
    check(
        fields,
        expect![[r#"
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
    "#]],
    );
}

#[test]
fn attacks_get_an_error_and_not_a_crash() {
    for text in [
        "[".repeat(200_000),
        "(".repeat(200_000),
        format!("(a: {})", "{\"x\":".repeat(100_000)),
        "\"".repeat(99_999),
        "/*".repeat(50_000),
        "r#".repeat(100_000),
    ] {
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
    assert_eq!(file.targets.len(), 38);
    assert_eq!(file.targets[0].name.value.as_str(), "deps");
}
