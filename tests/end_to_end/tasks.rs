//! Tasks: parameters on the command line, aliases, groups and the list.

use std::fs;
use std::process::Command;

use expect_test::expect;

use crate::space::{TestSpace, make_executable, repository};

const TARGETS: &str = r#"
    "new": Exec(doc: "A new one", group: "database", aliases: ["n"], command: ["echo", "{name}", "--env={env}"],
        params: {"name": Param(doc: "Its name"), "env": Param(default: "dev", one_of: ["dev", "prod"])}),
    "config": Shell("echo \"$ENV\" > out.txt", inputs: ["in"], outputs: ["out.txt"],
        env: {"ENV": "{env}"}, params: {"env": Param(default: "dev")}),
    "use": Shell("cat out.txt", after: ["config"]),
"#;

fn space() -> TestSpace {
    let space = TestSpace::with_targets(TARGETS);
    space.write("in", "1\n");
    space
}

#[test]
fn values_are_arguments() {
    let space = space();
    space.ok(&["new", "name=a b; $(touch made) {env}"]).check(expect![[r#"
        --- stderr
             Running new: it declares no inputs
               new | a b; $(touch made) {env} --env=dev
                Done new in [T]
            Finished in [T]: 1 ran, 0 up to date
    "#]]);
    assert!(!space.exists("made"));
    space.ok(&["env=prod", "n", "name=--x=y"]).check(expect![[r#"
        --- stderr
             Running new: it declares no inputs
               new | --x=y --env=prod
                Done new in [T]
            Finished in [T]: 1 ran, 0 up to date
    "#]]);
    space.ok(&["config", "env=$(touch made)`touch made`\"; touch made"]);
    assert_eq!(space.read("out.txt"), "$(touch made)`touch made`\"; touch made\n");
    assert!(!space.exists("made"));
}

#[test]
fn slips_with_parameters() {
    let space = space();
    space.run(&["new"]).check(expect![[r#"
        --- stderr
        error: `new` needs a value for `name`

        hint: usage: rondel-under-test new name= [env=dev]
          name  Its name
          env   dev or prod; default: dev
        --- exit code 2
    "#]]);
    space.run(&["n", "nmae=x"]).check(expect![[r#"
        --- stderr
        error: `new` has no parameter `nmae`

        hint: did you mean `name=`?
        --- exit code 2
    "#]]);
    space.run(&["new", "name=x", "env=prd"]).check(expect![[r#"
        --- stderr
        error: `env` of `new` takes dev or prod, not `prd`

        hint: did you mean `prod`?
        --- exit code 2
    "#]]);
    space.run(&["new", "name=x", "env=test"]).check(expect![[r#"
        --- stderr
        error: `env` of `new` takes dev or prod, not `test`
        --- exit code 2
    "#]]);
    space.run(&["use", "env=x"]).check(expect![[r#"
        --- stderr
        error: `use` has no parameter `env`

        hint: `new` has it: ask for that target by its name
        --- exit code 2
    "#]]);
    space.run(&["new", "config", "name=x", "name=y"]).fails(2, &["`name` is given twice"]);
    space.run(&["name=x"]).fails(2, &["`name=x` is a value for no target"]);
    space.run(&["plan", "name=x"]).fails(2, &["`name=x` is a value for no target"]);
    space.run(&["config", "use", "env=x"]).fails(2, &["`use` runs `config` with the defaults of its parameters"]);
    space.ok(&["config", "use", "env=dev"]);
    let help = space.ok(&["n", "--help"]).stdout;
    assert!(help.starts_with("usage: rondel-under-test new name= [env=dev]\n\nA new one\n"), "{help}");
}

#[test]
fn a_value_goes_to_all_targets_that_have_the_parameter() {
    let space = space();
    space.ok(&["new", "config", "name=x", "env=prod", "-j1"]);
    assert_eq!(space.read("out.txt"), "prod\n");
    space.run(&["new", "config", "name=x", "env=other"]).fails(2, &["`env` of `new` takes dev or prod, not `other`"]);
    // The dependency of another target has its defaults.
    assert!(space.ok(&["use"]).stderr.contains("use | dev"));
}

#[test]
fn results_of_several_values_are_kept_side_by_side() {
    let space = space();
    let ends = |word: &str, words: &[&str]| {
        let said = space.ok(words).stderr;
        assert!(said.contains(word), "{words:?}\n{said}");
    };
    ends("Running config", &["config", "env=a"]);
    ends("Running config", &["config", "env=b"]);
    for value in ["a", "b", "a"] {
        let word = format!("env={value}");
        ends("Restored config", &["config", &word]);
        assert_eq!(space.read("out.txt"), format!("{value}\n"));
        ends("Up to date config", &["config", &word]);
    }
    ends("Running config", &["config", "env=dev"]);
    // The default is the same value.
    ends("Up to date config", &["config"]);
    space.ok(&["plan", "config", "env=c"]).check(expect![[r#"
        run         config (last [T]): ENV changed from `dev` to `c`
    "#]]);
}

#[test]
fn a_parameter_of_a_go_build() {
    let space = TestSpace::small();
    let server = "stamp: {\"main.version\": \"{env}\"}, params: {\"env\": Param(default: \"dev\")}";
    space.replace("build.ron", "stamp: {\"main.version\": \"{version}\"}", server);
    let version = || {
        let output = Command::new(space.root().join("dist/server/linux_amd64/small")).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    space.ok(&["server", "env=prod"]);
    assert_eq!(version(), "prod hello\n\n");
    space.ok(&["image"]);
    assert_eq!(version(), "dev hello\n\n");
    space.ok(&["server", "env=prod"]);
    assert_eq!(version(), "prod hello\n\n");
    assert!(space.ok(&["server", "env=dev"]).stderr.contains("Restored server"));
    assert!(space.ran(&["image"]).is_empty());
    space.ok(&["verify", "server", "env=prod"]);
    space.run(&["image", "env=prod"]).fails(2, &["`image` has no parameter `env`", "`server` has it"]);
}

#[test]
fn the_list_has_headings_aliases_parameters_and_states() {
    let space = space();
    space.ok(&["config"]);
    let list = space.ok(&[]).stdout;
    expect![[r#"
        t

        database
          new (n) name= [env=dev]  A new one

        other
          config [env=dev]         Shell
          use                      Shell

    "#]]
    .assert_eq(list.split("verbs").next().unwrap());
    space.ok(&["list", "--status"]).check(expect![[r#"
        t

        database
          needs values  new (n) name= [env=dev]  A new one

        other
          up to date    config [env=dev]         Shell
          runs always   use                      Shell
    "#]]);
    space.write("in", "2\n");
    let text = space.ok(&["list", "--status", "--format", "json"]).stdout;
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let lines: String = json["targets"].as_array().unwrap().iter().map(|target| format!("{target}\n")).collect();
    expect![[r#"
        {"aliases":["n"],"doc":"A new one","group":"database","kind":"Exec","params":[{"default":null,"doc":"Its name","name":"name","one_of":[]},{"default":"dev","doc":null,"name":"env","one_of":["dev","prod"]}],"platforms_of_host":[],"status":"needs_values","target":"new","why":"it needs a value for name"}
        {"aliases":[],"doc":null,"group":"other","kind":"Shell","params":[{"default":"dev","doc":null,"name":"env","one_of":[]}],"platforms_of_host":[],"status":"out_of_date","target":"config","why":"config: in changed"}
        {"aliases":[],"doc":null,"group":"other","kind":"Shell","params":[],"platforms_of_host":[],"status":"out_of_date","target":"use","why":"config: in changed"}
    "#]].assert_eq(&lines);
    space.ok(&["config"]);
    space.ok(&["config", "env=other"]);
    assert!(space.ok(&["list", "--status"]).stdout.contains("  stored        config"));
}

/// One target that can't be analyzed hides the states of no others, and nothing is started.
#[test]
fn states_are_asked_for_without_starting_anything() {
    let mut space = TestSpace::with_targets(
        r#""gone": Exec(command: ["no-such-program"]), "made": Exec(command: ["tool", "x"], inputs: ["in"]), "fresh": Shell("true", inputs: ["in"])"#,
    );
    space.write("in", "1\n");
    let started = space.beside("started");
    space.program("tool", &format!("touch {}", started.display()));
    space.ok(&["fresh"]);
    let before = fs::read_dir(space.root().join(".rondel")).unwrap().count();
    let listed = space.ok(&["list", "--status"]).stdout;
    expect![[r#"
        t

        other
          unknown      gone   Exec
          out of date  made   Exec
          up to date   fresh  Shell
    "#]]
    .assert_eq(&listed);
    assert_eq!(fs::read_dir(space.root().join(".rondel")).unwrap().count(), before);
    assert!(!started.exists());
}

/// The members of `all` write a line each when they begin and end; the second one may fail.
const MEMBERS: &str = r#"
    "one": Shell("echo one begins >> log; sleep 0.3; echo one ends >> log"),
    "two": Shell("echo two begins >> log; test ! -e broken; echo two ends >> log", after: ["needed"]),
    "needed": Shell("echo needed >> log"), "three": Shell("echo three >> log"),
    "all": Group(["one", "two", "three"], parallel: false), "free": Group(["one", "two"]),
"#;

#[test]
fn members_run_in_order() {
    let space = TestSpace::with_targets(MEMBERS);
    space.ok(&["all", "-j4"]);
    assert_eq!(space.read("log"), "one begins\none ends\nneeded\ntwo begins\ntwo ends\nthree\n");
    space.remove("log");
    // Whatever else the run asks for, and in whatever order.
    space.ok(&["three", "two", "all", "-j4", "--force"]);
    assert_eq!(space.read("log"), "one begins\none ends\nneeded\ntwo begins\ntwo ends\nthree\n");
    space.remove("log");
    space.ok(&["free", "-j4"]);
    let log = space.read("log");
    assert!(log.ends_with("one ends\n") && log.contains("two ends\n"), "side by side: {log}");
}

#[test]
fn a_failure_tells_what_became_of_the_other_members() {
    let space = TestSpace::with_targets(MEMBERS);
    space.write("broken", "");
    let last = |words: &[&str]| {
        let run = space.run(words);
        assert_eq!(run.code, 1, "{}", run.stderr);
        let line = run.stderr.lines().find(|line| line.trim().starts_with("Group "));
        line.unwrap_or_default().trim().to_owned()
    };
    assert_eq!(last(&["all"]), "Group all: one ran; two failed; three did not run");
    assert_eq!(last(&["all", "--keep-going"]), "Group all: one ran; two failed; three did not run");
    assert_eq!(last(&["free", "--keep-going"]), "Group free: one ran; two failed");
    let events = space.run(&["all", "--events", "json"]).events();
    let group = events.iter().find(|event| event["event"] == "group").unwrap();
    expect![[r#"
        {"event":"group","members":[{"outcome":"ran","target":"one"},{"outcome":"failed","target":"two"},{"outcome":"not_run","target":"three"}],"target":"all"}
    "#]].assert_eq(&format!("{group}\n"));
    space.remove("broken");
    assert!(!space.ok(&["all"]).stderr.contains("Group"));
}

#[test]
fn the_examples_of_the_page() {
    let page = fs::read_to_string(repository().join("docs/tasks.md")).unwrap();
    let targets = page.split("```ron\n").nth(1).unwrap().split("```").next().unwrap();
    let test = "\"test\": Exec(command: [\"true\"])";
    let space = TestSpace::with_targets(&format!("{targets}{test}"));
    for script in ["migrate.sh", "seed.sh"] {
        space.write(script, "#!/bin/sh\necho \"${0##*/} $*\" >> log\n");
        make_executable(&space.root().join(script));
    }
    // Each of the other examples stands by itself.
    for example in page.split("```ron\n").skip(2) {
        let example = example.split("```").next().unwrap();
        let space = TestSpace::with_targets(if example.starts_with("    ") { "" } else { example });
        if example.starts_with("    ") {
            space.replace("build.ron", "go: System,", &format!("go: System, {example}"));
        }
        space.ok(&["list"]);
    }
    let console = page.split("```console\n").nth(1).unwrap().split("```").next().unwrap();
    let lines: Vec<&str> = console.lines().filter_map(|line| line.strip_prefix("$ cargo xtask ")).collect();
    for line in &lines[..2] {
        space.ok(&line.split(' ').collect::<Vec<_>>());
    }
    space.ok(&["ready"]);
    expect![[r#"
        migrate.sh create add_users --env=dev
        migrate.sh create drop_users --env=prod
        seed.sh dev
    "#]]
    .assert_eq(&space.read("log"));
    let refused = space.run(&[lines[2]]).stderr.replace("rondel-under-test", "cargo xtask");
    assert!(console.ends_with(&refused), "{refused}");
    space.run(&["ready", "seed", "env=prod"]).fails(2, &["`ready` runs `seed` with the defaults"]);
}

#[test]
fn a_question_is_answered_before_anything_runs() {
    let space = TestSpace::with_targets(
        r#"
        "first": Shell("echo first > first.txt"),
        "drop": Shell("echo dropped >> dropped.txt", after: ["first"], confirm: "Drop the database?"),
        "all": Group(["first", "drop"]),
        "other": Exec(command: ["true"]),
    "#,
    );
    for targets in [&["drop"][..], &["all"], &["other", "all"]] {
        let run = space.run(targets);
        run.fails(2, &["`drop` asks \"Drop the database?\" before it runs, and nobody is here", "hint: `--yes`"]);
    }
    assert!(!space.exists("first.txt") && !space.exists("dropped.txt"));
    space.ok(&["other", "first"]);
    space.ok(&["plan", "drop"]);
    space.ok(&["all", "--yes"]);
    assert_eq!(space.read("dropped.txt"), "dropped\n");
    // With a terminal, as `script` of util-linux makes one.
    let program = env!("CARGO_BIN_EXE_rondel-under-test");
    for (answer, count) in [("y", 2), ("no", 2), ("", 2), ("YES", 3)] {
        let words = format!("{program} drop");
        let mut command = Command::new("script");
        command.args(["-qec", &words, "/dev/null"]).current_dir(space.root()).env("TERM", "xterm");
        command.env("RONDEL_CACHE_DIR", space.cache());
        let mut child =
            command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped()).spawn().unwrap();
        std::io::Write::write_all(child.stdin.as_mut().unwrap(), format!("{answer}\n").as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains("drop: Drop the database? [y/N]"), "{text}");
        assert_eq!(space.read("dropped.txt").lines().count(), count, "{answer}: {text}");
    }
}

#[test]
fn programs_are_looked_for_before_anything_runs() {
    let space = TestSpace::with_targets(
        r#"
        "first": Shell("echo first > first.txt"),
        "psql": Exec(command: ["true"], after: ["first"], requires: {"sh": "", "psql-none": "apt install postgresql-client"}),
    "#,
    );
    let run = space.run(&["psql"]);
    run.fails(
        3,
        &["`psql` needs `psql-none`, which is not on PATH", "hint: install it: apt install postgresql-client"],
    );
    assert!(!space.exists("first.txt"));
    assert!(space.ok(&["plan", "psql"]).stdout.contains("psql-none"));
    space.ok(&["first"]);
    make_executable(&{
        space.write("bin/psql-none", "#!/bin/sh\n");
        space.root().join("bin/psql-none")
    });
    let mut space = space;
    let path = format!("{}:/usr/bin:/bin", space.root().join("bin").display());
    space.set("PATH", &path);
    space.ok(&["psql"]);
}

#[test]
fn a_target_answers_on_standard_output() {
    let space = TestSpace::with_targets(
        r#"
        "version": Shell("echo \"$V\"; echo noise >&2; printf '\\033[31mred\\033[0m\\tx'", env: {"V": "1.2 3"}, capture: true),
        "kept": Shell("echo kept", inputs: ["in"], capture: true),
        "other": Shell("echo other", after: ["version"]),
    "#,
    );
    space.write("in", "1\n");
    let run = space.ok(&["-q", "version"]);
    assert_eq!((run.stdout.as_str(), run.stderr.as_str()), ("1.2 3\n\u{1b}[31mred\u{1b}[0m\tx\n", ""));
    let run = space.ok(&["version"]);
    assert!(
        run.stdout.starts_with("1.2 3\n") && run.stderr.contains("version | noise"),
        "{}{}",
        run.stdout,
        run.stderr
    );
    assert!(!run.stderr.contains("1.2 3"), "{}", run.stderr);
    // From the cache too, and not where another target runs it.
    for _ in 0..2 {
        assert_eq!(space.ok(&["-q", "kept"]).stdout, "kept\n");
    }
    assert_eq!(space.ok(&["-q", "other"]).stdout, "");
}
