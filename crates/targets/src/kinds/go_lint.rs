//! `GoLint`: one step, keyed by the closure of the packages and their tests, and by the configuration.

use std::sync::Arc;

use rondel_buildfile::{GoLint, InputSource, Target};
use rondel_engine::{Shown, StepKey};
use rondel_golang::{CheckedCode, CheckerStep, Configuration, GoPackages, Scope};

use crate::analyzer::{Analyze, Analyzed, Analyzer};
use crate::nodes::{Deps, TargetNodes};
use crate::tool_fields::program_source;

/// Where golangci-lint looks for its configuration, in this order.
const NAMES: [&str; 4] = [".golangci.yml", ".golangci.yaml", ".golangci.toml", ".golangci.json"];

/// What of a configuration compares with former commits.
const HISTORY: [&str; 4] = ["new-from-", "new: true", "new = true", "\"new\": true"];

impl Analyze for GoLint {
    fn analyze(
        &self,
        analyzer: &mut Analyzer<'_>,
        target: &Target,
        deps: Deps,
        _wanted: bool,
    ) -> Analyzed<TargetNodes> {
        let module = self.module.as_ref();
        let (go, downloads) = (analyzer.go_in(module)?, analyzer.downloads(module, &deps)?);
        let key = StepKey::main(&target.name.value);
        let mut upstream = Vec::new();
        let program = program_source(analyzer, module, &self.tool, "golangci-lint", &mut upstream)?;
        let tags = analyzer.variables.tags(&self.tags)?;
        let mut arguments = vec!["run".to_owned()];
        arguments.extend((!tags.is_empty()).then(|| format!("--build-tags={}", tags.join(","))));
        arguments.extend(self.fix.then(|| "--fix".to_owned()));
        arguments.extend(analyzer.variables.texts(&self.args)?);
        let looks_back = |argument: &String| argument.starts_with("--new") || argument.as_str() == "-n";
        let always = match (self.fix, arguments.iter().find(|argument| looks_back(argument))) {
            (true, _) => Some("it changes files of the tree".to_owned()),
            (false, Some(argument)) => Some(format!("`{argument}` depends on the history of git")),
            (false, None) => None,
        };
        let inputs: Vec<InputSource> = self.inputs.iter().cloned().map(InputSource::Glob).collect();
        let configuration = self.config.as_ref().map(|config| config.value.clone());
        let below = analyzer.module(module)?.below;
        let of_module = below.iter().flat_map(|below| NAMES.map(|name| format!("{below}/{name}")));
        let names =
            configuration.map_or_else(|| of_module.chain(NAMES.map(str::to_owned)).collect(), |name| vec![name]);
        let files = match inputs.is_empty() {
            true => None,
            false => Some(analyzer.declared_inputs(target, Some(&inputs))?),
        };
        let patterns = analyzer.packages(module, &self.packages)?;
        let packages = GoPackages {
            foreign: analyzer.made_by_others(target)?,
            ..GoPackages::of_host(Arc::clone(&go), key.clone(), patterns, tags, Scope::Vet)?
        };
        let step = CheckerStep {
            go,
            root: analyzer.root.clone(),
            name: "golangci-lint",
            program,
            search_path: analyzer.request.environment.get("PATH").cloned().unwrap_or_default(),
            arguments,
            code: CheckedCode::Packages(Box::new(packages)),
            files,
            configuration: Some(Configuration {
                names,
                flag: "--config=",
                without: self.config.is_none().then_some("--no-config"),
                unkeyed: &HISTORY,
            }),
            directories: vec![("GOLANGCI_LINT_CACHE", analyzer.request.cache.join("golangci-lint"))],
            always,
            fixes: self.fix,
            hint: "mend what it names, or turn the rule off in its configuration; `fix: true` mends some of it",
        };
        let deps = Deps { order_only: deps.order_only, on_miss: downloads };
        Ok(TargetNodes::end(analyzer.add(target, key, deps, upstream, Shown::Streamed, Box::new(step))))
    }

    fn puts_downloads_off(&self) -> bool {
        true
    }
}
