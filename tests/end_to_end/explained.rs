//! `why`, `plan` and `graph`: true, complete, and without a trace on disk.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::space::{TestSpace, copy};

const TARGETS: &str = r#"
    "first": Exec(command: ["sh", "-c", "cat a/* > first.out"], inputs: ["a/**"], outputs: ["first.out"], env: {"MODE": Env("MODE", "x")}),
    "second": Exec(command: ["sh", "-c", "cat b first.out > second.out"], inputs: ["b", "first.out"], outputs: ["second.out"], after: ["first"]),
    "never": Exec(command: ["true"], inputs: ["c"]),
    "all": Group(targets: ["second", "never"])"#;

fn space() -> TestSpace {
    let space = TestSpace::with_targets(TARGETS);
    space.write("a/one", "1\n");
    space.write("a/two", "2\n");
    space.write("b", "b\n");
    space.write("c", "c\n");
    space
}

/// Everything about every file and directory but when it was read.
fn state(directory: &Path, all: &mut BTreeMap<PathBuf, (i64, i64, i64, i64, u64, u32)>) {
    let metadata = fs::symlink_metadata(directory).unwrap();
    let looks = (metadata.mtime(), metadata.mtime_nsec(), metadata.ctime(), metadata.ctime_nsec());
    all.insert(directory.to_owned(), (looks.0, looks.1, looks.2, looks.3, metadata.len(), metadata.mode()));
    if metadata.is_dir() {
        fs::read_dir(directory).unwrap().for_each(|entry| state(&entry.unwrap().path(), all));
    }
}

#[test]
fn questions_leave_no_trace() {
    let mut space = space();
    let look = |space: &TestSpace| {
        let mut all = BTreeMap::new();
        state(&space.beside("."), &mut all);
        all
    };
    let questions = [
        &["plan", "all"][..],
        &["plan", "all", "--verbose"],
        &["why", "all"],
        &["graph"],
        &["graph", "all", "--format", "json"],
        &["list"],
        &["doctor"],
        &["cache", "stats"],
    ];
    // Nothing was ever built; all is built; something is stale; something is gone.
    for stage in 0..4 {
        match stage {
            1 => drop(space.ok(&["all"])),
            2 => drop(space.set("MODE", "y")),
            3 => space.remove("second.out"),
            _ => {}
        }
        let before = look(&space);
        for question in questions {
            space.run(question);
            assert!(before == look(&space), "{question:?} left a trace at stage {stage}");
        }
    }
}

#[test]
fn plan_says_what_then_happens() {
    let space = space();
    let plan = space.ok(&["plan", "all"]).stdout;
    assert!(
        plan.contains("run         first: first build") && plan.contains("depends     second: on the outputs of first"),
        "{plan}"
    );
    space.ok(&["all"]);
    let plan = space.ok(&["plan", "all"]).stdout;
    assert_eq!(plan.matches("up to date").count(), 3, "{plan}");
    space.remove("second.out");
    space.write("c", "other\n");
    let plan = space.ok(&["plan", "all"]).stdout;
    assert!(plan.contains("restore     second") && plan.contains("run         never: c changed"), "{plan}");
    let outcomes = space.outcomes(&["all"]);
    assert_eq!(outcomes["never"], "ran");
    assert_eq!(space.ran(&["all"]).len(), 0);
}

#[test]
fn why_tells_all_that_changed_the_cause_first() {
    let mut space = space();
    space.ok(&["all"]);
    space.write("a/one", "one\n");
    space.write("a/three", "3\n");
    space.remove("a/two");
    space.set("MODE", "y");
    space.replace("build.ron", "cat a/* > first.out", "cat a/* >  first.out");
    space.ok(&["all"]);
    let why = space.ok(&["why", "all"]).stdout;
    let order =
        ["a/one changed", "a/three is new", "a/two is gone", "MODE changed from `x` to `y`", "arguments changed"];
    let places: Vec<usize> =
        order.iter().map(|words| why.find(words).unwrap_or_else(|| panic!("{words}\n{why}"))).collect();
    assert!(places.is_sorted(), "{why}");
    // Old and new digest and size.
    assert!(
        why.contains("was sha256:4355a46b19d348dc2f57c046f8ef63d4538ebb936000f3c9ee954a27460dd865, 2 bytes"),
        "{why}"
    );
    assert!(why.contains("first.out changed"), "{why}");
    let never = why.split("never: ").nth(1).unwrap();
    assert!(never.starts_with("up to date") && never.contains("input c "), "{why}");
    let told: Value = serde_json::from_str(&space.ok(&["why", "all", "--format", "json"]).stdout).unwrap();
    assert_eq!(told[0]["last_run"]["reasons"][0]["kind"], "input_changed");
}

/// A record from another machine says what is other there.
#[test]
fn why_against_a_record_from_elsewhere() {
    let space = space();
    space.ok(&["all"]);
    let other = TestSpace::empty();
    copy(&space.root(), &other.root(), &|name| name != ".rondel");
    other.write("b", "another b\n");
    other.replace("build.ron", "cat b first.out >", "cat first.out b >");
    other.ok(&["all"]);
    let records = other.root().join(".rondel/actions.3");
    fs::copy(records.join("second"), space.beside("record")).unwrap();
    let record = space.beside("record").display().to_string();
    let why = space.ok(&["why", "second", "--against", &record]).stdout;
    for words in ["second: differs from", "b changed", "10 bytes", "2 bytes", "arguments changed"] {
        assert!(why.contains(words), "{words}\n{why}");
    }
    // All steps of a target against all records of a directory; two records without any target.
    let all = space.ok(&["why", "all", "--against", &records.display().to_string()]).stdout;
    assert!(all.contains("first: the same as in") && all.contains("second: differs from"), "{all}");
    let own = space.root().join(".rondel/actions.3/second").display().to_string();
    let pair = space.ok(&["why", &own, "--against", &record, "--format", "json"]).stdout;
    let pair: Value = serde_json::from_str(&pair).unwrap();
    assert_eq!(pair[0]["differences"][0]["kind"], "input_changed");
    // What is no record, or a damaged one, is said.
    let mut bytes = fs::read(space.beside("record")).unwrap();
    bytes[100] ^= 1;
    fs::write(space.beside("record"), bytes).unwrap();
    space
        .run(&["why", "second", "--against", &record])
        .fails(2, &["not a record of a step, or it is damaged", "hint:"]);
    space.run(&["why", "first", "--against", "build.ron"]).fails(2, &["not a record of a step"]);
    space.run(&["why", "first", "--against", "nowhere"]).fails(2, &["failed to read the record `nowhere`"]);
}

#[test]
fn graph_marks_what_is_cached_and_what_changed() {
    let space = space();
    space.ok(&["all"]);
    space.write("c", "other\n");
    let mermaid = space.ok(&["graph", "all"]).stdout;
    assert!(mermaid.contains("[\"first\"]:::cached") && mermaid.contains("[\"never\"]:::changed"), "{mermaid}");
    let dot = space.ok(&["graph", "all", "--format", "dot"]).stdout;
    assert!(
        dot.contains("label=\"never\", fillcolor=\"#ffdddd\"")
            && dot.contains("label=\"first\", fillcolor=\"#ddffdd\""),
        "{dot}"
    );
    let json: Value = serde_json::from_str(&space.ok(&["graph", "all", "--format", "json"]).stdout).unwrap();
    let states: BTreeMap<&str, &str> = json["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| (step["step"].as_str().unwrap(), step["state"].as_str().unwrap()))
        .collect();
    assert_eq!(states, BTreeMap::from([("first", "cached"), ("second", "cached"), ("never", "changed")]));
}
