//! `GoFmt` and `GoModTidy`: changes of the tree, and checks that are kept.

use crate::space::{TestSpace, goproxy};

fn space() -> TestSpace {
    let mut space = TestSpace::empty().with_shared_go();
    space.set("GOPROXY", goproxy());
    space.write("go.mod", "module example.com/x\n\ngo 1.22\n");
    space.write("x.go", "package x\n\nvar X = 1\n");
    space.write(
        "build.ron",
        r#"(format: 1, project: "x", go: Version("1.22.12"), targets: {
            "fmt": GoFmt(), "fmt-check": GoFmt(check: true, exclude: ["**/*.pb.go"]), "simple": GoFmt(check: true, simplify: true),
            "tidy": GoModTidy(), "tidy-check": GoModTidy(check: true),
        })"#,
    );
    space
}

#[test]
fn files_are_formatted_or_named() {
    let space = space();
    space.ok(&["fmt-check", "simple"]);
    assert!(space.ran(&["fmt-check", "simple"]).is_empty());
    space.write("deep/y.go", "package deep\nvar  Y = []struct{A int}{struct{A int}{1}}\n");
    // What is none of the module's own: left out, of another module, of what `./...` does not mean.
    for other in ["z.pb.go", "other/z.go", "vendor/a/z.go", "testdata/z.go", ".hidden/z.go", "_old/z.go"] {
        space.write(other, "package z\nvar  Z = 1\n");
    }
    space.write("other/go.mod", "module example.com/other\n");
    let run = space.run(&["fmt-check"]);
    run.fails(1, &["1 file is not formatted", "  deep/y.go", "hint: `gofmt -w FILE`"]);
    assert!(!run.stderr.contains("z.go"), "{}", run.stderr);
    let before = space.read("deep/y.go");
    let run = space.ok(&["fmt"]);
    assert!(run.stderr.contains("formatted deep/y.go") && run.stderr.contains("formatted z.pb.go"), "{}", run.stderr);
    assert_ne!(space.read("deep/y.go"), before);
    assert!(space.read("other/z.go").contains("var  Z") && space.read("testdata/z.go").contains("var  Z"));
    space.ok(&["fmt-check"]);
    // `-s` finds more, and is in the key.
    space.run(&["simple"]).fails(1, &["  deep/y.go"]);
    space.write("deep/y.go", "package deep\n\nfunc {\n");
    space.run(&["fmt-check"]).fails(1, &["deep/y.go:3:6"]);
}

#[test]
fn requirements_are_tidied_or_compared() {
    let space = space();
    space.ok(&["tidy-check"]);
    assert!(space.ran(&["tidy-check"]).is_empty());
    // A package that nothing requires yet, and one that nobody imports.
    space.write("x.go", "package x\n\nimport _ \"golang.org/x/mod/semver\"\n");
    space.append("go.mod", "\nrequire golang.org/x/mod v0.17.0\n\nrequire golang.org/x/text v0.14.0\n");
    let (go_mod, run) = (space.read("go.mod"), space.run(&["tidy-check"]));
    run.fails(
        1,
        &["go.mod and go.sum are not tidy", "- require golang.org/x/text v0.14.0", "+ golang.org/x/mod v0.17.0 h1:"],
    );
    assert_eq!(space.read("go.mod"), go_mod);
    assert!(!space.root().join("go.sum").exists());
    space.ok(&["tidy"]);
    assert!(!space.read("go.mod").contains("golang.org/x/text") && space.read("go.sum").contains("golang.org/x/mod"));
    space.ok(&["tidy-check"]);
    assert!(space.ran(&["tidy-check"]).is_empty());
    // Each file is in the key.
    space.append("go.sum", "golang.org/x/text v0.14.0 h1:ScX5w1eTa3QqT8oi6+ziP7dTV1S2+ALU0bI+0zXKWiQ=\n");
    space.run(&["tidy-check"]).fails(1, &["  - golang.org/x/text v0.14.0"]);
    // A module in a directory beside is no input, so nothing is kept.
    space.write("beside/go.mod", "module example.com/beside\n\ngo 1.22\n");
    space.append("go.mod", "\nreplace example.com/beside => ./beside\n");
    space.ok(&["tidy"]);
    space.ok(&["tidy-check"]);
    assert!(space.ran(&["tidy-check"])["tidy-check"].contains("replaces `example.com/beside` by the directory"));
}
