//! `GoTest`: tests of packages. A package's tests run again only if something that they are made of or that they read has
//! changed.
//!
//! What they are made of is the closure of the package. What they read is in the log that Go's own test cache is built on
//! (`test_log`); it is held against the tree before and after the run. Tests that may read more than the log tells (C code,
//! child processes) have everything below the root as input, unless `inputs` says what.

use std::collections::BTreeMap;
use std::path::Path;

use rondel_cas::Digest;
use rondel_engine::{
    ActionSpec, EnvironmentValue, Freshness, InputSet, Job, Metadata, Prepared, Query, Reason, Report, Step,
    StepContext, StepError, TreeAccess, read_record,
};

use crate::closure::Closure;
use crate::module_download::check_modules;
use crate::steps::test_run::TestRun;
use crate::steps::test_setup::{GoTestStep, KnownTests, TestOrder, digest_of, whole};
use crate::test_packages::TestPackage;
use crate::test_reads::{Sights, TestPlace, TestReads};
use crate::test_results::{AllPassed, TestResults, WrittenReports, sight_differences};

/// What a preparation found.
pub struct TestFindings {
    /// The packages and their files.
    pub(crate) closure: Closure,
    /// What is known of each package's test; `None` if all of them run and no result is kept.
    pub(crate) tests: Option<KnownTests>,
}

impl GoTestStep {
    /// What tests see of the machine: they can ask for it without a trace, and so do the programs that they start.
    fn add_machine(&self, context: &StepContext<'_>, spec: &mut ActionSpec) {
        let go = &self.packages.go;
        let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned()).display().to_string();
        let workspace = &context.workspace.root;
        for (name, value) in [
            ("PATH", go.caller("PATH").unwrap_or_default().to_owned()),
            ("workspace", workspace.display().to_string()),
            ("real workspace", real(workspace)),
            ("module", go.module.display().to_string()),
            ("real module", real(&go.module)),
        ] {
            spec.settings.insert(format!("{MACHINE}{name}"), value);
        }
    }

    /// Returns the command line. Paths in the test binaries are real: tests find fixtures by them.
    fn arguments(&self, packages: &[String]) -> Vec<String> {
        let mut arguments = self.flags();
        arguments.extend_from_slice(packages);
        arguments.extend(self.arguments.iter().cloned());
        arguments
    }

    /// The action of all tests together, with its closure. `Err` says why it is not known, in words.
    fn describe(
        &self,
        query: &Query<'_>,
        spec: &mut ActionSpec,
    ) -> Result<Result<(Closure, ActionSpec), String>, StepError> {
        let go = &self.packages.go;
        if let Some(c) = &self.packages.c {
            match c.digest(query)? {
                Ok(digest) => spec.tools.insert("C compiler".to_owned(), digest),
                Err(what) => return Ok(Err(what)),
            };
        }
        spec.environment = self.environment(Path::new("/"));
        self.add_outputs(query, &mut spec.environment)?;
        for output in &self.outputs_used {
            output.add_to(query, spec)?;
        }
        let identity = go.identity(query)?;
        let mut closure = match self.packages.closure(query, None, &identity)? {
            Ok(closure) => closure,
            Err(why) => return Ok(Err(why)),
        };
        spec.tools.insert("go".to_owned(), identity);
        let mut shared = spec.clone();
        shared.arguments = self.flags();
        self.add_machine(query, &mut shared);
        if let Some(inputs) = &self.inputs {
            shared.inputs = inputs.hash(&go.root, &query.workspace.snapshot)?;
        }
        spec.inputs = closure.inputs()?;
        if self.inputs.is_some() {
            shared.inputs.iter().for_each(|input| spec.inputs.insert(input));
        }
        go.remember(query, &self.packages.key, &mut closure);
        self.leave_out(&mut closure)?;
        Ok(Ok((closure, shared)))
    }

    /// Returns why they run in any case and no result is kept.
    fn always(&self, closure: &Closure, inputs: &InputSet) -> Option<String> {
        if self.env.iter().any(|(_, value)| matches!(value, EnvironmentValue::Secret(_))) {
            return Some("its environment holds a secret, which is in no key".to_owned());
        }
        if !self.arguments.is_empty() {
            return Some(Reason::GIVEN_ARGUMENTS.to_owned());
        }
        if self.benchmarks.is_some() {
            return Some("benchmarks measure this machine as it is now".to_owned());
        }
        if self.fuzzing.is_some() {
            return Some("fuzzing looks for what is not known yet".to_owned());
        }
        if self.order == TestOrder::Random {
            return Some("`shuffle: On` is another order each time".to_owned());
        }
        closure.untracked.clone().or_else(|| inputs.blind_spot())
    }

    /// Finds the tests that have to run.
    fn known(
        &self,
        query: &Query<'_>,
        closure: &Closure,
        (shared, inputs): (Digest, Digest),
        earlier: &Earlier<'_>,
    ) -> Result<KnownTests, StepError> {
        let results = TestResults::of(query, &self.packages.key);
        let parts = parts_of(closure, &shared)?;
        let mut known = KnownTests {
            shared,
            passed: Vec::with_capacity(parts.len()),
            reports: Vec::with_capacity(parts.len()),
            parts,
            unchanged: None,
            sights: Sights::new(),
            below_root: earlier.below_root,
            is_contradictory: false,
            inputs,
            machine: earlier.machine.clone(),
        };
        let mut below_root = earlier.below_root;
        for (index, test) in closure.tests().iter().enumerate() {
            let parts = &known.parts[index];
            // Results are of no use here without what is to be reported of them.
            let is_there = |report: &Digest| !self.has_reports() || results.has_report(report);
            let report = earlier.all.reports.get(&test.import_path).copied().filter(is_there);
            if report.is_some() && earlier.has_passed(&test.import_path, parts) {
                known.reports.push(report);
                if known.unchanged.is_none() {
                    known.unchanged = Some(earlier.all.reads.clone());
                    known.add(&earlier.sights, None);
                }
                known.passed.push(Some(TestReads::default()));
                continue;
            }
            let Some(reads) = results.reads(parts).filter(|_| !query.is_forced()) else {
                known.passed.push(None);
                known.reports.push(None);
                continue;
            };
            if reads.blind_spot.is_some() && below_root.is_none() {
                below_root = self.below_root(query)?.map(|inputs| digest_of(&inputs)).transpose()?;
            }
            let sights = earlier.place.look(&reads);
            let report = results.passed(parts, &reads, &sights, below_root.as_ref()).filter(is_there);
            if report.is_some() {
                known.add(&sights, below_root.filter(|_| reads.blind_spot.is_some()));
            }
            known.passed.push(Some(reads).filter(|_| report.is_some()));
            known.reports.push(report);
        }
        Ok(known)
    }

    /// Returns why tests have to run.
    fn reasons(
        &self,
        query: &Query<'_>,
        spec: &ActionSpec,
        closure: &Closure,
        known: &KnownTests,
        earlier: &Earlier<'_>,
    ) -> Vec<Reason> {
        let record = read_record(&query.workspace.state, &self.packages.key);
        let mut reasons = match record.differences_to(spec) {
            _ if query.is_forced() => return vec![Reason::Forced],
            None => vec![Reason::NoPrevious],
            Some(reasons) => reasons,
        };
        let seen = sight_differences(&earlier.all.sights, &earlier.sights);
        // What was kept of an earlier run tells more than that there is no record of one.
        reasons.retain(|reason| seen.is_empty() || *reason != Reason::NoPrevious);
        reasons.extend(seen);
        for (name, new) in &earlier.machine {
            if let Some(old) = earlier.all.machine.get(name).filter(|old| *old != new) {
                let (name, old, new) = (name.clone(), Some(old.clone()), Some(new.clone()));
                reasons.push(Reason::SettingChanged { name, old, new });
            }
        }
        if let Some(why) = earlier.all.reads.blind_spot.as_ref().filter(|_| reasons.is_empty()) {
            reasons.push(Reason::NotPresent { what: format!("a file below the root changed, and {why}") });
        }
        if reasons.is_empty() {
            reasons.push(Reason::ResultGone);
        }
        let running: Vec<&str> = known.running(closure).map(|test| test.import_path.as_str()).collect();
        if running.len() < known.passed.len() {
            let names = running.iter().take(3).copied().collect::<Vec<_>>().join(", ");
            let more = if running.len() > 3 { ", …" } else { "" };
            let what = format!("{} of {} packages to test: {names}{more}", running.len(), known.passed.len());
            reasons.push(Reason::NotPresent { what });
        }
        reasons
    }
}

/// Begins the name of a setting that is of this machine.
const MACHINE: &str = "machine's ";

/// What was known when all tests had passed, and what is to be seen of it now.
struct Earlier<'a> {
    all: AllPassed,
    place: TestPlace<'a>,
    sights: Sights,
    below_root: Option<Digest>,
    /// What is this machine's now, by name.
    machine: BTreeMap<String, String>,
    /// True if nothing of what the tests read has changed.
    is_same: bool,
}

impl Earlier<'_> {
    /// Returns true if the tests of the package are known to pass, and nothing has changed since.
    fn has_passed(&self, import_path: &str, parts: &Digest) -> bool {
        self.is_same && self.all.parts.get(import_path).is_some_and(|then| *then == parts.to_string())
    }
}

/// Returns for each package a digest of what its test is made of.
fn parts_of(closure: &Closure, shared: &Digest) -> Result<Vec<Digest>, StepError> {
    let files = closure.test_digests()?;
    let of = |(test, files): (&TestPackage, &Digest)| {
        Digest::of(format!("{shared} {files} {} {}", test.import_path, test.uses_cgo).as_bytes())
    };
    Ok(closure.tests().iter().zip(&files).map(of).collect())
}

impl Step for GoTestStep {
    type Findings = Option<TestFindings>;

    fn prepare(&self, query: &Query<'_>) -> Result<Prepared<Option<TestFindings>>, StepError> {
        let arguments = self.arguments(&self.packages.patterns);
        let mut spec = ActionSpec { arguments, ..ActionSpec::default() };
        let (mut closure, shared) = match self.describe(query, &mut spec)? {
            Ok(found) => found,
            Err(what) => {
                spec.outputs = self.outputs();
                self.watch_reads(&mut spec.inputs, query, None);
                return Ok(Prepared { spec, freshness: Freshness::undecided(what), findings: None });
            }
        };
        spec.outputs = self.outputs();
        if !self.exclude.is_empty() {
            spec.settings.insert("exclude".to_owned(), self.exclude.join(" "));
        }
        if let Some(why) = self.always(&closure, &shared.inputs) {
            self.watch_reads(&mut spec.inputs, query, None);
            let findings = Some(TestFindings { closure, tests: None });
            return Ok(Prepared { spec, freshness: Freshness::always(why), findings });
        }
        let inputs = digest_of(&shared.inputs)?;
        let of_machine =
            |(name, value): (&String, &String)| Some((name.strip_prefix(MACHINE)?.to_owned(), value.clone()));
        let machine = shared.settings.iter().filter_map(of_machine).collect();
        let shared = shared.digest().map_err(|error| StepError::failed(error.to_string()))?;
        let all = TestResults::of(query, &self.packages.key).all_passed().filter(|_| !query.is_forced());
        let (is_remembered, all) = (all.is_some(), all.unwrap_or_default());
        let place = self.place(query, &spec.environment);
        self.watch_reads(&mut spec.inputs, query, Some(&all.reads).filter(|_| is_remembered));
        let sights = place.look(&all.reads);
        let below_root = self.below_root_if(query, &all.reads)?;
        let stale = self.stale_report(query, &all.written);
        let is_same_whole =
            is_remembered && whole(&mut closure, &shared, &sights, below_root.as_ref())?.to_string() == all.whole;
        if is_same_whole && stale.is_none() {
            all.written.lines.iter().for_each(|line| query.output_again(line));
            // For an audit: which tests they are that have passed.
            spec.settings.insert("passed".to_owned(), all.whole);
            let freshness = Freshness::UpToDate(Metadata::default());
            return Ok(Prepared { spec, freshness, findings: None });
        }
        let is_same = sights == all.sights && below_root.map(|digest| digest.to_string()) == all.below_root;
        let earlier = Earlier { all, place, sights, below_root, machine, is_same: is_same && is_remembered };
        let known = self.known(query, &closure, (shared, inputs), &earlier)?;
        let freshness = if known.running(&closure).next().is_some() {
            Freshness::Run(self.reasons(query, &spec, &closure, &known, &earlier))
        } else if self.has_reports() {
            Freshness::not_present(stale.unwrap_or_else(|| "the tests are others, and its reports are not".to_owned()))
        } else {
            self.remember(query, &mut closure, &known, &WrittenReports::default())?;
            Freshness::UpToDate(Metadata::default())
        };
        Ok(Prepared { spec, freshness, findings: Some(TestFindings { closure, tests: Some(known) }) })
    }

    fn tree_access(&self) -> TreeAccess {
        TreeAccess::MayWrite
    }

    fn reports_on_failure(&self) -> bool {
        true
    }

    fn keeps_results(&self) -> bool {
        true
    }

    fn forget(&self, query: &Query<'_>) -> Result<(), StepError> {
        let results = TestResults::of(query, &self.packages.key);
        results.forget_all_passed();
        let mut spec = ActionSpec { arguments: self.arguments(&self.packages.patterns), ..ActionSpec::default() };
        let Ok((closure, shared)) = self.describe(query, &mut spec)? else { return Ok(()) };
        let shared = shared.digest().map_err(|error| StepError::failed(error.to_string()))?;
        let place = self.place(query, &spec.environment);
        let below_root = self.below_root(query)?.map(|inputs| digest_of(&inputs)).transpose()?;
        for parts in parts_of(&closure, &shared)? {
            results.take_back(&parts, &|reads| place.look(reads), below_root.as_ref());
        }
        Ok(())
    }

    fn run(&self, prepared: &Prepared<Option<TestFindings>>, job: &Job<'_>) -> Result<Report, StepError> {
        job.prerequisites()?;
        let toolchain = self.packages.go.toolchain(job)?;
        if let Some(findings) = &prepared.findings {
            check_modules(&self.packages.go, job, &findings.closure.modules)?;
        }
        let mut environment = self.environment(&toolchain.root);
        self.add_outputs(job, &mut environment)?;
        let c_identity = prepared.spec.tools.get("C compiler").map_or("", String::as_str);
        let run = TestRun { step: self, job, toolchain: &toolchain, environment, c_identity };
        match &prepared.findings {
            Some(TestFindings { closure, tests: Some(known) }) => run.keep_results(closure, known)?,
            Some(TestFindings { closure, tests: None }) => {
                let packages = self.named_packages(closure);
                run.keep_nothing(Some((closure, &prepared.spec.inputs)), self.arguments(&packages))?;
            }
            None => {
                let packages = run.listed_packages()?;
                run.keep_nothing(None, self.arguments(&packages))?;
            }
        }
        Ok(Report::default())
    }
}
