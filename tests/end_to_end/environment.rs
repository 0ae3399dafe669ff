//! The closed environment of Go: nothing of the caller's gets in, what build.ron declares gets in and counts, and
//! what says how to reach modules stays the user's and does not count.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::space::TestSpace;

const SERVER: &str = "server (linux/amd64)";

/// The environment of the `go build` that ran, from the line that can be pasted.
fn line_of_build(space: &TestSpace, arguments: &[&str]) -> String {
    let run = space.ok(&[&["server", "--force", "-v"], arguments].concat());
    let line = run.stderr.lines().find(|line| line.contains("go build "));
    line.unwrap_or_else(|| panic!("no go build:\n{}", run.stderr)).to_owned()
}

/// Each variable would change or break a build that saw it. None is in a key either: nothing runs because of them.
#[test]
fn nothing_of_the_callers_reaches_a_build_that_runs() {
    let mut space = TestSpace::small();
    space.ok(&["image"]);
    let good = space.bytes("dist/server/linux_amd64/small");
    // A `go` and a `gcc` that would be found first, and a tool that would wrap each compiler.
    let evil = space.beside("evil");
    fs::create_dir_all(&evil).unwrap();
    for name in ["go", "gcc", "cc", "wrap", "git"] {
        let script = format!("#!/bin/sh\ntouch '{}'\nexit 1\n", space.beside("was-run").display());
        fs::write(evil.join(name), script).unwrap();
        fs::set_permissions(evil.join(name), fs::Permissions::from_mode(0o755)).unwrap();
    }
    let path = format!("{}:/usr/bin:/bin", evil.display());
    let wrap = format!("-toolexec={}", evil.join("wrap").display());
    for (name, value) in [
        ("PATH", path.as_str()),
        ("GOFLAGS", wrap.as_str()),
        ("GODEBUG", "gocachehash=1"),
        ("GOEXPERIMENT", "nonsense"),
        ("CGO_ENABLED", "1"),
        ("CGO_CFLAGS", "-nonsense"),
        ("CC", "nonsense"),
        ("GOROOT", "/nonexistent"),
        ("GOPATH", "/nonexistent"),
        ("GOCACHE", "/nonexistent"),
        ("GOMODCACHE", "/nonexistent"),
        ("GOTOOLCHAIN", "go9.99.9"),
        ("GOWORK", "/nonexistent/go.work"),
        ("GO111MODULE", "off"),
        ("GOTMPDIR", "/nonexistent"),
        ("LD_PRELOAD", ""),
        ("LC_ALL", "tr_TR.UTF-8"),
        ("LANG", "C"),
        ("TZ", "Asia/Tokyo"),
        ("HOME", "/nonexistent"),
        ("GOOS", "plan9"),
        ("HTTPS_PROXY", "http://127.0.0.1:1"),
    ] {
        space.set(name, value);
        assert!(space.ran(&["image"]).is_empty(), "{name}");
    }
    space.ok(&["server", "--force"]);
    assert!(good == space.bytes("dist/server/linux_amd64/small"));
    assert!(!space.beside("was-run").exists(), "a program of the caller's PATH was run");
}

#[test]
fn what_is_declared_gets_in_and_counts() {
    let space = TestSpace::small();
    space.ok(&["server"]);
    let declare = |from: &str, to: &str| space.replace("build.ron", from, to);
    declare("stamp:", "env: {\"GODEBUG\": \"gocachetest=1\"}, stamp:");
    assert_eq!(space.ran(&["server"])[SERVER], "GODEBUG is new (`gocachetest=1`)");
    declare("\"GODEBUG\": \"gocachetest=1\"", "\"GOEXPERIMENT\": \"rangefunc\"");
    let reason = &space.ran(&["server"])[SERVER];
    assert!(reason.contains("GODEBUG") || reason.contains("GOEXPERIMENT"), "{reason}");
    assert!(line_of_build(&space, &[]).contains("GOEXPERIMENT=rangefunc"));
    // How much memory the compiler may use is this machine's affair, unless it is declared.
    declare("\"GOEXPERIMENT\": \"rangefunc\"", "\"GOGC\": \"50\"");
    assert!(space.ran(&["server"]).contains_key(SERVER));
    let line = line_of_build(&space, &[]);
    assert!(line.contains("GOGC=50") && !line.contains("GOGC=400"), "{line}");
}

/// They reach `go mod download`, not `go build`, and are in no key.
#[test]
fn download_settings_stay_the_users() {
    let mut space = TestSpace::small();
    space.ok(&["server"]);
    for (name, value) in [
        ("GOPRIVATE", "example.com/private"),
        ("GONOSUMDB", "example.com/private"),
        ("GOAUTH", "netrc"),
        ("GOINSECURE", "example.com/private"),
        ("GOVCS", "*:git"),
        ("SSL_CERT_DIR", "/etc/ssl/certs"),
        ("NETRC", "/nonexistent"),
    ] {
        space.set(name, value);
    }
    assert!(space.ran(&["server"]).is_empty());
    // A module that is not in the cache has to be downloaded.
    space.write("go.sum", "");
    space.append("go.mod", "\n// changed\n");
    let run = space.ok(&["server", "-v"]);
    let download = run.stderr.lines().find(|line| line.contains("go mod download")).expect("a download").to_owned();
    for setting in ["GOPRIVATE=example.com/private", "GOVCS='*:git'", "NETRC=/nonexistent", "SSL_CERT_DIR="] {
        assert!(download.contains(setting), "{setting}\n{download}");
    }
    let build = run.stderr.lines().find(|line| line.contains("go build ")).expect("a build").to_owned();
    for setting in ["GOPRIVATE", "GOVCS", "NETRC", "SSL_CERT_DIR", "GOAUTH"] {
        assert!(!build.contains(setting), "{setting}\n{build}");
    }
}
