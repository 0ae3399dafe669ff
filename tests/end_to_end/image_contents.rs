//! Where the files of an image come from and which layer they are in: one of several outputs, what is left out of
//! directories, named layers.

use crate::image_files::entries;
use crate::space::TestSpace;

const TREE: &str = "mkdir -p out/web/deep out/empty && cp conf out/web/page && ln -s page out/web/link && cp conf out/web/deep/x && \
    printf '#!/bin/sh' > out/tool && chmod 755 out/tool && cp conf single";

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
