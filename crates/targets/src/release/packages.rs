//! The packages of a release: what build.ron says of them becomes a step for each platform of Linux.

use std::collections::BTreeMap;

use rondel_buildfile::{
    DebPackage, PackageFields, PackageFile, PackageScript, PackageSource, Platform, Release, ReleasePackage,
    RpmPackage, Span, Spanned, Target, Text,
};
use rondel_cas::RelativePath;
use rondel_dist::{
    Package, PackageEntry, PackageError, Relations, Scripts, debian_architecture, package_path, package_version,
    rpm_architecture,
};
use rondel_engine::{Node, NodeId, OutputRole, StepKey, UserError};
use rondel_oci::LayerSource;

use super::artifacts::{Artifact, ArtifactKind};
use super::builds::builds;
use super::names::{ReleaseNames, path_of};
use super::package_files::{FileOrigin, InstalledFile};
use super::package_step::{Format, Moment, PackageStep};
use crate::analyzer::{Analyzed, Analyzer, only_output, output_path};
use crate::created::created_s;
use crate::image::declared::check_awaited;
use crate::nodes::Deps;

/// Where systemd finds the units of packages.
const UNITS: &str = "/usr/lib/systemd/system";

/// One package of a release, for all of its platforms.
struct Declared<'a> {
    target: &'a Target,
    release: &'a Release,
    package: &'a ReleasePackage,
    /// Its place in build.ron.
    span: Span,
    format: Format,
    /// Role of its steps: `deb`, and `deb 2` for the second one.
    role: String,
}

/// Adds a step for each package and platform of Linux.
pub(crate) fn add_packages(
    analyzer: &mut Analyzer<'_>,
    (target, release): (&Target, &Release),
    platforms: &[Platform],
    deps: &Deps,
) -> Analyzed<Vec<Artifact>> {
    let mut artifacts = Vec::new();
    for (index, package) in release.packages.iter().enumerate() {
        let format = format_of(&package.value);
        let earlier = release.packages[..index].iter().filter(|other| format_of(&other.value) == format).count();
        let role = if earlier == 0 { format.word().to_owned() } else { format!("{} {}", format.word(), earlier + 1) };
        let declared = Declared { target, release, package: &package.value, span: package.span, format, role };
        for (platform, architecture) in declared.architectures(platforms)? {
            let inputs = builds(analyzer, (target, release), &platform)?;
            let node = declared.add(analyzer, &platform, architecture, inputs, deps)?;
            artifacts.push(Artifact { node, kind: declared.format.kind(), platform: Some(platform) });
        }
    }
    Ok(artifacts)
}

fn format_of(package: &ReleasePackage) -> Format {
    match package {
        ReleasePackage::Deb(_) => Format::Deb,
        ReleasePackage::Rpm(_) => Format::Rpm,
    }
}

impl Format {
    fn word(self) -> &'static str {
        match self {
            Format::Deb => "deb",
            Format::Rpm => "rpm",
        }
    }

    fn kind(self) -> ArtifactKind {
        match self {
            Format::Deb => ArtifactKind::Deb,
            Format::Rpm => ArtifactKind::Rpm,
        }
    }
}

impl Declared<'_> {
    fn shared(&self) -> &PackageFields {
        self.package.shared()
    }

    /// Returns the platforms that it is made for, and their names in the format.
    fn architectures(&self, platforms: &[Platform]) -> Analyzed<Vec<(Platform, &'static str)>> {
        let own = self.shared().platforms.as_ref();
        let is_wanted = |platform: &&Platform| match own {
            Some(own) => own.iter().any(|other| other.value == **platform),
            None => platform.os() == "linux",
        };
        let mut found: Vec<(Platform, &'static str)> = Vec::new();
        for platform in platforms.iter().filter(is_wanted) {
            let (name, variant) = (platform.architecture(), platform.variant());
            let architecture = match self.format {
                Format::Deb => debian_architecture(name, variant),
                Format::Rpm => rpm_architecture(name, variant),
            };
            let Some(architecture) = architecture else {
                let message = format!("the format of `{}` has no name for `{platform}`", self.format.word());
                return Err(UserError::input(message).at(self.span).hint("give the package its own `platforms`"));
            };
            if let Some((other, _)) = found.iter().find(|(_, other)| *other == architecture) {
                let message = format!("packages for `{other}` and `{platform}` are both for `{architecture}`");
                let hint = "give the package its own `platforms`, with one of them";
                return Err(UserError::input(message).at(self.span).hint(hint));
            }
            found.push((platform.clone(), architecture));
        }
        Ok(found)
    }

    fn add(
        &self,
        analyzer: &mut Analyzer<'_>,
        platform: &Platform,
        architecture: &'static str,
        mut inputs: Vec<NodeId>,
        deps: &Deps,
    ) -> Analyzed<NodeId> {
        let out = only_output(self.target, analyzer.request.file)?;
        let builds = inputs.len();
        let (files, scripts) = (self.files(analyzer, &mut inputs)?, self.script_files(analyzer)?);
        let name = &self.target.name.value;
        let step = analyzer.step(&|| {
            let package = self.describe(analyzer, architecture)?;
            let file = path_of(&match self.format {
                Format::Deb => {
                    let revision = if package.release.is_empty() { "" } else { "-" };
                    let Package { name, version, release, .. } = &package;
                    format!("{name}_{version}{revision}{release}_{architecture}.deb")
                }
                Format::Rpm => {
                    format!("{}-{}-{}.{architecture}.rpm", package.name, package.version, package.release)
                }
            })?;
            Ok(Box::new(PackageStep {
                format: self.format,
                root: analyzer.root.clone(),
                files: files.clone(),
                builds,
                scripts: scripts.clone(),
                bin: place_of(self.shared().bin.as_str(), self.span)?,
                out: out.join(&file),
                name: file,
                package,
                span: self.span,
                threads: analyzer.request.threads,
            }))
        })?;
        let key = StepKey::of(name, &self.role).on(platform);
        let (after, on_miss) = (deps.order_only.clone(), deps.on_miss.clone());
        Ok(analyzer.graph.add(Node { inputs, after, on_miss, ..Node::new(key, self.target.kind.word(), step) }))
    }

    /// Returns the files that it installs, units among them, outer directories first. Adds the steps that make some to
    /// `inputs`.
    fn files(&self, analyzer: &mut Analyzer<'_>, inputs: &mut Vec<NodeId>) -> Analyzed<Vec<InstalledFile>> {
        let mut files = BTreeMap::new();
        for (place, file) in &self.shared().files {
            let PackageFile::File(file) = file else { continue };
            let (from, span) = match &file.from {
                PackageSource::Tree(path) => (FileOrigin::Tree(self.tree_path(analyzer, path)?), path.span),
                PackageSource::Output(output) => {
                    (FileOrigin::Output(analyzer.output_use(output, OutputRole::Input, inputs)?), output.span)
                }
            };
            let place = place_of(&place.value, place.span)?;
            let installed = InstalledFile {
                place: place.clone(),
                from,
                mode: file.mode.map(rondel_buildfile::FileMode::bits),
                owner: owner(file.owner.as_ref()),
                group: owner(file.group.as_ref()),
                is_config: file.config,
                span,
            };
            files.insert(place, installed);
        }
        for unit in &self.shared().units {
            let from = self.tree_path(analyzer, unit)?;
            let place = place_of(&format!("{UNITS}/{}", from.file_name()), unit.span)?;
            let (owner, group) = (owner(None), owner(None));
            let (mode, is_config, span) = (Some(0o644), false, unit.span);
            let from = FileOrigin::Tree(from);
            let installed = InstalledFile { place: place.clone(), from, mode, owner, group, is_config, span };
            if files.insert(place.clone(), installed).is_some() {
                let message = format!("two files of the package are installed as `/{place}`");
                return Err(UserError::input(message).at(span).hint("take one of them out"));
            }
        }
        Ok(files.into_values().collect())
    }

    /// Returns a path of the tree that no other target writes while this one reads it.
    fn tree_path(&self, analyzer: &Analyzer<'_>, path: &Spanned<String>) -> Analyzed<RelativePath> {
        let from = output_path(path)?;
        check_awaited(analyzer, self.target, (&from, path.span), None)?;
        Ok(from)
    }

    /// Returns the scripts, each with the moment when it runs.
    fn all_scripts(&self) -> Vec<(Moment, &PackageScript)> {
        let scripts = match self.package {
            ReleasePackage::Deb(DebPackage { scripts, .. }) => {
                [&scripts.preinst, &scripts.postinst, &scripts.prerm, &scripts.postrm]
            }
            ReleasePackage::Rpm(RpmPackage { scripts, .. }) => {
                [&scripts.pre, &scripts.post, &scripts.preun, &scripts.postun]
            }
        };
        let moments = [Moment::BeforeInstall, Moment::AfterInstall, Moment::BeforeRemoval, Moment::AfterRemoval];
        moments.into_iter().zip(scripts).filter_map(|(moment, script)| Some((moment, script.as_ref()?))).collect()
    }

    fn script_files(&self, analyzer: &Analyzer<'_>) -> Analyzed<BTreeMap<Moment, (RelativePath, Span)>> {
        let mut files = BTreeMap::new();
        for (moment, script) in self.all_scripts() {
            let PackageScript::File(path) = script else { continue };
            files.insert(moment, (self.tree_path(analyzer, path)?, path.span));
        }
        Ok(files)
    }

    /// Returns all that is known before anything is built. For use in the step's closure.
    fn describe(&self, analyzer: &Analyzer<'_>, architecture: &str) -> Analyzed<Package> {
        let shared = self.shared();
        let (target, values) = (self.target, &analyzer.variables);
        let names = ReleaseNames::of(analyzer, self.release, &target.name.value, target.name.span)?;
        let of_user = |error: PackageError| UserError::input(error.to_string()).at(self.span);
        let optional = |text: &Option<Text>| Ok::<_, UserError>(values.optional(text.as_ref())?.unwrap_or_default());
        let release = match self.package {
            ReleasePackage::Deb(package) => optional(&package.revision)?,
            ReleasePackage::Rpm(package) => {
                values.optional(package.release.as_ref())?.unwrap_or_else(|| "1".to_owned())
            }
        };
        let project = analyzer.request.file.project.value.clone();
        let units = shared.units.iter().map(|unit| Ok(output_path(unit)?.file_name().to_owned()));
        let mut scripts = Scripts::default();
        for (moment, script) in self.all_scripts() {
            if let PackageScript::Text(text) = script {
                moment.of(&mut scripts).clone_from(text);
            }
        }
        let package = Package {
            name: values.optional(shared.name.as_ref())?.unwrap_or(project),
            version: package_version(&names.version).map_err(of_user)?,
            release,
            architecture: architecture.to_owned(),
            maintainer: values.text(&shared.maintainer)?,
            description: values.text(&shared.description)?,
            section: optional(&shared.section)?,
            licence: optional(&shared.license)?,
            homepage: optional(&shared.homepage)?,
            relations: Relations {
                depends: values.texts(&shared.depends)?,
                recommends: values.texts(&shared.recommends)?,
                conflicts: values.texts(&shared.conflicts)?,
                provides: values.texts(&shared.provides)?,
                replaces: values.texts(&shared.replaces)?,
            },
            entries: made_entries(shared)?,
            units: units.collect::<Analyzed<_>>()?,
            scripts,
            created: created_s(analyzer, &self.release.created)?,
        };
        self.format.check(&package).map_err(of_user)?;
        Ok(package)
    }
}

/// Returns the directories and links that build.ron declares.
fn made_entries(shared: &PackageFields) -> Analyzed<BTreeMap<RelativePath, PackageEntry>> {
    let mut entries = BTreeMap::new();
    for (place, file) in &shared.files {
        let entry = match file {
            PackageFile::File(_) => continue,
            PackageFile::Link(target) => PackageEntry::of_root(LayerSource::Symlink(target.clone()), 0o777),
            PackageFile::Directory(directory) => PackageEntry {
                owner: owner(directory.owner.as_ref()),
                group: owner(directory.group.as_ref()),
                ..PackageEntry::of_root(
                    LayerSource::Directory,
                    directory.mode.map_or(0o755, rondel_buildfile::FileMode::bits),
                )
            },
        };
        entries.insert(place_of(&place.value, place.span)?, entry);
    }
    Ok(entries)
}

fn owner(name: Option<&rondel_buildfile::OwnerName>) -> String {
    name.map_or("root", rondel_buildfile::OwnerName::as_str).to_owned()
}

fn place_of(path: &str, span: Span) -> Analyzed<RelativePath> {
    package_path(path).map_err(|message| UserError::input(message).at(span))
}
