//! One file a verb.

mod build;
mod cache;
mod doctor;
mod graph;
mod inspect;
mod list;
mod lock;
mod plan;
mod verify;
mod why;

use crate::cli::{HELP, Invocation, VERBS};
use crate::exit::{Exit, Failure};
use crate::session::{Caller, Session};
use crate::ui::print_data;

/// Does what was asked for.
pub(crate) fn dispatch(caller: &Caller, invocation: &Invocation) -> Result<Exit, Failure> {
    if invocation.version {
        print_data(&format!("rondel {}\n", crate::VERSION));
        return Ok(Exit::Done);
    }
    if invocation.help {
        let verbs: Vec<String> = VERBS.iter().map(|(name, what)| format!("  {name:<10} {what}")).collect();
        print_data(&format!(
            "{HELP}\nverbs (a target of the same name wins; `:verb` always means the verb):\n{}\n",
            verbs.join("\n")
        ));
        return Ok(Exit::Done);
    }
    // Emptying the cache must work where build.ron does not.
    let first = invocation.words.first().map(String::as_str);
    let verb_only = first.and_then(|word| word.strip_prefix(':'));
    if verb_only == Some("cache") {
        return cache::cache(caller, &invocation.words[1..], invocation);
    }
    let session = match Session::open(caller, invocation) {
        Ok(session) => session,
        Err(_) if first == Some("cache") => return cache::cache(caller, &invocation.words[1..], invocation),
        Err(failure) => return Err(failure),
    };
    let Some(first) = first else { return list::list(&session) };
    let is_target = session.file.targets.iter().any(|target| target.name.value.as_str() == first);
    let verb = match verb_only {
        Some(verb) => verb,
        None if is_target => return build::build(&session, invocation),
        None => first,
    };
    let words = &invocation.words[1..];
    match verb {
        "list" => list::list(&session),
        "plan" => plan::plan(&session, invocation, words),
        "why" => why::why(&session, invocation, words),
        "graph" => graph::graph(&session, invocation, words),
        "lock" => lock::lock(&session, invocation, words),
        "cache" => cache::cache(caller, words, invocation),
        "inspect" => inspect::inspect(&session, invocation, words),
        "verify" => verify::verify(&session, invocation, words),
        "doctor" => doctor::doctor(&session),
        _ => Err(session.unknown_word(first)),
    }
}
