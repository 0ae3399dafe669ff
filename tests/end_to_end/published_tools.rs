//! Commands of other modules at a version: found, pinned, built once, checked. The proxy is a directory.

use std::fs;

use crate::space::{TestSpace, shared_cache};

/// Returns a zip with files that are not compressed (APPNOTE.TXT, 4.3).
fn zip(files: &[(&str, &str)]) -> Vec<u8> {
    let (mut bytes, mut directory) = (Vec::new(), Vec::new());
    for (name, text) in files {
        let (crc, size, at) = (crc32fast::hash(text.as_bytes()), text.len() as u32, bytes.len() as u32);
        let mut common = Vec::new();
        common.extend([20_u16, 0, 0, 0, 33].into_iter().flat_map(u16::to_le_bytes));
        common.extend([crc, size, size].into_iter().flat_map(u32::to_le_bytes));
        common.extend([name.len() as u16, 0].into_iter().flat_map(u16::to_le_bytes));
        bytes.extend(b"PK\x03\x04".iter().chain(&common).chain(name.as_bytes()).chain(text.as_bytes()));
        directory.extend(b"PK\x01\x02\x14\x00".iter().chain(&common));
        directory.extend([0_u16, 0, 0].into_iter().flat_map(u16::to_le_bytes));
        directory.extend([0_u32, at].into_iter().flat_map(u32::to_le_bytes));
        directory.extend(name.as_bytes());
    }
    let (count, size, at) = (files.len() as u16, directory.len() as u32, bytes.len() as u32);
    bytes.extend(directory);
    bytes.extend(b"PK\x05\x06");
    bytes.extend([0_u16, 0, count, count].into_iter().flat_map(u16::to_le_bytes));
    bytes.extend([size, at].into_iter().flat_map(u32::to_le_bytes));
    bytes.extend([0, 0]);
    bytes
}

/// Puts a module into the proxy at `proxy/`.
fn publish(space: &TestSpace, module: &str, version: &str, files: &[(&str, &str)]) {
    let place = format!("proxy/{}/@v", module.replace('X', "!x"));
    let go_mod = files.iter().find(|(name, _)| *name == "go.mod").unwrap().1;
    space.write(&format!("{place}/list"), &format!("{version}\n"));
    space.write(&format!("{place}/{version}.info"), &format!("{{\"Version\":\"{version}\"}}"));
    space.write(&format!("{place}/{version}.mod"), go_mod);
    let names: Vec<(String, &str)> =
        files.iter().map(|(name, text)| (format!("{module}@{version}/{name}"), *text)).collect();
    let names: Vec<(&str, &str)> = names.iter().map(|(name, text)| (name.as_str(), *text)).collect();
    fs::write(space.root().join(format!("{place}/{version}.zip")), zip(&names)).unwrap();
}

const MAIN: &str = "package main\n\nimport (\n\t\"fmt\"\n\t\"runtime/debug\"\n\n\t\"example.com/word\"\n)\n\nfunc main() {\n\tinfo, _ := debug.ReadBuildInfo()\n\tfmt.Println(word.Word, info.Main.Path, info.Main.Version)\n}\n";

/// A workspace with a command of another module, which needs a third one.
fn space() -> TestSpace {
    let mut space = TestSpace::empty().with_shared_toolchain();
    std::os::unix::fs::symlink(shared_cache().join("go/build"), space.cache().join("go/build")).unwrap();
    publish(
        &space,
        "example.com/word",
        "v1.0.0",
        &[("go.mod", "module example.com/word\n\ngo 1.20\n"), ("word.go", "package word\n\nconst Word = \"hello\"\n")],
    );
    let go_mod = "module example.com/Xtools\n\ngo 1.20\n\nrequire example.com/word v1.0.0\n";
    publish(&space, "example.com/Xtools", "v1.2.3", &[("go.mod", go_mod), ("cmd/say/main.go", MAIN)]);
    space.set("GOPROXY", &format!("file://{}/proxy", space.root().display()));
    space.set("GONOSUMDB", "example.com").set("GOFLAGS", "-mod=vendor");
    space.write("go.mod", "module example.com/own\n\ngo 1.22\n");
    space.write(
        "build.ron",
        "(format: 1, project: \"t\", go: Version(\"1.22.12\"), targets: {\"say\": Exec(command: [Tool(\"example.com/Xtools/cmd/say@v1.2.3\")], inputs: [\"go.mod\"])})",
    );
    space
}

const STEP: &str = "tool example.com/Xtools/cmd/say@v1.2.3";

#[test]
fn a_command_of_another_module_is_pinned_and_built_once() {
    let mut space = space();
    space.run(&["say", "--locked"]).fails(3, &["build.lock does not pin"]);
    space.ok(&["lock"]);
    let lock = space.read("build.lock");
    assert!(
        lock.contains("\"example.com/Xtools/cmd/say@v1.2.3\": (module: \"example.com/Xtools\", sum: \"h1:"),
        "{lock}"
    );
    let run = space.ok(&["say", "--locked"]);
    assert!(run.stderr.contains("hello example.com/Xtools v1.2.3"), "{}", run.stderr);
    assert!(space.ran(&["say"]).is_empty());
    // Another step of this run or a later one finds it, without a proxy.
    space.append("go.mod", "\n// edited\n");
    space.set("GOPROXY", "off");
    let ran = space.ran(&["say"]);
    assert!(ran.contains_key("say") && !ran.contains_key(STEP), "{ran:?}");
    assert!(space.ok(&["lock"]).stderr.contains("Unchanged"), "nothing to look up");
    // Its Go is in the key.
    assert!(space.ok(&["plan", "--verbose", "say"]).stdout.contains(STEP));
    // A pin that nobody needs goes.
    space.replace("build.ron", "Tool(\"example.com/Xtools/cmd/say@v1.2.3\")", "\"true\"");
    assert!(space.ok(&["lock"]).stderr.contains("no target needs it"));
    assert!(!space.read("build.lock").contains("tools"));
}

#[test]
fn build_tags_make_another_tool() {
    let space = space();
    let tagged = "//go:build loud && sure\n\npackage word\n\nfunc init() { Word = \"HELLO\" }\n";
    publish(
        &space,
        "example.com/word",
        "v1.0.0",
        &[
            ("go.mod", "module example.com/word\n\ngo 1.20\n"),
            ("word.go", "package word\n\nvar Word = \"hello\"\n"),
            ("loud.go", tagged),
        ],
    );
    let call = "Tool(\"example.com/Xtools/cmd/say@v1.2.3\")";
    space.ok(&["lock"]);
    assert!(space.ok(&["say", "--locked"]).stderr.contains("hello example.com/Xtools v1.2.3"));
    space.replace("build.ron", call, &call.replace(")", ", tags: [\"loud\", \"sure\"])"));
    // The pin is that of the module, whatever the tags.
    let run = space.ok(&["say", "--locked"]);
    assert!(run.stderr.contains("HELLO example.com/Xtools v1.2.3"), "{}", run.stderr);
    space.replace("build.ron", "\"sure\"", "\"other\"");
    let ran = space.ran(&["say", "--locked"]);
    assert_eq!(ran.keys().collect::<Vec<_>>(), ["say", &format!("{STEP},loud,other")]);
    // Both are kept.
    space.replace("build.ron", "\"other\"", "\"sure\"");
    assert!(space.ran(&["say"]).is_empty());
}

#[test]
fn what_is_not_what_is_pinned_is_not_run() {
    let space = space();
    // Go's index in it is distrusted below: not in that of other tests.
    fs::remove_file(space.cache().join("go/build")).unwrap();
    space.ok(&["lock"]);
    let lock = space.read("build.lock");
    let at = lock.find("h1:").map(|at| lock[at..].find("Xtools\", sum: \"h1:").map_or(at, |rest| at + rest)).unwrap();
    let sum_at = lock[at..].find("sum: \"h1:").unwrap() + at + "sum: \"h1:".len();
    let other = if &lock[sum_at..=sum_at] == "A" { "B" } else { "A" };
    space.write("build.lock", &format!("{}{other}{}", &lock[..sum_at], &lock[sum_at + 1..]));
    let run = space.run(&["say"]);
    run.fails(3, &["is not what build.lock pins", "pinned: example.com/Xtools h1:", "lock --update tools"]);
    assert!(!run.stderr.contains("hello"), "{}", run.stderr);
    let run = space.ok(&["lock", "--update", "tools"]);
    assert!(run.stderr.contains("Moved example.com/Xtools/cmd/say@v1.2.3"), "{}", run.stderr);
    assert_eq!(space.read("build.lock"), lock);
    space.ok(&["say"]);
    // A module that was edited in the module cache does not get into a tool.
    let word = space.cache().join("go/mod/example.com/word@v1.0.0/word.go");
    let text = fs::read_to_string(&word).unwrap();
    let mut permissions = fs::metadata(&word).unwrap().permissions();
    #[allow(clippy::permissions_set_readonly_false, reason = "a file of the test's own")]
    permissions.set_readonly(false);
    fs::set_permissions(&word, permissions).unwrap();
    fs::write(&word, text.replace("hello", "HELLO")).unwrap();
    space.run(&["say", "--force", "--locked"]).fails(3, &["was changed after it was downloaded"]);
    let run = space.ok(&["say", "--force"]);
    assert!(run.stderr.contains("it is fetched again") && run.stderr.contains("hello"), "{}", run.stderr);
}

#[test]
fn what_there_is_not() {
    let space = space();
    let tool = "example.com/Xtools/cmd/say@v1.2.3";
    for (other, code, words) in [
        ("example.com/Xtools/cmd/say@latest", 2, "is not a command at a version"),
        ("example.com/Xtools/cmd/say@main", 2, "is not a command at a version"),
        ("say@v1.2.3", 2, "is not a command at a version"),
        ("example.com/Xtools/cmd/say@v1.2.4", 3, "there is no module with `example.com/Xtools/cmd/say` at v1.2.4"),
    ] {
        space.replace("build.ron", tool, other);
        space.run(&["lock"]).fails(code, &[words, "hint: "]);
        space.replace("build.ron", other, tool);
    }
    space.replace("build.ron", tool, "example.com/Xtools/cmd/none@v1.2.3");
    space.run(&["say"]).fails(1, &["example.com/Xtools/cmd/none", "check its path and version"]);
}
