//! `ActionResult`: the result of an action, and its message.
//!
//! On disk and on the wire it is REAPI's `ActionResult`. The contents of an output directory are in a `Tree` message,
//! which is a blob of its own. In memory there is one list of all outputs. A message of ours in
//! `execution_metadata.auxiliary_metadata` holds what REAPI has no field for, above all the action's digest.

use std::collections::BTreeMap;

use crate::decode::{decode_digest, decode_mode, link_target};
use crate::messages::{encode_digest, push_mode};
use crate::metadata::Metadata;
use crate::wire::DecodeError;
use crate::wire::{Message, Value, each_field, set};
use crate::{Digest, Entry, RelativePath, Tree, TreeError};

/// Type name of our message in a `google.protobuf.Any`: `StepMetadata { action_digest = 1, target = 2, kind = 3,
/// duration_ms = 4, type_name = 5, value = 6, line_order = 7, description_digest = 8 }`.
const STEP_METADATA: &str = "type.googleapis.com/rondel.StepMetadata";

/// One output of an action: a path relative to the action's output root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputEntry {
    /// Path relative to the directory of the outputs.
    pub path: RelativePath,
    /// Type, contents and permissions.
    pub entry: Entry,
}

/// The result of an action (REAPI `ActionResult`). Only successes are stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ActionResult {
    /// All output files and links, and empty output directories, sorted by path.
    pub outputs: Vec<OutputEntry>,
    /// The outputs that are directories (REAPI `OutputDirectory`), sorted. Their contents are in `outputs`.
    pub directories: Vec<RelativePath>,
    /// REAPI `exit_code`.
    pub exit_code: i32,
    /// What it printed on standard output (REAPI `stdout_digest`); a blob, and `None` if that was nothing.
    pub stdout: Option<Digest>,
    /// What it printed on standard error (REAPI `stderr_digest`).
    pub stderr: Option<Digest>,
    /// The order of their lines: numbers of lines by turns, standard output first, joined by blanks.
    pub line_order: String,
    /// Metadata that the step reported.
    pub metadata: Metadata,
    /// Duration in milliseconds.
    pub duration_ms: u64,
    /// The target that made it first; equal actions of other targets and projects share it.
    pub target: String,
    /// Kind of that target.
    pub kind: String,
    /// A blob that says what its action depends on, for explanations; `None` if there is none.
    pub description: Option<Digest>,
}

/// REAPI `OutputDirectory { path = 1, tree_digest = 3, is_topologically_sorted = 4, root_directory_digest = 5 }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OutputDirectory {
    pub path: RelativePath,
    pub tree_digest: Digest,
}

/// The message without the trees of the output directories, which it names by digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredActionResult {
    /// The action of the result.
    pub action: Digest,
    pub output_directories: Vec<OutputDirectory>,
    /// Everything except the contents of output directories.
    pub rest: ActionResult,
}

impl ActionResult {
    /// Returns the message, and the `Tree` messages that it names.
    pub(crate) fn encode(&self, action: &Digest) -> Result<(Vec<u8>, Vec<Vec<u8>>), TreeError> {
        let mut message = Message::default();
        let mut trees = Vec::with_capacity(self.directories.len());
        let is_apart = |path: &RelativePath| !self.directories.iter().any(|directory| path.is_within(directory));
        for OutputEntry { path, entry } in self.outputs.iter().filter(|output| is_apart(&output.path)) {
            if let Entry::File { digest, executable, mode } = entry {
                let mut file = Message::default();
                file.text(1, path.as_str());
                file.bytes(2, &encode_digest(digest));
                file.number(4, u64::from(*executable));
                push_mode(&mut file, 7, *mode);
                message.bytes(2, &file.0);
            }
        }
        for directory in &self.directories {
            let tree = self.tree_below(directory).encode()?;
            let mut child = Message::default();
            child.text(1, directory.as_str());
            child.bytes(3, &encode_digest(&Digest::of(&tree)));
            child.number(4, 1);
            message.bytes(3, &child.0);
            trees.push(tree);
        }
        // `int32` is sign-extended.
        message.number(4, i64::from(self.exit_code) as u64);
        for (field, digest) in [(6, &self.stdout), (8, &self.stderr)] {
            if let Some(digest) = digest {
                message.bytes(field, &encode_digest(digest));
            }
        }
        let (mut any, mut execution) = (Message::default(), Message::default());
        any.text(1, STEP_METADATA);
        any.text(2, self.step_metadata(action));
        execution.bytes(11, &any.0);
        message.bytes(9, &execution.0);
        for OutputEntry { path, entry } in self.outputs.iter().filter(|output| is_apart(&output.path)) {
            if let Entry::Symlink { target } = entry {
                let mut symlink = Message::default();
                symlink.text(1, path.as_str());
                symlink.text(2, target);
                message.bytes(12, &symlink.0);
            }
        }
        Ok((message.0, trees))
    }

    fn tree_below(&self, directory: &RelativePath) -> Tree {
        let mut tree = Tree::new();
        for output in self.outputs.iter().filter(|output| output.path.is_within(directory)) {
            match output.path.as_str()[directory.as_str().len()..].strip_prefix('/') {
                Some(rest) => {
                    tree.insert(RelativePath::new(rest).expect("the rest of a path is one"), output.entry.clone());
                }
                None => tree.root_mode = if let Entry::Directory { mode } = &output.entry { *mode } else { None },
            }
        }
        tree
    }

    fn step_metadata(&self, action: &Digest) -> Vec<u8> {
        let mut message = Message::default();
        message.bytes(1, &encode_digest(action));
        message.text(2, &self.target);
        message.text(3, &self.kind);
        message.number(4, self.duration_ms);
        message.text(5, &self.metadata.type_name);
        message.text(6, &self.metadata.value);
        message.text(7, &self.line_order);
        if let Some(description) = &self.description {
            message.bytes(8, &encode_digest(description));
        }
        message.0
    }
}

impl StoredActionResult {
    /// Returns the result in `message`. Unknown fields are skipped: the known ones stay true without them.
    pub fn decode(message: &[u8]) -> Result<StoredActionResult, DecodeError> {
        let mut rest = ActionResult::default();
        let (mut output_directories, mut exit_code, mut execution) = (Vec::new(), None, None);
        each_field(message, |field, value| {
            match field {
                2 => rest.outputs.push(output_file(value)?),
                3 => output_directories.push(output_directory(value)?),
                6 => set(&mut rest.stdout, "stdout_digest", decode_digest(value.bytes("stdout_digest")?)?)?,
                8 => set(&mut rest.stderr, "stderr_digest", decode_digest(value.bytes("stderr_digest")?)?)?,
                4 => set(&mut exit_code, "exit_code", value.number("exit_code")? as i32)?,
                9 => set(&mut execution, "execution_metadata", value.bytes("execution_metadata")?)?,
                12 => rest.outputs.push(output_symlink(value)?),
                _ => {}
            }
            Ok(())
        })?;
        rest.exit_code = exit_code.unwrap_or(0);
        let mut own = None;
        each_field(execution.unwrap_or_default(), |field, value| {
            if field == 11
                && let Some(bytes) = any_of_ours(value)?
            {
                set(&mut own, "auxiliary_metadata", bytes)?;
            }
            Ok(())
        })?;
        let action = step_metadata(own.ok_or(DecodeError::Missing("auxiliary_metadata"))?, &mut rest)?;
        Ok(StoredActionResult { action, output_directories, rest })
    }

    /// Returns the whole result; `trees` are the `Tree`s of the output directories, in their order. Returns `None` if
    /// an output is below another one that is no directory, or if two have one path: no step leaves such outputs.
    pub fn with_trees(self, trees: Vec<Tree>) -> Option<ActionResult> {
        let StoredActionResult { output_directories, mut rest, .. } = self;
        let mut all: BTreeMap<RelativePath, Entry> = BTreeMap::new();
        for output in std::mem::take(&mut rest.outputs) {
            if all.insert(output.path, output.entry).is_some() {
                return None;
            }
        }
        for (OutputDirectory { path, .. }, tree) in output_directories.into_iter().zip(trees) {
            if let Some(mode) = tree.root_mode {
                all.insert(path.clone(), Entry::Directory { mode: Some(mode) });
            }
            for (below, entry) in tree.entries() {
                if all.insert(path.join(below), entry.clone()).is_some() {
                    return None;
                }
            }
            rest.directories.push(path);
        }
        rest.directories.sort();
        let is_below_file = |path: &RelativePath| {
            let above = std::iter::successors(path.parent(), RelativePath::parent);
            above.filter_map(|path| all.get(&path)).any(|entry| !matches!(entry, Entry::Directory { .. }))
        };
        let are_apart = rest.directories.is_sorted_by(|one, other| one < other && !other.is_within(one))
            && rest.directories.iter().all(|path| matches!(all.get(path), None | Some(Entry::Directory { .. })));
        if !are_apart || all.keys().chain(&rest.directories).any(is_below_file) {
            return None;
        }
        rest.outputs = all.into_iter().map(|(path, entry)| OutputEntry { path, entry }).collect();
        Some(rest)
    }

    /// Returns the blobs that it names directly: files, the trees of output directories, and what it printed.
    pub fn blobs(&self) -> impl Iterator<Item = &Digest> {
        let files = self.rest.outputs.iter().filter_map(|output| output.entry.contents());
        let trees = self.output_directories.iter().map(|directory| &directory.tree_digest);
        files.chain(trees).chain(&self.rest.stdout).chain(&self.rest.stderr).chain(&self.rest.description)
    }
}

/// Returns a path, which has one spelling only.
fn path_of(value: Value<'_>) -> Result<RelativePath, DecodeError> {
    let text = value.text("path")?;
    RelativePath::new(text).ok().filter(|path| path.as_str() == text).ok_or(DecodeError::Field("path"))
}

fn output_file(value: Value<'_>) -> Result<OutputEntry, DecodeError> {
    let (mut path, mut digest, mut executable, mut mode) = (None, None, None, None);
    each_field(value.bytes("output_files")?, |field, value| match field {
        1 => set(&mut path, "path", path_of(value)?),
        2 => set(&mut digest, "digest", decode_digest(value.bytes("digest")?)?),
        4 => set(&mut executable, "is_executable", value.flag("is_executable")?),
        7 => set(&mut mode, "node_properties", decode_mode(value)?),
        _ => Ok(()),
    })?;
    let executable = executable.unwrap_or(false);
    let entry = Entry::File {
        digest: digest.ok_or(DecodeError::Missing("digest"))?,
        executable,
        mode: mode.flatten().and_then(|mode| mode.unless_ordinary_file(executable)),
    };
    Ok(OutputEntry { path: path.ok_or(DecodeError::Missing("path"))?, entry })
}

fn output_directory(value: Value<'_>) -> Result<OutputDirectory, DecodeError> {
    let (mut path, mut tree) = (None, None);
    each_field(value.bytes("output_directories")?, |field, value| match field {
        1 => set(&mut path, "path", path_of(value)?),
        3 => set(&mut tree, "tree_digest", decode_digest(value.bytes("tree_digest")?)?),
        _ => Ok(()),
    })?;
    let path = path.ok_or(DecodeError::Missing("path"))?;
    Ok(OutputDirectory { path, tree_digest: tree.ok_or(DecodeError::Missing("tree_digest"))? })
}

fn output_symlink(value: Value<'_>) -> Result<OutputEntry, DecodeError> {
    let (mut path, mut target) = (None, None);
    each_field(value.bytes("output_symlinks")?, |field, value| match field {
        1 => set(&mut path, "path", path_of(value)?),
        2 => set(&mut target, "target", value.text("target")?),
        _ => Ok(()),
    })?;
    let target = link_target(target)?.to_owned();
    Ok(OutputEntry { path: path.ok_or(DecodeError::Missing("path"))?, entry: Entry::Symlink { target } })
}

/// Returns the value of `Any { type_url = 1, value = 2 }`, if its type is ours.
fn any_of_ours<'a>(any: Value<'a>) -> Result<Option<&'a [u8]>, DecodeError> {
    let (mut url, mut content) = (None, None);
    each_field(any.bytes("auxiliary_metadata")?, |field, value| match field {
        1 => set(&mut url, "type_url", value.text("type_url")?),
        2 => set(&mut content, "value", value.bytes("value")?),
        _ => Ok(()),
    })?;
    Ok((url == Some(STEP_METADATA)).then(|| content.unwrap_or_default()))
}

/// Reads our message into `result`; returns the digest of the action.
fn step_metadata(message: &[u8], result: &mut ActionResult) -> Result<Digest, DecodeError> {
    let (mut action, mut target, mut kind) = (None, None, None);
    let (mut duration_ms, mut type_name, mut content, mut line_order) = (None, None, None, None);
    each_field(message, |field, value| match field {
        1 => set(&mut action, "action_digest", decode_digest(value.bytes("action_digest")?)?),
        2 => set(&mut target, "target", value.text("target")?.to_owned()),
        3 => set(&mut kind, "kind", value.text("kind")?.to_owned()),
        4 => set(&mut duration_ms, "duration_ms", value.number("duration_ms")?),
        5 => set(&mut type_name, "type_name", value.text("type_name")?.to_owned()),
        6 => set(&mut content, "value", value.bytes("value")?.to_vec()),
        7 => set(&mut line_order, "line_order", value.text("line_order")?.to_owned()),
        8 => set(&mut result.description, "description_digest", decode_digest(value.bytes("description_digest")?)?),
        _ => Ok(()),
    })?;
    result.target = target.unwrap_or_default();
    result.kind = kind.unwrap_or_default();
    result.line_order = line_order.unwrap_or_default();
    result.duration_ms = duration_ms.unwrap_or_default();
    result.metadata = Metadata { type_name: type_name.unwrap_or_default(), value: content.unwrap_or_default() };
    action.ok_or(DecodeError::Missing("action_digest"))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::messages::UnixMode;
    use expect_test::expect;

    fn path(text: &str) -> RelativePath {
        RelativePath::new(text).unwrap()
    }

    /// Returns a result with one of everything.
    pub(crate) fn result() -> ActionResult {
        let output = |text: &str, entry| OutputEntry { path: path(text), entry };
        let digest = Digest::of(b"x");
        ActionResult {
            outputs: vec![
                output("bin/link", Entry::Symlink { target: "x".to_owned() }),
                output("bin/x", Entry::file(digest, true)),
                output("gen", Entry::Directory { mode: UnixMode::new(0o700) }),
                output("gen/empty", Entry::directory()),
                output("gen/sub/link", Entry::Symlink { target: "../y".to_owned() }),
                output("gen/y", Entry::File { digest, executable: false, mode: UnixMode::new(0o600) }),
            ],
            directories: vec![path("gen"), path("nothing")],
            exit_code: 0,
            stdout: Some(Digest::of(b"out\n")),
            stderr: Some(Digest::of(b"warning\n")),
            line_order: "0 1 1".to_owned(),
            metadata: Metadata { type_name: "facts".to_owned(), value: b"{}".to_vec() },
            duration_ms: 7,
            target: "server".to_owned(),
            kind: "GoBuild".to_owned(),
            description: Some(Digest::of(b"inputs")),
        }
    }

    fn again(message: &[u8], trees: &[Vec<u8>]) -> Option<ActionResult> {
        let stored = StoredActionResult::decode(message).ok()?;
        let trees = trees.iter().map(|tree| Tree::decode(tree)).collect::<Result<_, _>>().ok()?;
        stored.with_trees(trees)
    }

    #[test]
    fn results_come_back() {
        let action = Digest::of(b"action");
        for result in [ActionResult::default(), ActionResult { exit_code: -3, ..result() }, result()] {
            let (message, trees) = result.encode(&action).unwrap();
            assert_eq!(StoredActionResult::decode(&message).unwrap().action, action);
            assert_eq!(again(&message, &trees), Some(result));
        }
    }

    #[test]
    fn golden_message() {
        let (message, trees) = result().encode(&Digest::of(b"action")).unwrap();
        expect!["sha256:e6700164f5340b2779fac1e8b668140eaa6a2efee431256639a3d111730cf31f"]
            .assert_eq(&Digest::of(&message).oci());
        expect!["sha256:eee9a4ee3d58a747391994632ab4c732f82eef78cbefa2f2f5e9db82ee923820"]
            .assert_eq(&Digest::of(&trees.concat()).oci());
    }

    /// Unknown fields are skipped. A result without the digest of its action is invalid.
    #[test]
    fn unknown_fields() {
        let (mut message, trees) = result().encode(&Digest::of(b"action")).unwrap();
        let mut more = Message::default();
        more.text(5, "what it wrote");
        more.bytes(10, &encode_digest(&Digest::of(b"")));
        more.number(77, 1);
        message.extend(more.0);
        assert_eq!(again(&message, &trees), Some(result()));
        assert_eq!(StoredActionResult::decode(&[]), Err(DecodeError::Missing("auxiliary_metadata")));
    }

    #[test]
    fn outputs_that_no_step_leaves() {
        type Change<'a> = (&'a str, &'a dyn Fn(&mut ActionResult));
        let put = |result: &mut ActionResult, at: &str, entry| {
            result.outputs.push(OutputEntry { path: path(at), entry });
        };
        let file = || Entry::file(Digest::of(b"y"), false);
        let changes: [Change<'_>; 5] = [
            ("a path twice", &|result| put(result, "bin/x", file())),
            ("a file below a link", &|result| put(result, "bin/link/x", file())),
            ("a directory below a file", &|result| result.directories = vec![path("bin/x/gen")]),
            ("a directory in another", &|result| result.directories = vec![path("gen"), path("gen/sub")]),
            ("a directory twice", &|result| result.directories = vec![path("gen"), path("gen")]),
        ];
        for (what, change) in changes {
            let mut changed = result();
            change(&mut changed);
            let (message, trees) = changed.encode(&Digest::of(b"action")).unwrap();
            assert_eq!(again(&message, &trees), None, "{what}");
        }
        // A link in the place of an output directory.
        let (message, trees) = result().encode(&Digest::of(b"action")).unwrap();
        let mut stored = StoredActionResult::decode(&message).unwrap();
        stored.output_directories[1].path = path("bin/link");
        assert_eq!(stored.with_trees(trees.iter().map(|tree| Tree::decode(tree).unwrap()).collect()), None);
    }

    #[test]
    fn a_result_that_names_a_path_outside_is_refused() {
        let (message, _) = result().encode(&Digest::of(b"action")).unwrap();
        let place = message.windows(5).position(|window| window == b"bin/x").unwrap();
        for evil in [b"../..", b"/etc/", b"a/../", b"a//bc", b"bin/\0", b"a/./b"] {
            let mut forged = message.clone();
            forged[place..place + 5].copy_from_slice(evil);
            assert_eq!(StoredActionResult::decode(&forged), Err(DecodeError::Field("path")), "{evil:?}");
        }
    }
}
