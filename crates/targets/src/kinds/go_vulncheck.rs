//! `GoVulncheck`: one step, keyed by the closure of the packages or by an executable, and by the database.

use std::sync::Arc;

use rondel_buildfile::{GoVulncheck, Target, TextSource};
use rondel_engine::{OutputRole, Shown, StepKey, UserError};
use rondel_golang::{CheckedCode, CheckerStep, GoPackages, Scope};

use crate::analyzer::{Analyze, Analyzed, Analyzer};
use crate::nodes::{Deps, TargetNodes};
use crate::tool_fields::program_source;
use crate::vulnerability_database::DatabaseUse;

impl Analyze for GoVulncheck {
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
        let program = program_source(analyzer, module, &self.tool, "govulncheck", &mut upstream)?;
        let tags = analyzer.variables.tags(&self.tags)?;
        let mut arguments = vec![format!("-scan={}", self.scan.flag())];
        let database = DatabaseUse::of(analyzer, target, &self.db);
        arguments.insert(0, database.argument);
        let code = match &self.binary {
            Some(binary) => {
                let TextSource::Output(output) = &binary.source else {
                    return Err(UserError::input("`binary` is what a target makes").at(binary.span));
                };
                arguments.insert(0, "-mode=binary".to_owned());
                let role = OutputRole::Variable("binary".to_owned());
                CheckedCode::Executable(analyzer.output_use(output, role, &mut upstream)?)
            }
            None => {
                arguments.extend(self.test.then(|| "-test".to_owned()));
                arguments.extend((!tags.is_empty()).then(|| format!("-tags={}", tags.join(","))));
                let packages = self.packages.iter().flat_map(|packages| packages.iter().cloned());
                let patterns = analyzer.packages(module, &packages.collect::<Vec<_>>())?;
                let scope = if self.test { Scope::Vet } else { Scope::Build };
                CheckedCode::Packages(Box::new(GoPackages {
                    foreign: analyzer.made_by_others(target)?,
                    ..GoPackages::of_host(Arc::clone(&go), key.clone(), patterns, tags, scope)?
                }))
            }
        };
        let step = CheckerStep {
            go,
            root: analyzer.root.clone(),
            name: "govulncheck",
            program,
            search_path: analyzer.request.environment.get("PATH").cloned().unwrap_or_default(),
            arguments,
            code,
            files: database.files,
            configuration: None,
            directories: Vec::new(),
            always: database.always,
            fixes: false,
            hint: "it exits with 3 for a vulnerability: raise the version that go.mod requires, or that of Go",
        };
        let deps = Deps { order_only: deps.order_only, on_miss: downloads };
        Ok(TargetNodes::end(analyzer.add(target, key, deps, upstream, Shown::Streamed, Box::new(step))))
    }

    fn puts_downloads_off(&self) -> bool {
        true
    }
}
