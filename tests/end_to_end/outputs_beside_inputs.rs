//! Outputs that are put into a directory of a step's inputs while that step runs: they are none of its inputs. What others
//! add there, or add and take away elsewhere, is. With the real `go`, which waits until the output has come.

use crate::space::TestSpace;

/// A `go` whose build waits for a check to begin, and whose checks wait until the build's result is in its place.
fn space(check: &str, out: &str) -> TestSpace {
    // The `go` of these tests fails once its script has run.
    let mut space = TestSpace::small().may_differ();
    space.write("plain/plain.txt", "x\n");
    space.replace(
        "build.ron",
        "\"server\": GoBuild(",
        &format!("\"check\": {check},\n\"server\": GoBuild(out: \"{out}\", "),
    );
    let (root, begun) = (space.root().display().to_string(), space.beside("begun").display().to_string());
    let then = space.beside("then").display().to_string();
    space.wrap_go(&format!(
        r#"look() {{ find {root}/{out} -printf '%i %p\n' 2>/dev/null; }}
wait_for() {{ i=0; until eval "$1"; do i=$((i+1)); [ $i -gt 6000 ] && exit 9; sleep 0.02; done; }}
case "$1" in
build) wait_for '[ -e {begun} ]'; "$REAL_GO" "$@"; exit $? ;;
vet|test)
    before=$(look); : > {begun}
    wait_for '[ "$(look)" != "$before" ]'; sleep 0.1
    [ -e {then} ] && sh {then}
    "$REAL_GO" "$@"; exit $? ;;
esac
exec "$REAL_GO" "$@""#
    ));
    space
}

/// Builds the server and checks at once; what was said of the check's result.
fn both(space: &TestSpace) -> String {
    let _ = std::fs::remove_file(space.beside("begun"));
    let run = space.ok(&["server", "check", "--platform", "linux/amd64", "-j", "2"]);
    let tells = |line: &&str| ["not cached", "no result is kept", "run again"].iter().any(|words| line.contains(words));
    run.stderr.lines().filter(tells).collect()
}

const CHECKS: [&str; 3] = [
    "GoVet(packages: [\"./...\"])",
    "GoTest(packages: [\"./...\"], inputs: [\"**/*.txt\"])",
    "GoTest(packages: [\"./...\"])",
];

/// The first time the directory of the result is made, and later the result in it is exchanged.
#[test]
#[cfg_attr(not(has_x86_64_linux), ignore = "no x86-64 Linux")]
fn an_output_is_no_change_of_the_inputs_beside_it() {
    for check in CHECKS {
        for out in ["dist/bin", "cmd/bin"] {
            let space = space(check, out);
            for round in 0..2 {
                space.append("cmd/small/main.go", &format!("\n// {round}\nconst a{round} = {round}\n"));
                assert_eq!(both(&space), "", "{check}, {out}, round {round}");
                let again = space.ran(&["server", "check", "--platform", "linux/amd64"]);
                assert!(again.is_empty(), "{check}, {out}, round {round}: {again:?}");
            }
        }
    }
}

/// A source that comes meanwhile, and one that comes and goes in another directory than the output's.
#[test]
#[cfg_attr(not(has_x86_64_linux), ignore = "no x86-64 Linux")]
fn a_source_that_comes_with_an_output_is_a_change() {
    for check in &CHECKS[..2] {
        for out in ["dist/bin", "cmd/bin"] {
            let space = space(check, out);
            let root = space.root().display().to_string();
            let late = if check.starts_with("GoVet") { "late.go" } else { "late.txt" };
            let text = "package greet";
            for (round, script) in [
                format!("echo '{text}' > {root}/greet/{late}; rm {root}/greet/{late}"),
                format!("mkdir -p {root}/{out}/src; echo 'package greet' > {root}/{out}/src/{late}; cp {root}/{out}/src/{late} {root}/greet"),
            ]
            .into_iter()
            .enumerate()
            {
                space.append("cmd/small/main.go", &format!("\nconst a{round} = {round}\n"));
                std::fs::write(space.beside("then"), &script).unwrap();
                let told = both(&space);
                assert!(!told.is_empty(), "{check}, {out}, {script}: {told}");
                std::fs::remove_file(space.beside("then")).unwrap();
                std::fs::remove_file(space.beside("begun")).unwrap();
            }
        }
    }
}
