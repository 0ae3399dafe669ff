//! Large builds: real programs of other people, described in a few lines, and a generated module of thousands of
//! files. Identical twice, and identical to a bare `go build`.

use std::fs;
use std::process::Command;

#[path = "../../benches/src/generated.rs"]
mod generated;

use crate::space::{TestSpace, copy, repository};

fn fixture(name: &str) -> TestSpace {
    let space = TestSpace::empty().with_shared_go();
    copy(&repository().join("tests/fixtures").join(name), &space.root(), &|_| true);
    fs::copy(repository().join("build.lock"), space.root().join("build.lock")).unwrap();
    space
}

fn check(name: &str, import_path: &str) {
    let one = fixture(name);
    assert!(one.read("build.ron").lines().count() <= 10);
    is_exact(&one, name, import_path);
}

/// Builds `name` twice with Rondel and once by hand.
fn is_exact(one: &TestSpace, name: &str, import_path: &str) {
    one.ok(&[name, "--locked"]);
    let path = format!("dist/{name}/linux_amd64/{name}");
    let bytes = one.bytes(&path);
    // Elsewhere, with nothing but the toolchain in common.
    let two = one.clone_elsewhere();
    two.ok(&[name, "--locked"]);
    assert!(bytes == two.bytes(&path), "{name}: another directory, cold caches");
    // By hand, with the flags that are documented.
    let go = one.cache().join("go/toolchains/go1.22.12.linux-amd64/sdk/bin/go");
    let out = one.beside("by-hand");
    let output = Command::new(go)
        .args(["build", "-trimpath", "-buildvcs=false", "-ldflags=-buildid= -s -w", "-o"])
        .arg(&out)
        .arg(import_path)
        .current_dir(two.root())
        .env_clear()
        .env("HOME", one.beside("home"))
        .env("GOCACHE", two.cache().join("go/build"))
        .env("GOMODCACHE", two.cache().join("go/mod"))
        .env("GOPROXY", "off")
        .env("GOTOOLCHAIN", "local")
        .env("CGO_ENABLED", "0")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(bytes == fs::read(out).unwrap(), "{name}: a bare `go build`");
    assert!(one.audit_all(&[]).contains(&format!("{name} (linux/amd64)")));
    assert!(one.ran(&[name]).is_empty());
}

#[test]
fn task() {
    check("task", "github.com/go-task/task/v3/cmd/task");
}

#[test]
fn crane() {
    check("crane", "github.com/google/go-containerregistry/cmd/crane");
}

/// Variables of packages in the module cache, of which a closure knows the modules only.
#[test]
fn stamps_of_a_public_program() {
    let space = fixture("crane");
    let package = "github.com/google/go-containerregistry/cmd/crane/cmd";
    let mut former = "GoBuild(".to_owned();
    let mut stamp = |name: &str| {
        let fields = format!("GoBuild(stamp: {{\"{name}\": \"9.9\"}}, ");
        space.replace("build.ron", &former, &fields);
        former = fields;
        space.run(&["crane"])
    };
    stamp(&format!("{package}.version")).fails(2, &["is not declared", &format!("did you mean `{package}.Version`?")]);
    stamp("main.nothing").fails(2, &["`stamp` sets `main.nothing`, which is not declared"]);
    stamp("github.com/google/go-containerregistry/pkg/nothing.X").fails(2, &["the program has no package"]);
    assert_eq!(stamp(&format!("{package}.Version")).code, 0);
    let run = Command::new(space.root().join("dist/crane/linux_amd64/crane")).arg("version").output().unwrap();
    assert_eq!(String::from_utf8_lossy(&run.stdout), "9.9\n");
    assert!(space.ran(&["crane"]).is_empty());
}

#[test]
fn a_generated_module_of_many_files() {
    const PACKAGES: usize = 200;
    let space = TestSpace::empty().with_shared_go();
    generated::generate(&space.root(), PACKAGES, "Version(\"1.22.12\")").unwrap();
    fs::copy(repository().join("build.lock"), space.root().join("build.lock")).unwrap();
    let files = Command::new("find").args(["p", "-type", "f"]).current_dir(space.root()).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&files.stdout).lines().count(), generated::FILES * PACKAGES);
    is_exact(&space, "big", "./cmd/big");
    let directory = format!("p/p{:04}", PACKAGES - 1);
    let at = |name: &str| format!("{directory}/{name}");
    // What a build for Linux does not read, one after the other, in the package that is furthest from the command.
    for name in ["README.md", "notes.txt", "testdata/1.golden", "f1_test.go", "other_windows.go"] {
        space.append(&at(name), "\n");
        assert!(space.ran(&["big"]).is_empty(), "{name}");
    }
    space.write(&at("new_darwin.go"), "package nonsense\n");
    space.write(&at("testdata/3.golden"), "new\n");
    assert!(space.ran(&["big"]).is_empty(), "new files that are not read");
    // And what it does.
    for name in ["f1.go", "data/1.txt", "sum.go"] {
        space.append(&at(name), "\n");
        let ran = space.ran(&["big"]);
        assert!(!ran.is_empty() && ran.values().all(|reason| reason.contains(name)), "{name}: {ran:?}");
    }
    for (name, text) in [("data/3.txt", "new\n"), ("new_linux.go", "package p0199\n\nfunc init() {}\n")] {
        space.write(&at(name), text);
        let ran = space.ran(&["big"]);
        assert!(!ran.is_empty(), "{name} is new: {ran:?}");
    }
}
