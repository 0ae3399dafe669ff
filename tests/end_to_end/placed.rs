//! What is the user's stays the user's: outputs that are edited, occupied, left or half made, and their permissions.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::{Duration, Instant};

use expect_test::expect;

use crate::space::{Run, TestSpace};

const COPY: &str = r#""copy": Shell(script: "cat in > gen/made.txt", inputs: ["in"], outputs: ["gen/"])"#;
const OUT: &str = r#""make": Shell(script: "cat in > out", inputs: ["in"], outputs: ["out"])"#;

fn mode(space: &TestSpace, path: &str) -> u32 {
    fs::symlink_metadata(space.root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}")).permissions().mode()
        & 0o7777
}

fn set_mode(space: &TestSpace, path: &str, mode: u32) {
    fs::set_permissions(space.root().join(path), fs::Permissions::from_mode(mode)).unwrap();
}

/// A layout would take the place of a directory of sources.
#[test]
fn sources_in_the_place_of_an_output() {
    let space = TestSpace::with_targets(
        r#""image": Image(base: Static, files: {"/x": File("in", mode: 0o755)}, entrypoint: ["/x"], out: "internal")"#,
    );
    // Of a format that Linux may know, so that nothing is warned of.
    space.write("in", "\0\n");
    space.write("internal/new.go", "package internal\n");
    space.write("internal/deep/er.go", "package deep\n");
    space.run(&["image"]).check(expect![[r#"
        --- stderr
             Running image: first build
              Failed image
        error: image: `internal` is an output of this step, and holds what neither Rondel nor the step made: `internal/deep/er.go` and 1 more

        hint: nothing was changed; move the files away, or give the target a directory of its own
              Failed build (exit 1): 1 failed, 1 not run (image: docker), [T]
        --- exit code 1
    "#]]);
    assert_eq!(space.read("internal/new.go"), "package internal\n");
    space.remove("internal");
    space.ok(&["image"]);
    // The same for a file, and nothing else than what was placed there is Rondel's own.
    space.remove("internal");
    space.write("internal", "a file\n");
    space.run(&["image"]).fails(1, &["`internal` is a file that Rondel did not make"]);
    assert_eq!(space.read("internal"), "a file\n");
}

/// A file that somebody put into an output directory is in the way of a restored result, and of a run.
#[test]
fn a_file_of_the_user_in_an_output_directory() {
    let space = TestSpace::with_targets(COPY);
    space.write("in", "one\n");
    space.ok(&["copy"]);
    space.write("in", "two\n");
    space.ok(&["copy"]);
    space.write("gen/own.txt", "hours of work\n");
    for (text, what) in [("two\n", "in place"), ("one\n", "restored"), ("three\n", "run")] {
        space.write("in", text);
        space.run(&["copy"]).fails(1, &["`gen/own.txt`", "move the files away"]);
        assert_eq!(space.read("gen/own.txt"), "hours of work\n", "{what}");
        assert_eq!(space.read("gen/made.txt"), "two\n", "{what}: the former output is whole");
    }
    fs::rename(space.root().join("gen/own.txt"), space.root().join("own.txt")).unwrap();
    space.ok(&["copy"]);
    assert_eq!(space.read("gen/made.txt"), "three\n");
}

/// An edited output is replaced, and the edit is in a place that is named; also in a directory and if it was restored.
#[test]
fn an_edited_output_is_kept_beside() {
    let space = TestSpace::with_targets(&format!("{OUT}, {COPY}, \"all\": Group(targets: [\"make\", \"copy\"])"));
    space.write("in", "one\n");
    space.ok(&["all"]);
    space.write("out", "edited\n");
    space.write("gen/made.txt", "edited too\n");
    // One by one: which of the two comes first depends on how long they took.
    space.run(&["make"]).check(expect![[r#"
        --- stderr
        warning: `out` was edited since Rondel made it: those contents are now in `.rondel/kept/out`
            Restored make from the cache in [T]
            Finished in [T]: 0 ran, 1 up to date
    "#]]);
    space.run(&["copy"]).check(expect![[r#"
        --- stderr
        warning: `gen/made.txt` was edited since Rondel made it: those contents are now in `.rondel/kept/gen/made.txt`
            Restored copy from the cache in [T]
            Finished in [T]: 0 ran, 1 up to date
    "#]]);
    assert_eq!((space.read("out"), space.read(".rondel/kept/out")), ("one\n".to_owned(), "edited\n".to_owned()));
    assert_eq!(space.read(".rondel/kept/gen/made.txt"), "edited too\n");
    // The same edit is not kept twice, another one is; a run keeps as a restored result does.
    for (text, kept) in [("edited\n", "out"), ("again\n", "~2/out")] {
        space.write("out", text);
        space.append("in", "more\n");
        let run = space.ok(&["make"]);
        assert!(run.stderr.contains(&format!("`.rondel/kept/{kept}`")), "{}", run.stderr);
        assert_eq!(space.read(&format!(".rondel/kept/{kept}")), text);
    }
    assert!(space.ran(&["all"]).contains_key("copy"));
    assert!(!space.ok(&["all"]).stderr.contains("warning"));
}

/// A checkout brings generated files. What is the same is taken as it is; what differs is not lost.
#[test]
fn outputs_that_a_checkout_brings() {
    let space = TestSpace::with_targets(&format!("{OUT}, {COPY}, \"all\": Group(targets: [\"make\", \"copy\"])"));
    space.write("in", "one\n");
    space.write("out", "one\n");
    space.write("gen/made.txt", "one\n");
    assert!(!space.ok(&["all"]).stderr.contains("warning"));
    // Without its record, Rondel takes what stands as it should, and knows it as its own from then on.
    space.remove(".rondel");
    assert!(space.ran(&["all"]).is_empty());
    space.write("in", "two\n");
    assert!(!space.ok(&["all"]).stderr.contains("warning"));
    space.remove(".rondel");
    space.write("in", "three\n");
    let run = space.ok(&["all"]);
    for path in ["out", "gen/made.txt"] {
        assert!(run.stderr.contains(&format!("`{path}` was there, and not made by Rondel")), "{}", run.stderr);
        assert_eq!((space.read(path), space.read(&format!(".rondel/kept/{path}"))), ("three\n".into(), "two\n".into()));
    }
}

/// A command begins without its former outputs, so it can't depend on them; its output directories are there.
#[test]
fn a_command_does_not_see_its_former_outputs() {
    let space = TestSpace::with_targets(
        r#""add": Shell(script: "cat in >> out; cat in >> gen/made", inputs: ["in"], outputs: ["out", "gen/"])"#,
    );
    for text in ["one\n", "two\n"] {
        space.write("in", text);
        space.ok(&["add"]);
        assert_eq!((space.read("out"), space.read("gen/made")), (text.to_owned(), text.to_owned()));
    }
}

/// A failed command leaves the former output, edited or not, or nothing where there was none.
#[test]
fn a_failed_command_leaves_nothing_half_made() {
    let space = TestSpace::with_targets(
        r#""make": Shell(script: "echo half > out; echo half > gen/made; test -s in && cat in > out", inputs: ["in"], outputs: ["out", "gen/"], retries: 1)"#,
    );
    space.write("in", "");
    space.run(&["make"]).fails(1, &["make"]);
    assert!(!space.exists("out") && !space.exists("gen"));
    space.write("in", "x\n");
    space.ok(&["make"]);
    space.write("out", "edited\n");
    space.write("in", "");
    space.run(&["make"]).fails(1, &["make"]);
    assert_eq!((space.read("out"), space.read("gen/made")), ("edited\n".to_owned(), "half\n".to_owned()));
    assert!(!space.exists(".rondel/kept"), "nothing was lost, so nothing is kept");
}

/// A run that is killed in the middle: whatever is built next, the former outputs are back before.
#[test]
fn a_killed_command_loses_no_former_output() {
    let space = TestSpace::with_targets(
        r#""slow": Shell(script: "echo half > out; echo half > gen/made; : > begun; sleep 30", sandbox: Off, inputs: ["in"], outputs: ["out", "gen/", "new"]),
           "read": Shell(script: "cat out > read.txt")"#,
    );
    space.write("in", "x\n");
    space.write("out", "precious, not committed\n");
    space.write("gen/made", "precious too\n");
    let mut killed = space.start(&["slow"]);
    let begun = Instant::now();
    while !space.exists("begun") && begun.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(20));
    }
    killed.kill().unwrap();
    killed.wait().unwrap();
    let run = space.ok(&["read"]);
    assert!(
        run.stderr.contains("`out` was left half made by a killed run: its former contents are back"),
        "{}",
        run.stderr
    );
    assert_eq!(space.read("read.txt"), "precious, not committed\n");
    assert_eq!((space.read("out"), space.read("gen/made")), (space.read("read.txt"), "precious too\n".to_owned()));
    assert_eq!((space.read(".rondel/kept/out"), space.exists("new")), ("half\n".to_owned(), false));
    assert!(!space.ok(&["read"]).stderr.contains("half made"));
}

/// Permissions of a command's outputs are kept, where it ran and where its result is restored.
#[test]
fn permissions_of_outputs() {
    let space = TestSpace::with_targets(
        r#""make": Shell(script: "umask 077; cat in > key; mkdir -p gen/own gen/hollow; cat in > gen/own/key; umask 022; cat in > gen/all; cp gen/all gen/fixed; chmod 400 gen/fixed; chmod 500 gen/own", inputs: ["in"], outputs: ["key", "gen/"])"#,
    );
    space.write("in", "secret 4711\n");
    space.ok(&["make"]);
    let expected = [
        ("key", 0o600),
        ("gen", 0o755),
        ("gen/own", 0o500),
        ("gen/own/key", 0o600),
        ("gen/hollow", 0o700),
        ("gen/all", 0o644),
        ("gen/fixed", 0o400),
    ];
    let check = |what: &str| {
        expected.iter().for_each(|(path, bits)| assert_eq!(mode(&space, path), *bits, "{path}, {what}"));
    };
    check("made");
    set_mode(&space, "gen/own", 0o700);
    space.remove("gen");
    space.remove("key");
    assert_eq!(space.outcomes(&["make"])["make"], "cached");
    check("restored");
    set_mode(&space, "key", 0o644);
    set_mode(&space, "gen/own", 0o755);
    space.ok(&["make"]);
    check("changed and put right");
    // Nobody else reads them in the store.
    let text = "secret 4711\n";
    let mut found = 0;
    for fan in fs::read_dir(space.cache().join("v2/cas")).unwrap().flatten() {
        for blob in fs::read_dir(fan.path()).unwrap().flatten() {
            if fs::read_to_string(blob.path()).is_ok_and(|contents| contents == text) {
                assert_eq!(blob.metadata().unwrap().permissions().mode() & 0o777, 0o400);
                found += 1;
            }
        }
    }
    assert_eq!(found, 1);
}

/// A step that reads a file sees its permissions, so they are in its key.
#[test]
fn permissions_are_in_the_key_of_a_reader() {
    let space = TestSpace::with_targets(
        r#""make": Shell(script: "echo same > key; chmod $(cat in) key", inputs: ["in"], outputs: ["key"]),
           "look": Shell(script: "stat -c %a key source > seen", inputs: ["key", "source"], outputs: ["seen"], after: ["make"])"#,
    );
    space.write("source", "x\n");
    for (text, bits) in [("600", 0o644), ("644", 0o644), ("644", 0o600), ("600", 0o600)] {
        space.write("in", text);
        set_mode(&space, "source", bits);
        space.ok(&["look"]);
        assert_eq!(space.read("seen"), format!("{text}\n{bits:o}\n"));
    }
}

/// Bits that give a program somebody's identity are not stored, and that is said.
#[test]
fn an_output_with_the_identity_of_its_owner() {
    let space = TestSpace::with_targets(
        r#""make": Shell(script: "cat in > out; chmod 4755 out", inputs: ["in"], outputs: ["out"])"#,
    );
    space.write("in", "x\n");
    let run = space.ok(&["make"]);
    assert!(run.stderr.contains("`out` has no set-user-ID"), "{}", run.stderr);
    assert_eq!(mode(&space, "out"), 0o755);
}

/// Outputs of targets that are renamed or deleted, and outputs that a target does not have any more, go. What was edited
/// stays, and what another target makes there now.
#[test]
fn outputs_that_nothing_makes_any_more() {
    let targets = |text: &str| format!("(format: 1, project: \"t\", targets: {{{text}}})\n");
    let space = TestSpace::with_targets("");
    let make = |name: &str, outputs: &str| {
        format!(
            r#""{name}": Shell(script: "for out in {outputs}; do mkdir -p $(dirname $out); cat in > $out; done", inputs: ["in"], outputs: ["{}"])"#,
            outputs.replace(' ', "\", \"")
        )
    };
    space.write("in", "x\n");
    space.write("build.ron", &targets(&make("one", "dist/one/a dist/one/b bin/c")));
    space.ok(&["one"]);
    space.write("build.ron", &targets(&make("one", "dist/one/a bin/c")));
    space.ok(&["one"]);
    assert!(space.exists("dist/one/a") && !space.exists("dist/one/b"), "an output that left the target");
    space.write("bin/c", "edited\n");
    space.write("build.ron", &targets(&format!("{}, {}", make("two", "dist/two/a"), make("same", "dist/same"))));
    let run = space.ok(&["two"]);
    assert!(!space.exists("dist/one"), "a renamed target");
    assert!(
        run.stderr.contains("`bin/c` is no output of `one` any more, and is not as Rondel left it: it stays"),
        "{}",
        run.stderr
    );
    assert_eq!(space.read("bin/c"), "edited\n");
    space.ok(&["same"]);
    space.write("build.ron", &targets(&format!("{}, {}", make("two", "dist/two/a"), make("other", "dist/same"))));
    space.ok(&["other"]);
    assert!(
        space.exists("dist/same") && space.exists("dist/two/a"),
        "another target's, and one that was not asked for"
    );
    // Another build file has targets of its own.
    space.write("more.ron", &targets(&make("more", "dist/more")));
    space.ok(&["--file", "more.ron", "more"]);
    space.ok(&["two"]);
    assert!(space.exists("dist/more") && space.exists("dist/two/a"));
}

/// A command that a pattern no longer names leaves `dist`; platforms that were not asked for stay.
#[test]
fn a_command_that_left_the_pattern() {
    let space = TestSpace::small();
    space.replace("build.ron", "[\"./cmd/small\"]", "[\"./cmd/...\"]");
    space.ok(&["server", "--all-platforms"]);
    assert!(space.exists("dist/server/linux_arm64/other") && space.exists("dist/server/linux_amd64/other"));
    space.remove("cmd/other");
    space.ok(&["server", "--platform", "linux/amd64"]);
    assert!(!space.exists("dist/server/linux_amd64/other") && space.exists("dist/server/linux_amd64/small"));
    assert!(space.exists("dist/server/linux_arm64/other"));
    space.replace("build.ron", "[\"linux/amd64\", \"linux/arm64\"]", "[\"linux/amd64\"]");
    space.ok(&["server"]);
    assert!(!space.exists("dist/server/linux_arm64"), "a platform that is gone");
}

/// Two runs with `--force` make the same step one after the other.
#[test]
fn forced_runs_at_once() {
    let space = TestSpace::with_targets(
        r#""slow": Shell(script: "mkdir busy; sleep 0.3; cat in > out; rmdir busy", inputs: ["in"], outputs: ["out"])"#,
    );
    space.write("in", "x\n");
    let both: Vec<_> = (0..2).map(|_| space.start(&["slow", "--force"])).collect();
    for child in both {
        let run = Run::of(child.wait_with_output().unwrap());
        assert_eq!(run.code, 0, "{}", run.stderr);
    }
    assert_eq!(space.read("out"), "x\n");
}

/// Runs with file systems of their own at these directories of the workspace.
fn with_mounts(space: &TestSpace, script: &str) -> Run {
    Run::of(space.under("unshare", &["-m", "sh", "-euc", script], &[]).output().unwrap())
}

/// `dist` on another file system, and output directories that are where one begins.
#[test]
#[cfg_attr(not(has_mount), ignore = "no right to mount")]
fn outputs_on_other_file_systems() {
    let space = TestSpace::with_targets(
        r#""gen": Shell(script: "cat in > gen/made; mkdir gen/sub; cat in > gen/sub/made; ln -s made gen/link", inputs: ["in"], outputs: ["gen/"]),
           "dist": Shell(script: "mkdir -p dist/there; cat in > dist/file; cat in > dist/there/made", inputs: ["in"], outputs: ["dist/file", "dist/there/"]),
           "image": Image(base: Static, files: {"/x": File("in")}, entrypoint: ["/x"]),
           "all": Group(targets: ["gen", "dist", "image"])"#,
    );
    fs::create_dir_all(space.root().join("gen")).unwrap();
    fs::create_dir_all(space.root().join("dist")).unwrap();
    let script = r#"
        mount -t tmpfs none gen; mount -t tmpfs none dist
        for text in one two one; do
            echo $text > in
            "$0" all
            for file in gen/made gen/sub/made gen/link dist/file dist/there/made; do grep -qx $text $file; done
            test -e dist/image/index.json
        done
        test "$(ls -A dist | tr '\n' ' ')" = "file image there "
        echo 'edited' > gen/made; rm dist/file
        "$0" all
        grep -qx edited .rondel/kept/gen/made; grep -qx one gen/made; grep -qx one dist/file
        echo own > gen/own; echo three > in
        ! "$0" gen
        grep -qx own gen/own; grep -qx one gen/made; grep -qx one gen/sub/made; rm gen/own
        "$0" all; grep -qx three gen/sub/made
    "#;
    let run = with_mounts(&space, script);
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
}

/// A former output is put back on another file system too.
#[test]
#[cfg_attr(not(has_mount), ignore = "no right to mount")]
fn a_failed_command_on_another_file_system() {
    let space = TestSpace::with_targets(
        r#""gen": Shell(script: "echo half > gen/made; test -s in; cat in > gen/made", inputs: ["in"], outputs: ["gen/"])"#,
    );
    fs::create_dir_all(space.root().join("gen")).unwrap();
    let script = r#"
        mount -t tmpfs none gen
        echo one > in; "$0" gen; grep -qx one gen/made
        : > in; ! "$0" gen; grep -qx one gen/made
        test "$(ls -A .rondel/former)" = ""
    "#;
    let run = with_mounts(&space, script);
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
}

/// A user who may not write in a directory of outputs has them replaced all the same: they are their own.
#[test]
#[cfg_attr(not(has_root), ignore = "no root (with runuser, setpriv)")]
fn directories_that_forbid_to_write() {
    let space = TestSpace::with_targets(
        r#""make": Shell(script: "mkdir gen/sub; cat in > gen/sub/made; chmod 555 gen/sub gen", inputs: ["in"], outputs: ["gen/"])"#,
    );
    for directory in ["work", "home", "."] {
        assert!(Command::new("chown").arg("65534").arg(space.beside(directory)).status().unwrap().success());
    }
    for text in ["one\n", "two\n", "one\n"] {
        space.write("in", text);
        let before = ["--reuid=65534", "--regid=65534", "--clear-groups", "--"];
        let run = Run::of(space.under("setpriv", &before, &["make"]).output().unwrap());
        assert_eq!(run.code, 0, "{}", run.stderr);
        assert_eq!(
            (space.read("gen/sub/made"), mode(&space, "gen"), mode(&space, "gen/sub")),
            (text.into(), 0o555, 0o555)
        );
    }
}
