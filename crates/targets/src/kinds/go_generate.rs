//! `GoGenerate`: a step that generates in a copy of the module, and one that compares with the tree or changes it.

use std::collections::BTreeMap;

use rondel_buildfile::{GoGenerate, InputSource, Sandbox, Target};
use rondel_cas::RelativePath;
use rondel_engine::{NodeId, Shown, StepKey};

use crate::analyzer::{Analyze, Analyzed, Analyzer, path};
use crate::closed::Closed;
use crate::generate::{GeneratorsStep, PlacingStep, Programs, Sources};
use crate::nodes::{Deps, TargetNodes};
use crate::tool_fields::program_source;

impl Analyze for GoGenerate {
    fn analyze(
        &self,
        analyzer: &mut Analyzer<'_>,
        target: &Target,
        deps: Deps,
        _wanted: bool,
    ) -> Analyzed<TargetNodes> {
        let name = &target.name.value;
        let module = self.module.as_ref();
        let (go, downloads) = (analyzer.go_in(module)?, analyzer.downloads(module, &deps)?);
        let directory = analyzer.module(module)?.directory;
        let mut upstream = Vec::new();
        let programs = programs(self, analyzer, &mut upstream)?;
        let sources = sources(self, analyzer, target)?;
        let closed = Closed {
            key: StepKey::main(name),
            tools: Vec::new(),
            built: Vec::new(),
            is_checked: self.sandbox == Sandbox::On,
            network: self.network,
            listable: Vec::new(),
            search_path: programs.search_path.clone(),
            root: analyzer.root.clone(),
            directory,
            generates: true,
        };
        let step = GeneratorsStep {
            go,
            sources: sources.clone(),
            programs,
            tags: analyzer.variables.tags(&self.tags)?,
            env: analyzer.variables.pairs(&self.env)?,
            closed,
            out: path(&format!(".rondel/out/generate/{name}"))?,
        };
        let key = StepKey::of(name, "generators");
        let made_deps = Deps { order_only: deps.order_only.clone(), on_miss: downloads };
        let made = analyzer.add(target, key, made_deps, upstream, Shown::Streamed, Box::new(step));
        let below = analyzer.root.strip_prefix(&analyzer.request.root).ok();
        let below = below.and_then(|below| RelativePath::from_path(below).ok());
        let step = PlacingStep { sources, below, check: self.check, target: name.to_string() };
        let deps = Deps { order_only: deps.order_only, on_miss: Vec::new() };
        let key = StepKey::main(name);
        Ok(TargetNodes::end(analyzer.add(target, key, deps, vec![made], Shown::Streamed, Box::new(step))))
    }

    fn puts_downloads_off(&self) -> bool {
        true
    }
}

fn sources(kind: &GoGenerate, analyzer: &mut Analyzer<'_>, target: &Target) -> Analyzed<Sources> {
    let go = analyzer.go_in(kind.module.as_ref())?;
    let inputs: Vec<InputSource> = kind.inputs.iter().cloned().map(InputSource::Glob).collect();
    let declared = analyzer.declared_inputs(target, Some(&inputs))?;
    let root = analyzer.root.clone();
    Ok(Sources {
        directory: analyzer.module(kind.module.as_ref())?.below,
        patterns: analyzer.packages(kind.module.as_ref(), &kind.packages)?,
        declared,
        globs: kind.inputs.iter().map(|glob| glob.value.clone()).collect(),
        left_out: analyzer.left_out(target).into_iter().map(|left| left.path).collect(),
        outputs: kind.outputs.iter().map(|glob| glob.value.clone()).collect(),
        sees_outputs: kind.sees_outputs,
        run: kind.run.as_ref().map(|run| run.value.clone()),
        go_work: go.go_work().and_then(|place| RelativePath::from_path(place.strip_prefix(&root).ok()?).ok()),
        is_vendored: go.is_vendored(),
        root,
    })
}

/// Returns the programs of `tools`; adds the steps that make them to `upstream`.
fn programs(kind: &GoGenerate, analyzer: &mut Analyzer<'_>, upstream: &mut Vec<NodeId>) -> Analyzed<Programs> {
    let search_path = analyzer.request.environment.get("PATH").cloned().unwrap_or_default();
    let mut named = BTreeMap::new();
    for (name, word) in &kind.tools {
        let program = program_source(analyzer, kind.module.as_ref(), word, &name.value, upstream)?;
        named.insert(name.value.clone(), program);
    }
    Ok(Programs { named, search_path, root: analyzer.root.clone() })
}
