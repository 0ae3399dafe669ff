//! What runs after which edit, and what does not.

use std::collections::BTreeMap;

use expect_test::expect;

use crate::space::TestSpace;

const SERVER: &str = "server (linux/amd64)";

fn built() -> TestSpace {
    let space = TestSpace::small();
    space.ok(&["image"]);
    space
}

/// Expects that only the server and what follows from it ran, and why.
fn check_reason(ran: &BTreeMap<String, String>, reason: &str) {
    assert_eq!(ran.get(SERVER).map(String::as_str), Some(reason), "{ran:?}");
}

/// The server runs; its bytes are the same; the image does not run. Other bytes make another image.
#[test]
fn a_comment_stops_at_the_server() {
    let space = built();
    let before = space.bytes("dist/server/linux_amd64/small");
    for path in ["greet/greet.go", "cmd/small/main.go"] {
        space.append(path, "\n// a comment\n");
        let ran = space.ran(&["image"]);
        check_reason(&ran, &format!("{path} changed"));
        assert_eq!(ran.len(), 1, "{ran:?}");
        assert!(before == space.bytes("dist/server/linux_amd64/small"), "{path}");
    }
    space.replace("greet/greet.go", "return string(bytes)", "return string(bytes) + \"!\"");
    space.ok(&["image"]).check(expect![[r#"
        --- stderr
             Running server: greet/greet.go changed
                Done server in [T]
             Running image: layer `outputs` (linux/amd64) was rebuilt, diff ID 2 of linux/amd64 changed from `[DIGEST]` to `[DIGEST]`
                Done image in [T]
          Not needed image: docker: no Docker daemon is reachable
               Image image [DIGEST] [SIZE] linux/amd64
                     rondel-test-small:latest
            Platform linux/amd64; 1 more with --all-platforms
            Finished in [T]: 2 ran, 0 up to date
    "#]]);
}

#[test]
fn what_is_no_input_runs_nothing() {
    let mut space = built();
    let log = space.record_programs(&["go"]);
    space.append("README.md", "more\n");
    space.append("greet/greet_test.go", "\nfunc TestOther(t *testing.T) {}\n");
    space.write("greet/new_test.go", "package greet\n");
    space.append("cmd/other/main.go", "\nfunc unused() {}\n");
    space.write("unrelated/x.go", "package unrelated\n");
    space.write("greet/notes.txt", "not embedded\n");
    space.write("greet/_ignored.go", "package nonsense\n");
    let ran = space.ran(&["image"]);
    assert!(ran.is_empty(), "{ran:?}");
    assert!(!log.exists(), "go was started");
}

#[test]
fn an_embedded_file_that_git_ignores_counts() {
    let space = built();
    space.write(".gitignore", "greet/text/\n");
    assert!(space.ran(&["image"]).is_empty());
    space.write("greet/text/hello.txt", "changed\n");
    check_reason(&space.ran(&["image"]), "greet/text/hello.txt changed");
    // A new file that the pattern matches, and one that goes.
    space.write("greet/text/new.txt", "new\n");
    check_reason(&space.ran(&["image"]), "greet/text/new.txt is new");
    space.remove("greet/text/new.txt");
    assert!(space.ran(&["image"]).keys().all(|step| !step.contains("layer")), "the former binary is known");
}

#[test]
fn a_new_file_of_the_package_counts() {
    let space = built();
    space.write("greet/more.go", "package greet\n\nfunc init() { println(\"more\") }\n");
    check_reason(&space.ran(&["image"]), "greet/more.go is new");
    space.remove("greet/more.go");
    let outcomes = space.outcomes(&["image"]);
    assert_eq!(outcomes[SERVER], "cached", "the former result is restored: {outcomes:?}");
}

#[test]
fn files_for_other_platforms_do_not_count() {
    let space = built();
    space.write("greet/only_windows.go", "package greet\n\nfunc other() {}\n");
    space.write("greet/tagged.go", "//go:build never\n\npackage greet\n");
    assert!(!space.ran(&["image"]).contains_key(SERVER));
    space.write("greet/only_linux.go", "package greet\n\nfunc init() { println(1) }\n");
    check_reason(&space.ran(&["image"]), "greet/only_linux.go is new");
}

#[test]
fn an_import_that_appears_brings_its_package() {
    let space = built();
    space.write("extra/extra.go", "package extra\n\nfunc init() { println(1) }\n");
    assert!(space.ran(&["image"]).is_empty());
    space.replace("cmd/small/main.go", "\"fmt\"", "\"fmt\"\n\n\t_ \"example.com/small/extra\"");
    assert!(space.ran(&["image"]).contains_key(SERVER));
    space.append("extra/extra.go", "\nfunc init() { println(2) }\n");
    check_reason(&space.ran(&["image"]), "extra/extra.go changed");
}

#[test]
fn assembly_profile_and_go_mod_count() {
    let space = built();
    space.write("cmd/small/default.pgo", "");
    check_reason(&space.ran(&["server"]), "cmd/small/default.pgo is new");
    space.remove("cmd/small/default.pgo");
    assert!(space.ran(&["server"]).is_empty());
    space.write("greet/nothing.s", "// assembly needs a declaration, and an empty file is one too\n");
    check_reason(&space.ran(&["server"]), "greet/nothing.s is new");
    space.remove("greet/nothing.s");
    space.append("go.mod", "\n// a comment\n");
    check_reason(&space.ran(&["server"]), "go.mod changed");
}

#[test]
fn a_linked_file_counts_by_what_it_leads_to() {
    let space = TestSpace::small();
    space.write("elsewhere/real.go.txt", "package greet\n\nfunc init() { println(1) }\n");
    std::os::unix::fs::symlink("../elsewhere/real.go.txt", space.root().join("greet/linked.go")).unwrap();
    space.ok(&["image"]);
    space.replace("elsewhere/real.go.txt", "1", "2");
    let ran = space.ran(&["image"]);
    assert!(ran[SERVER].starts_with("greet/linked.go"), "{ran:?}");
}

#[test]
fn arguments_variables_and_toolchain_count() {
    let space = built();
    let ran = space.ran(&["image", "--set", "version=v2"]);
    assert_eq!(ran[SERVER], "arguments changed from `main.version=v1` to `main.version=v2`");
    space.replace("build.ron", "\"-s\", \"-w\"", "\"-s\"");
    assert!(space.ran(&["server"]).contains_key(SERVER));
    space.replace("build.ron", "packages: [\"./cmd/small\"],", "packages: [\"./cmd/small\"], tags: [\"x\"],");
    assert!(space.ran(&["server"]).contains_key(SERVER));
    space.replace("build.ron", "tags: [\"x\"],", "tags: [\"x\"], env: {\"GOAMD64\": \"v2\"},");
    assert_eq!(space.ran(&["server"])[SERVER], "GOAMD64 changed from `v1` to `v2`");
    space.replace("build.ron", "tags: [\"x\"],", "tags: [\"x\"], gcflags: [\"all=-l\"],");
    assert!(space.ran(&["server"]).contains_key(SERVER));
}

#[test]
fn files_of_the_image_count_and_its_settings_too() {
    let space = built();
    space.append("deploy/readme.txt", "more\n");
    let ran = space.ran(&["image"]);
    assert_eq!(ran["image: layer files"], "deploy/readme.txt changed");
    assert!(ran.contains_key("image") && !ran.contains_key(SERVER), "{ran:?}");
    for (from, to) in [
        ("tags: [", "user: \"1:1\", tags: ["),
        ("tags: [", "env: {\"A\": \"b\"}, tags: ["),
        ("tags: [", "labels: {\"a\": \"b\"}, tags: ["),
        ("tags: [", "ports: [\"80/tcp\"], tags: ["),
        ("tags: [", "workdir: \"/app\", tags: ["),
        ("tags: [", "cmd: [\"x\"], entrypoint: [\"/app/small\"], tags: ["),
        (":latest\"", ":other\""),
    ] {
        space.replace("build.ron", from, to);
        let ran = space.ran(&["image"]);
        assert_eq!(ran.keys().collect::<Vec<_>>(), ["image"], "{to}");
    }
}

#[test]
fn the_tests_run_when_their_files_change_and_not_for_others() {
    let space = TestSpace::small();
    space.ok(&["test"]);
    assert!(space.ran(&["test"]).is_empty());
    space.append("greet/greet_test.go", "\nfunc TestMore(t *testing.T) {}\n");
    assert_eq!(space.ran(&["test"])["test"], "greet/greet_test.go changed");
    space.append("README.md", "no test reads this\n");
    assert!(space.ran(&["test"]).is_empty());
}

#[test]
fn a_platform_is_restored_from_the_cache() {
    let space = built();
    space.ok(&["image", "--all-platforms"]);
    space.remove("dist");
    space.remove(".rondel/out");
    let run = space.ok(&["--events", "json", "server", "--all-platforms"]);
    let restored = run.events().iter().filter(|event| event["restored"] == true).count();
    assert_eq!(restored, 2, "{}", run.stdout);
}
