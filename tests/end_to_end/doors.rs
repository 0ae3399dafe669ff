//! What a hostile repository brings: programs of git, links, files that never end, directories of others. None of it
//! runs, is written through, hangs, or is lost.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;

use crate::space::{Run, TestSpace};

fn git(space: &TestSpace, arguments: &[&str]) {
    let output = Command::new("git")
        .args(["-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgSign=false"])
        .args(arguments)
        .current_dir(space.root())
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()
        .unwrap();
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Targets that ask git for everything there is.
const ASKING: &str = r#"
    "x": Exec(command: ["sh", "-c", "echo \"$DIRTY\" $ALL > out"], inputs: ["in.go"], outputs: ["out"], env: {
        "DIRTY": Git(Dirty, "none"), "ALL": "{all}",
    })"#;

fn asking() -> TestSpace {
    let space = TestSpace::with_targets(ASKING);
    let vars = r#"vars: {"d": Git(Describe, "none"), "c": Git(Commit, "none"), "s": Git(ShortCommit, "none"),
        "t": Git(CommitTime, "none"), "b": Git(Branch, "none"),
        "n": Git(CommitCount, "none"), "g": Git(Tag, "none"), "l": Git(Describe(match: "v*", long: true, dirty: "-x"), "none"),
        "all": "{d} {c} {s} {t} {b} {n} {g} {l}"}, targets:"#;
    space.replace("build.ron", "targets:", vars);
    space.write("in.go", "package main\n");
    space.write(".gitignore", "/.rondel\n/out\n");
    git(&space, &["init", "--quiet"]);
    git(&space, &["add", "--all"]);
    git(&space, &["commit", "--quiet", "-m", "one"]);
    git(&space, &["tag", "-a", "v1", "-m", "v1"]);
    space
}

#[test]
fn no_program_of_a_repository_runs() {
    let space = asking();
    let trap = space.beside("trap");
    let program = space.beside("program.sh");
    fs::write(&program, format!("#!/bin/sh\necho \"$@\" >> {}\ncat\n", trap.display())).unwrap();
    assert!(Command::new("chmod").arg("+x").arg(&program).status().unwrap().success());
    let program = program.display().to_string();
    // Git itself splits the name off at the last dot, and `-c` at the first `=`.
    let names = ["plain", "a=b", "a.b", "with space", "=", "é", "q\"q"];
    let mut attributes = String::new();
    for name in names {
        for key in ["clean", "smudge", "process"] {
            git(&space, &["config", &format!("filter.{name}.{key}"), &program]);
        }
        git(&space, &["config", &format!("filter.{name}.required"), "true"]);
        for key in ["command", "textconv"] {
            git(&space, &["config", &format!("diff.{name}.{key}"), &program]);
        }
        git(&space, &["config", &format!("merge.{name}.driver"), &program]);
        git(
            &space,
            &["config", &format!("alias.{}", name.replace(['=', ' ', 'é', '"', '.'], "x")), &format!("!{program}")],
        );
        attributes.push_str(&format!("*.go filter={name} diff={name}\n"));
    }
    for key in [
        "core.fsmonitor",
        "core.pager",
        "core.editor",
        "core.sshCommand",
        "core.askPass",
        "core.gitProxy",
        "core.alternateRefsCommand",
        "credential.helper",
        "diff.external",
        "gpg.program",
        "pager.describe",
        "pager.log",
        "remote.origin.uploadpack",
        "uploadpack.packObjectsHook",
        "sequence.editor",
        "trace2.eventTarget",
    ] {
        git(&space, &["config", key, &program]);
    }
    git(&space, &["config", "log.showSignature", "true"]);
    git(&space, &["config", "remote.origin.url", &format!("ext::{program}")]);
    git(&space, &["config", "remote.origin.promisor", "true"]);
    for hook in ["post-index-change", "fsmonitor-watchman", "reference-transaction", "post-checkout", "pre-auto-gc"] {
        let place = space.root().join(".git/hooks");
        fs::create_dir_all(&place).unwrap();
        fs::copy(&program, place.join(hook)).unwrap();
    }
    // One driver at a time has the file; an edit with the same size makes git look into it.
    for name in names {
        fs::write(space.root().join(".git/info/attributes"), format!("*.go filter={name} diff={name}\n")).unwrap();
        for text in ["package mbin\n", "package main\n"] {
            space.write("in.go", text);
            space.ok(&["plan", "x"]);
            space.ok(&["x"]);
            let said = space.read("out");
            assert!(!said.contains("none"), "{name}: {said}");
            assert_eq!(said.starts_with("-dirty v1 "), text.contains("mbin"), "{name}: {said}");
        }
    }
    fs::write(space.root().join(".git/info/attributes"), attributes).unwrap();
    space.ok(&["x", "--force"]);
    assert!(!trap.exists(), "a program ran: {}", fs::read_to_string(&trap).unwrap_or_default());
}

/// Contents and the executable bit decide, not times; ignored files are no part of a commit, and added ones are.
#[test]
fn dirty_is_what_differs_from_the_commit() {
    let space = TestSpace::with_targets(
        r#""x": Exec(command: ["sh", "-c", "echo \"state$DIRTY\" > out"], inputs: ["src/**"], outputs: ["out"], env: {"DIRTY": Git(Dirty, "none")})"#,
    );
    for (path, text) in [("src/one", "1\n"), ("src/deep/two", "2\n"), (".gitignore", "/.rondel\n/out\n/src/made/\n")] {
        space.write(path, text);
    }
    symlink("one", space.root().join("src/link")).unwrap();
    git(&space, &["init", "--quiet"]);
    git(&space, &["add", "--all"]);
    git(&space, &["commit", "--quiet", "-m", "one"]);
    let state = |what: &str, wanted: &str| {
        space.ok(&["x", "--force"]);
        assert_eq!(space.read("out").trim(), format!("state{wanted}"), "{what}");
    };
    state("committed", "");
    space.write("src/one", "1\n");
    state("written again", "");
    fs::remove_file(space.root().join(".git/index")).unwrap();
    state("without an index", "");
    git(&space, &["reset", "--quiet"]);
    space.write("src/one", "9\n");
    state("edited", "-dirty");
    git(&space, &["add", "--all"]);
    state("staged", "-dirty");
    git(&space, &["reset", "--quiet", "--hard"]);
    state("as before", "");
    space.write("src/made/deep/file", "");
    state("an ignored file", "");
    space.write("src/new", "");
    state("a new file", "-dirty");
    git(&space, &["add", "src/new"]);
    state("an added file", "-dirty");
    git(&space, &["rm", "--quiet", "--force", "src/new"]);
    state("it is gone", "");
    fs::remove_file(space.root().join("src/link")).unwrap();
    symlink("two", space.root().join("src/link")).unwrap();
    state("another link", "-dirty");
    git(&space, &["reset", "--quiet", "--hard"]);
    assert!(Command::new("chmod").arg("+x").arg(space.root().join("src/one")).status().unwrap().success());
    state("executable", "-dirty");
    git(&space, &["config", "core.fileMode", "false"]);
    state("executable, and modes do not count", "");
}

/// Git's check of owners holds, for a repository above the project too; the user's own `safe.directory` lifts it.
#[test]
#[cfg_attr(not(has_root), ignore = "no root (with runuser, setpriv)")]
fn a_repository_of_another_user_is_not_asked() {
    let mut space = asking();
    let git_directory = space.root().join(".git");
    assert!(Command::new("chown").args(["-R", "65534"]).arg(&git_directory).status().unwrap().success());
    let run = space.ok(&["x"]);
    assert_eq!(space.read("out"), "none none none none none none none none none\n");
    assert!(run.stderr.contains("belongs to another user (number 65534), so git is not asked"), "{}", run.stderr);
    let config = format!("[safe]\n\tdirectory = {}\n", space.root().display());
    fs::write(space.beside("home").join(".gitconfig"), config).unwrap();
    space.set("HOME", &space.beside("home").display().to_string());
    space.ok(&["x"]);
    let said = space.read("out");
    assert!(said.starts_with(" v1 ") && !said.contains("none"), "{said}");
}

#[test]
fn files_that_never_end_are_errors() {
    let space = asking();
    space.replace(
        "build.ron",
        "targets: {",
        r#"targets: {
        "image": Image(base: Static, files: {"/x": File("data")}, entrypoint: ["/x"]),
        "data": Exec(command: ["true"], inputs: ["data"], outputs: []),"#,
    );
    let fifo = |path: &Path| assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
    let device = |path: &Path| symlink("/dev/zero", path).unwrap();
    let sparse = |path: &Path| fs::File::create(path).unwrap().set_len(1 << 42).unwrap();
    type Kind<'a> = (&'a str, &'a dyn Fn(&Path));
    let kinds: [Kind<'_>; 3] = [("a FIFO", &fifo), ("a device", &device), ("4398046511104 bytes", &sparse)];
    for (what, make) in kinds {
        let place = space.root().join("build.lock");
        make(&place);
        space.run(&["list"]).fails(2, &["failed to read `build.lock`: it", what]);
        fs::remove_file(place).unwrap();
        for name in [".git/HEAD", ".git/packed-refs", ".git/refs/tags/v2", ".git/config"] {
            let place = space.root().join(name);
            let former = fs::read(&place).ok();
            let _ = fs::remove_file(&place);
            make(&place);
            let run = space.ok(&["x"]);
            assert!(run.stderr.contains("git is not asked: failed to read"), "{name} is {what}: {}", run.stderr);
            fs::remove_file(&place).unwrap();
            former.into_iter().for_each(|bytes| fs::write(&place, bytes).unwrap());
        }
        let place = space.root().join("data");
        make(&place);
        if what != "a device" {
            space.run(&["image"]).fails(if what == "a FIFO" { 2 } else { 1 }, &["data"]);
        }
        if what.contains("bytes") {
            space.run(&["data"]).fails(1, &["at most 64 GiB are read"]);
        }
        fs::remove_file(place).unwrap();
    }
}

#[test]
fn cache_clean_removes_only_what_rondel_made() {
    let mut space =
        TestSpace::with_targets(r#""x": Exec(command: ["cp", "in", "out"], inputs: ["in"], outputs: ["out"])"#);
    space.write("in", "");
    for path in ["v2/api.go", "go/main.go"] {
        space.write(path, "mine\n");
    }
    space.set("RONDEL_CACHE_DIR", ".");
    for arguments in [&["cache", "clean"][..], &["cache", "clean", "--all"]] {
        space.run(arguments).fails(3, &["was not made by this Rondel, so it is not removed", "hint:"]);
    }
    // Nor can a project be a cache.
    space.run(&["x"]).fails(3, &["the cache directory is the directory of the project"]);
    space.run(&["cache", "clean", "--all"]).fails(3, &["was not made by this Rondel"]);
    assert!(space.exists("v2/api.go") && space.exists("go/main.go"));
    // A cache of its own goes, and a link to it does not.
    let own = space.beside("own");
    space.set("RONDEL_CACHE_DIR", &own.display().to_string());
    space.ok(&["x", "--force"]);
    symlink(&own, space.beside("link")).unwrap();
    let link = space.beside("link").display().to_string();
    space.set("RONDEL_CACHE_DIR", &link);
    for arguments in [&["cache", "clean"][..], &["x"]] {
        space.run(arguments).fails(3, &["is a symbolic link, and nothing is written through it", "hint:"]);
    }
    space.set("RONDEL_CACHE_DIR", &own.display().to_string());
    space.ok(&["cache", "clean", "--all"]);
    assert_eq!(fs::read_dir(own).unwrap().count(), 0);
}

#[test]
fn nothing_is_written_through_a_link_in_the_state_directory() {
    let space = TestSpace::with_targets(r#""x": Exec(command: ["cp", "in", "out"], inputs: ["in"], outputs: ["out"])"#);
    space.write("in", "");
    let victim = space.beside("victim");
    fs::create_dir_all(&victim).unwrap();
    fs::write(victim.join("notes"), "mine\n").unwrap();
    let state = space.root().join(".rondel");
    symlink(&victim, &state).unwrap();
    space.run(&["x"]).fails(3, &["is a symbolic link", "hint: remove the link"]);
    fs::remove_file(&state).unwrap();
    // A lock is opened for writing, and would be emptied.
    fs::create_dir_all(state.join("locks/step")).unwrap();
    symlink(victim.join("notes"), state.join("locks/step/x")).unwrap();
    space.run(&["x"]).fails(3, &["is a link or a special file", "hint: remove it: rm "]);
    assert_eq!(fs::read_to_string(victim.join("notes")).unwrap(), "mine\n");
    assert_eq!(fs::read_dir(&victim).unwrap().count(), 1);
    fs::remove_file(state.join("locks/step/x")).unwrap();
    space.ok(&["x"]);
}

#[test]
fn questions_need_no_place_for_a_cache() {
    let mut space =
        TestSpace::with_targets(r#""x": Exec(command: ["cp", "in", "out"], inputs: ["in"], outputs: ["out"])"#);
    space.write("in", "");
    space.unset("HOME").unset("RONDEL_CACHE_DIR").unset("XDG_CACHE_HOME");
    for arguments in [&["list"][..], &["graph", "x"], &["schema"], &["why", "x"]] {
        space.ok(arguments);
    }
    let plan = space.ok(&["plan", "x"]).stdout;
    assert!(plan.contains("missing     there is no directory for the cache"), "{plan}");
    assert!(space.run(&["doctor"]).fails(3, &[]).stdout.contains("missing  there is no directory for the cache"));
    space.run(&["x"]).fails(3, &["there is no directory for the cache", "hint: set RONDEL_CACHE_DIR"]);
    assert!(!space.exists(".rondel"));
}

/// Names of directories above the project that a shell, a template, a URL or a text would read otherwise.
#[test]
fn odd_names_of_directories() {
    use std::os::unix::ffi::OsStrExt;
    let space = TestSpace::empty();
    let names: [&[u8]; 9] = [b"a b", b"q'\"q", b"n\nl", b"100%s", b"{x}$HOME", b"-rf", b"\xff\xfe", b"a:b\\c", b"*#?"];
    for name in names {
        let root = space.beside("odd").join(std::ffi::OsStr::from_bytes(name));
        fs::create_dir_all(&root).unwrap();
        fs::write(root.join("in"), "in\n").unwrap();
        fs::write(
            root.join("build.ron"),
            r#"(format: 1, project: "p", targets: {
                "x": Exec(command: ["cp", "in", "out"], inputs: ["in"], outputs: ["out"]),
                "s": Shell(script: "cat in > made", inputs: ["in"], outputs: ["made"]),
                "image": Image(base: Static, files: {"/x": File("in")}, entrypoint: ["/x"]),
            })"#,
        )
        .unwrap();
        let run = |arguments: &[&str]| {
            let run = Run::of(space.command(arguments).current_dir(&root).output().unwrap());
            assert_eq!(run.code, 0, "{name:?} {arguments:?}: {}{}", run.stdout, run.stderr);
            run
        };
        for arguments in [&["x", "s", "image"][..], &["plan", "image"], &["why", "x"], &["graph"], &["cache", "stats"]]
        {
            run(arguments);
        }
        assert_eq!(fs::read(root.join("out")).unwrap(), b"in\n");
        assert_eq!(fs::read(root.join("made")).unwrap(), b"in\n");
        assert!(run(&["x", "s", "image"]).stderr.contains(" 0 ran"), "{name:?}");
    }
}

/// A daemon that accepts and says nothing: Ctrl-C ends the wait, which else would end by itself and be a success.
#[test]
fn ctrl_c_ends_a_wait_for_a_silent_daemon() {
    let mut space =
        TestSpace::with_targets(r#""image": Image(base: Static, files: {"/x": File("in")}, entrypoint: ["/x"])"#);
    space.write("in", "");
    let socket = space.beside("silent.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    space.set("DOCKER_HOST", &format!("unix://{}", socket.display()));
    let child = space.start(&["image"]);
    let connection = listener.accept().unwrap();
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    Run::of(child.wait_with_output().unwrap()).fails(130, &["Stopped after "]);
    drop(connection);
}
