//! `GoTest`: one step for all packages of the target.

use rondel_buildfile::{GitQuery, GoTest, Percent, Shuffle, Target, TestCount, TestParallel};
use rondel_engine::{EnvironmentValue, Shown, StepKey};
use rondel_golang::{Benchmarks, CSupport, Fuzzing, GoPackages, GoTestStep, Scope, TestOrder, TestOutputs};

use crate::analyzer::{Analyze, Analyzed, Analyzer, path};
use crate::git::GitAnswers;
use crate::go_variables::{refuse_own, refuse_own_in_files};
use crate::nodes::{Deps, TargetNodes};
use crate::request::VersionMode;

impl Analyze for GoTest {
    fn analyze(&self, analyzer: &mut Analyzer<'_>, target: &Target, deps: Deps, wanted: bool) -> Analyzed<TargetNodes> {
        let downloads = analyzer.downloads(self.module.as_ref(), &deps)?;
        let sources = self.inputs.as_deref();
        let mut upstream = Vec::new();
        let outputs_used = analyzer.output_uses(sources, &[], &self.env, &mut upstream)?;
        let inputs = sources.map(|_| analyzer.declared_inputs(target, sources)).transpose()?;
        let everything = analyzer.declared_inputs(target, None)?;
        let names = self.env.iter().map(|(name, _)| name);
        let everywhere = analyzer.request.file.env.iter().map(|(name, _)| name);
        names.chain(everywhere).try_for_each(|name| refuse_own(name, &[]))?;
        let go = analyzer.go_in(self.module.as_ref())?;
        let env = analyzer.variables.of_process(&self.env_file, analyzer.variables.environment(&self.env)?)?;
        refuse_own_in_files(&env, self.env_file.first().map(|file| file.path.span))?;
        let key = StepKey::main(&target.name.value);
        let plain = |(name, value): &(String, EnvironmentValue)| match value {
            EnvironmentValue::Plain(value) => Some((name.clone(), value.clone())),
            EnvironmentValue::Secret(_) | EnvironmentValue::Sealed { .. } => None,
        };
        let declared: Vec<(String, String)> = env.iter().filter_map(plain).collect();
        let has_c = self.race || declared.iter().any(|(name, value)| name == "CGO_ENABLED" && value == "1");
        let packages = GoPackages {
            key: key.clone(),
            platform: go.own_platform()?,
            patterns: analyzer.packages(self.module.as_ref(), &self.packages)?,
            tags: analyzer.variables.tags(&self.tags)?,
            race: self.race,
            // Variables of the go command and the compilers decide which files there are.
            env: declared
                .iter()
                .filter(|(name, _)| name.starts_with("GO") || name.starts_with("CGO_"))
                .cloned()
                .collect(),
            c: if has_c { Some(CSupport::find(&go, &go.own_platform()?, &declared)?) } else { None },
            scope: Scope::Test,
            foreign: analyzer.made_by_others(target)?,
            go,
        };
        let step = GoTestStep {
            packages,
            run: analyzer.variables.optional(self.run.as_ref())?,
            short: self.short,
            timeout: analyzer.variables.optional(self.timeout.as_ref())?,
            exclude: match &self.exclude {
                Some(exclude) => analyzer.variables.texts(exclude)?,
                None => Vec::new(),
            },
            count: self.count.map(TestCount::get),
            failfast: self.failfast,
            order: match self.shuffle {
                Shuffle::Off => TestOrder::Declared,
                Shuffle::On => TestOrder::Random,
                Shuffle::Seed(seed) => TestOrder::Seed(seed.get()),
            },
            parallel: self.parallel.map(TestParallel::get),
            verbose: self.verbose,
            reports: reports(self, analyzer, target)?,
            benchmarks: benchmarks(self, analyzer)?,
            fuzzing: match (&self.fuzz, &self.fuzztime) {
                (Some(pattern), Some(time)) => {
                    let (pattern, time) = (analyzer.variables.text(pattern)?, analyzer.variables.text(time)?);
                    Some(Fuzzing { pattern, time })
                }
                (Some(_), None) | (None, _) => None,
            },
            env,
            inputs,
            everything,
            outputs_used,
            arguments: analyzer.arguments(wanted),
        };
        let deps = Deps { order_only: deps.order_only, on_miss: downloads };
        Ok(TargetNodes::end(analyzer.add(target, key, deps, upstream, Shown::Streamed, Box::new(step))))
    }

    fn puts_downloads_off(&self) -> bool {
        true
    }
}

/// Returns the benchmarks, with the commit that their results are kept by.
fn benchmarks(test: &GoTest, analyzer: &Analyzer<'_>) -> Analyzed<Option<Benchmarks>> {
    let Some(pattern) = analyzer.variables.optional(test.bench.as_ref())? else { return Ok(None) };
    let time = analyzer.variables.optional(test.benchtime.as_ref())?;
    let request = analyzer.request;
    let git = GitAnswers::new(request.environment, &analyzer.root, VersionMode::Tag, &request.notes);
    let commit = git.get(&GitQuery::Commit);
    Ok(Some(Benchmarks { pattern, time, commit }))
}

/// Returns the places of the reports, relative to the directory of build.ron.
fn reports(test: &GoTest, analyzer: &Analyzer<'_>, target: &Target) -> Analyzed<TestOutputs> {
    let outputs = analyzer.request.file.outputs_of(target);
    let place = |field: &str| {
        let index = test.reports().iter().position(|(name, _)| *name == field);
        index.map(|index| path(&outputs[index].path).map_err(|error| error.at(outputs[index].span))).transpose()
    };
    Ok(TestOutputs {
        coverage: place("coverage")?,
        coverage_html: place("coverage_html")?,
        cover_min: test.cover_min.map(Percent::get),
        junit: place("junit")?,
    })
}
