//! `cache stats`, `cache gc`, `cache verify` and `cache clean`.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use rondel_cas::{STORE_FORMAT, Store};
use serde_json::json;

use crate::cli::Invocation;
use crate::exit::{Exit, Failure};
use crate::housekeeping::{bytes_of, limit};
use crate::session::Caller;
use crate::ui::{bytes_text, print_data, print_line};

/// What Go keeps, below `go` in the cache directory.
const GO: &[(&str, &str)] = &[("build", "Go's build cache"), ("mod", "Go modules"), ("toolchains", "Go toolchains")];

/// Looks at the cache, makes it smaller, mends it, empties it.
pub(crate) fn cache(caller: &Caller, words: &[String], invocation: &Invocation) -> Result<Exit, Failure> {
    let directory = caller.cache_directory()?;
    let limit = match &invocation.max {
        Some(text) => bytes_of(text).ok_or_else(|| {
            Failure::usage(format!("--max takes a size, not `{text}`")).hint("for example `--max 5GiB`")
        })?,
        None => limit(caller)?,
    };
    let store = Store::new(&directory.join(STORE_FORMAT));
    match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["stats"] => stats(&store, &directory, limit, invocation),
        ["gc"] => collect(&store, &directory, limit),
        ["verify"] => verify(&store, &directory),
        ["clean"] => clean(&directory, invocation.all),
        _ => Err(Failure::usage("`cache` takes `stats`, `gc`, `verify` or `clean`")
            .hint("`cache clean --all` removes toolchains, modules and Go's build cache too")),
    }
}

fn failed(directory: &Path) -> impl FnOnce(std::io::Error) -> Failure {
    let path = directory.display().to_string();
    move |error| Failure::Environment { message: format!("failed to look through `{path}`: {error}"), hint: None }
}

/// Of one target: results, and bytes that no target listed before has.
#[derive(Default)]
struct Share {
    results: u64,
    bytes: u64,
}

fn stats(store: &Store, directory: &Path, limit: u64, invocation: &Invocation) -> Result<Exit, Failure> {
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
    match invocation.format.as_deref() {
        Some("json") => {
            let of = |(files, bytes): (u64, u64)| json!({"files": files, "bytes": bytes});
            let go: serde_json::Map<String, serde_json::Value> =
                go.map(|(name, _, sizes)| (name.to_owned(), of(sizes))).collect();
            let targets: Vec<_> = shares
                .iter()
                .map(|((kind, target), share)| json!({"kind": kind, "target": target, "results": share.results, "bytes": share.bytes}))
                .collect();
            let all = json!({"directory": directory, "limit_bytes": limit, "blobs": of(blobs), "results": of(actions), "targets": targets, "go": go});
            print_data(&format!("{all}\n"));
        }
        None | Some("text") => {
            let mut text = format!("{}\n", directory.display());
            let mut line = |what: &str, (files, bytes): (u64, u64)| {
                text.push_str(&format!("  {what:<18} {:>10}  {files} files\n", bytes_text(bytes)))
            };
            line("blobs", blobs);
            line("action results", actions);
            go.for_each(|(_, what, sizes)| line(what, sizes));
            text.push_str(&format!("\nblobs and results may take {} (RONDEL_CACHE_MAX)\n", bytes_text(limit)));
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
        Some(other) => return Err(Failure::usage(format!("--format takes text or json, not `{other}`"))),
    }
    Ok(Exit::Done)
}

fn collect(store: &Store, directory: &Path, limit: u64) -> Result<Exit, Failure> {
    let collected = store.gc(limit, &|| false).map_err(failed(directory))?;
    let held = match collected.held {
        0 => String::new(),
        held => format!(" (running builds hold {} more than fits)", bytes_text(held)),
    };
    print_line(&format!(
        "removed {} files of {}; {} of {} left{held}",
        collected.files,
        bytes_text(collected.bytes),
        bytes_text(collected.left),
        bytes_text(limit)
    ));
    if collected.stuck > 0 {
        return Err(Failure::Environment {
            message: format!(
                "{} could not be removed from `{}`",
                bytes_text(collected.stuck),
                directory.join(STORE_FORMAT).display()
            ),
            hint: Some("are these files and directories yours, and writable?".to_owned()),
        });
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
            "removed {} damaged blobs and {} results that were damaged or had lost their blobs; the next builds make them anew",
            found.damaged_blobs, found.damaged_results
        ));
    }
    Ok(Exit::Done)
}

/// Files and bytes.
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

/// Empties the store; with `all`, what Go keeps too. A build that runs meanwhile finds misses and goes on.
fn clean(directory: &Path, all: bool) -> Result<Exit, Failure> {
    let mut gone: Vec<PathBuf> = vec![directory.join(STORE_FORMAT)];
    if all {
        gone.push(directory.join("go"));
    }
    let mut bytes = 0;
    for path in gone {
        bytes += size_of(&path).1;
        rondel_cas::remove_tree(&path);
        if path.exists() {
            return Err(Failure::Environment { message: format!("failed to remove `{}`", path.display()), hint: None });
        }
    }
    print_line(&format!("removed {}", bytes_text(bytes)));
    Ok(Exit::Done)
}
