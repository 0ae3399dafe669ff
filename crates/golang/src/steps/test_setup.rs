//! `GoTestStep`: what is tested and how, and what is known of its tests. What is made of that before and during a run stands
//! in `go_test` and `test_run`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rondel_cas::{Digest, Hasher, RelativePath};
use rondel_engine::{
    Class, DeclaredInputs, Environment, EnvironmentValue, InputSet, OutputRole, OutputUse, StepContext, StepError,
};

use crate::closure::Closure;
use crate::packages::GoPackages;
use crate::test_packages::TestPackage;
use crate::test_reads::{Sights, TestPlace, TestReads};
use crate::test_results::{AllPassed, TestResults, WrittenReports, sights_digest};

/// `go test` of some packages, all texts resolved.
pub struct GoTestStep {
    /// What is tested.
    pub packages: GoPackages,
    /// `-run`
    pub run: Option<String>,
    /// `-short`
    pub short: bool,
    /// `-timeout`
    pub timeout: Option<String>,
    /// Patterns of packages that are left out.
    pub exclude: Vec<String>,
    /// `-count`
    pub count: Option<u32>,
    /// `-failfast`
    pub failfast: bool,
    /// `-shuffle`
    pub order: TestOrder,
    /// `-parallel`
    pub parallel: Option<u32>,
    /// True if all that tests print is shown.
    pub verbose: bool,
    /// What is written about the tests.
    pub reports: TestOutputs,
    /// Benchmarks that run instead of tests.
    pub benchmarks: Option<Benchmarks>,
    /// Fuzzing instead of tests.
    pub fuzzing: Option<Fuzzing>,
    /// Declared variables.
    pub env: Vec<(String, EnvironmentValue)>,
    /// Globs of files that the tests read unseen; `None` if none are declared.
    pub inputs: Option<DeclaredInputs>,
    /// All files below the root.
    pub everything: DeclaredInputs,
    /// Outputs of other targets among inputs and variables.
    pub outputs_used: Vec<OutputUse>,
    /// Arguments after `--` on the command line.
    pub arguments: Vec<String>,
}

/// The order of the tests of a package.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TestOrder {
    /// That of the sources.
    Declared,
    /// Another one each time.
    Random,
    /// The one of this seed.
    Seed(u32),
}

/// Benchmarks that are run instead of tests.
#[derive(Clone, Debug)]
pub struct Benchmarks {
    /// `-bench`
    pub pattern: String,
    /// `-benchtime`
    pub time: Option<String>,
    /// The commit of the sources, as far as it is known.
    pub commit: Option<String>,
}

/// Fuzzing of one package.
#[derive(Clone, Debug)]
pub struct Fuzzing {
    /// `-fuzz`
    pub pattern: String,
    /// `-fuzztime`
    pub time: String,
}

/// Files that are written about the tests: their places below the workspace.
#[derive(Clone, Debug, Default)]
pub struct TestOutputs {
    /// Profile of coverage.
    pub coverage: Option<RelativePath>,
    /// A page with the sources.
    pub coverage_html: Option<RelativePath>,
    /// Least share of statements that are covered, in percent.
    pub cover_min: Option<u8>,
    /// Report in JUnit's form.
    pub junit: Option<RelativePath>,
}

/// What is known of the tests before they run.
#[derive(Clone, Debug)]
pub(crate) struct KnownTests {
    /// Digest of all that they have in common.
    pub shared: Digest,
    /// By package, in the order of the closure: what it is made of.
    pub parts: Vec<Digest>,
    /// What a package's tests read, if they passed and nothing has changed since; the others run.
    pub passed: Vec<Option<TestReads>>,
    /// How the tests of those packages went, as a blob of the store.
    pub reports: Vec<Option<Digest>>,
    /// What tests read that are as they were the last time, and some others; they have nothing in `passed`.
    pub unchanged: Option<TestReads>,
    /// What was to be seen of all that passed tests read, when they were found to hold.
    pub sights: Sights,
    /// The same of all files below the root, if some of them may have read any.
    pub below_root: Option<Digest>,
    /// True if two tests that passed saw something different at one place.
    pub is_contradictory: bool,
    /// Digest of the declared inputs.
    pub inputs: Digest,
    /// What is this machine's, by name.
    pub machine: BTreeMap<String, String>,
}

impl Benchmarks {
    /// Returns the flags of the go command.
    pub(crate) fn flags(&self) -> Vec<String> {
        let mut flags = vec![format!("-bench={}", self.pattern)];
        flags.extend(self.time.iter().map(|time| format!("-benchtime={time}")));
        flags
    }
}

impl GoTestStep {
    pub(crate) fn environment(&self, root: &Path) -> Environment {
        let go = &self.packages.go;
        let mut environment = go.compile_environment(root, &self.packages.platform);
        // Tests start programs; the machine decides which exist.
        let path = format!("{}:{}", root.join("bin").display(), go.caller("PATH").unwrap_or_default());
        environment.set(Class::Located, "PATH", path);
        if let Some(c) = &self.packages.c {
            c.set(root, &mut environment);
        }
        for (name, value) in &self.env {
            environment.declare(name, value);
        }
        environment
    }

    /// Adds the paths of outputs of other targets.
    pub(crate) fn add_outputs(
        &self,
        context: &StepContext<'_>,
        environment: &mut Environment,
    ) -> Result<(), StepError> {
        for output in &self.outputs_used {
            if let OutputRole::Variable(name) = &output.role {
                environment.set(Class::Located, name, output.path(context)?.display().to_string());
            }
        }
        Ok(())
    }

    /// Returns true if the go command's output is shown as it is: of other things than tests.
    pub(crate) fn is_shown_by_go(&self) -> bool {
        self.benchmarks.is_some() || self.fuzzing.is_some()
    }

    /// Returns true if what the tests cover is measured.
    pub(crate) fn is_measured(&self) -> bool {
        let TestOutputs { coverage, coverage_html, cover_min, junit: _ } = &self.reports;
        coverage.is_some() || coverage_html.is_some() || cover_min.is_some()
    }

    /// Returns the command up to the packages, as far as it can change how a package's tests go.
    pub(crate) fn flags(&self) -> Vec<String> {
        let mut arguments: Vec<String> = ["go", "test", "-buildvcs=false"].map(str::to_owned).to_vec();
        arguments.extend(self.packages.selecting_flags());
        if self.short {
            arguments.push("-short".to_owned());
        }
        for (flag, value) in [("-run", &self.run), ("-timeout", &self.timeout)] {
            if let Some(value) = value {
                arguments.push(format!("{flag}={value}"));
            }
        }
        let seed = match self.order {
            TestOrder::Seed(seed) => Some(seed),
            TestOrder::Declared | TestOrder::Random => None,
        };
        for (flag, value) in [("-count", self.count), ("-parallel", self.parallel), ("-shuffle", seed)] {
            if let Some(value) = value {
                arguments.push(format!("{flag}={value}"));
            }
        }
        if self.is_measured() {
            arguments.push("-cover".to_owned());
        }
        arguments.extend(self.benchmarks.iter().flat_map(Benchmarks::flags));
        if let Some(Fuzzing { pattern, time }) = &self.fuzzing {
            arguments.extend([format!("-fuzz={pattern}"), format!("-fuzztime={time}")]);
        }
        if self.is_shown_by_go() && self.run.is_none() {
            arguments.push("-run=^$".to_owned());
        }
        arguments
    }

    /// Where the tests run, and what of it counts.
    pub(crate) fn place<'a>(&self, context: &'a StepContext<'a>, environment: &Environment) -> TestPlace<'a> {
        let directories = &self.packages.go.directories;
        let variables = environment.for_process();
        let of = |name: &str| variables.iter().find(|(other, _)| other == name).map(|(_, value)| PathBuf::from(value));
        let mut left_out =
            vec![context.workspace.cache.clone(), directories.build_cache.clone(), directories.module_cache.clone()];
        left_out.extend(of("GOROOT").filter(|root| root.parent().is_some()));
        TestPlace {
            workspace: &context.workspace.root,
            state: &context.workspace.state,
            left_out,
            temporary: of("TMPDIR").unwrap_or_else(|| PathBuf::from("/tmp")),
            home: of("HOME").unwrap_or_else(|| directories.home.clone()),
            snapshot: &context.workspace.snapshot,
        }
    }

    /// Returns all files below the root, for tests that may read any; `None` if their inputs are declared.
    pub(crate) fn below_root(&self, context: &StepContext<'_>) -> Result<Option<InputSet>, StepError> {
        if self.inputs.is_some() {
            return Ok(None);
        }
        self.everything.hash(&self.packages.go.root, &context.workspace.snapshot).map(Some)
    }

    /// Remembers that all tests have passed, for a quick answer: with what was to be seen when each was found to hold.
    pub(crate) fn remember(
        &self,
        context: &StepContext<'_>,
        closure: &mut Closure,
        known: &KnownTests,
        written: &WrittenReports,
    ) -> Result<(), StepError> {
        if known.is_contradictory {
            return Ok(());
        }
        let mut all = AllPassed { reads: known.unchanged.clone().unwrap_or_default(), ..AllPassed::default() };
        for reads in known.passed.iter().flatten() {
            all.reads.opened.extend(reads.opened.iter().cloned());
            all.reads.asked.extend(reads.asked.iter().cloned());
            all.reads.blind_spot = all.reads.blind_spot.take().or_else(|| reads.blind_spot.clone());
        }
        all.reads.asked.retain(|path| !all.reads.opened.contains(path));
        let is_wanted = |what: &str| match what.split_once(' ') {
            Some(("open", path)) => all.reads.opened.contains(path),
            Some((_, path)) => all.reads.asked.contains(path),
            None => false,
        };
        all.sights =
            known.sights.iter().filter(|(what, _)| is_wanted(what)).map(|(a, b)| (a.clone(), b.clone())).collect();
        let below_root = known.below_root.filter(|_| all.reads.blind_spot.is_some());
        all.below_root = below_root.map(|digest| digest.to_string());
        all.whole = whole(closure, &known.shared, &all.sights, below_root.as_ref())?.to_string();
        let parts = closure.tests().iter().zip(&known.parts);
        all.parts = parts.map(|(test, parts)| (test.import_path.clone(), parts.to_string())).collect();
        let named = closure.tests().iter().zip(&known.reports);
        let named = named.filter_map(|(test, report)| Some((test.import_path.clone(), (*report)?)));
        all.reports = named.collect();
        all.written = written.clone();
        all.machine = known.machine.clone();
        TestResults::of(context, &self.packages.key).remember_all_passed(&all);
        Ok(())
    }

    /// Adds what the tests read to what a watch looks at. Where that is not known, and no inputs are declared, it may be anything.
    pub(crate) fn watch_reads(&self, inputs: &mut InputSet, context: &StepContext<'_>, reads: Option<&TestReads>) {
        if self.inputs.is_none() && reads.is_none_or(|reads| reads.blind_spot.is_some()) {
            inputs.watch_everything();
        }
        let all = reads.iter().flat_map(|reads| reads.opened.iter().chain(&reads.asked));
        inputs.watch_beside(all.map(|text| context.workspace.root.join(text)));
    }

    /// Returns the digest of all files below the root, if tests with these reads may have read any.
    pub(crate) fn below_root_if(
        &self,
        context: &StepContext<'_>,
        reads: &TestReads,
    ) -> Result<Option<Digest>, StepError> {
        if reads.blind_spot.is_none() {
            return Ok(None);
        }
        self.below_root(context)?.map(|inputs| digest_of(&inputs)).transpose()
    }
}

impl KnownTests {
    /// Adds what was to be seen when one more test was found to have passed.
    pub fn add(&mut self, sights: &Sights, below_root: Option<Digest>) {
        for (what, seen) in sights {
            let before = self.sights.insert(what.clone(), seen.clone());
            self.is_contradictory |= before.is_some_and(|before| before != *seen);
        }
        if let Some(digest) = below_root {
            self.is_contradictory |= self.below_root.replace(digest).is_some_and(|before| before != digest);
        }
    }

    /// Returns the packages whose tests run.
    pub fn running<'a>(&'a self, closure: &'a Closure) -> impl Iterator<Item = &'a TestPackage> {
        let tests = closure.tests().iter().zip(&self.passed);
        tests.filter(|(_, passed)| passed.is_none()).map(|(test, _)| test)
    }
}

/// Returns the digest of all that the tests depend on.
pub(crate) fn whole(
    closure: &mut Closure,
    shared: &Digest,
    sights: &Sights,
    below_root: Option<&Digest>,
) -> Result<Digest, StepError> {
    let mut hasher = Hasher::new();
    hasher.update(format!("{shared}\n{}\n", digest_of(&closure.inputs()?)?).as_bytes());
    closure.tests().iter().for_each(|test| hasher.update(format!("{}\n", test.import_path).as_bytes()));
    hasher.update(sights_digest(sights).to_string().as_bytes());
    hasher.update(below_root.map(Digest::to_string).unwrap_or_default().as_bytes());
    Ok(hasher.finish())
}

/// Returns the digest of a set of inputs.
pub(crate) fn digest_of(inputs: &InputSet) -> Result<Digest, StepError> {
    let root = inputs.root_digest().map_err(|error| StepError::failed(error.to_string()))?;
    Ok(root.unwrap_or_else(|| Digest::of(b"no inputs")))
}
