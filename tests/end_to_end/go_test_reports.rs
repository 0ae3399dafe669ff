//! `GoTest`: profiles of coverage and JUnit reports of all packages, though only some of them run.

use std::process::Command;

use crate::go_test::{expect, space, tested};
use crate::space::TestSpace;

/// Three packages with statements, of which two have tests.
fn covered(fields: &str) -> TestSpace {
    let space = space(fields, &[]);
    let half = |name: &str, call: &str| {
        let source =
            format!("package {name}\n\nfunc F(x int) int {{\n\tif x > 1 {{\n\t\treturn 2\n\t}}\n\treturn 1\n}}\n");
        space.write(&format!("svc/api/{name}/{name}.go"), &source);
        if !call.is_empty() {
            let test = format!(
                "package {name}\n\nimport \"testing\"\n\nfunc TestF(t *testing.T) {{ {call} }}\n\nfunc TestS(t *testing.T) {{ t.Skip(\"not <here>\") }}\n"
            );
            space.write(&format!("svc/api/{name}/{name}_test.go"), &test);
        }
    };
    half("a", "F(1)");
    half("b", "F(1); F(2)");
    half("c", "");
    space
}

/// Runs the `go` of the machine in the module.
fn go(space: &TestSpace, arguments: &[&str]) -> String {
    let output = Command::new("go")
        .args(arguments)
        .current_dir(space.root().join("svc/api"))
        .env("GOFLAGS", "-buildvcs=false")
        .env("GOWORK", "off")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The profile of a bare `go test` and that of Rondel say the same of each function.
#[track_caller]
fn same_as_go(space: &TestSpace) -> String {
    let bare = space.beside("bare.out").display().to_string();
    go(space, &["test", &format!("-coverprofile={bare}"), "./..."]);
    let bare = go(space, &["tool", "cover", &format!("-func={bare}")]);
    let ours = go(space, &["tool", "cover", "-func=coverage.out"]);
    assert_eq!(ours, bare);
    ours.split_whitespace().last().unwrap().to_owned()
}

#[test]
fn a_profile_of_all_packages_is_that_of_go() {
    let space = covered(", coverage: \"coverage.out\", coverage_html: \"cover/page.html\"");
    let run = expect(&space, &["a", "b"]);
    assert_eq!(same_as_go(&space), "50.0%");
    for line in [
        "example.com/api/a     66.7%",
        "example.com/api/b    100.0%",
        "example.com/api/c      0.0%",
        "total                 50.0%",
    ] {
        assert!(run.stderr.contains(&format!("coverage: {line}")), "{line}\n{}", run.stderr);
    }
    let page = space.read("svc/api/cover/page.html");
    assert!(page.contains("example.com/api/a/a.go (66.7%)"), "{page}");
    // Nothing runs, and the table is there again.
    let run = expect(&space, &[]);
    assert!(run.stderr.contains("coverage: total") && run.stderr.contains("Up to date"), "{}", run.stderr);
    let first = space.bytes("svc/api/coverage.out");
    // A report that is gone or edited is made again, and no test runs for it.
    space.remove("svc/api/coverage.out");
    space.append("svc/api/cover/page.html", "edited");
    assert!(space.ok(&["plan", "test"]).stdout.contains("`svc/api/coverage.out` is not there, or was edited"));
    expect(&space, &[]);
    assert_eq!((space.bytes("svc/api/coverage.out"), space.read("svc/api/cover/page.html")), (first.clone(), page));
    // One package is edited: the other one's profile is that of its run.
    space.write("svc/api/a/a_test.go", "package a\n\nimport \"testing\"\n\nfunc TestF(t *testing.T) { F(1); F(2) }\n");
    expect(&space, &["a"]);
    assert_ne!(space.bytes("svc/api/coverage.out"), first);
    assert_eq!(same_as_go(&space), "60.0%");
    // In another state of `.rondel`, from the store alone.
    let second = space.bytes("svc/api/coverage.out");
    space.remove(".rondel");
    space.remove("svc/api/coverage.out");
    expect(&space, &[]);
    assert_eq!(space.bytes("svc/api/coverage.out"), second);
}

#[test]
fn too_little_coverage_fails_the_target() {
    let space = covered(", cover_min: 60");
    let run = space.run(&["test"]);
    run.fails(
        1,
        &[
            "the tests cover 50.0% of the statements, and `cover_min` is 60: ",
            "most is missing in example.com/api/c (3 of 3 not covered), example.com/api/a (1 of 3 not covered), example.com/api/use (1 of 1 not covered)",
        ],
    );
    // The tests themselves have passed.
    let run = space.run(&["test"]);
    assert_eq!((run.code, tested(&run)), (1, Vec::new()), "{}", run.stderr);
    space.replace("build.ron", "cover_min: 60", "cover_min: 50");
    expect(&space, &[]);
    expect(&space, &[]);
    space.replace("build.ron", "cover_min: 50", "cover_min: 51");
    assert_eq!(space.run(&["test"]).code, 1);
}

#[test]
fn a_junit_report_has_all_packages() {
    let space = covered(", junit: \"out/report.xml\"");
    expect(&space, &["a", "b"]);
    let report = || space.read("svc/api/out/report.xml");
    let first = report();
    assert!(first.contains("<testsuites tests=\"4\" failures=\"0\" errors=\"0\" skipped=\"2\""), "{first}");
    assert!(first.contains("not &lt;here&gt;"), "{first}");
    expect(&space, &[]);
    space.append("svc/api/b/b_test.go", "\nfunc TestBad(t *testing.T) { t.Error(\"\\x1b[31m\\x00 & ]]>\") }\n");
    space.write("svc/api/d/d_test.go", "package d\n\nfunc x() { undefined() }\n");
    let run = space.run(&["test"]);
    assert_eq!((run.code, tested(&run)), (1, Vec::new()), "{}", run.stderr);
    let failed = report();
    assert!(failed.contains("<testsuites tests=\"6\" failures=\"1\" errors=\"1\" skipped=\"2\""), "{failed}");
    assert!(failed.contains("name=\"TestBad\"") && failed.contains("undefined: undefined"), "{failed}");
    // A package that passed has the times of the run in which it did.
    let suite =
        |text: &str| text.split("<testsuite ").find(|suite| suite.contains("example.com/api/a")).unwrap().to_owned();
    assert_eq!(suite(&first), suite(&failed));
    well_formed(&failed);
    space.remove("svc/api/d");
    space.write("svc/api/b/b_test.go", "package b\n");
    space.ok(&["test"]);
    assert!(report().contains("failures=\"0\" errors=\"0\""), "{}", report());
    assert!(!space.exists(".rondel/kept"), "a report that a failure left is Rondel's own");
    // Where a report stands, and whether there is one, is in no key.
    let last = report();
    space.replace("build.ron", ", junit: \"out/report.xml\"", "");
    expect(&space, &[]);
    space.replace("build.ron", "[\"./...\"]", "[\"./...\"], junit: \"other.xml\"");
    expect(&space, &[]);
    assert_eq!(space.read("svc/api/other.xml"), last);
}

/// A report in the tree is no input of tests that may read anything.
#[test]
fn reports_are_no_inputs() {
    let space =
        space(", junit: \"report.xml\", coverage: \"coverage.out\"", &[("a", "\tmust(exec.Command(\"true\").Run())")]);
    expect(&space, &["a"]);
    expect(&space, &[]);
    space.remove("svc/api/report.xml");
    expect(&space, &[]);
}

/// With arguments only some of the tests may run, so no report is written.
#[test]
fn runs_with_arguments_write_no_reports() {
    let space = covered(", junit: \"report.xml\", coverage: \"coverage.out\"");
    space.ok(&["test", "--", "-run", "TestF"]);
    assert!(!space.exists("svc/api/report.xml") && !space.exists("svc/api/coverage.out"));
}

/// A parser of others reads it.
fn well_formed(report: &str) {
    let script = "import sys, xml.etree.ElementTree as tree\nprint(len(list(tree.fromstring(sys.stdin.buffer.read()).iter('testcase'))))";
    let child = Command::new("python3")
        .args(["-c", script])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn();
    let Ok(mut child) = child else { return };
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), report.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "6\n", "{report}");
}
