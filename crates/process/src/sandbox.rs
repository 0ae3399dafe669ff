//! `Sandbox`: what a program may read, start and reach, enforced by Landlock where the kernel has it.
//!
//! A thread of its own restricts itself and starts the program, which inherits the restriction with all its children.
//! Rondel itself stays free. It needs no root. It does not know why a path is allowed.
//!
//! Landlock allows by whole trees: a rule for a directory is one for everything below it. Writing, removing and
//! creating are not restricted. Each kernel enforces what it knows: TCP since ABI 4, scopes since 6, sockets with a path
//! since 9, UDP since 10.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

/// Parts of the system that every program can read and start from: libraries, the modules and data of the
/// distribution, and what a C library asks for.
const SYSTEM: &[&str] = &[
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/usr/include",
    "/usr/lib",
    "/usr/lib32",
    "/usr/lib64",
    "/usr/libx32",
    "/usr/libexec",
    "/usr/share",
    "/nix/store",
    "/gnu/store",
    "/etc/ca-certificates",
    "/etc/crypto-policies",
    "/etc/fonts",
    "/etc/gai.conf",
    "/etc/group",
    "/etc/host.conf",
    "/etc/hosts",
    "/etc/inputrc",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/ld.so.preload",
    "/etc/locale.alias",
    "/etc/localtime",
    "/etc/mime.types",
    "/etc/nsswitch.conf",
    "/etc/os-release",
    "/etc/passwd",
    "/etc/perl",
    "/etc/pki",
    "/etc/protocols",
    "/etc/resolv.conf",
    "/etc/services",
    "/etc/ssl",
    "/etc/terminfo",
    "/etc/timezone",
    "/var/lib/ca-certificates",
    "/proc",
    "/sys/devices/system",
    "/sys/fs/cgroup",
    "/sys/kernel/mm",
    "/dev/full",
    "/dev/null",
    "/dev/ptmx",
    "/dev/pts",
    "/dev/random",
    "/dev/tty",
    "/dev/urandom",
    "/dev/zero",
];

/// What a program may read, start and reach, beside the system's own libraries.
#[derive(Clone, Debug, Default)]
pub struct Sandbox {
    /// Files, and directories with all below them, that can be read and started. Links are followed.
    pub readable: Vec<PathBuf>,
    /// Directories whose names can be listed, with those of all directories below them.
    pub listable: Vec<PathBuf>,
    /// True if it may use the network, and sockets of programs outside.
    pub network: bool,
}

/// What the kernel can enforce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SandboxSupport {
    /// Version of Landlock's interface.
    pub abi: i32,
}

impl SandboxSupport {
    /// Returns true if TCP can be refused.
    pub fn has_network(self) -> bool {
        self.abi >= 4
    }

    /// Returns true if abstract sockets and signals to other processes can be refused.
    pub fn has_scopes(self) -> bool {
        self.abi >= 6
    }

    /// Returns true if sockets with a path can be refused.
    pub fn has_sockets(self) -> bool {
        self.abi >= 9
    }

    /// Returns true if UDP can be refused.
    pub fn has_udp(self) -> bool {
        self.abi >= 10
    }
}

impl Sandbox {
    /// Returns true if the rules let the file at `path` be read. `path` need not exist.
    pub fn allows(&self, path: &Path) -> bool {
        let real = resolved(path);
        let system = SYSTEM.iter().map(Path::new);
        let mut places = self.readable.iter().map(PathBuf::as_path).chain(system);
        places.any(|place| real.starts_with(place) || real.starts_with(resolved(place)))
    }
}

/// Returns `path` without links, as far as it exists.
fn resolved(path: &Path) -> PathBuf {
    for parent in path.ancestors() {
        if let Ok(real) = parent.canonicalize() {
            return real.join(path.strip_prefix(parent).unwrap_or(Path::new("")));
        }
    }
    path.to_owned()
}

/// Returns what the kernel can enforce; `None` where it has no Landlock, or it is not enabled.
#[cfg(target_os = "linux")]
pub fn sandbox_support() -> Option<SandboxSupport> {
    use landlock::{AccessFs, LandlockStatus, Ruleset, RulesetAttr};
    // The status comes with a restriction, which this thread takes with it.
    let probe = || {
        let ruleset = Ruleset::default().handle_access(AccessFs::ReadFile).ok()?;
        Some(ruleset.create().ok()?.restrict_self().ok()?.landlock)
    };
    match std::thread::spawn(probe).join().ok()?? {
        LandlockStatus::Available { effective_abi, kernel_abi } => {
            Some(SandboxSupport { abi: kernel_abi.unwrap_or(effective_abi as i32) })
        }
        LandlockStatus::NotEnabled | LandlockStatus::NotImplemented => None,
    }
}

/// Returns what the kernel can enforce: nothing, on this system.
#[cfg(not(target_os = "linux"))]
pub fn sandbox_support() -> Option<SandboxSupport> {
    None
}

/// Starts the command in the sandbox, or without where the kernel has none.
#[cfg(target_os = "linux")]
pub(crate) fn spawn(sandbox: &Sandbox, command: &mut Command) -> io::Result<Child> {
    let spawn = || {
        restrict(sandbox)?;
        command.spawn()
    };
    std::thread::scope(|scope| scope.spawn(spawn).join()).map_err(|_| io::Error::other("the sandbox failed"))?
}

/// Starts the command: there is no sandbox on this system.
#[cfg(not(target_os = "linux"))]
pub(crate) fn spawn(_: &Sandbox, command: &mut Command) -> io::Result<Child> {
    command.spawn()
}

/// Restricts the calling thread, as far as the kernel can.
#[cfg(target_os = "linux")]
fn restrict(sandbox: &Sandbox) -> io::Result<()> {
    use landlock::{AccessFs, AccessNet, Ruleset, RulesetAttr, Scope};
    let read = AccessFs::ReadFile | AccessFs::ReadDir | AccessFs::Execute;
    let mut own = read;
    if !sandbox.network {
        own |= AccessFs::ResolveUnix;
    }
    let create = || {
        let ruleset = Ruleset::default().handle_access(own)?.handle_access(AccessFs::Refer)?;
        let mut ruleset = ruleset.handle_access(AccessFs::IoctlDev)?.scope(Scope::Signal)?;
        if !sandbox.network {
            ruleset = ruleset.handle_access(AccessNet::BindTcp | AccessNet::ConnectTcp)?;
            ruleset = ruleset.handle_access(AccessNet::BindUdp | AccessNet::ConnectSendUdp)?;
            ruleset = ruleset.scope(Scope::AbstractUnixSocket)?;
        }
        ruleset.create()
    };
    let mut ruleset = create().map_err(io::Error::other)?;
    // A rename may go anywhere: the kernel refuses one that would make a file readable.
    allow(&mut ruleset, Path::new("/"), AccessFs::Refer.into())?;
    for path in SYSTEM {
        let access = if path.starts_with("/dev/") { AccessFs::ReadFile | AccessFs::IoctlDev } else { read };
        allow(&mut ruleset, Path::new(path), access)?;
    }
    allow(&mut ruleset, Path::new("/dev/pts"), AccessFs::ReadDir.into())?;
    sandbox.readable.iter().try_for_each(|path| allow(&mut ruleset, path, own))?;
    sandbox.listable.iter().try_for_each(|path| allow(&mut ruleset, path, AccessFs::ReadDir.into()))?;
    ruleset.restrict_self().map(drop).map_err(io::Error::other)
}

/// Adds a rule. What does not exist, or can't be reached, needs none.
#[cfg(target_os = "linux")]
fn allow(
    ruleset: &mut landlock::RulesetCreated,
    path: &Path,
    access: landlock::BitFlags<landlock::AccessFs>,
) -> io::Result<()> {
    use landlock::{PathBeneath, PathFd, PathFdError, RulesetCreatedAttr};
    match PathFd::new(path) {
        Ok(place) => ruleset.add_rule(PathBeneath::new(place, access)).map(drop).map_err(io::Error::other),
        Err(PathFdError::OpenCall { source, .. }) => match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::PermissionDenied => Ok(()),
            _ => Err(source),
        },
        Err(_) => Ok(()),
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    /// Links are followed on both sides, and a neighbour with a longer name is another file.
    #[test]
    fn what_the_rules_allow() {
        let place = std::env::temp_dir().join(format!("rondel-sandbox-{}", std::process::id()));
        std::fs::create_dir_all(place.join("real/in")).unwrap();
        let _ = std::os::unix::fs::symlink("real", place.join("link"));
        let sandbox = Sandbox { readable: vec![place.join("link/in")], ..Sandbox::default() };
        for path in ["real/in", "link/in/absent/file", "real/in/x"] {
            assert!(sandbox.allows(&place.join(path)), "{path}");
        }
        for path in ["real", "link/inner", "real/in/../out", "."] {
            assert!(!sandbox.allows(&place.join(path)), "{path}");
        }
        assert!(sandbox.allows(Path::new("/usr/lib/x")) && !sandbox.allows(Path::new("/usr/bin/x")));
        std::fs::remove_dir_all(place).unwrap();
    }
}
