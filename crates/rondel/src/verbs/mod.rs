//! The verbs: one file and one line of the list each.

mod build;
mod bundle;
mod cache;
mod complete;
mod completions;
mod doctor;
mod graph;
mod init;
mod inspect;
mod list;
mod lock;
mod lock_bases;
mod lock_tools;
mod logs;
mod plan;
mod rebuild;
mod report;
mod restart;
mod schema;
mod show;
mod started;
mod status;
mod stop;
mod verify;
mod watch;
mod why;

use crate::asked::is_value;
use crate::cli::groups::GlobalOptions;
use crate::cli::help::{program_help, target_help, verb_help};
use crate::cli::verb::{Entry, Request, Verbs};
use crate::cli::{Line, check};
use crate::exit::{Exit, Failure};
use crate::program;
use crate::session::{ProcessContext, Session};
use crate::ui::print_data;

/// The verbs. A target of the same name takes precedence; `:verb` always means the verb.
pub(crate) static VERBS: Verbs = Verbs { build: Entry::of::<build::Build>(), list: LIST };

const LIST: &[Entry] = &[
    Entry::of::<list::List>(),
    Entry::of::<plan::Plan>(),
    Entry::of::<why::Why>(),
    Entry::of::<watch::Watch>(),
    Entry::of::<status::Status>(),
    Entry::of::<logs::Logs>(),
    Entry::of::<stop::Stop>(),
    Entry::of::<restart::Restart>(),
    Entry::of::<show::Show>(),
    Entry::of::<graph::ShowGraph>(),
    Entry::of::<report::Report>(),
    Entry::of::<verify::Verify>(),
    Entry::of::<bundle::Bundle>(),
    Entry::of::<rebuild::Rebuild>(),
    Entry::of::<inspect::Inspect>(),
    Entry::of::<init::Init>(),
    Entry::of::<lock::Lock>(),
    Entry::of::<cache::Cache>(),
    Entry::of::<doctor::Doctor>(),
    Entry::of::<schema::Schema>(),
    Entry::of::<completions::Completions>(),
    Entry::of::<complete::Complete>(),
];

/// Verb of an empty command line.
const DEFAULT: &str = "list";

/// Runs the verb of the command line.
pub(crate) fn dispatch(context: &ProcessContext, global: &GlobalOptions, line: &Line) -> Result<Exit, Failure> {
    if global.version {
        print_data(&format!("rondel {}\n", crate::VERSION));
        return Ok(Exit::Done);
    }
    if global.help && line.words.is_empty() {
        print_data(&program_help(&VERBS));
        return Ok(Exit::Done);
    }
    let session = Session::open(context, global.file.as_deref());
    let first = line.words.first().map_or(DEFAULT, String::as_str);
    // Values may stand before the target that they are for.
    let named = line.words.iter().find(|word| !is_value(word));
    let is_target = |session: &Session<'_>| named.is_some_and(|word| session.target(word).is_some());
    let found = match (first.strip_prefix(':'), &session) {
        (Some(name), _) => VERBS.find(name),
        (None, Ok(session)) if !line.words.is_empty() && is_target(session) => Some(&VERBS.build),
        (None, _) => VERBS.find(first),
    };
    if global.help {
        let target =
            session.as_ref().ok().zip(named).filter(|_| found.is_some_and(|entry| std::ptr::eq(entry, &VERBS.build)));
        print_data(&target.and_then(|(session, word)| session.target(word)).map(target_help).unwrap_or_default());
        print_data(&help(found, line.words.get(1)));
        return Ok(Exit::Done);
    }
    let Some(entry) = found else {
        let session = session?;
        // Values without a target: the error says so.
        session.asked(&line.words.iter().filter(|word| is_value(word)).cloned().collect::<Vec<_>>())?;
        return Err(unknown_word(&session, named.map_or(first, String::as_str), &line.words));
    };
    if std::ptr::eq(entry, &VERBS.build) {
        return run(context, line, VERBS.build.name, entry, &line.words, session);
    }
    let words = line.words.get(1..).unwrap_or_default();
    if entry.subverbs.is_empty() {
        return run(context, line, entry.name, entry, words, session);
    }
    let Some(sub) = words.first().and_then(|word| entry.subverbs.iter().find(|sub| sub.name == word)) else {
        return Err(unknown_subverb(entry, words.first()));
    };
    run(context, line, &format!("{} {}", entry.name, sub.name), sub, &words[1..], session)
}

fn run(
    context: &ProcessContext,
    line: &Line,
    name: &str,
    entry: &Entry,
    words: &[String],
    session: Result<Session<'_>, Failure>,
) -> Result<Exit, Failure> {
    check(&VERBS, name, entry, line, words)?;
    (entry.run)(session, &Request { context, line, words })
}

/// Returns help for the words before `--help`.
fn help(entry: Option<&'static Entry>, next: Option<&String>) -> String {
    match entry {
        Some(entry) if !std::ptr::eq(entry, &VERBS.build) => {
            match next.and_then(|word| entry.subverbs.iter().find(|sub| sub.name == *word)) {
                Some(sub) => verb_help(&format!("{} {}", entry.name, sub.name), sub),
                None => verb_help(entry.name, entry),
            }
        }
        _ => program_help(&VERBS),
    }
}

fn unknown_subverb(entry: &Entry, word: Option<&String>) -> Failure {
    let names: Vec<String> = entry.subverbs.iter().map(|sub| format!("`{}`", sub.name)).collect();
    let names = crate::cli::option::listed(&names, "or");
    let given = word.map(|word| format!(", not `{}`", word.escape_debug())).unwrap_or_default();
    let near = word.and_then(|word| rondel_buildfile::suggest(word, entry.subverbs.iter().map(|sub| sub.name)));
    let near = near.map(|near| format!("did you mean `{near}`? ")).unwrap_or_default();
    Failure::usage(format!("`{}` takes {names}{given}", entry.name)).hint(format!(
        "{near}`{} {} --help` says what they do",
        program::name(),
        entry.name
    ))
}

/// Returns the error for a first word that is neither target nor verb.
fn unknown_word(session: &Session<'_>, word: &str, words: &[String]) -> Failure {
    let verbs: Vec<&str> = VERBS.visible().map(|entry| entry.name).collect();
    session.unknown_target(word, &verbs, words)
}
