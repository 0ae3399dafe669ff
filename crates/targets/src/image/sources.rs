//! Files of the tree for a layer: what a declared path stands for, and all entries that it gives. Links are kept as links,
//! except the declared path itself, and nothing outside of the workspace is reached through one. Entries of other layers
//! are looked at as well, since the more exact of two declarations holds, and not the higher layer.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use rondel_buildfile::Span;
use rondel_cas::{Entry, RelativePath};
use rondel_engine::{ActionSpec, Input, StepContext, StepError, UserError};
use rondel_oci::{LayerEntry, LayerSource};

use crate::image::attributes::Resolved;
use crate::image::places::{Boundary, FilesLayer, MadeEntry, OutputPlace, Placed, Real, not_text, with_span};

/// All files of the tree in an image, with those of one layer told apart.
pub(crate) struct Collected<'a> {
    boundary: &'a Boundary,
    layer: FilesLayer,
    entries: BTreeMap<RelativePath, Found>,
    /// Entries of the layer for which another layer has something else.
    covered: BTreeSet<RelativePath>,
    /// Directories that were left out of the layer, by their names in the key.
    pub left_out: Vec<String>,
}

/// An entry, and the place of its declaration.
struct Found {
    entry: LayerEntry,
    /// The declared path that it comes from.
    declared: RelativePath,
    layer: FilesLayer,
    span: Span,
    input: Option<FoundInput>,
}

/// What an entry adds to the key.
enum FoundInput {
    /// The contents of a file.
    File(RelativePath, PathBuf),
    /// A link, or an empty directory.
    Exact(Input),
}

/// A directory that is not read yet.
struct Open {
    directory: PathBuf,
    /// Its name in the key; `None` for the project itself.
    name: Option<RelativePath>,
    /// Its path below the declared directory; `None` for that one.
    inner: Option<RelativePath>,
}

/// What became of an entry of a directory.
enum Child {
    LeftOut,
    Added,
    Directory(Open),
}

/// What a layer has of the tree.
pub(crate) struct FromTree {
    /// Its own entries.
    pub entries: BTreeMap<RelativePath, LayerEntry>,
    /// Entries of other layers.
    pub elsewhere: BTreeSet<RelativePath>,
    /// Files and links of all layers whose declaration is more exact than that of an output around them.
    pub exact: BTreeSet<RelativePath>,
}

/// Returns true if a declared path is below another one.
fn is_more_exact(declared: &RelativePath, outer: &RelativePath) -> bool {
    declared != outer && declared.is_within(outer)
}

impl<'a> Collected<'a> {
    pub fn new(boundary: &'a Boundary, layer: FilesLayer) -> Collected<'a> {
        let (entries, covered) = (BTreeMap::new(), BTreeSet::new());
        Collected { boundary, layer, entries, covered, left_out: Vec::new() }
    }

    fn insert(&mut self, place: RelativePath, found: Found) {
        let layer = found.layer;
        let former = self.entries.insert(place.clone(), found);
        if former.is_some_and(|former| former.layer == self.layer && layer != self.layer) {
            self.covered.insert(place);
        }
    }

    /// Adds what `placed` stands for, over the entries of directories around it.
    pub fn add(&mut self, placed: &Placed, attributes: &Resolved, spec: &mut ActionSpec) -> Result<(), StepError> {
        let real = self.boundary.resolve(&placed.path).map_err(|error| with_span(error, placed.span))?;
        let way = match &real.name {
            Some(name) if *name == placed.path => String::new(),
            Some(name) => format!(" ({name})"),
            None => " (root)".to_owned(),
        };
        if placed.layer == self.layer {
            let words = attributes.words() + &placed.exclude.words();
            spec.arguments.push(format!("{}{way} -> /{}{words}", placed.path, placed.place));
        }
        let metadata = fs::metadata(&real.place).map_err(|error| StepError::unreadable(&real.place, &error))?;
        if metadata.is_dir() && placed.capabilities != 0 {
            let message = format!("`{}` is a directory, and `capabilities` are for files", placed.path);
            return Err(with_span(StepError::input(message).hint("give the file an entry of its own"), placed.span));
        }
        if metadata.is_dir() {
            return self.add_directory(&real, placed, attributes);
        }
        let name = real.name.ok_or_else(|| not_text(&real.place))?;
        if !placed.exclude.is_empty() {
            let message = format!("`{}` is a file, and `exclude` is for directories", placed.path);
            return Err(with_span(StepError::input(message).hint("leave `exclude` out"), placed.span));
        }
        if !metadata.is_file() {
            return Err(with_span(unfit(&name, &metadata.file_type()), placed.span));
        }
        let entry = attributes.file(LayerSource::File(real.place.clone()), is_executable(&metadata));
        let input = Some(FoundInput::File(name, real.place));
        let (declared, layer, span) = (placed.place.clone(), placed.layer, placed.span);
        self.insert(declared.clone(), Found { entry, declared, layer, span, input });
        Ok(())
    }

    /// Adds a link or a directory that build.ron declares.
    pub fn make(&mut self, made: &MadeEntry, attributes: &Resolved, spec: &mut ActionSpec) {
        let (words, place) = (attributes.words(), made.place.clone());
        let (argument, entry) = match &made.link {
            Some(target) => (format!("link `{target}` at /{place}{words}"), attributes.link(target.clone())),
            None => (format!("directory -> /{place}{words}"), attributes.directory(LayerEntry::directory())),
        };
        if made.layer == self.layer {
            spec.arguments.push(argument);
        }
        let (declared, layer, span) = (place.clone(), made.layer, made.span);
        self.insert(place, Found { entry, declared, layer, span, input: None });
    }

    /// Adds all below a directory.
    fn add_directory(&mut self, real: &Real, placed: &Placed, attributes: &Resolved) -> Result<(), StepError> {
        let mut open = vec![Open { directory: real.place.clone(), name: real.name.clone(), inner: None }];
        while let Some(next) = open.pop() {
            let unreadable = |error| StepError::unreadable(&next.directory, &error);
            let mut children: Vec<fs::DirEntry> =
                fs::read_dir(&next.directory).and_then(Iterator::collect).map_err(unreadable)?;
            children.sort_by_key(fs::DirEntry::file_name);
            let mut is_empty = true;
            for child in children {
                match self.add_child(&next, &child, placed, attributes)? {
                    Child::LeftOut => continue,
                    Child::Added => {}
                    Child::Directory(child) => open.push(child),
                }
                is_empty = false;
            }
            let Open { directory, name, inner } = next;
            // What is put back of a directory that is left out brings the directory with it.
            if inner.as_ref().is_some_and(|inner| placed.exclude.has_directory(inner.as_str())) {
                continue;
            }
            let place = inner.map_or_else(|| placed.place.clone(), |inner| placed.place.join(&inner));
            let input = name
                .filter(|_| is_empty)
                .map(|path| FoundInput::Exact(Input { path, absolute: directory, entry: Entry::directory() }));
            let (layer, span) = (placed.layer, placed.span);
            let declared = placed.place.clone();
            self.insert(place, Found { entry: LayerEntry::directory(), declared, layer, span, input });
        }
        Ok(())
    }

    /// Adds an entry of a directory, unless it is left out or a directory itself.
    fn add_child(
        &mut self,
        parent: &Open,
        child: &fs::DirEntry,
        placed: &Placed,
        attributes: &Resolved,
    ) -> Result<Child, StepError> {
        let (absolute, layer, span) = (child.path(), placed.layer, placed.span);
        let text = child.file_name().into_string().map_err(|_| not_text(&absolute))?;
        let part = RelativePath::new(&text).map_err(|error| StepError::input(error.to_string()))?;
        let below = |path: &Option<RelativePath>| path.as_ref().map_or_else(|| part.clone(), |path| path.join(&part));
        let (name, inner) = (below(&parent.name), below(&parent.inner));
        let kind = child.file_type().map_err(|error| StepError::unreadable(&absolute, &error))?;
        let is_left_out = match kind.is_dir() {
            true => placed.exclude.has_all_of(inner.as_str()),
            false => placed.exclude.has(inner.as_str()),
        };
        if is_left_out {
            return Ok(Child::LeftOut);
        }
        if text == ".git" || self.boundary.is_own(&absolute) {
            self.left_out.extend((layer == self.layer).then(|| name.to_string()));
            return Ok(Child::LeftOut);
        }
        if text.starts_with(".wh.") {
            let message = format!("`{name}` can't be in an image: such a name removes a file");
            return Err(with_span(StepError::input(message).hint("rename it"), span));
        }
        let place = placed.place.join(&inner);
        let (entry, input) = if kind.is_dir() {
            return Ok(Child::Directory(Open { directory: absolute, name: Some(name), inner: Some(inner) }));
        } else if kind.is_symlink() {
            let target = fs::read_link(&absolute).map_err(|error| StepError::unreadable(&absolute, &error))?;
            let target = target.to_str().ok_or_else(|| not_text(&absolute))?.to_owned();
            let entry = Entry::Symlink { target: target.clone() };
            (attributes.link(target), FoundInput::Exact(Input { path: name, absolute, entry }))
        } else if kind.is_file() {
            let metadata = child.metadata().map_err(|error| StepError::unreadable(&absolute, &error))?;
            let entry = attributes.inner_file(LayerSource::File(absolute.clone()), is_executable(&metadata));
            (entry, FoundInput::File(name, absolute))
        } else {
            return Err(with_span(unfit(&name, &kind), span));
        };
        self.insert(place, Found { entry, declared: placed.place.clone(), layer, span, input: Some(input) });
        Ok(Child::Added)
    }

    /// Returns the entries of the layer, and adds them to `spec`, if no two of the image exclude each other. `outputs` are
    /// the places of all outputs of targets.
    pub fn finish(
        mut self,
        outputs: &[OutputPlace],
        context: &StepContext<'_>,
        spec: &mut ActionSpec,
    ) -> Result<FromTree, StepError> {
        self.check_ways(outputs)?;
        for output in outputs {
            self.give_way_to(output)?;
        }
        for path in &self.covered {
            spec.arguments.push(format!("without /{path}"));
        }
        let mut found = FromTree { entries: BTreeMap::new(), elsewhere: BTreeSet::new(), exact: BTreeSet::new() };
        for (path, Found { entry, declared, layer, input, .. }) in self.entries {
            let is_directory = matches!(entry.source, LayerSource::Directory);
            if !is_directory && outputs.iter().any(|output| is_more_exact(&declared, &output.place)) {
                found.exact.insert(path.clone());
            }
            if layer != self.layer {
                found.elsewhere.insert(path);
                continue;
            }
            match input {
                Some(FoundInput::File(name, place)) => spec.inputs.add(name, place, &context.workspace.snapshot)?,
                Some(FoundInput::Exact(input)) => spec.inputs.insert(input),
                None => {}
            }
            found.entries.insert(path, entry);
        }
        Ok(found)
    }

    /// Refuses entries below something that is no directory.
    fn check_ways(&self, outputs: &[OutputPlace]) -> Result<(), StepError> {
        let parents = |path: &RelativePath| std::iter::successors(path.parent(), RelativePath::parent);
        let all = self.entries.iter().map(|(path, found)| (path, found.span));
        for (path, span) in all.chain(outputs.iter().map(|output| (&output.place, output.span))) {
            for parent in parents(path) {
                let Some(Found { entry, span: other, .. }) = self.entries.get(&parent) else { continue };
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
        Ok(())
    }

    /// Leaves the place of an output to it, whichever of the layers is above.
    fn give_way_to(&mut self, output: &OutputPlace) -> Result<(), StepError> {
        let OutputPlace { place: path, span, part, layer, .. } = output;
        let is_directory = |found: &Found| matches!(found.entry.source, LayerSource::Directory);
        match self.entries.get(path) {
            Some(found) if is_directory(found) && part.is_file() => {
                let message = format!("`/{path}` is a directory, and the output of a target is put there");
                return Err(StepError::User(UserError::input(message).at(*span).hint("give it another path")));
            }
            Some(found) if !is_directory(found) => {
                if found.layer == self.layer {
                    self.covered.insert(path.clone());
                }
                self.entries.remove(path);
            }
            Some(_) | None => {}
        }
        // Files of a lower layer would be hidden by those of a higher one, though they are the more exact ones.
        let covers = |(inner, found): &(&RelativePath, &Found)| {
            let is_inner = *inner != path && inner.is_within(path) && !is_directory(found);
            is_inner && found.layer > *layer && !is_more_exact(&found.declared, path)
        };
        if let Some((inner, _)) = self.entries.iter().find(covers) {
            let message =
                format!("`/{inner}` is of the tree, and its layer lies above that of the output at `/{path}`");
            let error = UserError::input(message).at(*span);
            return Err(StepError::User(error.hint("give both the same `layer`, or the output a later one")));
        }
        Ok(())
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
