//! The kinds of targets: how each becomes steps. One file a kind, analysis and step together; steps that run `go` are in
//! `rondel-golang`.

use rondel_buildfile::{Health, Platform, Span, Target, TargetKind};
use rondel_engine::NodeId;

use crate::analysis::{Analyzed, Analyzer};
use crate::nodes::{Deps, TargetNodes};

/// How a kind becomes steps.
pub(crate) trait Analyze {
    /// Adds the steps of `target`, which is of this kind. `wanted` says that it was asked for by name.
    fn analyze(&self, analyzer: &mut Analyzer<'_>, target: &Target, deps: Deps, wanted: bool) -> Analyzed<TargetNodes>;

    /// True if downloads that it waits for are needed only when its steps run.
    fn puts_downloads_off(&self) -> bool {
        false
    }

    /// The step that makes the only output of `target` for `platform`; who reads it, and where that is written.
    fn output_node(
        &self,
        analyzer: &mut Analyzer<'_>,
        target: &Target,
        platform: &Platform,
        reader: (&Target, Span),
    ) -> Analyzed<NodeId> {
        let _ = (platform, reader);
        Ok(analyzer.target(&target.name.value, false)?.ends[0])
    }

    /// The health check that its image brings.
    fn health(&self) -> Option<&Health> {
        None
    }
}

macro_rules! declare {
    ($($module:ident: $kind:ident,)*) => {
        $(mod $module;)*

        /// How this kind becomes steps.
        pub(crate) fn analyze(kind: &TargetKind) -> &dyn Analyze {
            match kind {
                $(TargetKind::$kind(kind) => kind,)*
            }
        }
    };
}

// One line a kind, in `rondel-buildfile`: a kind that has no file here does not compile.
rondel_buildfile::for_each_kind!(declare);
