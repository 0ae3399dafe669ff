//! What goes wrong: one clear sentence, a hint, the right exit code, and nothing lost.

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use expect_test::expect;

use crate::space::{Run, TestSpace, repository};

#[test]
fn a_compile_error_is_shown_once() {
    let space = TestSpace::small();
    space.ok(&["image"]);
    let (binary, layout) = (space.bytes("dist/server/linux_amd64/small"), space.read("dist/image/index.json"));
    space.append("greet/greet.go", "\nfunc broken() { undefined() }\n");
    space.run(&["image"]).check(expect![[r#"
        --- stderr
             Running server: greet/greet.go changed
              Failed server
        error: server: `go build …` ended with exit status 1
          # example.com/small/greet
          greet/greet.go:17:17: undefined: undefined
              Failed build (exit 1): 1 failed, 2 not run (image, image: docker), [T]
        --- exit code 1
    "#]]);
    assert!(
        binary == space.bytes("dist/server/linux_amd64/small") && layout == space.read("dist/image/index.json"),
        "old outputs stay"
    );
}

#[test]
fn a_missing_package_is_an_error_of_go_list() {
    let space = TestSpace::small();
    space.replace("cmd/small/main.go", "\"fmt\"", "\"fmt\"\n\n\t_ \"example.com/small/nowhere\"");
    space.run(&["image"]).fails(1, &["example.com/small/nowhere", "go list"]);
}

#[test]
fn a_package_without_main_is_no_command() {
    let space = TestSpace::small();
    space.replace("build.ron", "./cmd/small", "./greet");
    space.run(&["server"]).check(expect![[r#"
        --- stderr
             Working downloading modules
              Failed server
        error: server: `server (linux/amd64)` names no command: no package main in ./greet

        hint: point `packages` at a package with `func main`
              Failed build (exit 2): 1 failed, [T]
        --- exit code 2
    "#]]);
}

#[test]
fn no_network_and_no_toolchain() {
    let mut space = TestSpace::small();
    let empty = space.beside("empty-cache").display().to_string();
    space.set("RONDEL_CACHE_DIR", &empty).set("GOPROXY", "http://127.0.0.1:9");
    space.run(&["server"]).fails(3, &["Go 1.22.12 could not be fetched", "hint: check the network and GOPROXY"]);
    space.run(&["server", "--offline"]).fails(3, &["--offline forbids fetching it"]);
    space.set("GOPROXY", "off");
    space.run(&["server"]).fails(3, &["names no proxy"]);
}

#[test]
fn a_toolchain_with_another_hash_is_refused() {
    let mut space = TestSpace::small();
    let empty = space.beside("empty-cache").display().to_string();
    space.set("RONDEL_CACHE_DIR", &empty);
    space.replace("build.lock", "h1:", "h1:AAAA");
    let run = space.run(&["server"]);
    run.fails(3, &["is not what build.lock pins", "pinned: h1:AAAA", "found:  h1:Hdh4VJAl", "nothing of it was run"]);
    assert!(!std::path::Path::new(&empty).join("go/toolchains/go1.22.12.linux-amd64").exists());
}

#[test]
fn a_proxy_of_files_and_a_torn_download() {
    let mut space = TestSpace::small();
    let empty = space.beside("empty-cache").display().to_string();
    let proxy = space.beside("proxy/golang.org/toolchain/@v");
    fs::create_dir_all(&proxy).unwrap();
    fs::write(proxy.join("v0.0.1-go1.22.12.linux-amd64.zip"), b"PK\x03\x04 not a zip").unwrap();
    let url = format!("file://{}", space.beside("proxy").display());
    space.set("RONDEL_CACHE_DIR", &empty).set("GOPROXY", &url);
    space.run(&["server"]).fails(3, &["can't be used: not a valid zip archive"]);
}

#[test]
fn locked_refuses_what_is_not_pinned() {
    let space = TestSpace::small();
    space.write("build.lock", "(format: 1, go: {})");
    space
        .run(&["server", "--locked"])
        .fails(3, &["build.lock does not pin Go 1.22.12", "hint: run `rondel-under-test lock`"]);
    assert!(space.ok(&["server"]).stderr.contains("warning: build.lock does not pin"));
}

/// The wiring of all refusals, whose texts are unit tests of `targets`: the place, the exit code, and that nothing runs.
#[test]
fn a_refusal_shows_its_place_before_anything_runs() {
    let space = TestSpace::with_targets(
        r#""first": Exec(command: ["touch", "ran"]), "all": Group(targets: ["first", "second"]), "second": Exec(command: ["no-such-program"])"#,
    );
    space.run(&["all"]).check(expect![[r#"
        --- stderr
        error: `no-such-program` was not found on PATH

        hint: install it, or correct `command`
        --- exit code 3
    "#]]);
    space.replace("build.ron", "\"no-such-program\"", "\"echo\", Env(\"RONDEL_TEST_VALUE\")");
    space.run(&["all"]).check(expect![[r#"
        --- stderr
        error: the environment variable `RONDEL_TEST_VALUE` is not set

        hint: set RONDEL_TEST_VALUE, or give a default: Env("RONDEL_TEST_VALUE", "…")
        --- exit code 3
    "#]]);
    space.replace("build.ron", "Env(\"RONDEL_TEST_VALUE\")]", "\"x\"], retries: 11");
    space.run(&["all"]).check(expect![[r#"
        --- stderr
        error: expected at most 10 retries
         --> build.ron:1:183
          |
        1 | "second"]), "second": Exec(command: ["echo", "x"], retries: 11)})
          |                                                             ^^

        --- exit code 2
    "#]]);
    assert!(!space.exists("ran"));
    let space = TestSpace::small();
    space.replace("build.ron", "ldflags: [\"-s\", \"-w\"],", "env: {\"CGO_ENABLED\": \"1\"},");
    space.run(&["server"]).check(expect![[r#"
        --- stderr
        error: `CGO_ENABLED` is set by Rondel itself
         --> build.ron:8:60
          |
        8 |         "server": GoBuild(packages: ["./cmd/small"], env: {"CGO_ENABLED": "1"}, stamp: {"main.version": "{version}"}),
          |                                                            ^^^^^^^^^^^^^

        hint: write `cgo: true`

        --- exit code 2
    "#]]);
}

#[test]
fn no_docker() {
    let space = TestSpace::small();
    let run = space.ok(&["image"]);
    assert!(run.stderr.contains("no Docker daemon is reachable"), "{}", run.stderr);
    let mut bare =
        TestSpace::with_targets(r#""run": DockerRun(image: "i"), "i": Image(base: Static, entrypoint: ["/x"])"#);
    bare.set("PATH", "/nonexistent");
    bare.run(&["run"]).fails(3, &["neither `docker` nor `podman` was found on PATH"]);
}

#[test]
#[cfg_attr(not(has_docker_command), ignore = "no `docker` command")]
fn no_docker_daemon_to_run_in() {
    let space = TestSpace::small();
    space.replace("build.ron", "\"test\":", "\"run\": DockerRun(image: \"image\"),\n        \"test\":");
    space.run(&["run"]).fails(3, &["no Docker daemon is reachable", "hint: start Docker"]);
}

/// A full disk, as a file system of one megabyte.
#[test]
#[cfg_attr(not(has_mount), ignore = "no right to mount")]
fn a_full_disk() {
    let space = TestSpace::with_targets(
        r#""big": Exec(command: ["sh", "-c", "head -c 3000000 /dev/zero > out"], inputs: ["in"], outputs: ["out"])"#,
    );
    space.write("in", "");
    fs::create_dir_all(space.cache()).unwrap();
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"])
        .arg(space.cache())
        .status()
        .unwrap()
        .success();
    assert!(mounted);
    let run = space.run(&["big"]);
    assert!(Command::new("umount").arg(space.cache()).status().unwrap().success());
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(run.stderr.contains("the result is used but not cached"), "{}", run.stderr);
    assert_eq!(space.bytes("out").len(), 3_000_000);
    // The workspace itself is full: an error, and the former output stays.
    let small = TestSpace::with_targets(
        r#""big": Exec(command: ["sh", "-c", "head -c 3000000 /dev/zero > out"], inputs: ["in"], outputs: ["out"])"#,
    );
    assert!(
        Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"])
            .arg(small.root())
            .status()
            .unwrap()
            .success()
    );
    small.write("in", "");
    small.write("out", "former");
    small.write("build.ron", r#"(format: 1, project: "t", targets: {"big": Exec(command: ["sh", "-c", "head -c 3000000 /dev/zero > out"], inputs: ["in"], outputs: ["out"])})"#);
    let run = small.run(&["big"]);
    let former = small.read("out");
    assert!(Command::new("umount").arg(small.root()).status().unwrap().success());
    assert_ne!(run.code, 0, "{}", run.stderr);
    assert!(run.stderr.contains("No space left on device"), "{}", run.stderr);
    assert_eq!(former, "former");
}

#[test]
fn a_failed_command_leaves_the_former_output() {
    let space = TestSpace::with_targets(
        r#""gen": Exec(command: ["sh", "-c", "cat in > out; test -s in"], inputs: ["in"], outputs: ["out"])"#,
    );
    space.write("in", "good\n");
    space.ok(&["gen"]);
    space.write("in", "");
    space.run(&["gen"]).check(expect![[r#"
        --- stderr
             Running gen: in changed
              Failed gen
        error: gen: `sh -c 'cat in > out; test -s in'` ended with exit status 1
              Failed build (exit 1): 1 failed, [T]
        --- exit code 1
    "#]]);
    assert_eq!(space.read("out"), "good\n");
}

#[test]
fn after_a_failure_the_rest_stops() {
    let space = TestSpace::with_targets(
        r#""bad": Exec(command: ["false"]), "good": Exec(command: ["touch", "ran"]), "next": Exec(command: ["touch", "next"], after: ["bad"]),
        "all": Group(targets: ["bad", "next", "good"])"#,
    );
    space.run(&["all", "-j1"]).check(expect![[r#"
        --- stderr
             Running bad: it declares no inputs
              Failed bad
               Group all: bad failed; next, good did not run
        error: bad: `false` ended with exit status 1
              Failed build (exit 1): 1 failed, 2 not run (next, good), [T]
        --- exit code 1
    "#]]);
    assert!(!space.exists("ran") && !space.exists("next"));
}

/// Ctrl-C: exit code 130, no process left, not even one that left its group; the former output untouched.
#[test]
#[cfg_attr(not(has_setsid), ignore = "no setsid")]
fn interruption_leaves_nothing_behind() {
    let marker = format!("86{}", std::process::id());
    let script = format!("echo partial > out; setsid sleep {marker} & sleep {marker}");
    let space = TestSpace::with_targets(&format!(
        r#""slow": Exec(command: ["sh", "-c", "{script}"], inputs: ["in"], outputs: ["out"], tools: ["setsid"])"#
    ));
    space.write("in", "");
    space.write("out", "former\n");
    let child = space.start(&["slow"]);
    std::thread::sleep(Duration::from_millis(800));
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let run = Run::of(child.wait_with_output().unwrap());
    run.fails(130, &["Stopped after "]);
    let left = Command::new("pgrep").args(["-f", &format!("sleep {marker}")]).stdout(Stdio::null()).status().unwrap();
    assert!(!left.success(), "a process was left");
    assert_eq!(space.read("out"), "former\n");
}

/// The value of a secret is in no output, no record, no key, no store.
#[test]
fn a_secret_is_nowhere() {
    let mut space = TestSpace::with_targets(
        r#""use": Exec(command: ["sh", "-c", "echo token is $TOKEN; printf %s \"$TOKEN\" | wc -c > out"], env: {"TOKEN": Secret("MY_TOKEN")}, inputs: ["in"], outputs: ["out"])"#,
    );
    space.write("in", "");
    space.run(&["use"]).fails(3, &["the secret `MY_TOKEN` is not set"]);
    let canary = "c4n4ry-s3cr3t-v4lu3";
    space.set("MY_TOKEN", canary);
    for arguments in [
        &["use", "--verbose"][..],
        &["use", "--force", "--events", "json"],
        &["why", "use", "--verbose"],
        &["plan", "use"],
    ] {
        let run = space.ok(arguments);
        assert!(!run.stdout.contains(canary) && !run.stderr.contains(canary), "{arguments:?}");
    }
    assert_eq!(space.read("out").trim(), canary.len().to_string(), "the process got it");
    let found =
        Command::new("grep").args(["-r", "-a", "-l", canary]).arg(space.root()).arg(space.cache()).output().unwrap();
    assert!(found.stdout.is_empty(), "{}", String::from_utf8_lossy(&found.stdout));
}

/// The value of a secret is in no key, so a command that sees one always runs, unless build.ron says that its result
/// does not depend on it.
#[test]
fn another_secret_is_no_hit() {
    for (field, runs) in [("", true), ("secret_is_not_keyed: true, ", false)] {
        let target = format!(
            r#""count": Shell(script: "printf %s \"$TOKEN\" | wc -c > out", env: {{"TOKEN": Secret("MY_TOKEN")}}, {field}inputs: ["in"], outputs: ["out"])"#
        );
        // With `secret_is_not_keyed` it depends on what no key holds.
        let mut space = TestSpace::with_targets(&target).may_differ();
        space.write("in", "");
        space.set("MY_TOKEN", "seven77").ok(&["count"]);
        assert_eq!(space.ran(&["count"]).contains_key("count"), runs, "with the same value");
        space.set("MY_TOKEN", "three").ok(&["count"]);
        assert_eq!(space.read("out").trim(), if runs { "5" } else { "7" });
    }
}

/// Output without newlines comes in pieces; a secret that lies across them is hidden, by lines and in events.
#[test]
fn a_secret_across_pieces_of_output_is_hidden() {
    let canary = "CANARY0123456789abcdef";
    for before in [65_514, 65_526, 65_535, 131_060] {
        let script = format!(
            "head -c {before} /dev/zero | tr '\\\\0' x; echo $TOKEN; echo $TOKEN | head -c 9; sleep 0.1; echo $TOKEN | tail -c +10"
        );
        let mut space =
            TestSpace::with_targets(&format!(r#""x": Shell(script: "{script}", env: {{"TOKEN": Secret("TOKEN")}})"#));
        space.set("TOKEN", canary);
        for arguments in [&["x"][..], &["x", "--events", "json"]] {
            let run = space.ok(arguments);
            let shown: String = run.stdout.chars().chain(run.stderr.chars()).filter(|letter| *letter != 'x').collect();
            assert!(!shown.contains("CANARY0"), "{before}: {shown}");
            assert!(!shown.contains("9abcdef"), "{before}: {shown}");
        }
    }
}

#[test]
fn output_of_children_cannot_act_on_the_terminal() {
    let space = TestSpace::with_targets(
        r#""evil": Exec(command: ["printf", "\\033]52;c;ZXZpbA==\\007a\\033[2Jb\\033[31mred\\033[0m\\n"])"#,
    );
    let run = space.ok(&["evil"]);
    let shown = run.stderr.replace('\u{1b}', "<ESC>");
    Run { stderr: shown, ..run }.check(expect![[r#"
        --- stderr
             Running evil: it declares no inputs
              evil | ab<ESC>[31mred<ESC>[0m
                Done evil in [T]
            Finished in [T]: 1 ran, 0 up to date
    "#]]);
}

#[test]
fn a_step_that_was_stopped_has_a_duration() {
    let space =
        TestSpace::with_targets(r#""slow": Exec(command: ["sleep", "20"]), "fails": Shell("sleep 0.1; exit 1")"#);
    let child = space.start(&["slow", "--events", "json"]);
    std::thread::sleep(Duration::from_millis(800));
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let runs = [Run::of(child.wait_with_output().unwrap()), space.run(&["fails", "--events", "json"])];
    for run in runs {
        let finished = run.events().into_iter().find(|event| event["event"] == "step_finished").unwrap();
        assert!(finished["duration_ms"].as_u64().unwrap() >= 100, "{finished}");
    }
}

#[test]
fn a_colour_that_is_left_on_ends_with_its_line() {
    let mut space = TestSpace::with_targets(r#""evil": Shell("printf '\\033[8mhidden\\n'; exit 1")"#);
    space.run(&["evil"]).fails(1, &["evil | \u{1b}[8mhidden\u{1b}[0m\n"]);
    space.run(&["evil", "--color", "never"]).fails(1, &["evil | hidden\n"]);
    space.set("NO_COLOR", "1");
    space.run(&["evil"]).fails(1, &["evil | hidden\n"]);
}

#[test]
fn the_repositorys_own_file_is_sound() {
    let space = TestSpace::empty();
    fs::copy(repository().join("build.ron"), space.root().join("build.ron")).unwrap();
    let run = space.ok(&[]);
    for target in ["image", "docker-image", "run", "up", "down", "test"] {
        assert!(run.stdout.contains(&format!("\n  {target} ")), "{}", run.stdout);
    }
}
