//! `archive` of an `Image`: one tar that other tools load, under every tag.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::base_image::{Form, distribution, write_layout};
use crate::docker::{daemon, docker};
use crate::space::TestSpace;

/// An image of two platforms under two names, one of them of a registry.
fn with_archive(fields: &str) -> TestSpace {
    let space = TestSpace::with_targets(&format!(
        r#""image": Image(base: Static, files: {{"/srv/a": File("a"), "/srv/b": File("b")}}, entrypoint: ["/srv/a"],
            tags: ["rondel-test-archive:1", "registry.example/rondel/archive:two"], archive: "out/image.tar",
            platforms: ["linux/amd64", "linux/arm64"] {fields})"#
    ));
    space.write("a", &"a line of a file\n".repeat(50_000));
    space.write("b", "b\n");
    space
}

fn succeeds(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn the_archive_has_its_place_and_is_made_again_when_the_image_changes() {
    let space = with_archive("");
    let outcomes = |what: &str| {
        let outcomes = space.outcomes(&["image", "--all-platforms"]);
        assert_eq!(outcomes.get("image: archive").map_or("none", String::as_str), what, "{outcomes:?}");
    };
    outcomes("ran");
    let first = space.bytes("out/image.tar");
    outcomes("cached");
    // Another place: the same bytes, put there, and the former place is empty.
    space.replace("build.ron", "out/image.tar", "out/other.tar");
    outcomes("cached");
    assert!(space.bytes("out/other.tar") == first && !space.exists("out/image.tar"));
    space.remove("out/other.tar");
    outcomes("cached");
    assert!(space.bytes("out/other.tar") == first);
    // A tag is in no layer and no configuration, but in the archive.
    space.replace("build.ron", "archive:1", "archive:2");
    outcomes("ran");
    assert!(space.bytes("out/other.tar") != first);
    space.replace("build.ron", "archive:2", "archive:1");
    outcomes("cached");
    assert!(space.bytes("out/other.tar") == first);
    space.replace("build.ron", ", archive: \"out/other.tar\"", "");
    outcomes("none");
    assert!(!space.exists("out/other.tar"));
}

#[test]
fn the_same_bytes_in_another_directory() {
    let one = with_archive("");
    let two = one.clone_elsewhere();
    one.ok(&["image", "--all-platforms"]);
    two.ok(&["image", "--all-platforms", "-j1"]);
    assert!(one.bytes("out/image.tar") == two.bytes("out/image.tar"));
    assert!(one.read("dist/image/index.json") == two.read("dist/image/index.json"));
}

#[test]
fn a_command_reads_the_archive() {
    let space = with_archive("");
    space.replace(
        "build.ron",
        "\"image\": Image(",
        r#""sizes": Shell(script: "wc -c < $ARCHIVE > sizes; cat $LAYOUT/oci-layout >> sizes", inputs: [Output("image"), Output("image", "out/image.tar")],
            env: {"ARCHIVE": Output("image", "out/image.tar"), "LAYOUT": Output("image")}, outputs: ["sizes"]),
        "image": Image("#,
    );
    space.ok(&["sizes"]);
    let size = space.bytes("out/image.tar").len();
    assert_eq!(space.read("sizes"), format!("{size}\n{}", space.read("dist/image/oci-layout")));
}

/// Every tag finds the image, in each form that other tools know.
#[test]
#[cfg_attr(not(has_skopeo), ignore = "no skopeo")]
fn skopeo_finds_every_tag() {
    let space = with_archive("");
    space.ok(&["image", "--all-platforms"]);
    let (archive, layout) = (space.root().join("out/image.tar"), space.root().join("dist/image"));
    let (archive, layout) = (archive.display(), layout.display());
    let inspect =
        |place: &str, platform: &str| json(&succeeds("skopeo", &["inspect", "--override-arch", platform, place]));
    for platform in ["amd64", "arm64"] {
        for tag in ["1", "two"] {
            for place in [format!("oci-archive:{archive}:{tag}"), format!("oci:{layout}:{tag}")] {
                assert_eq!(inspect(&place, platform)["Architecture"], platform, "{place}");
            }
        }
    }
    let host = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    for name in ["rondel-test-archive:1", "registry.example/rondel/archive:two"] {
        let image = inspect(&format!("docker-archive:{archive}:{name}"), host);
        assert_eq!(image["Architecture"], host, "{name}");
        assert_eq!(image["Layers"].as_array().unwrap().len(), 2);
    }
}

#[test]
#[cfg_attr(not(has_crane), ignore = "no crane")]
fn crane_accepts_the_archive() {
    let space = with_archive("");
    space.ok(&["image"]);
    let archive = space.root().join("out/image.tar");
    succeeds("crane", &["validate", "--tarball", archive.to_str().unwrap()]);
}

#[test]
#[cfg_attr(not(has_docker), ignore = "no Docker daemon")]
fn docker_loads_the_archive() {
    let _guard = daemon();
    let space = with_archive("");
    space.ok(&["image", "--all-platforms"]);
    let names = ["rondel-test-archive:1", "registry.example/rondel/archive:two"];
    docker(&["rmi", "--force", names[0], names[1]]);
    loads(&space.root().join("out/image.tar"));
    let inspected = json(&docker(&["image", "inspect", names[0]]));
    assert_eq!(inspected[0]["Architecture"], if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" });
    assert_eq!(inspected[0]["Id"], json(&docker(&["image", "inspect", names[1]]))[0]["Id"]);
    docker(&["rmi", "--force", names[0], names[1]]);
}

fn loads(archive: &Path) {
    succeeds("docker", &["load", "--quiet", "--input", archive.to_str().unwrap()]);
}

/// Daemons before 23.0 know no zstd: what they are given is uncompressed, and the image is the same.
#[test]
#[cfg_attr(not(has_docker), ignore = "no Docker daemon")]
fn docker_loads_layers_of_zstd() {
    let _guard = daemon();
    let mut space = TestSpace::with_targets(
        r#""image": Image(base: Layout("base"), files: {"/srv/a": File("a")}, tags: ["rondel-test-zstd:1"], archive: "image.tar",
            platforms: ["linux/amd64"])"#,
    );
    space.write("a", "a");
    write_layout(&space.root().join("base"), &[distribution("linux/amd64", Form::Zstd)]);
    space.unset("DOCKER_HOST");
    docker(&["rmi", "--force", "rondel-test-zstd:1"]);
    space.ok(&["image"]);
    let of_rondel = docker(&["image", "inspect", "--format", "{{.Id}}", "rondel-test-zstd:1"]);
    assert!(of_rondel.starts_with("sha256:"));
    docker(&["rmi", "--force", "rondel-test-zstd:1"]);
    loads(&space.root().join("image.tar"));
    assert_eq!(docker(&["image", "inspect", "--format", "{{.Id}}", "rondel-test-zstd:1"]), of_rondel);
    docker(&["rmi", "--force", "rondel-test-zstd:1"]);
    // In the OCI index they are as the base has them.
    let layout = space.root().join("dist/image");
    let index = json(&fs::read_to_string(layout.join("index.json")).unwrap());
    let blob =
        |digest: &Value| layout.join("blobs/sha256").join(digest.as_str().unwrap().trim_start_matches("sha256:"));
    let index = json(&fs::read_to_string(blob(&index["manifests"][0]["digest"])).unwrap());
    let manifest = json(&fs::read_to_string(blob(&index["manifests"][0]["digest"])).unwrap());
    assert_eq!(manifest["layers"][0]["mediaType"], "application/vnd.oci.image.layer.v1.tar+zstd");
}
