//! Options of the files of an image that can't be, and Rondel's messages about them, word for word.

mod support;

use expect_test::expect;
use support::check;

fn check_files(files: &str, expected: expect_test::Expect) {
    check(
        &format!("targets: {{\"t\": GoBuild(packages: [\".\"]), \"i\": Image(base: Static, files: {{{files}}})}}"),
        expected,
    );
}

#[test]
fn outputs_of_targets_with_several() {
    check(
        r#"targets: {
            "two": Exec(command: ["x"], inputs: ["a"], outputs: ["gen/a", "gen/b/"]), "none": Exec(command: ["x"]), "i": Image(base: Static),
            "image": Image(base: Static, files: {"/a": Output("two"), "/b": Output("two", "a", mode: 0o600),
                "/d": Output("none", "x"), "/e": Output("i", "x"), "/g": Output("tow", "a")})}"#,
        expect![[r#"
            error: `two` has 2 outputs, and none is named
             --> build.ron:6:56
              |
            6 |             "image": Image(base: Static, files: {"/a": Output("two"), "/b": Output("two", "a", mode: 0o600),
              |                                                        ^^^^^^^^^^^^^

            hint: write `Output("two", "gen/a")` or `Output("two", "gen/b")`
            error: expected a `GoBuild`, or an `Exec` or `Shell` with inputs and outputs, found `none` (`Exec`)
             --> build.ron:7:23
              |
            7 |                 "/d": Output("none", "x"), "/e": Output("i", "x"), "/g": Output("tow", "a")})},
              |                       ^^^^^^^^^^^^^^^^^^^
            error: expected a `GoBuild`, or an `Exec` or `Shell` with inputs and outputs, found `i` (`Image`)
             --> build.ron:7:50
              |
            7 |                 "/d": Output("none", "x"), "/e": Output("i", "x"), "/g": Output("tow", "a")})},
              |                                                  ^^^^^^^^^^^^^^^^
            error: there is no target `tow`
             --> build.ron:7:74
              |
            7 |    "/d": Output("none", "x"), "/e": Output("i", "x"), "/g": Output("tow", "a")})},
              |                                                             ^^^^^^^^^^^^^^^^^^

            hint: did you mean `two`?
        "#]],
    );
    check_files(
        r#""/c": Output("t", "../x"), "/f": Output("t", "a", "b"), "/g": Output("t", "a", mod: 1), "/h": Output("t", 1)"#,
        expect![[r#"
            error: `../x` leaves the root
             --> build.ron:4:97
              |
            4 |  ["."]), "i": Image(base: Static, files: {"/c": Output("t", "../x"), "/f": Output("t", "a", "b"), "/g": Output("t", "a", mod: 1), "/h": Outp
              |                                                             ^^^^^^

            hint: paths are relative to `root`
            error: `Output` takes the name of a target, and optionally a path in its output
             --> build.ron:4:112
              |
            4 | mage(base: Static, files: {"/c": Output("t", "../x"), "/f": Output("t", "a", "b"), "/g": Output("t", "a", mod: 1), "/h": Output("t", 1)})},
              |                                                             ^^^^^^^^^^^^^^^^^^^^^
            error: unknown field `mod` in `Output`
             --> build.ron:4:158
              |
            4 | ../x"), "/f": Output("t", "a", "b"), "/g": Output("t", "a", mod: 1), "/h": Output("t", 1)})},
              |                                                             ^^^

            hint: did you mean `mode`?
            error: expected a path, found `1`
             --> build.ron:4:185
              |
            4 | a", "b"), "/g": Output("t", "a", mod: 1), "/h": Output("t", 1)})},
              |                                                             ^
        "#]],
    );
}

#[test]
fn nothing_to_put_back() {
    check_files(
        r#""/a": File("a", exclude: ["!x", "y"]), "/b": File("a", exclude: ["y", "!x"])"#,
        expect![[r#"
        error: `exclude` begins with what is put back, and nothing is left out yet
         --> build.ron:4:79
          |
        4 |  GoBuild(packages: ["."]), "i": Image(base: Static, files: {"/a": File("a", exclude: ["!x", "y"]), "/b": File("a", exclude: ["y", "!x"])})},
          |                                                             ^^^^

        hint: begin with a glob without `!`
    "#]],
    );
}

#[test]
fn what_can_not_be_left_out() {
    check_files(
        r#""/a": File("a", exclude: ["../x", "/y", "", "a/../b"]), "/b": Link("/a", exclude: ["x"]), "/c": Directory(exclude: []), "/d": Output("t", exclude: "x")"#,
        expect![[r#"
            error: `../x` leaves the root
             --> build.ron:4:105
              |
            4 |  "i": Image(base: Static, files: {"/a": File("a", exclude: ["../x", "/y", "", "a/../b"]), "/b": Link("/a", exclude: ["x"]), "/c": Directory(
              |                                                             ^^^^^^

            hint: paths are relative to `root`
            error: `/y` leaves the root
             --> build.ron:4:113
              |
            4 | age(base: Static, files: {"/a": File("a", exclude: ["../x", "/y", "", "a/../b"]), "/b": Link("/a", exclude: ["x"]), "/c": Directory(exclude:
              |                                                             ^^^^

            hint: paths are relative to `root`
            error: the path is empty
             --> build.ron:4:119
              |
            4 | se: Static, files: {"/a": File("a", exclude: ["../x", "/y", "", "a/../b"]), "/b": Link("/a", exclude: ["x"]), "/c": Directory(exclude: []),
              |                                                             ^^
            error: `a/../b` holds `..`, which no glob matches
             --> build.ron:4:123
              |
            4 | Static, files: {"/a": File("a", exclude: ["../x", "/y", "", "a/../b"]), "/b": Link("/a", exclude: ["x"]), "/c": Directory(exclude: []), "/d"
              |                                                             ^^^^^^^^

            hint: write the path without it
            error: unknown field `exclude` in `Link`
             --> build.ron:4:152
              |
            4 | ", exclude: ["../x", "/y", "", "a/../b"]), "/b": Link("/a", exclude: ["x"]), "/c": Directory(exclude: []), "/d": Output("t", exclude: "x")})
              |                                                             ^^^^^^^

            hint: `Link` has: mode, owner, layer
            error: unknown field `exclude` in `Directory`
             --> build.ron:4:185
              |
            4 | /../b"]), "/b": Link("/a", exclude: ["x"]), "/c": Directory(exclude: []), "/d": Output("t", exclude: "x")})},
              |                                                             ^^^^^^^

            hint: `Directory` has: mode, owner, layer
            error: expected a list of globs, found `"x"`
             --> build.ron:4:226
              |
            4 | ), "/c": Directory(exclude: []), "/d": Output("t", exclude: "x")})},
              |                                                             ^^^

            hint: write a list: `["x"]`
        "#]],
    );
}

#[test]
fn capabilities_that_there_are_not() {
    check_files(
        r#""/a": File("a", capabilities: ["net_bind", "CAP_NET_RAW", "x", 10]), "/b": Link("/a", capabilities: [])"#,
        expect![[r#"
            error: `net_bind` is not a capability of Linux
             --> build.ron:4:110
              |
            4 |  Image(base: Static, files: {"/a": File("a", capabilities: ["net_bind", "CAP_NET_RAW", "x", 10]), "/b": Link("/a", capabilities: [])})},
              |                                                             ^^^^^^^^^^

            hint: write a name of capabilities(7), "cap_net_bind_service"
            error: `x` is not a capability of Linux
             --> build.ron:4:137
              |
            4 |  {"/a": File("a", capabilities: ["net_bind", "CAP_NET_RAW", "x", 10]), "/b": Link("/a", capabilities: [])})},
              |                                                             ^^^

            hint: write a name of capabilities(7), "cap_net_bind_service"
            error: expected a capability like "cap_net_bind_service", found `10`
             --> build.ron:4:142
              |
            4 | ": File("a", capabilities: ["net_bind", "CAP_NET_RAW", "x", 10]), "/b": Link("/a", capabilities: [])})},
              |                                                             ^^
            error: unknown field `capabilities` in `Link`
             --> build.ron:4:165
              |
            4 | es: ["net_bind", "CAP_NET_RAW", "x", 10]), "/b": Link("/a", capabilities: [])})},
              |                                                             ^^^^^^^^^^^^

            hint: `Link` has: mode, owner, layer
        "#]],
    );
}

#[test]
fn names_of_layers() {
    check_files(
        r#""/a": File("a", layer: "web"), "/b": Link("/a", layer: "outputs"), "/c": Directory(layer: "a/b"), "/d": Output("t", layer: web)"#,
        expect![[r#"
            error: `outputs` is a layer that Rondel makes itself
             --> build.ron:4:134
              |
            4 | es: {"/a": File("a", layer: "web"), "/b": Link("/a", layer: "outputs"), "/c": Directory(layer: "a/b"), "/d": Output("t", layer: web)})},
              |                                                             ^^^^^^^^^

            hint: give it another name, or leave `layer` out
            error: `a/b` can't be the name of a layer
             --> build.ron:4:169
              |
            4 |  "/b": Link("/a", layer: "outputs"), "/c": Directory(layer: "a/b"), "/d": Output("t", layer: web)})},
              |                                                             ^^^^^

            hint: it has letters, digits, `_`, `.` and `-`, a letter or digit first, and at most 63 of them
            error: expected the name of a layer, found `web`
             --> build.ron:4:202
              |
            4 | "), "/c": Directory(layer: "a/b"), "/d": Output("t", layer: web)})},
              |                                                             ^^^

            hint: texts have double quotes: `"web"`
        "#]],
    );
}

#[test]
fn a_mode_that_is_not_octal() {
    check_files(
        r#""/a": File("x", mode: 755), "/b": File("x", mode: 0o17777), "/c": File("x", mode: "755")"#,
        expect![[r#"
            error: a mode that is not octal
             --> build.ron:4:101
              |
            4 | "]), "i": Image(base: Static, files: {"/a": File("x", mode: 755), "/b": File("x", mode: 0o17777), "/c": File("x", mode: "755")})},
              |                                                             ^^^

            hint: write octal digits, `0o755`
            error: a mode has at most four octal digits
             --> build.ron:4:129
              |
            4 | , files: {"/a": File("x", mode: 755), "/b": File("x", mode: 0o17777), "/c": File("x", mode: "755")})},
              |                                                             ^^^^^^^

            hint: write octal digits, `0o755`
            error: expected a mode like `0o755`, found `"755"`
             --> build.ron:4:161
              |
            4 | 755), "/b": File("x", mode: 0o17777), "/c": File("x", mode: "755")})},
              |                                                             ^^^^^
        "#]],
    );
}

#[test]
fn owners_that_are_none() {
    check_files(
        r#""/a": File("x", owner: "1000"), "/b": File("x", owner: "app"), "/c": File("x", owner: "1:app"), "/d": File("x", owner: "a:b:c"), "/e": File("x", owner: "4294967295:0")"#,
        expect![[r#"
            error: `1000` is not an owner
             --> build.ron:4:102
              |
            4 | ]), "i": Image(base: Static, files: {"/a": File("x", owner: "1000"), "/b": File("x", owner: "app"), "/c": File("x", owner: "1:app"), "/d": F
              |                                                             ^^^^^^

            hint: write numbers, "10001:10001", or a name of the image's passwd, "nonroot"
            error: `app` is not a user of the image
             --> build.ron:4:134
              |
            4 | es: {"/a": File("x", owner: "1000"), "/b": File("x", owner: "app"), "/c": File("x", owner: "1:app"), "/d": File("x", owner: "a:b:c"), "/e":
              |                                                             ^^^^^

            hint: write numbers, "10001:10001", or one of root, nobody, nonroot
            error: `app` is not a group of the image
             --> build.ron:4:165
              |
            4 | 00"), "/b": File("x", owner: "app"), "/c": File("x", owner: "1:app"), "/d": File("x", owner: "a:b:c"), "/e": File("x", owner: "4294967295:0"
              |                                                             ^^^^^^^

            hint: write numbers, "10001:10001", or one of root, nobody, nonroot
            error: `a:b:c` is not an owner
             --> build.ron:4:198
              |
            4 | "), "/c": File("x", owner: "1:app"), "/d": File("x", owner: "a:b:c"), "/e": File("x", owner: "4294967295:0")})},
              |                                                             ^^^^^^^

            hint: write numbers, "10001:10001", or a name of the image's passwd, "nonroot"
            error: `4294967295:0` is not an owner
             --> build.ron:4:231
              |
            4 | "), "/d": File("x", owner: "a:b:c"), "/e": File("x", owner: "4294967295:0")})},
              |                                                             ^^^^^^^^^^^^^^

            hint: write numbers, "10001:10001", or a name of the image's passwd, "nonroot"
        "#]],
    );
}

#[test]
fn an_unknown_option() {
    check_files(
        r#""/a": File("x", mod: 0o755)"#,
        expect![[r#"
        error: unknown field `mod` in `File`
         --> build.ron:4:95
          |
        4 | s: ["."]), "i": Image(base: Static, files: {"/a": File("x", mod: 0o755)})},
          |                                                             ^^^

        hint: did you mean `mode`?
    "#]],
    );
}

#[test]
fn an_option_where_none_is_read() {
    check(
        r#"targets: {"a": Image(base: Static, created: File("x", mode: 0o755))}"#,
        expect![[r#"
        error: expected `Epoch`, `CommitTime` or `Env("SOURCE_DATE_EPOCH")`, found `File("x"             )`
         --> build.ron:4:49
          |
        4 |     targets: {"a": Image(base: Static, created: File("x", mode: 0o755))},
          |                                                 ^^^^^^^^^^^^^^^^^^^^^^
    "#]],
    );
}
