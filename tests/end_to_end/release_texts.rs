//! The changelog and the formula of a release: held against a real history, and against Ruby.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use expect_test::expect;
use serde_json::Value;

use crate::space::{TestSpace, repository};
use crate::versions::{git, git_in, release};

/// Adds these fields to the release, and takes the gate away.
fn with(fields: &str) -> TestSpace {
    let space = release();
    space.replace(
        "build.ron",
        "Release(builds: [\"small\"]",
        &format!("Release(gate: Off, builds: [\"small\"], {fields}"),
    );
    amend(&space);
    space
}

/// Puts what changed into the commit, under its tags.
fn amend(space: &TestSpace) {
    let tags = git(space, &["tag", "--points-at", "HEAD"]);
    git(space, &["commit", "--quiet", "--all", "--amend", "--no-edit", "--allow-empty"]);
    tags.lines().for_each(|tag| drop(git(space, &["tag", "--force", tag])));
}

fn commit(space: &TestSpace, message: &str) {
    git(space, &["commit", "--quiet", "--allow-empty", "--cleanup=verbatim", "-m", message]);
}

/// The changelog without the digits of commits.
fn changelog(space: &TestSpace) -> String {
    let mut text = space.read("dist/release/CHANGELOG.md");
    for hash in git(space, &["rev-list", "HEAD"]).lines() {
        text = text.replace(hash, "[HASH]").replace(&hash[..7], "HASH");
    }
    text
}

/// The files of artifacts.json: kinds by name.
fn kinds(space: &TestSpace) -> BTreeMap<String, String> {
    let list: Value = serde_json::from_str(&space.read("dist/release/artifacts.json")).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    list["artifacts"].as_array().unwrap().iter().map(|file| (text(&file["name"]), text(&file["kind"]))).collect()
}

#[test]
fn a_changelog_tells_of_the_commits_since_the_last_release() {
    let space = with(
        r#"changelog: (commit_url: "https://example.com/x/commit/{hash}", issue_url: "https://example.com/x/issues/{number}")"#,
    );
    space.ok(&["release"]);
    assert_eq!(changelog(&space), "## 1.2.3\n\n### Others\n\n- more ([HASH](https://example.com/x/commit/[HASH]))\n");
    assert_eq!(kinds(&space)["CHANGELOG.md"], "changelog");
    assert!(!space.read("dist/release/small_1.2.3_checksums.txt").contains("CHANGELOG"), "it is not downloaded");
    commit(&space, "feat(api)!: drop v1 (#7)\n\nBREAKING CHANGE: use v2\n");
    git(&space, &["tag", "v1.3.0-rc.1"]);
    commit(&space, "fix: <img src=x> @team [link](http://evil.example) \u{1b}[31m");
    git(&space, &["checkout", "--quiet", "-b", "side", "HEAD~1"]);
    commit(&space, "feat: from a branch");
    commit(&space, "chore: words");
    git(&space, &["checkout", "--quiet", "main"]);
    git(&space, &["merge", "--quiet", "--no-ff", "-m", "Merge branch 'side'", "side"]);
    git(&space, &["tag", "v1.3.0"]);
    git(&space, &["tag", "v1.3.0-rc.2"]);
    space.ok(&["release"]);
    // What breaks, from before the release candidate, is there too.
    expect![[r#"
        ## 1.3.0

        ### Breaking changes

        - **api:** drop v1 ([#7](https://example.com/x/issues/7)) ([HASH](https://example.com/x/commit/[HASH]))
          use v2

        ### Features

        - from a branch ([HASH](https://example.com/x/commit/[HASH]))

        ### Fixes

        - &lt;img src=x&gt; @&#8203;team \[link\](http:&#8203;//evil.example) \[31m ([HASH](https://example.com/x/commit/[HASH]))
    "#]].assert_eq(&changelog(&space));
    assert_eq!(git(&space, &["rev-list", "--no-merges", "--count", "v1.2.3..HEAD"]), "4");
    space.ok(&["release", "--snapshot"]);
    expect![[r#"
        ## 1.3.1-snapshot.0.gHASH

        ### Features

        - from a branch ([HASH](https://example.com/x/commit/[HASH]))

        ### Fixes

        - &lt;img src=x&gt; @&#8203;team \[link\](http:&#8203;//evil.example) \[31m ([HASH](https://example.com/x/commit/[HASH]))
    "#]].assert_eq(&changelog(&space));
}

#[test]
fn what_is_in_the_key_of_a_changelog() {
    let mut space = with(r#"changelog: (title: "{title}")"#);
    space.replace("build.ron", "vars: {", "vars: {\"title\": Env(\"TITLE\", \"News\"), ");
    amend(&space);
    space.ok(&["release", "--snapshot"]);
    let log = space.record_programs(&["git"]);
    assert!(space.ran(&["release", "--snapshot"]).is_empty());
    let asked = fs::read_to_string(&log).unwrap();
    assert!(!asked.contains("rev-list --no-merges"), "no message is read: {asked}");
    let made_again = |space: &TestSpace, what: &str| {
        let ran = space.ran(&["release", "--snapshot"]);
        assert!(ran.keys().any(|step| step == "release: changelog"), "{what}: {ran:?}");
        assert!(space.ran(&["release", "--snapshot"]).is_empty(), "{what}");
        changelog(space)
    };
    space.set("TITLE", "Olds");
    assert!(made_again(&space, "another title").starts_with("## Olds\n"));
    let begin = space.read("build.ron");
    for (what, field, word) in [
        ("groups", r#"groups: {"New": ["*"]}"#, "### New"),
        ("another title of a group", r#"groups: {"Newer": ["*"]}"#, "### Newer"),
        ("no group", "groups: {}", "- more"),
        ("other types left out", r#"leave_out: ["feat"]"#, "more"),
        ("a link", r#"commit_url: "https://example.com/{hash}""#, "(https://example.com/[HASH])"),
        ("authors", "authors: true", "(a)"),
        ("a directory", r#"paths: ["docs"]"#, "No changes"),
        ("a file", r#"paths: ["main.go", "docs"]"#, "- more"),
        ("links of issues", r#"issue_url: "https://example.com/{number}""#, "more"),
    ] {
        space.write("build.ron", &begin.replace("changelog: (", &format!("changelog: ({field}, ")));
        let text = made_again(&space, what);
        assert!(text.contains(word), "{what}: {text}");
    }
    space.write("build.ron", &begin);
    space.ok(&["release", "--snapshot"]);
    commit(&space, "feat: one more");
    let text = made_again(&space, "another commit");
    assert!(text.contains("one more") && !text.contains("- more"), "{text}");
    git(&space, &["tag", "--delete", "v1.2.3"]);
    assert!(made_again(&space, "no tag before").contains("- more"));
    space.write("build.ron", &begin.replace("changelog: (", r#"changelog: (file: "NEWS.md", "#));
    space.ok(&["release", "--snapshot"]);
    assert!(space.exists("dist/release/NEWS.md") && !space.exists("dist/release/CHANGELOG.md"));
}

#[test]
fn no_changelog_of_half_a_history() {
    let space = with("changelog: ()");
    commit(&space, "feat: x");
    let shallow = space.beside("shallow");
    let from = format!("file://{}", space.root().display());
    git_in(&space.root(), &["clone", "--quiet", "--depth=1", &from, shallow.to_str().unwrap()]);
    git_in(&shallow, &["tag", "v1.3.0"]);
    let output = space.command(&["release"]).current_dir(&shallow).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.contains("no changelog: this is a shallow clone"), "{text}");
    assert!(text.contains("git fetch --unshallow --tags"), "{text}");
}

const FORMULA: &str = r##"formula: Homebrew(
    name: "small-tool", description: "Says \"#{raise}\" \\", homepage: "https://example.com/x", license: "MIT OR Apache-2.0",
    url: "https://example.com/x/v{version}/{file}", dependencies: ["git"], test: ["system bin/\"small\", \"--version\""],
)"##;

/// A stand-in for Homebrew that prints what a formula says to each machine.
const STUB: &str = r##"
class Formula
  def self.on_macos; yield if $os == :macos; end
  def self.on_linux; yield if $os == :linux; end
  def self.on_arm; yield if $cpu == :arm; end
  def self.on_intel; yield if $cpu == :intel; end
  def self.method_missing(name, *values); puts "#{name} #{values.inspect}"; end
  def bin; self; end
  def self.test; end
  def bin; Bin.new; end
end
class Bin
  def install(*values); puts "bin.install #{values.inspect}"; end
end
[[:macos, :arm], [:macos, :intel], [:linux, :arm], [:linux, :intel]].each do |os, cpu|
  $os, $cpu = os, cpu
  puts "-- #{os} #{cpu}"
  load ARGV[0]
end
SmallTool.new.install
"##;

#[test]
#[cfg_attr(not(has_ruby), ignore = "no ruby")]
fn ruby_reads_the_formula_as_it_was_meant() {
    let space = with(FORMULA);
    space.replace(
        "build.ron",
        r#"["linux/amd64"]"#,
        r#"["linux/amd64", "linux/arm/v7", "darwin/arm64", "darwin/amd64", "windows/amd64"]"#,
    );
    amend(&space);
    space.ok(&["release"]);
    let file = space.root().join("dist/release/small-tool.rb");
    let ruby = |arguments: &[&str]| {
        let output = Command::new("ruby").args(arguments).arg(&file).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(ruby(&["-wc"]), "Syntax OK\n");
    space.write("stub.rb", STUB);
    let mut said = ruby(&[space.root().join("stub.rb").to_str().unwrap()]);
    for name in ["linux_amd64", "darwin_arm64", "darwin_amd64"] {
        let archive = space.root().join(format!("dist/release/small_1.2.3_{name}.tar.gz"));
        let sum = Command::new("sha256sum").arg(archive).output().unwrap();
        let sum = String::from_utf8(sum.stdout).unwrap();
        said = said.replace(sum.split(' ').next().unwrap(), &format!("[SUM OF {name}]"));
    }
    expect![[r#"
        -- macos arm
        desc ["Says \"\#{raise}\" \\"]
        homepage ["https://example.com/x"]
        version ["1.2.3"]
        license [{:any_of=>["MIT", "Apache-2.0"]}]
        depends_on ["git"]
        url ["https://example.com/x/v1.2.3/small_1.2.3_darwin_arm64.tar.gz"]
        sha256 ["[SUM OF darwin_arm64]"]
        -- macos intel
        desc ["Says \"\#{raise}\" \\"]
        homepage ["https://example.com/x"]
        version ["1.2.3"]
        license [{:any_of=>["MIT", "Apache-2.0"]}]
        depends_on ["git"]
        url ["https://example.com/x/v1.2.3/small_1.2.3_darwin_amd64.tar.gz"]
        sha256 ["[SUM OF darwin_amd64]"]
        -- linux arm
        desc ["Says \"\#{raise}\" \\"]
        homepage ["https://example.com/x"]
        version ["1.2.3"]
        license [{:any_of=>["MIT", "Apache-2.0"]}]
        depends_on ["git"]
        -- linux intel
        desc ["Says \"\#{raise}\" \\"]
        homepage ["https://example.com/x"]
        version ["1.2.3"]
        license [{:any_of=>["MIT", "Apache-2.0"]}]
        depends_on ["git"]
        url ["https://example.com/x/v1.2.3/small_1.2.3_linux_amd64.tar.gz"]
        sha256 ["[SUM OF linux_amd64]"]
        bin.install ["small"]
    "#]]
    .assert_eq(&said);
    assert_eq!(kinds(&space)["small-tool.rb"], "formula");
}

#[test]
fn what_is_in_the_key_of_a_formula() {
    let space = with(FORMULA);
    space.ok(&["release"]);
    assert!(space.ran(&["release"]).is_empty());
    for (from, to) in [
        ("Says ", "Said "),
        ("https://example.com/x\"", "https://example.com/y\""),
        ("MIT OR Apache-2.0", "MIT"),
        ("/v{version}/", "/{version}/"),
        ("[\"git\"]", "[\"git\", \"go\"]"),
        ("--version", "--help"),
        ("dependencies:", "install: [\"bin.install \\\"other\\\"\"], dependencies:"),
        ("name: \"small-tool\"", "name: \"small\""),
    ] {
        space.replace("build.ron", from, to);
        amend(&space);
        let ran = space.ran(&["release"]);
        assert!(ran.keys().any(|step| step == "release: formula"), "{from}: {ran:?}");
        assert!(space.ran(&["release"]).is_empty(), "{from}");
    }
    // Another archive, by an edit of the program.
    let before = space.read("dist/release/small.rb");
    space.append("main.go", "\nfunc init() { println(\"more\") }\n");
    amend(&space);
    assert!(space.ran(&["release"]).keys().any(|step| step == "release: formula"));
    assert_ne!(space.read("dist/release/small.rb"), before);
}

#[test]
fn formulas_that_are_refused() {
    let space = with(
        r#"formula: Homebrew(name: "Small", description: "a\nb", homepage: "ftp://x", url: "https://example.com/\"/{file}", license: "")"#,
    );
    let run = space.run(&["release"]);
    expect![[r#"
        error: `Small` is no name of a formula
         --> build.ron:3:86
          |
        3 | lease(gate: Off, builds: ["small"], formula: Homebrew(name: "Small", description: "a\nb", homepage: "ftp://x", url: "https://example.com/\"/
          |                                                             ^^^^^^^

        hint: write it in lower case: "small"

        error: a line has no line breaks and no other controls
         --> build.ron:3:108
          |
        3 | s: ["small"], formula: Homebrew(name: "Small", description: "a\nb", homepage: "ftp://x", url: "https://example.com/\"/{file}", license: ""))
          |                                                             ^^^^^^

        hint: write it as one line

        error: `ftp://x` is no address
         --> build.ron:3:126
          |
        3 | ula: Homebrew(name: "Small", description: "a\nb", homepage: "ftp://x", url: "https://example.com/\"/{file}", license: "")),
          |                                                             ^^^^^^^^^

        hint: write "https://example.com/small"

        error: `\"` can't be in an address
         --> build.ron:3:142
          |
        3 | me: "Small", description: "a\nb", homepage: "ftp://x", url: "https://example.com/\"/{file}", license: "")),
          |                                                             ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^

        hint: write the address of an archive, "https://example.com/x/v{version}/{file}"

        error: the line is empty
         --> build.ron:3:184
          |
        3 | : "ftp://x", url: "https://example.com/\"/{file}", license: "")),
          |                                                             ^^

        hint: write a text, or leave the field out

        5 mistakes in build.ron; nothing was run
    "#]].assert_eq(&run.stderr);
    let other = with(FORMULA);
    other.replace("build.ron", r#"["linux/amd64"]"#, r#"["windows/amd64"]"#);
    expect![[r##"
        error: the formula `small-tool` has no archive for macOS or Linux
         --> build.ron:4:11
          |
        4 |     name: "small-tool", description: "Says \"#{raise}\" \\", homepage: "https://example.com/x", license: "MIT OR Apache-2.0",
          |           ^^^^^^^^^^^^

        hint: Homebrew knows darwin and linux, each with amd64 and arm64: add such platforms, or leave `formula` out

    "##]].assert_eq(&other.run(&["release", "--snapshot"]).stderr);
}

/// The examples of docs/releases.md.
#[test]
fn the_examples_of_the_page() {
    let page = fs::read_to_string(repository().join("docs/releases.md")).unwrap();
    let blocks: Vec<&str> = page.split("```ron\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    let of = |field: &str| *blocks.iter().find(|block| block.starts_with(field)).unwrap();
    assert_eq!(of("vars:"), "vars: {\"version\": Git(Version)},\n", "as in the sample");
    let space = with(&[of("changelog:"), of("formula:")].concat());
    commit(&space, "perf: faster (#3)");
    git(&space, &["tag", "v1.3.0"]);
    space.ok(&["release"]);
    let line =
        "- faster ([#3](https://example.com/small/issues/3)) ([HASH](https://example.com/small/commit/[HASH]), a)\n";
    assert_eq!(changelog(&space), format!("## 1.3.0\n\n### Mended\n\n{line}"));
    let formula = space.read("dist/release/small.rb");
    assert!(formula.contains("/download/v1.3.0/small_1.3.0_linux_amd64.tar.gz\"\n"), "{formula}");
    // The release itself.
    let space = release();
    let example = of("\"release\":").replace("Release(", "Release(gate: Off,");
    space.replace("build.ron", "\"release\": Release(builds: [\"small\"]),", &example);
    amend(&space);
    space.ok(&["release"]);
    let listed = Command::new("tar")
        .args(["tzf", "small_1.2.3_linux_amd64.tar.gz"])
        .current_dir(space.root().join("dist/release"))
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8_lossy(&listed.stdout),
        "small_1.2.3_linux_amd64/LICENSE\nsmall_1.2.3_linux_amd64/small\n"
    );
}
