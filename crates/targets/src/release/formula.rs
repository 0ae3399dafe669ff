//! `FormulaStep`: the formula of a release, made of the digests of its archives.

use rondel_cas::{Entry, RelativePath};
use rondel_dist::{Formula, FormulaArchive, FormulaMachine, install_line};
use rondel_engine::{ActionSpec, Job, OutputKind, OutputSpec, Prepared, Query, Report, Step, StepContext, StepError};

pub(crate) struct FormulaStep {
    /// The formula without its archives.
    pub formula: Formula,
    /// Address of an archive, with `{file}` in it.
    pub url: String,
    /// The machine of each archive, in the order of the upstream results.
    pub machines: Vec<FormulaMachine>,
    /// Number of upstream results after those of the archives: the builds, of whose executables the names are taken.
    pub builds: usize,
    /// Directory of the release, relative to the workspace.
    pub out: RelativePath,
}

impl FormulaStep {
    fn name(&self) -> Result<RelativePath, StepError> {
        RelativePath::new(&format!("{}.rb", self.formula.name)).map_err(|error| StepError::failed(error.to_string()))
    }

    /// Returns the formula with the archives, and with lines that install the executables if there are none.
    fn whole(&self, context: &StepContext<'_>) -> Formula {
        let mut formula = self.formula.clone();
        for (machine, upstream) in self.machines.iter().zip(&context.upstream) {
            for artefact in &upstream.artefacts {
                let Entry::File { digest, .. } = &artefact.entry else { continue };
                let url = self.url.replace("{file}", artefact.name.as_str());
                formula.archives.push(FormulaArchive { machine: *machine, url, sha256: digest.hex() });
            }
        }
        if formula.install.is_empty() {
            let builds = context.upstream.iter().skip(self.machines.len()).take(self.builds);
            let names = builds.flat_map(|upstream| &upstream.artefacts).map(|artefact| artefact.name.as_str());
            formula.install = names.map(install_line).collect();
        }
        formula
    }
}

impl Step for FormulaStep {
    type Findings = ();

    fn prepare(&self, context: &Query<'_>) -> Result<Prepared, StepError> {
        let name = self.name()?;
        let destination = self.out.join(&name);
        let mut spec = ActionSpec {
            arguments: vec!["formula".to_owned(), "homebrew".to_owned()],
            outputs: vec![OutputSpec { name, destination, kind: OutputKind::File }],
            ..ActionSpec::default()
        };
        let formula = self.whole(context);
        let mut setting = |name: &str, value: &str| spec.settings.insert(name.to_owned(), value.to_owned());
        setting("description", &formula.description);
        setting("homepage", &formula.homepage);
        setting("version", &formula.version);
        setting("licence", formula.licence.as_deref().unwrap_or_default());
        setting("dependencies", &formula.dependencies.join(" "));
        setting("install", &formula.install.join("\n"));
        setting("test", &formula.test.join("\n"));
        for (index, archive) in formula.archives.iter().enumerate() {
            setting(&format!("archive {index}"), &format!("{} {}", archive.machine.word(), archive.url));
        }
        for artefact in context.upstream.iter().take(self.machines.len()).flat_map(|upstream| &upstream.artefacts) {
            spec.upstream.insert(artefact.name.clone(), artefact.entry.clone());
        }
        Ok(Prepared::by_key(spec))
    }

    fn run(&self, _prepared: &Prepared, context: &Job<'_>) -> Result<Report, StepError> {
        let path = self.name()?.below(context.staging);
        let text = self.whole(context).text();
        std::fs::write(&path, text).map_err(|error| StepError::unwritable(&path, &error))?;
        Ok(Report::default())
    }
}
