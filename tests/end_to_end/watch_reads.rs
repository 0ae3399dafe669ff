//! What a watch sees: also what tests read without a word in build.ron, and what changes in directories that nobody watched yet.

use crate::space::TestSpace;
use crate::watch::Watching;

/// Whether a test reads the file itself, or by a program whose reads nobody sees.
const READERS: [(&str, &str); 2] = [
    ("os", "text, _ := os.ReadFile(\"testdata/x\")"),
    ("os/exec", "text, _ := exec.Command(\"cat\", \"testdata/x\").Output()"),
];

#[test]
fn a_file_that_tests_read() {
    for (import, reads) in READERS {
        let space = TestSpace::with_targets(r#""test": GoTest(packages: ["./..."])"#).with_shared_go();
        space.replace("build.ron", "go: System", "go: Version(\"1.22.12\")");
        space.write("go.mod", "module example.com/t\n\ngo 1.22\n");
        space.write("a/a.go", "package a\n");
        space.write("a/testdata/x", "good");
        let test = "\tif string(text) == \"bad\" {\n\t\tt.Fatal(\"a bad file\")\n\t}\n";
        let head = format!("package a\n\nimport (\n\t\"{import}\"\n\t\"testing\"\n)\n");
        space.write("a/a_test.go", &format!("{head}\nfunc TestX(t *testing.T) {{\n\t{reads}\n{test}}}\n"));
        let watching = Watching::start(&space, &["test"]);
        watching.settled();
        space.write("a/testdata/x", "bad");
        watching.hears("a bad file", 1);
        space.write("a/testdata/x", "good again");
        watching.hears("Done test", 2);
        // It is known what it reads by now, and what begins is the same.
        watching.settled();
        space.write("a/testdata/x", "bad");
        watching.hears("a bad file", 2);
        watching.ends();
        // Another watch finds the tests up to date.
        space.write("a/testdata/x", "good");
        space.ok(&["test"]);
        let watching = Watching::start(&space, &["test"]);
        watching.settled();
        space.write("a/testdata/x", "bad");
        watching.hears("a bad file", 1);
        let said = watching.ends();
        assert!(!said.contains("first build"), "{said}");
    }
}

#[test]
fn a_file_in_a_directory_that_came_just_before_the_build() {
    let space = TestSpace::with_targets(
        r#""names": Shell("echo begun; sleep 2; find in -type f | sort | tr '\n' ' '", inputs: ["in/**"])"#,
    );
    space.write("in/a", "1");
    let watching = Watching::start(&space, &["names"]);
    watching.settled();
    space.write("in/a", "2");
    std::fs::create_dir(space.root().join("in/deep")).unwrap();
    watching.hears("names | begun", 2);
    space.write("in/deep/y", "y");
    watching.hears("names | in/a in/deep/y", 1);
    watching.settled();
    watching.ends();
}
