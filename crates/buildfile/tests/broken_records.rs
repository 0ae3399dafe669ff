//! Clashing outputs and mistakes in nested records, and Rondel's messages about them, word for word.

mod support;

use expect_test::expect;
use support::check;

#[test]
fn an_output_at_the_default_place_of_another_target() {
    check(
        r#"targets: {"a": GoBuild(packages: ["."]), "b": Exec(command: ["y"], outputs: ["dist/a/x"])}"#,
        expect![[r#"
            error: `b` and `a` both write `dist/a/x`
             --> build.ron:4:82
              |
            4 | Build(packages: ["."]), "b": Exec(command: ["y"], outputs: ["dist/a/x"])},
              |                                                             ^^^^^^^^^^

            hint: give one of them another output
        "#]],
    );
}

#[test]
fn out_and_outputs_start_at_the_same_directory() {
    check(
        r#"root: "sub", targets: {"a": GoBuild(packages: ["."], out: "bin"), "b": Exec(command: ["y"], outputs: ["./bin/"])}"#,
        expect![[r#"
            error: `b` and `a` both write `sub/bin`
             --> build.ron:4:107
              |
            4 | es: ["."], out: "bin"), "b": Exec(command: ["y"], outputs: ["./bin/"])},
              |                                                             ^^^^^^^^

            hint: give one of them another output
        "#]],
    );
}

#[test]
fn below_root_is_not_beside_the_file() {
    check(
        r#"root: "sub", targets: {"a": GoBuild(packages: ["."]), "b": Exec(command: ["y"], outputs: ["dist/a"])}"#,
        expect![[r#"
            no mistakes
        "#]],
    );
}

#[test]
fn several_words_for_a_shell() {
    check(
        r#"targets: {"a": Shell("one", "two")}"#,
        expect![[r#"
            error: expected one value for `script`, or named fields, found `("one", "two")`
             --> build.ron:4:25
              |
            4 |     targets: {"a": Shell("one", "two")},
              |                         ^^^^^^^^^^^^^^
        "#]],
    );
}

#[test]
fn mistakes_of_a_nested_record() {
    check(
        r#"targets: {"a": Image(base: Static, health: Http(port: 0, pth: "/", path: "x", timeout_s: 0))}"#,
        expect![[r#"
            error: expected a port between 1 and 65535, found `0`
             --> build.ron:4:59
              |
            4 |     targets: {"a": Image(base: Static, health: Http(port: 0, pth: "/", path: "x", timeout_s: 0))},
              |                                                           ^
            error: unknown field `pth` in `Http`
             --> build.ron:4:62
              |
            4 |    targets: {"a": Image(base: Static, health: Http(port: 0, pth: "/", path: "x", timeout_s: 0))},
              |                                                             ^^^

            hint: did you mean `path`?
            error: expected a path that begins with `/`, found `"x"`
             --> build.ron:4:78
              |
            4 | : Image(base: Static, health: Http(port: 0, pth: "/", path: "x", timeout_s: 0))},
              |                                                             ^^^
            error: expected between 1 and 86400 seconds
             --> build.ron:4:94
              |
            4 | atic, health: Http(port: 0, pth: "/", path: "x", timeout_s: 0))},
              |                                                             ^
        "#]],
    );
}

#[test]
fn common_fields_of_a_group() {
    check(
        r#"targets: {"a": Group(targets: [], retries: 2)}"#,
        expect![[r#"
            error: unknown field `retries` in `Group`
             --> build.ron:4:39
              |
            4 |     targets: {"a": Group(targets: [], retries: 2)},
              |                                       ^^^^^^^

            hint: `Group` has: doc, after, private, group, aliases, params, requires, platforms_of_host, preconditions, confirm, targets, parallel
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

/// Places that no output may have, whatever stands there.
#[test]
fn outputs_in_reserved_places() {
    let message = |fields: &str| {
        let text = format!("(format: 1, project: \"p\", {fields})");
        let diagnostics = rondel_buildfile::BuildFile::parse(&text, "0.1.0").expect_err(fields);
        diagnostics.first().map(|diagnostic| diagnostic.message.clone()).unwrap_or_default()
    };
    let exec = |output: &str| {
        message(&format!("targets: {{\"x\": Exec(command: [\"y\"], inputs: [\"in\"], outputs: [\"{output}\"])}}"))
    };
    assert_eq!(exec(".git/"), "`x` can't write `.git`: that is git's own");
    for (output, what) in [
        (".GIT/hooks/pre-commit", "git's own"),
        ("sub/.git/config", "git's own"),
        (".rondel/x", "Rondel keeps its state"),
        (".", "the directory of the project"),
        ("build.ron", "what is built"),
        ("./a/../build.lock", "what is built"),
    ] {
        assert!(exec(output).contains(what), "{output}: {}", exec(output));
    }
    let out =
        |out: &str| message(&format!("root: \"sub\", targets: {{\"x\": GoBuild(packages: [\".\"], out: \"{out}\")}}"));
    assert!(out("./").contains("the directory of the project"));
    assert!(out(".git").contains("git's own"));
}
