//! The command line without a process: options and error texts, help, candidates of completion.

use std::ffi::OsString;

use expect_test::{Expect, expect};
use rondel_engine::UserError;

use crate::cli::groups::GlobalOptions;
use crate::cli::option::OptionSet;
use crate::cli::{all_entries, check, read, split_options};
use crate::exit::Failure;
use crate::verbs::VERBS;

fn text_of(failure: &Failure) -> String {
    match failure {
        Failure::User(UserError { message, hint, .. }) => {
            format!("error: {message}\nhint: {}", hint.as_deref().unwrap_or("-"))
        }
        other => format!("{other:?}"),
    }
}

/// What becomes of a command line: words and options, or the error.
fn outcome(name: &str, line: &str) -> String {
    let arguments: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
    let (_, entry) = all_entries(&VERBS).into_iter().find(|(other, _)| other == name).unwrap();
    let skipped = if name == "TARGET" { 0 } else { name.split(' ').count() };
    let read = read(&VERBS, &arguments).and_then(|line| {
        check(&VERBS, name, entry, &line, &line.words[skipped.min(line.words.len())..])?;
        line.global()?;
        Ok(line)
    });
    match read {
        Ok(line) => format!("words {:?} options {:?} rest {:?}", line.words, line.options, line.rest),
        Err(failure) => text_of(&failure),
    }
}

fn check_all(lines: &[(&str, &str)], expected: Expect) {
    let outcomes = lines.iter().map(|(name, line)| format!("$ {line}\n{}\n", outcome(name, line)));
    expected.assert_eq(&outcomes.collect::<String>());
}

#[test]
fn options_stand_before_or_after_the_verb() {
    check_all(
        &[
            ("plan", "--offline plan image --set a=b=c"),
            ("TARGET", "image -j4 --platform=linux/amd64 --platform linux/arm64 -- --world --"),
            ("cache gc", "cache --max 5GiB gc"),
            ("lock", "lock --update go -qv"),
        ],
        expect![[r#"
            $ --offline plan image --set a=b=c
            words ["plan", "image"] options [("offline", ""), ("set", "a=b=c")] rest []
            $ image -j4 --platform=linux/amd64 --platform linux/arm64 -- --world --
            words ["image"] options [("jobs", "4"), ("platform", "linux/amd64"), ("platform", "linux/arm64")] rest ["--world", "--"]
            $ cache --max 5GiB gc
            words ["cache", "gc"] options [("max", "5GiB")] rest []
            $ lock --update go -qv
            words ["lock"] options [("update", "go"), ("quiet", ""), ("verbose", "")] rest []
        "#]],
    );
}

#[test]
fn an_option_that_a_verb_does_not_have_is_an_error() {
    check_all(
        &[
            ("plan", "plan image --format json"),
            ("list", "list --max 5GiB"),
            ("TARGET", "image --against x"),
            ("doctor", "doctor --set a=b"),
            ("cache stats", "cache stats --all"),
            ("lock", "lock --all-platforms"),
            ("plan", "plan image --fore"),
            ("plan", "plan image -x"),
            ("plan", "plan image --offline=yes"),
            ("plan", "plan image --set"),
        ],
        expect![[r#"
            $ plan image --format json
            error: `plan` has no option `--format`
            hint: `list`, `why`, `status`, `show`, `graph`, `inspect` and `cache stats` have it; `rondel plan --help` has the options of `plan`
            $ list --max 5GiB
            error: `list` has no option `--max`
            hint: `cache gc` has it; `rondel list --help` has the options of `list`
            $ image --against x
            error: a build has no option `--against`
            hint: `why` has it; `rondel --help` has the options of a build
            $ doctor --set a=b
            error: `doctor` has no option `--set`
            hint: builds, `plan`, `why`, `watch`, `restart`, `show`, `graph`, `verify`, `bundle`, `rebuild` and `cache audit` have it; `rondel doctor --help` has the options of `doctor`
            $ cache stats --all
            error: `cache stats` has no option `--all`
            hint: `why` and `cache clean` have it; `rondel cache stats --help` has the options of `cache stats`
            $ lock --all-platforms
            error: `lock` has no option `--all-platforms`
            hint: builds, `plan`, `why`, `watch`, `restart`, `show`, `graph`, `verify`, `bundle`, `rebuild` and `cache audit` have it; `rondel lock --help` has the options of `lock`
            $ plan image --fore
            error: there is no option `--fore`
            hint: did you mean `--force`? `rondel --help` lists all
            $ plan image -x
            error: there is no option `-x`
            hint: `--verbose` shows each command; `rondel why TARGET` says why a step ran
            $ plan image --offline=yes
            error: unexpected argument for option '--offline': "yes"
            hint: `rondel --help` lists all options
            $ plan image --set
            error: missing argument for option '--set'
            hint: `rondel --help` lists all options
        "#]],
    );
}

#[test]
fn words_are_counted() {
    check_all(
        &[
            ("plan", "plan"),
            ("verify", "verify"),
            ("lock", "lock go"),
            ("doctor", "doctor all"),
            ("completions", "completions basch"),
            ("completions", "completions bash zsh"),
            ("verify", "verify image -- more"),
            ("list", "list -- more"),
        ],
        expect![[r#"
            $ plan
            error: `plan` needs a target
            hint: for example `rondel plan image`
            $ verify
            error: `verify` needs a target, or a file that one made
            hint: for example `rondel verify image`
            $ lock go
            error: `lock` takes no arguments, and got `go`
            hint: `rondel lock --help` has its options
            $ doctor all
            error: `doctor` takes no arguments, and got `all`
            hint: `rondel doctor --help` has its options
            $ completions basch
            error: `completions` takes bash, zsh or fish, not `basch`
            hint: did you mean `bash`?
            $ completions bash zsh
            error: `completions` takes one argument, and got `zsh`
            hint: `rondel completions --help` has its options
            $ verify image -- more
            error: `verify` takes no arguments after `--`
            hint: targets take them: `rondel TARGET -- ARGS`
            $ list -- more
            error: `list` takes no arguments after `--`
            hint: targets take them: `rondel TARGET -- ARGS`
        "#]],
    );
}

#[test]
fn values_are_checked() {
    fn values<O: OptionSet>(name: &str, line: &str) -> String {
        let arguments: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        let read = read(&VERBS, &arguments).unwrap();
        let failure = split_options::<O>(&read).err().map(|failure| text_of(&failure));
        format!("{name} {line}: {}\n", failure.unwrap_or_else(|| "fine".to_owned()))
    }
    use crate::cli::groups::{AnalysisOptions, BuildOptions};
    let all = [
        values::<BuildOptions>("build", "--jobs none"),
        values::<BuildOptions>("build", "--jobs 0"),
        values::<BuildOptions>("build", "--events xml"),
        values::<BuildOptions>("build", "--color pink"),
        values::<BuildOptions>("build", "--progress plan"),
        values::<AnalysisOptions>("analysis", "--set nothing"),
        values::<AnalysisOptions>("analysis", "--platform linux/amd46"),
        values::<AnalysisOptions>("analysis", "--platform linux/amd64 --locked"),
    ];
    expect![[r#"
        build --jobs none: error: --jobs takes a number from 1 to 1024, not `none`
        hint: -
        build --jobs 0: error: --jobs takes a number from 1 to 1024, not `0`
        hint: -
        build --events xml: error: --events takes json, not `xml`
        hint: -
        build --color pink: error: --color takes auto, always or never, not `pink`
        hint: -
        build --progress plan: error: --progress takes auto, bar, plain or none, not `plan`
        hint: did you mean `plain`?
        analysis --set nothing: error: --set takes NAME=VALUE, not `nothing`
        hint: -
        analysis --platform linux/amd46: error: --platform: `linux/amd46` is not a platform that Go knows
        hint: did you mean `linux/amd64`?
        analysis --platform linux/amd64 --locked: fine
    "#]]
    .assert_eq(&all.concat());
}

/// Options may stand before the verb, so whether one takes a value must not depend on the verb.
#[test]
fn an_option_has_one_arity_and_one_short_form() {
    let mut all = GlobalOptions::specs();
    let global = all.len();
    for (name, entry) in all_entries(&VERBS) {
        for spec in (entry.specs)() {
            assert!(!spec.doc.trim().is_empty(), "{name} --{}", spec.long);
            for other in &all {
                let is_same = other.long == spec.long;
                assert!(!is_same || other.value.is_some() == spec.value.is_some(), "{name} --{}", spec.long);
                assert!(is_same || spec.short.is_none() || other.short != spec.short, "{name} --{}", spec.long);
            }
            assert!(!all[..global].iter().any(|other| other.long == spec.long), "{name} --{} is global", spec.long);
            all.push(spec);
        }
    }
}

#[test]
fn the_readme_names_every_verb() {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../README.md")).unwrap();
    for entry in VERBS.visible() {
        let names: Vec<String> = match entry.subverbs {
            [] => vec![entry.name.to_owned()],
            subs => subs.iter().map(|sub| format!("{} {}", entry.name, sub.name)).collect(),
        };
        for name in names {
            let row = format!("| `cargo xtask {name}");
            assert!(readme.contains(&row), "README.md has no row for `{name}`");
        }
    }
    // Every row is of a verb that there is.
    for row in readme.lines().filter_map(|line| line.strip_prefix("| `cargo xtask ")) {
        let word = row.split([' ', '`']).next().unwrap();
        assert!(word == "TARGET…" || word == "TARGET" || VERBS.visible().any(|entry| entry.name == word), "{row}");
    }
    for spec in super::all_specs(&VERBS) {
        assert!(readme.contains(&format!("--{}", spec.long)), "README.md does not name --{}", spec.long);
    }
}
