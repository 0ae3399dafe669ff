//! The kinds of targets: how each becomes steps. One file a kind, analysis and step together; steps that run `go` are
//! in `rondel-golang`.

use rondel_buildfile::{Health, Platform, Span, Target, TargetKind};
use rondel_engine::NodeId;

use crate::analysis::{Analyzed, Analyzer};
use crate::nodes::{Deps, TargetNodes};

/// How a kind becomes steps.
pub(crate) trait Analyze {
    /// Adds the steps of `target`, which is of this kind. `wanted` is true if it was asked for by name.
    fn analyze(&self, analyzer: &mut Analyzer<'_>, target: &Target, deps: Deps, wanted: bool) -> Analyzed<TargetNodes>;

    /// Returns true if the downloads in its `after` are needed only when its steps run.
    fn puts_downloads_off(&self) -> bool {
        false
    }

    /// Returns the step that makes the only output of `target` for `platform`. `reader` is the target that reads it,
    /// with the place in build.ron.
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

    /// Returns the health check of its image.
    fn health(&self) -> Option<&Health> {
        None
    }
}

macro_rules! declare {
    ($($module:ident: $kind:ident,)*) => {
        $(mod $module;)*

        /// Returns the analysis of this kind.
        pub(crate) fn analyze(kind: &TargetKind) -> &dyn Analyze {
            match kind {
                $(TargetKind::$kind(kind) => kind,)*
            }
        }
    };
}

// One line a kind, in `rondel-buildfile`: a kind that has no file here does not compile.
rondel_buildfile::for_each_kind!(declare);
