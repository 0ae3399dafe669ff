//! Puts outputs in their places, whole, and nothing of the user's away.
//!
//! What stands in a place and is not as Rondel left it (`strangers`) is refused, or kept in `.rondel/kept` with a word.
//! Old outputs stay until new ones replace them, in one system call where there is one.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rondel_cas::{Digest, Entry, OutputEntry, RelativePath, copy_file, remove_tree, sweep_abandoned};

use crate::action::{ActionSpec, OutputKind, OutputSpec};
use crate::context::StepContext;
use crate::entries::{set_bits, wanted_bits};
use crate::error::StepError;
use crate::former::Former;
use crate::graph::Node;
use crate::kept::keep_stranger;
use crate::manifest::Manifest;
use crate::moving::{beside, can_copy_instead, exchange, fill_directory, make_movable, move_tree};
use crate::own_writes::Reach;
use crate::placed::{Change, Owner};
use crate::step::TreeAccess;
use crate::strangers::{Stranger, joined, lost, strangers};
use crate::workspace::Workspace;

/// Directory of default outputs. Caches of a CI bring it back without Rondel's record.
const DEFAULT_OUTPUTS: &str = "dist/";

/// Complete outputs in a staging directory.
pub(crate) struct Staged<'a> {
    pub spec: &'a ActionSpec,
    pub directory: &'a Path,
    pub outputs: &'a [OutputEntry],
    /// The key that they are the result of, if there is one.
    pub action: Option<Digest>,
}

/// Returns true for Rondel's own directory: what stands there is nobody else's.
pub(crate) fn is_internal(destination: &RelativePath) -> bool {
    destination.as_str().starts_with(".rondel/")
}

/// Returns the contents of one output.
pub(crate) fn manifest(output: &OutputSpec, outputs: &[OutputEntry]) -> Manifest {
    let own = outputs.iter().filter(|entry| output.holds(&entry.path));
    let below =
        |entry: &OutputEntry| entry.path.as_str()[output.name.as_str().len()..].trim_start_matches('/').to_owned();
    own.map(|entry| (below(entry), entry.entry.clone())).collect()
}

/// Moves all declared outputs from the staging directory to their destinations. Refuses before it touches anything.
/// `former` has the former outputs of a step that made its outputs in the tree.
pub(crate) fn place(
    node: &Node,
    context: &StepContext<'_>,
    staged: &Staged<'_>,
    former: Option<&mut Former<'_>>,
) -> Result<(), StepError> {
    let workspace = context.workspace;
    let places: Vec<PathBuf> =
        staged.spec.outputs.iter().map(|output| output.destination.below(&workspace.root)).collect();
    let reach = Reach::of_outputs(&workspace.root, places.iter().map(PathBuf::as_path));
    workspace.own_writes.during(reach, || place_all(node, context, staged, former))
}

fn place_all(
    node: &Node,
    context: &StepContext<'_>,
    staged: &Staged<'_>,
    mut former: Option<&mut Former<'_>>,
) -> Result<(), StepError> {
    let workspace = context.workspace;
    let owner = Owner::new(&workspace.build_file, &node.key);
    let mut manifests = Vec::with_capacity(staged.spec.outputs.len());
    let mut to_keep = Vec::new();
    for output in &staged.spec.outputs {
        let manifest = manifest(output, staged.outputs);
        prepare_parent(workspace, output)?;
        if !is_internal(&output.destination) {
            let mut found = strangers(workspace, &output.destination.below(&workspace.root), &output.destination)?;
            found.extend(former.iter_mut().flat_map(|former| former.take_strangers(&output.destination)));
            let found = lost(found, &manifest);
            refuse(output, &manifest, &found)?;
            to_keep.extend(found.into_iter().map(|stranger| (&output.destination, stranger)));
        }
        manifests.push(manifest);
    }
    let all: Vec<(&RelativePath, &Manifest)> = (staged.spec.outputs.iter().zip(&manifests))
        .map(|(output, manifest)| (&output.destination, manifest))
        .filter(|(destination, _)| !is_internal(destination))
        .collect();
    let intend = all.iter().map(|&(destination, manifest)| Change::Intend { destination, owner: &owner, manifest });
    record(workspace, &intend.collect::<Vec<_>>())?;
    for (destination, stranger) in to_keep {
        keep_stranger(context, destination, &stranger)?;
    }
    for (output, manifest) in staged.spec.outputs.iter().zip(&manifests) {
        let (from, to) = (output.name.below(staged.directory), output.destination.below(&workspace.root));
        let outcome = match output.kind {
            OutputKind::File => replace_file(&from, &to, staged.directory),
            OutputKind::Directory => replace_directory(&from, &to, manifest),
        };
        outcome.map_err(|source| StepError::unwritable(&to, &source))?;
    }
    let action = staged.action;
    let settle =
        all.iter().map(|&(destination, manifest)| Change::Settle { destination, owner: &owner, action, manifest });
    record(workspace, &settle.collect::<Vec<_>>())
}

/// Records outputs that stand as they should and are not recorded: a checkout or a cache brought them.
pub(crate) fn adopt(
    node: &Node,
    workspace: &Workspace,
    spec: &ActionSpec,
    action: Option<Digest>,
    outputs: &[OutputEntry],
) -> io::Result<()> {
    let mut owned = None;
    for output in spec.outputs.iter().filter(|output| !is_internal(&output.destination)) {
        let owner = owned.get_or_insert_with(|| Owner::new(&workspace.build_file, &node.key));
        let destination = &output.destination;
        if action.is_none() || !workspace.placed.is_settled(destination, owner, action) {
            let manifest = manifest(output, outputs);
            workspace.placed.record(&[Change::Settle { destination, owner, action, manifest: &manifest }])?;
        }
    }
    Ok(())
}

fn record(workspace: &Workspace, changes: &[Change<'_>]) -> Result<(), StepError> {
    workspace.placed.record(changes).map_err(|source| StepError::unwritable(&workspace.state, &source))
}

/// Makes the directory of an output, and checks that no link leads it out of the workspace.
fn prepare_parent(workspace: &Workspace, output: &OutputSpec) -> Result<(), StepError> {
    let to = output.destination.below(&workspace.root);
    let parent = to.parent().expect("below the root");
    fs::create_dir_all(parent).map_err(|source| StepError::unwritable(parent, &source))?;
    check_inside(workspace, parent)
}

/// A link planted in the way (`dist` -> `/etc`) must not lead outputs out of the workspace.
fn check_inside(workspace: &Workspace, parent: &Path) -> Result<(), StepError> {
    let unreadable = |path: &Path| {
        let path = path.to_owned();
        move |source: io::Error| StepError::unreadable(&path, &source)
    };
    let root = workspace.root.canonicalize().map_err(unreadable(&workspace.root))?;
    let real = parent.canonicalize().map_err(unreadable(parent))?;
    if real.starts_with(&root) {
        return Ok(());
    }
    let message = format!("`{}` leads out of the workspace, to `{}`", parent.display(), real.display());
    Err(StepError::failed(message).hint("remove the symbolic link, or give the output another path"))
}

/// Refuses to remove files of others from an output directory, or to put a directory in the place of a file of others.
/// A file that the step makes too is kept instead: a checkout brings generated files that are committed. So is all below
/// `dist`.
fn refuse(output: &OutputSpec, manifest: &Manifest, lost: &[Stranger]) -> Result<(), StepError> {
    let destination = &output.destination;
    let is_kept = |stranger: &Stranger| {
        let made = manifest.get(&stranger.below);
        stranger.was_ours || made.is_some_and(|entry| !matches!(entry, Entry::Directory { .. }))
    };
    let mut foreign = lost.iter().filter(|stranger| !is_kept(stranger));
    if destination.as_str().starts_with(DEFAULT_OUTPUTS) {
        return Ok(());
    }
    let Some(first) = foreign.next() else { return Ok(()) };
    if first.below.is_empty() {
        let message = format!("`{destination}` is a file that Rondel did not make, and an output of this step");
        return Err(StepError::failed(message).hint("move it away, or give the target another output"));
    }
    let more = match foreign.count() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let message = format!(
        "`{destination}` is an output of this step, and holds what neither Rondel nor the step made: `{}`{more}",
        joined(destination, &first.below)
    );
    Err(StepError::failed(message)
        .hint("nothing was changed; move the files away, or give the target a directory of its own"))
}

fn replace_file(from: &Path, to: &Path, staging: &Path) -> io::Result<()> {
    if fs::symlink_metadata(to).is_ok_and(|metadata| metadata.is_dir()) {
        let aside = staging.join(".rondel-former");
        remove_tree(&aside);
        move_tree(to, &aside)?;
    }
    // Swapped, not replaced: ext4 writes a file to the disk before it lets it replace another, 6 ms for one of 10 MB. The
    // former file goes with the staging directory.
    if fs::symlink_metadata(to).is_ok_and(|metadata| metadata.is_file()) && exchange(from, to).is_ok() {
        return Ok(());
    }
    match fs::rename(from, to) {
        Err(error) if can_copy_instead(&error) => {}
        outcome => return outcome,
    }
    let near = near(to);
    let outcome = copy_file(from, &near).and_then(|_| match fs::rename(&near, to) {
        // A file system of one file, as containers get: it can only be written in place.
        Err(error) if can_copy_instead(&error) => copy_file(from, to).map(drop),
        outcome => outcome,
    });
    remove_tree(&near);
    outcome
}

/// Returns a temporary path beside `to`, after removing those of dead processes.
fn near(to: &Path) -> PathBuf {
    if let Some(parent) = to.parent() {
        sweep_abandoned(parent);
    }
    beside(to)
}

fn replace_directory(from: &Path, to: &Path, manifest: &Manifest) -> io::Result<()> {
    make_movable(from);
    make_movable(to);
    if fs::symlink_metadata(to).is_err() {
        move_tree(from, to)?;
    } else if exchange(from, to).is_err() {
        replace_by_steps(from, to)?;
    }
    let wanted = manifest.get("").and_then(wanted_bits).unwrap_or(0o755);
    // A mount point may have permissions that can't be changed.
    let _ = set_bits(to, wanted);
    Ok(())
}

/// Replaces a directory on another file system, or on one without an exchange, where the place is empty for a moment.
/// A mount point gets new contents, file by file.
fn replace_by_steps(from: &Path, to: &Path) -> io::Result<()> {
    let new = near(to);
    move_tree(from, &new)?;
    let replaced = if exchange(&new, to).is_ok() {
        Ok(())
    } else {
        let old = beside(to);
        match fs::rename(to, &old) {
            Err(error) if can_copy_instead(&error) && to.is_dir() => fill_directory(&new, to),
            Err(error) => Err(error),
            Ok(()) => {
                let renamed = fs::rename(&new, to).inspect_err(|_| drop(fs::rename(&old, to)));
                remove_tree(&old);
                renamed
            }
        }
    };
    remove_tree(&new);
    replaced
}

/// Reads what stands in the places of the outputs while the step runs, so that nobody waits for it afterwards.
pub(crate) fn look_at_former(workspace: &Workspace, node: &Node, spec: &ActionSpec) {
    if node.step.tree_access() != TreeAccess::MakesOutputs {
        for output in spec.outputs.iter().filter(|output| !is_internal(&output.destination)) {
            let _ = strangers(workspace, &output.destination.below(&workspace.root), &output.destination);
        }
    }
}
