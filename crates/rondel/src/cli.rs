//! The command line: options and words.

use std::collections::BTreeMap;
use std::ffi::OsString;

use lexopt::prelude::*;
use rondel_buildfile::{Platform, suggest};
use rondel_targets::PlatformChoice;

use crate::exit::Failure;

/// Rondel's own verbs and what they do. A target of the same name wins; `:verb` always means the verb.
pub(crate) const VERBS: &[(&str, &str)] = &[
    ("list", "every target with its description"),
    ("plan", "what would run and why; changes nothing"),
    ("why", "why a target's steps ran the last time; --against RECORD: what differs from another run"),
    ("graph", "the steps as a graph (--format mermaid, dot or json)"),
    ("verify", "build a second time, elsewhere, and compare; or compare with a file or layout"),
    ("inspect", "what an executable or image is made of, and how it was made (--format json)"),
    ("lock", "pin toolchains in build.lock (--update go moves a pin)"),
    ("cache", "what is stored: `cache stats`, `gc` (--max SIZE), `verify`, `clean` (--all)"),
    ("doctor", "what this machine has, and what build.ron needs"),
];

/// `--color`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Color {
    Auto,
    Always,
    Never,
}

/// `--progress`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    Auto,
    Bar,
    Plain,
    None,
}

/// What was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Invocation {
    pub words: Vec<String>,
    /// After `--`.
    pub rest: Vec<String>,
    pub file: Option<String>,
    pub jobs: Option<usize>,
    pub keep_going: bool,
    pub force: bool,
    pub offline: bool,
    pub locked: bool,
    pub platforms: Option<PlatformChoice>,
    pub set: BTreeMap<String, String>,
    pub quiet: bool,
    pub verbose: bool,
    pub events_json: bool,
    pub color: Color,
    pub progress: Progress,
    pub format: Option<String>,
    pub update: Vec<String>,
    pub all: bool,
    pub max: Option<String>,
    pub against: Option<String>,
    pub help: bool,
    pub version: bool,
}

pub(crate) const HELP: &str = "\
usage: cargo xtask [OPTIONS] TARGET… [-- ARGS]
       cargo xtask [OPTIONS] VERB …

options:
      --file PATH          read this file instead of the nearest build.ron
  -j, --jobs N             run up to N steps at once (default: number of cores)
      --keep-going         after a failure, go on with what does not need the failed step
      --force              run every step, whatever is known
      --offline            never ask the network
      --locked             refuse what build.lock does not pin
      --platform OS/ARCH   build for this platform (may be repeated)
      --all-platforms      build for every declared platform
      --set NAME=VALUE     give a variable of build.ron another value
  -q, --quiet              say only what went wrong
  -v, --verbose            print each command so that it can be pasted into a shell
      --events json        one JSON object a line on standard output
      --color WHEN         auto, always or never
      --progress HOW       auto, bar, plain or none
  -h, --help               this text
  -V, --version            the version

exit codes: 0 done; 1 a step failed; 2 the command line or build.ron is wrong;
            3 this machine lacks something (Docker, network); 4 `verify` found a
            difference; 130 interrupted
";

const OPTIONS: &[&str] = &[
    "file",
    "jobs",
    "keep-going",
    "force",
    "offline",
    "locked",
    "platform",
    "all-platforms",
    "set",
    "quiet",
    "verbose",
    "events",
    "color",
    "progress",
    "format",
    "update",
    "all",
    "max",
    "against",
    "help",
    "version",
];

/// Reads the arguments.
pub(crate) fn parse(arguments: &[OsString]) -> Result<Invocation, Failure> {
    let mut invocation = Invocation {
        words: Vec::new(),
        rest: Vec::new(),
        file: None,
        jobs: None,
        keep_going: false,
        force: false,
        offline: false,
        locked: false,
        platforms: None,
        set: BTreeMap::new(),
        quiet: false,
        verbose: false,
        events_json: false,
        color: Color::Auto,
        progress: Progress::Auto,
        format: None,
        update: Vec::new(),
        all: false,
        max: None,
        against: None,
        help: false,
        version: false,
    };
    let split = arguments.iter().position(|argument| argument == "--").unwrap_or(arguments.len());
    let (own, rest) = arguments.split_at(split);
    for argument in rest.iter().skip(1) {
        invocation.rest.push(text(argument.clone())?);
    }
    let mut parser = lexopt::Parser::from_args(own.iter().cloned());
    while let Some(argument) = parser.next().map_err(usage)? {
        let word = match argument {
            Value(word) => {
                invocation.words.push(text(word)?);
                continue;
            }
            Short('j') => "jobs".to_owned(),
            Short('q') => "quiet".to_owned(),
            Short('v') => "verbose".to_owned(),
            Short('h') => "help".to_owned(),
            Short('V') => "version".to_owned(),
            Short(letter) => format!("-{letter}"),
            Long(name) => name.to_owned(),
        };
        read_option(&mut invocation, &mut parser, &word)?;
    }
    Ok(invocation)
}

/// `option` is its long name; a short one that there isn't keeps its dash.
fn read_option(invocation: &mut Invocation, parser: &mut lexopt::Parser, option: &str) -> Result<(), Failure> {
    let mut value = || parser.value().map_err(usage).and_then(text);
    match option {
        "file" => invocation.file = Some(value()?),
        "jobs" => {
            let jobs = value()?;
            let number = jobs.parse().ok().filter(|number| (1..=1024).contains(number));
            invocation.jobs = Some(
                number.ok_or_else(|| Failure::usage(format!("--jobs takes a number from 1 to 1024, not `{jobs}`")))?,
            );
        }
        "keep-going" => invocation.keep_going = true,
        "force" => invocation.force = true,
        "offline" => invocation.offline = true,
        "locked" => invocation.locked = true,
        "platform" => add_platform(invocation, &value()?)?,
        "all-platforms" => invocation.platforms = Some(PlatformChoice::All),
        "set" => {
            let pair = value()?;
            let (name, value) =
                pair.split_once('=').ok_or_else(|| Failure::usage(format!("--set takes NAME=VALUE, not `{pair}`")))?;
            invocation.set.insert(name.to_owned(), value.to_owned());
        }
        "quiet" => invocation.quiet = true,
        "verbose" => invocation.verbose = true,
        "events" => {
            choose("--events", &value()?, &[("json", ())])?;
            invocation.events_json = true;
        }
        "color" => {
            invocation.color = choose(
                "--color",
                &value()?,
                &[("auto", Color::Auto), ("always", Color::Always), ("never", Color::Never)],
            )?
        }
        "progress" => {
            let choices = [
                ("auto", Progress::Auto),
                ("bar", Progress::Bar),
                ("plain", Progress::Plain),
                ("none", Progress::None),
            ];
            invocation.progress = choose("--progress", &value()?, &choices)?;
        }
        "format" => invocation.format = Some(value()?),
        "update" => invocation.update.push(value()?),
        "all" => invocation.all = true,
        "against" => invocation.against = Some(value()?),
        "max" => invocation.max = Some(value()?),
        "help" => invocation.help = true,
        "version" => invocation.version = true,
        _ => {
            let dashes = if option.starts_with('-') { "" } else { "--" };
            let failure = Failure::usage(format!("there is no option `{dashes}{option}`"));
            let near = suggest(option, OPTIONS.iter().copied());
            return Err(match near {
                Some(near) => failure.hint(format!("did you mean `--{near}`? `cargo xtask --help` lists all")),
                None => failure.hint("`cargo xtask --help` lists all options"),
            });
        }
    }
    Ok(())
}

fn add_platform(invocation: &mut Invocation, value: &str) -> Result<(), Failure> {
    let platform = Platform::new(value).map_err(|error| {
        let all: Vec<String> = Platform::all().collect();
        let failure = Failure::usage(format!("--platform: {error}"));
        match suggest(value, all.iter().map(String::as_str)) {
            Some(near) => failure.hint(format!("did you mean `{near}`?")),
            None => failure,
        }
    })?;
    match &mut invocation.platforms {
        Some(PlatformChoice::Some(list)) => list.push(platform),
        Some(PlatformChoice::All) => {}
        _ => invocation.platforms = Some(PlatformChoice::Some(vec![platform])),
    }
    Ok(())
}

fn choose<T: Copy>(option: &str, value: &str, choices: &[(&str, T)]) -> Result<T, Failure> {
    choices.iter().find(|(name, _)| *name == value).map(|(_, choice)| *choice).ok_or_else(|| {
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        Failure::usage(format!("{option} takes {}, not `{value}`", names.join(", ")))
    })
}

fn text(value: OsString) -> Result<String, Failure> {
    value.into_string().map_err(|value| Failure::usage(format!("`{}` is not valid UTF-8", value.to_string_lossy())))
}

fn usage(error: lexopt::Error) -> Failure {
    Failure::usage(error.to_string()).hint("`cargo xtask --help` lists all options")
}
