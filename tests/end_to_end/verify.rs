//! `verify`: what is reproducible is said to be, and each planted fault is found and named.

use std::fs;
use std::process::Command;

use crate::space::{Run, TestSpace, shared_cache};

/// The small module with one more target, and the toolchain's `go` on PATH for commands that start it by a shell.
fn with_target(target: &str) -> TestSpace {
    let mut space = TestSpace::small();
    let bin = shared_cache().join("go/toolchains/go1.22.12.linux-amd64/sdk/bin");
    space.set("PATH", &format!("{}:/usr/bin:/bin", bin.display()));
    space.set("GOTOOLCHAIN", "local");
    space.write(".gitignore", "/dist/\n/out/\n");
    space.replace("build.ron", "\"test\":", &format!("{target},\n        \"test\":"));
    space.may_differ()
}

fn git_commit(space: &TestSpace) {
    for arguments in [
        &["init", "-q"][..],
        &["add", "."],
        &["-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "-q", "-m", "one"],
    ] {
        let output = Command::new("git").args(arguments).current_dir(space.root()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

fn verify(space: &TestSpace, target: &str) -> Run {
    let run = space.run(&["verify", target]);
    let left = fs::read_dir(space.cache().join("verify")).map_or(0, |entries| entries.count());
    assert_eq!(left, 0, "the second build's place is removed");
    run
}

#[test]
fn what_is_reproducible_is_said_to_be() {
    let space = TestSpace::small();
    let run = verify(&space, "image");
    assert_eq!(run.code, 0, "{}", run.stderr);
    for words in [
        "Identical server (linux/amd64): sha256:",
        "Identical image: sha256:",
        "umask 002",
        "empty build cache",
        "identical",
    ] {
        assert!(run.stderr.contains(words), "{words}\n{}", run.stderr);
    }
    // The first build is what was there; nothing of it was touched.
    assert!(space.ran(&["image"]).is_empty());
    let run = space.run(&["verify", "image", "--events", "json", "--all-platforms"]);
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    let events = run.events();
    assert!(
        events.iter().any(|event| event["event"] == "verified"
            && event["step"] == "server (linux/arm64)"
            && event["outcome"] == "identical"),
        "{}",
        run.stdout
    );
    assert_eq!(events.last().unwrap()["outcome"], "ok");
}

#[test]
fn a_workspace_that_builds_with_everything_at_once() {
    let space = TestSpace::small();
    let outside = space.beside("library");
    fs::create_dir_all(&outside).unwrap();
    fs::write(outside.join("go.mod"), "module example.com/library\n\ngo 1.22\n").unwrap();
    fs::write(outside.join("library.go"), "package library\n\nfunc init() { println(1) }\n").unwrap();
    space.append("go.mod", "\nrequire example.com/library v0.0.0\n\nreplace example.com/library => ../library\n");
    space.replace("cmd/small/main.go", "\"fmt\"", "\"fmt\"\n\n\t_ \"example.com/library\"");
    space.replace(
        "build.ron",
        "vars: {\"version\": \"v1\"}",
        "vars: {\"version\": Git(Describe, \"none\"), \"dirty\": Git(Dirty, \"\")}",
    );
    space.replace("build.ron", "\"{version}\"", "\"{version}{dirty}\"");
    space.replace("build.ron", "\"server\": GoBuild(", "\"gen\": Exec(command: [\"cp\", \"deploy/readme.txt\", \"greet/text/gen.txt\"], inputs: [\"deploy/*\"], outputs: [\"greet/text/gen.txt\"]),\n        \"server\": GoBuild(after: [\"gen\"], sbom: true, ");
    space.write(".gitignore", "/dist/\n");
    git_commit(&space);
    let run = verify(&space, "server");
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(run.stderr.contains("Identical gen: sha256:"), "{}", run.stderr);
}

/// Expects exit code 4 and these words.
fn differs(run: &Run, words: &[&str]) {
    run.fails(4, words);
}

#[test]
fn a_build_without_trimpath_is_found() {
    let space = with_target(
        "\"fault\": Exec(command: [\"go\", \"build\", \"-o\", \"out/x\", \"./cmd/small\"], inputs: [\"**/*.go\", \"greet/text/*\", \"go.mod\"], outputs: [\"out/x\"])",
    );
    let run = verify(&space, "fault");
    differs(
        &run,
        &[
            "Different fault: ",
            "out/x",
            "an embedded path: `",
            "built without -trimpath?",
            "section ",
            "1 of 1 different",
        ],
    );
    assert!(run.stderr.contains(&space.root().display().to_string()), "{}", run.stderr);
}

#[test]
fn a_generated_timestamp_is_found_where_it_comes_from() {
    let space = with_target(
        "\"gen\": Exec(command: [\"sh\", \"-c\", \"date +built-%s%N > greet/text/time.txt\"], inputs: [\"go.mod\"], outputs: [\"greet/text/time.txt\"])",
    );
    space.replace("build.ron", "\"server\": GoBuild(", "\"server\": GoBuild(after: [\"gen\"], ");
    let run = verify(&space, "server");
    differs(&run, &["Different gen: ", "greet/text/time.txt, line 1", "the difference looks like a time", "`built-1"]);
    assert!(!run.stderr.contains("Different server"), "the cause is said once:\n{}", run.stderr);
}

#[test]
fn vcs_stamps_are_found() {
    let space = with_target(
        "\"fault\": Exec(command: [\"go\", \"build\", \"-trimpath\", \"-buildvcs=true\", \"-o\", \"out/x\", \"./cmd/small\"], inputs: [\"**/*.go\", \"greet/text/*\", \"go.mod\"], outputs: [\"out/x\"], sandbox: Off, tools: [\"git\"])",
    );
    git_commit(&space);
    differs(&verify(&space, "fault"), &["Different fault: ", "build setting vcs.modified: `false` and `true`"]);
}

#[test]
fn a_stamp_with_the_time_is_found() {
    let space = with_target(
        "\"fault\": Exec(command: [\"sh\", \"-c\", \"go build -trimpath -buildvcs=false -ldflags=\\\"-s -w -buildid= -X main.version=$(date +%s)\\\" -o out/x ./cmd/small\"], inputs: [\"**/*.go\", \"greet/text/*\", \"go.mod\"], outputs: [\"out/x\"], env: {\"GOFLAGS\": \"\"}, tools: [\"go\"])",
    );
    let run = verify(&space, "fault");
    differs(&run, &["Different fault: ", "out/x, section .rodata", "the difference looks like a time"]);
}

#[test]
fn archives_are_looked_into() {
    let space = with_target(
        "\"tar\": Exec(command: [\"tar\", \"-czf\", \"out/x.tar.gz\", \"--sort=name\", \"--owner=0\", \"--group=0\", \"--mode=go=rX,u+rw\", \"deploy\"], inputs: [\"deploy/*\"], outputs: [\"out/x.tar.gz\"], tools: [\"gzip\"])",
    );
    let run = verify(&space, "tar");
    differs(&run, &["Different tar: ", "out/x.tar.gz, entry deploy/", "modification time: 20"]);
    // Inside of an image: the layer, and the entry in it.
    let space = with_target(
        "\"gen\": Exec(command: [\"sh\", \"-c\", \"umask > out/x\"], inputs: [\"go.mod\"], outputs: [\"out/x\"])",
    );
    space.replace("build.ron", "\"/etc/small/readme\":", "\"/etc/umask\": Output(\"gen\"), \"/etc/small/readme\":");
    space.replace("build.ron", "tags: [", "entrypoint: [\"/app/small\"], tags: [");
    let run = verify(&space, "image");
    differs(&run, &["Different gen: ", "`0022` and `0002`"]);
}

#[test]
fn a_step_that_needs_what_is_not_declared_fails_elsewhere() {
    let mut space = with_target(
        "\"fault\": Exec(command: [\"sh\", \"-c\", \"cat $HOME/secret-input > out/x\"], inputs: [\"go.mod\"], outputs: [\"out/x\"], sandbox: Off)",
    );
    let home = space.beside("home");
    fs::write(home.join("secret-input"), "x\n").unwrap();
    space.set("HOME", &home.display().to_string());
    let run = verify(&space, "fault");
    differs(&run, &["secret-input", "the second build failed but the first did not"]);
}

#[test]
fn an_artefact_that_is_there_is_compared() {
    let space = TestSpace::small();
    space.ok(&["image", "--all-platforms"]);
    let kept = space.beside("kept");
    fs::create_dir_all(&kept).unwrap();
    let file = kept.join("small");
    fs::copy(space.root().join("dist/server/linux_arm64/small"), &file).unwrap();
    crate::space::copy(&space.root().join("dist/image"), &kept.join("layout"), &|_| true);
    space.remove("dist");
    let run = verify(&space, &file.display().to_string());
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(run.stderr.contains("go1.22.12 linux/arm64), built as `server`: the same bytes"), "{}", run.stderr);
    let layout = kept.join("layout").display().to_string();
    let run = verify(&space, &layout);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(!space.exists("dist"), "nothing is built in the workspace itself");
    // Another source: another binary, another layer.
    space.replace("cmd/small/main.go", "Println(version,", "Println(\"other\", version,");
    differs(&verify(&space, &file.display().to_string()), &["Different ", "section "]);
    differs(&verify(&space, &layout), &["linux/amd64, layer 2 (outputs), entry app/small, section "]);
    space.replace("cmd/small/main.go", "Println(\"other\", version,", "Println(version,");
    space.replace("build.ron", "tags: [", "user: \"1:1\", tags: [");
    differs(&verify(&space, &layout), &["linux/amd64, configuration, config, User", "\"65532:65532\" and \"1:1\""]);
    space.run(&["verify", "README.md"]).fails(2, &["is not a Go executable"]);
    space.run(&["verify", "deploy"]).fails(2, &["is not an OCI layout"]);
}

#[test]
fn what_can_t_be_verified_is_said_before_anything_runs() {
    let space = with_target(
        "\"run\": DockerRun(image: \"image\", user: \"1:1\"), \"all\": Group(targets: [\"server\", \"run\"])",
    );
    space.run(&["verify", "run"]).fails(2, &["`run` can't be verified: it runs something"]);
    space.run(&["verify", "all"]).fails(2, &["`run` can't be verified"]);
    space.run(&["verify", "test"]).fails(2, &["there is nothing to verify"]);
    space.run(&["verify"]).fails(2, &["`verify` needs a target, or a file"]);
    assert!(!space.exists("dist"));
}

/// With a clock that can be moved, a stamp that holds only the day is found too.
#[test]
#[cfg_attr(not(has_libfaketime), ignore = "no libfaketime")]
fn a_stamp_with_the_day_is_found_where_the_clock_can_be_moved() {
    let space = with_target(
        "\"gen\": Exec(command: [\"sh\", \"-c\", \"date +%Y-%m-%d > out/x\"], inputs: [\"go.mod\"], outputs: [\"out/x\"])",
    );
    let run = verify(&space, "gen");
    differs(&run, &["Different gen: ", "the difference looks like a time"]);
    assert!(run.stderr.contains("clock 400 days ahead"), "{}", run.stderr);
}
