//! Where the licence texts of modules lie: in the module cache, in `vendor`, beside go.mod.
//!
//! The hash of a module in go.sum decides its texts, and go.sum is in the key: so the module cache is looked at after it was
//! checked against go.sum. What lies in the tree is an input by itself.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rondel_cas::{SMALL_MAX, TEXT_MAX, read_at_most, read_text_at_most};
use rondel_engine::{StepContext, StepError};
use rondel_evidence::{is_licence_file, licence_of_files};

use crate::build_info::ModuleVersion;
use crate::go_mod::GoMod;
use crate::module_download::{check_modules, download};
use crate::published::escaped;
use crate::support::GoSupport;

/// Returns the licence files of a directory, sorted. A directory that is not there has none.
pub(crate) fn licence_files(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut files = Vec::new();
    for entry in entries {
        let entry = entry?;
        let is_named = entry.file_name().to_str().is_some_and(is_licence_file);
        if is_named && entry.path().is_file() {
            files.push(entry.path());
        }
    }
    files.sort();
    Ok(files)
}

/// Returns the licence that some files say.
fn licence_of(files: &[PathBuf]) -> Result<Option<String>, StepError> {
    let mut texts = Vec::new();
    for file in files {
        texts.push(read_at_most(file, SMALL_MAX).map_err(|error| StepError::unreadable(file, &error))?);
    }
    Ok(licence_of_files(texts.iter().map(Vec::as_slice)))
}

impl GoSupport {
    /// Returns the licence files of the module itself: beside go.mod, or where the project begins.
    pub(crate) fn own_licence_files(&self) -> Result<Vec<PathBuf>, StepError> {
        for directory in [&self.module, &self.root] {
            let files = licence_files(directory).map_err(|error| StepError::unreadable(directory, &error))?;
            if !files.is_empty() {
                return Ok(files);
            }
        }
        Ok(Vec::new())
    }

    /// Returns the directory `vendor` that the go command takes packages from.
    fn vendor(&self) -> Option<PathBuf> {
        let file = self.go_work.clone().unwrap_or_else(|| self.module.join("go.mod"));
        self.is_vendored().then(|| file.with_file_name("vendor"))
    }

    /// Returns the licence files of the modules in `vendor`.
    pub(crate) fn vendored_licence_files(&self) -> Result<Vec<PathBuf>, StepError> {
        let Some(vendor) = self.vendor() else { return Ok(Vec::new()) };
        let list = read_text_at_most(&vendor.join("modules.txt"), TEXT_MAX).unwrap_or_default();
        let mut files = Vec::new();
        for path in list.lines().filter_map(|line| line.strip_prefix("# ")?.split(' ').next()) {
            // A name of the list leads nowhere else.
            if Path::new(path).components().all(|part| matches!(part, std::path::Component::Normal(_))) {
                let directory = vendor.join(path);
                files.extend(licence_files(&directory).map_err(|error| StepError::unreadable(&directory, &error))?);
            }
        }
        Ok(files)
    }

    /// Returns the licences of modules by `path@version`. Those that go.sum does not list have none: nothing holds their
    /// texts to the key.
    pub(crate) fn licences_of(
        &self,
        modules: &BTreeSet<(String, String)>,
        sums: &BTreeMap<String, String>,
        context: &StepContext<'_>,
    ) -> Result<BTreeMap<String, Option<String>>, StepError> {
        let mut licences = BTreeMap::new();
        if let Some(vendor) = self.vendor() {
            for (path, version) in modules {
                let directory = vendor.join(path);
                let files = licence_files(&directory).map_err(|error| StepError::unreadable(&directory, &error))?;
                licences.insert(format!("{path}@{version}"), licence_of(&files)?);
            }
            return Ok(licences);
        }
        let cache = &self.directories.module_cache;
        let place = |path: &str, version: &str| cache.join(format!("{}@{}", escaped(path), escaped(version)));
        let is_pinned = |(path, version): &&(String, String)| sums.contains_key(&format!("{path}@{version}"));
        let modules: Vec<(&(String, String), PathBuf)> =
            modules.iter().filter(is_pinned).map(|module| (module, place(&module.0, &module.1))).collect();
        // The executable may come from the cache, and the modules may never have been here.
        if modules.iter().any(|(_, directory)| !directory.is_dir()) {
            download(self, context)?;
        }
        let directories: BTreeSet<PathBuf> = modules.iter().map(|(_, directory)| directory.clone()).collect();
        if let Some(((path, version), _)) = modules.iter().find(|(_, directory)| !directory.is_dir()) {
            return Err(StepError::environment(format!(
                "the licence of {path}@{version} is not known: the module is not in the module cache"
            ))
            .hint("it is fetched where the module proxy can be reached; without `sbom` it is not needed"));
        }
        check_modules(self, context, &directories)?;
        for ((path, version), directory) in &modules {
            let files = licence_files(directory).map_err(|error| StepError::unreadable(directory, &error))?;
            licences.insert(format!("{path}@{version}"), licence_of(&files)?);
        }
        Ok(licences)
    }

    /// Returns the path of the module itself, and its licence.
    pub(crate) fn own_licence(&self) -> Result<(Option<String>, Option<String>), StepError> {
        let text = read_text_at_most(&self.module.join("go.mod"), TEXT_MAX).unwrap_or_default();
        Ok((GoMod::parse(&text).module, licence_of(&self.own_licence_files()?)?))
    }
}

/// Returns the name under which a module's licence is known.
pub(crate) fn name_of(module: &ModuleVersion) -> String {
    format!("{}@{}", module.path, module.version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn licence_files_of_a_directory() {
        let directory = std::env::temp_dir().join(format!("rondel-licences-{}", std::process::id()));
        fs::create_dir_all(directory.join("LICENSES")).unwrap();
        fs::create_dir_all(directory.join("LICENSE.d")).unwrap();
        for name in ["LICENSE", "COPYING.md", "README", "license.go"] {
            fs::write(directory.join(name), "x").unwrap();
        }
        let files = licence_files(&directory).unwrap();
        let names: Vec<_> = files.iter().map(|file| file.file_name().unwrap().to_str().unwrap()).collect();
        assert_eq!(names, ["COPYING.md", "LICENSE"]);
        fs::remove_dir_all(&directory).unwrap();
        assert!(licence_files(&directory).unwrap().is_empty());
    }
}
