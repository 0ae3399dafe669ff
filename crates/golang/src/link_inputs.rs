//! `CFlags`: the flags of `#cgo` lines, as far as they name files and directories.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::local_modules::lexically;

/// Flags of the C compilers and the linker that name files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CFlags {
    /// Directories of headers.
    pub includes: Vec<PathBuf>,
    /// Directories of libraries.
    pub libraries: Vec<PathBuf>,
    /// Names of libraries, without `lib`; with a colon before them, names of files.
    pub names: Vec<String>,
    /// Files that are named as they are.
    pub files: Vec<PathBuf>,
}

impl CFlags {
    /// Reads flags. Relative paths are relative to `directory`, in which the compilers run.
    pub fn parse<'a>(flags: impl IntoIterator<Item = &'a str>, directory: &Path) -> CFlags {
        const INCLUDES: &[&str] = &["-isystem", "-iquote", "-idirafter", "-I", "-F", "--sysroot=", "-B"];
        const FILES: &[&str] = &["-include", "-imacros", "-T", "@", "-fplugin="];
        let mut found = CFlags::default();
        let mut flags = flags.into_iter().peekable();
        let place = |text: &str| lexically(&directory.join(text));
        while let Some(flag) = flags.next() {
            let mut operand = |prefix: &&str| {
                let rest = flag.strip_prefix(prefix)?.trim_start_matches('=').trim();
                if rest.is_empty() { flags.next().map(str::to_owned) } else { Some(rest.to_owned()) }
            };
            if let Some(path) = INCLUDES.iter().find_map(&mut operand) {
                found.includes.push(place(&path));
            } else if let Some(path) = operand(&"-L") {
                found.libraries.push(place(&path));
            } else if let Some(name) = operand(&"-l") {
                found.names.push(name);
            } else if let Some(path) = FILES.iter().find_map(&mut operand) {
                found.files.push(place(&path));
            } else {
                // A file of its own, or one inside a flag such as `-Wl,--version-script=x`.
                let parts = flag.split([',', '=']).filter(|part| !part.is_empty() && !part.starts_with('-'));
                found.files.extend(parts.map(place).filter(|path| path.is_file()));
                if !flag.starts_with('-') {
                    found.files.push(place(flag));
                }
            }
        }
        found
    }

    /// Returns the files that the linker reads in directories for which `is_local` holds, and paths that it would read if
    /// they existed.
    pub fn link_inputs(&self, is_local: &dyn Fn(&Path) -> bool) -> (BTreeSet<PathBuf>, BTreeSet<PathBuf>) {
        let mut candidates: BTreeSet<PathBuf> = self.files.iter().cloned().collect();
        for directory in self.libraries.iter().filter(|directory| is_local(directory)) {
            for name in &self.names {
                match name.strip_prefix(':') {
                    Some(file) => candidates.extend([directory.join(file)]),
                    None => {
                        let names = ["a", "so", "dylib", "lib", "dll.a"].map(|ending| format!("lib{name}.{ending}"));
                        candidates.extend(names.map(|name| directory.join(name)));
                    }
                }
            }
            // What a library needs in turn, or a script of the linker names.
            let entries = fs::read_dir(directory).into_iter().flatten().flatten();
            candidates.extend(entries.map(|entry| entry.path()).filter(|path| is_library(path) && path.is_file()));
        }
        candidates.into_iter().partition(|path| path.is_file())
    }
}

/// Returns true for names that linkers look for.
fn is_library(path: &Path) -> bool {
    const ENDINGS: &[&str] = &["a", "o", "so", "dylib", "tbd", "lib", "dll", "ld", "lds", "def", "map"];
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("");
    name.contains(".so.") || name.rsplit_once('.').is_some_and(|(_, ending)| ENDINGS.contains(&ending))
}

/// Returns the directory that `-I…` or `-L…` names absolutely.
pub(crate) fn c_directory(flag: &str) -> Option<PathBuf> {
    let path = flag.strip_prefix("-I").or_else(|| flag.strip_prefix("-L")).or_else(|| flag.strip_prefix("-isystem"))?;
    Some(PathBuf::from(path.trim())).filter(|path| path.is_absolute())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_that_name_files() {
        let flags =
            ["-Iinc", "-I", "/abs/inc", "-isystem", "sys", "-L../lib", "-lfoo", "-l:libbar.a", "-include", "pre.h"];
        let found = CFlags::parse(flags.into_iter().chain(["/m/p/lib.a", "-Wall"]), Path::new("/m/p"));
        let paths = |texts: &[&str]| texts.iter().map(PathBuf::from).collect::<Vec<_>>();
        assert_eq!(found.includes, paths(&["/m/p/inc", "/abs/inc", "/m/p/sys"]));
        assert_eq!(found.libraries, paths(&["/m/lib"]));
        assert_eq!(found.names, ["foo", ":libbar.a"]);
        assert_eq!(found.files, paths(&["/m/p/pre.h", "/m/p/lib.a"]));
    }
}
