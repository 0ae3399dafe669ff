//! `Clean`: what Rondel placed goes, what people made stays, and results come back from the cache.

use expect_test::expect;

use crate::space::TestSpace;

const TARGETS: &str = r#"
    "make": Shell(script: "cat in > out", inputs: ["in"], outputs: ["out"]),
    "copy": Shell(script: "cat in > gen/made.txt; cp in gen/two.txt", inputs: ["in"], outputs: ["gen/"]),
    "deep": Shell(script: "cat out > dist/deep/a/b", inputs: ["out"], outputs: ["dist/deep/a/b"], after: ["make"]),
    "all": Group(["make", "copy", "deep"]),
    "clean": Clean(),
    "clean-some": Clean(["generated"]),
    "generated": Group(["copy"]),
    "rebuild": Group(["clean", "all"]),
    "in-order": Group(["clean", "all"], parallel: false),
    "late": Group(["make", "clean"], parallel: false),
    "tidy-up": Clean(targets: ["make"], after: ["deep"]),
    "needless": Clean(targets: ["copy"], after: ["make"]),
"#;

fn space() -> TestSpace {
    let space = TestSpace::with_targets(TARGETS);
    space.write("in", "one\n");
    space.ok(&["all"]);
    space
}

#[test]
fn outputs_are_removed_and_come_back_from_the_cache() {
    let space = space();
    space.write("dist/mine.txt", "hours of work\n");
    space.run(&["plan", "clean"]).check(expect![[r#"
        run         clean: it removes dist/deep/a/b, gen, out
    "#]]);
    assert!(space.exists("out") && space.exists("gen/made.txt"));
    space.run(&["clean"]).check(expect![[r#"
        --- stderr
             Running clean: it removes dist/deep/a/b, gen, out
                Done clean in [T]
            Finished in [T]: 1 ran, 0 up to date
    "#]]);
    for path in ["out", "gen", "dist/deep"] {
        assert!(!space.exists(path), "{path}");
    }
    assert_eq!((space.read("in"), space.read("dist/mine.txt")), ("one\n".into(), "hours of work\n".into()));
    space.run(&["clean"]).check(expect![[r#"
        --- stderr
          Up to date clean
            Finished in [T]: 0 ran, 1 up to date
    "#]]);
    assert!(space.ran(&["all"]).is_empty(), "everything comes from the cache");
    assert_eq!((space.read("out"), space.read("dist/deep/a/b")), ("one\n".into(), "one\n".into()));
    // One target, named by its group.
    space.ok(&["clean-some"]);
    assert!(!space.exists("gen") && space.exists("out") && space.exists("dist/deep/a/b"));
}

#[test]
fn what_people_made_or_edited_stays() {
    let space = space();
    space.write("out", "edited\n");
    space.write("gen/two.txt", "edited too\n");
    space.run(&["plan", "clean"]).check(expect![[r#"
        run         clean: it removes dist/deep/a/b, gen but not gen/two.txt; out was edited and stays
    "#]]);
    space.run(&["clean"]).check(expect![[r#"
        --- stderr
             Running clean: it removes dist/deep/a/b, gen but not gen/two.txt; out was edited and stays
        warning: `gen/two.txt` is not as Rondel left it: it stays
        warning: `out` is not as Rondel left it: it stays
                Done clean in [T]
            Finished in [T]: 1 ran, 0 up to date
    "#]]);
    assert_eq!((space.read("out"), space.read("gen/two.txt")), ("edited\n".into(), "edited too\n".into()));
    assert!(!space.exists("gen/made.txt") && !space.exists("dist"));
    // It is nobody's output now, and a build keeps it beside.
    let run = space.ok(&["make"]);
    assert!(run.stderr.contains("those contents are now in `.rondel/kept/out`"), "{}", run.stderr);
    assert_eq!(space.read("out"), "one\n");
}

/// Whatever else runs waits, so that nothing is removed which the same run has made.
#[test]
fn it_comes_before_everything_else_of_a_run() {
    let space = space();
    for words in [&["all", "clean"][..], &["rebuild"], &["in-order"]] {
        for _ in 0..3 {
            space.ok(words);
            assert_eq!((space.read("out"), space.read("dist/deep/a/b")), ("one\n".into(), "one\n".into()));
            assert_eq!(space.read("gen/made.txt"), "one\n");
        }
    }
    space.run(&["late"]).check(expect![[r#"
        --- stderr
        error: `clean` would run after `make`, and removes what that makes
         --> build.ron:6:5
          |
        6 |     "clean": Clean(),
          |     ^^^^^^^

        hint: run `rondel-under-test clean` by itself, or put `clean` first

        --- exit code 2
    "#]]);
    space.run(&["tidy-up"]).fails(2, &["`tidy-up` would run after `make`"]);
    assert!(space.exists("out"));
    space.ok(&["needless"]);
    assert!(space.exists("out") && !space.exists("gen"));
    // Questions about other targets are not put behind it.
    space.run(&["list", "--status"]).check(expect![[r#"
        t

        other
          up to date   make        Shell
          stored       copy        Shell
          up to date   deep        Shell
          stored       all         make, copy, deep
          runs always  clean       removes all outputs
          up to date   clean-some  removes outputs of generated
          stored       generated   copy
          runs always  rebuild     clean, all
          runs always  in-order    clean, all
          runs always  late        make, clean
          runs always  tidy-up     removes outputs of make
          up to date   needless    removes outputs of copy
    "#]]);
}
