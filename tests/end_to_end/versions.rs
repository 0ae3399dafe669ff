//! `Git(Version)`: versions of commits with a tag and without, `--snapshot` and `--nightly`, held against a real history.

use std::path::Path;
use std::process::Command;

use expect_test::expect;

use crate::space::{TestSpace, repository};

/// git in the workspace at a fixed time; returns its output.
pub fn git(space: &TestSpace, arguments: &[&str]) -> String {
    git_in(&space.root(), arguments)
}

pub fn git_in(directory: &Path, arguments: &[&str]) -> String {
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

pub fn commit(space: &TestSpace) {
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

/// A small program with a release, committed and tagged.
pub fn release() -> TestSpace {
    let space = TestSpace::empty().with_shared_go();
    space.write("go.mod", "module example.com/small\n\ngo 1.22\n");
    space.write("main.go", "package main\n\nvar version string\n\nfunc main() { println(version) }\n");
    space.write("LICENSE", "free\n");
    space.write("build.lock", &std::fs::read_to_string(repository().join("build.lock")).unwrap());
    space.write(".gitignore", "/dist/\n/.rondel/\n");
    space.write(
        "build.ron",
        r#"(format: 1, project: "small", go: Version("1.22.12"), platforms: ["linux/amd64"], vars: {"version": Git(Version)}, targets: {
            "small": GoBuild(packages: ["."], stamp: {"main.version": "{version}"}),
            "release": Release(builds: ["small"]),
        })"#,
    );
    git(&space, &["init", "--quiet", "--initial-branch=main"]);
    git(&space, &["add", "."]);
    commit(&space);
    git(&space, &["tag", "v1.2.3"]);
    space
}

#[test]
fn a_release_is_of_a_tagged_commit_and_of_nothing_else() {
    let space = release();
    let refused = |what: &str| {
        let run = space.run(&["release"]);
        assert_eq!(run.code, 2, "{what}: {}", run.stderr);
        assert!(!space.exists("dist"), "{what}: something was built");
        let short = git(&space, &["rev-parse", "HEAD"])[..7].to_owned();
        format!("{what}:\n{}", run.stderr.replace(&short, "[COMMIT]"))
    };
    let mut all = String::new();
    space.append("LICENSE", "or not\n");
    all += &refused("a changed file that is in no archive");
    git(&space, &["checkout", "--quiet", "LICENSE"]);
    space.remove("LICENSE");
    space.write("more.go", "package main\n");
    git(&space, &["add", "more.go"]);
    all += &refused("a removed file and an added one");
    git(&space, &["reset", "--quiet", "--hard"]);
    commit(&space);
    all += &refused("no tag");
    git(&space, &["tag", "cli/v1.2.4"]);
    let set = space.run(&["release", "--set", "version=1.2"]);
    all += &format!("no version:\n{}", set.stderr);
    expect![[r#"
        a changed file that is in no archive:
        error: `LICENSE` differs from the commit `[COMMIT]` that is released
         --> build.ron:3:13
          |
        3 |             "release": Release(builds: ["small"]),
          |             ^^^^^^^^^

        hint: commit the changes and tag that commit, or undo them; `--snapshot` builds a release to try out

        a removed file and an added one:
        error: `LICENSE` differs from the commit `[COMMIT]` that is released, and another file does
         --> build.ron:3:13
          |
        3 |             "release": Release(builds: ["small"]),
          |             ^^^^^^^^^

        hint: commit the changes and tag that commit, or undo them; `--snapshot` builds a release to try out

        no tag:
        error: the version of the release is `1.2.4-snapshot.1.g[COMMIT]`, and its commit `[COMMIT]` has no tag
         --> build.ron:3:13
          |
        3 |             "release": Release(builds: ["small"]),
          |             ^^^^^^^^^

        hint: tag the commit, `git tag v1.2.4`, or build a release to try out with `--snapshot`

        no version:
        error: `1.2` is no semantic version: `1.2` is not three numbers
         --> build.ron:3:13
          |
        3 |             "release": Release(builds: ["small"]),
          |             ^^^^^^^^^

        hint: a release is called MAJOR.MINOR.PATCH, like the tag `v1.2.3`; `Git(Version)` in `vars` takes it from there. `--snapshot` builds a release to try out

    "#]].assert_eq(&all);
    // A file that nobody added is no change.
    space.write("notes.txt", "mine\n");
    git(&space, &["tag", "v1.2.4"]);
    space.ok(&["release"]);
    assert!(space.exists("dist/release/small_1.2.4_linux_amd64.tar.gz"));
    assert!(space.ran(&["release"]).is_empty());
    assert_eq!(stamped(&space), "1.2.4\n");
}

/// What the executable says of its version.
fn stamped(space: &TestSpace) -> String {
    let output = Command::new(space.root().join("dist/small/linux_amd64/small")).output().unwrap();
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn a_release_to_try_out() {
    let space = release();
    // Any state, under another name: in the binary too.
    space.append("LICENSE", "or not\n");
    space.ok(&["release", "--snapshot"]);
    let short = git(&space, &["rev-parse", "HEAD"])[..7].to_owned();
    let version = format!("1.2.4-snapshot.0.g{short}");
    assert_eq!(stamped(&space), format!("{version}\n"));
    assert!(space.exists(&format!("dist/release/small_{version}_linux_amd64.tar.gz")));
    space.run(&["release", "--nightly"]).fails(2, &["`LICENSE` differs from the commit"]);
    git(&space, &["checkout", "--quiet", "LICENSE"]);
    space.ok(&["release", "--nightly"]);
    assert!(space.exists("dist/release/small_1.2.4-nightly.20260201_linux_amd64.tar.gz"));
    space.run(&["release", "--nightly", "--set", "version=1.2.4"]).fails(2, &["`Git(Version)` did not answer"]);
    // What is tried out is not published.
    let place = space.beside("published");
    space.replace(
        "build.ron",
        "Release(",
        &format!("Release(gate: Off, publish: [Directory(\"{}\")], ", place.display()),
    );
    space.run(&["release", "--snapshot", "--publish"]).fails(2, &["nothing is published with `--snapshot`"]);
    assert!(!place.exists());
    git(&space, &["commit", "--quiet", "--all", "-m", "publish"]);
    git(&space, &["tag", "v1.2.4"]);
    space.ok(&["release", "--publish"]);
    assert!(place.join("small_1.2.4_linux_amd64.tar.gz").exists());
    // Questions about all targets are no release.
    space.append("LICENSE", "or not\n");
    space.ok(&["list", "--status"]);
}
