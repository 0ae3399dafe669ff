//! Names of Go's architectures at Debian and at RPM.

/// Returns Debian's name of an architecture of Go with its variant; `None` if Debian has no such port.
pub fn debian_architecture(architecture: &str, variant: Option<&str>) -> Option<&'static str> {
    Some(match (architecture, variant) {
        ("386", _) => "i386",
        ("amd64", _) => "amd64",
        ("arm", Some("v5")) => "armel",
        ("arm", _) => "armhf",
        ("arm64", _) => "arm64",
        ("loong64", _) => "loong64",
        ("mips", _) => "mips",
        ("mipsle", _) => "mipsel",
        ("mips64", _) => "mips64",
        ("mips64le", _) => "mips64el",
        ("ppc64", _) => "ppc64",
        ("ppc64le", _) => "ppc64el",
        ("riscv64", _) => "riscv64",
        ("s390x", _) => "s390x",
        _ => return None,
    })
}

/// Returns RPM's name of an architecture of Go with its variant; `None` if RPM has none.
pub fn rpm_architecture(architecture: &str, variant: Option<&str>) -> Option<&'static str> {
    Some(match (architecture, variant) {
        ("386", _) => "i686",
        ("amd64", Some("v2")) => "x86_64_v2",
        ("amd64", Some("v3")) => "x86_64_v3",
        ("amd64", Some("v4")) => "x86_64_v4",
        ("amd64", _) => "x86_64",
        ("arm", Some("v5")) => "armv5tel",
        ("arm", Some("v6")) => "armv6hl",
        ("arm", _) => "armv7hl",
        ("arm64", _) => "aarch64",
        ("loong64", _) => "loongarch64",
        ("mips", _) => "mips",
        ("mipsle", _) => "mipsel",
        ("mips64", _) => "mips64",
        ("mips64le", _) => "mips64el",
        ("ppc64", _) => "ppc64",
        ("ppc64le", _) => "ppc64le",
        ("riscv64", _) => "riscv64",
        ("s390x", _) => "s390x",
        _ => return None,
    })
}
