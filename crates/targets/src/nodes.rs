//! What analysis knows of the steps of a target: which it ends with, and what they give to others.

use rondel_cas::RelativePath;
use rondel_engine::NodeId;

/// What a target waits for, besides its inputs.
#[derive(Clone, Default)]
pub(crate) struct Deps {
    /// Steps that come first; their results are not inputs.
    pub order_only: Vec<NodeId>,
    /// Steps that are needed only if this target's steps run.
    pub on_miss: Vec<NodeId>,
}

/// The steps of a target.
#[derive(Clone, Default)]
pub(crate) struct TargetNodes {
    /// Those that it ends with.
    pub ends: Vec<NodeId>,
    /// The image that it makes.
    pub image: Option<ImageSource>,
    /// True if it brings modules that a build needs only when it runs.
    pub is_download: bool,
}

/// Where an image comes from.
#[derive(Clone)]
pub(crate) enum ImageSource {
    /// From a layout in the workspace, made by the step `layout`.
    Layout {
        /// The step.
        layout: NodeId,
        /// Directory of the layout, relative to the workspace.
        out: RelativePath,
    },
    /// The step leaves it in the daemon.
    Daemon(NodeId),
}

impl TargetNodes {
    /// A target that ends with these.
    pub fn ends(ends: Vec<NodeId>) -> TargetNodes {
        TargetNodes { ends, ..TargetNodes::default() }
    }

    /// A target of one step.
    pub fn end(node: NodeId) -> TargetNodes {
        TargetNodes::ends(vec![node])
    }
}
