//! A file system whose clock a test sets: an ext4 image in user space, served by a process with a false clock.
//!
//! Its times have whole seconds, so that a clock that is put back gives the same time twice. Needs root, fuse2fs,
//! mkfs.ext4 and libfaketime.

#![allow(clippy::disallowed_methods, reason = "a test starts the programs that it needs")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// First moment of the clock, in seconds since 1970: a day in 2026.
const BEGIN_S: i64 = 1_780_000_000;

pub struct SettableClock {
    directory: PathBuf,
    now_s: i64,
}

impl SettableClock {
    /// Mounts it; returns `None` if a part is missing.
    pub fn mount() -> Option<SettableClock> {
        let libraries = ["x86_64-linux-gnu", "aarch64-linux-gnu"];
        let mut libraries = libraries.map(|name| format!("/usr/lib/{name}/faketime/libfaketimeMT.so.1")).into_iter();
        let library = libraries.find(|path| Path::new(path).exists())?;
        let directory = std::env::temp_dir().join(format!("rondel-clock-{}", std::process::id()));
        fs::create_dir_all(directory.join("mounted")).ok()?;
        let mut clock = SettableClock { directory, now_s: BEGIN_S };
        clock.advance(0);
        let (image, mounted) = (clock.directory.join("image"), clock.place());
        fs::File::create(&image).and_then(|file| file.set_len(256 << 20)).ok()?;
        let mut make = Command::new("mkfs.ext4");
        make.arg("-q").arg(&image);
        let mut serve = Command::new("fuse2fs");
        serve.arg(&image).arg(&mounted).args(["-o", "rw,fakeroot"]);
        serve.env("LD_PRELOAD", library).env("FAKETIME_TIMESTAMP_FILE", clock.directory.join("clock"));
        serve.envs([("FAKETIME_NO_CACHE", "1"), ("DONT_FAKE_MONOTONIC", "1"), ("FAKETIME_FMT", "%s")]);
        for command in [&mut make, &mut serve] {
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            if !command.status().is_ok_and(|status| status.success()) {
                return None;
            }
        }
        // It is mounted when it gives its own time.
        let probe = mounted.join("probe");
        for _ in 0..200 {
            let modified = fs::write(&probe, "").and_then(|()| fs::metadata(&probe)?.modified());
            let since = modified.ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
            if since.as_secs() as i64 == BEGIN_S {
                return Some(clock);
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        None
    }

    /// A directory on it.
    pub fn place(&self) -> PathBuf {
        self.directory.join("mounted")
    }

    /// Returns its time, in seconds since 1970.
    pub fn now_s(&self) -> i64 {
        self.now_s
    }

    /// Moves the clock, which otherwise stands still, by so many seconds.
    pub fn advance(&mut self, seconds: i64) {
        self.now_s += seconds;
        fs::write(self.directory.join("clock.new"), format!("{}\n", self.now_s)).expect("the clock can be set");
        fs::rename(self.directory.join("clock.new"), self.directory.join("clock")).expect("the clock can be set");
    }
}

impl Drop for SettableClock {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.place()).stderr(Stdio::null()).status();
        let _ = fs::remove_dir_all(&self.directory);
    }
}
