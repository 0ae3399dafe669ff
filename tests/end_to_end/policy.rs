//! `policy` of a `Push` and a `Release`: what must hold before something is sent, and that nothing is sent before. The
//! registries are real ones on loopback.

use crate::base_image::Registry;
use crate::bases_in_docker::examples;
use crate::push::pushing;
use crate::space::TestSpace;
use crate::versions::git;

/// A workspace with a repository that pushes an image of files, under a policy.
fn pushing_with(registry: &Registry, policy: &str) -> TestSpace {
    let space = pushing(registry, "Static", "[\"ADDRESS/team/app:1\"]");
    space.replace("build.ron", "refs: \"dist/refs.txt\"", &format!("refs: \"dist/refs.txt\", policy: {policy}"));
    space.write(".gitignore", "/dist\n/.rondel\n");
    git(&space, &["init", "--quiet", "--initial-branch=main"]);
    space
}

fn commit_all(space: &TestSpace) {
    git(space, &["add", "--all"]);
    git(space, &["commit", "--quiet", "--allow-empty", "-m", "more"]);
}

/// Returns the number of requests that change something in a registry.
fn writes(registry: &Registry) -> usize {
    registry.requests().iter().filter(|line| !line.starts_with("GET") && !line.starts_with("HEAD")).count()
}

#[test]
#[cfg_attr(not(has_registry), ignore = "no registry with crane")]
fn an_image_of_a_changed_tree_is_not_sent() {
    let place = TestSpace::empty();
    let registry = Registry::start(&place.beside("registry"));
    let space = pushing_with(&registry, "(clean_tree: true)");
    space.run(&["push"]).fails(3, &["`push` needs a clean tree, and git does not say which files the commit has"]);
    git(&space, &["add", ".gitignore", "build.ron", "own"]);
    git(&space, &["commit", "--quiet", "-m", "first"]);
    git(&space, &["add", "other"]);
    space.run(&["push"]).fails(
        2,
        &[
            "`push` needs a clean tree, and it is not that of the commit: `busybox` is not tracked, `other` is added, and not committed",
            "build.ron",
            "policy: (clean_tree: true)",
            "hint: commit or stash the changes (`git stash --include-untracked`)",
        ],
    );
    assert_eq!(writes(&registry), 0);
    commit_all(&space);
    space.ok(&["push"]);
    // What is pushed already is refused too: the answer is of now.
    let edits: [(&str, &dyn Fn()); 6] = [
        ("`own` is changed", &|| space.append("own", "more\n")),
        ("`README.md` is missing", &|| space.remove("README.md")),
        ("`build.ron` is changed", &|| space.append("build.ron", "\n")),
        ("`busybox` is ignored by git", &|| {
            git(&space, &["rm", "--quiet", "--cached", "busybox"]);
            space.append(".gitignore", "busybox\n");
            git(&space, &["add", ".gitignore"]);
            git(&space, &["commit", "--quiet", "-m", "ignored"]);
        }),
        ("`note.txt` is not tracked", &|| {
            space.write("note.txt", "a note\n");
            let attach = "attach: [Attachment(type: \"text/plain\", file: File(\"note.txt\"))], policy:";
            space.replace("build.ron", "policy:", attach);
            git(&space, &["add", "build.ron"]);
            git(&space, &["commit", "--quiet", "-m", "a document"]);
        }),
        ("`lib` is a submodule at another commit", &|| {
            let library = TestSpace::empty();
            library.write("file", "one\n");
            git(&library, &["init", "--quiet"]);
            commit_all(&library);
            let from = library.root().display().to_string();
            git(&space, &["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", &from, "lib"]);
            commit_all(&space);
            space.ok(&["push"]);
            crate::versions::git_in(&space.root().join("lib"), &["commit", "--quiet", "--allow-empty", "-m", "two"]);
        }),
    ];
    space.write("README.md", "# t\n");
    commit_all(&space);
    for (words, edit) in edits {
        edit();
        let before = writes(&registry);
        space.run(&["push"]).fails(2, &[words]);
        assert_eq!(writes(&registry), before, "{words}");
        git(&space, &["add", "--all", "--force", ":!dist", ":!.rondel"]);
        git(&space, &["commit", "--quiet", "--allow-empty", "-m", words]);
        space.ok(&["push"]);
    }
    // An untracked file that nothing reads is no change, and an output of this run is no source.
    space.write("notes/todo", "later\n");
    space.ok(&["push"]);
    for number in 0..7 {
        space.write(&format!("file-{number}"), "");
        git(&space, &["add", &format!("file-{number}")]);
    }
    space.run(&["push"]).fails(2, &["`file-4` is added, and not committed, and 2 more"]);
    assert!(space.ok(&["plan", "push"]).stdout.contains("push: clean tree"));
}

#[test]
#[cfg_attr(not(has_registry), ignore = "no registry with crane")]
fn an_image_that_is_not_proven_is_not_sent() {
    let place = TestSpace::empty();
    let registry = Registry::start(&place.beside("registry"));
    let space = pushing_with(&registry, "(verified: true), provenance: true").may_differ();
    space.replace("build.ron", "File(\"own\")", "Output(\"made\")");
    space.replace(
        "build.ron",
        "\"push\":",
        "\"made\": Shell(\"cat own > made\", inputs: [\"own\"], outputs: [\"made\"]), \"push\":",
    );
    let run = space.ok(&["push"]);
    let verifying = run.stderr.find("Verifying by a second build").expect(&run.stderr);
    assert!(verifying < run.stderr.find("Pushed").expect(&run.stderr), "{}", run.stderr);
    assert!(run.stderr.contains("Verified in ") && run.stderr.contains(": identical"), "{}", run.stderr);
    // It is known, and nothing is built again.
    let run = space.ok(&["push"]);
    assert!(run.stderr.contains("Verified push before") && !run.stderr.contains("Verifying"), "{}", run.stderr);
    // Another cache has no proof, whatever the registry has.
    let other = space.clone_elsewhere();
    assert!(other.ok(&["push"]).stderr.contains("Verifying by a second build"));
    // One platform of it.
    space.append("own", "more\n");
    assert!(space.ok(&["push", "--platform", "linux/arm64"]).stderr.contains("identical"));
    // What differs is not sent, and is named.
    space.replace("build.ron", "cat own > made", "date +%s%N > made");
    let before = writes(&registry);
    for _ in 0..2 {
        space.run(&["push"]).fails(4, &["Different made", "made"]);
    }
    assert_eq!(writes(&registry), before);
    // A step beside it runs once, though the run has two parts.
    space.replace("build.ron", "date +%s%N > made", "cat own own > made");
    space.replace(
        "build.ron",
        "\"push\":",
        "\"first\": Shell(\"echo first >> log\"), \"all\": Group([\"first\", \"push\", \"last\"], parallel: false), \"last\": Shell(\"echo last >> log\"), \"push\":",
    );
    space.ok(&["all"]);
    assert_eq!(space.read("log"), "first\nlast\n");
    space.replace("build.ron", "cat own own > made", "date +%s%N > made");
    space.run(&["all", "--keep-going"]).fails(4, &["Different made"]);
    assert_eq!(space.read("log"), "first\nlast\nfirst\n");
}

#[test]
fn a_release_of_a_changed_tree_does_not_count_as_done() {
    let space = TestSpace::small();
    let release = "\"rel\": Release(builds: [\"server\"], version: \"1.2.3\", gate: Off, archives: (files: [\"NEWS\"]), policy: (clean_tree: true)),";
    space.replace("build.ron", "\"image\":", &format!("{release}\n\"image\":"));
    space.write(".gitignore", "/dist\n/.rondel\nNEWS\n");
    space.write("NEWS", "none\n");
    git(&space, &["init", "--quiet"]);
    commit_all(&space);
    git(&space, &["tag", "v1.2.3"]);
    space.run(&["rel"]).fails(
        2,
        &[
            "`rel` needs a clean tree, and it is not that of the commit: `NEWS` is ignored by git",
            "`git add --force` it, or let a target make it",
        ],
    );
    assert!(!space.exists("dist/rel/artifacts.json"), "the list of all files comes last");
    let run = space.ok(&["rel", "--snapshot"]);
    assert!(run.stderr.contains("`clean_tree` of `rel` is not asked for with --snapshot"), "{}", run.stderr);
    git(&space, &["add", "--force", "NEWS"]);
    git(&space, &["commit", "--quiet", "-m", "news"]);
    git(&space, &["tag", "--force", "v1.2.3"]);
    space.ok(&["rel"]);
    assert!(space.exists("dist/rel/artifacts.json"));
}

/// The examples of docs/policies.md.
#[test]
#[cfg_attr(not(has_registry), ignore = "no registry with crane")]
fn the_examples_of_the_page_on_policies() {
    let place = TestSpace::empty();
    let registry = Registry::start(&place.beside("registry"));
    let blocks = examples("policies.md");
    let space = TestSpace::small();
    let head = space.read("build.ron");
    let head = head.split("    targets:").next().unwrap().replace(", \"linux/arm64\"", "");
    let push = blocks[0].replace("registry.example", &registry.address);
    space.write("build.ron", &format!("{head}    targets: {{\n{push}}},\n)\n"));
    space.write(".gitignore", "/dist\n/.rondel\n");
    git(&space, &["init", "--quiet"]);
    commit_all(&space);
    let run = space.ok(&["push"]);
    assert!(run.stderr.contains(": identical") && run.stderr.contains("/team/app:v1@sha256:"), "{}", run.stderr);
}
