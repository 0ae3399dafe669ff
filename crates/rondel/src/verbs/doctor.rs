//! `doctor`: what this machine has, and what the targets of build.ron need of it.

use std::collections::BTreeSet;

use rondel_buildfile::{GoChoice, Need, Target};
use rondel_golang::Host;
use rondel_process::{Cancellation, CommandLine, capture, find_tool};
use rondel_targets::{DockerSocket, go_work_of, module_directory, resolve_go_version};

use crate::exit::{Exit, Failure};
use crate::session::Session;
use crate::ui::print_data;

enum Verdict {
    Good,
    Missing,
    Needless,
}

/// Prints one line a finding; exit code 3 if something needed is missing.
pub(crate) fn doctor(session: &Session<'_>) -> Result<Exit, Failure> {
    let mut findings: Vec<(Verdict, String)> = Vec::new();
    let needs: BTreeSet<Need> = session.file.targets.iter().flat_map(Target::needs).collect();
    cache_findings(session, &mut findings);
    tool_finding(session, "git", &["--version"], false, "versions from git fall back to their defaults", &mut findings);
    go_findings(session, &mut findings);
    docker_findings(session, &needs, &mut findings);
    for need in &needs {
        match need {
            Need::CCompiler { command, because } => {
                let command = command.as_deref().unwrap_or("gcc");
                let program = command.split_whitespace().next().unwrap_or(command);
                tool_finding(
                    session,
                    program,
                    &["-dumpversion"],
                    true,
                    &format!("`{because}` links with it"),
                    &mut findings,
                );
            }
            Need::Go | Need::DockerDaemon | Need::DockerCommand | Need::Buildx | Need::Compose | Need::Program(_) => {}
        }
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
    let directory = &session.cache;
    // The nearest directory that is there is what decides; `doctor` itself makes nothing.
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
    let path = session.caller.get("PATH").unwrap_or("");
    let found = find_tool(name, path, &session.root).ok().map(|program| {
        let line = CommandLine::new(&program, "/")
            .arguments(arguments.iter().copied())
            .environment(session.caller.environment.clone());
        let answer = capture(&line, &Cancellation::new()).ok().filter(|captured| captured.finished.status.success());
        let text =
            answer.map(|captured| String::from_utf8_lossy(&captured.stdout).lines().next().unwrap_or("").to_owned());
        format!("{name} at {}: {}", program.display(), text.unwrap_or_else(|| "does not answer".to_owned()))
    });
    findings.push(match found {
        Some(line) => (Verdict::Good, line),
        None if needed => (Verdict::Missing, format!("{name}: {without}")),
        None => (Verdict::Needless, format!("{name} is not there: {without}")),
    });
}

fn go_findings(session: &Session<'_>, findings: &mut Vec<(Verdict, String)>) {
    let module = module_directory(&session.file, &session.root);
    let host = Host::current();
    let version = go_work_of(&session.file, &module)
        .and_then(|go_work| resolve_go_version(&session.file.go.value, &module, go_work.as_deref()));
    match version {
        Err(error) => findings.push((Verdict::Missing, format!("Go: {error}"))),
        Ok(None) => tool_finding(session, "go", &["version"], true, "`go: System` needs an installed Go", findings),
        Ok(Some(version)) => {
            let pinned = session.lock.go.get(&version).is_some_and(|hosts| hosts.contains_key(&host.to_string()));
            let directory =
                session.cache.join("go/toolchains").join(format!("go{version}.{}-{}", host.os, host.architecture));
            let there = if directory.is_dir() { "unpacked" } else { "fetched when it is needed" };
            let pin = if pinned { "pinned in build.lock" } else { "not pinned: run `cargo xtask lock`" };
            findings.push((Verdict::Good, format!("Go {version} for {host}: {there}, {pin}")));
        }
    }
    if session.file.go.value != GoChoice::System {
        let proxy =
            session.caller.get("GOPROXY").map_or_else(|| "not set in the environment".to_owned(), |_| "set".to_owned());
        findings.push((Verdict::Good, format!("GOPROXY: {proxy}")));
    }
}

fn docker_findings(session: &Session<'_>, needs: &BTreeSet<Need>, findings: &mut Vec<(Verdict, String)>) {
    let needed = needs.contains(&Need::DockerDaemon);
    let missing = if needed { Verdict::Missing } else { Verdict::Needless };
    let daemon = DockerSocket::find(&session.caller.environment).and_then(|socket| socket.get("/version").ok());
    match daemon {
        Some((200, body)) => {
            let value: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
            findings.push((
                Verdict::Good,
                format!("Docker daemon {}", value["Version"].as_str().unwrap_or("of an unknown version")),
            ));
        }
        _ => findings.push((
            missing,
            "no Docker daemon is reachable: images are built without one, but not loaded or run".to_owned(),
        )),
    }
    if !needed {
        return;
    }
    tool_finding(
        session,
        "docker",
        &["--version"],
        true,
        "DockerBuild, DockerRun and Compose need the command",
        findings,
    );
    let Ok(docker) = rondel_targets::Docker::find(&session.caller.environment, &session.root) else { return };
    if needs.contains(&Need::Buildx) {
        findings.push(match docker.has_plugin("buildx") {
            true => (Verdict::Good, "buildx: images are built with BuildKit".to_owned()),
            false => (Verdict::Needless, "buildx is not there: the daemon's older builder is used".to_owned()),
        });
    }
    if needs.contains(&Need::Compose) {
        findings.push(match docker.has_plugin("compose") {
            true => (Verdict::Good, "docker compose".to_owned()),
            false => (Verdict::Missing, "docker compose: install Docker's compose plugin (version 2)".to_owned()),
        });
    }
}
