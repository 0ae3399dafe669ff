//! The scheduler: the longest way first, pools, retries, timeouts, output in whole lines.

use std::fs;
use std::time::{Duration, Instant};

use expect_test::expect;

use crate::space::TestSpace;

/// The steps that have written their name into `log`, in order.
fn log(space: &TestSpace) -> Vec<String> {
    fs::read_to_string(space.root().join("log")).unwrap_or_default().lines().map(str::to_owned).collect()
}

/// With one worker the order shows: what took longest the last time, with all that waits for it, begins first.
#[test]
fn the_longest_way_begins_first() {
    let target = |name: &str, seconds: &str, after: &str| {
        format!(r#""{name}": Shell(script: "echo {name} >> log; sleep {seconds}", after: [{after}])"#)
    };
    let targets = [
        target("short", "0.01", ""),
        target("middle", "0.2", ""),
        target("head", "0.01", ""),
        target("tail", "0.6", "\"head\""),
        r#""all": Group(targets: ["short", "middle", "head", "tail"])"#.to_owned(),
    ];
    let space = TestSpace::with_targets(&targets.join(", "));
    space.ok(&["all", "-j1"]);
    space.remove("log");
    space.ok(&["all", "-j1"]);
    assert_eq!(log(&space), ["head", "tail", "middle", "short"]);
}

/// A member of the pool is busy until the step outside of it has seen that (10 s at most).
const EXCLUSIVE: &str = "mkdir busy || echo together >> log; i=0; while [ ! -e seen ] && [ $i -lt 100 ]; do sleep 0.1; i=$((i+1)); done; sleep 0.1; rmdir busy";
const FREE: &str = "i=0; while [ ! -d busy ] && [ ! -e seen ] && [ $i -lt 100 ]; do sleep 0.1; i=$((i+1)); done; [ ! -d busy ] || echo beside >> log; touch seen";

/// Steps of a pool do not run side by side: not in one process, not in two; others do meanwhile.
#[test]
fn a_pool_is_kept_in_and_between_processes() {
    let member = |name: &str| format!(r#""{name}": Shell(script: "{EXCLUSIVE}", pool: "database")"#);
    let targets = [
        member("a"),
        member("b"),
        member("c"),
        format!(r#""free": Shell(script: "{FREE}")"#),
        r#""all": Group(targets: ["a", "b", "c", "free"])"#.to_owned(),
    ];
    let space = TestSpace::with_targets(&targets.join(", "));
    let children: Vec<_> = (0..3).map(|_| space.start(&["all", "-j4"])).collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    assert!(!log(&space).contains(&"together".to_owned()), "{:?}", log(&space));
    assert!(log(&space).contains(&"beside".to_owned()), "a step outside of the pool waited too");
}

#[test]
fn a_pool_of_two_lets_two_in() {
    let member = |name: &str| {
        let script = format!("touch in.{name}; ls in.* | wc -l >> log; sleep 0.3; rm in.{name}");
        format!(r#""{name}": Shell(script: "{script}", pool: "pair")"#)
    };
    let names = ["a", "b", "c", "d", "e"];
    let targets: Vec<String> = names.iter().map(|name| member(name)).collect();
    let space = TestSpace::empty();
    let list = names.map(|name| format!("\"{name}\"")).join(", ");
    space.write(
        "build.ron",
        &format!(r#"(format: 1, project: "t", go: System, pools: {{"pair": 2}}, targets: {{{}, "all": Group(targets: [{list}])}})"#, targets.join(", ")),
    );
    space.ok(&["all", "-j5"]);
    let most = log(&space).iter().map(|line| line.trim().parse::<u32>().unwrap()).max();
    assert_eq!(most, Some(2), "{:?}", log(&space));
    space.replace("build.ron", "pool: \"pair\"", "pool: \"pairs\"");
    space.run(&["all"]).fails(2, &["there is no pool `pairs`", "did you mean `pair`?"]);
}

/// Retries where they are declared, and only there; the outputs are those of the try that came through.
#[test]
fn retries_only_where_declared() {
    let script = "echo try >> log; echo rubbish > out; test $(wc -l < log) -ge 3 && echo good > out";
    let space = TestSpace::with_targets(&format!(
        r#""flaky": Shell(script: "{script}", inputs: ["in"], outputs: ["out"], retries: 2, sandbox: Off),
           "hopeless": Shell(script: "echo try >> hopeless.log; exit 3", retries: 1),
           "once": Shell(script: "echo try >> once.log; exit 3")"#
    ));
    space.write("in", "");
    space.ok(&["flaky"]).check(expect![[r#"
        --- stderr
             Running flaky: first build
                Note flaky: try 1 of 3 failed (`sh -eu -c 'echo try >> log; echo rubbish > out; test $(wc -l < log) -ge 3 && echo good > out'` ended with exit status 1); trying again
                Note flaky: try 2 of 3 failed (`sh -eu -c 'echo try >> log; echo rubbish > out; test $(wc -l < log) -ge 3 && echo good > out'` ended with exit status 1); trying again
                Done flaky in [T]
            Finished in [T]: 1 ran, 0 up to date
    "#]]);
    assert_eq!((log(&space).len(), space.read("out").as_str()), (3, "good\n"));
    assert!(space.ran(&["flaky"]).is_empty());
    space.run(&["hopeless"]).check(expect![[r#"
        --- stderr
             Running hopeless: it declares no inputs
                Note hopeless: try 1 of 2 failed (`sh -eu -c 'echo try >> hopeless.log; exit 3'` ended with exit status 3); trying again
              Failed hopeless
        error: hopeless: `sh -eu -c 'echo try >> hopeless.log; exit 3'` ended with exit status 3
              Failed build (exit 1): 1 failed, [T]
        --- exit code 1
    "#]]);
    assert_eq!(space.read("hopeless.log").lines().count(), 2);
    space.run(&["once"]).check(expect![[r#"
        --- stderr
             Running once: it declares no inputs
              Failed once
        error: once: `sh -eu -c 'echo try >> once.log; exit 3'` ended with exit status 3
              Failed build (exit 1): 1 failed, [T]
        --- exit code 1
    "#]]);
    assert_eq!(space.read("once.log").lines().count(), 1);
}

/// The time is that of the whole step, each time it is tried, and on kinds of targets other than `Exec` too.
#[test]
fn a_timeout_is_for_the_whole_step() {
    let space = TestSpace::with_targets(
        r#""slow": Exec(command: ["sh", "-c", "echo try >> log; sleep 60"], timeout_s: 1, retries: 1)"#,
    );
    let begun = Instant::now();
    space.run(&["slow"]).fails(1, &["try 1 of 2 failed", "was stopped after 1 s"]);
    assert!(begun.elapsed() < Duration::from_secs(30));
    assert_eq!(log(&space).len(), 2);
    let small = TestSpace::small();
    small.write("greet/slow_test.go", "package greet\n\nimport (\n\t\"testing\"\n\t\"time\"\n)\n\nfunc TestSlow(t *testing.T) { time.Sleep(time.Minute) }\n");
    small.replace("build.ron", "GoTest(", "GoTest(timeout_s: 5, ");
    small.run(&["test"]).fails(1, &["was stopped after 5 s"]);
}

/// Many steps write long lines in small pieces, at once, to both streams: each line comes out whole.
#[test]
fn output_of_parallel_steps_is_not_torn() {
    let script = "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do for j in 1 2 3 4 5 6 7 8; do printf NAME-; done; echo end; for j in 1 2 3 4 5 6 7 8; do printf NAME= >&2; done; echo end >&2; done";
    let names: Vec<String> = (0..8).map(|number| format!("s{number}")).collect();
    let targets: Vec<String> =
        names.iter().map(|name| format!(r#""{name}": Shell(script: "{}")"#, script.replace("NAME", name))).collect();
    let list: Vec<String> = names.iter().map(|name| format!("\"{name}\"")).collect();
    let space =
        TestSpace::with_targets(&format!(r#"{}, "all": Group(targets: [{}])"#, targets.join(", "), list.join(", ")));
    let run = space.ok(&["all", "-j8"]);
    for name in &names {
        for mark in ["-", "="] {
            let line = format!("{} end", format!("{name}{mark}").repeat(8)).replace(" end", "end");
            let count = run.stderr.lines().filter(|text| text.ends_with(&format!("| {line}"))).count();
            assert_eq!(count, 15, "{line}\n{}", run.stderr);
        }
    }
}

/// `--keep-going` does all that does not need what failed.
#[test]
fn keep_going_does_what_can_be_done() {
    let mut targets = vec![
        r#""bad": Shell(script: "exit 1")"#.to_owned(),
        r#""needs-bad": Shell(script: "echo needs-bad >> log", after: ["bad"])"#.to_owned(),
    ];
    targets.extend((0..6).map(|number| format!(r#""g{number}": Shell(script: "echo g{number} >> log")"#)));
    let list: Vec<String> = (0..6).map(|number| format!("\"g{number}\"")).collect();
    targets.push(format!(r#""all": Group(targets: ["needs-bad", {}])"#, list.join(", ")));
    let space = TestSpace::with_targets(&targets.join(", "));
    let run = space.run(&["all", "--keep-going", "-j2"]);
    run.fails(1, &["error: bad", "needs-bad: `bad` failed"]);
    let mut done = log(&space);
    done.sort();
    assert_eq!(done, ["g0", "g1", "g2", "g3", "g4", "g5"]);
}
