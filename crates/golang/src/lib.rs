//! Go as a build tool: exact toolchains, download settings, closed compile environments, package closures.
//!
//! It knows the go command's rules. It knows no target, no image and no build.ron; the command lines that
//! build something are put together in `rondel-targets`.

mod build_info;
mod c_compiler;
mod closure;
mod closure_file;
mod credentials;
mod directories;
mod download;
mod environment;
mod go_list;
mod go_mod;
mod head;
mod identity;
mod module_cache;
mod partial;
mod provision;
mod settings;
mod spdx;
mod toolchain;
mod unpack;
mod watch;

pub use build_info::{BuildInfo, ModuleVersion};
pub use c_compiler::{NoIdentity, c_identity};
pub use closure::{Closure, ClosureQuery, key_path};
pub use credentials::Credentials;
pub use directories::GoDirectories;
pub use download::{FetchError, Fetcher};
pub use environment::{collector_percent, compile_environment, default_variant, spare_memory};
pub use go_list::{c_directory, list_arguments};
pub use go_mod::{GoMod, go_version_of, needs_newer};
pub use head::head_digest;
pub use module_cache::{Tampered, module_sums, remove_module, tampered_module};
pub use partial::PartialDownload;
pub use provision::{Form, Provision, Provisioned};
pub use settings::{DownloadSettings, ProxyEntry};
pub use spdx::{SPDX_FORMAT, SpdxSubject, spdx_document};
pub use toolchain::{GoPin, Host, Toolchain, installed_version, is_untouched, system_toolchain};
pub use unpack::{ArchiveKind, unpack};
