//! The C compiler of steps with cgo: from the caller's PATH, or from `CC` of the target, and keyed.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::link_inputs::c_directory;
use crate::{NoIdentity, c_identity};
use rondel_cas::Digest;
use rondel_engine::{Class, Environment, StepContext, StepError, UserError};
use rondel_process::find_tool;
use rondel_tree::StatSnapshot;

use crate::support::GoSupport;

/// Compilers, and the PATH of their helper programs.
pub struct CSupport {
    compiler: PathBuf,
    cxx_compiler: Option<PathBuf>,
    path: String,
    /// Directories in `-I` and `-L` of the declared flags.
    directories: BTreeSet<PathBuf>,
}

impl CSupport {
    /// Returns the compilers for a step whose declared environment is `env`.
    pub fn find(go: &GoSupport, env: &[(String, String)]) -> Result<CSupport, UserError> {
        let path = go.caller("PATH").unwrap_or_default();
        let declared = |name: &str| env.iter().find(|(other, _)| other == name).map(|(_, value)| value.clone());
        let find = |name: &str| find_tool(name, &path, &go.module).ok();
        let compiler = match declared("CC") {
            Some(name) => find(&name).ok_or_else(|| {
                UserError::environment(format!("the C compiler `{name}` was not found")).hint("correct `CC`")
            })?,
            None => find("gcc").or_else(|| find("cc")).or_else(|| find("clang")).ok_or_else(|| {
                UserError::environment("cgo needs a C compiler, and neither `gcc` nor `cc` nor `clang` is on PATH")
                    .hint("install gcc, or build without cgo")
            })?,
        };
        let cxx_compiler = match declared("CXX") {
            Some(name) => Some(find(&name).ok_or_else(|| {
                UserError::environment(format!("the C++ compiler `{name}` was not found")).hint("correct `CXX`")
            })?),
            None => find("g++").or_else(|| find("c++")).or_else(|| find("clang++")),
        };
        let flags =
            env.iter().filter(|(name, _)| name.starts_with("CGO_")).flat_map(|(_, value)| value.split_whitespace());
        Ok(CSupport { compiler, cxx_compiler, path, directories: flags.filter_map(c_directory).collect() })
    }

    /// Adds cgo's variables to the environment.
    pub fn set(&self, toolchain_root: &Path, environment: &mut Environment) {
        environment.set(Class::Keyed, "CGO_ENABLED", "1");
        environment.set(Class::Located, "CC", self.compiler.to_string_lossy());
        if let Some(compiler) = &self.cxx_compiler {
            environment.set(Class::Located, "CXX", compiler.to_string_lossy());
        }
        let path = format!("{}:{}", toolchain_root.join("bin").display(), self.path);
        environment.set(Class::Located, "PATH", path);
    }

    /// Returns the identity for keys, with the directories in `#cgo` lines. In a query, returns the reason if it is not
    /// known.
    pub fn identity(
        &self,
        context: &StepContext<'_>,
        directories: &BTreeSet<PathBuf>,
    ) -> Result<Result<String, String>, StepError> {
        let drivers: Vec<PathBuf> = std::iter::once(&self.compiler).chain(&self.cxx_compiler).cloned().collect();
        let extra = self.directories.union(directories).cloned().collect();
        let memory = context.workspace.state.join("compilers");
        let ask = |line: &rondel_process::CommandLine| context.capture(line).map_err(|error| error.to_string());
        let ask: Option<&dyn Fn(&_) -> _> = if context.is_question() { None } else { Some(&ask) };
        // In a file of its own: the system's headers and libraries are many.
        let snapshot = StatSnapshot::open(&context.workspace.state.join("snapshot-compilers"));
        let found = c_identity(&drivers, &extra, &memory, &snapshot, ask);
        if !context.is_question()
            && let Err(error) = snapshot.save()
        {
            context.warn(format!("the digests of the C compiler were not kept: {error}"));
        }
        match found {
            Ok(identity) => Ok(Ok(identity)),
            Err(NoIdentity::NotAsked) => Ok(Err("the C compiler is not known yet".to_owned())),
            Err(NoIdentity::Failed(why)) => Err(StepError::environment(format!("the C compiler: {why}"))),
        }
    }

    /// Makes Go's build cache depend on what the go command does not check: the compiler with the system's headers and
    /// libraries, whose `identity` this is, and files that packages with cgo read from elsewhere. As an unused macro it
    /// changes the go command's hashes and no byte of the output. (An overlay would: with one, cgo compiles copies.)
    pub fn mark(environment: &mut Environment, declared: &[(String, String)], identity: &str, unhashed: &[Digest]) {
        let own = declared.iter().find(|(name, _)| name == "CGO_CPPFLAGS").map_or("", |(_, value)| value.as_str());
        let all = unhashed.iter().fold(identity.to_owned(), |all, digest| format!("{all} {digest}"));
        let flags = format!("{own} -DRONDEL_C_INPUTS={}", Digest::of(all.as_bytes()).hex());
        environment.set(Class::Located, "CGO_CPPFLAGS", flags.trim());
    }

    /// Returns one digest of everything known of the compilers, for steps without a closure.
    pub fn digest(&self, context: &StepContext<'_>) -> Result<Result<String, String>, StepError> {
        let identity = self.identity(context, &BTreeSet::new())?;
        Ok(identity.map(|text| Digest::of(text.as_bytes()).to_string()))
    }
}
