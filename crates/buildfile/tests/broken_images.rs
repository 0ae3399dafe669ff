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

            hint: write a list: `["/app", "health"]`
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
