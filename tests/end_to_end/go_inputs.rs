//! Inputs of Go builds that the small module alone does not have: workspaces, vendored and replaced modules,
//! generated files, names of another case, and a module cache that somebody edited.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::space::{TestSpace, shared_cache};

const SERVER: &str = "server (linux/amd64)";

fn why(space: &TestSpace) -> Option<String> {
    space.ran(&["server"]).get(SERVER).cloned()
}

fn printed(space: &TestSpace) -> String {
    let output = Command::new(space.root().join("dist/server/linux_amd64/small")).output().unwrap();
    String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap()
}

/// A second module in the tree, which the first one imports.
fn with_library(go_mod: &str) -> TestSpace {
    let space = TestSpace::small();
    space.write("library/go.mod", "module example.com/library\n\ngo 1.22\n");
    space.write("library/library.go", "package library\n\nfunc init() { println(1) }\n");
    space.write("library/unused/unused.go", "package unused\n");
    space.replace("cmd/small/main.go", "\"fmt\"", "\"fmt\"\n\n\t_ \"example.com/library\"");
    space.append("go.mod", go_mod);
    space
}

#[test]
fn a_go_work_counts_where_it_is_declared() {
    let space = with_library("");
    space.write("go.work", "go 1.22\n\nuse (\n\t.\n\t./library\n)\n");
    // Not declared, it is not used, and that is said.
    let run = space.run(&["server"]);
    run.fails(1, &["example.com/library", "`go.work` is not used; `go_work:"]);
    space.replace("build.ron", "project:", "go_work: \"go.work\", project:");
    space.ok(&["server"]);
    assert_eq!(why(&space), None);
    space.write("library/unused/unused.go", "package unused\n\nconst X = 1\n");
    assert_eq!(why(&space), None, "a package outside of the closure");
    space.write("library/library.go", "package library\n\nfunc init() { println(2) }\n");
    assert_eq!(why(&space).as_deref(), Some("library/library.go changed"));
    assert!(printed(&space).contains('2'));
    space.append("library/go.mod", "\n// a comment\n");
    assert_eq!(why(&space).as_deref(), Some("library/go.mod changed"));
    space.append("go.work", "\n// a comment\n");
    assert_eq!(why(&space).as_deref(), Some("go.work changed"));
    // A module that is only listed counts by its go.mod.
    space.write("third/go.mod", "module example.com/third\n\ngo 1.22\n");
    space.write("third/third.go", "package third\n");
    assert_eq!(why(&space), None);
    space.replace("go.work", "./library\n", "./library\n\t./third\n");
    assert!(why(&space).is_some());
    space.append("third/third.go", "\nconst X = 1\n");
    assert_eq!(why(&space), None);
    space.append("third/go.mod", "\n// a comment\n");
    assert_eq!(why(&space).as_deref(), Some("third/go.mod changed"));
    space.replace("build.ron", "go_work: \"go.work\"", "go_work: \"nowhere/go.work\"");
    space.run(&["server"]).fails(2, &["there is no `nowhere/go.work`", "-->"]);
}

/// Inside the root and outside of it: its packages in the closure and its go.mod count, nothing else.
#[test]
fn a_replaced_module_counts_wherever_it_is() {
    for (place, name) in [("library", "library"), ("../library", "@up/library")] {
        let replace = if place.starts_with('.') { place.to_owned() } else { format!("./{place}") };
        let space = with_library(&format!(
            "\nrequire example.com/library v0.0.0\n\nreplace example.com/library => {replace}\n"
        ));
        if place != "library" {
            fs::rename(space.root().join("library"), space.root().join(place)).unwrap();
        }
        space.ok(&["server"]);
        assert_eq!(why(&space), None);
        space.append(&format!("{place}/unused/unused.go"), "\nconst X = 1\n");
        space.write(&format!("{place}/library_test.go"), "package library\n");
        assert_eq!(why(&space), None, "{name}");
        space.write(&format!("{place}/library.go"), "package library\n\nfunc init() { println(2) }\n");
        assert_eq!(why(&space), Some(format!("{name}/library.go changed")));
        space.append(&format!("{place}/go.mod"), "\n// a comment\n");
        assert_eq!(why(&space), Some(format!("{name}/go.mod changed")));
    }
}

#[test]
fn vendored_modules_count() {
    let space = with_library("\nrequire example.com/library v0.0.0\n\nreplace example.com/library => ./library\n");
    space.ok(&["server"]);
    let go = shared_cache().join("go/toolchains/go1.22.12.linux-amd64/sdk/bin/go");
    let output = Command::new(go)
        .args(["mod", "vendor"])
        .current_dir(space.root())
        .env("GOFLAGS", "-mod=mod")
        .env("GOTOOLCHAIN", "local")
        .env("GOWORK", "off")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(why(&space).is_some(), "vendor/ appeared");
    assert_eq!(why(&space), None);
    // Now what is vendored is what is built.
    space.write("library/library.go", "package library\n\nfunc init() { println(2) }\n");
    assert_eq!(why(&space), None);
    space.write("vendor/example.com/library/library.go", "package library\n\nfunc init() { println(3) }\n");
    assert_eq!(why(&space).as_deref(), Some("vendor/example.com/library/library.go changed"));
    assert!(printed(&space).contains('3'));
    space.append("vendor/modules.txt", "# a comment\n");
    assert_eq!(why(&space).as_deref(), Some("vendor/modules.txt changed"));
}

#[test]
fn a_new_directory_that_an_embed_pattern_matches() {
    let space = TestSpace::small();
    space.replace("greet/greet.go", "//go:embed text/*.txt", "//go:embed text/*.txt all:assets */deep/*.css");
    space.write("greet/assets/one.js", "1\n");
    space.write("greet/x/deep/one.css", "1\n");
    space.ok(&["server"]);
    assert_eq!(why(&space), None);
    space.write("greet/assets/new/two.js", "2\n");
    assert_eq!(why(&space).as_deref(), Some("greet/assets/new/two.js is new"));
    space.write("greet/y/deep/two.css", "2\n");
    assert_eq!(why(&space).as_deref(), Some("greet/y/deep/two.css is new"));
    space.write("greet/assets/.hidden", "`all:` takes it\n");
    assert_eq!(why(&space).as_deref(), Some("greet/assets/.hidden is new"));
    space.write("greet/y/shallow.css", "no match\n");
    space.write("greet/z/other/three.css", "no match\n");
    assert_eq!(why(&space), None);
    space.remove("greet/assets/new");
    assert_eq!(why(&space).as_deref(), Some("greet/assets/new/two.js is gone"));
}

/// Results of one platform come beside a package that embeds by name while that for another platform is compiled.
#[test]
fn a_name_that_is_embedded_watches_no_other_names() {
    let space = TestSpace::small();
    space.replace("build.ron", "ldflags:", "out: \"greet/out\", ldflags:");
    space.replace("greet/greet.go", "//go:embed text/*.txt", "//go:embed text/hello.txt");
    let run = space.ok(&["server", "--all-platforms"]);
    assert!(!run.stderr.contains("warning"), "{}", run.stderr);
    space.write("greet/notes.txt", "no match\n");
    space.write("greet/text/other.txt", "no match\n");
    assert!(space.ran(&["server", "--all-platforms"]).is_empty());
    // A module on the way is refused, and so is a link.
    space.write("greet/text/go.mod", "module example.com/text\n");
    space.run(&["server"]).fails(1, &["cannot embed"]);
    space.remove("greet/text/go.mod");
    space.ok(&["server"]);
    fs::rename(space.root().join("greet/text"), space.root().join("greet/elsewhere")).unwrap();
    std::os::unix::fs::symlink("elsewhere", space.root().join("greet/text")).unwrap();
    space.run(&["server"]).fails(1, &["embed"]);
}

#[test]
fn a_removed_file_and_one_renamed_by_case() {
    let space = TestSpace::small();
    space.write("greet/Extra.go", "package greet\n\nfunc init() { println(1) }\n");
    space.write("greet/text/A.txt", "a\n");
    space.ok(&["server"]);
    let binary = space.bytes("dist/server/linux_amd64/small");
    fs::rename(space.root().join("greet/Extra.go"), space.root().join("greet/extra.go")).unwrap();
    assert!(why(&space).is_some_and(|why| why.contains("xtra.go")));
    fs::rename(space.root().join("greet/text/A.txt"), space.root().join("greet/text/a.txt")).unwrap();
    assert!(why(&space).is_some_and(|why| why.contains("greet/text/")));
    assert!(binary != space.bytes("dist/server/linux_amd64/small"), "the embedded name is in the binary");
    space.write("greet/more.go", "package greet\n\nfunc init() { println(77) }\n");
    assert_eq!(why(&space).as_deref(), Some("greet/more.go is new"));
    assert!(printed(&space).contains("77"));
    space.remove("greet/more.go");
    space.write("greet/extra.go", "package greet\n");
    assert!(why(&space).is_some());
    assert!(!printed(&space).contains("77"));
}

#[test]
fn a_file_that_another_target_writes_into_the_tree() {
    let space = TestSpace::small();
    let generator = |after: &str| {
        format!(
            "\"gen\": Exec(command: [\"cp\", \"deploy/gen.txt\", \"greet/gen.go\"], inputs: [\"deploy/gen.txt\"], outputs: [\"greet/gen.go\"]),\n        \"server\": GoBuild({after}"
        )
    };
    space.write("deploy/gen.txt", "package greet\n\nfunc init() { println(1) }\n");
    space.replace("build.ron", "\"server\": GoBuild(", &generator("after: [\"gen\"], "));
    space.ok(&["server"]);
    assert!(printed(&space).contains('1'), "made, then read");
    assert!(space.ran(&["image", "server"]).keys().all(|step| step.starts_with("image")));
    space.write("deploy/gen.txt", "package greet\n\nfunc init() { println(2) }\n");
    let ran = space.ran(&["server"]);
    assert_eq!(ran["gen"], "deploy/gen.txt changed");
    assert_eq!(ran[SERVER], "greet/gen.go changed");
    assert!(printed(&space).contains('2'));
    // Deleted or edited by hand, it is put back first.
    space.remove("greet/gen.go");
    assert_eq!(why(&space), None);
    space.write("greet/gen.go", "package greet\n");
    assert_eq!(why(&space), None);
    // A comment in what it is made from: the same bytes, and nothing more runs.
    space.append("build.ron", "// a comment\n");
    assert!(space.ran(&["server"]).is_empty());
    // Not waited for, but made in the same run: a race, which is refused; in another run it is a file like others.
    space.replace("build.ron", "after: [\"gen\"], ", "");
    space.ok(&["server"]);
    space
        .run(&["gen", "server"])
        .fails(2, &["reads `greet/gen.go`, which `gen` makes in the same run", "hint: write `after: [\"gen\"]`"]);
}

/// A step that reads what another one made in the tree, and waits for it, is keyed by it.
#[test]
fn commands_in_a_chain_see_each_others_outputs() {
    let space = TestSpace::with_targets(
        r#""one": Exec(command: ["cp", "in", "a/middle"], inputs: ["in"], outputs: ["a/middle"]),
           "two": Exec(command: ["cp", "a/middle", "out"], inputs: ["a/*"], outputs: ["out"], after: ["one"])"#,
    );
    space.write("in", "one\n");
    space.ok(&["two"]);
    assert!(space.ran(&["two"]).is_empty());
    space.write("in", "two\n");
    let ran = space.ran(&["two"]);
    assert_eq!((ran.len(), ran["two"].as_str(), space.read("out").as_str()), (2, "a/middle changed", "two\n"));
}

/// The sample service with a module cache of its own, and the directory of a module in it.
fn with_modules() -> (TestSpace, PathBuf) {
    let space = TestSpace::empty().with_shared_toolchain();
    fs::create_dir_all(space.root()).unwrap();
    for (path, text) in [
        ("go.mod", "module example.com/x\n\ngo 1.22\n\nrequire github.com/go-chi/chi/v5 v5.2.1\n"),
        (
            "go.sum",
            "github.com/go-chi/chi/v5 v5.2.1 h1:KOIHODQj58PmL80G2Eak4WdvUzjSJSm0vG72crDCqb8=\ngithub.com/go-chi/chi/v5 v5.2.1/go.mod h1:L2yAIGWB3H+phAw1NxKwWM+7eUH/lU8pOMm5hHcoops=\n",
        ),
        ("main.go", "package main\n\nimport \"github.com/go-chi/chi/v5\"\n\nfunc main() { chi.NewRouter() }\n"),
        (
            "build.ron",
            "(format: 1, project: \"x\", go: Version(\"1.22.12\"), targets: {\"server\": GoBuild(packages: [\".\"])})",
        ),
    ] {
        space.write(path, text);
    }
    space.write("build.lock", &fs::read_to_string(crate::space::repository().join("build.lock")).unwrap());
    let module = space.cache().join("go/mod/github.com/go-chi/chi/v5@v5.2.1");
    (space, module)
}

/// As an attacker, or a developer with a debugger, would.
fn edit(module: &std::path::Path) {
    let file = module.join("chi.go");
    let _ = Command::new("chmod").args(["-R", "u+w"]).arg(module).status();
    fs::write(&file, fs::read_to_string(&file).unwrap() + "\nfunc init() { println(\"tampered\") }\n").unwrap();
}

#[test]
fn a_module_cache_that_was_edited_is_found() {
    let (space, module) = with_modules();
    space.ok(&["server", "--locked"]);
    let clean = space.bytes("dist/server/linux_amd64/x");
    edit(&module);
    // Nothing has to be built: nothing is read from there.
    assert!(space.ran(&["server", "--locked"]).is_empty());
    space.append("main.go", "\nfunc init() { println(1) }\n");
    let run = space.run(&["server", "--locked"]);
    run.fails(
        3,
        &[
            "`github.com/go-chi/chi/v5@v5.2.1` in the module cache was changed after it was downloaded",
            "go.sum: h1:KOIHODQj",
            "found:  h1:",
            "hint: nothing was built from it",
        ],
    );
    assert!(clean == space.bytes("dist/server/linux_amd64/x"), "the former output stands");
    // Without --locked it is fetched again, and said.
    let run = space.ok(&["server"]);
    assert!(run.stderr.contains("it is fetched again"), "{}", run.stderr);
    let output = Command::new(space.root().join("dist/server/linux_amd64/x")).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "1\n");
    space.append("main.go", "\n// more\n");
    space.ok(&["server", "--locked"]);
    // An added file counts too.
    let _ = Command::new("chmod").args(["-R", "u+w"]).arg(&module).status();
    fs::write(module.join("planted.go"), "package chi\n").unwrap();
    space.append("main.go", "\n// and more\n");
    space.run(&["server", "--locked"]).fails(3, &["was changed after it was downloaded"]);
}

/// A source file that is edited after `go list` has read it and before Rondel does: the package that it imports from
/// then on is an input all the same.
#[test]
#[cfg_attr(not(has_x86_64_linux), ignore = "no x86-64 Linux")]
fn an_import_that_comes_while_go_list_runs() {
    let mut space = TestSpace::small();
    let script = r##"case "$1" in list) ;; *) exec "$REAL_GO" "$@";; esac
"$REAL_GO" "$@" > ../listed || exit
if [ ! -e ../edited ]; then
    touch ../edited
    sed -i 's#^\t"fmt"#\t"fmt"\n\n\t_ "example.com/small/late"#' cmd/small/main.go
fi
cat ../listed"##;
    space.wrap_go(script);
    space.write("late/late.go", "package late\n\nfunc init() { println(\"one\") }\n");
    space.ok(&["server"]);
    assert!(space.read("cmd/small/main.go").contains("small/late"), "the script did not edit");
    space.write("late/late.go", "package late\n\nfunc init() { println(\"two\") }\n");
    assert_eq!(space.ran(&["server"])["server (linux/amd64)"], "late/late.go changed");
}

/// `go vet` looks at tests and at the constraints of excluded files, and at nothing else outside of the closure.
#[test]
fn go_vet_runs_when_what_it_reads_has_changed() {
    let space = TestSpace::small();
    space.write("greet/greet_test.go", "package greet\n\nimport \"testing\"\n\nfunc TestX(t *testing.T) { _ = t }\n");
    space.write("greet/other.go", "//go:build windows\n\npackage greet\n");
    space.replace("build.ron", "targets: {", "targets: {\"vet\": GoVet(packages: [\"./greet\"]),");
    let why = || space.ran(&["vet"]).get("vet (linux/amd64)").cloned();
    assert!(why().is_some());
    assert_eq!(why(), None);
    // Neither a document nor a package that the vetted one does not import.
    space.write("README.md", "x\n");
    space.append("cmd/small/main.go", "\nconst unused = 1\n");
    assert_eq!(why(), None);
    space.append("greet/greet.go", "\nconst unused = 1\n");
    assert_eq!(why().as_deref(), Some("greet/greet.go changed"));
    space.append("greet/greet_test.go", "\nconst unusedToo = 1\n");
    assert_eq!(why().as_deref(), Some("greet/greet_test.go changed"));
    // A file of another platform is parsed for its constraint.
    space.write("greet/other.go", "//go:build windows &&\n\npackage greet\n");
    space.run(&["vet"]).fails(1, &["other.go"]);
    space.write("greet/other.go", "//go:build windows\n\npackage greet\n");
    assert_eq!(why(), None, "what was vetted before is known");
    // What vet finds is an error, unless its analyzer is left out.
    space.append("greet/greet.go", "\nfunc wrong() { println(); for { break }; var x int; x = x }\n");
    space.run(&["vet"]).fails(1, &["self-assignment of x"]);
    space.replace(
        "build.ron",
        "GoVet(packages: [\"./greet\"]",
        "GoVet(packages: [\"./greet\"], analyzers: [\"!assign\"]",
    );
    assert!(why().is_some());
    assert_eq!(why(), None);
}
