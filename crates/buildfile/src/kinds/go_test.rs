//! `GoTest`: fields and needs of one kind.

use crate::places::Places;
use crate::record::kind;
use crate::types::{
    CommandEnvironment, EnvFile, InputSource, ModuleDirectory, OutPath, Packages, Percent, Platforms, Shuffle, Tags,
    TestCount, TestParallel, late_fact,
};
use crate::{Diagnostic, Kind, Makes, Need, Output, Spanned, Text};

kind! {
    /// Runs `go test` on packages of which something has changed: what their tests are made of, or what these read. That
    /// is seen when they run. Of tests that start programs, have C code or a `TestMain`, and some others, not all reads
    /// are seen: then every file below `root` counts, or what `inputs` names.
    GoTest in Group::Check {
        /// Directory of the module, below `root`: `"examples"`. Without the field it is `root`. Patterns of packages begin there, paths and globs at `root`.
        module: Option<ModuleDirectory> = None,
        /// Packages, as patterns or import paths.
        packages: Packages,
        /// Packages that are left out of `packages`, as patterns or import paths: `["./gen/..."]`. One that leaves out
        /// nothing is an error.
        exclude: Option<Packages> = None,
        /// Adds `-race`. It needs a C compiler, which is then in the key.
        race: bool = false,
        /// Build tags.
        tags: Tags = Tags::default(),
        /// `-run`: a regular expression of the tests to run.
        run: Option<Text> = None,
        /// Adds `-short`.
        short: bool = false,
        /// `-timeout`, a Go duration: `"5m"`.
        timeout: Option<Text> = None,
        /// `-count`: how often each test runs.
        count: Option<TestCount> = None,
        /// `-failfast`: no further test begins after one has failed. It is in no key, since a package that passed has
        /// come to its end.
        failfast: bool = false,
        /// `-shuffle`: the order of tests. `Seed(7)` is one order, and in the key. `On` takes another seed each time and
        /// prints it: such tests always run.
        shuffle: Shuffle = Shuffle::Off,
        /// `-parallel`: how many tests of a package with `t.Parallel` run at once; as many as there are cores if left out.
        parallel: Option<TestParallel> = None,
        /// Shows what passed tests print, too. It is in no key: packages that passed before do not run for it.
        verbose: bool = false,
        /// Measures what the tests cover, and writes a profile of all packages, also of those that passed before:
        /// `"coverage.out"`. The path is relative to `root`.
        coverage: Option<OutPath> = None,
        /// Measures, and writes a page that shows the sources with what is covered (`go tool cover -html`).
        coverage_html: Option<OutPath> = None,
        /// Measures, and fails the target if fewer statements of all packages together are covered, in percent.
        cover_min: Option<Percent> = None,
        /// Writes a report in JUnit's form for CI services, also if tests fail: all packages, also those that passed
        /// before. The path is relative to `root`.
        junit: Option<OutPath> = None,
        /// `-bench`: a regular expression of benchmarks to run; `"."` for all. They always run, and no tests beside them
        /// unless `run` names some. The run is kept by its commit in `.rondel`, and compared with the last one of other
        /// sources, as benchstat does it: write `count: 10`.
        bench: Option<Text> = None,
        /// `-benchtime`, a Go duration or a number of runs: `"2s"`, `"100x"`.
        benchtime: Option<Text> = None,
        /// `-fuzz`: a regular expression of one fuzz test in the one package of `packages`. It always runs, and no tests
        /// beside it unless `run` names some. What it finds is written into `testdata/fuzz`, and is yours.
        fuzz: Option<Text> = None,
        /// `-fuzztime`, a Go duration or a number of inputs: `"2m"`, `"1000x"`. `fuzz` needs it.
        fuzztime: Option<Text> = None,
        /// Environment of the tests, added to Rondel's closed one; `Secret` is allowed, facts of images are not.
        env: CommandEnvironment = CommandEnvironment::default(),
        /// Files of variables in the syntax of `docker run --env-file`: `[".env", Optional(".env.local")]`. A later one goes
        /// before an earlier one, and `env` before all. Their values are not shown; what is used of them is in the key, sealed.
        env_file: Vec<EnvFile> = Vec::new(),
        /// Globs of more files, and outputs of targets, that all tests depend on. Needed for what is read unseen, by
        /// child processes for example; `["**"]` for every file below `root`.
        inputs: Option<Vec<InputSource>> = None,
    }
}

impl Kind for GoTest {
    fn makes(&self) -> Makes {
        Makes::Nothing
    }

    fn module(&self) -> Option<&ModuleDirectory> {
        self.module.as_ref()
    }

    fn outputs<'a>(&'a self, places: &Places<'a>) -> Vec<Output<'a>> {
        self.reports().into_iter().map(|(_, path)| places.path(path)).collect()
    }

    fn check(&self, _platforms: &Platforms, diagnostics: &mut Vec<Diagnostic>) {
        for (field, path) in self.reports().into_iter().filter(|(_, path)| path.value.ends_with('/')) {
            let message = format!("`{}` is a directory, and `{field}` is a file", path.value);
            diagnostics.push(Diagnostic::new(path.span, message).hint("name the file"));
        }
        self.check_purpose(diagnostics);
        for (_, text) in &self.env {
            diagnostics.extend(text.images().next().map(|fact| late_fact(fact, text.span)));
        }
    }

    fn env_files(&self) -> &[EnvFile] {
        &self.env_file
    }

    fn needs(&self) -> Vec<Need> {
        let mut needs = vec![Need::Go];
        if self.race {
            needs.push(Need::CCompiler { command: None, platform: None, because: "race: true" });
        }
        needs
    }
}

impl GoTest {
    /// Reports fields that do not fit together: tests, benchmarks and fuzzing are targets of their own.
    fn check_purpose(&self, diagnostics: &mut Vec<Diagnostic>) {
        if let Some(time) = self.benchtime.as_ref().filter(|_| self.bench.is_none()) {
            let message = "`benchtime` is for benchmarks, and there is no `bench`";
            diagnostics.push(Diagnostic::new(time.span, message).hint("write bench: \".\""));
        }
        match (&self.fuzz, &self.fuzztime) {
            (Some(fuzz), None) => {
                let message = "`fuzz` without `fuzztime` would never end";
                diagnostics.push(Diagnostic::new(fuzz.span, message).hint("write fuzztime: \"2m\""));
            }
            (None, Some(time)) => {
                let message = "`fuzztime` is for fuzzing, and there is no `fuzz`";
                diagnostics.push(Diagnostic::new(time.span, message).hint("write fuzz: \"FuzzName\""));
            }
            (Some(_), Some(_)) | (None, None) => {}
        }
        let is_of_tests = self.is_reported() || self.shuffle != Shuffle::Off;
        for (text, what, is_refused) in [
            (&self.bench, "benchmarks have", is_of_tests),
            (&self.fuzz, "fuzzing has", is_of_tests || self.bench.is_some()),
        ] {
            if let Some(text) = text.as_ref().filter(|_| is_refused) {
                let others = if what.starts_with("fuzz") { "no benchmarks, " } else { "" };
                let message = format!("{what} {others}no order of tests, no coverage and no JUnit report");
                diagnostics.push(Diagnostic::new(text.span, message).hint("give each purpose a target of its own"));
            }
        }
    }

    /// Returns true if something is written or demanded about all packages.
    fn is_reported(&self) -> bool {
        self.cover_min.is_some() || !self.reports().is_empty()
    }

    /// Returns the fields that name a file, and the files.
    pub fn reports(&self) -> Vec<(&'static str, &Spanned<String>)> {
        let fields = [("coverage", &self.coverage), ("coverage_html", &self.coverage_html), ("junit", &self.junit)];
        fields.into_iter().filter_map(|(field, path)| Some((field, &**path.as_ref()?))).collect()
    }
}
