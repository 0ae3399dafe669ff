//! `BuildFile`: the top level of the file.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::field::{FieldType, Visitor};
use crate::options::without_options;
use crate::pushed_documents::write_pushed_documents;
use crate::reader::{Fields, Reader};
use crate::record::{Record, record};
use crate::shape::{Default, Shape};
use crate::text::{OutputReference, TextSource};
use crate::types::{
    Defaults, GoChoice, ModuleDirectory, Platforms, Pools, ProcessEnvironment, ProjectName, Registries, Sets,
    SourcePath,
};
use crate::types::{SigningKey, variable_shape};
use crate::value::Value;
use crate::{Diagnostic, FORMAT, Output, Platform, Span, Spanned, Target, TargetName, Targets, Text, VariableName};

record! {
    /// The whole file.
    BuildFile = "build.ron" {
        /// Version of the file's format: 1.
        format: Format,
        /// Oldest Rondel that may read the file: `">=0.1"`. An older one refuses it.
        rondel: Option<Requirement> = None,
        /// Name of the project, made of a-z, 0-9, `-` and `_`, a letter or digit first. Containers are labelled
        /// with it, and compose projects are named after it.
        project: ProjectName,
        /// Directory where paths start, relative to the directory of build.ron; that directory itself if left out. Its
        /// go.mod is that of targets without `module`.
        root: Option<SourcePath> = None,
        /// The Go to use, 1.20 or later: `Version("1.22.12")`; `System`, the `go` on PATH; or `FromGoMod`. That is the
        /// release of go.mod's `toolchain` line; without one, what `.go-version` or `.tool-versions` names; without these,
        /// the newest patch release of its `go` line that build.lock pins. `lock` pins the newest that there is, and
        /// `lock --update go` moves it. Each module has its own (see "Modules").
        go: Spanned<GoChoice> = Spanned { value: GoChoice::FromGoMod, span: Span::default() },
        /// A go.work. It counts for targets of the modules that it uses, and for those without `module`. Without the field Go's workspaces are off.
        go_work: Option<SourcePath> = None,
        /// Platforms of everything that is built per platform; the machine's own if left out. A variant is the
        /// third part: `linux/arm/v7`, `linux/arm64/v8`, `linux/amd64/v3` set `GOARM`, `GOARM64`, `GOAMD64`.
        platforms: Platforms = Platforms::default(),
        /// Variables for templates: `{"version": Git(Describe, "dev"), "release": File("VERSION")}`. `--set name=value` overrides one. Names are
        /// made of letters, digits and `_`, a letter first. Only variables that the wanted targets use are evaluated.
        vars: BTreeMap<VariableName, Variable> = BTreeMap::new(),
        /// Environment of every `Exec`, `Shell` and `GoTest`, `{"TZ": "UTC"}`: what they set themselves, by `env` or
        /// `env_file`, goes before. It is in their keys.
        env: ProcessEnvironment = ProcessEnvironment::default(),
        /// Number of steps of a pool that run side by side. Without the field each pool that a target names has room
        /// for one. With it a target can name only the pools in it.
        pools: Pools = Pools::default(),
        /// How registries are reached, by host: `{"docker.io": Registry(mirrors: ["mirror.example"])}`. Without an entry
        /// a registry is asked itself, by HTTPS, or by plain HTTP on loopback.
        registries: Registries = Registries::default(),
        /// Values of fields for all targets of a kind that do not have them, by kind:
        /// `(Exec: (dir: "web"), GoBuild: (ldflags: ["-s", "-w"]))`. A target's own value goes before; entries of maps are
        /// merged. A required field may be given so too.
        defaults: Defaults = Defaults,
        /// Inputs that several targets share: `{"web": ["web/**", "!web/node_modules/**"]}`. `inputs: [Set("web")]` means them
        /// as if they stood there. A set may name others.
        sets: Sets = Sets::default(),
        /// The targets by name: `{"server": GoBuild(…)}`. Names are made of letters, digits, `-`, `_`, `.` and `/`,
        /// a letter or digit first.
        targets: Targets,
    }
}

/// The version of the format; there is one so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format(u64);

/// `>=0.1`: the oldest Rondel that reads the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement(Spanned<String>);

/// A variable: the source of its value, and its place.
#[derive(Clone, Debug)]
pub struct Variable {
    /// Its value.
    pub text: Text,
    /// Place of its name.
    pub span: Span,
}

impl BuildFile {
    /// Returns the outputs that decide the value of a variable, also by the variables in it.
    pub fn outputs_of_variable(&self, name: &VariableName) -> Vec<&OutputReference> {
        let (mut found, mut seen, mut open) = (Vec::new(), Vec::new(), vec![name]);
        while let Some(name) = open.pop() {
            let Some(variable) = self.vars.get(name).filter(|_| !seen.contains(&name)) else { continue };
            seen.push(name);
            if let TextSource::Output(output) = &variable.text.source {
                found.push(output);
            }
            open.extend(variable.text.variables());
        }
        found
    }

    /// Returns the variables that `target` mentions, also by the variables in its texts.
    pub fn variables_of(&self, target: &Target) -> BTreeSet<VariableName> {
        struct Names(Vec<VariableName>);
        impl<'a> Visitor<'a> for Names {
            fn text(&mut self, text: &'a Text) {
                self.0.extend(text.variables().into_iter().cloned());
            }
        }
        let mut open = Names(Vec::new());
        target.visit(&mut open);
        let mut found = BTreeSet::new();
        while let Some(name) = open.0.pop() {
            let Some(variable) = self.vars.get(&name).filter(|_| !found.contains(&name)) else { continue };
            found.insert(name);
            open.text(&variable.text);
        }
        found
    }

    /// Returns the targets that `target` mentions, also by the variables in its texts.
    pub fn references_of<'a>(&'a self, target: &'a Target) -> Vec<&'a TargetName> {
        struct Names<'a>(Vec<&'a VariableName>);
        impl<'a> Visitor<'a> for Names<'a> {
            fn text(&mut self, text: &'a Text) {
                self.0.extend(text.variables());
            }
        }
        let mut names = Names(Vec::new());
        target.visit(&mut names);
        let outputs = names.0.into_iter().flat_map(|name| self.outputs_of_variable(name));
        target.references().into_iter().chain(outputs.map(|output| &output.target)).collect()
    }

    /// Returns the targets that a group stands for on a machine of this platform, and those that it leaves out.
    pub fn members_on<'a>(
        &'a self,
        group: &'a Target,
        host: &Platform,
    ) -> (Vec<&'a Spanned<TargetName>>, Vec<&'a TargetName>) {
        let runs = |name: &TargetName| {
            self.targets.iter().find(|target| target.name.value == *name).is_none_or(|target| target.runs_on(host))
        };
        let (here, elsewhere): (Vec<_>, Vec<_>) = group.kind().members().iter().partition(|member| runs(&member.value));
        (here, elsewhere.into_iter().map(|member| &member.value).collect())
    }

    /// Returns the targets that `target` runs on a machine of this platform: those that it mentions, without members that a
    /// group leaves out.
    pub fn references_on<'a>(&'a self, target: &'a Target, host: &Platform) -> Vec<&'a TargetName> {
        let (_, left_out) = self.members_on(target, host);
        let is_awaited = |name: &TargetName| target.common.after.iter().any(|other| other.value == *name);
        let mut names = self.references_of(target);
        names.retain(|name| !left_out.contains(name) || is_awaited(name));
        names
    }

    /// Returns the outputs of `target`, relative to the directory of build.ron.
    pub fn outputs_of<'a>(&'a self, target: &'a Target) -> Vec<Output<'a>> {
        target.outputs(self.root.as_ref().map_or("", |root| root.value.as_str()))
    }

    /// Returns the place of a private key, from the directory of build.ron.
    pub fn private_key(&self, directory: &Path, written: &str) -> PathBuf {
        self.root.as_ref().map_or_else(|| directory.to_owned(), |root| directory.join(&root.value)).join(written)
    }

    /// Returns the files of private keys, which nothing copies.
    pub fn private_keys(&self, directory: &Path) -> Vec<PathBuf> {
        let keys = self.targets.iter().filter_map(|target| target.kind().signing_key());
        let files = keys.filter_map(|key| match key {
            SigningKey::File(written) => Some(self.private_key(directory, &written.value)),
            SigningKey::Secret(_) => None,
        });
        files.collect()
    }

    /// Returns the modules that targets name, by their directories below `root`, each with the first target that does.
    pub fn modules(&self) -> BTreeMap<String, &Target> {
        let mut found = BTreeMap::new();
        for target in &*self.targets {
            if let Some(directory) = target.kind().module().and_then(ModuleDirectory::below_root) {
                found.entry(directory).or_insert(target);
            }
        }
        found
    }

    /// Returns true if a target reads variables from files.
    pub fn has_environment_files(&self) -> bool {
        self.targets.iter().any(|target| !target.kind().env_files().is_empty())
    }

    /// Returns the commands of other modules that targets start, `import/path@v1.2.3`.
    pub fn published_tools(&self) -> BTreeSet<&str> {
        let mut found = BTreeSet::new();
        for text in self.targets.iter().flat_map(Target::texts) {
            if let TextSource::Tool { name, .. } = &text.source
                && name.contains('@')
            {
                found.insert(name.as_str());
            }
        }
        found
    }
}

/// Reads the whole file; returns `None` if it can't be read at all. Adds mistakes to `diagnostics`.
pub(crate) fn read(text: &str, version: &str, diagnostics: &mut Vec<Diagnostic>) -> Option<BuildFile> {
    let (masked, options) = without_options(text);
    let mut reader = Reader::new(text, version, diagnostics);
    reader.options = options;
    let whole = Value::whole(&masked);
    let mut fields = reader.fields(BuildFile::WORD, whole.span(), Some(whole))?;
    check_version(&mut reader, &fields)?;
    reader.defaults = fields.peek("defaults").map(Defaults::by_kind).unwrap_or_default();
    let sets = fields.peek("sets").and_then(|sets| sets.map("a map of sets").ok()).unwrap_or_default();
    reader.sets = sets.into_iter().map(|set| (set.name, set.value)).collect();
    let mut file = BuildFile::read(&mut reader, &mut fields);
    if let Some(file) = &mut file {
        write_pushed_documents(&mut file.targets);
    }
    reader.finish(fields);
    reader.report_unread_options();
    file
}

/// Checks the versions. A file for another Rondel is not read further, since its other fields may mean something else.
fn check_version(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Option<()> {
    match fields.peek("format") {
        Some(value) => Format::read(reader, value).map(|_| ())?,
        None => {
            reader.missing(fields, "format");
            return None;
        }
    }
    match fields.peek("rondel") {
        Some(value) => Requirement::read(reader, value).map(|_| ()),
        None => Some(()),
    }
}

impl FieldType for Format {
    const PLURAL: &'static str = "formats";

    fn read(reader: &mut Reader<'_>, value: Value<'_>) -> Option<Format> {
        let format: u64 = reader.kept(value.parse("a number"))?;
        if format == FORMAT {
            return Some(Format(format));
        }
        let message = format!("format {format} is not known; this Rondel reads format {FORMAT}");
        reader.report(Diagnostic::new(value.span(), message).hint("update Rondel, or write `format: 1`"));
        None
    }

    fn shape() -> Shape {
        Shape::Integer { min: FORMAT, max: FORMAT }
    }
}

impl FieldType for Requirement {
    const PLURAL: &'static str = "requirements";

    fn read(reader: &mut Reader<'_>, value: Value<'_>) -> Option<Requirement> {
        const EXPECTED: &str = "a requirement like \">=0.3\"";
        let requirement = reader.string(value, EXPECTED)?;
        let numbers = |text: &str| -> Option<Vec<u64>> {
            let parts: Result<Vec<u64>, _> = text.trim().split('.').map(str::parse).collect();
            parts.ok().filter(|parts| parts.len() <= 3).map(|mut parts| {
                parts.resize(3, 0);
                parts
            })
        };
        let Some(wanted) = requirement.value.trim().strip_prefix(">=").and_then(numbers) else {
            reader.report(value.unexpected(EXPECTED));
            return None;
        };
        if numbers(reader.version).is_some_and(|own| own >= wanted) {
            return Some(Requirement(requirement));
        }
        let message = format!("this file needs Rondel {}; this is {}", requirement.value, reader.version);
        reader.report(Diagnostic::new(requirement.span, message).hint("update Rondel"));
        None
    }

    fn shape() -> Shape {
        Shape::string("requirement", "^>=[0-9]+(\\.[0-9]+){0,2}$")
    }

    fn as_default(&self) -> Default {
        Default::String(self.0.value.clone())
    }
}

impl FieldType for BTreeMap<VariableName, Variable> {
    const PLURAL: &'static str = "maps of variables";

    fn read(reader: &mut Reader<'_>, value: Value<'_>) -> Option<BTreeMap<VariableName, Variable>> {
        let entries = reader.kept(value.map("a map of variables"))?;
        let mut result = BTreeMap::new();
        for entry in reader.without_duplicates(entries, "variable") {
            let name = match VariableName::new(&entry.name) {
                Ok(name) => name,
                Err(error) => {
                    reader.report(Diagnostic::new(entry.name_span, error.to_string()));
                    continue;
                }
            };
            // A broken value still declares its name, so that its uses are not reported as well.
            let text = reader.variable_text(entry.value).unwrap_or_else(|| Text::empty(entry.value.span()));
            result.insert(name, Variable { text, span: entry.name_span });
        }
        Some(result)
    }

    fn shape() -> Shape {
        Shape::Map { key: "name", key_pattern: "^[A-Za-z][A-Za-z0-9_]*$", of: Box::new(variable_shape()) }
    }

    fn as_default(&self) -> Default {
        Default::EmptyMap
    }
}
