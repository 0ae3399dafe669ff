//! The command line without a process: options and error texts, help, candidates of completion.

mod help;

use rondel_engine::UserError;
use std::ffi::OsString;

use expect_test::{Expect, expect};

use crate::cli::complete::candidates;
use crate::cli::groups::GlobalOptions;
use crate::cli::help::{program_help, verb_help};
use crate::cli::option::OptionSet;
use crate::cli::{all_entries, check, read, split_options};
use crate::exit::Failure;
use crate::verbs::{VERBS, names};

fn text_of(failure: &Failure) -> String {
    match failure {
        Failure::User(UserError { message, hint, .. }) => {
            format!("error: {message}\nhint: {}", hint.as_deref().unwrap_or("-"))
        }
        other => format!("{other:?}"),
    }
}

/// Returns the result of a command line: words and options, or the error.
fn outcome(name: &str, line: &str) -> String {
    let arguments: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
    let (_, entry) = all_entries().into_iter().find(|(other, _)| other == name).unwrap();
    let skipped = if name == "TARGET" { 0 } else { name.split(' ').count() };
    let read = read(&arguments).and_then(|line| {
        check(name, entry, &line, &line.words[skipped.min(line.words.len())..])?;
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
            hint: `list`, `why`, `graph`, `inspect` and `cache stats` have it; `rondel plan --help` has the options of `plan`
            $ list --max 5GiB
            error: `list` has no option `--max`
            hint: `cache gc` has it; `rondel list --help` has the options of `list`
            $ image --against x
            error: a build has no option `--against`
            hint: `why` has it; `rondel --help` has the options of a build
            $ doctor --set a=b
            error: `doctor` has no option `--set`
            hint: builds, `plan`, `why`, `graph` and `verify` have it; `rondel doctor --help` has the options of `doctor`
            $ cache stats --all
            error: `cache stats` has no option `--all`
            hint: `cache clean` has it; `rondel cache stats --help` has the options of `cache stats`
            $ lock --all-platforms
            error: `lock` has no option `--all-platforms`
            hint: builds, `plan`, `why`, `graph` and `verify` have it; `rondel lock --help` has the options of `lock`
            $ plan image --fore
            error: there is no option `--fore`
            hint: did you mean `--force`? `rondel --help` lists all
            $ plan image -x
            error: there is no option `-x`
            hint: `rondel --help` lists all options
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
        let read = read(&arguments).unwrap();
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

/// Returns the candidates for each of `lines`, whose last word is being typed.
fn candidates_for(lines: &[&str]) -> String {
    let targets = vec![
        ("image".to_owned(), "The image".to_owned()),
        ("plan".to_owned(), "A target that is named like a verb".to_owned()),
    ];
    let of = |line: &&str| {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let lines = candidates(&words, &targets);
        format!("$ {line}|\n{}", lines.iter().map(|line| format!("{}\n", line.trim_end())).collect::<String>())
    };
    lines.iter().map(of).collect()
}

#[test]
fn candidates_for_words() {
    let lines = ["", "i", "pl", ":plan i", "why im", "inspect i", "cache ", "cache gc --"];
    expect![[r#"
        $ |
        image	The image
        plan	A target that is named like a verb
        list	every target with its description
        why	why a target's steps ran the last time
        graph	the steps as a graph: Mermaid, DOT or JSON
        verify	build again in other surroundings and compare; or compare with a file or layout
        inspect	what an executable or image is made of, and how it was made
        lock	pin toolchains in build.lock
        cache	inspect and clean the cache: `cache stats`, `gc`, `verify`, `clean`
        doctor	what this machine has, and what build.ron needs
        schema	the JSON Schema of build.ron, for tools
        completions	a completion script for bash, zsh or fish
        $ i|
        image	The image
        inspect	what an executable or image is made of, and how it was made
        $ pl|
        plan	A target that is named like a verb
        $ :plan i|
        image	The image
        $ why im|
        image	The image
        :files
        $ inspect i|
        image	The image
        :files
        $ cache |
        stats	what the cache holds, by target and kind
        gc	remove the least recently used results, but nothing that a running build holds
        verify	hash everything again, and remove damaged entries
        clean	empty the cache
        $ cache gc --|
        --max	keep at most this much (default: RONDEL_CACHE_MAX, else 10GiB)
        --file	read this file instead of the nearest build.ron
        --quiet	print only warnings and errors
        --verbose	print commands, inputs and hidden steps too
        --color	use colours: auto, always or never
        --progress	show progress: auto, bar, plain or none
        --help	print this help; after a verb, the verb's help
        --version	print the version
    "#]]
    .assert_eq(&candidates_for(&lines));
}

#[test]
fn candidates_for_values() {
    let lines = [
        "list --format ",
        "list --format=n",
        "graph --format = d",
        "image --ev",
        "image --events ",
        "lock --update ",
        "verify --platform darwin/",
        "completions ",
        "completions bash ",
        "--file ",
        "doctor ",
        "image -- ",
    ];
    expect![[r#"
        $ list --format |
        text
        json
        names
        $ list --format=n|
        --format=names
        $ graph --format = d|
        --format=dot
        $ image --ev|
        --events	print one JSON object a line on standard output
        $ image --events |
        json
        $ lock --update |
        go
        $ verify --platform darwin/|
        darwin/amd64
        darwin/arm64
        $ completions |
        bash
        zsh
        fish
        $ completions bash |
        $ --file |
        :files
        $ doctor |
        $ image -- |
        :files
    "#]]
    .assert_eq(&candidates_for(&lines));
}

/// Options may come before the verb, so whether one takes a value must not depend on the verb.
#[test]
fn an_option_has_one_arity_and_one_short_form() {
    let mut all = GlobalOptions::specs();
    let global = all.len();
    for (name, entry) in all_entries() {
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
