//! `GoVet`: one step a platform, keyed by the closure of the packages and their tests.

use std::sync::Arc;

use rondel_buildfile::{GoVet, Target, Text};
use rondel_engine::{Node, Shown, StepKey, UserError};
use rondel_golang::{GoCommandStep, GoPackages, Scope};

use crate::analyzer::{Analyze, Analyzed, Analyzer};
use crate::nodes::{Deps, TargetNodes};

impl Analyze for GoVet {
    fn analyze(
        &self,
        analyzer: &mut Analyzer<'_>,
        target: &Target,
        deps: Deps,
        _wanted: bool,
    ) -> Analyzed<TargetNodes> {
        let (go, downloads) = (analyzer.go_in(self.module.as_ref())?, analyzer.downloads(self.module.as_ref(), &deps)?);
        let foreign = analyzer.made_by_others(target)?;
        let mut ends = Vec::new();
        let platforms = analyzer.platforms(self.platforms.as_ref(), target, false)?;
        for platform in &platforms {
            let key = StepKey::main(&target.name.value).on(platform);
            let step = analyzer.step(&|| {
                let packages = GoPackages {
                    go: Arc::clone(&go),
                    key: key.clone(),
                    platform: platform.clone(),
                    patterns: analyzer.packages(self.module.as_ref(), &self.packages)?,
                    tags: analyzer.variables.tags(&self.tags)?,
                    env: analyzer.variables.pairs(&self.env)?,
                    c: None,
                    race: false,
                    scope: Scope::Vet,
                    foreign: foreign.clone(),
                };
                let names = analyzer.variables.texts(&self.analyzers)?;
                let flags = self.analyzers.iter().zip(&names).map(|(text, name)| flag(text, name));
                Ok(Box::new(GoCommandStep { packages, subcommand: "vet", flags: flags.collect::<Analyzed<_>>()? }))
            })?;
            let (after, on_miss) = (deps.order_only.clone(), downloads.clone());
            let title = if platforms.len() == 1 { target.name.value.to_string() } else { key.to_string() };
            let node = Node::new(key, target.kind.word(), step);
            let node = Node { title, shown: Shown::Streamed, after, on_miss, ..node };
            ends.push(analyzer.graph.add(node));
        }
        Ok(TargetNodes::ends(ends))
    }

    fn puts_downloads_off(&self) -> bool {
        true
    }
}

/// `printf` is `-printf`, `!printf` is `-printf=false`. Other flags would bring in what no key knows.
fn flag(text: &Text, name: &str) -> Analyzed<String> {
    let (analyzer, value) = name.strip_prefix('!').map_or((name, ""), |name| (name, "=false"));
    if analyzer.is_empty() || !analyzer.chars().all(|character| character.is_ascii_alphanumeric()) {
        let message = format!("`{}` is not the name of an analyzer", name.escape_debug());
        return Err(UserError::input(message).at(text.span).hint("`go tool vet help` lists them"));
    }
    Ok(format!("-{analyzer}{value}"))
}
