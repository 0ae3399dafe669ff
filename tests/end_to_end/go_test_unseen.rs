//! `GoTest`: what a test's log does not tell, what changes beside a run, and what is not believed.

use std::os::unix::fs::{PermissionsExt, symlink};

use crate::go_test::{READS, expect, space, test_in, tested};
use crate::space::TestSpace;

/// Go's log begins and ends with `m.Run`. Tests that may read before or after have every file below the root as input.
#[test]
fn what_is_read_beside_the_log_counts() {
    let space = space("", &[("a", "")]);
    let package = |name: &str, more: &str| {
        let source = format!(
            "package {name}\n\nimport (\n\t\"os\"\n\t\"testing\"\n)\n\n{more}\n\nfunc TestIt(t *testing.T) {{ if string(data) == \"bad\" {{ t.Fatal() }} }}\n"
        );
        space.write(&format!("svc/api/{name}/it_test.go"), &source);
    };
    package("early", "var data, _ = os.ReadFile(\"../text\")");
    package("inits", "var data []byte\n\nfunc init() { data, _ = os.ReadFile(\"../text\") }");
    package(
        "mains",
        "var data []byte\n\nfunc TestMain(m *testing.M) { data, _ = os.ReadFile(\"../text\"); os.Exit(m.Run()) }",
    );
    space.write("svc/api/text", "good");
    expect(&space, &["a", "early", "inits", "mains"]);
    expect(&space, &[]);
    space.write("svc/api/text", "bad");
    let run = space.run(&["test"]);
    assert_eq!(run.code, 1, "{}", run.stderr);
    for name in ["early", "inits", "mains"] {
        assert!(run.stderr.contains(&format!("FAIL\texample.com/api/{name}")), "{}", run.stderr);
    }
    assert_eq!(tested(&run), Vec::<&str>::new(), "{}", run.stderr);
}

#[test]
fn tests_that_leave_no_log_run_each_time() {
    let space = space("", &[("a", "")]);
    space.write(
        "svc/api/b/b_test.go",
        "package b\n\nimport (\n\t\"os\"\n\t\"testing\"\n)\n\nfunc TestMain(m *testing.M) { os.ReadFile(\"x\"); os.Exit(0) }\n\nfunc TestB(t *testing.T) {}\n",
    );
    expect(&space, &["a", "b"]);
    let run = expect(&space, &["b"]);
    assert!(run.stderr.contains("left no log of what they read"), "{}", run.stderr);
}

/// The log has the names of directories without links, and names of programs without their directory.
#[test]
fn names_that_may_mean_another_place_make_tests_blind() {
    let space = space(
        "",
        &[
            ("a", ""),
            (
                "enters",
                "\tmust(os.Chdir(\"link\"))\n\tb, err := os.ReadFile(\"../text\")\n\tmust(err)\n\tif string(b) == \"2\" { t.Fatal() }",
            ),
            ("starts", "\tc := exec.Command(\"./tool\")\n\tc.Dir = \"testdata\"\n\tmust(c.Run())"),
            ("climbs", "\tb, err := os.ReadFile(\"link/../text\")\n\tmust(err)\n\tif string(b) == \"2\" { t.Fatal() }"),
        ],
    );
    for (name, text) in [("one", "1"), ("two", "2")] {
        space.write(&format!("svc/{name}/text"), text);
        space.write(&format!("svc/{name}/x/keep"), "");
    }
    for name in ["enters", "climbs"] {
        symlink("../../one/x", space.root().join(format!("svc/api/{name}/link"))).unwrap();
    }
    space.write("svc/api/starts/testdata/tool", "#!/bin/sh\ntest ! -e fail\n");
    let tool = space.root().join("svc/api/starts/testdata/tool");
    std::fs::set_permissions(&tool, std::fs::Permissions::from_mode(0o755)).unwrap();
    expect(&space, &["a", "climbs", "enters", "starts"]);
    expect(&space, &[]);
    for name in ["enters", "climbs"] {
        let link = space.root().join(format!("svc/api/{name}/link"));
        std::fs::remove_file(&link).unwrap();
        symlink("../../two/x", &link).unwrap();
    }
    space.write("svc/api/starts/testdata/fail", "");
    let run = space.run(&["test"]);
    assert_eq!(run.code, 1, "{}", run.stderr);
    for name in ["enters", "starts", "climbs"] {
        assert!(run.stderr.contains(&format!("FAIL\texample.com/api/{name}")), "{}", run.stderr);
    }
}

/// A fixture of one package is edited while the tests of another run. The next run notices.
#[test]
fn a_fixture_that_changes_while_others_run_counts() {
    let checks = "\tb, err := os.ReadFile(\"data\")\n\tmust(err)\n\tif string(b) != \"1\" { t.Fatal(string(b)) }";
    let space = space("", &[("a", ""), ("b", checks)]);
    space.write("svc/api/b/data", "1");
    expect(&space, &["a", "b"]);
    test_in(&space, "a", "\tmust(os.WriteFile(\"../b/data\", []byte(\"2\"), 0o644))");
    space.ok(&["test"]);
    space.run(&["test"]).fails(1, &["FAIL\texample.com/api/b"]);
}

#[test]
fn declared_inputs_that_change_while_tests_run_keep_no_result() {
    let body = "\tmust(exec.Command(\"/bin/sh\", \"-c\", \"echo x >> ../data\").Run())";
    let space = space(", inputs: [\"data\"]", &[("a", body)]);
    space.write("svc/api/data", "");
    let run = expect(&space, &["a"]);
    assert!(run.stderr.contains("declared inputs, changed while the tests ran"), "{}", run.stderr);
    expect(&space, &["a"]);
}

/// A name that comes while a test runs, and was not known to be asked for.
#[test]
fn a_name_that_comes_while_tests_run_keeps_no_result() {
    let asks = "\tif _, err := os.Stat(\"later\"); err == nil { t.Fatal(\"there\") }\n\tmust(exec.Command(\"/bin/sh\", \"-c\", \"echo x > later\").Run())";
    let space = space(", inputs: []", &[("a", asks)]);
    expect(&space, &["a"]);
    space.run(&["test"]).fails(1, &["there"]);
}

#[test]
fn a_failure_takes_an_earlier_success_back() {
    // It depends on something outside of what is seen: the time.
    let space = space("", &[("a", ""), ("b", "")]);
    let deadline = space.root().join("deadline");
    let body = format!(
        "\tout, _ := exec.Command(\"/bin/sh\", \"-c\", \"cat {} 2>/dev/null\").Output()\n\tif len(out) > 0 {{ t.Fatal(\"late\") }}",
        deadline.display()
    );
    test_in(&space, "b", &body);
    expect(&space, &["a", "b"]);
    expect(&space, &[]);
    std::fs::write(&deadline, "x").unwrap();
    space.run(&["--force", "test"]).fails(1, &["late"]);
    // What is below `root` is as it was.
    let run = space.run(&["test"]);
    run.fails(1, &["late"]);
    assert_eq!(tested(&run), Vec::<&str>::new(), "{}", run.stderr);
}

/// A test prints what the go command says of another, which then never ends.
#[test]
fn a_run_that_is_ended_says_nothing_of_the_rest() {
    let liar = "\tos.Stdout.WriteString(\"ok  \\texample.com/api/b\\t0.1s\\n\")\n\tt.Fatal(\"no\")";
    let killer =
        "\tmust(exec.Command(\"/bin/sh\", \"-c\", \"sleep 2; kill -9 $(ps -o ppid= -p $PPID)\").Run())\n\tselect {}";
    let space = space("", &[("a", liar), ("b", killer)]);
    assert_eq!(space.run(&["test"]).code, 1);
    test_in(&space, "a", "");
    let run = space.run(&["plan", "test"]);
    assert!(!run.stdout.contains("1 of 2 packages"), "{}", run.stdout);
}

/// A test can ask for each bit, and for the kind of what it finds in a directory.
#[test]
fn permissions_and_kinds_count() {
    let space = space(
        "",
        &[
            ("a", READS),
            ("b", "\t_, err := os.ReadDir(\"testdata\")\n\tmust(err)"),
            ("c", "\t_, err := os.Stat(\"../../../migrations/1.sql\")\n\tmust(err)"),
        ],
    );
    space.write("svc/api/b/testdata/x", "");
    expect(&space, &["a", "b", "c"]);
    let migration = space.root().join("migrations/1.sql");
    for mode in [0o600, 0o664, 0o640] {
        std::fs::set_permissions(&migration, std::fs::Permissions::from_mode(mode)).unwrap();
        expect(&space, &["a", "c"]);
    }
    space.remove("svc/api/b/testdata/x");
    let made = std::process::Command::new("mkfifo").arg(space.root().join("svc/api/b/testdata/x")).status().unwrap();
    assert!(made.success());
    expect(&space, &["b"]);
}

/// `root` is a link that is set elsewhere: the same names are other files.
#[test]
fn a_root_that_is_a_link_counts() {
    let targets = "\"test\": GoTest(packages: [\"./...\"]), \"server\": GoBuild(packages: [\"./cmd/a\"])";
    let mut space = TestSpace::with_targets(targets).with_shared_go();
    space.replace("build.ron", "project:", "root: \"here\", project:");
    space.set("PATH", &std::env::var("PATH").unwrap());
    for name in ["one", "two"] {
        space.write(&format!("{name}/go.mod"), "module example.com/api\n\ngo 1.22\n");
        space.write(
            &format!("{name}/cmd/a/main.go"),
            &format!("package main\n\nfunc main() {{ println(\"{name}\") }}\n"),
        );
        space.write(&format!("{name}/a/it_test.go"), "package a\n\nimport (\n\t\"os\"\n\t\"testing\"\n)\n\nfunc TestIt(t *testing.T) {\n\tif b, _ := os.ReadFile(\"../data\"); string(b) == \"two\" { t.Fatal() }\n}\n");
        space.write(&format!("{name}/data"), name);
    }
    let link = space.root().join("here");
    symlink("one", &link).unwrap();
    space.ok(&["server", "test"]);
    let printed = || {
        let host = space.root().join("dist/server");
        let directory = std::fs::read_dir(host).unwrap().next().unwrap().unwrap().path();
        let output = std::process::Command::new(directory.join("a")).output().unwrap();
        String::from_utf8(output.stderr).unwrap()
    };
    assert_eq!(printed(), "one\n");
    std::fs::remove_file(&link).unwrap();
    symlink("two", &link).unwrap();
    space.ok(&["server"]);
    assert_eq!(printed(), "two\n");
    space.run(&["test"]).fails(1, &["FAIL\texample.com/api/a"]);
}
