//! Former outputs of a step that makes its outputs in the tree: out of its sight while it runs, back if it fails.
//!
//! `.rondel/former/<step>/list` names the outputs. It is on the disk before the first of them is moved beside it. The
//! step's lock is held meanwhile: who gets the lock and finds a list knows that its writer is dead, and puts the former
//! outputs back before anything else reads them. Nothing here is swept, since it may be the only copy.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use rondel_cas::{Digest, MEMORY_MAX, RelativePath, read_text_at_most, remove_tree};

use crate::action::{ActionSpec, OutputKind, OutputSpec};
use crate::context::StepContext;
use crate::entries::{everything_below, exact_entry, same_contents};
use crate::error::StepError;
use crate::graph::Node;
use crate::kept::{keep, keep_stranger};
use crate::manifest::Manifest;
use crate::moving::{beside, copy_tree, make_directory, move_tree};
use crate::placed::{Change, Owner};
use crate::record::{push_escaped, unescaped};
use crate::step::TreeAccess;
use crate::strangers::{Stranger, strangers};
use crate::workspace::Workspace;

/// Directory below `.rondel`.
const FORMER: &str = "former";

/// How the former outputs are put out of harm's way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    /// They are moved away: the step begins without them, so its result can't depend on them.
    Move,
    /// They are copied: for a step without a key, which finds the tree as it is.
    Copy,
}

/// The former outputs of a running step.
pub(crate) struct Former<'w> {
    workspace: &'w Workspace,
    directory: PathBuf,
    outputs: Vec<Saved>,
    method: Method,
}

struct Saved {
    destination: RelativePath,
    kind: OutputKind,
    existed: bool,
    /// Place of the former output.
    place: PathBuf,
    /// What of it was not as Rondel left it.
    strangers: Vec<Stranger>,
}

impl<'w> Former<'w> {
    /// Puts the present outputs away. The caller holds the step's lock.
    pub fn take(
        node: &Node,
        context: &StepContext<'w>,
        outputs: &[OutputSpec],
        method: Method,
    ) -> Result<Former<'w>, StepError> {
        let workspace = context.workspace;
        let directory = workspace.state.join(FORMER).join(node.key.file_name());
        let unwritable = |source: io::Error| StepError::unwritable(&directory, &source);
        recover(workspace, &directory, &|text| context.warn(text)).map_err(unwritable)?;
        let mut saved = Vec::new();
        for (index, output) in outputs.iter().enumerate() {
            let standing = output.destination.below(&workspace.root);
            let place = directory.join(index.to_string());
            let mut found = strangers(workspace, &standing, &output.destination)?;
            for stranger in &mut found {
                stranger.place = if stranger.below.is_empty() { place.clone() } else { place.join(&stranger.below) };
            }
            saved.push(Saved {
                destination: output.destination.clone(),
                kind: output.kind,
                existed: fs::symlink_metadata(&standing).is_ok(),
                place,
                strangers: found,
            });
        }
        let former = Former { workspace, directory: directory.clone(), outputs: saved, method };
        former.write_list().map_err(unwritable)?;
        let begun = workspace.while_writing_in_tree(|| former.save().and_then(|()| former.prepare_places()));
        if let Err((path, source)) = begun {
            former.put_back(context);
            return Err(StepError::unwritable(&path, &source));
        }
        Ok(former)
    }

    /// Writes the list, and waits until it is on the disk: after a power cut it must be there if anything was moved.
    fn write_list(&self) -> io::Result<()> {
        fs::create_dir_all(self.directory.parent().expect("below the state directory"))?;
        make_directory(&self.directory)?;
        let mut text = String::new();
        for output in &self.outputs {
            let kind = if output.kind == OutputKind::Directory { 'd' } else { 'f' };
            text.push_str(&format!("{kind}\t{}\t", if output.existed { "existed" } else { "new" }));
            push_escaped(&mut text, output.destination.as_str());
            text.push('\n');
        }
        text.push_str(&format!("# {}\n", Digest::of(text.as_bytes()).hex()));
        let unfinished = self.directory.join("list.new");
        let mut file = File::create(&unfinished)?;
        file.write_all(text.as_bytes())?;
        if self.outputs.iter().any(|output| output.existed) {
            file.sync_all()?;
        }
        fs::rename(unfinished, self.directory.join("list"))
    }

    fn save(&self) -> Result<(), (PathBuf, io::Error)> {
        for output in self.outputs.iter().filter(|output| output.existed) {
            let standing = output.destination.below(&self.workspace.root);
            let outcome = match self.method {
                Method::Move => move_tree(&standing, &output.place),
                Method::Copy => {
                    let near = beside(&output.place);
                    copy_tree(&standing, &near).and_then(|()| fs::rename(&near, &output.place))
                }
            };
            outcome.map_err(|error| (standing, error))?;
        }
        Ok(())
    }

    /// Makes what a command may take for granted: the directories that hold its outputs, and those that are outputs.
    fn prepare_places(&self) -> Result<(), (PathBuf, io::Error)> {
        for output in &self.outputs {
            let standing = output.destination.below(&self.workspace.root);
            let directory = match output.kind {
                OutputKind::Directory if self.method == Method::Move => &*standing,
                OutputKind::Directory | OutputKind::File => standing.parent().expect("below the root"),
            };
            fs::create_dir_all(directory).map_err(|error| (directory.to_owned(), error))?;
        }
        Ok(())
    }

    /// Removes what a failed try has left, for the next one.
    pub fn begin_again(&self) {
        for output in &self.outputs {
            let standing = output.destination.below(&self.workspace.root);
            remove_tree(&standing);
            if self.method == Method::Copy && output.existed {
                let _ = copy_tree(&output.place, &standing);
            }
        }
        let _ = self.prepare_places();
    }

    /// Takes what of the former outputs was not as Rondel left it, by destination.
    pub fn take_strangers(&mut self, destination: &RelativePath) -> Vec<Stranger> {
        let saved = self.outputs.iter_mut().find(|output| output.destination == *destination);
        saved.map(|output| std::mem::take(&mut output.strangers)).unwrap_or_default()
    }

    /// Records what a step without a key has left in its places, which is Rondel's own now. What was not, and is not
    /// there any more, is kept.
    pub fn record_what_stands(&mut self, node: &Node, context: &StepContext<'_>) -> Result<(), StepError> {
        let owner = Owner::new(&self.workspace.build_file, &node.key);
        for output in &mut self.outputs {
            let standing = output.destination.below(&self.workspace.root);
            let mut manifest = Manifest::new();
            let mut add = |below: &str, place: &Path| {
                let entry = exact_entry(place, &self.workspace.snapshot);
                manifest.insert(below.to_owned(), entry.map_err(|source| StepError::unreadable(place, &source))?);
                Ok::<(), StepError>(())
            };
            let Ok(metadata) = fs::symlink_metadata(&standing) else { continue };
            if metadata.is_dir() {
                for below in everything_below(&standing)?.iter().filter(|below| !below.metadata.is_dir()) {
                    add(below.path.as_str(), &below.path.below(&standing))?;
                }
            } else {
                add("", &standing)?;
            }
            let found = std::mem::take(&mut output.strangers);
            // What the command has not touched is still not Rondel's.
            for stranger in &found {
                if manifest.get(&stranger.below).is_some_and(|entry| same_contents(entry, &stranger.entry)) {
                    manifest.remove(&stranger.below);
                }
            }
            for stranger in lost_and_changed(found, &standing, self.workspace) {
                keep_stranger(context, &output.destination, &stranger)?;
            }
            let settle =
                Change::Settle { destination: &output.destination, owner: &owner, action: None, manifest: &manifest };
            let recorded = self.workspace.placed.record(&[settle]);
            recorded.map_err(|source| StepError::unwritable(&self.workspace.state, &source))?;
        }
        Ok(())
    }

    /// Removes the outputs of the failed step, and puts the former ones back.
    pub fn put_back(self, context: &StepContext<'_>) {
        self.workspace.note_tree_write();
        for output in &self.outputs {
            let standing = output.destination.below(&self.workspace.root);
            let is_saved = fs::symlink_metadata(&output.place).is_ok();
            if is_saved || !output.existed {
                remove_tree(&standing);
            }
            if is_saved && let Err(error) = put(&output.place, &standing) {
                let (place, standing) = (output.place.display(), standing.display());
                context
                    .warn(format!("`{standing}` could not be put back: {error}; its former contents are in `{place}`"));
                return;
            }
        }
        self.workspace.note_tree_write();
        remove_tree(&self.directory);
    }

    /// Forgets the former outputs: the new ones stand.
    pub fn commit(self) {
        let _ = fs::rename(self.directory.join("list"), self.directory.join("done"));
        remove_tree(&self.directory);
    }
}

/// Returns those that do not stand in their place with the same contents any more.
fn lost_and_changed(strangers: Vec<Stranger>, standing: &Path, workspace: &Workspace) -> Vec<Stranger> {
    let is_there = |stranger: &Stranger| {
        let place = if stranger.below.is_empty() { standing.to_owned() } else { standing.join(&stranger.below) };
        exact_entry(&place, &workspace.snapshot).is_ok_and(|entry| same_contents(&entry, &stranger.entry))
    };
    strangers.into_iter().filter(|stranger| !is_there(stranger)).collect()
}

/// Puts a former output back. Where it is a mount point, its directory stands there empty.
fn put(former: &Path, standing: &Path) -> io::Result<()> {
    if fs::symlink_metadata(standing).is_ok() {
        return crate::moving::fill_directory(former, standing);
    }
    fs::create_dir_all(standing.parent().expect("below the root"))?;
    move_tree(former, standing)
}

/// Returns the directories of steps whose former outputs lie aside, with the steps' file names.
pub(crate) fn abandoned(workspace: &Workspace) -> Vec<(String, PathBuf)> {
    let entries = fs::read_dir(workspace.state.join(FORMER)).into_iter().flatten().flatten();
    entries.filter_map(|entry| Some((entry.file_name().into_string().ok()?, entry.path()))).collect()
}

/// Puts back what a killed run of a step has moved away. What it left is kept: it may have been edited since. The caller
/// holds the step's lock.
pub(crate) fn recover(workspace: &Workspace, directory: &Path, warn: &dyn Fn(String)) -> io::Result<()> {
    if fs::symlink_metadata(directory).is_err() {
        return Ok(());
    }
    let list = read_text_at_most(&directory.join("list"), MEMORY_MAX).ok().and_then(|text| parse(&text));
    let Some(list) = list else {
        // Without a list nothing was moved, or nothing is wanted any more.
        if !directory.join("done").exists() && directory.join("0").exists() {
            let name = directory.file_name().and_then(|name| name.to_str()).unwrap_or("step");
            let name = RelativePath::new(name).map_err(io::Error::other)?;
            let kept = keep(workspace, directory, &name)?;
            warn(format!("former outputs of a killed run were found in `{}`", kept.display()));
        }
        remove_tree(directory);
        return Ok(());
    };
    workspace.note_tree_write();
    for (index, (destination, existed)) in list.iter().enumerate() {
        let (former, standing) = (directory.join(index.to_string()), destination.below(&workspace.root));
        let is_saved = fs::symlink_metadata(&former).is_ok();
        // If it was not moved yet, or is put back already, what stands is the former output.
        if *existed && !is_saved {
            continue;
        }
        let left = strangers(workspace, &standing, destination).map(|left| !left.is_empty()).unwrap_or(true);
        if left && has_files(&standing) {
            let kept = keep(workspace, &standing, destination)?;
            let state = if is_saved { "its former contents are back" } else { "it was removed" };
            warn(format!(
                "`{destination}` was left half made by a killed run: {state}; what stood there is in `{}`",
                kept.display()
            ));
        }
        remove_tree(&standing);
        if is_saved {
            put(&former, &standing)?;
        }
    }
    workspace.note_tree_write();
    remove_tree(directory);
    Ok(())
}

/// Returns true if there is a file or link at `path` or below it.
fn has_files(path: &Path) -> bool {
    let Ok(metadata) = fs::symlink_metadata(path) else { return false };
    !metadata.is_dir() || fs::read_dir(path).into_iter().flatten().flatten().any(|entry| has_files(&entry.path()))
}

/// Returns the outputs of a list, and whether each existed.
fn parse(text: &str) -> Option<Vec<(RelativePath, bool)>> {
    let (whole, sum) = text.strip_suffix('\n')?.rsplit_once("# ")?;
    if Digest::of(whole.as_bytes()).hex() != sum {
        return None;
    }
    let line = |line: &str| {
        let mut parts = line.split('\t');
        let _kind = parts.next()?;
        let existed = parts.next()? == "existed";
        Some((RelativePath::new(&unescaped(parts.next()?)).ok()?, existed))
    };
    whole.lines().map(line).collect()
}

/// Does `work`, with the outputs that the step makes in the tree out of the way; puts them back if it fails.
pub(crate) fn with_former<T>(
    node: &Node,
    context: &StepContext<'_>,
    spec: &ActionSpec,
    work: impl FnOnce(Option<&mut Former<'_>>) -> Result<T, StepError>,
) -> Result<T, StepError> {
    if node.step.tree_access() != TreeAccess::MakesOutputs {
        return work(None);
    }
    let mut former = if spec.outputs.is_empty() {
        Former::take(node, context, &node.step.tree_outputs(), Method::Copy)?
    } else {
        Former::take(node, context, &spec.outputs, Method::Move)?
    };
    match work(Some(&mut former)) {
        Ok(done) => {
            former.commit();
            Ok(done)
        }
        Err(error) => {
            former.put_back(context);
            Err(error)
        }
    }
}
