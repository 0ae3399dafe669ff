//! Broken fields of targets that are tasks for people, and Rondel's messages about them, word for word.

mod support;

use expect_test::expect;
use support::check;

#[test]
fn files_of_variables() {
    check(
        r#"targets: {"a": Exec(command: ["x"], env_file: ["../x", Optional("/y"), Optional(), Optional, File("z")]), "b": Shell("x", env_file: ".env")}"#,
        expect![[r#"
            error: `../x` leaves the root
             --> build.ron:4:52
              |
            4 |     targets: {"a": Exec(command: ["x"], env_file: ["../x", Optional("/y"), Optional(), Optional, File("z")]), "b": Shell("x", env_file: ".en
              |                                                    ^^^^^^

            hint: paths are relative to `root`
            error: `/y` leaves the root
             --> build.ron:4:69
              |
            4 | ets: {"a": Exec(command: ["x"], env_file: ["../x", Optional("/y"), Optional(), Optional, File("z")]), "b": Shell("x", env_file: ".env")},
              |                                                             ^^^^

            hint: paths are relative to `root`
            error: `Optional` takes one string
             --> build.ron:4:76
              |
            4 | a": Exec(command: ["x"], env_file: ["../x", Optional("/y"), Optional(), Optional, File("z")]), "b": Shell("x", env_file: ".env")},
              |                                                             ^^^^^^^^^^
            error: expected a path, or `Optional("path")`, found `Optional`
             --> build.ron:4:88
              |
            4 | mand: ["x"], env_file: ["../x", Optional("/y"), Optional(), Optional, File("z")]), "b": Shell("x", env_file: ".env")},
              |                                                             ^^^^^^^^
            error: expected a path, or `Optional("path")`, found `File("z")`
             --> build.ron:4:98
              |
            4 | ], env_file: ["../x", Optional("/y"), Optional(), Optional, File("z")]), "b": Shell("x", env_file: ".env")},
              |                                                             ^^^^^^^^^
            error: expected a list of paths of files, found `".env"`
             --> build.ron:4:137
              |
            4 | ptional(), Optional, File("z")]), "b": Shell("x", env_file: ".env")},
              |                                                             ^^^^^^

            hint: write a list: `[".env"]`
        "#]],
    );
}

#[test]
fn an_environment_for_all() {
    check(
        r#"env: {"A": "{nothing}", "B": Output("a"), "1C": "x", "A": "y"}, targets: {"a": Exec(command: ["x"])}"#,
        expect![[r#"
            error: there is no variable `nothing`
             --> build.ron:4:16
              |
            4 |     env: {"A": "{nothing}", "B": Output("a"), "1C": "x", "A": "y"}, targets: {"a": Exec(command: ["x"])},
              |                ^^^^^^^^^^^

            hint: declare it under `vars`, or write `{{nothing}}` for a literal brace
            error: an `Output` is not allowed here: it is a path of this machine, not a text
             --> build.ron:4:34
              |
            4 |     env: {"A": "{nothing}", "B": Output("a"), "1C": "x", "A": "y"}, targets: {"a": Exec(command: ["x"])},
              |                                  ^^^^^^^^^^^

            hint: use `Output` in the `command`, `env` or `inputs` of `Exec`, `Shell` or `GoTest`
            error: `1C` can't be the name of an environment variable
             --> build.ron:4:47
              |
            4 |     env: {"A": "{nothing}", "B": Output("a"), "1C": "x", "A": "y"}, targets: {"a": Exec(command: ["x"])},
              |                                               ^^^^
            error: key `A` is given twice
             --> build.ron:4:58
              |
            4 |     env: {"A": "{nothing}", "B": Output("a"), "1C": "x", "A": "y"}, targets: {"a": Exec(command: ["x"])},
              |                                                          ^^^

            hint: remove one of the two
        "#]],
    );
}

#[test]
fn defaults_with_mistakes() {
    check(
        r#"defaults: (Exec: (dri: "x", env: {"1": "x"}), Exce: (dir: "x"), GoBuild: (cgo: 1), Group: (pool: "x"), Shell: 1,
        DockerRun: (user: "{nothing}"), Push: (after: ["none"])),
        targets: {"a": Exec(command: ["x"]), "b": Exec(command: ["x"]), "c": DockerRun(image: "i"), "i": Image(base: Static)}"#,
        expect![[r#"
            error: unknown field `dri` in `Exec`
             --> build.ron:4:23
              |
            4 |     defaults: (Exec: (dri: "x", env: {"1": "x"}), Exce: (dir: "x"), GoBuild: (cgo: 1), Group: (pool: "x"), Shell: 1,
              |                       ^^^

            hint: did you mean `dir`?
            error: `1` can't be the name of an environment variable
             --> build.ron:4:39
              |
            4 |     defaults: (Exec: (dri: "x", env: {"1": "x"}), Exce: (dir: "x"), GoBuild: (cgo: 1), Group: (pool: "x"), Shell: 1,
              |                                       ^^^
            error: `Exce` is not a kind of target
             --> build.ron:4:51
              |
            4 |     defaults: (Exec: (dri: "x", env: {"1": "x"}), Exce: (dir: "x"), GoBuild: (cgo: 1), Group: (pool: "x"), Shell: 1,
              |                                                   ^^^^

            hint: did you mean `Exec`?
            error: expected `true` or `false`, found `1`
             --> build.ron:4:84
              |
            4 | ri: "x", env: {"1": "x"}), Exce: (dir: "x"), GoBuild: (cgo: 1), Group: (pool: "x"), Shell: 1,
              |                                                             ^
            error: unknown field `pool` in `Group`
             --> build.ron:4:96
              |
            4 | : {"1": "x"}), Exce: (dir: "x"), GoBuild: (cgo: 1), Group: (pool: "x"), Shell: 1,
              |                                                             ^^^^

            hint: `Group` has: doc, after, private, group, aliases, params, requires, platforms_of_host, preconditions, confirm, targets, parallel
            error: expected only opening `(`, no name, for un-nameable struct (expected fields in parentheses, `(name: value, …)`)
             --> build.ron:4:115
              |
            4 | : (dir: "x"), GoBuild: (cgo: 1), Group: (pool: "x"), Shell: 1,
              |                                                             ^
            error: there is no variable `nothing`
             --> build.ron:5:27
              |
            5 |         DockerRun: (user: "{nothing}"), Push: (after: ["none"])),
              |                           ^^^^^^^^^^^

            hint: declare it under `vars`, or write `{{nothing}}` for a literal brace
        "#]],
    );
}

/// What only a target can tell is reported once, at the default.
#[test]
fn defaults_that_do_not_fit_the_file() {
    check(
        r#"defaults: (DockerRun: (user: "{nothing}"), Exec: (after: ["nnoe"])), targets: {"none": Exec(command: ["x"]), "b": Exec(command: ["x"]), "c": DockerRun(image: "i"), "i": Image(base: Static)}"#,
        expect![[r#"
            error: there is no variable `nothing`
             --> build.ron:4:34
              |
            4 |     defaults: (DockerRun: (user: "{nothing}"), Exec: (after: ["nnoe"])), targets: {"none": Exec(command: ["x"]), "b": Exec(command: ["x"]),
              |                                  ^^^^^^^^^^^

            hint: declare it under `vars`, or write `{{nothing}}` for a literal brace
            error: there is no target `nnoe`
             --> build.ron:4:63
              |
            4 |   defaults: (DockerRun: (user: "{nothing}"), Exec: (after: ["nnoe"])), targets: {"none": Exec(command: ["x"]), "b": Exec(command: ["x"]), "c
              |                                                             ^^^^^^

            hint: did you mean `none`?
        "#]],
    );
    check(
        r#"defaults: [], targets: {"a": Exec(dir: "y")}"#,
        expect![[r#"
        error: expected opening `(` (expected fields in parentheses, `(name: value, …)`)
         --> build.ron:4:15
          |
        4 |     defaults: [], targets: {"a": Exec(dir: "y")},
          |               ^
        error: `Exec` needs the field `command`
         --> build.ron:4:34
          |
        4 |     defaults: [], targets: {"a": Exec(dir: "y")},
          |                                  ^^^^
    "#]],
    );
}

#[test]
fn defaults_hold_where_a_target_says_nothing() {
    let text = r#"(format: 1, project: "p",
        defaults: (Exec: (command: ["x"], dir: "d", env: {"A": "a", "B": "b"}, tools: ["t"], pool: "p", doc: "Default"), Shell: (dir: "s")),
        targets: {"a": Exec(), "b": Exec(dir: "e", env: {"B": "own", "C": "c"}, tools: [], doc: "Own"), "c": Shell("x", env: {"A": "y"}), "d": Shell("x")})"#;
    let file = rondel_buildfile::BuildFile::parse(text, "0.1.0").unwrap();
    let mut lines = String::new();
    for target in &file.targets {
        let process = match &target.kind {
            rondel_buildfile::TargetKind::Exec(exec) => &exec.fields,
            rondel_buildfile::TargetKind::Shell(shell) => &shell.fields,
            other => panic!("{other:?}"),
        };
        let env: Vec<String> = process
            .env
            .iter()
            .map(|(name, text)| format!("{}={}", name.value, text.as_literal().unwrap_or_default()))
            .collect();
        let dir = process.dir.as_ref().map_or("", |dir| dir.value.as_str());
        let (tools, pool) = (process.tools.len(), target.limits.pool.as_ref().map_or("", |pool| pool.value.as_str()));
        lines.push_str(&format!("{} {dir} {env:?} {tools} {pool} {:?}\n", target.name.value, target.common.doc));
    }
    expect![[r#"
        a d ["A=a", "B=b"] 1 p Some("Default")
        b e ["B=own", "C=c", "A=a"] 0 p Some("Own")
        c s ["A=y"] 0  None
        d s [] 0  None
    "#]]
    .assert_eq(&lines);
}

#[test]
fn sets_with_mistakes() {
    check(
        r#"sets: {"web": ["web/**", "../x"], "a": [Set("b")], "b": ["x", Set("a")], "more": [Set("wbe")], "out": [File("x")], "one": "x"},
        targets: {"a": Shell("x", inputs: [Set("web"), Set("none"), Set, Set("a", "b"), Set(1)]), "b": Shell("x", inputs: [Set("web")])}"#,
        expect![[r#"
            error: `../x` leaves the root
             --> build.ron:4:30
              |
            4 |     sets: {"web": ["web/**", "../x"], "a": [Set("b")], "b": ["x", Set("a")], "more": [Set("wbe")], "out": [File("x")], "one": "x"},
              |                              ^^^^^^

            hint: paths are relative to `root`
            error: sets name each other: `b` -> `a` -> `b`
             --> build.ron:4:49
              |
            4 |     sets: {"web": ["web/**", "../x"], "a": [Set("b")], "b": ["x", Set("a")], "more": [Set("wbe")], "out": [File("x")], "one": "x"},
              |                                                 ^^^

            hint: remove one of them
            error: sets name each other: `a` -> `b` -> `a`
             --> build.ron:4:71
              |
            4 | {"web": ["web/**", "../x"], "a": [Set("b")], "b": ["x", Set("a")], "more": [Set("wbe")], "out": [File("x")], "one": "x"},
              |                                                             ^^^

            hint: remove one of them
            error: there is no set `wbe` in `sets`
             --> build.ron:4:91
              |
            4 | ../x"], "a": [Set("b")], "b": ["x", Set("a")], "more": [Set("wbe")], "out": [File("x")], "one": "x"},
              |                                                             ^^^^^

            hint: did you mean `web`?
            error: expected a glob, `Output("target")` or `Set("name")`, found `File("x")`
             --> build.ron:4:108
              |
            4 | ("b")], "b": ["x", Set("a")], "more": [Set("wbe")], "out": [File("x")], "one": "x"},
              |                                                             ^^^^^^^^^
            error: expected a list of globs, outputs or sets, found `"x"`
             --> build.ron:4:127
              |
            4 | Set("a")], "more": [Set("wbe")], "out": [File("x")], "one": "x"},
              |                                                             ^^^

            hint: write a list: `["x"]`
            error: there is no set `none` in `sets`
             --> build.ron:5:60
              |
            5 |         targets: {"a": Shell("x", inputs: [Set("web"), Set("none"), Set, Set("a", "b"), Set(1)]), "b": Shell("x", inputs: [Set("web")])},
              |                                                            ^^^^^^

            hint: did you mean `one`?
            error: expected a glob, `Output("target")` or `Set("name")`, found `Set`
             --> build.ron:5:69
              |
            5 | targets: {"a": Shell("x", inputs: [Set("web"), Set("none"), Set, Set("a", "b"), Set(1)]), "b": Shell("x", inputs: [Set("web")])},
              |                                                             ^^^
            error: `Set` takes one string
             --> build.ron:5:74
              |
            5 | ts: {"a": Shell("x", inputs: [Set("web"), Set("none"), Set, Set("a", "b"), Set(1)]), "b": Shell("x", inputs: [Set("web")])},
              |                                                             ^^^^^^^^^^^^^
            error: expected the name of a set, found `1`
             --> build.ron:5:93
              |
            5 | , inputs: [Set("web"), Set("none"), Set, Set("a", "b"), Set(1)]), "b": Shell("x", inputs: [Set("web")])},
              |                                                             ^
        "#]],
    );
    check(
        r#"targets: {"a": Shell("x", inputs: [Set("web")], outputs: [Set("web")])}"#,
        expect![[r#"
        error: there is no set `web` in `sets`
         --> build.ron:4:44
          |
        4 |     targets: {"a": Shell("x", inputs: [Set("web")], outputs: [Set("web")])},
          |                                            ^^^^^

        hint: declare it: sets: {"web": ["…"]}
        error: expected a path, found `Set("web")`
         --> build.ron:4:63
          |
        4 |   targets: {"a": Shell("x", inputs: [Set("web")], outputs: [Set("web")])},
          |                                                             ^^^^^^^^^^
    "#]],
    );
}

/// Sets that grow without bound are refused, and not read.
#[test]
fn sets_that_stand_for_too_much() {
    let many = |name: &str| format!("[{}]", format!("Set(\"{name}\"),").repeat(1000));
    let sets = format!(r#"{{"a": {}, "b": {}, "c": {}, "d": ["x"]}}"#, many("b"), many("c"), many("d"));
    let text = format!(r#"(format: 1, project: "p", sets: {sets}, targets: {{"x": Shell("x", inputs: [Set("a")])}})"#);
    let mistakes = rondel_buildfile::BuildFile::parse(&text, "0.1.0").unwrap_err();
    assert!(mistakes.iter().all(|mistake| mistake.message.ends_with("stands for too much")));
    let chain: String = (0..999).map(|number| format!("\"s{number}\": [Set(\"s{}\")],", number + 1)).collect();
    let text = format!(r#"(format: 1, project: "p", sets: {{{chain}"s999": ["x"]}}, targets: {{"x": Shell("x")}})"#);
    let mistakes = rondel_buildfile::BuildFile::parse(&text, "0.1.0").unwrap_err();
    assert!(mistakes.iter().all(|mistake| mistake.message.ends_with("stands for too much")));
}

#[test]
fn removals_of_targets_that_are_not_there() {
    check(
        r#"targets: {"make": Shell("x", aliases: ["m"]), "clean": Clean(["mak", "m"]), "b": Clean("make"), "c": Clean([1], polo: "x"), "d": Clean(target: ["make"])}"#,
        expect![[r#"
            error: expected a list of target names, found `"make"`
             --> build.ron:4:92
              |
            4 | , aliases: ["m"]), "clean": Clean(["mak", "m"]), "b": Clean("make"), "c": Clean([1], polo: "x"), "d": Clean(target: ["make"])},
              |                                                             ^^^^^^

            hint: write a list: `["make"]`
            error: expected the name of a target, found `1`
             --> build.ron:4:113
              |
            4 | lean": Clean(["mak", "m"]), "b": Clean("make"), "c": Clean([1], polo: "x"), "d": Clean(target: ["make"])},
              |                                                             ^
            error: unknown field `polo` in `Clean`
             --> build.ron:4:117
              |
            4 | ": Clean(["mak", "m"]), "b": Clean("make"), "c": Clean([1], polo: "x"), "d": Clean(target: ["make"])},
              |                                                             ^^^^

            hint: did you mean `pool`?
            error: unknown field `target` in `Clean`
             --> build.ron:4:140
              |
            4 |  "b": Clean("make"), "c": Clean([1], polo: "x"), "d": Clean(target: ["make"])},
              |                                                             ^^^^^^

            hint: did you mean `targets`?
        "#]],
    );
    check(
        r#"targets: {"make": Shell("x", aliases: ["m"]), "clean": Clean(["mak", "m"]), "c": Clean(targets: ["clean"])}"#,
        expect![[r#"
            error: there is no target `mak`
             --> build.ron:4:67
              |
            4 | rgets: {"make": Shell("x", aliases: ["m"]), "clean": Clean(["mak", "m"]), "c": Clean(targets: ["clean"])},
              |                                                             ^^^^^

            hint: did you mean `make`?
            error: there is no target `m`
             --> build.ron:4:74
              |
            4 | {"make": Shell("x", aliases: ["m"]), "clean": Clean(["mak", "m"]), "c": Clean(targets: ["clean"])},
              |                                                             ^^^

            hint: it is an alias, for the command line only: write `make`
        "#]],
    );
}

#[test]
fn machines_that_nobody_has() {
    check(
        r#"targets: {"a": Shell("x", platforms_of_host: ["linus", "linux/*", "darwn/arm64", "linux/arm/v7", 1]), "b": Group([], platforms_of_host: []),
            "c": Shell("x", platforms_of_host: "linux"), "d": Shell("x", platforms_of_host: ["", "linux/"])}"#,
        expect![[r#"
            error: `linus` is no platform that Go knows
             --> build.ron:4:51
              |
            4 |     targets: {"a": Shell("x", platforms_of_host: ["linus", "linux/*", "darwn/arm64", "linux/arm/v7", 1]), "b": Group([], platforms_of_host:
              |                                                   ^^^^^^^

            hint: did you mean `linux`?
            error: `darwn/arm64` is no platform that Go knows
             --> build.ron:4:71
              |
            4 | s: {"a": Shell("x", platforms_of_host: ["linus", "linux/*", "darwn/arm64", "linux/arm/v7", 1]), "b": Group([], platforms_of_host: []),
              |                                                             ^^^^^^^^^^^^^

            hint: did you mean `darwin/arm64`?
            error: `linux/arm/v7` has a variant, which no machine has
             --> build.ron:4:86
              |
            4 | "x", platforms_of_host: ["linus", "linux/*", "darwn/arm64", "linux/arm/v7", 1]), "b": Group([], platforms_of_host: []),
              |                                                             ^^^^^^^^^^^^^^

            hint: write an operating system and, if need be, an architecture: "linux", "darwin/arm64"
            error: expected a platform, "linux" or "darwin/arm64", found `1`
             --> build.ron:4:102
              |
            4 | f_host: ["linus", "linux/*", "darwn/arm64", "linux/arm/v7", 1]), "b": Group([], platforms_of_host: []),
              |                                                             ^
            error: `platforms_of_host` is empty
             --> build.ron:4:141
              |
            4 | 64", "linux/arm/v7", 1]), "b": Group([], platforms_of_host: []),
              |                                                             ^^

            hint: write an operating system and, if need be, an architecture: "linux", "darwin/arm64"
            error: expected a list of platforms, found `"linux"`
             --> build.ron:5:48
              |
            5 |             "c": Shell("x", platforms_of_host: "linux"), "d": Shell("x", platforms_of_host: ["", "linux/"])},
              |                                                ^^^^^^^

            hint: write a list: `["linux"]`
            error: `` is no platform that Go knows
             --> build.ron:5:94
              |
            5 | orms_of_host: "linux"), "d": Shell("x", platforms_of_host: ["", "linux/"])},
              |                                                             ^^

            hint: write an operating system and, if need be, an architecture: "linux", "darwin/arm64"
            error: `linux/` is no platform that Go knows
             --> build.ron:5:98
              |
            5 | _of_host: "linux"), "d": Shell("x", platforms_of_host: ["", "linux/"])},
              |                                                             ^^^^^^^^

            hint: did you mean `linux`?
        "#]],
    );
}

#[test]
fn conditions() {
    check(
        r#"targets: {"a": Shell("x", preconditions: {" ": "y", "true": 1}), "b": Shell("x", preconditions: ["true"])}"#,
        expect![[r#"
            error: a condition without a script
             --> build.ron:4:47
              |
            4 |     targets: {"a": Shell("x", preconditions: {" ": "y", "true": 1}), "b": Shell("x", preconditions: ["true"])},
              |                                               ^^^

            hint: write a script that fails where the target can't run: "test -e .env"
            error: expected a line of text, found `1`
             --> build.ron:4:65
              |
            4 | targets: {"a": Shell("x", preconditions: {" ": "y", "true": 1}), "b": Shell("x", preconditions: ["true"])},
              |                                                             ^
            error: expected a map, `{"test -e .env": "copy .env.example to .env"}`, found `["true"]`
             --> build.ron:4:101
              |
            4 | ons: {" ": "y", "true": 1}), "b": Shell("x", preconditions: ["true"])},
              |                                                             ^^^^^^^^
        "#]],
    );
}

#[test]
fn interactive_commands_with_what_they_cannot_have() {
    check(
        r#"targets: {"a": Exec(command: ["x"], interactive: true, inputs: ["**"], outputs: ["y"]),
        "b": Shell("x", interactive: true, capture: true), "c": Shell("x", interactive: 1),
        "d": DockerRun(image: "i", interactive: true, detach: true), "i": DockerBuild(dockerfile: "D", tags: ["x"])}"#,
        expect![[r#"
            error: an interactive command has no `inputs`: what somebody types is in no key, so that it always runs
             --> build.ron:4:54
              |
            4 |     targets: {"a": Exec(command: ["x"], interactive: true, inputs: ["**"], outputs: ["y"]),
              |                                                      ^^^^

            hint: remove `inputs`, or `interactive`
            error: an interactive command has no `outputs`: what it makes depends on what somebody types
             --> build.ron:4:54
              |
            4 |     targets: {"a": Exec(command: ["x"], interactive: true, inputs: ["**"], outputs: ["y"]),
              |                                                      ^^^^

            hint: remove `outputs`, or `interactive`
            error: an interactive command has no `capture`: its standard output is the user's already
             --> build.ron:5:38
              |
            5 |         "b": Shell("x", interactive: true, capture: true), "c": Shell("x", interactive: 1),
              |                                      ^^^^

            hint: remove `capture`, or `interactive`
            error: expected `true` or `false`, found `1`
             --> build.ron:5:89
              |
            5 | ractive: true, capture: true), "c": Shell("x", interactive: 1),
              |                                                             ^
            error: an interactive container has no `detach`: it ends when somebody leaves it
             --> build.ron:6:49
              |
            6 |         "d": DockerRun(image: "i", interactive: true, detach: true), "i": DockerBuild(dockerfile: "D", tags: ["x"])},
              |                                                 ^^^^

            hint: remove `detach`, or `interactive`
        "#]],
    );
}
