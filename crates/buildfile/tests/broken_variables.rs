//! Broken variables, filters and scripts, and Rondel's messages about them, word for word.

mod support;

use expect_test::expect;
use support::check;

#[test]
fn filters() {
    check(
        r#"vars: {"v": "1", "a": "{v|slag}", "b": "{v|short}", "c": "{x|slug}", "d": "{image:digest|slug}"}, targets: {}"#,
        expect![[r#"
            error: `{v|slag}`: there is no filter `slag`; did you mean `slug`?
             --> build.ron:4:27
              |
            4 |     vars: {"v": "1", "a": "{v|slag}", "b": "{v|short}", "c": "{x|slug}", "d": "{image:digest|slug}"}, targets: {},
              |                           ^^^^^^^^^^
            error: `{v|short}`: `short` takes a number of characters, `short:12`
             --> build.ron:4:44
              |
            4 |     vars: {"v": "1", "a": "{v|slag}", "b": "{v|short}", "c": "{x|slug}", "d": "{image:digest|slug}"}, targets: {},
              |                                            ^^^^^^^^^^^
            error: there is no variable `x`
             --> build.ron:4:62
              |
            4 |    vars: {"v": "1", "a": "{v|slag}", "b": "{v|short}", "c": "{x|slug}", "d": "{image:digest|slug}"}, targets: {},
              |                                                             ^^^^^^^^^^

            hint: did you mean `{a}`?
            error: `{image:digest|slug}`: filters are for variables
             --> build.ron:4:79
              |
            4 | ", "a": "{v|slag}", "b": "{v|short}", "c": "{x|slug}", "d": "{image:digest|slug}"}, targets: {},
              |                                                             ^^^^^^^^^^^^^^^^^^^^^
        "#]],
    );
}

#[test]
fn files() {
    check(
        r#"vars: {
            "a": File("../VERSION"),
            "b": File("VERSION", "x"),
            "c": File(1),
            "d": Match("VERSION"),
            "e": Match("VERSION", "a+"),
            "f": Match("VERSION", "(a)(b)"),
            "g": Match("VERSION", "(a"),
            "h": File,
        }, targets: {"s": Exec(command: [File("VERSION")]), "t": Shell(script: "", env: {"A": Match("a", "(b)")})}"#,
        expect![[r#"
            error: `../VERSION` leaves the root
             --> build.ron:5:23
              |
            5 |             "a": File("../VERSION"),
              |                       ^^^^^^^^^^^^

            hint: paths are relative to `root`
            error: `File` takes the path of a file, `File("VERSION")`
             --> build.ron:6:18
              |
            6 |             "b": File("VERSION", "x"),
              |                  ^^^^^^^^^^^^^^^^^^^^
            error: expected a path, found `1`
             --> build.ron:7:23
              |
            7 |             "c": File(1),
              |                       ^
            error: `Match` takes the path of a file and a regular expression with one group
             --> build.ron:8:18
              |
            8 |             "d": Match("VERSION"),
              |                  ^^^^^^^^^^^^^^^^
            error: the regular expression has 0 groups
             --> build.ron:9:35
              |
            9 |             "e": Match("VERSION", "a+"),
              |                                   ^^^^

            hint: put parentheses around the value, once; `(?:…)` is no group that counts
            error: the regular expression has 2 groups
              --> build.ron:10:35
               |
            10 |             "f": Match("VERSION", "(a)(b)"),
               |                                   ^^^^^^^^

            hint: put parentheses around the value, once; `(?:…)` is no group that counts
            error: a broken regular expression: found open group without closing ')'
              --> build.ron:11:35
               |
            11 |             "g": Match("VERSION", "(a"),
               |                                   ^^^^
            error: expected a string, `Env("NAME")` or `Git(…)`, found `File`
              --> build.ron:12:18
               |
            12 |             "h": File,
               |                  ^^^^
            error: `File` is for `vars`
              --> build.ron:13:42
               |
            13 |         }, targets: {"s": Exec(command: [File("VERSION")]), "t": Shell(script: "", env: {"A": Match("a", "(b)")})},
               |                                          ^^^^

            hint: declare a variable, `vars: {"version": File("VERSION")}`, and write `{version}` here
            error: `Match` is for `vars`
              --> build.ron:13:95
               |
            13 | mand: [File("VERSION")]), "t": Shell(script: "", env: {"A": Match("a", "(b)")})},
               |                                                             ^^^^^

            hint: declare a variable, `vars: {"version": File("VERSION")}`, and write `{version}` here
        "#]],
    );
}

#[test]
fn descriptions() {
    check(
        r#"vars: {
            "a": Git(Describe(mtch: "v*")),
            "b": Git(Describe(match: "", abbrev: 3)),
            "c": Git(Describe(long: true, abbrev: 0)),
            "d": Git(Tags),
        }, targets: {}"#,
        expect![[r#"
            error: unknown field `mtch` in `Describe`
             --> build.ron:5:31
              |
            5 |             "a": Git(Describe(mtch: "v*")),
              |                               ^^^^

            hint: did you mean `match`?
            error: an empty pattern matches no tag
             --> build.ron:6:38
              |
            6 |             "b": Git(Describe(match: "", abbrev: 3)),
              |                                      ^^

            hint: write "v*"
            error: expected 4 to 40 digits, or 0
             --> build.ron:6:50
              |
            6 |             "b": Git(Describe(match: "", abbrev: 3)),
              |                                                  ^
            error: `long` names the commit, and `abbrev: 0` leaves it out
             --> build.ron:7:22
              |
            7 |             "c": Git(Describe(long: true, abbrev: 0)),
              |                      ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^

            hint: remove one of the two
            error: expected one of Describe, Tag, Commit, ShortCommit, CommitCount, CommitTime, CommitTimestamp, Branch, Version, Dirty, found `Tags`
             --> build.ron:8:22
              |
            8 |             "d": Git(Tags),
              |                      ^^^^

            hint: did you mean `Tag`?
        "#]],
    );
}

#[test]
fn queries_of_git() {
    check(
        r#"vars: {
            "a": Git(ShortCommit(2)),
            "b": Git(ShortCommit(7, 8)),
            "c": Git(CommitTime(format: "%Y-%b")),
            "d": Git(CommitCount(1)),
            "e": Host(User),
            "f": Host,
        }, targets: {}"#,
        expect![[r#"
            error: expected 4 to 40 digits
             --> build.ron:5:34
              |
            5 |             "a": Git(ShortCommit(2)),
              |                                  ^
            error: `ShortCommit` takes a number of digits, `ShortCommit(7)`
             --> build.ron:6:22
              |
            6 |             "b": Git(ShortCommit(7, 8)),
              |                      ^^^^^^^^^^^^^^^^^
            error: `%b` is no part of a time
             --> build.ron:7:41
              |
            7 |             "c": Git(CommitTime(format: "%Y-%b")),
              |                                         ^^^^^^^

            hint: a format has `%Y`, `%m`, `%d`, `%H`, `%M`, `%S` (UTC), `%%` and any text
            error: expected one of Describe, Tag, Commit, ShortCommit, CommitCount, CommitTime, CommitTimestamp, Branch, Version, Dirty, found `CommitCount(1)`
             --> build.ron:8:22
              |
            8 |             "d": Git(CommitCount(1)),
              |                      ^^^^^^^^^^^^^^
            error: `Host` is no source of text: its answer is another on each machine, and so would the result be
             --> build.ron:9:18
              |
            9 |             "e": Host(User),
              |                  ^^^^

            hint: write `Env("USER", "nobody")`, or a variable that `--set` overrides; both are in the key
            error: `Host` is no source of text: its answer is another on each machine, and so would the result be
              --> build.ron:10:18
               |
            10 |             "f": Host,
               |                  ^^^^

            hint: write `Env("USER", "nobody")`, or a variable that `--set` overrides; both are in the key
        "#]],
    );
}

#[test]
fn scripts() {
    check(
        r#"vars: {"version": "1"}, targets: {
            "a": Shell("echo {version}"),
            "b": Shell("echo {version|trim_prefix:v}"),
            "c": Shell("echo ${{HOME}}"),
            "d": Shell("echo {b:digest}"),
            "e": Shell(Env("X")),
            "f": Shell("{ echo ${version:-x}; }; awk '{print $1}' {unknown} {{version}} { version}"),
        }"#,
        expect![[r#"
            error: `{version}` in a script: its braces are the shell's, and no value is put into code
             --> build.ron:5:24
              |
            5 |             "a": Shell("echo {version}"),
              |                        ^^^^^^^^^^^^^^^^

            hint: declare `env: {"VERSION": "{version}"}` and write `"$VERSION"`; for the text itself write a space after the brace
            error: `{version|trim_prefix:v}` in a script: its braces are the shell's, and no value is put into code
             --> build.ron:6:24
              |
            6 |             "b": Shell("echo {version|trim_prefix:v}"),
              |                        ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^

            hint: declare `env: {"VERSION": "{version|trim_prefix:v}"}` and write `"$VERSION"`; for the text itself write a space after the brace
            error: `${{HOME}}` in a script: its braces are the shell's and are not doubled
             --> build.ron:7:24
              |
            7 |             "c": Shell("echo ${{HOME}}"),
              |                        ^^^^^^^^^^^^^^^^

            hint: write `${HOME}`
            error: `{b:digest}` in a script: its braces are the shell's, and no value is put into code
             --> build.ron:8:24
              |
            8 |             "d": Shell("echo {b:digest}"),
              |                        ^^^^^^^^^^^^^^^^^

            hint: declare `env: {"B_DIGEST": "{b:digest}"}` and write `"$B_DIGEST"`; for the text itself write a space after the brace
            error: expected a script, in quotes, found `Env("X")`
             --> build.ron:9:24
              |
            9 |             "e": Shell(Env("X")),
              |                        ^^^^^^^^
        "#]],
    );
}

#[test]
fn outputs() {
    check(
        r#"vars: {"a": Output("gne"), "b": Output("check"), "c": Output()}, targets: {
            "gen": Exec(command: ["x"], inputs: [], outputs: ["y"]), "check": Exec(command: ["x"]),
        }"#,
        expect![[r#"
            error: `Output` takes the name of a target, and optionally a path in its output
             --> build.ron:4:59
              |
            4 |     vars: {"a": Output("gne"), "b": Output("check"), "c": Output()}, targets: {
              |                                                           ^^^^^^^^
        "#]],
    );
    check(
        r#"vars: {"a": Output("gne"), "b": Output("check")}, targets: {
            "gen": Exec(command: ["x"], inputs: [], outputs: ["y"]), "check": Exec(command: ["x"]),
        }"#,
        expect![[r#"
            error: there is no target `gne`
             --> build.ron:4:17
              |
            4 |     vars: {"a": Output("gne"), "b": Output("check")}, targets: {
              |                 ^^^^^^^^^^^^^

            hint: did you mean `gen`?
            error: expected a target that makes files (`GoBuild`, `Image`, or `Exec` or `Shell` with inputs and outputs), found `check` (`Exec`)
             --> build.ron:4:37
              |
            4 |     vars: {"a": Output("gne"), "b": Output("check")}, targets: {
              |                                     ^^^^^^^^^^^^^^^
        "#]],
    );
    check(
        r#"vars: {"a": Output("one"), "b": "{a|short:2}"}, targets: {
            "one": Exec(command: ["x"], inputs: [Output("two")], outputs: ["y"]),
            "two": Exec(command: ["x", "{b}"], inputs: [], outputs: ["z"]),
        }"#,
        expect![[r#"
            error: targets wait for each other: `one` -> `two` -> `one`
             --> build.ron:5:13
              |
            5 |             "one": Exec(command: ["x"], inputs: [Output("two")], outputs: ["y"]),
              |             ^^^^^
        "#]],
    );
}
