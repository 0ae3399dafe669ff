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

/// Answers of a driver.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Answers {
    driver: Digest,
    programs: Vec<PathBuf>,
    includes: Vec<PathBuf>,
    libraries: Vec<PathBuf>,
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
    drivers: &[PathBuf],
    extra: &BTreeSet<PathBuf>,
    memory: &Path,
    snapshot: &StatSnapshot,
    ask: Option<&Ask<'_>>,
) -> Result<String, NoIdentity> {
    let failed =
        |path: &Path, error: io::Error| NoIdentity::Failed(format!("failed to read `{}`: {error}", path.display()));
    let digest = |path: &Path| {
        let metadata = fs::metadata(path).map_err(|error| failed(path, error))?;
        snapshot.digest(path, &metadata).map_err(|error| failed(path, error))
    };
    let mut hasher = Hasher::new();
    let mut directories: BTreeSet<(PathBuf, bool)> = BTreeSet::new();
    let by_contents = |path: &Path, metadata: &fs::Metadata| snapshot.digest(path, metadata).map(|it| it.to_string());
    let by_stat = |_: &Path, metadata: &fs::Metadata| Ok(Fingerprint::of(metadata).stat_digest().to_string());
    for directory in extra {
        hash_directory(directory, true, &by_contents, &mut hasher).map_err(|(path, error)| failed(&path, error))?;
    }
    for driver in drivers {
        let own = digest(driver)?;
        let file = memory.join("2").join(Digest::of(driver.to_string_lossy().as_bytes()).short());
        let known = read_at_most(&file, TEXT_MAX).ok().and_then(|bytes| serde_json::from_slice::<Answers>(&bytes).ok());
        let answers = match (known.filter(|answers| answers.driver == own), ask) {
            (Some(answers), _) => answers,
            (None, None) => return Err(NoIdentity::NotAsked),
            (None, Some(ask)) => {
                let answers = interview(driver, own, ask).map_err(NoIdentity::Failed)?;
                // If storing fails, the driver is started again the next time.
                let scratch = memory.parent().unwrap_or(memory).join("tmp");
                let _ = write_atomically(&scratch, &file, &serde_json::to_vec(&answers).expect("plain data"));
                answers
            }
        };
        for program in std::iter::once(driver).chain(&answers.programs) {
            hasher.update(format!("{} {}\n", program.display(), digest(program)?).as_bytes());
        }
        directories.extend(answers.includes.into_iter().map(|path| (path, true)));
        directories.extend(answers.libraries.into_iter().map(|path| (path, false)));
    }
    for (directory, is_deep) in directories {
        hash_directory(&directory, is_deep, &by_stat, &mut hasher).map_err(|(path, error)| failed(&path, error))?;
    }
    Ok(hasher.finish().to_string())
}

fn interview(driver: &Path, own: Digest, ask: &Ask<'_>) -> Result<Answers, String> {
    let line = |arguments: &[&str]| {
        CommandLine::new(driver, "/")
            .arguments(arguments.iter().copied())
            .environment([("LC_ALL".to_owned(), "C".to_owned()), ("PATH".to_owned(), "/usr/bin:/bin".to_owned())])
    };
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
        includes.extend(line.strip_prefix(' ').map(|path| PathBuf::from(path.trim())));
    }
    // Directories that are missing now would be read once they exist.
    let missing = said.stderr.lines().filter_map(|line| line.strip_prefix("ignoring nonexistent directory "));
    includes.extend(missing.map(|path| PathBuf::from(path.trim().trim_matches('"'))));
    let said = ask(&line(&["-print-search-dirs"]))?;
    let said = text(&said.stdout);
    let libraries = said.lines().find_map(|line| line.strip_prefix("libraries: =")).unwrap_or("");
    let libraries: BTreeSet<PathBuf> =
        libraries.split(':').map(PathBuf::from).map(|path| path.canonicalize().unwrap_or(path)).collect();
    let libraries = libraries.into_iter().collect();
    Ok(Answers { driver: own, programs, includes, libraries })
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
