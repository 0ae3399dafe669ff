//! Errors of the analysis, and their texts.

use expect_test::{Expect, expect};

use super::Space;
use crate::PlatformChoice;

pub(super) fn refused(space: &Space, build_ron: &str, target: &str, expected: Expect) {
    let error = space.analyze(build_ron, &[target]).err().unwrap_or_else(|| "nothing was refused".to_owned());
    expected.assert_eq(&error);
}

#[test]
fn files_of_variables() {
    let space = Space::new();
    let check = |text: &str, expected| {
        space.write(".env", text);
        refused(&space, r#""a": Exec(command: ["sh"], env_file: [".env"])"#, "a", expected);
    };
    check(
        "A=1\nexport B=canary\n",
        expect![[r#"
        input: `.env`, line 2: there is white space in the name
        at: ".env"
        hint: write NAME=value, without `export` and without spaces"#]],
    );
    check(
        "=canary\n",
        expect![[r#"
        input: `.env`, line 1: there is no name before `=`
        at: ".env"
        hint: write NAME=value"#]],
    );
    refused(
        &space,
        r#""a": Shell("x", env_file: ["none"])"#,
        "a",
        expect![[r#"
        input: there is no file `none`
        at: "none"
        hint: make it, or write `Optional("none")` if it may be missing"#]],
    );
    let made =
        r#""a": Shell("x", env_file: ["made"], after: ["m"]), "m": Shell("x", inputs: ["*.go"], outputs: ["made"])"#;
    space.write("made", "");
    refused(
        &space,
        made,
        "a",
        expect![[r#"
            input: `made` is made by `m`, and environment files are read before anything runs
            at: "made"
            hint: read it in the script itself: `. ./file`"#]],
    );
    space.write(".env", "GOFLAGS=-x\n");
    refused(
        &space,
        r#""t": GoTest(packages: ["."], env_file: [".env"])"#,
        "t",
        expect![[r#"
        input: `GOFLAGS` is set by Rondel itself
        at: ".env"
        hint: flags have fields of their own, such as `tags`"#]],
    );
}

#[test]
fn flags_and_settings_of_builds() {
    let space = Space::new();
    let check = |fields: &str, expected| {
        refused(&space, &format!(r#""server": GoBuild(packages: ["."], {fields})"#), "server", expected);
    };
    check(
        r#"ldflags: ["-linkmode=external"]"#,
        expect![[r#"
            input: `-linkmode=external` links with a C linker
            at: "-linkmode=external"
            hint: write `cgo: true`"#]],
    );
    check(
        r#"ldflags: ["-s", "-extldflags=-static"]"#,
        expect![[r#"
        input: `-extldflags=-static` does nothing: it is for a C linker, and only cgo uses one
        at: "-extldflags=-static"
        hint: leave it out: the executable is static already"#]],
    );
    check(
        r#"ldflags: ["-extldflags", "-static"]"#,
        expect![[r#"
        input: `-extldflags` does nothing: it is for a C linker, and only cgo uses one
        at: "-extldflags"
        hint: leave it out: the executable is static already"#]],
    );
    check(
        r#"buildmode: "pie", ldflags: ["-extldflags '-static'"]"#,
        expect![[r#"
        input: `-extldflags '-static'` does nothing: it is for a C linker, and only cgo uses one
        at: "-extldflags '-static'"
        hint: leave it out, or write `cgo: true`"#]],
    );
    check(
        r#"tags: ["x", Env("TAGS", "a,b")]"#,
        expect![[r#"
        input: `a,b` is 2 build tags in one text
        at: Env("TAGS", "a,b")
        hint: a text gives one tag, or is empty"#]],
    );
    check(
        r#"by_platform: {"linux/amd64": (env: {"CC": "x"})}"#,
        expect![[r#"
        input: `CC`: this `GoBuild` builds without cgo
        at: "CC"
        hint: write `cgo: true`"#]],
    );
    check(
        r#"by_platform: {"*/amd64": (env: {"GOFLAGS": "x"}), "*/arm64": (env: {"GOOS": "x"})}"#,
        expect![[r#"
        input: `GOFLAGS` is set by Rondel itself
        at: "GOFLAGS"
        hint: flags have fields of their own, such as `tags`"#]],
    );
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
            input: `GOFLAGS` is set by Rondel itself
            at: "GOFLAGS"
            hint: flags have fields of their own, such as `tags`"#]],
    );
    check(
        r#"env: {"GOOS": "linux"}"#,
        expect![[r#"
            input: `GOOS` is set by Rondel itself
            at: "GOOS"
            hint: platforms are given in `platforms`, the toolchain in `go`"#]],
    );
    check(
        r#"env: {"CGO_ENABLED": "1"}"#,
        expect![[r#"
        input: `CGO_ENABLED` is set by Rondel itself
        at: "CGO_ENABLED"
        hint: write `cgo: true`"#]],
    );
    check(
        r#"env: {"CGO_LDFLAGS": "-lm"}"#,
        expect![[r#"
        input: `CGO_LDFLAGS`: this `GoBuild` builds without cgo
        at: "CGO_LDFLAGS"
        hint: write `cgo: true`"#]],
    );
    check(
        r#"env: {"CGO_CFLAGS": "-O2"}"#,
        expect![[r#"
            input: `CGO_CFLAGS`: this `GoBuild` builds without cgo
            at: "CGO_CFLAGS"
            hint: write `cgo: true`"#]],
    );
    check(
        r#"stamp: {"main.v": Env("UNSET")}"#,
        expect![[r#"
            environment: the environment variable `UNSET` is not set
            at: Env("UNSET")
            hint: set UNSET, or give a default: Env("UNSET", "…")"#]],
    );
    check(
        r#"cgo: true"#,
        expect![[r#"
            environment: cgo needs a C compiler, and neither `gcc` nor `cc` nor `clang` is on PATH
            hint: install gcc, or build without cgo"#]],
    );
    refused(
        &space,
        r#""server": GoBuild(packages: ["-race"])"#,
        "server",
        expect![[r#"
            input: `-race` is a flag, not a package
            at: "-race"
            hint: flags have fields of their own: `tags`, `ldflags`, `gcflags`"#]],
    );
}

#[test]
fn build_modes_and_packages() {
    let mut space = Space::new();
    let check = |space: &Space, fields: &str, expected| {
        refused(space, &format!(r#""server": GoBuild({fields})"#), "server", expected);
    };
    for (mode, expected) in [
        (
            "c-shared",
            expect![[r#"
            input: `-buildmode=c-shared` needs cgo and makes a library: `GoBuild` makes executables
            at: "c-shared"
            hint: build it with an `Exec`: command: ["go", "build", …]"#]],
        ),
        (
            "c-archive",
            expect![[r#"
            input: `-buildmode=c-archive` needs cgo and makes a library: `GoBuild` makes executables
            at: "c-archive"
            hint: build it with an `Exec`: command: ["go", "build", …]"#]],
        ),
        (
            "plugin",
            expect![[r#"
            input: `-buildmode=plugin` needs cgo and makes a library: `GoBuild` makes executables
            at: "plugin"
            hint: build it with an `Exec`: command: ["go", "build", …]"#]],
        ),
        (
            "shared",
            expect![[r#"
            input: `-buildmode=shared` needs cgo and makes a library: `GoBuild` makes executables
            at: "shared"
            hint: build it with an `Exec`: command: ["go", "build", …]"#]],
        ),
    ] {
        check(&space, &format!(r#"packages: ["."], buildmode: "{mode}""#), expected);
    }
    check(
        &space,
        r#"packages: ["./cmd/…"]"#,
        expect![[r#"
            input: a package pattern has three dots, and this is one character (`…`)
            at: "./cmd/…"
            hint: write "./cmd/...""#]],
    );
    space.replace_in_head("linux/arm64", "linux/386");
    space.platforms = PlatformChoice::All;
    check(
        &space,
        r#"packages: ["."], buildmode: "pie""#,
        expect![[r#"
        input: `buildmode: "pie"` for linux/386 needs a C linker, so cgo
        hint: write `cgo: true`, or leave `buildmode` out"#]],
    );
}

#[test]
fn variants() {
    let mut space = Space::new();
    let build = r#""server": GoBuild(packages: ["."])"#;
    space.platforms = PlatformChoice::All;
    space.replace_in_head("linux/arm64", "linux/arm/v8");
    refused(
        &space,
        build,
        "server",
        expect![[r#"
        input: `linux/arm/v8` is not a platform that Go knows
        at: "linux/arm/v8"
        hint: did you mean `linux/arm`?"#]],
    );
    space.replace_in_head("linux/arm/v8", "linux/arm64/v9");
    refused(
        &space,
        build,
        "server",
        expect![[r#"
        input: linux/arm64/v9: Go 1.22.12 does not know GOARM64 (1.23 does)
        hint: leave the variant out, or raise `go`"#]],
    );
    space.replace_in_head(r#""linux/amd64", "linux/arm64/v9""#, r#""linux/amd64/v2""#);
    refused(
        &space,
        r#""server": GoBuild(packages: ["."], env: {"GOAMD64": "v3"})"#,
        "server",
        expect![[r#"
            input: `GOAMD64` and the platform linux/amd64/v2 both set the variant
            at: "GOAMD64"
            hint: remove one of the two"#]],
    );
}

#[test]
fn limits() {
    let space = Space::new();
    let check = |field: &str, expected| {
        refused(&space, &format!(r#""x": Shell(script: "true", {field})"#), "x", expected);
    };
    check(
        "retries: 11",
        expect![[r#"
        input: expected at most 10 retries
        at: 11"#]],
    );
    check(
        "retries: -1",
        expect![[r#"
        input: expected a number of tries, found `-1`
        at: -1"#]],
    );
    check(
        "timeout_s: 0",
        expect![[r#"
        input: expected between 1 and 86400 seconds
        at: 0"#]],
    );
    check(
        "pool: 3",
        expect![[r#"
        input: expected the name of a pool, found `3`
        at: 3"#]],
    );
    refused(
        &space,
        r#""g": Group(targets: [], pool: "x")"#,
        "g",
        expect![[r#"
            input: unknown field `pool` in `Group`
            at: pool
            hint: `Group` has: doc, after, private, group, aliases, params, requires, platforms_of_host, preconditions, confirm, targets, parallel"#]],
    );
}

#[test]
fn versions_of_go() {
    let build = r#""server": GoBuild(packages: ["."])"#;
    let mut space = Space::new();
    space.write("go.mod", "module example.com/small\n\ngo 1.25\n");
    refused(
        &space,
        build,
        "server",
        expect![[r#"
        input: go.mod asks for Go 1.25, and build.ron says Go 1.22.12
        at: Version("1.22.12")
        hint: raise `go:` in build.ron, then run `{this program} lock`"#]],
    );
    space.write("go.mod", "module example.com/small\n\ngo 1.22\n");
    space.replace_in_head("1.22.12", "1.22.11");
    refused(
        &space,
        build,
        "server",
        expect![[r#"
            input: build.ron asks for Go 1.22.11, and build.lock pins Go 1.22.12
            at: Version("1.22.11")
            hint: run `{this program} lock` and commit build.lock"#]],
    );
    // What go.mod says is wanted too, and its `toolchain` line above its `go` line.
    space.replace_in_head(r#"Version("1.22.11")"#, "FromGoMod");
    space.write("go.mod", "module example.com/small\n\ngo 1.22.12\n");
    assert!(space.analyze(build, &["server"]).is_ok());
    space.write("go.mod", "module example.com/small\n\ngo 1.22.12\n\ntoolchain go1.23.4\n");
    refused(
        &space,
        build,
        "server",
        expect![[r#"
            input: go.mod asks for Go 1.23.4, and build.lock pins Go 1.22.12
            at: FromGoMod
            hint: run `{this program} lock` and commit build.lock"#]],
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
            input: `server` is not declared for windows/amd64
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
            environment: `no-such-program` was not found on PATH
            at: "x"
            hint: install it, or correct `command`"#]],
    );
    // One that is needed later on is said before the first command runs.
    refused(
        &space,
        r#""first": Exec(command: ["protoc"]), "second": Exec(command: ["no-such-program"]),
            "all": Group(targets: ["first", "second"])"#,
        "all",
        expect![[r#"
            environment: `no-such-program` was not found on PATH
            at: "second"
            hint: install it, or correct `command`"#]],
    );
    refused(
        &space,
        r#""x": Exec(command: [Tool("stringer")])"#,
        "x",
        expect![[r#"
            input: go.mod has no tool `stringer`
            at: Tool("stringer")
            hint: write its import path, or add it: `go get -tool IMPORT-PATH` (Go 1.24 and later)"#]],
    );
    refused(
        &space,
        r#""x": Exec(command: ["protoc"], env: {"A": Secret("NOT_SET")})"#,
        "x",
        expect![[r#"
            environment: the secret `NOT_SET` is not set
            at: Secret("NOT_SET")
            hint: put it into the environment variable NOT_SET"#]],
    );
    refused(
        &space,
        r#""up": ComposeUp()"#,
        "up",
        expect![[r#"
            input: there is no compose file `docker-compose.yml`
            at: ComposeUp"#]],
    );
}

#[test]
fn outputs_in_images() {
    let space = Space::new();
    let check = |output: &str, expected| {
        let text = format!(
            r#""two": Exec(command: ["protoc"], inputs: ["*.go"], outputs: ["gen/a", "gen/b/", "other/a"]),
            "image": Image(base: Static, entrypoint: ["/x"], files: {{"/x": {output}}})"#
        );
        refused(&space, &text, "image", expected);
    };
    check(
        r#"Output("two", "gen/c")"#,
        expect![[r#"
        input: `two` declares no output `gen/c`
        at: Output("two", "gen/c")
        hint: did you mean `gen/a`? its outputs are: gen/a, gen/b, other/a"#]],
    );
    check(
        r#"Output("two", "a", mode: 0o755)"#,
        expect![[r#"
        input: several outputs of `two` are called `a`: gen/a, other/a
        at: Output("two", "a", mode: 0o755)
        hint: write `Output("two", "gen/a")`"#]],
    );
    check(r#"Output("two", "gen/a")"#, expect!["nothing was refused"]);
    check(r#"Output("two", "b")"#, expect!["nothing was refused"]);
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
            input: `image` has no `entrypoint`, and its files do not give one
            at: "image"
            hint: give it an `entrypoint`"#]],
    );
    check(
        r#"entrypoint: ["/x"], user: "somebody""#,
        expect![[r#"
            input: `somebody` is not a user of the static base
            at: "somebody"
            hint: write numbers, "10001:10001", or `nonroot`, `nobody`, `root`"#]],
    );
    check(
        r#"entrypoint: ["/x"], tags: ["UPPER CASE"]"#,
        expect![[r#"
            input: `UPPER CASE` can't name an image: write `[registry/]name:tag`, the name in lower case
            at: "UPPER CASE""#]],
    );
    check(
        r#"entrypoint: ["/x"], created: CommitTime"#,
        expect![[r#"
            environment: `created: CommitTime`, but git has no commit here
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
            input: --set: there is no variable `verison`
            hint: did you mean `version`?"#]],
    );
    let mut space = Space::new();
    space.arguments = vec!["-v".to_owned()];
    refused(
        &space,
        r#""x": Shell("true")"#,
        "x",
        expect![[r#"
            input: none of the targets takes arguments after `--`
            hint: `GoTest`, `DockerRun` and `Exec` do"#]],
    );
}

#[test]
fn variables_of_the_environment() {
    let text = r#""a": Exec(command: ["protoc", Env("VALUE")]), "b": Exec(command: ["protoc"])"#;
    let mut space = Space::new();
    refused(
        &space,
        text,
        "a",
        expect![[r#"
        environment: the environment variable `VALUE` is not set
        at: Env("VALUE")
        hint: set VALUE, or give a default: Env("VALUE", "…")"#]],
    );
    assert!(space.analyze(text, &["b"]).is_ok(), "what is not asked for is not missed");
    space.environment.insert("VALUE".to_owned(), "x".to_owned());
    assert!(space.analyze(text, &["a"]).is_ok());
}

#[test]
fn dirt_without_sources() {
    let mut space = Space::new();
    space.write(".git/HEAD", &format!("{}\n", "ab".repeat(20)));
    space.replace_in_head(r#""version": "v1.2.3""#, r#""dirty": Git(Dirty, ""), "version": "v1{dirty}""#);
    refused(
        &space,
        r#""test": GoTest(packages: ["./..."], run: "{version}")"#,
        "test",
        expect![[r#"
            input: `Git(Dirty)` can't be used here
            at: Git(Dirty, "")
            hint: it is for `GoBuild`, `Image`, `DockerBuild`, `Template`, `Exec` and `Shell`, whose sources can be dirty"#]],
    );
}

#[cfg(not(feature = "signing"))]
#[test]
fn signing_that_was_not_compiled_in() {
    let space = Space::new();
    let sign = r#"Sign(key: Secret("K"), public_key: "cosign.pub")"#;
    let text =
        format!("\"x\": GoBuild(packages: [\".\"]), \"rel\": Release(builds: [\"x\"], created: Epoch, sign: {sign})");
    refused(
        &space,
        &text,
        "rel",
        expect![[r#"
        input: `Sign` needs a program that was compiled with signing
        at: "cosign.pub"
        hint: write `features = ["signing"]` beside `path` in xtask/Cargo.toml: rondel = { path = "…", features = ["signing"] }"#]],
    );
}
