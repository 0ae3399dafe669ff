//! Step -> action: the contents of a key, by name. Members that need Go or Docker are in the end-to-end tests.

use expect_test::expect;
use rondel_cas::{Digest, Entry, RelativePath};
use rondel_engine::{Artefact, Metadata, UpstreamResult};

use super::Space;
use crate::LayerMetadata;
use crate::image::layer::PROGRAMS;

/// Returns an upstream result: one executable.
pub(super) fn executable(name: &str) -> UpstreamResult {
    UpstreamResult {
        artefacts: vec![Artefact {
            name: RelativePath::new(name).unwrap(),
            path: format!("/nowhere/{name}").into(),
            entry: Entry::file(Digest::of(name.as_bytes()), true),
        }],
        ..UpstreamResult::default()
    }
}

pub(super) fn layer(name: &str) -> UpstreamResult {
    let metadata = Metadata::of(&LayerMetadata { diff_id: Digest::of(name.as_bytes()), files: 1 });
    let mut artefacts = executable(name).artefacts;
    artefacts.extend(executable(PROGRAMS).artefacts);
    UpstreamResult { metadata, artefacts, ..UpstreamResult::default() }
}

#[test]
fn a_command_is_keyed_by_words_inputs_tools_and_variables() {
    let text = r#""gen": Exec(command: ["protoc", "-v={version}"], inputs: ["*.go"], outputs: ["gen/"],
        env: {"A": "b", "KEY": Secret("KEY")}, pass_env: ["HTTPS_PROXY"], dir: "sub")"#;
    let mut space = Space::new();
    space.environment.insert("KEY".to_owned(), "canary".to_owned());
    space.action(
        text,
        "gen",
        "gen",
        Vec::new(),
        expect![[r#"
            runs: its environment holds a secret, which is in no key
            arguments ["protoc", "-v=v1.2.3"]
            environment A=b
            environment HOME@located
            environment HTTPS_PROXY@passed
            environment KEY@secret
            environment LANG=C.UTF-8
            environment PATH@located
            environment TMPDIR@located
            setting directory: sub
            tool protoc: 4859f6facbd2c235700aba6a8ec5f9359b07ff700c5ccecdba6ef48f51c574ab/20
            input main.go
            output gen -> gen
        "#]],
    );
}

/// A value of a file is in the key by its seal, which `env` replaces.
#[test]
fn variables_of_files_are_sealed() {
    let text = r#""a": Exec(command: ["sh"], inputs: ["*.go"], env_file: [".env", Optional("none"), "more.env"], env: {"OWN": "x"})"#;
    let space = Space::new();
    space.write(".env", "SEALED=canary\nOWN=canary\nMORE=canary\n");
    space.write("more.env", "MORE=other\n");
    space.write(".rondel/seal", &"s".repeat(32));
    space.action(
        text,
        "a",
        "a",
        Vec::new(),
        expect![[r#"
            by its key
            arguments ["sh"]
            environment HOME@located
            environment LANG=C.UTF-8
            environment MORE#dc3909c7e12c5b4d9dbf1c9d2e2cb5a4f7c733ebbb09fa8bc74a9ed22b3d1d8c
            environment OWN=x
            environment PATH@located
            environment SEALED#e670c8ce424dafbff2a7cb8a5855082b204605201c3b58e9c4bf9d56baa3e3b7
            environment TMPDIR@located
            setting directory: .
            tool sh: 2a5c38bcc54413d6b80c50802e7b634a52e4ed4e6767857b70abdbc01eb619b3/16
            input main.go
        "#]],
    );
    space.write("more.env", "MORE=changed\n");
    space.action(
        text,
        "a",
        "a",
        Vec::new(),
        expect![[r#"
            by its key
            arguments ["sh"]
            environment HOME@located
            environment LANG=C.UTF-8
            environment MORE#7cd31742df0f8867d18c236a35727e5f242266c8ddd69097e2bbecf8735a541a
            environment OWN=x
            environment PATH@located
            environment SEALED#e670c8ce424dafbff2a7cb8a5855082b204605201c3b58e9c4bf9d56baa3e3b7
            environment TMPDIR@located
            setting directory: .
            tool sh: 2a5c38bcc54413d6b80c50802e7b634a52e4ed4e6767857b70abdbc01eb619b3/16
            input main.go
        "#]],
    );
}

/// The environment of the whole file goes behind that of a target, and behind a file's.
#[test]
fn an_environment_for_all() {
    let mut space = Space::new();
    space.head.push_str(r#", env: {"TOP": "top {version}", "OWN": "top", "FILE": "top"}"#);
    space.write(".env", "FILE=canary\n");
    space.write(".rondel/seal", &"s".repeat(32));
    let text = r#""a": Exec(command: ["sh"], inputs: ["*.go"], env_file: [".env"], env: {"OWN": "own"})"#;
    space.action(
        text,
        "a",
        "a",
        Vec::new(),
        expect![[r#"
        by its key
        arguments ["sh"]
        environment FILE#ed0bcb4d3784bceea9edc033e7cdca09f19c10b326f75af34a796b81180e186d
        environment HOME@located
        environment LANG=C.UTF-8
        environment OWN=own
        environment PATH@located
        environment TMPDIR@located
        environment TOP=top v1.2.3
        setting directory: .
        tool sh: 2a5c38bcc54413d6b80c50802e7b634a52e4ed4e6767857b70abdbc01eb619b3/16
        input main.go
    "#]],
    );
    space.replace_in_head("top {version}", "other");
    space.action(
        r#""a": Shell("true", inputs: ["*.go"])"#,
        "a",
        "a",
        Vec::new(),
        expect![[r#"
        by its key
        arguments ["sh", "-eu", "-c", "true"]
        environment FILE=top
        environment HOME@located
        environment LANG=C.UTF-8
        environment OWN=top
        environment PATH@located
        environment TMPDIR@located
        environment TOP=other
        setting directory: .
        tool sh: 2a5c38bcc54413d6b80c50802e7b634a52e4ed4e6767857b70abdbc01eb619b3/16
        input main.go
    "#]],
    );
    let refused = space.analyze(r#""t": GoTest(packages: ["."])"#, &["t"]);
    assert!(refused.is_ok());
    space.replace_in_head("FILE", "GOFLAGS");
    let refused = space.analyze(r#""t": GoTest(packages: ["."])"#, &["t"]).err().unwrap();
    assert!(refused.starts_with("input: `GOFLAGS` is set by Rondel itself\nat: \"GOFLAGS\""), "{refused}");
}

/// A set and a default are as if they stood in the target.
#[test]
fn sets_and_defaults_are_in_the_key_where_they_are_used() {
    let mut space = Space::new();
    space.head.push_str(
        r#", sets: {"go": ["*.go", "!skip.go"], "all": [Set("go"), "go.mod"]}, defaults: (Exec: (command: ["sh"], env: {"A": "default"}))"#,
    );
    space.write("skip.go", "package main\n");
    space.action(
        r#""a": Exec(inputs: [Set("all")], env: {"B": "b"})"#,
        "a",
        "a",
        Vec::new(),
        expect![[r#"
        by its key
        arguments ["sh"]
        environment A=default
        environment B=b
        environment HOME@located
        environment LANG=C.UTF-8
        environment PATH@located
        environment TMPDIR@located
        setting directory: .
        tool sh: 2a5c38bcc54413d6b80c50802e7b634a52e4ed4e6767857b70abdbc01eb619b3/16
        input go.mod
        input main.go
    "#]],
    );
}

#[test]
fn a_command_without_inputs_always_runs() {
    Space::new().action(
        r#""x": Shell(script: "echo ${version:-x} {1..2}")"#,
        "x",
        "x",
        Vec::new(),
        expect![[r#"
        runs: it declares no inputs
        arguments ["sh", "-eu", "-c", "echo ${version:-x} {1..2}"]
        environment HOME@located
        environment LANG=C.UTF-8
        environment PATH@located
        setting directory: .
    "#]],
    );
}

#[test]
fn a_tool_is_keyed_by_what_was_built() {
    let text = r#""gen": Exec(command: [Tool("example.com/x/cmd/y"), "a"], inputs: ["*.go"])"#;
    Space::new().action(
        text,
        "gen",
        "gen",
        vec![executable("y")],
        expect![[r#"
            by its key
            arguments ["{tool:example.com/x/cmd/y}", "a"]
            environment CGO_ENABLED=0
            environment GO111MODULE=on
            environment GOARCH=[HOST]
            environment GOCACHE@located
            environment GODEBUG=goindex=0
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
            environment LANG=C.UTF-8
            environment LC_ALL=C
            environment PATH@located
            environment TMPDIR@located
            environment TZ=UTC
            setting directory: .
            tool go: go1.22.12 abababababababababababababababababababababababababababababababab/1
            input main.go
            upstream tool/0
        "#]],
    );
}

#[test]
fn a_test_is_keyed_by_all_files() {
    let text = r#""test": GoTest(packages: ["./..."], run: "X", tags: ["a"], env: {"B": "c"})"#;
    Space::new().action(
        text,
        "test",
        "test",
        Vec::new(),
        expect![[r#"
            runs: its packages are listed when it is built
            arguments ["go", "test", "-buildvcs=false", "-tags=a", "-run=X", "./..."]
            environment B=c
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
        "#]],
    );
}

/// What can't change how a package's tests go that pass is no argument: `failfast`, `verbose`, reports.
#[test]
fn a_test_has_the_flags_that_count() {
    let text = r#""test": GoTest(packages: ["./..."], count: 2, parallel: 3, shuffle: Seed(7), failfast: true,
        verbose: true, coverage: "coverage.out", junit: "report.xml")"#;
    Space::new().action(
        text,
        "test",
        "test",
        Vec::new(),
        expect![[r#"
        runs: its packages are listed when it is built
        arguments ["go", "test", "-buildvcs=false", "-count=2", "-parallel=3", "-shuffle=7", "-cover", "./..."]
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
        output reports/coverage -> coverage.out
        output reports/junit -> report.xml
    "#]],
    );
}

#[test]
fn an_image_is_keyed_by_layers_and_configuration() {
    let text = r#""server": GoBuild(packages: ["."]),
        "image": Image(base: Static, files: {"/app": Output("server")}, tags: ["small:{version}"],
            labels: {"a": "b"}, env: {"C": "d"}, ports: ["80/tcp"], health: Http(port: 80, path: "/"))"#;
    Space::new().action(text, "image", "image", vec![layer("base"), layer("probe"), layer("outputs")], expect![[r#"
        by its key
        arguments ["image"]
        setting annotations: {"org.opencontainers.image.title":"small"}
        setting cmd: []
        setting created: 0
        setting diff ID 0 of linux/amd64: cae662172fd450bb0cd710a769079c05bfc5d8e35efa6576edc7d0377afdd4a2/4
        setting diff ID 1 of linux/amd64: ba9c736f19e7f60b7f6764adb0b7908c0a2b394e09b6c09863528c7f2bc86095/5
        setting diff ID 2 of linux/amd64: 7b8c56be0a5f71be141f0cfaa9195e2ff8d1ef89e380560b579a82fd841429c1/7
        setting entrypoint: ["/app"]
        setting env: [["PATH","/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],["SSL_CERT_FILE","/etc/ssl/certs/ca-certificates.crt"],["C","d"]]
        setting health: {"command":["/rondel-probe","http://127.0.0.1:80/"],"interval_s":10,"timeout_s":3,"start_period_s":10,"retries":3}
        setting labels: {"a":"b"}
        setting layer media type: application/vnd.oci.image.layer.v1.tar+gzip
        setting layers of linux/amd64: static base, health probe, outputs
        setting layout: oci-1.1 docker-manifest-1 index-2
        setting lists of layers: programs-1
        setting loadable platform: linux/amd64
        setting ports: ["80/tcp"]
        setting stop signal: 
        setting tags: ["small:v1.2.3"]
        setting user: 65532:65532
        setting volumes: []
        setting workdir: 
        upstream linux/amd64/0
        upstream linux/amd64/1
        upstream linux/amd64/2
        output layout -> dist/image
    "#]]);
}

#[test]
fn an_archive_is_keyed_by_the_documents_of_the_layout() {
    let space = Space::new();
    let text = r#""image": Image(base: Static, entrypoint: ["/x"], archive: "out/image.tar")"#;
    let artefact = |name: &str| Artefact {
        name: RelativePath::new(&format!("layout/{name}")).unwrap(),
        path: space.root.join("dist/image").join(name),
        entry: Entry::file(Digest::of(name.as_bytes()), false),
    };
    let artefacts = ["blobs/sha256/00", "index.json", "manifest.json", "oci-layout"].map(artefact).to_vec();
    let layout = UpstreamResult { artefacts, ..UpstreamResult::default() };
    space.action(
        text,
        "image",
        "image: archive",
        vec![layout],
        expect![[r#"
        by its key
        arguments ["archive"]
        setting archive: oci docker plain-for-docker-1
        upstream index.json
        upstream manifest.json
        upstream oci-layout
        output image.tar -> out/image.tar
    "#]],
    );
}

#[test]
fn a_layer_is_keyed_by_files_and_codec() {
    let space = Space::new();
    space.write("web/index.html", "<p>");
    space.write("web/app/run", "#!/bin/sh\n");
    let text = r#""image": Image(base: Static, entrypoint: ["/x"], files: {"/srv": File("web")})"#;
    space.action(
        text,
        "image",
        "image: layer files",
        Vec::new(),
        expect![[r#"
            by its key
            arguments ["layer", "web -> /srv", "entries sha256:79bcded43386f7ec4dc688ad5af8d6c9f9f6848d94191dd872070f42f2400013"]
            setting codec: gzip deflate rondel-1 block-524288
            setting list: programs-1
            input web/app/run
            input web/index.html
            output layer.tar.gz -> .rondel/out/image#layer files.tar.gz
            output programs -> .rondel/out/image#layer files.programs
        "#]],
    );
    space.action(
        text,
        "image",
        "image: layer base",
        Vec::new(),
        expect![[r#"
            by its key
            arguments ["layer", "entries sha256:f104cc73e2869f1474b66a751ef2538e5499cd376bb6dd7ac4750f33a149de46"]
            setting base: static-1 webpki-root-certs-1.0.11
            setting codec: gzip deflate rondel-1 block-524288
            setting list: programs-1
            output layer.tar.gz -> .rondel/out/image#layer base.tar.gz
            output programs -> .rondel/out/image#layer base.programs
        "#]],
    );
}

#[test]
fn a_build_without_a_known_closure_would_ask_go() {
    Space::new().action(
        r#""server": GoBuild(packages: ["."])"#,
        "server",
        "server (linux/amd64)",
        Vec::new(),
        expect![[r#"
            runs: its packages are listed when it is built
        "#]],
    );
}

#[test]
fn what_starts_something_has_no_key() {
    let text = r#""image": DockerBuild(tags: ["x"]), "run": DockerRun(image: "image", user: "1:1")"#;
    let space = Space::new();
    space.write("Dockerfile", "FROM scratch\nCOPY main.go /\n");
    // Without this line the older builder always runs, and which one there is depends on the machine.
    space.write(".dockerignore", "bin\ncache\n.rondel\n");
    space.action(
        text,
        "run",
        "run",
        Vec::new(),
        expect![[r#"
        runs: it starts a container
    "#]],
    );
    space.action(text, "image", "image", Vec::new(), expect![[r#"
        by its key
        arguments ["docker", "build", "--tag", "x:latest"]
        environment CONTAINERS_CONF@passed
        environment CONTAINERS_CONF_OVERRIDE@passed
        environment CONTAINERS_STORAGE_CONF@passed
        environment CONTAINER_CONNECTION@passed
        environment CONTAINER_HOST@passed
        environment CONTAINER_SSHKEY@passed
        environment DBUS_SESSION_BUS_ADDRESS@passed
        environment DOCKER_CERT_PATH@passed
        environment DOCKER_CONFIG@passed
        environment DOCKER_CONTEXT@passed
        environment DOCKER_HOST@passed
        environment DOCKER_TLS_VERIFY@passed
        environment HOME@located
        environment HTTPS_PROXY@passed
        environment HTTP_PROXY@passed
        environment NO_PROXY@passed
        environment PATH@located
        environment SSH_AUTH_SOCK@passed
        environment XDG_CONFIG_HOME@passed
        environment XDG_DATA_HOME@passed
        environment XDG_RUNTIME_DIR@passed
        environment http_proxy@passed
        environment https_proxy@passed
        environment no_proxy@passed
        setting directories and permissions of the context: d664c8476ffc333e2667a9b575d1970afff77f13355b54dade07fe2b467ac30e/75
        input Dockerfile
        input context/.dockerignore
        input context/Dockerfile
        input context/go.mod
        input context/main.go
        output image-id -> .rondel/out/image/image-id
    "#]]);
}

#[test]
fn a_command_of_another_module_is_keyed_by_version_hash_and_go() {
    let space = Space::new();
    let of = |name: &str, expected| {
        let text = format!(r#""x": Exec(command: [Tool("{name}")])"#);
        space.action(&text, "x", &format!("tool {name}"), Vec::new(), expected);
    };
    of(
        "example.com/x/cmd/z@v1.2.3",
        expect![[r#"
        by its key
        arguments ["go", "install", "-trimpath", "-ldflags=-buildid=", "example.com/x/cmd/z@v1.2.3"]
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
        setting module: example.com/x h1:pinned
        setting platform: linux/amd64
        tool go: go1.22.12 abababababababababababababababababababababababababababababababab/1
        output z -> .rondel/out/tools/example.com/x/cmd/z@v1.2.3/z
    "#]],
    );
    of(
        "example.com/x/v2@v2.0.0-rc.1",
        expect![[r#"
        by its key
        arguments ["go", "install", "-trimpath", "-ldflags=-buildid=", "example.com/x/v2@v2.0.0-rc.1"]
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
        setting module: not pinned
        setting platform: linux/amd64
        tool go: go1.22.12 abababababababababababababababababababababababababababababababab/1
        output x -> .rondel/out/tools/example.com/x/v2@v2.0.0-rc.1/x
    "#]],
    );
}
