//! Files at paths that a user names. A regular file is replaced as a whole; a device, a FIFO or a link stays, and is
//! written through.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use crate::write_atomically;

/// Returns true if something at `path` has to stay when it is written: a device, a FIFO, a socket or a link.
pub fn is_written_through(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir())
}

/// Writes `bytes` to `path`. A regular file is replaced by a temporary one from `scratch`, a directory of the same file
/// system. Anything else is opened and written to.
pub fn write_named(scratch: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    if is_written_through(path) { write_through(path, bytes) } else { write_atomically(scratch, path, bytes) }
}

fn write_through(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // A link may lead to nothing yet.
    let mut target = File::options().write(true).create(true).truncate(true).open(path)?;
    match target.write_all(bytes) {
        // A reader that has seen enough is no failure.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::fs::FileTypeExt;

    #[test]
    fn only_a_regular_file_is_replaced() {
        let directory = std::env::temp_dir().join(format!("rondel-named-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let at = |name: &str| directory.join(name);
        let write = |name: &str, text: &str| write_named(&directory, &at(name), text.as_bytes()).unwrap();
        write("file", "one");
        std::os::unix::fs::symlink("file", at("link")).unwrap();
        std::os::unix::fs::symlink("absent", at("dangling")).unwrap();
        write("link", "two");
        write("dangling", "three");
        assert!(at("link").is_symlink() && at("dangling").is_symlink());
        let read = |name: &str| fs::read_to_string(at(name)).unwrap();
        assert_eq!((read("file"), read("absent")), ("two".to_owned(), "three".to_owned()));
        rustix::fs::mknodat(rustix::fs::CWD, at("fifo"), rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        let path = at("fifo");
        let reader = std::thread::spawn(move || fs::read_to_string(path).unwrap());
        write("fifo", "four");
        assert_eq!(reader.join().unwrap(), "four");
        assert!(fs::symlink_metadata(at("fifo")).unwrap().file_type().is_fifo());
        assert!(write_named(&directory, &directory, b"").is_err());
        fs::remove_dir_all(directory).unwrap();
    }
}
