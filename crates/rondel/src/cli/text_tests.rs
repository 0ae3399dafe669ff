//! The texts that are made from the declarations: help, and the candidates of completion.

use expect_test::expect;

use crate::cli::all_entries;
use crate::cli::complete::{ParamLine, TargetLine, candidates};
use crate::cli::help::{program_help, verb_help};
use crate::verbs::VERBS;

#[test]
fn help_of_the_program() {
    expect![[r#"
        usage: rondel [OPTIONS] TARGET… [-- ARGS]
               rondel [OPTIONS] VERB …

        options:
              --file PATH          read this file instead of the nearest build.ron
          -q, --quiet              print only warnings and errors
          -v, --verbose            print commands, inputs and hidden steps too
              --color WHEN         use colours: auto, always or never
              --progress HOW       show progress: auto, bar, plain or none
          -h, --help               print this help; after a verb, the verb's help
          -V, --version            print the version

        building options:
              --platform OS/ARCH   build for this platform (may be repeated)
              --all-platforms      build for every declared platform
              --set NAME=VALUE     override a build.ron variable
              --snapshot           take any state of the tree, under a version that is no release; nothing is published
              --nightly            take a version with the day of the commit
              --offline            never use the network
              --locked             refuse toolchains that build.lock does not pin
          -j, --jobs N             run up to N steps at once (default: number of cores)
              --keep-going         keep building steps that do not depend on the failed one
              --force              run every step, even if it is up to date
              --events json        print one JSON object a line on standard output
          -y, --yes                answer the questions of targets with yes

        verbs (a target of the same name wins; `:verb` always means the verb;
               `rondel VERB --help` has the options of each):
          list         every target with its description
          plan         what would run and why; changes nothing
          why          why a target's steps ran the last time
          watch        builds targets again whenever something that they are made from changes
          status       processes, containers and services that targets have started
          logs         what processes, containers and services have printed
          stop         ends processes, containers and services that targets have started
          restart      ends what targets have started, and starts it again
          show         each variable with its value and where it came from
          graph        the steps as a graph: Mermaid, DOT or JSON
          report       an HTML page of the last run: time, causes, output, tests, layers, earlier runs
          verify       build again in other surroundings and compare; or compare with a file or layout
          bundle       write one file from which a target can be built again without a network
          rebuild      build a published release or image again from this checkout, and compare
          inspect      what an executable or image is made of, and how it was made
          init         write build.ron and Cargo's files for a Go repository
          lock         pin toolchains, base images and tools in build.lock
          cache        inspect, check and clean the cache: `cache stats`, `gc`, `verify`, `audit`, `clean`
          doctor       what this machine has, and what build.ron needs
          schema       the JSON Schema of build.ron, for tools
          completions  a completion script for bash, zsh or fish

        exit codes: 0 done; 1 a step failed; 2 the command line or build.ron is wrong;
                    3 this machine lacks something (Docker, network); 4 `verify` found a
                    difference; 130 interrupted
    "#]]
    .assert_eq(&program_help(&VERBS));
}

fn help(wanted: &str) -> String {
    let (name, entry) = all_entries(&VERBS).into_iter().find(|(name, _)| name == wanted).unwrap();
    verb_help(&name, entry)
}

#[test]
fn help_of_verbs() {
    expect![[r#"
        usage: rondel plan [OPTIONS] TARGET… [-- ARGS]

        what would run and why; changes nothing

        arguments:
          TARGET               a target of build.ron

        options:
              --platform OS/ARCH   build for this platform (may be repeated)
              --all-platforms      build for every declared platform
              --set NAME=VALUE     override a build.ron variable
              --snapshot           take any state of the tree, under a version that is no release; nothing is published
              --nightly            take a version with the day of the commit
              --offline            never use the network
              --locked             refuse toolchains that build.lock does not pin

        global options:
              --file PATH          read this file instead of the nearest build.ron
          -q, --quiet              print only warnings and errors
          -v, --verbose            print commands, inputs and hidden steps too
              --color WHEN         use colours: auto, always or never
              --progress HOW       show progress: auto, bar, plain or none
          -h, --help               print this help; after a verb, the verb's help
          -V, --version            print the version

        example:
          rondel plan image
    "#]]
    .assert_eq(&help("plan"));
    expect![[r#"
        usage: rondel verify [OPTIONS] TARGET…
               rondel verify [OPTIONS] PATH [TARGET]

        build again in other surroundings and compare; or compare with a file or layout

        arguments:
          TARGET               a target of build.ron; after a path, the one that made it
          PATH                 a Go executable, or a directory with an OCI layout

        options:
              --platform OS/ARCH   build for this platform (may be repeated)
              --all-platforms      build for every declared platform
              --set NAME=VALUE     override a build.ron variable
              --snapshot           take any state of the tree, under a version that is no release; nothing is published
              --nightly            take a version with the day of the commit
              --offline            never use the network
              --locked             refuse toolchains that build.lock does not pin
          -j, --jobs N             run up to N steps at once (default: number of cores)
              --keep-going         keep building steps that do not depend on the failed one
              --force              run every step, even if it is up to date
              --events json        print one JSON object a line on standard output
          -y, --yes                answer the questions of targets with yes

        global options:
              --file PATH          read this file instead of the nearest build.ron
          -q, --quiet              print only warnings and errors
          -v, --verbose            print commands, inputs and hidden steps too
              --color WHEN         use colours: auto, always or never
              --progress HOW       show progress: auto, bar, plain or none
          -h, --help               print this help; after a verb, the verb's help
          -V, --version            print the version

        example:
          rondel verify image
    "#]]
    .assert_eq(&help("verify"));
}

#[test]
fn help_of_verbs_with_verbs() {
    expect![[r#"
        usage: rondel cache stats
               rondel cache gc
               rondel cache verify
               rondel cache audit [TARGET…]
               rondel cache clean

        inspect, check and clean the cache: `cache stats`, `gc`, `verify`, `audit`, `clean`

        verbs:
          stats                what the cache holds, by target and kind
          gc                   remove the least recently used results, but nothing that a running build holds
          verify               hash everything again, and remove damaged entries
          audit                run steps again whose results are stored, in a copy of the tree, and compare
          clean                empty the cache

        options of `cache stats`:
              --format FORMAT      print the sizes as: text or json

        options of `cache gc`:
              --max SIZE           keep at most this much (default: RONDEL_CACHE_MAX, else 10GiB)

        options of `cache audit`:
              --rate PERCENT       take this share of the stored results (default: all)
              --time TIME          begin no step after this time: 60s, 5m (default: no limit)
              --seed N             choose and order by this number (default: another one each time, which is printed)
              --except FILE        leave out the results whose keys are in this file, one a line: those of former audits
          -j, --jobs N             run up to N steps at once (default: number of cores)
              --events json        print one JSON object a line on standard output
              --platform OS/ARCH   build for this platform (may be repeated)
              --all-platforms      build for every declared platform
              --set NAME=VALUE     override a build.ron variable
              --snapshot           take any state of the tree, under a version that is no release; nothing is published
              --nightly            take a version with the day of the commit
              --offline            never use the network
              --locked             refuse toolchains that build.lock does not pin

        options of `cache clean`:
              --all                remove toolchains, modules and Go's build cache too

        global options:
              --file PATH          read this file instead of the nearest build.ron
          -q, --quiet              print only warnings and errors
          -v, --verbose            print commands, inputs and hidden steps too
              --color WHEN         use colours: auto, always or never
              --progress HOW       show progress: auto, bar, plain or none
          -h, --help               print this help; after a verb, the verb's help
          -V, --version            print the version

        example:
          rondel cache gc --max 5GiB
    "#]]
    .assert_eq(&help("cache"));
    expect![[r#"
        usage: rondel cache gc [OPTIONS]

        remove the least recently used results, but nothing that a running build holds

        options:
              --max SIZE           keep at most this much (default: RONDEL_CACHE_MAX, else 10GiB)

        global options:
              --file PATH          read this file instead of the nearest build.ron
          -q, --quiet              print only warnings and errors
          -v, --verbose            print commands, inputs and hidden steps too
              --color WHEN         use colours: auto, always or never
              --progress HOW       show progress: auto, bar, plain or none
          -h, --help               print this help; after a verb, the verb's help
          -V, --version            print the version

        example:
          rondel cache gc --max 5GiB
    "#]]
    .assert_eq(&help("cache gc"));
}

#[test]
fn help_of_a_verb_with_more_to_say() {
    expect![[r#"
        usage: rondel completions [OPTIONS] SHELL

        a completion script for bash, zsh or fish

        arguments:
          SHELL                bash, zsh or fish

        global options:
              --file PATH          read this file instead of the nearest build.ron
          -q, --quiet              print only warnings and errors
          -v, --verbose            print commands, inputs and hidden steps too
              --color WHEN         use colours: auto, always or never
              --progress HOW       show progress: auto, bar, plain or none
          -h, --help               print this help; after a verb, the verb's help
          -V, --version            print the version

        The script asks the program itself, so it also knows the targets of the build.ron at hand. Load it with

          bash:  source <(rondel completions bash)
          zsh:   source <(rondel completions zsh)       (after `compinit`)
          fish:  rondel completions fish | source

        As `cargo xtask`, it asks the binary that cargo made below target/ (or $CARGO_TARGET_DIR): nothing completes until
        `cargo xtask` has run once. In bash and zsh it wraps the completion of `cargo` that is loaded when the script is; load
        that one first.

        example:
          rondel completions bash
    "#]].assert_eq(&help("completions"));
}

/// The candidates for the last word of each line, under that line.
fn candidates_of(lines: &[&str]) -> String {
    let line =
        |name: &str, doc: &str| TargetLine { name: name.to_owned(), doc: doc.to_owned(), ..TargetLine::default() };
    let param = |name: &str, doc: &str, values: &[&str]| ParamLine {
        name: name.to_owned(),
        doc: doc.to_owned(),
        values: values.iter().map(|value| (*value).to_owned()).collect(),
    };
    let params = vec![param("name", "Its name", &[]), param("env", "dev or prod", &["dev", "prod"])];
    let targets = vec![
        line("image", "The image"),
        line("plan", "A target that is named like a verb"),
        TargetLine { aliases: vec!["mn".to_owned()], params, ..line("migrate", "A migration") },
    ];
    let of = |line: &&str| {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let lines = candidates(&VERBS, &words, &targets);
        format!("$ {line}|\n{}", lines.iter().map(|line| format!("{}\n", line.trim_end())).collect::<String>())
    };
    lines.iter().map(of).collect()
}

#[test]
fn candidates_of_words() {
    expect![[r#"
        $ |
        image	The image
        plan	A target that is named like a verb
        migrate	A migration
        list	every target with its description
        why	why a target's steps ran the last time
        watch	builds targets again whenever something that they are made from changes
        status	processes, containers and services that targets have started
        logs	what processes, containers and services have printed
        stop	ends processes, containers and services that targets have started
        restart	ends what targets have started, and starts it again
        show	each variable with its value and where it came from
        graph	the steps as a graph: Mermaid, DOT or JSON
        report	an HTML page of the last run: time, causes, output, tests, layers, earlier runs
        verify	build again in other surroundings and compare; or compare with a file or layout
        bundle	write one file from which a target can be built again without a network
        rebuild	build a published release or image again from this checkout, and compare
        inspect	what an executable or image is made of, and how it was made
        init	write build.ron and Cargo's files for a Go repository
        lock	pin toolchains, base images and tools in build.lock
        cache	inspect, check and clean the cache: `cache stats`, `gc`, `verify`, `audit`, `clean`
        doctor	what this machine has, and what build.ron needs
        schema	the JSON Schema of build.ron, for tools
        completions	a completion script for bash, zsh or fish
        $ i|
        image	The image
        inspect	what an executable or image is made of, and how it was made
        init	write build.ron and Cargo's files for a Go repository
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
        audit	run steps again whose results are stored, in a copy of the tree, and compare
        clean	empty the cache
        $ completions |
        bash
        zsh
        fish
        $ completions bash |
        $ doctor |
        $ image -- |
        :files
    "#]]
    .assert_eq(&candidates_of(&[
        "",
        "i",
        "pl",
        ":plan i",
        "why im",
        "inspect i",
        "cache ",
        "completions ",
        "completions bash ",
        "doctor ",
        "image -- ",
    ]));
}

#[test]
fn candidates_of_options() {
    expect![[r#"
        $ cache gc --|
        --max	keep at most this much (default: RONDEL_CACHE_MAX, else 10GiB)
        --file	read this file instead of the nearest build.ron
        --quiet	print only warnings and errors
        --verbose	print commands, inputs and hidden steps too
        --color	use colours: auto, always or never
        --progress	show progress: auto, bar, plain or none
        --help	print this help; after a verb, the verb's help
        --version	print the version
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
        base
        tools
        $ verify --platform darwin/|
        darwin/amd64
        darwin/arm64
        $ --file |
        :files
    "#]]
    .assert_eq(&candidates_of(&[
        "cache gc --",
        "list --format ",
        "list --format=n",
        "graph --format = d",
        "image --ev",
        "image --events ",
        "lock --update ",
        "verify --platform darwin/",
        "--file ",
    ]));
}

#[test]
fn candidates_of_parameters() {
    expect![[r#"
        $ m|
        migrate	A migration
        mn	migrate: A migration
        $ mn|
        mn	migrate: A migration
        $ migrate |
        name=	Its name
        env=	dev or prod
        image	The image
        plan	A target that is named like a verb
        migrate	A migration
        $ mn n|
        name=	Its name
        $ image n|
        $ plan env=|
        $ :plan migrate env=p|
        env=prod
        $ migrate name=x e|
        env=	dev or prod
        $ migrate env = d|
        env=dev
        $ migrate env =|
        env=dev
        env=prod
        $ migrate name=|
        $ env=|
        $ why migrate env|
        env=	dev or prod
        :files
    "#]]
    .assert_eq(&candidates_of(&[
        "m",
        "mn",
        "migrate ",
        "mn n",
        "image n",
        "plan env=",
        ":plan migrate env=p",
        "migrate name=x e",
        "migrate env = d",
        "migrate env =",
        "migrate name=",
        "env=",
        "why migrate env",
    ]));
}
