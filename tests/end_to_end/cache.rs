//! The cache: outputs restored, damage mended, nothing kept that was made while its inputs changed.

use std::fs;
use std::path::{Path, PathBuf};

use crate::space::TestSpace;

/// The log lies beside the workspace, and the command runs in `.rondel/trees/copy/tree`.
const COPY: &str = r#""copy": Exec(command: ["sh", "-c", "cat in > out; echo ran >> ../../../../../log"], inputs: ["in"], outputs: ["out"])"#;

fn space() -> TestSpace {
    let space = TestSpace::with_targets(COPY);
    space.write("in", "one\n");
    space.ok(&["copy"]);
    space
}

fn runs(space: &TestSpace) -> usize {
    fs::read_to_string(space.beside("log")).map_or(0, |text| text.lines().count())
}

fn files_below(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.path().is_dir() { found.extend(files_below(&entry.path())) } else { found.push(entry.path()) }
    }
    found
}

#[test]
fn content_decides_not_time() {
    let space = space();
    space.ok(&["copy"]);
    space.write("in", "one\n");
    space.ok(&["copy"]);
    assert_eq!(runs(&space), 1, "rewritten with the same contents");
    space.write("in", "two\n");
    space.ok(&["copy"]);
    assert_eq!((runs(&space), space.read("out").as_str()), (2, "two\n"));
    space.write("in", "one\n");
    space.ok(&["copy"]);
    assert_eq!((runs(&space), space.read("out").as_str()), (2, "one\n"), "restored from the store");
}

/// Same size, same modification time, other contents.
#[test]
fn an_edit_with_its_time_put_back_is_seen() {
    let space = space();
    let path = space.root().join("in");
    let time = fs::metadata(&path).unwrap().modified().unwrap();
    space.write("in", "uno\n");
    fs::File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
    space.ok(&["copy"]);
    assert_eq!(space.read("out"), "uno\n");
}

/// A step gives the same whether it ran or was restored, to the last directory.
#[test]
fn directories_that_hold_nothing_are_part_of_an_output() {
    let space = TestSpace::with_targets(
        r#""make": Exec(command: ["sh", "-c", "mkdir -p gen/empty/deep gen/full gen/.hidden && cat in > gen/full/file"], inputs: ["in"], outputs: ["gen/"])"#,
    );
    space.write("in", "x\n");
    let tree = |space: &TestSpace| {
        let mut find = std::process::Command::new("find");
        let output = find.args(["gen", "-printf", "%p %y %m\\n"]).current_dir(space.root());
        let mut lines: Vec<String> =
            String::from_utf8(output.output().unwrap().stdout).unwrap().lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    space.ok(&["make"]);
    let ran = tree(&space);
    let all = ["gen d 755", "gen/.hidden d 755", "gen/empty d 755", "gen/empty/deep d 755", "gen/full d 755"];
    assert_eq!(ran, [&all[..], &["gen/full/file f 644"]].concat());
    for spoil in ["rm -rf gen", "rmdir gen/empty/deep", "chmod 700 gen/full", "mkdir gen/full/more"] {
        let mut shell = std::process::Command::new("sh");
        assert!(shell.args(["-c", spoil]).current_dir(space.root()).status().unwrap().success());
        assert_eq!(space.outcomes(&["make"])["make"], "cached");
        assert_eq!(tree(&space), ran, "{spoil}");
    }
    assert!(space.ran(&["make"]).is_empty());
}

#[test]
fn a_deleted_or_edited_output_is_put_back() {
    let space = space();
    space.remove("out");
    space.ok(&["copy"]);
    assert_eq!((runs(&space), space.read("out").as_str()), (1, "one\n"));
    space.write("out", "edited by hand\n");
    space.ok(&["copy"]);
    assert_eq!((runs(&space), space.read("out").as_str()), (1, "one\n"));
}

#[test]
fn damaged_blobs_and_results_are_mended() {
    type Damage = fn(&Path);
    let damages: [(&str, Damage); 4] = [
        ("flipped", |path| {
            let mut bytes = fs::read(path).unwrap();
            bytes[0] ^= 1;
            write_over(path, &bytes);
        }),
        ("emptied", |path| write_over(path, b"")),
        ("cut", |path| write_over(path, &fs::read(path).unwrap()[..1])),
        ("removed", |path| fs::remove_file(path).unwrap()),
    ];
    for what in ["cas", "ac"] {
        for (name, damage) in damages {
            let space = space();
            files_below(&space.cache().join("v2").join(what)).iter().for_each(|path| damage(path));
            space.remove("out");
            space.ok(&["copy"]);
            assert_eq!(space.read("out"), "one\n", "{what} {name}");
            // And it is whole again.
            let before = runs(&space);
            space.remove("out");
            space.ok(&["copy"]);
            assert_eq!((space.read("out").as_str(), runs(&space)), ("one\n", before), "{what} {name}, mended");
        }
    }
}

/// A file that comes under another name (a copy gone wrong, a poisoned shared cache) says itself that it is not the answer.
#[test]
fn a_result_under_another_key_is_no_answer() {
    let space = space();
    let results = || files_below(&space.cache().join("v2/ac"));
    let one = results();
    space.write("in", "two\n");
    space.ok(&["copy"]);
    let two: Vec<_> = results().into_iter().filter(|path| !one.contains(path)).collect();
    let put = || write_over(&two[0], &fs::read(&one[0]).unwrap());
    put();
    space.remove("out");
    let run = space.ok(&["copy"]);
    assert!(run.stderr.contains("is damaged; the step runs again"), "{}", run.stderr);
    assert_eq!(space.read("out"), "two\n");
    put();
    let run = space.ok(&["cache", "verify"]);
    let told = format!("{}{}", run.stdout, run.stderr);
    assert!(told.contains("1 results are sound") && told.contains("1 results that were damaged"), "{told}");
}

fn write_over(path: &Path, bytes: &[u8]) {
    let _ = fs::remove_file(path);
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_torn_snapshot_or_record_costs_nothing_but_time() {
    let space = space();
    for path in files_below(&space.root().join(".rondel")) {
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    }
    space.ok(&["copy"]);
    space.remove(".rondel");
    space.ok(&["copy"]);
    assert_eq!(runs(&space), 1);
}

#[test]
fn an_input_that_changes_while_the_step_runs_is_used_but_not_cached() {
    let space = TestSpace::with_targets(
        r#""copy": Exec(command: ["sh", "-c", "cat in > out; echo late >> ../../../../in"], inputs: ["in"], outputs: ["out"])"#,
    );
    space.write("in", "one\n");
    let run = space.ok(&["copy"]);
    assert!(run.stderr.contains("in changed while `copy` ran: its result is used but not cached"), "{}", run.stderr);
    assert!(files_below(&space.cache().join("v2/ac")).is_empty());
}

/// A file that comes while the step runs is in what the step made, and not in its key.
#[test]
#[cfg_attr(not(has_x86_64_linux), ignore = "no x86-64 Linux")]
fn a_file_that_comes_while_the_step_runs_is_not_cached() {
    let mut space = TestSpace::small();
    // A `go` that adds a file to the tree when it builds.
    let script = "case \"$1\" in build) sed -i 's/x/x/' greet/greet.go; echo 'package greet' > greet/late.go;; esac\nexec \"$REAL_GO\" \"$@\"";
    space.wrap_go(script);
    let run = space.ok(&["server"]);
    assert!(
        run.stderr.contains("while `server (linux/amd64)` ran: its result is used but not cached"),
        "{}",
        run.stderr
    );
    assert!(files_below(&space.cache().join("v2/ac")).is_empty());
}

#[test]
fn a_cache_that_cannot_be_written_is_a_warning() {
    let mut space = TestSpace::with_targets(COPY);
    space.write("in", "one\n");
    // A file where the store's directory should be.
    fs::write(space.beside("blocked"), "").unwrap();
    let blocked = space.beside("blocked").display().to_string();
    space.set("RONDEL_CACHE_DIR", &blocked);
    let run = space.ok(&["copy"]);
    assert!(run.stderr.contains("the result is used but not cached"), "{}", run.stderr);
    assert_eq!(space.read("out"), "one\n");
}

/// They do not disturb each other: a step with a key runs once for all of them, one that always runs does so in turn.
#[test]
fn several_at_once_on_one_step() {
    for (inputs, count, expected) in [(r#""in""#, 6, 1), (r#""in", "far""#, 3, 3)] {
        let space = TestSpace::with_targets(&format!(
            r#""slow": Exec(command: ["sh", "-c", "mkdir busy || exit 9; : > out; sleep 0.2; cat in > out; rmdir busy; echo ran >> ../log"], inputs: [{inputs}], outputs: ["out"], sandbox: Off)"#,
        ));
        space.write("in", "one\n");
        // A link to a directory outside of the inputs: the step always runs.
        std::os::unix::fs::symlink("/usr", space.root().join("far")).unwrap();
        let children: Vec<_> = (0..count).map(|_| space.start(&["slow"])).collect();
        for child in children {
            let output = child.wait_with_output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
        assert_eq!((space.read("out").as_str(), runs(&space)), ("one\n", expected), "{inputs}");
        assert_eq!(space.ran(&["slow"]).is_empty(), expected == 1, "{inputs}");
    }
}

#[test]
fn outputs_stay_within_the_workspace() {
    let space = TestSpace::with_targets(
        r#""make": Exec(command: ["sh", "-c", "mkdir -p gen && echo x > gen/out"], inputs: ["in"], outputs: ["gen/out"])"#,
    );
    space.write("in", "");
    let outside = space.beside("outside");
    fs::create_dir_all(&outside).unwrap();
    std::os::unix::fs::symlink(&outside, space.root().join("gen")).unwrap();
    space.run(&["make"]).fails(1, &["leads out of the workspace"]);
}
