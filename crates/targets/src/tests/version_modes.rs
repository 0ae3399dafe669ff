//! `--snapshot` and `--nightly`, where no git is: what is refused, and what changes nothing.

use expect_test::expect;

use super::Space;
use crate::VersionMode;

const TARGETS: &str = r#"
    "server": GoBuild(packages: ["."]), "image": Image(base: Static, entrypoint: ["/x"]),
    "push": Push(image: "image", to: ["r.example/a:1"]),
    "release": Release(builds: ["server"], created: Epoch),
    "odd": Release(builds: ["server"], created: Epoch, version: "2026.01.3"),
"#;

fn refusal(space: &Space, target: &str) -> String {
    match space.analyze(TARGETS, &[target]) {
        Ok(analysis) => {
            format!("fine\n{}", analysis.warnings.iter().map(|text| format!("warning: {text}\n")).collect::<String>())
        }
        Err(refusal) => format!("{refusal}\n"),
    }
}

#[test]
fn what_an_option_forbids() {
    let mut space = Space::new();
    let mut all = String::new();
    for (mode, word) in
        [(VersionMode::Tag, "none"), (VersionMode::Snapshot, "snapshot"), (VersionMode::Nightly, "nightly")]
    {
        space.version_mode = mode;
        for target in ["server", "push", "release", "odd"] {
            all += &format!("{word}, {target}: {}", refusal(&space, target));
        }
    }
    expect![[r#"
        none, server: fine
        none, push: fine
        none, release: fine
        none, odd: input: `2026.01.3` is no semantic version: `01` begins with 0
        at: "2026.01.3"
        hint: a release is called MAJOR.MINOR.PATCH, like the tag `v1.2.3`; `Git(Version)` in `vars` takes it from there. `--snapshot` builds a release to try out
        snapshot, server: input: `--snapshot` changes nothing here: no version is `Git(Version)`
        hint: write `"version": Git(Version)` in `vars`, or leave the option out
        snapshot, push: input: nothing is published with `--snapshot`
        at: "push"
        hint: leave it out, or build the targets that this one publishes
        snapshot, release: fine
        snapshot, odd: fine
        warning: the version of the release: `2026.01.3` is no semantic version: `01` begins with 0
        nightly, server: input: `--nightly` changes nothing here: no version is `Git(Version)`
        hint: write `"version": Git(Version)` in `vars`, or leave the option out
        nightly, push: input: `--nightly` changes nothing here: no version is `Git(Version)`
        hint: write `"version": Git(Version)` in `vars`, or leave the option out
        nightly, release: input: `--nightly` gives no other version than `1.2.3`, which `Git(Version)` did not answer
        at: "release"
        hint: write `"version": Git(Version)` in `vars`
        nightly, odd: input: `2026.01.3` is no semantic version: `01` begins with 0
        at: "2026.01.3"
        hint: a release is called MAJOR.MINOR.PATCH, like the tag `v1.2.3`; `Git(Version)` in `vars` takes it from there. `--snapshot` builds a release to try out
    "#]].assert_eq(&all);
}
