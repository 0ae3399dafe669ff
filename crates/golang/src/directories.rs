//! Directories for Go, below the user's cache directory.
//!
//! The build cache and the module cache are Rondel's own. `-trimpath` shares nothing with a developer's plain builds
//! anyway, and a module cache that people edit while debugging must not reach a release.

use std::path::{Path, PathBuf};

/// Directories of the go command.
#[derive(Clone, Debug)]
pub struct GoDirectories {
    /// `GOCACHE`
    pub build_cache: PathBuf,
    /// `GOMODCACHE`
    pub module_cache: PathBuf,
    /// `GOPATH`, `HOME`: empty directories that only have to exist.
    pub home: PathBuf,
    /// Unpacked toolchains.
    pub toolchains: PathBuf,
    /// Digests of installed toolchains, by how they look.
    pub identities: PathBuf,
}

impl GoDirectories {
    /// Returns the directories below `cache`.
    pub fn below(cache: &Path) -> GoDirectories {
        let go = cache.join("go");
        GoDirectories {
            build_cache: go.join("build"),
            module_cache: go.join("mod"),
            home: go.join("home"),
            toolchains: go.join("toolchains"),
            identities: go.join("identities"),
        }
    }
}
