//! Platforms, variants, several packages, build modes, cgo, tools.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::space::{TestSpace, goproxy};

/// What `go version -m` says of a file.
fn build_info(path: &Path) -> String {
    let output = Command::new("go").args(["version", "-m"]).arg(path).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn platforms_and_variants_side_by_side() {
    let space = TestSpace::small();
    space.replace(
        "build.ron",
        "platforms: [\"linux/amd64\", \"linux/arm64\"]",
        "platforms: [\"linux/amd64\", \"linux/amd64/v3\", \"linux/arm/v6\", \"linux/arm/v7\", \"darwin/arm64\", \"windows/amd64\"]",
    );
    space.replace(
        "build.ron",
        "\"image\": Image(",
        "\"image\": Image(platforms: [\"linux/amd64\", \"linux/arm/v6\", \"linux/amd64/v3\"], ",
    );
    space.ok(&["server", "--all-platforms", "-j3"]);
    for (file, setting) in [
        ("linux_amd64/small", "GOAMD64=v1"),
        ("linux_amd64_v3/small", "GOAMD64=v3"),
        ("linux_arm_v6/small", "GOARM=6"),
        ("linux_arm_v7/small", "GOARM=7"),
        ("darwin_arm64/small", "GOOS=darwin"),
        ("windows_amd64/small.exe", "GOOS=windows"),
    ] {
        let info = build_info(&space.root().join("dist/server").join(file));
        assert!(info.contains(setting), "{file}: {info}");
    }
    assert!(space.bytes("dist/server/linux_arm_v6/small") != space.bytes("dist/server/linux_arm_v7/small"));
    // The machine's own is the first of its architecture; a word without a variant means all variants.
    assert_eq!(space.outcomes(&["server"]).keys().collect::<Vec<_>>(), ["go modules", "server (linux/amd64)"]);
    let arm = space.outcomes(&["server", "--platform", "linux/arm"]);
    assert!(
        arm.contains_key("server (linux/arm/v6)") && arm.contains_key("server (linux/arm/v7)") && arm.len() == 3,
        "{arm:?}"
    );
    // The image's index says the variants.
    space.ok(&["image", "--all-platforms"]);
    let index = space.read("dist/image/index.json");
    let digest = index.split("sha256:").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let index = space.read(&format!("dist/image/blobs/sha256/{digest}"));
    assert!(index.contains(r#""architecture":"arm","os":"linux","variant":"v6""#), "{index}");
    assert!(index.contains(r#""architecture":"amd64","os":"linux","variant":"v3""#), "{index}");
}

#[test]
fn several_packages_and_predictable_names() {
    let space = TestSpace::small();
    space.replace("build.ron", "packages: [\"./cmd/small\"]", "packages: [\"./cmd/...\"]");
    space.write("cmd/v2/v2.go", "package main\n\nfunc main() {}\n");
    space.ok(&["server"]);
    let mut names: Vec<_> = fs::read_dir(space.root().join("dist/server/linux_amd64"))
        .unwrap()
        .flatten()
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["cmd", "other", "small"], "as `go build` names them, a major version less");
    space.write("cmd/new/new.go", "package main\n\nfunc main() {}\n");
    assert!(space.ran(&["server"]).contains_key("server (linux/amd64)"));
    assert!(space.exists("dist/server/linux_amd64/new"));
}

#[test]
fn build_modes() {
    let space = TestSpace::small();
    space.replace("build.ron", "ldflags: [\"-s\", \"-w\"],", "buildmode: \"pie\",");
    space.ok(&["server", "--all-platforms"]);
    let elf_type = |platform: &str| space.bytes(&format!("dist/server/{platform}/small"))[16];
    assert_eq!((elf_type("linux_amd64"), elf_type("linux_arm64")), (3, 3), "ET_DYN");
}

const C_MAIN: &str = "package main\n\n/*\n#include \"sub/answer.h\"\n*/\nimport \"C\"\n\nimport \"fmt\"\n\nfunc main() { fmt.Println(C.ANSWER) }\n";

#[test]
#[cfg_attr(not(has_gcc), ignore = "no gcc")]
fn cgo_is_declared_and_keyed_by_its_compiler() {
    let mut space = TestSpace::small();
    space.write("cmd/small/main.go", C_MAIN);
    space.write("cmd/small/sub/answer.h", "#define ANSWER 41\n");
    space.run(&["server"]).fails(1, &["build constraints exclude all Go files in", "hint: a package that needs cgo"]);
    space.replace("build.ron", "stamp: {\"main.version\": \"{version}\"}", "cgo: true, platforms: [\"linux/amd64\"]");
    let printed = |space: &TestSpace| {
        let output = Command::new(space.root().join("dist/server/linux_amd64/small")).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    space.ok(&["server"]);
    assert_eq!(printed(&space), "41\n");
    assert!(space.ran(&["server"]).is_empty());
    // A header that neither git nor `go list` knows of.
    space.write("cmd/small/sub/answer.h", "#define ANSWER 42\n");
    assert_eq!(space.ran(&["server"])["server (linux/amd64)"], "cmd/small/sub/answer.h changed");
    assert_eq!(printed(&space), "42\n");
    // Another compiler: the same driver under another name and with one more byte.
    space.program("gcc", "exec /usr/bin/gcc \"$@\" # one");
    let reason = space.ran(&["server"]);
    assert!(reason["server (linux/amd64)"].contains("C compiler"), "{reason:?}");
    assert!(space.ran(&["server"]).is_empty());
    space.program("gcc", "exec /usr/bin/gcc \"$@\" # two");
    assert!(space.ran(&["server"])["server (linux/amd64)"].contains("C compiler"));
    // Declared flags are in the key, and directories that they name are looked at.
    let include = space.beside("include");
    fs::create_dir_all(&include).unwrap();
    fs::write(include.join("extra.h"), "#define EXTRA 1\n").unwrap();
    space.replace(
        "build.ron",
        "cgo: true,",
        &format!("cgo: true, env: {{\"CGO_CFLAGS\": \"-I{}\"}},", include.display()),
    );
    assert!(space.ran(&["server"]).contains_key("server (linux/amd64)"));
    fs::write(include.join("extra.h"), "#define EXTRA 22\n").unwrap();
    assert!(space.ran(&["server"])["server (linux/amd64)"].contains("C compiler"));
    // A platform whose compilers have no usual name.
    space.replace("build.ron", "platforms: [\"linux/amd64\"])", "platforms: [\"darwin/arm64\"])");
    space.run(&["server"]).fails(2, &["cgo for darwin/arm64 needs a C compiler that makes programs for it"]);
}

#[test]
fn a_tool_of_the_module_is_built_once_and_keyed() {
    let space = TestSpace::small();
    let library = space.root().join("tools/shout");
    fs::create_dir_all(&library).unwrap();
    space.write("tools/go.mod", "module example.com/tools\n\ngo 1.22\n");
    let source = |suffix: &str| {
        format!(
            "package main\n\nimport (\n\t\"os\"\n\t\"os/exec\"\n\t\"strings\"\n)\n\nfunc main() {{\n\tif _, err := exec.LookPath(\"go\"); err != nil {{\n\t\tpanic(err)\n\t}}\n\ttext, _ := os.ReadFile(os.Args[1])\n\tos.WriteFile(os.Args[2], []byte(strings.ToUpper(string(text))+\"{suffix}\"), 0o644)\n}}\n"
        )
    };
    space.write("tools/shout/main.go", &source(""));
    space.append("go.mod", "\nrequire example.com/tools v0.0.0\n\nreplace example.com/tools => ./tools\n");
    space.replace(
        "build.ron",
        "\"test\":",
        "\"one\": Exec(command: [Tool(\"example.com/tools/shout\"), \"deploy/readme.txt\", \"one.txt\"], inputs: [\"deploy/*\"], outputs: [\"one.txt\"]),\n        \"two\": Exec(command: [\"sh\", \"-c\", \"$0 deploy/readme.txt two.txt\", Tool(\"example.com/tools/shout\")], inputs: [\"deploy/*\"], outputs: [\"two.txt\"]),\n        \"test\":",
    );
    let ran = space.ran(&["one", "two"]);
    assert_eq!(ran.keys().filter(|step| step.starts_with("tool ")).count(), 1, "{ran:?}");
    assert_eq!((space.read("one.txt"), space.read("two.txt")), ("READ ME\n".to_owned(), "READ ME\n".to_owned()));
    assert!(space.ran(&["one", "two"]).is_empty());
    assert_eq!(space.audit_all(&[]).into_iter().collect::<Vec<_>>(), ["one", "tool example.com/tools/shout", "two"]);
    // Another tool: both run again. The same bytes: neither does.
    space.write("tools/shout/main.go", &source("!"));
    let ran = space.ran(&["one", "two"]);
    assert!(ran.contains_key("one") && ran.contains_key("two"), "{ran:?}");
    assert_eq!(space.read("one.txt"), "READ ME\n!");
    space.append("tools/shout/main.go", "\n// a comment\n");
    let ran = space.ran(&["one", "two"]);
    assert_eq!(ran.keys().collect::<Vec<_>>(), ["tool example.com/tools/shout"], "{ran:?}");
    // By its last element it has to be in go.mod.
    space.replace("build.ron", "Tool(\"example.com/tools/shout\"), \"deploy", "Tool(\"shout\"), \"deploy");
    space.run(&["one"]).fails(2, &["go.mod has no tool `shout`", "-->", "go get -tool"]);
    space.replace("build.ron", "packages: [\"./cmd/small\"]", "packages: [Tool(\"x\")]");
    space.run(&["one"]).fails(2, &["a `Tool` is not allowed here"]);
}

/// `tool` lines of go.mod are Go 1.24's: with an installed Go that knows them.
#[test]
#[cfg_attr(not(has_go_1_24), ignore = "no Go 1.24 or later on PATH")]
fn a_tool_line_of_go_mod() {
    let mut space = TestSpace::small();
    let path = std::env::var("PATH").unwrap();
    space.set("PATH", &path);
    space.replace("build.ron", "go: Version(\"1.22.12\")", "go: System");
    space.replace("go.mod", "go 1.22", "go 1.24.0\n\ntool example.com/small/cmd/other");
    space.replace(
        "build.ron",
        "\"test\":",
        "\"t\": Exec(command: [Tool(\"other\")], inputs: [\"go.mod\"]),\n        \"test\":",
    );
    let ran = space.ran(&["t"]);
    assert!(ran.contains_key("tool example.com/small/cmd/other") && ran.contains_key("t"), "{ran:?}");
    assert!(space.ran(&["t"]).is_empty());
}

/// The oldest Go that is supported builds, vets and tests, and the bytes are those of its own `go build`.
#[test]
fn the_oldest_go() {
    const OLDEST: &str = "1.20.14";
    let mut space = TestSpace::empty().with_shared_go();
    space.set("GOPROXY", goproxy());
    space.write("go.mod", "module example.com/old\n\ngo 1.16\n");
    space.write("cmd/old/main.go", "package main\n\nvar version string\n\nfunc main() { println(version) }\n");
    space.write(
        "cmd/old/main_test.go",
        "package main\n\nimport \"testing\"\n\nfunc TestIt(t *testing.T) {\n\tif version != \"\" {\n\t\tt.Fatal(version)\n\t}\n}\n",
    );
    space.write(
        "build.ron",
        &format!(
            r#"(format: 1, project: "old", go: Version("{OLDEST}"), targets: {{
                "old": GoBuild(packages: ["./cmd/old"], stamp: {{"main.version": "v1"}}),
                "vet": GoVet(packages: ["./..."]), "test": GoTest(packages: ["./..."]),
            }})"#
        ),
    );
    space.ok(&["old", "vet", "test"]);
    let go = space.cache().join(format!("go/toolchains/go{OLDEST}.linux-amd64/sdk/bin/go"));
    let bare = space.root().join("bare");
    let status = Command::new(go)
        .args(["build", "-trimpath", "-buildvcs=false", "-ldflags=-buildid= -X main.version=v1", "-o"])
        .arg(&bare)
        .arg("./cmd/old")
        .current_dir(space.root())
        .env("CGO_ENABLED", "0")
        .env("GOFLAGS", "")
        .env("GOCACHE", space.cache().join("go/build"))
        .status();
    assert!(status.unwrap().success());
    assert!(fs::read(&bare).unwrap() == space.bytes("dist/old/linux_amd64/old"), "other bytes than a bare build");
    let outcomes = space.outcomes(&["old", "vet", "test"]);
    assert!(outcomes.values().all(|outcome| outcome == "cached" || outcome == "skipped"), "{outcomes:?}");
}
