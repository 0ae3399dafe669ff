//! `compression` of an `Image`: what it changes, and that other tools read layers of zstd.

use std::fs;
use std::io::Read;
use std::process::Command;

use serde_json::Value;

use crate::base_image::{Form, distribution, write_layout};
use crate::docker::{daemon, docker};
use crate::space::TestSpace;

/// An image with files of a few MB on a base with layers of gzip.
fn with_zstd() -> TestSpace {
    let space = TestSpace::with_targets(
        r#""image": Image(base: Layout("base"), files: {"/srv/web": File("web"), "/srv/a": File("a")}, entrypoint: ["/srv/a"],
            tags: ["rondel-test-compression:1"], compression: Zstd(3), archive: "image.tar", platforms: ["linux/amd64"])"#,
    );
    write_layout(&space.root().join("base"), &[distribution("linux/amd64", Form::Gzip)]);
    let line = |number: u64| format!("{number} {}\n", number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40);
    space.write("a", &(0..200_000).map(line).collect::<String>());
    space.write("web/b", "b\n");
    space
}

/// The media types of the layers in a layout, lowest first.
fn media_types(space: &TestSpace) -> Vec<String> {
    let json = |path: &str| -> Value { serde_json::from_str(&space.read(path)).unwrap() };
    let blob = |value: &Value| json(&format!("dist/image/blobs/sha256/{}", &value["digest"].as_str().unwrap()[7..]));
    let manifest = blob(&blob(&json("dist/image/index.json")["manifests"][0])["manifests"][0]);
    let kind = |layer: &Value| layer["mediaType"].as_str().unwrap().rsplit('.').next().unwrap().to_owned();
    manifest["layers"].as_array().unwrap().iter().map(kind).collect()
}

fn index(space: &TestSpace) -> String {
    space.read("dist/image/index.json")
}

#[test]
fn the_layers_of_the_image_alone_and_the_same_bytes_elsewhere() {
    let space = with_zstd();
    let two = space.clone_elsewhere();
    space.ok(&["image"]);
    assert_eq!(media_types(&space), ["tar+gzip", "tar+gzip", "tar+zstd"]);
    two.ok(&["image", "-j1"]);
    assert_eq!(index(&space), index(&two));
    let mut seen = vec![index(&space)];
    for (from, to) in [("Zstd(3)", "Zstd(9)"), ("Zstd(9)", "Gzip")] {
        space.replace("build.ron", from, to);
        assert!(space.ran(&["image"]).keys().any(|step| step.starts_with("image: layer files")), "{to}");
        assert!(!seen.contains(&index(&space)), "{to}");
        seen.push(index(&space));
    }
    assert_eq!(media_types(&space), ["tar+gzip"; 3]);
    space.replace("build.ron", "compression: Gzip, ", "");
    assert!(space.ok(&["image"]).stderr.contains(": 0 ran,"));
    assert_eq!(index(&space), seen[2]);
}

fn succeeds(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

#[test]
#[cfg_attr(not(has_skopeo), ignore = "no skopeo")]
fn skopeo_unpacks_layers_of_zstd() {
    let space = with_zstd();
    space.ok(&["image"]);
    let (plain, source) =
        (space.beside("plain"), format!("oci-archive:{}:1", space.root().join("image.tar").display()));
    succeeds("skopeo", &["copy", "-q", "--dest-decompress", &source, &format!("dir:{}", plain.display())]);
    let manifest: Value = serde_json::from_slice(&fs::read(plain.join("manifest.json")).unwrap()).unwrap();
    let digest = manifest["layers"][2]["digest"].as_str().unwrap();
    assert!(holds(&fs::read(plain.join(&digest[7..])).unwrap(), &space.bytes("a")));
}

/// Returns true if a tar holds `srv/a` with these contents.
fn holds(tar: &[u8], expected: &[u8]) -> bool {
    let mut archive = tar::Archive::new(tar);
    let mut entries = archive.entries().unwrap().map(Result::unwrap);
    let mut entry = entries.find(|entry| entry.path().unwrap().ends_with("srv/a")).unwrap();
    let mut contents = Vec::new();
    entry.read_to_end(&mut contents).unwrap();
    contents == expected
}

#[test]
#[cfg_attr(not(has_registry), ignore = "no registry with crane")]
fn crane_unpacks_layers_of_zstd_of_a_registry() {
    let space = with_zstd();
    space.ok(&["image"]);
    let registry = crate::base_image::Registry::start(&space.beside("registry"));
    let (layout, to) = (space.root().join("dist/image"), format!("{}/zstd:1", registry.address));
    succeeds("crane", &["push", "--insecure", "--index", layout.to_str().unwrap(), &to]);
    let tar = space.beside("image.tar");
    succeeds("crane", &["export", "--insecure", "--platform", "linux/amd64", &to, tar.to_str().unwrap()]);
    assert!(holds(&fs::read(tar).unwrap(), &space.bytes("a")));
}

#[test]
#[cfg_attr(not(has_docker), ignore = "no Docker daemon")]
fn docker_gets_the_same_image() {
    let _guard = daemon();
    let mut space = with_zstd();
    space.unset("DOCKER_HOST");
    docker(&["rmi", "--force", "rondel-test-compression:1"]);
    space.ok(&["image"]);
    let container = docker(&["create", "rondel-test-compression:1"]);
    let copy = space.beside("copy");
    succeeds("docker", &["cp", &format!("{container}:/srv/a"), copy.to_str().unwrap()]);
    assert!(fs::read(&copy).unwrap() == space.bytes("a"));
    docker(&["rm", &container]);
    let of_daemon = docker(&["image", "inspect", "--format", "{{.Id}}", "rondel-test-compression:1"]);
    docker(&["rmi", "--force", "rondel-test-compression:1"]);
    succeeds("docker", &["load", "--quiet", "--input", space.root().join("image.tar").to_str().unwrap()]);
    assert_eq!(docker(&["image", "inspect", "--format", "{{.Id}}", "rondel-test-compression:1"]), of_daemon);
    docker(&["rmi", "--force", "rondel-test-compression:1"]);
    assert!(of_daemon.starts_with("sha256:"));
}
