//! `GoTest` with `bench` or `fuzz`: runs each time. Benchmarks are kept by commit and compared with those of another one.

use std::process::Command;

use crate::go_test::space;
use crate::space::TestSpace;

/// A benchmark that measures what it is told, beside a test that fails.
fn measures(space: &TestSpace, value: u32) {
    let source = format!(
        "package a\n\nimport \"testing\"\n\nfunc TestIt(t *testing.T) {{ t.Fatal(\"no test runs\") }}\n\nfunc BenchmarkIt(b *testing.B) {{ b.ReportMetric({value}, \"things/op\") }}\n"
    );
    space.write("svc/api/a/a_test.go", &source);
}

fn git(space: &TestSpace, arguments: &[&str]) -> String {
    let fixed = ["-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false"];
    let output = Command::new("git").args(fixed).args(arguments).current_dir(space.root()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Commits the sources, and returns the beginning of the commit's name.
fn commit(space: &TestSpace) -> String {
    git(space, &["add", "svc"]);
    git(space, &["commit", "-q", "-m", "x"]);
    git(space, &["rev-parse", "HEAD"])[..12].to_owned()
}

#[test]
fn benchmarks_are_compared_with_another_commit() {
    let space = space(", bench: \".\", benchtime: \"10x\", count: 5", &[]);
    measures(&space, 100);
    let run = space.ok(&["test"]);
    assert!(run.stderr.contains("the commit of the sources is not known"), "{}", run.stderr);
    git(&space, &["init", "-q"]);
    let first = commit(&space);
    for _ in 0..2 {
        // It is never up to date, and no commit is compared with itself.
        let run = space.ok(&["test"]);
        assert_eq!(run.stderr.matches(" things/op").count(), 5, "{}", run.stderr);
        assert!(run.stderr.contains("pkg: example.com/api/a") && !run.stderr.contains("compared"), "{}", run.stderr);
    }
    let compared = |with: &str, change: &str| {
        let run = space.ok(&["test"]);
        assert!(run.stderr.contains(&format!("compared with {with} (medians")), "{with}\n{}", run.stderr);
        let line = run.stderr.lines().find(|line| line.contains("things/op -> ")).unwrap();
        assert!(line.ends_with(change), "{line}");
    };
    // Edits on top of a commit are compared with it, however many there are.
    measures(&space, 50);
    compared(&format!("{first} with other sources"), "100.0 things/op -> 50.00 things/op  -50.00% (p=0.008 n=5)");
    measures(&space, 40);
    compared(&format!("{first} with other sources"), "-60.00% (p=0.008 n=5)");
    // The same sources, committed.
    let second = commit(&space);
    compared(&first, "-60.00% (p=0.008 n=5)");
    space.append("svc/api/a/a_test.go", "\n// edited\n");
    commit(&space);
    compared(&second, "40.00 things/op -> 40.00 things/op  ~ (p=1.000 n=5)");
    // Arguments choose some of them: nothing is kept or compared.
    let run = space.ok(&["test", "--", "-bench=Nothing"]);
    assert!(!run.stderr.contains("compared"), "{}", run.stderr);
    // Two values tell nothing.
    space.replace("build.ron", "count: 5", "count: 1");
    measures(&space, 80);
    let run = space.ok(&["test"]);
    assert!(run.stderr.contains("too few values"), "{}", run.stderr);
}

#[test]
fn a_benchmark_that_fails_is_a_failure() {
    let space = space(", bench: \".\"", &[]);
    space.write(
        "svc/api/a/a_test.go",
        "package a\n\nimport \"testing\"\n\nfunc BenchmarkIt(b *testing.B) { b.Fatal(\"it is wrong\") }\n",
    );
    space.run(&["test"]).fails(1, &["it is wrong"]);
    space.replace("build.ron", "bench: \".\"", "bench: \"Nothing\"");
    let run = space.ok(&["test"]);
    assert!(run.stderr.contains("no benchmark matches `Nothing`"), "{}", run.stderr);
}

#[test]
fn what_fuzzing_finds_is_the_users() {
    let space = space(", fuzz: \"FuzzIt\", fuzztime: \"20x\"", &[]);
    space.replace("build.ron", "./...", "./a");
    let fuzz = |body: &str| {
        let source = format!(
            "package a\n\nimport \"testing\"\n\nfunc TestIt(t *testing.T) {{ t.Fatal(\"no test runs\") }}\n\nfunc FuzzIt(f *testing.F) {{\n\tf.Add(7)\n\tf.Fuzz(func(t *testing.T, n int) {{ {body} }})\n}}\n"
        );
        space.write("svc/api/a/a_test.go", &source);
    };
    fuzz("_ = n");
    for _ in 0..2 {
        let run = space.ok(&["test"]);
        assert!(run.stderr.contains("fuzz: elapsed: "), "{}", run.stderr);
    }
    fuzz("if n != 7 { t.Fatal(n) }");
    space.run(&["test"]).fails(1, &["testdata/fuzz/FuzzIt/"]);
    assert!(space.exists("svc/api/a/testdata/fuzz/FuzzIt"));
    space.ok(&["list"]);
    fuzz("_ = n");
    space.ok(&["test"]);
    assert!(space.exists("svc/api/a/testdata/fuzz/FuzzIt"), "what was found stays");
    space.replace("build.ron", "./a", "./...");
    space.run(&["test"]).fails(2, &["fuzzes one package, and `packages` has 2"]);
}
