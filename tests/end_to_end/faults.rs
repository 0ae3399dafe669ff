//! Faults at every system call that writes: killed, disk full, disk broken, no descriptors left.
//!
//! Each sweep runs Rondel under `strace` with a fault at the N-th call of a family, until a run passes untouched: N = 1, 2, 3 …
//! with `RONDEL_TEST_FAULTS=all`, else the first few and then one of five, by a number in that variable. After each faulty run:
//! outputs are whole, old or new; the next run gives the right result without help, and the one after it finds nothing to do;
//! nothing is left behind that would pile up. (`strace` counts calls by thread, and the children of a step are struck too.)

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::space::{Run, TestSpace};

/// Families of calls that write, and the faults that each can meet.
const FAMILIES: &[(&str, &[&str])] = &[
    ("mkdir,mkdirat", &["signal=KILL", "error=ENOSPC", "error=EIO"]),
    ("openat", &["signal=KILL", "error=ENOSPC", "error=EIO", "error=EMFILE"]),
    ("write,pwrite64,writev", &["signal=KILL", "error=ENOSPC", "error=EIO"]),
    ("chmod,fchmod,fchmodat", &["signal=KILL", "error=EIO"]),
    ("rename,renameat,renameat2", &["signal=KILL", "error=ENOSPC", "error=EIO"]),
    ("unlink,unlinkat,rmdir", &["signal=KILL", "error=EIO"]),
    ("symlink,symlinkat,utimensat,ftruncate,copy_file_range,sendfile,flock", &["signal=KILL", "error=EIO"]),
];

/// A signal came: the call is to be made again.
const INTERRUPTED: &str = "error=EINTR";

/// So many calls of a family are all struck, whatever part is tried.
const FIRST: usize = 6;
/// Of those that come later, one of so many.
const SHARE: usize = 5;

/// The calls of a family to strike, in order, without end. All of them take half an hour of a core.
fn places(calls: &str, fault: &str) -> impl Iterator<Item = usize> {
    let asked = std::env::var("RONDEL_TEST_FAULTS").unwrap_or_default();
    // Another part for each fault, so that one place meets different ones.
    let part = asked.parse::<usize>().unwrap_or(0) + calls.len() + fault.len();
    (1..).filter(move |count| asked == "all" || *count <= FIRST || (count + part).is_multiple_of(SHARE))
}

/// How often each family and fault was tried.
type Tried = BTreeMap<String, usize>;

/// One run with a fault at the `count`-th call; `None` if there was no such call.
fn struck(space: &TestSpace, calls: &str, fault: &str, count: usize, arguments: &[&str]) -> Option<Run> {
    let log = space.beside("strace.log");
    let (trace, inject) = (format!("trace={calls}"), format!("inject={calls}:{fault}:when={count}"));
    let mut options = vec!["-f", "-q", "-o", log.to_str().unwrap(), "-e", &trace, "-e", &inject];
    if fault == INTERRUPTED {
        // Rondel alone: what other programs make of it is their business.
        options.push("--detach-on=execve");
    } else if fault.starts_with("error") {
        // Stops at the calls in question only; signals are not sent then.
        options.push("--seccomp-bpf");
    }
    options.push("--");
    let run = Run::of(space.under("strace", &options, arguments).output().unwrap());
    let text = fs::read_to_string(&log).unwrap_or_default();
    (text.contains("(INJECTED)") || text.contains("killed by SIGKILL")).then_some(run)
}

/// Runs `arguments` with every fault at the places to try. `before` makes the work that the run has to do (told a number
/// that is always another), `after` checks what is there then, told whether the run claims to have succeeded.
fn sweep(
    space: &TestSpace,
    arguments: &[&str],
    before: &dyn Fn(&TestSpace, usize),
    after: &dyn Fn(&TestSpace, usize, bool, &str),
) -> Tried {
    let mut tried = Tried::new();
    let mut number = 0;
    for (calls, faults) in FAMILIES {
        for fault in *faults {
            for count in places(calls, fault) {
                number += 1;
                before(space, number);
                let Some(run) = struck(space, calls, fault, count, arguments) else { break };
                let place = format!("{fault} at {calls} {count}");
                assert!(
                    !run.stderr.contains("panicked") && !run.stderr.contains("internal error"),
                    "{place}: {}",
                    run.stderr
                );
                let is_told = run.code == 0 || run.code == -1 || run.stderr.contains("error") || run.code == 137;
                // Standard error itself may have been struck.
                assert!(is_told || calls.contains("write"), "{place}: exit code {} and nothing said", run.code);
                after(space, number, run.code == 0, &place);
                *tried.entry(format!("{fault} at {calls}")).or_default() += 1;
            }
        }
    }
    tried
}

fn report(what: &str, tried: &Tried) {
    println!("{what}: {} faults", tried.values().sum::<usize>());
    tried.iter().for_each(|(place, count)| println!("  {count:>4} x {place}"));
    assert!(tried.len() >= 12, "{what}: whole families were never struck: {tried:?}");
}

/// What killed processes leave is swept by those that come after.
fn litter(space: &TestSpace) -> Vec<String> {
    let mut found = Vec::new();
    for place in [
        "work",
        "work/.rondel",
        "work/.rondel/staging",
        "work/.rondel/tmp",
        "cache/v2/tmp",
        "cache/v2/running",
        "cache/go/toolchains",
    ] {
        for entry in fs::read_dir(space.beside(place)).into_iter().flatten().flatten() {
            let name = entry.file_name().into_string().unwrap();
            if name.starts_with(".rondel-tmp") {
                found.push(format!("{place}/{name}"));
            }
        }
    }
    found
}

const TARGETS: &str = r#""make": Exec(
    command: ["sh", "-c", "mkdir -p gen/sub && cat in > gen/sub/whole && cat in in in in > gen/long && ln -sf long gen/link && cat in > out && chmod +x out"],
    inputs: ["in"], outputs: ["gen/", "out"])"#;

fn long(number: usize) -> String {
    format!("{number:08}\n").repeat(2000)
}

/// Both outputs are whole, of one run each.
fn outputs_are(space: &TestSpace, number: usize) -> bool {
    let text = long(number);
    let read = |path: &str| fs::read_to_string(space.root().join(path)).unwrap_or_default();
    read("out") == text && read("gen/sub/whole") == text && read("gen/link") == text.repeat(4)
}

fn check_make(space: &TestSpace, number: usize, succeeded: bool, place: &str) {
    if succeeded {
        assert!(outputs_are(space, number), "{place}: success was claimed, and the outputs are not right");
    }
    let run = space.run(&["make"]);
    assert_eq!(run.code, 0, "after {place}: {}", run.stderr);
    assert!(outputs_are(space, number), "after {place}: the next run gave something else\n{}", run.stderr);
    let again = space.ran(&["make"]);
    assert!(again.is_empty(), "after {place}: runs again: {again:?}");
    // Restored from what is stored now, it is right too.
    space.remove("out");
    space.remove("gen");
    let run = space.ok(&["make"]);
    assert!(outputs_are(space, number), "after {place}: what was stored is wrong\n{}", run.stderr);
}

#[test]
#[cfg_attr(not(has_strace), ignore = "no strace that may trace")]
fn storing_and_placing() {
    let space = TestSpace::with_targets(TARGETS);
    space.write("in", &long(0));
    space.ok(&["make"]);
    let before = |space: &TestSpace, number: usize| space.write("in", &long(number));
    let tried = sweep(&space, &["make"], &before, &check_make);
    report("storing and placing", &tried);
    space.write("in", "end\n");
    space.ok(&["make"]);
    assert_eq!(litter(&space), Vec::<String>::new());
    // Everything that was ever stored is sound.
    let verified = space.ok(&["cache", "verify"]);
    assert!(!verified.stderr.contains("removed"), "{}", verified.stderr);
}

/// A call that a signal interrupted is made again: nobody notices. Only of opening directories, which local file
/// systems do not let signals interrupt, the standard library says that it was interrupted: that is told.
#[test]
#[cfg_attr(not(has_strace), ignore = "no strace that may trace")]
fn interrupted_calls() {
    let space = TestSpace::with_targets(TARGETS);
    let (mut tried, mut number) = (Tried::new(), 0);
    for calls in ["openat", "read,pread64,readv", "write,pwrite64,writev", "wait4,waitid,poll,flock", "copy_file_range"]
    {
        for count in places(calls, INTERRUPTED) {
            number += 1;
            space.write("in", &long(number));
            let Some(run) = struck(&space, calls, INTERRUPTED, count, &["make"]) else { break };
            // The dynamic loader, before Rondel's first line, does not try again.
            if run.stderr.contains("while loading shared libraries") {
                continue;
            }
            if calls == "openat" && run.stderr.contains("Interrupted system call") {
                space.ok(&["make"]);
            } else {
                assert!(run.code == 0 && !run.stderr.contains("warning"), "{calls} {count}: {}", run.stderr);
            }
            assert!(outputs_are(&space, number), "{calls} {count}: {}", run.stderr);
            assert!(space.ran(&["make"]).is_empty(), "{calls} {count}");
            *tried.entry(calls.to_owned()).or_default() += 1;
        }
    }
    println!("interrupted calls: {tried:?}");
    assert!(tried.len() >= 4, "whole families were never struck: {tried:?}");
}

/// Reads and writes that do less than they were asked to, down to a byte at a time, and every other one interrupted.
const SHORT: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <sys/types.h>
#include <unistd.h>
static __thread unsigned turn;
static size_t less(size_t wanted) {
    static const size_t most[] = {1, 7, 4096, 3, 65536, 1000};
    size_t limit = most[turn++ / 2 % 6];
    return wanted < limit ? wanted : limit;
}
#define CALL(type, name, parameters, arguments) \
    type name parameters { \
        static type (*real) parameters; \
        if (!real) *(void **)&real = dlsym(RTLD_NEXT, #name); \
        if (turn++ % 2) { errno = EINTR; return -1; } \
        count = less(count); \
        return real arguments; \
    }
CALL(ssize_t, read, (int file, void *bytes, size_t count), (file, bytes, count))
CALL(ssize_t, write, (int file, const void *bytes, size_t count), (file, bytes, count))
CALL(ssize_t, pread64, (int file, void *bytes, size_t count, off64_t place), (file, bytes, count, place))
CALL(ssize_t, copy_file_range, (int from, off64_t *x, int to, off64_t *y, size_t count, unsigned flags), (from, x, to, y, count, flags))
CALL(ssize_t, sendfile64, (int to, int from, off64_t *place, size_t count), (to, from, place, count))
"#;

#[test]
#[cfg_attr(not(has_cc), ignore = "no C compiler named `cc`")]
fn short_reads_and_writes() {
    let mut space = TestSpace::with_targets(TARGETS);
    let (source, library) = (space.beside("short.c"), space.beside("short.so"));
    fs::write(&source, SHORT).unwrap();
    let built = Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(&source).status();
    assert!(built.unwrap().success());
    space.set("LD_PRELOAD", &library.display().to_string());
    for number in 0..6 {
        space.write("in", &long(number));
        let run = space.ok(&["make"]);
        assert!(outputs_are(&space, number) && !run.stderr.contains("warning"), "{}", run.stderr);
        assert!(space.ran(&["make"]).is_empty());
        space.remove("out");
        space.remove("gen");
        assert_eq!(space.outcomes(&["make"])["make"], "cached");
        assert!(outputs_are(&space, number));
    }
    space.set("LD_PRELOAD", "");
    assert!(space.ran(&["make"]).is_empty(), "the key is another one");
    assert!(!space.ok(&["cache", "verify"]).stderr.contains("removed"));
}

#[test]
#[cfg_attr(not(has_strace), ignore = "no strace that may trace")]
fn restoring() {
    let space = TestSpace::with_targets(TARGETS);
    space.write("in", &long(0));
    space.ok(&["make"]);
    let before = |space: &TestSpace, _: usize| {
        let _ = fs::remove_file(space.root().join("out"));
        let _ = fs::remove_dir_all(space.root().join("gen"));
    };
    let after = |space: &TestSpace, _: usize, succeeded: bool, place: &str| check_make(space, 0, succeeded, place);
    let tried = sweep(&space, &["make"], &before, &after);
    report("restoring", &tried);
    assert_eq!(litter(&space), Vec::<String>::new());
}

/// A module zip of a toolchain that is small, in the way of `golang.org/toolchain`.
fn small_toolchain(space: &mut TestSpace) {
    let script = r##"
import sys, zipfile
prefix = "golang.org/toolchain@v0.0.1-go1.22.12.linux-amd64/"
with zipfile.ZipFile(sys.argv[1], "w", zipfile.ZIP_DEFLATED) as archive:
    archive.writestr(prefix + "bin/go", "#!/bin/sh\necho go version go1.22.12 linux/amd64\n")
    archive.writestr(prefix + "pkg/tool/linux_amd64/compile", "compiler")
    archive.writestr(prefix + "src/fmt/print.go", "package fmt\n" * 5000)
    archive.writestr(prefix + "VERSION", "go1.22.12\n")
"##;
    let directory = space.beside("proxy/golang.org/toolchain/@v");
    fs::create_dir_all(&directory).unwrap();
    let archive = directory.join("v0.0.1-go1.22.12.linux-amd64.zip");
    assert!(Command::new("python3").args(["-c", script]).arg(archive).status().unwrap().success());
    let url = format!("file://{}", space.beside("proxy").display());
    space.set("GOPROXY", &url);
}

#[test]
#[cfg_attr(not(has_strace), ignore = "no strace that may trace")]
#[cfg_attr(not(has_python3), ignore = "no python3")]
#[cfg_attr(not(has_x86_64_linux), ignore = "no x86-64 Linux")]
fn unpacking_a_toolchain() {
    let mut space = TestSpace::empty();
    small_toolchain(&mut space);
    space.write(
        "build.ron",
        r#"(format: 1, project: "t", go: Version("1.22.12"), targets: {"v": Exec(command: ["go", "version"], inputs: ["in"], outputs: [])})"#,
    );
    space.write("go.mod", "module example.com/x\n\ngo 1.22\n");
    space.write("in", "");
    let toolchains = |space: &TestSpace| space.cache().join("go/toolchains");
    let before = |space: &TestSpace, number: usize| {
        let _ = fs::remove_dir_all(toolchains(space).join("go1.22.12.linux-amd64"));
        space.write("in", &format!("{number}"));
    };
    let after = |space: &TestSpace, number: usize, _: bool, place: &str| {
        let compiler = toolchains(space).join("go1.22.12.linux-amd64/sdk/pkg/tool/linux_amd64/compile");
        let source = toolchains(space).join("go1.22.12.linux-amd64/sdk/src/fmt/print.go");
        if compiler.exists() {
            assert_eq!(fs::metadata(&source).map_or(0, |metadata| metadata.len()), 60_000, "{place}: half a toolchain");
        }
        space.write("in", &format!("{number} again"));
        let run = space.run(&["v"]);
        assert_eq!(run.code, 0, "after {place}: {}", run.stderr);
        assert!(run.stderr.contains("go version go1.22.12"), "after {place}: {}", run.stderr);
        assert_eq!(fs::read(&source).unwrap().len(), 60_000, "after {place}");
        assert_eq!(fs::read_to_string(&compiler).unwrap(), "compiler", "after {place}");
    };
    let tried = sweep(&space, &["v"], &before, &after);
    report("unpacking a toolchain", &tried);
    before(&space, 0);
    space.ok(&["v"]);
    assert_eq!(litter(&space), Vec::<String>::new());
    let names: Vec<_> = fs::read_dir(toolchains(&space)).unwrap().flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(names.len(), 1, "{names:?}");
}

#[test]
#[cfg_attr(not(has_strace), ignore = "no strace that may trace")]
#[cfg_attr(not(has_python3), ignore = "no python3")]
#[cfg_attr(not(has_x86_64_linux), ignore = "no x86-64 Linux")]
fn writing_the_lock_file() {
    let mut space = TestSpace::empty();
    small_toolchain(&mut space);
    space.write("build.ron", r#"(format: 1, project: "t", go: Version("1.22.12"), targets: {})"#);
    space.write("go.mod", "module example.com/x\n\ngo 1.22\n");
    space.write("build.lock", "(format: 1, go: {})\n");
    space.ok(&["lock"]);
    let whole = space.read("build.lock");
    assert!(whole.contains("1.22.12"), "{whole}");
    let before = |space: &TestSpace, _: usize| space.write("build.lock", "(format: 1, go: {})\n");
    let after = |space: &TestSpace, _: usize, succeeded: bool, place: &str| {
        let found = space.read("build.lock");
        assert!(found == whole || (!succeeded && found == "(format: 1, go: {})\n"), "{place}: {found}");
        space.ok(&["lock"]);
        assert_eq!(space.read("build.lock"), whole, "after {place}");
    };
    let tried = sweep(&space, &["lock"], &before, &after);
    report("writing the lock file", &tried);
    assert_eq!(litter(&space), Vec::<String>::new());
}

#[test]
#[cfg_attr(not(has_strace), ignore = "no strace that may trace")]
fn collecting() {
    let space = TestSpace::with_targets(TARGETS);
    let before = |space: &TestSpace, number: usize| {
        let _ = fs::remove_dir_all(space.cache());
        for number in [number * 2 + 1, number] {
            space.write("in", &long(number));
            space.ok(&["make"]);
        }
    };
    let tried = sweep(&space, &["cache", "gc", "--max", "100KiB"], &before, &check_make);
    println!("collecting: {tried:?}");
    assert!(tried.len() >= 5, "{tried:?}");
    space.ok(&["cache", "gc", "--max", "100KiB"]);
    let left: u64 = files(&space.cache().join("v2"));
    assert!(left <= 100 * 1024, "{left} bytes are left");
    assert_eq!(litter(&space), Vec::<String>::new());
}

fn files(directory: &Path) -> u64 {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .map(|entry| if entry.path().is_dir() { files(&entry.path()) } else { entry.metadata().unwrap().len() })
        .sum()
}
