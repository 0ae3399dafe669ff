//! Programs of an image that can't start are warned about when it is built, and again when the result is used.

use std::fs;

use expect_test::expect;
use serde_json::json;

use crate::base_image::{BaseImage, Form, Item, tar_of, write_layout};
use crate::space::{TestSpace, make_executable};

/// A workspace with one image of these fields, and a script in it.
fn image(fields: &str) -> TestSpace {
    let space = TestSpace::with_targets(&format!(
        "\"image\": Image(platforms: [\"linux/amd64\"], tags: [\"rondel-test-programs:1\"], {fields})"
    ));
    space.write("run.sh", "#!/bin/sh\necho\n");
    // Of no format that is known here.
    space.write("sh", "\0");
    for name in ["run.sh", "sh"] {
        make_executable(&space.root().join(name));
    }
    space
}

/// The warnings of a build.
fn warnings(space: &TestSpace) -> Vec<String> {
    let run = space.ok(&["image", "--all-platforms"]);
    let lines = run.stderr.lines().filter_map(|line| line.split_once("| warning: "));
    lines.map(|(_, text)| text.to_owned()).collect()
}

/// Edits one after the other, and what is warned of then.
const CASES: &[(&str, &str, Option<&str>)] = &[
    // Links are followed as a container does, and PATH is searched.
    ("entrypoint: [\"/app/run.sh\"]", "entrypoint: [\"/start\"]", Some("the entrypoint `/start` is not in the image")),
    (
        "files: {",
        "files: {\"/start\": Link(\"/app/link\"), \"/app/link\": Link(\"../app/run.sh\"), ",
        Some("`/start` begins with `#!/bin/sh`, and that is not in the image"),
    ),
    (
        "entrypoint: [\"/start\"]",
        "cmd: [\"run.sh\"]",
        Some(
            "the cmd `run.sh` is in no directory of the image's PATH, `/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`",
        ),
    ),
    (
        "cmd:",
        "env: {\"PATH\": \"/bin:/app\"}, cmd:",
        Some("`/app/run.sh` begins with `#!/bin/sh`, and that is not in the image"),
    ),
    (
        "cmd: [\"run.sh\"]",
        "workdir: \"/app\", cmd: [\"./run.sh\"]",
        Some("`/app/./run.sh` begins with `#!/bin/sh`, and that is not in the image"),
    ),
    ("\"./run.sh\"", "\"/app\"", Some("the cmd `/app` is no file")),
    ("\"/app\"]", "\"/app/run.sh\"]", Some("`/app/run.sh` begins with `#!/bin/sh`, and that is not in the image")),
    ("files: {", "files: {\"/bin/sh\": File(\"sh\", layer: \"shell\"), ", None),
    (
        "File(\"run.sh\")",
        "File(\"run.sh\", mode: 0o644)",
        Some("`/app/run.sh` is not executable: `mode: 0o755` makes it so"),
    ),
    (
        "cmd:",
        "health: Command([\"health\"]), entrypoint: [\"/bin/sh\"], cmd:",
        Some("the health check `health` is in no directory of the image's PATH, `/bin:/app`"),
    ),
    ("\"health\"", "\"/bin/sh\"", None),
];

#[test]
fn an_interpreter_that_is_missing() {
    let space = image(r#"base: Static, files: {"/app/run.sh": File("run.sh")}, entrypoint: ["/app/run.sh"]"#);
    space.ok(&["image"]).check(expect![[r#"
        --- stderr
             Running image: first build
             image | warning: `/app/run.sh` begins with `#!/bin/sh`, and that is not in the image
                Done image in [T]
          Not needed image: docker: no Docker daemon is reachable
               Image image [DIGEST] [SIZE] linux/amd64
                     rondel-test-programs:1
            Finished in [T]: 1 ran, 0 up to date
    "#]]);
    assert!(space.ran(&["image"]).is_empty());
    let expected = ["`/app/run.sh` begins with `#!/bin/sh`, and that is not in the image"];
    assert_eq!(warnings(&space), expected, "the result is used, and what it warned of is so still");
    for (from, to, expected) in CASES {
        space.replace("build.ron", from, to);
        assert_eq!(warnings(&space), expected.iter().copied().collect::<Vec<_>>(), "{to}");
    }
}

/// The usual way to have an interpreter looked for, and one that starts itself.
#[test]
fn scripts_of_env() {
    let space = image(r#"base: Static, files: {"/app/run.sh": File("run.sh")}, entrypoint: ["/app/run.sh"]"#);
    let script = |text: &str| {
        space.write("run.sh", text);
        make_executable(&space.root().join("run.sh"));
    };
    script("#!/usr/bin/env -S python3 -u\n");
    assert_eq!(warnings(&space), ["`/app/run.sh` begins with `#!/usr/bin/env`, and that is not in the image"]);
    space.replace("build.ron", "files: {", "files: {\"/usr/bin/env\": File(\"sh\"), ");
    let expected = "`/app/run.sh` begins with `#!/usr/bin/env -S python3 -u`, and `python3` is not in the image's PATH";
    assert_eq!(warnings(&space), [expected]);
    script("#!/usr/bin/env python3 -u\r\n");
    let expected = "`/app/run.sh` begins with `#!/usr/bin/env python3 -u`, of which Linux gives `python3 -u` to `env` as \
        one word: write `#!/usr/bin/env -S python3 -u`";
    assert_eq!(warnings(&space), [expected]);
    script("#!/usr/bin/env sh\r\n");
    space.replace("build.ron", "files: {", "files: {\"/bin/sh\": File(\"sh\"), ");
    assert_eq!(warnings(&space), ["the first line of `/app/run.sh` ends with CR: write the file with LF"]);
    script("#!/app/run.sh\n");
    assert!(warnings(&space).is_empty(), "a circle has an end");
}

/// What `cc` links needs its dynamic linker; a static program does not.
#[test]
#[cfg_attr(not(has_gcc), ignore = "no gcc")]
#[cfg_attr(not(has_x86_64_linux), ignore = "no x86-64 Linux")]
fn a_dynamic_executable() {
    let space = TestSpace::with_targets(
        r#""c": Exec(command: ["gcc", "main.c", "-o", "program"], inputs: ["main.c"], outputs: ["program"], tools: ["as", "ld"]),
        "image": Image(base: Static, files: {"/app": Output("c")}, platforms: ["linux/amd64"])"#,
    );
    space.write("main.c", "int main() { return 0; }\n");
    space.write("linker", "as if\n");
    make_executable(&space.root().join("linker"));
    let expected = "`/app` needs the dynamic linker `/lib64/ld-linux-x86-64.so.2`, which is not in the image: \
        link it statically (for Go, without cgo), or choose a base that has it";
    assert_eq!(warnings(&space), [expected]);
    space.replace(
        "build.ron",
        "files: {",
        "files: {\"/lib64\": Link(\"lib\"), \"/lib/ld-linux-x86-64.so.2\": File(\"linker\"), ",
    );
    assert!(warnings(&space).is_empty());
    space.replace("build.ron", "\"/lib64\": Link(\"lib\"), \"/lib/ld-linux-x86-64.so.2\": File(\"linker\"), ", "");
    space.replace("build.ron", "\"main.c\", \"-o\"", "\"main.c\", \"-static\", \"-o\"");
    assert!(warnings(&space).is_empty());
}

/// The user counts, by the tables of the image.
#[test]
fn a_user_who_may_not() {
    let space = image(
        r#"base: Static, files: {"/app/tool": File("sh", mode: 0o750)}, user: "nonroot", entrypoint: ["/app/tool"]"#,
    );
    let expected = "the user `nonroot` may not execute `/app/tool`: `/app/tool` has the mode 0750 and the owner 0:0";
    assert_eq!(warnings(&space), [expected]);
    space.replace("build.ron", "0o750", "0o750, owner: \"nonroot\"");
    assert!(warnings(&space).is_empty());
    space.replace("build.ron", "files: {", "files: {\"/app\": Directory(mode: 0o700), ");
    let expected = "the user `nonroot` may not execute `/app/tool`: `/app` has the mode 0700 and the owner 0:0";
    assert_eq!(warnings(&space), [expected]);
    space.replace("build.ron", "\"nonroot\", entry", "\"0\", entry");
    assert!(warnings(&space).is_empty());
}

/// Only the platform for which a program is not made is named.
#[test]
fn a_program_of_another_machine() {
    let space = image(r#"base: Static, files: {"/tool": File("tool")}, entrypoint: ["/tool"]"#);
    let mut elf = [0; 64];
    elf[..6].copy_from_slice(b"\x7fELF\x02\x01");
    elf[18] = 62;
    fs::write(space.root().join("tool"), elf).unwrap();
    make_executable(&space.root().join("tool"));
    assert!(warnings(&space).is_empty());
    space.replace("build.ron", "[\"linux/amd64\"]", "[\"linux/amd64\", \"linux/arm64\"]");
    assert_eq!(warnings(&space), ["`/tool` is for amd64, and the image for arm64 (linux/arm64)"]);
}

/// Files of the base count, with its links and its settings.
#[test]
fn on_a_base() {
    let space = image(r#"base: Layout("base"), files: {"/app/run.sh": File("run.sh")}"#);
    let layer = |items: &[Item<'_>]| (tar_of(items), Form::Gzip);
    let shell = || {
        layer(&[
            Item::File("usr/bin/busybox", "b", 0o755),
            Item::Link("bin", "usr/bin"),
            Item::Link("usr/bin/sh", "busybox"),
        ])
    };
    let write = |layers, config| {
        write_layout(
            &space.root().join("base"),
            &[BaseImage { platform: "linux/amd64", config, layers, is_docker: false }],
        );
    };
    write(vec![shell()], json!({"Entrypoint": ["run.sh"], "Env": ["PATH=/app"]}));
    assert!(warnings(&space).is_empty());
    write(vec![shell()], json!({"Entrypoint": ["run.sh"], "Env": ["PATH=/other"]}));
    assert_eq!(warnings(&space), ["the entrypoint `run.sh` is in no directory of the image's PATH, `/other`"]);
    write(vec![layer(&[Item::Link("bin", "usr/bin")])], json!({"Cmd": ["/app/run.sh"]}));
    assert_eq!(warnings(&space), ["`/app/run.sh` begins with `#!/bin/sh`, and that is not in the image"]);
    space.replace("build.ron", "File(\"run.sh\")", "File(\"run.sh\", mode: 0o750)");
    let tables = |passwd| layer(&[Item::File("etc/passwd", passwd, 0o644), Item::File("etc/group", "", 0o644)]);
    write(vec![shell(), tables("app:x:5:6::/:")], json!({"Cmd": ["/app/run.sh"], "User": "app"}));
    let expected = "the user `app` may not execute `/app/run.sh`: `/app/run.sh` has the mode 0750 and the owner 0:0";
    assert_eq!(warnings(&space), [expected]);
    write(vec![shell(), tables("app:x:5:0::/:")], json!({"Cmd": ["/app/run.sh"], "User": "app"}));
    assert!(warnings(&space).is_empty());
    write(vec![shell()], json!({"Cmd": ["/bin/sh"]}));
    assert!(warnings(&space).is_empty(), "programs of the base are believed");
    write(vec![shell()], json!({}));
    assert!(warnings(&space).is_empty(), "nothing starts");
}
