//! `cache stats`, `cache gc`, `cache verify`, `cache audit` and `cache clean`.

mod audit;
mod sampling;

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use rondel_cas::{AuditCount, STORE_FORMAT, Store};
use serde_json::json;

use self::audit::AuditCache;
use crate::background_gc::{Size, limit};
use crate::cli::groups::TextOrJson;
use crate::cli::option::{option, options};
use crate::cli::verb::{Call, Entry, Verb};
use crate::exit::{Exit, Failure};
use crate::session::Session;
use crate::ui::{bytes_text, print_data, print_line};

/// Go's directories, below `go` in the cache directory.
const GO: &[(&str, &str)] = &[("build", "Go's build cache"), ("mod", "Go modules"), ("toolchains", "Go toolchains")];

options! {
    /// `cache`, `cache verify`: none.
    struct NoOptions {}
}

options! {
    /// Options of `cache stats`.
    struct StatsOptions {
        /// print the sizes as
        format: TextOrJson = option("format").value("FORMAT"),
    }
}

options! {
    /// Options of `cache gc`.
    struct GcOptions {
        /// keep at most this much (default: RONDEL_CACHE_MAX, else 10GiB)
        max: Option<Size> = option("max").value("SIZE"),
    }
}

options! {
    /// Options of `cache clean`.
    struct CleanOptions {
        /// remove toolchains, modules and Go's build cache too
        all: bool = option("all"),
    }
}

/// The verbs of the cache. All but `audit` work without a valid build.ron.
pub(crate) struct Cache;

impl Verb for Cache {
    const NAME: &'static str = "cache";
    const ABOUT: &'static str = "inspect, check and clean the cache: `cache stats`, `gc`, `verify`, `audit`, `clean`";
    const EXAMPLE: &'static str = "cache gc --max 5GiB";
    const SUBVERBS: &'static [Entry] = &[
        Entry::of::<Stats>(),
        Entry::of::<Gc>(),
        Entry::of::<VerifyCache>(),
        Entry::of::<AuditCache>(),
        Entry::of::<Clean>(),
    ];
    type Options = NoOptions;

    /// It does nothing without a sub-verb, which `dispatch` finds first.
    fn run(_: Result<Session<'_>, Failure>, _: &Call<'_, NoOptions>) -> Result<Exit, Failure> {
        Err(Failure::usage("`cache` needs a verb of its own"))
    }
}

/// `cache stats`
struct Stats;

impl Verb for Stats {
    const NAME: &'static str = "stats";
    const ABOUT: &'static str = "what the cache holds, by target and kind";
    const EXAMPLE: &'static str = "cache stats --format json";
    type Options = StatsOptions;

    fn run(_: Result<Session<'_>, Failure>, call: &Call<'_, StatsOptions>) -> Result<Exit, Failure> {
        let directory = call.context.cache_directory()?;
        stats(&store(&directory), &directory, limit(call.context)?, call.options.format)
    }
}

/// `cache gc`
struct Gc;

impl Verb for Gc {
    const NAME: &'static str = "gc";
    const ABOUT: &'static str = "remove the least recently used results, but nothing that a running build holds";
    const EXAMPLE: &'static str = "cache gc --max 5GiB";
    type Options = GcOptions;

    fn run(_: Result<Session<'_>, Failure>, call: &Call<'_, GcOptions>) -> Result<Exit, Failure> {
        let directory = call.context.cache_directory()?;
        let limit = match call.options.max {
            Some(Size(bytes)) => bytes,
            None => limit(call.context)?,
        };
        gc(&store(&directory), &directory, limit)
    }
}

/// `cache verify`
struct VerifyCache;

impl Verb for VerifyCache {
    const NAME: &'static str = "verify";
    const ABOUT: &'static str = "hash everything again, and remove damaged entries";
    const EXAMPLE: &'static str = "cache verify";
    type Options = NoOptions;

    fn run(_: Result<Session<'_>, Failure>, call: &Call<'_, NoOptions>) -> Result<Exit, Failure> {
        let directory = call.context.cache_directory()?;
        verify(&store(&directory), &directory)
    }
}

/// `cache clean`
struct Clean;

impl Verb for Clean {
    const NAME: &'static str = "clean";
    const ABOUT: &'static str = "empty the cache";
    const EXAMPLE: &'static str = "cache clean --all";
    type Options = CleanOptions;

    fn run(_: Result<Session<'_>, Failure>, call: &Call<'_, CleanOptions>) -> Result<Exit, Failure> {
        clean(&call.context.cache_directory()?, call.options.all)
    }
}

fn store(directory: &Path) -> Store {
    Store::new(&directory.join(STORE_FORMAT))
}

fn failed(directory: &Path) -> impl FnOnce(std::io::Error) -> Failure {
    let path = directory.display().to_string();
    move |error| Failure::environment(format!("failed to scan `{path}`: {error}"))
}

/// A target's share: results, and bytes that no target listed before has.
#[derive(Default)]
struct Share {
    results: u64,
    bytes: u64,
}

fn stats(store: &Store, directory: &Path, limit: u64, format: TextOrJson) -> Result<Exit, Failure> {
    let results = store.results(&|| false).map_err(failed(directory))?;
    let (mut shares, mut seen): (BTreeMap<(String, String), Share>, HashSet<String>) = Default::default();
    for result in &results {
        let share = shares.entry((result.kind.clone(), result.target.clone())).or_default();
        share.results += 1;
        share.bytes += result.size;
        share.bytes += result.blobs.iter().filter(|blob| seen.insert(blob.hex())).map(|blob| blob.size()).sum::<u64>();
    }
    let sizes = |name: &str| size_of(&directory.join(STORE_FORMAT).join(name));
    let (blobs, actions) = (sizes("cas"), sizes("ac"));
    let go = GO.iter().map(|(name, what)| (*name, *what, size_of(&directory.join("go").join(name))));
    let audits = store.audit_count();
    match format {
        TextOrJson::Json => {
            let audits = json!({"audits": audits.audits, "checked": audits.checked, "differed": audits.differed});
            let of = |(files, bytes): (u64, u64)| json!({"files": files, "bytes": bytes});
            let go: serde_json::Map<String, serde_json::Value> =
                go.map(|(name, _, sizes)| (name.to_owned(), of(sizes))).collect();
            let targets: Vec<_> = shares
                .iter()
                .map(|((kind, target), share)| json!({"kind": kind, "target": target, "results": share.results, "bytes": share.bytes}))
                .collect();
            let all = json!({"directory": directory, "limit_bytes": limit, "blobs": of(blobs), "results": of(actions), "targets": targets, "go": go, "audited": audits});
            print_data(&format!("{all}\n"));
        }
        TextOrJson::Text => {
            let mut text = format!("{}\n", directory.display());
            let mut line = |what: &str, (files, bytes): (u64, u64)| {
                text.push_str(&format!("  {what:<18} {:>10}  {files} files\n", bytes_text(bytes)))
            };
            line("blobs", blobs);
            line("action results", actions);
            go.for_each(|(_, what, sizes)| line(what, sizes));
            text.push_str(&format!("\nblobs and results may take {} (RONDEL_CACHE_MAX)\n", bytes_text(limit)));
            text.push_str(&audits_text(&audits));
            for ((kind, target), share) in &shares {
                let kind = if kind.is_empty() { "other" } else { kind };
                text.push_str(&format!(
                    "  {kind:<18} {:>10}  {} results  {target}\n",
                    bytes_text(share.bytes),
                    share.results
                ));
            }
            print_data(&text);
        }
    }
    Ok(Exit::Done)
}

/// Returns a line about all audits so far.
fn audits_text(count: &AuditCount) -> String {
    match (count.audits, count.checked) {
        (0, _) => "no stored result was audited yet (`cache audit`)\n".to_owned(),
        (1, checked) => format!("{} of {checked} results differed in an audit\n", count.differed),
        (audits, checked) => format!("{} of {checked} results differed in {audits} audits\n", count.differed),
    }
}

fn gc(store: &Store, directory: &Path, limit: u64) -> Result<Exit, Failure> {
    let outcome = store.gc(limit, &|| false).map_err(failed(directory))?;
    let held = match outcome.held {
        0 => String::new(),
        held => format!(" (running builds hold {} more than fits)", bytes_text(held)),
    };
    print_line(&format!(
        "removed {} files of {}; {} of {} left{held}",
        outcome.files,
        bytes_text(outcome.bytes),
        bytes_text(outcome.left),
        bytes_text(limit)
    ));
    if outcome.stuck > 0 {
        return Err(Failure::environment(format!(
            "{} could not be removed from `{}`",
            bytes_text(outcome.stuck),
            directory.join(STORE_FORMAT).display()
        ))
        .hint("check that these files and directories are yours, and writable"));
    }
    Ok(Exit::Done)
}

fn verify(store: &Store, directory: &Path) -> Result<Exit, Failure> {
    let found = store.verify().map_err(failed(directory))?;
    print_line(&format!(
        "{} blobs of {} and {} results are sound",
        found.blobs,
        bytes_text(found.bytes),
        found.results
    ));
    if (found.damaged_blobs, found.damaged_results) != (0, 0) {
        print_line(&format!(
            "removed {} damaged blobs and {} results that were damaged or had lost their blobs; the next builds make them again",
            found.damaged_blobs, found.damaged_results
        ));
    }
    Ok(Exit::Done)
}

/// Returns numbers of files and bytes.
fn size_of(path: &Path) -> (u64, u64) {
    let Ok(entries) = fs::read_dir(path) else { return (0, 0) };
    let mut total = (0, 0);
    for entry in entries.flatten() {
        let Ok(metadata) = entry.metadata() else { continue };
        let (files, bytes) = if metadata.is_dir() { size_of(&entry.path()) } else { (1, metadata.len()) };
        total = (total.0 + files, total.1 + bytes);
    }
    total
}

/// Fails if Rondel has not made the directory: it may hold anything.
fn require_mark(path: &Path) -> Result<(), Failure> {
    let place = path.display();
    match rondel_cas::bears_mark(path) {
        Ok(true) => Ok(()),
        Ok(false) => Err(Failure::environment(format!("`{place}` was not made by this Rondel, so it is not removed"))
            .hint("if nothing in it is yours, remove it by hand; RONDEL_CACHE_DIR names the directory above")),
        Err(error) => Err(Failure::environment(format!("failed to read the mark in `{place}`: {error}"))),
    }
}

/// Empties the store; with `all`, Go's directories too. A running build then finds misses and continues.
fn clean(directory: &Path, all: bool) -> Result<Exit, Failure> {
    let mut gone: Vec<PathBuf> = vec![directory.join(STORE_FORMAT)];
    if all {
        gone.push(directory.join("go"));
    }
    gone.retain(|path| fs::symlink_metadata(path).is_ok());
    let mut all_own = vec![directory.to_owned()];
    all_own.extend(gone.iter().cloned());
    for path in &all_own {
        rondel_cas::require_own_directory(path).map_err(|error| rondel_engine::not_own(&error))?;
    }
    for path in &gone {
        require_mark(path)?;
    }
    let mut bytes = 0;
    for path in gone {
        bytes += size_of(&path).1;
        rondel_cas::remove_tree(&path);
        if path.exists() {
            return Err(Failure::environment(format!("failed to remove `{}`", path.display())));
        }
    }
    print_line(&format!("removed {}", bytes_text(bytes)));
    Ok(Exit::Done)
}
