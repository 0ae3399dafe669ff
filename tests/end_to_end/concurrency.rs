//! Several Rondels at once, stores that can't be written, what other versions left, and limits of the system.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use crate::space::{Run, TestSpace};

fn many(count: usize) -> TestSpace {
    let target = |number: usize| {
        format!(
            r#""t{number}": Exec(command: ["sh", "-c", "sleep 0.05; cat in{number} in > out{number}"], inputs: ["in{number}", "in"], outputs: ["out{number}"])"#
        )
    };
    let mut targets: Vec<String> = (0..count).map(target).collect();
    let list: Vec<String> = (0..count).map(|number| format!("\"t{number}\"")).collect();
    targets.push(format!(r#""all": Group(targets: [{}])"#, list.join(", ")));
    let space = TestSpace::with_targets(&targets.join(", "));
    (0..count).for_each(|number| space.write(&format!("in{number}"), &format!("{number}\n").repeat(5000)));
    space.write("in", "0\n");
    space
}

fn outputs_are_right(space: &TestSpace, count: usize) {
    for number in 0..count {
        let expected = format!("{}{}", space.read(&format!("in{number}")), space.read("in"));
        assert_eq!(space.read(&format!("out{number}")), expected, "out{number}");
    }
}

fn finish(children: Vec<Child>) -> Vec<Run> {
    children.into_iter().map(|child| Run::of(child.wait_with_output().unwrap())).collect()
}

/// Two and ten at once, on one target and on different ones, in one workspace and in two that share a cache, while the
/// cache is collected to nothing over and over, and verified.
#[test]
fn at_once_and_while_the_cache_is_collected() {
    const COUNT: usize = 6;
    let mut space = many(COUNT);
    let other = many(COUNT);
    let cache = other.cache().display().to_string();
    space.set("RONDEL_CACHE_DIR", &cache);
    for round in 0..6 {
        space.write("in", &format!("{round}\n"));
        other.write("in", &format!("{}\n", round / 2));
        let mut children = Vec::new();
        for number in 0..if round % 2 == 0 { 10 } else { 2 } {
            let space = if number % 3 == 0 { &other } else { &space };
            let target = format!("t{}", number % COUNT);
            children.push(space.start(&[if number % 2 == 0 { "all" } else { &target }, "-j2"]));
        }
        let mut collectors: Vec<Child> =
            (0..8).map(|limit| space.start(&["cache", "gc", "--max", &format!("{}", limit * 20_000)])).collect();
        collectors.extend((0..2).map(|_| space.start(&["cache", "verify"])));
        for run in finish(children).into_iter().chain(finish(collectors)) {
            assert_eq!(run.code, 0, "{}", run.stderr);
        }
        for space in [&space, &other] {
            space.ok(&["all"]);
            outputs_are_right(space, COUNT);
            assert!(space.ran(&["all"]).is_empty());
        }
    }
    let verified = space.ok(&["cache", "verify"]);
    assert!(!verified.stderr.contains("removed"), "{}", verified.stderr);
}

/// What a running build has stored or used is not collected, however small the limit.
#[test]
fn what_a_running_build_holds_stays() {
    let space = TestSpace::with_targets(
        r#""quick": Exec(command: ["sh", "-c", "cat in > quick.out"], inputs: ["in"], outputs: ["quick.out"]),
           "slow": Exec(command: ["sh", "-c", "sleep 2; cat in > slow.out"], inputs: ["in"], outputs: ["slow.out"], after: ["quick"]),
           "old": Exec(command: ["sh", "-c", "cat in in > old.out"], inputs: ["in"], outputs: ["old.out"])"#,
    );
    space.write("in", "x\n");
    space.ok(&["old"]);
    // Long before the build: a result that nobody uses.
    age(&space.cache().join("v2"), Duration::from_secs(3 * 3600));
    let build = space.start(&["slow"]);
    let begun = Instant::now();
    while !space.exists("quick.out") && begun.elapsed() < Duration::from_secs(10) {
        std::thread::sleep(Duration::from_millis(20));
    }
    std::thread::sleep(Duration::from_millis(200));
    let gc = space.ok(&["cache", "gc", "--max", "0"]);
    assert!(gc.stderr.contains("removed 3 files") && gc.stderr.contains("running builds hold"), "{}", gc.stderr);
    assert_eq!(finish(vec![build])[0].code, 0);
    space.remove("quick.out");
    assert_eq!(space.outcomes(&["quick"])["quick"], "cached", "restored, not run");
    let gc = space.ok(&["cache", "gc", "--max", "0"]);
    assert!(gc.stderr.contains("0 B of 0 B left"), "{}", gc.stderr);
}

/// Puts back the times of what was stored or used in the last minutes.
fn age(directory: &Path, by: Duration) {
    for entry in fs::read_dir(directory).unwrap().flatten() {
        if entry.path().is_dir() {
            age(&entry.path(), by);
        } else {
            let is_new = |age: Duration| age < Duration::from_secs(300);
            if !entry.metadata().unwrap().modified().unwrap().elapsed().is_ok_and(is_new) {
                continue;
            }
            let file = fs::File::open(entry.path()).unwrap();
            file.set_modified(std::time::SystemTime::now() - by).unwrap();
        }
    }
}

/// The cap is kept, least recently used first, and used ones are the last to go.
#[test]
fn the_least_recently_used_goes_first() {
    let space = TestSpace::with_targets(
        r#""make": Exec(command: ["sh", "-c", "head -c 100000 /dev/zero | tr '\\0' x > out; cat in >> out"], inputs: ["in"], outputs: ["out"])"#,
    );
    let build = |text: &str| {
        space.write("in", text);
        space.outcomes(&["make"])["make"].clone()
    };
    for (number, text) in ["a", "b", "c", "d"].iter().enumerate() {
        assert_eq!(build(text), "ran");
        age(&space.cache().join("v2"), Duration::from_secs(3600 * (4 - number as u64)));
    }
    // `a` is the oldest, and is used now.
    assert_eq!(build("a"), "cached");
    let gc = space.ok(&["cache", "gc", "--max", "250000"]);
    assert!(gc.stderr.contains("removed 6 files"), "{}", gc.stderr);
    assert_eq!(build("d"), "cached", "the second most recently used");
    assert_eq!(build("a"), "cached");
    assert_eq!(build("b"), "ran");
    assert_eq!(build("c"), "ran");
    space.run(&["cache", "gc", "--max", "many"]).fails(2, &["--max takes a size, not `many`"]);
}

/// A build looks after the limit by itself, and does not wait for it.
#[test]
fn a_build_collects_in_the_background() {
    let mut space = TestSpace::with_targets(
        r#""make": Exec(command: ["sh", "-c", "sleep 0.5; head -c 100000 /dev/zero > out; cat in >> out"], inputs: ["in"], outputs: ["out"])"#,
    );
    space.set("RONDEL_CACHE_MAX", "150kB");
    for text in ["a", "b", "c", "d"] {
        space.write("in", text);
        space.ok(&["make"]);
        let _ = fs::remove_file(space.cache().join("v2/collected"));
        age(&space.cache().join("v2"), Duration::from_secs(3600));
    }
    let stats: serde_json::Value =
        serde_json::from_str(&space.ok(&["cache", "stats", "--format", "json"]).stdout).unwrap();
    // What the last build stored came after it had looked.
    assert!(stats["blobs"]["files"].as_u64().unwrap() <= 4, "{stats}");
    assert_eq!(stats["targets"][0]["kind"], "Exec");
    assert_eq!(stats["targets"][0]["target"], "make");
    // Builds that are too short for it: what is overdue is done all the same.
    let mut short = TestSpace::with_targets(
        r#""make": Exec(command: ["sh", "-c", "head -c 100000 /dev/zero > out; cat in >> out"], inputs: ["in"], outputs: ["out"])"#,
    );
    short.set("RONDEL_CACHE_MAX", "150kB");
    for text in ["a", "b", "c", "d"] {
        short.write("in", text);
        short.ok(&["make"]);
        age(&short.cache().join("v2"), Duration::from_secs(48 * 3600));
    }
    assert!(short.cache().join("v2/collected").exists());
    assert!(files(&short.cache().join("v2/cas")).len() <= 4);
    space.set("RONDEL_CACHE_MAX", "much");
    space.run(&["make"]).fails(2, &["RONDEL_CACHE_MAX takes a size, not `much`"]);
}

#[test]
fn verify_finds_and_mends() {
    let space = many(4);
    space.ok(&["all"]);
    let blobs = files(&space.cache().join("v2/cas"));
    let results = files(&space.cache().join("v2/ac"));
    for (path, spoil) in [(&blobs[0], true), (&blobs[1], false), (&results[0], true)] {
        let mut bytes = fs::read(path).unwrap();
        fs::remove_file(path).unwrap();
        if spoil {
            bytes[10] ^= 1;
            fs::write(path, bytes).unwrap();
        }
    }
    let run = space.ok(&["cache", "verify"]);
    assert!(run.stderr.contains("removed 1 damaged blobs and"), "{}", run.stderr);
    assert!(!space.ok(&["cache", "verify"]).stderr.contains("removed"));
    space.ok(&["all"]);
    outputs_are_right(&space, 4);
    (0..4).for_each(|number| space.remove(&format!("out{number}")));
    assert!(space.ran(&["all"]).is_empty(), "mended");
    outputs_are_right(&space, 4);
}

fn files(directory: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap().flatten() {
        if entry.path().is_dir() { found.extend(files(&entry.path())) } else { found.push(entry.path()) }
    }
    found.sort();
    found
}

/// Whoever is killed while it holds a lock holds nobody up, and what it has left running does not get into what the
/// next one makes: it is ended first, also what ignores SIGTERM and has left its group.
#[test]
#[cfg_attr(not(has_setsid), ignore = "no setsid")]
fn a_killed_holder_of_a_lock() {
    let space = TestSpace::with_targets(
        r#""slow": Exec(command: ["sh", "-c", "test -e quick || {{ (trap '' TERM; setsid sh -c 'echo $$ > stray; while :; do sleep 0.1; echo rubbish > out; done') & echo $$ > pid; sleep 30; echo rubbish > out; }}; cat in > out"], inputs: ["in"], outputs: ["out"], pool: "one", sandbox: Off, tools: ["setsid"])"#,
    );
    space.write("in", "x\n");
    let mut holder = space.start(&["slow"]);
    let begun = Instant::now();
    while !(space.exists("pid") && space.exists("stray")) && begun.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(20));
    }
    let waiting = space.start(&["slow"]);
    std::thread::sleep(Duration::from_millis(1500));
    space.write("quick", "");
    holder.kill().unwrap();
    holder.wait().unwrap();
    let begun = Instant::now();
    let run = &finish(vec![waiting])[0];
    assert_eq!(run.code, 0, "{}", run.stderr);
    for words in ["waiting for another run of the same step", "left behind by a killed run"] {
        assert!(run.stderr.contains(words), "{}", run.stderr);
    }
    assert!(begun.elapsed() < Duration::from_secs(20));
    for name in ["pid", "stray"] {
        // Whoever adopted it may not have taken note of its end.
        let state = fs::read_to_string(format!("/proc/{}/stat", space.read(name).trim())).unwrap_or_default();
        assert!(state.is_empty() || state.contains(") Z "), "{name} is still there: {state}");
    }
    assert_eq!(space.read("out"), "x\n");
    space.remove("out");
    assert_eq!(space.outcomes(&["slow"])["slow"], "cached");
    assert_eq!(space.read("out"), "x\n", "what was stored");
}

/// A store that may be read and not written: hits are hits, results are used and not cached, with a warning.
#[test]
#[cfg_attr(not(has_root), ignore = "no root (with runuser, setpriv)")]
fn a_store_that_cannot_be_written() {
    let space = many(2);
    space.ok(&["all"]);
    let nobody = |space: &TestSpace, arguments: &[&str]| {
        let before = ["--reuid=65534", "--regid=65534", "--clear-groups", "--"];
        Run::of(space.under("setpriv", &before, arguments).output().unwrap())
    };
    for directory in ["work", "home"] {
        assert!(Command::new("chown").args(["-R", "65534"]).arg(space.beside(directory)).status().unwrap().success());
    }
    space.remove("out0");
    let run = nobody(&space, &["all"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(run.stderr.contains("Restored t0 from the cache") && !run.stderr.contains("warning"), "{}", run.stderr);
    space.write("in", "other\n");
    let run = nobody(&space, &["all"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(run.stderr.contains("the result is used but not cached"), "{}", run.stderr);
    outputs_are_right(&space, 2);
    // It is not claimed to be cached the next time, and why is true.
    let run = nobody(&space, &["all", "--events", "json"]);
    assert!(run.stdout.contains("\"kind\":\"not_kept\""), "{}", run.stdout);
}

/// What an older or newer Rondel keeps in the same places is neither read nor harmed.
#[test]
fn what_other_versions_left_stays() {
    let space = many(2);
    let left: BTreeMap<&str, &str> = [
        ("work/.rondel/snapshot", "rondel-snapshot 1\nolder"),
        ("work/.rondel/snapshot.9", "rondel-snapshot 9\nnewer"),
        ("work/.rondel/actions/t0", "older"),
        ("work/.rondel/actions.9/t0", "newer"),
        ("work/.rondel/closures/0123", "older"),
        ("cache/v1/cas/aa/blob", "older"),
        ("cache/v9/ac/aa/result", "newer"),
    ]
    .into();
    for (path, text) in &left {
        let path = space.beside(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    space.ok(&["all"]);
    space.write("in", "changed\n");
    space.ok(&["all"]);
    space.ok(&["cache", "gc", "--max", "0"]);
    space.ok(&["cache", "verify"]);
    space.ok(&["cache", "clean"]);
    for (path, text) in &left {
        assert_eq!(fs::read_to_string(space.beside(path)).unwrap_or_default(), *text, "{path}");
    }
    // What has the right place and says something unknown is a miss, with its reason.
    space.ok(&["all"]);
    for path in files(&space.cache().join("v2/ac")) {
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        fs::write(path, "rondel-action-result 7 of another time\n").unwrap();
    }
    assert_eq!(space.ran(&["all"])["t0"], "the stored result was damaged in the cache");
}

/// File sizes are limited: the result is used and not cached. Too few descriptors: an error, not a crash.
#[test]
fn limits_of_the_system() {
    let space = TestSpace::with_targets(
        r#""big": Exec(command: ["sh", "-c", "mkdir -p gen; for i in 1 2 3 4 5 6 7 8; do head -c 1000 /dev/zero > gen/$i; done; for i in 1 2 3; do cat gen/*; done > gen/big; rm -f gen/?"], inputs: ["in"], outputs: ["gen/"])"#,
    );
    space.write("in", "0\n");
    let after = |run: Run, what: &str| {
        assert!(!run.stderr.contains("panicked") && !run.stderr.contains("internal error"), "{what}: {}", run.stderr);
        space.ok(&["big"]);
        assert_eq!(space.bytes("gen/big").len(), 24_000, "{what}");
        space.remove("gen");
        space.ok(&["big"]);
        assert_eq!(space.bytes("gen/big").len(), 24_000, "{what}, restored");
    };
    // Blocks of 512 bytes: from nothing at all up to more than the output has.
    for blocks in [0, 1, 2, 8, 40, 46, 47, 60, 100] {
        space.write("in", &format!("f{blocks}\n"));
        let run = space.limited(&format!("-f {blocks}"), &["big"]);
        assert!(run.code >= 0, "ulimit -f {blocks}: killed");
        after(run, &format!("ulimit -f {blocks}"));
    }
    for count in 3..24 {
        space.write("in", &format!("n{count}\n"));
        after(space.limited(&format!("-n {count}"), &["big"]), &format!("ulimit -n {count}"));
    }
}
