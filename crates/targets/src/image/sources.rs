//! Files of the tree for a layer: what a declared path stands for, and all entries that it gives. Links are kept as links,
//! except the declared path itself, and nothing outside of the workspace is reached through one.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use rondel_buildfile::Span;
use rondel_cas::{Entry, RelativePath};
use rondel_engine::{ActionSpec, Input, StepContext, StepError, UserError};
use rondel_oci::{LayerEntry, LayerSource};

use crate::image::attributes::{Directories, Resolved, Users};
use crate::image::places::{Boundary, MadeEntry, OutputPlace, Placed, Real, not_text, with_span};

/// The entries of a layer, and the key's part of them.
pub(crate) struct Collected<'a> {
    boundary: &'a Boundary,
    context: &'a StepContext<'a>,
    entries: BTreeMap<RelativePath, (LayerEntry, Span)>,
    /// Directories that were left out, by their names in the key.
    pub left_out: Vec<String>,
}

impl<'a> Collected<'a> {
    pub fn new(boundary: &'a Boundary, context: &'a StepContext<'a>) -> Collected<'a> {
        Collected { boundary, context, entries: BTreeMap::new(), left_out: Vec::new() }
    }

    /// Adds what `placed` stands for, over the entries of directories around it.
    pub fn add(&mut self, placed: &Placed, attributes: &Resolved, spec: &mut ActionSpec) -> Result<(), StepError> {
        let real = self.boundary.resolve(&placed.path).map_err(|error| with_span(error, placed.span))?;
        let way = match &real.name {
            Some(name) if *name == placed.path => String::new(),
            Some(name) => format!(" ({name})"),
            None => " (root)".to_owned(),
        };
        spec.arguments.push(format!("{}{way} -> /{}{}", placed.path, placed.place, attributes.words()));
        let metadata = fs::metadata(&real.place).map_err(|error| StepError::unreadable(&real.place, &error))?;
        if metadata.is_dir() {
            return self.add_directory(&real, placed, attributes, spec);
        }
        let name = real.name.ok_or_else(|| not_text(&real.place))?;
        if !metadata.is_file() {
            return Err(with_span(unfit(&name, &metadata.file_type()), placed.span));
        }
        let executable = self.add_file(name, &real.place, spec)?;
        let entry = attributes.file(LayerSource::File(real.place), executable);
        self.entries.insert(placed.place.clone(), (entry, placed.span));
        Ok(())
    }

    /// Adds a link or a directory that build.ron declares.
    pub fn make(&mut self, made: &MadeEntry, attributes: &Resolved, spec: &mut ActionSpec) {
        let (words, place) = (attributes.words(), made.place.clone());
        let entry = match &made.link {
            Some(target) => {
                spec.arguments.push(format!("link `{target}` at /{place}{words}"));
                attributes.link(target.clone())
            }
            None => {
                spec.arguments.push(format!("directory -> /{place}{words}"));
                attributes.directory(LayerEntry::directory())
            }
        };
        self.entries.insert(place, (entry, made.span));
    }

    /// Hashes a file; returns whether it is executable.
    fn add_file(&self, name: RelativePath, place: &Path, spec: &mut ActionSpec) -> Result<bool, StepError> {
        let metadata = fs::symlink_metadata(place).map_err(|error| StepError::unreadable(place, &error))?;
        spec.inputs.add(name, place.to_owned(), &self.context.workspace.snapshot)?;
        Ok(is_executable(&metadata))
    }

    /// Adds all below a directory.
    fn add_directory(
        &mut self,
        real: &Real,
        placed: &Placed,
        attributes: &Resolved,
        spec: &mut ActionSpec,
    ) -> Result<(), StepError> {
        let mut open = vec![(real.place.clone(), real.name.clone(), placed.place.clone())];
        while let Some((directory, name, place)) = open.pop() {
            let unreadable = |error| StepError::unreadable(&directory, &error);
            let mut children: Vec<fs::DirEntry> =
                fs::read_dir(&directory).and_then(Iterator::collect).map_err(unreadable)?;
            children.sort_by_key(fs::DirEntry::file_name);
            let mut is_empty = true;
            for child in children {
                let absolute = child.path();
                let text = child.file_name().into_string().map_err(|_| not_text(&absolute))?;
                let part = RelativePath::new(&text).map_err(|error| StepError::input(error.to_string()))?;
                let child_name = name.as_ref().map_or_else(|| part.clone(), |name| name.join(&part));
                if text == ".git" || self.boundary.is_own(&absolute) {
                    self.left_out.push(child_name.to_string());
                    continue;
                }
                if text.starts_with(".wh.") {
                    let message = format!("`{child_name}` can't be in an image: such a name removes a file");
                    return Err(with_span(StepError::input(message).hint("rename it"), placed.span));
                }
                is_empty = false;
                let child_place = place.join(&part);
                let kind = child.file_type().map_err(|error| StepError::unreadable(&absolute, &error))?;
                let entry = if kind.is_dir() {
                    open.push((absolute, Some(child_name), child_place));
                    continue;
                } else if kind.is_symlink() {
                    let target = fs::read_link(&absolute).map_err(|error| StepError::unreadable(&absolute, &error))?;
                    let target = target.to_str().ok_or_else(|| not_text(&absolute))?.to_owned();
                    let entry = Entry::Symlink { target: target.clone() };
                    spec.inputs.insert(Input { path: child_name, absolute, entry });
                    attributes.link(target)
                } else if kind.is_file() {
                    let executable = self.add_file(child_name, &absolute, spec)?;
                    attributes.inner_file(LayerSource::File(absolute), executable)
                } else {
                    return Err(with_span(unfit(&child_name, &kind), placed.span));
                };
                self.entries.insert(child_place, (entry, placed.span));
            }
            if is_empty && let Some(name) = name {
                spec.inputs.insert(Input { path: name, absolute: directory, entry: Entry::directory() });
            }
            let entry = LayerEntry::directory();
            self.entries.insert(place, (entry, placed.span));
        }
        Ok(())
    }

    /// Returns the entries, with the directories above them, if no two exclude each other. `outputs` are the places of
    /// outputs of targets, which lie in a layer of their own.
    pub fn finish(
        mut self,
        directories: &Directories<'_>,
        outputs: &[OutputPlace],
    ) -> Result<BTreeMap<RelativePath, LayerEntry>, StepError> {
        let parents = |path: &RelativePath| std::iter::successors(path.parent(), RelativePath::parent);
        let all = self.entries.iter().map(|(path, (_, span))| (path, *span));
        for (path, span) in all.chain(outputs.iter().map(|output| (&output.place, output.span))) {
            for parent in parents(path) {
                let Some((entry, other)) = self.entries.get(&parent) else { continue };
                let what = match &entry.source {
                    LayerSource::Directory => continue,
                    LayerSource::Symlink(target) => format!("a link to `{target}`"),
                    LayerSource::File(_) | LayerSource::Bytes(_) => "a file".to_owned(),
                };
                let message = format!("`/{path}` is below `/{parent}`, which is {what}");
                let error = UserError::input(message).at(if span.start > other.start { span } else { *other });
                return Err(StepError::User(error.hint("give one of them another path")));
            }
        }
        for OutputPlace { place: path, span, part, .. } in outputs {
            let is_directory = |(entry, _): &(LayerEntry, Span)| matches!(entry.source, LayerSource::Directory);
            let is_there = self.entries.get(path).is_some_and(is_directory);
            if is_there && !part.is_file() {
                continue;
            }
            if is_there {
                let message = format!("`/{path}` is a directory, and the output of a target is put there");
                return Err(StepError::User(UserError::input(message).at(*span).hint("give it another path")));
            }
            self.entries.remove(path);
        }
        let mut entries = BTreeMap::new();
        for (path, (entry, _)) in self.entries {
            let is_directory = matches!(entry.source, LayerSource::Directory);
            let entry = if is_directory { directories.entry(&path) } else { entry };
            entries.insert(path, entry);
        }
        directories.add_parents(&mut entries);
        Ok(entries)
    }
}

/// Returns links that lead to nothing in the image, as sentences. `others` are the entries of other layers.
pub(crate) fn dangling(
    entries: &BTreeMap<RelativePath, LayerEntry>,
    others: &dyn Fn(&RelativePath) -> bool,
) -> Vec<String> {
    let mut found = Vec::new();
    for (path, entry) in entries {
        let LayerSource::Symlink(target) = &entry.source else { continue };
        let is_link = |path: &RelativePath| {
            entries.get(path).is_some_and(|entry| matches!(entry.source, LayerSource::Symlink(_)))
        };
        let there = aim(path, target).is_none_or(|aim| {
            let mut above = std::iter::successors(aim.parent(), RelativePath::parent);
            entries.contains_key(&aim) || others(&aim) || above.any(|path| is_link(&path))
        });
        if !there {
            found.push(format!("`/{path}` is a link to `{target}`, which is not in the image"));
        }
    }
    found
}

/// Returns the path that the link at `path` leads to, if no part of it is a link; `None` for the root, which is its own
/// parent.
fn aim(path: &RelativePath, target: &str) -> Option<RelativePath> {
    let start = path.parent().filter(|_| !target.starts_with('/'));
    let mut parts: Vec<&str> = start.iter().flat_map(|start| start.as_str().split('/')).collect();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    RelativePath::new(&parts.join("/")).ok()
}

/// Returns the error for something that an image can't hold.
fn unfit(name: &RelativePath, kind: &fs::FileType) -> StepError {
    let message = format!("`{name}` is {}: an image holds files, directories and links", word(kind));
    StepError::input(message).hint("remove it, or copy its directory without it")
}

#[cfg(unix)]
fn is_executable(metadata: &fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    metadata.permissions().mode() & 0o100 != 0
}

#[cfg(not(unix))]
fn is_executable(_metadata: &fs::Metadata) -> bool {
    false
}

#[cfg(unix)]
fn word(kind: &fs::FileType) -> &'static str {
    use std::os::unix::fs::FileTypeExt;
    if kind.is_fifo() {
        "a FIFO"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    }
}

#[cfg(not(unix))]
fn word(_kind: &fs::FileType) -> &'static str {
    "no regular file"
}

/// Returns numbers for the owners of all files.
pub(crate) fn resolve_all(users: &Users<'_>, files: &[Placed]) -> Result<Vec<Resolved>, StepError> {
    files.iter().map(|placed| users.resolve(&placed.attributes)).collect()
}
