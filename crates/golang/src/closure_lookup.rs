//! The closure of a step: remembered, or asked of `go list`. Modules that could not be downloaded are part of the answer
//! if it is an error.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use rondel_engine::{StepContext, StepError, StepKey};
use rondel_process::CommandLine;

use crate::closure::Closure;
use crate::closure_query::ClosureQuery;
use crate::go_list::list_arguments;
use crate::pkg_config::ask_pkg_config;
use crate::readable;
use crate::support::GoSupport;
use crate::toolchain::Toolchain;

/// What to do when modules can't be had.
pub(crate) const DOWNLOAD_HINT: &str = "check go.mod, GOPROXY and the network";

/// Which packages a step is about, and how `go list` is asked for their files.
pub(crate) struct ClosureRequest<'a> {
    /// Of which step: what was found is remembered under it.
    pub key: &'a StepKey,
    /// What is asked.
    pub query: ClosureQuery,
    /// Flags of the go command that decide which files belong to the packages.
    pub flags: Vec<String>,
    /// What `go list` sees.
    pub environment: &'a dyn Fn(&Toolchain) -> Vec<(String, String)>,
}

impl GoSupport {
    /// The closure that is asked for: that of `former` or of an earlier run, if it still holds; else asked of `go`. A
    /// question that may not ask, or gets no answer, gets the reason why instead.
    pub(crate) fn closure(
        &self,
        context: &StepContext<'_>,
        request: &ClosureRequest<'_>,
        former: Option<Closure>,
    ) -> Result<Result<Closure, String>, StepError> {
        let query = &request.query;
        let recalled = match former {
            Some(closure) => closure.again(query, &context.workspace.snapshot),
            None => Closure::recall(&closure_file(context, request.key), query, &context.workspace.snapshot),
        };
        let why = match recalled {
            Ok(closure) => return Ok(Ok(closure)),
            Err(why) => why,
        };
        if context.is_question() {
            return self.ask_for_plan(context, request, why);
        }
        readable::check(&self.module_files())?;
        context.prerequisites()?;
        let toolchain = self.toolchain(context)?;
        self.ask_go(context, request, &toolchain).map(Ok)
    }

    /// Asks `go list` for a plan, or returns why it can't be asked.
    fn ask_for_plan(
        &self,
        context: &StepContext<'_>,
        request: &ClosureRequest<'_>,
        why: String,
    ) -> Result<Result<Closure, String>, StepError> {
        // With `--locked` a build looks at the toolchain before it starts it. In a workspace of modules, `go list` may write go.work.sum.
        if !context.may_ask() || self.locked || self.has_go_work || readable::check(&self.module_files()).is_err() {
            return Ok(Err(why));
        }
        let Some(toolchain) = self.installed(context)? else { return Ok(Err(why)) };
        match self.ask_go(context, request, &toolchain) {
            Ok(closure) => Ok(Ok(closure)),
            Err(StepError::Interrupted) => Err(StepError::Interrupted),
            // A build downloads modules first. Without them `go list` can't tell.
            Err(_) => Ok(Err(format!("{why} (`go list` does not tell before)"))),
        }
    }

    /// Asks `go list`.
    fn ask_go(
        &self,
        context: &StepContext<'_>,
        request: &ClosureRequest<'_>,
        toolchain: &Toolchain,
    ) -> Result<Closure, StepError> {
        let query = &request.query;
        if !self.has_go_work
            && let Some(unused) = self
                .module
                .ancestors()
                .take_while(|path| path.starts_with(&self.workspace))
                .find_map(|path| Some(path.join("go.work")).filter(|path| path.is_file()))
        {
            let unused = unused.strip_prefix(&self.workspace).unwrap_or(&unused).display().to_string();
            context.note(format!("`{unused}` is not used; `go_work: \"…\"` in build.ron builds with it"));
        }
        let environment = (request.environment)(toolchain);
        let pkg_config = |names: &BTreeSet<String>| ask_pkg_config(context, &environment, &self.module, names);
        let line = CommandLine::new(toolchain.go(), &self.module)
            .arguments(list_arguments(query, &request.flags))
            .environment(environment.clone());
        let line = CommandLine { timeout: context.is_question().then_some(PLAN_TIMEOUT), ..line };
        let outside = [toolchain.root.clone(), self.directories.module_cache.clone()];
        let snapshot = &context.workspace.snapshot;
        // What changes between the reading of `go list` and ours would be taken for what `go list` has seen. So it is
        // asked again until nothing changed meanwhile, or until what looks new looked so the last time too.
        let mut last: Option<Closure> = None;
        for _ in 0..LISTS_MAX {
            let before = snapshot.wait_for_next_tick();
            let captured = context.capture(&line).map_err(|error| self.with_missing_modules(error))?;
            let closure = Closure::from_list(query, &captured.stdout, &outside, snapshot, &pkg_config)
                .map_err(|error| self.with_missing_modules(error))?;
            if !closure.is_younger_than(&before) || last.is_some_and(|last| closure.looks_like(&last)) {
                return Ok(closure);
            }
            last = Some(closure);
        }
        Err(StepError::failed("the sources change all the time while `go list` reads them")
            .hint("run again when nothing writes to them"))
    }

    /// Remembers which modules could not be downloaded, for the error of a build that needs one.
    pub(crate) fn note_missing_modules(&self, missing: &[String]) {
        *self.missing_modules.lock().expect("no panic while locked") = missing.to_vec();
    }

    /// Adds to an error of `go list` why modules are missing, if any is.
    fn with_missing_modules(&self, error: StepError) -> StepError {
        let missing = self.missing_modules.lock().expect("no panic while locked");
        match error {
            StepError::Command { summary, status, mut output, told, .. } if !missing.is_empty() => {
                output.extend(missing.iter().map(|module| format!("not downloaded: {module}")));
                StepError::Command { summary, status, output, told, hint: Some(DOWNLOAD_HINT.to_owned()) }
            }
            other => other,
        }
    }

    /// Keeps a closure for the next run, unless this is a question.
    pub(crate) fn remember(&self, context: &StepContext<'_>, key: &StepKey, closure: &mut Closure) {
        if context.is_question() {
            return;
        }
        if let Err(error) = closure.remember(&closure_file(context, key), &context.workspace.scratch()) {
            context.warn(format!("the packages of `{key}` were not remembered: {error}"));
        }
    }
}

/// How long a plan waits for `go list`.
const PLAN_TIMEOUT: Duration = Duration::from_secs(120);
/// How often `go list` is asked while the sources change.
const LISTS_MAX: usize = 20;

/// Where the closure of a step is kept.
fn closure_file(context: &StepContext<'_>, key: &StepKey) -> PathBuf {
    context.workspace.state.join("closures.9").join(key.file_name())
}
