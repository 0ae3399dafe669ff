//! The parts of a machine that some tests need and that may be missing, and how each is looked for.
//!
//! `build.rs` looks for all of them and sets a cfg for each that is there; a test that needs a part carries
//! `#[cfg_attr(not(has_NAME), ignore = "no …")]`, so that cargo's own summary counts it as ignored, with the reason on
//! its line. The test binary holds the answers against the machine again (`end_to_end/parts_of_the_machine.rs`).

use std::path::Path;
use std::process::{Command, Stdio};

/// A part of the machine.
pub struct Part {
    /// The cfg that is set if the part is there.
    pub cfg: &'static str,
    /// Its name for people, as in "no …".
    pub name: &'static str,
    is_there: fn() -> bool,
}

/// All parts that a test may ask for.
pub const PARTS: &[Part] = &[
    part("has_aarch64_gcc", "aarch64-linux-gnu-gcc with qemu-aarch64", || {
        has_program("aarch64-linux-gnu-gcc") && has_program("qemu-aarch64")
    }),
    part("has_bash", "bash", || has_program("bash")),
    part("has_buildx", "Docker with buildx", || has_docker() && succeeds("docker", &["buildx", "version"])),
    part("has_busybox", "static busybox", || Path::new("/bin/busybox").exists()),
    part("has_cc", "C compiler named `cc`", || has_program("cc")),
    part("has_chromium", "chromium with python3", || has_program("chromium") && has_program("python3")),
    part("has_compose", "`docker compose` with its images (see tests/images)", has_compose),
    part("has_cosign", "cosign", || has_program("cosign")),
    part("has_crane", "crane", || has_program("crane")),
    part("has_docker", "Docker daemon", has_docker),
    part("has_docker_command", "`docker` command", || has_program("docker")),
    part("has_dockerfile_build", "Docker with buildx and golang:1.22-alpine (see tests/images)", has_dockerfile_build),
    part("has_dpkg", "dpkg with adduser", || has_program("dpkg") && has_program("adduser")),
    part("has_evidence_python", "evidence-python (see .ci/run)", || {
        succeeds("evidence-python", &["-c", "import cyclonedx, in_toto_attestation"])
    }),
    part("has_fish", "fish", || has_program("fish")),
    part("has_gcc", "gcc", || has_program("gcc")),
    part("has_getcap", "getcap with umoci and skopeo, as root", has_getcap),
    part("has_go_1_24", "Go 1.24 or later on PATH", has_go_1_24),
    part("has_libfaketime", "libfaketime", || libfaketime().is_some()),
    part("has_make", "make", || has_program("make")),
    part("has_mount", "right to mount", has_mount),
    part("has_oras", "oras", || has_program("oras")),
    part("has_npm", "npm", || has_program("npm") && has_program("node")),
    part("has_openssl", "openssl with python3", || has_program("openssl") && has_program("python3")),
    part("has_podman", "podman", || has_program("podman")),
    part("has_pyspdxtools", "pyspdxtools", || has_program("pyspdxtools")),
    part("has_pyyaml", "python3 with yaml", || succeeds("python3", &["-c", "import yaml"])),
    part("has_python3", "python3", || has_program("python3")),
    part("has_registry", "registry with crane", || has_program("registry") && has_program("crane")),
    part("has_registry_with_referrers", "registry-with-referrers (see tests/registries)", || {
        has_program("registry-with-referrers") && has_program("crane")
    }),
    part("has_root", "root (with runuser, setpriv)", has_root),
    part("has_ruby", "ruby", || has_program("ruby")),
    part("has_settable_clock", "file system whose clock can be set (fuse2fs, libfaketime)", has_settable_clock),
    part("has_rpm", "rpm, as root", || is_root() && has_program("rpm")),
    part("has_setsid", "setsid", || has_program("setsid")),
    part("has_skopeo", "skopeo", || has_program("skopeo")),
    part("has_strace", "strace that may trace", || succeeds("strace", &["-o", "/dev/null", "true"])),
    part("has_umoci", "umoci with skopeo", || has_program("umoci") && has_program("skopeo")),
    part("has_x86_64_linux", "x86-64 Linux", || cfg!(all(target_arch = "x86_64", target_os = "linux"))),
    part("has_zsh", "zsh", || has_program("zsh")),
];

const fn part(cfg: &'static str, name: &'static str, is_there: fn() -> bool) -> Part {
    Part { cfg, name, is_there }
}

/// Looks for every part; returns the cfgs of those that are missing.
pub fn missing() -> Vec<&'static str> {
    PARTS.iter().filter(|part| !(part.is_there)()).map(|part| part.cfg).collect()
}

/// The library that moves the clock of a program, where Debian puts it.
pub fn libfaketime() -> Option<&'static Path> {
    ["/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1", "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1"]
        .into_iter()
        .map(Path::new)
        .find(|path| path.exists())
}

fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn succeeds(program: &str, arguments: &[&str]) -> bool {
    output(program, arguments).is_some()
}

fn has_program(name: &str) -> bool {
    succeeds("sh", &["-c", &format!("command -v {name}")])
}

fn has_docker() -> bool {
    succeeds("docker", &["version"])
}

fn has_image(name: &str) -> bool {
    output("docker", &["images", "--quiet", name]).is_some_and(|ids| !ids.is_empty())
}

fn has_compose() -> bool {
    succeeds("docker", &["compose", "version"]) && has_image("postgres:16-alpine") && has_image("redis:7-alpine")
}

fn has_dockerfile_build() -> bool {
    succeeds("docker", &["buildx", "version"]) && has_image("golang:1.22-alpine")
}

fn has_go_1_24() -> bool {
    let version = output("go", &["version"]).unwrap_or_default();
    let minor = version.split("go1.").nth(1).and_then(|rest| rest.split(['.', ' ']).next()?.parse::<u32>().ok());
    minor.is_some_and(|minor| minor >= 24)
}

fn has_getcap() -> bool {
    is_root() && ["getcap", "umoci", "skopeo"].into_iter().all(has_program)
}

fn is_root() -> bool {
    output("id", &["-u"]).as_deref() == Some("0")
}

fn has_root() -> bool {
    is_root() && has_program("runuser") && has_program("setpriv")
}

/// Tries it in a mount namespace of its own, which leaves nothing behind.
fn has_mount() -> bool {
    is_root() && succeeds("unshare", &["--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"])
}

fn has_settable_clock() -> bool {
    let device = std::fs::File::options().read(true).write(true).open("/dev/fuse");
    let programs = ["fuse2fs", "mkfs.ext4", "umount"];
    libfaketime().is_some() && device.is_ok() && has_mount() && programs.into_iter().all(has_program)
}
