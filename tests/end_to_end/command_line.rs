//! The command line: words, options, lists, events.

use expect_test::expect;

use crate::space::{Run, TestSpace};

const TARGETS: &str = r#""hello": Exec(doc: "Says hello", command: ["echo", "hello"]), "list": Exec(command: ["echo", "own list"]), "hidden": Exec(command: ["true"], private: true)"#;

#[test]
fn the_list_has_targets_and_verbs() {
    let space = TestSpace::with_targets(TARGETS);
    space.ok(&[]).check(expect![[r#"
        t

        other
          hello        Says hello
          list         Exec

        verbs (`rondel-under-test --help` has the options)
          list         every target with its description
          plan         what would run and why; changes nothing
          why          why a target's steps ran the last time
          watch        builds targets again whenever something that they are made from changes
          status       processes, containers and services that targets have started
          logs         what processes, containers and services have printed
          stop         ends processes, containers and services that targets have started
          restart      ends what targets have started, and starts it again
          show         each variable with its value and where it came from
          graph        the steps as a graph: Mermaid, DOT or JSON
          report       an HTML page of the last run: time, causes, output, tests, layers, earlier runs
          verify       build again in other surroundings and compare; or compare with a file or layout
          bundle       write one file from which a target can be built again without a network
          rebuild      build a published release or image again from this checkout, and compare
          inspect      what an executable or image is made of, and how it was made
          init         write build.ron and Cargo's files for a Go repository
          lock         pin toolchains, base images and tools in build.lock
          cache        inspect, check and clean the cache: `cache stats`, `gc`, `verify`, `audit`, `clean`
          doctor       what this machine has, and what build.ron needs
          schema       the JSON Schema of build.ron, for tools
          completions  a completion script for bash, zsh or fish
    "#]]);
}

#[test]
fn targets_win_and_a_colon_reaches_the_verb() {
    let space = TestSpace::with_targets(TARGETS);
    space.ok(&["list"]).check(expect![[r#"
        --- stderr
             Running list: it declares no inputs
              list | own list
                Done list in [T]
            Finished in [T]: 1 ran, 0 up to date
    "#]]);
    assert!(space.ok(&[":list"]).stdout.contains("Says hello"));
}

#[test]
fn slips_of_the_finger() {
    let space = TestSpace::with_targets(TARGETS);
    space.run(&["helo"]).check(expect![[r#"
        --- stderr
        error: there is no target `helo`

        hint: did you mean `hello`? `rondel-under-test` lists all targets
        --- exit code 2
    "#]]);
    space.run(&["--fore", "hello"]).check(expect![[r#"
        --- stderr
        error: there is no option `--fore`

        hint: did you mean `--force`? `rondel-under-test --help` lists all
        --- exit code 2
    "#]]);
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
    space.ok(&["--offline", "plan", "hello"]).check(expect![[r#"
        run         hello: it declares no inputs
    "#]]);
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
        let lines = String::from_utf8_lossy(&run.stderr).into_owned();
        lines.lines().find(|line| line.starts_with("hint:")).unwrap_or_default().to_owned()
    };
    assert_eq!(hint("xtask"), "hint: run `cargo xtask lock` and commit build.lock");
    assert_eq!(hint("/usr/bin/rondel"), "hint: run `rondel lock` and commit build.lock");
}

#[test]
fn arguments_after_the_dashes() {
    let space = TestSpace::with_targets(TARGETS);
    space.ok(&["hello", "--", "--world"]).check(expect![[r#"
        --- stderr
             Running hello: it declares no inputs
             hello | hello --world
                Done hello in [T]
            Finished in [T]: 1 ran, 0 up to date
    "#]]);
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
fn cache_stats_and_clean() {
    let mut space =
        TestSpace::with_targets(r#""copy": Exec(command: ["cp", "in", "out"], inputs: ["in"], outputs: ["out"])"#);
    space.write("in", "x");
    space.ok(&["copy"]);
    assert!(space.ok(&["cache", "stats"]).stdout.contains("1 files"));
    assert!(space.ok(&["cache", "clean"]).stderr.contains("removed"));
    assert_eq!(space.ran(&["copy"])["copy"], "its stored result is gone");
    space.run(&["cache"]).fails(2, &["`cache` takes `stats`, `gc`, `verify`, `audit` or `clean`"]);
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

/// What `doctor` says is missing; the other lines say what this machine has.
fn missing(run: &Run) -> String {
    run.stdout.lines().filter(|line| line.starts_with("missing")).map(|line| format!("{line}\n")).collect()
}

#[test]
fn doctor_says_what_is_missing() {
    let mut space =
        TestSpace::with_targets(r#""run": DockerRun(image: "i"), "i": Image(base: Static, entrypoint: ["/x"])"#);
    space.program("docker", "exit 0");
    space.program("go", "exit 0");
    let run = space.run(&["doctor"]);
    assert_eq!(run.code, 3, "{}{}", run.stdout, run.stderr);
    expect![[r#"
        missing  no Docker daemon is reachable: images are built without one, but not loaded or run
    "#]]
    .assert_eq(&missing(&run));
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
    expect![[r#"
        missing  a C compiler (gcc, cc, clang): `race: true` links with it (needed by test)
        missing  a C compiler (gcc, cc, clang): `cgo: true` links with it (needed by c)
        missing  `protoc` was not found on PATH (needed by gen, also)
        missing  `sh` was not found on PATH (needed by sh)
    "#]]
    .assert_eq(&missing(&run));
}
