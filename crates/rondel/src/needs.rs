//! The needs of targets, checked on this machine. Kinds declare their needs; the only request here is one to the Docker
//! daemon's socket.

use std::collections::BTreeMap;
use std::path::PathBuf;

use rondel_buildfile::{BuildFile, Need, Platform, Target};
use rondel_golang::{CrossPrefix, NATIVE_C_COMPILERS, split_command};
use rondel_process::find_tool;
use rondel_targets::{Docker, DockerSocket};

use crate::session::Session;

/// Returns the needs of those targets that can run on this machine, each with the names of these targets.
pub(crate) fn needs_of<'t>(
    file: &BuildFile,
    targets: impl IntoIterator<Item = &'t Target>,
) -> BTreeMap<Need, Vec<&'t str>> {
    let mut needs: BTreeMap<Need, Vec<&str>> = BTreeMap::new();
    let host = Platform::host();
    for target in targets.into_iter().filter(|target| target.runs_on(&host)) {
        for need in target.needs(&file.platforms) {
            let names = needs.entry(need).or_default();
            if !names.contains(&target.name.value.as_str()) {
                names.push(target.name.value.as_str());
            }
        }
    }
    needs
}

/// Returns the unmet needs of some targets, a line each.
pub(crate) fn missing<'t>(session: &Session<'_>, targets: impl IntoIterator<Item = &'t Target>) -> Vec<String> {
    let needs = needs_of(&session.file, targets);
    // The analysis has found the compilers of the platforms at hand.
    let is_of_platform = |need: &Need| matches!(need, Need::CCompiler { platform: Some(_), .. });
    let required = needs.iter().filter(|(need, _)| need.is_required() && !is_of_platform(need));
    let line = |(need, names): (&Need, &Vec<&str>)| {
        check(session, need).err().map(|what| format!("{what} (needed by {})", names.join(", ")))
    };
    required.filter_map(line).collect()
}

/// Returns what meets a need here, in words; or an error with what is missing.
pub(crate) fn check(session: &Session<'_>, need: &Need) -> Result<String, String> {
    let path = session.context.get("PATH").unwrap_or("");
    let program = |name: &str| find_tool(name, path, &session.root).map_err(|error| error.to_string());
    let plugin = |name: &str, found: &str, missing: &str| {
        let docker = Docker::find(&session.context.environment, &session.root).map_err(|error| error.to_string())?;
        if docker.has_plugin(name) { Ok(found.to_owned()) } else { Err(missing.to_owned()) }
    };
    match need {
        Need::Go => Ok("Go is fetched if it is missing".to_owned()),
        Need::CCompiler { command, platform, because } => {
            let foreign = platform.as_ref().filter(|platform| platform.base() != Platform::host());
            compiler(command.as_deref(), foreign, because, &|name| program(name).ok())
        }
        Need::DockerDaemon => {
            let answer = DockerSocket::find(&session.context.environment)
                .and_then(|socket| socket.get("/version", &|| true).ok());
            match answer {
                Some((200, body)) => {
                    let value: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
                    Ok(format!("Docker daemon {}", value["Version"].as_str().unwrap_or("of an unknown version")))
                }
                _ => {
                    Err("no Docker daemon is reachable: images are built without one, but not loaded or run".to_owned())
                }
            }
        }
        Need::DockerCommand => program("docker")
            .or_else(|_| program("podman"))
            .map(|docker| format!("docker at {}", docker.display()))
            .map_err(|_| "docker: DockerBuild, DockerRun and Compose need the command".to_owned()),
        Need::Buildx => plugin(
            "buildx",
            "buildx: images are built with BuildKit",
            "buildx is not installed: the daemon's older builder is used",
        ),
        Need::Compose => {
            plugin("compose", "docker compose", "docker compose: install Docker's compose plugin (version 2)")
        }
        Need::Program(name) => program(name).map(|found| format!("{name} at {}", found.display())),
    }
}

/// Returns the C compiler that makes programs for this machine, or for a `foreign` platform, in words. `command` is that
/// of the target.
fn compiler(
    command: Option<&str>,
    foreign: Option<&Platform>,
    because: &str,
    find: &dyn Fn(&str) -> Option<PathBuf>,
) -> Result<String, String> {
    let usual = foreign.and_then(CrossPrefix::usual);
    let (names, remedy) = match (command, foreign, &usual) {
        (Some(command), ..) => {
            let words = split_command(command).unwrap_or_default();
            (vec![words.first().map_or(command, String::as_str).to_owned()], None)
        }
        (None, None, _) => (NATIVE_C_COMPILERS.map(str::to_owned).to_vec(), None),
        (None, Some(_), Some(usual)) => {
            (vec![usual.c_compiler()], Some(format!("{}, or name another with `CC`", usual.installation())))
        }
        (None, Some(_), None) => (Vec::new(), Some("none has a usual name: name one with `CC`".to_owned())),
    };
    let target = foreign.map(|platform| format!(" for {platform}")).unwrap_or_default();
    if let Some(found) = names.iter().find_map(|name| find(name)) {
        return Ok(format!("C compiler{target} {}", found.display()));
    }
    let names = if names.is_empty() { String::new() } else { format!(" ({})", names.join(", ")) };
    let remedy = remedy.map(|remedy| format!("; {remedy}")).unwrap_or_default();
    Err(format!("a C compiler{target}{names}: `{because}` links with it{remedy}"))
}
