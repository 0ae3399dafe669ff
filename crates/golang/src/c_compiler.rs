//! The C toolchain that cgo uses, and its identity.
//!
//! The output of a C compiler depends on its driver, on the programs that the driver starts, and on the system's
//! headers and libraries. Programs, and directories that a build names itself, are keyed by their contents. The system's
//! own headers and libraries, a gigabyte and more, are keyed by their stat data (sizes, inodes, and times that nobody
//! can set): that is quick, and a key of a cgo build is for this machine only. A driver's answers are stored, and
//! reused while the driver is the same.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rondel_cas::{Digest, Hasher, TEXT_MAX, read_at_most, write_atomically};
use rondel_process::{Captured, CommandLine};
use rondel_tree::{Fingerprint, StatSnapshot};
use serde::{Deserialize, Serialize};

/// A compiler: the program that starts all others, and arguments that each call begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CDriver {
    /// The program.
    pub program: PathBuf,
    /// As in `zig cc -target aarch64-linux-musl`.
    pub arguments: Vec<String>,
}

impl CDriver {
    /// Returns program and arguments.
    pub(crate) fn words(&self) -> Vec<String> {
        std::iter::once(self.program.to_string_lossy().into_owned()).chain(self.arguments.iter().cloned()).collect()
    }
}

/// Answers of a driver.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Answers {
    driver: Digest,
    programs: Vec<PathBuf>,
    includes: Vec<PathBuf>,
    libraries: Vec<PathBuf>,
    /// What it makes programs for, as `aarch64-linux-gnu`; empty if it does not say.
    #[serde(default)]
    machine: String,
}

/// What is known of the compilers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CIdentity {
    /// A digest of all that they read.
    pub digest: String,
    /// What each makes programs for, as `aarch64-linux-gnu`; empty if it does not say.
    pub machines: Vec<String>,
}

/// Why there is no identity.
#[derive(Debug)]
pub enum NoIdentity {
    /// The driver would have to be started, which a query must not do.
    NotAsked,
    /// Something could not be read or run.
    Failed(String),
}

/// Runs a command and returns its output.
pub type Ask<'a> = dyn Fn(&CommandLine) -> Result<Captured, String> + 'a;

/// Programs that a driver may start.
const PROGRAMS: &[&str] = &["cc1", "cc1plus", "as", "ld", "collect2", "lto-wrapper"];

/// Returns the identity of the drivers (a C and perhaps a C++ compiler) with everything they use, and of `extra`
/// directories of headers and libraries. `ask` runs a command; without it only the answers stored in `memory` count.
pub fn c_identity(
    drivers: &[CDriver],
    extra: &BTreeSet<PathBuf>,
    memory: &Path,
    snapshot: &StatSnapshot,
    ask: Option<&Ask<'_>>,
) -> Result<CIdentity, NoIdentity> {
    let failed =
        |path: &Path, error: io::Error| NoIdentity::Failed(format!("failed to read `{}`: {error}", path.display()));
    let digest = |path: &Path| {
        let metadata = fs::metadata(path).map_err(|error| failed(path, error))?;
        snapshot.digest(path, &metadata).map_err(|error| failed(path, error))
    };
    let mut hasher = Hasher::new();
    let mut directories: BTreeSet<(PathBuf, bool)> = BTreeSet::new();
    let mut machines = Vec::new();
    let by_contents = |path: &Path, metadata: &fs::Metadata| snapshot.digest(path, metadata).map(|it| it.to_string());
    let by_stat = |_: &Path, metadata: &fs::Metadata| Ok(Fingerprint::of(metadata).stat_digest().to_string());
    for directory in extra {
        hash_directory(directory, true, &by_contents, &mut hasher).map_err(|(path, error)| failed(&path, error))?;
    }
    for driver in drivers {
        let own = digest(&driver.program)?;
        let asked = driver.words().join("\0");
        let file = memory.join("2").join(Digest::of(asked.as_bytes()).short());
        let known = read_at_most(&file, TEXT_MAX).ok().and_then(|bytes| serde_json::from_slice::<Answers>(&bytes).ok());
        let answers = match (known.filter(|answers| answers.driver == own), ask) {
            (Some(answers), _) => answers,
            (None, None) => return Err(NoIdentity::NotAsked),
            (None, Some(ask)) => {
                let answers = interview(driver, own, memory, ask).map_err(NoIdentity::Failed)?;
                // If storing fails, the driver is started again the next time.
                let scratch = memory.parent().unwrap_or(memory).join("tmp");
                let _ = write_atomically(&scratch, &file, &serde_json::to_vec(&answers).expect("plain data"));
                answers
            }
        };
        for program in std::iter::once(&driver.program).chain(&answers.programs) {
            hasher.update(format!("{} {}\n", program.display(), digest(program)?).as_bytes());
        }
        for argument in &driver.arguments {
            hasher.update(format!("argument {}\n", argument.replace('\n', "\n\n")).as_bytes());
        }
        machines.push(answers.machine);
        directories.extend(answers.includes.into_iter().map(|path| (path, true)));
        directories.extend(answers.libraries.into_iter().map(|path| (path, false)));
    }
    for (directory, is_deep) in directories {
        hash_directory(&directory, is_deep, &by_stat, &mut hasher).map_err(|(path, error)| failed(&path, error))?;
    }
    Ok(CIdentity { digest: hasher.finish().to_string(), machines })
}

/// Asks a driver. `home` is a directory where it may leave files: `zig cc` has a cache.
fn interview(driver: &CDriver, own: Digest, home: &Path, ask: &Ask<'_>) -> Result<Answers, String> {
    let home = home.to_string_lossy();
    let environment = [("LC_ALL", "C"), ("PATH", "/usr/bin:/bin"), ("HOME", &*home)];
    let line = |arguments: &[&str]| {
        CommandLine::new(&driver.program, "/")
            .arguments(driver.arguments.iter().map(String::as_str).chain(arguments.iter().copied()))
            .environment(environment.map(|(name, value)| (name.to_owned(), value.to_owned())))
    };
    // Some name directories relative to where they run.
    let place = |path: &str| Path::new("/").join(path.trim());
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut programs = Vec::new();
    for program in PROGRAMS {
        let said = ask(&line(&[&format!("-print-prog-name={program}")]))?;
        let path = PathBuf::from(text(&said.stdout).trim());
        let path = if path.is_absolute() { path } else { Path::new("/usr/bin").join(path) };
        if path.is_file() {
            programs.push(path);
        }
    }
    let said = ask(&line(&["-E", "-v", "-x", "c", "/dev/null"]))?;
    let mut includes = Vec::new();
    let listed = said.stderr.lines().skip_while(|line| !line.contains("search starts here"));
    for line in listed.take_while(|line| !line.starts_with("End of search list")) {
        includes.extend(line.strip_prefix(' ').map(place));
    }
    // Directories that are missing now would be read once they exist.
    let missing = said.stderr.lines().filter_map(|line| line.strip_prefix("ignoring nonexistent directory "));
    includes.extend(missing.map(|path| place(path.trim().trim_matches('"'))));
    let said = ask(&line(&["-print-search-dirs"]))?;
    let said = text(&said.stdout);
    let libraries = said.lines().find_map(|line| line.strip_prefix("libraries: =")).unwrap_or("");
    let libraries: BTreeSet<PathBuf> =
        libraries.split(':').map(PathBuf::from).map(|path| path.canonicalize().unwrap_or(path)).collect();
    let libraries = libraries.into_iter().collect();
    // Not every driver knows the question.
    let machine = ask(&line(&["-dumpmachine"])).map(|said| text(&said.stdout).trim().to_owned()).unwrap_or_default();
    Ok(Answers { driver: own, programs, includes, libraries, machine })
}

/// Returns what identifies a file.
type Identify<'a> = dyn Fn(&Path, &fs::Metadata) -> io::Result<String> + 'a;

/// Hashes headers (with all directories below) or libraries, by name and what `identify` says.
fn hash_directory(
    directory: &Path,
    is_deep: bool,
    identify: &Identify<'_>,
    hasher: &mut Hasher,
) -> Result<(), (PathBuf, io::Error)> {
    let mut lines = BTreeSet::new();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        let Ok(metadata) = fs::metadata(&path) else { continue };
        let name = entry.file_name().to_string_lossy().into_owned();
        if metadata.is_dir() {
            if entry.file_type().is_ok_and(|kind| kind.is_symlink()) {
                let target = fs::read_link(&path).map(|target| target.to_string_lossy().into_owned());
                lines.insert(format!("{name} -> {}", target.unwrap_or_default()));
            } else if is_deep || name == "pkgconfig" {
                hash_directory(&path, is_deep, identify, hasher)?;
            }
            continue;
        }
        let is_library = name.ends_with(".a") || name.ends_with(".o") || name.ends_with(".pc") || name.contains(".so");
        if metadata.is_file() && (is_deep || is_library) {
            let identity = identify(&path, &metadata).map_err(|error| (path.clone(), error))?;
            lines.insert(format!("{name} {identity}"));
        }
    }
    hasher.update(format!("{}\n", directory.display()).as_bytes());
    lines.iter().for_each(|line| hasher.update(format!("{line}\n").as_bytes()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    use rondel_process::Finished;

    use super::*;

    /// A directory with the files of a compiler, which is never started; removed on drop.
    struct Sysroot(PathBuf);

    impl Drop for Sysroot {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    impl Sysroot {
        fn new() -> Sysroot {
            let root = std::env::temp_dir().join(format!("rondel-c-compiler-{}", std::process::id()));
            let space = Sysroot(root);
            for path in ["bin/x-gcc", "bin/x-g++", "bin/cc1", "include/stdio.h", "lib/libc.so", "own/own.h"] {
                space.write(path, "1");
            }
            space
        }

        fn write(&self, path: &str, text: &str) {
            let path = self.0.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }

        /// Asks for the identity. The compiler names directories relative to `/`, where it runs.
        fn identity(&self, drivers: &[CDriver]) -> Result<CIdentity, NoIdentity> {
            let relative = self.0.strip_prefix("/").unwrap().display().to_string();
            let ask = |line: &CommandLine| {
                let (mut stdout, mut stderr) = (String::new(), String::new());
                match line.arguments.last().unwrap().as_str() {
                    "-print-prog-name=cc1" => stdout = self.0.join("bin/cc1").display().to_string(),
                    "-print-search-dirs" => stdout = format!("libraries: ={}\n", self.0.join("lib").display()),
                    "/dev/null" => {
                        stderr =
                            format!("#include <...> search starts here:\n {relative}/include\nEnd of search list.\n");
                    }
                    _ => stdout = "unknown".to_owned(),
                }
                let finished = Finished { status: ExitStatus::from_raw(0) };
                Ok(Captured { finished, stdout: stdout.into_bytes(), stderr })
            };
            let snapshot = StatSnapshot::open(&self.0.join("snapshot"));
            let extra = [self.0.join("own")].into();
            c_identity(drivers, &extra, &self.0.join("memory"), &snapshot, Some(&ask))
        }
    }

    #[test]
    fn each_member_of_the_identity_counts() {
        let space = Sysroot::new();
        let driver = |name: &str, arguments: &[&str]| CDriver {
            program: space.0.join("bin").join(name),
            arguments: arguments.iter().map(|argument| (*argument).to_owned()).collect(),
        };
        let identity = |drivers: &[CDriver]| space.identity(drivers).unwrap().digest;
        let drivers = [driver("x-gcc", &[]), driver("x-g++", &[])];
        let mut last = identity(&drivers);
        assert_eq!(identity(&drivers), last);
        let mut seen: BTreeSet<String> = [last.clone()].into();
        for (path, text) in [
            ("bin/x-gcc", "22"),
            ("bin/x-g++", "22"),
            ("bin/cc1", "22"),
            ("include/stdio.h", "22"),
            ("include/sub/new.h", "1"),
            ("lib/libc.so", "22"),
            ("lib/libm.a", "1"),
            ("own/own.h", "22"),
        ] {
            space.write(path, text);
            let now = identity(&drivers);
            assert_ne!(now, last, "{path}");
            assert!(seen.insert(now.clone()), "{path}");
            last = now;
        }
        // No library, and in none of the directories.
        space.write("lib/notes.txt", "1");
        space.write("share/x", "1");
        assert_eq!(identity(&drivers), last);
        assert!(seen.insert(identity(&drivers[..1])), "the C++ compiler");
        for arguments in [&["-DX=1"][..], &["-DX=2"], &["-DX=1", "-DY"], &["-DX=1 -DY"]] {
            assert!(seen.insert(identity(&[driver("x-gcc", arguments)])), "{arguments:?}");
        }
        let snapshot = StatSnapshot::open(&space.0.join("snapshot"));
        let unknown =
            c_identity(&[driver("x-gcc", &["-z"])], &BTreeSet::new(), &space.0.join("memory"), &snapshot, None);
        assert!(matches!(unknown, Err(NoIdentity::NotAsked)));
    }
}
