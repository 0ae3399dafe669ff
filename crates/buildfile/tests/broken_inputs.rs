//! Broken inputs of commands and outputs in them, and Rondel's messages about them, word for word.

mod support;

use expect_test::expect;
use support::check;

#[test]
fn inputs_outside_of_the_root() {
    check(
        r#"targets: {"a": Exec(command: ["x"], inputs: ["../x/**", "/etc/passwd", "", "a/../b", "!../y", "**"])}"#,
        expect![[r#"
            error: `../x/**` leaves the root
             --> build.ron:4:50
              |
            4 |     targets: {"a": Exec(command: ["x"], inputs: ["../x/**", "/etc/passwd", "", "a/../b", "!../y", "**"])},
              |                                                  ^^^^^^^^^

            hint: paths are relative to `root`
            error: `/etc/passwd` leaves the root
             --> build.ron:4:61
              |
            4 |     targets: {"a": Exec(command: ["x"], inputs: ["../x/**", "/etc/passwd", "", "a/../b", "!../y", "**"])},
              |                                                             ^^^^^^^^^^^^^

            hint: paths are relative to `root`
            error: the path is empty
             --> build.ron:4:76
              |
            4 | a": Exec(command: ["x"], inputs: ["../x/**", "/etc/passwd", "", "a/../b", "!../y", "**"])},
              |                                                             ^^
            error: `a/../b` holds `..`, which no glob matches
             --> build.ron:4:80
              |
            4 | Exec(command: ["x"], inputs: ["../x/**", "/etc/passwd", "", "a/../b", "!../y", "**"])},
              |                                                             ^^^^^^^^

            hint: write the path without it
        "#]],
    );
}

#[test]
fn an_input_that_is_neither() {
    check(
        r#"targets: {"a": Exec(command: ["x"], inputs: [File("x"), 7, Output])}"#,
        expect![[r#"
            error: expected a glob, `Output("target")` or `Set("name")`, found `File("x")`
             --> build.ron:4:50
              |
            4 |     targets: {"a": Exec(command: ["x"], inputs: [File("x"), 7, Output])},
              |                                                  ^^^^^^^^^
            error: expected a glob, `Output("target")` or `Set("name")`, found `7`
             --> build.ron:4:61
              |
            4 |     targets: {"a": Exec(command: ["x"], inputs: [File("x"), 7, Output])},
              |                                                             ^
            error: expected a glob, `Output("target")` or `Set("name")`, found `Output`
             --> build.ron:4:64
              |
            4 |  targets: {"a": Exec(command: ["x"], inputs: [File("x"), 7, Output])},
              |                                                             ^^^^^^
        "#]],
    );
}

#[test]
fn outputs_of_nothing() {
    check(
        r#"targets: {"gen": Exec(command: ["x"], outputs: ["y"]), "t": GoTest(packages: ["."]), "a": Exec(command: [Output("genn"), Output("gen")], inputs: [Output("t")], env: {"X": Output("t", "x")})}"#,
        expect![[r#"
            error: there is no target `genn`
             --> build.ron:4:110
              |
            4 | : ["y"]), "t": GoTest(packages: ["."]), "a": Exec(command: [Output("genn"), Output("gen")], inputs: [Output("t")], env: {"X": Output("t", "x
              |                                                             ^^^^^^^^^^^^^^

            hint: did you mean `gen`?
            error: expected a target that makes files (`GoBuild`, `Image`, or `Exec` or `Shell` with inputs and outputs), found `gen` (`Exec`)
             --> build.ron:4:126
              |
            4 | oTest(packages: ["."]), "a": Exec(command: [Output("genn"), Output("gen")], inputs: [Output("t")], env: {"X": Output("t", "x")})},
              |                                                             ^^^^^^^^^^^^^
            error: expected a target that makes files (`GoBuild`, `Image`, or `Exec` or `Shell` with inputs and outputs), found `t` (`GoTest`)
             --> build.ron:4:151
              |
            4 | a": Exec(command: [Output("genn"), Output("gen")], inputs: [Output("t")], env: {"X": Output("t", "x")})},
              |                                                             ^^^^^^^^^^^
            error: expected a target that makes files (`GoBuild`, `Image`, or `Exec` or `Shell` with inputs and outputs), found `t` (`GoTest`)
             --> build.ron:4:176
              |
            4 | ("genn"), Output("gen")], inputs: [Output("t")], env: {"X": Output("t", "x")})},
              |                                                             ^^^^^^^^^^^^^^^^
        "#]],
    );
    check(
        r#"targets: {"gen": Exec(command: ["x"], inputs: [], outputs: ["y"]), "a": Exec(command: [Output("gen", "a", "b"), Output(), Output(gen)])}"#,
        expect![[r#"
            error: `Output` takes the name of a target, and optionally a path in its output
             --> build.ron:4:92
              |
            4 | nd: ["x"], inputs: [], outputs: ["y"]), "a": Exec(command: [Output("gen", "a", "b"), Output(), Output(gen)])},
              |                                                             ^^^^^^^^^^^^^^^^^^^^^^^
            error: `Output` takes the name of a target, and optionally a path in its output
             --> build.ron:4:117
              |
            4 | tputs: ["y"]), "a": Exec(command: [Output("gen", "a", "b"), Output(), Output(gen)])},
              |                                                             ^^^^^^^^
            error: expected the name of a target, found `gen`
             --> build.ron:4:134
              |
            4 | ": Exec(command: [Output("gen", "a", "b"), Output(), Output(gen)])},
              |                                                             ^^^

            hint: texts have double quotes: `"gen"`
        "#]],
    );
}

#[test]
fn an_output_that_is_no_text() {
    check(
        r#"targets: {"gen": Exec(command: ["x"], inputs: [], outputs: ["y"]), "a": Shell(script: Output("gen")), "r": ComposeUp(file: "x", env: {"X": Output("gen")})}"#,
        expect![[r#"
            error: expected a script, in quotes, found `Output("gen")`
             --> build.ron:4:91
              |
            4 | and: ["x"], inputs: [], outputs: ["y"]), "a": Shell(script: Output("gen")), "r": ComposeUp(file: "x", env: {"X": Output("gen")})},
              |                                                             ^^^^^^^^^^^^^
            error: an `Output` is not allowed here: it is a path of this machine, not a text
             --> build.ron:4:144
              |
            4 | cript: Output("gen")), "r": ComposeUp(file: "x", env: {"X": Output("gen")})},
              |                                                             ^^^^^^^^^^^^^

            hint: use `Output` in the `command`, `env` or `inputs` of `Exec`, `Shell` or `GoTest`
        "#]],
    );
}

#[test]
fn outputs_are_in_cycles() {
    check(
        r#"targets: {"a": Exec(command: ["x"], inputs: [Output("b")], outputs: ["a"]), "b": Shell(script: "y", inputs: [], outputs: ["b"], env: {"A": Output("a")})}"#,
        expect![[r#"
            error: targets wait for each other: `a` -> `b` -> `a`
             --> build.ron:4:15
              |
            4 |     targets: {"a": Exec(command: ["x"], inputs: [Output("b")], outputs: ["a"]), "b": Shell(script: "y", inputs: [], outputs: ["b"], env: {"A
              |               ^^^
        "#]],
    );
    check(
        r#"targets: {"a": Exec(command: ["x", Output("a")], inputs: [], outputs: ["a"])}"#,
        expect![[r#"
        error: targets wait for each other: `a` -> `a`
         --> build.ron:4:15
          |
        4 |     targets: {"a": Exec(command: ["x", Output("a")], inputs: [], outputs: ["a"])},
          |               ^^^
    "#]],
    );
}
