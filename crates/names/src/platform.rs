//! `Platform`: an operating system, an architecture and a variant of it that Go knows.

use std::fmt;

/// `os/arch` or `os/arch/variant`, as OCI writes it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Platform {
    os: String,
    architecture: String,
    variant: Option<String>,
}

/// The variant in build.ron, and its value in the go command's variable.
type Values = &'static [(&'static str, &'static str)];

/// The variants of architectures: the go command's environment variable, and for each variant in build.ron the value of
/// that variable. The first of each is not always Go's default.
const VARIANTS: &[(&str, &str, Values)] = &[
    ("386", "GO386", &[("sse2", "sse2"), ("softfloat", "softfloat")]),
    ("amd64", "GOAMD64", &[("v1", "v1"), ("v2", "v2"), ("v3", "v3"), ("v4", "v4")]),
    ("arm", "GOARM", &[("v5", "5"), ("v6", "6"), ("v7", "7")]),
    (
        "arm64",
        "GOARM64",
        &[
            ("v8", "v8.0"),
            ("v8.0", "v8.0"),
            ("v8.1", "v8.1"),
            ("v8.2", "v8.2"),
            ("v8.3", "v8.3"),
            ("v8.4", "v8.4"),
            ("v8.5", "v8.5"),
            ("v8.6", "v8.6"),
            ("v8.7", "v8.7"),
            ("v8.8", "v8.8"),
            ("v8.9", "v8.9"),
            ("v9", "v9.0"),
            ("v9.0", "v9.0"),
            ("v9.1", "v9.1"),
            ("v9.2", "v9.2"),
            ("v9.3", "v9.3"),
            ("v9.4", "v9.4"),
            ("v9.5", "v9.5"),
        ],
    ),
    ("mips", "GOMIPS", &[("hardfloat", "hardfloat"), ("softfloat", "softfloat")]),
    ("mipsle", "GOMIPS", &[("hardfloat", "hardfloat"), ("softfloat", "softfloat")]),
    ("mips64", "GOMIPS64", &[("hardfloat", "hardfloat"), ("softfloat", "softfloat")]),
    ("mips64le", "GOMIPS64", &[("hardfloat", "hardfloat"), ("softfloat", "softfloat")]),
    ("ppc64", "GOPPC64", &[("power8", "power8"), ("power9", "power9"), ("power10", "power10")]),
    ("ppc64le", "GOPPC64", &[("power8", "power8"), ("power9", "power9"), ("power10", "power10")]),
    ("riscv64", "GORISCV64", &[("rva20u64", "rva20u64"), ("rva22u64", "rva22u64"), ("rva23u64", "rva23u64")]),
];

/// Go has no such platform.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a platform that Go knows")]
pub struct PlatformError(pub String);

/// Output of `go tool dist list` of Go 1.22 to 1.26, without dropped ports.
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
    /// Reads `os/arch` or `os/arch/variant`.
    pub fn new(text: &str) -> Result<Platform, PlatformError> {
        let unknown = || PlatformError(text.to_owned());
        let mut parts = text.split('/');
        let (Some(os), Some(architecture), variant, None) = (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(unknown());
        };
        if !KNOWN.iter().any(|(name, list)| *name == os && list.contains(&architecture)) {
            return Err(unknown());
        }
        let platform =
            Platform { os: os.into(), architecture: architecture.into(), variant: variant.map(str::to_owned) };
        if variant.is_some() && platform.variant_setting().is_none() {
            return Err(unknown());
        }
        Ok(platform)
    }

    /// Returns the platform of this program, in Go's terms.
    pub fn host() -> Platform {
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
        Platform { os: os.to_owned(), architecture: architecture.to_owned(), variant: None }
    }

    /// Returns the variant as written.
    pub fn variant(&self) -> Option<&str> {
        self.variant.as_deref()
    }

    /// Returns the go command's environment variable for the variant, and its value.
    pub fn variant_setting(&self) -> Option<(&'static str, &'static str)> {
        let (_, name, values) = VARIANTS.iter().find(|(architecture, ..)| *architecture == self.architecture)?;
        let (_, value) = values.iter().find(|(written, _)| Some(*written) == self.variant())?;
        Some((name, value))
    }

    /// Returns the platform without the variant.
    pub fn base(&self) -> Platform {
        Platform { variant: None, ..self.clone() }
    }

    /// Returns true if `self`, given on a command line, selects `declared`. Without a variant it selects all of them.
    pub fn means(&self, declared: &Platform) -> bool {
        self == declared || (self.variant.is_none() && *self == declared.base())
    }

    /// Returns a name for a directory: `linux_arm_v7`.
    pub fn directory_name(&self) -> String {
        self.to_string().replace('/', "_")
    }

    /// Returns `GOOS`.
    pub fn os(&self) -> &str {
        &self.os
    }

    /// Returns `GOARCH`.
    pub fn architecture(&self) -> &str {
        &self.architecture
    }

    /// Returns all platforms, as texts.
    pub fn all() -> impl Iterator<Item = String> {
        KNOWN.iter().flat_map(|(os, list)| list.iter().map(move |architecture| format!("{os}/{architecture}")))
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.os, self.architecture)?;
        match &self.variant {
            Some(variant) => write!(formatter, "/{variant}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variants() {
        let setting = |text: &str| Platform::new(text).unwrap().variant_setting();
        assert_eq!(setting("linux/arm/v6"), Some(("GOARM", "6")));
        assert_eq!(setting("linux/amd64/v3"), Some(("GOAMD64", "v3")));
        assert_eq!(setting("linux/arm64/v8"), Some(("GOARM64", "v8.0")));
        assert_eq!(setting("linux/arm64"), None);
        for wrong in ["linux/arm/v9", "linux/amd64/", "linux/s390x/v1", "linux/amd64/v1/x", "linux", "linux/z80"] {
            assert!(Platform::new(wrong).is_err(), "{wrong}");
        }
        let (six, any) = (Platform::new("linux/arm/v6").unwrap(), Platform::new("linux/arm").unwrap());
        assert!(any.means(&six) && six.means(&six) && !six.means(&any));
        assert_eq!(six.directory_name(), "linux_arm_v6");
    }
}
