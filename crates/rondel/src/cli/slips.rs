//! Words and options of other tools, and what people mean by them here. Only words that nothing else answers to get here.

use rondel_buildfile::{BuildFile, Target, suggest};

use crate::cli::option::listed;
use crate::program;

/// Options of make, just, task, docker and the like; `{}` stands for the program.
const OPTIONS: &[(&[&str], &str)] = &[
    (
        &["--dry-run", "-n", "--just-print", "--recon", "--dry"],
        "`{} plan TARGET` says what would run, and runs nothing",
    ),
    (&["-l", "--list", "--list-all", "--tasks", "--targets", "--summary"], "`{} list` has all targets"),
    (
        &["-B", "--always-make", "--no-cache", "--rerun-tasks", "--no-skip-cache"],
        "`--force` runs everything, whatever is known",
    ),
    (
        &["-k", "--keep-going-on-error", "--continue", "-i", "--ignore-errors"],
        "`--keep-going` goes on with what does not need the failed step",
    ),
    (&["-f", "--makefile", "--taskfile", "--justfile"], "`--file PATH` names another build.ron"),
    (&["-C", "--directory", "-d", "--chdir"], "start it in that directory, or name a build.ron: `--file PATH`"),
    (&["-s", "--silent"], "`--quiet` shows nothing but failures"),
    (&["-e", "-D", "--var", "--variable", "--define", "--arg"], "`--set NAME=VALUE` gives a variable another value"),
    (&["-t", "--target", "--touch"], "targets are words of their own: `{} image`"),
    (
        &["--json"],
        "`--format json` of `list`, `why`, `show`, `graph` and `inspect`, `--events json` of builds and `plan`",
    ),
    (&["--debug", "--trace", "-x"], "`--verbose` shows each command; `{} why TARGET` says why a step ran"),
    (&["--parallel", "--max-parallel", "--concurrency"], "`--jobs NUMBER` is the number of steps at a time"),
    (&["--os", "--arch", "--goos", "--goarch"], "`--platform linux/arm64` is for system and architecture"),
];

/// First words that stand before targets elsewhere.
const STARTERS: &[&str] = &["build", "run", "make", "exec", "start", "task", "do", "target"];

/// Words, the verb that they mean, and what it does; `{}` stands for the program.
const VERBS: &[(&[&str], &str)] = &[
    (&["help"], "`{} --help` has the verbs and options"),
    (&["version"], "`{} --version` says which one it is"),
    (&["ls", "tasks", "targets", "show-targets"], "`{} list` has all targets"),
    (&["dry-run", "dryrun"], "`{} plan TARGET` says what would run"),
    (&["update", "upgrade", "outdated", "pin"], "`{} lock --update` raises what build.lock pins"),
    (&["explain", "reason"], "`{} why TARGET` says why a step ran, or would"),
    (&["gc", "prune"], "`{} cache gc` frees space"),
    (&["deps", "tree", "dot", "query"], "`{} graph TARGET` shows what needs what"),
    (&["sbom", "describe"], "`{} inspect IMAGE` describes an image"),
    (
        &["reproduce", "repro"],
        "`{} verify TARGET` builds it twice and compares, `{} rebuild PATH` what somebody published",
    ),
    (&["validate", "config"], "`{} list` reads build.ron and names each mistake in it, `{} show` has the variables"),
    (&["new", "create", "setup"], "`{} init` writes a build.ron for a Go repository"),
];

/// Words, and the kinds of targets that do such a thing.
const KINDS: &[(&[&str], &[&str])] = &[
    (&["compose", "docker-compose", "up", "services"], &["ComposeUp"]),
    (&["down"], &["ComposeDown"]),
    (&["docker", "container", "images"], &["Image", "DockerBuild", "DockerRun"]),
    (&["test", "tests", "unit"], &["GoTest"]),
    (&["lint", "check", "vet", "staticcheck", "golangci-lint"], &["GoLint", "GoVet", "GoVulncheck"]),
    (&["fmt", "format", "gofmt"], &["GoFmt"]),
    (&["tidy", "mod"], &["GoModTidy"]),
    (&["generate", "gen"], &["GoGenerate"]),
    (&["clean", "clobber", "distclean"], &["Clean"]),
    (&["push", "publish", "deploy"], &["Push", "Release"]),
    (&["release", "dist", "package"], &["Release"]),
    (&["compile", "binary", "go"], &["GoBuild"]),
    (&["all", "ci", "default"], &["Group"]),
];

fn filled(hint: &str) -> String {
    hint.replace("{}", program::name())
}

/// Returns what an option of another tool is here.
pub(crate) fn option(written: &str) -> Option<String> {
    let found = OPTIONS.iter().find(|(options, _)| options.contains(&written));
    found.map(|(_, hint)| filled(hint))
}

/// Returns the same for an option that is nearly one of another tool.
pub(crate) fn like_option(written: &str) -> Option<String> {
    let long = OPTIONS.iter().flat_map(|(options, _)| options.iter().copied()).filter(|name| name.starts_with("--"));
    option(suggest(written, long)?)
}

/// Returns what a word that is no target means; `after` are the words behind it.
pub(crate) fn word(file: &BuildFile, word: &str, after: &[String]) -> Option<String> {
    let names: Vec<&str> = word.split([',', ';']).collect();
    let is_target = |name: &str| file.targets.iter().any(|target| target.is_called(name));
    if names.len() > 1 && names.iter().all(|name| is_target(name)) {
        return Some(format!("targets are words of their own: `{} {}`", program::name(), names.join(" ")));
    }
    if STARTERS.contains(&word) && !after.is_empty() && after.iter().all(|name| is_target(name)) {
        return Some(format!("targets need no word before them: `{} {}`", program::name(), after.join(" ")));
    }
    if let Some((_, hint)) = VERBS.iter().find(|(words, _)| words.contains(&word)) {
        return Some(filled(hint));
    }
    let kinds = kinds_of(word)?;
    let is_of_kind = |target: &&Target| kinds.contains(&target.kind.word());
    let found = file.targets.iter().filter(is_of_kind).map(|target| format!("`{}`", target.name.value));
    let found: Vec<String> = found.collect();
    let is_few = (1..=5).contains(&found.len());
    is_few.then(|| format!("did you mean {}? `{}` lists all targets", listed(&found, "or"), program::name()))
}

/// Returns which kind of target does what a word means; for a file without such a target.
pub(crate) fn missing_kind(word: &str) -> Option<String> {
    let kinds: Vec<String> = kinds_of(word)?.iter().map(|kind| format!("`{kind}`")).collect();
    Some(format!("no target has the kind {}; `{}` lists all targets", listed(&kinds, "or"), program::name()))
}

fn kinds_of(word: &str) -> Option<&'static [&'static str]> {
    KINDS.iter().find(|(words, _)| words.contains(&word)).map(|(_, kinds)| *kinds)
}

/// Returns the name nearest to a word, also one that sounds the same: `graf`.
pub(crate) fn nearest<'a>(word: &str, names: &[&'a str]) -> Option<&'a str> {
    let spoken = |text: &str| text.to_lowercase().replace("ph", "f").replace("ck", "k");
    suggest(word, names.iter().copied()).or_else(|| names.iter().copied().find(|name| spoken(name) == spoken(word)))
}
