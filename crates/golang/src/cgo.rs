//! The C compiler of steps with cgo: from the caller's PATH, or from `CC` of the target, and keyed.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::cross_compiler::{NATIVE_C_COMPILERS, cxx_command, is_for_something_else, join_command};
use crate::link_inputs::c_directory;
use crate::{CDriver, CIdentity, CrossPrefix, NoIdentity, c_identity, split_command};
use rondel_cas::Digest;
use rondel_engine::{Class, Environment, StepContext, StepError, UserError};
use rondel_names::Platform;
use rondel_process::find_tool;
use rondel_tree::{Fingerprint, StatSnapshot};

use crate::support::GoSupport;

/// Compilers, and the PATH of their helper programs.
pub struct CSupport {
    compiler: CDriver,
    cxx_compiler: Option<CDriver>,
    path: String,
    /// Directories in `-I` and `-L` of the declared flags.
    directories: BTreeSet<PathBuf>,
    /// What the C compiler has to make programs for, unless it is this machine's own.
    wanted: Option<Platform>,
    /// For a platform that is not this machine's.
    cross: Option<Cross>,
}

/// What keeps programs and packages of this machine out of a build for another platform.
struct Cross {
    /// Command of the C++ compiler if none was found: not the one that the go command would take.
    missing_cxx: String,
    packages: Packages,
}

/// Where packages of pkg-config for another platform are found.
enum Packages {
    /// Where the target says.
    Declared,
    /// By a pkg-config for the platform.
    Program(PathBuf),
    /// By this machine's pkg-config, in these directories.
    Directories(String),
}

/// How programs are found for one step.
struct Search<'a> {
    path: &'a str,
    directory: &'a Path,
    platform: &'a Platform,
    env: &'a [(String, String)],
}

impl CSupport {
    /// Returns the compilers for a step on `platform` whose declared environment is `env`.
    pub fn find(go: &GoSupport, platform: &Platform, env: &[(String, String)]) -> Result<CSupport, UserError> {
        let path = go.caller("PATH").unwrap_or_default();
        let search = Search { path: &path, directory: &go.module, platform, env };
        let is_foreign = platform.base() != go.own_platform()?;
        let declared = search.declared_command("CC", "C")?;
        let wanted = (is_foreign || declared.is_some()).then(|| platform.clone());
        let prefix =
            declared.as_ref().and_then(|driver| CrossPrefix::of_command(&driver.words())).or_else(|| search.usual());
        let compiler = match declared {
            Some(driver) => driver,
            None if is_foreign => search.cross_compiler()?,
            None => NATIVE_C_COMPILERS.iter().find_map(|name| search.find(name)).ok_or_else(|| {
                UserError::environment("cgo needs a C compiler, and neither `gcc` nor `cc` nor `clang` is on PATH")
                    .hint("install gcc, or build without cgo")
            })?,
        };
        let beside = cxx_command(&compiler.words());
        let cxx_compiler = match search.declared_command("CXX", "C++")? {
            Some(driver) => Some(driver),
            None if is_foreign => beside.as_deref().and_then(|words| search.driver(words)),
            None => ["g++", "c++", "clang++"].iter().find_map(|name| search.find(name)),
        };
        let cross = is_foreign.then(|| Cross {
            missing_cxx: beside
                .and_then(|mut words| (!words.is_empty()).then(|| words.swap_remove(0)))
                .unwrap_or_else(|| format!("{}-{}-g++", platform.architecture(), platform.os())),
            packages: search.packages(prefix.as_ref()),
        });
        let flags =
            env.iter().filter(|(name, _)| name.starts_with("CGO_")).flat_map(|(_, value)| value.split_whitespace());
        let mut directories: BTreeSet<PathBuf> = flags.filter_map(c_directory).collect();
        for driver in std::iter::once(&compiler).chain(&cxx_compiler) {
            directories.extend(driver.arguments.iter().filter_map(|flag| c_directory(flag)));
        }
        Ok(CSupport { compiler, cxx_compiler, path, directories, wanted, cross })
    }

    /// Adds cgo's variables to the environment.
    pub fn set(&self, toolchain_root: &Path, environment: &mut Environment) {
        environment.set(Class::Keyed, "CGO_ENABLED", "1");
        environment.set(Class::Located, "CC", command(&self.compiler));
        if let Some(compiler) = &self.cxx_compiler {
            environment.set(Class::Located, "CXX", command(compiler));
        }
        if let Some(cross) = &self.cross {
            if self.cxx_compiler.is_none() {
                environment.set(Class::Located, "CXX", &*cross.missing_cxx);
            }
            match &cross.packages {
                Packages::Declared => {}
                Packages::Program(program) => {
                    environment.set(Class::Located, "PKG_CONFIG", program.to_string_lossy());
                }
                Packages::Directories(list) => environment.set(Class::Keyed, "PKG_CONFIG_LIBDIR", &**list),
            }
        }
        let path = format!("{}:{}", toolchain_root.join("bin").display(), self.path);
        environment.set(Class::Located, "PATH", path);
    }

    /// Returns what decides which packages pkg-config finds, if the target does not say it.
    pub(crate) fn packages(&self) -> Option<String> {
        match &self.cross.as_ref()?.packages {
            Packages::Declared => None,
            Packages::Program(program) => {
                let stat = fs::metadata(program).map_or(0, |metadata| Fingerprint::of(&metadata).stat_digest());
                Some(format!("{} {stat}", program.display()))
            }
            Packages::Directories(list) => Some(list.clone()),
        }
    }

    /// Returns the identity for keys, with the directories in `#cgo` lines. In a query, returns the reason if it is not
    /// known.
    pub fn identity(
        &self,
        context: &StepContext<'_>,
        directories: &BTreeSet<PathBuf>,
    ) -> Result<Result<String, String>, StepError> {
        let drivers: Vec<CDriver> = std::iter::once(&self.compiler).chain(&self.cxx_compiler).cloned().collect();
        if self.cross.is_some() && context.is_question() {
            context.note(format!("compiled by {}", command(&self.compiler)));
        }
        let extra = self.directories.union(directories).cloned().collect();
        let memory = context.workspace.state.join("compilers");
        let ask = |line: &rondel_process::CommandLine| context.capture(line).map_err(|error| error.to_string());
        let ask: Option<&dyn Fn(&_) -> _> = if context.is_question() { None } else { Some(&ask) };
        // In a file of its own: the system's headers and libraries are many.
        let snapshot = StatSnapshot::open(&context.workspace.state.join("snapshot-compilers"));
        let found = c_identity(&drivers, &extra, &memory, &snapshot, ask);
        let found = found.and_then(|identity| self.with_pkg_config(identity, &snapshot));
        if !context.is_question()
            && let Err(error) = snapshot.save()
        {
            context.warn(format!("the digests of the C compiler were not kept: {error}"));
        }
        match found {
            Ok(identity) => {
                self.check_machine(&identity)?;
                Ok(Ok(identity.digest))
            }
            Err(NoIdentity::NotAsked) => Ok(Err("the C compiler is not known yet".to_owned())),
            Err(NoIdentity::Failed(why)) => Err(StepError::environment(format!("the C compiler: {why}"))),
        }
    }

    /// Makes Go's build cache depend on what the go command does not check: the compiler with the system's headers and
    /// libraries, whose `identity` this is, files that packages with cgo read from elsewhere, and where pkg-config looks,
    /// which the go command asks only after it has looked into its cache. As an unused macro it changes the go command's
    /// hashes and no byte of the output. (An overlay would: with one, cgo compiles copies.)
    pub fn mark(environment: &mut Environment, declared: &[(String, String)], identity: &str, unhashed: &[Digest]) {
        let own = declared.iter().find(|(name, _)| name == "CGO_CPPFLAGS").map_or("", |(_, value)| value.as_str());
        let all = unhashed.iter().fold(identity.to_owned(), |all, digest| format!("{all} {digest}"));
        let of_pkg_config = environment.for_process().into_iter().filter(|(name, _)| name.starts_with("PKG_CONFIG"));
        let all = of_pkg_config.fold(all, |all, (name, value)| format!("{all}\n{name}={value}"));
        let flags = format!("{own} -DRONDEL_C_INPUTS={}", Digest::of(all.as_bytes()).hex());
        environment.set(Class::Located, "CGO_CPPFLAGS", flags.trim());
    }

    /// Returns one digest of everything known of the compilers, for steps without a closure.
    pub fn digest(&self, context: &StepContext<'_>) -> Result<Result<String, String>, StepError> {
        let identity = self.identity(context, &BTreeSet::new())?;
        Ok(identity.map(|text| Digest::of(text.as_bytes()).to_string()))
    }

    /// Refuses a compiler that says of itself that it makes programs for something else.
    fn check_machine(&self, identity: &CIdentity) -> Result<(), StepError> {
        let (Some(platform), Some(machine)) = (&self.wanted, identity.machines.first()) else { return Ok(()) };
        if !is_for_something_else(machine, platform) {
            return Ok(());
        }
        let message =
            format!("the C compiler `{}` makes programs for {machine}, not for {platform}", command(&self.compiler));
        let error = UserError::input(message);
        Err(error.hint(format!("name one for it: by_platform: {{\"{platform}\": (env: {{\"CC\": \"…\"}})}}")).into())
    }

    /// Adds the program that finds packages for another platform to an identity.
    fn with_pkg_config(&self, identity: CIdentity, snapshot: &StatSnapshot) -> Result<CIdentity, NoIdentity> {
        let Some(Cross { packages: Packages::Program(program), .. }) = &self.cross else { return Ok(identity) };
        let digest = fs::metadata(program).and_then(|metadata| snapshot.digest(program, &metadata));
        let digest =
            digest.map_err(|error| NoIdentity::Failed(format!("failed to read `{}`: {error}", program.display())))?;
        let digest = Digest::of(format!("{} {digest}", identity.digest).as_bytes()).to_string();
        Ok(CIdentity { digest, ..identity })
    }
}

impl Search<'_> {
    fn declared(&self, name: &str) -> Option<&str> {
        self.env.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    fn find(&self, name: &str) -> Option<CDriver> {
        let program = find_tool(name, self.path, self.directory).ok()?;
        Some(CDriver { program, arguments: Vec::new() })
    }

    /// Returns a command whose first word was found.
    fn driver(&self, words: &[String]) -> Option<CDriver> {
        let (name, arguments) = words.split_first()?;
        Some(CDriver { arguments: arguments.to_vec(), ..self.find(name)? })
    }

    /// Returns the compiler that a variable of the target names.
    fn declared_command(&self, variable: &str, language: &str) -> Result<Option<CDriver>, UserError> {
        let Some(text) = self.declared(variable) else { return Ok(None) };
        let words = split_command(text).filter(|words| !words.is_empty()).ok_or_else(|| {
            let message = format!("`{variable}` is `{text}`, which is no command");
            UserError::input(message).hint("close the quote, or leave it out")
        })?;
        let found =
            self.driver(&words).filter(|driver| join_command(driver.words().iter().map(String::as_str)).is_some());
        found.map(Some).ok_or_else(|| {
            let message = format!("the {language} compiler `{}` was not found", words[0]);
            UserError::environment(message).hint(format!("correct `{variable}`"))
        })
    }

    /// Returns the usual prefix for the platform. `GOARM` can name the variant too.
    fn usual(&self) -> Option<CrossPrefix> {
        let variant = self.declared("GOARM").and_then(|value| value.chars().next());
        match variant.filter(|_| self.platform.base().to_string() == "linux/arm") {
            Some(variant) => CrossPrefix::usual(&Platform::new(&format!("linux/arm/v{variant}")).ok()?),
            None => CrossPrefix::usual(self.platform),
        }
    }

    /// Returns the cross compiler with the usual name.
    fn cross_compiler(&self) -> Result<CDriver, UserError> {
        let platform = self.platform;
        let needs = format!("cgo for {platform} needs a C compiler that makes programs for it");
        let own = format!("by_platform: {{\"{platform}\": (env: {{\"CC\": \"…\"}})}}");
        let Some(usual) = self.usual() else {
            return Err(UserError::input(format!("{needs}, and none has a usual name"))
                .hint(format!("name it: {own}, or build without cgo there: {{\"{platform}\": (cgo: false)}}")));
        };
        let name = usual.c_compiler();
        self.find(&name).ok_or_else(|| {
            UserError::environment(format!("{needs}, and `{name}` is not on PATH"))
                .hint(format!("{}, or name another: {own}", usual.installation()))
        })
    }

    fn packages(&self, prefix: Option<&CrossPrefix>) -> Packages {
        if self.declared("PKG_CONFIG").or(self.declared("PKG_CONFIG_LIBDIR")).is_some() {
            return Packages::Declared;
        }
        let programs = prefix.map(CrossPrefix::pkg_config_programs).unwrap_or_default();
        if let Some(found) = programs.iter().find_map(|name| self.find(name)) {
            return Packages::Program(found.program);
        }
        // Where nothing is known, nothing is found: an empty list would be no list.
        let unknown = || vec!["/nonexistent".to_owned()];
        Packages::Directories(prefix.map_or_else(unknown, CrossPrefix::pkg_config_directories).join(":"))
    }
}

/// Returns a compiler as the go command reads it from `CC`.
fn command(driver: &CDriver) -> String {
    let words = driver.words();
    join_command(words.iter().map(String::as_str)).unwrap_or_else(|| words.join(" "))
}
