//! Mistakes in fields of `GoBuild`, and Rondel's messages about them, word for word.

mod support;

use expect_test::expect;
use support::check;

fn check_build(fields: &str, expected: expect_test::Expect) {
    check(
        &format!(
            "platforms: [\"linux/amd64\", \"linux/arm/v7\"], targets: {{\"t\": GoBuild(\npackages: [\".\"], {fields})}}"
        ),
        expected,
    );
}

#[test]
fn names_that_are_none() {
    check_build(
        r#"name: """#,
        expect![[r#"
        error: the name of an executable is empty
         --> build.ron:5:24
          |
        5 | packages: ["."], name: "")},
          |                        ^^

        hint: leave `name` out for Go's own choice
    "#]],
    );
    check_build(
        r#"name: "bin/alpha""#,
        expect![[r#"
        error: `bin/alpha` is a path, and an executable has a name
         --> build.ron:5:24
          |
        5 | packages: ["."], name: "bin/alpha")},
          |                        ^^^^^^^^^^^

        hint: executables stand in `dist/<target>/<os>_<arch>/`; `out` gives them another directory
    "#]],
    );
    check_build(
        r#"name: "..""#,
        expect![[r#"
        error: `..` can't be the name of an executable
         --> build.ron:5:24
          |
        5 | packages: ["."], name: "..")},
          |                        ^^^^

        hint: names are made of letters, digits, `-`, `_`, `.`, `+`, `~` and `@`, a letter, digit or `_` first
    "#]],
    );
    check_build(
        r#"name: "al pha""#,
        expect![[r#"
        error: `al pha` can't be the name of an executable
         --> build.ron:5:24
          |
        5 | packages: ["."], name: "al pha")},
          |                        ^^^^^^^^

        hint: names are made of letters, digits, `-`, `_`, `.`, `+`, `~` and `@`, a letter, digit or `_` first
    "#]],
    );
    check_build(
        r#"name: "alpha.exe""#,
        expect![[r#"
        error: `alpha.exe` has the ending of Windows
         --> build.ron:5:24
          |
        5 | packages: ["."], name: "alpha.exe")},
          |                        ^^^^^^^^^^^

        hint: leave `.exe` out: it is added for Windows
    "#]],
    );
    check_build(
        r#"name: "alpha.spdx.json""#,
        expect![[r#"
        error: `alpha.spdx.json` is the name of a bill of materials
         --> build.ron:5:24
          |
        5 | packages: ["."], name: "alpha.spdx.json")},
          |                        ^^^^^^^^^^^^^^^^^

        hint: give it another name
    "#]],
    );
    check_build(
        r#"name: ["alpha"]"#,
        expect![[r#"
        error: expected a name, or a map of packages to names, `{"./cmd/a": "alpha"}`, found `["alpha"]`
         --> build.ron:5:24
          |
        5 | packages: ["."], name: ["alpha"])},
          |                        ^^^^^^^^^
    "#]],
    );
}

#[test]
fn names_by_package() {
    check_build(
        r#"name: {"./cmd/a": "alpha", "./cmd/b": "Alpha"}"#,
        expect![[r#"
        error: two executables are named `Alpha`
         --> build.ron:5:56
          |
        5 | packages: ["."], name: {"./cmd/a": "alpha", "./cmd/b": "Alpha"})},
          |                                                        ^^^^^^^

        hint: give each a name of its own
    "#]],
    );
    check_build(
        r#"name: {"./cmd/a": "alpha", "./cmd/a": "beta"}"#,
        expect![[r#"
        error: package `./cmd/a` is given twice
         --> build.ron:5:45
          |
        5 | packages: ["."], name: {"./cmd/a": "alpha", "./cmd/a": "beta"})},
          |                                             ^^^^^^^^^

        hint: remove one of the two
    "#]],
    );
    check_build(
        r#"name: {"./cmd/...": "alpha"}"#,
        expect![[r#"
        error: `./cmd/...` is a pattern, and a name is for one package
         --> build.ron:5:25
          |
        5 | packages: ["."], name: {"./cmd/...": "alpha"})},
          |                         ^^^^^^^^^^^

        hint: name each package
    "#]],
    );
    check_build(
        r#"name: {"/cmd/a": "alpha", "./main.go": "x"}"#,
        expect![[r#"
        error: `/cmd/a` is no package
         --> build.ron:5:25
          |
        5 | packages: ["."], name: {"/cmd/a": "alpha", "./main.go": "x"})},
          |                         ^^^^^^^^

        hint: write it as in `packages`: "./cmd/a", or its import path
        error: `./main.go` is no package
         --> build.ron:5:44
          |
        5 | packages: ["."], name: {"/cmd/a": "alpha", "./main.go": "x"})},
          |                                            ^^^^^^^^^^^

        hint: write it as in `packages`: "./cmd/a", or its import path
    "#]],
    );
}
