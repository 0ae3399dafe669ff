//! Go as a build tool: exact toolchains, download settings, closed compile environments, package closures.
//!
//! It knows the go command's rules, and the steps that run it. It knows no target, no image and no build.ron: texts are
//! resolved and platforms chosen before a step is made.

mod build_info;
mod c_compiler;
mod cgo;
mod closure;
mod closure_lookup;
mod closure_query;
mod directories;
mod environment;
mod executable_diff;
mod executable_names;
mod go_list;
mod go_mod;
mod go_overlay;
mod identity;
mod includes;
mod index_shield;
mod link_inputs;
mod local_modules;
mod module_cache;
mod module_download;
mod package_variables;
mod packages;
mod pkg_config;
mod provision;
mod readable;
mod settings;
mod spdx;
mod stamps;
mod steps;
mod support;
mod test_log;
mod test_packages;
mod test_reads;
mod test_results;
mod test_sources;
mod toolchain;
mod unpack;

pub use build_info::{BuildInfo, EXECUTABLE_MAX, ModuleVersion};
pub use c_compiler::{NoIdentity, c_identity};
pub use cgo::CSupport;
pub use closure::{AskPkgConfig, Closure, key_path};
pub use closure_query::{ClosureQuery, Scope};
pub use directories::GoDirectories;
pub use environment::{INDEX_OFF, collector_percent, compile_environment, default_variant, spare_memory};
pub use executable_diff::executable_differences;
pub use executable_names::{ExecutableNames, executable_name};
pub use go_list::list_arguments;
pub use go_mod::{GoMod, go_version_of, needs_newer};
pub use module_cache::{Tampered, module_sums, remove_module, tampered_module};
pub use packages::GoPackages;
pub use provision::{Form, Provision, Provisioned};
pub use readable::module_text;
pub use settings::{DownloadSettings, ProxyEntry};
pub use spdx::{SPDX_FORMAT, SpdxSubject, spdx_document};
pub use steps::command::GoCommandStep;
pub use steps::go_build::GoBuildStep;
pub use steps::go_mod_download::GoModDownloadStep;
pub use steps::probe::{PROBE_PATH, ProbeStep};
pub use steps::sbom::SbomStep;
pub use steps::test_setup::GoTestStep;
pub use support::{GoRequest, GoSupport, GoVersion};
pub use toolchain::{GoPin, Toolchain, installed_version, is_untouched, system_toolchain};
pub use unpack::{ArchiveKind, unpack};
