//! What people see: progress on terminals of several widths, signs of life without one, the last lines of a build, and
//! what becomes of it all where nobody can write.

use std::fs;
use std::process::Stdio;

use expect_test::expect;
use serde_json::Value;

use crate::docker::{daemon, docker};
use crate::space::{Run, TestSpace};

/// A step whose first run takes a while, and one that waits for it.
const TARGETS: &str = r#"
    "slow": Exec(command: ["sh", "-c", "for i in 1 2 3 4 5 6; do echo line $i of a text that is longer than forty columns; sleep 0.3; done; touch out"],
        inputs: ["in"], outputs: ["out"]),
    "fails": Exec(command: ["sh", "-c", "echo inner/b.txt:3: wrong; test ! -e bad"], inputs: ["inner/**", "bad", "out"], after: ["slow"]),
    "image": Image(base: Static, files: {"/x": File("in")}, entrypoint: ["/x"], tags: []),
    "never": Exec(command: ["true"], inputs: ["in"], after: ["fails"]),
    "all": Group(["slow", "fails", "never"])"#;

fn space() -> TestSpace {
    let space = TestSpace::with_targets(TARGETS);
    space.write("in", "");
    space.write("inner/b.txt", "b\n");
    space
}

/// Runs on a terminal of so many columns, and returns the exit code and all that was written to it. With `key`, presses it
/// when `ready` is on the screen.
fn at_terminal(space: &TestSpace, columns: usize, words: &str, key: Option<(&str, &str)>) -> (i32, String) {
    use std::io::{Read, Write};
    let script = "exec script -qec \"stty rows 24 cols $0; exec $1 $2\" /dev/null";
    let program = env!("CARGO_BIN_EXE_rondel-under-test");
    let columns = columns.to_string();
    let mut command = space.under("sh", &["-c", script, &columns, program, words], &[]);
    command.env("TERM", "xterm").env("NO_COLOR", "1");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut keys, mut screen) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut seen = Vec::new();
    if let Some((ready, key)) = key {
        let mut buffer = [0; 4096];
        while !String::from_utf8_lossy(&seen).contains(ready) {
            let count = screen.read(&mut buffer).unwrap();
            assert!(count > 0, "{}", String::from_utf8_lossy(&seen));
            seen.extend_from_slice(&buffer[..count]);
        }
        keys.write_all(key.as_bytes()).unwrap();
    }
    screen.read_to_end(&mut seen).unwrap();
    (child.wait().unwrap().code().unwrap(), String::from_utf8_lossy(&seen).replace('\r', ""))
}

/// The lines that were drawn at the end of the screen, as often as that was done.
fn frames(screen: &str) -> Vec<Vec<&str>> {
    let drawn = screen.split("\x1b[?7l").skip(1).map(|part| part.split("\x1b[?7h").next().unwrap());
    drawn.map(|frame| frame.lines().collect()).collect()
}

/// What stands on the screen in the end.
fn left(screen: &str) -> String {
    let mut lines: Vec<String> = vec![String::new()];
    let mut rest = screen.to_owned();
    for mode in ["\x1b[?7l", "\x1b[?7h", "\x1b[K"] {
        rest = rest.replace(mode, "");
    }
    while let Some((before, after)) = rest.split_once("\x1b[") {
        push(&mut lines, before);
        let (count, after) = after.split_once('A').expect("only moves up and erasures are left");
        let up: usize = count.parse().unwrap();
        lines.truncate(lines.len() - up);
        *lines.last_mut().unwrap() = String::new();
        rest = after.strip_prefix("\x1b[J").unwrap().to_owned();
    }
    push(&mut lines, &rest);
    lines.join("\n")
}

fn push(lines: &mut Vec<String>, text: &str) {
    let mut parts = text.split('\n');
    lines.last_mut().unwrap().push_str(parts.next().unwrap_or_default());
    lines.extend(parts.map(str::to_owned));
}

#[test]
fn a_terminal_shows_what_runs_and_nothing_wraps() {
    for columns in [40, 80, 200] {
        let space = space();
        space.ok(&["slow"]);
        space.write("in", "changed\n");
        let (code, screen) = at_terminal(&space, columns, "slow", None);
        assert_eq!(code, 0, "{screen}");
        let frames = frames(&screen);
        for line in frames.iter().flatten() {
            assert!(line.chars().count() < columns, "{columns}: {line}");
        }
        let head = frames
            .iter()
            .find(|frame| frame[0].starts_with("[0/1] slow 1s (last ") && frame[0].contains('│'))
            .expect(&screen);
        // What it printed last is on its line; all that it printed stands above.
        assert!(head[0].contains(" │ line ") && (columns == 40) == head[0].ends_with('…'), "{head:?}");
        // The rest is known of the last time.
        let first = frames.iter().find(|frame| frame[0].contains("slow 0s")).expect(&screen);
        assert!(first.last().unwrap().starts_with("      about ") || first.len() == 1, "{first:?}");
        let left = left(&screen);
        assert!(!left.contains("[0/1]") && left.matches("of a text").count() == 6, "{left}");
        assert!(left.trim_end().lines().last().unwrap().contains("Finished in"), "{left}");
    }
}

#[test]
fn ctrl_c_leaves_one_line() {
    let space = space();
    let (code, screen) = at_terminal(&space, 80, "slow", Some(("line 2", "\u{3}")));
    assert_eq!(code, 130, "{screen}");
    let left = left(&screen);
    let lines: Vec<&str> = left.trim().lines().map(str::trim).collect();
    assert!(lines[0] == "Running slow: first build" && !left.contains("[0/1]"), "{left}");
    let others = lines.iter().filter(|line| !line.starts_with("slow | "));
    assert_eq!(others.count(), 2, "{left}");
    let last = lines.last().unwrap();
    assert!(last.starts_with("Stopped after ") && last.ends_with('s'), "{left}");
}

/// A container that a build was about to wait for is removed, and that is said.
#[test]
#[cfg_attr(not(has_docker), ignore = "no Docker daemon")]
#[cfg_attr(not(has_busybox), ignore = "no static busybox")]
fn ctrl_c_says_that_a_container_was_removed() {
    let _guard = daemon();
    let mut space = TestSpace::with_targets(
        r#"
        "image": Image(base: Static, files: {"/bin/busybox": File("box", mode: 0o755)}, tags: ["rondel-test-screen:1"],
            platforms: ["linux/amd64"], entrypoint: ["/bin/busybox", "sh", "-c", "echo ready; exec /bin/busybox sleep 60"]),
        "serve": DockerRun(image: "image")"#,
    );
    fs::copy("/bin/busybox", space.root().join("box")).unwrap();
    space.unset("DOCKER_HOST");
    let (code, screen) = at_terminal(&space, 80, "serve", Some(("| ready", "\u{3}")));
    assert_eq!(docker(&["ps", "--all", "--quiet", "--filter", "label=rondel.target=serve"]), "");
    docker(&["rmi", "--force", "rondel-test-screen:1"]);
    let left = left(&screen);
    let last = left.trim_end().lines().last().unwrap();
    assert!(code == 130 && last.contains("Stopped after ") && last.ends_with("; container removed"), "{code} {left}");
}

/// A process that is stopped leaves nothing behind to remove.
#[test]
fn ctrl_c_of_a_process_speaks_of_no_container() {
    let space = TestSpace::with_targets(r#""serve": Process(command: ["sh", "-c", "echo ready; exec sleep 60"])"#);
    let (code, screen) = at_terminal(&space, 80, "serve", Some(("| ready", "\u{3}")));
    let left = left(&screen);
    let last = left.trim_end().lines().last().unwrap();
    assert!(code == 130 && last.contains("Stopped after ") && last.ends_with('s'), "{code} {left}");
}

#[test]
fn a_log_says_that_a_step_still_runs() {
    let space = TestSpace::with_targets(r#""long": Exec(command: ["sleep", "33"])"#);
    let run = space.ok(&["long"]);
    assert!(run.stderr.contains("\n       Still running long: 30s\n"), "{}", run.stderr);
}

#[test]
fn a_failure_ends_with_its_output_and_a_count() {
    let space = space();
    space.write("bad", "");
    space.run(&["all", "--keep-going"]).check(expect![[r#"
        --- stderr
             Running slow: first build
              slow | line 1 of a text that is longer than forty columns
              slow | line 2 of a text that is longer than forty columns
              slow | line 3 of a text that is longer than forty columns
              slow | line 4 of a text that is longer than forty columns
              slow | line 5 of a text that is longer than forty columns
              slow | line 6 of a text that is longer than forty columns
                Done slow in [T]
             Running fails: first build
             fails | inner/b.txt:3: wrong
              Failed fails
             Not run never: `fails` failed
               Group all: slow ran; fails failed; never did not run
        error: fails: `sh -c 'echo inner/b.txt:3: wrong; test ! -e bad'` ended with exit status 1
          inner/b.txt:3: wrong
              Failed build (exit 1): 1 failed, 1 not run (never), [T]
        --- exit code 1
    "#]]);
    // From a directory below, paths are those of there.
    let mut command = space.command(&["all", "--keep-going", "-q"]);
    Run::of(command.current_dir(space.root().join("inner")).output().unwrap()).check(expect![[r#"
        --- stderr
               Group all: slow up to date; fails failed; never did not run
        error: fails: `sh -c 'echo inner/b.txt:3: wrong; test ! -e bad'` ended with exit status 1
          b.txt:3: wrong
        --- exit code 1
    "#]]);
    let run = space.run(&["all", "-v"]);
    assert!(
        run.stderr.contains("error: fails: `sh -c 'echo inner/b.txt:3: wrong; test ! -e bad'` ended"),
        "{}",
        run.stderr
    );
}

#[test]
fn a_success_says_what_was_saved() {
    let space = space();
    let first = space.ok(&["slow"]).stderr;
    assert!(first.ends_with(": 1 ran, 0 up to date\n"), "{first}");
    let second = space.ok(&["slow"]).stderr;
    let last = second.lines().last().unwrap();
    assert!(last.contains(": 0 ran, 1 up to date, ") && last.ends_with(" s saved"), "{second}");
    let run = space.ok(&["slow", "--events", "json"]);
    let finished: Vec<Value> = run.events().into_iter().filter(|event| event["event"] == "step_finished").collect();
    assert!(finished[0]["saved_ms"].as_u64().unwrap() >= 1500, "{finished:?}");
}

#[test]
fn digests_are_short_on_the_screen() {
    let space = space();
    let digest = |arguments: &[&str]| {
        let stderr = space.ok(arguments).stderr;
        let line = stderr.lines().find(|line| line.contains("Image image sha256:")).expect("an image").to_owned();
        line.split("sha256:").nth(1).unwrap().split(' ').next().unwrap().len()
    };
    assert_eq!((digest(&["image"]), digest(&["image", "-v"])), (12, 64));
    let run = space.ok(&["image", "--events", "json"]);
    let facts = run.events().into_iter().find_map(|event| Some(event["facts"]["digest"].as_str()?.len()));
    assert_eq!(facts, Some("sha256:".len() + 64));
}

/// Where nothing can be written, a build does what it does elsewhere.
#[test]
fn nobody_reads_and_the_exit_code_is_right() {
    let space = space();
    space.write("bad", "");
    let shell = |script: &str, words: &[&str]| {
        let output = space.under("bash", &["-c", script], words).output().unwrap();
        let run = Run::of(output);
        assert!(!run.stderr.contains("panicked") && !run.stderr.contains("internal error"), "{script}: {}", run.stderr);
        run.code
    };
    for redirection in [">/dev/full 2>/dev/full", ">&- 2>&-", "2>/dev/full", "2>&-", ">/dev/full", ">&-"] {
        // Data that is not written is a failure, unless nobody is there to read it.
        let lost = if redirection.starts_with(">/dev/full") { 3 } else { 0 };
        for (words, code) in
            [(&["slow"][..], 0), (&["fails"], 1), (&["fails", "--events", "json"], 1), (&["list"], lost)]
        {
            assert_eq!(shell(&format!("\"$0\" \"$@\" {redirection}"), words), code, "{redirection} {words:?}");
        }
    }
    for words in [&["schema"][..], &["graph"], &["report", "-o", "-"], &["plan", "slow"], &["slow", "--events", "json"]]
    {
        let output = space.under("sh", &["-c", "exec \"$0\" \"$@\" >/dev/full"], words).output().unwrap();
        let run = Run::of(output);
        run.fails(3, &["error: failed to write to standard output: No space left on device"]);
        assert_eq!(run.stderr.matches("error: ").count(), 1, "{words:?}: {}", run.stderr);
    }
    let piped = "\"$0\" \"$@\" 2>&1 | head -1 >/dev/null; exit ${PIPESTATUS[0]}";
    assert_eq!((shell(piped, &["slow", "--force"]), shell(piped, &["fails"])), (0, 1));
}
