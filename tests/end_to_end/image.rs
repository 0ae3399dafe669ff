//! The main job: an image without Docker, the second time for nothing, the same bytes everywhere.

use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::space::{TestSpace, copy, repository};

/// The sample service as it stands in the repository, in a workspace of its own.
fn council() -> TestSpace {
    let space = TestSpace::empty().with_shared_go();
    copy(&repository().join("examples"), &space.root().join("examples"), &|_| true);
    for file in ["build.ron", "build.lock"] {
        fs::copy(repository().join(file), space.root().join(file)).unwrap();
    }
    space
}

fn digest(space: &TestSpace, arguments: &[&str]) -> String {
    let run = space.ok(&[&["--events", "json"], arguments].concat());
    let events = run.events();
    let image = events.iter().find(|event| event["event"] == "step_finished" && event["step"] == "image").unwrap();
    image["facts"]["digest"].as_str().unwrap().to_owned()
}

#[test]
fn the_sample_service_becomes_an_image() {
    let space = council();
    let run = space.ok(&["image"]);
    for words in ["Running server", "Done server in", "sha256:", "MiB linux/amd64", "1 more with --all-platforms"] {
        assert!(run.stderr.contains(words), "{words}\n{}", run.stderr);
    }
    for file in ["oci-layout", "index.json", "manifest.json"] {
        assert!(space.exists(&format!("dist/image/{file}")), "{file}");
    }
    let binary = space.root().join("dist/server/linux_amd64/council");
    let output = Command::new(binary).arg("version").output().unwrap();
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "council dev (unknown)\n",
        "no git here: the defaults are stamped"
    );
}

#[test]
fn the_second_time_nothing_is_started() {
    let mut space = council();
    space.ok(&["image"]);
    let log = space.record_programs(&["go", "docker", "sh"]);
    let outcomes = space.outcomes(&["image"]);
    assert!(outcomes.values().all(|outcome| outcome == "cached" || outcome == "skipped"), "{outcomes:?}");
    assert_eq!(outcomes["server (linux/amd64)"], "cached");
    assert!(!log.exists(), "started: {}", fs::read_to_string(log).unwrap());
}

/// No exec of anything at all but this program itself and git (for the version).
#[test]
#[cfg_attr(not(has_strace), ignore = "no strace that may trace")]
fn the_second_time_nothing_but_git_is_executed() {
    let space = council();
    space.ok(&["image"]);
    let trace = space.beside("trace");
    let mut command = Command::new("strace");
    command
        .args(["-f", "-e", "trace=execve", "-o"])
        .arg(&trace)
        .arg(env!("CARGO_BIN_EXE_rondel-under-test"))
        .arg("image");
    let plain = space.command(&["image"]);
    command.current_dir(space.root()).env_clear();
    command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    assert!(command.output().unwrap().status.success());
    let started: Vec<String> = fs::read_to_string(&trace)
        .unwrap()
        .lines()
        .filter(|line| line.contains("execve(") && line.contains("= 0"))
        .map(str::to_owned)
        .collect();
    assert!(started.iter().skip(1).all(|line| line.contains("/git\"")), "{started:#?}");
}

/// Another directory, another user's settings, an empty cache, another number of cores: the same bytes.
#[test]
fn the_same_digest_everywhere() {
    let one = TestSpace::small();
    let mut two = one.clone_elsewhere();
    two.set("TZ", "Asia/Tokyo")
        .set("LANG", "tr_TR.UTF-8")
        .set("GOFLAGS", "-race")
        .set("GOOS", "plan9")
        .set("CGO_ENABLED", "1");
    two.set("GOEXPERIMENT", "rangefunc").set("USER", "somebody").set("GOAMD64", "v3");
    // What `go env -w` left, and a go.work above the tree.
    fs::create_dir_all(two.beside("home/.config/go")).unwrap();
    fs::write(two.beside("home/.config/go/env"), "GOFLAGS=-tags=evil\nGOAMD64=v3\n").unwrap();
    fs::write(two.beside("go.work"), "go 1.22\n\nuse ./nowhere\n").unwrap();
    let first = digest(&one, &["image", "--all-platforms"]);
    assert_eq!(first, digest(&two, &["image", "--all-platforms", "-j1"]));
    for platform in ["linux_amd64", "linux_arm64"] {
        let path = format!("dist/server/{platform}/small");
        assert!(one.bytes(&path) == two.bytes(&path), "{path}");
    }
}

#[test]
#[cfg_attr(not(has_root), ignore = "no root (with runuser, setpriv)")]
fn another_user_with_another_umask_makes_the_same_bytes() {
    let one = TestSpace::small();
    let two = one.clone_elsewhere();
    let plain = two.command(&["image"]);
    let mut line = String::from("umask 077; cd \"$0\" && exec env -i");
    for (name, value) in plain.get_envs().filter_map(|(name, value)| Some((name.to_str()?, value?.to_str()?))) {
        line.push_str(&format!(" {name}='{value}'"));
    }
    // The binary under test and the shared toolchain may lie in a directory that others can't enter.
    let program = two.beside("rondel");
    fs::copy(env!("CARGO_BIN_EXE_rondel-under-test"), &program).unwrap();
    fs::remove_file(two.cache().join("go/toolchains")).unwrap();
    line.push_str(&format!(" {} image", program.display()));
    assert!(Command::new("chown").args(["-R", "nobody"]).arg(two.beside("")).status().unwrap().success());
    let output =
        Command::new("runuser").args(["-u", "nobody", "--", "sh", "-c", &line]).arg(two.root()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(digest(&one, &["image"]), digest_of_layout(&two));
}

fn digest_of_layout(space: &TestSpace) -> String {
    let index: Value = serde_json::from_str(&space.read("dist/image/index.json")).unwrap();
    index["manifests"][0]["digest"].as_str().unwrap().to_owned()
}

#[test]
#[cfg_attr(not(has_crane), ignore = "no crane")]
fn crane_accepts_the_layout() {
    let space = TestSpace::small();
    space.ok(&["image", "--all-platforms"]);
    let layout = space.root().join("dist/image");
    // crane validates tarballs: the layout as Docker's archive, made by another program.
    let archive = space.beside("image.tar");
    let status = Command::new("tar")
        .arg("-C")
        .arg(&layout)
        .arg("-cf")
        .arg(&archive)
        .args(["manifest.json", "blobs"])
        .status()
        .unwrap();
    assert!(status.success());
    let output = Command::new("crane").args(["validate", "--tarball"]).arg(&archive).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
#[cfg_attr(not(has_skopeo), ignore = "no skopeo")]
fn skopeo_accepts_the_layout() {
    let space = TestSpace::small();
    space.ok(&["image", "--all-platforms"]);
    let layout = space.root().join("dist/image");
    for platform in ["amd64", "arm64"] {
        let output = Command::new("skopeo")
            .args(["inspect", "--override-arch", platform])
            .arg(format!("oci:{}", layout.display()))
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let image: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(image["Architecture"], platform);
        assert_eq!(image["Layers"].as_array().unwrap().len(), 3);
    }
}

#[test]
#[cfg_attr(not(has_umoci), ignore = "no umoci with skopeo")]
fn umoci_unpacks_the_layout() {
    let space = TestSpace::small();
    space.ok(&["image"]);
    let bundle = space.beside("bundle");
    let tag = "latest";
    // umoci reads manifests, not nested indexes: skopeo flattens.
    let flat = space.beside("flat");
    let source = format!("oci:{}", space.root().join("dist/image").display());
    let status = Command::new("skopeo")
        .args(["copy", "-q", &source, &format!("oci:{}:{tag}", flat.display())])
        .status()
        .unwrap();
    assert!(status.success());
    let output = Command::new("umoci")
        .args(["unpack", "--image", &format!("{}:{tag}", flat.display())])
        .arg(&bundle)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let root = bundle.join("rootfs");
    assert_eq!(fs::read_to_string(root.join("etc/small/readme")).unwrap(), "read me\n");
    assert!(
        fs::read_to_string(root.join("etc/ssl/certs/ca-certificates.crt"))
            .unwrap()
            .matches("BEGIN CERTIFICATE")
            .count()
            > 100
    );
    assert_eq!(
        fs::metadata(root.join("app/small")).unwrap().len(),
        space.bytes("dist/server/linux_amd64/small").len() as u64
    );
    // No compiler, no source, no shell.
    for path in ["bin/sh", "usr/local/go", "src", "go.mod"] {
        assert!(!root.join(path).exists(), "{path}");
    }
}

/// A link that is named stands for its file, permission and all.
#[test]
#[cfg_attr(not(has_umoci), ignore = "no umoci with skopeo")]
fn a_linked_executable_is_executable_in_the_image() {
    let space = TestSpace::with_targets(
        r#""image": Image(base: Static, files: {"/bin/tool": File("tool"), "/bin/text": File("text")}, entrypoint: ["/bin/tool"], platforms: ["linux/amd64"])"#,
    );
    space.write("real/tool", "#!/bin/sh\n");
    space.write("real/text", "text\n");
    crate::space::make_executable(&space.root().join("real/tool"));
    for name in ["tool", "text"] {
        std::os::unix::fs::symlink(format!("real/{name}"), space.root().join(name)).unwrap();
    }
    space.ok(&["image"]);
    let flat = space.beside("flat");
    let (from, to) =
        (format!("oci:{}", space.root().join("dist/image").display()), format!("oci:{}:x", flat.display()));
    assert!(Command::new("skopeo").args(["copy", "-q", &from, &to]).status().unwrap().success());
    let (image, bundle) = (format!("{}:x", flat.display()), space.beside("bundle"));
    let unpacked = Command::new("umoci").args(["unpack", "--rootless", "--image", &image]).arg(&bundle).output();
    assert!(unpacked.unwrap().status.success());
    let mode = |name: &str| {
        use std::os::unix::fs::PermissionsExt;
        let metadata = fs::symlink_metadata(bundle.join("rootfs/bin").join(name)).unwrap();
        assert!(metadata.is_file(), "{name}");
        metadata.permissions().mode() & 0o777
    };
    assert_eq!((mode("tool"), mode("text")), (0o755, 0o644));
    // The bit alone makes the layer again.
    crate::space::make_executable(&space.root().join("real/text"));
    assert!(space.ran(&["image"]).contains_key("image: layer files"));
}

/// The bytes of an image are pinned: whoever changes the layer writer or a codec sees it here.
#[test]
fn golden_digest_of_an_image_without_go() {
    let space = TestSpace::with_targets(
        r#""image": Image(base: Static, files: {"/a/b": File("b"), "/a/c": File("c")}, entrypoint: ["/a/b"], platforms: ["linux/amd64"])"#,
    );
    space.write("b", "contents\n");
    space.write("c/deep/er", &"x".repeat(3_000_000));
    expect_test::expect!["sha256:2a6c6f3b065d8fc79520968ec80bc91ad0f3d6209d899e4725f4a0bbc2279b50"]
        .assert_eq(&digest(&space, &["image"]));
}
