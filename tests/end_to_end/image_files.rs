//! `Image.files`: what is declared is in the image, with its mode and owner, and nothing else is.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::os::unix::fs::symlink;
use std::process::Command;

use crate::space::TestSpace;

/// A workspace with one image of these files.
pub fn with_files(files: &str) -> TestSpace {
    TestSpace::with_targets(&format!(
        "\"image\": Image(base: Static, files: {{{files}}}, entrypoint: [\"/x\"], tags: [\"rondel-test-files:1\"], platforms: [\"linux/amd64\"])"
    ))
}

/// All entries of the image, later layers over earlier ones: `mode uid:gid`, the target of a link or the contents.
pub fn entries(space: &TestSpace) -> BTreeMap<String, String> {
    let json = |path: &str| -> serde_json::Value { serde_json::from_str(&space.read(path)).unwrap() };
    let manifest = json("dist/image/manifest.json");
    let mut found = BTreeMap::new();
    for layer in manifest[0]["Layers"].as_array().unwrap() {
        let bytes = space.bytes(&format!("dist/image/{}", layer.as_str().unwrap()));
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(&bytes[..]));
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let header = entry.header().clone();
            let mut text = format!("{:o} {}:{}", header.mode().unwrap(), header.uid().unwrap(), header.gid().unwrap());
            if let Some(link) = entry.link_name().unwrap() {
                text.push_str(&format!(" -> {}", link.display()));
            } else if header.size().unwrap() < 100 {
                let mut contents = String::new();
                entry.read_to_string(&mut contents).unwrap();
                text.push_str(&format!(" {contents}"));
            }
            found.insert(entry.path().unwrap().display().to_string(), text.trim().to_owned());
        }
    }
    found
}

#[test]
fn links_directories_volumes_and_a_signal() {
    let space = with_files(
        r#""/app/config": Link("/etc/app/config"), "/bin": Link("usr/bin", owner: "7:8"), "/data": Directory(mode: 0o750, owner: "nonroot"),
        "/data/deep/x": File("conf"), "/srv": Directory(mode: 0o1744), "/srv/in/it": Directory, "/web": File("web"), "/web/a": Link("b"),
        "/tmp": Directory(mode: 0o755), "/etc/app/config": File("conf")"#,
    );
    space.replace("build.ron", "tags:", "volumes: [\"/data\", \"/cache\"], stop_signal: \"SIGQUIT\", tags:");
    space.write("conf", "c");
    space.write("web/a", "a");
    space.write("web/b", "b");
    let run = space.ok(&["image"]);
    assert!(run.stderr.contains("`/bin` is a link to `usr/bin`, which is not in the image"), "{}", run.stderr);
    let found = entries(&space);
    for (path, expected) in [
        ("app/config", "777 0:0 -> /etc/app/config"),
        ("bin", "777 7:8 -> usr/bin"),
        ("data/", "750 65532:65532"),
        ("data/deep/", "755 0:0"),
        ("data/deep/x", "644 0:0 c"),
        ("srv/", "1744 0:0"),
        ("srv/in/it/", "755 0:0"),
        ("web/a", "777 0:0 -> b"),
        ("web/b", "644 0:0 b"),
        // The base's own, as declared.
        ("tmp/", "755 0:0"),
    ] {
        assert_eq!(found.get(path).map(String::as_str), Some(expected), "{path}");
    }
    let inspected = space.ok(&["inspect", "image"]).stdout;
    assert!(inspected.contains("{\"/cache\":{},\"/data\":{}}") && inspected.contains("SIGQUIT"), "{inspected}");
    assert!(space.ok(&["image"]).stderr.contains(": 0 ran,"));
    // Each of them counts.
    for (from, to) in [
        ("Link(\"b\")", "Link(\"c\")"),
        ("0o750", "0o700"),
        ("Directory(mode: 0o1744)", "Directory(mode: 0o1744, owner: \"1:1\")"),
        ("owner: \"7:8\"", "owner: \"7:9\""),
        ("\"/cache\"", "\"/other\""),
        ("SIGQUIT", "SIGRTMIN+3"),
        ("\"/srv/in/it\"", "\"/srv/in/other\""),
    ] {
        let before = space.read("dist/image/index.json");
        space.replace("build.ron", from, to);
        space.ok(&["image"]);
        assert_ne!(space.read("dist/image/index.json"), before, "{to}");
    }
    space.replace("build.ron", "\"/app/config\": Link", "\"/web\": Link");
    space.run(&["image"]).fails(2, &["`/web` is given twice"]);
    space.replace("build.ron", "\"/web\": Link", "\"/data/deep\": Link");
    space.run(&["image"]).fails(2, &["`/data/deep/x` is below `/data/deep`"]);
}

#[test]
fn what_is_declared_is_in_the_image() {
    let space = with_files(
        r#""/one": File("conf"), "/two": File("conf", mode: 0o600, owner: "nonroot"), "/web": File("web"),
        "/web/conf": File("conf", owner: "7:3000000"), "/web/extra/conf": File("conf"), "/none": File("none"),
        "/data": File("data", mode: 0o2750, owner: "65532:65532"), "/tmp/keep/conf": File("conf"), "/root/x": File("conf")"#,
    );
    space.write("conf", "c");
    for path in ["web/dist/a", "web/node_modules/target/b", "web/.rondel/c", "web/conf", "data/deep/d"] {
        space.write(path, "w");
    }
    for path in ["none", "web/empty/deep", "web/dist/.git"] {
        fs::create_dir_all(space.root().join(path)).unwrap();
    }
    symlink("dist/a", space.root().join("web/link")).unwrap();
    space.write("web/dist/.git/config", "secret");
    let run = space.ok(&["image"]);
    assert!(run.stderr.contains("not copied: web/dist/.git"), "{}", run.stderr);
    let found = entries(&space);
    for (path, expected) in [
        ("one", "644 0:0 c"),
        ("two", "600 65532:65532 c"),
        ("web/conf", "644 7:3000000 c"),
        ("web/extra/conf", "644 0:0 c"),
        ("web/dist/a", "644 0:0 w"),
        ("web/node_modules/target/b", "644 0:0 w"),
        ("web/.rondel/c", "644 0:0 w"),
        ("web/empty/deep/", "755 0:0"),
        ("none/", "755 0:0"),
        ("web/link", "777 0:0 -> dist/a"),
        ("data/", "2750 65532:65532"),
        ("data/deep/", "2750 65532:65532"),
        ("data/deep/d", "2750 65532:65532 w"),
        // A directory of the base stays what it is when a file is put into it.
        ("tmp/", "1777 0:0"),
        ("tmp/keep/", "755 0:0"),
        ("root/", "700 0:0"),
    ] {
        assert_eq!(found.get(path).map(String::as_str), Some(expected), "{path} in {found:#?}");
    }
    assert!(!found.keys().any(|path| path.contains(".git")), "{found:#?}");
    assert!(space.ran(&["image"]).is_empty());
    fs::create_dir(space.root().join("none/now")).unwrap();
    assert!(space.ran(&["image"]).contains_key("image: layer files"), "an empty directory came");
}

/// The output of a target lies in a layer above: the directories around it keep their owners.
#[test]
fn outputs_of_targets_among_files() {
    let space = TestSpace::with_targets(
        r#""make": Exec(command: ["cp", "conf", "made"], inputs: ["conf"], outputs: ["made"]),
        "tree": Exec(command: ["sh", "-c", "mkdir -p out/empty && cp conf out/page && ln -s page out/link"], inputs: ["conf"], outputs: ["out/"]),
        "image": Image(base: Static, files: {"/data": File("data", owner: "5:6"), "/data/made": Output("make", mode: 0o500, owner: "nobody"),
            "/site": Output("tree"), "/tmp/made": Output("make")}, entrypoint: ["/x"], platforms: ["linux/amd64"])"#,
    );
    space.write("conf", "c");
    space.write("data/d", "d");
    space.write("data/made", "an older one");
    space.ok(&["image"]);
    let found = entries(&space);
    for (path, expected) in [
        ("data/", "755 5:6"),
        ("data/d", "644 5:6 d"),
        ("data/made", "500 65534:65534 c"),
        ("tmp/", "1777 0:0"),
        ("tmp/made", "644 0:0 c"),
        ("site/page", "644 0:0 c"),
        ("site/link", "777 0:0 -> page"),
        ("site/empty/", "755 0:0"),
    ] {
        assert_eq!(found.get(path).map(String::as_str), Some(expected), "{path} in {found:#?}");
    }
    space.replace("build.ron", "0o500", "0o555");
    assert!(space.ran(&["image"]).contains_key("image: layer outputs (linux/amd64)"));
}

/// A link stands for what it leads to, and never for anything outside.
#[test]
fn links_stay_in_the_workspace() {
    let space = with_files(r#""/a": File("a"), "/b": File("b"), "/d": File("d")"#);
    fs::write(space.beside("secret"), "host secret").unwrap();
    space.write("x", "same");
    space.write("y", "other");
    let link = |target: &str, name: &str| {
        let _ = fs::remove_file(space.root().join(name));
        symlink(target, space.root().join(name)).unwrap();
    };
    link("x", "a");
    link("y", "b");
    space.write("d/file", "f");
    link("../../secret", "d/out");
    link("/etc/passwd", "d/absolute");
    let run = space.ok(&["image"]);
    assert!(run.stderr.contains("`/d/out` is a link to `../../secret`"), "{}", run.stderr);
    let found = entries(&space);
    assert_eq!((found["a"].as_str(), found["b"].as_str()), ("644 0:0 same", "644 0:0 other"));
    assert_eq!(found["d/out"], "777 0:0 -> ../../secret");
    assert_eq!(found["d/absolute"], "777 0:0 -> /etc/passwd");
    // The same two files, each behind the other link.
    link("y", "a");
    link("x", "b");
    space.ok(&["image"]);
    assert_eq!(entries(&space)["a"], "644 0:0 other");
    link("../secret", "a");
    space.run(&["image"]).fails(2, &["`a` leads out of the workspace", "build.ron:1:", "hint: copy the file"]);
    link("..", "up");
    space.replace("build.ron", "File(\"a\")", "File(\"up/secret\")");
    space.run(&["image"]).fails(2, &["`up/secret` leads out of the workspace"]);
    space.replace("build.ron", "File(\"up/secret\")", "File(\"up\")");
    space.run(&["image"]).fails(2, &["`up` leads out of the workspace"]);
}

#[test]
fn what_an_image_can_not_hold_is_refused() {
    let space = with_files(r#""/d": File("d")"#);
    space.write("d/x", "x");
    assert!(Command::new("mkfifo").arg(space.root().join("d/pipe")).status().unwrap().success());
    space.run(&["image"]).fails(2, &["`d/pipe` is a FIFO"]);
    space.replace("build.ron", "\"/d\": File(\"d\")", "\"/p\": File(\"d/pipe\")");
    space.run(&["image"]).fails(2, &["`d/pipe` is a FIFO"]);
    space.replace("build.ron", "\"/p\": File(\"d/pipe\")", "\"/d\": File(\"d\"), \"/d/x/y\": File(\"build.ron\")");
    fs::remove_file(space.root().join("d/pipe")).unwrap();
    space.run(&["image"]).fails(2, &["`/d/x/y` is below `/d/x`, which is a file"]);
    space.replace("build.ron", "/d/x/y", "/d/l/y");
    symlink("x", space.root().join("d/l")).unwrap();
    space.run(&["image"]).fails(2, &["`/d/l/y` is below `/d/l`, which is a link to `x`"]);
    space.replace("build.ron", ", \"/d/l/y\": File(\"build.ron\")", "");
    space.replace("build.ron", "\"/d\": File(\"d\")", "\"/d\": File(\"d/x\"), \"/d/e\": File(\"build.ron\")");
    space.run(&["plan", "image"]).fails(2, &["`/d/e` is below `/d`, which is a file", "build.ron:1:"]);
    space.replace("build.ron", "\"/d\": File(\"d/x\"), \"/d/e\": File(\"build.ron\")", "\"/d\": File(\"d\")");
    space.write("d/.wh.x", "");
    space.run(&["image"]).fails(2, &["`d/.wh.x` can't be in an image"]);
}

/// A file that another target writes is declared as its output, or waited for.
#[test]
fn a_file_of_another_target_is_waited_for() {
    let space = TestSpace::with_targets(
        r#""web": Exec(command: ["cp", "src", "site/page"], inputs: ["src"], outputs: ["site/page"]),
        "image": Image(base: Static, files: {"/site": File("site")}, entrypoint: ["/x"], platforms: ["linux/amd64"])"#,
    );
    space.write("src", "new");
    space.write("site/page", "old");
    space.run(&["image"]).fails(2, &["`site` holds the output of `web`", "after: [\"web\"]"]);
    space.replace("build.ron", "files: {\"/site\"", "after: [\"web\"], files: {\"/site\"");
    space.remove("site/page");
    space.ok(&["image"]);
    assert_eq!(entries(&space)["site/page"], "644 0:0 new");
}

/// An own passwd gives the names.
#[test]
fn owners_by_the_images_own_passwd() {
    let space = with_files(r#""/etc/passwd": File("passwd"), "/x": File("x", owner: "app")"#);
    space.write("x", "x");
    space.write("passwd", "app:x:1234:4321::/:/bin/false\n");
    space.ok(&["image"]);
    assert_eq!(entries(&space)["x"], "644 1234:4321 x");
    space.write("passwd", "app:x:1235:4321::/:/bin/false\n");
    space.ok(&["image"]);
    assert_eq!(entries(&space)["x"], "644 1235:4321 x");
    space.write("passwd", "other:x:1:1::/:/bin/false\n");
    space.run(&["image"]).fails(2, &["`app` is not a user of the image"]);
}

/// Other programs take the layout, whatever modes and owners are in it.
#[test]
#[cfg_attr(not(has_umoci), ignore = "no umoci with skopeo")]
fn other_programs_take_the_layout() {
    let space = with_files(r#""/d": File("d", mode: 0o4711, owner: "3000000000:7"), "/d/conf": File("build.ron")"#);
    space.write("d/empty/x", "x");
    symlink("nowhere", space.root().join("d/link")).unwrap();
    space.ok(&["image"]);
    let (flat, bundle) = (space.beside("flat"), space.beside("bundle"));
    let layout = format!("oci:{}", space.root().join("dist/image").display());
    let image = format!("{}:x", flat.display());
    assert!(Command::new("skopeo").args(["copy", "-q", &layout, &format!("oci:{image}")]).status().unwrap().success());
    let unpacked =
        Command::new("umoci").args(["unpack", "--rootless", "--image", &image]).arg(&bundle).output().unwrap();
    assert!(unpacked.status.success(), "{}", String::from_utf8_lossy(&unpacked.stderr));
    assert_eq!(fs::read_link(bundle.join("rootfs/d/link")).unwrap().to_str(), Some("nowhere"));
    assert!(bundle.join("rootfs/d/conf").is_file());
}
