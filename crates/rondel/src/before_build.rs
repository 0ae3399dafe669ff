//! What is settled before a build begins: targets are for this machine, programs that they require are here, their conditions
//! hold, and who is there answers their questions. Knows no graph.

use std::io::{self, BufRead, IsTerminal, Write};
use std::time::Duration;

use rondel_buildfile::{BuildFile, Platform, Target, TargetName};
use rondel_process::{Cancellation, CommandLine, capture, find_tool};

use crate::exit::Failure;
use crate::session::Session;
use crate::ui::without_control_sequences;

/// Time for the script of a condition.
const CONDITION_TIMEOUT: Duration = Duration::from_secs(60);

/// Refuses targets that are for other machines, those whose required programs are not here or whose conditions do not hold,
/// and those that somebody answers with no. With `yes`, nobody is asked.
pub(crate) fn settle(session: &Session<'_>, asked: &[TargetName], yes: bool) -> Result<(), Failure> {
    let targets = with_what_they_run(&session.file, asked);
    targets.iter().try_for_each(|target| not_here(target).map_or(Ok(()), |why| Err(Failure::environment(why))))?;
    targets.iter().try_for_each(|target| check_requirements(session, target))?;
    targets.iter().try_for_each(|target| check_conditions(session, target))?;
    if yes {
        return Ok(());
    }
    targets.iter().try_for_each(|target| {
        let own = || target.kind().question();
        target.common.confirm.clone().or_else(own).map_or(Ok(()), |question| confirm(target, &question))
    })
}

/// Returns the targets of these names and all that they run, in the order of build.ron.
fn with_what_they_run<'f>(file: &'f BuildFile, asked: &[TargetName]) -> Vec<&'f Target> {
    let mut found: Vec<&TargetName> = Vec::new();
    let mut open: Vec<&Target> = file.targets.iter().filter(|target| asked.contains(&target.name.value)).collect();
    while let Some(target) = open.pop() {
        if found.contains(&&target.name.value) {
            continue;
        }
        found.push(&target.name.value);
        let names = file.references_on(target, &Platform::host());
        open.extend(file.targets.iter().filter(|other| names.contains(&&other.name.value)));
    }
    file.targets.iter().filter(|target| found.contains(&&target.name.value)).collect()
}

/// Returns what is wrong with the targets of these names, and all that they run, if some are for other machines: a line each.
pub(crate) fn for_other_machines(session: &Session<'_>, asked: &[TargetName]) -> Vec<String> {
    with_what_they_run(&session.file, asked).into_iter().filter_map(not_here).collect()
}

/// Returns why the target can't run on this machine, if it is for others.
pub(crate) fn not_here(target: &Target) -> Option<String> {
    let (hosts, own) = (target.common.platforms_of_host.as_ref()?, Platform::host());
    let words: Vec<&str> = hosts.words().collect();
    let name = &target.name.value;
    (!hosts.has(&own)).then(|| format!("`{name}` runs on {}, and this machine is {own}", words.join(", ")))
}

fn check_requirements(session: &Session<'_>, target: &Target) -> Result<(), Failure> {
    let path = session.context.get("PATH").unwrap_or("");
    for (program, install) in &target.common.requires {
        if find_tool(&program.value, path, &session.root).is_err() {
            let message = format!("`{}` needs `{}`, which is not on PATH", target.name.value, program.value);
            let failure = Failure::environment(message);
            return Err(if install.is_empty() { failure } else { failure.hint(format!("install it: {install}")) });
        }
    }
    Ok(())
}

/// Runs the scripts of a target's `preconditions`, in their order.
fn check_conditions(session: &Session<'_>, target: &Target) -> Result<(), Failure> {
    let path = session.context.get("PATH").unwrap_or("");
    let below = session.file.root.as_ref().map_or("", |root| root.value.as_str());
    let directory = session.root.join(below);
    for (script, remedy) in &target.common.preconditions {
        let name = &target.name.value;
        let shell = find_tool("sh", path, &directory).map_err(|error| Failure::environment(error.to_string()))?;
        let variables = ["PATH", "HOME"].map(|name| Some((name.to_owned(), session.context.get(name)?.to_owned())));
        let mut line = CommandLine::new(shell, &directory)
            .arguments(["-eu", "-c", script.value.as_str()])
            .environment(variables.into_iter().flatten());
        line.timeout = Some(CONDITION_TIMEOUT);
        let captured = capture(&line, &Cancellation::new())
            .map_err(|error| Failure::environment(format!("`{name}` could not be checked: {error}")))?;
        if !captured.finished.status.success() {
            let script = without_control_sequences(&script.value.replace('\n', "\\n"));
            let message = format!("`{name}` can't run: `{script}` ended with {}", captured.finished.describe());
            let failure = Failure::environment(message);
            return Err(if remedy.is_empty() { failure } else { failure.hint(without_control_sequences(remedy)) });
        }
    }
    Ok(())
}

fn confirm(target: &Target, question: &str) -> Result<(), Failure> {
    let name = &target.name.value;
    let (input, mut output) = (io::stdin(), io::stderr());
    if !input.is_terminal() || !output.is_terminal() {
        let message = format!(
            "`{name}` asks \"{}\" before it runs, and nobody is here to answer",
            without_control_sequences(question)
        );
        return Err(Failure::usage(message).hint("`--yes` answers for you"));
    }
    // A terminal that is gone can't be asked.
    let unasked = |error: io::Error| Failure::environment(format!("`{name}` could not ask: {error}"));
    write!(output, "{name}: {} [y/N] ", without_control_sequences(question))
        .and_then(|()| output.flush())
        .map_err(unasked)?;
    let mut answer = String::new();
    input.lock().read_line(&mut answer).map_err(unasked)?;
    match answer.trim().to_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(Failure::usage(format!("`{name}` was not run: the answer was no"))),
    }
}
