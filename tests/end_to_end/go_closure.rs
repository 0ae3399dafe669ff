//! What decides which files a Go build reads, and what its compilers read besides: excluded files, includes, modules that
//! could appear. The differential (`tests/differential`) tries far more of it; here stands one sample of each kind.

use std::fs;
use std::process::Command;
use std::time::{Duration, SystemTime};

use crate::space::TestSpace;

/// A module `example.com/m` whose target `m` builds the package in the root with the installed Go.
fn space(fields: &str, files: &[(&str, &str)]) -> TestSpace {
    let mut space = TestSpace::with_targets(&format!(r#""m": GoBuild(packages: ["."]{fields})"#));
    space.set("PATH", &std::env::var("PATH").unwrap());
    space.replace("build.ron", "project:", "platforms: [\"linux/amd64\"], project:");
    space.write("go.mod", "module example.com/m\n\ngo 1.22\n");
    for (path, text) in files {
        space.write(path, text);
    }
    space
}

/// Builds, and returns what the program prints.
fn printed(space: &TestSpace) -> String {
    space.ok(&["m"]);
    let output = Command::new(space.root().join("dist/m/linux_amd64/m")).output().unwrap();
    String::from_utf8(output.stderr).unwrap().trim().to_owned()
}

#[test]
fn an_excluded_file_joins_the_build() {
    let space = space(
        "",
        &[
            ("main.go", "package main\n\nvar N = 41\n\nfunc main() { println(N) }\n"),
            ("more.go", "//go:build never\n\npackage main\n\nfunc init() { N = 42 }\n"),
        ],
    );
    assert_eq!(printed(&space), "41");
    space.replace("more.go", "never", "linux");
    assert_eq!(printed(&space), "42");
    space.replace("more.go", "linux", "go1.999");
    assert_eq!(printed(&space), "41");
}

#[test]
fn assembly_reads_other_directories() {
    let space = space(
        "",
        &[
            ("inc/defs.inc", "#define ANSWER 41\n"),
            ("asm/n_amd64.s", "#include \"../inc/defs.inc\"\nTEXT ·N(SB),4,$0-8\n\tMOVQ $ANSWER, ret+0(FP)\n\tRET\n"),
            ("asm/n.go", "package asm\n\nfunc N() int\n"),
            ("main.go", "package main\n\nimport \"example.com/m/asm\"\n\nfunc main() { println(asm.N()) }\n"),
        ],
    );
    assert_eq!(printed(&space), "41");
    space.write("inc/defs.inc", "#define ANSWER 42\n");
    assert_eq!(printed(&space), "42");
    // What was compiled from a file that is gone does not come back from a cache.
    fs::rename(space.root().join("inc"), space.root().join("gone")).unwrap();
    space.run(&["m"]).fails(1, &["defs.inc"]);
}

#[test]
fn c_reads_other_directories_and_stands_at_the_root() {
    let space = space(
        ", cgo: true",
        &[
            ("c/defs.h", "#define ANSWER 41\n"),
            (
                "main.go",
                "package main\n\n// #include \"c/defs.h\"\nimport \"C\"\n\nfunc main() { println(int(C.ANSWER)) }\n",
            ),
        ],
    );
    assert_eq!(printed(&space), "41");
    space.write("c/defs.h", "#define ANSWER 42\n");
    assert_eq!(printed(&space), "42");
    assert!(space.ran(&["m"]).is_empty());
    // A macro names the file: nobody knows which one without compiling.
    space.replace("main.go", "\"c/defs.h\"", "\"c/defs.h\"\n// #define NAME \"c/more.h\"\n// #include NAME");
    space.write("c/more.h", "#undef ANSWER\n#define ANSWER 43\n");
    assert_eq!(printed(&space), "43");
    let why = space.ran(&["m"]);
    assert!(why["m (linux/amd64)"].contains("includes a file whose name is made by `NAME`"), "{why:?}");
    space.write("c/more.h", "#undef ANSWER\n#define ANSWER 44\n");
    assert_eq!(printed(&space), "44");
}

#[test]
fn a_module_appears_between_root_and_package() {
    let space = space(
        "",
        &[
            ("a/b/b.go", "package b\n\nconst N = 1\n"),
            ("main.go", "package main\n\nimport \"example.com/m/a/b\"\n\nfunc main() { println(b.N) }\n"),
        ],
    );
    assert_eq!(printed(&space), "1");
    space.write("a/go.mod", "module example.com/other\n");
    space.run(&["m"]).fails(1, &["example.com/m/a/b"]);
    space.remove("a/go.mod");
    assert_eq!(printed(&space), "1");
}

#[test]
fn settings_of_the_toolchain_have_no_force() {
    let mut space = space(
        "",
        &[
            ("main.go", "package main\n\nfunc main() { println(N) }\n"),
            ("a.go", "//go:build !special\n\npackage main\n\nconst N = 1\n"),
            ("b.go", "//go:build special\n\npackage main\n\nconst N = 2\n"),
        ],
    );
    let root = Command::new("go").args(["env", "GOROOT"]).output().unwrap();
    let sdk = space.beside("sdk");
    let copied = Command::new("cp").arg("-a").arg(String::from_utf8(root.stdout).unwrap().trim()).arg(&sdk).status();
    assert!(copied.unwrap().success());
    let path = format!("{}:{}", sdk.join("bin").display(), std::env::var("PATH").unwrap());
    space.set("PATH", &path);
    assert_eq!(printed(&space), "1");
    let settings = fs::read_to_string(sdk.join("go.env")).unwrap();
    fs::write(sdk.join("go.env"), settings + "\nGOFLAGS=-tags=special\n").unwrap();
    // It is another toolchain, and builds the same.
    assert!(space.outcomes(&["m"])["m (linux/amd64)"].contains("ran"));
    assert_eq!(printed(&space), "1");
}

#[test]
fn a_module_that_nothing_needs_may_be_missing() {
    let space = space(
        "",
        &[
            ("a/go.mod", "module example.com/a\n\ngo 1.22\n\nrequire example.com/library v0.0.0\n"),
            ("a/main.go", "package main\n\nimport \"example.com/library\"\n\nfunc main() { println(library.N) }\n"),
            ("library/go.mod", "module example.com/library\n\ngo 1.22\n"),
            ("library/library.go", "package library\n\nconst N = 41\n"),
            ("go.work", "go 1.22\n\nuse ./a\n\nuse ./library\n"),
        ],
    );
    space.remove("go.mod");
    space.replace("build.ron", "project:", "go_work: \"go.work\", project:");
    space.replace("build.ron", "packages: [\".\"]", "packages: [\"./a\"]");
    space.ok(&["m"]);
    assert!(space.exists("dist/m/linux_amd64/a"));
    // One that is needed is named, with the reason.
    space.write("go.work", "go 1.22\n\nuse ./a\n");
    space
        .run(&["m"])
        .fails(1, &["not downloaded: ", "example.com/library", "hint: check go.mod, GOPROXY and the network"]);
}

#[test]
fn a_test_is_made_of_modules_outside_of_the_root() {
    let mut space = TestSpace::with_targets(r#""test": GoTest(packages: ["./..."])"#);
    space.set("PATH", &std::env::var("PATH").unwrap());
    space.replace("build.ron", "project:", "root: \"svc\", project:");
    space.write("library/go.mod", "module example.com/library\n\ngo 1.22\n");
    space.write("library/library.go", "package library\n\nfunc Answer() int { return 42 }\n");
    space.write(
        "svc/go.mod",
        "module example.com/svc\n\ngo 1.22\n\nrequire example.com/library v0.0.0\n\nreplace example.com/library => ../library\n",
    );
    space.write(
        "svc/a_test.go",
        "package svc\n\nimport (\n\t\"testing\"\n\n\t\"example.com/library\"\n)\n\nfunc TestA(t *testing.T) {\n\tif library.Answer() != 42 {\n\t\tt.Fatal(\"wrong\")\n\t}\n}\n",
    );
    space.ok(&["test"]);
    assert!(space.ran(&["test"]).is_empty());
    space.replace("library/library.go", "42", "41");
    space.run(&["test"]).fails(1, &["wrong"]);
}

/// Gives files a time an hour ago, so that Go's index of packages would believe them.
fn written_an_hour_ago(space: &TestSpace, paths: &[&str], time: SystemTime) {
    for path in paths {
        let file = fs::File::options().write(true).open(space.root().join(path)).unwrap();
        file.set_modified(time).unwrap();
    }
}

/// Go's index believes size and time. It is kept away from the packages by a shield, or is off where there can be none.
#[test]
fn an_edit_of_the_same_size_with_the_time_put_back() {
    let one = "//go:build linux\n\npackage a\n\nconst N = 41\n";
    let other = "//go:build plan9\n\npackage a\n\nconst N = 42\n";
    let swapped = |text: &str| match text.contains("linux") {
        true => text.replace("linux", "plan9"),
        false => text.replace("plan9", "linux"),
    };
    let main = "package main\n\nimport (\n\t_ \"embed\"\n\n\t\"example.com/m/a\"\n)\n\nfunc main() { println(a.N) }\n";
    let embeds =
        format!("{main}\n//go:embed a/*\nvar S string\n").replace("S string", "S embed.FS").replace("_ \"", "\"");
    for (is_shielded, fields, main) in
        [(true, "", main), (false, ", env: {\"GODEBUG\": \"gotypesalias=1\"}", embeds.as_str())]
    {
        let files = [("a/one.go", one), ("a/two.go", other), ("main.go", main)];
        let space = space(fields, &files);
        let paths = ["a/one.go", "a/two.go", "main.go", "go.mod"];
        let time = SystemTime::now() - Duration::from_secs(3600);
        written_an_hour_ago(&space, &paths, time);
        let run = space.ok(&["m", "-v"]);
        let line = run.stderr.lines().find(|line| line.contains("go build ")).unwrap();
        assert_eq!(line.contains("-overlay="), is_shielded, "{line}");
        assert_eq!(line.contains("goindex=0"), !is_shielded, "{line}");
        assert_eq!(line.contains("gotypesalias=1"), !fields.is_empty(), "{line}");
        assert_eq!(printed(&space), "41");
        for (path, text) in files.iter().take(2) {
            space.write(path, &swapped(text));
        }
        written_an_hour_ago(&space, &paths, time);
        assert_eq!(printed(&space), "42", "{fields} {is_shielded}");
    }
}
