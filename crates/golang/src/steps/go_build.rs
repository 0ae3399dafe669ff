//! `GoBuildStep`: executables for one platform.

use std::fs;
use std::path::Path;

use rondel_cas::RelativePath;
use rondel_engine::{ActionSpec, Job, OutputKind, OutputSpec, Prepared, Query, Report, Step, StepError};

use crate::closure::Closure;
use crate::executable_names::{Executable, ExecutableNames, rounds};
use crate::packages::GoPackages;
use crate::stamps::check_stamps;

/// One target on one platform, all texts resolved.
pub struct GoBuildStep {
    /// What is built.
    pub packages: GoPackages,
    /// What the executables are called.
    pub names: ExecutableNames,
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
        let executables = self.names.of(&closure.mains, packages)?;
        for executable in &executables {
            let name = RelativePath::new(&executable.name).map_err(|error| StepError::failed(error.to_string()))?;
            spec.outputs.push(OutputSpec { destination: directory.join(&name), name, kind: OutputKind::File });
        }
        // The outputs don't say which of them has which name.
        let renamed = executables.iter().filter(|executable| executable.name != executable.made);
        let renamed: Vec<String> = renamed.map(|one| format!("{} is {}", one.import_path, one.name)).collect();
        if !renamed.is_empty() {
            spec.settings.insert("names".to_owned(), renamed.join(", "));
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
        if let Some(closure) = &prepared.findings {
            check_stamps(&self.packages, closure, &self.stamp, job)?;
        }
        let mains = prepared.findings.as_ref().map(|closure| &closure.mains);
        let executables = mains.map_or_else(|| Ok(Vec::new()), |mains| self.names.of(mains, &self.packages))?;
        if executables.iter().all(|executable| executable.name == executable.made) {
            self.packages.run(prepared, job, into(prepared.spec.arguments[1..].iter(), job.staging))?;
            return Ok(Report::default());
        }
        let rounds = rounds(executables);
        let is_one = rounds.len() == 1;
        for (number, round) in rounds.iter().enumerate() {
            // A place of its own: one executable may get the name that Go gives another.
            let directory = job.staging.join(format!(".round-{number}"));
            fs::create_dir(&directory).map_err(|error| StepError::unwritable(&directory, &error))?;
            let arguments = match is_one {
                true => prepared.spec.arguments[1..].to_vec(),
                false => of_round(round, &prepared.spec.arguments[1..]),
            };
            self.packages.run(prepared, job, into(arguments.iter(), &directory))?;
            for executable in round {
                let (from, to) = (directory.join(&executable.made), job.staging.join(&executable.name));
                fs::rename(&from, &to).map_err(|error| StepError::unwritable(&to, &error))?;
            }
            fs::remove_dir(&directory).map_err(|error| StepError::unwritable(&directory, &error))?;
        }
        Ok(Report::default())
    }
}

/// Returns the arguments for some of the main packages, without the patterns. A pattern of flags of the compiler would be
/// in the executables; so these flags are for these packages, as when each is built by itself.
fn of_round(round: &[Executable], arguments: &[String]) -> Vec<String> {
    let flags = arguments.iter().take_while(|argument| *argument != "--").cloned();
    flags.chain(["--".to_owned()]).chain(round.iter().map(|executable| executable.import_path.clone())).collect()
}

/// Returns the arguments with `directory` as the place of the executables.
fn into<'a>(arguments: impl Iterator<Item = &'a String>, directory: &Path) -> Vec<String> {
    let out = format!("{}/", directory.display());
    arguments.map(|argument| if argument == OUT { out.clone() } else { argument.clone() }).collect()
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
    fn quoting_for_flags() {
        assert_eq!(quoted("main.version=v1").unwrap(), "main.version=v1");
        assert_eq!(quoted("a=b c").unwrap(), "'a=b c'");
        assert_eq!(quoted("a=it's").unwrap(), "\"a=it's\"");
        assert!(quoted("a='\"").is_err());
    }
}
