//! Facts of images (`{image:digest}`) where they can't be, and Rondel's messages about them, word for word.

mod support;

use expect_test::expect;
use rondel_buildfile::BuildFile;
use support::check;

#[test]
fn facts_of_images() {
    check(
        r#"vars: {"v": "{image:digest}", "w": Env("W", "{image:ref}")}, targets: {
            "image": Image(base: Static, entrypoint: ["/x"], tags: ["x:{image:digest}"]),
            "server": GoBuild(packages: ["."], ldflags: ["-X=main.v={image:ref}"]),
            "run": DockerRun(image: "image", user: "1:1", env: {"A": "{image:digest}"}),
            "d": Shell(script: "x", env: {"A": "{image:digset}"}),
        }"#,
        expect![[r#"
            error: `{image:digest}` is not allowed here: it is known only when `image` is made
             --> build.ron:4:17
              |
            4 |     vars: {"v": "{image:digest}", "w": Env("W", "{image:ref}")}, targets: {
              |                 ^^^^^^^^^^^^^^^^

            hint: use it in the `command` of `Exec`, in the `env` of `Exec` and `Shell`, or in the file of a `Template`
            error: `{image:ref}` is not allowed here: it is known only when `image` is made
             --> build.ron:4:49
              |
            4 |     vars: {"v": "{image:digest}", "w": Env("W", "{image:ref}")}, targets: {
              |                                                 ^^^^^^^^^^^^^

            hint: use it in the `command` of `Exec`, in the `env` of `Exec` and `Shell`, or in the file of a `Template`
            error: `{image:digest}` is not allowed here: it is known only when `image` is made
             --> build.ron:5:69
              |
            5 |     "image": Image(base: Static, entrypoint: ["/x"], tags: ["x:{image:digest}"]),
              |                                                             ^^^^^^^^^^^^^^^^^^

            hint: use it in the `command` of `Exec`, in the `env` of `Exec` and `Shell`, or in the file of a `Template`
            error: `{image:ref}` is not allowed here: it is known only when `image` is made
             --> build.ron:6:58
              |
            6 |             "server": GoBuild(packages: ["."], ldflags: ["-X=main.v={image:ref}"]),
              |                                                          ^^^^^^^^^^^^^^^^^^^^^^^

            hint: use it in the `command` of `Exec`, in the `env` of `Exec` and `Shell`, or in the file of a `Template`
            error: `{image:digest}` is not allowed here: it is known only when `image` is made
             --> build.ron:7:70
              |
            7 |    "run": DockerRun(image: "image", user: "1:1", env: {"A": "{image:digest}"}),
              |                                                             ^^^^^^^^^^^^^^^^

            hint: use it in the `command` of `Exec`, in the `env` of `Exec` and `Shell`, or in the file of a `Template`
            error: `{image:digset}`: an image has `digest` and `ref`; did you mean `{image:digest}`?
             --> build.ron:8:48
              |
            8 |             "d": Shell(script: "x", env: {"A": "{image:digset}"}),
              |                                                ^^^^^^^^^^^^^^^^
        "#]],
    );
}

#[test]
fn facts_of_what_has_none() {
    check(
        r#"targets: {
            "a": Exec(command: ["x", "{imgae:digest}"]),
            "b": Exec(command: ["x"], env: {"A": "{server:digest}"}),
            "c": Shell(script: "x", env: {"A": "{docker-image:digest}"}),
            "test": GoTest(packages: ["."], env: {"A": "{image:digest}"}),
            "image": Image(base: Static, entrypoint: ["/x"]),
            "docker-image": DockerBuild(tags: ["x:1"]),
            "server": GoBuild(packages: ["."]),
        }"#,
        expect![[r#"
            error: there is no target `imgae`
             --> build.ron:5:38
              |
            5 |             "a": Exec(command: ["x", "{imgae:digest}"]),
              |                                      ^^^^^^^^^^^^^^^^

            hint: did you mean `image`?
            error: expected an `Image` or `Push` target, which has a digest, found `server` (`GoBuild`)
             --> build.ron:6:50
              |
            6 |             "b": Exec(command: ["x"], env: {"A": "{server:digest}"}),
              |                                                  ^^^^^^^^^^^^^^^^^
            error: expected an `Image` or `Push` target (an image that only Docker has gets a digest when it is pushed), found `docker-image` (`DockerBuild`)
             --> build.ron:7:48
              |
            7 |             "c": Shell(script: "x", env: {"A": "{docker-image:digest}"}),
              |                                                ^^^^^^^^^^^^^^^^^^^^^^^
            error: `{image:digest}` is not allowed here: it is known only when `image` is made
             --> build.ron:8:56
              |
            8 |             "test": GoTest(packages: ["."], env: {"A": "{image:digest}"}),
              |                                                        ^^^^^^^^^^^^^^^^

            hint: use it in the `command` of `Exec`, in the `env` of `Exec` and `Shell`, or in the file of a `Template`
        "#]],
    );
}

#[test]
fn facts_are_in_cycles() {
    check(
        r#"targets: {
            "image": Image(base: Static, entrypoint: ["/x"], files: {"/x": Output("a")}),
            "a": Exec(command: ["x", "{image:digest}"], inputs: [], outputs: ["x"]),
        }"#,
        expect![[r#"
            error: targets wait for each other: `image` -> `a` -> `image`
             --> build.ron:5:13
              |
            5 |             "image": Image(base: Static, entrypoint: ["/x"], files: {"/x": Output("a")}),
              |             ^^^^^^^
        "#]],
    );
}

/// Every command and script may name them, and a brace is written as ever.
#[test]
fn facts_where_they_can_be() {
    let text = r#"(format: 1, project: "x", targets: {
        "image": Image(base: Static, entrypoint: ["/x"]),
        "a": Exec(command: ["x", "{image:ref}"], env: {"A": "{image:digest}"}),
        "b": Shell(script: "x {{image:ref}}", env: {"A": "{image:digest} {image:ref}"}),
    })"#;
    let file = BuildFile::parse(text, "0.1.0").unwrap();
    for name in ["a", "b"] {
        let target = file.targets.iter().find(|target| target.name.value.as_str() == name).unwrap();
        let names: Vec<&str> = target.references().into_iter().map(|name| name.as_str()).collect();
        assert_eq!(names, ["image", "image"], "{name}");
    }
}

#[test]
fn files_to_resolve() {
    check(
        r#"targets: {
            "a": Resolve(files: [], images: []),
            "b": Resolve(files: ["/etc/x.yaml"], to: "dist/all.yaml"),
            "c": Resolve(images: ["docker-image"]),
            "docker-image": DockerBuild(tags: ["x:1"]),
        }"#,
        expect![[r#"
            error: `files` is empty
             --> build.ron:5:33
              |
            5 |             "a": Resolve(files: [], images: []),
              |                                 ^^
            error: `images` is empty
             --> build.ron:5:45
              |
            5 |             "a": Resolve(files: [], images: []),
              |                                             ^^
            error: `/etc/x.yaml` leaves the root
             --> build.ron:6:34
              |
            6 |             "b": Resolve(files: ["/etc/x.yaml"], to: "dist/all.yaml"),
              |                                  ^^^^^^^^^^^^^

            hint: paths are relative to `root`
            error: `dist/all.yaml` is a file, and `to` is a directory
             --> build.ron:6:54
              |
            6 |             "b": Resolve(files: ["/etc/x.yaml"], to: "dist/all.yaml"),
              |                                                      ^^^^^^^^^^^^^^^

            hint: name the directory for the results
            error: `Resolve` needs the field `files`
             --> build.ron:7:18
              |
            7 |             "c": Resolve(images: ["docker-image"]),
              |                  ^^^^^^^
        "#]],
    );
    check(
        r#"targets: {
            "a": Resolve(files: ["x.yaml"], images: ["docker-image", "imgae"]),
            "b": Template(from: "x.in", to: "out/"),
            "docker-image": DockerBuild(tags: ["x:1"]),
            "image": Image(base: Static, entrypoint: ["/x"]),
        }"#,
        expect![[r#"
            error: expected an `Image` or `Push` target (an image that only Docker has gets a digest when it is pushed), found `docker-image` (`DockerBuild`)
             --> build.ron:5:54
              |
            5 |             "a": Resolve(files: ["x.yaml"], images: ["docker-image", "imgae"]),
              |                                                      ^^^^^^^^^^^^^^
            error: there is no target `imgae`
             --> build.ron:5:70
              |
            5 |    "a": Resolve(files: ["x.yaml"], images: ["docker-image", "imgae"]),
              |                                                             ^^^^^^^

            hint: did you mean `image`?
            error: `out/` is a directory, and a `Template` makes one file
             --> build.ron:6:45
              |
            6 |             "b": Template(from: "x.in", to: "out/"),
              |                                             ^^^^^^

            hint: write the path of the file
        "#]],
    );
}
