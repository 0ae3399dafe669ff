//! Readers of the Remote Execution API's messages. The bytes may come from anywhere: no reader panics, or takes more
//! memory than a small multiple of its input.
//!
//! `Directory`, `Command` and `Action` are named by their digests, so they are read strictly. An unknown field, a
//! repeated field and names out of order are errors, since a skipped field would be lost silently.

use crate::Digest;
use crate::messages::{Action, Command, Directory, DirectoryNode, FileNode, SymlinkNode, UnixMode};
use crate::wire::{DecodeError, Value, each_field, set};

/// `Digest { hash = 1, size_bytes = 2 }`.
pub fn decode_digest(message: &[u8]) -> Result<Digest, DecodeError> {
    let (mut hash, mut size) = (None, None);
    each_field(message, |field, value| match field {
        1 => set(&mut hash, "hash", hash_of(value.bytes("hash")?)?),
        2 => set(&mut size, "size_bytes", value.number("size_bytes")?),
        other => Err(DecodeError::Unknown(other)),
    })?;
    let size = size.unwrap_or(0);
    // `int64` on the wire.
    if i64::try_from(size).is_err() {
        return Err(DecodeError::Field("size_bytes"));
    }
    Ok(Digest::from_parts(hash.ok_or(DecodeError::Missing("hash"))?, size))
}

fn hash_of(text: &[u8]) -> Result<[u8; 32], DecodeError> {
    let nibble = |byte: u8| match byte {
        b'0'..=b'9' => Ok(byte - b'0'),
        b'a'..=b'f' => Ok(byte - b'a' + 10),
        _ => Err(DecodeError::Field("hash")),
    };
    let mut hash = [0_u8; 32];
    if text.len() != 64 {
        return Err(DecodeError::Field("hash"));
    }
    for (byte, pair) in hash.iter_mut().zip(text.chunks_exact(2)) {
        *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
    }
    Ok(hash)
}

/// Reads `NodeProperties { unix_mode = 3 }`. Other properties and times are no part of any result.
pub(crate) fn decode_mode(value: Value<'_>) -> Result<Option<UnixMode>, DecodeError> {
    const NAME: &str = "unix_mode";
    let mut wrapped = None;
    each_field(value.bytes("node_properties")?, |field, value| match field {
        3 => set(&mut wrapped, NAME, value.bytes(NAME)?),
        1 | 2 => Ok(()),
        other => Err(DecodeError::Unknown(other)),
    })?;
    let Some(wrapped) = wrapped else { return Ok(None) };
    let mut bits = None;
    each_field(wrapped, |field, value| match field {
        1 => set(&mut bits, NAME, value.number(NAME)?),
        other => Err(DecodeError::Unknown(other)),
    })?;
    let mode = u32::try_from(bits.unwrap_or(0)).ok().and_then(UnixMode::new);
    mode.map(Some).ok_or(DecodeError::Field(NAME))
}

/// A name in a directory: one component of a path.
fn name_of(name: Option<&str>) -> Result<&str, DecodeError> {
    let name = name.ok_or(DecodeError::Missing("name"))?;
    if matches!(name, "" | "." | "..") || name.contains(['/', '\0']) {
        return Err(DecodeError::Field("name"));
    }
    Ok(name)
}

fn file_node(message: &[u8]) -> Result<FileNode<'_>, DecodeError> {
    let (mut name, mut digest, mut executable, mut mode) = (None, None, None, None);
    each_field(message, |field, value| match field {
        1 => set(&mut name, "name", value.text("name")?),
        2 => set(&mut digest, "digest", decode_digest(value.bytes("digest")?)?),
        4 => set(&mut executable, "is_executable", value.flag("is_executable")?),
        6 => set(&mut mode, "node_properties", decode_mode(value)?),
        other => Err(DecodeError::Unknown(other)),
    })?;
    let is_executable = executable.unwrap_or(false);
    Ok(FileNode {
        name: name_of(name)?,
        digest: digest.ok_or(DecodeError::Missing("digest"))?,
        is_executable,
        mode: mode.flatten().and_then(|mode| mode.unless_ordinary_file(is_executable)),
    })
}

fn directory_node(message: &[u8]) -> Result<DirectoryNode<'_>, DecodeError> {
    let (mut name, mut digest) = (None, None);
    each_field(message, |field, value| match field {
        1 => set(&mut name, "name", value.text("name")?),
        2 => set(&mut digest, "digest", decode_digest(value.bytes("digest")?)?),
        other => Err(DecodeError::Unknown(other)),
    })?;
    Ok(DirectoryNode { name: name_of(name)?, digest: digest.ok_or(DecodeError::Missing("digest"))? })
}

fn symlink_node(message: &[u8]) -> Result<SymlinkNode<'_>, DecodeError> {
    let (mut name, mut target) = (None, None);
    each_field(message, |field, value| match field {
        1 => set(&mut name, "name", value.text("name")?),
        2 => set(&mut target, "target", value.text("target")?),
        // The permissions of a link mean nothing.
        4 => decode_mode(value).map(drop),
        other => Err(DecodeError::Unknown(other)),
    })?;
    Ok(SymlinkNode { name: name_of(name)?, target: link_target(target)? })
}

/// Returns the text of a link: not empty, and without NUL.
pub(crate) fn link_target(target: Option<&str>) -> Result<&str, DecodeError> {
    let target = target.ok_or(DecodeError::Missing("target"))?;
    if target.is_empty() || target.contains('\0') { Err(DecodeError::Field("target")) } else { Ok(target) }
}

impl<'a> Directory<'a> {
    /// Returns the directory in `message`.
    pub fn decode(message: &'a [u8]) -> Result<Directory<'a>, DecodeError> {
        let mut directory = Directory::default();
        let mut mode = None;
        each_field(message, |field, value| {
            match field {
                1 => directory.files.push(file_node(value.bytes("files")?)?),
                2 => directory.directories.push(directory_node(value.bytes("directories")?)?),
                3 => directory.symlinks.push(symlink_node(value.bytes("symlinks")?)?),
                5 => set(&mut mode, "node_properties", decode_mode(value)?)?,
                other => return Err(DecodeError::Unknown(other)),
            }
            Ok(())
        })?;
        directory.mode = mode.flatten().and_then(UnixMode::unless_ordinary_directory);
        let are_sorted = directory.files.is_sorted_by(|one, other| one.name < other.name)
            && directory.directories.is_sorted_by(|one, other| one.name < other.name)
            && directory.symlinks.is_sorted_by(|one, other| one.name < other.name);
        let mut names: Vec<&str> = directory.files.iter().map(|node| node.name).collect();
        names.extend(directory.directories.iter().map(|node| node.name));
        names.extend(directory.symlinks.iter().map(|node| node.name));
        names.sort_unstable();
        if are_sorted && names.is_sorted_by(|one, other| one < other) { Ok(directory) } else { Err(DecodeError::Order) }
    }
}

impl<'a> Command<'a> {
    /// Returns the command in `message`.
    pub fn decode(message: &'a [u8]) -> Result<Command<'a>, DecodeError> {
        let mut command = Command::default();
        let mut platform = None;
        each_field(message, |field, value| {
            match field {
                1 => command.arguments.push(value.text("arguments")?),
                2 => command.environment_variables.push(pair(value, "environment_variables")?),
                5 => set(&mut platform, "platform", value.bytes("platform")?)?,
                7 => command.output_paths.push(value.text("output_paths")?),
                other => return Err(DecodeError::Unknown(other)),
            }
            Ok(())
        })?;
        each_field(platform.unwrap_or_default(), |field, value| match field {
            1 => {
                command.platform.push(pair(value, "properties")?);
                Ok(())
            }
            other => Err(DecodeError::Unknown(other)),
        })?;
        let are_sorted = command.environment_variables.is_sorted_by(|(one, _), (other, _)| one < other)
            && command.platform.is_sorted()
            && command.output_paths.is_sorted_by(|one, other| one < other);
        if are_sorted { Ok(command) } else { Err(DecodeError::Order) }
    }
}

fn pair<'a>(value: Value<'a>, what: &'static str) -> Result<(&'a str, &'a str), DecodeError> {
    let (mut name, mut content) = (None, None);
    each_field(value.bytes(what)?, |field, value| match field {
        1 => set(&mut name, what, value.text(what)?),
        2 => set(&mut content, what, value.text(what)?),
        other => Err(DecodeError::Unknown(other)),
    })?;
    Ok((name.unwrap_or_default(), content.unwrap_or_default()))
}

impl<'a> Action<'a> {
    /// Returns the action in `message`.
    pub fn decode(message: &'a [u8]) -> Result<Action<'a>, DecodeError> {
        let (mut command, mut root, mut salt) = (None, None, None);
        each_field(message, |field, value| match field {
            1 => set(&mut command, "command_digest", decode_digest(value.bytes("command_digest")?)?),
            2 => set(&mut root, "input_root_digest", decode_digest(value.bytes("input_root_digest")?)?),
            9 => set(&mut salt, "salt", value.bytes("salt")?),
            other => Err(DecodeError::Unknown(other)),
        })?;
        Ok(Action {
            command_digest: command.ok_or(DecodeError::Missing("command_digest"))?,
            input_root_digest: root.ok_or(DecodeError::Missing("input_root_digest"))?,
            salt: salt.unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messages::encode_digest;

    #[test]
    fn digests_come_back_and_nothing_else_is_one() {
        for digest in [Digest::of(b""), Digest::of(b"abc"), Digest::from_parts([0xab; 32], i64::MAX as u64)] {
            assert_eq!(decode_digest(&encode_digest(&digest)), Ok(digest));
        }
        let good = encode_digest(&Digest::of(b"abc"));
        let mut upper = good.clone();
        upper[2] = b'A';
        assert_eq!(decode_digest(&upper), Err(DecodeError::Field("hash")));
        assert_eq!(decode_digest(&[]), Err(DecodeError::Missing("hash")));
        assert_eq!(decode_digest(&[&good[..], &good[..]].concat()), Err(DecodeError::Field("hash")));
        assert_eq!(decode_digest(&[&good[..], &[0x18, 1]].concat()), Err(DecodeError::Unknown(3)));
        let vast = encode_digest(&Digest::from_parts([0; 32], u64::MAX));
        assert_eq!(decode_digest(&vast), Err(DecodeError::Field("size_bytes")));
    }

    fn directory() -> Directory<'static> {
        let file = |name, is_executable, bits| FileNode {
            name,
            digest: Digest::of(b"x"),
            is_executable,
            mode: UnixMode::new(bits).and_then(|mode| mode.unless_ordinary_file(is_executable)),
        };
        Directory {
            files: vec![file("a", false, 0o644), file("c", true, 0o700), file("é", false, 0)],
            directories: vec![DirectoryNode { name: "b", digest: Digest::of(b"") }],
            symlinks: vec![SymlinkNode { name: "d", target: "../x" }],
            mode: UnixMode::new(0o500),
        }
    }

    #[test]
    fn directories_come_back() {
        for directory in [Directory::default(), directory()] {
            assert_eq!(Directory::decode(&directory.encode()).as_ref(), Ok(&directory));
        }
    }

    #[test]
    fn directories_that_no_canonical_encoding_gives() {
        type Change = fn(&mut Directory<'static>);
        let changes: &[(&str, Change, DecodeError)] = &[
            ("a name that climbs out", |it| it.files[0].name = "..", DecodeError::Field("name")),
            ("a path", |it| it.directories[0].name = "a/b", DecodeError::Field("name")),
            ("no name", |it| it.symlinks[0].name = "", DecodeError::Missing("name")),
            ("a NUL", |it| it.files[0].name = "a\0", DecodeError::Field("name")),
            ("no target", |it| it.symlinks[0].target = "", DecodeError::Missing("target")),
            ("files not sorted", |it| it.files.swap(0, 1), DecodeError::Order),
            ("a file twice", |it| it.files[1].name = "a", DecodeError::Order),
            ("a file and a directory", |it| it.directories[0].name = "a", DecodeError::Order),
            ("a file and a link", |it| it.symlinks[0].name = "a", DecodeError::Order),
        ];
        for (what, change, error) in changes {
            let mut changed = directory();
            change(&mut changed);
            assert_eq!(Directory::decode(&changed.encode()), Err(*error), "{what}");
        }
        // A set-user-ID bit; an unknown field.
        assert_eq!(Directory::decode(&[0x2a, 5, 0x1a, 3, 0x08, 0xed, 0x13]), Err(DecodeError::Field("unix_mode")));
        assert_eq!(Directory::decode(&[0x38, 1]), Err(DecodeError::Unknown(7)));
    }

    #[test]
    fn commands_and_actions_come_back() {
        let command = Command {
            arguments: vec!["b", "", "a"],
            environment_variables: vec![("A", "1"), ("B", "")],
            platform: vec![("p", "1"), ("p", "2")],
            output_paths: vec!["x", "y"],
        };
        let message = command.encode();
        assert_eq!(Command::decode(&message).as_ref(), Ok(&command));
        let empty = Command::default().encode();
        assert_eq!(Command::decode(&empty), Ok(Command::default()));
        let action = Action { command_digest: Digest::of(&message), input_root_digest: Digest::of(b""), salt: b"salt" };
        let message = action.encode();
        assert_eq!(Action::decode(&message), Ok(action));
        for length in 0..message.len() {
            // Without its salt it is another action, and whole.
            assert_ne!(Action::decode(&message[..length]), Ok(action), "{length}");
        }
    }
}
