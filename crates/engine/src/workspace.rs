//! `Workspace`: the directories that a build works in, and its stores.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rondel_cas::{Cache, STORE_FORMAT, Store, sweep_abandoned, temporary_name, write_atomically};
use rondel_tree::StatSnapshot;

/// Where everything is.
pub struct Workspace {
    /// Directory of build.ron; outputs are below it.
    pub root: PathBuf,
    /// `.rondel` below it: what may be deleted at any time.
    pub state: PathBuf,
    /// The user's cache directory, shared by all workspaces.
    pub cache: PathBuf,
    /// Results of actions, and their blobs.
    pub results: Cache,
    /// The files of that store, for those who look after them.
    pub store: Store,
    /// Digests of files that did not change.
    pub snapshot: StatSnapshot,
    /// Extra variables for every process. Empty except in `verify`'s second build.
    pub perturbation: Vec<(String, String)>,
    /// How often Rondel itself did something in the source tree: a step there ended, an output was put there.
    tree_writes: AtomicU64,
    /// Steps that may be writing there now.
    tree_writers: AtomicU64,
}

impl Workspace {
    /// Opens the workspace at `root` with the stores below `cache`. Writes nothing.
    pub fn open(root: &Path, cache: &Path) -> Workspace {
        let state = root.join(".rondel");
        let store = cache.join(STORE_FORMAT);
        Workspace {
            root: root.to_owned(),
            snapshot: StatSnapshot::open(&state.join("snapshot")),
            state,
            results: Cache::disk(&store),
            store: Store::new(&store),
            cache: cache.to_owned(),
            perturbation: Vec::new(),
            tree_writes: AtomicU64::new(0),
            tree_writers: AtomicU64::new(0),
        }
    }

    /// Makes `.rondel`, which ignores itself in git, and sweeps what dead processes left in it.
    pub fn prepare(&self) -> io::Result<()> {
        fs::create_dir_all(&self.state)?;
        let ignore = self.state.join(".gitignore");
        if !ignore.exists() {
            write_atomically(&self.scratch(), &ignore, b"*\n")?;
        }
        for directory in [self.scratch(), self.state.join("staging")] {
            sweep_abandoned(&directory);
        }
        self.snapshot.ask_clock_in(&self.scratch());
        Ok(())
    }

    /// Where files of the state are written before they get their names.
    pub fn scratch(&self) -> PathBuf {
        self.state.join("tmp")
    }

    /// Something of Rondel's own changes names in the source tree.
    pub(crate) fn note_tree_write(&self) {
        self.tree_writes.fetch_add(1, Ordering::SeqCst);
    }

    /// A step runs that may do so.
    pub(crate) fn while_writing_in_tree<T>(&self, work: impl FnOnce() -> T) -> T {
        self.tree_writers.fetch_add(1, Ordering::SeqCst);
        let outcome = work();
        self.note_tree_write();
        self.tree_writers.fetch_sub(1, Ordering::SeqCst);
        outcome
    }

    /// A number to be held against later.
    pub(crate) fn tree_writes(&self) -> u64 {
        self.tree_writes.load(Ordering::SeqCst)
    }

    /// Has nothing of Rondel's own changed names in the source tree since `tree_writes` was this?
    pub(crate) fn left_tree_alone_since(&self, tree_writes: u64) -> bool {
        self.tree_writers.load(Ordering::SeqCst) == 0 && self.tree_writes() == tree_writes
    }

    /// A new empty directory in the workspace's own file system, so that what is made there can be renamed
    /// into place.
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
