//! `--publish`: releases at forges and in directories. The forge is one on loopback, which behaves like GitHub or Gitea.

use std::fs;
use std::process::Command;

use expect_test::expect;

use crate::forge_server::{Dialect, Fault, ForgeServer, TOKEN};
use crate::space::TestSpace;

/// A workspace with a release for two platforms that goes to `places`; `URL` in them is that of `server`.
fn releasing(server: &ForgeServer, places: &str) -> TestSpace {
    let mut space = TestSpace::empty().with_shared_go();
    space.write("go.mod", "module example.com/app\n\ngo 1.22\n");
    space.write("main.go", "package main\n\nfunc main() { println(\"released\") }\n");
    space.write(
        "build.ron",
        &format!(
            r#"(
    format: 1, project: "app", go: System, platforms: ["linux/amd64", "linux/arm64"],
    vars: {{"version": "v1.2.0"}},
    targets: {{
        "server": GoBuild(packages: ["."]),
        "release": Release(builds: ["server"], created: Epoch, gate: Off, publish: [{places}]),
    }},
)
"#
        ),
    );
    space.write("build.ron", &space.read("build.ron").replace("URL", &server.url));
    let path = format!("/usr/local/go/bin:{}", space.variable("PATH"));
    space.set("PATH", &path).set("FORGE_TOKEN", TOKEN);
    space
}

const GITHUB: &str = "GitHub(repository: \"me/app\", url: \"URL\", token: Secret(\"FORGE_TOKEN\"))";
const GITEA: &str = "Gitea(url: \"URL\", repository: \"me/app\", token: Secret(\"FORGE_TOKEN\"))";

/// The output, without the port, the order of builds, and numbers that Go's version decides.
fn shown(server: &ForgeServer, text: &str) -> String {
    let text = crate::space::normalised(text).replace(&server.url[7..], "FORGE");
    let is_of_build = |line: &&str| ["server", "archive", "Working"].iter().any(|word| line.contains(word));
    let lines = text.lines().filter(|line| !is_of_build(line));
    // A line without indentation: `expect!` takes away what all lines have.
    let lines: String = lines.map(|line| format!("{}\n", without_count(line))).collect();
    format!("--- stderr\n{lines}")
}

/// The number of bytes that were sent, if there are any, is that of Go's version.
fn without_count(line: &str) -> String {
    let Some((before, after)) = line.trim_end().split_once(" bytes sent; published") else {
        return line.trim_end().to_owned();
    };
    let before = before.trim_end_matches(|c: char| c.is_ascii_digit());
    format!("{before}[N] bytes sent; published{after}")
}

#[test]
fn a_release_at_a_forge() {
    for (dialect, place) in [(Dialect::GitHub, GITHUB), (Dialect::Gitea, GITEA)] {
        let server = ForgeServer::start(dialect);
        let space = releasing(&server, place);
        // Without the option nothing is asked.
        let run = space.ok(&["release"]);
        let line = " Unpublished release: `--publish` publishes what was made";
        assert!(run.stderr.contains(line), "{}", run.stderr);
        assert!(server.state().calls.is_empty());

        let run = space.ok(&["release", "--publish"]);
        assert!(run.stderr.contains(&format!("Published {}/me/app v1.2.0", &server.url[7..])), "{}", run.stderr);
        let release = server.state().releases[0].clone();
        assert!(!release.is_draft());
        let mut names: Vec<String> = release.assets.iter().map(|asset| asset.name.clone()).collect();
        for asset in &release.assets {
            assert_eq!(asset.bytes, space.bytes(&format!("dist/release/{}", asset.name)), "{}", asset.name);
        }
        assert_eq!(names.last().unwrap(), "artifacts.json", "it is the last");
        names.sort();
        let expected = [
            "app_1.2.0_checksums.txt",
            "app_1.2.0_linux_amd64.tar.gz",
            "app_1.2.0_linux_arm64.tar.gz",
            "artifacts.json",
        ];
        assert_eq!(names, expected);

        // A second run sends nothing, and says so.
        let before = server.state().calls.len();
        let run = space.ok(&["release", "--publish"]);
        let later = server.state().calls[before..].to_vec();
        assert!(later.iter().all(|(line, bytes, _)| line.starts_with("GET") && *bytes == 0), "{later:?}");
        let line = format!("v1.2.0 is at {} with all 4 files; 0 bytes sent", &server.url[7..]);
        assert!(run.stderr.contains(&line), "{}", run.stderr);

        // So does another machine.
        let mut other = space.clone_elsewhere();
        let path = space.variable("PATH").to_owned();
        other.set("PATH", &path).set("FORGE_TOKEN", TOKEN);
        assert!(other.ok(&["release", "--publish"]).stderr.contains(&line));
    }
}

#[test]
fn what_people_see_of_a_publication() {
    let server = ForgeServer::start(Dialect::GitHub);
    let space = releasing(&server, GITHUB);
    space.ok(&["release"]);
    let run = space.ok(&["release", "--publish"]);
    expect![[r#"
        --- stderr
          Up to date release
            Finished in [T]: 0 ran, 5 up to date
             Running publish release to FORGE/me/app: FORGE has no release v1.2.0
                Note publish release to FORGE/me/app: v1.2.0: assets: 4 sent; [N] bytes sent; published: http://FORGE/me/app/releases/1
                Done publish release to FORGE/me/app in [T]
           Published FORGE/me/app v1.2.0
            Finished in [T]: 1 ran, 0 up to date
    "#]].assert_eq(&shown(&server, &run.stderr));
    let run = space.ok(&["release", "--publish"]);
    expect![[r#"
        --- stderr
          Up to date release
            Finished in [T]: 0 ran, 5 up to date
                Note publish release to FORGE/me/app: v1.2.0 is at FORGE with all 4 files; 0 bytes sent
          Up to date publish release to FORGE/me/app
           Published FORGE/me/app v1.2.0
            Finished in [T]: 0 ran, 1 up to date
    "#]]
    .assert_eq(&shown(&server, &run.stderr));
    let events = space.ok(&["release", "--publish", "--events", "json"]).events();
    let step = format!("publish release to {}/me/app", &server.url[7..]);
    assert!(events.iter().any(|event| event["step"] == step.as_str()), "{events:?}");
    assert_eq!(events.iter().filter(|event| event["event"] == "finished").count(), 1);
}

#[test]
fn cut_off_and_run_again() {
    let server = ForgeServer::start(Dialect::GitHub);
    let space = releasing(&server, GITHUB);
    space.ok(&["release"]);
    // Where it goes is in no key.
    space.replace("build.ron", "token: Secret", "replace: true, token: Secret");
    assert!(space.ok(&["release"]).stderr.contains(": 0 ran, 5 up to date"));
    // Looked at twice (`releases/tags`, `releases`), made, and then the second asset: refused for good, half sent.
    let forbidden = Fault::Answer("403 Forbidden", "", "{\"message\":\"Resource not accessible\"}");
    server.state().faults.extend([(5, Fault::Half), (6, forbidden)]);
    let run = space.run(&["release", "--publish"]);
    let words = ["answered 403 for `me/app`: Resource not accessible", "the token needs `contents: write` for me/app"];
    run.fails(3, &words);
    let state = server.state();
    assert!(state.releases[0].is_draft(), "nobody sees it");
    drop(state);
    let run = space.ok(&["release", "--publish"]);
    let state = server.state();
    assert_eq!(state.releases.len(), 1);
    assert!(!state.releases[0].is_draft(), "{}", run.stderr);
    assert_eq!(state.stored.values().collect::<Vec<_>>(), [&1, &1, &1, &1], "each once: {:?}", state.stored);
}

#[test]
fn the_token_is_nowhere() {
    let server = ForgeServer::start(Dialect::GitHub);
    let space = releasing(&server, GITHUB);
    // The forge says it, in an error.
    let echo = Fault::Answer("403 Forbidden", "", "{\"message\":\"no: loopback-token-5e1f\"}");
    server.state().faults.insert(0, echo);
    let run = space.run(&["release", "--publish", "--verbose", "--events", "json"]);
    assert_eq!(run.code, 3, "{}", run.stderr);
    assert!(run.stdout.contains("no: ***"), "{}", run.stdout);
    assert!(!run.stdout.contains(TOKEN) && !run.stderr.contains(TOKEN));
    space.ok(&["release", "--publish", "--verbose"]);
    let found = Command::new("grep").args(["-rl", TOKEN]).args([space.root(), space.cache()]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&found.stdout), "", "it was written");
    for question in [&["show"][..], &["why", "release"], &["plan", "release"], &["graph", "release"]] {
        let run = space.run(question);
        assert!(!run.stdout.contains(TOKEN) && !run.stderr.contains(TOKEN), "{question:?}");
    }
}

#[test]
fn a_release_in_a_directory() {
    let server = ForgeServer::start(Dialect::GitHub);
    let space = releasing(&server, "Directory(\"../served/{version}\")");
    let run = space.ok(&["release", "--publish"]);
    assert!(run.stderr.contains("files: 4 written;"), "{}", run.stderr);
    let served = space.beside("served/v1.2.0");
    for entry in fs::read_dir(&served).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        assert_eq!(fs::read(entry.path()).unwrap(), space.bytes(&format!("dist/release/{name}")));
    }
    let checked = Command::new("sha256sum").args(["--check", "app_1.2.0_checksums.txt"]).current_dir(&served).output();
    assert!(checked.unwrap().status.success());
    fs::write(served.join("of somebody"), "x").unwrap();
    let run = space.ok(&["release", "--publish"]);
    assert!(run.stderr.contains("all 4 files are there; 0 bytes written"), "{}", run.stderr);

    // Other bytes under the same version: nothing is changed.
    space.write("main.go", "package main\n\nfunc main() { println(\"other\") }\n");
    let list = fs::read(served.join("artifacts.json")).unwrap();
    let run = space.run(&["release", "--publish"]);
    run.fails(1, &["has another `app_1.2.0_checksums.txt`: sha256:", "give the release another version"]);
    assert_eq!(fs::read(served.join("artifacts.json")).unwrap(), list);
    assert!(served.join("of somebody").exists());
}

#[test]
fn what_can_not_be_published_fails_before_anything_is_made() {
    let server = ForgeServer::start(Dialect::GitHub);
    let mut space = releasing(&server, GITHUB);
    space.run(&["server", "--publish"]).fails(2, &["none of the targets is a `Release` with `publish`"]);
    space.run(&["release", "--publish", "--platform", "linux/amd64"]).fails(2, &["leave out `--platform`"]);
    space.run(&["release", "--publish", "--offline"]).fails(3, &["--offline forbids to ask it"]);
    space.unset("FORGE_TOKEN");
    space.run(&["release", "--publish"]).fails(3, &["the secret `FORGE_TOKEN` is not set"]);
    space.set("FORGE_TOKEN", "two words");
    let run = space.run(&["release", "--publish"]);
    run.fails(3, &["FORGE_TOKEN: the token has characters that no token has"]);
    assert!(!run.stderr.contains("two words"));
    assert!(!space.exists("dist"), "nothing is made");
    space.ok(&["release"]);
    space.set("FORGE_TOKEN", TOKEN);
    // A commit without a tag of its own.
    let run = space.run(&["release", "--publish", "--set", "version=v1.2.0-3-gabc1234"]);
    run.fails(3, &["`v1.2.0-3-gabc1234` is no tag: the commit has none"]);
    space.replace("build.ron", &server.url, "http://forge.example");
    space.run(&["release", "--publish"]).fails(2, &["would send the token in the clear"]);
    assert!(server.state().calls.is_empty());
}

#[test]
fn a_draft_for_testers() {
    let server = ForgeServer::start(Dialect::GitHub);
    let space = releasing(&server, GITHUB);
    space.replace("build.ron", "token: Secret", "draft: true, title: \"App {version}\", token: Secret");
    let run = space.ok(&["release", "--publish", "--set", "version=v1.3.0-rc.1"]);
    assert!(run.stderr.contains("; a draft: http"), "{}", run.stderr);
    let told = server.state().releases[0].told.clone();
    assert_eq!((&told["prerelease"], &told["draft"]), (&true.into(), &true.into()));
    assert_eq!((&told["name"], &told["tag_name"]), (&"App v1.3.0-rc.1".into(), &"v1.3.0-rc.1".into()));
}

#[test]
fn the_tag_is_that_of_the_commit() {
    let server = ForgeServer::start(Dialect::GitHub);
    let space = releasing(&server, GITHUB);
    space.replace("build.ron", "\"v1.2.0\"", "Git(Version)");
    space.write(".gitignore", "dist\n.rondel\nbuild.lock\n");
    let git = |arguments: &[&str]| {
        let names = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"];
        let run = Command::new("git").args(names).args(arguments).current_dir(space.root()).output().unwrap();
        assert!(run.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&run.stderr));
        String::from_utf8_lossy(&run.stdout).trim().to_owned()
    };
    git(&["init", "-q"]);
    git(&["add", "."]);
    git(&["commit", "-q", "-m", "first"]);
    git(&["tag", "v1.2.0"]);
    space.run(&["release", "--publish", "--snapshot"]).fails(2, &["nothing is published with `--snapshot`"]);
    let run = space.ok(&["release", "--publish"]);
    assert!(run.stderr.contains(&format!("Published {}/me/app v1.2.0", &server.url[7..])), "{}", run.stderr);
    let told = server.state().releases[0].told.clone();
    assert_eq!((&told["tag_name"], &told["name"]), (&"v1.2.0".into(), &"v1.2.0".into()));
    assert_eq!(told["target_commitish"].as_str(), Some(git(&["rev-parse", "HEAD"]).as_str()));
    assert_eq!(told["make_latest"], "legacy");
}

#[test]
fn what_the_gate_refuses_is_not_published() {
    let server = ForgeServer::start(Dialect::GitHub);
    let space = releasing(&server, GITHUB).may_differ();
    space.replace("build.ron", "gate: Off,", "archives: (files: [Output(\"made\")]),");
    let made =
        "\"made\": Shell(script: \"date +%s%N > made.txt\", inputs: [], outputs: [\"made.txt\"]),\n        \"release\"";
    space.replace("build.ron", "\"release\"", made);
    space.run(&["release", "--publish"]).fails(4, &["Different made"]);
    assert!(server.state().calls.is_empty(), "the forge was asked");
}
