//! Stamping from git: what is stamped, what makes a build dirty, and what a hostile repository can't do.

use std::fs;
use std::process::Command;

use crate::space::{TestSpace, make_executable};

/// git in the workspace, as some developer.
fn git(space: &TestSpace, arguments: &[&str]) {
    let output = Command::new("git")
        .args(["-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false"])
        .args(arguments)
        .current_dir(space.root())
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()
        .unwrap();
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// The small module, committed, tagged v1.0.0, stamped with description and dirt.
fn committed() -> TestSpace {
    let space = TestSpace::small();
    space.write(".gitignore", "/dist/\n*.secret.txt\n");
    space.replace("build.ron", "vars: {\"version\": \"v1\"}", "vars: {\"describe\": Git(Describe, \"none\"), \"dirty\": Git(Dirty, \"\"), \"version\": \"{describe}{dirty}\"}");
    space.replace("build.ron", "tags: [\"rondel-test-small:latest\"]", "tags: [\"rondel-test-small:{version}\"]");
    git(&space, &["init", "-q"]);
    git(&space, &["add", "."]);
    git(&space, &["commit", "-q", "-m", "one"]);
    git(&space, &["tag", "v1.0.0"]);
    space
}

fn version(space: &TestSpace) -> String {
    let output = Command::new(space.root().join("dist/server/linux_amd64/small")).output().unwrap();
    String::from_utf8(output.stdout).unwrap().split_whitespace().next().unwrap().to_owned()
}

fn tag(space: &TestSpace) -> String {
    let manifest = space.read("dist/image/manifest.json");
    manifest.split("rondel-test-small:").nth(1).unwrap().split('"').next().unwrap().to_owned()
}

#[test]
fn dirty_means_that_a_source_of_the_step_is() {
    let space = committed();
    let build = |dirty: bool, what: &str| {
        space.ok(&["image"]);
        let wanted = if dirty { "v1.0.0-dirty" } else { "v1.0.0" };
        assert_eq!((version(&space).as_str(), tag(&space).as_str()), (wanted, wanted), "{what}");
        assert!(space.ran(&["image"]).is_empty(), "{what}: the second time");
    };
    build(false, "as committed");
    // Changed and new files that are no input, and an ignored file that is one.
    space.append("README.md", "changed\n");
    space.write("cmd/other/new.go", "package main\n");
    space.write("greet/text/x.secret.txt", "ignored\n");
    build(false, "what is no input");
    space.append("greet/greet.go", "\n// changed\n");
    build(true, "a changed file of a library");
    git(&space, &["checkout", "-q", "greet/greet.go"]);
    build(false, "put back");
    space.write("greet/more.go", "package greet\n");
    build(true, "an input that is not committed");
    space.remove("greet/more.go");
    // A file of the image alone: its tag says so, the binary's stamp does not.
    space.append("deploy/readme.txt", "changed\n");
    space.ok(&["image"]);
    assert_eq!((version(&space).as_str(), tag(&space).as_str()), ("v1.0.0", "v1.0.0-dirty"));
    // Staged is not committed.
    git(&space, &["add", "deploy/readme.txt"]);
    space.ok(&["image"]);
    assert_eq!(tag(&space), "v1.0.0-dirty");
    git(&space, &["commit", "-q", "-m", "two"]);
    space.ok(&["image"]);
    assert!(tag(&space).starts_with("v1.0.0-1-g"), "{}", tag(&space));
}

#[test]
fn what_is_generated_is_as_dirty_as_what_it_is_made_from() {
    let space = committed();
    space.replace(
        "build.ron",
        "\"server\": GoBuild(",
        "\"gen\": Exec(command: [\"cp\", \"deploy/readme.txt\", \"greet/text/made.txt\"], inputs: [\"deploy/*\"], outputs: [\"greet/text/made.txt\"]),\n        \"server\": GoBuild(after: [\"gen\"], ",
    );
    git(&space, &["commit", "-q", "-a", "-m", "gen"]);
    git(&space, &["tag", "-f", "v1.0.0"]);
    space.ok(&["server"]);
    assert_eq!(version(&space), "v1.0.0", "the generated file is in no commit, and is derived");
    assert!(space.ran(&["server"]).is_empty());
    space.append("deploy/readme.txt", "changed\n");
    space.ok(&["server"]);
    assert_eq!(version(&space), "v1.0.0-dirty");
}

/// Everything that a repository's configuration could name as a program, named; nothing of it may run.
#[test]
fn a_hostile_repository_runs_nothing() {
    let space = committed();
    let canary = space.beside("canary");
    let script = space.beside("evil.sh");
    fs::write(&script, format!("#!/bin/sh\necho \"$0 $@\" >> {}\ncat\n", canary.display())).unwrap();
    make_executable(&script);
    let evil = script.display().to_string();
    for (name, value) in [
        ("core.fsmonitor", evil.as_str()),
        ("core.hooksPath", space.beside("hooks").to_str().unwrap()),
        ("core.pager", &evil),
        ("core.sshCommand", &evil),
        ("core.gitProxy", &evil),
        ("core.editor", &evil),
        ("core.alternateRefsCommand", &evil),
        ("credential.helper", &evil),
        ("diff.external", &evil),
        ("gpg.program", &evil),
        ("log.showSignature", "true"),
        ("filter.evil.clean", &evil),
        ("filter.evil.smudge", &evil),
        ("filter.evil.process", &evil),
        ("filter.evil.required", "true"),
        ("extensions.partialClone", "origin"),
        ("remote.origin.url", &format!("ext::{evil}")),
        ("remote.origin.promisor", "true"),
        ("protocol.ext.allow", "always"),
        ("alias.describe", &format!("!{evil}")),
    ] {
        git(&space, &["config", name, value]);
    }
    space.write(".git/info/attributes", "* filter=evil diff=evil\n");
    fs::create_dir_all(space.beside("hooks")).unwrap();
    for hook in ["post-index-change", "fsmonitor-watchman", "post-checkout", "reference-transaction"] {
        fs::copy(&script, space.beside("hooks").join(hook)).unwrap();
        fs::copy(&script, space.root().join(".git/hooks").join(hook)).unwrap();
    }
    // Times that differ from the index, so that contents are compared; and an object that is missing.
    space.append("greet/greet.go", "\n");
    space.ok(&["image"]);
    assert_eq!(version(&space), "v1.0.0-dirty");
    assert!(!canary.exists(), "{}", fs::read_to_string(canary).unwrap());
    // The same configuration does run something where it is not held back: this test can fail.
    let _ = Command::new("git").arg("status").current_dir(space.root()).output();
    assert!(canary.exists(), "plain git runs what the repository names");
}

/// A stamp that changes links again, compiles nothing, and runs nothing else.
#[test]
#[cfg_attr(not(has_strace), ignore = "no strace that may trace")]
fn a_changed_stamp_only_relinks() {
    let space = committed();
    space.ok(&["server"]);
    git(&space, &["commit", "-q", "--allow-empty", "-m", "two"]);
    let plain = space.command(&["server"]);
    let trace = space.beside("trace");
    let mut command = Command::new("strace");
    command
        .args(["-f", "-e", "trace=execve", "-s", "300", "-o"])
        .arg(&trace)
        .arg(env!("CARGO_BIN_EXE_rondel-under-test"));
    command.arg("server").current_dir(space.root()).env_clear();
    command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(version(&space).starts_with("v1.0.0-1-g"));
    let text = fs::read_to_string(&trace).unwrap();
    let started = |tool: &str| {
        let name = format!("/{tool}\"");
        text.lines()
            .filter(|line| line.contains("execve(") && line.contains(&name) && !line.contains("-V=full"))
            .count()
    };
    assert_eq!((started("compile"), started("asm"), started("link")), (0, 0, 1));
}

/// What is read from the repository's files is what `git describe` says: without tags, with them, packed and not.
#[test]
fn describe_is_what_git_says() {
    let space = TestSpace::with_targets(r#""x": Exec(command: ["echo", "it is {describe}."])"#);
    space.replace("build.ron", "go: System,", "go: System, vars: {\"describe\": Git(Describe, \"none\")},");
    let git = |arguments: &[&str]| {
        let output = Command::new("git")
            .args(["-c", "user.name=x", "-c", "user.email=x@example.com", "-c", "tag.gpgSign=false"])
            .args(arguments)
            .current_dir(space.root())
            .output()
            .unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let check = |what: &str| {
        let said = git(&["describe", "--tags", "--always", "--abbrev=12"]);
        let run = space.ok(&["x"]);
        assert!(run.stderr.contains(&format!("it is {said}.")), "{what}: {said}\n{}", run.stderr);
    };
    assert!(space.ok(&["x"]).stderr.contains("it is none."));
    git(&["init", "--quiet"]);
    assert!(space.ok(&["x"]).stderr.contains("it is none."));
    git(&["add", "build.ron"]);
    git(&["commit", "--quiet", "-m", "one"]);
    check("no tags");
    git(&["pack-refs", "--all"]);
    check("no tags, packed");
    git(&["checkout", "--quiet", "--detach"]);
    check("no tags, detached");
    git(&["tag", "team/v1"]);
    check("a tag in a directory");
    git(&["commit", "--quiet", "--allow-empty", "-m", "two"]);
    check("after a tag");
    git(&["pack-refs", "--all"]);
    check("a packed tag");
    git(&["tag", "-d", "team/v1"]);
    check("the tag is gone");
    git(&["tag", "-a", "v2", "-m", "v2"]);
    check("an annotated tag");
}

/// Filtered values in a binary and in the names of an image; a branch with a slash needs a slug.
#[test]
fn filtered_stamps_and_tags() {
    let space = committed();
    git(&space, &["checkout", "-q", "-b", "feature/X"]);
    space.replace("build.ron", "vars: {", "vars: {\"branch\": Git(Branch), \"file\": File(\"VERSION\"), ");
    space.replace("build.ron", "\"main.version\": \"{version}\"", "\"main.version\": \"{file|trim_prefix:v}\"");
    space.replace("build.ron", "rondel-test-small:{version}", "rondel-test-small:{branch}");
    space.write("VERSION", "v3.4.5\n");
    let words = ["`{branch}` is `feature/X`, and a tag has no `/`", "write `{branch|slug}`, which gives `feature-X`"];
    space.run(&["image"]).fails(2, &words);
    space.replace("build.ron", "{branch}", "{branch|slug|lower}-{file|major}");
    space.ok(&["image"]);
    assert_eq!((version(&space).as_str(), tag(&space).as_str()), ("3.4.5", "feature-x-3"));
    assert!(space.ran(&["image"]).is_empty());
    space.write("VERSION", "v3.4.6\n");
    space.ok(&["image"]);
    assert_eq!(version(&space), "3.4.6");
}
