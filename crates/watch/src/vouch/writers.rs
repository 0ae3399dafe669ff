//! Whether somebody can write to files without a notification: a process by a shared mapping, which it has or can still make from a descriptor
//! that is open for writing, or a device whose blocks a file holds. Of processes of other users nothing is known; what they write by calls is notified as all else.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::read_proc;

/// Returns true if a process has a file open for writing, or mapped so that it could be, whose number is one that concerns. Also where that
/// can't be known at all. (Devices are not compared: that they have one number each is not so on every file system.)
pub(super) fn has_writers(concerns: &dyn Fn(i128) -> bool) -> bool {
    if has_block_devices(concerns) {
        return true;
    }
    let Ok(processes) = fs::read_dir("/proc") else { return true };
    let mut is_any_known = false;
    for process in processes.flatten() {
        let is_process = process.file_name().as_bytes().iter().all(u8::is_ascii_digit);
        if !is_process {
            continue;
        }
        // It ends meanwhile, or is another user's.
        let Ok(descriptors) = fs::read_dir(process.path().join("fd")) else { continue };
        is_any_known = true;
        let mut count = 0;
        for descriptor in descriptors.flatten() {
            count += 1;
            // Its file is not asked: a file system that does not answer would hold whoever asks.
            let about = read_proc(&process.path().join("fdinfo").join(descriptor.file_name()));
            let is_writer = about.is_ok_and(|about| is_for_writing(&String::from_utf8_lossy(&about), concerns));
            if is_writer && !is_no_file(&descriptor.path()) {
                return true;
            }
        }
        if count == 0 && has_other_threads(&process.path()) {
            // Its first thread has ended, and shows nothing of what the others have.
            return true;
        }
        let maps = read_proc(&process.path().join("maps")).unwrap_or_default();
        if String::from_utf8_lossy(&maps).lines().any(|line| is_written_mapping(line, concerns)) {
            return true;
        }
    }
    !is_any_known
}

/// Returns true if a loop device writes to one of the files, such as the image of a disk: that is told of the device's files alone. Who may not know the
/// name of its file is not told either; it may be any.
fn has_block_devices(concerns: &dyn Fn(i128) -> bool) -> bool {
    use std::os::unix::ffi::OsStringExt;
    use std::os::unix::fs::MetadataExt;
    fs::read_dir("/sys/block").into_iter().flatten().flatten().any(|device| {
        let Ok(mut name) = read_proc(&device.path().join("loop/backing_file")) else { return false };
        let is_read_only = read_proc(&device.path().join("ro")).is_ok_and(|text| text.starts_with(b"1"));
        name.truncate(name.trim_ascii_end().len());
        let file = fs::metadata(std::ffi::OsString::from_vec(name));
        !is_read_only && file.map_or(true, |file| concerns(file.ino().into()))
    })
}

/// Returns true for a pipe, a socket and the like, whose numbers are counted on and on and come to be those of files. Of a file, the link has the path.
fn is_no_file(descriptor: &Path) -> bool {
    let kinds = ["pipe:[", "socket:[", "anon_inode:"];
    let text = fs::read_link(descriptor);
    text.is_ok_and(|text| kinds.iter().any(|kind| text.as_os_str().as_bytes().starts_with(kind.as_bytes())))
}

fn has_other_threads(process: &Path) -> bool {
    fs::read_dir(process.join("task")).is_ok_and(|threads| threads.count() > 1)
}

/// `flags: 0100002` is open(2)'s, in octal; the lowest two bits are those of the access. `ino: 1234` is the file's number, which Linux tells since
/// 5.14: without it, it may be any file.
fn is_for_writing(fdinfo: &str, concerns: &dyn Fn(i128) -> bool) -> bool {
    let field = |name: &str| fdinfo.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let is_writable =
        field("flags:").is_none_or(|flags| u64::from_str_radix(flags, 8).is_ok_and(|flags| flags & 3 != 0));
    is_writable && field("ino:").is_none_or(|number| number.parse().is_ok_and(concerns))
}

/// `7f1c-7f1d rw-s 00000000 fe:00 1234   /path`, see proc_pid_maps(5).
fn is_written_mapping(line: &str, concerns: &dyn Fn(i128) -> bool) -> bool {
    let mut words = line.split(' ');
    // Also one that is only read: it can be made writable.
    let is_shared = words.nth(1).is_some_and(|access| access.ends_with('s'));
    is_shared && words.nth(2).is_some_and(|number| number.parse().is_ok_and(concerns))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pipe of this process whose number is that of a file, as far as the question goes.
    #[test]
    fn pipes_write_to_no_file() {
        use std::os::fd::AsRawFd;
        use std::os::unix::fs::MetadataExt;
        let (_reader, writer) = std::io::pipe().unwrap();
        let path = std::env::temp_dir().join(format!("rondel-writers-{}", std::process::id()));
        let file = fs::File::create(&path).unwrap();
        let number = |descriptor: i32| fs::metadata(format!("/proc/self/fd/{descriptor}")).unwrap().ino();
        let is_written = |number: u64| has_writers(&|other| other == i128::from(number));
        // A process that is just ending shows nothing, and counts as a writer: such moments pass.
        let is_free = |number: u64| {
            (0..200).any(|_| {
                let is_free = !is_written(number);
                std::thread::sleep(std::time::Duration::from_millis(if is_free { 0 } else { 20 }));
                is_free
            })
        };
        assert!(is_free(number(writer.as_raw_fd())));
        assert!(is_written(number(file.as_raw_fd())));
        fs::remove_file(path).unwrap();
    }

    #[test]
    fn what_can_write() {
        let concerns = |number: i128| number == 1234;
        for (text, expected) in [
            ("pos:\t0\nflags:\t0100002\nmnt_id:\t27\nino:\t1234\n", true),
            ("flags:\t0100002\nino:\t12345\n", false),
            ("flags:\t0100000\nino:\t1234\n", false),
            ("flags:\t02100001\n", true),
            ("", true),
        ] {
            assert_eq!(is_for_writing(text, &concerns), expected, "{text}");
        }
        for (line, expected) in [
            ("7f1c-7f1d rw-s 00000000 fe:00 1234                       /tree/a b", true),
            ("7f1c-7f1d r--s 00000000 fe:00 1234                       /tree/a", true),
            ("7f1c-7f1d r--p 00000000 fe:00 1234                       /tree/a", false),
            ("7f1c-7f1d rw-s 00000000 fe:00 12345                      /tree/a", false),
            ("7f1c-7f1d rw-p 00000000 00:00 0 ", false),
            ("", false),
        ] {
            assert_eq!(is_written_mapping(line, &concerns), expected, "{line}");
        }
    }
}
