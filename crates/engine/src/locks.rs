//! Locks: steps that must not run side by side, in this process or in any other process of this workspace.
//!
//! They are locks on files in `.rondel/locks`. The system releases a lock when a process and all its children have
//! died. An orphan's late writes can't get into the results of the next run.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rondel_cas::open_regular;
use rondel_process::{Cancellation, inherit_lock, kill_lock_holders};

use crate::context::StepContext;
use crate::error::StepError;
use crate::graph::{Node, Pool};
use crate::step_key::StepKey;
use crate::workspace::Workspace;

/// Interval at which a waiter tries a held lock again.
const POLL_INTERVAL: Duration = Duration::from_millis(20);
/// Interval at which a waiter checks for orphaned lock holders. Orphans have as long to end by themselves.
const ORPHAN_CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// A lock, held until this is dropped.
pub struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // Surviving children have the lock too: closing the file would leave it to them.
        let _ = self.0.unlock();
    }
}

impl StepContext<'_> {
    /// Waits until no other Rondel of this workspace holds the lock `name`, which says what is done alone, and takes it. `None` where the file system
    /// has no locks.
    pub fn lock(&self, name: &str, what: &str) -> Result<Option<Lock>, StepError> {
        wait_for_one(&[lock_path(&self.workspace.state, "alone", name)], what, self)
    }

    /// Returns true if a living process of this workspace holds the lock `name`.
    pub fn is_locked(&self, name: &str) -> bool {
        let path = lock_path(&self.workspace.state, "alone", name);
        let Ok((file, _)) = open_regular(&path) else { return false };
        let is_held = matches!(file.try_lock(), Err(TryLockError::WouldBlock));
        // What a killed Rondel has left holds it too, until the next one that wants it ends that.
        is_held && kill_lock_holders(&path, false).is_empty()
    }
}

/// Returns the path of a lock. Steps and pools have separate directories, so that their names can't clash.
fn lock_path(state: &Path, of: &str, name: &str) -> PathBuf {
    state.join("locks").join(of).join(name)
}

/// Waits for other processes that run this step in this workspace, or place its outputs. Returns `None` where the file system has no locks.
pub(crate) fn lock_step(node: &Node, context: &StepContext<'_>) -> Result<Option<Lock>, StepError> {
    let path = lock_path(&context.workspace.state, "step", &node.key.file_name());
    wait_for_one(&[path], "another run of the same step in this workspace", context)
}

/// Locks a step if nobody has its lock; returns `None` otherwise.
pub(crate) fn try_lock_key(workspace: &Workspace, key: &StepKey) -> io::Result<Option<Lock>> {
    let path = lock_path(&workspace.state, "step", &key.file_name());
    std::fs::create_dir_all(path.parent().expect("below the state directory"))?;
    Ok(lock_one(&mut vec![File::create(path)?])?.map(Lock))
}

/// Locks a step of this file name that a killed run has left behind, and ends what is left of that run. Returns `None` if
/// a living process makes the step.
pub(crate) fn lock_abandoned(
    workspace: &Workspace,
    name: &str,
    cancellation: &Cancellation,
    warn: &dyn Fn(String),
) -> io::Result<Option<Lock>> {
    let path = lock_path(&workspace.state, "step", name);
    std::fs::create_dir_all(path.parent().expect("below the state directory"))?;
    let mut files = vec![File::create(&path)?];
    let begun = Instant::now();
    let mut last_check: Option<Instant> = None;
    while begun.elapsed() < 5 * ORPHAN_CHECK_INTERVAL && !cancellation.is_raised() {
        if let Some(file) = lock_one(&mut files)? {
            return Ok(Some(Lock(file)));
        }
        if last_check.is_none_or(|last_check| last_check.elapsed() > ORPHAN_CHECK_INTERVAL) {
            let ended = kill_lock_holders(&path, last_check.is_some());
            ended.iter().for_each(|pid| warn(format!("ending process {pid}, left behind by a killed run")));
            if ended.is_empty() && last_check.is_none() {
                return Ok(None);
            }
            last_check = Some(Instant::now());
        }
        std::thread::sleep(POLL_INTERVAL);
    }
    Ok(None)
}

/// Waits until fewer than `pool.depth` steps of the pool run.
pub(crate) fn acquire_pool_slot(pool: &Pool, context: &StepContext<'_>) -> Result<Option<Lock>, StepError> {
    let path = |place: usize| {
        lock_path(&context.workspace.pool_locks, "pool", &format!("{} {place}", pool.name.replace('/', "+")))
    };
    let places: Vec<PathBuf> = (0..pool.depth).map(path).collect();
    wait_for_one(&places, &format!("another step of the pool `{}`", pool.name), context)
}

/// Locks one of `paths`.
fn wait_for_one(paths: &[PathBuf], what: &str, context: &StepContext<'_>) -> Result<Option<Lock>, StepError> {
    let mut files = Vec::with_capacity(paths.len());
    for path in paths {
        let parent = path.parent().expect("below the state directory");
        std::fs::create_dir_all(parent).map_err(|source| StepError::unwritable(parent, &source))?;
        files.push(File::create(path).map_err(|source| StepError::unwritable(path, &source))?);
    }
    let mut announced = false;
    let mut last_check: Option<Instant> = None;
    loop {
        match lock_one(&mut files) {
            Ok(Some(file)) => {
                inherit_lock(&file);
                return Ok(Some(Lock(file)));
            }
            Ok(None) => {
                if context.cancellation.is_raised() {
                    return Err(StepError::Interrupted);
                }
                if !std::mem::replace(&mut announced, true) {
                    context.note(format!("waiting for {what}"));
                }
                if last_check.is_none_or(|last_check| last_check.elapsed() > ORPHAN_CHECK_INTERVAL) {
                    kill_orphaned_holders(paths, last_check.is_some(), context);
                    last_check = Some(Instant::now());
                }
                std::thread::sleep(POLL_INTERVAL);
            }
            Err(error) => {
                let path = paths[0].display();
                context.warn(format!("`{path}` can't be locked ({error}): don't run this step twice at once"));
                return Ok(None);
            }
        }
    }
}

/// Kills processes that a killed Rondel has left running: their results are never used.
fn kill_orphaned_holders(paths: &[PathBuf], kill: bool, context: &StepContext<'_>) {
    for pid in paths.iter().flat_map(|path| kill_lock_holders(path, kill)) {
        context.note(format!("ending process {pid}, left behind by a killed run"));
    }
}

fn lock_one(files: &mut Vec<File>) -> io::Result<Option<File>> {
    for place in 0..files.len() {
        match files[place].try_lock() {
            Ok(()) => return Ok(Some(files.swap_remove(place))),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
    Ok(None)
}
