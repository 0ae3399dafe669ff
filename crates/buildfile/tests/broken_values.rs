//! Broken values, references and names, and Rondel's messages about them, word for word.

mod support;

use expect_test::expect;
use support::check;

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
            error: the variable `a` depends on itself
             --> build.ron:4:12
              |
            4 |     vars: {"a": "{b}", "b": "{a}"}, targets: {},
              |            ^^^
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
            error: a secret is not allowed here: it would reach a command line, a key or an image
             --> build.ron:4:54
              |
            4 |     targets: {"a": DockerBuild(build_args: {"TOKEN": Secret("TOKEN")})},
              |                                                      ^^^^^^^^^^^^^^^

            hint: use `Secret` in the `env` of `DockerRun`, `GoTest`, `Exec`, `Shell` or `Compose…`
        "#]],
    );
}

#[test]
fn secret_in_a_command() {
    check(
        r#"targets: {"a": Exec(command: ["curl", Secret("TOKEN")])}"#,
        expect![[r#"
            error: a secret is not allowed here: it would reach a command line, a key or an image
             --> build.ron:4:43
              |
            4 |     targets: {"a": Exec(command: ["curl", Secret("TOKEN")])},
              |                                           ^^^^^^^^^^^^^^^

            hint: use `Secret` in the `env` of `DockerRun`, `GoTest`, `Exec`, `Shell` or `Compose…`
        "#]],
    );
}

#[test]
fn secret_as_variable() {
    check(
        r#"vars: {"token": Secret("TOKEN")}, targets: {}"#,
        expect![[r#"
            error: a secret is not allowed here: it would reach a command line, a key or an image
             --> build.ron:4:21
              |
            4 |     vars: {"token": Secret("TOKEN")}, targets: {},
              |                     ^^^^^^^^^^^^^^^

            hint: use `Secret` in the `env` of `DockerRun`, `GoTest`, `Exec`, `Shell` or `Compose…`
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
fn bad_git_query() {
    check(
        r#"vars: {"v": Git(Descibe)}, targets: {}"#,
        expect![[r#"
            error: expected one of Describe, Tag, Commit, ShortCommit, CommitCount, CommitTime, CommitTimestamp, Branch, Version, Dirty, found `Descibe`
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
fn unknown_buildmode() {
    check(
        r#"targets: {"a": GoBuild(packages: ["."], buildmode: "pi")}"#,
        expect![[r#"
            error: `pi` is not a build mode of executables
             --> build.ron:4:56
              |
            4 |     targets: {"a": GoBuild(packages: ["."], buildmode: "pi")},
              |                                                        ^^^^

            hint: write "exe" or "pie"
        "#]],
    );
}

#[test]
fn buildmode_that_makes_a_library() {
    check(
        r#"targets: {"a": GoBuild(packages: ["."], buildmode: "c-shared")}"#,
        expect![[r#"
            error: `-buildmode=c-shared` needs cgo and makes a library: `GoBuild` makes executables
             --> build.ron:4:56
              |
            4 |     targets: {"a": GoBuild(packages: ["."], buildmode: "c-shared")},
              |                                                        ^^^^^^^^^^

            hint: build it with an `Exec`: command: ["go", "build", …]
        "#]],
    );
}

#[test]
fn tool_outside_of_a_command() {
    check(
        r#"targets: {"a": GoBuild(packages: ["."], ldflags: [Tool("stringer")])}"#,
        expect![[r#"
            error: a `Tool` is not allowed here: it is a program, not a text
             --> build.ron:4:55
              |
            4 |     targets: {"a": GoBuild(packages: ["."], ldflags: [Tool("stringer")])},
              |                                                       ^^^^^^^^^^^^^^^^

            hint: use `Tool` in the `command` of an `Exec`
        "#]],
    );
}

#[test]
fn tools_at_versions_that_move() {
    check(
        r#"targets: {
            "a": Exec(command: [Tool("example.com/x@latest"), Tool("example.com/x@v1.2")]),
            "b": Exec(command: [Tool("stringer@v1.2.3"), Tool("example.com/x@v1.2.3-"), Tool("example.com/x@")]),
            "c": Exec(command: [Tool("example.com/x@v1.2.3"), Tool("example.com/x@v2.0.0-rc.1+incompatible")]),
        }"#,
        expect![[r#"
            error: `example.com/x@latest` is not a command at a version
             --> build.ron:5:38
              |
            5 |             "a": Exec(command: [Tool("example.com/x@latest"), Tool("example.com/x@v1.2")]),
              |                                      ^^^^^^^^^^^^^^^^^^^^^^

            hint: write its import path and a release, `github.com/x/y/cmd/z@v1.2.3`: `latest` and branches move
            error: `example.com/x@v1.2` is not a command at a version
             --> build.ron:5:68
              |
            5 |      "a": Exec(command: [Tool("example.com/x@latest"), Tool("example.com/x@v1.2")]),
              |                                                             ^^^^^^^^^^^^^^^^^^^^

            hint: write its import path and a release, `github.com/x/y/cmd/z@v1.2.3`: `latest` and branches move
            error: `stringer@v1.2.3` is not a command at a version
             --> build.ron:6:38
              |
            6 |             "b": Exec(command: [Tool("stringer@v1.2.3"), Tool("example.com/x@v1.2.3-"), Tool("example.com/x@")]),
              |                                      ^^^^^^^^^^^^^^^^^

            hint: write its import path and a release, `github.com/x/y/cmd/z@v1.2.3`: `latest` and branches move
            error: `example.com/x@v1.2.3-` is not a command at a version
             --> build.ron:6:63
              |
            6 |           "b": Exec(command: [Tool("stringer@v1.2.3"), Tool("example.com/x@v1.2.3-"), Tool("example.com/x@")]),
              |                                                             ^^^^^^^^^^^^^^^^^^^^^^^

            hint: write its import path and a release, `github.com/x/y/cmd/z@v1.2.3`: `latest` and branches move
            error: `example.com/x@` is not a command at a version
             --> build.ron:6:94
              |
            6 | ool("stringer@v1.2.3"), Tool("example.com/x@v1.2.3-"), Tool("example.com/x@")]),
              |                                                             ^^^^^^^^^^^^^^^^

            hint: write its import path and a release, `github.com/x/y/cmd/z@v1.2.3`: `latest` and branches move
        "#]],
    );
}

#[test]
fn tags_of_a_tool() {
    check(
        r#"vars: {"v": "1"}, targets: {
            "a": Exec(command: [Tool("example.com/x@v1.2.3", tags: ["a,b"])]),
            "b": Exec(command: ["true"], tools: [Tool("example.com/x@v1.2.3", tags: ["t{v}"])]),
            "c": Exec(command: [Tool("example.com/x@v1.2.3", tag: ["a"])]),
        }"#,
        expect![[r#"
            error: `a,b` is 2 build tags in one text
             --> build.ron:5:69
              |
            5 |     "a": Exec(command: [Tool("example.com/x@v1.2.3", tags: ["a,b"])]),
              |                                                             ^^^^^

            hint: write a list: ["a", "b"]
            error: a build tag of a `Tool` is no template: all targets that start the tool share it
             --> build.ron:6:86
              |
            6 | mand: ["true"], tools: [Tool("example.com/x@v1.2.3", tags: ["t{v}"])]),
              |                                                             ^^^^^^

            hint: write the tag itself
            error: unknown field `tag` in `Tool`
             --> build.ron:7:62
              |
            7 |            "c": Exec(command: [Tool("example.com/x@v1.2.3", tag: ["a"])]),
              |                                                             ^^^

            hint: did you mean `tags`?
        "#]],
    );
}

#[test]
fn tool_without_a_name() {
    check(
        r#"targets: {"a": Exec(command: [Tool("")])}"#,
        expect![[r#"
            error: `` is not the name of a tool
             --> build.ron:4:40
              |
            4 |     targets: {"a": Exec(command: [Tool("")])},
              |                                        ^^

            hint: write its import path, or the last element of it
        "#]],
    );
}

#[test]
fn unknown_variant() {
    check(
        r#"platforms: ["linux/amd64/v9"], targets: {"a": GoBuild(packages: ["."])}"#,
        expect![[r#"
            error: `linux/amd64/v9` is not a platform that Go knows
             --> build.ron:4:17
              |
            4 |     platforms: ["linux/amd64/v9"], targets: {"a": GoBuild(packages: ["."])},
              |                 ^^^^^^^^^^^^^^^^

            hint: did you mean `linux/amd64`?
        "#]],
    );
}

#[test]
fn variant_of_an_architecture_without() {
    check(
        r#"platforms: ["linux/s390x/v1"], targets: {"a": GoBuild(packages: ["."])}"#,
        expect![[r#"
            error: `linux/s390x/v1` is not a platform that Go knows
             --> build.ron:4:17
              |
            4 |     platforms: ["linux/s390x/v1"], targets: {"a": GoBuild(packages: ["."])},
              |                 ^^^^^^^^^^^^^^^^

            hint: did you mean `linux/s390x`?
        "#]],
    );
}

#[test]
fn pattern_with_a_character_for_three_dots() {
    check(
        r#"targets: {"a": GoBuild(packages: ["./cmd/…"])}"#,
        expect![[r#"
            error: a package pattern has three dots, and this is one character (`…`)
             --> build.ron:4:39
              |
            4 |     targets: {"a": GoBuild(packages: ["./cmd/…"])},
              |                                       ^^^^^^^^^

            hint: write "./cmd/..."
        "#]],
    );
}

#[test]
fn dirty_with_a_wrong_name() {
    check(
        r#"targets: {"a": GoBuild(packages: ["."], stamp: {"main.d": Git(Drity)})}"#,
        expect![[r#"
            error: expected one of Describe, Tag, Commit, ShortCommit, CommitCount, CommitTime, CommitTimestamp, Branch, Version, Dirty, found `Drity`
             --> build.ron:4:67
              |
            4 | rgets: {"a": GoBuild(packages: ["."], stamp: {"main.d": Git(Drity)})},
              |                                                             ^^^^^

            hint: did you mean `Dirty`?
        "#]],
    );
}
