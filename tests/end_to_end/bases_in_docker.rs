//! Images on the stand-in for alpine:3.19 (tests/images), held against what `docker build` makes of it, and on an image that
//! `docker build` makes. Both are run by the daemon.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::process::Command;

use serde_json::{Value, json};

use crate::base_image::{Form, Registry, distribution, write_layout};
use crate::docker::{council, daemon, docker};
use crate::space::{TestSpace, repository};

/// The files of an image as a container sees them: `mode uid:gid`, and a link or the digest of the contents.
fn files_of(image: &str) -> BTreeMap<String, String> {
    let container = docker(&["create", image]);
    let output = Command::new("docker").args(["export", &container]).output().unwrap();
    docker(&["rm", &container]);
    let mut archive = tar::Archive::new(&output.stdout[..]);
    let mut found = BTreeMap::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let header = entry.header().clone();
        let mut text = format!("{:o} {}:{}", header.mode().unwrap(), header.uid().unwrap(), header.gid().unwrap());
        let mut contents = Vec::new();
        entry.read_to_end(&mut contents).unwrap();
        match entry.link_name().unwrap() {
            Some(target) => text.push_str(&format!(" -> {}", target.display())),
            None => text.push_str(&format!(" {}", rondel_cas::Digest::of(&contents).short())),
        }
        found.insert(entry.path().unwrap().display().to_string(), text);
    }
    found
}

fn config_of(image: &str) -> Value {
    serde_json::from_str(&docker(&["image", "inspect", "--format", "{{json .Config}}", image])).unwrap()
}

/// Pushes an image of the daemon to a registry of its own.
fn pushed(space: &TestSpace, image: &str) -> Registry {
    let registry = Registry::start(&space.beside("registry"));
    let archive = space.beside("image.tar");
    docker(&["save", "--output", archive.to_str().unwrap(), image]);
    let to = format!("{}/library/{image}", registry.address);
    let output = Command::new("crane").args(["push", "--insecure"]).arg(&archive).arg(to).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    registry
}

#[test]
#[cfg_attr(not(has_registry), ignore = "no registry with crane")]
#[cfg_attr(not(has_dockerfile_build), ignore = "no Docker with buildx and golang:1.22-alpine (see tests/images)")]
fn the_image_is_what_docker_build_makes_on_the_same_base() {
    let _daemon = daemon();
    let space = council(18_099);
    let registry = pushed(&space, "alpine:3.19");
    let mirrors = format!("registries: {{\"docker.io\": Registry(mirrors: [\"{}\"])}},", registry.address);
    space.replace("build.ron", "    targets: {\n", &format!("    {mirrors}\n    targets: {{\n        ON-ALPINE\n"));
    space.replace(
        "build.ron",
        "ON-ALPINE",
        r#""on-alpine": Image(base: From("alpine:3.19"), files: {"/app/council": Output("server")}, cmd: ["/app/council"],
            user: "65532:65532", ports: ["8080"], tags: ["{repo}:on-alpine"], platforms: ["linux/amd64"]),"#,
    );
    space.ok(&["on-alpine", "docker-image"]);
    let (ours, theirs) = (files_of("rondel-test:on-alpine"), files_of("rondel-test:docker"));
    assert!(ours.len() > 200, "{} files", ours.len());
    let differing: Vec<&String> = ours.keys().filter(|path| ours.get(*path) != theirs.get(*path)).collect();
    // The two are built by different commands; all else is the same, and nothing is missing.
    assert_eq!(differing, ["app/council"]);
    assert_eq!(ours.keys().collect::<Vec<_>>(), theirs.keys().collect::<Vec<_>>());
    let permissions = |files: &BTreeMap<String, String>| files["app/council"].rsplit_once(' ').unwrap().0.to_owned();
    assert_eq!(permissions(&ours), permissions(&theirs));
    let (ours, theirs) = (config_of("rondel-test:on-alpine"), config_of("rondel-test:docker"));
    for name in ["User", "ExposedPorts", "Env", "Cmd", "Entrypoint", "Labels", "Volumes", "StopSignal"] {
        assert_eq!(ours.get(name).unwrap_or(&Value::Null), theirs.get(name).unwrap_or(&Value::Null), "{name}");
    }
    // The base is there, and the program starts in it.
    let version = docker(&["run", "--rm", "--entrypoint", "/bin/busybox", "rondel-test:on-alpine", "id", "-u"]);
    assert_eq!(version, "65532");
    space.ok(&["on-alpine"]);
    docker(&["image", "rm", "--force", "rondel-test:on-alpine", "rondel-test:docker"]);
}

/// The blocks of build.ron in a page of the documentation.
pub fn examples(page: &str) -> Vec<String> {
    let text = fs::read_to_string(repository().join("docs").join(page)).unwrap();
    text.split("```ron\n").skip(1).map(|rest| rest.split("```").next().unwrap().to_owned()).collect()
}

#[test]
#[cfg_attr(not(has_registry), ignore = "no registry with crane")]
#[cfg_attr(not(has_dockerfile_build), ignore = "no Docker with buildx and golang:1.22-alpine (see tests/images)")]
fn the_examples_of_the_pages_on_bases_and_registries() {
    let _daemon = daemon();
    let mut space = TestSpace::small();
    space.unset("DOCKER_HOST");
    let registry = pushed(&space, "alpine:3.19");
    space.write("deploy/company.pem", "-----BEGIN CERTIFICATE-----\ncompany\n-----END CERTIFICATE-----\n");
    space.write("Dockerfile.base", "FROM alpine:3.19\nRUN echo installed > /installed\n");
    space.write("base/nothing", "");
    let layout = space.root().join("bases/small");
    write_layout(&layout, &[distribution("linux/amd64", Form::Gzip)]);
    let head = space.read("build.ron");
    let head = head.split("    targets:").next().unwrap().replace(", \"linux/arm64\"", "");
    let of_registries = examples("registries.md");
    assert_eq!(of_registries.len(), 5);
    let registries =
        of_registries[4].replace("\"mirror.example\", \"http://127.0.0.1:5000\"", &format!("\"{}\"", registry.address));
    let server = "\"server\": GoBuild(packages: [\"./cmd/small\"])";
    let blocks = examples("bases.md");
    assert_eq!(blocks.len(), 5);
    // The second one lies on the first.
    for (block, target) in [
        (blocks[..2].concat(), "on-top"),
        (blocks[2].clone(), "with-users"),
        (blocks[3].clone(), "image"),
        (blocks[4].clone(), "on-layout"),
    ] {
        space.write("build.ron", &format!("{head}{registries}    targets: {{\n{server},\n{block}}},\n)\n"));
        space.ok(&[target]);
        assert!(space.ok(&[target]).stderr.contains(": 0 ran,"), "{target}");
        assert!(space.exists(&format!("dist/{target}/index.json")));
    }
    let push = of_registries[0].replace("registry.example", &registry.address);
    let targets = format!("{server},\n{}{push}", blocks[2].replace("with-users", "image"));
    space.write("build.ron", &format!("{head}{registries}    targets: {{\n{targets}}},\n)\n"));
    space.ok(&["push"]);
    assert!(space.read("dist/refs.txt").contains("/team/app:v1@sha256:"));
    docker(&["image", "rm", "--force", "small-base:1"]);
}

#[test]
#[cfg_attr(not(has_buildx), ignore = "no Docker with buildx")]
fn an_image_on_one_that_docker_build_makes() {
    let _daemon = daemon();
    let mut space = TestSpace::with_targets(
        r#""base-image": DockerBuild(dockerfile: "Dockerfile.base", context: "base", tags: ["rondel-test-lower:1"]),
        "image": Image(base: From(Output("base-image")), files: {"/srv/own": File("own", owner: "app")}, user: "app",
            tags: ["rondel-test-upper:1"])"#,
    );
    space.unset("DOCKER_HOST");
    space.write("own", "own");
    let passwd = "root:x:0:0::/:/bin/sh\napp:x:10001:10001::/srv:/bin/sh\n";
    space.write("base/passwd", passwd);
    space.write("base/marker", "one");
    space.write(
        "Dockerfile.base",
        "FROM scratch\nCOPY passwd /etc/passwd\nCOPY marker /marker\nCOPY --chmod=0750 marker /srv/there\nENV FROM=docker\nENTRYPOINT [\"/srv/there\"]\n",
    );
    let run = space.ok(&["image"]);
    assert!(run.stderr.contains("Done image"), "{}", run.stderr);
    let files = files_of("rondel-test-upper:1");
    assert!(files["srv/own"].starts_with("100644 10001:10001 "), "{files:?}");
    assert!(files["marker"].starts_with("100644 0:0 ") && files["srv/there"].starts_with("100750 0:0 "), "{files:?}");
    let config = config_of("rondel-test-upper:1");
    assert_eq!(config["Entrypoint"], json!(["/srv/there"]));
    assert!(config["Env"].as_array().unwrap().contains(&json!("FROM=docker")), "{config}");
    let index = space.read("dist/image/index.json");
    assert!(space.ok(&["image"]).stderr.contains(": 0 ran,"));
    // Nothing changes the image but the base and what is put onto it.
    space.ok(&["image", "--force"]);
    assert_eq!(space.read("dist/image/index.json"), index);
    space.write("base/marker", "two");
    space.ok(&["image"]);
    assert_ne!(files_of("rondel-test-upper:1")["marker"], files["marker"]);
    space.write("base/marker", "one");
    space.ok(&["image"]);
    assert_eq!(files_of("rondel-test-upper:1")["marker"], files["marker"]);
    fs::remove_dir_all(space.root().join("dist")).unwrap();
    docker(&["image", "rm", "--force", "rondel-test-upper:1", "rondel-test-lower:1"]);
}
