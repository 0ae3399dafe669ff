//! `lock`: pins toolchains in build.lock. Pins that stand are kept, unless `--update go` moves them.

use std::cell::Cell;

use rondel_buildfile::{LockFile, LockedGo};
use rondel_targets::GoSupport;

use crate::cli::Invocation;
use crate::exit::{Exit, Failure};
use crate::session::Session;
use crate::ui::{bytes_text, print_line};

/// Writes build.lock.
pub(crate) fn lock(session: &Session<'_>, invocation: &Invocation) -> Result<Exit, Failure> {
    for what in &invocation.update {
        if what != "go" {
            return Err(Failure::usage(format!("--update takes `go`, not `{what}`")));
        }
    }
    let module = session.file.root.as_ref().map_or_else(|| session.root.clone(), |root| session.root.join(&root.value));
    let lowering = |error| Failure::lowering(error, &session.name, &session.text);
    let go = GoSupport::unpinned(
        &session.file.go.value,
        &module,
        &session.cache,
        &session.caller.environment,
        invocation.offline,
    )
    .map_err(lowering)?;
    let told = Cell::new(5);
    let pins = go.pins(&|message, done, total| {
        let quarter = (done * 4).checked_div(total).unwrap_or(0);
        if told.replace(quarter) != quarter && !invocation.quiet {
            let size =
                if total == 0 { String::new() } else { format!(": {} of {}", bytes_text(done), bytes_text(total)) };
            print_line(&format!("{:>12} {message}{size}", "Working"));
        }
        true
    });
    let pins = pins.map_err(|error| Failure::Environment {
        message: error.to_string(),
        hint: error.hint_text().map(str::to_owned),
    })?;
    let Some((version, host, seen)) = pins else {
        print_line("`go: System` uses the installed Go: there is nothing to pin");
        return Ok(Exit::Done);
    };
    let fresh = LockedGo {
        module: seen.module,
        archive: seen.archive,
        identity: seen.identity.map(|digest| digest.to_string()).unwrap_or_default(),
    };
    let lock = with_pin(&session.lock, &version, &host, fresh, !invocation.update.is_empty())?;
    let path = session.root.join("build.lock");
    rondel_cas::write_atomically(&path, lock.render().as_bytes()).map_err(|error| Failure::Environment {
        message: format!("failed to write `{}`: {error}", path.display()),
        hint: None,
    })?;
    Ok(Exit::Done)
}

/// The lock file with this pin in it. One that stands is only moved if `moves` says so; other versions go then.
fn with_pin(lock: &LockFile, version: &str, host: &str, mut fresh: LockedGo, moves: bool) -> Result<LockFile, Failure> {
    let mut lock = lock.clone();
    let hosts = lock.go.entry(version.to_owned()).or_default();
    match hosts.get(host) {
        Some(old) if old.identity == fresh.identity => {
            // The other form of distribution may have been seen on another day.
            fresh.module = fresh.module.or_else(|| old.module.clone());
            fresh.archive = fresh.archive.or_else(|| old.archive.clone());
            print_line(&format!("{:>12} Go {version} for {host}", "Unchanged"));
        }
        Some(old) if !moves => {
            let message = format!(
                "Go {version} for {host} is not what build.lock pins\n  pinned: {}\n  found:  {}",
                old.identity, fresh.identity
            );
            let hint = Some("if the pin is to move, run `cargo xtask lock --update go`".to_owned());
            return Err(Failure::Environment { message, hint });
        }
        Some(old) => {
            let (old, new) = (&old.identity, &fresh.identity);
            print_line(&format!("{:>12} Go {version} for {host}\n  old: {old}\n  new: {new}", "Moved"));
        }
        None => print_line(&format!("{:>12} Go {version} for {host}: {}", "Pinned", fresh.identity)),
    }
    hosts.insert(host.to_owned(), fresh);
    if moves {
        lock.go.retain(|other, _| *other == version);
    }
    Ok(lock)
}
