//! The command line: words, options, lists, events.

use expect_test::expect;

use crate::space::TestSpace;

const TARGETS: &str = r#""hello": Exec(doc: "Says hello", command: ["echo", "hello"]), "list": Exec(command: ["echo", "own list"]), "hidden": Exec(command: ["true"], private: true)"#;

#[test]
fn the_list_has_targets_and_verbs() {
    let space = TestSpace::with_targets(TARGETS);
    let run = space.ok(&[]);
    for words in [
        "hello        Says hello",
        "plan         what would run",
        "verify       build again",
        "inspect      what",
        "doctor",
    ] {
        assert!(run.stdout.contains(words), "{words}\n{}", run.stdout);
    }
    assert!(!run.stdout.contains("hidden"));
    assert_eq!(run.stderr, "");
}

#[test]
fn targets_win_and_a_colon_reaches_the_verb() {
    let space = TestSpace::with_targets(TARGETS);
    assert!(space.ok(&["list"]).stderr.contains("own list"));
    assert!(space.ok(&[":list"]).stdout.contains("Says hello"));
}

#[test]
fn slips_of_the_finger() {
    let space = TestSpace::with_targets(TARGETS);
    space.run(&["helo"]).fails(2, &["there is no target `helo`", "did you mean `hello`?"]);
    space.run(&["--fore", "hello"]).fails(2, &["there is no option `--fore`", "did you mean `--force`?"]);
    space.run(&["--jobs", "none", "hello"]).fails(2, &["--jobs takes a number"]);
    space.run(&["--set", "nothing=1", "hello"]).fails(2, &["there is no variable `nothing`"]);
    space.run(&["--platform", "linux/amd46", "hello"]).fails(2, &["did you mean `linux/amd64`?"]);
    space.run(&["hello", "--", "more"]);
    space.run(&["plan"]).fails(2, &["`plan` needs a target"]);
    space.run(&["--color", "pink", "hello"]).fails(2, &["--color takes auto, always or never"]);
}

/// Accepted and ignored once, with exit code 0.
#[test]
fn a_foreign_option_is_an_error_that_names_its_verbs() {
    let space = TestSpace::with_targets(TARGETS);
    space.run(&["plan", "hello", "--format", "json"]).fails(2, &["`plan` has no option `--format`", "`cache stats`"]);
    space.run(&[":list", "--max", "5GiB"]).fails(2, &["`list` has no option `--max`", "hint: `cache gc` has it"]);
    space.run(&["hello", "--against", "x"]).fails(2, &["a build has no option `--against`", "hint: `why` has it"]);
    // Whose option it is depends on whether the word is a target.
    space.run(&["list", "--format", "names"]).fails(2, &["a build has no option `--format`"]);
    space.run(&["--offline", "--", "x"]).fails(2, &["`list` has no option `--offline`"]);
    space.run(&["doctor", "--", "x"]).fails(2, &["`doctor` takes no arguments after `--`"]);
    assert!(space.ok(&["--offline", "plan", "hello"]).stdout.contains("hello"));
}

#[test]
fn lists_in_three_forms() {
    let space = TestSpace::with_targets(TARGETS);
    assert_eq!(space.ok(&[":list", "--format", "names"]).stdout, "hello\nlist\n");
    let json: serde_json::Value = serde_json::from_str(&space.ok(&[":list", "--format", "json"]).stdout).unwrap();
    assert_eq!(json["targets"][0]["doc"], "Says hello");
}

#[test]
fn help_is_of_the_verb_and_needs_no_build_file() {
    let space = TestSpace::with_targets(TARGETS);
    assert!(space.ok(&["plan", "--help"]).stdout.starts_with("usage: rondel-under-test plan [OPTIONS] TARGET…"));
    assert!(space.ok(&["list", "--help"]).stdout.contains("building options:"), "`list` is a target here");
    assert!(space.ok(&[":list", "--help"]).stdout.contains("--format FORMAT"));
    space.remove("build.ron");
    assert!(space.ok(&["-h", "cache", "gc"]).stdout.contains("--max SIZE"));
    assert!(space.ok(&["--help"]).stdout.contains("exit codes:"));
}

/// As cargo starts it, the program is called `cargo xtask` everywhere.
#[test]
fn the_program_is_called_as_it_was_started() {
    let space = TestSpace::with_targets(r#""b": GoBuild(packages: ["./x"])"#);
    space.replace("build.ron", "System", "Version(\"1.22.12\")");
    let as_xtask = |arguments: &[&str]| {
        space.under("bash", &["-c", "exec -a \"$1\" \"$0\" \"${@:2}\""], arguments).output().unwrap()
    };
    let help = as_xtask(&["target/xtask/xtask", "cache", "gc", "--help"]);
    assert!(String::from_utf8_lossy(&help.stdout).starts_with("usage: cargo xtask cache gc [OPTIONS]\n"));
    let hint = |name: &str| {
        let run = as_xtask(&[name, "--locked", "b"]);
        String::from_utf8_lossy(&run.stderr).lines().last().unwrap_or_default().to_owned()
    };
    assert_eq!(hint("xtask"), "hint: run `cargo xtask lock` and commit build.lock");
    assert_eq!(hint("/usr/bin/rondel"), "hint: run `rondel lock` and commit build.lock");
}

#[test]
fn arguments_after_the_dashes() {
    let space = TestSpace::with_targets(TARGETS);
    assert!(space.ok(&["hello", "--", "--world"]).stderr.contains("hello --world"));
}

#[test]
fn it_works_from_below_and_with_another_file() {
    let space = TestSpace::with_targets(TARGETS);
    space.write("deep/down/x", "");
    let mut command = space.command(&["hello"]);
    command.current_dir(space.root().join("deep/down"));
    assert!(command.output().unwrap().status.success());
    space.write("other.ron", "(format: 1, project: \"other\", targets: {})");
    assert!(space.ok(&["--file", "other.ron"]).stdout.starts_with("other"));
    space.run(&["--file", "missing.ron"]).fails(2, &["failed to read `missing.ron`"]);
    space.remove("build.ron");
    space.run(&["hello"]).fails(2, &["there is no build.ron in", "--file PATH"]);
}

#[test]
fn events_are_one_object_a_line() {
    let space = TestSpace::small();
    let run = space.ok(&["--events", "json", "server"]);
    let events = run.events();
    assert_eq!(events[0]["event"], "started");
    assert_eq!(events[0]["schema"], 1);
    let step = events.iter().find(|event| event["event"] == "step_finished" && event["target"] == "server").unwrap();
    assert_eq!(step["outcome"], "ran");
    assert_eq!(step["reason"], "first build");
    assert!(step["duration_ms"].as_u64().is_some());
    assert_eq!(step["outputs"][0]["path"], "dist/server/linux_amd64/small");
    assert!(step["outputs"][0]["digest"].as_str().unwrap().starts_with("sha256:"));
    let last = events.last().unwrap();
    assert_eq!((last["event"].as_str(), last["outcome"].as_str()), (Some("finished"), Some("ok")));
    space.append("cmd/small/main.go", "broken");
    let run = space.run(&["--events", "json", "server"]);
    assert_eq!(run.code, 1);
    let events = run.events();
    assert_eq!(events.last().unwrap()["outcome"], "failed");
    assert!(events.iter().any(|event| event["event"] == "error" && event["step"] == "server (linux/amd64)"));
}

#[test]
fn verbose_lines_can_be_pasted() {
    let space =
        TestSpace::with_targets(r#""hello": Exec(command: ["sh", "-c", "echo it\\'s \"$A\""], env: {"A": "b c"})"#);
    let run = space.ok(&["hello", "--verbose"]);
    let line = run.stderr.lines().find_map(|line| line.trim_start().strip_prefix("$ ")).unwrap();
    let output = std::process::Command::new("sh").args(["-c", line]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "it's b c\n", "{line}");
}

#[test]
fn graphs_in_three_forms() {
    let space = TestSpace::small();
    assert!(space.ok(&["graph", "image"]).stdout.starts_with("flowchart LR\n"));
    assert!(space.ok(&["graph", "image", "--format", "dot"]).stdout.starts_with("digraph"));
    let json: serde_json::Value = serde_json::from_str(&space.ok(&["graph", "--format", "json"]).stdout).unwrap();
    assert!(json["steps"].as_array().unwrap().len() > 4 && !json["edges"].as_array().unwrap().is_empty());
    space.run(&["graph", "--format", "png"]).fails(2, &["--format takes"]);
}

#[test]
fn lock_writes_and_keeps_pins() {
    let space = TestSpace::small();
    let before = space.read("build.lock");
    space.ok(&["lock"]);
    assert_eq!(before, space.read("build.lock"));
    space.remove("build.lock");
    assert!(space.ok(&["lock"]).stderr.contains("Pinned Go 1.22.12"));
    assert_eq!(before, space.read("build.lock"));
    let wrong = before.replace("identity: \"6", "identity: \"7");
    space.write("build.lock", &wrong);
    space.run(&["lock"]).fails(3, &["is not what build.lock pins", "lock --update go"]);
    assert!(space.ok(&["lock", "--update", "go"]).stderr.contains("old: 7"));
    assert_eq!(before, space.read("build.lock"));
}

#[test]
fn cache_stats_and_clean() {
    let mut space =
        TestSpace::with_targets(r#""copy": Exec(command: ["cp", "in", "out"], inputs: ["in"], outputs: ["out"])"#);
    space.write("in", "x");
    space.ok(&["copy"]);
    assert!(space.ok(&["cache", "stats"]).stdout.contains("1 files"));
    assert!(space.ok(&["cache", "clean"]).stderr.contains("removed"));
    assert_eq!(space.ran(&["copy"])["copy"], "its stored result is gone");
    space.run(&["cache"]).fails(2, &["`cache` takes `stats`, `gc`, `verify` or `clean`"]);
    // It works where build.ron does not.
    space.write("build.ron", "broken");
    space.ok(&["cache", "clean"]);
    space.unset("RONDEL_CACHE_DIR").unset("HOME");
    space.run(&["cache", "stats"]).fails(3, &["neither RONDEL_CACHE_DIR nor HOME is set"]);
}

#[test]
fn a_closed_pipe_is_no_crash() {
    let space = TestSpace::with_targets(TARGETS);
    let mut child = space.start(&["list"]);
    drop(child.stdout.take());
    drop(child.stderr.take());
    assert!(child.wait().unwrap().code().is_some());
}

#[test]
fn doctor_says_what_is_missing() {
    let mut space =
        TestSpace::with_targets(r#""run": DockerRun(image: "i"), "i": Image(base: Static, entrypoint: ["/x"])"#);
    space.program("docker", "exit 0");
    space.program("go", "exit 0");
    let run = space.run(&["doctor"]);
    assert_eq!(run.code, 3);
    assert!(run.stdout.contains("missing  no Docker daemon is reachable"), "{}", run.stdout);
}

/// Each line names the targets that need what is missing.
#[test]
fn doctor_asks_every_kind_what_it_needs() {
    let mut space = TestSpace::with_targets(
        r#""gen": Exec(command: ["protoc"]), "also": Exec(command: ["protoc", "x"]), "sh": Shell("true"),
           "c": GoBuild(packages: ["."], cgo: true), "test": GoTest(packages: ["."], race: true)"#,
    );
    space.program("go", "exit 0");
    let programs = space.beside("programs").display().to_string();
    space.set("PATH", &programs);
    let run = space.run(&["doctor"]);
    assert_eq!(run.code, 3, "{}{}", run.stdout, run.stderr);
    let missing: String =
        run.stdout.lines().filter(|line| line.starts_with("missing")).map(|line| format!("{line}\n")).collect();
    expect![[r#"
        missing  a C compiler (gcc, cc, clang): `cgo: true` links with it (needed by c)
        missing  a C compiler (gcc, cc, clang): `race: true` links with it (needed by test)
        missing  `protoc` was not found on PATH (needed by gen, also)
        missing  `sh` was not found on PATH (needed by sh)
    "#]]
    .assert_eq(&missing);
}
