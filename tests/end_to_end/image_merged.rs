//! Files of an image that meet: outputs and directories of the tree at one place, entries of their own, and the key of each
//! directory in a layer.

use crate::bases::json;
use crate::image_files::entries;
use crate::space::TestSpace;

/// A workspace with an output directory made by `script` from `web/`, and an image with these files.
fn merging(script: &str, files: &str) -> TestSpace {
    let space = TestSpace::with_targets(&format!(
        r#""pages": Exec(command: ["sh", "-c", "{script}"], inputs: ["in"], outputs: ["out/"]),
        "image": Image(base: Static, entrypoint: ["/in"], platforms: ["linux/amd64"],
            files: {{"/in": File("in", mode: 0o755), {files}}})"#
    ));
    space.write("in", "#!/in\n");
    space
}

/// The option that puts an entry into a layer; nothing for the unnamed one.
fn in_layer(name: &str) -> String {
    if name.is_empty() { String::new() } else { format!(", layer: \"{name}\"") }
}

/// What the uppermost layer that has the path has there.
fn last_of(space: &TestSpace, path: &str) -> String {
    let manifest = json(&space.read("dist/image/manifest.json"));
    let layers = manifest[0]["Layers"].as_array().unwrap().iter().rev();
    for layer in layers {
        let bytes = space.bytes(&format!("dist/image/{}", layer.as_str().unwrap()));
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(&bytes[..]));
        for entry in archive.entries().unwrap() {
            let entry = entry.unwrap();
            if entry.path().unwrap().to_str().unwrap().trim_end_matches('/') == path {
                return match entry.header().entry_type() {
                    tar::EntryType::Directory => "directory",
                    tar::EntryType::Symlink => "link",
                    _ => "file",
                }
                .to_owned();
            }
        }
    }
    "nothing".to_owned()
}

/// A directory is all that these layers have: it is in their keys.
#[test]
fn a_layer_of_directories_alone() {
    let space = merging("mkdir -p out", r#""/a": Output("pages")"#);
    space.ok(&["image"]);
    assert!(entries(&space).contains_key("a/"));
    space.replace("build.ron", "\"/a\"", "\"/b\"");
    space.ok(&["image"]);
    let found = entries(&space);
    assert!(found.contains_key("b/") && !found.contains_key("a/"), "{found:?}");
    // An image of another project has a layer without any entry at the same cache.
    space.replace("build.ron", "\"image\":", "\"low\": Image(base: Static, entrypoint: [\"/x\"]), \"image\":");
    space.replace("build.ron", "Image(base: Static, entrypoint: [\"/in\"]", "Image(base: From(Output(\"low\"))");
    space.replace("build.ron", ", \"/b\": Output(\"pages\")", "");
    space.ok(&["image"]);
    assert!(!entries(&space).contains_key("b/"));
}

#[test]
fn a_directory_whose_files_are_left_out() {
    let of = |source: &str| {
        let space = merging(
            "mkdir -p out/sub/drafts out/maps && cp in out/maps/x.map && cp in out/sub/drafts/q",
            &format!(r#""/srv": {source}"#),
        );
        space.write("web/sub/drafts/q", "q");
        space.write("web/maps/x.map", "map");
        space.ok(&["image"]);
        space
    };
    let exclude = r#"exclude: ["sub/drafts", "**/*.map", "!nothing"]"#;
    for source in [format!("File(\"web\", {exclude})"), format!("Output(\"pages\", {exclude})")] {
        let space = of(&source);
        let found: Vec<String> = entries(&space).into_keys().filter(|path| path.starts_with("srv")).collect();
        assert_eq!(found, ["srv/", "srv/maps/", "srv/sub/"], "{source}");
        let digest = space.read("dist/image/index.json");
        space.remove("web/sub");
        space.ok(&["image"]);
        assert_eq!(entries(&space).contains_key("srv/sub/"), source.starts_with("Output"), "{source}");
        assert_eq!(space.read("dist/image/index.json") == digest, source.starts_with("Output"));
    }
}

#[test]
fn what_lies_below_no_directory_is_refused() {
    let files = |layers: [&str; 2]| {
        let [tree, output] = layers.map(in_layer);
        format!(r#""/srv": File("web"{tree}), "/srv/site": Output("pages"{output})"#)
    };
    for layers in [["one", "one"], ["", ""], ["one", "two"]] {
        // A link of the tree gives way to a directory of the output, which is more exact.
        let space = merging("mkdir -p out/sub && cp in out/sub/f", &files(layers));
        space.write("web/index", "i");
        std::fs::create_dir_all(space.root().join("web/site")).unwrap();
        std::os::unix::fs::symlink("/etc", space.root().join("web/site/sub")).unwrap();
        space.ok(&["image"]);
        let found = last_of(&space, "srv/site/sub");
        assert_eq!((found.as_str(), last_of(&space, "srv/site/sub/f").as_str()), ("directory", "file"), "{layers:?}");
        // The other way round, and a file instead of a link: something would be lost.
        for script in ["mkdir -p out && ln -s other out/sub", "mkdir -p out && cp in out/sub"] {
            let space = merging(script, &files(layers));
            space.write("web/site/sub/f", "f");
            space
                .run(&["image"])
                .fails(2, &["`/srv/site/sub/f` is below `/srv/site/sub`, which is a", "--> build.ron:"]);
        }
    }
    let space = merging("mkdir -p out/x && cp in out/x/.wh.old", r#""/srv": Output("pages")"#);
    space.run(&["image"]).fails(2, &["`x/.wh.old` can't be in an image: such a name removes a file", "--> build.ron:"]);
    space.replace("build.ron", "Output(\"pages\")", "Output(\"pages\", exclude: [\"**/.wh.*\"])");
    space.ok(&["image"]);
}

/// The more exact entry holds, whichever of the layers is above, also within the output of a target.
#[test]
fn a_file_within_an_output_has_an_entry_of_its_own() {
    for (layers, own) in
        [(["", ""], "File(\"own\""), (["low", "high"], "File(\"own\""), (["high", "low"], "File(\"own\"")]
    {
        let [output, file] = layers.map(in_layer);
        let space = merging(
            "mkdir -p out/sub && cp in out/sub/q && cp in out/sub/r",
            &format!(
                r#""/a": Output("pages", owner: "7:8", mode: 0o640{output}), "/a/sub/q": {own}, mode: 0o444{file})"#
            ),
        );
        space.write("own", "own");
        space.ok(&["image"]);
        let found = entries(&space);
        assert_eq!(found["a/sub/q"], "444 0:0 own", "{layers:?}");
        assert_eq!(found["a/sub/r"], "640 7:8 #!/in", "{layers:?}");
        assert_eq!(found["a/sub/"], "750 7:8", "{layers:?}");
    }
    let space = merging("mkdir -p out && cp in out/x", r#""/a": Output("pages", "out/x"), "/a/b": File("in")"#);
    space.run(&["image"]).fails(2, &["is below `/a`, which is a file", "--> build.ron:"]);
}

/// A directory that both give has the owner and the mode of the more exact one, whatever the layers are.
#[test]
fn directories_that_two_entries_give() {
    for layers in [["", ""], ["one", "one"], ["one", "two"]] {
        let [tree, output] = layers.map(in_layer);
        let space = merging(
            "mkdir -p out/sub && cp in out/sub/f",
            &format!(
                r#""/srv": File("web", mode: 0o640, owner: "10:10"{tree}), "/srv/site": Output("pages", mode: 0o600, owner: "20:20"{output})"#
            ),
        );
        space.write("web/site/sub/g", "g");
        space.ok(&["image"]);
        let found = entries(&space);
        for (path, expected) in [
            ("srv/", "750 10:10"),
            ("srv/site/", "700 20:20"),
            ("srv/site/sub/", "700 20:20"),
            ("srv/site/sub/g", "640 10:10 g"),
        ] {
            assert_eq!(found[path], expected, "{layers:?} {path}");
        }
    }
}
