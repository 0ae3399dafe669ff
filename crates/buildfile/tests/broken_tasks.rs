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
