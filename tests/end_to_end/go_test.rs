//! `GoTest`: a package's tests run again if something that they are made of or read has changed, and only then.

use std::os::unix::fs::symlink;

use crate::space::{Run, TestSpace};

const MIGRATION: &str = "../../../migrations/1.sql";

/// A module in `svc/api` with a package for each body of a test; `use` is imported by `a` only.
pub(crate) fn space(fields: &str, bodies: &[(&str, &str)]) -> TestSpace {
    let targets = format!("\"test\": GoTest(packages: [\"./...\"]{fields})");
    let mut space = TestSpace::with_targets(&targets).with_shared_go();
    space.replace("build.ron", "project:", "root: \"svc/api\", project:");
    space.set("PATH", &std::env::var("PATH").unwrap());
    space.write("svc/api/go.mod", "module example.com/api\n\ngo 1.22\n");
    space.write("svc/api/use/use.go", "package use\n\nfunc One() int { return 1 }\n");
    space.write("migrations/1.sql", "create");
    for (name, body) in bodies {
        test_in(&space, name, body);
    }
    space
}

/// Writes the test of a package. `must(x)` fails it.
pub(crate) fn test_in(space: &TestSpace, name: &str, body: &str) {
    let names = ["exec.", "filepath.", "os.", "runtime.", "strings.", "use."];
    let paths = ["os/exec", "path/filepath", "os", "runtime", "strings", "example.com/api/use"];
    let is_used = |name: &str| body.match_indices(name).any(|(at, _)| !body[..at].ends_with(char::is_alphanumeric));
    let imports: String = std::iter::zip(names, paths)
        .filter(|(name, _)| is_used(name))
        .map(|(_, path)| format!("\t\"{path}\"\n"))
        .collect();
    space.write(
        &format!("svc/api/{name}/it_test.go"),
        &format!(
            "package {name}\n\nimport (\n\t\"testing\"\n{imports})\n\nfunc TestIt(t *testing.T) {{\n\tmust := func(err error) {{ if err != nil {{ t.Fatal(err) }} }}\n\t_ = must\n{body}\n}}\n"
        ),
    );
}

pub(crate) fn tested(run: &Run) -> Vec<&str> {
    let lines = run.stderr.lines().filter_map(|line| line.split_once("ok  \texample.com/api/"));
    let mut names: Vec<&str> = lines.filter_map(|(_, rest)| rest.split('\t').next()).collect();
    names.sort_unstable();
    // What failed tests printed is repeated at the end.
    names.dedup();
    names
}

/// Runs the tests, which pass, and expects these packages to be tested.
#[track_caller]
pub(crate) fn expect(space: &TestSpace, packages: &[&str]) -> Run {
    let run = space.ok(&["test"]);
    assert_eq!(tested(&run), packages, "{}", run.stderr);
    run
}

pub(crate) const READS: &str = "\t_, err := os.ReadFile(\"../../../migrations/1.sql\")\n\tmust(err)";

#[test]
fn only_what_is_affected_is_tested() {
    let space = space("", &[("a", "\t_ = use.One()"), ("b", READS), ("c", "")]);
    space.write("README.md", "1");
    space.write("svc/api/c/c.go", "package c\n");
    expect(&space, &["a", "b", "c"]);
    expect(&space, &[]);
    space.append("README.md", "2");
    space.append("build.ron", "// a comment\n");
    space.write("svc/api/c/notes.txt", "not read");
    space.write("svc/api/use/testdata/x", "not read");
    expect(&space, &[]);
    space.append("svc/api/use/use.go", "// edited\n");
    expect(&space, &["a"]);
    space.append("svc/api/c/it_test.go", "// edited\n");
    expect(&space, &["c"]);
    space.append("migrations/1.sql", "drop");
    let run = expect(&space, &["b"]);
    assert!(
        run.stderr.contains("migrations/1.sql changed, 1 of 4 packages to test: example.com/api/b"),
        "{}",
        run.stderr
    );
    // A result is known again when the old state is.
    space.write("migrations/1.sql", "create");
    expect(&space, &[]);
    space.remove(".rondel");
    expect(&space, &[]);
    let run = space.ok(&["--force", "test"]);
    assert_eq!(tested(&run), ["a", "b", "c"]);
    expect(&space, &[]);
    space.replace("build.ron", "[\"./...\"]", "[\"./...\"], short: true");
    expect(&space, &["a", "b", "c"]);
    space.replace("build.ron", "short: true", "env: {\"A\": \"b\"}");
    expect(&space, &["a", "b", "c"]);
    let run = space.ok(&["test", "--", "-run", "Nothing"]);
    assert_eq!(tested(&run).len(), 3, "{}", run.stderr);
    expect(&space, &[]);
}

#[test]
fn names_that_a_test_asked_for_count() {
    let space = space(
        "",
        &[
            ("lists", "\t_, err := os.ReadDir(\"testdata\")\n\tmust(err)"),
            ("looks", "\t_, _ = os.Stat(\"later.txt\")\n\t_, _ = os.Lstat(\"../../conf/none.yaml\")"),
            ("reads", "\t_, err := os.ReadFile(\"../text\")\n\tmust(err)"),
            (
                "walks",
                "\t_, file, _, _ := runtime.Caller(0)\n\tmust(filepath.WalkDir(filepath.Dir(file), func(string, os.DirEntry, error) error { return nil }))",
            ),
        ],
    );
    space.write("svc/api/lists/testdata/a", "");
    space.write("svc/api/text", "1");
    expect(&space, &["lists", "looks", "reads", "walks"]);
    std::fs::create_dir(space.root().join("svc/api/lists/testdata/empty")).unwrap();
    expect(&space, &["lists"]);
    space.write("svc/api/looks/later.txt", "");
    expect(&space, &["looks"]);
    space.write("svc/conf/none.yaml", "");
    expect(&space, &["looks"]);
    space.append("svc/api/text", "2");
    expect(&space, &["reads"]);
    space.write("svc/api/walks/deep/x", "");
    expect(&space, &["walks"]);
    space.write("svc/api/walks/deep/y", "");
    expect(&space, &["walks"]);
    expect(&space, &[]);
}

#[test]
fn links_on_the_way_count() {
    let space = space("", &[("a", "\t_, err := os.ReadFile(\"link/text\")\n\tmust(err)"), ("b", READS)]);
    space.write("svc/one/text", "1");
    space.write("svc/two/text", "2");
    let link = space.root().join("svc/api/a/link");
    symlink("../../one", &link).unwrap();
    expect(&space, &["a", "b"]);
    std::fs::remove_file(&link).unwrap();
    symlink("../../two", &link).unwrap();
    expect(&space, &["a"]);
    space.append("svc/two/text", "3");
    expect(&space, &["a"]);
    // Same contents behind a link: another text is another input.
    let migration = space.root().join("migrations/1.sql");
    std::fs::rename(&migration, space.root().join("migrations/one")).unwrap();
    symlink("one", &migration).unwrap();
    expect(&space, &["b"]);
    expect(&space, &[]);
}

/// golang/go#26790: what a test read is held against what was there before and after.
#[test]
fn a_file_that_changes_while_tests_run_keeps_no_result() {
    let slow = format!("{READS}\n\tos.WriteFile({MIGRATION:?}, []byte(\"while it ran\"), 0o644)");
    let space = space("", &[("a", ""), ("b", &slow)]);
    let run = expect(&space, &["a", "b"]);
    assert!(
        run.stderr.contains("`migrations/1.sql` was written while the tests of example.com/api/b ran"),
        "{}",
        run.stderr
    );
    expect(&space, &["b"]);
    // Of a source, too.
    test_in(&space, "b", "\tos.WriteFile(\"../c/c.go\", []byte(\"package c // x\"), 0o644)");
    test_in(&space, "c", "\t_ = use.One()");
    space.write("svc/api/c/c.go", "package c\n");
    space.write("svc/api/b/b.go", "package b\n\nimport _ \"example.com/api/c\"\n");
    space.ok(&["test"]);
    let again = space.ok(&["test"]);
    assert!(!tested(&again).is_empty(), "{}", again.stderr);
}

/// Files that a test makes and removes are its own affair, from the second time on.
#[test]
fn files_of_the_test_itself_do_not_count() {
    let temporary = "\td := t.TempDir()\n\tmust(os.WriteFile(filepath.Join(d, \"x\"), nil, 0o644))\n\t_, err := os.ReadFile(filepath.Join(d, \"x\"))\n\tmust(err)";
    let beside = "\tmust(os.WriteFile(\"scratch\", nil, 0o644))\n\tmust(os.Remove(\"scratch\"))";
    let space = space("", &[("a", temporary), ("b", beside)]);
    expect(&space, &["a", "b"]);
    expect(&space, &["b"]);
    expect(&space, &[]);
}

#[test]
fn what_has_passed_is_kept_though_others_fail() {
    // It prints the go command's word for a test that passed.
    let liar = "\tos.Stdout.WriteString(\"ok  \\texample.com/api/c\\t0.1s\\n\")\n\tt.Fatal(\"no\")";
    let space = space("", &[("a", ""), ("b", READS), ("c", liar)]);
    let failed = space.run(&["test"]);
    assert_eq!((failed.code, tested(&failed)), (1, vec!["a", "b", "c"]), "{}", failed.stderr);
    let failed = space.run(&["test"]);
    assert_eq!((failed.code, tested(&failed)), (1, vec!["c"]), "{}", failed.stderr);
    test_in(&space, "c", "");
    expect(&space, &["c"]);
    space.remove("migrations/1.sql");
    space.run(&["test"]).fails(1, &["no such file"]);
    space.write("migrations/1.sql", "create");
    expect(&space, &[]);
}

/// What child processes read is not seen. Then every file below the root counts, or what is declared.
#[test]
fn tests_that_start_programs_may_read_anything() {
    let child = "\tout, err := exec.Command(\"cat\", \"../text\").Output()\n\tmust(err)\n\tif strings.TrimSpace(string(out)) == \"bad\" { t.Fatal(\"bad\") }";
    let itself = "\tmust(exec.Command(os.Args[0], \"-test.run=Nothing\").Run())";
    let space = space("", &[("a", ""), ("b", child), ("c", itself)]);
    space.write("svc/api/text", "good");
    expect(&space, &["a", "b", "c"]);
    expect(&space, &[]);
    space.write("svc/api/anything", "");
    let run = expect(&space, &["b", "c"]);
    assert!(run.stderr.contains("whose reads are not seen"), "{}", run.stderr);
    space.write("svc/api/text", "bad");
    space.run(&["test"]).fails(1, &["bad"]);
    space.write("svc/api/text", "good");
    space.replace("build.ron", "[\"./...\"]", "[\"./...\"], inputs: [\"text\"]");
    expect(&space, &["a", "b", "c"]);
    space.append("svc/api/anything", "2");
    expect(&space, &[]);
    space.append("svc/api/text", "2");
    expect(&space, &["a", "b", "c"]);
}

#[test]
#[cfg_attr(not(has_gcc), ignore = "no gcc")]
fn tests_with_c_code_may_read_anything() {
    let space = space(", race: true", &[("a", "")]);
    space.write(
        "svc/api/c/c.go",
        "package c\n\n// static int one(void) { return 1; }\nimport \"C\"\n\nfunc One() int { return int(C.one()) }\n",
    );
    test_in(&space, "c", "\tif One() != 1 { t.Fatal() }");
    expect(&space, &["a", "c"]);
    expect(&space, &[]);
    space.write("svc/api/anything", "");
    expect(&space, &["c"]);
}

/// Results are in the store, under the place of the workspace: tests can ask where they are, and the log tells nothing of
/// that. A result that may depend on more is gone with `.rondel`.
#[test]
fn results_hold_for_their_place() {
    let space = space("", &[("a", READS), ("b", "\tmust(exec.Command(\"true\").Run())")]);
    expect(&space, &["a", "b"]);
    space.remove(".rondel");
    expect(&space, &["b"]);
    let mut other = TestSpace::empty();
    let cache = space.cache().display().to_string();
    other.set("PATH", &std::env::var("PATH").unwrap()).set("RONDEL_CACHE_DIR", &cache);
    let copied =
        std::process::Command::new("cp").arg("-r").arg(space.root().join(".")).arg(other.root()).status().unwrap();
    assert!(copied.success());
    other.remove(".rondel");
    expect(&other, &["a", "b"]);
    expect(&other, &[]);
    expect(&space, &[]);
}

/// Tests see their environment, and not what Rondel's own commands need.
#[test]
fn tests_see_the_declared_environment_and_real_paths() {
    let body = "\tif v, ok := os.LookupEnv(\"GOGC\"); ok { t.Fatal(v) }\n\tif v, ok := os.LookupEnv(\"GODEBUG\"); ok && v != \"http2client=0\" { t.Fatal(v) }\n\tif os.Getenv(\"A\") != \"b c'd\" { t.Fatal() }\n\t_, file, _, _ := runtime.Caller(0)\n\t_, err := os.ReadFile(filepath.Join(filepath.Dir(file), \"text\"))\n\tmust(err)";
    let space = space(", env: {\"A\": \"b c'd\"}", &[("a", body)]);
    space.write("svc/api/a/text", "");
    expect(&space, &["a"]);
    space.replace("build.ron", "\"A\":", "\"GODEBUG\": \"http2client=0\", \"A\":");
    expect(&space, &["a"]);
    expect(&space, &[]);
    space.append("svc/api/a/text", "2");
    expect(&space, &["a"]);
}

/// `PATH` is the machine's, and a test can ask for it in ways that are in no log.
#[test]
fn the_search_path_counts() {
    let mut space = space("", &[("a", ""), ("b", "\t_, err := exec.LookPath(\"sh\")\n\tmust(err)")]);
    expect(&space, &["a", "b"]);
    let path = format!("{}:/nowhere", std::env::var("PATH").unwrap());
    space.set("PATH", &path);
    expect(&space, &["a", "b"]);
}

#[test]
fn explained_and_planned() {
    let space = space("", &[("a", ""), ("b", READS)]);
    expect(&space, &["a", "b"]);
    assert!(space.ok(&["plan", "test"]).stdout.contains("up to date"));
    space.append("migrations/1.sql", "2");
    let plan = space.ok(&["plan", "test"]).stdout;
    assert!(plan.contains("migrations/1.sql changed"), "{plan}");
    let why = space.ok(&["why", "test"]).stdout;
    assert!(why.contains("migrations/1.sql changed") && why.contains("example.com/api/b"), "{why}");
    expect(&space, &["b"]);
    let graph = space.ok(&["plan", "test"]).stdout;
    assert!(graph.contains("up to date"), "{graph}");
}
