//! `Platform`: an operating system and an architecture that Go knows.

use std::fmt;

/// `os/arch`, as Go and OCI write it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Platform {
    os: String,
    architecture: String,
}

/// Go has no such platform.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a platform that Go knows")]
pub struct PlatformError(pub String);

/// What `go tool dist list` of Go 1.22 to 1.26 prints, less those that have no port any more.
const KNOWN: &[(&str, &[&str])] = &[
    ("aix", &["ppc64"]),
    ("android", &["386", "amd64", "arm", "arm64"]),
    ("darwin", &["amd64", "arm64"]),
    ("dragonfly", &["amd64"]),
    ("freebsd", &["386", "amd64", "arm", "arm64", "riscv64"]),
    ("illumos", &["amd64"]),
    ("ios", &["amd64", "arm64"]),
    ("js", &["wasm"]),
    (
        "linux",
        &[
            "386", "amd64", "arm", "arm64", "loong64", "mips", "mips64", "mips64le", "mipsle", "ppc64", "ppc64le",
            "riscv64", "s390x",
        ],
    ),
    ("netbsd", &["386", "amd64", "arm", "arm64"]),
    ("openbsd", &["386", "amd64", "arm", "arm64", "ppc64", "riscv64"]),
    ("plan9", &["386", "amd64", "arm"]),
    ("solaris", &["amd64"]),
    ("wasip1", &["wasm"]),
    ("windows", &["386", "amd64", "arm", "arm64"]),
];

impl Platform {
    /// Reads `os/arch`.
    pub fn new(text: &str) -> Result<Platform, PlatformError> {
        let (os, architecture) = text.split_once('/').ok_or_else(|| PlatformError(text.to_owned()))?;
        let known = KNOWN.iter().any(|(name, list)| *name == os && list.contains(&architecture));
        if known {
            Ok(Platform { os: os.to_owned(), architecture: architecture.to_owned() })
        } else {
            Err(PlatformError(text.to_owned()))
        }
    }

    /// `GOOS`.
    pub fn os(&self) -> &str {
        &self.os
    }

    /// `GOARCH`.
    pub fn architecture(&self) -> &str {
        &self.architecture
    }

    /// All platforms, as texts.
    pub fn all() -> impl Iterator<Item = String> {
        KNOWN.iter().flat_map(|(os, list)| list.iter().map(move |architecture| format!("{os}/{architecture}")))
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.os, self.architecture)
    }
}
