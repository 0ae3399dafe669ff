//! `GoFmt`: one step over the files of the module.

use rondel_buildfile::{GoFmt, Target};
use rondel_engine::{Shown, StepKey};
use rondel_golang::{GoFmtStep, ModuleFiles};

use crate::analyzer::{Analyze, Analyzed, Analyzer};
use crate::nodes::{Deps, TargetNodes};

impl Analyze for GoFmt {
    fn analyze(
        &self,
        analyzer: &mut Analyzer<'_>,
        target: &Target,
        deps: Deps,
        _wanted: bool,
    ) -> Analyzed<TargetNodes> {
        let exclude = self.exclude.iter().map(|glob| glob.value.as_str());
        let below = analyzer.module(self.module.as_ref())?.below;
        let files = ModuleFiles::new(&analyzer.root, below, exclude, analyzer.left_out(target));
        let step =
            GoFmtStep { go: analyzer.go_in(self.module.as_ref())?, files, check: self.check, simplify: self.simplify };
        let key = StepKey::main(&target.name.value);
        Ok(TargetNodes::end(analyzer.add(target, key, deps, Vec::new(), Shown::Streamed, Box::new(step))))
    }
}
