//! `Target`: a name, the fields that every kind has, and the kind; with its reader.

use crate::field::{FieldType, Visitor, Wanted};
use crate::kinds::{KINDS, KindEntry};
use crate::places::Places;
use crate::reader::{Fields, Reader};
use crate::record::{Record, record};
use crate::shape::{Default, Shape};
use crate::types::{
    Alias, Heading, HostPlatforms, Params, PoolName, Preconditions, RequiredPrograms, Retries, Seconds,
};
use crate::value::{Named, Value};
use crate::{
    Diagnostic, Group, Kind, Makes, Need, Output, Platform, Platforms, Span, Spanned, TargetKind, TargetName, Text,
    suggest,
};

record! {
    /// The fields that every kind has.
    Common = "every kind" {
        /// One line for the list of targets; without it the list shows the kind.
        doc: Option<String> = None,
        /// Targets that run before this one. It is an order only: their results are not inputs.
        after: Vec<Spanned<TargetName>> = Vec::new(),
        /// Leaves the target out of the list.
        private: bool = false,
        /// Heading of the target in the list, "database" for example; if left out, that of the kind.
        group: Option<Heading> = None,
        /// Other names of the target on the command line: `["t"]`.
        aliases: Vec<Alias> = Vec::new(),
        /// Values that the command line gives: `{"env": Param(default: "dev", one_of: ["dev", "prod"])}` makes
        /// `TARGET env=prod` possible. A parameter is used like a variable, `{env}`, in the texts of this target, but not in
        /// scripts: a script gets it by `env`. Where another target runs this one, the defaults count. Not for secrets.
        params: Params = Params::default(),
        /// Programs that the target needs on PATH, each with what installs it:
        /// `{"psql": "apt install postgresql-client"}`. They are looked for before anything runs.
        requires: RequiredPrograms = RequiredPrograms::default(),
        /// Machines that the target can run on: `["linux", "darwin/arm64"]`. On another one, asking for it or for what needs it
        /// is refused, and a group leaves it out. What it makes is not decided by this.
        platforms_of_host: Option<HostPlatforms> = None,
        /// Scripts of `sh -eu` that have to succeed, each with what to do where it fails:
        /// `{"test -e .env": "copy .env.example to .env"}`. They run in `root` before anything else, also when another target
        /// runs this one, with `PATH` and `HOME` of the caller.
        preconditions: Preconditions = Preconditions::default(),
        /// A question that someone answers before the target runs, also when another target runs it:
        /// `"Drop the database?"`. `--yes` answers it where nobody sits at a terminal.
        confirm: Option<String> = None,
    }
}

record! {
    /// The fields of every kind that has steps of its own. None of them is in a key.
    Limits = "every kind but Group" {
        /// Pool of the steps. A step waits for other steps of its pool, in this and other invocations in the workspace.
        /// `pools` says how many run side by side; a pool that is not in it has room for one.
        pool: Option<PoolName> = None,
        /// Number of further tries after a failure. Without it, nothing is tried again.
        retries: Retries = Retries(0),
        /// Seconds for each try; then the step is ended with all its processes.
        timeout_s: Option<Seconds> = None,
    }
}

/// One target.
#[derive(Clone, Debug)]
pub struct Target {
    /// Its name, and its place.
    pub name: Spanned<TargetName>,
    /// The fields that every kind has.
    pub common: Common,
    /// Limits of its steps.
    pub limits: Limits,
    /// Its kind, with its own fields.
    pub kind: TargetKind,
}

/// Targets in the order of the file.
#[derive(Clone, Debug, std::default::Default)]
pub struct Targets(Vec<Target>);

impl Target {
    /// Returns the kind's interface.
    pub fn kind(&self) -> &dyn Kind {
        self.kind.kind()
    }

    /// Returns its products.
    pub fn makes(&self) -> Makes {
        self.kind().makes()
    }

    /// Returns true if it only sends something elsewhere: building it again would send it again.
    pub fn only_sends(&self) -> bool {
        self.makes() == Makes::Nothing && self.kind().group() == Group::Publish
    }

    /// Returns its needs on this machine. `platforms` are those of the file.
    pub fn needs(&self, platforms: &Platforms) -> Vec<Need> {
        let mut needs = self.kind().needs();
        let own = self.kind().platforms().unwrap_or(platforms).iter().map(|platform| platform.value.clone());
        let own: Vec<Platform> = own.collect();
        let own = if own.is_empty() { vec![Platform::host()] } else { own };
        for need in own.iter().flat_map(|platform| self.kind().needs_on(platform)) {
            if !needs.contains(&need) {
                needs.push(need);
            }
        }
        needs.extend(self.common.requires.iter().map(|(name, _)| Need::Program(name.value.clone())));
        needs
    }

    /// Returns its outputs, relative to the directory of build.ron. `root` is the `root` of the file, empty if there is none.
    pub(crate) fn outputs<'a>(&'a self, root: &'a str) -> Vec<Output<'a>> {
        self.kind().outputs(&Places::new(&self.name, root))
    }

    /// Passes every text, path and reference of the target to `visitor`.
    pub fn visit<'a>(&'a self, visitor: &mut dyn Visitor<'a>) {
        Record::visit(&self.common, visitor);
        Record::visit(&self.limits, visitor);
        self.kind().visit(visitor);
    }

    /// Returns true if it can run on a machine of this platform.
    pub fn runs_on(&self, host: &Platform) -> bool {
        self.common.platforms_of_host.as_ref().is_none_or(|hosts| hosts.has(host))
    }

    /// Returns true if it has this name, or this alias.
    pub fn is_called(&self, word: &str) -> bool {
        self.name.value.as_str() == word || self.common.aliases.iter().any(|alias| alias.value.as_str() == word)
    }

    /// Returns its parameters without a default.
    pub fn required_params(&self) -> impl Iterator<Item = &str> {
        let required = self.common.params.iter().filter(|(_, param)| param.default.is_none());
        required.map(|(name, _)| name.value.as_str())
    }

    /// Returns its heading in the list.
    pub fn heading(&self) -> &str {
        self.common.group.as_ref().map_or_else(|| self.kind().group().title(), |group| group.value.as_str())
    }

    /// Returns the targets that this one mentions: in its `after`, and in its inputs.
    pub fn references(&self) -> Vec<&TargetName> {
        self.spanned_references().into_iter().map(|(name, _)| name.value).collect()
    }

    /// Returns every reference: its name, its place, and the kind of target that it needs.
    pub(crate) fn spanned_references(&self) -> Vec<(Spanned<&TargetName>, Wanted)> {
        struct References<'a>(Vec<(Spanned<&'a TargetName>, Wanted)>);
        impl<'a> Visitor<'a> for References<'a> {
            fn reference(&mut self, value: &'a TargetName, span: Span, wanted: Wanted) {
                self.0.push((Spanned { value, span }, wanted));
            }
        }
        let mut references = References(Vec::new());
        self.visit(&mut references);
        references.0
    }

    /// Returns every text.
    pub(crate) fn texts(&self) -> Vec<&Text> {
        struct Texts<'a>(Vec<&'a Text>);
        impl<'a> Visitor<'a> for Texts<'a> {
            fn text(&mut self, text: &'a Text) {
                self.0.push(text);
            }
        }
        let mut texts = Texts(Vec::new());
        self.visit(&mut texts);
        texts.0
    }
}

impl std::ops::Deref for Targets {
    type Target = [Target];
    fn deref(&self) -> &[Target] {
        &self.0
    }
}

impl Targets {
    pub(crate) fn iter_mut(&mut self) -> std::slice::IterMut<'_, Target> {
        self.0.iter_mut()
    }
}

impl<'a> IntoIterator for &'a Targets {
    type Item = &'a Target;
    type IntoIter = std::slice::Iter<'a, Target>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl FieldType for Targets {
    const PLURAL: &'static str = "targets";

    fn read(reader: &mut Reader<'_>, value: Value<'_>) -> Option<Targets> {
        let entries = reader.kept(value.map("a map of targets"))?;
        let entries = reader.without_duplicates(entries, "target");
        Some(Targets(entries.into_iter().filter_map(|entry| target(reader, entry)).collect()))
    }

    fn shape() -> Shape {
        let key_pattern = "^[A-Za-z0-9][A-Za-z0-9_./-]*$";
        Shape::Map { key: "name", key_pattern, of: Box::new(Shape::Kind) }
    }

    fn as_default(&self) -> Default {
        Default::EmptyMap
    }
}

/// Reads one target: its name, its common fields and its own.
fn target(reader: &mut Reader<'_>, entry: Named<'_>) -> Option<Target> {
    let name = match TargetName::new(&entry.name) {
        Ok(value) => Spanned { value, span: entry.name_span },
        Err(error) => {
            reader.report(Diagnostic::new(entry.name_span, error.to_string()));
            return None;
        }
    };
    let Some(call) = entry.value.call() else {
        reader.report(entry.value.unexpected("a kind of target, `GoBuild(…)` for example"));
        return None;
    };
    let Some(kind) = KINDS.iter().find(|kind| kind.word == call.name) else {
        let words: Vec<&str> = KINDS.iter().map(|kind| kind.word).collect();
        let hint = suggest(call.name, words.iter().copied())
            .map_or_else(|| format!("kinds are: {}", words.join(", ")), |near| format!("did you mean `{near}`?"));
        let message = format!("`{}` is not a kind of target", call.name);
        reader.report(Diagnostic::new(call.name_span, message).hint(hint));
        return None;
    };
    let alone = kind.alone.filter(|_| call.arguments.is_some_and(|arguments| !arguments.is_named()));
    if let Some(error) = call.arguments.filter(|_| alone.is_none()).and_then(|arguments| without_name(kind, arguments))
    {
        reader.report(error);
        return None;
    }
    let mut fields = match (alone, call.arguments) {
        (Some(field), Some(arguments)) => only_field(reader, kind, field, arguments)?,
        _ => reader.fields(call.name, call.name_span, call.arguments)?,
    };
    let options = alone.and_then(|_| reader.take_options(call.name_span.start));
    if let Some(options) = &options {
        let value = Value::whole(options);
        let more = reader.fields(call.name, call.name_span, Some(value))?;
        reader.extend(&mut fields, more);
    }
    let defaults = std::mem::take(&mut reader.defaults);
    if let Some((_, defaults)) = defaults.iter().find(|(word, _)| word == kind.word) {
        fields.inherit(defaults);
    }
    reader.defaults = defaults;
    let common = Common::read(reader, &mut fields);
    let limits = if kind.has_steps { Limits::read(reader, &mut fields) } else { Some(Limits::none()) };
    let kind = (kind.read)(reader, &mut fields);
    reader.finish(fields);
    Some(Target { name, common: common?, limits: limits?, kind: kind? })
}

/// Returns the error for values in parentheses that have no names: `Exec("go vet")`.
fn without_name(kind: &KindEntry, arguments: Value<'_>) -> Option<Diagnostic> {
    let values = arguments.positional().ok().filter(|_| !arguments.is_named())?;
    let first = values.first()?;
    let fields = (kind.fields)();
    let field = fields.iter().find(|field| field.default.is_none()).or(fields.first())?;
    let text = first.written();
    let is_list = matches!(&field.shape, Shape::List { .. });
    let value = match (is_list && first.is_string(), field.name) {
        (true, "command") => {
            let words = text.trim_matches('"').split_whitespace().map(|word| format!("\"{word}\""));
            format!("[{}]", words.collect::<Vec<_>>().join(", "))
        }
        (true, _) => format!("[{text}]"),
        (false, _) => text.to_owned(),
    };
    let shell =
        (field.name == "command" && first.is_string()).then(|| format!(", or a line of shell: `Shell({text})`"));
    let hint = format!("write `{}({}: {value})`{}", kind.word, field.name, shell.unwrap_or_default());
    Some(Diagnostic::new(first.span(), format!("`{}` has fields with names", kind.word)).hint(hint))
}

/// Reads `Shell("…")` as `Shell(script: "…")`.
fn only_field<'a>(
    reader: &mut Reader<'_>,
    kind: &KindEntry,
    field: &'static str,
    arguments: Value<'a>,
) -> Option<Fields<'a>> {
    let values = reader.kept(arguments.positional())?;
    let [value] = values.as_slice() else {
        reader.report(arguments.unexpected(&format!("one value for `{field}`, or named fields")));
        return None;
    };
    Some(Fields::alone(kind.word, field, *value))
}

impl Limits {
    fn none() -> Limits {
        Limits { pool: None, retries: Retries(0), timeout_s: None }
    }
}
