//! The Remote Execution API's messages, and their canonical encodings: `Digest`, `Directory` with its nodes, `Command`,
//! `Action`. Their readers are in `decode`; `ActionResult` is in `action_result`, `Tree` in `tree`.
//!
//! The encoding is the canonical one of protocol buffers, so that a local key can be a remote key later. Fields are in
//! order of their numbers, defaults are left out, and repeated fields are sorted where the API asks for it. Field
//! numbers are those of `build/bazel/remote/execution/v2/remote_execution.proto`. The types borrow their texts, so
//! encoding and decoding copy nothing.

use crate::Digest;
use crate::wire::{Message, varint_length};

/// Permission bits of a file or directory that differ from the ordinary ones (REAPI `NodeProperties.unix_mode`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UnixMode(u16);

impl UnixMode {
    /// Ordinary bits of an executable file and of a directory.
    pub const EXECUTABLE: u32 = 0o755;
    /// Ordinary bits of another file.
    pub const PLAIN: u32 = 0o644;

    /// Returns the nine permission bits; `None` if others are set, which a store must not give to a file.
    pub fn new(bits: u32) -> Option<UnixMode> {
        u16::try_from(bits).ok().filter(|bits| bits & !0o777 == 0).map(UnixMode)
    }

    /// Returns the bits.
    pub fn bits(self) -> u32 {
        u32::from(self.0)
    }

    /// Returns itself, or `None` for the ordinary bits of a file (`executable` or not).
    pub fn unless_ordinary_file(self, executable: bool) -> Option<UnixMode> {
        let ordinary = if executable { UnixMode::EXECUTABLE } else { UnixMode::PLAIN };
        (self.bits() != ordinary).then_some(self)
    }

    /// Returns itself, or `None` for the ordinary bits of a directory.
    pub fn unless_ordinary_directory(self) -> Option<UnixMode> {
        (self.bits() != UnixMode::EXECUTABLE).then_some(self)
    }
}

/// Appends `NodeProperties { unix_mode = 3 }` as `field`, if there is a mode. `UInt32Value { value = 1 }` wraps it, so
/// that 0 is a mode too.
pub(crate) fn push_mode(message: &mut Message, field: u64, mode: Option<UnixMode>) {
    let Some(mode) = mode else { return };
    let (mut value, mut properties) = (Message::default(), Message::default());
    value.number(1, u64::from(mode.bits()));
    properties.bytes(3, &value.0);
    message.bytes(field, &properties.0);
}

/// `Digest { hash = 1, size_bytes = 2 }`.
pub fn encode_digest(digest: &Digest) -> Vec<u8> {
    let mut message = Message::default();
    message.bytes(1, &digest.hex_bytes());
    message.number(2, digest.size());
    message.0
}

/// `FileNode { name = 1, digest = 2, is_executable = 4, node_properties = 6 }`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileNode<'a> {
    /// One component of a path.
    pub name: &'a str,
    /// Digest of the contents.
    pub digest: Digest,
    /// True if the owner's executable bit is set.
    pub is_executable: bool,
    /// Permission bits, if they are not the ordinary ones.
    pub mode: Option<UnixMode>,
}

/// `DirectoryNode { name = 1, digest = 2 }`; the child's own `Directory` holds its mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DirectoryNode<'a> {
    /// One component of a path.
    pub name: &'a str,
    /// Digest of the `Directory` message.
    pub digest: Digest,
}

/// `SymlinkNode { name = 1, target = 2 }`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SymlinkNode<'a> {
    /// One component of a path.
    pub name: &'a str,
    /// Its text, verbatim.
    pub target: &'a str,
}

/// `Directory { files = 1, directories = 2, symlinks = 3, node_properties = 5 }`. Each list is sorted by name, and no
/// name is in two of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Directory<'a> {
    /// Its files.
    pub files: Vec<FileNode<'a>>,
    /// Its subdirectories.
    pub directories: Vec<DirectoryNode<'a>>,
    /// Its symbolic links.
    pub symlinks: Vec<SymlinkNode<'a>>,
    /// Permission bits, if they are not the ordinary ones.
    pub mode: Option<UnixMode>,
}

impl Directory<'_> {
    /// Returns the canonical encoding. An empty directory is no bytes at all.
    pub fn encode(&self) -> Vec<u8> {
        let mut message = Message::default();
        for file in &self.files {
            let mut child = Message::default();
            child.text(1, file.name);
            child.bytes(2, &encode_digest(&file.digest));
            child.number(4, u64::from(file.is_executable));
            push_mode(&mut child, 6, file.mode);
            message.bytes(1, &child.0);
        }
        for directory in &self.directories {
            let mut child = Message::default();
            child.text(1, directory.name);
            child.bytes(2, &encode_digest(&directory.digest));
            message.bytes(2, &child.0);
        }
        for symlink in &self.symlinks {
            let mut child = Message::default();
            child.text(1, symlink.name);
            child.text(2, symlink.target);
            message.bytes(3, &child.0);
        }
        push_mode(&mut message, 5, self.mode);
        message.0
    }

    /// Returns the digest of the canonical encoding.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.encode())
    }
}

/// Appends the `FileNode` of a file with ordinary permissions to an unfinished `Directory` message; files come sorted
/// by name. Gives the same bytes as `Directory::encode`, without a list of nodes.
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

/// `Command { arguments = 1, environment_variables = 2, platform = 5, output_paths = 7 }`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Command<'a> {
    /// Arguments, in order.
    pub arguments: Vec<&'a str>,
    /// `EnvironmentVariable { name = 1, value = 2 }`, in any order.
    pub environment_variables: Vec<(&'a str, &'a str)>,
    /// `Platform { properties = 1 }` of `Property { name = 1, value = 2 }`, in any order; a name may occur twice.
    pub platform: Vec<(&'a str, &'a str)>,
    /// In any order, without a slash at the end.
    pub output_paths: Vec<&'a str>,
}

impl Command<'_> {
    /// Returns the canonical encoding: everything but the arguments is sorted here.
    pub fn encode(&self) -> Vec<u8> {
        let mut message = Message::default();
        for argument in &self.arguments {
            // An element of a list is written even if it is empty: its place counts.
            message.bytes(1, argument.as_bytes());
        }
        for pair in sorted(&self.environment_variables) {
            message.bytes(2, &name_and_value(pair));
        }
        let mut platform = Message::default();
        for pair in sorted(&self.platform) {
            platform.bytes(1, &name_and_value(pair));
        }
        message.bytes(5, &platform.0);
        let mut outputs = sorted(&self.output_paths);
        outputs.dedup();
        for output in outputs {
            message.bytes(7, output.as_bytes());
        }
        message.0
    }
}

fn sorted<T: Ord + Copy>(items: &[T]) -> Vec<T> {
    let mut sorted = items.to_vec();
    sorted.sort_unstable();
    sorted
}

fn name_and_value((name, value): (&str, &str)) -> Vec<u8> {
    let mut message = Message::default();
    message.text(1, name);
    message.text(2, value);
    message.0
}

/// `Action { command_digest = 1, input_root_digest = 2, salt = 9 }`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Action<'a> {
    /// Digest of the `Command`.
    pub command_digest: Digest,
    /// Digest of the `Directory` at the top of the inputs.
    pub input_root_digest: Digest,
    /// Separates one kind of keys from another.
    pub salt: &'a [u8],
}

impl Action<'_> {
    /// Returns the canonical encoding.
    pub fn encode(&self) -> Vec<u8> {
        let mut message = Message::default();
        message.bytes(1, &encode_digest(&self.command_digest));
        message.bytes(2, &encode_digest(&self.input_root_digest));
        message.text(9, self.salt);
        message.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    fn file<'a>(name: &'a str, digest: Digest, is_executable: bool) -> FileNode<'a> {
        FileNode { name, digest, is_executable, mode: None }
    }

    /// The empty directory and `Digest` of nothing are the same message in every implementation of the API.
    #[test]
    fn golden_digests() {
        assert_eq!(Directory::default().encode(), b"");
        let leaf = Digest::of(b"hello");
        let directory = Directory {
            files: vec![file("a", leaf, false), file("b", leaf, true)],
            directories: vec![DirectoryNode { name: "d", digest: Digest::of(b"") }],
            symlinks: vec![SymlinkNode { name: "s", target: "a" }],
            mode: None,
        };
        expect!["sha256:210f67b2f1c3c91dbcf64c90200c455127c698bc6dca47b94e7d00a5c9cd151b"]
            .assert_eq(&directory.digest().oci());
        let command = Command {
            arguments: vec!["go", "", "build"],
            environment_variables: vec![("GOOS", "linux"), ("CGO_ENABLED", "0")],
            platform: vec![("tool:go", "x")],
            output_paths: vec!["b", "a"],
        };
        expect!["sha256:30d12337bd4dba0a7331cb3d0bcff8f6149d6435b15d186aed4224fd575fe634"]
            .assert_eq(&Digest::of(&command.encode()).oci());
        let action = Action {
            command_digest: Digest::of(&command.encode()),
            input_root_digest: directory.digest(),
            salt: b"rondel-1",
        };
        expect!["sha256:67b773aa9638c0ab1af27fc9c0e3da26d2746d100b0832ed7beda543c16a28d2"]
            .assert_eq(&Digest::of(&action.encode()).oci());
    }

    /// The bytes of `NodeProperties`, written by hand: field, length, and so on inwards.
    #[test]
    fn modes_are_node_properties() {
        let mode = |bits| UnixMode::new(bits);
        let empty = |bits| Directory { mode: mode(bits), ..Directory::default() }.encode();
        assert_eq!(empty(0o700), [0x2a, 5, 0x1a, 3, 0x08, 0xc0, 0x03]);
        assert_eq!(empty(0), [0x2a, 2, 0x1a, 0]);
        let node = FileNode { mode: mode(0o600), ..file("a", Digest::of(b""), false) };
        let encoded = Directory { files: vec![node], ..Directory::default() }.encode();
        assert!(encoded.ends_with(&[0x32, 5, 0x1a, 3, 0x08, 0x80, 0x03]));
        assert_eq!((mode(0o1000), mode(0o4755), mode(u32::MAX)), (None, None, None));
        assert_eq!(mode(0o755).unwrap().unless_ordinary_file(true), None);
        assert_eq!(mode(0o755).unwrap().unless_ordinary_file(false), mode(0o755));
        assert_eq!(mode(0o755).unwrap().unless_ordinary_directory(), None);
    }

    /// Adding one file at a time gives the same bytes as all at once.
    #[test]
    fn files_one_by_one() {
        let names = ["a", "b", "c", "long".repeat(50).leak()];
        for size in [0_u64, 1, 127, 128, 16_383, 16_384, u64::MAX] {
            let digest = Digest::from_parts([size as u8; 32], size);
            let mut message = Vec::new();
            names.iter().for_each(|name| push_file(&mut message, name, &digest, *name == "b"));
            let files = names.iter().map(|name| file(name, digest, *name == "b")).collect();
            assert_eq!(message, Directory { files, ..Directory::default() }.encode(), "{size}");
        }
    }

    #[test]
    fn order_of_sets_does_not_count_and_order_of_arguments_does() {
        let command = |names: [usize; 2]| {
            let pairs = [("A", "1"), ("B", "2")];
            Command {
                environment_variables: names.map(|index| pairs[index]).into(),
                output_paths: names.map(|index| pairs[index].0).into(),
                ..Command::default()
            }
        };
        assert_eq!(command([0, 1]).encode(), command([1, 0]).encode());
        let arguments = |words: [&'static str; 2]| Command { arguments: words.into(), ..Command::default() }.encode();
        assert_ne!(arguments(["a", "b"]), arguments(["b", "a"]));
    }
}
