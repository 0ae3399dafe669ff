//! Canonical encodings of the Remote Execution API's messages: `Digest`, `Directory`, `Command`, `Action`.
//!
//! Protocol buffers, written the one canonical way (fields in order of their numbers, defaults left out,
//! repeated fields sorted where the API asks for it), so that a local key can be a remote key later.
//! Field numbers are those of `build/bazel/remote/execution/v2/remote_execution.proto`.
//! Nothing here reads messages.

use crate::Digest;

/// Writes protocol buffer fields.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn bytes(&mut self, field: u64, bytes: &[u8]) {
        self.varint(field << 3 | 2);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    /// Strings and bytes that are empty are left out, as proto3 does.
    fn text(&mut self, field: u64, text: &str) {
        if !text.is_empty() {
            self.bytes(field, text.as_bytes());
        }
    }

    fn number(&mut self, field: u64, value: u64) {
        if value != 0 {
            self.varint(field << 3);
            self.varint(value);
        }
    }
}

/// `Digest { hash = 1, size_bytes = 2 }`.
pub fn digest(digest: &Digest) -> Vec<u8> {
    let mut message = Message::default();
    message.text(1, &digest.hex());
    message.number(2, digest.size());
    message.0
}

/// One child of a directory; fields as in the message of its name.
#[allow(missing_docs, reason = "the fields are those of the message")]
pub enum Node<'a> {
    /// `FileNode`
    File { name: &'a str, digest: Digest, executable: bool },
    /// `DirectoryNode`
    Directory { name: &'a str, digest: Digest },
    /// `SymlinkNode`
    Symlink { name: &'a str, target: &'a str },
}

/// `Directory { files = 1, directories = 2, symlinks = 3 }`; `nodes` come sorted by name.
pub fn directory(nodes: &[Node<'_>]) -> Vec<u8> {
    let mut message = Message::default();
    for node in nodes {
        if let Node::File { name, digest: of, executable } = node {
            let mut child = Message::default();
            child.text(1, name);
            child.bytes(2, &digest(of));
            child.number(4, u64::from(*executable));
            message.bytes(1, &child.0);
        }
    }
    for node in nodes {
        if let Node::Directory { name, digest: of } = node {
            let mut child = Message::default();
            child.text(1, name);
            child.bytes(2, &digest(of));
            message.bytes(2, &child.0);
        }
    }
    for node in nodes {
        if let Node::Symlink { name, target } = node {
            let mut child = Message::default();
            child.text(1, name);
            child.text(2, target);
            message.bytes(3, &child.0);
        }
    }
    message.0
}

/// Appends the `FileNode` of a `Directory` to the message that is in the making; files come sorted by name.
pub fn push_file(message: &mut Vec<u8>, name: &str, of: &Digest, executable: bool) {
    let size_length = if of.size() == 0 { 0 } else { 1 + varint_length(of.size()) };
    let digest_length = 2 + 64 + size_length;
    let name_length = if name.is_empty() { 0 } else { 1 + varint_length(name.len() as u64) + name.len() };
    let length = name_length + 1 + varint_length(digest_length as u64) + digest_length + 2 * usize::from(executable);
    let mut writer = Message(std::mem::take(message));
    writer.varint(1 << 3 | 2);
    writer.varint(length as u64);
    writer.text(1, name);
    writer.varint(2 << 3 | 2);
    writer.varint(digest_length as u64);
    writer.bytes(1, &of.hex_bytes());
    writer.number(2, of.size());
    writer.number(4, u64::from(executable));
    *message = writer.0;
}

/// How many bytes `value` takes.
fn varint_length(value: u64) -> usize {
    (64 - (value | 1).leading_zeros() as usize).div_ceil(7)
}

/// `Command { arguments = 1, environment_variables = 2, platform = 5, output_paths = 7 }`.
///
/// `environment`, `properties` and `outputs` are sorted here; `arguments` keep their order.
pub fn command(
    arguments: &[String],
    environment: &[(String, String)],
    properties: &[(String, String)],
    outputs: &[String],
) -> Vec<u8> {
    let mut message = Message::default();
    for argument in arguments {
        // A repeated string is written even when it is empty: its place counts.
        message.bytes(1, argument.as_bytes());
    }
    for pair in sorted_pairs(environment) {
        message.bytes(2, &name_and_value(pair));
    }
    let mut platform = Message::default();
    for pair in sorted_pairs(properties) {
        platform.bytes(1, &name_and_value(pair));
    }
    message.bytes(5, &platform.0);
    let mut outputs: Vec<&String> = outputs.iter().collect();
    outputs.sort();
    for output in outputs {
        message.bytes(7, output.as_bytes());
    }
    message.0
}

fn sorted_pairs(pairs: &[(String, String)]) -> Vec<&(String, String)> {
    let mut sorted: Vec<_> = pairs.iter().collect();
    sorted.sort();
    sorted
}

fn name_and_value((name, value): &(String, String)) -> Vec<u8> {
    let mut message = Message::default();
    message.text(1, name);
    message.text(2, value);
    message.0
}

/// `Action { command_digest = 1, input_root_digest = 2, salt = 9 }`.
pub fn action(command: &Digest, input_root: &Digest, salt: &[u8]) -> Vec<u8> {
    let mut message = Message::default();
    message.bytes(1, &digest(command));
    message.bytes(2, &digest(input_root));
    if !salt.is_empty() {
        message.bytes(9, salt);
    }
    message.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    fn text(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    /// The empty directory and `Digest` of nothing are the same message in every implementation of the API.
    #[test]
    fn golden_digests() {
        assert_eq!(directory(&[]), b"");
        let leaf = Digest::of(b"hello");
        let directory_message = directory(&[
            Node::File { name: "a", digest: leaf, executable: false },
            Node::File { name: "b", digest: leaf, executable: true },
            Node::Directory { name: "d", digest: Digest::of(b"") },
            Node::Symlink { name: "s", target: "a" },
        ]);
        expect!["sha256:210f67b2f1c3c91dbcf64c90200c455127c698bc6dca47b94e7d00a5c9cd151b"]
            .assert_eq(&Digest::of(&directory_message).oci());
        let command_message = command(
            &["go".into(), String::new(), "build".into()],
            &text(&[("GOOS", "linux"), ("CGO_ENABLED", "0")]),
            &text(&[("tool:go", "x")]),
            &["b".into(), "a".into()],
        );
        expect!["sha256:30d12337bd4dba0a7331cb3d0bcff8f6149d6435b15d186aed4224fd575fe634"]
            .assert_eq(&Digest::of(&command_message).oci());
        let action_message = action(&Digest::of(&command_message), &Digest::of(&directory_message), b"rondel-1");
        expect!["sha256:67b773aa9638c0ab1af27fc9c0e3da26d2746d100b0832ed7beda543c16a28d2"]
            .assert_eq(&Digest::of(&action_message).oci());
    }

    /// A file at a time is the same as all at once.
    #[test]
    fn files_one_by_one() {
        let names = ["a", "b", "c", "long".repeat(50).leak()];
        for size in [0_u64, 1, 127, 128, 16_383, 16_384, u64::MAX] {
            let digest = Digest::from_parts([size as u8; 32], size);
            let node = |name| Node::File { name, digest, executable: name == "b" };
            let mut message = Vec::new();
            names.iter().for_each(|name| push_file(&mut message, name, &digest, *name == "b"));
            assert_eq!(message, directory(&names.map(node)), "{size}");
        }
    }

    #[test]
    fn order_of_sets_does_not_count_and_order_of_arguments_does() {
        let one = command(&[], &text(&[("A", "1"), ("B", "2")]), &[], &["x".into(), "y".into()]);
        let two = command(&[], &text(&[("B", "2"), ("A", "1")]), &[], &["y".into(), "x".into()]);
        assert_eq!(one, two);
        let forth = command(&["a".into(), "b".into()], &[], &[], &[]);
        let back = command(&["b".into(), "a".into()], &[], &[], &[]);
        assert_ne!(forth, back);
    }
}
