//! `GoBuildStep`: executables for one platform.

use rondel_cas::RelativePath;
use rondel_engine::{ActionSpec, Job, OutputKind, OutputSpec, Prepared, Query, Report, Step, StepError};

use crate::closure::Closure;
use crate::packages::GoPackages;

/// One target on one platform, all texts resolved.
pub struct GoBuildStep {
    /// What is built.
    pub packages: GoPackages,
    /// Linker flags; `-buildid=` is added.
    pub ldflags: Vec<String>,
    /// `-X` values by `importpath.name`.
    pub stamp: Vec<(String, String)>,
    /// Compiler flags.
    pub gcflags: Vec<String>,
    /// `-buildmode=`, if Go is not to choose.
    pub build_mode: Option<&'static str>,
    /// Directory of the outputs, relative to the workspace.
    pub out: RelativePath,
}

/// Stands in argument lists for the staging directory.
const OUT: &str = "{out}/";

impl GoBuildStep {
    fn ldflags(&self) -> Result<String, StepError> {
        // Without it a comment in package main changes the bytes of the binary.
        let mut flags = vec!["-buildid=".to_owned()];
        flags.extend(self.ldflags.iter().cloned());
        for (name, value) in &self.stamp {
            flags.push(format!("-X {}", quoted(&format!("{name}={value}"))?));
        }
        Ok(flags.join(" "))
    }

    /// Adds all but the packages to `spec`: the command, and an output for each executable.
    fn describe(&self, spec: &mut ActionSpec, closure: &Closure) -> Result<(), StepError> {
        let packages = &self.packages;
        if closure.mains.is_empty() {
            let patterns = packages.patterns.join(" ");
            let message = format!("`{}` names no command: no package main in {patterns}", packages.key);
            return Err(StepError::input(message).hint("point `packages` at a package with `func main`"));
        }
        spec.arguments = ["go", "build", "-trimpath", "-buildvcs=false", "-pgo=auto"].map(str::to_owned).to_vec();
        spec.arguments.extend(packages.selecting_flags());
        if let Some(mode) = self.build_mode {
            spec.arguments.push(format!("-buildmode={mode}"));
        }
        if !self.gcflags.is_empty() {
            spec.arguments.push(format!("-gcflags={}", self.gcflags.join(" ")));
        }
        spec.arguments.push(format!("-ldflags={}", self.ldflags()?));
        spec.arguments.extend(["-o".to_owned(), OUT.to_owned(), "--".to_owned()]);
        spec.arguments.extend(packages.patterns.iter().cloned());
        let platform = packages.platform.directory_name();
        let directory = self.out.join(&RelativePath::new(&platform).expect("a platform's name"));
        for import_path in closure.mains.keys() {
            let name = executable_name(import_path, packages.platform.os());
            let name = RelativePath::new(&name).map_err(|error| StepError::failed(error.to_string()))?;
            if spec.outputs.iter().any(|output| output.name == name) {
                let message = format!("`{}` builds two commands named `{name}`", packages.key);
                return Err(StepError::input(message).hint("build them in two targets"));
            }
            spec.outputs.push(OutputSpec { destination: directory.join(&name), name, kind: OutputKind::File });
        }
        Ok(())
    }
}

impl Step for GoBuildStep {
    type Findings = Option<Closure>;

    fn prepare(&self, query: &Query<'_>) -> Result<Prepared<Option<Closure>>, StepError> {
        self.packages.prepare(query, None, &|spec, closure| self.describe(spec, closure))
    }

    fn review(
        &self,
        query: &Query<'_>,
        former: &Prepared<Option<Closure>>,
    ) -> Result<Prepared<Option<Closure>>, StepError> {
        self.packages.prepare(query, former.findings.clone(), &|spec, closure| self.describe(spec, closure))
    }

    fn run(&self, prepared: &Prepared<Option<Closure>>, job: &Job<'_>) -> Result<Report, StepError> {
        let out = format!("{}/", job.staging.display());
        let arguments = prepared.spec.arguments[1..].iter();
        let arguments = arguments.map(|argument| if argument == OUT { out.clone() } else { argument.clone() });
        self.packages.run(prepared, job, arguments)?;
        Ok(Report::default())
    }
}

/// The name that `go build` gives a command: the last element of its path, or the one before a major version.
pub fn executable_name(import_path: &str, os: &str) -> String {
    let mut parts = import_path.rsplit('/');
    let last = parts.next().unwrap_or(import_path);
    // `isVersionElement` of cmd/go/internal/load; a file that is named has no version.
    let is_version = last.strip_prefix('v').is_some_and(|rest| {
        !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()) && !rest.starts_with('0') && rest != "1"
    });
    let is_file = import_path.starts_with("command-line-arguments/");
    let name = if is_version && !is_file { parts.next().unwrap_or(last) } else { last };
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
        assert_eq!(executable_name("example.com/x/v02", "linux"), "v02");
        assert_eq!(executable_name("example.com/x/v99999999999", "linux"), "x");
        assert_eq!(executable_name("command-line-arguments/v2", "linux"), "v2");
    }

    #[test]
    fn quoting_for_flags() {
        assert_eq!(quoted("main.version=v1").unwrap(), "main.version=v1");
        assert_eq!(quoted("a=b c").unwrap(), "'a=b c'");
        assert_eq!(quoted("a=it's").unwrap(), "\"a=it's\"");
        assert!(quoted("a='\"").is_err());
    }
}
