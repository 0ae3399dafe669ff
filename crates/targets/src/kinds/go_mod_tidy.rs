//! `GoModTidy`: one step over the files of the module.

use rondel_buildfile::{GoModTidy, Target};
use rondel_engine::{Shown, StepKey};
use rondel_golang::{GoModTidyStep, ModuleFiles};

use crate::analyzer::{Analyze, Analyzed, Analyzer};
use crate::nodes::{Deps, TargetNodes};

impl Analyze for GoModTidy {
    fn analyze(
        &self,
        analyzer: &mut Analyzer<'_>,
        target: &Target,
        deps: Deps,
        _wanted: bool,
    ) -> Analyzed<TargetNodes> {
        let below = analyzer.module(self.module.as_ref())?.below;
        let files = ModuleFiles::new(&analyzer.root, below, std::iter::empty(), analyzer.left_out(target));
        let step = GoModTidyStep { go: analyzer.go_in(self.module.as_ref())?, files, check: self.check };
        let key = StepKey::main(&target.name.value);
        Ok(TargetNodes::end(analyzer.add(target, key, deps, Vec::new(), Shown::Streamed, Box::new(step))))
    }
}
