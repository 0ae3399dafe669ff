//! `doctor`: compares this machine with the needs of the targets.

use rondel_buildfile::{GoChoice, Need, Platform};
use rondel_cas::require_own_directory;
use rondel_engine::not_own;
use rondel_process::{Cancellation, CommandLine, SandboxSupport, capture, find_tool, sandbox_support};
use rondel_targets::{WantedGo, all_go_of_file, resolve_go_version};

use crate::cli::option::options;
use crate::cli::verb::{Call, Verb};
use crate::exit::{Exit, Failure};
use crate::needs::{check, needs_of};
use crate::program;
use crate::session::Session;
use crate::ui::print_data;

enum Verdict {
    Good,
    Missing,
    Needless,
}

options! {
    /// No options.
    struct Options {}
}

/// Prints one line a finding; exit code 3 if something needed is missing.
pub(crate) struct Doctor;

impl Verb for Doctor {
    const NAME: &'static str = "doctor";
    const ABOUT: &'static str = "what this machine has, and what build.ron needs";
    const EXAMPLE: &'static str = "doctor";
    type Options = Options;

    fn run(session: Result<Session<'_>, Failure>, _: &Call<'_, Options>) -> Result<Exit, Failure> {
        doctor(&session?)
    }
}

fn doctor(session: &Session<'_>) -> Result<Exit, Failure> {
    let mut findings: Vec<(Verdict, String)> = Vec::new();
    cache_findings(session, &mut findings);
    tool_finding(session, "git", &["--version"], false, "versions from git fall back to their defaults", &mut findings);
    go_findings(session, &mut findings);
    findings.push(sandbox_finding(sandbox_support()));
    let mut needs = needs_of(&session.file, &*session.file.targets);
    needs.remove(&Need::Go);
    // A daemon is used if there is one, even if nothing needs it.
    let is_daemon_needed = needs.remove(&Need::DockerDaemon).is_some();
    findings.push(match (check(session, &Need::DockerDaemon), is_daemon_needed) {
        (Ok(line), _) => (Verdict::Good, line),
        (Err(line), true) => (Verdict::Missing, line),
        (Err(line), false) => (Verdict::Needless, line),
    });
    for (need, targets) in &needs {
        let of = targets.join(", ");
        findings.push(match check(session, need) {
            Ok(line) => (Verdict::Good, format!("{line} (for {of})")),
            Err(line) if need.is_required() => (Verdict::Missing, format!("{line} (needed by {of})")),
            Err(line) => (Verdict::Needless, line),
        });
    }
    let mut text = String::new();
    let mut exit = Exit::Done;
    for (verdict, line) in findings {
        let word = match verdict {
            Verdict::Good => "ok",
            Verdict::Needless => "-",
            Verdict::Missing => {
                exit = Exit::Environment;
                "missing"
            }
        };
        text.push_str(&format!("{word:<8} {line}\n"));
    }
    print_data(&text);
    Ok(exit)
}

fn cache_findings(session: &Session<'_>, findings: &mut Vec<(Verdict, String)>) {
    if let Err(failure) = session.require_cache() {
        findings.push((Verdict::Missing, failure.message()));
        return;
    }
    let directory = &session.cache;
    for own in [directory, &session.root.join(".rondel")] {
        if let Err(error) = require_own_directory(own) {
            let error = not_own(&error);
            let hint = error.hint.map(|hint| format!(": {hint}")).unwrap_or_default();
            findings.push((Verdict::Missing, format!("{}{hint}", error.message)));
            return;
        }
    }
    // The nearest existing directory decides; `doctor` itself makes nothing.
    let existing = directory.ancestors().find(|path| path.is_dir());
    let writable =
        existing.is_some_and(|path| std::fs::metadata(path).is_ok_and(|metadata| !metadata.permissions().readonly()));
    let line = format!("cache directory {}", directory.display());
    findings.push(if writable { (Verdict::Good, line) } else { (Verdict::Missing, format!("{line}: not writable")) });
}

fn tool_finding(
    session: &Session<'_>,
    name: &str,
    arguments: &[&str],
    needed: bool,
    without: &str,
    findings: &mut Vec<(Verdict, String)>,
) {
    let path = session.context.get("PATH").unwrap_or("");
    let found = find_tool(name, path, &session.root).ok().map(|program| {
        let line = CommandLine::new(&program, "/")
            .arguments(arguments.iter().copied())
            .environment(session.context.environment.clone());
        let answer = capture(&line, &Cancellation::new()).ok().filter(|captured| captured.finished.status.success());
        let text =
            answer.map(|captured| String::from_utf8_lossy(&captured.stdout).lines().next().unwrap_or("").to_owned());
        format!("{name} at {}: {}", program.display(), text.unwrap_or_else(|| "does not answer".to_owned()))
    });
    findings.push(match found {
        Some(line) => (Verdict::Good, line),
        None if needed => (Verdict::Missing, format!("{name}: {without}")),
        None => (Verdict::Needless, format!("{name} is not installed: {without}")),
    });
}

/// Returns what of a command's undeclared reads can be found here.
fn sandbox_finding(support: Option<SandboxSupport>) -> (Verdict, String) {
    let Some(support) = support else {
        let line = "sandbox: this kernel has no Landlock, so undeclared reads by absolute paths and the network are not \
                    refused";
        return (Verdict::Needless, line.to_owned());
    };
    let parts = [
        (true, "undeclared reads"),
        (support.has_network(), "TCP"),
        (support.has_scopes(), "abstract sockets"),
        (support.has_sockets(), "sockets with a path"),
        (support.has_udp(), "UDP"),
    ];
    let names = |is_refused: bool| {
        let parts = parts.iter().filter(|(is, _)| *is == is_refused);
        parts.map(|(_, name)| *name).collect::<Vec<_>>().join(", ")
    };
    let line = format!("sandbox: Landlock {} refuses {}", support.abi, names(true));
    let missed = names(false);
    let line = if missed.is_empty() { line } else { format!("{line}; not {missed}") };
    (if support.has_network() { Verdict::Good } else { Verdict::Needless }, line)
}

fn go_findings(session: &Session<'_>, findings: &mut Vec<(Verdict, String)>) {
    let host = Platform::host();
    let resolve = |wanted: &WantedGo| resolve_go_version(wanted, &session.lock);
    let versions = match all_go_of_file(&session.file, &session.root) {
        Ok(all) => all.iter().map(resolve).collect(),
        Err(error) => vec![Err(error)],
    };
    for version in versions {
        match version {
            Err(error) => findings.push((Verdict::Missing, format!("Go: {error}"))),
            Ok(None) => tool_finding(session, "go", &["version"], true, "`go: System` needs an installed Go", findings),
            Ok(Some(version)) => {
                let pinned = session.lock.go.get(&version).is_some_and(|hosts| hosts.contains_key(&host.to_string()));
                let directory = session.cache.join("go/toolchains").join(format!(
                    "go{version}.{}-{}",
                    host.os(),
                    host.architecture()
                ));
                let there = if directory.is_dir() { "unpacked" } else { "fetched when it is needed" };
                let pin = match pinned {
                    true => "pinned in build.lock".to_owned(),
                    false => format!("not pinned: run `{} lock`", program::name()),
                };
                findings.push((Verdict::Good, format!("Go {version} for {host}: {there}, {pin}")));
            }
        }
    }
    if session.file.go.value != GoChoice::System {
        let proxy = session
            .context
            .get("GOPROXY")
            .map_or_else(|| "not set in the environment".to_owned(), |_| "set".to_owned());
        findings.push((Verdict::Good, format!("GOPROXY: {proxy}")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_kernel_can_refuse() {
        let line = |support| sandbox_finding(support).1;
        assert!(line(None).contains("no Landlock"));
        let of = |abi| line(Some(SandboxSupport { abi }));
        assert_eq!(
            of(4),
            "sandbox: Landlock 4 refuses undeclared reads, TCP; not abstract sockets, sockets with a path, UDP"
        );
        assert!(of(3).contains("refuses undeclared reads; not TCP, ") && !of(10).contains("not"));
    }
}
