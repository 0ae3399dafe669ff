//! Declared paths of an image: where each comes from and goes to, and what it stands for once its links are followed.

use std::fs;
use std::path::{Path, PathBuf};

use rondel_buildfile::{Attributes, Span, TargetName};
use rondel_cas::{PathError, RelativePath};
use rondel_engine::{StepContext, StepError};

use crate::image::added_users::AddedUser;
use crate::image::excluded::Excluded;

/// A file or directory of the tree and its place in the image.
#[derive(Clone, Debug)]
pub(crate) struct Placed {
    pub place: RelativePath,
    /// Path below `root`, as declared.
    pub path: RelativePath,
    pub layer: FilesLayer,
    /// What is left out of a directory.
    pub exclude: Excluded,
    /// Bits of the capabilities of a file.
    pub capabilities: u64,
    pub attributes: Attributes,
    /// Place of the entry in build.ron.
    pub span: Span,
}

/// An output of a target and its place in the image.
#[derive(Clone, Debug)]
pub(crate) struct OutputPlace {
    pub place: RelativePath,
    /// The target that makes it; `None` for the health probe.
    pub producer: Option<TargetName>,
    /// Which of its outputs it is.
    pub part: Part,
    pub layer: FilesLayer,
    /// What is left out of a directory.
    pub exclude: Excluded,
    /// Bits of the capabilities of a file.
    pub capabilities: u64,
    pub attributes: Attributes,
    /// Place of the entry in build.ron.
    pub span: Span,
}

/// A layer of an image's files, lower ones first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum FilesLayer {
    /// The health probe: it changes with Go and Rondel alone, so nobody compresses and sends it again after an edit.
    Probe,
    /// What is of the tree, or declared, and names no layer.
    Tree,
    /// One that build.ron names, by the order in which the names come first.
    Named(usize),
    /// Outputs of targets that name no layer.
    Outputs,
}

/// One of a target's outputs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// The only one, a file.
    Only,
    /// The file with this name.
    File(RelativePath),
    /// A declared directory.
    Directory(RelativePath),
    /// What a declared directory has at this path: a file or a directory.
    Within(RelativePath),
}

impl Part {
    /// Returns true for a file, whatever the step makes.
    pub fn is_file(&self) -> bool {
        match self {
            Part::Only | Part::File(_) => true,
            Part::Directory(_) | Part::Within(_) => false,
        }
    }
}

/// All files of an image, whatever layer they are in.
#[derive(Clone)]
pub(crate) struct TreeFiles {
    pub root: PathBuf,
    /// Sorted by place.
    pub files: Vec<Placed>,
    /// Outputs in the same image.
    pub outputs: Vec<OutputPlace>,
    /// Links and directories that build.ron declares.
    pub made: Vec<MadeEntry>,
    /// Users that the base does not have.
    pub users: Vec<AddedUser>,
    /// Names of layers, in the order of build.ron.
    pub layers: Vec<String>,
}

impl TreeFiles {
    /// Returns the outputs of a layer.
    pub fn outputs_of(&self, layer: FilesLayer) -> impl Iterator<Item = &OutputPlace> {
        self.outputs.iter().filter(move |output| output.layer == layer)
    }

    /// Returns true if a layer has files of the tree, or links and directories that are declared.
    pub fn has_own(&self, layer: FilesLayer) -> bool {
        self.files.iter().any(|placed| placed.layer == layer) || self.made.iter().any(|made| made.layer == layer)
    }
}

impl TreeFiles {
    /// Returns true if something of the tree is declared within an output of a layer, which then leaves it out.
    pub fn has_more_exact_than(&self, layer: FilesLayer) -> bool {
        let declared = || {
            let made = self.made.iter().map(|made| &made.place);
            self.files.iter().map(|placed| &placed.place).chain(made)
        };
        let mut outputs = self.outputs_of(layer).filter(|output| !output.part.is_file());
        outputs.any(|output| declared().any(|place| place.is_within(&output.place)))
    }
}

/// A link or a directory that build.ron declares.
#[derive(Clone, Debug)]
pub(crate) struct MadeEntry {
    pub place: RelativePath,
    /// What the link leads to; `None` for a directory.
    pub link: Option<String>,
    pub layer: FilesLayer,
    pub attributes: Attributes,
    /// Place of the entry in build.ron.
    pub span: Span,
}

/// The directory that files come from, and the one that no link leads out of.
pub(crate) struct Boundary {
    root: PathBuf,
    real_root: PathBuf,
    real_workspace: PathBuf,
    /// Directories of Rondel's own, which are left out.
    own: Vec<PathBuf>,
}

/// What a declared path stands for.
pub(crate) struct Real {
    /// Its place, without links.
    pub place: PathBuf,
    /// Its name in the key: the path without links; `None` for the root itself.
    pub name: Option<RelativePath>,
}

impl Boundary {
    /// Returns the boundary of the project at `root` in the workspace `workspace`. The directories `own` are left out.
    pub fn new(root: &Path, workspace: &Path, own: &[&Path]) -> Result<Boundary, StepError> {
        let real = |path: &Path| fs::canonicalize(path).map_err(|error| StepError::unreadable(path, &error));
        Ok(Boundary {
            root: root.to_owned(),
            real_root: real(root)?,
            real_workspace: real(workspace)?,
            own: own.iter().filter_map(|path| fs::canonicalize(path).ok()).collect(),
        })
    }

    /// Returns the boundary for a step.
    pub fn of(root: &Path, context: &StepContext<'_>) -> Result<Boundary, StepError> {
        let workspace = context.workspace;
        Boundary::new(root, &workspace.root, &[&workspace.state, &workspace.cache])
    }

    /// Returns the directory that paths are relative to.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns true for a directory of Rondel's own.
    pub fn is_own(&self, place: &Path) -> bool {
        self.own.iter().any(|own| own == place)
    }

    /// Follows the links of a declared path; one that leads out of the workspace is refused.
    pub fn resolve(&self, path: &RelativePath) -> Result<Real, StepError> {
        let place = fs::canonicalize(path.below(&self.root))
            .map_err(|error| StepError::input(format!("`{path}` can't be put into the image: {error}")))?;
        let below = |directory: &Path| place.strip_prefix(directory).ok().map(Path::to_owned);
        let (rest, prefix) = match (below(&self.real_root), below(&self.real_workspace)) {
            (Some(rest), _) => (rest, ""),
            (None, Some(rest)) => (rest, "{workspace}/"),
            (None, None) => {
                let message = format!("`{path}` leads out of the workspace, to `{}`", place.display());
                return Err(StepError::input(message)
                    .hint("copy the file into the workspace, or let an `Exec` do that and write `Output(…)`"));
            }
        };
        let text = rest.to_str().ok_or_else(|| not_text(&place))?;
        let name = RelativePath::new(&format!("{prefix}{text}")).ok();
        Ok(Real { place, name })
    }
}

/// Refuses the file `path` if its place without links, `real`, is not in the workspace.
pub(crate) fn refuse_outside(path: &RelativePath, real: &Path, workspace: &Path) -> Result<(), StepError> {
    if real.starts_with(workspace) {
        return Ok(());
    }
    let message = format!("`{path}` leads out of the workspace, to `{}`", real.display());
    Err(StepError::input(message).hint("copy it into the workspace"))
}

/// Gives an error its place in build.ron.
pub(crate) fn with_span(error: StepError, span: Span) -> StepError {
    match error {
        StepError::User(error) => StepError::User(error.at(span)),
        other => other,
    }
}

pub(crate) fn not_text(path: &Path) -> StepError {
    StepError::input(PathError::NotText(path.to_string_lossy().into_owned()).to_string()).hint("rename it")
}
