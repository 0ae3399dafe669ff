//! Maps: the type of key decides the allowed keys and the map's name in messages.

use std::marker::PhantomData;

use crate::field::{FieldType, Visitor};
use crate::image_path::unfit;
use crate::reader::Reader;
use crate::shape::{Default, Shape};
use crate::text::{CommandText, CommandWord, ProcessText, Text};
use crate::types::bases::{HOST_HINT, is_registry};
use crate::types::file_sources::{UserNumbers, is_user_name};
use crate::types::strings::{ENVIRONMENT_NAME, is_environment_name};
use crate::types::{FileSource, ImageReference, InputSource, PoolDepth, RegistryAccess};
use crate::value::Value;
use crate::{Diagnostic, Span, Spanned};

/// A map in the order of the file. `K` is the rule for its keys.
#[derive(Clone, Debug)]
pub struct Map<K, V> {
    entries: Vec<(Spanned<String>, V)>,
    rule: PhantomData<K>,
}

/// The rule for the keys of a map.
pub(crate) trait Key {
    /// One entry, for "… is given twice".
    const ENTRY: &'static str;
    /// The whole map, for "expected …".
    const EXPECTED: &'static str;
    /// A key, for the reference.
    const NAME: &'static str;
    /// Regular expression that a key matches; empty if any does.
    const PATTERN: &'static str = "";

    /// Reports a mistake in a key, and returns false if its entry is dropped.
    fn check(_reader: &mut Reader<'_>, _key: &Spanned<String>) -> bool {
        true
    }
}

/// Keys without a rule.
#[derive(Clone, Debug)]
pub enum AnyKey {}
/// Names of environment variables.
#[derive(Clone, Debug)]
pub enum VariableOfEnvironment {}
/// Absolute paths in an image.
#[derive(Clone, Debug)]
pub enum ImagePath {}
/// Services of a compose file.
#[derive(Clone, Debug)]
pub enum Service {}
/// Pools.
#[derive(Clone, Debug)]
pub enum Pool {}
/// Hosts of registries.
#[derive(Clone, Debug)]
pub enum RegistryHost {}
/// Names of users.
#[derive(Clone, Debug)]
pub enum UserName {}
/// Names of programs on PATH.
#[derive(Clone, Debug)]
pub enum ProgramName {}
/// Names that programs get on PATH.
#[derive(Clone, Debug)]
pub enum ToolName {}
/// Scripts that test something.
#[derive(Clone, Debug)]
pub enum ConditionScript {}
/// Names of sets.
#[derive(Clone, Debug)]
pub enum SetName {}

/// Texts by any key.
pub type TextMap = Map<AnyKey, Text>;
/// Variables of an environment that is in the key.
pub type Environment = Map<VariableOfEnvironment, Text>;
/// Variables of the environment of a process, with secrets.
pub type ProcessEnvironment = Map<VariableOfEnvironment, ProcessText>;
/// Variables of the environment of a command, with secrets and outputs.
pub type CommandEnvironment = Map<VariableOfEnvironment, CommandText>;
/// Sources of files, by their paths in an image.
pub type Files = Map<ImagePath, Spanned<FileSource>>;
/// Targets that make images, by service.
pub type ServiceImages = Map<Service, ImageReference>;
/// Number of steps that run at once, by pool.
pub type Pools = Map<Pool, PoolDepth>;
/// How registries are reached, by host.
pub type Registries = Map<RegistryHost, RegistryAccess>;
/// What installs a program, by the program's name.
pub type RequiredPrograms = Map<ProgramName, String>;
/// Programs by the names that they get on PATH.
pub type Programs = Map<ToolName, CommandWord>;
/// What to do where a condition does not hold, by the script that tests it.
pub type Preconditions = Map<ConditionScript, String>;
/// Inputs that several targets share, by name.
pub type Sets = Map<SetName, Vec<InputSource>>;
/// Numbers of users of an image, by name.
pub type Users = Map<UserName, UserNumbers>;

impl Key for AnyKey {
    const ENTRY: &'static str = "key";
    const EXPECTED: &'static str = "a map, `{\"name\": \"value\"}`";
    const NAME: &'static str = "name";
}

impl Key for ConditionScript {
    const ENTRY: &'static str = "condition";
    const EXPECTED: &'static str = "a map, `{\"test -e .env\": \"copy .env.example to .env\"}`";
    const NAME: &'static str = "script";
    const PATTERN: &'static str = "\\S";

    fn check(reader: &mut Reader<'_>, key: &Spanned<String>) -> bool {
        let is_sound = !key.value.trim().is_empty() && !key.value.contains('\0');
        if !is_sound {
            let hint = "write a script that fails where the target can't run: \"test -e .env\"";
            reader.report(Diagnostic::new(key.span, "a condition without a script").hint(hint));
        }
        is_sound
    }
}

impl Key for SetName {
    const ENTRY: &'static str = "set";
    const EXPECTED: &'static str = "a map, `{\"web\": [\"web/**\"]}`";
    const NAME: &'static str = "name";
}

impl Key for ProgramName {
    const ENTRY: &'static str = "program";
    const EXPECTED: &'static str = "a map, `{\"psql\": \"apt install postgresql-client\"}`";
    const NAME: &'static str = "name of a program";
    const PATTERN: &'static str = "^[^/\\s]+$";

    fn check(reader: &mut Reader<'_>, key: &Spanned<String>) -> bool {
        let name = &key.value;
        let is_sound = !name.is_empty()
            && !name.contains('/')
            && !name.chars().any(|part| part.is_whitespace() || part.is_control());
        if !is_sound {
            let message = format!("`{}` is not the name of a program", name.escape_debug());
            reader.report(Diagnostic::new(key.span, message).hint("write a name that PATH is searched for"));
        }
        is_sound
    }
}

impl Key for ToolName {
    const ENTRY: &'static str = "program";
    const EXPECTED: &'static str = "a map, `{\"stringer\": Tool(\"golang.org/x/tools/cmd/stringer@v0.24.0\")}`";
    const NAME: &'static str = ProgramName::NAME;
    const PATTERN: &'static str = ProgramName::PATTERN;

    fn check(reader: &mut Reader<'_>, key: &Spanned<String>) -> bool {
        ProgramName::check(reader, key)
    }
}

impl Key for VariableOfEnvironment {
    const ENTRY: &'static str = "key";
    const EXPECTED: &'static str = "a map, `{\"name\": \"value\"}`";
    const NAME: &'static str = "environment variable";
    const PATTERN: &'static str = ENVIRONMENT_NAME;

    fn check(reader: &mut Reader<'_>, key: &Spanned<String>) -> bool {
        is_environment_name(reader, key)
    }
}

impl Key for ImagePath {
    const ENTRY: &'static str = "file";
    const EXPECTED: &'static str = "a map, `{\"/path\": Output(\"target\")}`";
    const NAME: &'static str = "absolute path in the image";
    const PATTERN: &'static str = "^(/[^/]+)+$";

    fn check(reader: &mut Reader<'_>, key: &Spanned<String>) -> bool {
        if let Some((message, hint)) = unfit(&key.value) {
            reader.report(Diagnostic::new(key.span, message).hint(hint));
        }
        true
    }
}

impl Key for Service {
    const ENTRY: &'static str = "service";
    const EXPECTED: &'static str = "a map, `{\"service\": \"target\"}`";
    const NAME: &'static str = "service";
}

impl Key for Pool {
    const ENTRY: &'static str = "pool";
    const EXPECTED: &'static str = "a map of pools";
    const NAME: &'static str = "pool";
}

impl Key for RegistryHost {
    const ENTRY: &'static str = "registry";
    const EXPECTED: &'static str = "a map, `{\"docker.io\": Registry(…)}`";
    const NAME: &'static str = "host";

    fn check(reader: &mut Reader<'_>, key: &Spanned<String>) -> bool {
        let sound = is_registry(&key.value);
        if !sound {
            let message = format!("`{}` is not a registry", key.value.escape_debug());
            reader.report(Diagnostic::new(key.span, message).hint(HOST_HINT));
        }
        sound
    }
}

impl Key for UserName {
    const ENTRY: &'static str = "user";
    const EXPECTED: &'static str = "a map, `{\"app\": \"10001:10001\"}`";
    const NAME: &'static str = "name";
    const PATTERN: &'static str = "^[A-Za-z_][A-Za-z0-9_.-]{0,31}$";

    fn check(reader: &mut Reader<'_>, key: &Spanned<String>) -> bool {
        let starts = key.value.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
        let sound = starts && is_user_name(&key.value);
        if !sound {
            let message = format!("`{}` can't be the name of a user", key.value.escape_debug());
            reader.report(Diagnostic::new(key.span, message));
        }
        sound
    }
}

impl<K, V> std::default::Default for Map<K, V> {
    fn default() -> Map<K, V> {
        Map { entries: Vec::new(), rule: PhantomData }
    }
}

impl<K, V> Map<K, V> {
    /// Returns a map of one entry, for a default.
    pub(crate) fn with(key: &str, value: V) -> Map<K, V> {
        let key = Spanned { value: key.to_owned(), span: Span::default() };
        Map { entries: vec![(key, value)], rule: PhantomData }
    }
}

impl<K, V> std::ops::Deref for Map<K, V> {
    type Target = [(Spanned<String>, V)];
    fn deref(&self) -> &[(Spanned<String>, V)] {
        &self.entries
    }
}

impl<'a, K, V> IntoIterator for &'a Map<K, V> {
    type Item = &'a (Spanned<String>, V);
    type IntoIter = std::slice::Iter<'a, (Spanned<String>, V)>;
    fn into_iter(self) -> Self::IntoIter {
        self.entries.iter()
    }
}

impl<K: Key, V: FieldType> FieldType for Map<K, V> {
    const PLURAL: &'static str = "maps";

    fn read(reader: &mut Reader<'_>, value: Value<'_>) -> Option<Map<K, V>> {
        let entries = reader.kept(value.map(K::EXPECTED))?;
        let mut result = Vec::with_capacity(entries.len());
        for entry in reader.without_duplicates(entries, K::ENTRY) {
            let key = Spanned { value: entry.name, span: entry.name_span };
            let is_kept = K::check(reader, &key);
            result.extend(V::read(reader, entry.value).filter(|_| is_kept).map(|value| (key, value)));
        }
        Some(Map { entries: result, rule: PhantomData })
    }

    fn over(mut self, inherited: Self) -> Self {
        let more: Vec<_> = inherited
            .entries
            .into_iter()
            .filter(|(name, _)| !self.entries.iter().any(|(own, _)| own.value == name.value))
            .collect();
        self.entries.extend(more);
        self
    }

    fn shape() -> Shape {
        Shape::Map { key: K::NAME, key_pattern: K::PATTERN, of: Box::new(V::shape()) }
    }

    fn visit<'a>(&'a self, visitor: &mut dyn Visitor<'a>) {
        self.entries.iter().for_each(|(_, value)| value.visit(visitor));
    }

    fn as_default(&self) -> Default {
        if self.entries.is_empty() { Default::EmptyMap } else { Default::None }
    }
}
