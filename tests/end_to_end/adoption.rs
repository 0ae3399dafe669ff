//! Rondel in another repository: by `init`, and by the files that README.md shows.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use expect_test::expect;

use crate::space::{Run, TestSpace, repository};

const GO_MOD: &str = "module example.com/app\n\ngo 1.22.12\n";
const MAIN: &str = "package main\n\nvar version = \"none\"\n\nfunc main() { println(\"version\", version) }\n";

/// A repository with these files and nothing of Rondel.
fn fresh(files: &[(&str, &str)]) -> TestSpace {
    let space = TestSpace::empty().with_shared_go();
    for (path, text) in files {
        space.write(path, text);
    }
    space
}

/// `init` for an installed `rondel`.
fn adopted(files: &[(&str, &str)]) -> TestSpace {
    let space = fresh(files);
    space.ok(&["init", "--no-cargo", "--offline"]);
    space
}

/// What the executable of `target` prints.
fn printed(space: &TestSpace, target: &str, name: &str) -> String {
    space.ok(&[target]);
    let output = Command::new(space.root().join(format!("dist/{target}/linux_amd64/{name}"))).output().unwrap();
    String::from_utf8(output.stderr).unwrap()
}

/// All files with their contents, but for what builds make.
fn tree(space: &TestSpace) -> BTreeMap<PathBuf, Vec<u8>> {
    fn below(directory: &Path, files: &mut BTreeMap<PathBuf, Vec<u8>>) {
        for entry in fs::read_dir(directory).unwrap().flatten() {
            match entry.file_type().unwrap() {
                kind if kind.is_dir() => below(&entry.path(), files),
                kind if kind.is_file() => drop(files.insert(entry.path(), fs::read(entry.path()).unwrap())),
                _ => drop(files.insert(entry.path(), Vec::new())),
            }
        }
    }
    let mut files = BTreeMap::new();
    below(&space.root(), &mut files);
    files
}

fn cargo(space: &TestSpace, arguments: &[&str]) -> Run {
    let mut command = Command::new("cargo");
    command.args(arguments).current_dir(space.root());
    command.env("CARGO_TARGET_DIR", space.beside("target")).env_remove("RUSTFLAGS");
    command.env("RONDEL_UNDER_TEST", env!("CARGO_BIN_EXE_rondel-under-test"));
    command.env("RONDEL_CACHE_DIR", space.cache());
    command.env("DOCKER_HOST", "unix:///nonexistent/docker.sock");
    Run::of(command.output().unwrap())
}

/// The repository of Rondel in the place of a submodule.
fn with_rondel(space: &TestSpace) {
    fs::create_dir_all(space.root().join("third_party")).unwrap();
    std::os::unix::fs::symlink(repository(), space.root().join("third_party/rondel")).unwrap();
}

/// The same with a crate that starts the program of this test, and compiles in a second.
fn with_stand_in(space: &TestSpace) {
    let place = space.root().join("third_party/rondel");
    fs::remove_file(place).unwrap();
    space.write("third_party/rondel/Cargo.toml", "[workspace]\nmembers = [\"crates/*\"]\n");
    space.write(
        "third_party/rondel/crates/rondel/Cargo.toml",
        "[package]\nname = \"rondel\"\nversion = \"0.1.0\"\nedition = \"2024\"\n",
    );
    space.write(
        "third_party/rondel/crates/rondel/src/lib.rs",
        "use std::os::unix::process::CommandExt;\n\npub fn main() -> std::process::ExitCode {\n    \
         let program = std::env::var_os(\"RONDEL_UNDER_TEST\").unwrap();\n    \
         panic!(\"{}\", std::process::Command::new(program).args(std::env::args_os().skip(1)).exec())\n}\n",
    );
    let _ = fs::remove_file(space.root().join("Cargo.lock"));
}

/// The files that README.md shows in its section, by path.
fn files_of_the_readme() -> Vec<(String, String)> {
    let readme = fs::read_to_string(repository().join("README.md")).unwrap();
    let section = readme.split("\n## In another repository\n").nth(1).unwrap().split("\n## ").next().unwrap();
    let mut files = Vec::new();
    let mut lines = section.lines();
    while let Some(line) = lines.next() {
        let Some(path) = line.strip_prefix('`').and_then(|line| line.strip_suffix("`:")) else { continue };
        let block = lines.by_ref().skip_while(|line| !line.starts_with("```")).skip(1);
        let text: String = block.take_while(|line| *line != "```").map(|line| format!("{line}\n")).collect();
        files.push((path.to_owned(), text));
    }
    files
}

/// Word for word: each file is what `init` writes, Cargo takes it with the real Rondel, and `cargo xtask` builds.
#[test]
fn the_readme_adopts_a_fresh_repository() {
    let sources = [("go.mod", GO_MOD), ("cmd/app/main.go", MAIN)];
    let files = files_of_the_readme();
    let names: Vec<&str> = files.iter().map(|(path, _)| path.as_str()).collect();
    let xtask = ["xtask/Cargo.toml", "xtask/src/main.rs", "xtask/build.rs"];
    assert_eq!(names, [&["build.ron", "Cargo.toml"], &xtask[..], &[".cargo/config.toml", ".gitignore"]].concat());
    let by_hand = fresh(&sources);
    for (path, text) in &files {
        by_hand.write(path, text);
    }
    with_rondel(&by_hand);
    let by_init = fresh(&sources);
    with_rondel(&by_init);
    by_init.ok(&["init", "--rondel-path", "third_party/rondel", "--offline"]);
    for (path, text) in &files {
        assert_eq!(by_init.read(path), *text, "README.md shows another `{path}` than `init` writes");
    }
    let metadata = cargo(&by_hand, &["metadata", "--offline", "--format-version", "1"]);
    assert_eq!(metadata.code, 0, "{}", metadata.stderr);
    let metadata: serde_json::Value = serde_json::from_str(&metadata.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let packages: Vec<&str> = packages.iter().map(|package| package["name"].as_str().unwrap()).collect();
    for name in profile_packages(&by_hand.read("Cargo.toml")) {
        assert!(packages.contains(&name.as_str()), "the profile names `{name}`, which Rondel has not");
    }
    with_stand_in(&by_hand);
    let run = cargo(&by_hand, &["xtask", "app"]);
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    assert!(printed(&by_hand, "app", "app").starts_with("version "));
    assert!(cargo(&by_hand, &["xtask", "list"]).stdout.contains("Static executable of ./cmd/app"));
}

/// The names below `[profile.xtask.package]`.
fn profile_packages(manifest: &str) -> Vec<String> {
    let section = manifest.split("[profile.xtask.package]\n").nth(1).unwrap();
    let lines = section.lines().take_while(|line| !line.starts_with('['));
    let names = lines.filter_map(|line| line.split_once(" = ")).map(|(name, _)| name.to_owned());
    names.collect()
}

#[test]
fn one_program_with_dockerfile_and_compose() {
    let space = adopted(&[
        ("go.mod", GO_MOD),
        ("main.go", MAIN),
        ("Makefile", "build:\n\tgo build -ldflags \"-s -w -X main.version=v7\" .\n"),
        ("Dockerfile", "FROM scratch\nCOPY . .\nEXPOSE 8080\nHEALTHCHECK CMD curl http://localhost:8080/up\n"),
        ("docker-compose.yml", "services:\n  web:\n    build: .\n    ports: [\"80:8080\"]\n"),
        (".dockerignore", "*.md\n"),
        (".gitignore", "*.o"),
    ]);
    assert_eq!(printed(&space, "app", "app"), "version v7\n");
    space.ok(&["image", "test", "vet"]);
    let config = space.ok(&["inspect", "image"]).stdout;
    for words in ["{\"8080/tcp\":{}}", "\"http://127.0.0.1:8080/up\""] {
        assert!(config.contains(words), "{words}: {config}");
    }
    assert_eq!(space.read(".dockerignore"), "*.md\n/target/\n/.rondel/\n/dist/\n");
    assert_eq!(space.read(".gitignore"), "*.o\n/dist/\n");
    assert!(!space.exists("Cargo.toml") && !space.exists("xtask"));
}

#[test]
fn several_programs_below_cmd() {
    let space = adopted(&[
        ("go.mod", GO_MOD),
        ("cmd/one/main.go", MAIN),
        ("cmd/two/main.go", MAIN),
        ("cmd/two/gen.go", "//go:build ignore\n\npackage main\n\nfunc main() { broken }\n"),
        ("internal/x/x.go", "package x\n"),
    ]);
    space.ok(&["build", "images", "test"]);
    assert_eq!(printed(&space, "two", "two"), "version none\n");
    assert!(space.exists("dist/one-image/index.json") && space.exists("dist/two-image/index.json"));
}

#[test]
fn a_module_in_a_subdirectory() {
    let space = adopted(&[("services/api/go.mod", GO_MOD), ("services/api/main.go", MAIN), ("web/index.html", "x")]);
    assert!(space.read("build.ron").contains("root: \"services/api\""));
    assert_eq!(printed(&space, "app", "app"), "version none\n");
    space.ok(&["image"]);
}

#[test]
fn a_workspace_of_modules() {
    let space = adopted(&[
        ("go.work", "go 1.22.12\n\nuse (\n\t./api\n\t./lib\n)\n"),
        ("api/go.mod", "module example.com/api\n\ngo 1.22\n"),
        ("api/main.go", "package main\n\nimport \"example.com/lib\"\n\nfunc main() { println(lib.Text) }\n"),
        ("lib/go.mod", "module example.com/lib\n\ngo 1.22\n"),
        ("lib/lib.go", "package lib\n\nconst Text = \"of the library\"\n"),
    ]);
    assert_eq!(printed(&space, "api", "api"), "of the library\n");
    space.ok(&["test", "vet"]);
}

#[test]
fn vendored_modules() {
    let space = adopted(&[
        ("go.mod", "module example.com/app\n\ngo 1.22.12\n\nrequire example.com/lib v1.0.0\n"),
        ("main.go", "package main\n\nimport \"example.com/lib\"\n\nfunc main() { println(lib.Text) }\n"),
        ("vendor/modules.txt", "# example.com/lib v1.0.0\n## explicit; go 1.22\nexample.com/lib\n"),
        ("vendor/example.com/lib/lib.go", "package lib\n\nconst Text = \"vendored\"\n"),
        ("vendor/example.com/lib/cmd/x/main.go", MAIN),
    ]);
    assert_eq!(printed(&space, "app", "app"), "vendored\n");
    assert_eq!(space.read("build.ron").matches("GoBuild(").count(), 1);
}

#[test]
fn a_workspace_of_cargo_gets_a_member() {
    let space = fresh(&[
        ("go.mod", GO_MOD),
        ("main.go", MAIN),
        ("Cargo.toml", "[workspace]\nresolver = \"3\"\nmembers = [\n    \"tool\",\n]\n"),
        ("tool/Cargo.toml", "[package]\nname = \"tool\"\nversion = \"0.1.0\"\nedition = \"2024\"\n"),
        ("tool/src/lib.rs", ""),
        (".cargo/config.toml", "[alias]\nb = \"build\"\n"),
    ]);
    with_rondel(&space);
    space.ok(&["init", "--rondel-path", "third_party/rondel", "--offline"]).check(expect![[r#"
        --- stderr
             Written build.ron
            Extended Cargo.toml
             Written xtask/Cargo.toml
             Written xtask/src/main.rs
             Written xtask/build.rs
            Extended .cargo/config.toml
             Written .gitignore
         Not written build.lock: `--offline` was given; `cargo xtask lock` writes it

        Run   cargo xtask app
              cargo xtask image
              cargo xtask   (lists all targets)
        then read the comments in build.ron, and commit what was written, with the lock files.
    "#]]);
    with_stand_in(&space);
    let run = cargo(&space, &["xtask", "app"]);
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    let members = cargo(&space, &["metadata", "--offline", "--no-deps", "--format-version", "1"]).stdout;
    assert!(members.contains("\"name\":\"tool\"") && members.contains("\"name\":\"xtask\""), "{members}");
}

#[test]
fn nothing_is_overwritten() {
    for (path, text, message) in [
        ("build.ron", "(format: 1", "there is a build.ron in "),
        ("xtask/src/main.rs", "fn main() {}", "there is an `xtask` already"),
        (".cargo/config", "", "there is a `.cargo/config`"),
        (".cargo/config.toml", "[alias]\nxtask = \"run -p own\"\n", "`xtask` is an alias of its own"),
        ("Cargo.toml", "workspace = { members = [] }\n", "add `members = [\"xtask\"]`"),
        (".gitignore/x", "", "`.gitignore` is no regular file"),
        (".cargo", "a file", "`.cargo` is no directory"),
    ] {
        let space = fresh(&[("go.mod", GO_MOD), ("main.go", MAIN), (path, text)]);
        with_rondel(&space);
        let before = tree(&space);
        space.run(&["init", "--rondel-path", "third_party/rondel", "--offline"]).fails(2, &[message, "hint: "]);
        assert_eq!(tree(&space), before, "{path}");
    }
    // A link could lead anywhere.
    let space = fresh(&[("go.mod", GO_MOD), ("main.go", MAIN)]);
    fs::write(space.beside("outside"), "theirs\n").unwrap();
    std::os::unix::fs::symlink(space.beside("outside"), space.root().join(".gitignore")).unwrap();
    space.run(&["init", "--no-cargo", "--offline"]).fails(2, &["`.gitignore` is no regular file"]);
    assert_eq!(fs::read_to_string(space.beside("outside")).unwrap(), "theirs\n");
    assert!(!space.exists("build.ron"));
}

#[test]
fn what_can_not_be_written_is_said() {
    let space = fresh(&[("go.mod", GO_MOD), ("main.go", MAIN)]);
    let before = tree(&space);
    space.run(&["init"]).check(expect![[r#"
        --- stderr
        error: this Rondel does not know the address of its own repository

        hint: name it: `--rondel-path third_party/rondel` (a submodule), or `--rondel-git URL`; `--no-cargo` writes build.ron alone, for an installed `rondel`
        --- exit code 2
    "#]]);
    let here = space.root().display().to_string();
    space.run(&["init", "--rondel-path", &here]).fails(2, &["relative to the repository", "submodule"]);
    space.run(&["init", "--rondel-path", "nowhere"]).fails(2, &["there is no Rondel in `nowhere`"]);
    space.run(&["init", "--rondel-git", "/srv/rondel"]).fails(2, &["an address that Cargo can use everywhere"]);
    space.run(&["init", "--file", "x.ron"]).fails(2, &["takes no `--file`"]);
    space.run(&["init", "--no-cargo", "--root", "cmd"]).fails(2, &["there is no module in `cmd`", "one of: ."]);
    space.run(&["image"]).fails(2, &["there is no build.ron", "`rondel-under-test init` writes one"]);
    let shown = space.ok(&["init", "--dry-run", "--rondel-git", "https://git.example/rondel.git"]).stdout;
    for words in ["--- build.ron (new)", "--- .cargo/config.toml (new)", "git = \"https://git.example/rondel.git\""] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    assert_eq!(tree(&space), before);
    space.remove("main.go");
    space.run(&["init", "--no-cargo"]).fails(2, &["there is no main package"]);
}

/// From a directory of the repository, without a program of it being started.
#[test]
fn the_top_is_where_git_says_and_nothing_is_started() {
    let mut space = fresh(&[("go.mod", GO_MOD), ("cmd/app/main.go", MAIN), (".git/HEAD", "ref: refs/heads/main\n")]);
    let log = space.record_programs(&["go", "git", "make", "docker"]);
    let mut command = space.command(&["init", "--no-cargo", "--offline"]);
    let run = Run::of(command.current_dir(space.root().join("cmd/app")).output().unwrap());
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(space.exists("build.ron") && !space.exists("cmd/app/build.ron"));
    assert_eq!(fs::read_to_string(log).unwrap_or_default(), "");
}
