//! What a step printed is shown again when its result is used.

use expect_test::expect;

use crate::space::TestSpace;

const WARNS: &str = r#""gen": Shell(script: "echo made; sleep 0.2; echo careful >&2; cp in out", sandbox: Off, inputs: ["in"], outputs: ["out"]),
    "use": Shell(script: "cat out > used", inputs: [Output("gen")], outputs: ["used"])"#;

/// A result that was asked for by name, or that is put back in place, brings its lines; one in between does not.
#[test]
fn warnings_of_a_cached_step_do_not_vanish() {
    let space = TestSpace::with_targets(WARNS);
    space.write("in", "1");
    space.ok(&["use"]);
    space.ok(&["gen"]).check(expect![[r#"
        --- stderr
               gen | made
               gen | careful
          Up to date gen
            Finished in [T]: 0 ran, 1 up to date
    "#]]);
    space.ok(&["use"]).check(expect![[r#"
        --- stderr
          Up to date gen
          Up to date use
            Finished in [T]: 0 ran, 2 up to date
    "#]]);
    space.remove("out");
    let shown = space.ok(&["use"]).stderr;
    assert!(shown.contains("gen | careful"), "restored: {shown}");
    let quiet = space.ok(&["gen", "--quiet"]);
    assert_eq!((quiet.stdout.as_str(), quiet.stderr.as_str()), ("", ""));
}

/// Events say that a line is from an earlier run; questions show none; a log that is gone costs a warning.
#[test]
fn events_of_an_earlier_run_are_marked() {
    let space = TestSpace::with_targets(WARNS);
    space.write("in", "1");
    let lines = |arguments: &[&str]| {
        let events = space.ok(&[&["--events", "json"], arguments].concat()).events();
        let of = |event: &serde_json::Value| {
            format!("{} {} {}", event["stream"].as_str().unwrap(), event["line"].as_str().unwrap(), event["replayed"])
        };
        events.iter().filter(|event| event["event"] == "output").map(of).collect::<Vec<_>>()
    };
    assert_eq!(lines(&["gen"]), ["stdout made null", "stdout careful null"]);
    assert_eq!(lines(&["gen"]), ["stdout made true", "stdout careful true"]);
    assert!(!space.ok(&["plan", "gen"]).stdout.contains("careful"));
    for entry in std::fs::read_dir(space.cache().join("v2/cas")).unwrap().flatten() {
        for blob in std::fs::read_dir(entry.path()).unwrap().flatten() {
            if std::fs::read(blob.path()).unwrap() == b"made\ncareful\n" {
                std::fs::remove_file(blob.path()).unwrap();
            }
        }
    }
    let run = space.ok(&["gen"]);
    assert!(run.stderr.contains("what the step printed when it ran is not shown"), "{}", run.stderr);
    assert!(run.stderr.contains("Up to date gen"), "{}", run.stderr);
}

/// What is stored holds no secret, and only the last try.
#[test]
fn what_is_kept_is_redacted_and_of_the_last_try() {
    let mut space = TestSpace::with_targets(
        r#""x": Shell(script: "echo token $TOKEN; if test -e ../tried; then echo good; cp in out; else touch ../tried; echo bad; false; fi",
            sandbox: Off, inputs: ["in"], outputs: ["out"], env: {"TOKEN": Secret("TOKEN")}, secret_is_not_keyed: true, retries: 1)"#,
    );
    space.write("in", "1");
    space.set("TOKEN", "c4n4ry-v4lu3");
    space.ok(&["x"]);
    let shown = space.ok(&["x"]).stderr;
    assert!(shown.contains("x | token ***") && shown.contains("x | good") && !shown.contains("bad"), "{shown}");
}
