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
