//! The log of a service: its lines, without secrets, in a file that does not grow for ever.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use rondel_cas::open_regular;

use crate::place::{Place, is_same};

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

/// A reader of a log, also of those that follow it once it is put aside.
pub struct LogReader {
    place: Place,
    /// Held open: so its number is not given to another one, and what was added before it was put aside can be read after.
    file: Option<File>,
    /// What was read of a line whose end was not written yet.
    rest: Vec<u8>,
}

impl LogReader {
    /// Returns a reader that begins with the present log.
    pub fn new(place: &Place) -> LogReader {
        LogReader { place: place.clone(), file: None, rest: Vec::new() }
    }

    /// Calls `see` with each line that was added since the last call.
    pub fn read(&mut self, see: &mut dyn FnMut(&str)) -> io::Result<()> {
        loop {
            let Some(mut file) = self.open()? else { return Ok(()) };
            // Asked first: nothing is added to a log once it is put aside.
            let is_present = match fs::symlink_metadata(self.place.log()) {
                Ok(present) => is_same(&file.metadata()?, &present),
                Err(error) if error.kind() == io::ErrorKind::NotFound => true,
                Err(error) => return Err(error),
            };
            (&mut file).take(2 * LOG_MAX).read_to_end(&mut self.rest)?;
            let whole = self.rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
            String::from_utf8_lossy(&self.rest[..whole]).lines().for_each(&mut *see);
            self.rest.drain(..whole);
            if is_present {
                self.file = Some(file);
                return Ok(());
            }
            self.end(see);
        }
    }

    /// Calls `see` with each line that is added, until `goes_on` says no.
    pub fn follow(&mut self, goes_on: &dyn Fn() -> bool, see: &mut dyn FnMut(&str)) -> io::Result<()> {
        loop {
            // Asked first: what is written before the end is read after it.
            let is_last = !goes_on();
            self.read(see)?;
            if is_last {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn open(&mut self) -> io::Result<Option<File>> {
        match self.file.take() {
            Some(file) => Ok(Some(file)),
            None => match open_regular(&self.place.log()) {
                Ok((file, _)) => Ok(Some(file)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(error),
            },
        }
    }

    /// Takes what is left as a line: its writer was killed.
    fn end(&mut self, see: &mut dyn FnMut(&str)) {
        if !self.rest.is_empty() {
            see(&String::from_utf8_lossy(&self.rest));
            self.rest.clear();
        }
    }
}

/// Returns the last lines of the log, at most `count`, and the reader of what is added after them; all if there is no count. Those
/// of the log that was put aside come first, if there are too few.
pub fn last_lines(place: &Place, count: Option<usize>) -> io::Result<(Vec<String>, LogReader)> {
    let mut lines = Vec::new();
    let mut reader = LogReader::new(place);
    reader.read(&mut |line| lines.push(line.to_owned()))?;
    reader.end(&mut |line| lines.push(line.to_owned()));
    if count.is_none_or(|count| lines.len() < count) && is_long(&place.former_log()) {
        let mut bytes = Vec::new();
        open_regular(&place.former_log())?.0.take(2 * LOG_MAX).read_to_end(&mut bytes)?;
        let former = String::from_utf8_lossy(&bytes).lines().map(str::to_owned).collect();
        lines = [former, lines].concat();
    }
    let excess = count.map_or(0, |count| lines.len().saturating_sub(count));
    Ok((lines.split_off(excess), reader))
}

/// Returns true if the log was put aside since it had become too long. One of an earlier start is not of this one.
fn is_long(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|metadata| metadata.len() >= LOG_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// No limit gives no less than any limit.
    #[test]
    fn all_lines_are_those_of_both_logs() {
        let state = std::env::temp_dir().join(format!("rondel-long-log-{}", std::process::id()));
        let place = Place::new(&state, "a");
        let log = Log::begin(&place).unwrap();
        let long = "x".repeat(usize::try_from(LOG_MAX / 2).unwrap());
        for text in ["1", &long, &long, "4"] {
            log.line(text);
        }
        for count in [None, Some(1000)] {
            let (lines, _) = last_lines(&place, count).unwrap();
            assert_eq!((lines.len(), lines[0].as_str(), lines[3].as_str()), (4, "1", "4"), "{count:?}");
        }
        assert_eq!(last_lines(&place, Some(1)).unwrap().0, ["4"]);
        fs::remove_dir_all(state).unwrap();
    }

    /// Nothing is lost and nothing comes twice, however often a log is put aside, and however long the next one is.
    #[test]
    fn a_reader_goes_on_with_the_next_log() {
        let state = std::env::temp_dir().join(format!("rondel-log-{}", std::process::id()));
        let place = Place::new(&state, "a");
        let mut seen = Vec::new();
        let mut reader = LogReader::new(&place);
        reader.read(&mut |_| panic!("there is no log")).unwrap();
        let mut read = |seen: &mut Vec<String>| reader.read(&mut |line| seen.push(line.to_owned())).unwrap();
        let first = Log::begin(&place).unwrap();
        first.line("1");
        read(&mut seen);
        first.line("2");
        // Longer than what was read of the one before.
        let second = Log::begin(&place).unwrap();
        second.line("the third line");
        read(&mut seen);
        read(&mut seen);
        second.line("4");
        second.open.lock().unwrap().0.write_all(b"killed in the mid").unwrap();
        read(&mut seen);
        assert_eq!(seen, ["1", "2", "the third line", "4"]);
        drop(Log::begin(&place).unwrap());
        read(&mut seen);
        assert_eq!(seen[4..], ["killed in the mid"]);
        let (last, mut reader) = last_lines(&place, Some(1)).unwrap();
        assert!(last.is_empty());
        Log::begin(&place).unwrap().line("6");
        reader.follow(&|| false, &mut |line| seen.push(line.to_owned())).unwrap();
        assert_eq!(seen[5..], ["6"]);
        fs::remove_dir_all(state).unwrap();
    }
}
