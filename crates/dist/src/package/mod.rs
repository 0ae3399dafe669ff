//! A package of a Linux distribution, before it has a format: what it is called, what is in it, and what it needs.
//!
//! It knows neither Debian's nor RPM's format, and reads no file.

mod architecture;
mod check;
mod stream;
mod units;
mod version;

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use rondel_cas::RelativePath;
use rondel_oci::LayerSource;

pub use architecture::{debian_architecture, rpm_architecture};
pub(crate) use check::check_common;
pub use check::{is_owner, is_unit, package_path};
pub(crate) use stream::{Part, Stream, read_whole, size_of};
pub(crate) use units::{Moment, unit_script};
pub use version::package_version;

/// What a package is made of.
#[derive(Clone, Debug, Default)]
pub struct Package {
    /// Name, by the rules of the format.
    pub name: String,
    /// Version by the rules of the format: what [`package_version`] returns.
    pub version: String,
    /// Number of the packaging. RPM needs one; Debian adds it as revision if it is not empty.
    pub release: String,
    /// Architecture in the format's own terms.
    pub architecture: String,
    /// `Name <mail>`.
    pub maintainer: String,
    /// First line: what it is. Others: more about it.
    pub description: String,
    /// Section of Debian or group of RPM; may be empty.
    pub section: String,
    /// SPDX expression; may be empty for Debian.
    pub licence: String,
    /// Address of its site; may be empty.
    pub homepage: String,
    /// Other packages, in the format's own terms.
    pub relations: Relations,
    /// What is installed, below `/`.
    pub entries: BTreeMap<RelativePath, PackageEntry>,
    /// Names of systemd units among the entries, for the scripts that systemd needs.
    pub units: BTreeSet<String>,
    /// Scripts of the package's own.
    pub scripts: Scripts,
    /// Time of everything, in seconds since the epoch.
    pub created: u64,
}

/// Other packages that a package names.
#[derive(Clone, Debug, Default)]
pub struct Relations {
    /// Must be there.
    pub depends: Vec<String>,
    /// Installed too, unless told otherwise.
    pub recommends: Vec<String>,
    /// Can't be there.
    pub conflicts: Vec<String>,
    /// Names that this package has too.
    pub provides: Vec<String>,
    /// Packages whose place it takes.
    pub replaces: Vec<String>,
}

/// Something that a package installs.
#[derive(Clone, Debug)]
pub struct PackageEntry {
    /// Type and contents.
    pub source: LayerSource,
    /// Permission bits. Those of a link do not count.
    pub mode: u32,
    /// Name of the owner.
    pub owner: String,
    /// Name of the group.
    pub group: String,
    /// True for a file that people edit: an upgrade keeps what they wrote.
    pub is_config: bool,
}

impl PackageEntry {
    /// Returns something of root's.
    pub fn of_root(source: LayerSource, mode: u32) -> PackageEntry {
        PackageEntry { source, mode, owner: "root".to_owned(), group: "root".to_owned(), is_config: false }
    }
}

/// Scripts that the package manager runs, as texts; empty for none.
#[derive(Clone, Debug, Default)]
pub struct Scripts {
    /// `preinst`, `%pre`.
    pub before_install: String,
    /// `postinst`, `%post`.
    pub after_install: String,
    /// `prerm`, `%preun`.
    pub before_removal: String,
    /// `postrm`, `%postun`.
    pub after_removal: String,
}

/// Why there is no package.
#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    /// A value that the format has no place for: what, and what would be right.
    #[error("{0}")]
    Value(String),
    /// A file could not be read or written.
    #[error("{0}")]
    Io(#[from] io::Error),
}
