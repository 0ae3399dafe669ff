//! Parameters, aliases, headings and orders that are wrong, and Rondel's messages about them, word for word.

mod support;

use expect_test::expect;
use support::check;

#[test]
fn parameters_that_contradict() {
    check(
        r#"vars: {"version": "1"}, targets: {
            "a": Exec(command: ["x", "{version}"], params: {"version": Param()}),
            "b": Exec(command: ["x", "{env}"], params: {"env": Param(default: "dve", one_of: ["dev", "prod", "dev"])}),
            "c": Exec(command: ["x"], params: {"name": Param(doc: "A name")}),
        }"#,
        expect![[r#"
            error: the parameter `version` has the name of a variable
             --> build.ron:5:61
              |
            5 |             "a": Exec(command: ["x", "{version}"], params: {"version": Param()}),
              |                                                             ^^^^^^^^^

            hint: give one of them another name
            error: the default `dve` is not in `one_of`
             --> build.ron:6:79
              |
            6 | xec(command: ["x", "{env}"], params: {"env": Param(default: "dve", one_of: ["dev", "prod", "dev"])}),
              |                                                             ^^^^^

            hint: did you mean `dev`?
            error: `dev` is in `one_of` twice
             --> build.ron:6:110
              |
            6 | rams: {"env": Param(default: "dve", one_of: ["dev", "prod", "dev"])}),
              |                                                             ^^^^^

            hint: remove one of the two
            error: `c` does not use its parameter `name`
             --> build.ron:7:48
              |
            7 |             "c": Exec(command: ["x"], params: {"name": Param(doc: "A name")}),
              |                                                ^^^^^^

            hint: write `{name}` in one of its texts, or remove the parameter
        "#]],
    );
}

#[test]
fn parameters_that_can_not_be_read() {
    check(
        r#"targets: {
            "a": Exec(command: ["x"]),
            "d": Group(["a"], params: {"name": Param}),
            "e": Exec(command: ["x", "{nmae}"], params: {"name": Param()}),
            "f": Exec(command: ["x", "{a}"], params: {"a": Param(), "a": Param(), "b-c": Param(), "d": "x", "e": Param(defualt: "")}),
        }"#,
        expect![[r#"
            error: `d` does not use its parameter `name`
             --> build.ron:6:40
              |
            6 |             "d": Group(["a"], params: {"name": Param}),
              |                                        ^^^^^^

            hint: write `{name}` in one of its texts, or remove the parameter
            error: there is no variable `nmae`
             --> build.ron:7:38
              |
            7 |             "e": Exec(command: ["x", "{nmae}"], params: {"name": Param()}),
              |                                      ^^^^^^^^

            hint: did you mean `{name}`?
            error: `e` does not use its parameter `name`
             --> build.ron:7:58
              |
            7 |             "e": Exec(command: ["x", "{nmae}"], params: {"name": Param()}),
              |                                                          ^^^^^^

            hint: write `{name}` in one of its texts, or remove the parameter
            error: parameter `a` is given twice
             --> build.ron:8:69
              |
            8 |     "f": Exec(command: ["x", "{a}"], params: {"a": Param(), "a": Param(), "b-c": Param(), "d": "x", "e": Param(defualt: "")}),
              |                                                             ^^^

            hint: remove one of the two
            error: `b-c` can't be a parameter's name: letters, digits and `_`, a letter first
             --> build.ron:8:83
              |
            8 | command: ["x", "{a}"], params: {"a": Param(), "a": Param(), "b-c": Param(), "d": "x", "e": Param(defualt: "")}),
              |                                                             ^^^^^
            error: expected `Param(doc: "…")`, found `"x"`
             --> build.ron:8:104
              |
            8 | , params: {"a": Param(), "a": Param(), "b-c": Param(), "d": "x", "e": Param(defualt: "")}),
              |                                                             ^^^
            error: `f` does not use its parameter `e`
             --> build.ron:8:109
              |
            8 | ams: {"a": Param(), "a": Param(), "b-c": Param(), "d": "x", "e": Param(defualt: "")}),
              |                                                             ^^^

            hint: write `{e}` in one of its texts, or remove the parameter
            error: unknown field `defualt` in `Param`
             --> build.ron:8:120
              |
            8 | Param(), "a": Param(), "b-c": Param(), "d": "x", "e": Param(defualt: "")}),
              |                                                             ^^^^^^^

            hint: did you mean `default`?
        "#]],
    );
}

#[test]
fn parameters_in_scripts() {
    check(
        r#"targets: {
            "a": Shell("rm -r {name}", params: {"name": Param()}),
            "b": Exec(command: ["env", "/bin/bash", "-euc", "rm {name}", "{name}"], params: {"name": Param()}),
            "c": Exec(command: ["sh", "-c", "rm \"$1\"", "--", "{name}"], params: {"name": Param()}),
            "d": Shell("rm \"$NAME\"", env: {"NAME": "{name}"}, params: {"name": Param()}),
        }"#,
        expect![[r#"
            error: `{name}` in a script: its braces are the shell's, and no value is put into code
             --> build.ron:5:24
              |
            5 |             "a": Shell("rm -r {name}", params: {"name": Param()}),
              |                        ^^^^^^^^^^^^^^

            hint: declare `env: {"NAME": "{name}"}` and write `"$NAME"`; for the text itself write a space after the brace
            error: `a` does not use its parameter `name`
             --> build.ron:5:49
              |
            5 |             "a": Shell("rm -r {name}", params: {"name": Param()}),
              |                                                 ^^^^^^

            hint: write `{name}` in one of its texts, or remove the parameter
            error: the parameter `name` can't stand in a script: a value could be code
             --> build.ron:6:61
              |
            6 |             "b": Exec(command: ["env", "/bin/bash", "-euc", "rm {name}", "{name}"], params: {"name": Param()}),
              |                                                             ^^^^^^^^^^^

            hint: give it to the script with `env: {"NAME": "{name}"}`, as `"$NAME"`
        "#]],
    );
}

#[test]
fn parameters_without_a_value() {
    check(
        r#"targets: {
            "a": Exec(command: ["x", "{name}", "{env}"], params: {"env": Param(default: ""), "name": Param()}),
            "b": Exec(command: ["x"], after: ["a"]),
            "c": Group(["a"]),
            "d": Exec(command: ["x", "{env}"], params: {"env": Param(default: "")}),
            "e": Group(["d"]),
        }"#,
        expect![[r#"
            error: `a` has no value for its parameter `name` here
             --> build.ron:6:47
              |
            6 |             "b": Exec(command: ["x"], after: ["a"]),
              |                                               ^^^

            hint: where another target runs `a`, defaults count: give `name` a `default`
            error: `a` has no value for its parameter `name` here
             --> build.ron:7:25
              |
            7 |             "c": Group(["a"]),
              |                         ^^^

            hint: where another target runs `a`, defaults count: give `name` a `default`
        "#]],
    );
}

#[test]
fn aliases_that_clash() {
    check(
        r#"targets: {
            "test": Exec(command: ["x"], aliases: ["t", "t", "test", "tests"]),
            "tests": Exec(command: ["x"], aliases: ["t", "-x", "fine"]),
            "more": Exec(command: ["x"], group: " ", aliases: "m"),
        }"#,
        expect![[r#"
            error: `test` has the alias `t` twice
             --> build.ron:5:57
              |
            5 |             "test": Exec(command: ["x"], aliases: ["t", "t", "test", "tests"]),
              |                                                         ^^^

            hint: remove one of the two
            error: `test` is the name of the target already
             --> build.ron:5:62
              |
            5 |            "test": Exec(command: ["x"], aliases: ["t", "t", "test", "tests"]),
              |                                                             ^^^^^^

            hint: remove one of the two
            error: the alias `tests` is the name of another target
             --> build.ron:5:70
              |
            5 |    "test": Exec(command: ["x"], aliases: ["t", "t", "test", "tests"]),
              |                                                             ^^^^^^^

            hint: remove one of the two
            error: `test` has the alias `t` too
             --> build.ron:6:53
              |
            6 |             "tests": Exec(command: ["x"], aliases: ["t", "-x", "fine"]),
              |                                                     ^^^

            hint: remove one of the two
            error: `-x` can't be an alias: letters, digits, `-`, `_`, `.` and `/`, a letter or digit first
             --> build.ron:6:58
              |
            6 |             "tests": Exec(command: ["x"], aliases: ["t", "-x", "fine"]),
              |                                                          ^^^^
            error: a heading is one line that is not empty
             --> build.ron:7:49
              |
            7 |             "more": Exec(command: ["x"], group: " ", aliases: "m"),
              |                                                 ^^^
            error: expected a list of aliases, found `"m"`
             --> build.ron:7:63
              |
            7 |           "more": Exec(command: ["x"], group: " ", aliases: "m"),
              |                                                             ^^^

            hint: write a list: `["m"]`
        "#]],
    );
}

#[test]
fn an_alias_is_for_the_command_line_only() {
    check(
        r#"targets: {
            "test": Exec(command: ["x"], aliases: ["t"]),
            "more": Exec(command: ["x"], after: ["t"]),
        }"#,
        expect![[r#"
            error: there is no target `t`
             --> build.ron:6:50
              |
            6 |             "more": Exec(command: ["x"], after: ["t"]),
              |                                                  ^^^

            hint: it is an alias, for the command line only: write `test`
        "#]],
    );
}

#[test]
fn orders_that_are_none() {
    check(
        r#"targets: {
            "a": Exec(command: ["x"], after: ["b"]),
            "b": Exec(command: ["x"]),
            "c": Group(["a", "b"], parallel: false),
            "d": Group(["b", "a", "b"], parallel: false),
            "e": Group(["a", "b"]),
        }"#,
        expect![[r#"
            error: `a` waits for `b`, which this group puts after it
             --> build.ron:7:30
              |
            7 |             "c": Group(["a", "b"], parallel: false),
              |                              ^^^

            hint: put `b` first, or leave out `parallel: false`
            error: `b` is a member twice
             --> build.ron:8:35
              |
            8 |             "d": Group(["b", "a", "b"], parallel: false),
              |                                   ^^^

            hint: remove one of the two
        "#]],
    );
}

#[test]
fn groups_that_can_not_be_read() {
    check(
        r#"targets: {
            "b": Exec(command: ["x"]),
            "e": Group(["b"], parallel: no),
            "g": Group(["b"], targets: ["b"]),
            "h": Group(["b"], paralel: false),
            "i": Group("b", ["b"]),
            "j": Group(["b"], pool: "x"),
        }"#,
        expect![[r#"
            error: expected `true` or `false`, found `no`
             --> build.ron:6:41
              |
            6 |             "e": Group(["b"], parallel: no),
              |                                         ^^
            error: field `targets` is given twice
             --> build.ron:7:31
              |
            7 |             "g": Group(["b"], targets: ["b"]),
              |                               ^^^^^^^

            hint: remove one of the two
            error: unknown field `paralel` in `Group`
             --> build.ron:8:31
              |
            8 |             "h": Group(["b"], paralel: false),
              |                               ^^^^^^^

            hint: did you mean `parallel`?
            error: expected one value for `targets`, or named fields, found `("b", ["b"])`
             --> build.ron:9:23
              |
            9 |             "i": Group("b", ["b"]),
              |                       ^^^^^^^^^^^^
            error: unknown field `pool` in `Group`
              --> build.ron:10:31
               |
            10 |             "j": Group(["b"], pool: "x"),
               |                               ^^^^

            hint: `Group` has: doc, after, private, group, aliases, params, requires, platforms_of_host, preconditions, confirm, targets, parallel
        "#]],
    );
}
