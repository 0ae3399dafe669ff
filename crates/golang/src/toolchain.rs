//! `Toolchain`: a Go SDK on this machine, and its identity.

use std::path::{Path, PathBuf};

use rondel_cas::{Digest, SMALL_MAX, read_text_at_most};
use rondel_tree::StatSnapshot;

use crate::identity::{identity_of_directory, identity_of_installed};

/// A pin in build.lock: one toolchain for one host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GoPin {
    /// `h1:…` of the module zip.
    pub module: Option<String>,
    /// SHA-256 of the archive on Go's download page, hex.
    pub archive: Option<String>,
    /// Digest of the whole SDK.
    pub identity: Option<Digest>,
}

/// An unpacked SDK.
#[derive(Clone, Debug)]
pub struct Toolchain {
    /// `1.22.12`
    pub version: String,
    /// `GOROOT`
    pub root: PathBuf,
    /// Digest of the whole SDK; the same for both forms of distribution.
    pub identity: Digest,
}

impl Toolchain {
    /// Returns the path of the `go` command.
    pub fn go(&self) -> PathBuf {
        self.root.join("bin/go")
    }
}

/// Returns true if the files of `toolchain` still match its identity. Hashes the files that `snapshot` does not know.
pub fn is_untouched(toolchain: &Toolchain, snapshot: &StatSnapshot) -> std::io::Result<bool> {
    let found = identity_of_directory(&toolchain.root, &|path, metadata| snapshot.digest(path, metadata))?;
    Ok(found == toolchain.identity)
}

/// Returns the version of the `go` at `program`, which is not started. Returns `None` if it is in no Go installation.
pub fn installed_version(program: &Path) -> Option<String> {
    let real = program.canonicalize().ok()?;
    let text = read_text_at_most(&real.parent()?.parent()?.join("VERSION"), SMALL_MAX).ok()?;
    Some(version_line(&text))
}

/// Returns `1.22.12` of `go1.22.12`; some distributions add words after it.
fn version_line(text: &str) -> String {
    text.lines()
        .next()
        .and_then(|line| line.split_whitespace().next())
        .unwrap_or("")
        .trim_start_matches("go")
        .to_owned()
}

/// Returns the toolchain of the `go` at `program`, which is not started: its place gives its root. `memory` is a directory
/// for what was found, which is added to it if `is_kept`.
pub fn system_toolchain(
    program: &Path,
    snapshot: &StatSnapshot,
    memory: &Path,
    is_kept: bool,
) -> Result<Toolchain, String> {
    let real = program.canonicalize().map_err(|error| format!("failed to read `{}`: {error}", program.display()))?;
    let root = real.parent().and_then(Path::parent).filter(|root| root.join("src/runtime").is_dir());
    let Some(root) = root else {
        return Err(format!("`{}` is not in a Go installation", program.display()));
    };
    let text = read_text_at_most(&root.join("VERSION"), SMALL_MAX)
        .map_err(|error| format!("failed to read `{}`: {error}", root.join("VERSION").display()))?;
    let version = version_line(&text);
    let identity = identity_of_installed(root, snapshot, memory, is_kept)
        .map_err(|error| format!("failed to read `{}`: {error}", root.display()))?;
    Ok(Toolchain { version, root: root.to_owned(), identity })
}
