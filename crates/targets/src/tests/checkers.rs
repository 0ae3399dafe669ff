//! `GoVulncheck` and `GoLint`: their graphs, and what they depend on where no `go` has to be asked.

use expect_test::expect;
use rondel_cas::{Digest, Entry, RelativePath};
use rondel_engine::{Artefact, UpstreamResult};

use super::Space;

fn made(name: &str, place: &str) -> UpstreamResult {
    let artefact = Artefact {
        name: RelativePath::new(name).unwrap(),
        path: place.into(),
        entry: Entry::file(Digest::of(name.as_bytes()), true),
    };
    UpstreamResult { artefacts: vec![artefact], ..UpstreamResult::default() }
}

#[test]
fn checkers_wait_for_their_programs_and_need_modules_on_a_miss() {
    Space::new().graph(
        r#""vuln": GoVulncheck(packages: ["./..."]), "lint": GoLint(packages: ["./..."], tool: Tool("example.com/x/cmd/z@v1.2.3"), after: ["vuln"])"#,
        &["lint"],
        expect![[r#"
            go modules, hidden
            tool golang.org/x/vuln/cmd/govulncheck@v1.1.4, hidden
            vuln, streamed; from: tool golang.org/x/vuln/cmd/govulncheck@v1.1.4; on a miss: go modules
            tool example.com/x/cmd/z@v1.2.3, hidden
            lint, streamed; from: tool example.com/x/cmd/z@v1.2.3; after: vuln; on a miss: go modules
            asked for: lint
        "#]],
    );
}

#[test]
fn an_executable_is_keyed_by_its_contents_and_the_database() {
    let space = Space::new();
    space.write("vulndb/index/db.json", "{}");
    let server = space.root.join("dist/server/linux_amd64/small").display().to_string();
    space.action(
        r#""vuln": GoVulncheck(binary: Output("server"), db: "./vulndb/", scan: Package), "server": GoBuild(packages: ["."])"#,
        "vuln",
        "vuln",
        vec![made("govulncheck", "/nowhere/govulncheck"), made("small", &server)],
        expect![[r#"
            by its key
            arguments ["govulncheck", "-mode=binary", "-db=file://{root}/vulndb", "-scan=package"]
            environment CGO_ENABLED=0
            environment GO111MODULE=on
            environment GOARCH=[HOST]
            environment GOCACHE@located
            environment GOENV=off
            environment GOEXPERIMENT=
            environment GOFLAGS=-buildvcs=false
            environment GOMODCACHE@located
            environment GOOS=[HOST]
            environment GOPATH@located
            environment GOPROXY=off
            environment GOROOT@located
            environment GOTELEMETRY=off
            environment GOTOOLCHAIN=local
            environment GOWORK=off
            environment HOME@located
            environment LC_ALL=C
            environment PATH@located
            environment TZ=UTC
            tool go: go1.22.12 abababababababababababababababababababababababababababababababab/1
            input vulndb/index/db.json
            upstream output/variable/binary/dist/server/linux_amd64/small
            upstream tools/govulncheck
        "#]],
    );
    space.action(
        r#""vuln": GoVulncheck(binary: Output("server"), tool: "protoc"), "server": GoBuild(packages: ["."])"#,
        "vuln",
        "vuln",
        vec![made("small", &server)],
        expect![[r#"
            runs: the database `https://vuln.go.dev` can change at any time
            arguments ["govulncheck", "-mode=binary", "-db=https://vuln.go.dev", "-scan=symbol"]
            environment CGO_ENABLED=0
            environment GO111MODULE=on
            environment GOARCH=[HOST]
            environment GOCACHE@located
            environment GOENV=off
            environment GOEXPERIMENT=
            environment GOFLAGS=-buildvcs=false
            environment GOMODCACHE@located
            environment GOOS=[HOST]
            environment GOPATH@located
            environment GOPROXY=off
            environment GOROOT@located
            environment GOTELEMETRY=off
            environment GOTOOLCHAIN=local
            environment GOWORK=off
            environment HOME@located
            environment LC_ALL=C
            environment PATH@located
            environment TZ=UTC
            tool go: go1.22.12 abababababababababababababababababababababababababababababababab/1
            tool govulncheck: 4859f6facbd2c235700aba6a8ec5f9359b07ff700c5ccecdba6ef48f51c574ab/20
            upstream output/variable/binary/dist/server/linux_amd64/small
        "#]],
    );
}

#[test]
fn programs_that_are_missing() {
    let space = Space::new();
    let check = |target: &str| match space.analyze(&format!("\"x\": {target}"), &["x"]) {
        Ok(_) => "nothing is refused\n".to_owned(),
        Err(error) => format!("{error}\n"),
    };
    let all = [
        check(r#"GoLint(packages: ["."])"#),
        check(r#"GoLint(packages: ["."], tool: "lint-it")"#),
        check(r#"GoLint(packages: ["."], tool: "protoc", inputs: ["dist/x/**"])"#),
        check(r#"GoVulncheck(packages: ["."], tool: "vulncheck")"#),
    ];
    expect![[r#"
        environment: `golangci-lint` was not found on PATH
        at: GoLint
        hint: install it, or correct the field
        environment: `lint-it` was not found on PATH
        at: "lint-it"
        hint: install it, or correct the field
        nothing is refused
        environment: `vulncheck` was not found on PATH
        at: "vulncheck"
        hint: install it, or correct the field
    "#]]
    .assert_eq(&all.concat());
}
