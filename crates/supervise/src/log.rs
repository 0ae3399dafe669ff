//! The log of a service: its lines, without secrets, in a file that does not grow for ever.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use rondel_cas::open_regular;

use crate::place::Place;

/// Size of a log in bytes from which on it is put aside. The one before it is then forgotten.
pub const LOG_MAX: u64 = 8 * 1024 * 1024;

/// A log that is written.
pub(crate) struct Log {
    place: Place,
    open: Mutex<(File, u64)>,
}

impl Log {
    /// Begins a log, and puts the former one aside.
    pub fn begin(place: &Place) -> io::Result<Log> {
        fs::create_dir_all(place.directory())?;
        Ok(Log { place: place.clone(), open: Mutex::new((Log::fresh(place)?, 0)) })
    }

    fn fresh(place: &Place) -> io::Result<File> {
        match fs::rename(place.log(), place.former_log()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut options = OpenOptions::new();
        options.append(true).create_new(true);
        // What a program prints is for its user.
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(place.log())
    }

    /// Adds a line. A disk that is full loses lines, never the service.
    pub fn line(&self, text: &str) {
        let mut open = self.open.lock().expect("no panic while locked");
        if open.1 >= LOG_MAX
            && let Ok(file) = Log::fresh(&self.place)
        {
            *open = (file, 0);
        }
        let line = format!("{text}\n");
        if open.0.write_all(line.as_bytes()).is_ok() {
            open.1 += line.len() as u64;
        }
    }
}

/// Returns the last lines of the log, at most `count`; all if there is no count. Those of the log that was put aside come first,
/// if there are too few.
pub fn last_lines(place: &Place, count: Option<usize>) -> io::Result<Vec<String>> {
    let mut lines = lines_of(&place.log())?;
    if count.is_some_and(|count| lines.len() < count) && is_long(&place.former_log()) {
        let former = lines_of(&place.former_log())?;
        lines = [former, lines].concat();
    }
    let excess = count.map_or(0, |count| lines.len().saturating_sub(count));
    Ok(lines.split_off(excess))
}

/// Returns true if the log was put aside since it had become too long. One of an earlier start is not of this one.
fn is_long(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|metadata| metadata.len() >= LOG_MAX)
}

fn lines_of(path: &Path) -> io::Result<Vec<String>> {
    let mut bytes = Vec::new();
    match open_regular(path) {
        Ok((file, _)) => file.take(2 * LOG_MAX).read_to_end(&mut bytes)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    Ok(String::from_utf8_lossy(&bytes).lines().map(str::to_owned).collect())
}

/// Calls `see` with each line that is added to the log, from its present end on, until `goes_on` says no.
pub fn follow(place: &Place, goes_on: &dyn Fn() -> bool, see: &mut dyn FnMut(&str)) -> io::Result<()> {
    let mut at = fs::symlink_metadata(place.log()).map_or(0, |metadata| metadata.len());
    let mut rest = Vec::new();
    loop {
        // Asked first: what is written before the end is read after it.
        let is_last = !goes_on();
        let length = fs::symlink_metadata(place.log()).map_or(0, |metadata| metadata.len());
        // A shorter one is another file.
        at = if length < at { 0 } else { at };
        if length > at {
            let (mut file, _) = open_regular(&place.log())?;
            file.seek(SeekFrom::Start(at))?;
            at += file.take(LOG_MAX).read_to_end(&mut rest)? as u64;
            while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                see(&String::from_utf8_lossy(&rest[..end]));
                rest.drain(..=end);
            }
        }
        if is_last {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}
