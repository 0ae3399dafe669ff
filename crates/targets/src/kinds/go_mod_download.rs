//! `GoModDownload`: the modules of go.mod in the module cache.

use rondel_buildfile::{GoModDownload, Target};
use rondel_engine::{Shown, StepKey};
use rondel_golang::GoModDownloadStep;

use crate::analyzer::{Analyze, Analyzed, Analyzer};
use crate::nodes::{Deps, TargetNodes};

impl Analyze for GoModDownload {
    fn analyze(
        &self,
        analyzer: &mut Analyzer<'_>,
        target: &Target,
        deps: Deps,
        _wanted: bool,
    ) -> Analyzed<TargetNodes> {
        let step = GoModDownloadStep { go: analyzer.go_in(self.module.as_ref())? };
        let key = StepKey::main(&target.name.value);
        let node = analyzer.add(target, key, deps, Vec::new(), Shown::OnFailure, Box::new(step));
        let module = analyzer.module(self.module.as_ref())?;
        analyzer.modules.declared_downloads.insert(node, module);
        Ok(TargetNodes { is_download: true, ..TargetNodes::end(node) })
    }
}
