//! `interactive: true`: the terminal, or what is piped in, is the command's own.

use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

use expect_test::expect;

use crate::docker::{daemon, docker};
use crate::space::{Run, TestSpace};

/// Says what it sees of the terminal, reads a line, and ends as that line says.
const ASK: &str = r#"
    "ask": Shell("for n in 0 1 2; do if test -t $n; then echo $n is a terminal; else echo $n is none; fi; done
        IFS= read -r code; echo \"got $code\"; exit $code", interactive: true),
    "trap": Shell("trap 'echo caught' INT; echo ready; sleep 20 || echo slept; exit 7", interactive: true),
    "plain": Exec(command: ["sh", "-c", "echo ready; exec sleep 20"], interactive: true),
    "quit": Shell("trap 'echo quit' QUIT; echo ready; sleep 20 || true; exit 8", interactive: true),
"#;

/// Runs on a terminal, as `script` of util-linux makes one, types `text` once `ready` is on the screen, and returns the
/// exit code and all that the screen showed.
fn at_terminal(space: &TestSpace, words: &str, ready: &str, text: &str) -> (i32, String) {
    let mut command = space.under("sh", &["-c", "exec script -qec \"exec $0 $1\" /dev/null"], &[words]);
    command.env("TERM", "xterm").env("NO_COLOR", "1");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut keys, mut screen) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut seen = Vec::new();
    let mut buffer = [0; 4096];
    while !String::from_utf8_lossy(&seen).contains(ready) {
        let count = screen.read(&mut buffer).unwrap();
        assert!(count > 0, "{}", String::from_utf8_lossy(&seen));
        seen.extend_from_slice(&buffer[..count]);
    }
    // The program is about to read: what comes before is kept by the terminal, but a signal is not.
    std::thread::sleep(Duration::from_millis(300));
    keys.write_all(text.as_bytes()).unwrap();
    screen.read_to_end(&mut seen).unwrap();
    let code = child.wait().unwrap().code().unwrap();
    (code, String::from_utf8_lossy(&seen).replace('\r', ""))
}

/// Runs with `text` piped in.
fn piped(space: &TestSpace, arguments: &[&str], text: &str) -> Run {
    let mut command = space.command(arguments);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    Run::of(child.wait_with_output().unwrap())
}

#[test]
fn the_terminal_is_the_commands() {
    let space = TestSpace::with_targets(ASK);
    let (code, screen) = at_terminal(&space, "ask", "2 is", "0\n");
    assert_eq!(code, 0, "{screen}");
    assert!(screen.contains("0 is a terminal\n1 is a terminal\n2 is a terminal\n"), "{screen}");
    assert!(screen.contains("\ngot 0\n") && screen.contains("Done ask in"), "{screen}");
    // No progress is drawn while it runs.
    let between = screen.split("2 is a terminal").nth(1).unwrap().split("got 0").next().unwrap();
    assert_eq!(between.trim(), "0");
    // Its exit code is Rondel's.
    let (code, screen) = at_terminal(&space, "ask", "2 is", "42\n");
    assert!(code == 42 && screen.contains("ended with exit status 42"), "{code} {screen}");
}

#[test]
fn ctrl_c_is_the_commands() {
    let space = TestSpace::with_targets(ASK);
    let (code, screen) = at_terminal(&space, "trap", "ready", "\u{3}");
    assert!(code == 7 && screen.contains("caught"), "{code} {screen}");
    assert!(screen.contains("ended with exit status 7") && !screen.contains("Stopped"), "{screen}");
    // A program that Ctrl-C ends is an interrupted build.
    let (code, screen) = at_terminal(&space, "plain", "ready", "\u{3}");
    assert!(code == 130 && screen.contains("\n     Stopped after "), "{code} {screen}");
    let (code, screen) = at_terminal(&space, "quit", "ready", "\u{1c}");
    assert!(code == 8 && screen.contains("quit"), "{code} {screen}");
}

/// A signal to Rondel alone ends the command too.
#[test]
fn a_signal_to_rondel_ends_the_command() {
    let space = TestSpace::with_targets(ASK);
    let mut child = space.command(&["plain"]).stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let mut ready = [0; 5];
    child.stdout.as_mut().unwrap().read_exact(&mut ready).unwrap();
    let killed = Command::new("kill").arg(child.id().to_string()).status().unwrap();
    assert!(killed.success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let mut rest = String::new();
    child.stdout.take().unwrap().read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "\n", "nobody holds the pipe any more");
}

#[test]
fn what_is_piped_in_comes_through() {
    let space = TestSpace::with_targets(ASK);
    let piped = |arguments: &[&str], text: &str| piped(&space, arguments, text);
    piped(&["ask"], "0\n").check(expect![[r#"
        0 is none
        1 is none
        2 is none
        got 0
        --- stderr
             Running ask: it is interactive
                Done ask in [T]
            Finished in [T]: 1 ran, 0 up to date
    "#]]);
    piped(&["-q", "ask"], "3\n").check(expect![[r#"
        0 is none
        1 is none
        2 is none
        got 3
        --- stderr
        error: ask: `sh -eu -c 'for n in 0 1 2; do if test -t $n; then echo $n i…` ended with exit status 3
        --- exit code 3
    "#]]);
    piped(&["ask", "--events", "json"], "0\n").check(expect![[r#"
        --- stderr
        error: `ask` is interactive, and standard output is for events

        hint: leave out `--events`
        --- exit code 2
    "#]]);
}

#[test]
#[cfg_attr(not(has_docker), ignore = "no Docker daemon")]
#[cfg_attr(not(has_busybox), ignore = "no static busybox")]
fn a_container_has_the_terminal() {
    let _guard = daemon();
    let mut space = TestSpace::with_targets(
        r#"
        "image": Image(base: Static, files: {"/bin/busybox": File("box", mode: 0o755)}, tags: ["rondel-test-interactive:1"],
            platforms: ["linux/amd64"], entrypoint: ["/bin/busybox", "sh", "-c",
            "test -t 0 && echo terminal || echo none; read -r code; echo got $code; exit $code"]),
        "ask": DockerRun(image: "image", interactive: true)"#,
    );
    std::fs::copy("/bin/busybox", space.root().join("box")).unwrap();
    space.unset("DOCKER_HOST");
    let (code, screen) = at_terminal(&space, "ask", "terminal", "5\n");
    assert!(code == 5 && screen.contains("got 5"), "{code} {screen}");
    let (code, screen) = at_terminal(&space, "ask", "terminal", "\u{3}");
    assert!(code == 130 && !screen.contains("got"), "{code} {screen}");
    let run = piped(&space, &["-q", "ask"], "0\n");
    assert_eq!((run.code, run.stdout.as_str()), (0, "none\ngot 0\n"), "{}", run.stderr);
    assert_eq!(docker(&["ps", "--all", "--quiet", "--filter", "label=rondel.target=ask"]), "");
    docker(&["rmi", "--force", "rondel-test-interactive:1"]);
}

#[test]
fn nothing_runs_beside_it() {
    let space = TestSpace::with_targets(
        r#"
        "alone": Shell("echo alone begins >> log; sleep 0.3; echo alone ends >> log", interactive: true),
        "other": Shell("echo other alone >> log", interactive: true),
        "one": Shell("echo one begins >> log; sleep 0.2; echo one ends >> log"),
        "two": Shell("sleep 0.1; echo two begins >> log; sleep 0.2; echo two ends >> log", after: ["first"]),
        "first": Shell("true"),
        "all": Group(["alone", "one", "two", "other"]),
    "#,
    );
    space.ok(&["all", "-j8"]);
    let log = space.read("log");
    assert!(log.contains("alone begins\nalone ends\n"), "{log}");
    // Others run side by side, before.
    assert!(log.find("one ends").unwrap() > log.find("two begins").unwrap(), "{log}");
    assert_eq!(log.lines().count(), 7, "{log}");
}
