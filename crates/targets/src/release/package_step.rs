//! `PackageStep`: executables of one platform, files of the tree and what is said of a package become a `.deb` or `.rpm`.

use std::collections::BTreeMap;
use std::fs::{self, File};
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

use crate::image::places::{Boundary, with_span};

/// Which packages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Deb,
    Rpm,
}

/// A file of the tree in a package.
#[derive(Clone, Debug)]
pub(crate) struct TreeFile {
    /// Where it is installed.
    pub place: RelativePath,
    /// Path below `root`.
    pub from: RelativePath,
    /// 0755 or 0644 if left out.
    pub mode: Option<u32>,
    pub owner: String,
    pub group: String,
    pub is_config: bool,
    /// Place of the path in build.ron.
    pub span: Span,
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
    pub files: Vec<TreeFile>,
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
        let snapshot = &context.workspace.snapshot;
        for file in &self.files {
            let (name, place) = tree_file(&boundary, &file.from, file.span)?;
            let mode = file.mode.unwrap_or(if is_executable(&place)? { 0o755 } else { 0o644 });
            let entry = PackageEntry {
                owner: file.owner.clone(),
                group: file.group.clone(),
                is_config: file.is_config,
                ..PackageEntry::of_root(LayerSource::File(place.clone()), mode)
            };
            package.entries.insert(file.place.clone(), entry);
            spec.arguments.push(format!("{} -> /{}", name, file.place));
            spec.inputs.add(name, place, snapshot)?;
        }
        for (moment, (from, span)) in &self.scripts {
            let (name, place) = tree_file(&boundary, from, *span)?;
            spec.arguments.push(format!("{name} runs {}", moment.word()));
            spec.inputs.add(name, place.clone(), snapshot)?;
            let text = read_text_at_most(&place, TEXT_MAX).map_err(|error| StepError::unreadable(&place, &error))?;
            *moment.of(&mut package.scripts) = text;
        }
        for artefact in context.upstream.iter().flat_map(|result| &result.artefacts) {
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

/// Returns the name of a file among the inputs and its real place.
fn tree_file(boundary: &Boundary, from: &RelativePath, span: Span) -> Result<(RelativePath, PathBuf), StepError> {
    let real = boundary.resolve(from).map_err(|error| with_span(error, span))?;
    let is_file = fs::metadata(&real.place).is_ok_and(|metadata| metadata.is_file());
    match real.name.filter(|_| is_file) {
        Some(name) => Ok((name, real.place)),
        None => {
            let message = format!("`{from}` is no file, and a package installs single files");
            Err(StepError::User(UserError::input(message).at(span).hint("give each file an entry of its own")))
        }
    }
}

fn is_executable(place: &std::path::Path) -> Result<bool, StepError> {
    let metadata = fs::metadata(place).map_err(|error| StepError::unreadable(place, &error))?;
    #[cfg(unix)]
    let is_executable = std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o100 != 0;
    #[cfg(not(unix))]
    let is_executable = {
        let _ = metadata;
        false
    };
    Ok(is_executable)
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
