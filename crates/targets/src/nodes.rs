//! The steps of a target as analysis knows them: the ones it ends with, and their results for others.

use rondel_buildfile::{NoKnownVulnerability, Target, TargetName};
use rondel_cas::RelativePath;
use rondel_engine::NodeId;

/// Dependencies of a target that are not its inputs.
#[derive(Clone, Default)]
pub(crate) struct Deps {
    /// Steps that run first; their results are not inputs.
    pub order_only: Vec<NodeId>,
    /// Steps that are needed only if this target's steps run.
    pub on_miss: Vec<NodeId>,
}

/// The steps of a target.
#[derive(Clone, Default)]
pub(crate) struct TargetNodes {
    /// The last steps.
    pub ends: Vec<NodeId>,
    /// The image, if it makes one.
    pub image: Option<ImageSource>,
    /// Where its digest is found, for a target that pushes an image.
    pub pushed: Option<ImageIdentity>,
    /// True for module downloads, which a build needs only when it runs.
    pub is_download: bool,
}

/// Origin of an image.
#[derive(Clone)]
pub(crate) enum ImageSource {
    /// A layout in the workspace, made by the step `layout`.
    Layout {
        /// The step.
        layout: NodeId,
        /// Directory of the layout, relative to the workspace.
        out: RelativePath,
    },
    /// The daemon, where the step leaves it.
    Daemon(NodeId),
}

/// How others find the digest and the names of an image: the step that knows them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ImageIdentity {
    /// The step makes a layout, and reports digest and tags as `ImageMetadata`.
    Layout(NodeId),
    /// The step pushes an image, and reports the references as `PushMetadata`.
    Push {
        /// The step.
        push: NodeId,
        /// The step that makes the layout.
        layout: NodeId,
    },
}

impl ImageIdentity {
    /// Returns the step.
    pub fn step(&self) -> NodeId {
        match self {
            ImageIdentity::Layout(step) | ImageIdentity::Push { push: step, .. } => *step,
        }
    }
}

/// A step that sends what was proven.
pub struct HeldStep {
    /// Its target.
    pub target: TargetName,
    /// The step.
    pub step: NodeId,
    /// The steps that make what it sends.
    pub made: Vec<NodeId>,
}

/// What an output of a target is made by.
pub(crate) struct MadeOutput {
    /// The steps; the first one makes what is named without a path.
    pub nodes: Vec<NodeId>,
    /// The place relative to the workspace; `None` for the only file of the first step.
    pub place: Option<RelativePath>,
    /// True if the place is a declared directory.
    pub may_be_empty: bool,
}

/// Who wants a scan for known vulnerabilities.
pub(crate) struct ScanRequest<'a> {
    /// The target whose policy it is.
    pub target: &'a Target,
    /// What the policy says.
    pub rule: &'a NoKnownVulnerability,
}

/// An executable that a `GoBuild` makes and an image holds.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    /// Index of the build among the upstream results.
    pub upstream: usize,
    /// Name of the executable; `None` for the only one.
    pub name: Option<String>,
}

impl TargetNodes {
    /// Returns a target that ends with these steps.
    pub fn ends(ends: Vec<NodeId>) -> TargetNodes {
        TargetNodes { ends, ..TargetNodes::default() }
    }

    /// Returns where the digest of the image is found; `None` if it makes none, or one that has no digest.
    pub fn identity(&self) -> Option<ImageIdentity> {
        match self.image.as_ref() {
            Some(ImageSource::Layout { layout, .. }) => Some(ImageIdentity::Layout(*layout)),
            Some(ImageSource::Daemon(_)) | None => self.pushed,
        }
    }

    /// A target of one step.
    pub fn end(node: NodeId) -> TargetNodes {
        TargetNodes::ends(vec![node])
    }
}
