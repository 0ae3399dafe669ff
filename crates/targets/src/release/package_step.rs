//! `PackageStep`: executables of one platform, files of the tree and what is said of a package become a `.deb` or `.rpm`.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;

use rondel_buildfile::Span;
use rondel_cas::{Digest, Entry, RelativePath, TEXT_MAX, read_text_at_most};
use rondel_dist::{
    DEB_FORMAT, Package, PackageEntry, PackageError, RPM_FORMAT, Relations, Scripts, check_deb, check_rpm, write_deb,
    write_rpm,
};
use rondel_engine::{
    ActionSpec, Job, OutputKind, OutputSpec, Prepared, Query, Report, Step, StepContext, StepError, UserError,
};
use rondel_oci::{Compression, LayerSource};

use super::package_files::{InstalledFile, tree_place};
use crate::image::places::Boundary;

/// Which packages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Deb,
    Rpm,
}

/// When a script runs, as the member of `Scripts`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Moment {
    BeforeInstall,
    AfterInstall,
    BeforeRemoval,
    AfterRemoval,
}

pub(crate) struct PackageStep {
    pub format: Format,
    /// With the links and directories that it installs, and the scripts that are in build.ron.
    pub package: Package,
    /// Directory of the project.
    pub root: PathBuf,
    /// What it installs beside executables and made entries. The more exact one of two holds.
    pub files: Vec<InstalledFile>,
    /// Number of builds, whose results are the first ones of the upstream.
    pub builds: usize,
    /// Scripts that are files of the tree.
    pub scripts: BTreeMap<Moment, (RelativePath, Span)>,
    /// Where the executables of the upstream steps go.
    pub bin: RelativePath,
    /// Name of the package's file.
    pub name: RelativePath,
    /// Its place relative to the workspace.
    pub out: RelativePath,
    /// Place of the package in build.ron.
    pub span: Span,
    pub threads: usize,
}

impl Format {
    /// Returns the version of the bytes that are written.
    fn version(self) -> &'static str {
        match self {
            Format::Deb => DEB_FORMAT,
            Format::Rpm => RPM_FORMAT,
        }
    }

    /// Refuses a package whose values do not fit the format.
    pub fn check(self, package: &Package) -> Result<(), PackageError> {
        match self {
            Format::Deb => check_deb(package),
            Format::Rpm => check_rpm(package),
        }
    }
}

impl PackageStep {
    /// Returns the error about the package, at its place.
    fn wrong(&self, error: PackageError) -> StepError {
        let name = &self.name;
        match error {
            PackageError::Value(message) => {
                StepError::User(UserError::input(format!("`{name}` can't be made: {message}")).at(self.span))
            }
            PackageError::Io(error) => StepError::failed(format!("failed to write `{name}`: {error}")),
        }
    }

    /// Adds the files of the tree and the executables, and all that decides them to `spec`.
    fn complete(&self, context: &StepContext<'_>, spec: &mut ActionSpec) -> Result<Package, StepError> {
        let mut package = self.package.clone();
        let boundary = Boundary::of(&self.root, context)?;
        let mut installed = BTreeMap::new();
        for file in &self.files {
            file.add_to(&boundary, context, spec, &mut installed)?;
        }
        // What build.ron declares to be a directory or a link.
        for (place, entry) in installed {
            package.entries.entry(place).or_insert(entry);
        }
        for (moment, (from, span)) in &self.scripts {
            let (name, place) = tree_place(&boundary, from, *span)?;
            spec.arguments.push(format!("{name} runs {}", moment.word()));
            spec.inputs.add(name, place.clone(), &context.workspace.snapshot)?;
            let text = read_text_at_most(&place, TEXT_MAX).map_err(|error| StepError::unreadable(&place, &error))?;
            *moment.of(&mut package.scripts) = text;
        }
        for artefact in context.upstream.iter().take(self.builds).flat_map(|result| &result.artefacts) {
            // Bills of materials stand beside executables.
            if !matches!(artefact.entry, Entry::File { executable: true, .. }) {
                continue;
            }
            let name = RelativePath::new(artefact.name.file_name()).expect("a part of a path");
            let place = self.bin.join(&name);
            let entry = PackageEntry::of_root(LayerSource::File(artefact.path.clone()), 0o755);
            if package.entries.insert(place.clone(), entry).is_some() {
                let message = format!("two files of the package are installed as `/{place}`");
                let hint = "give the executable another `name`, or take the other one out of `files`";
                return Err(StepError::User(UserError::input(message).at(self.span).hint(hint)));
            }
            spec.upstream.insert(place, artefact.entry.clone());
        }
        spec.arguments.push(format!("entries {}", listed(&package).oci()));
        Ok(package)
    }
}

impl Moment {
    pub fn of(self, scripts: &mut Scripts) -> &mut String {
        match self {
            Moment::BeforeInstall => &mut scripts.before_install,
            Moment::AfterInstall => &mut scripts.after_install,
            Moment::BeforeRemoval => &mut scripts.before_removal,
            Moment::AfterRemoval => &mut scripts.after_removal,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Moment::BeforeInstall => "before install",
            Moment::AfterInstall => "after install",
            Moment::BeforeRemoval => "before removal",
            Moment::AfterRemoval => "after removal",
        }
    }
}

/// Returns all that entries are but the contents of files, for the key.
fn listed(package: &Package) -> Digest {
    let mut text = String::new();
    for (path, PackageEntry { source, mode, owner, group, is_config }) in &package.entries {
        let kind = match source {
            LayerSource::File(_) | LayerSource::Bytes(_) => "file".to_owned(),
            LayerSource::Directory => "directory".to_owned(),
            LayerSource::Symlink(target) => format!("link {}", target.escape_default()),
        };
        let path = path.as_str().escape_default();
        text.push_str(&format!("{path} {mode:o} {owner}:{group} {is_config} {kind}\n"));
    }
    Digest::of(text.as_bytes())
}

/// Returns what is said of a package, by name: each member is in the key.
fn settings(package: &Package) -> BTreeMap<String, String> {
    let Package {
        name,
        version,
        release,
        architecture,
        maintainer,
        description,
        section,
        licence,
        homepage,
        relations,
        // In the list of entries, and in the inputs.
        entries: _,
        units,
        scripts,
        created,
    } = package;
    let Relations { depends, recommends, conflicts, provides, replaces } = relations;
    let Scripts { before_install, after_install, before_removal, after_removal } = scripts;
    // No relation has a line break.
    let lines = |texts: &[String]| texts.join("\n");
    let units: Vec<String> = units.iter().cloned().collect();
    let members = [
        ("name", name.clone()),
        ("version", version.clone()),
        ("release", release.clone()),
        ("architecture", architecture.clone()),
        ("maintainer", maintainer.clone()),
        ("description", description.clone()),
        ("section", section.clone()),
        ("licence", licence.clone()),
        ("homepage", homepage.clone()),
        ("depends", lines(depends)),
        ("recommends", lines(recommends)),
        ("conflicts", lines(conflicts)),
        ("provides", lines(provides)),
        ("replaces", lines(replaces)),
        ("units", lines(&units)),
        ("before install", before_install.clone()),
        ("after install", after_install.clone()),
        ("before removal", before_removal.clone()),
        ("after removal", after_removal.clone()),
        ("created", created.to_string()),
    ];
    members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

impl Step for PackageStep {
    type Findings = Package;

    fn prepare(&self, context: &Query<'_>) -> Result<Prepared<Package>, StepError> {
        let mut spec = ActionSpec {
            arguments: vec!["package".to_owned()],
            settings: settings(&self.package),
            outputs: vec![OutputSpec {
                name: self.name.clone(),
                destination: self.out.clone(),
                kind: OutputKind::File,
            }],
            ..ActionSpec::default()
        };
        spec.settings.insert("format".to_owned(), self.format.version().to_owned());
        spec.settings.insert("codec".to_owned(), Compression::Gzip.codec());
        let package = self.complete(context, &mut spec)?;
        self.format.check(&package).map_err(|error| self.wrong(error))?;
        Ok(Prepared::by_key(spec).with(package))
    }

    fn run(&self, prepared: &Prepared<Package>, context: &Job<'_>) -> Result<Report, StepError> {
        let place = self.name.below(context.staging);
        let mut file = File::create_new(&place).map_err(|error| StepError::unwritable(&place, &error))?;
        let written = match self.format {
            Format::Deb => write_deb(&prepared.findings, &mut file, self.threads),
            Format::Rpm => write_rpm(&prepared.findings, &mut file, self.threads),
        };
        written.map_err(|error| self.wrong(error))?;
        Ok(Report::default())
    }
}
