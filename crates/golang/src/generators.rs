//! What generators that are started with `go` need before the network is taken from them: the commands of other modules,
//! and module contents that go.sum vouches for.

use std::collections::BTreeSet;
use std::path::Path;

use rondel_cas::{MEMORY_MAX, read_text_at_most};
use rondel_engine::{Class, Job, StepContext, StepError};
use rondel_process::CommandLine;

use crate::environment::turn_index_off;
use crate::module_cache::module_sums;
use crate::module_download::{check_modules, download_environment};
use crate::published::escaped;
use crate::support::GoSupport;

impl GoSupport {
    /// Fetches and builds commands, `import/path@v1.2.3`, so that `go run` needs no network for them. Executables go to
    /// `scratch`, and nothing uses them.
    pub fn fetch_commands(&self, job: &Job<'_>, commands: &BTreeSet<String>, scratch: &Path) -> Result<(), StepError> {
        let toolchain = self.toolchain(job)?;
        let platform = self.own_platform().map_err(StepError::User)?;
        for command in commands {
            let mut environment = self.compile_environment(&toolchain.root, &platform);
            environment.set(Class::Keyed, "GOWORK", "off");
            turn_index_off(&mut environment);
            let (mut environment, secret_names) = download_environment(self, &toolchain, environment);
            environment.push(("GOBIN".to_owned(), scratch.display().to_string()));
            let mut line = CommandLine::new(toolchain.go(), scratch)
                .arguments(["install", command.as_str()])
                .environment(environment);
            line.secret_names = secret_names;
            job.run(&line)
                .map_err(|error| error.hint("check its path and version, GOPROXY, and the Go that it needs"))?;
        }
        Ok(())
    }

    /// Compares all modules of go.sum that are in the module cache with it.
    pub fn check_required_modules(&self, context: &StepContext<'_>) -> Result<(), StepError> {
        let texts = self.sum_files().into_iter().filter_map(|path| read_text_at_most(&path, MEMORY_MAX).ok());
        let sums = module_sums(&texts.collect::<Vec<_>>());
        let place = |name: &String| {
            let (path, version) = name.split_once('@').unwrap_or((name, ""));
            self.directories.module_cache.join(format!("{}@{}", escaped(path), escaped(version)))
        };
        let directories: BTreeSet<_> = sums.keys().map(place).filter(|place| place.is_dir()).collect();
        check_modules(self, context, &directories)
    }
}
