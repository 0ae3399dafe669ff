//! `ActionSpec`: all that a step's result depends on, and the key made from it.
//!
//! # What a key holds, and what it must not
//!
//! A key must hold everything that can change the result, or a hit is a lie; and nothing else, or work is
//! done for nothing. In it are: what kind of step this is and its resolved arguments; each input file by
//! relative path, contents, executable bit or link text; the results (not the names) of the steps upstream;
//! the keyed environment; the identity of the tools; settings such as the target platform and the version of
//! a codec; the names and kinds of the outputs; and the version of the key format itself, so that a Rondel
//! which thinks differently about keys never reads another one's.
//!
//! Not in it are: absolute paths, the directory, user, host or time; modification times, owners, inodes; the
//! number of cores; Rondel's own version (a bug fix that changes results bumps `KEY_FORMAT` or the setting
//! concerned instead); the values of passed and secret variables; the destination of outputs, which is where
//! a result is put, not what it is.
//!
//! Paths that differ between machines stand in `arguments` as placeholders (`{out}`), never as themselves.
//!
//! The same members feed the digest and the explanation (`members`): whatever can cause a miss can be named.

use std::collections::BTreeMap;

use rondel_cas::{Digest, Entry, RelativePath, Tree, TreeError, messages};

use crate::environment::Environment;
use crate::inputs::InputSet;

/// Version of everything that is said above. A change of meaning changes this.
pub const KEY_FORMAT: &str = "rondel-key-1";

/// What a step depends on and what it makes.
#[derive(Clone, Debug, Default)]
pub struct ActionSpec {
    /// The step's kind and resolved arguments; for a step that is one command, its command line.
    pub arguments: Vec<String>,
    /// What its processes see.
    pub environment: Environment,
    /// Everything else that shapes the result: platform, codec versions, contents built into Rondel.
    pub settings: BTreeMap<String, String>,
    /// Identities of tools, by role.
    pub tools: BTreeMap<String, String>,
    /// Files of the source tree.
    pub inputs: InputSet,
    /// Files that steps upstream made, by the place they have in this step.
    pub upstream: BTreeMap<RelativePath, Entry>,
    /// What people call some of those, where the place says little; no part of the key.
    pub titles: BTreeMap<RelativePath, String>,
    /// What it makes.
    pub outputs: Vec<OutputSpec>,
}

/// One output: made in the staging directory, then put in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputSpec {
    /// Path in the staging directory.
    pub name: RelativePath,
    /// Path below the workspace.
    pub destination: RelativePath,
    /// File or directory.
    pub kind: OutputKind,
}

/// What an output is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputKind {
    /// One regular file.
    File,
    /// A directory and all below it.
    Directory,
}

/// A part of a key that has a name: (`input`, `a/b.go`) -> value.
pub(crate) type Members = BTreeMap<(MemberKind, String), String>;

/// What part of a key a member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum MemberKind {
    Argument,
    Environment,
    Setting,
    Tool,
    Input,
    Upstream,
    Output,
}

impl ActionSpec {
    /// The digest of the REAPI `Action` message: the step's key.
    pub fn digest(&self) -> Result<Digest, TreeError> {
        let mut properties: Vec<(String, String)> = Vec::new();
        properties.extend(self.settings.iter().map(|(name, value)| (format!("setting:{name}"), value.clone())));
        properties.extend(self.tools.iter().map(|(name, value)| (format!("tool:{name}"), value.clone())));
        let outputs: Vec<String> = self.outputs.iter().map(output_text).collect();
        let command = messages::command(&self.arguments, &self.environment.for_key(), &properties, &outputs);
        // Inputs and upstream results share one root, in directories of their own: neither can shadow the other.
        let mut nodes = Vec::new();
        if let Some(digest) = self.inputs.root_digest()? {
            nodes.push(messages::Node::Directory { name: "in", digest });
        }
        if !self.upstream.is_empty() {
            let mut tree = Tree::new();
            for (slot, entry) in &self.upstream {
                tree.insert(slot.clone(), entry.clone());
            }
            nodes.push(messages::Node::Directory { name: "up", digest: tree.root_digest()? });
        }
        let root = Digest::of(&messages::directory(&nodes));
        let action = messages::action(&Digest::of(&command), &root, KEY_FORMAT.as_bytes());
        Ok(Digest::of(&action))
    }

    /// The same parts by name, for explanations. No value of a passed or secret variable is among them.
    pub(crate) fn members(&self) -> Members {
        let mut members = Members::new();
        for (index, argument) in self.arguments.iter().enumerate() {
            members.insert((MemberKind::Argument, format!("{index:04}")), argument.clone());
        }
        for (name, value) in self.environment.for_key() {
            members.insert((MemberKind::Environment, name), value);
        }
        for (name, value) in &self.settings {
            members.insert((MemberKind::Setting, name.clone()), value.clone());
        }
        for (name, value) in &self.tools {
            members.insert((MemberKind::Tool, name.clone()), value.clone());
        }
        for input in self.inputs.iter() {
            members.insert((MemberKind::Input, input.path.to_string()), entry_text(&input.entry));
        }
        for (slot, entry) in &self.upstream {
            let name = self.titles.get(slot).cloned().unwrap_or_else(|| slot.to_string());
            members.insert((MemberKind::Upstream, name), entry_text(entry));
        }
        for output in &self.outputs {
            members.insert((MemberKind::Output, output_text(output)), String::new());
        }
        members
    }
}

fn output_text(output: &OutputSpec) -> String {
    match output.kind {
        OutputKind::File => output.name.to_string(),
        OutputKind::Directory => format!("{}/", output.name),
    }
}

/// What an entry is, as explanations and mixed digests have it.
pub fn entry_text(entry: &Entry) -> String {
    match entry {
        Entry::File { digest, executable: false } => digest.to_string(),
        Entry::File { digest, executable: true } => format!("{digest} executable"),
        Entry::Symlink { target } => format!("link to {target}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::Class;
    use crate::inputs::Input;
    use expect_test::expect;

    fn path(text: &str) -> RelativePath {
        RelativePath::new(text).unwrap()
    }

    fn file(contents: &str, executable: bool) -> Entry {
        Entry::File { digest: Digest::of(contents.as_bytes()), executable }
    }

    fn spec() -> ActionSpec {
        let mut spec = ActionSpec {
            arguments: vec!["go".into(), "build".into(), "-o".into(), "{out}/x".into()],
            settings: [("platform".to_owned(), "linux/amd64".to_owned())].into(),
            tools: [("go".to_owned(), "sha256:1".to_owned())].into(),
            upstream: [(path("slot/a"), file("up", true))].into(),
            outputs: vec![OutputSpec { name: path("x"), destination: path("dist/x"), kind: OutputKind::File }],
            ..ActionSpec::default()
        };
        spec.environment.set(Class::Keyed, "GOOS", "linux");
        spec.environment.set(Class::Located, "HOME", "/home/one");
        spec.environment.set(Class::Passed, "HTTPS_PROXY", "http://one");
        spec.environment.set(Class::Secret, "TOKEN", "canary");
        spec.inputs.insert(Input { path: path("a/b.go"), absolute: "/src/a/b.go".into(), entry: file("b", false) });
        spec
    }

    #[test]
    fn golden_key() {
        expect!["8e6b89cb9572f6b4c32c0bcabeec33d603232a081663c9aacd083ae3c63b9cf9/156"]
            .assert_eq(&spec().digest().unwrap().to_string());
    }

    /// Every member changes the key, and the explanation sees it.
    #[test]
    fn each_member_counts() {
        type Change = fn(&mut ActionSpec);
        let changes: &[(&str, Change)] = &[
            ("an argument", |spec| spec.arguments[1] = "test".into()),
            ("order of arguments", |spec| spec.arguments.swap(0, 1)),
            ("one more argument", |spec| spec.arguments.push(String::new())),
            ("a keyed value", |spec| spec.environment.set(Class::Keyed, "GOOS", "darwin")),
            ("one more keyed name", |spec| spec.environment.set(Class::Keyed, "GOARM", "")),
            ("one more secret name", |spec| spec.environment.set(Class::Secret, "OTHER", "x")),
            ("one more passed name", |spec| spec.environment.set_optional(Class::Passed, "OTHER", None)),
            ("class of a variable", |spec| spec.environment.set(Class::Keyed, "TOKEN", "@secret")),
            ("a setting", |spec| drop(spec.settings.insert("platform".into(), "linux/arm64".into()))),
            ("one more setting", |spec| drop(spec.settings.insert("codec".into(), "1".into()))),
            ("a tool", |spec| drop(spec.tools.insert("go".into(), "sha256:2".into()))),
            ("a tool that is called as a setting", |spec| {
                let tool = spec.tools.remove("go").unwrap();
                spec.settings.insert("go".into(), tool);
            }),
            ("contents of an input", |spec| {
                spec.inputs.insert(Input { path: path("a/b.go"), absolute: "/x".into(), entry: file("c", false) });
            }),
            ("executable bit of an input", |spec| {
                spec.inputs.insert(Input { path: path("a/b.go"), absolute: "/x".into(), entry: file("b", true) });
            }),
            ("one more input", |spec| {
                spec.inputs.insert(Input { path: path("a/c.go"), absolute: "/x".into(), entry: file("", false) });
            }),
            ("a link in place of a file", |spec| {
                let entry = Entry::Symlink { target: "c".into() };
                spec.inputs.insert(Input { path: path("a/b.go"), absolute: "/x".into(), entry });
            }),
            ("an upstream result", |spec| drop(spec.upstream.insert(path("slot/a"), file("other", true)))),
            ("the slot of an upstream result", |spec| {
                let entry = spec.upstream.remove(&path("slot/a")).unwrap();
                spec.upstream.insert(path("slot/b"), entry);
            }),
            ("an upstream result in place of an input", |spec| {
                drop(spec.upstream.insert(path("a/b.go"), file("b", false)));
                spec.inputs = InputSet::default();
            }),
            ("name of an output", |spec| spec.outputs[0].name = path("y")),
            ("kind of an output", |spec| spec.outputs[0].kind = OutputKind::Directory),
        ];
        let mut keys = vec![spec().digest().unwrap()];
        for (what, change) in changes {
            let mut changed = spec();
            change(&mut changed);
            let key = changed.digest().unwrap();
            assert!(!keys.contains(&key), "{what} is not in the key");
            assert_ne!(changed.members(), spec().members(), "{what} is not explained");
            keys.push(key);
        }
    }

    /// Non-members do not.
    #[test]
    fn the_rest_does_not_count() {
        type Change = fn(&mut ActionSpec);
        let changes: &[(&str, Change)] = &[
            ("a located value", |spec| spec.environment.set(Class::Located, "HOME", "/home/two")),
            ("a passed value", |spec| spec.environment.set_optional(Class::Passed, "HTTPS_PROXY", None)),
            ("a secret value", |spec| spec.environment.set(Class::Secret, "TOKEN", "other")),
            ("where an input lies", |spec| {
                spec.inputs.insert(Input { path: path("a/b.go"), absolute: "/else".into(), entry: file("b", false) });
            }),
            ("where an output goes", |spec| spec.outputs[0].destination = path("elsewhere/x")),
        ];
        for (what, change) in changes {
            let mut changed = spec();
            change(&mut changed);
            assert_eq!(changed.digest().unwrap(), spec().digest().unwrap(), "{what} is in the key");
            assert_eq!(changed.members(), spec().members(), "{what} is in the explanation");
        }
        assert!(!format!("{:?}", spec().members()).contains("canary"));
    }
}
