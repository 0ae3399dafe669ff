//! Options shared by several verbs, declared once: those of the whole program, of analysis, of builds.

use std::collections::BTreeMap;

use rondel_buildfile::{Platform, suggest};
use rondel_targets::{PlatformChoice, VersionMode};

use crate::cli::option::{OptionValue, choice, option, options};
use crate::exit::Failure;

choice! {
    /// `--color`
    enum Color { Auto = "auto", Always = "always", Never = "never" }
}

choice! {
    /// `--progress`
    enum Progress { Auto = "auto", Bar = "bar", Plain = "plain", None = "none" }
}

choice! {
    /// `--format` of verbs that print text or JSON.
    enum TextOrJson { Text = "text", Json = "json" }
}

choice! {
    /// `--events`
    enum Events { Json = "json" }
}

options! {
    /// Options of the whole program.
    struct GlobalOptions {
        /// read this file instead of the nearest build.ron
        file: Option<String> = option("file").value("PATH"),
        /// print only warnings and errors
        quiet: bool = option("quiet").short('q'),
        /// print commands, inputs and hidden steps too
        verbose: bool = option("verbose").short('v'),
        /// use colours
        color: Color = option("color").value("WHEN"),
        /// show progress
        progress: Progress = option("progress").value("HOW"),
        /// print this help; after a verb, the verb's help
        help: bool = option("help").short('h'),
        /// print the version
        version: bool = option("version").short('V'),
    }
}

options! {
    /// Options of verbs that build: targets and `verify`.
    struct BuildOptions {
        /// run up to N steps at once (default: number of cores)
        jobs: Jobs = option("jobs").short('j').value("N"),
        /// keep building steps that do not depend on the failed one
        keep_going: bool = option("keep-going"),
        /// run every step, even if it is up to date
        force: bool = option("force"),
        /// print one JSON object a line on standard output
        events: Option<Events> = option("events").value("json"),
        /// answer the questions of targets with yes
        yes: bool = option("yes").short('y'),
    }
}

options! {
    /// Options of verbs that analyse targets.
    struct AnalysisOptions {
        /// build for this platform (may be repeated)
        platform: Vec<Platform> = option("platform").value("OS/ARCH"),
        /// build for every declared platform
        all_platforms: bool = option("all-platforms"),
        /// override a build.ron variable
        set: BTreeMap<String, String> = option("set").value("NAME=VALUE"),
        /// take any state of the tree, under a version that is no release; nothing is published
        snapshot: bool = option("snapshot"),
        /// take a version with the day of the commit
        nightly: bool = option("nightly"),
        /// never use the network
        offline: bool = option("offline"),
        /// refuse toolchains that build.lock does not pin
        locked: bool = option("locked"),
    }
}

impl AnalysisOptions {
    /// Returns what versions say. `--snapshot` takes precedence over `--nightly`, since it publishes nothing.
    pub fn version_mode(&self) -> VersionMode {
        match (self.snapshot, self.nightly) {
            (true, _) => VersionMode::Snapshot,
            (false, true) => VersionMode::Nightly,
            (false, false) => VersionMode::Tag,
        }
    }

    /// Returns the chosen platforms. `--all-platforms` takes precedence over `--platform`.
    pub fn platforms(&self) -> PlatformChoice {
        match (self.all_platforms, self.platform.is_empty()) {
            (true, _) => PlatformChoice::All,
            (false, false) => PlatformChoice::Some(self.platform.clone()),
            (false, true) => PlatformChoice::Own,
        }
    }
}

/// Number of steps that may run at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Jobs(Option<usize>);

impl Jobs {
    /// Returns the chosen number, else the number of cores.
    pub fn number(self) -> usize {
        self.0.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from))
    }
}

impl OptionValue for Jobs {
    fn accept(&mut self, option: &str, value: &str) -> Result<(), Failure> {
        let number = value.parse().ok().filter(|number| (1..=1024).contains(number));
        let wrong =
            || Failure::usage(format!("{option} takes a number from 1 to 1024, not `{}`", value.escape_debug()));
        self.0 = Some(number.ok_or_else(wrong)?);
        Ok(())
    }
}

impl OptionValue for Vec<Platform> {
    fn accept(&mut self, option: &str, value: &str) -> Result<(), Failure> {
        let platform = Platform::new(value).map_err(|error| {
            let all: Vec<String> = Platform::all().collect();
            let failure = Failure::usage(format!("{option}: {error}"));
            match suggest(value, all.iter().map(String::as_str)) {
                Some(near) => failure.hint(format!("did you mean `{near}`?")),
                None => failure,
            }
        })?;
        self.push(platform);
        Ok(())
    }
}
