//! Bases, users and registries, sound and broken, and Rondel's messages about them, word for word.

mod support;

use expect_test::expect;
use support::check;

#[test]
fn bases() {
    check(
        r#"targets: {"t": GoBuild(packages: ["."]), "a": Image(base: From("alpine:3.19")), "b": Image(base: From(Output("a"))),
        "c": Image(base: Layout("image"), users: {"app": "10001:10001"}, authorities: ["ca.pem"], certificates: false)}"#,
        expect![[r#"
            no mistakes
        "#]],
    );
    check(
        r#"registries: {"docker.io": Registry(mirrors: ["m.example", "http://m.example:5000/"], plain_http: false)}, targets: {}"#,
        expect![[r#"
            no mistakes
        "#]],
    );
}

#[test]
fn broken_bases() {
    check(
        r#"targets: {"t": GoBuild(packages: ["."]), "a": Image(base: From("Alpine:3.19")), "b": Image(base: From(Output("t"))),
        "c": Image(base: Layout("../image")), "d": Image(base: Form("x")), "e": Image(base: From(Output)),
        "f": Image(base: From(Env("BASE"))), "g": Image(base: From(Output("nothing")))}"#,
        expect![[r#"
            error: `Alpine:3.19` is no image: write `[registry/]name:tag` or `[registry/]name@sha256:…`, the name in lower case
             --> build.ron:4:68
              |
            4 | gets: {"t": GoBuild(packages: ["."]), "a": Image(base: From("Alpine:3.19")), "b": Image(base: From(Output("t"))),
              |                                                             ^^^^^^^^^^^^^
            error: `../image` leaves the root
             --> build.ron:5:33
              |
            5 |         "c": Image(base: Layout("../image")), "d": Image(base: Form("x")), "e": Image(base: From(Output)),
              |                                 ^^^^^^^^^^

            hint: paths are relative to `root`
            error: expected `Static`, `From("alpine:3.19")`, `From(Output("target"))` or `Layout("path")`, found `Form("x")`
             --> build.ron:5:64
              |
            5 |      "c": Image(base: Layout("../image")), "d": Image(base: Form("x")), "e": Image(base: From(Output)),
              |                                                             ^^^^^^^^^
            error: expected `Output("target")`, found `Output`
             --> build.ron:5:98
              |
            5 | mage")), "d": Image(base: Form("x")), "e": Image(base: From(Output)),
              |                                                             ^^^^^^
            error: expected an image, "alpine:3.19" for example, found `Env("BASE")`
             --> build.ron:6:31
              |
            6 |         "f": Image(base: From(Env("BASE"))), "g": Image(base: From(Output("nothing")))},
              |                               ^^^^^^^^^^^
        "#]],
    );
    check(
        r#"targets: {"a": Image(base: From(Output("b"))), "b": Image(base: From(Output("a")))}"#,
        expect![[r#"
            error: targets wait for each other: `a` -> `b` -> `a`
             --> build.ron:4:15
              |
            4 |     targets: {"a": Image(base: From(Output("b"))), "b": Image(base: From(Output("a")))},
              |               ^^^
        "#]],
    );
}

#[test]
fn broken_users_and_registries() {
    check(
        r#"registries: {"registry": Registry(), "r.example": (mirrors: []), "s.example": Registry(mirrors: ["user:pw@m.example", "ftp://m.example"])},
        targets: {"a": Image(base: Static, entrypoint: ["/x"], users: {"nonroot": "1:1", "-x": "1:1", "y": "1", "z": "1:4294967295"}),
        "b": Image(base: From("alpine"), users: {"app": "1:1"}, files: {"/etc/passwd": File("passwd")})}"#,
        expect![[r#"
            error: `registry` is not a registry
             --> build.ron:4:18
              |
            4 |     registries: {"registry": Registry(), "r.example": (mirrors: []), "s.example": Registry(mirrors: ["user:pw@m.example", "ftp://m.example"]
              |                  ^^^^^^^^^^

            hint: write a host with a dot or a port, as in an image's name: "registry.example:5000"
            error: expected `Registry(mirrors: ["mirror.example"])`, found `(mirrors: [])`
             --> build.ron:4:55
              |
            4 |     registries: {"registry": Registry(), "r.example": (mirrors: []), "s.example": Registry(mirrors: ["user:pw@m.example", "ftp://m.example"]
              |                                                       ^^^^^^^^^^^^^
            error: `user:pw@m.example` is not a server
             --> build.ron:4:102
              |
            4 | "r.example": (mirrors: []), "s.example": Registry(mirrors: ["user:pw@m.example", "ftp://m.example"])},
              |                                                             ^^^^^^^^^^^^^^^^^^^

            hint: write a host with a dot or a port, as in an image's name: "registry.example:5000"
            error: `ftp://m.example` is not a server
             --> build.ron:4:123
              |
            4 | : []), "s.example": Registry(mirrors: ["user:pw@m.example", "ftp://m.example"])},
              |                                                             ^^^^^^^^^^^^^^^^^

            hint: write a host with a dot or a port, as in an image's name: "registry.example:5000"
            error: `nonroot` is a user of the static base
             --> build.ron:5:72
              |
            5 | gets: {"a": Image(base: Static, entrypoint: ["/x"], users: {"nonroot": "1:1", "-x": "1:1", "y": "1", "z": "1:4294967295"}),
              |                                                             ^^^^^^^^^

            hint: give it another name
            error: `-x` can't be the name of a user
             --> build.ron:5:90
              |
            5 | base: Static, entrypoint: ["/x"], users: {"nonroot": "1:1", "-x": "1:1", "y": "1", "z": "1:4294967295"}),
              |                                                             ^^^^
            error: expected the numbers of a user and its group, "10001:10001", found `"1"`
             --> build.ron:5:108
              |
            5 | ypoint: ["/x"], users: {"nonroot": "1:1", "-x": "1:1", "y": "1", "z": "1:4294967295"}),
              |                                                             ^^^
            error: expected the numbers of a user and its group, "10001:10001", found `"1:4294967295"`
             --> build.ron:5:118
              |
            5 | /x"], users: {"nonroot": "1:1", "-x": "1:1", "y": "1", "z": "1:4294967295"}),
              |                                                             ^^^^^^^^^^^^^^
            error: `app` is added to the users of the base, and `/etc/passwd` is put over them
             --> build.ron:6:50
              |
            6 |         "b": Image(base: From("alpine"), users: {"app": "1:1"}, files: {"/etc/passwd": File("passwd")})},
              |                                                  ^^^^^

            hint: write the user into your own file, or leave that out
        "#]],
    );
}
