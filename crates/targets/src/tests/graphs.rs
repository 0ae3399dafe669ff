//! build.ron text -> graph.

use expect_test::expect;

use super::Space;
use crate::PlatformChoice;

const SERVER: &str = r#"
    "deps": GoModDownload(),
    "server": GoBuild(after: ["deps"], packages: ["."], sbom: true),
"#;

#[test]
fn a_build_waits_for_downloads_only_if_it_runs() {
    Space::new().graph(
        SERVER,
        &["server"],
        expect![[r#"
            deps
            server (linux/amd64) as `server`; on a miss: deps
            server: bill (linux/amd64), hidden; from: server (linux/amd64)
            server: sbom (linux/amd64), hidden; from: server: bill (linux/amd64)
            asked for: server (linux/amd64), server: sbom (linux/amd64)
        "#]],
    );
    let alone = r#""server": GoBuild(packages: ["."])"#;
    Space::new().graph(
        alone,
        &["server"],
        expect![[r#"
        go modules, hidden
        server (linux/amd64) as `server`; on a miss: go modules
        asked for: server (linux/amd64)
    "#]],
    );
}

#[test]
fn a_build_of_several_platforms_is_a_step_each() {
    let mut space = Space::new();
    space.platforms = PlatformChoice::All;
    space.graph(
        SERVER,
        &["server"],
        expect![[r#"
            deps
            server (linux/amd64); on a miss: deps
            server (linux/arm64); on a miss: deps
            server: bill (linux/amd64), hidden; from: server (linux/amd64)
            server: sbom (linux/amd64), hidden; from: server: bill (linux/amd64)
            server: bill (linux/arm64), hidden; from: server (linux/arm64)
            server: sbom (linux/arm64), hidden; from: server: bill (linux/arm64)
            asked for: server (linux/amd64), server (linux/arm64), server: sbom (linux/amd64), server: sbom (linux/arm64)
        "#]],
    );
}

#[test]
fn an_image_is_layers_a_layout_and_the_loading() {
    let text = format!(
        r#"{SERVER} "image": Image(base: Static, files: {{"/app": Output("server"), "/etc/x": File("go.mod")}},
            health: Http(port: 80, path: "/"), tags: ["small:{{version}}"])"#
    );
    Space::new().graph(
        &text,
        &["image"],
        expect![[r#"
            image: layer base, hidden
            health probe (linux/amd64), hidden
            image: layer health probe (linux/amd64), hidden; from: health probe (linux/amd64)
            image: layer files, hidden
            deps
            server (linux/amd64) as `server`; on a miss: deps
            image: layer outputs (linux/amd64), hidden; from: server (linux/amd64)
            image, streamed; from: image: layer base, image: layer health probe (linux/amd64), image: layer files, image: layer outputs (linux/amd64)
            image: docker; from: image
            asked for: image, image: docker
        "#]],
    );
}

#[test]
fn an_archive_is_a_step_of_its_own_that_nothing_else_waits_for() {
    let text = r#""image": Image(base: Static, entrypoint: ["/x"], archive: "out/image.tar"),
        "read": Exec(command: ["protoc", Output("image", "out/image.tar"), Output("image")])"#;
    Space::new().graph(
        text,
        &["image"],
        expect![[r#"
            image: layer base, hidden
            image, streamed; from: image: layer base
            image: docker; from: image
            image: archive; from: image
            asked for: image, image: docker, image: archive
        "#]],
    );
    Space::new().graph(
        text,
        &["read"],
        expect![[r#"
            image: layer base, hidden
            image, streamed; from: image: layer base
            image: docker; from: image
            image: archive; from: image
            read, streamed; from: image: archive, image
            asked for: read
        "#]],
    );
}

#[test]
fn what_runs_an_image_needs_it_in_the_daemon() {
    let text = format!(
        r#"{SERVER} "image": Image(base: Static, files: {{"/app": Output("server")}}),
           "run": DockerRun(image: "image", user: "1:1"), "again": DockerRun(image: "image", user: "2:2"),
           "both": Group(targets: ["run", "again"])"#
    );
    Space::new().graph(
        &text,
        &["both"],
        expect![[r#"
            image: layer base, hidden
            deps
            server (linux/amd64) as `server`; on a miss: deps
            image: layer outputs (linux/amd64), hidden; from: server (linux/amd64)
            image, streamed; from: image: layer base, image: layer outputs (linux/amd64)
            image: docker; from: image
            image: required docker as `image: docker`; from: image
            run, streamed; from: image: required docker
            again, streamed; from: image: required docker
            asked for: run, again
        "#]],
    );
}

#[test]
fn limits_belong_to_a_targets_own_steps() {
    let text = r#"
        "tools": Exec(command: ["protoc"], timeout_s: 1, retries: 2, pool: "database"),
        "gen": Exec(command: [Tool("example.com/x/cmd/y")], inputs: ["*.go"], outputs: ["gen.txt"]),
        "go modules": Exec(command: ["protoc"]),
    "#;
    Space::new().graph(
        text,
        &["tools", "gen"],
        expect![[r#"
            refused as input: `go modules` can't be a target's name: letters, digits, `-`, `_`, `.` and `/`, a letter or digit first
            at: "go modules"
        "#]],
    );
    let text = text.replace("\"go modules\": Exec(command: [\"protoc\"]),", "");
    Space::new().graph(
        &text,
        &["tools", "gen"],
        expect![[r#"
        tools, streamed; 1 of pool database; 2 retries; 1 s
        go modules, hidden
        tool example.com/x/cmd/y, hidden; on a miss: go modules
        gen, streamed; from: tool example.com/x/cmd/y; on a miss: go modules
        asked for: tools, gen
    "#]],
    );
}

#[test]
fn a_group_is_its_members() {
    let text = r#"
        "a": Exec(command: ["protoc"]), "b": Shell("true"), "c": Exec(command: ["protoc"], after: ["g"]),
        "g": Group(targets: ["a", "b"]),
    "#;
    Space::new().graph(
        text,
        &["c"],
        expect![[r#"
        a, streamed
        b, streamed
        c, streamed; after: a, b
        asked for: c
    "#]],
    );
}

#[test]
fn a_test_is_one_step() {
    Space::new().graph(
        r#""test": GoTest(packages: ["./..."])"#,
        &["test"],
        expect![[r#"
        go modules, hidden
        test, streamed; on a miss: go modules
        asked for: test
    "#]],
    );
}

#[test]
fn docker_and_compose() {
    let space = Space::new();
    space.write("docker-compose.yml", "services: {}\n");
    space.write("Dockerfile", "FROM scratch\n");
    let text = r#"
        "image": DockerBuild(tags: ["x"]), "run": DockerRun(image: "image", user: "1:1"),
        "up": ComposeUp(images: {"web": "image"}), "down": ComposeDown(),
    "#;
    space.graph(
        text,
        &["run", "up", "down"],
        expect![[r#"
        image, streamed
        run, streamed; from: image
        up, streamed; from: image
        down, streamed
        asked for: run, up, down
    "#]],
    );
}

#[test]
fn go_vet_is_a_step_a_platform() {
    let mut space = Space::new();
    let text = r#""vet": GoVet(packages: ["./..."], analyzers: ["printf", "!composites"])"#;
    space.graph(
        text,
        &["vet"],
        expect![[r#"
        go modules, hidden
        vet (linux/amd64) as `vet`, streamed; on a miss: go modules
        asked for: vet (linux/amd64)
    "#]],
    );
    space.platforms = PlatformChoice::All;
    space.graph(
        text,
        &["vet"],
        expect![[r#"
        go modules, hidden
        vet (linux/amd64), streamed; on a miss: go modules
        vet (linux/arm64), streamed; on a miss: go modules
        asked for: vet (linux/amd64), vet (linux/arm64)
    "#]],
    );
    space.graph(
        r#""vet": GoVet(packages: ["."], analyzers: ["-vettool=x"])"#,
        &["vet"],
        expect![[r#"
            refused as input: `-vettool=x` is not the name of an analyzer
            at: "-vettool=x"
            hint: `go tool vet help` lists them
        "#]],
    );
}

/// Members wait for the ends of those before them, with all that they need and these do not.
#[test]
fn a_group_in_order() {
    let text = r#"
        "a": Exec(command: ["protoc", "a"], after: ["shared"]), "shared": Exec(command: ["protoc", "s"]),
        "b": Exec(command: ["protoc", "b"], after: ["shared", "own"]), "own": Exec(command: ["protoc", "o"]),
        "c": Group(["b", "a"]), "d": Exec(command: ["protoc", "d"], after: ["own"]),
        "free": Group(["a", "b"]), "group": Group(["a", "b", "c", "d"], parallel: false),
        "other": Group(["b", "a"], parallel: false),
    "#;
    Space::new().graph(
        text,
        &["free"],
        expect![[r#"
        shared, streamed
        a, streamed; after: shared
        own, streamed
        b, streamed; after: shared, own
        asked for: a, b
    "#]],
    );
    Space::new().graph(
        text,
        &["group"],
        expect![[r#"
        shared, streamed
        a, streamed; after: shared
        own, streamed; after: a
        b, streamed; after: shared, own
        d, streamed; after: own, a, b
        asked for: a, b, b, a, d
    "#]],
    );
    // Steps that are in the graph already, in another order, get their places.
    Space::new().graph(
        text,
        &["b", "group"],
        expect![[r#"
        shared, streamed
        a, streamed; after: shared
        own, streamed; after: a
        b, streamed; after: shared, own
        d, streamed; after: own, a, b
        asked for: b, a, b, b, a, d
    "#]],
    );
    Space::new().graph(
        text,
        &["group", "other"],
        expect![[r#"
        refused as input: `other` puts `a` after members that wait for it
        at: "a"
        hint: put it first, or leave out `parallel: false`
    "#]],
    );
}

/// Only analysis knows what a file names: the image is made for it, and the rest of the later member comes after.
#[test]
fn a_member_that_a_file_of_an_earlier_one_names() {
    let space = Space::new();
    space.write("in", "{image:digest}\n");
    let text = r#"
        "image": Image(base: Static, entrypoint: ["/x"]), "file": Template(from: "in", to: "out"),
        "push": Push(image: "image", to: ["registry.example/x:1"]), "both": Group(["file", "all"], parallel: false),
        "all": Group(["image"]),
    "#;
    space.graph(
        text,
        &["both"],
        expect![[r#"
        image: layer base, hidden
        image, streamed; from: image: layer base
        file, streamed; from: image
        image: docker; from: image; after: file
        asked for: file, image, image: docker
    "#]],
    );
}

/// What removes outputs is awaited by all that it does not wait for itself.
#[test]
fn a_removal_comes_first() {
    let text = format!(
        r#"{SERVER} "stop": Shell("true"), "make": Shell("true"), "all": Group(["make", "server"]),
            "clean": Clean(["all"], after: ["stop"])"#
    );
    Space::new().graph(
        &text,
        &["all", "clean"],
        expect![[r#"
            stop, streamed
            clean, streamed; after: stop
            make, streamed; after: clean
            deps; after: clean
            server (linux/amd64) as `server`; after: clean; on a miss: deps
            server: bill (linux/amd64), hidden; from: server (linux/amd64)
            server: sbom (linux/amd64), hidden; from: server: bill (linux/amd64)
            asked for: make, server (linux/amd64), server: sbom (linux/amd64), clean
        "#]],
    );
}
