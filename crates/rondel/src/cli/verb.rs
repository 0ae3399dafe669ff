//! Declarations of verbs: one type a verb, with its name, arguments, options and work. Knows no verb.

use crate::cli::groups::GlobalOptions;
use crate::cli::option::{OptionSet, OptionSpec};
use crate::cli::{Line, split_options};
use crate::exit::{Exit, Failure};
use crate::session::{ProcessContext, Session};

/// Type of the words after a verb.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holds {
    Nothing,
    Targets,
    /// Targets, or files and directories.
    TargetsOrPaths,
    /// One of these words.
    Words(&'static [&'static str]),
}

/// The words that a verb takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arguments {
    pub holds: Holds,
    pub least: usize,
    pub most: usize,
    /// One form for each usage line: `TARGET…`.
    pub forms: &'static [&'static str],
    /// Missing word in the error for too few: `a target`.
    pub needed: &'static str,
    /// Each name in the forms, with its meaning.
    pub docs: &'static [(&'static str, &'static str)],
}

impl Arguments {
    /// No words.
    pub const NONE: Arguments =
        Arguments { holds: Holds::Nothing, least: 0, most: 0, forms: &[""], needed: "", docs: &[] };

    /// One target or more.
    pub const TARGETS: Arguments = Arguments {
        holds: Holds::Targets,
        least: 1,
        most: usize::MAX,
        forms: &["TARGET…"],
        needed: "a target",
        docs: &[("TARGET", "a target of build.ron")],
    };
}

/// One verb. Each lives in one file of `verbs/`.
pub(crate) trait Verb {
    /// Name on the command line.
    const NAME: &'static str;
    /// Its doc, in a line.
    const ABOUT: &'static str;
    /// The words after it.
    const ARGUMENTS: Arguments = Arguments::NONE;
    /// True if the words after `--` go to the targets.
    const TAKES_REST: bool = false;
    /// Example of its use, without the program's name.
    const EXAMPLE: &'static str;
    /// Further text for its help. May hold [`rondel_engine::PROGRAM`].
    const DETAILS: &'static str = "";
    /// Verbs of its own, one of which is required.
    const SUBVERBS: &'static [Entry] = &[];
    /// True for a verb for scripts: neither listed nor suggested.
    const IS_HIDDEN: bool = false;

    /// Its own options, and the groups that it includes.
    type Options: OptionSet;

    /// Runs the verb. A verb that needs no build.ron ignores an error in `session`.
    fn run(session: Result<Session<'_>, Failure>, call: &Call<'_, Self::Options>) -> Result<Exit, Failure>;
}

/// Words and options of one call of a verb.
pub(crate) struct Call<'a, O> {
    pub context: &'a ProcessContext,
    pub global: &'a GlobalOptions,
    pub options: O,
    pub words: &'a [String],
    /// Words after `--`.
    pub rest: &'a [String],
}

type RunVerb = fn(Result<Session<'_>, Failure>, &Request<'_>) -> Result<Exit, Failure>;

/// Words and options that are not sorted yet.
pub(crate) struct Request<'a> {
    pub context: &'a ProcessContext,
    pub line: &'a Line,
    pub words: &'a [String],
}

/// A verb in the list of verbs.
#[derive(Clone, Copy)]
pub(crate) struct Entry {
    pub name: &'static str,
    pub about: &'static str,
    pub arguments: Arguments,
    pub takes_rest: bool,
    pub example: &'static str,
    pub details: &'static str,
    pub subverbs: &'static [Entry],
    pub is_hidden: bool,
    /// Its options, without those of the whole program.
    pub specs: fn() -> Vec<OptionSpec>,
    pub run: RunVerb,
}

/// The verbs of the program: the list is given to the command line, which knows none by heart.
pub(crate) struct Verbs {
    /// Builds: the meaning of a target's name in the place of a verb's.
    pub build: Entry,
    /// The verbs, in the order of help.
    pub list: &'static [Entry],
}

impl Verbs {
    /// Returns the verbs for people.
    pub fn visible(&self) -> impl Iterator<Item = &'static Entry> + use<> {
        self.list.iter().filter(|entry| !entry.is_hidden)
    }

    /// Returns the verb `name`.
    pub fn find(&self, name: &str) -> Option<&'static Entry> {
        self.list.iter().find(|entry| entry.name == name)
    }
}

impl Entry {
    /// Returns the entry of `V`.
    pub const fn of<V: Verb>() -> Entry {
        Entry {
            name: V::NAME,
            about: V::ABOUT,
            arguments: V::ARGUMENTS,
            takes_rest: V::TAKES_REST,
            example: V::EXAMPLE,
            details: V::DETAILS,
            subverbs: V::SUBVERBS,
            is_hidden: V::IS_HIDDEN,
            specs: V::Options::specs,
            run: run::<V>,
        }
    }

    /// Returns the option of this name, if it has it.
    pub fn spec(&self, long: &str) -> Option<OptionSpec> {
        (self.specs)().into_iter().find(|spec| spec.long == long)
    }
}

fn run<V: Verb>(session: Result<Session<'_>, Failure>, request: &Request<'_>) -> Result<Exit, Failure> {
    let (global, options) = split_options::<V::Options>(request.line)?;
    V::run(
        session,
        &Call { context: request.context, global: &global, options, words: request.words, rest: &request.line.rest },
    )
}
