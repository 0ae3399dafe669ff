//! `ComposeDown`: ends the services of a compose file.

use rondel_buildfile::{ComposeDown, Target};
use rondel_engine::{Freshness, Job, Prepared, Query, Report, Shown, Step, StepError, StepKey};

use crate::analyzer::{Analyze, Analyzed, Analyzer};
use crate::docker::compose::{Compose, compose};
use crate::nodes::{Deps, TargetNodes};
use crate::running::Services;

impl Analyze for ComposeDown {
    fn analyze(
        &self,
        analyzer: &mut Analyzer<'_>,
        target: &Target,
        deps: Deps,
        _wanted: bool,
    ) -> Analyzed<TargetNodes> {
        let compose = compose(analyzer, &self.file, &self.env, self.project_name.as_ref())?;
        let step = ComposeDownStep { compose, volumes: self.volumes };
        let key = StepKey::main(&target.name.value);
        Ok(TargetNodes::end(analyzer.add(target, key, deps, Vec::new(), Shown::Streamed, Box::new(step))))
    }
}

pub(crate) struct ComposeDownStep {
    pub compose: Compose,
    pub volumes: bool,
}

impl Step for ComposeDownStep {
    type Findings = ();

    fn prepare(&self, _query: &Query<'_>) -> Result<Prepared, StepError> {
        Ok(Prepared::unkeyed(Freshness::always("it stops services")))
    }

    fn run(&self, _prepared: &Prepared, context: &Job<'_>) -> Result<Report, StepError> {
        self.compose.require(context)?;
        let services = Services {
            docker: self.compose.docker.clone(),
            project: self.compose.project_name.clone(),
            file: self.compose.file.clone(),
        };
        let listed = || services.listed().map_err(|error| StepError::environment(error.to_string()));
        // Services of all profiles, also those that the file does not name any more; not those of other files.
        let mut arguments = vec!["--profile=*".to_owned(), "down".to_owned()];
        arguments.extend((listed()?.others == 0).then(|| "--remove-orphans".to_owned()));
        arguments.extend(self.volumes.then(|| "--volumes".to_owned()));
        context.run(&self.compose.line(None, &arguments))?;
        services.end().map_err(|error| StepError::environment(error.to_string()))?;
        Ok(Report::default())
    }
}
