//! Images that no engine would take, and Rondel's messages about them, word for word.

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
fn sound_options() {
    let files = r#""/a": Output("t", mode: 0o555, owner: "nobody:root",), "/b": File( r"b" /* c */, // d
        owner: "1:2", mode: 0o4755)"#;
    check_files(
        files,
        expect![[r#"
        no mistakes
    "#]],
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
fn health_checks_that_can_not_be() {
    let images = [
        r#"Command([])"#,
        r#"Command("/app health")"#,
        r#"Command(["/app"], ["x"])"#,
        r#"Command(["/app", "{no}"], interval_s: 0, port: 1)"#,
        "Tcp(port: 1)",
    ];
    let images: Vec<String> = images
        .iter()
        .enumerate()
        .map(|(number, health)| format!("\n\"i{number}\": Image(base: Static, health: {health})"))
        .collect();
    check(
        &format!("targets: {{{}}}", images.join(", ")),
        expect![[r#"
        error: the command is empty
         --> build.ron:5:43
          |
        5 | "i0": Image(base: Static, health: Command([])),
          |                                           ^^
        error: expected a list of texts, found `"/app health"`
         --> build.ron:6:43
          |
        6 | "i1": Image(base: Static, health: Command("/app health")),
          |                                           ^^^^^^^^^^^^^
        error: `Command` takes one list of texts
         --> build.ron:7:35
          |
        7 | "i2": Image(base: Static, health: Command(["/app"], ["x"])),
          |                                   ^^^^^^^^^^^^^^^^^^^^^^^^
        error: there is no variable `no`
         --> build.ron:8:52
          |
        8 | "i3": Image(base: Static, health: Command(["/app", "{no}"], interval_s: 0, port: 1)),
          |                                                    ^^^^^^

        hint: declare it under `vars`, or write `{{no}}` for a literal brace
        error: expected between 1 and 86400 seconds
         --> build.ron:8:73
          |
        8 | base: Static, health: Command(["/app", "{no}"], interval_s: 0, port: 1)),
          |                                                             ^
        error: unknown field `port` in `Command`
         --> build.ron:8:76
          |
        8 | e: Static, health: Command(["/app", "{no}"], interval_s: 0, port: 1)),
          |                                                             ^^^^

        hint: `Command` has: interval_s, timeout_s, retries, start_period_s
        error: expected `Http(port: 8080, path: "/health")` or `Command(["/app", "health"])`, found `Tcp(port: 1)`
         --> build.ron:9:35
          |
        9 | "i4": Image(base: Static, health: Tcp(port: 1))},
          |                                   ^^^^^^^^^^^^
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
        "#]],
    );
}

#[test]
fn links_and_directories_that_can_not_be() {
    check_files(
        r#""/a": Link("x", mode: 0o777), "/b": Link(""), "/c": Directory(0o755), "/d": Directory(modus: 1), "/e": Lnk("x")"#,
        expect![[r#"
            error: a link has no mode of its own
             --> build.ron:4:85
              |
            4 | ld(packages: ["."]), "i": Image(base: Static, files: {"/a": Link("x", mode: 0o777), "/b": Link(""), "/c": Directory(0o755), "/d": Directory(
              |                                                             ^^^^^^^^^^^^^^^^^^^^^^

            hint: leave `mode` out
            error: a link leads to a path of 1 to 4095 bytes
             --> build.ron:4:120
              |
            4 | e: Static, files: {"/a": Link("x", mode: 0o777), "/b": Link(""), "/c": Directory(0o755), "/d": Directory(modus: 1), "/e": Lnk("x")})},
              |                                                             ^^
            error: found invalid std identifier "0o755", try the raw identifier `r#0o755` instead (expected fields in parentheses, `(name: value, …)`)
             --> build.ron:4:141
              |
            4 | a": Link("x", mode: 0o777), "/b": Link(""), "/c": Directory(0o755), "/d": Directory(modus: 1), "/e": Lnk("x")})},
              |                                                             ^
            error: unknown field `modus` in `Directory`
             --> build.ron:4:165
              |
            4 | 7), "/b": Link(""), "/c": Directory(0o755), "/d": Directory(modus: 1), "/e": Lnk("x")})},
              |                                                             ^^^^^

            hint: `Directory` has: mode, owner, layer
            error: expected `Output("target")`, `File("path")`, `Link("/target")` or `Directory(mode: 0o750)`, found `Lnk("x")`
             --> build.ron:4:182
              |
            4 | ), "/c": Directory(0o755), "/d": Directory(modus: 1), "/e": Lnk("x")})},
              |                                                             ^^^^^^^^
        "#]],
    );
    check(
        r#"targets: {"i": Image(base: Static, entrypoint: ["/x"], files: {"/etc": Link("/usr/etc"), "/l": Link("m"), "/l/x": Directory},
        volumes: ["data", "/proc/x"], stop_signal: "QUIT")}"#,
        expect![[r#"
            error: `/etc` is a directory of the image, and a link is a file
             --> build.ron:4:68
              |
            4 | gets: {"i": Image(base: Static, entrypoint: ["/x"], files: {"/etc": Link("/usr/etc"), "/l": Link("m"), "/l/x": Directory},
              |                                                             ^^^^^^

            hint: give it a path below
            error: `/l/x` is below `/l`, which is a link
             --> build.ron:4:111
              |
            4 |  ["/x"], files: {"/etc": Link("/usr/etc"), "/l": Link("m"), "/l/x": Directory},
              |                                                             ^^^^^^

            hint: give one of them another path
            error: `data` is not an absolute path of a file
             --> build.ron:5:19
              |
            5 |         volumes: ["data", "/proc/x"], stop_signal: "QUIT")},
              |                   ^^^^^^

            hint: write "/app/name"
            error: `/proc/x` can't be in an image: `/proc` belongs to the kernel of the container
             --> build.ron:5:27
              |
            5 |         volumes: ["data", "/proc/x"], stop_signal: "QUIT")},
              |                           ^^^^^^^^^

            hint: put it elsewhere
            error: `QUIT` is not a signal of Linux
             --> build.ron:5:52
              |
            5 |         volumes: ["data", "/proc/x"], stop_signal: "QUIT")},
              |                                                    ^^^^^^

            hint: write "SIGTERM", "SIGQUIT" or "SIGINT"
        "#]],
    );
}

#[test]
fn a_file_below_a_file_of_the_base() {
    check_files(
        r#""/etc/passwd/x": File("b")"#,
        expect![[r#"
        error: `/etc/passwd/x` is below `/etc/passwd`, a file of the static base
         --> build.ron:4:79
          |
        4 |  GoBuild(packages: ["."]), "i": Image(base: Static, files: {"/etc/passwd/x": File("b")})},
          |                                                             ^^^^^^^^^^^^^^^

        hint: give it another path
    "#]],
    );
}

#[test]
fn an_output_in_place_of_a_directory() {
    check_files(
        r#""/tmp": Output("t")"#,
        expect![[r#"
        error: `/tmp` is a directory of the image, and the output of a target is a file
         --> build.ron:4:79
          |
        4 |  GoBuild(packages: ["."]), "i": Image(base: Static, files: {"/tmp": Output("t")})},
          |                                                             ^^^^^^

        hint: give it a path below
    "#]],
    );
}

#[test]
fn places_of_the_kernel_and_whiteouts() {
    check_files(
        r#""/dev/x": File("x"), "/proc": File("x"), "/devices": File("x"), "/a/.wh.b": File("x"), "/sys/a": File("x")"#,
        expect![[r#"
            error: `/dev/x` can't be in an image: `/dev` belongs to the kernel of the container
             --> build.ron:4:79
              |
            4 |  GoBuild(packages: ["."]), "i": Image(base: Static, files: {"/dev/x": File("x"), "/proc": File("x"), "/devices": File("x"), "/a/.wh.b": File
              |                                                             ^^^^^^^^

            hint: put it elsewhere
            error: `/proc` can't be in an image: `/proc` belongs to the kernel of the container
             --> build.ron:4:100
              |
            4 | ."]), "i": Image(base: Static, files: {"/dev/x": File("x"), "/proc": File("x"), "/devices": File("x"), "/a/.wh.b": File("x"), "/sys/a": File
              |                                                             ^^^^^^^

            hint: put it elsewhere
            error: `.wh.b` can't be in an image: such a name removes a file
             --> build.ron:4:143
              |
            4 | v/x": File("x"), "/proc": File("x"), "/devices": File("x"), "/a/.wh.b": File("x"), "/sys/a": File("x")})},
              |                                                             ^^^^^^^^^^

            hint: give it a name that does not begin with `.wh.`
            error: `/sys/a` can't be in an image: `/sys` belongs to the kernel of the container
             --> build.ron:4:166
              |
            4 | ": File("x"), "/devices": File("x"), "/a/.wh.b": File("x"), "/sys/a": File("x")})},
              |                                                             ^^^^^^^^

            hint: put it elsewhere
        "#]],
    );
}

#[test]
fn the_same_path_twice() {
    check_files(
        r#""/a": File("x"), "/a": File("y")"#,
        expect![[r#"
        error: file `/a` is given twice
         --> build.ron:4:96
          |
        4 | : ["."]), "i": Image(base: Static, files: {"/a": File("x"), "/a": File("y")})},
          |                                                             ^^^^

        hint: remove one of the two
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

#[test]
fn tags_and_directories() {
    check(
        r#"targets: {"i": Image(base: Static, tags: ["council:v1/x", "a/b:v1", "a..b"], workdir: "app"), "d": DockerBuild(tags: ["A"])}"#,
        expect![[r#"
            error: `council:v1/x` can't name an image: write `[registry/]name:tag`, the name in lower case
             --> build.ron:4:47
              |
            4 |     targets: {"i": Image(base: Static, tags: ["council:v1/x", "a/b:v1", "a..b"], workdir: "app"), "d": DockerBuild(tags: ["A"])},
              |                                               ^^^^^^^^^^^^^^
            error: `a..b` can't name an image: write `[registry/]name:tag`, the name in lower case
             --> build.ron:4:73
              |
            4 |  {"i": Image(base: Static, tags: ["council:v1/x", "a/b:v1", "a..b"], workdir: "app"), "d": DockerBuild(tags: ["A"])},
              |                                                             ^^^^^^
            error: `app` is not an absolute path
             --> build.ron:4:91
              |
            4 |  Static, tags: ["council:v1/x", "a/b:v1", "a..b"], workdir: "app"), "d": DockerBuild(tags: ["A"])},
              |                                                             ^^^^^

            hint: write "/app"
            error: `A` can't name an image: write `[registry/]name:tag`, the name in lower case
             --> build.ron:4:123
              |
            4 | "a/b:v1", "a..b"], workdir: "app"), "d": DockerBuild(tags: ["A"])},
              |                                                             ^^^
        "#]],
    );
}

#[test]
fn archives_that_are_no_file_of_their_own() {
    let of = |archive: &str| format!(r#""i": Image(base: Static, entrypoint: ["/x"], archive: "{archive}")"#);
    for (archive, expected) in [
        (
            "dist/i.tar",
            expect![[r#"
            no mistakes
        "#]],
        ),
        (
            "dist/i/i.tar",
            expect![[r#"
            error: `i` writes `dist/i` and `dist/i/i.tar`: one lies in the other
             --> build.ron:4:69
              |
            4 | ets: {"i": Image(base: Static, entrypoint: ["/x"], archive: "dist/i/i.tar")},
              |                                                             ^^^^^^^^^^^^^^

            hint: give one of them another output
        "#]],
        ),
        (
            "dist/",
            expect![[r#"
            error: `dist/` is a directory: expected a file
             --> build.ron:4:69
              |
            4 | ets: {"i": Image(base: Static, entrypoint: ["/x"], archive: "dist/")},
              |                                                             ^^^^^^^

            hint: `archive` is one file: "dist/image.tar"
        "#]],
        ),
        (
            "build.ron",
            expect![[r#"
            error: `i` can't write `build.ron`: it decides what is built
             --> build.ron:4:69
              |
            4 | ets: {"i": Image(base: Static, entrypoint: ["/x"], archive: "build.ron")},
              |                                                             ^^^^^^^^^^^

            hint: give the output another name
        "#]],
        ),
        (
            "/i.tar",
            expect![[r#"
            error: `/i.tar` leaves the root
             --> build.ron:4:69
              |
            4 | ets: {"i": Image(base: Static, entrypoint: ["/x"], archive: "/i.tar")},
              |                                                             ^^^^^^^^

            hint: paths are relative to `root`
        "#]],
        ),
    ] {
        check(&format!("targets: {{{}}}", of(archive)), expected);
    }
    check(
        &format!("targets: {{{}, \"x\": Exec(command: [\"y\"], outputs: [\"dist/i.tar\"])}}", of("dist/i.tar")),
        expect![[r#"
            error: `x` and `i` both write `dist/i.tar`
             --> build.ron:4:120
              |
            4 | archive: "dist/i.tar"), "x": Exec(command: ["y"], outputs: ["dist/i.tar"])},
              |                                                             ^^^^^^^^^^^^

            hint: give one of them another output
        "#]],
    );
}

#[test]
fn compressions() {
    for (compression, expected) in [
        (
            "Gzip",
            expect![[r#"
            no mistakes
        "#]],
        ),
        (
            "Zstd(9)",
            expect![[r#"
            no mistakes
        "#]],
        ),
        (
            "Zstd",
            expect![[r#"
            error: expected `Gzip` or `Zstd(3)`, found `Zstd`
             --> build.ron:4:73
              |
            4 |  {"i": Image(base: Static, entrypoint: ["/x"], compression: Zstd)},
              |                                                             ^^^^
        "#]],
        ),
        (
            "Zstd(22)",
            expect![[r#"
                error: expected a level between 3 and 9
                 --> build.ron:4:78
                  |
                4 | : Image(base: Static, entrypoint: ["/x"], compression: Zstd(22))},
                  |                                                             ^^
            "#]],
        ),
        (
            "Zstd(1, 2)",
            expect![[r#"
            error: expected `Gzip` or `Zstd(3)`, found `Zstd(1, 2)`
             --> build.ron:4:73
              |
            4 |  {"i": Image(base: Static, entrypoint: ["/x"], compression: Zstd(1, 2))},
              |                                                             ^^^^^^^^^^
        "#]],
        ),
        (
            "Zstd(\"3\")",
            expect![[r#"
                error: expected a level between 3 and 9, found `"3"`
                 --> build.ron:4:78
                  |
                4 | : Image(base: Static, entrypoint: ["/x"], compression: Zstd("3"))},
                  |                                                             ^^^
            "#]],
        ),
        (
            "Brotli",
            expect![[r#"
            error: expected `Gzip` or `Zstd(3)`, found `Brotli`
             --> build.ron:4:73
              |
            4 |  {"i": Image(base: Static, entrypoint: ["/x"], compression: Brotli)},
              |                                                             ^^^^^^
        "#]],
        ),
    ] {
        check(
            &format!("targets: {{\"i\": Image(base: Static, entrypoint: [\"/x\"], compression: {compression})}}"),
            expected,
        );
    }
}
