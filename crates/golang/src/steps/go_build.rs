//! `GoBuild`: executables for one platform.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::{Closure, ClosureQuery, collector_percent, spare_memory};
use rondel_cas::RelativePath;
use rondel_engine::{
    ActionSpec, Class, Environment, Freshness, Job, OutputKind, OutputSpec, Prepared, Query, Report, Step, StepError,
    StepKey,
};
use rondel_names::Platform;
use rondel_process::CommandLine;

use crate::cgo::CSupport;
use crate::module_download::check_modules;
use crate::support::{ClosureRequest, GoSupport};

/// One target on one platform, all texts resolved.
pub struct GoBuildStep {
    /// The toolchain, and how it is run.
    pub go: Arc<GoSupport>,
    /// Which step; names it in messages too.
    pub key: StepKey,
    /// What is built for.
    pub platform: Platform,
    /// Package patterns.
    pub packages: Vec<String>,
    /// Build tags.
    pub tags: Vec<String>,
    /// Linker flags; `-buildid=` is added.
    pub ldflags: Vec<String>,
    /// `-X` values by `importpath.name`.
    pub stamp: Vec<(String, String)>,
    /// Compiler flags.
    pub gcflags: Vec<String>,
    /// Declared variables.
    pub env: Vec<(String, String)>,
    /// `-buildmode=`, if Go is not to choose.
    pub build_mode: Option<&'static str>,
    /// With cgo: by which compilers.
    pub c: Option<CSupport>,
    /// Files in the source tree that targets of this run make without being waited for, and their targets.
    pub foreign: Vec<(PathBuf, String)>,
    /// Directory of the outputs, relative to the workspace.
    pub out: RelativePath,
}

/// Stands in argument lists for the staging directory.
const OUT: &str = "{out}/";

impl GoBuildStep {
    fn environment(&self, root: &Path) -> Environment {
        let mut environment = self.go.compile_environment(root, &self.platform);
        for (name, value) in self.env.iter().filter(|(name, _)| !matches!(name.as_str(), "CC" | "CXX")) {
            environment.set(Class::Keyed, name, value);
        }
        if let Some(c) = &self.c {
            c.set(root, &mut environment);
        }
        environment
    }

    /// What the process sees. How much memory the tools may spend for speed is this machine's affair and in no key,
    /// unless the target says it.
    fn for_process(&self, environment: Environment) -> Vec<(String, String)> {
        let mut pairs = environment.for_process();
        if !self.env.iter().any(|(name, _)| name == "GOGC")
            && let Some(percent) = spare_memory().and_then(collector_percent)
        {
            pairs.push(("GOGC".to_owned(), percent.to_owned()));
        }
        pairs
    }

    /// Flags that decide which files belong to the build; `go list` gets them too.
    fn selecting_flags(&self) -> Vec<String> {
        let mut flags = vec![self.go.mod_flag()];
        if !self.tags.is_empty() {
            flags.push(format!("-tags={}", self.tags.join(",")));
        }
        flags
    }

    fn ldflags(&self) -> Result<String, StepError> {
        // Without it a comment in package main changes the bytes of the binary.
        let mut flags = vec!["-buildid=".to_owned()];
        flags.extend(self.ldflags.iter().cloned());
        for (name, value) in &self.stamp {
            flags.push(format!("-X {}", quoted(&format!("{name}={value}"))?));
        }
        Ok(flags.join(" "))
    }

    fn query(&self, identity: &str) -> ClosureQuery {
        let mut settings: BTreeMap<String, String> = BTreeMap::new();
        settings.insert("platform".to_owned(), self.platform.to_string());
        settings.insert("go".to_owned(), identity.to_owned());
        settings.insert("flags".to_owned(), self.selecting_flags().join(" "));
        settings.insert("cgo".to_owned(), self.c.is_some().to_string());
        settings.extend(self.env.iter().map(|(name, value)| (format!("env {name}"), value.clone())));
        let go_work = self.go.go_work.clone();
        ClosureQuery {
            module: self.go.module.clone(),
            go_work,
            packages: self.packages.clone(),
            tests: false,
            settings,
        }
    }

    /// `former` is what the same build found before, in this run; without it, what earlier runs remembered is asked.
    fn prepare_with(&self, query: &Query<'_>, former: Option<Closure>) -> Result<Prepared<Option<Closure>>, StepError> {
        let identity = self.go.identity(query)?;
        let asked = ClosureRequest {
            key: &self.key,
            query: self.query(&identity),
            flags: self.selecting_flags(),
            environment: &|toolchain| self.for_process(self.environment(&toolchain.root)),
        };
        let mut closure = match self.go.closure(query, &asked, former)? {
            Ok(closure) => closure,
            Err(why) => return Ok(Prepared::unkeyed(Freshness::not_present(why)).with(None)),
        };
        let mut spec = self.spec(&identity, &mut closure)?;
        self.go.remember(query, &self.key, &mut closure);
        if let Some(c) = &self.c {
            match c.identity(query, &closure.c_directories)? {
                Ok(identity) => spec.tools.insert("C compiler".to_owned(), identity),
                Err(what) => {
                    return Ok(Prepared { spec, freshness: Freshness::not_present(what), findings: Some(closure) });
                }
            };
        }
        Ok(Prepared { spec, freshness: Freshness::ByKey, findings: Some(closure) })
    }

    fn spec(&self, identity: &str, closure: &mut Closure) -> Result<ActionSpec, StepError> {
        if closure.mains.is_empty() {
            let message = format!("`{}` names no command: no package main in {}", self.key, self.packages.join(" "));
            return Err(StepError::input(message).hint("point `packages` at a package with `func main`"));
        }
        if let Some((file, target)) = self.foreign.iter().find(|(file, _)| closure.reads(file)) {
            let name = file.strip_prefix(&self.go.module).unwrap_or(file).display();
            let message = format!("`{}` reads `{name}`, which `{target}` makes in the same run", self.key);
            return Err(StepError::input(message).hint(format!("write `after: [\"{target}\"]`")));
        }
        let mut spec = ActionSpec {
            arguments: ["go", "build", "-trimpath", "-buildvcs=false", "-pgo=auto"].map(str::to_owned).to_vec(),
            ..ActionSpec::default()
        };
        spec.arguments.extend(self.selecting_flags());
        if let Some(mode) = self.build_mode {
            spec.arguments.push(format!("-buildmode={mode}"));
        }
        if !self.gcflags.is_empty() {
            spec.arguments.push(format!("-gcflags={}", self.gcflags.join(" ")));
        }
        spec.arguments.push(format!("-ldflags={}", self.ldflags()?));
        spec.arguments.extend(["-o".to_owned(), OUT.to_owned(), "--".to_owned()]);
        spec.arguments.extend(self.packages.iter().cloned());
        spec.environment = self.environment(Path::new("/"));
        spec.tools.insert("go".to_owned(), identity.to_owned());
        spec.settings.insert("platform".to_owned(), self.platform.to_string());
        spec.inputs = closure.inputs()?;
        for import_path in closure.mains.keys() {
            let name = executable_name(import_path, self.platform.os());
            let name = RelativePath::new(&name).map_err(|error| StepError::failed(error.to_string()))?;
            if spec.outputs.iter().any(|output| output.name == name) {
                let message = format!("`{}` builds two commands named `{name}`", self.key);
                return Err(StepError::input(message).hint("build them in two targets"));
            }
            let platform = self.platform.directory_name();
            let directory = self.out.join(&RelativePath::new(&platform).expect("a platform's name"));
            spec.outputs.push(OutputSpec { destination: directory.join(&name), name, kind: OutputKind::File });
        }
        Ok(spec)
    }
}

impl Step for GoBuildStep {
    type Findings = Option<Closure>;

    fn prepare(&self, query: &Query<'_>) -> Result<Prepared<Option<Closure>>, StepError> {
        self.prepare_with(query, None)
    }

    fn review(
        &self,
        query: &Query<'_>,
        former: &Prepared<Option<Closure>>,
    ) -> Result<Prepared<Option<Closure>>, StepError> {
        self.prepare_with(query, former.findings.clone())
    }

    fn run(&self, prepared: &Prepared<Self::Findings>, context: &Job<'_>) -> Result<Report, StepError> {
        let (spec, staging) = (&prepared.spec, context.staging);
        let toolchain = self.go.toolchain(context)?;
        if let Some(closure) = &prepared.findings {
            check_modules(&self.go, context, &closure.modules)?;
        }
        let out = format!("{}/", staging.display());
        let arguments =
            spec.arguments[1..].iter().map(|argument| if argument == OUT { out.clone() } else { argument.clone() });
        let mut environment = self.environment(&toolchain.root);
        if self.c.is_some() {
            CSupport::mark(&mut environment, &self.env, &CSupport::inputs(spec));
        }
        let line = CommandLine::new(toolchain.go(), &self.go.module)
            .arguments(arguments)
            .environment(self.for_process(environment));
        context.run(&line)?;
        Ok(Report::default())
    }
}

/// The name that `go build` gives a command: the last element of its path, or the one before a major version.
pub fn executable_name(import_path: &str, os: &str) -> String {
    let mut parts = import_path.rsplit('/');
    let last = parts.next().unwrap_or(import_path);
    let is_version = last.strip_prefix('v').is_some_and(|rest| {
        rest.bytes().all(|byte| byte.is_ascii_digit()) && rest.parse::<u32>().is_ok_and(|number| number >= 2)
    });
    let name = if is_version { parts.next().unwrap_or(last) } else { last };
    if os == "windows" { format!("{name}.exe") } else { name.to_owned() }
}

/// One word of the go command's flag lists, which know quotes but no escapes.
fn quoted(text: &str) -> Result<String, StepError> {
    match (text.contains(char::is_whitespace) || text.contains(['\'', '"']), text.contains('\''), text.contains('"')) {
        (false, ..) => Ok(text.to_owned()),
        (true, false, _) => Ok(format!("'{text}'")),
        (true, true, false) => Ok(format!("\"{text}\"")),
        (true, true, true) => {
            Err(StepError::input(format!("`{text}` has both kinds of quotes: Go can't be given it in a flag")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_executables() {
        assert_eq!(executable_name("example.com/a/cmd/tool", "linux"), "tool");
        assert_eq!(executable_name("github.com/x/task/v3", "linux"), "task");
        assert_eq!(executable_name("example.com/v1", "windows"), "v1.exe");
    }

    #[test]
    fn quoting_for_flags() {
        assert_eq!(quoted("main.version=v1").unwrap(), "main.version=v1");
        assert_eq!(quoted("a=b c").unwrap(), "'a=b c'");
        assert_eq!(quoted("a=it's").unwrap(), "\"a=it's\"");
        assert!(quoted("a='\"").is_err());
    }
}
