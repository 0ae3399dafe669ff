//! `Shell`: a script, which the shell reads with `-eu`.

use rondel_buildfile::{Shell, Target};

use crate::analyzer::{Analyze, Analyzed, Analyzer};
use crate::kinds::exec::{self, Words};
use crate::nodes::{Deps, TargetNodes};

impl Analyze for Shell {
    fn analyze(&self, analyzer: &mut Analyzer<'_>, target: &Target, deps: Deps, wanted: bool) -> Analyzed<TargetNodes> {
        exec::command(analyzer, target, Words::Script(&self.script), &self.fields, deps, (Vec::new(), wanted), None)
    }
}
