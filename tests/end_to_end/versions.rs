//! `Git(Version)`: versions of commits with a tag and without, `--snapshot` and `--nightly`, held against a real history.

use std::path::Path;
use std::process::Command;

use expect_test::expect;

use crate::space::TestSpace;

/// git in the workspace at a fixed time; returns its output.
fn git(space: &TestSpace, arguments: &[&str]) -> String {
    git_in(&space.root(), arguments)
}

fn git_in(directory: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .args(["-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgSign=false"])
        .args(arguments)
        .current_dir(directory)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_AUTHOR_DATE", "2026-01-31T23:30:05-05:00")
        .env("GIT_COMMITTER_DATE", "2026-01-31T23:30:05-05:00")
        .output()
        .unwrap();
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// A repository with a target that writes its version into a file.
fn space(query: &str) -> TestSpace {
    let stamp =
        r#""stamp": Exec(command: ["sh", "-c", "echo $0 > stamp", "{version}"], inputs: [], outputs: ["stamp"])"#;
    let space = TestSpace::with_targets(stamp);
    space.replace("build.ron", "targets:", &format!("vars: {{\"version\": Git({query})}}, targets:"));
    space.write(".gitignore", "/stamp\n");
    git(&space, &["init", "--quiet", "--initial-branch=main"]);
    git(&space, &["add", "."]);
    commit(&space);
    space
}

fn commit(space: &TestSpace) {
    git(space, &["commit", "--quiet", "--allow-empty", "-m", "more"]);
}

/// The versions without an option, with `--snapshot` and with `--nightly`. The commit is left out.
fn versions(space: &TestSpace) -> String {
    let short = git(space, &["rev-parse", "HEAD"])[..7].to_owned();
    let of = |options: &[&str]| {
        let run = space.ok(&[&["stamp"], options].concat());
        let warnings: String = run.stderr.lines().filter(|line| line.starts_with("warning")).collect();
        space.read("stamp").trim().replace(&short, "[COMMIT]") + if warnings.is_empty() { "" } else { " (warned)" }
    };
    [of(&[]), of(&["--snapshot"]), of(&["--nightly"])].join(" ")
}

#[test]
fn versions_of_a_history() {
    let space = space("Version");
    let mut seen = Vec::new();
    let mut look = |what: &str| seen.push(format!("{what}: {}\n", versions(&space)));
    look("no tag");
    git(&space, &["tag", "other"]);
    git(&space, &["tag", "v1-beta"]);
    git(&space, &["tag", "cli/v7.0.0"]);
    look("no tag that is a version");
    git(&space, &["tag", "v1.2.3"]);
    git(&space, &["tag", "-a", "v1.2.3-rc.9", "-m", "x"]);
    look("v1.2.3, and another at the same commit");
    commit(&space);
    git(&space, &["tag", "-a", "v2021_nonsense", "-m", "x"]);
    look("the next commit, tagged with nonsense");
    git(&space, &["tag", "1.3.0-rc.1"]);
    look("a tag without v");
    commit(&space);
    commit(&space);
    look("two commits after a pre-release");
    git(&space, &["tag", "v1.3.0+linux.1"]);
    git(&space, &["pack-refs", "--all"]);
    look("a build");
    commit(&space);
    look("after a build");
    space.replace("build.ron", "Git(Version)", "Git(Version(prefix: \"cli/\", snapshot: \"{next_minor}-{date}.{commits}\", nightly: \"{version}-n-{short_commit}\"))");
    look("other forms");
    expect![[r#"
        no tag: 0.0.1-snapshot.1.g[COMMIT] 0.0.1-snapshot.1.g[COMMIT] 0.0.1-nightly.20260201
        no tag that is a version: 0.0.1-snapshot.1.g[COMMIT] 0.0.1-snapshot.1.g[COMMIT] 0.0.1-nightly.20260201
        v1.2.3, and another at the same commit: 1.2.3 1.2.4-snapshot.0.g[COMMIT] 1.2.4-nightly.20260201
        the next commit, tagged with nonsense: 1.2.4-snapshot.1.g[COMMIT] 1.2.4-snapshot.1.g[COMMIT] 1.2.4-nightly.20260201
        a tag without v: 1.3.0-rc.1 1.3.0-snapshot.0.g[COMMIT] 1.3.0-nightly.20260201 (warned)
        two commits after a pre-release: 1.3.0-snapshot.2.g[COMMIT] 1.3.0-snapshot.2.g[COMMIT] 1.3.0-nightly.20260201 (warned)
        a build: 1.3.0+linux.1 1.3.1-snapshot.0.g[COMMIT] 1.3.1-nightly.20260201
        after a build: 1.3.1-snapshot.1.g[COMMIT] 1.3.1-snapshot.1.g[COMMIT] 1.3.1-nightly.20260201
        other forms: 7.1.0-20260201.4 7.1.0-20260201.4 7.0.0-n-[COMMIT] (warned)
    "#]].assert_eq(&seen.concat());
}

#[test]
fn a_version_is_in_the_key_and_nothing_else_of_git() {
    let space = space("Version(snapshot: \"{next_patch}-snapshot\")");
    space.ok(&["stamp"]);
    assert!(space.ran(&["stamp"]).is_empty());
    // Another commit with the same version.
    commit(&space);
    assert!(space.ran(&["stamp"]).is_empty());
    git(&space, &["tag", "v1.0.0"]);
    assert_eq!(space.ran(&["stamp"]).len(), 1, "another version");
    assert_eq!(space.read("stamp"), "1.0.0\n");
    assert_eq!(space.ran(&["stamp", "--nightly"]).len(), 1, "another mode");
    assert_eq!(space.read("stamp"), "1.0.1-nightly.20260201\n");
    assert!(space.ran(&["stamp", "--nightly"]).is_empty());
}

#[test]
fn clones_and_copies() {
    let space = space("Version(nightly: \"{version}-nightly.{commits}\")");
    git(&space, &["tag", "v1.0.0"]);
    commit(&space);
    let shallow = space.beside("shallow");
    git_in(
        &space.root(),
        &["clone", "--quiet", "--depth=1", &format!("file://{}", space.root().display()), shallow.to_str().unwrap()],
    );
    let shown = space.command(&["show", "version"]).current_dir(&shallow).output().unwrap();
    let text = String::from_utf8_lossy(&shown.stdout).into_owned() + &String::from_utf8_lossy(&shown.stderr);
    // The tag is not in the clone, and the commits before it can't be counted.
    expect![[r#"
        version  no value  git has no answer here (this is a shallow clone: its commits can't be counted)
    "#]]
    .assert_eq(&text);
    let built = space.command(&["stamp"]).current_dir(&shallow).output().unwrap();
    expect![[r#"
        error: git has no answer here (this is a shallow clone: its commits can't be counted)

        hint: give a default: Git(Version(nightly: "{version}-nightly.{commits}"), "dev")
    "#]]
    .assert_eq(&String::from_utf8_lossy(&built.stderr));
}

#[test]
fn an_option_without_effect_is_refused() {
    let space = space("Describe");
    let run = space.run(&["stamp", "--nightly"]);
    expect![[r#"
        2
        error: `--nightly` changes nothing here: no version is `Git(Version)`

        hint: write `"version": Git(Version)` in `vars`, or leave the option out
    "#]]
    .assert_eq(&format!("{:?}\n{}", run.code, run.stderr));
    assert!(!space.exists("stamp"));
    let other = TestSpace::with_targets(r#""x": Group([])"#);
    other.replace("build.ron", "targets:", r#"vars: {"v": Git(Version(snapshot: "{next_patch}-{short_commit}", prefix: "-x", nightly: "{day}"))}, targets:"#);
    let run = other.run(&["show"]);
    expect![[r#"
        error: `1.2.4-0123456` would be no semantic version: `0123456` begins with 0
         --> build.ron:1:73
          |
        1 | project: "t", go: System, vars: {"v": Git(Version(snapshot: "{next_patch}-{short_commit}", prefix: "-x", nightly: "{day}"))}, targets: {"x":
          |                                                             ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^

        hint: a version has `{version}`, `{next_patch}`, `{next_minor}`, `{commits}`, `{commit}`, `{short_commit}`, `{date}` and any text that a semantic version can have

        error: a prefix of tags has letters, digits, `.`, `_`, `-` and `/`
         --> build.ron:1:112
          |
        1 | it(Version(snapshot: "{next_patch}-{short_commit}", prefix: "-x", nightly: "{day}"))}, targets: {"x": Group([])})
          |                                                             ^^^^

        hint: write "cli/" for tags like `cli/v1.2.3`

        error: `{day}` is no part of a version
         --> build.ron:1:127
          |
        1 | shot: "{next_patch}-{short_commit}", prefix: "-x", nightly: "{day}"))}, targets: {"x": Group([])})
          |                                                             ^^^^^^^

        hint: a version has `{version}`, `{next_patch}`, `{next_minor}`, `{commits}`, `{commit}`, `{short_commit}`, `{date}` and any text that a semantic version can have

        3 mistakes in build.ron; nothing was run
    "#]].assert_eq(&run.stderr);
}
