//! The kinds of targets: how each becomes steps. One file a kind, analysis and step together; steps that run `go` are in
//! `rondel-golang`.

use rondel_buildfile::TargetKind;

use crate::analyzer::Analyze;

macro_rules! declare {
    ($($module:ident: $kind:ident,)*) => {
        $(mod $module;)*

        /// How this kind becomes steps.
        pub(crate) fn behaviour(kind: &TargetKind) -> &dyn Analyze {
            match kind {
                $(TargetKind::$kind(kind) => kind,)*
            }
        }
    };
}

// One line a kind, in `rondel-buildfile`: a kind that has no file here does not compile.
rondel_buildfile::for_each_kind!(declare);
