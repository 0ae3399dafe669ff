//! `-X path.Name=value`, `-s` and `-w` of Makefile, goreleaser's configuration and Dockerfiles.
//!
//! A value is stamped if it is what git answers, or a plain text. The rest is named in a comment: a time of the build, what
//! the caller's environment says, what other programs print.

use std::collections::BTreeMap;

use rondel_targets::Dockerfile;

use crate::files::{Files, GORELEASER, MAKEFILES};
use crate::is_plain;
use crate::make_variables::MakeVariables;
use crate::modules::Modules;

/// Flags in one file; one with more is no file of people.
const FLAGS_MAX: usize = 100;

/// Flags of the linker.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LinkerFlags {
    /// `-s` and `-w`, if they are there.
    pub plain: Vec<&'static str>,
    /// Values by variable of the program.
    pub stamps: BTreeMap<String, Stamp>,
    /// What was left, for people.
    pub left: Vec<String>,
}

/// The value of a stamp.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stamp {
    /// A query of build.ron.
    Git(Query),
    /// A text.
    Text(String),
}

/// A variable of build.ron that git answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Query {
    Describe,
    Commit,
    ShortCommit,
    CommitTime,
    CommitTimestamp,
    Branch,
}

impl Query {
    /// Returns its name in build.ron, that of the variable, and the value without git.
    pub fn words(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Query::Describe => ("Describe", "version", "dev"),
            Query::Commit => ("Commit", "commit", "unknown"),
            Query::ShortCommit => ("ShortCommit", "short_commit", "unknown"),
            Query::CommitTime => ("CommitTime", "commit_time", "1970-01-01T00:00:00Z"),
            Query::CommitTimestamp => ("CommitTimestamp", "commit_timestamp", "0"),
            Query::Branch => ("Branch", "branch", "unknown"),
        }
    }
}

/// Reads the flags of all files that can have them.
pub(crate) fn read(files: &mut Files, modules: &Modules) -> LinkerFlags {
    let mut flags = LinkerFlags::default();
    let mut directories = vec![modules.root.as_str()];
    if !modules.root.is_empty() {
        directories.push("");
    }
    for directory in directories {
        for path in files.named(directory, MAKEFILES) {
            let Some(text) = files.text(&path) else { continue };
            flags.take(&path, &text, &MakeVariables::parse(&text), &modules.path);
        }
        for path in files.named(directory, GORELEASER) {
            let Some(text) = files.text(&path) else { continue };
            flags.take(&path, &text, &MakeVariables::default(), &modules.path);
        }
    }
    for path in files.dockerfiles() {
        let Some(text) = files.text(&path) else { continue };
        for instruction in Dockerfile::parse(&text).instructions.iter().filter(|one| one.word == "RUN") {
            flags.take(&path, &instruction.rest, &MakeVariables::default(), &modules.path);
        }
    }
    flags
}

impl LinkerFlags {
    fn take(&mut self, file: &str, text: &str, variables: &MakeVariables, module: &str) {
        let has_line = |flag: &str| text.lines().any(|line| line.trim() == format!("- {flag}"));
        let has_both = text.contains("-s -w") || text.contains("-w -s");
        for flag in ["-s", "-w"] {
            if (has_both || has_line(flag)) && !self.plain.contains(&flag) {
                self.plain.push(flag);
            }
        }
        for written in written_flags(text) {
            let flag = variables.expanded(&written, module);
            let Some((name, value)) = flag.split_once('=') else { continue };
            let shown = |why: &str| format!("{file}: `-X {written}` {why}");
            if !is_variable(name) {
                self.left.push(shown("names no variable that can be read"));
                continue;
            }
            if self.stamps.contains_key(name) {
                continue;
            }
            match meaning(value) {
                Ok(stamp) => drop(self.stamps.insert(name.to_owned(), stamp)),
                Err(why) => self.left.push(shown(why)),
            }
        }
        let stamps = &self.stamps;
        self.left.retain(|line| !stamps.keys().any(|name| line.contains(&format!("`-X {name}="))));
        self.left.sort();
        self.left.dedup();
        self.left.truncate(FLAGS_MAX);
    }
}

/// Returns true for `example.com/x/version.Commit`.
fn is_variable(name: &str) -> bool {
    let Some((path, variable)) = name.rsplit_once('.') else { return false };
    let is_identifier = variable.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    is_plain(path) && is_identifier && variable.starts_with(|c: char| !c.is_ascii_digit())
}

/// Returns what follows each `-X`: `main.version=$(VERSION)`.
fn written_flags(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(place) = rest.find("-X") {
        let before = rest[..place].chars().next_back();
        let is_start = before.is_none_or(|c| c.is_whitespace() || "'\"=(".contains(c));
        rest = &rest[place + 2..];
        let argument = rest.trim_start_matches([' ', '\t', '=']);
        if !is_start || argument.len() == rest.len() && !rest.starts_with(['\'', '"']) {
            continue;
        }
        let flag = word(argument.trim_start_matches('\\'));
        if flag.contains('=') && found.len() < FLAGS_MAX {
            found.push(flag);
        }
    }
    found
}

/// Returns the first word: up to its quote, or to a space outside of brackets.
fn word(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    if let Some(quote) = line.chars().next().filter(|c| matches!(c, '\'' | '"')) {
        let inner = &line[1..];
        return inner.split(quote).next().unwrap_or_default().trim_end_matches('\\').to_owned();
    }
    let (mut depth, mut in_backticks, mut word) = (0_usize, false, String::new());
    for c in line.chars() {
        match c {
            '(' | '{' => depth += 1,
            ')' | '}' => match depth.checked_sub(1) {
                Some(less) => depth = less,
                None => break,
            },
            '`' => in_backticks = !in_backticks,
            '"' | '\'' if depth == 0 && !in_backticks => break,
            c if c.is_whitespace() && depth == 0 && !in_backticks => break,
            _ => {}
        }
        word.push(c);
    }
    word.trim_end_matches('\\').to_owned()
}

/// Returns the stamp for a value, or why there is none.
fn meaning(value: &str) -> Result<Stamp, &'static str> {
    let value = value.trim().trim_matches(['"', '\'']);
    if !value.contains(['$', '`', '{']) {
        let is_text = is_plain(value) || value.split(' ').all(is_plain);
        return if is_text { Ok(Stamp::Text(value.to_owned())) } else { Err("has a value that can't be read") };
    }
    if let Some(name) =
        value.strip_prefix('v').unwrap_or(value).strip_prefix("{{").and_then(|rest| rest.strip_suffix("}}"))
    {
        return match name.trim() {
            ".Version" | ".Tag" | ".Summary" => Ok(Stamp::Git(Query::Describe)),
            ".Commit" | ".FullCommit" => Ok(Stamp::Git(Query::Commit)),
            ".ShortCommit" => Ok(Stamp::Git(Query::ShortCommit)),
            ".CommitDate" => Ok(Stamp::Git(Query::CommitTime)),
            ".CommitTimestamp" => Ok(Stamp::Git(Query::CommitTimestamp)),
            ".Branch" => Ok(Stamp::Git(Query::Branch)),
            ".Date" | ".Timestamp" | ".Now" => Err(BUILD_TIME),
            _ => Err("is goreleaser's own"),
        };
    }
    let command =
        value.strip_prefix("$(shell ").or_else(|| value.strip_prefix("$$(")).or_else(|| value.strip_prefix("$("));
    let command = command.and_then(|command| command.strip_suffix(')'));
    let command = command.or_else(|| value.strip_prefix('`').and_then(|command| command.strip_suffix('`')));
    let Some(command) = command.map(str::trim) else { return Err("has a value that only a build knows") };
    if command.starts_with("date") {
        return Err(BUILD_TIME);
    }
    git_query(command).map(Stamp::Git).ok_or("has a value that only a build knows")
}

const BUILD_TIME: &str = "is the time of the build, which differs each time; `Git(CommitTime)` does not";

fn git_query(command: &str) -> Option<Query> {
    // What comes after the first command handles its failure, as `|| echo dev` does.
    let command = command.split(['|', ';', '&']).next()?;
    let arguments: Vec<&str> = command.strip_prefix("git ")?.split_whitespace().collect();
    let has = |start: &str| arguments.iter().any(|word| word.trim_matches(['"', '\'']).starts_with(start));
    match *arguments.first()? {
        "describe" => Some(Query::Describe),
        "rev-parse" if has("--abbrev-ref") => Some(Query::Branch),
        "rev-parse" if has("--short") => Some(Query::ShortCommit),
        "rev-parse" if has("HEAD") => Some(Query::Commit),
        "branch" if has("--show-current") => Some(Query::Branch),
        "log" | "show" => {
            let (_, format) = command.split_once("format")?;
            match format.trim_matches(['=', ':', '"', '\'', ' ']) {
                "%H" => Some(Query::Commit),
                "%h" => Some(Query::ShortCommit),
                "%cI" | "%cd" | "%ci" => Some(Query::CommitTime),
                "%ct" => Some(Query::CommitTimestamp),
                _ => None,
            }
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> LinkerFlags {
        let mut flags = LinkerFlags::default();
        flags.take("Makefile", text, &MakeVariables::parse(text), "example.com/app");
        flags
    }

    #[test]
    fn stamps_of_makefiles() {
        let flags = of(
            "VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)\nPKG = example.com/app/version\n\
             LDFLAGS := -s -w -X main.version=$(VERSION) -X '$(PKG).Commit=$(shell git rev-parse HEAD)' \\\n\
             \t-X \"$(PKG).Short=$(shell git rev-parse --short HEAD)\" -X=$(PKG).Name=app -X main.who=$(USER)\n\
             build:\n\tgo build -ldflags \"$(LDFLAGS) -X main.date=`date -u` -X main.at=$$(git log -1 --format=%ct)\"\n",
        );
        let git = |query| Stamp::Git(query);
        let expected = [
            ("example.com/app/version.Commit", git(Query::Commit)),
            ("example.com/app/version.Name", Stamp::Text("app".to_owned())),
            ("example.com/app/version.Short", git(Query::ShortCommit)),
            ("main.at", git(Query::CommitTimestamp)),
            ("main.version", git(Query::Describe)),
        ];
        assert_eq!(flags.stamps, expected.map(|(name, stamp)| (name.to_owned(), stamp)).into());
        assert_eq!(flags.plain, ["-s", "-w"]);
        assert_eq!(
            flags.left,
            [
                format!("Makefile: `-X main.date=`date -u`` {BUILD_TIME}"),
                "Makefile: `-X main.who=$(USER)` has a value that only a build knows".to_owned(),
            ]
        );
    }

    #[test]
    fn stamps_of_goreleaser() {
        let flags = of("builds:\n  - ldflags:\n      - -s\n      - -w\n      - -X main.version={{ .Version }}\n      \
             - -X main.commit={{.Commit}} -X main.date={{.Date}} -X main.by={{ .Env.WHO }}\n");
        assert_eq!(flags.stamps.keys().collect::<Vec<_>>(), ["main.commit", "main.version"]);
        assert_eq!((flags.plain.len(), flags.left.len()), (2, 2));
    }

    #[test]
    fn what_is_no_flag() {
        for text in ["curl -XPOST a=b", "x-X main.a=b", "-X", "-X\nmain.a=b", "-X a b=c", "# -X"] {
            assert_eq!(of(text).stamps, BTreeMap::new(), "{text}");
        }
        // Nothing of a value reaches build.ron that could end a text there.
        for value in ["\"a\"b", "a\\", "{x}", "a\u{202e}b"] {
            assert!(of(&format!("-X main.a={value}\n")).stamps.values().all(|stamp| match stamp {
                Stamp::Text(text) => text.is_empty() || text.split(' ').all(is_plain),
                Stamp::Git(_) => true,
            }));
        }
    }
}
