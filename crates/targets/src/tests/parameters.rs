//! Parameters: where their values get to.

use std::collections::BTreeMap;

use expect_test::{Expect, expect};
use rondel_buildfile::{TargetName, VariableName};

use super::Space;
use super::actions::layer;

const MIGRATE: &str = r#""migrate": Exec(command: ["protoc", "{name}", "--env={env}"], env: {"ENV": "{env}"}, inputs: ["*.go"],
    params: {"name": Param(default: "all"), "env": Param(default: "dev", one_of: ["dev", "prod"])}),
    "after": Exec(command: ["protoc", "{version}"], after: ["migrate"]),
    "other": Exec(command: ["protoc", "{env}"], params: {"env": Param()}),
    "file": Template(from: "in", to: "out", params: {"env": Param(default: "dev")})"#;

fn with(values: &[(&str, &str, &str)]) -> Space {
    let mut space = Space::new();
    space.write("in", "{version} {env}\n");
    for (target, name, value) in values {
        let values: &mut BTreeMap<_, _> = space.parameters.entry(TargetName::new(target).unwrap()).or_default();
        values.insert(VariableName::new(name).unwrap(), (*value).to_owned());
    }
    space
}

fn refused(space: &Space, targets: &[&str], expected: Expect) {
    expected.assert_eq(&space.analyze(MIGRATE, targets).map_or_else(|error| error, |_| "accepted".to_owned()));
}

#[test]
fn values_are_arguments_and_variables_of_the_key() {
    with(&[("migrate", "env", "prod"), ("migrate", "name", "a b; {version} $(x)")]).action(
        MIGRATE,
        "migrate",
        "migrate",
        Vec::new(),
        expect![[r#"
            by its key
            arguments ["protoc", "a b; {version} $(x)", "--env=prod"]
            environment ENV=prod
            environment HOME@located
            environment LANG=C.UTF-8
            environment PATH@located
            environment TMPDIR@located
            setting directory: .
            tool protoc: 4859f6facbd2c235700aba6a8ec5f9359b07ff700c5ccecdba6ef48f51c574ab/20
            input main.go
        "#]],
    );
    with(&[]).action(
        MIGRATE,
        "migrate",
        "migrate",
        Vec::new(),
        expect![[r#"
        by its key
        arguments ["protoc", "all", "--env=dev"]
        environment ENV=dev
        environment HOME@located
        environment LANG=C.UTF-8
        environment PATH@located
        environment TMPDIR@located
        setting directory: .
        tool protoc: 4859f6facbd2c235700aba6a8ec5f9359b07ff700c5ccecdba6ef48f51c574ab/20
        input main.go
    "#]],
    );
}

#[test]
fn the_file_of_a_template_can_name_parameters() {
    with(&[("file", "env", "prod")]).action(
        MIGRATE,
        "file",
        "file",
        Vec::new(),
        expect![[r#"
        by its key
        arguments ["template"]
        setting {env}: prod
        setting {version}: v1.2.3
        input in
        output out -> out
    "#]],
    );
}

#[test]
fn each_target_has_its_own_values() {
    let space = with(&[("migrate", "env", "prod"), ("other", "env", "x")]);
    assert!(space.analyze(MIGRATE, &["migrate", "other"]).is_ok());
    refused(
        &space,
        &["migrate", "after"],
        expect![[r#"
        input: `after` runs `migrate` with the defaults of its parameters, not with these values
        hint: ask for `after` and `migrate` one after the other"#]],
    );
    refused(&with(&[("migrate", "env", "dev")]), &["migrate", "after"], expect!["accepted"]);
    refused(
        &with(&[]),
        &["other"],
        expect![[r#"
        input: the parameter `env` has no value here
        at: "{env}""#]],
    );
}

/// The texts of another target are evaluated with its own parameters, also where this target reads them.
#[test]
fn a_name_means_the_parameter_of_the_target_that_has_the_text() {
    let text = r#"
        "server": GoBuild(packages: ["."], ldflags: ["-X=main.level={level}"], params: {"level": Param(default: "1")}),
        "image": Image(base: Static, files: {"/app": Output("server")}, env: {"ENV": "{env}"}, health: Command(["/app", "{env}"]),
            params: {"env": Param(default: "image")}),
        "read": Exec(command: ["protoc", Output("server"), Output("image"), "{own}"], params: {"own": Param(default: "3")}),
        "run": DockerRun(image: "image", user: "1:1", args: ["{other}"], params: {"other": Param(default: "2")}),
    "#;
    for target in ["image", "read", "run"] {
        if let Err(error) = Space::new().analyze(text, &[target]) {
            panic!("{target}: {error}");
        }
    }
    let space = with(&[("image", "env", "given")]);
    space.action(text, "image", "image", vec![layer("base"), layer("outputs")], expect![[r#"
        by its key
        arguments ["image"]
        setting annotations: {"org.opencontainers.image.title":"small"}
        setting cmd: []
        setting created: 0
        setting diff ID 0 of linux/amd64: cae662172fd450bb0cd710a769079c05bfc5d8e35efa6576edc7d0377afdd4a2/4
        setting diff ID 1 of linux/amd64: 7b8c56be0a5f71be141f0cfaa9195e2ff8d1ef89e380560b579a82fd841429c1/7
        setting entrypoint: ["/app"]
        setting env: [["PATH","/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],["SSL_CERT_FILE","/etc/ssl/certs/ca-certificates.crt"],["ENV","given"]]
        setting health: {"command":["/app","given"],"interval_s":10,"timeout_s":3,"start_period_s":10,"retries":3}
        setting labels: {}
        setting layer media type: application/vnd.oci.image.layer.v1.tar+gzip
        setting layers of linux/amd64: static base, outputs
        setting layout: oci-1.1 docker-manifest-1 index-2
        setting lists of layers: programs-1
        setting loadable platform: linux/amd64
        setting ports: []
        setting stop signal: 
        setting tags: []
        setting user: 65532:65532
        setting volumes: []
        setting workdir: 
        upstream linux/amd64/0
        upstream linux/amd64/1
        output layout -> dist/image
    "#]]);
}
