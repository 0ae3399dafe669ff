//! Variables: the answers of git held against git itself, files, filters, scripts, and what `show` says.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use expect_test::expect;
use serde_json::Value;

use crate::space::{TestSpace, repository};

/// git in the workspace; returns its output, or `None` if it fails.
fn git(space: &TestSpace, arguments: &[&str]) -> Option<String> {
    let output = Command::new("git")
        .args(["-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgSign=false"])
        .args(arguments)
        .current_dir(space.root())
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("TZ", "UTC")
        .env("GIT_COMMITTER_DATE", "2026-01-31T23:30:05-05:00")
        .output()
        .unwrap();
    output.status.success().then(|| String::from_utf8(output.stdout).unwrap().trim().to_owned())
}

/// The values that `show` prints; several are joined by a bar. Variables without a value are left out.
fn shown(space: &TestSpace) -> BTreeMap<String, String> {
    let run = space.ok(&["show", "--format", "json"]);
    let printed: Value = serde_json::from_str(&run.stdout).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let one = |variable: &Value| {
        let values = variable["values"].as_array()?.iter().map(text).collect::<Vec<_>>().join("|");
        Some((text(&variable["variable"]), values))
    };
    printed["variables"].as_array().unwrap().iter().filter_map(one).collect()
}

/// Each query, and what git is asked for the same.
const QUERIES: &[(&str, &[&str])] = &[
    ("Describe", &["describe", "--tags", "--always", "--abbrev=12"]),
    (r#"Describe(match: "v*")"#, &["describe", "--tags", "--always", "--abbrev=12", "--match=v*"]),
    (r#"Describe(match: "--all")"#, &["describe", "--tags", "--always", "--abbrev=12", "--match=--all"]),
    ("Describe(exact: true)", &["describe", "--tags", "--exact-match"]),
    (r#"Describe(exact: true, match: "v*")"#, &["describe", "--tags", "--exact-match", "--match=v*"]),
    ("Describe(first_parent: true)", &["describe", "--tags", "--always", "--abbrev=12", "--first-parent"]),
    ("Describe(abbrev: 7)", &["describe", "--tags", "--always", "--abbrev=7"]),
    ("Describe(abbrev: 20)", &["describe", "--tags", "--always", "--abbrev=20"]),
    ("Describe(abbrev: 40)", &["describe", "--tags", "--always", "--abbrev=40"]),
    ("Describe(abbrev: 0)", &["describe", "--tags", "--always", "--abbrev=0"]),
    ("Describe(long: true)", &["describe", "--tags", "--always", "--abbrev=12", "--long"]),
    ("Describe(exact: true, long: true, abbrev: 7)", &["describe", "--tags", "--exact-match", "--long", "--abbrev=7"]),
    ("Tag", &["describe", "--tags", "--exact-match"]),
    ("Commit", &["rev-parse", "HEAD"]),
    ("ShortCommit", &["rev-parse", "--short=12", "HEAD"]),
    ("ShortCommit(7)", &["rev-parse", "--short=7", "HEAD"]),
    ("ShortCommit(40)", &["rev-parse", "HEAD"]),
    ("CommitCount", &["rev-list", "--count", "HEAD"]),
    (r#"CommitTime(format: "%Y-%m-%d")"#, &["log", "-1", "--format=%cd", "--date=format-local:%Y-%m-%d"]),
    (
        r#"CommitTime(format: "%%%Y%m%dT%H.%M.%S")"#,
        &["log", "-1", "--format=%cd", "--date=format-local:%%%Y%m%dT%H.%M.%S"],
    ),
    ("CommitTime", &["log", "-1", "--format=%cd", "--date=format-local:%Y-%m-%dT%H:%M:%SZ"]),
    ("CommitTimestamp", &["log", "-1", "--format=%ct"]),
    ("Branch", &["symbolic-ref", "--short", "HEAD"]),
];

#[test]
fn answers_are_those_of_git() {
    let space = TestSpace::with_targets("");
    let variables: Vec<String> =
        QUERIES.iter().enumerate().map(|(index, (query, _))| format!("\"v{index}\": Git({query}, \"none\")")).collect();
    space.replace("build.ron", "targets:", &format!("vars: {{{}}}, targets:", variables.join(", ")));
    let check = |what: &str| {
        let shown = shown(&space);
        for (index, (query, arguments)) in QUERIES.iter().enumerate() {
            let expected = git(&space, arguments).filter(|answer| !answer.is_empty());
            let expected = expected.unwrap_or_else(|| "none".to_owned());
            assert_eq!(shown[&format!("v{index}")], expected, "{what}: {query}");
        }
        shown
    };
    assert!(check_none(&shown(&space)));
    git(&space, &["init", "--quiet", "--initial-branch=main"]).unwrap();
    assert!(shown(&space).iter().all(|(name, value)| value == "none" || (name == "v22" && value == "main")));
    git(&space, &["add", "build.ron"]).unwrap();
    git(&space, &["commit", "--quiet", "-m", "one"]).unwrap();
    check("no tag");
    git(&space, &["tag", "v1.0"]).unwrap();
    check("a tag");
    git(&space, &["tag", "-a", "other", "-m", "x"]).unwrap();
    check("two tags");
    git(&space, &["commit", "--quiet", "--allow-empty", "-m", "two"]).unwrap();
    git(&space, &["checkout", "--quiet", "-b", "feature/x"]).unwrap();
    git(&space, &["commit", "--quiet", "--allow-empty", "-m", "three"]).unwrap();
    git(&space, &["tag", "side"]).unwrap();
    check("a branch");
    git(&space, &["checkout", "--quiet", "main"]).unwrap();
    git(&space, &["commit", "--quiet", "--allow-empty", "-m", "four"]).unwrap();
    git(&space, &["merge", "--quiet", "--no-ff", "-m", "five", "feature/x"]).unwrap();
    let merged = check("a merge");
    assert_ne!(merged["v0"], merged["v5"], "the first parent is another way");
    assert_eq!(merged["v18"], "2026-02-01");
    git(&space, &["pack-refs", "--all"]).unwrap();
    git(&space, &["checkout", "--quiet", "--detach"]).unwrap();
    check("detached and packed");
}

fn check_none(shown: &BTreeMap<String, String>) -> bool {
    shown.values().all(|value| value == "none")
}

#[test]
fn a_shallow_clone_counts_no_commits() {
    let space = TestSpace::with_targets("");
    space.replace("build.ron", "targets:", r#"vars: {"n": Git(CommitCount, "none")}, targets:"#);
    git(&space, &["init", "--quiet"]).unwrap();
    git(&space, &["add", "build.ron"]).unwrap();
    git(&space, &["commit", "--quiet", "-m", "one"]).unwrap();
    let head = git(&space, &["rev-parse", "HEAD"]).unwrap();
    git(&space, &["commit", "--quiet", "--allow-empty", "-m", "two"]).unwrap();
    assert_eq!(shown(&space)["n"], "2");
    space.write(".git/shallow", &format!("{head}\n"));
    assert_eq!(shown(&space)["n"], "none");
}

#[test]
fn show_says_where_values_come_from() {
    let mut space = TestSpace::with_targets(
        r#""x": Exec(command: ["true", "{file}{dirty}"], inputs: [], env: {"T": Secret("TOKEN")})"#,
    );
    space.replace(
        "build.ron",
        "targets:",
        r#"vars: {"file": File("VERSION"), "match": Match("a/v.go", "= \"(.+)\""), "env": Env("X"), "other": Env("Y", "dflt"),
            "none": Env("Z"), "git": Git(Tag, "v0"), "plain": "{file|trim_prefix:v}-\u{1b}[1m", "dirty": Git(Describe(dirty: "-dirty")),
            "set": "1", "token": Env("TOKEN"), "lost": File("nowhere")}, targets:"#,
    );
    space.set("X", "of the environment").set("TOKEN", "hunter2").unset("Z");
    space.write("VERSION", "v1.2\n");
    space.write("a/v.go", "package a\n\nconst V = \"3\"\n");
    space.write(".gitignore", ".rondel\n");
    git(&space, &["init", "--quiet"]).unwrap();
    git(&space, &["add", "--all"]).unwrap();
    git(&space, &["commit", "--quiet", "-m", "one"]).unwrap();
    git(&space, &["tag", "t1"]).unwrap();
    git(&space, &["commit", "--quiet", "--allow-empty", "-m", "two"]).unwrap();
    let head = git(&space, &["rev-parse", "--short=12", "HEAD"]).unwrap();
    let text = |arguments: &[&str]| space.ok(arguments).stdout.replace(&head, "[COMMIT]");
    expect![[r#"
        dirty  "t1-1-g[COMMIT]" or "t1-1-g[COMMIT]-dirty"  Git(Describe(dirty: "-dirty"))
        env    "of the environment"                      the environment variable X
        file   "v1.2"                                    the file `VERSION`
        git    "v0"                                      its default, since Git(Tag) has no answer
        lost   no value                                  failed to read `nowhere`: it is not there
        match  "3"                                       `a/v.go`, line 3
        none   no value                                  the environment variable `Z` is not set
        other  "dflt"                                    its default, since Y is not set
        plain  "1.2-\u{1b}[1m"                           build.ron
        set    "2"                                       --set
        token  "***"                                     the environment variable TOKEN
    "#]]
    .assert_eq(&text(&["show", "--set", "set=2"]));
    expect![[r#"
        file   "v1.2"           the file `VERSION`
        plain  "1.2-\u{1b}[1m"  build.ron
    "#]]
    .assert_eq(&text(&["show", "file", "plain"]));
    let plan = text(&["plan", "-v", "x"]);
    let used: String =
        plan.lines().filter(|line| line.starts_with("variable")).map(|line| format!("{line}\n")).collect();
    expect![[r#"
        variable    dirty  "t1-1-g[COMMIT]" or "t1-1-g[COMMIT]-dirty"  Git(Describe(dirty: "-dirty"))
        variable    file   "v1.2"                                    the file `VERSION`
    "#]]
    .assert_eq(&used);
    assert!(!text(&["plan", "x"]).contains("variable"));
    space.run(&["show", "fiel"]).fails(2, &["there is no variable `fiel`", "did you mean `file`?"]);
    space.run(&["show", "--set", "x=1"]).fails(2, &["there is no variable `x`"]);
    assert!(!space.exists(".rondel"), "`show` and `plan` write nothing");
}

#[test]
fn a_value_counts_wherever_it_comes_from() {
    let space = TestSpace::with_targets(
        r#""x": Exec(command: ["sh", "-c", "echo $0 > out", "{v|major}"], inputs: [], outputs: ["out"]),
        "y": Exec(command: ["sh", "-c", "echo y > yout"], inputs: [], outputs: ["yout"])"#,
    );
    space.replace("build.ron", "targets:", r#"vars: {"v": File("VERSION")}, targets:"#);
    space.write("VERSION", "v1.2.3\n");
    space.ok(&["x", "y"]);
    assert_eq!(space.read("out"), "1\n");
    space.write("VERSION", "v2.0.0\n");
    space.ok(&["plan", "x", "y"]).check(expect![[r#"
        run         x (last [T]): arguments changed from `1` to `2`
        up to date  y
    "#]]);
    space.ok(&["x"]);
    assert_eq!(space.read("out"), "2\n");
    // What is not used of it does not count, nor from where it comes.
    space.write("VERSION", "v2.9.9");
    assert!(space.ran(&["x"]).is_empty());
    space.replace("build.ron", "File(\"VERSION\")", "\"2\"");
    assert!(space.ran(&["x"]).is_empty());
    // A variable that nothing asks for is not evaluated.
    space.replace("build.ron", "vars: {", "vars: {\"lost\": File(\"nowhere\"), ");
    space.ok(&["x"]);
}

/// A value that a target makes runs its readers again by value, and `plan` knows it from the store.
#[test]
fn a_target_makes_a_value() {
    let space = TestSpace::with_targets(
        r#""gen": Shell(script: "head -n 1 in > gen", inputs: ["in"], outputs: ["gen"]),
        "x": Exec(command: ["sh", "-c", "echo $0 $V > out", "{made|major}"], inputs: [], env: {"V": "{whole}"}, outputs: ["out"]),
        "t": Template(from: "a.in", to: "a.out"),
        "s": Shell(script: "echo \"$V\"", env: {"V": "{made}"})"#,
    );
    space.replace("build.ron", "targets:", r#"vars: {"made": Output("gen"), "whole": "<{made}>"}, targets:"#);
    space.write("in", "v1.2.3\n");
    space.write("a.in", "version: {made|trim_prefix:v} {whole}\n");
    space.ok(&["plan", "x"]).check(expect![[r#"
        run         gen: first build
        depends     x: on the outputs of gen
    "#]]);
    space.ok(&["x", "t"]);
    assert_eq!(
        (space.read("out").as_str(), space.read("a.out").as_str()),
        ("1 <v1.2.3>\n", "version: 1.2.3 <v1.2.3>\n")
    );
    assert!(space.ok(&["s"]).stderr.contains("v1.2.3\n"));
    // The same value from other inputs.
    space.append("in", "more\n");
    assert_eq!(space.ran(&["x", "t"]).keys().collect::<Vec<_>>(), ["gen"]);
    space.write("in", "v2.0.0\n");
    space.ok(&["x", "t"]);
    assert_eq!(
        (space.read("out").as_str(), space.read("a.out").as_str()),
        ("2 <v2.0.0>\n", "version: 2.0.0 <v2.0.0>\n")
    );
    // Of a result that is in the store only, the contents are known all the same.
    space.write("in", "v1.2.3\n");
    space.remove("gen");
    space.ok(&["plan", "x", "t"]).check(expect![[r#"
        restore     gen: its stored result is put back in place
        restore     x: its stored result is put back in place
        restore     t: its stored result is put back in place
    "#]]);
    assert_eq!(space.outcomes(&["x", "t"]).values().collect::<Vec<_>>(), ["cached", "cached", "cached"]);
    assert_eq!(space.audit_all(&[]).into_iter().collect::<Vec<_>>(), ["gen", "t", "x"]);
    let verified = space.ok(&["verify", "x"]).stderr;
    assert!(verified.contains("Identical gen") && verified.contains("Identical x"), "{verified}");
    space.ok(&["show"]).check(expect![[r#"
        made   no value  the value is known only when `gen` is made
        whole  no value  the value is known only when `gen` is made
    "#]]);
    assert_eq!(space.ran(&["x", "--set", "made=v7.0"]).keys().collect::<Vec<_>>(), ["x"]);
    assert_eq!(space.read("out"), "7 <v7.0>\n");
    space.write("in", "x y\n");
    space.run(&["x"]).fails(2, &["`{made|major}`: `x y` is no version"]);
}

/// The suffix of a description is that of the step's own sources.
#[test]
fn dirty_descriptions() {
    let space = TestSpace::with_targets(
        r#""x": Exec(command: ["sh", "-c", "echo $0 > x.out", "{v}"], inputs: ["x.in"], outputs: ["x.out"]),
        "y": Exec(command: ["sh", "-c", "echo $0 > y.out", "{v|short:2}"], inputs: ["y.in"], outputs: ["y.out"])"#,
    );
    space.replace("build.ron", "targets:", r#"vars: {"v": Git(Describe(dirty: "+edited"))}, targets:"#);
    space.write("x.in", "1");
    space.write("y.in", "1");
    space.write(".gitignore", "/.rondel\n*.out\n");
    git(&space, &["init", "--quiet"]).unwrap();
    git(&space, &["add", "--all"]).unwrap();
    git(&space, &["commit", "--quiet", "-m", "one"]).unwrap();
    git(&space, &["tag", "v1"]).unwrap();
    space.ok(&["x", "y"]);
    assert_eq!((space.read("x.out").as_str(), space.read("y.out").as_str()), ("v1\n", "v1\n"));
    space.write("x.in", "2");
    assert_eq!(space.ran(&["x", "y"]).keys().collect::<Vec<_>>(), ["x"]);
    assert_eq!(space.read("x.out"), "v1+edited\n");
    let described = git(&space, &["describe", "--tags", "--dirty=+edited"]).unwrap();
    assert_eq!(space.read("x.out"), format!("{described}\n"));
}

/// What the shell makes of its own braces, and of values that look like code.
#[test]
fn values_are_no_code() {
    let mut space = TestSpace::with_targets(
        r##""x": Shell(
            script: "f() { echo \"${BRANCH}\" ${NONE:-none} {1,2} ${#BRANCH}; }; { f; } > out; echo a b | awk '{print $2}' >> out; echo '{{.x}}' >> out",
            env: {"BRANCH": "{branch}"}, inputs: [], outputs: ["out"], tools: ["awk"],
        )"##,
    );
    space.replace("build.ron", "targets:", r#"vars: {"branch": Env("B")}, targets:"#);
    space.set("B", "$(touch pwned); {branch} `id` \"'");
    space.ok(&["x"]);
    assert_eq!(space.read("out"), "$(touch pwned); {branch} `id` \"' none {1,2} 32\nb\n{{.x}}\n");
    space.replace("build.ron", "${BRANCH}", "{branch}");
    let words = ["`{branch}` in a script", "declare `env: {\"BRANCH\": \"{branch}\"}` and write `\"$BRANCH\"`"];
    space.run(&["x"]).fails(2, &words);
}

#[test]
fn filters_in_a_template_file() {
    let space = TestSpace::with_targets(r#""t": Template(from: "a.in", to: "a.out")"#);
    space.replace("build.ron", "targets:", r#"vars: {"v": "v1.2.3", "branch": "feature/X", "e": ""}, targets:"#);
    space.write(
        "a.in",
        "{v|trim_prefix:v} {branch|slug|lower} {e|default:none} ${v|lower} {{v|lower}} \\{v|lower} {a|b}\n",
    );
    space.ok(&["t"]);
    assert_eq!(space.read("a.out"), "1.2.3 feature-x none ${v|lower} {{v|lower}} {v|lower} {a|b}\n");
    space.write("a.in", "x\n{v|sulg}\n");
    space.run(&["t"]).fails(2, &["a.in:2:1: `{v|sulg}`: there is no filter `sulg`; did you mean `slug`?"]);
}

/// The examples of docs/variables.md.
#[test]
fn the_examples_of_the_page() {
    let page = fs::read_to_string(repository().join("docs/variables.md")).unwrap();
    let blocks: Vec<&str> = page.split("```ron\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    let mut space = TestSpace::with_targets("");
    let (vars, targets) = blocks.split_first().unwrap();
    space.write(
        "build.ron",
        &format!("(format: 1, project: \"t\", go: System, {vars} targets: {{{}}})\n", targets.concat()),
    );
    space.write("VERSION", "1.0\n");
    space.write("internal/version.go", "package internal\n\nconst Protocol = \"7\"\n");
    space.set("BRANCH", "Feature/x");
    let shown = shown(&space);
    assert_eq!(
        (shown["release"].as_str(), shown["protocol"].as_str(), shown["name"].as_str()),
        ("1.0", "7", "small-0.0")
    );
    space.ok(&["announce"]);
    assert_eq!(space.read("announced"), "v0.0.0 1970-01-01\n");
    space.ok(&["notes"]);
    assert_eq!(space.read("notes"), "7.1\n");
    space.ok(&["plan", "image"]);
    space.replace("build.ron", "{branch|slug|lower}", "{branch}");
    let words = ["`{branch}` is `Feature/x`, and a tag has no `/`", "write `{branch|slug}`, which gives `Feature-x`"];
    space.run(&["image"]).fails(2, &words);
}
