//! `lock`: pins toolchains, base images and tools in build.lock. Toolchains are pinned for this machine, for hosts with pins, and
//! for those that `--platform` names; bases for all platforms of their targets. Existing pins are kept, unless
//! `--update` reads them again.

use std::cell::Cell;
use std::collections::BTreeMap;

use rondel_buildfile::{GoChoice, LockFile, LockedGo, Need, Platform};
use rondel_golang::{GoPin, GoSupport, GoVersion, later_patches};
use rondel_targets::{WantedGo, all_go_of_file, module_directory, newest_pinned, unpinned_go};

use crate::cli::groups::GlobalOptions;
use crate::cli::option::{OptionValue, choice, option, options};
use crate::cli::verb::{Call, Verb};
use crate::exit::{Exit, Failure};
use crate::program;
use crate::session::Session;
use crate::ui::{Working, bytes_text, print_line};
use crate::verbs::lock_bases::{failure, lock_bases};
use crate::verbs::lock_tools::lock_tools;

choice! {
    /// `--update`
    enum Update { Go = "go", Base = "base", Tools = "tools" }
}

/// All that `--update` names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Updates(Vec<Update>);

impl OptionValue for Updates {
    const ALLOWED: &'static [&'static str] = Update::ALLOWED;

    fn accept(&mut self, option: &str, value: &str) -> Result<(), Failure> {
        let mut update = Update::default();
        update.accept(option, value)?;
        self.0.push(update);
        Ok(())
    }
}

options! {
    /// Options of `lock`.
    struct Options {
        /// pin what is published now: `go`, `base` or `tools` (may be repeated)
        update: Updates = option("update").value("WHAT"),
        /// pin for this host too (may be repeated)
        platform: Vec<Platform> = option("platform").value("OS/ARCH"),
        /// never use the network
        offline: bool = option("offline"),
    }
}

/// Writes build.lock.
pub(crate) struct Lock;

impl Verb for Lock {
    const NAME: &'static str = "lock";
    const ABOUT: &'static str = "pin toolchains, base images and tools in build.lock";
    const EXAMPLE: &'static str = "lock --update base";
    type Options = Options;

    fn run(session: Result<Session<'_>, Failure>, call: &Call<'_, Options>) -> Result<Exit, Failure> {
        lock(&session?, &call.options, call.global)
    }
}

/// Pins what has no pin yet.
pub(super) fn lock_anew(session: &Session<'_>, quiet: bool) -> Result<(), Failure> {
    lock(session, &Options::default(), &GlobalOptions { quiet, ..GlobalOptions::default() }).map(drop)
}

fn lock(session: &Session<'_>, options: &Options, global: &GlobalOptions) -> Result<Exit, Failure> {
    session.require_cache()?;
    let mut lock = session.lock.clone();
    let workspace = session.workspace();
    workspace.prepare()?;
    let working = Working::new(session.context, global);
    lock_go(session, options, (global.quiet, &working), &mut lock)?;
    let moves = |what| options.update.0.contains(&what);
    // Any Go will do: it is not started, and tells only which proxies it asks where nobody has said so.
    let version = lock.go.keys().next_back().cloned().unwrap_or_default();
    let any_go = || go_of(session, options, &version);
    lock_tools(session, moves(Update::Tools), &any_go, &working, &mut lock)?;
    lock_bases(session, moves(Update::Base), options.offline, (&workspace, &working), &mut lock)?;
    drop(working);
    let path = session.root.join("build.lock");
    if lock == LockFile::empty() && !path.exists() {
        return Ok(Exit::Done);
    }
    rondel_cas::write_named(&workspace.scratch(), &path, lock.render().as_bytes())
        .map_err(|error| Failure::environment(format!("failed to write `{}`: {error}", path.display())))?;
    Ok(Exit::Done)
}

/// Returns true for a project that has no Go and no target that needs it: images of other files only.
fn is_without_go(session: &Session<'_>) -> bool {
    let needs_go = session.file.targets.iter().any(|target| target.kind().needs().contains(&Need::Go));
    let go_mod = module_directory(&session.file, &session.root).join("go.mod").symlink_metadata();
    let has_module = !go_mod.is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound);
    !needs_go && !has_module && session.lock.go.is_empty() && session.file.go.value == GoChoice::FromGoMod
}

/// Pins the Go of the file.
fn lock_go(
    session: &Session<'_>,
    options: &Options,
    (quiet, working): (bool, &Working),
    lock: &mut LockFile,
) -> Result<(), Failure> {
    let moves = options.update.0.contains(&Update::Go);
    // With `--update base` or `tools` alone, a Go that is pinned in one form is pinned.
    let moves_others_only = !options.update.0.is_empty() && !moves;
    let is_pinned = session.lock.go.values().any(|hosts| hosts.contains_key(&Platform::host().to_string()));
    if !moves && is_without_go(session) || moves_others_only && is_pinned {
        return Ok(());
    }
    let in_build_file = |error| Failure::in_build_file(error, &session.name, &session.text);
    let all =
        all_go_of_file(&session.file, &session.root).map_err(|error| in_build_file(error.at(session.file.go.span)))?;
    let mut versions: Vec<String> = Vec::new();
    for wanted in &all {
        working.on("releases of Go");
        let version = match wanted {
            WantedGo::Installed => {
                print_line("`go: System` uses the installed Go: there is nothing to pin");
                return Ok(());
            }
            WantedGo::Exact { version, .. } => {
                if moves || !lock.go.contains_key(version) {
                    tell_later_patches(&go_of(session, options, version)?, version);
                }
                version.clone()
            }
            WantedGo::Line { at_least, named_by } => match newest_pinned(lock, at_least).filter(|_| !moves) {
                Some(pinned) => pinned.to_owned(),
                None => newest_published(&go_of(session, options, at_least)?, at_least, named_by),
            },
        };
        if !versions.contains(&version) {
            pin_go(session, options, (quiet, working), &version, lock)?;
            versions.push(version);
        }
    }
    if moves {
        lock.go.retain(|other, _| versions.contains(other));
    }
    Ok(())
}

/// Pins one Go for all hosts.
fn pin_go(
    session: &Session<'_>,
    options: &Options,
    (quiet, working): (bool, &Working),
    version: &str,
    lock: &mut LockFile,
) -> Result<(), Failure> {
    let moves = options.update.0.contains(&Update::Go);
    let go = go_of(session, options, version)?;
    let shown = Cell::new(5);
    let version = version.to_owned();
    let pinned = lock.go.entry(version.clone()).or_default().clone();
    for host in hosts(session, &options.platform) {
        let name = host.to_string();
        let stands = pinned.get(&name).filter(|_| !moves);
        if stands.is_some_and(|pin| pin.module.is_some() && pin.archive.is_some() && !pin.identity.is_empty()) {
            print_line(&format!("{:>12} Go {version} for {name}", "Unchanged"));
            continue;
        }
        working.on(&format!("Go {version} for {name}"));
        let progress = |message: &str, done: u64, total: u64| {
            working.on(&amounts(message, done, total));
            working.is_live() || show(&shown, quiet, message, done, total)
        };
        let (seen, missing) = go.pins(&host, moves, &progress).map_err(failure)?;
        let former = former_pin(&session.lock, &version, &name);
        let pin = merged(&version, &name, seen, pinned.get(&name), moves)?;
        report(&version, &name, former, &pin, missing);
        lock.go.entry(version.clone()).or_default().insert(name, pin);
    }
    Ok(())
}

/// Returns a Go of this version, whatever is pinned.
fn go_of(session: &Session<'_>, options: &Options, version: &str) -> Result<GoSupport, Failure> {
    let (version, places) = (GoVersion::Exact(version.to_owned()), (&*session.root, &*session.cache));
    unpinned_go(&session.file, version, places, &session.context.environment, options.offline)
        .map_err(|error| Failure::in_build_file(error, &session.name, &session.text))
}

/// Returns the newest patch release of the line of `at_least`, and says so. Where releases can't be listed, it is the
/// first one.
fn newest_published(go: &GoSupport, at_least: &str, named_by: &str) -> String {
    let releases = match go.releases(&Platform::host(), &|| true) {
        Ok(releases) => releases,
        Err(error) => {
            print_line(&format!(
                "{:>12} {error}: Go {at_least} is taken, later patch releases are not looked for",
                "Note"
            ));
            return at_least.to_owned();
        }
    };
    let later = later_patches(&releases, at_least);
    let Some(newest) = later.last() else { return at_least.to_owned() };
    print_line(&format!("{:>12} Go {newest}: {named_by} says {at_least}, which has {}", "Newest", counted(&later)));
    newest.clone()
}

/// Says that a release which was named exactly has later patch releases, if that can be found out.
fn tell_later_patches(go: &GoSupport, version: &str) {
    let later = go.releases(&Platform::host(), &|| true).map(|releases| later_patches(&releases, version));
    if let Ok(later) = later
        && let Some(newest) = later.last()
    {
        print_line(&format!("{:>12} Go {version} has {}; the newest is {newest}", "Note", counted(&later)));
    }
}

fn counted(later: &[String]) -> String {
    match later.len() {
        1 => "1 later patch release".to_owned(),
        count => format!("{count} later patch releases"),
    }
}

/// Returns this machine, the platforms of `--platform`, and every host in build.lock.
fn hosts(session: &Session<'_>, platforms: &[Platform]) -> Vec<Platform> {
    // A toolchain for a host that Go has dropped can't be fetched.
    let pinned = session.lock.go.values().flat_map(BTreeMap::keys).filter_map(|name| Platform::new(name).ok());
    let mut hosts: Vec<Platform> = vec![Platform::host()];
    for host in platforms.iter().cloned().chain(pinned).map(|platform| platform.base()) {
        if !hosts.contains(&host) {
            hosts.push(host);
        }
    }
    hosts
}

/// Shows each quarter of a download once; `shown` is the last.
fn show(shown: &Cell<u64>, quiet: bool, message: &str, done: u64, total: u64) -> bool {
    let quarter = (done * 4).checked_div(total).unwrap_or(0);
    if shown.replace(quarter) != quarter && !quiet {
        print_line(&format!("{:>12} {}", "Working", amounts(message, done, total)));
    }
    true
}

fn amounts(message: &str, done: u64, total: u64) -> String {
    let size = if total == 0 { String::new() } else { format!(": {} of {}", bytes_text(done), bytes_text(total)) };
    format!("{message}{size}")
}

/// Returns the present pin of the host, for any version.
fn former_pin<'a>(lock: &'a LockFile, version: &str, host: &str) -> Option<(&'a str, &'a LockedGo)> {
    let own = lock.go.get_key_value(version).filter(|(_, hosts)| hosts.contains_key(host));
    let last = own.or_else(|| lock.go.iter().rev().find(|(_, hosts)| hosts.contains_key(host)));
    last.map(|(version, hosts)| (version.as_str(), &hosts[host]))
}

/// Returns the new pin. An existing one moves only if `moves` is set; a form from an earlier run is kept.
fn merged(version: &str, host: &str, seen: GoPin, stands: Option<&LockedGo>, moves: bool) -> Result<LockedGo, Failure> {
    let mut fresh = LockedGo {
        module: seen.module,
        archive: seen.archive,
        identity: seen.identity.map(|digest| digest.to_string()).unwrap_or_default(),
    };
    let Some(old) = stands else { return Ok(fresh) };
    // A file of format 1 has no identity: there the hash of a download decides.
    let same = |one: &Option<String>, other: &Option<String>| one.is_some() && one == other;
    let is_same_download = same(&old.module, &fresh.module) || same(&old.archive, &fresh.archive);
    if old.identity == fresh.identity || (old.identity.is_empty() && is_same_download) {
        fresh.module = fresh.module.or_else(|| old.module.clone());
        fresh.archive = fresh.archive.or_else(|| old.archive.clone());
    } else if !moves {
        let message = format!(
            "Go {version} for {host} is not what build.lock pins\n  pinned: {}\n  found:  {}",
            old.identity, fresh.identity
        );
        let hint = format!("to move the pin, run `{} lock --update go`", program::name());
        return Err(Failure::environment(message).hint(hint));
    }
    Ok(fresh)
}

fn report(version: &str, host: &str, former: Option<(&str, &LockedGo)>, pin: &LockedGo, missing: Option<String>) {
    let forms = |pin: &LockedGo| match (&pin.module, &pin.archive) {
        (Some(_), Some(_)) => "module and archive",
        (Some(_), None) => "module",
        _ => "archive",
    };
    match former {
        Some((_, old)) if old == pin => print_line(&format!("{:>12} Go {version} for {host}", "Unchanged")),
        Some((old_version, old)) if !old.identity.is_empty() && old.identity != pin.identity => print_line(&format!(
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
    if let Some(why) = missing {
        let form = if pin.archive.is_none() { "archive" } else { "module" };
        print_line(&format!("{:>12} the {form} form is not pinned: {why}", "Note"));
    }
}
