//! `lock`: pins toolchains in build.lock, for this machine, for the hosts that are pinned already and for those
//! that `--platform` names. Pins that stand are kept, unless `--update go` looks at everything anew.

use std::cell::Cell;
use std::collections::BTreeMap;

use rondel_buildfile::{LockFile, LockedGo, Platform};
use rondel_engine::StepError;
use rondel_golang::GoPin;
use rondel_targets::{PlatformChoice, unpinned_go};

use crate::cli::Invocation;
use crate::exit::{Exit, Failure};
use crate::session::Session;
use crate::ui::{bytes_text, print_line};

/// Writes build.lock.
pub(crate) fn lock(session: &Session<'_>, invocation: &Invocation, words: &[String]) -> Result<Exit, Failure> {
    if let Some(word) = words.first() {
        return Err(Failure::usage(format!("`lock` takes no words, and got `{}`", word.escape_debug()))
            .hint("`lock --update go` moves the pins of Go, `lock --platform darwin/arm64` adds a host"));
    }
    for what in &invocation.update {
        if what != "go" {
            return Err(Failure::usage(format!("--update takes `go`, not `{what}`")));
        }
    }
    let moves = !invocation.update.is_empty();
    let go = unpinned_go(&session.file, &session.root, &session.cache, &session.caller.environment, invocation.offline)
        .map_err(|error| Failure::lowering(error, &session.name, &session.text))?;
    let Some(version) = go.version().map(str::to_owned) else {
        print_line("`go: System` uses the installed Go: there is nothing to pin");
        return Ok(Exit::Done);
    };
    let told = Cell::new(5);
    let mut lock = session.lock.clone();
    let pinned = lock.go.entry(version.clone()).or_default().clone();
    for host in hosts(session, invocation) {
        let name = host.to_string();
        let stands = pinned.get(&name).filter(|_| !moves);
        if stands.is_some_and(|pin| pin.module.is_some() && pin.archive.is_some()) {
            print_line(&format!("{:>12} Go {version} for {name}", "Unchanged"));
            continue;
        }
        let progress = |message: &str, done: u64, total: u64| show(&told, invocation, message, done, total);
        let (seen, untold) = go.pins(&host, &progress).map_err(failure)?;
        let former = former_pin(&session.lock, &version, &name);
        let pin = merged(&version, &name, seen, pinned.get(&name), moves)?;
        tell(&version, &name, former, &pin, untold);
        lock.go.entry(version.clone()).or_default().insert(name, pin);
    }
    if moves {
        lock.go.retain(|other, _| *other == version);
    }
    let path = session.root.join("build.lock");
    let workspace = session.workspace();
    let written = workspace
        .prepare()
        .and_then(|()| rondel_cas::write_atomically(&workspace.scratch(), &path, lock.render().as_bytes()));
    written.map_err(|error| Failure::Environment {
        message: format!("failed to write `{}`: {error}", path.display()),
        hint: None,
    })?;
    Ok(Exit::Done)
}

/// This machine, what `--platform` names, and every host that build.lock knows.
fn hosts(session: &Session<'_>, invocation: &Invocation) -> Vec<Platform> {
    let mut hosts = vec![Platform::host()];
    if let Some(PlatformChoice::Some(platforms)) = &invocation.platforms {
        hosts.extend(platforms.iter().map(Platform::base));
    }
    // A toolchain for a host that Go does not know any more can't be fetched.
    let pinned = session.lock.go.values().flat_map(BTreeMap::keys).filter_map(|name| Platform::new(name).ok());
    for host in pinned.map(|platform| platform.base()) {
        if !hosts.contains(&host) {
            hosts.push(host);
        }
    }
    hosts.dedup();
    hosts
}

fn failure(error: StepError) -> Failure {
    Failure::Environment { message: error.to_string(), hint: error.hint_text().map(str::to_owned) }
}

/// Tells each quarter of a download once; `told` is the last.
fn show(told: &Cell<u64>, invocation: &Invocation, message: &str, done: u64, total: u64) -> bool {
    let quarter = (done * 4).checked_div(total).unwrap_or(0);
    if told.replace(quarter) != quarter && !invocation.quiet {
        let size = if total == 0 { String::new() } else { format!(": {} of {}", bytes_text(done), bytes_text(total)) };
        print_line(&format!("{:>12} {message}{size}", "Working"));
    }
    true
}

/// What is pinned for the host now, whatever the version.
fn former_pin<'a>(lock: &'a LockFile, version: &str, host: &str) -> Option<(&'a str, &'a LockedGo)> {
    let own = lock.go.get_key_value(version).filter(|(_, hosts)| hosts.contains_key(host));
    let last = own.or_else(|| lock.go.iter().rev().find(|(_, hosts)| hosts.contains_key(host)));
    last.map(|(version, hosts)| (version.as_str(), &hosts[host]))
}

/// The new pin. One that stands is only moved if `moves` says so; a form that was seen on another day is kept.
fn merged(version: &str, host: &str, seen: GoPin, stands: Option<&LockedGo>, moves: bool) -> Result<LockedGo, Failure> {
    let mut fresh = LockedGo {
        module: seen.module,
        archive: seen.archive,
        identity: seen.identity.map(|digest| digest.to_string()).unwrap_or_default(),
    };
    let Some(old) = stands else { return Ok(fresh) };
    if old.identity == fresh.identity {
        fresh.module = fresh.module.or_else(|| old.module.clone());
        fresh.archive = fresh.archive.or_else(|| old.archive.clone());
    } else if !moves {
        let message = format!(
            "Go {version} for {host} is not what build.lock pins\n  pinned: {}\n  found:  {}",
            old.identity, fresh.identity
        );
        let hint = Some("if the pin is to move, run `cargo xtask lock --update go`".to_owned());
        return Err(Failure::Environment { message, hint });
    }
    Ok(fresh)
}

fn tell(version: &str, host: &str, former: Option<(&str, &LockedGo)>, pin: &LockedGo, untold: Option<String>) {
    let forms = |pin: &LockedGo| match (&pin.module, &pin.archive) {
        (Some(_), Some(_)) => "module and archive",
        (Some(_), None) => "module",
        _ => "archive",
    };
    match former {
        Some((_, old)) if old == pin => print_line(&format!("{:>12} Go {version} for {host}", "Unchanged")),
        Some((old_version, old)) if old.identity != pin.identity => print_line(&format!(
            "{:>12} Go {old_version} to {version} for {host} ({})\n  old: {}\n  new: {}",
            "Moved",
            forms(pin),
            old.identity,
            pin.identity
        )),
        Some(_) => {
            print_line(&format!("{:>12} Go {version} for {host} ({}): {}", "Completed", forms(pin), pin.identity))
        }
        None => print_line(&format!("{:>12} Go {version} for {host} ({}): {}", "Pinned", forms(pin), pin.identity)),
    }
    if let Some(why) = untold {
        let missing = if pin.archive.is_none() { "archive" } else { "module" };
        print_line(&format!("{:>12} the {missing} form is not pinned: {why}", "Note"));
    }
}
