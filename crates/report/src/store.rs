//! The records of runs: `.rondel/runs.1/<start>-<process>`, each one JSON object. Losing them costs history, nothing else.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rondel_cas::{read_at_most, write_atomically};

use crate::run::Run;

/// Directory of the records, below `.rondel`.
pub const RECORDS: &str = "runs.1";
/// Maximum number of records that are kept.
const KEPT_MAX: usize = 50;
/// Maximum number of bytes that are read of one: more than the limits of a `Run` allow.
const RECORD_MAX: u64 = 16 << 20;

/// The recorded runs, the first one first.
#[derive(Debug, Default)]
pub struct Records {
    /// Those that can be read.
    pub runs: Vec<Run>,
    /// Records that can't be read, each with why.
    pub broken: Vec<(PathBuf, String)>,
}

/// Writes the record of a run, and removes the oldest ones. `state` is `.rondel`.
pub fn write_run(state: &Path, mut run: Run) -> io::Result<()> {
    run.assign_slots();
    run.limit();
    let directory = state.join(RECORDS);
    fs::create_dir_all(&directory)?;
    // By name is by time.
    let name = format!("{:014}-{}", run.started_ms, std::process::id());
    let bytes = serde_json::to_vec(&run).map_err(io::Error::other)?;
    write_atomically(&state.join("tmp"), &directory.join(name), &bytes)?;
    let names = names(&directory);
    for name in &names[..names.len().saturating_sub(KEPT_MAX)] {
        // Another process may have removed it.
        let _ = fs::remove_file(directory.join(name));
    }
    Ok(())
}

/// Reads all records. `state` is `.rondel`.
pub fn read_runs(state: &Path) -> Records {
    let directory = state.join(RECORDS);
    let mut records = Records::default();
    for name in names(&directory) {
        let path = directory.join(name);
        let read = read_at_most(&path, RECORD_MAX).and_then(|bytes| Ok(serde_json::from_slice::<Run>(&bytes)?));
        match read {
            Ok(mut run) => {
                run.mend();
                records.runs.push(run);
            }
            // Another run has just removed it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => records.broken.push((path, error.to_string())),
        }
    }
    records
}

/// Returns the names of the records, sorted.
fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort_unstable();
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::{End, Step};

    fn state(name: &str) -> PathBuf {
        let state = std::env::temp_dir().join(format!("rondel-runs-{name}-{}", std::process::id()));
        fs::create_dir_all(&state).unwrap();
        state
    }

    fn run(started_ms: u64) -> Run {
        let step = Step { title: "server".to_owned(), end: End::Ran, duration_us: 5, ..Step::default() };
        Run { project: "council".to_owned(), started_ms, steps: vec![step], ..Run::default() }
    }

    #[test]
    fn the_last_fifty_are_kept_in_their_order() {
        let state = state("kept");
        assert!(read_runs(&state).runs.is_empty());
        // The clock has more digits one day.
        for index in (0..55).rev() {
            write_run(&state, run(999_999_999_970 + index)).unwrap();
        }
        let found: Vec<u64> = read_runs(&state).runs.iter().map(|run| run.started_ms).collect();
        let wanted: Vec<u64> = (5..55).map(|index| 999_999_999_970 + index).collect();
        assert_eq!(found, wanted);
        assert_eq!(read_runs(&state).runs[0], run(999_999_999_975));
        fs::remove_dir_all(state).unwrap();
    }

    #[test]
    fn a_broken_record_is_named_and_the_others_are_read() {
        let state = state("broken");
        write_run(&state, run(5)).unwrap();
        let directory = state.join(RECORDS);
        fs::write(directory.join("1-torn"), b"{\"project\":").unwrap();
        fs::write(directory.join("2-other"), b"[1,2]").unwrap();
        fs::create_dir(directory.join("3-directory")).unwrap();
        let mut forward = run(6);
        forward.steps[0].inputs = vec![0, u32::MAX];
        fs::write(directory.join("4-forward"), serde_json::to_vec(&forward).unwrap()).unwrap();
        let found = read_runs(&state);
        assert_eq!(found.runs, [run(5), run(6)]);
        let names: Vec<_> = found.broken.iter().map(|(path, _)| path.file_name().unwrap().to_owned()).collect();
        assert_eq!(names, ["1-torn", "2-other", "3-directory"]);
        fs::remove_dir_all(state).unwrap();
    }
}
