//! The one door for reading files that somebody else may have made: a source tree, a repository, stored state.
//!
//! Such a path can be a link to a device without end, a FIFO that nobody writes, or a sparse file of terabytes. Only
//! regular files are opened, nothing waits, and each read has a limit. It does not know what the bytes mean.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::path::Path;

/// Limit of small texts: a reference, a version, a password file.
pub const SMALL_MAX: u64 = 1 << 20;
/// Limit of texts that people write: go.mod, Dockerfile, build.lock.
pub const TEXT_MAX: u64 = 16 << 20;
/// Limit of a file that is read into memory: a Go source, an index, state of earlier runs.
pub const MEMORY_MAX: u64 = 512 << 20;
/// Limit of a file that is hashed or copied piece by piece: an input, an output.
pub const CONTENTS_MAX: u64 = 64 << 30;

/// Opens the regular file at `path` for reading, through links. Anything else is an error; none of it is opened, since
/// some devices act when they are.
pub fn open_regular(path: &Path) -> io::Result<(File, Metadata)> {
    require_regular(&std::fs::metadata(path)?)?;
    let mut options = File::options();
    options.read(true);
    #[cfg(unix)]
    {
        // A FIFO that takes the name in this moment is opened without waiting.
        use std::os::unix::fs::OpenOptionsExt;
        options.custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed());
    }
    let file = options.open(path)?;
    let metadata = file.metadata()?;
    require_regular(&metadata)?;
    Ok((file, metadata))
}

/// Opens the regular file at `path`, whose contents have at most `max` bytes.
pub fn open_at_most(path: &Path, max: u64) -> io::Result<(File, Metadata)> {
    let (file, metadata) = open_regular(path)?;
    if metadata.len() > max { Err(too_large(metadata.len(), max)) } else { Ok((file, metadata)) }
}

/// Returns the contents of the regular file at `path`, of at most `max` bytes.
pub fn read_at_most(path: &Path, max: u64) -> io::Result<Vec<u8>> {
    read_open_at_most(&mut open_at_most(path, max)?.0, max)
}

/// Returns the rest of an open file, of at most `max` bytes.
pub(crate) fn read_open_at_most(file: &mut File, max: u64) -> io::Result<Vec<u8>> {
    let expected = file.metadata()?.len().min(max);
    let mut bytes = Vec::with_capacity(usize::try_from(expected).unwrap_or(0));
    // The file can grow meanwhile, and files of the kernel have no size.
    file.take(max.saturating_add(1)).read_to_end(&mut bytes)?;
    let length = bytes.len() as u64;
    if length > max { Err(too_large(length, max)) } else { Ok(bytes) }
}

/// Returns the text of the regular file at `path`, of at most `max` bytes of UTF-8.
pub fn read_text_at_most(path: &Path, max: u64) -> io::Result<String> {
    String::from_utf8(read_at_most(path, max)?)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not valid UTF-8"))
}

fn too_large(length: u64, max: u64) -> io::Error {
    let limit = match max >> 20 {
        0 => format!("{max} bytes"),
        mebibytes @ 1..1024 => format!("{mebibytes} MiB"),
        mebibytes => format!("{} GiB", mebibytes >> 10),
    };
    io::Error::new(io::ErrorKind::FileTooLarge, format!("it has {length} bytes; at most {limit} are read"))
}

/// Fails for anything but a regular file.
pub(crate) fn require_regular(metadata: &Metadata) -> io::Result<()> {
    if metadata.is_file() {
        return Ok(());
    }
    let (kind, what) = match metadata {
        _ if metadata.is_dir() => (io::ErrorKind::IsADirectory, "a directory"),
        _ => (io::ErrorKind::InvalidInput, special(metadata)),
    };
    Err(io::Error::new(kind, format!("it is {what}, not a regular file")))
}

#[cfg(unix)]
fn special(metadata: &Metadata) -> &'static str {
    use std::os::unix::fs::FileTypeExt;
    match metadata.file_type() {
        kind if kind.is_fifo() => "a FIFO",
        kind if kind.is_socket() => "a socket",
        _ => "a device",
    }
}

#[cfg(not(unix))]
fn special(_metadata: &Metadata) -> &'static str {
    "a device"
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    struct Place(std::path::PathBuf);

    impl Place {
        fn new(name: &str) -> Place {
            let path = std::env::temp_dir().join(format!("rondel-regular-{name}-{}", std::process::id()));
            let _ = std::fs::remove_dir_all(&path);
            std::fs::create_dir_all(&path).unwrap();
            Place(path)
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn message(outcome: io::Result<impl std::fmt::Debug>) -> String {
        outcome.unwrap_err().to_string()
    }

    #[test]
    fn what_never_ends_is_not_read() {
        let place = Place::new("kinds");
        let at = |name: &str| place.0.join(name);
        std::os::unix::fs::symlink("/dev/zero", at("zero")).unwrap();
        std::os::unix::fs::symlink("file", at("link")).unwrap();
        std::fs::write(at("file"), "text").unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, at("fifo"), rustix::fs::Mode::RWXU).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
        assert_eq!(message(read_at_most(&at("zero"), 10)), "it is a device, not a regular file");
        assert_eq!(message(read_at_most(&at("fifo"), 10)), "it is a FIFO, not a regular file");
        assert_eq!(message(read_at_most(&at("socket"), 10)), "it is a socket, not a regular file");
        assert_eq!(message(read_at_most(&place.0, 10)), "it is a directory, not a regular file");
        assert_eq!(read_text_at_most(&at("link"), 4).unwrap(), "text");
        assert_eq!(read_at_most(&at("none"), 4).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn limits() {
        let place = Place::new("limits");
        let sparse = place.0.join("sparse");
        File::create(&sparse).unwrap().set_len(1 << 40).unwrap();
        assert_eq!(message(read_at_most(&sparse, MEMORY_MAX)), "it has 1099511627776 bytes; at most 512 MiB are read");
        assert_eq!(message(open_at_most(&sparse, CONTENTS_MAX)), "it has 1099511627776 bytes; at most 64 GiB are read");
        std::fs::write(&sparse, "12345").unwrap();
        assert_eq!(message(read_at_most(&sparse, 4)), "it has 5 bytes; at most 4 bytes are read");
        std::fs::write(&sparse, b"\xff").unwrap();
        assert_eq!(message(read_text_at_most(&sparse, 4)), "it is not valid UTF-8");
        // Files of the kernel have contents and no size.
        assert!(read_at_most(Path::new("/proc/self/status"), 10).is_err() || !cfg!(target_os = "linux"));
    }
}
