//! Whole repositories, and the build.ron that is made of each.

use std::fs;
use std::path::{Path, PathBuf};

use super::*;

/// A directory of a test; removed at the end.
struct Tree(PathBuf);

impl Tree {
    fn new(name: &str, files: &[(&str, &str)]) -> Tree {
        let top = std::env::temp_dir().join(format!("rondel-survey-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&top);
        for (path, text) in files {
            let path = top.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Tree(top)
    }

    fn text(&self) -> String {
        let survey = survey(&self.0, None, None).unwrap();
        build_ron(&survey, "0.1.0").unwrap()
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const MAIN: &str = "package main\n\nfunc main() {}\n";

#[test]
fn one_program_with_all_that_can_be_told() {
    let tree = Tree::new(
        "one",
        &[
            ("go.mod", "module example.com/team/app/v2\n\ngo 1.22.12\n"),
            ("main.go", MAIN),
            ("doc.go", "// Words.\npackage documentation\n"),
            ("gen.go", "//go:build ignore\n\npackage other\n"),
            ("internal/tool_windows.go", MAIN),
            (
                "Makefile",
                "build:\n\tgo build -ldflags '-s -w -X main.version=$(shell git describe) -X main.date=$(shell date)'\n",
            ),
            (
                "Dockerfile",
                "FROM golang:1.22.12\nRUN go build\nFROM scratch\nENV A=b\nEXPOSE 8080\nHEALTHCHECK CMD [\"curl\", \"http://localhost:8080/up\"]\n",
            ),
            ("compose.yaml", "services:\n  web:\n    build: .\n"),
        ],
    );
    expect_test::expect![[r#"
        // Written by `init` from what this repository says. Every kind and field: docs/build-ron.md of Rondel.
        (
            format: 1,
            project: "app",
            go: FromGoMod,
            vars: {
                "version": Git(Describe, "dev"),
            },
            targets: {
                "app": GoBuild(
                    doc: "Static executable of .",
                    packages: ["."],
                    ldflags: ["-s", "-w"],
                    stamp: {
                        "main.version": "{version}",
                    },
                    // Makefile: `-X main.date=$(shell date)` is the time of the build, which differs each time; `Git(CommitTime)` does not
                ),
                "image": Image(
                    doc: "Container image of app, built without Docker",
                    base: Static,
                    files: {"/app/app": Output("app")},
                    ports: ["8080/tcp"],
                    health: Http(port: 8080, path: "/up"),
                    tags: ["app:{version}", "app:latest"],
                    // Dockerfile: not taken over from the last stage: ENV
                ),
                "test": GoTest(doc: "Go tests", packages: ["./..."]),
                "vet": GoVet(doc: "go vet", packages: ["./..."]),
                "up": ComposeUp(doc: "The services of compose.yaml", file: "compose.yaml", images: {"web": "image"}),
                "down": ComposeDown(doc: "Stops what `up` started", file: "compose.yaml"),
            },
        )
    "#]].assert_eq(&tree.text());
}

#[test]
fn several_programs_of_a_workspace() {
    let tree = Tree::new(
        "several",
        &[
            ("go.work", "go 1.22.12\n\nuse (\n\t./api\n\t./jobs\n\t../outside\n)\n"),
            ("api/go.mod", "module example.com/api\n\ngo 1.22\n"),
            ("api/cmd/test/main.go", MAIN),
            ("jobs/go.mod", "module example.com/jobs\n\ngo 1.22\n"),
            ("jobs/main.go", MAIN),
            ("tools/go.mod", "module example.com/tools\n"),
            ("tools/main.go", MAIN),
            ("jobs/c/c.go", "package c\n\n// int x;\nimport \"C\"\n"),
            ("jobs/d/d.go", "package d\n\nimport (\n\t\"C\"\n)\n"),
            ("Dockerfile", "FROM scratch\nEXPOSE 80\n"),
        ],
    );
    expect_test::expect![[r#"
        // Written by `init` from what this repository says. Every kind and field: docs/build-ron.md of Rondel.
        // go.work names `../outside`, which is no module of this tree
        // `jobs/c/c.go` imports "C", and static builds leave it out; `cgo: true` of a GoBuild takes it in
        // Modules that nothing here builds: tools
        // A target with `module: "tools"` is of such a module.
        (
            format: 1,
            project: "api",
            go: FromGoMod,
            go_work: "go.work",
            vars: {
                "version": Git(Describe, "dev"),
            },
            targets: {
                "test-2": GoBuild(
                    doc: "Static executable of ./api/cmd/test",
                    packages: ["./api/cmd/test"],
                ),
                "jobs": GoBuild(
                    doc: "Static executable of ./jobs",
                    packages: ["./jobs"],
                ),
                "test-2-image": Image(
                    doc: "Container image of test-2, built without Docker",
                    base: Static,
                    files: {"/app/test-2": Output("test-2")},
                    // the program that these are of can't be told: ports: ["80/tcp"]
                    tags: ["test-2:{version}", "test-2:latest"],
                ),
                "jobs-image": Image(
                    doc: "Container image of jobs, built without Docker",
                    base: Static,
                    files: {"/app/jobs": Output("jobs")},
                    tags: ["jobs:{version}", "jobs:latest"],
                ),
                "build": Group(doc: "All programs", targets: ["test-2", "jobs"]),
                "images": Group(doc: "All images", targets: ["test-2-image", "jobs-image"]),
                "test": GoTest(doc: "Go tests", packages: ["./api/...", "./jobs/..."]),
                "vet": GoVet(doc: "go vet", packages: ["./api/...", "./jobs/..."]),
            },
        )
    "#]]
    .assert_eq(&tree.text());
}

#[test]
fn versions_of_go() {
    for (go_mod, docker, go) in [
        ("go 1.22", "", "go: FromGoMod,\n"),
        ("go 1.22", "FROM golang:1.23.4-alpine\n", "go: Version(\"1.23.4\"), // as in the Dockerfile\n"),
        ("go 1.24.1", "FROM golang:1.23.4\n", "go: FromGoMod,\n"),
        ("go 1.16", "", "go: Version(\"1.22.12\"), // go.mod asks for the language of Go 1.16"),
        ("", "FROM golang:1.23", "go: Version(\"1.22.12\"), // go.mod has no `go` line\n"),
        ("go 1.x\")", "", "go: Version(\"1.22.12\"), // go.mod has no `go` line\n"),
    ] {
        let files = [("go.mod", &*format!("module a\n{go_mod}\n")), ("a.go", MAIN), ("Dockerfile", docker)];
        let text = Tree::new("versions", &files).text();
        assert!(text.contains(go), "{go_mod} {docker}: {text}");
    }
}

#[test]
fn a_module_is_chosen() {
    let failure = |tree: &Tree, root: Option<&str>| survey(&tree.0, root, None).unwrap_err().message;
    let tree = Tree::new("chosen", &[("a/go.mod", "module a\n"), ("a/a.go", MAIN), ("b/go.mod", "module b\n")]);
    assert_eq!(failure(&tree, None), "there are 2 modules, and none at the top: a, b");
    assert_eq!(failure(&tree, Some("b")), "there is no main package in the module");
    assert_eq!(failure(&tree, Some("../c")), "there is no module in `../c`");
    let chosen = survey(&tree.0, Some("./a/"), None).unwrap();
    assert!(build_ron(&chosen, "0.1.0").unwrap().contains("root: \"a\""));
    assert_eq!(failure(&Tree::new("none", &[("x", "")]), None), "there is no go.mod here or below");
}

#[test]
fn lines_of_ignore_files() {
    let module = [("go.mod", "module a\ngo 1.22\n"), ("a.go", MAIN)];
    let of = |name: &str, more: &[(&str, &str)]| {
        let tree = Tree::new(name, &[&module, more].concat());
        let survey = survey(&tree.0, None, None).unwrap();
        let git = git_ignore(None, &survey, true).unwrap();
        (git, docker_ignore(None, &survey), docker_ignore(Some("*\n!go.mod\n"), &survey))
    };
    assert_eq!(of("ignore", &[]), ("/target/\n/dist/\n".to_owned(), None, None));
    let lines = |text: &str| Some(text.to_owned());
    let (git, docker, of_all) = of("ignore", &[("Dockerfile", "FROM scratch\n")]);
    assert_eq!((git.as_str(), docker, of_all), ("/target/\n/dist/\n", lines("/target/\n/.rondel/\n/dist/\n"), None));
    // What is the repository's own is neither hidden from git nor from Docker.
    let (git, docker, _) = of("ignore", &[("Dockerfile", "FROM scratch\nCOPY dist/web /\n"), ("dist/web/x", "")]);
    assert_eq!((git.as_str(), docker), ("/target/\n/dist/a/\n/dist/image/\n", lines("/target/\n/.rondel/\n")));
}

/// Links, names and sizes that nobody should be led astray by.
#[test]
#[cfg(unix)]
fn hostile_trees() {
    use std::os::unix::fs::symlink;
    let tree = Tree::new(
        "hostile",
        &[("go.mod", "module example.com/a\ngo 1.22\n"), ("main.go", MAIN), ("in\u{7}side/main.go", MAIN)],
    );
    let outside = Tree::new("outside", &[("cmd/main.go", MAIN), ("Makefile", "X = -X main.a=b\n")]);
    symlink(&outside.0, tree.0.join("linked")).unwrap();
    symlink(outside.0.join("Makefile"), tree.0.join("Makefile")).unwrap();
    symlink("/dev/zero", tree.0.join("endless.go")).unwrap();
    fs::File::create(tree.0.join("Dockerfile")).unwrap().set_len(1 << 40).unwrap();
    fs::write(tree.0.join("compose.yaml"), "services: {\"x\\\": Bad(\": {build: .}}\n").unwrap();
    let text = tree.text();
    assert_eq!(text.matches("GoBuild(").count(), 1, "{text}");
    assert!(!text.contains("main.a") && !text.contains("Bad"), "{text}");
    for note in [
        "// `Makefile` is no regular file",
        "// `Dockerfile` was not read: ",
        "control characters was left out: in\\u{7}side",
    ] {
        assert!(text.contains(note), "{note}: {text}");
    }
    let below = |directory: &Path| fs::read_dir(directory).unwrap().count();
    assert_eq!((below(&tree.0), below(&outside.0)), (8, 2), "nothing was written");
}
