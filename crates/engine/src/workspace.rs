//! `Workspace`: the directories of a build, and its stores.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rondel_cas::{
    Cache, KeepAlive, STORE_FORMAT, Store, claim_cache, sweep_abandoned, temporary_name, write_atomically,
};
use rondel_names::{Platform, TargetName};
use rondel_tree::{StatSnapshot, process_umask};

use crate::own_writes::{OwnWrites, Reach};
use crate::placed::Placed;

/// The targets of the build file, each with its platforms if it has a fixed list of them.
pub type DeclaredTargets = BTreeMap<TargetName, Option<BTreeSet<Platform>>>;

use crate::error::UserError;
use crate::ownership::write_hint;
use crate::state_directory::{claim, not_own};

/// Directories and stores of a build.
pub struct Workspace {
    /// Directory of build.ron; outputs are below it.
    pub root: PathBuf,
    /// `.rondel` below the root. It may be deleted at any time.
    pub state: PathBuf,
    /// The user's cache directory, shared by all workspaces.
    pub cache: PathBuf,
    /// Results of actions, and their blobs.
    pub results: Cache,
    /// The files of that store, for its maintenance.
    pub store: Store,
    /// Digests of unchanged files.
    pub snapshot: StatSnapshot,
    /// Extra variables for every process. Empty except in `verify`'s second build.
    pub perturbation: Vec<(String, String)>,
    /// The `.rondel` whose slots of pools are taken: that of the tree itself, for a copy of it.
    pub pool_locks: PathBuf,
    /// Name of the build file in `root`: outputs belong to the targets of one file.
    pub build_file: String,
    /// Its targets; `None` if they are not known. What others placed may be outdated.
    pub declared: Option<DeclaredTargets>,
    /// What Rondel placed.
    pub(crate) placed: Placed,
    /// Rondel's own writes in the tree: of steps there, and of outputs that are put there.
    pub(crate) own_writes: OwnWrites,
}

impl Workspace {
    /// Opens the workspace at `root` with the stores below `cache`. Writes nothing.
    pub fn open(root: &Path, cache: &Path) -> Workspace {
        let state = root.join(".rondel");
        let store = cache.join(STORE_FORMAT);
        let placed = Placed::open(&state);
        process_umask();
        Workspace {
            root: root.to_owned(),
            snapshot: StatSnapshot::open(&state.join("snapshot")),
            results: Cache::disk(&store),
            store: Store::new(&store),
            cache: cache.to_owned(),
            pool_locks: state.clone(),
            state,
            perturbation: Vec::new(),
            build_file: "build.ron".to_owned(),
            declared: None,
            placed,
            own_writes: OwnWrites::default(),
        }
    }

    /// Makes `.rondel`, which ignores itself in git, and removes the leftovers of dead processes.
    ///
    /// Fails if `.rondel` or the cache is a link or another user's, or if `.rondel` can't be written.
    pub fn prepare(&self) -> Result<(), UserError> {
        claim(&self.state)?;
        claim_cache(&self.cache).map_err(|error| not_own(&error))?;
        let ignore = self.state.join(".gitignore");
        if !ignore.exists() {
            write_atomically(&self.scratch(), &ignore, b"*\n").map_err(|error| {
                UserError::environment(format!("failed to write `{}`: {error}", ignore.display()))
                    .hint(write_hint(&self.state))
            })?;
        }
        for directory in [self.scratch(), self.state.join("staging")] {
            sweep_abandoned(&directory);
        }
        self.snapshot.ask_clock_in(&self.scratch());
        Ok(())
    }

    /// Renews the unfinished files of this process until the value is dropped: other machines may share the directories.
    pub fn keep_alive(&self) -> KeepAlive {
        let store = self.cache.join(STORE_FORMAT);
        KeepAlive::of(vec![
            store.join("running"),
            store.join("tmp"),
            self.cache.join("verify"),
            self.cache.join("go/toolchains"),
            self.scratch(),
            self.state.join("staging"),
        ])
    }

    /// Returns the directory for unfinished state files.
    pub fn scratch(&self) -> PathBuf {
        self.state.join("tmp")
    }

    /// Records that Rondel itself changes names in the source tree.
    pub(crate) fn note_tree_write(&self) {
        self.own_writes.note(Reach::Everything);
    }

    /// Does `work`, during which a step may write in the tree.
    pub(crate) fn while_writing_in_tree<T>(&self, work: impl FnOnce() -> T) -> T {
        self.own_writes.during(Reach::Everything, work)
    }

    /// Makes an empty directory in the workspace's own file system, so that its contents can be renamed into place.
    pub fn new_staging(&self) -> io::Result<PathBuf> {
        let directory = self.state.join("staging");
        fs::create_dir_all(&directory)?;
        loop {
            let path = directory.join(temporary_name());
            match fs::create_dir(&path) {
                Ok(()) => return Ok(path),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }
}
