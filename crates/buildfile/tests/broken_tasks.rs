//! Broken fields of targets that are tasks for people, and Rondel's messages about them, word for word.

mod support;

use expect_test::expect;
use support::check;

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
