//! Real programs of other people, described in a few lines: identical twice, and identical to a bare `go build`.

use std::fs;
use std::process::Command;

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
