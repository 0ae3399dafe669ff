//! The steps of a target as analysis knows them: the ones it ends with, and their results for others.

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

/// What an output of a target is made by.
pub(crate) struct MadeOutput {
    /// The steps; the first one makes what is named without a path.
    pub nodes: Vec<NodeId>,
    /// The place relative to the workspace; `None` for the only file of the first step.
    pub place: Option<RelativePath>,
    /// True if the place is a declared directory.
    pub may_be_empty: bool,
}

impl TargetNodes {
    /// Returns a target that ends with these steps.
    pub fn ends(ends: Vec<NodeId>) -> TargetNodes {
        TargetNodes { ends, ..TargetNodes::default() }
    }

    /// A target of one step.
    pub fn end(node: NodeId) -> TargetNodes {
        TargetNodes::ends(vec![node])
    }
}
