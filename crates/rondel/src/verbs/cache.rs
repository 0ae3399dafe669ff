//! `cache stats` and `cache clean`.

use std::fs;
use std::path::Path;

use rondel_cas::{ActionCache, BlobStore, STORE_FORMAT};

use crate::cli::Invocation;
use crate::exit::{Exit, Failure};
use crate::session::Caller;
use crate::ui::{bytes_text, print_data, print_line};

/// What Go keeps, below `go` in the cache directory.
const GO: &[(&str, &str)] = &[("build", "Go's build cache"), ("mod", "Go modules"), ("toolchains", "Go toolchains")];

/// Statistics, or an empty cache.
pub(crate) fn cache(caller: &Caller, words: &[String], invocation: &Invocation) -> Result<Exit, Failure> {
    let directory = caller.cache_directory()?;
    match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["stats"] => stats(&directory),
        ["clean"] => clean(&directory, invocation.all),
        _ => Err(Failure::usage("`cache` takes `stats` or `clean`")
            .hint("`cache clean --all` removes toolchains, modules and Go's build cache too")),
    }
}

fn stats(directory: &Path) -> Result<Exit, Failure> {
    let store = directory.join(STORE_FORMAT);
    let failed = |error: std::io::Error| Failure::Environment {
        message: format!("failed to read `{}`: {error}", directory.display()),
        hint: None,
    };
    let blobs = BlobStore::new(&store).statistics().map_err(failed)?;
    let actions = ActionCache::new(&store).statistics().map_err(failed)?;
    let mut text = format!("{}\n", directory.display());
    let mut line = |what: &str, files: u64, bytes: u64| {
        text.push_str(&format!("  {what:<18} {:>10}  {files} files\n", bytes_text(bytes)))
    };
    line("blobs", blobs.files, blobs.bytes);
    line("action results", actions.files, actions.bytes);
    for (name, what) in GO {
        let (files, bytes) = size_of(&directory.join("go").join(name));
        line(what, files, bytes);
    }
    print_data(&text);
    Ok(Exit::Done)
}

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
    let mut gone = vec![directory.join(STORE_FORMAT)];
    if all {
        gone.push(directory.join("go"));
    }
    let mut bytes = 0;
    for path in gone {
        bytes += size_of(&path).1;
        remove(&path).map_err(|error| Failure::Environment {
            message: format!("failed to remove `{}`: {error}", path.display()),
            hint: None,
        })?;
    }
    print_line(&format!("removed {}", bytes_text(bytes)));
    Ok(Exit::Done)
}

/// Go's module cache is read-only: directories are made writable on the way.
fn remove(path: &Path) -> std::io::Result<()> {
    let metadata = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        metadata => metadata?,
    };
    if !metadata.is_dir() {
        return fs::remove_file(path);
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        if metadata.permissions().mode() & 0o200 == 0 {
            fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
        }
    }
    for entry in fs::read_dir(path)? {
        remove(&entry?.path())?;
    }
    fs::remove_dir(path)
}
