//! Inputs by addition: outputs of targets as inputs, arguments and variables; globs that count for nothing; what is
//! left out of `**`, and what is not.

use std::fs;
use std::os::unix::fs::symlink;

use crate::space::TestSpace;

const MODULE: &str = "module example.com/m\n\ngo 1.22\n";

/// Writes a module with one command, and build.ron with its target `server` and these others.
fn server_and(targets: &str) -> TestSpace {
    let space = TestSpace::small();
    space.write(
        "build.ron",
        &format!(
            r#"(format: 1, project: "small", go: Version("1.22.12"), platforms: ["linux/amd64"], targets: {{
                "server": GoBuild(packages: ["./cmd/small"]), {targets}
            }})"#
        ),
    );
    space
}

/// What `GoBuild` made is packed, whichever way it is named; an edit of the source packs the new one.
#[test]
fn what_a_target_made_is_an_input() {
    let place = "dist/server/linux_amd64/small";
    for fields in [
        r#"command: ["cp", Output("server"), "copy"], inputs: []"#,
        r#"command: ["cp", Output("server", "linux_amd64/small"), "copy"], inputs: []"#,
        r#"command: ["sh", "-c", "cp \"$SERVER\" copy"], inputs: [], env: {"SERVER": Output("server", "small")}"#,
        r#"command: ["cp", "dist/server/linux_amd64/small", "copy"], inputs: [Output("server")]"#,
        r#"command: ["cp", "dist/server/linux_amd64/small", "copy"], inputs: ["dist/server/**"], after: ["server"]"#,
    ] {
        let space = server_and(&format!(r#""pack": Exec({fields}, outputs: ["copy"])"#));
        for text in ["one", "two"] {
            space.write("greet/text/hello.txt", text);
            let plan = space.ok(&["plan", "pack"]).stdout;
            assert!(plan.contains("server") && plan.contains("pack"), "{plan}");
            space.ok(&["pack"]);
            assert!(space.bytes("copy") == space.bytes(place), "{fields}: not what `server` is now");
            assert!(space.ran(&["pack"]).is_empty(), "{fields}: up to date");
        }
    }
}

/// The path is of this machine, and not in the key: another checkout takes the result.
#[test]
fn the_path_of_an_output_is_absolute_and_not_keyed() {
    let targets = r#"
        "gen": Exec(command: ["sh", "-c", "mkdir -p gen/sub && cp in gen/sub/a"], inputs: ["in"], outputs: ["gen/"]),
        "use": Shell(script: "test -f \"$DIRECTORY/sub/a\"; test \"$FILE\" = \"$DIRECTORY/sub/a\"; cat \"$FILE\" > out", inputs: [],
            env: {"DIRECTORY": Output("gen"), "FILE": Output("gen", "sub/a")}, outputs: ["out"]),
        "show": Exec(command: ["echo", Output("gen", "sub/a")])"#;
    let mut other = TestSpace::with_targets(targets);
    let space = TestSpace::with_targets(targets);
    for space in [&space, &other] {
        space.write("in", "contents");
    }
    space.ok(&["use"]);
    assert_eq!(space.read("out"), "contents");
    let shown = space.ok(&["show"]).stderr;
    assert!(shown.contains(&format!("show | {}\n", space.root().join("gen/sub/a").display())), "{shown}");
    other.set("RONDEL_CACHE_DIR", &space.cache().display().to_string());
    let outcomes = other.outcomes(&["use"]);
    assert_eq!(outcomes.get("use").map(String::as_str), Some("cached"), "{outcomes:?}");
    // Another content is another key, and `why` names what it is.
    space.write("in", "other");
    let ran = space.ran(&["use"]);
    assert!(ran["use"].contains("gen/sub/a"), "{ran:?}");
    assert_eq!(space.read("out"), "other");
    let graph = space.ok(&["graph", "use", "--format", "json"]).stdout;
    assert!(graph.contains(r#""kind":"input""#), "{graph}");
}

/// A file that another target makes counts with what it holds, also for a glob that does not wait for it.
#[test]
fn a_glob_sees_what_others_made() {
    let space = TestSpace::with_targets(
        r#""gen": Shell(script: "cp in gen/n.txt", inputs: ["in"], outputs: ["gen/n.txt"]),
           "sum": Shell(script: "cat gen/* > sum.txt", inputs: ["gen/*"], outputs: ["sum.txt"]),
           "ordered": Shell(script: "cat gen/* > ordered.txt", inputs: ["gen/*"], outputs: ["ordered.txt"], after: ["gen"])"#,
    );
    space.write("gen/by-hand.txt", "-");
    for text in ["41", "99"] {
        space.write("in", text);
        space.ok(&["gen"]);
        space.ok(&["sum"]);
        assert_eq!(space.read("sum.txt"), format!("-{text}"));
    }
    // In one run, nothing says which is first: that is said.
    space.write("in", "7");
    let run = space.ok(&["gen", "sum", "-j1"]);
    assert!(run.stderr.contains("`sum` reads `gen/n.txt`, which `gen` makes in the same run"), "{}", run.stderr);
    space.ok(&["sum"]);
    assert_eq!(space.read("sum.txt"), "-7");
    let run = space.ok(&["gen", "ordered"]);
    assert!(!run.stderr.contains("warning"), "{}", run.stderr);
    // A copy of the tree has what is an input without a word of who makes it.
    assert_eq!(space.audit_all(&[]).into_iter().collect::<Vec<_>>(), ["gen", "ordered", "sum"]);
}

/// `dist` and `target` are directories like others; only what Rondel makes there is left out.
#[test]
fn directories_of_the_user_count_whatever_their_names() {
    let space = server_and(
        r#""list": Exec(command: ["sh", "-c", "cat dist/hand.txt target/t.txt > list.txt"], inputs: ["**", "!**/*.go"], outputs: ["list.txt"])"#,
    );
    space.write("dist/hand.txt", "a");
    space.write("target/t.txt", "b");
    space.ok(&["list"]);
    for path in ["dist/hand.txt", "target/t.txt"] {
        space.write(path, "changed");
        assert_eq!(space.ran(&["list"]).get("list").map(String::as_str), Some(&*format!("{path} changed")));
    }
    // What Rondel makes is no reason: neither an executable in `dist` nor the own output.
    space.ok(&["server"]);
    assert!(space.exists("dist/server/linux_amd64/small"));
    assert!(space.ran(&["list"]).is_empty());
}

/// The cache is no input, wherever it lies in the tree, and however it is named.
#[test]
fn a_cache_in_the_tree_is_no_input() {
    let named_by_links = [("real/cache", Some("named")), ("deep/real/cache", Some("deep/link"))];
    for (cache, link) in [(".cache/rondel", None)].into_iter().chain(named_by_links) {
        let mut space = TestSpace::with_targets(
            r#""count": Shell(script: "echo ran >> ../log; cat in > out", inputs: ["**"], outputs: ["out"])"#,
        );
        space.write("in", "1");
        let named = match link {
            Some(link) => {
                let parent = space.root().join(cache).parent().unwrap().to_owned();
                fs::create_dir_all(&parent).unwrap();
                symlink(parent, space.root().join(link)).unwrap();
                format!("{link}/cache")
            }
            None => cache.to_owned(),
        };
        for directory in [named.clone(), space.root().join(&named).display().to_string()] {
            space.set("RONDEL_CACHE_DIR", &directory);
            space.ok(&["count", "--force"]);
            space.ok(&["count"]);
            assert!(space.root().join(cache).join("v2").is_dir(), "the cache is where it should be");
            let ran = space.ran(&["count"]);
            assert!(ran.is_empty(), "{directory}: {ran:?}");
        }
    }
}

/// An input that counts for nothing is refused before the command runs, with what is near.
#[test]
fn an_input_that_counts_for_nothing_is_refused() {
    for (glob, message, hint) in [
        ("src", "the input `src` counts for nothing: `src` is a directory", "write \"src/**\""),
        ("src/", "`src` is a directory", "write \"src/**\""),
        ("srcc/a.txt", "there is no `srcc`", "did you mean `src/a.txt`?"),
        ("srcc/**", "there is no `srcc`", "did you mean `src/**`?"),
        ("../x/**", "`../x/**` leaves the root", "paths are relative to `root`"),
        ("link/**", "`link` is a link", "name the directory itself: `src`"),
        (
            "dist/server/**",
            "is an output of `server`",
            "write `Output(\"server\")` in its place, or add `after: [\"server\"]`",
        ),
        ("**/*.md", "no file matches", "globs are relative to `root`"),
    ] {
        let space = TestSpace::with_targets(&format!(
            r#""server": GoBuild(packages: ["."]), "x": Exec(command: ["cp", "src/a.txt", "out.txt"], inputs: ["{glob}"], outputs: ["out.txt"])"#
        ));
        space.write("go.mod", MODULE);
        space.write("src/a.txt", "1");
        symlink("src", space.root().join("link")).unwrap();
        space.run(&["x"]).fails(2, &[message, hint]);
        assert!(!space.exists("out.txt"), "{glob}: the command ran");
    }
    let space = TestSpace::with_targets(
        r#""x": Exec(command: ["cp", "src/a.txt", "out.txt"], inputs: ["src/**", "!nothing/**"], outputs: ["out.txt"])"#,
    );
    space.write("src/a.txt", "1");
    space.ok(&["x"]);
}

/// A test gets the path of what another target makes, and runs again when that changes.
#[test]
fn a_test_reads_what_a_target_made() {
    let space = server_and(
        r#""test": GoTest(packages: ["./it"], inputs: ["it/*", "go.mod", Output("server")], env: {"SERVER": Output("server")})"#,
    );
    space.write(
        "it/it_test.go",
        "package it\n\nimport (\n\t\"os\"\n\t\"testing\"\n)\n\nfunc TestServer(t *testing.T) {\n\tif _, err := os.Stat(os.Getenv(\"SERVER\")); err != nil {\n\t\tt.Fatal(err)\n\t}\n}\n",
    );
    let ran = space.ran(&["test"]);
    assert!(ran.keys().any(|step| step.starts_with("test")), "{ran:?}");
    assert!(space.ran(&["test"]).is_empty());
    space.write("greet/text/hello.txt", "changed");
    let ran = space.ran(&["test"]);
    assert!(ran.keys().any(|step| step.starts_with("test")), "{ran:?}");
}
