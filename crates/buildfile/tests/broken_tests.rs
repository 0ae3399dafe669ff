//! Fields of `GoTest`: the examples of docs/tests.md, and messages about broken ones, word for word.

mod support;

use expect_test::expect;
use support::check;

#[test]
fn values_out_of_their_bounds() {
    check(
        r#"targets: {
            "a": GoTest(packages: ["."], count: 0),
            "b": GoTest(packages: ["."], parallel: "4"),
            "c": GoTest(packages: ["."], cover_min: 101),
            "d": GoTest(packages: ["."], exclude: []),
            "e": GoTest(packages: ["."], exclude: ["./gen/…"]),
        }"#,
        expect![[r#"
            error: expected between 1 and 10000 times
             --> build.ron:5:49
              |
            5 |             "a": GoTest(packages: ["."], count: 0),
              |                                                 ^
            error: expected how many tests run at once, found `"4"`
             --> build.ron:6:52
              |
            6 |             "b": GoTest(packages: ["."], parallel: "4"),
              |                                                    ^^^
            error: expected between 1 and 100 percent
             --> build.ron:7:53
              |
            7 |             "c": GoTest(packages: ["."], cover_min: 101),
              |                                                     ^^^
            error: `exclude` is empty
             --> build.ron:8:51
              |
            8 |             "d": GoTest(packages: ["."], exclude: []),
              |                                                   ^^
            error: a package pattern has three dots, and this is one character (`…`)
             --> build.ron:9:52
              |
            9 |             "e": GoTest(packages: ["."], exclude: ["./gen/…"]),
              |                                                    ^^^^^^^^^

            hint: write "./cmd/..."
        "#]],
    );
}

#[test]
fn orders_of_tests() {
    check(
        r#"targets: {
            "a": GoTest(packages: ["."], shuffle: on),
            "b": GoTest(packages: ["."], shuffle: 7),
            "c": GoTest(packages: ["."], shuffle: Seed(0)),
            "d": GoTest(packages: ["."], shuffle: Seed(-1)),
        }"#,
        expect![[r#"
            error: expected `Off`, `On` or `Seed(7)`, found `on`
             --> build.ron:5:51
              |
            5 |             "a": GoTest(packages: ["."], shuffle: on),
              |                                                   ^^
            error: expected `Off`, `On` or `Seed(7)`, found `7`
             --> build.ron:6:51
              |
            6 |             "b": GoTest(packages: ["."], shuffle: 7),
              |                                                   ^
            error: expected a seed between 1 and 4294967295
             --> build.ron:7:56
              |
            7 |             "c": GoTest(packages: ["."], shuffle: Seed(0)),
              |                                                        ^
            error: expected a seed, a whole number, found `-1`
             --> build.ron:8:56
              |
            8 |             "d": GoTest(packages: ["."], shuffle: Seed(-1)),
              |                                                        ^^
        "#]],
    );
}

#[test]
fn places_of_reports() {
    check(
        r#"targets: {
            "a": GoTest(packages: ["."], junit: "reports/"),
            "b": GoTest(packages: ["."], coverage: "/tmp/coverage.out"),
            "c": GoTest(packages: ["."], coverage: "../coverage.out"),
        }"#,
        expect![[r#"
            error: `reports/` is a directory, and `junit` is a file
             --> build.ron:5:49
              |
            5 |             "a": GoTest(packages: ["."], junit: "reports/"),
              |                                                 ^^^^^^^^^^

            hint: name the file
            error: `/tmp/coverage.out` leaves the root
             --> build.ron:6:52
              |
            6 |             "b": GoTest(packages: ["."], coverage: "/tmp/coverage.out"),
              |                                                    ^^^^^^^^^^^^^^^^^^^

            hint: paths are relative to `root`
            error: `../coverage.out` leaves the root
             --> build.ron:7:52
              |
            7 |             "c": GoTest(packages: ["."], coverage: "../coverage.out"),
              |                                                    ^^^^^^^^^^^^^^^^^

            hint: paths are relative to `root`
        "#]],
    );
    check(
        r#"targets: {
            "a": GoTest(packages: ["."], coverage: "out", junit: "out"),
            "b": GoTest(packages: ["."], coverage_html: "out/page.html"),
        }"#,
        expect![[r#"
            error: `a` and `a` both write `out`
             --> build.ron:5:66
              |
            5 |        "a": GoTest(packages: ["."], coverage: "out", junit: "out"),
              |                                                             ^^^^^

            hint: give one of them another output
            error: `b` and `a` both write `out/page.html`
             --> build.ron:6:57
              |
            6 |             "b": GoTest(packages: ["."], coverage_html: "out/page.html"),
              |                                                         ^^^^^^^^^^^^^^^

            hint: give one of them another output
        "#]],
    );
}

#[test]
fn benchmarks_and_fuzzing() {
    check(
        r#"targets: {
            "a": GoTest(packages: ["."], benchtime: "2s"),
            "b": GoTest(packages: ["."], bench: ".", cover_min: 70),
            "c": GoTest(packages: ["."], bench: ".", shuffle: On),
            "d": GoTest(packages: ["."], bench: ".", count: 10),
            "e": GoTest(packages: ["."], fuzz: "FuzzX"),
            "f": GoTest(packages: ["."], fuzztime: "2s"),
            "g": GoTest(packages: ["."], fuzz: "FuzzX", fuzztime: "2s", bench: "."),
        }"#,
        expect![[r#"
            error: `benchtime` is for benchmarks, and there is no `bench`
             --> build.ron:5:53
              |
            5 |             "a": GoTest(packages: ["."], benchtime: "2s"),
              |                                                     ^^^^

            hint: write bench: "."
            error: benchmarks have no order of tests, no coverage and no JUnit report
             --> build.ron:6:49
              |
            6 |             "b": GoTest(packages: ["."], bench: ".", cover_min: 70),
              |                                                 ^^^

            hint: give each purpose a target of its own
            error: benchmarks have no order of tests, no coverage and no JUnit report
             --> build.ron:7:49
              |
            7 |             "c": GoTest(packages: ["."], bench: ".", shuffle: On),
              |                                                 ^^^

            hint: give each purpose a target of its own
            error: `fuzz` without `fuzztime` would never end
             --> build.ron:9:48
              |
            9 |             "e": GoTest(packages: ["."], fuzz: "FuzzX"),
              |                                                ^^^^^^^

            hint: write fuzztime: "2m"
            error: `fuzztime` is for fuzzing, and there is no `fuzz`
              --> build.ron:10:52
               |
            10 |             "f": GoTest(packages: ["."], fuzztime: "2s"),
               |                                                    ^^^^

            hint: write fuzz: "FuzzName"
            error: fuzzing has no benchmarks, no order of tests, no coverage and no JUnit report
              --> build.ron:11:48
               |
            11 |             "g": GoTest(packages: ["."], fuzz: "FuzzX", fuzztime: "2s", bench: "."),
               |                                                ^^^^^^^

            hint: give each purpose a target of its own
        "#]],
    );
}

#[test]
fn the_examples_of_the_page_on_tests() {
    let page = include_str!("../../../docs/tests.md");
    let examples: Vec<&str> = page.split("```ron\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(!examples.is_empty());
    for example in examples {
        let text = format!("(format: 1, project: \"t\", go: FromGoMod, targets: {{{example}}})");
        assert_eq!(support::messages(&text), "no mistakes\n", "{example}");
    }
}
