//! `why`, `plan` and `graph`: true, complete, and without a trace on disk.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use expect_test::expect;
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

fn everything(space: &TestSpace) -> BTreeMap<PathBuf, (i64, i64, i64, i64, u64, u32)> {
    let mut all = BTreeMap::new();
    state(&space.beside("."), &mut all);
    all
}

#[test]
fn questions_leave_no_trace() {
    let mut space = space();
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
        let before = everything(&space);
        for question in questions {
            space.run(question);
            assert!(before == everything(&space), "{question:?} left a trace at stage {stage}");
        }
    }
}

/// The same of a Go build, whose packages are asked of `go list` when it runs, and never for a question.
#[test]
fn questions_of_a_go_build() {
    let space = TestSpace::small();
    space.ok(&["server"]);
    space.append("greet/greet.go", "\n// changed\n");
    let before = everything(&space);
    space.ok(&["plan", "image"]).check(expect![[r#"
        run         server (last [T]): greet/greet.go changed
        depends     image: on the outputs of image: layer base (first build), image: layer files (first build), server
        depends     image: docker: on the outputs of image
    "#]]);
    for question in [&["why", "image"][..], &["graph", "image"], &["list"], &["doctor"], &["cache", "stats"]] {
        space.run(question);
        assert!(before == everything(&space), "{question:?} left a trace");
    }
    space.ok(&["server"]);
    space.ok(&["why", "server"]).check(expect![[r#"
        go modules: runs only if a step needs it
          last run [T] ago, [T], because
            first build
        server (linux/amd64): up to date
          last run [T] ago, [T], because
            greet/greet.go changed
              was [DIGEST], 228 bytes
              is  [DIGEST], 240 bytes
          depends on 4 inputs, 20 variables, 1 tool, 1 setting, 10 arguments
    "#]]);
    // What it depends on is listed on request.
    let all = space.ok(&["why", "server", "--all"]).stdout;
    let listed = ["    argument build\n", "    environment GOOS linux\n", "    tool go go1.22.12", "    input go.mod "];
    assert!(listed.iter().all(|line| all.contains(line)), "{all}");
    let verbose = space.ok(&["why", "server", "--verbose"]).stdout;
    for words in
        ["    input go.mod ", "    tool go go1.22.12", "    environment GOOS linux", "    environment HOME @located"]
    {
        assert!(verbose.contains(words), "{words}\n{verbose}");
    }
}

/// Where `go list` was never asked, a plan asks it: another checkout may have made the result.
#[test]
fn a_plan_of_packages_that_were_never_listed() {
    let space = TestSpace::small();
    let plan = |space: &TestSpace| space.ok(&["plan", "server"]).stdout;
    assert_eq!(plan(&space), "run         server: first build\n");
    assert!(space.ok(&["why", "server"]).stdout.contains("server (linux/amd64): would run\n    first build"));
    assert!(
        space.ok(&["list", "--status", "--format", "json"]).stdout.contains("its packages are listed when it is built")
    );
    space.ok(&["server"]);
    assert_eq!(plan(&space), "up to date  server\n");
    let mut other = space.clone_elsewhere();
    other.set("RONDEL_CACHE_DIR", &space.cache().display().to_string());
    assert_eq!(plan(&other), "restore     server: its stored result is put back in place\n");
    assert!(!other.exists(".rondel"));
    assert_eq!(other.outcomes(&["server"])["server (linux/amd64)"], "cached");
    assert_eq!(plan(&other), "up to date  server\n");
    // Neither where what was listed last is no answer any more: here another file, and back.
    let file = "cmd/small/more.go";
    space.write(file, "package main\n\nimport _ \"time/tzdata\"\n");
    assert_eq!(space.outcomes(&["server"])["server (linux/amd64)"], "ran");
    space.remove(file);
    assert_eq!(plan(&space), "restore     server: its stored result is put back in place\n");
    assert_eq!(space.outcomes(&["server"])["server (linux/amd64)"], "cached");
}

/// A run with words of the command line is no measure for those without.
#[test]
fn the_cause_after_a_run_with_arguments() {
    let space = TestSpace::with_targets(r#""x": Exec(command: ["echo", "a"], inputs: ["f"])"#);
    space.write("f", "1");
    space.ok(&["x"]);
    space.write("f", "2");
    space.ok(&["x", "--", "b"]);
    assert!(space.ok(&["plan", "x"]).stdout.contains(": f changed"));
    assert_eq!(space.ran(&["x"])["x"], "f changed");
}

/// A run that failed is the last one too; after it the last success is told.
#[test]
fn why_of_a_run_that_failed() {
    let space = TestSpace::with_targets(r#""x": Shell("test $(cat f) = ok", inputs: ["f"])"#);
    space.write("f", "bad");
    space.run(&["x"]).fails(1, &[]);
    let why = || space.ok(&["why", "x"]).stdout;
    let said = why();
    assert!(
        said.contains(" ago failed after ") && said.contains("exit status 1; it ran because\n    first build"),
        "{said}"
    );
    assert!(said.contains("no run of it has succeeded") && !said.contains("it has not run"), "{said}");
    space.write("f", "ok");
    space.ok(&["x"]);
    assert!(!why().contains("failed") && why().contains("last run "));
    space.write("f", "worse");
    space.run(&["x"]).fails(1, &[]);
    let said = why();
    assert!(said.contains("it ran because\n    f changed") && said.contains("last success "), "{said}");
    let known: serde_json::Value = serde_json::from_str(&space.ok(&["why", "x", "--format", "json"]).stdout).unwrap();
    assert_eq!(known[0]["last_failure"]["reasons"][0], "f changed");
}

/// What a step reads may be put back in place before it: then what lies there now says nothing. A step without a line of its own tells why it would run.
#[test]
fn a_plan_where_something_is_put_back_first() {
    let space = TestSpace::with_targets(
        r#""gen": Shell("echo $WHO > out.txt", inputs: [], outputs: ["out.txt"], env: {"WHO": "{who}"}),
           "use": Shell("wc -c out.txt > n.txt", inputs: ["out.txt"], outputs: ["n.txt"], after: ["gen"]),
           "other": Shell("wc -c in/* > o.txt", inputs: ["in/*"], outputs: ["o.txt"], after: ["gen"]),
           "image": Image(base: Static, files: {"/in": File("in/file")}, entrypoint: ["/in"], platforms: ["linux/amd64"])"#,
    );
    space.replace("build.ron", "project:", "vars: {\"who\": \"a\"}, project:");
    space.write("in/file", "1");
    space.ok(&["gen"]);
    space.ok(&["--set", "who=bbb", "use"]);
    space.ok(&["other"]);
    space.ok(&["--set", "who=bbb", "gen"]);
    let check = |outcome: &str, other: &str| {
        let plan = space.ok(&["plan", "use", "other"]).stdout;
        let lines = ["restore     gen: ", "depends     use", &format!("{other}  other")];
        assert!(lines.iter().all(|line| plan.contains(line)) && !plan.contains("run  "), "{plan}");
        let status = space.ok(&["list", "--status"]).stdout;
        let of_use = status.lines().find(|line| line.contains("  use  ")).unwrap();
        assert!(of_use.contains("unknown"), "{status}");
        let outcomes = space.outcomes(&["use", "other"]);
        assert_eq!([outcomes["use"].as_str(), outcomes["other"].as_str()], [outcome, "cached"]);
    };
    check("ran", "up to date");
    space.write("out.txt", "edited");
    check("cached", "up to date");
    space.remove("out.txt");
    // Nobody knows whether a file that is not there would match.
    check("cached", "depends   ");
    space.ok(&["image"]);
    space.write("in/file", "2");
    let plan = space.ok(&["plan", "image"]).stdout;
    assert!(plan.contains("(in/file changed)"), "{plan}");
}

#[test]
fn plan_says_what_then_happens() {
    let space = space();
    space.ok(&["plan", "all"]).check(expect![[r#"
        run         first: first build
        depends     second: on the outputs of first
        run         never: first build
    "#]]);
    space.ok(&["all"]);
    space.ok(&["plan", "all"]).check(expect![[r#"
        up to date  first
        up to date  second
        up to date  never
    "#]]);
    space.remove("second.out");
    space.write("c", "other\n");
    space.ok(&["plan", "all"]).check(expect![[r#"
        up to date  first
        restore     second: its stored result is put back in place
        run         never (last [T]): c changed
    "#]]);
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
    space.ok(&["why", "all"]).check(expect![[r#"
        first: up to date
          last run [T] ago, [T], because
            a/one changed
              was [DIGEST], 2 bytes
              is  [DIGEST], 4 bytes
            a/three is new
              is  [DIGEST], 2 bytes
            a/two is gone
              was [DIGEST], 2 bytes
            MODE changed from `x` to `y`
              was x
              is  y
            arguments changed from `cat a/* > first.out` to `cat a/* >  first.out`
          depends on 2 inputs, 5 variables, 2 tools, 1 setting, 3 arguments
        second: up to date
          last run [T] ago, [T], because
            first.out changed
              was [DIGEST], 4 bytes
              is  [DIGEST], 6 bytes
          depends on 2 inputs, 4 variables, 2 tools, 1 setting, 3 arguments
        never: up to date
          last run [T] ago, [T], because
            first build
          depends on 1 input, 4 variables, 2 tools, 1 setting, 1 argument
    "#]]);
    let why = space.ok(&["why", "all"]).stdout;
    // Old and new digest and size.
    assert!(
        why.contains("was sha256:4355a46b19d348dc2f57c046f8ef63d4538ebb936000f3c9ee954a27460dd865, 2 bytes"),
        "{why}"
    );
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
    space.ok(&["why", "second", "--against", &record]).check(expect![[r#"
        second: differs from `[BESIDE]/record`
            b changed
              was [DIGEST], 10 bytes
              is  [DIGEST], 2 bytes
            arguments changed from `first.out` to `b`
            arguments changed from `b` to `first.out`
    "#]]);
    // All steps of a target against all records of a directory; two records without any target.
    space.ok(&["why", "all", "--against", &records.display().to_string()]).check(expect![[r#"
        first: the same as in `[ROOT]/.rondel/actions.3`
        second: differs from `[ROOT]/.rondel/actions.3`
            b changed
              was [DIGEST], 10 bytes
              is  [DIGEST], 2 bytes
            arguments changed from `first.out` to `b`
            arguments changed from `b` to `first.out`
        never: the same as in `[ROOT]/.rondel/actions.3`
    "#]]);
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

/// A workspace that never built a step asks the results of all others; the one with the fewest differences answers.
#[test]
fn why_finds_the_nearest_result_of_any_workspace() {
    let space = space();
    for (a, b) in [("1\n", "b\n"), ("2\n", "other b\n")] {
        space.write("a/one", a);
        space.write("b", b);
        space.ok(&["all"]);
    }
    let mut other = TestSpace::empty();
    copy(&space.root(), &other.root(), &|name| name != ".rondel" && !name.ends_with(".out"));
    let cache = space.cache().display().to_string();
    other.set("RONDEL_CACHE_DIR", &cache);
    other.write("a/one", "1\n");
    other.write("a/new", "new\n");
    other.ok(&["why", "first"]).check(expect![[r#"
        first: would run
            first build
          it has not run in this workspace
          the nearest stored result, made [T] ago, differs:
            a/new is new
              is  [DIGEST], 4 bytes
    "#]]);
    let told: Value = serde_json::from_str(&other.ok(&["why", "first", "--format", "json"]).stdout).unwrap();
    assert_eq!(told[0]["nearest"]["differences"][0]["path"], "a/new");
    // What the step was compared with anyway is not told twice.
    space.write("a/one", "3\n");
    assert!(!space.ok(&["why", "first"]).stdout.contains("nearest"));
    // Going back halfway: an earlier result is nearer than the last one.
    space.write("a/one", "1\n");
    space.write("a/two", "two\n");
    let why = space.ok(&["why", "first"]).stdout;
    assert!(why.contains("nearest stored result") && !why[why.find("nearest").unwrap()..].contains("a/one"), "{why}");
}

#[test]
fn graph_marks_what_is_cached_and_what_changed() {
    let space = space();
    space.ok(&["all"]);
    space.write("c", "other\n");
    space.ok(&["graph", "all"]).check(expect![[r#"
        flowchart LR
          n0["first"]:::cached
          n1["second"]:::cached
          n2["never"]:::changed
          n0 -.-> n1
          classDef cached fill:#dfd
          classDef changed fill:#fdd
          classDef unknown fill:#eee
    "#]]);
    space.ok(&["graph", "all", "--format", "dot"]).check(expect![[r##"
        digraph rondel {
          rankdir=LR;
          node [shape=box, style=filled];
          n0 [label="first", fillcolor="#ddffdd"];
          n1 [label="second", fillcolor="#ddffdd"];
          n2 [label="never", fillcolor="#ffdddd"];
          n0 -> n1 [style=dashed];
        }
    "##]]);
    let json: Value = serde_json::from_str(&space.ok(&["graph", "all", "--format", "json"]).stdout).unwrap();
    let states: BTreeMap<&str, &str> = json["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| (step["step"].as_str().unwrap(), step["state"].as_str().unwrap()))
        .collect();
    assert_eq!(states, BTreeMap::from([("first", "cached"), ("second", "cached"), ("never", "changed")]));
    assert!(!json["edges"].as_array().unwrap().is_empty());
    let of_all_targets: Value = serde_json::from_str(&space.ok(&["graph", "--format", "json"]).stdout).unwrap();
    assert_eq!(of_all_targets, json, "without a target, the graph is that of all of them");
    space.run(&["graph", "--format", "png"]).check(expect![[r#"
        --- stderr
        error: --format takes mermaid, dot or json, not `png`
        --- exit code 2
    "#]]);
}
