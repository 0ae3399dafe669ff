//! `Tools`: the programs that a command with a key sees, and their identities. They are declared by name, by path, or
//! belong to the base set of a POSIX shell. It does not know where the links to them lie, nor what else can be read.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use rondel_cas::{Digest, open_regular};
use rondel_engine::{StepError, files_below};
use rondel_process::{find_tool, quote};
use rondel_tree::StatSnapshot;

use crate::base_programs::{base_programs, is_program};

/// Where distributions record which packages are installed; the first that exists counts.
const PACKAGES: &[&str] = &[
    "/var/lib/dpkg/status",
    "/lib/apk/db/installed",
    "/usr/lib/sysimage/rpm/rpmdb.sqlite",
    "/var/lib/rpm/rpmdb.sqlite",
    "/var/lib/pacman/local",
];

/// Directories whose programs come from the distribution, with libraries and modules beside them.
const OF_THE_SYSTEM: &[&str] = &["/usr/bin", "/usr/sbin", "/bin", "/sbin", "/usr/lib", "/lib", "/usr/libexec"];

/// Longest chain of scripts that interpret scripts.
const INTERPRETERS_MAX: usize = 8;

/// The programs of one step.
#[derive(Debug, Default)]
pub(crate) struct Tools {
    /// Name on the step's `PATH`, and place of the program.
    pub(crate) programs: BTreeMap<String, PathBuf>,
    /// Declared names and their interpreters: what is keyed one by one.
    declared: BTreeMap<String, PathBuf>,
    /// Declared directories.
    pub(crate) directories: Vec<PathBuf>,
    base: Vec<(&'static str, PathBuf)>,
}

impl Tools {
    /// Finds the base set and `names` on `search_path`. A name that begins with `/` is a path; one that ends with `/`
    /// is a directory. `started` is the program that the step itself starts, as written, and its place.
    pub(crate) fn find(
        names: &[String],
        started: Option<(&str, PathBuf)>,
        search_path: &str,
        directory: &Path,
    ) -> Result<Tools, StepError> {
        let mut tools = Tools::default();
        let places: Vec<&Path> = search_path.split(':').map(Path::new).filter(|place| place.is_absolute()).collect();
        tools.base = base_programs(&places);
        tools.programs.extend(tools.base.iter().map(|(name, path)| ((*name).to_owned(), path.clone())));
        if let Some((name, path)) = started {
            if !name.contains('/') {
                tools.programs.insert(name.to_owned(), path.clone());
            }
            tools.declared.insert(name.to_owned(), path);
        }
        for name in names {
            let path = Path::new(name);
            if path.is_absolute() && name.ends_with('/') {
                fs::read_dir(path).map_err(|error| StepError::unreadable(path, &error).hint("correct `tools`"))?;
                tools.directories.push(path.to_owned());
            } else if path.is_absolute() {
                tools.add(&name_of(path), path.to_owned(), name);
            } else {
                let found = find_tool(name, search_path, directory).map_err(|error| {
                    StepError::environment(error.to_string()).hint(error.hint("install it, or correct `tools`"))
                })?;
                tools.add(name, found, name);
            }
        }
        for path in tools.declared.values().cloned().collect::<Vec<_>>() {
            tools.add_interpreters(path, search_path, directory)?;
        }
        Ok(tools)
    }

    fn add(&mut self, name: &str, path: PathBuf, member: &str) {
        if is_program(&path) {
            self.programs.insert(name.to_owned(), path.clone());
        }
        self.declared.insert(member.to_owned(), path);
    }

    /// Adds the programs that the `#!` line of a script names, and theirs.
    fn add_interpreters(&mut self, path: PathBuf, search_path: &str, directory: &Path) -> Result<(), StepError> {
        let mut script = path;
        for _ in 0..INTERPRETERS_MAX {
            let Some((interpreter, argument)) = interpreter_of(&script) else { return Ok(()) };
            let by_name = argument.filter(|_| name_of(&interpreter) == "env");
            self.declared.insert(interpreter.display().to_string(), interpreter.clone());
            script = match by_name {
                Some(name) => {
                    let found = find_tool(&name, search_path, directory).map_err(|error| {
                        let what = format!("{error}, and `{}` names it as its interpreter", script.display());
                        StepError::environment(what).hint(error.hint(format!("install `{name}`")))
                    })?;
                    self.add(&name, found.clone(), &name);
                    found
                }
                None => interpreter,
            };
        }
        Ok(())
    }

    /// Returns the identity of each declared program, by name, and of the base set as a whole. With a program of the
    /// distribution goes the list of its packages: such a program reads libraries and modules that it installed.
    pub(crate) fn identities(&self, snapshot: &StatSnapshot) -> Result<BTreeMap<String, String>, StepError> {
        let mut found = BTreeMap::new();
        for (name, path) in &self.declared {
            found.insert(name.clone(), digest(path, snapshot)?.to_string());
        }
        for path in &self.directories {
            found
                .insert(format!("{}/", path.display().to_string().trim_end_matches('/')), tree_digest(path, snapshot)?);
        }
        let mut base = String::new();
        for (name, path) in &self.base {
            base.push_str(&format!("{name} {}\n", digest(path, snapshot)?));
        }
        found.insert("the base programs".to_owned(), Digest::of(base.as_bytes()).to_string());
        let is_of_the_system = |path: &PathBuf| {
            !self.base.iter().any(|(_, base)| base == path) && {
                let real = path.canonicalize().unwrap_or_else(|_| path.clone());
                OF_THE_SYSTEM.iter().any(|place| real.starts_with(place))
            }
        };
        if self.declared.values().any(is_of_the_system)
            && let Some(packages) = packages(snapshot)
        {
            found.insert("the installed packages".to_owned(), packages);
        }
        Ok(found)
    }

    /// Returns the declared programs that are not the distribution's.
    pub(crate) fn of_others(&self) -> Vec<PathBuf> {
        let is_of_the_system = |path: &Path| OF_THE_SYSTEM.iter().any(|place| path.starts_with(place));
        self.declared.values().filter(|path| !is_of_the_system(path)).cloned().collect()
    }

    /// Returns every file of theirs, which the step must be able to read and start.
    pub(crate) fn files(&self) -> impl Iterator<Item = &PathBuf> {
        self.programs.values().chain(self.declared.values())
    }

    /// Makes links to all programs in the new directory `place`. Each of `others` goes before one of the same name.
    pub(crate) fn link_into(&self, place: &Path, others: impl Iterator<Item = PathBuf>) -> io::Result<()> {
        fs::create_dir_all(place)?;
        let mut programs = self.programs.clone();
        programs.extend(others.map(|path| (name_of(&path), path)));
        for (name, path) in &programs {
            link(path, &place.join(name))?;
        }
        Ok(())
    }
}

/// Returns the line of build.ron that declares some tools.
pub(crate) fn tools_line<S: AsRef<str>>(names: &[S]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("\"{}\"", name.as_ref().escape_default())).collect();
    format!("tools: [{}]", names.join(", "))
}

/// Returns the name of a program that a shell did not find, as the line of its output says it.
pub(crate) fn not_found_in(line: &str) -> Option<&str> {
    let line = line.trim_end();
    // sh: `sh: 1: mygen: not found`; bash: `bash: line 1: mygen: command not found`.
    for ending in [": command not found", ": not found"] {
        if let Some(rest) = line.strip_suffix(ending) {
            return rest.rsplit(": ").next().filter(|name| is_name(name));
        }
    }
    // Go: `exec: "mygen": executable file not found in $PATH`.
    if let Some((before, _)) = line.split_once("\": executable file not found in $PATH") {
        return before.rsplit('"').next().filter(|name| is_name(name));
    }
    // env, xargs, nice, timeout, make: `env: 'mygen': No such file or directory`.
    let rest = line.strip_suffix(": No such file or directory")?;
    let (program, name) = rest.split_once(": ")?;
    let starts_others = ["env", "xargs", "nice", "nohup", "timeout", "make", "find", "stdbuf"];
    let name = name.rsplit(' ').next()?.trim_matches(['\'', '`', '"', '‘', '’']);
    let program = program.rsplit('/').next()?;
    starts_others.contains(&program).then_some(name).filter(|name| is_name(name))
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && !text.contains('/') && quote(text) == text
}

fn name_of(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Returns the interpreter in the `#!` line of a script, and the first of its arguments that is no option.
fn interpreter_of(path: &Path) -> Option<(PathBuf, Option<String>)> {
    let mut start = Vec::new();
    open_regular(path).ok()?.0.take(512).read_to_end(&mut start).ok()?;
    let line = start.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    let line = String::from_utf8_lossy(line).into_owned();
    let mut words = line.split_whitespace();
    let interpreter = PathBuf::from(words.next()?);
    let argument = words.find(|word| !word.starts_with('-') && !word.contains('=')).map(str::to_owned);
    interpreter.is_absolute().then_some((interpreter, argument))
}

fn digest(path: &Path, snapshot: &StatSnapshot) -> Result<Digest, StepError> {
    let of = |path: &Path| snapshot.digest(path, &fs::metadata(path)?);
    of(path).map_err(|error| StepError::unreadable(path, &error).hint("correct `tools`"))
}

/// Returns the digest of all names and contents below a directory.
fn tree_digest(directory: &Path, snapshot: &StatSnapshot) -> Result<String, StepError> {
    let mut text = String::new();
    for path in files_below(directory, &|_| false)? {
        let place = path.below(directory);
        let target = fs::read_link(&place).map(|target| format!(" -> {}", target.display())).unwrap_or_default();
        // A link that leads nowhere counts by its text.
        let contents = if place.is_file() { digest(&place, snapshot)?.to_string() } else { String::new() };
        text.push_str(&format!("{path}{target} {contents} {}\n", is_program(&place)));
    }
    Ok(Digest::of(text.as_bytes()).to_string())
}

/// Returns the identity of the set of installed packages; `None` on a system that keeps it elsewhere.
fn packages(snapshot: &StatSnapshot) -> Option<String> {
    let place = PACKAGES.iter().map(Path::new).find(|path| path.exists())?;
    if !place.is_dir() {
        return Some(snapshot.digest(place, &fs::metadata(place).ok()?).ok()?.to_string());
    }
    let entries = fs::read_dir(place).ok()?.flatten();
    let mut names: Vec<String> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    Some(Digest::of(names.join("\n").as_bytes()).to_string())
}

#[cfg(unix)]
fn link(target: &Path, place: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, place)
}

#[cfg(not(unix))]
fn link(target: &Path, place: &Path) -> io::Result<()> {
    fs::copy(target, place).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_found() {
        for (line, name) in [
            ("sh: 1: mygen: not found", Some("mygen")),
            ("sh: line 3: mygen: command not found", Some("mygen")),
            ("/usr/bin/env: 'python3': No such file or directory", Some("python3")),
            ("env: ‘python3’: No such file or directory", Some("python3")),
            ("xargs: mygen: No such file or directory", Some("mygen")),
            ("timeout: failed to run command 'mygen': No such file or directory", Some("mygen")),
            ("make: mygen: No such file or directory", Some("mygen")),
            ("exec: \"mygen\": executable file not found in $PATH", Some("mygen")),
            ("cat: in: No such file or directory", None),
            ("page: not found here", None),
            ("sh: 1: ./gen: not found", None),
            ("x: it is: not found", None),
        ] {
            assert_eq!(not_found_in(line), name, "{line}");
        }
    }

    /// Interpreters count with the script: by path, by name through `env`, and those of interpreters.
    #[test]
    fn interpreters_are_followed() {
        use std::os::unix::fs::PermissionsExt;
        let place = std::env::temp_dir().join(format!("rondel-tools-{}", std::process::id()));
        fs::create_dir_all(&place).unwrap();
        let write = |name: &str, text: &str| {
            fs::write(place.join(name), text).unwrap();
            fs::set_permissions(place.join(name), fs::Permissions::from_mode(0o755)).unwrap();
        };
        write("gen", "#!/usr/bin/env -S inner -x\n");
        write("inner", &format!("#!{}/deepest\n", place.display()));
        write("deepest", "machine code");
        let path = place.display().to_string();
        let snapshot = StatSnapshot::open(&place.join("snapshot"));
        let identities = || {
            let tools = Tools::find(&["gen".to_owned()], None, &path, Path::new("/")).unwrap();
            assert!(tools.programs.contains_key("inner") && !tools.programs.contains_key("deepest"));
            tools.identities(&snapshot).unwrap()
        };
        let first = identities();
        for name in ["gen", "inner", "deepest"] {
            let text = rondel_cas::read_text_at_most(&place.join(name), 1 << 20).unwrap();
            write(name, &format!("{text}# changed\n"));
            assert_ne!(identities(), first, "{name} does not count");
            write(name, &text);
            assert_eq!(identities(), first);
        }
        let error = Tools::find(&["absent".to_owned()], None, &path, Path::new("/")).unwrap_err();
        assert_eq!(error.to_string(), "`absent` was not found on PATH");
        fs::remove_dir_all(&place).unwrap();
    }
}
