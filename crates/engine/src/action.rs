//! `ActionSpec`: everything that a step's result depends on, and the key made from it.
//!
//! # What a key holds, and what it must not
//!
//! A key holds everything that can change the result, or a hit is a lie. It holds nothing else, or steps run without
//! need. It holds: the step's kind and resolved arguments; each input file by relative path, contents, executable bit
//! or link text; the results (not the names) of the upstream steps; the keyed environment; the identity of the tools;
//! settings such as the target platform and the version of a codec; the names and kinds of the outputs; the version of
//! the key format. The version keeps a Rondel with other rules for keys from reading these.
//!
//! It does not hold: absolute paths, the directory, user, host or time; modification times, owners, inodes; the number
//! of cores; the values of passed and secret variables. Nor does it hold Rondel's own version: a bug fix that changes
//! results bumps `KEY_FORMAT` or the setting concerned instead. Nor does it hold the destination of outputs, which is
//! where a result is put and not what it is.
//!
//! Paths that differ between machines stand in `arguments` as placeholders (`{out}`), never as themselves.
//!
//! The same members feed the digest and the explanation (`members`), so every cause of a miss has a name.

use std::collections::BTreeMap;

use rondel_cas::messages::{Action, Command, Directory, DirectoryNode, UnixMode};
use rondel_cas::{Digest, Entry, RelativePath, Tree, TreeError};

use crate::environment::Environment;
use crate::inputs::InputSet;

/// Version of the key format described above. A change of meaning changes it.
pub const KEY_FORMAT: &str = "rondel-key-3";

/// Name of the platform property that marks an output as a directory.
const OUTPUT_DIRECTORY: &str = "output-directory";

/// What a step depends on and what it makes.
#[derive(Clone, Debug, Default)]
pub struct ActionSpec {
    /// The step's kind and resolved arguments; for a step that is one command, its command line.
    pub arguments: Vec<String>,
    /// The variables of its processes.
    pub environment: Environment,
    /// Everything else that shapes the result: platform, codec versions, contents built into Rondel.
    pub settings: BTreeMap<String, String>,
    /// Identities of tools, by role.
    pub tools: BTreeMap<String, String>,
    /// Files of the source tree.
    pub inputs: InputSet,
    /// Files made by upstream steps, by their place in this step.
    pub upstream: BTreeMap<RelativePath, Entry>,
    /// Display names for some of those, where the place says little. They are no part of the key.
    pub titles: BTreeMap<RelativePath, String>,
    /// The declared outputs.
    pub outputs: Vec<OutputSpec>,
}

/// One output: made in the staging directory, then moved to its destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputSpec {
    /// Path in the staging directory.
    pub name: RelativePath,
    /// Path below the workspace.
    pub destination: RelativePath,
    /// File or directory.
    pub kind: OutputKind,
}

impl OutputSpec {
    /// Returns true if an entry of this path is part of the output. A directory's own entry has its permissions.
    pub(crate) fn holds(&self, path: &RelativePath) -> bool {
        match self.kind {
            OutputKind::File => *path == self.name,
            OutputKind::Directory => path.is_within(&self.name),
        }
    }
}

/// Type of an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputKind {
    /// One regular file.
    File,
    /// A directory and all below it.
    Directory,
}

/// Named parts of a key: (`input`, `a/b.go`) -> value.
pub(crate) type Members = BTreeMap<(MemberKind, String), String>;

/// Which part of a key a member belongs to.
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

/// A step's key, with the messages that it is the digest of (REAPI `Action` and `Command`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedAction {
    /// Digest of `action`: the step's key.
    pub digest: Digest,
    /// The `Action` message.
    pub action: Vec<u8>,
    /// The `Command` message that the action names.
    pub command: Vec<u8>,
    /// Digest of the input root's `Directory` message. `ActionSpec::directories` makes it and the messages below it.
    pub input_root: Digest,
}

impl ActionSpec {
    /// Returns the step's key.
    pub fn digest(&self) -> Result<Digest, TreeError> {
        self.encode().map(|encoded| encoded.digest)
    }

    /// Returns the key and its messages. Makes no message for inputs whose digest is known.
    pub fn encode(&self) -> Result<EncodedAction, TreeError> {
        let input_root = self.input_root(self.inputs.root_digest()?, &mut |_, _| {})?;
        let command = self.command();
        let action =
            Action { command_digest: Digest::of(&command), input_root_digest: input_root, salt: KEY_FORMAT.as_bytes() };
        let action = action.encode();
        Ok(EncodedAction { digest: Digest::of(&action), action, command, input_root })
    }

    /// Calls `emit` with the digest and the bytes of all `Directory` messages of the input root. Children come before
    /// their parents and the root last; a directory that occurs twice may be emitted twice. A remote store needs the
    /// messages, a key does not.
    pub fn directories(&self, emit: &mut dyn FnMut(Digest, Vec<u8>)) -> Result<(), TreeError> {
        let inputs = self.inputs.directories(emit)?;
        self.input_root(inputs, emit).map(drop)
    }

    fn command(&self) -> Vec<u8> {
        let environment = self.environment.for_key();
        let named = |kind: &str, (name, value): (&String, &String)| (format!("{kind}:{name}"), value.clone());
        let mut properties: Vec<(String, String)> = Vec::new();
        properties.extend(self.settings.iter().map(|setting| named("setting", setting)));
        properties.extend(self.tools.iter().map(|tool| named("tool", tool)));
        // REAPI records the type of an output when it is made; here the type is part of the key.
        let directories = self.outputs.iter().filter(|output| output.kind == OutputKind::Directory);
        properties.extend(directories.map(|output| (OUTPUT_DIRECTORY.to_owned(), output.name.to_string())));
        let command = Command {
            arguments: self.arguments.iter().map(String::as_str).collect(),
            environment_variables: pairs(&environment),
            platform: pairs(&properties),
            output_paths: self.outputs.iter().map(|output| output.name.as_str()).collect(),
        };
        command.encode()
    }

    /// Returns the digest of the root that holds `inputs` and the upstream results. Each has a directory of its own, so
    /// neither can shadow the other.
    fn input_root(&self, inputs: Option<Digest>, emit: &mut dyn FnMut(Digest, Vec<u8>)) -> Result<Digest, TreeError> {
        let mut root = Directory::default();
        root.directories.extend(inputs.map(|digest| DirectoryNode { name: "in", digest }));
        if !self.upstream.is_empty() {
            let mut tree = Tree::new();
            for (slot, entry) in &self.upstream {
                tree.insert(slot.clone(), entry.clone());
            }
            root.directories.push(DirectoryNode { name: "up", digest: tree.directories(emit)? });
        }
        let message = root.encode();
        let digest = Digest::of(&message);
        emit(digest, message);
        Ok(digest)
    }

    /// Returns the parts of the key by name, for explanations. No value of a passed or secret variable is among them.
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

fn pairs(pairs: &[(String, String)]) -> Vec<(&str, &str)> {
    pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

fn output_text(output: &OutputSpec) -> String {
    match output.kind {
        OutputKind::File => output.name.to_string(),
        OutputKind::Directory => format!("{}/", output.name),
    }
}

/// Returns the text of an entry in explanations and combined digests.
pub fn entry_text(entry: &Entry) -> String {
    let mode = |mode: &Option<UnixMode>| mode.map(|mode| format!(" mode {:o}", mode.bits())).unwrap_or_default();
    match entry {
        Entry::File { digest, executable: false, mode: bits } => format!("{digest}{}", mode(bits)),
        Entry::File { digest, executable: true, mode: bits } => format!("{digest} executable{}", mode(bits)),
        Entry::Symlink { target } => format!("link to {target}"),
        Entry::Directory { mode: bits } => format!("directory{}", mode(bits)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::Class;
    use crate::inputs::{Input, KnownInputs};
    use expect_test::expect;
    use std::sync::Arc;

    fn path(text: &str) -> RelativePath {
        RelativePath::new(text).unwrap()
    }

    fn file(contents: &str, executable: bool) -> Entry {
        Entry::file(Digest::of(contents.as_bytes()), executable)
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
        expect!["93895eb4991cbe311201c6a09902c989858a274fb0b1cf6019a21ea548dbd78d/156"]
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
            ("an empty directory in place of a file", |spec| {
                let entry = Entry::directory();
                spec.inputs.insert(Input { path: path("a/b.go"), absolute: "/x".into(), entry });
            }),
            ("permissions of an input", |spec| {
                let entry = Entry::File { digest: Digest::of(b"b"), executable: false, mode: UnixMode::new(0o600) };
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

    /// Everything that a remote store needs is emitted: each directory under its digest, and the root leads to all
    /// files.
    #[test]
    fn directories_of_the_input_root() {
        struct Known(Vec<Input>);
        impl KnownInputs for Known {
            fn each(&self, visit: &mut dyn FnMut(Input)) {
                self.0.iter().cloned().for_each(visit);
            }
            fn stat_digest(&self) -> u64 {
                0
            }
            fn each_directory(&self, _: &mut dyn FnMut(&std::path::Path, &rondel_tree::Fingerprint)) {}
            fn newest_ns(&self) -> i128 {
                0
            }
        }
        let mut one_by_one = spec();
        for (name, entry) in [
            ("a/deep/er/c.go", file("c", false)),
            ("a/deep/link", Entry::Symlink { target: "er".into() }),
            ("z/empty", Entry::directory()),
        ] {
            one_by_one.inputs.insert(Input { path: path(name), absolute: "/x".into(), entry });
        }
        one_by_one.upstream.insert(path("slot/b/c"), file("up", false));
        let root = one_by_one.inputs.root_digest().unwrap();
        let mut known = one_by_one.clone();
        known.inputs = InputSet::known(root, Arc::new(Known(one_by_one.inputs.iter().collect())));
        let nothing = ActionSpec { inputs: InputSet::default(), upstream: BTreeMap::new(), ..spec() };
        for (spec, files) in [(&one_by_one, 6), (&known, 6), (&nothing, 0)] {
            let encoded = spec.encode().unwrap();
            let action = Action::decode(&encoded.action).unwrap();
            assert_eq!((Digest::of(&encoded.action), spec.digest().unwrap()), (encoded.digest, encoded.digest));
            assert_eq!(action.command_digest, Digest::of(&encoded.command));
            assert_eq!(action.input_root_digest, encoded.input_root);
            assert_eq!(Command::decode(&encoded.command).unwrap().arguments[0], "go");
            let mut all = BTreeMap::new();
            spec.directories(&mut |digest, message| drop(all.insert(digest, message))).unwrap();
            let (mut found, mut open, mut seen) = (0, vec![encoded.input_root], 0);
            while let Some(digest) = open.pop() {
                let message = &all[&digest];
                assert_eq!(Digest::of(message), digest);
                let directory = Directory::decode(message).unwrap();
                open.extend(directory.directories.iter().map(|node| node.digest));
                let is_empty = directory == Directory::default() && seen > 0;
                found += directory.files.len() + directory.symlinks.len() + usize::from(is_empty);
                seen += 1;
            }
            assert_eq!(found, files);
            assert!(all.len() <= seen, "a directory that nothing names");
        }
        // Files that have changed since are not emitted under the digest of the files that were hashed.
        known.inputs = InputSet::known(root, Arc::new(Known(Vec::new())));
        assert!(matches!(known.directories(&mut |_, _| {}), Err(TreeError::Changed)));
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
