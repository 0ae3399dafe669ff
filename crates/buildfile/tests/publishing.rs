//! `publish` of a `Release`: the page about it, and what is refused.

mod support;

use expect_test::expect;
use support::check;

/// Returns the fields of a file with a release that goes to `places`.
fn release(places: &str) -> String {
    format!(
        "go: System, vars: {{\"version\": \"1\"}}, targets: {{\"server\": GoBuild(packages: [\".\"]),\n\
        \"release\": Release(builds: [\"server\"], publish: [{places}])}}"
    )
}

#[test]
fn the_example_of_the_page() {
    let page = include_str!("../../../docs/publishing.md");
    let example = page.split("```ron\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let head = "format: 1, project: \"p\", go: System, vars: {\"version\": \"1\"}";
    let text = format!("({head}, targets: {{\"server\": GoBuild(packages: [\".\"]), {example}}})");
    assert_eq!(support::messages(&text), "no mistakes\n");
}

#[test]
fn a_token_is_never_in_the_file() {
    check(
        &release("GitHub(repository: \"me/app\", token: \"ghp_word\")"),
        expect![[r#"
        error: expected `Secret("NAME")`, found `"ghp_word"`
         --> build.ron:5:86
          |
        5 | : ["server"], publish: [GitHub(repository: "me/app", token: "ghp_word")])},
          |                                                             ^^^^^^^^^^

        hint: a token comes from the environment, so that none is in a file or shown: Secret("GITHUB_TOKEN")
    "#]],
    );
    check(
        &release("GitHub(repository: \"me/app\", token: Env(\"TOKEN\"))"),
        expect![[r#"
        error: expected `Secret("NAME")`, found `Env("TOKEN")`
         --> build.ron:5:86
          |
        5 | : ["server"], publish: [GitHub(repository: "me/app", token: Env("TOKEN"))])},
          |                                                             ^^^^^^^^^^^^

        hint: a token comes from the environment, so that none is in a file or shown: Secret("GITHUB_TOKEN")
    "#]],
    );
}

#[test]
fn places_that_are_none() {
    check(
        &release("GitHub(repository: \"https://github.com/me/app\")"),
        expect![[r#"
        error: `https://github.com/me/app` is no repository of a forge
         --> build.ron:5:69
          |
        5 | ": Release(builds: ["server"], publish: [GitHub(repository: "https://github.com/me/app")])},
          |                                                             ^^^^^^^^^^^^^^^^^^^^^^^^^^^

        hint: write "owner/name", without the address of the forge
    "#]],
    );
    check(
        &release("Gitea(repository: \"me/app\")"),
        expect![[r#"
        error: `Gitea` needs the field `url`
         --> build.ron:5:50
          |
        5 | "release": Release(builds: ["server"], publish: [Gitea(repository: "me/app")])},
          |                                                  ^^^^^
    "#]],
    );
    check(
        &release("GitLab(repository: \"me/app\")"),
        expect![[r#"
        error: expected `GitHub(repository: "owner/name")`, `Gitea(…)` or `Directory("/srv/releases/{version}")`, found `GitLab(repository: "me/app")`
         --> build.ron:5:50
          |
        5 | "release": Release(builds: ["server"], publish: [GitLab(repository: "me/app")])},
          |                                                  ^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    "#]],
    );
    check(
        &release("Directory"),
        expect![[r#"
        error: expected `GitHub(repository: "owner/name")`, `Gitea(…)` or `Directory("/srv/releases/{version}")`, found `Directory`
         --> build.ron:5:50
          |
        5 | "release": Release(builds: ["server"], publish: [Directory])},
          |                                                  ^^^^^^^^^
    "#]],
    );
    check(
        &release("GitHub(repository: \"me/app\", prerelease: Automatic)"),
        expect![[r#"
        error: expected `Auto`, `true` or `false`, found `Automatic`
         --> build.ron:5:91
          |
        5 | erver"], publish: [GitHub(repository: "me/app", prerelease: Automatic)])},
          |                                                             ^^^^^^^^^
    "#]],
    );
}
