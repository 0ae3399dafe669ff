//! `sign` of a `Release`: the page about it, what is refused, and the files of private keys.

mod support;

use std::path::{Path, PathBuf};

use expect_test::expect;
use rondel_buildfile::BuildFile;
use support::check;

/// Returns the fields of a file with a signed release.
fn release(sign: &str) -> String {
    format!(
        "go: System, vars: {{\"version\": \"1\"}}, targets: {{\"server\": GoBuild(packages: [\".\"]),\n\
        \"release\": Release(builds: [\"server\"], sign: {sign})}}"
    )
}

#[test]
fn the_example_of_the_page() {
    let page = include_str!("../../../docs/signatures.md");
    let example = page.split("```ron\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let head = "format: 1, project: \"p\", go: System, vars: {\"version\": \"1\"}";
    let text = format!("({head}, targets: {{\"server\": GoBuild(packages: [\".\"]), {example}}})");
    assert_eq!(support::messages(&text), "no mistakes\n");
}

#[test]
fn what_is_no_signature() {
    check(
        &release("true"),
        expect![[r#"
        error: expected `Sign(key: Secret("COSIGN_PRIVATE_KEY"), public_key: "cosign.pub")`, found `true`
         --> build.ron:5:46
          |
        5 | "release": Release(builds: ["server"], sign: true)},
          |                                              ^^^^
    "#]],
    );
    check(
        &release("Sign(public_key: \"cosign.pub\")"),
        expect![[r#"
        error: `Sign` needs the field `key`
         --> build.ron:5:46
          |
        5 | "release": Release(builds: ["server"], sign: Sign(public_key: "cosign.pub"))},
          |                                              ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    "#]],
    );
    check(
        &release("Sign(key: Secret(\"K\"))"),
        expect![[r#"
        error: `Sign` needs the field `public_key`
         --> build.ron:5:46
          |
        5 | "release": Release(builds: ["server"], sign: Sign(key: Secret("K")))},
          |                                              ^^^^^^^^^^^^^^^^^^^^^^
    "#]],
    );
}

#[test]
fn what_is_no_key() {
    check(
        &release("Sign(key: \"cosign.key\", public_key: \"cosign.pub\")"),
        expect![[r#"
        error: expected `Secret("NAME")` or `KeyFile("path")`, found `"cosign.key"`
         --> build.ron:5:56
          |
        5 | "release": Release(builds: ["server"], sign: Sign(key: "cosign.key", public_key: "cosign.pub"))},
          |                                                        ^^^^^^^^^^^^

        hint: a private key is never in build.ron: Secret("COSIGN_PRIVATE_KEY") is its text in the environment
    "#]],
    );
    check(
        &release("Sign(key: KeyFile(7), public_key: \"cosign.pub\")"),
        expect![[r#"
        error: expected a path, found `7`
         --> build.ron:5:64
          |
        5 | lease": Release(builds: ["server"], sign: Sign(key: KeyFile(7), public_key: "cosign.pub"))},
          |                                                             ^
    "#]],
    );
    check(
        &release("Sign(key: KeyFile(\"k\"), password: Env(\"P\"), public_key: \"cosign.pub\")"),
        expect![[r#"
            error: expected `Secret("NAME")`, found `Env("P")`
             --> build.ron:5:80
              |
            5 | builds: ["server"], sign: Sign(key: KeyFile("k"), password: Env("P"), public_key: "cosign.pub"))},
              |                                                             ^^^^^^^^

            hint: a password comes from the environment, so that none is in a file or shown: Secret("COSIGN_PASSWORD")
        "#]],
    );
    check(
        &release("Sign(key: Secret(\"K\"), public_key: \"../cosign.pub\")"),
        expect![[r#"
        error: `../cosign.pub` leaves the root
         --> build.ron:5:81
          |
        5 | uilds: ["server"], sign: Sign(key: Secret("K"), public_key: "../cosign.pub"))},
          |                                                             ^^^^^^^^^^^^^^^

        hint: paths are relative to `root`
    "#]],
    );
}

#[test]
fn files_of_private_keys() {
    let keys = |head: &str, key: &str| {
        let sign = format!("Sign(key: {key}, public_key: \"cosign.pub\")");
        let text = format!("(format: 1, project: \"p\", {head}{})", release(&sign));
        BuildFile::parse(&text, "0.1.0").unwrap().private_keys(Path::new("/project"))
    };
    assert_eq!(keys("", "KeyFile(\"keys/cosign.key\")"), [PathBuf::from("/project/keys/cosign.key")]);
    assert_eq!(keys("root: \"sub\", ", "KeyFile(\"cosign.key\")"), [PathBuf::from("/project/sub/cosign.key")]);
    assert_eq!(keys("root: \"sub\", ", "KeyFile(\"/run/cosign.key\")"), [PathBuf::from("/run/cosign.key")]);
    assert!(keys("", "Secret(\"K\")").is_empty());
}
