//! Where the files of an image come from and which layer they are in: one of several outputs, what is left out of
//! directories, named layers.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::bases_in_docker::examples;
use crate::docker::{daemon, docker};
use crate::image_files::entries;
use crate::space::TestSpace;

const TREE: &str = "mkdir -p out/web/deep out/empty && cp conf out/web/page && ln -s page out/web/link && cp conf out/web/deep/x && \
    printf '#!/bin/sh' > out/tool && chmod 755 out/tool && cp conf single";

/// The layers of the image, lowest first: description, digest, and the paths in it.
fn layers(space: &TestSpace) -> Vec<(String, String, BTreeSet<String>)> {
    let json = |path: &str| -> Value { serde_json::from_str(&space.read(&format!("dist/image/{path}"))).unwrap() };
    let manifest = json("manifest.json");
    let config = json(manifest[0]["Config"].as_str().unwrap());
    let histories = config["history"].as_array().unwrap();
    let of_one = |(layer, history): (&Value, &Value)| {
        let path = layer.as_str().unwrap();
        let bytes = space.bytes(&format!("dist/image/{path}"));
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(&bytes[..]));
        let name = |entry: std::io::Result<tar::Entry<'_, _>>| entry.unwrap().path().unwrap().display().to_string();
        (
            history["comment"].as_str().unwrap().to_owned(),
            path.to_owned(),
            archive.entries().unwrap().map(name).collect(),
        )
    };
    manifest[0]["Layers"].as_array().unwrap().iter().zip(histories).map(of_one).collect()
}

/// One of several outputs is named by its path, its name, or a path in a directory.
#[test]
fn one_of_several_outputs() {
    let space = TestSpace::with_targets(&format!(
        r#""make": Exec(command: ["sh", "-c", "{TREE}"], inputs: ["conf"], outputs: ["out/", "single"]),
        "image": Image(base: Static, entrypoint: ["/x"], platforms: ["linux/amd64"], files: {{
            "/all": Output("make", "out", owner: "7:8"), "/page": Output("make", "out/web/page", mode: 0o600), "/web": Output("make", "out/web"),
            "/one": Output("make", "single"), "/none": Output("make", "out/empty"), "/tool": Output("make", "out/tool")}})"#
    ));
    space.write("conf", "c");
    space.ok(&["image"]);
    let found = entries(&space);
    for (path, expected) in [
        ("all/", "755 7:8"),
        ("all/web/deep/x", "644 7:8 c"),
        ("all/web/link", "777 7:8 -> page"),
        ("all/empty/", "755 7:8"),
        ("all/tool", "755 7:8 #!/bin/sh"),
        ("page", "600 0:0 c"),
        ("web/page", "644 0:0 c"),
        ("web/link", "777 0:0 -> page"),
        ("web/deep/", "755 0:0"),
        ("one", "644 0:0 c"),
        ("none/", "755 0:0"),
        ("tool", "755 0:0 #!/bin/sh"),
    ] {
        assert_eq!(found.get(path).map(String::as_str), Some(expected), "{path} in {found:#?}");
    }
    assert!(space.ran(&["image"]).is_empty());
    space.replace("build.ron", "out/web/page", "out/tool");
    assert!(space.ran(&["image"]).contains_key("image: layer outputs (linux/amd64)"));
    space.replace("build.ron", "\"out/empty\"", "\"out/emtpy\"");
    space.run(&["image"]).fails(2, &["`make` makes no `out/emtpy`", "did you mean `out/empty`?", "build.ron:4:"]);
    space.replace("build.ron", "\"out/emtpy\"", "\"snigle\"");
    space
        .run(&["image"])
        .fails(2, &["`make` declares no output `snigle`", "did you mean `single`? its outputs are: out, single"]);
}

/// Of the executables of a build, one is named; the others run nothing.
#[test]
fn one_of_several_executables() {
    let space = TestSpace::small();
    space.write("cmd/dex/main.go", "package main\n\nfunc main() { println(\"dex\") }\n");
    space.replace("build.ron", "[\"./cmd/small\"]", "[\"./cmd/...\"]");
    let run = space.run(&["image"]);
    run.fails(
        2,
        &[
            "`/app/small` needs one output of `server`, and there are 3: dex, other, small",
            "`Output(\"server\", \"dex\")`",
        ],
    );
    space.replace("build.ron", "Output(\"server\")", "Output(\"server\", \"smal\", mode: 0o555)");
    space.run(&["image"]).fails(2, &["`server` makes no `smal`", "did you mean `small`? there are: dex, other, small"]);
    space.replace("build.ron", "\"smal\"", "\"small\"");
    space.ok(&["image"]);
    let contents = |space: &TestSpace| space.read("dist/image/index.json");
    let small = contents(&space);
    space.write("cmd/dex/main.go", "package main\n\nfunc main() { println(\"another\") }\n");
    let ran = space.ran(&["image"]);
    assert_eq!(ran.keys().collect::<Vec<_>>(), ["server (linux/amd64)"], "{ran:?}");
    space.replace("build.ron", "\"small\", mode", "\"dex\", mode");
    assert!(space.ran(&["image"]).contains_key("image: layer outputs (linux/amd64)"));
    assert_ne!(contents(&space), small);
}

/// What globs name is left out of directories, whole directories too, and is no input.
#[test]
fn what_is_left_out_of_directories() {
    let space = TestSpace::with_targets(
        r#""make": Exec(command: ["sh", "-c", "mkdir -p out/tmp && cp conf out/a && cp conf out/a.map && cp conf out/tmp/b"], inputs: ["conf"], outputs: ["out/"]),
        "other": Exec(command: ["cp", "conf", "web/dist/x"], inputs: ["conf"], outputs: ["web/dist/x"]),
        "image": Image(base: Static, entrypoint: ["/x"], platforms: ["linux/amd64"], files: {
            "/web": File("web", exclude: ["**/*.map", "drafts", "**/node_modules/**", "!drafts/keep/**", "dist"]),
            "/all": File("web/deep", exclude: []), "/made": Output("make", exclude: ["*.map", "tmp"])})"#,
    );
    space.write("conf", "c");
    for path in [
        "a.js",
        "a.js.map",
        "drafts/x",
        "drafts/keep/y",
        "lib/node_modules/z/z",
        "lib/.git/z",
        "only/a.map",
        "deep/a.map",
    ] {
        space.write(&format!("web/{path}"), "w");
    }
    assert!(std::process::Command::new("mkfifo").arg(space.root().join("web/pipe.map")).status().unwrap().success());
    let run = space.run(&["image"]);
    run.fails(2, &["`web` holds the output of `other`"]);
    space.replace("build.ron", ", \"!drafts/keep/**\"", "");
    space.ok(&["image"]);
    assert!(!entries(&space).keys().any(|path| path.starts_with("web/drafts")));
    space.replace("build.ron", "\"dist\"", "\"!drafts/keep/**\"");
    space.replace("build.ron", "outputs: [\"web/dist/x\"]", "outputs: [\"dist/x\"]");
    space.ok(&["image"]);
    let found = entries(&space);
    let of = |start: &str| found.keys().filter(|path| path.starts_with(start)).map(String::as_str).collect::<Vec<_>>();
    let expected = [
        "web/",
        "web/a.js",
        "web/deep/",
        "web/drafts/",
        "web/drafts/keep/",
        "web/drafts/keep/y",
        "web/lib/",
        "web/only/",
    ];
    assert_eq!(of("web/"), expected);
    assert_eq!(of("all/"), ["all/", "all/a.map"]);
    assert_eq!(of("made/"), ["made/", "made/a"]);
    // It is no input, not even by its names.
    space.write("web/a.js.map", "another");
    space.write("web/drafts/new", "another");
    space.write("web/lib/node_modules/new/x", "another");
    space.remove("web/only/a.map");
    assert!(space.ran(&["image"]).is_empty());
    space.write("web/drafts/keep/y", "another");
    assert!(space.ran(&["image"]).contains_key("image: layer files"));
    space.replace("build.ron", "\"drafts\", ", "");
    assert!(space.ran(&["image"]).contains_key("image: layer files"));
    assert_eq!(entries(&space)["web/drafts/x"], "644 0:0 w");
    // The same directory twice: what one of them leaves out is in the other, and counts.
    space.replace("build.ron", "exclude: []", "exclude: [\"a.map\"]");
    assert!(space.ran(&["image"]).contains_key("image: layer files"));
    assert!(!entries(&space).contains_key("all/a.map"));
    space.replace("build.ron", "exclude: [\"*.map\", \"tmp\"]", "exclude: [\"tmp\"]");
    assert!(space.ran(&["image"]).contains_key("image: layer outputs (linux/amd64)"));
    space.replace("build.ron", "\"/made\": Output(\"make\", exclude", "\"/made\": Output(\"make\", \"out/a\", exclude");
    space.run(&["image"]).fails(2, &["`out/a` is a file, and `exclude` is for directories"]);
    space.replace("build.ron", "File(\"web/deep\"", "File(\"conf\"");
    space.replace("build.ron", ", \"out/a\"", "");
    space.run(&["image"]).fails(2, &["`conf` is a file, and `exclude` is for directories"]);
}

/// Entries with one name are in one layer: above the unnamed files, below the unnamed outputs, in the order of the names.
#[test]
fn named_layers() {
    let space = TestSpace::with_targets(
        r#""make": Exec(command: ["cp", "conf", "made"], inputs: ["conf"], outputs: ["made"]),
        "image": Image(base: Static, entrypoint: ["/x"], platforms: ["linux/amd64", "linux/arm64"], files: {
            "/x": Output("make", mode: 0o755), "/web": File("web", owner: "7:8", layer: "web"), "/lib/made": Output("make", layer: "lib"),
            "/web/own": File("y"), "/lib/y": File("y", layer: "lib"), "/to": Link("/web/own", layer: "web"), "/web/made": Output("make"),
            "/web/dir": Directory(mode: 0o700, layer: "web"), "/etc/y": File("y")})"#,
    );
    space.write("conf", "c");
    space.write("y", "y");
    for path in ["web/page", "web/own", "web/made", "web/dir/z"] {
        space.write(path, "w");
    }
    let run = space.ok(&["image", "--verbose", "--all-platforms"]);
    assert!(!run.stderr.contains("is a link to"), "{}", run.stderr);
    for step in
        ["image: layer web", "image: layer lib (linux/amd64)", "image: layer lib (linux/arm64)", "image: layer files"]
    {
        assert!(run.stderr.contains(&format!(" {step}")), "{step}: {}", run.stderr);
    }
    let found = layers(&space);
    let own = |index: usize, paths: &[&str]| {
        let expected: BTreeSet<String> = paths.iter().map(|path| (*path).to_owned()).collect();
        assert_eq!(found[index].2, expected, "{}", found[index].0);
    };
    let names: Vec<&str> = found.iter().map(|(name, _, _)| name.as_str()).collect();
    assert_eq!(names, ["static base", "files of image", "web", "lib", "outputs"]);
    own(1, &["etc/", "etc/y", "web/", "web/own"]);
    own(2, &["web/", "web/page", "web/dir/", "web/dir/z", "to"]);
    own(3, &["lib/", "lib/made", "lib/y"]);
    own(4, &["x", "web/", "web/made"]);
    // The more exact declaration holds, in whichever layer it is, and directories are the same in all of them.
    let all = entries(&space);
    for (path, expected) in [
        ("web/own", "644 0:0 y"),
        ("web/page", "644 7:8 w"),
        ("web/made", "644 0:0 c"),
        ("web/", "755 7:8"),
        ("web/dir/", "700 0:0"),
    ] {
        assert_eq!(all.get(path).map(String::as_str), Some(expected), "{path}");
    }
    let inspected = space.ok(&["inspect", "image"]).stdout;
    assert!(inspected.contains("web") && inspected.contains("files of image"), "{inspected}");
    assert!(space.ok(&["plan", "-v", "image"]).stdout.contains("image: layer web"));
    // What is not in a layer leaves it alone.
    space.write("conf", "another");
    space.write("y", "another");
    let ran = space.ran(&["image"]);
    assert!(!ran.contains_key("image: layer web") && ran.contains_key("image: layer lib (linux/amd64)"), "{ran:?}");
    assert_eq!(layers(&space)[2].1, found[2].1);
    // A file that another layer no longer has comes back.
    space.replace("build.ron", "\"/web/own\"", "\"/own\"");
    assert!(space.ran(&["image"]).contains_key("image: layer web"));
    assert_eq!(entries(&space)["web/own"], "644 7:8 w");
    space.replace("build.ron", "File(\"y\", layer: \"lib\")", "File(\"y\", layer: \"web\")");
    let ran = space.ran(&["image"]);
    assert!(ran.contains_key("image: layer web") && ran.contains_key("image: layer lib (linux/amd64)"), "{ran:?}");
    assert!(layers(&space)[2].2.contains("lib/y"));
}

/// A layer never hides what a lower one has by a more exact declaration.
#[test]
fn layers_that_would_hide_others() {
    let space = TestSpace::with_targets(
        r#""make": Exec(command: ["sh", "-c", "mkdir -p out && cp conf out/a"], inputs: ["conf"], outputs: ["out/"]),
        "image": Image(base: Static, entrypoint: ["/x"], platforms: ["linux/amd64"], files: {
            "/data/out": Output("make", layer: "made"), "/data": File("data", layer: "data")})"#,
    );
    space.write("conf", "c");
    space.write("data/out/a", "of the tree");
    space.run(&["image"]).fails(
        2,
        &[
            "`/data/out/a` is of the tree, and its layer lies above that of the output at `/data/out`",
            "the same `layer`",
        ],
    );
    space.replace("build.ron", ", layer: \"made\"", ", layer: \"data\"");
    space.ok(&["image"]);
    assert_eq!(entries(&space)["data/out/a"], "644 0:0 c");
    space.replace(
        "build.ron",
        "\"/data/out\": Output(\"make\", layer: \"data\")",
        "\"/data/out/a\": Output(\"make\", \"out/a\", layer: \"made\")",
    );
    space.ok(&["image"]);
    assert_eq!(entries(&space)["data/out/a"], "644 0:0 c");
}

#[test]
fn the_example_of_the_page_on_contents() {
    let space = TestSpace::small();
    let head = space.read("build.ron");
    let head = head.split("    targets:").next().unwrap().replace(", \"linux/arm64\"", "");
    let blocks = examples("images.md");
    assert_eq!(blocks.len(), 1);
    space.write("build.ron", &format!("{head}    targets: {{\n{}}},\n)\n", blocks[0]));
    for path in ["vendor-js/lib.js", "web/index.html", "web/app.js.map", "web/drafts/x", "deploy/app.conf"] {
        space.write(path, "w");
    }
    let run = space.ok(&["image"]);
    assert!(!run.stderr.contains("warning"), "{}", run.stderr);
    let names: Vec<String> = layers(&space).into_iter().map(|(name, _, _)| name).collect();
    assert_eq!(names, ["static base", "files of image", "vendor", "site", "outputs"]);
    let found = entries(&space);
    let site: Vec<&str> = found.keys().filter(|path| path.starts_with("srv/site/")).map(String::as_str).collect();
    assert_eq!(site, ["srv/site/", "srv/site/index.html"]);
    assert!(space.ran(&["image"]).is_empty());
}

/// Unpacks the image of the machine with umoci; returns the root of its files.
fn unpacked(space: &TestSpace, name: &str) -> PathBuf {
    let (flat, bundle) = (space.beside(&format!("{name}-flat")), space.beside(name));
    let layout = format!("oci:{}", space.root().join("dist/image").display());
    let image = format!("{}:x", flat.display());
    assert!(Command::new("skopeo").args(["copy", "-q", &layout, &format!("oci:{image}")]).status().unwrap().success());
    let output = Command::new("umoci").args(["unpack", "--image", &image]).arg(&bundle).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    bundle.join("rootfs")
}

const CAPABLE: &str = r#""make": Exec(command: ["cp", "conf", "made"], inputs: ["conf"], outputs: ["made"]),
    "image": Image(base: Static, entrypoint: ["/x"], platforms: ["linux/amd64"], tags: ["rondel-test-capable:1"], files: {
        "/bin/busybox": File("box", mode: 0o755, owner: "7:8", capabilities: ["NET_BIND_SERVICE"]),
        "/made": Output("make", capabilities: ["cap_sys_admin", "Cap_Checkpoint_Restore", "chown"]), "/plain": File("conf")})"#;

/// The kernel's own tools see what build.ron says.
#[test]
#[cfg_attr(not(has_getcap), ignore = "no getcap with umoci and skopeo, as root")]
fn capabilities_of_files() {
    let space = TestSpace::with_targets(CAPABLE);
    space.write("conf", "c");
    space.write("box", "b");
    space.ok(&["image"]);
    let getcap = |name: &str| {
        let root = unpacked(&space, name);
        let of = |path: &str| {
            let output = Command::new("getcap").arg(root.join(path)).output().unwrap();
            let text = String::from_utf8(output.stdout).unwrap();
            text.split_once(' ').map_or("", |(_, what)| what.trim()).to_owned()
        };
        ["bin/busybox", "made", "plain"].map(of)
    };
    assert_eq!(getcap("one"), ["cap_net_bind_service=ep", "cap_chown,cap_sys_admin,cap_checkpoint_restore=ep", ""]);
    assert!(space.ran(&["image"]).is_empty());
    space.replace("build.ron", "[\"NET_BIND_SERVICE\"]", "[\"net_bind_service\", \"cap_net_raw\"]");
    assert!(space.ran(&["image"]).contains_key("image: layer files"));
    space.replace("build.ron", "\"chown\"", "\"kill\"");
    assert!(space.ran(&["image"]).contains_key("image: layer outputs (linux/amd64)"));
    let expected = ["cap_net_bind_service,cap_net_raw=ep", "cap_kill,cap_sys_admin,cap_checkpoint_restore=ep", ""];
    assert_eq!(getcap("two"), expected);
    fs::remove_file(space.root().join("box")).unwrap();
    fs::create_dir(space.root().join("box")).unwrap();
    space.run(&["image"]).fails(2, &["`box` is a directory, and `capabilities` are for files"]);
}

/// A process without root has them.
#[test]
#[cfg_attr(not(has_docker), ignore = "no Docker daemon")]
#[cfg_attr(not(has_busybox), ignore = "no static busybox")]
fn a_container_has_the_capabilities_of_its_program() {
    let _guard = daemon();
    let mut space = TestSpace::with_targets(CAPABLE);
    space.unset("DOCKER_HOST");
    space.write("conf", "c");
    fs::copy("/bin/busybox", space.root().join("box")).unwrap();
    space.ok(&["image"]);
    let status = |options: &[&str]| {
        let image = ["rondel-test-capable:1", "grep", "CapEff", "/proc/self/status"];
        docker(
            &[&["run", "--rm", "--user=9:9", "--entrypoint=/bin/busybox", "--cap-drop=ALL"], options, &image].concat(),
        )
    };
    assert_eq!(status(&["--cap-add=NET_BIND_SERVICE"]), "CapEff:\t0000000000000400");
    assert_eq!(
        status(&["--cap-add=NET_BIND_SERVICE", "--security-opt=no-new-privileges"]),
        "CapEff:\t0000000000000000"
    );
    // The engine does not give it, so the program does not start.
    assert_eq!(status(&[]), "");
    docker(&["rmi", "--force", "rondel-test-capable:1"]);
}
