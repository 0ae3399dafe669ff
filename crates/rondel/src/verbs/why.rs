//! `why`: the causes of the last run of each step of a target; of one that is up to date, what it depends on.

use std::time::{SystemTime, UNIX_EPOCH};

use rondel_engine::{Planned, Reason, plan, read_record};

use crate::cli::Invocation;
use crate::exit::{Exit, Failure};
use crate::session::Session;
use crate::ui::print_data;

/// Prints the causes.
pub(crate) fn why(session: &Session<'_>, invocation: &Invocation, words: &[String]) -> Result<Exit, Failure> {
    let targets = session.target_names(words)?;
    if targets.is_empty() {
        return Err(Failure::usage("`why` needs a target").hint("`cargo xtask why image`"));
    }
    let lowered = session.lower(invocation, targets)?;
    let workspace = session.workspace();
    let planned = plan(&lowered.graph, &lowered.roots, &workspace, &|_| {});
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let mut text = String::new();
    for (id, state) in &planned {
        let node = lowered.graph.node(*id);
        let record = read_record(&workspace.state, &node.label);
        if node.hidden && !invocation.verbose && record.last_run.is_none() {
            continue;
        }
        let today = match state {
            Planned::UpToDate => "up to date".to_owned(),
            Planned::Restore => "stored, not in place".to_owned(),
            Planned::Run(reasons) => format!("would run: {}", list(reasons)),
            Planned::Depends(_) => "waits for steps that would run".to_owned(),
            Planned::Skip(why) => format!("passed over: {why}"),
            Planned::OnDemand => "runs only if a step needs it".to_owned(),
            Planned::Unknown(error) => format!("can't be told: {error}"),
        };
        text.push_str(&format!("{}: {today}\n", node.label));
        match &record.last_run {
            None => text.push_str("  it has not run in this workspace\n"),
            Some(run) => {
                let ago = now.saturating_sub(run.at_s);
                text.push_str(&format!("  last run {} ago, {} ms, because\n", age(ago), run.duration_ms));
                for reason in &run.reasons {
                    text.push_str(&format!("    {reason}{}\n", values(reason)));
                }
            }
        }
        if invocation.verbose {
            for line in record.describe() {
                text.push_str(&format!("  depends on {line}\n"));
            }
        } else {
            let members = record.describe().len();
            if members > 0 {
                text.push_str(&format!("  depends on {members} things (--verbose lists them)\n"));
            }
        }
    }
    print_data(&text);
    Ok(Exit::Done)
}

fn list(reasons: &[Reason]) -> String {
    reasons.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// Old and new digest and size of a changed file.
fn values(reason: &Reason) -> String {
    match reason {
        Reason::InputChanged { old, new, .. } => format!("\n      was {old}\n      is  {new}"),
        _ => String::new(),
    }
}

fn age(seconds: u64) -> String {
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7199 => format!("{} min", seconds / 60),
        7200..=172_799 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}
