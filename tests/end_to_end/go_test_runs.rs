//! `GoTest`: which packages run and how, and what is shown of them.

use crate::go_test::{READS, expect, space, test_in, tested};

#[test]
fn packages_are_left_out() {
    let space = space(
        ", exclude: [\"./gen/...\", \"example.com/api/b\"]",
        &[("a", ""), ("b", ""), ("gen", "\tt.Fatal(\"generated\")"), ("gen/deep", "\tt.Fatal(\"generated\")")],
    );
    space.write(
        "svc/api/gen/deep/it_test.go",
        "package deep\n\nimport \"testing\"\n\nfunc TestIt(t *testing.T) { t.Fatal() }\n",
    );
    expect(&space, &["a"]);
    expect(&space, &[]);
    space.append("svc/api/b/it_test.go", "// edited\n");
    expect(&space, &[]);
    space.replace("build.ron", ", \"example.com/api/b\"]", "]");
    expect(&space, &["b"]);
    space.replace("build.ron", "./gen/...", "./generated/...");
    space.run(&["test"]).fails(2, &["`exclude` has `./generated/...`, which leaves out nothing"]);
    space.replace("build.ron", "./generated/...", "./...");
    space.run(&["test"]).fails(2, &["`exclude` leaves out all packages"]);
    // Arguments are for the same packages.
    space.replace("build.ron", "exclude: [\"./...\"]", "exclude: [\"./gen/...\"]");
    let run = space.ok(&["test", "--", "-run", "Nothing"]);
    assert_eq!(tested(&run), ["a", "b"], "{}", run.stderr);
}

/// Each of these changes how tests can go, so each is in the key of every package; two are not.
#[test]
fn settings_of_a_run_count() {
    let space = space("", &[("a", ""), ("b", READS)]);
    expect(&space, &["a", "b"]);
    let mut former = "[\"./...\"]".to_owned();
    for (setting, is_keyed) in [
        ("count: 2", true),
        ("parallel: 3", true),
        ("shuffle: Seed(7)", true),
        ("shuffle: Seed(8)", true),
        ("coverage: \"coverage.out\"", true),
        ("failfast: true", false),
        ("verbose: true", false),
        ("timeout: \"5m\"", true),
    ] {
        let now = format!("[\"./...\"], {setting}");
        space.replace("build.ron", &former, &now);
        former = now;
        if is_keyed {
            expect(&space, &["a", "b"]);
        } else {
            space.replace("build.ron", &former, "[\"./...\"]");
            expect(&space, &[]);
            space.replace("build.ron", "[\"./...\"]", &former);
        }
        expect(&space, &[]);
    }
}

#[test]
fn another_order_each_time_is_never_a_hit() {
    let space = space(", shuffle: On", &[("a", "")]);
    let seed = |stderr: &str| stderr.split("`shuffle: Seed(").nth(1).unwrap().split(')').next().unwrap().to_owned();
    let (one, other) = (expect(&space, &["a"]), expect(&space, &["a"]));
    assert_ne!(seed(&one.stderr), seed(&other.stderr));
    let order = format!("shuffle: Seed({})", seed(&one.stderr));
    space.replace("build.ron", "shuffle: On", &order);
    expect(&space, &["a"]);
    expect(&space, &[]);
}

#[test]
fn failed_tests_are_repeated_and_slow_ones_named() {
    let part = "\tt.Run(\"part\", func(t *testing.T) { t.Error(\"it is wrong\") })\n\tt.Run(\"well\", func(t *testing.T) { t.Log(\"unseen\") })";
    let space = space(
        "",
        &[("a", part), ("b", "\tt.Log(\"unseen\")"), ("c", "\tmust(exec.Command(\"sleep\", \"1.1\").Run())")],
    );
    space
        .write("svc/api/d/d_test.go", "package d\n\nimport \"testing\"\n\nfunc TestIt(t *testing.T) { undefined() }\n");
    let run = space.run(&["test"]);
    run.fails(1, &["slow tests: TestIt of example.com/api/c 1."]);
    assert!(!run.stderr.contains("unseen") && !run.stderr.contains("=== RUN"), "{}", run.stderr);
    let error = "error: test: `go test -buildvcs=false ./...` ended with exit status 1\n";
    let end = run.stderr.split(error).nth(1).expect("the error comes before what is repeated");
    let repeated = end.split("  === example.com/api/a\n").nth(1).unwrap();
    let wanted = "  --- FAIL: TestIt (0.00s)\n      --- FAIL: TestIt/part (0.00s)\n          it_test.go:";
    assert!(repeated.starts_with(wanted), "{repeated}");
    let wanted = ["it is wrong", "=== example.com/api/d", "undefined: undefined", "Failed build (exit 1): 1 failed, "];
    let places: Vec<_> =
        wanted.iter().map(|word| repeated.find(word).unwrap_or_else(|| panic!("{word}: {repeated}"))).collect();
    assert!(places.is_sorted(), "{repeated}");
    test_in(&space, "a", "\tt.Log(\"seen\")");
    space.remove("svc/api/d");
    space.replace("build.ron", "[\"./...\"]", "[\"./...\"], verbose: true");
    // `c` starts a program, so all files are its inputs.
    let run = expect(&space, &["a", "c"]);
    assert!(run.stderr.contains("=== RUN   TestIt") && run.stderr.contains("seen"), "{}", run.stderr);
}

/// With `failfast` a test that did not begin is no success of its package.
#[test]
fn what_did_not_begin_has_not_passed() {
    let space = space(", failfast: true", &[("a", "")]);
    space.write(
        "svc/api/a/it_test.go",
        "package a\n\nimport \"testing\"\n\nfunc TestA(t *testing.T) { t.Fatal() }\n\nfunc TestB(t *testing.T) { t.Fatal(\"second\") }\n",
    );
    let run = space.run(&["test"]);
    run.fails(1, &["--- FAIL: TestA"]);
    assert!(!run.stderr.contains("second"), "{}", run.stderr);
    assert_eq!(space.run(&["test"]).code, 1);
}
