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
}

#[test]
fn names_with_endings_of_their_own() {
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

#[test]
fn patterns_of_platforms() {
    check_build(
        r#"by_platform: {"windows/*": (tags: ["x"]), "linux/arm/v6": ()}"#,
        expect![[r#"
        error: `windows/*` matches no platform of the target
         --> build.ron:5:32
          |
        5 | packages: ["."], by_platform: {"windows/*": (tags: ["x"]), "linux/arm/v6": ()})},
          |                                ^^^^^^^^^^^

        hint: it is for linux/amd64, linux/arm/v7
        error: `linux/arm/v6` matches no platform of the target
         --> build.ron:5:60
          |
        5 | packages: ["."], by_platform: {"windows/*": (tags: ["x"]), "linux/arm/v6": ()})},
          |                                                            ^^^^^^^^^^^^^^

        hint: it is for linux/amd64, linux/arm/v7
    "#]],
    );
    check_build(
        r#"by_platform: {"linux": (), "linux/arm*": (), "linus/amd64": (), "linux/amd64/v9": ()}"#,
        expect![[r#"
            error: `linux` is no pattern of platforms
             --> build.ron:5:32
              |
            5 | packages: ["."], by_platform: {"linux": (), "linux/arm*": (), "linus/amd64": (), "linux/amd64/v9": ()})},
              |                                ^^^^^^^

            hint: write `os/architecture`, with `*` for any: "windows/*", "linux/arm/v7"
            error: `linux/arm*` is no pattern of platforms
             --> build.ron:5:45
              |
            5 | packages: ["."], by_platform: {"linux": (), "linux/arm*": (), "linus/amd64": (), "linux/amd64/v9": ()})},
              |                                             ^^^^^^^^^^^^

            hint: did you mean `linux/arm`?
            error: `linus/amd64` matches no platform that Go knows
             --> build.ron:5:63
              |
            5 | ckages: ["."], by_platform: {"linux": (), "linux/arm*": (), "linus/amd64": (), "linux/amd64/v9": ()})},
              |                                                             ^^^^^^^^^^^^^

            hint: did you mean `linux/amd64`?
            error: `linux/amd64/v9` matches no platform that Go knows
             --> build.ron:5:82
              |
            5 | latform: {"linux": (), "linux/arm*": (), "linus/amd64": (), "linux/amd64/v9": ()})},
              |                                                             ^^^^^^^^^^^^^^^^

            hint: did you mean `linux/amd64`?
        "#]],
    );
    check_build(
        r#"by_platform: {"linux/*": (), "linux/*": ()}"#,
        expect![[r#"
        error: pattern `linux/*` is given twice
         --> build.ron:5:47
          |
        5 | packages: ["."], by_platform: {"linux/*": (), "linux/*": ()})},
          |                                               ^^^^^^^^^

        hint: remove one of the two
    "#]],
    );
    check_build(
        r#"platforms: ["windows/amd64"], by_platform: {"linux/*": ()}"#,
        expect![[r#"
        error: `linux/*` matches no platform of the target
         --> build.ron:5:62
          |
        5 | ackages: ["."], platforms: ["windows/amd64"], by_platform: {"linux/*": ()})},
          |                                                             ^^^^^^^^^

        hint: it is for windows/amd64
    "#]],
    );
}

#[test]
fn settings_of_platforms() {
    check_build(
        r#"by_platform: {"linux/*": (tag: ["x"], sbom: true)}"#,
        expect![[r#"
        error: unknown field `tag` in `by_platform`
         --> build.ron:5:44
          |
        5 | packages: ["."], by_platform: {"linux/*": (tag: ["x"], sbom: true)})},
          |                                            ^^^

        hint: did you mean `tags`?
        error: unknown field `sbom` in `by_platform`
         --> build.ron:5:56
          |
        5 | packages: ["."], by_platform: {"linux/*": (tag: ["x"], sbom: true)})},
          |                                                        ^^^^

        hint: `by_platform` has: tags, ldflags, gcflags, stamp, buildmode, cgo, env
    "#]],
    );
    check_build(
        r#"by_platform: {"linux/*": GoBuild(tags: ["x"])}"#,
        expect![[r#"
        error: expected settings in parentheses, `(tags: ["x"])`, found `GoBuild(tags: ["x"])`
         --> build.ron:5:43
          |
        5 | packages: ["."], by_platform: {"linux/*": GoBuild(tags: ["x"])})},
          |                                           ^^^^^^^^^^^^^^^^^^^^
    "#]],
    );
    check_build(
        r#"by_platform: {"linux/*": {"tags": ["x"]}}"#,
        expect![[r#"
        error: expected settings in parentheses, `(tags: ["x"])`, found `{"tags": ["x"]}`
         --> build.ron:5:43
          |
        5 | packages: ["."], by_platform: {"linux/*": {"tags": ["x"]}})},
          |                                           ^^^^^^^^^^^^^^^
    "#]],
    );
    check_build(
        r#"by_platform: {"linux/*": (buildmode: "shared", tags: ["a b"], env: {"1": "x"}, stamp: {"main.v": "{nothing}"})}"#,
        expect![[r#"
            error: `-buildmode=shared` needs cgo and makes a library: `GoBuild` makes executables
             --> build.ron:5:55
              |
            5 | packages: ["."], by_platform: {"linux/*": (buildmode: "shared", tags: ["a b"], env: {"1": "x"}, stamp: {"main.v": "{nothing}"})})},
              |                                                       ^^^^^^^^

            hint: build it with an `Exec`: command: ["go", "build", …]
            error: `a b` is 2 build tags in one text
             --> build.ron:5:72
              |
            5 | "."], by_platform: {"linux/*": (buildmode: "shared", tags: ["a b"], env: {"1": "x"}, stamp: {"main.v": "{nothing}"})})},
              |                                                             ^^^^^

            hint: write a list: ["a", "b"]
            error: `1` can't be the name of an environment variable
             --> build.ron:5:86
              |
            5 | orm: {"linux/*": (buildmode: "shared", tags: ["a b"], env: {"1": "x"}, stamp: {"main.v": "{nothing}"})})},
              |                                                             ^^^
            error: there is no variable `nothing`
             --> build.ron:5:115
              |
            5 | "shared", tags: ["a b"], env: {"1": "x"}, stamp: {"main.v": "{nothing}"})})},
              |                                                             ^^^^^^^^^^^

            hint: declare it under `vars`, or write `{{nothing}}` for a literal brace
        "#]],
    );
}

#[test]
fn tags_that_are_none() {
    check_build(
        r#"tags: ["netgo,osusergo", "netgo osusergo", "", "!cgo", "-tags=x", "a-b", " ", "café", "go1.22"]"#,
        expect![[r#"
            error: `netgo,osusergo` is 2 build tags in one text
             --> build.ron:5:25
              |
            5 | packages: ["."], tags: ["netgo,osusergo", "netgo osusergo", "", "!cgo", "-tags=x", "a-b", " ", "café", "go1.22"])},
              |                         ^^^^^^^^^^^^^^^^

            hint: write a list: ["netgo", "osusergo"]
            error: `netgo osusergo` is 2 build tags in one text
             --> build.ron:5:43
              |
            5 | packages: ["."], tags: ["netgo,osusergo", "netgo osusergo", "", "!cgo", "-tags=x", "a-b", " ", "café", "go1.22"])},
              |                                           ^^^^^^^^^^^^^^^^

            hint: write a list: ["netgo", "osusergo"]
            error: a build tag is empty
             --> build.ron:5:61
              |
            5 | packages: ["."], tags: ["netgo,osusergo", "netgo osusergo", "", "!cgo", "-tags=x", "a-b", " ", "café", "go1.22"])},
              |                                                             ^^

            hint: leave it out
            error: `!cgo` is no build tag
             --> build.ron:5:65
              |
            5 | ages: ["."], tags: ["netgo,osusergo", "netgo osusergo", "", "!cgo", "-tags=x", "a-b", " ", "café", "go1.22"])},
              |                                                             ^^^^^^

            hint: a tag is set or left out; `!` is for `//go:build` lines
            error: `-tags=x` is a flag, not a build tag
             --> build.ron:5:73
              |
            5 | ."], tags: ["netgo,osusergo", "netgo osusergo", "", "!cgo", "-tags=x", "a-b", " ", "café", "go1.22"])},
              |                                                             ^^^^^^^^^

            hint: write the tags alone: tags: ["netgo"]
            error: `a-b` is no build tag
             --> build.ron:5:84
              |
            5 | ["netgo,osusergo", "netgo osusergo", "", "!cgo", "-tags=x", "a-b", " ", "café", "go1.22"])},
              |                                                             ^^^^^

            hint: tags are made of letters, digits, `_` and `.`
            error: ` ` is no build tag
             --> build.ron:5:91
              |
            5 | ,osusergo", "netgo osusergo", "", "!cgo", "-tags=x", "a-b", " ", "café", "go1.22"])},
              |                                                             ^^^

            hint: leave it out
        "#]],
    );
    check(
        r#"targets: {"t": GoTest(packages: ["."], tags: ["a,b"]), "v": GoVet(packages: ["."], tags: ["a, b"])}"#,
        expect![[r#"
            error: `a,b` is 2 build tags in one text
             --> build.ron:4:51
              |
            4 |     targets: {"t": GoTest(packages: ["."], tags: ["a,b"]), "v": GoVet(packages: ["."], tags: ["a, b"])},
              |                                                   ^^^^^

            hint: write a list: ["a", "b"]
            error: `a, b` is 2 build tags in one text
             --> build.ron:4:95
              |
            4 | : ["."], tags: ["a,b"]), "v": GoVet(packages: ["."], tags: ["a, b"])},
              |                                                             ^^^^^^

            hint: write a list: ["a", "b"]
        "#]],
    );
}

#[test]
fn stamps_that_name_no_variable() {
    check_build(
        r#"stamp: {"version": "1", "main.": "1", ".x": "1", "main.a-b": "1", "main.v=x": "1", "main .v": "1", "": "1", "main.1": "1"}"#,
        expect![[r#"
            error: `version` names no package
             --> build.ron:5:26
              |
            5 | packages: ["."], stamp: {"version": "1", "main.": "1", ".x": "1", "main.a-b": "1", "main.v=x": "1", "main .v": "1", "": "1", "main.1": "1"})
              |                          ^^^^^^^^^

            hint: write `main.version`, or its import path: `example.com/x/build.version`
            error: `main.` can't be the name of a variable
             --> build.ron:5:42
              |
            5 | packages: ["."], stamp: {"version": "1", "main.": "1", ".x": "1", "main.a-b": "1", "main.v=x": "1", "main .v": "1", "": "1", "main.1": "1"})
              |                                          ^^^^^^^

            hint: write the package and the name: `main.version`, `example.com/x/build.Version`
            error: `.x` can't be the name of a variable
             --> build.ron:5:56
              |
            5 | packages: ["."], stamp: {"version": "1", "main.": "1", ".x": "1", "main.a-b": "1", "main.v=x": "1", "main .v": "1", "": "1", "main.1": "1"})
              |                                                        ^^^^

            hint: write the package and the name: `main.version`, `example.com/x/build.Version`
            error: `main.a-b` can't be the name of a variable
             --> build.ron:5:67
              |
            5 | es: ["."], stamp: {"version": "1", "main.": "1", ".x": "1", "main.a-b": "1", "main.v=x": "1", "main .v": "1", "": "1", "main.1": "1"})},
              |                                                             ^^^^^^^^^^

            hint: write the package and the name: `main.version`, `example.com/x/build.Version`
            error: `main.v=x` can't be the name of a variable
             --> build.ron:5:84
              |
            5 |  {"version": "1", "main.": "1", ".x": "1", "main.a-b": "1", "main.v=x": "1", "main .v": "1", "": "1", "main.1": "1"})},
              |                                                             ^^^^^^^^^^

            hint: write the package and the name: `main.version`, `example.com/x/build.Version`
            error: `main .v` can't be the name of a variable
             --> build.ron:5:101
              |
            5 |  "main.": "1", ".x": "1", "main.a-b": "1", "main.v=x": "1", "main .v": "1", "": "1", "main.1": "1"})},
              |                                                             ^^^^^^^^^

            hint: write the package and the name: `main.version`, `example.com/x/build.Version`
            error: `` can't be the name of a variable
             --> build.ron:5:117
              |
            5 | .x": "1", "main.a-b": "1", "main.v=x": "1", "main .v": "1", "": "1", "main.1": "1"})},
              |                                                             ^^

            hint: write the package and the name: `main.version`, `example.com/x/build.Version`
            error: `main.1` can't be the name of a variable
             --> build.ron:5:126
              |
            5 |  "main.a-b": "1", "main.v=x": "1", "main .v": "1", "": "1", "main.1": "1"})},
              |                                                             ^^^^^^^^

            hint: write the package and the name: `main.version`, `example.com/x/build.Version`
        "#]],
    );
    check_build(
        r#"stamp: ["main.version"]"#,
        expect![[r#"
        error: expected a map, `{"main.version": "value"}`, found `["main.version"]`
         --> build.ron:5:25
          |
        5 | packages: ["."], stamp: ["main.version"])},
          |                         ^^^^^^^^^^^^^^^^
    "#]],
    );
}

#[test]
fn modules_that_can_not_be() {
    let vet = |module: &str, expected: expect_test::Expect| {
        check(&format!("targets: {{\"t\": GoVet(\npackages: [\"./...\"], module: {module})}}"), expected);
    };
    vet(
        r#""../other""#,
        expect![[r#"
        error: `../other` leaves the root
         --> build.ron:5:30
          |
        5 | packages: ["./..."], module: "../other")},
          |                              ^^^^^^^^^^

        hint: paths are relative to `root`
    "#]],
    );
    vet(
        r#""/srv/module""#,
        expect![[r#"
        error: `/srv/module` leaves the root
         --> build.ron:5:30
          |
        5 | packages: ["./..."], module: "/srv/module")},
          |                              ^^^^^^^^^^^^^

        hint: paths are relative to `root`
    "#]],
    );
    vet(
        r#""examples/../..""#,
        expect![[r#"
        error: `examples/../..` leaves the root
         --> build.ron:5:30
          |
        5 | packages: ["./..."], module: "examples/../..")},
          |                              ^^^^^^^^^^^^^^^^

        hint: paths are relative to `root`
    "#]],
    );
    vet(
        r#""""#,
        expect![[r#"
        error: the path is empty
         --> build.ron:5:30
          |
        5 | packages: ["./..."], module: "")},
          |                              ^^
    "#]],
    );
    vet(
        r#""vendor/example.com/lib""#,
        expect![[r#"
        error: `vendor/example.com/lib` is in a `vendor` directory, which `go mod vendor` writes
         --> build.ron:5:30
          |
        5 | packages: ["./..."], module: "vendor/example.com/lib")},
          |                              ^^^^^^^^^^^^^^^^^^^^^^^^

        hint: name the module that has this `vendor`; write its packages by their import paths
    "#]],
    );
    vet(
        r#"examples"#,
        expect![[r#"
            error: expected the directory of a module, found `examples`
             --> build.ron:5:30
              |
            5 | packages: ["./..."], module: examples)},
              |                              ^^^^^^^^

            hint: texts have double quotes: `"examples"`
        "#]],
    );
}
