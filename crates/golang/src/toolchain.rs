//! `Toolchain`: a Go SDK on this machine, and its identity.

use std::path::{Path, PathBuf};

use rondel_cas::{Digest, StatSnapshot};

use crate::identity::identity_of_directory;

/// A platform that a toolchain runs on, as Go names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// `GOHOSTOS`
    pub os: &'static str,
    /// `GOHOSTARCH`
    pub architecture: &'static str,
}

impl Host {
    /// The platform that this program was compiled for.
    pub fn current() -> Host {
        let os = match std::env::consts::OS {
            "macos" => "darwin",
            other => other,
        };
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            "x86" => "386",
            "powerpc64" => "ppc64le",
            other => other,
        };
        Host { os, architecture }
    }
}

impl std::fmt::Display for Host {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}/{}", self.os, self.architecture)
    }
}

/// What build.lock pins of one toolchain for one host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GoPin {
    /// `h1:…` of the module zip.
    pub module: Option<String>,
    /// SHA-256 of the archive on Go's download page, hex.
    pub archive: Option<String>,
    /// Digest of `bin/`, `pkg/tool/` and `src/`.
    pub identity: Option<Digest>,
}

/// An unpacked SDK.
#[derive(Clone, Debug)]
pub struct Toolchain {
    /// `1.22.12`
    pub version: String,
    /// `GOROOT`
    pub root: PathBuf,
    /// Digest of `bin/`, `pkg/tool/` and `src/`; the same for both forms of distribution.
    pub identity: Digest,
}

impl Toolchain {
    /// The `go` command.
    pub fn go(&self) -> PathBuf {
        self.root.join("bin/go")
    }
}

/// The toolchain of the `go` at `program`, which is not started: its root is found from its place.
pub fn system_toolchain(program: &Path, snapshot: &StatSnapshot) -> Result<Toolchain, String> {
    let real = program.canonicalize().map_err(|error| format!("failed to read `{}`: {error}", program.display()))?;
    let root = real.parent().and_then(Path::parent).filter(|root| root.join("src/runtime").is_dir());
    let Some(root) = root else {
        return Err(format!("`{}` does not stand in a Go installation", program.display()));
    };
    let text = std::fs::read_to_string(root.join("VERSION"))
        .map_err(|error| format!("failed to read `{}`: {error}", root.join("VERSION").display()))?;
    let version = text.lines().next().unwrap_or("").trim_start_matches("go").to_owned();
    let identity = identity_of_directory(root, &|path, metadata| snapshot.digest(path, metadata))
        .map_err(|error| format!("failed to read `{}`: {error}", root.display()))?;
    Ok(Toolchain { version, root: root.to_owned(), identity })
}
