//! `defaults` and `sets`: what several targets share. And the order of what a step prints.

use expect_test::expect;

use crate::space::TestSpace;

fn space() -> TestSpace {
    let space = TestSpace::empty();
    space.write(
        "build.ron",
        r#"(
    format: 1, project: "t", go: System,
    defaults: (Shell: (dir: "web", env: {"A": "default", "B": "default"}), Exec: (dir: "api")),
    sets: {"web": ["web/**", "!web/gen/**"], "both": [Set("web"), "api/**"]},
    targets: {
        "one": Shell("echo $A $B ${PWD##*/}; cat in", inputs: [Set("web")], env: {"B": "own"}),
        "two": Shell("cat ../web/in ../api/in", inputs: [Set("both")], dir: "api"),
        "three": Exec(command: ["cat", "in"]),
    },
)
"#,
    );
    for (path, text) in [("web/in", "web\n"), ("web/gen/in", "gen\n"), ("api/in", "api\n")] {
        space.write(path, text);
    }
    space
}

#[test]
fn targets_share_fields_and_inputs() {
    let space = space();
    space.ok(&["one", "two", "three", "-j1"]).check(expect![[r#"
        --- stderr
             Running one: first build
               one | default own web
               one | web
                Done one in [T]
             Running two: first build
               two | web
               two | api
                Done two in [T]
             Running three: it declares no inputs
             three | api
                Done three in [T]
            Finished in [T]: 3 ran, 0 up to date
    "#]]);
    assert_eq!(space.ran(&["one", "two"]).len(), 0);
    // What the set leaves out is no input; what is in it is one of both targets.
    space.write("web/gen/in", "other\n");
    assert_eq!(space.ran(&["one", "two"]).len(), 0);
    space.write("api/in", "other\n");
    assert_eq!(space.ran(&["one", "two"]), [("two".to_owned(), "api/in changed".to_owned())].into());
    space.write("web/in", "other\n");
    assert_eq!(space.ran(&["one", "two"]).len(), 2);
    // Another default and another set run what uses them, and nothing else.
    space.replace("build.ron", "{\"A\": \"default\"", "{\"A\": \"x\"");
    let ran = space.ran(&["one", "two"]);
    assert_eq!(ran["one"], "A changed from `default` to `x`");
    space.replace("build.ron", "\"!web/gen/**\"", "\"!none/**\"");
    assert_eq!(space.ran(&["one", "two"])["one"], "web/gen/in is new");
    space.replace("build.ron", "Exec: (dir: \"api\")", "Exec: (dri: \"api\")");
    space.run(&["one"]).fails(2, &["unknown field `dri` in `Exec`", "did you mean `dir`?"]);
}

/// Conditions are looked at before anything runs, wherever the target is run from.
#[test]
fn a_target_whose_condition_does_not_hold_is_refused() {
    let space = TestSpace::with_targets(
        r#"
        "first": Shell("echo first > first"),
        "serve": Shell("echo served", after: ["first"], preconditions: {"true": "", "test -e .env": "copy .env.example to .env"}),
        "all": Group(["serve"]), "killed": Shell("true", preconditions: {"kill -9 $$": ""}),
    "#,
    );
    space.run(&["serve"]).check(expect![[r#"
        --- stderr
        error: `serve` can't run: `test -e .env` ended with exit status 1

        hint: copy .env.example to .env
        --- exit code 3
    "#]]);
    space.run(&["all"]).fails(3, &["`serve` can't run", "copy .env.example to .env"]);
    assert!(!space.exists("first"));
    space.run(&["killed"]).fails(3, &["`killed` can't run: `kill -9 $$` ended with signal 9"]);
    space.ok(&["plan", "serve"]);
    space.write(".env", "");
    space.ok(&["all"]);
    assert!(space.exists("first"));
}

/// Lines of both streams come as they were written, when they are shown and when they are shown again.
#[test]
fn what_a_step_prints_keeps_its_order() {
    let space = TestSpace::with_targets(
        r#""kept": Shell("i=0; while [ $i -lt 1000 ]; do echo out $i; echo err $i >&2; i=$((i + 1)); done", inputs: ["in"])"#,
    );
    space.write("in", "");
    let expected: Vec<String> =
        (0..1000).flat_map(|number| [format!("out {number}"), format!("err {number}")]).collect();
    for _ in 0..2 {
        let run = space.ok(&["kept"]);
        let lines: Vec<&str> = run.stderr.lines().filter_map(|line| line.trim().strip_prefix("kept | ")).collect();
        assert!(lines == expected, "{}", run.stderr);
    }
}

const OF_MACHINES: &str = r#"
    "here": Shell("echo here >> ran", platforms_of_host: ["linux/*"]),
    "mac": Shell("echo mac >> ran", platforms_of_host: ["darwin", "*/arm64"], requires: {"no-such-program": ""}, doc: "On a Mac"),
    "needs": Shell("echo needs >> ran", after: ["mac"]),
    "all": Group(["mac", "here"]), "in-order": Group(["mac", "here"], parallel: false), "outer": Group(["all"]),
    "none": Group(["mac"]), "awaits": Group(["here", "mac"], after: ["mac"]),
    "fails": Shell("exit 1"), "with-failure": Group(["mac", "fails"]),
"#;

/// A target of other machines is refused, also where another needs it; a group leaves it out and says so.
#[test]
#[cfg_attr(not(has_x86_64_linux), ignore = "no x86-64 Linux")]
fn targets_of_other_machines() {
    let space = TestSpace::with_targets(OF_MACHINES);
    space.run(&["mac"]).check(expect![[r#"
        --- stderr
        error: `mac` runs on darwin, */arm64, and this machine is linux/amd64
        --- exit code 3
    "#]]);
    for words in [&["needs"][..], &["here", "needs"], &["awaits"], &["all", "needs"]] {
        space.run(words).fails(3, &["`mac` runs on darwin, */arm64, and this machine is linux/amd64"]);
    }
    assert!(!space.exists("ran"));
    space.run(&["plan", "mac"]).check(expect![[r#"
        run         mac: it declares no inputs
        missing     `mac` runs on darwin, */arm64, and this machine is linux/amd64
    "#]]);
    space.run(&["plan", "all"]).check(expect![[r#"
        run         here: it declares no inputs
        skip        mac: not on linux/amd64
    "#]]);
    space.run(&["all"]).check(expect![[r#"
        --- stderr
             Running here: it declares no inputs
                Done here in [T]
            Platform linux/amd64: mac is for other machines, skipped
            Finished in [T]: 1 ran, 0 up to date
    "#]]);
    space.run(&["in-order", "outer"]).check(expect![[r#"
        --- stderr
             Running here: it declares no inputs
                Done here in [T]
            Platform linux/amd64: mac is for other machines, skipped
            Finished in [T]: 1 ran, 0 up to date
    "#]]);
    assert_eq!(space.read("ran"), "here\nhere\n");
    space.run(&["none"]).check(expect![[r#"
        --- stderr
            Platform linux/amd64: mac is for other machines, skipped
            Finished in [T]: 0 ran, 0 up to date
    "#]]);
    space.run(&["with-failure"]).check(expect![[r#"
        --- stderr
             Running fails: it declares no inputs
              Failed fails
               Group with-failure: fails failed
        error: fails: `sh -eu -c 'exit 1'` ended with exit status 1
              Failed build (exit 1): 1 failed, [T]
        --- exit code 1
    "#]]);
}

#[test]
#[cfg_attr(not(has_x86_64_linux), ignore = "no x86-64 Linux")]
fn the_list_says_which_targets_are_of_other_machines() {
    let space = TestSpace::with_targets(OF_MACHINES);
    space.run(&["list", "--status"]).check(expect![[r#"
        t

        other
          runs always  here          Shell
          not here     mac           On a Mac (not on linux/amd64)
          runs always  needs         Shell
          runs always  all           mac, here
          runs always  in-order      mac, here
          runs always  outer         all
          up to date   none          mac
          runs always  awaits        here, mac
          runs always  fails         Shell
          runs always  with-failure  mac, fails
    "#]]);
    let list = space.ok(&["list"]).stdout;
    assert!(list.contains("On a Mac (not on linux/amd64)"), "{list}");
    assert!(!space.run(&["doctor"]).stdout.contains("no-such-program"));
}
