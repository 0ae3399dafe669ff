//! `Scratch`: the directory that a bundle is proven and rebuilt in: sources, a cache of its own, an empty home. Removed when
//! dropped.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rondel_cas::{RelativePath, TemporaryDirectory, sweep_abandoned};
use rondel_golang::GoDirectories;

use super::description::{GO, IMAGES, MODULES, SOURCE};
use crate::exit::Failure;
use crate::session::ProcessContext;
use crate::tree_copy::TreeCopy;

/// The directory, and the places in it.
pub(super) struct Scratch {
    directory: TemporaryDirectory,
}

impl Scratch {
    /// Makes one in the user's cache directory.
    pub fn make(cache: &Path) -> Result<Scratch, Failure> {
        let all = cache.join(TreeCopy::PLACE);
        let make = || -> io::Result<Scratch> {
            sweep_abandoned(&all);
            let scratch = Scratch { directory: TemporaryDirectory::new_in(&all)? };
            for directory in [scratch.home(), scratch.programs(), scratch.go().module_cache.join("cache")] {
                fs::create_dir_all(directory)?;
            }
            Ok(scratch)
        };
        make().map_err(|error| {
            Failure::environment(format!("failed to write below `{}`: {error}", all.display()))
                .hint("a bundle needs room for the sources, a toolchain, and a cold build")
        })
    }

    fn place(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn source(&self) -> PathBuf {
        self.place("source")
    }

    pub fn cache(&self) -> PathBuf {
        self.place("cache")
    }

    /// Returns the place of the blobs of images, before they are in the store.
    pub fn images(&self) -> PathBuf {
        self.place("images")
    }

    pub fn go(&self) -> GoDirectories {
        GoDirectories::below(&self.cache())
    }

    /// Returns the place of downloaded modules.
    pub fn modules(&self) -> PathBuf {
        downloads(&self.go())
    }

    fn home(&self) -> PathBuf {
        self.place("home")
    }

    /// Returns an empty directory: no program of the machine takes part.
    fn programs(&self) -> PathBuf {
        self.place("programs")
    }

    /// Returns the place of a file of a bundle.
    pub fn place_of(&self, name: &RelativePath) -> Option<PathBuf> {
        let (place, rest) = name.as_str().split_once('/')?;
        let images = IMAGES.split_once('/').map_or(IMAGES, |(first, _)| first);
        match place {
            GO => {
                let (sdk, path) = rest.split_once('/')?;
                Some(self.go().toolchains.join(sdk).join("sdk").join(path))
            }
            MODULES => Some(self.modules().join(rest)),
            SOURCE => Some(self.source().join(rest)),
            place if place == images => Some(self.images().join(rest.rsplit('/').next()?)),
            _ => None,
        }
    }

    /// Returns the surroundings of a build here: nothing of the caller's but what `environment` says.
    pub fn context(&self, caller: &ProcessContext, environment: &BTreeMap<String, String>) -> ProcessContext {
        let text = |path: PathBuf| path.display().to_string();
        let mut own = environment.clone();
        own.extend([
            ("HOME".to_owned(), text(self.home())),
            ("PATH".to_owned(), text(self.programs())),
            ("RONDEL_CACHE_DIR".to_owned(), text(self.cache())),
            // A loaded image would replace one of the user's.
            ("DOCKER_HOST".to_owned(), "unix:///nonexistent/rondel-bundle.sock".to_owned()),
        ]);
        ProcessContext {
            arguments: Vec::new(),
            environment: own,
            directory: self.source(),
            program: caller.program.clone(),
        }
    }
}

/// Returns the place of downloaded modules in a module cache.
pub(super) fn downloads(go: &GoDirectories) -> PathBuf {
    go.module_cache.join("cache/download")
}
