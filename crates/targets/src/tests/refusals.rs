//! Errors of the analysis, and their texts.

use expect_test::{Expect, expect};

use super::Space;
use crate::PlatformChoice;

fn refused(space: &Space, build_ron: &str, target: &str, expected: Expect) {
    let error = space.analyze(build_ron, &[target]).err().unwrap_or_else(|| "nothing was refused".to_owned());
    expected.assert_eq(&error);
}

#[test]
fn builds() {
    let space = Space::new();
    let check = |fields: &str, expected| {
        refused(&space, &format!(r#""server": GoBuild(packages: ["."], {fields})"#), "server", expected);
    };
    check(
        r#"env: {"GOFLAGS": "-x"}"#,
        expect![[r#"
        `GOFLAGS` is set by Rondel itself
        hint: flags have fields of their own: `tags`, `ldflags`, `gcflags`, `buildmode`"#]],
    );
    check(
        r#"env: {"GOOS": "linux"}"#,
        expect![[r#"
        `GOOS` is set by Rondel itself
        hint: platforms are given in `platforms`, the toolchain in `go`"#]],
    );
    check(
        r#"env: {"CGO_CFLAGS": "-O2"}"#,
        expect![[r#"
        `CGO_CFLAGS`: this `GoBuild` builds without cgo
        hint: write `cgo: true`"#]],
    );
    check(
        r#"ldflags: ["-linkmode=external"]"#,
        expect![[r#"
        `-linkmode=external` links with a C linker
        hint: write `cgo: true`"#]],
    );
    check(
        r#"stamp: {"main.v": Env("UNSET")}"#,
        expect![[r#"
        the environment variable `UNSET` is not set
        hint: set UNSET, or give a default: Env("UNSET", "…")"#]],
    );
    check(
        r#"cgo: true"#,
        expect![[r#"
        cgo needs a C compiler, and neither `gcc` nor `cc` nor `clang` is on PATH
        hint: install gcc, or build without cgo"#]],
    );
    refused(
        &space,
        r#""server": GoBuild(packages: ["-race"])"#,
        "server",
        expect![[r#"
        `-race` is a flag, not a package
        hint: flags have fields of their own: `tags`, `ldflags`, `gcflags`"#]],
    );
}

#[test]
fn platforms() {
    let mut space = Space::new();
    space.platforms = PlatformChoice::Some(vec![rondel_buildfile::Platform::new("windows/amd64").unwrap()]);
    refused(
        &space,
        r#""server": GoBuild(packages: ["."])"#,
        "server",
        expect![[r#"
        `server` is not declared for windows/amd64
        hint: it is for linux/amd64, linux/arm64; add the platform to `platforms` in build.ron"#]],
    );
}

#[test]
fn commands() {
    let space = Space::new();
    refused(
        &space,
        r#""x": Exec(command: ["no-such-program"])"#,
        "x",
        expect![[r#"
        `no-such-program` was not found on PATH
        hint: install it, or correct `command`"#]],
    );
    refused(
        &space,
        r#""x": Exec(command: [Tool("stringer")])"#,
        "x",
        expect![[r#"
        go.mod has no tool `stringer`
        hint: write its import path, or add it: `go get -tool IMPORT-PATH` (Go 1.24 and later)"#]],
    );
    refused(
        &space,
        r#""x": Exec(command: ["protoc"], env: {"A": Secret("NOT_SET")})"#,
        "x",
        expect![[r#"
        the secret `NOT_SET` is not set
        hint: put it into the environment variable NOT_SET"#]],
    );
    refused(&space, r#""up": ComposeUp()"#, "up", expect!["there is no compose file `docker-compose.yml`"]);
}

#[test]
fn images() {
    let space = Space::new();
    let check = |fields: &str, expected| {
        refused(&space, &format!(r#""image": Image(base: Static, {fields})"#), "image", expected);
    };
    check(
        r#"files: {"/x": File("go.mod")}"#,
        expect![[r#"
        `image` has no `entrypoint`, and its files do not give one
        hint: give it an `entrypoint`"#]],
    );
    check(
        r#"entrypoint: ["/x"], user: "somebody""#,
        expect![[r#"
        `somebody` is not a user of the static base
        hint: write numbers, "10001:10001", or `nonroot`, `nobody`, `root`"#]],
    );
    check(
        r#"entrypoint: ["/x"], tags: ["UPPER CASE"]"#,
        expect!["`UPPER CASE` can't name an image: write `[registry/]name:tag`, the name in lower case"],
    );
    check(
        r#"entrypoint: ["/x"], created: CommitTime"#,
        expect![[r#"
        `created: CommitTime`, but git has no commit here
        hint: write `created: Epoch`"#]],
    );
}

#[test]
fn variables_and_arguments() {
    let mut space = Space::new();
    space.overrides.insert("verison".to_owned(), "x".to_owned());
    refused(
        &space,
        r#""x": Shell("true")"#,
        "x",
        expect![[r#"
        --set: there is no variable `verison`
        hint: did you mean `version`?"#]],
    );
    let mut space = Space::new();
    space.arguments = vec!["-v".to_owned()];
    refused(
        &space,
        r#""x": Shell("true")"#,
        "x",
        expect![[r#"
        none of the targets takes arguments after `--`
        hint: `GoTest`, `DockerRun` and `Exec` do"#]],
    );
}
