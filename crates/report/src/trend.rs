//! `Trend`: the recorded runs beside each other.

use serde::Serialize;

use crate::run::{End, Run};
use crate::text::{duration, plain, utc};

/// One run among the others.
#[derive(Debug, Serialize)]
pub(crate) struct TrendRun {
    pub started: String,
    pub words: String,
    pub duration: String,
    pub outcome: String,
    pub has_failed: bool,
    /// The same was asked for as of the last run.
    pub is_same: bool,
    pub ran: usize,
    pub up_to_date: usize,
    pub failed: usize,
    /// Height of the bar of its duration, in percent of the longest.
    pub height: f64,
    /// Share of the steps that ran, in percent.
    pub ran_share: f64,
}

/// Returns the runs, the last one at the end.
pub(crate) fn trend(runs: &[Run]) -> Vec<TrendRun> {
    let longest = runs.iter().map(|run| run.duration_ms).max().unwrap_or(0).max(1) as f64;
    let last = runs.last();
    let one = |run: &Run| {
        let ran = run.count(|end| end == End::Ran);
        let up_to_date = run.count(End::has_used_a_result);
        let failed = run.count(|end| end == End::Failed);
        TrendRun {
            started: utc(run.started_ms),
            words: plain(&run.words.join(" ")),
            duration: duration(run.duration_ms.saturating_mul(1000)),
            outcome: outcome(run.exit),
            has_failed: run.exit != 0,
            is_same: last.is_some_and(|last| last.words == run.words),
            ran,
            up_to_date,
            failed,
            height: rounded(run.duration_ms as f64 / longest * 100.0),
            ran_share: rounded(ran as f64 / (ran + up_to_date + failed).max(1) as f64 * 100.0),
        }
    };
    runs.iter().map(one).collect()
}

/// Returns the middle of the durations of earlier good runs that the same was asked of as of the last one, in milliseconds,
/// and their number.
pub(crate) fn median_of_same(runs: &[Run]) -> Option<(u64, usize)> {
    let (last, earlier) = runs.split_last()?;
    let same = earlier.iter().filter(|run| run.words == last.words && run.exit == 0);
    let mut durations: Vec<u64> = same.map(|run| run.duration_ms).collect();
    durations.sort_unstable();
    Some((*durations.get(durations.len() / 2)?, durations.len()))
}

/// Returns an exit code in words.
pub(crate) fn outcome(exit: u8) -> String {
    match exit {
        0 => "succeeded".to_owned(),
        4 => "not reproducible".to_owned(),
        130 => "interrupted".to_owned(),
        other => format!("failed ({other})"),
    }
}

fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::Step;

    #[test]
    fn runs_beside_each_other() {
        let run = |word: &str, duration_ms, exit, ends: &[End]| Run {
            words: vec![word.to_owned()],
            duration_ms,
            exit,
            steps: ends.iter().map(|end| Step { end: *end, ..Step::default() }).collect(),
            ..Run::default()
        };
        let runs = [
            run("image", 4000, 0, &[End::Ran, End::Ran]),
            run("test", 100, 1, &[End::Failed, End::Skipped]),
            run("image", 1000, 0, &[End::Ran, End::UpToDate, End::Restored, End::UpToDate]),
        ];
        let rows: Vec<String> = trend(&runs)
            .iter()
            .map(|run| {
                format!(
                    "{} {} {} same {} ran {} known {} failed {} {}% {}%",
                    run.words,
                    run.duration,
                    run.outcome,
                    run.is_same,
                    run.ran,
                    run.up_to_date,
                    run.failed,
                    run.height,
                    run.ran_share
                )
            })
            .collect();
        let wanted = [
            "image 4.00 s succeeded same true ran 2 known 0 failed 0 100% 100%",
            "test 100 ms failed (1) same false ran 0 known 0 failed 1 2.5% 0%",
            "image 1.00 s succeeded same true ran 1 known 3 failed 0 25% 25%",
        ];
        assert_eq!(rows, wanted);
        assert_eq!(median_of_same(&runs), Some((4000, 1)));
        assert_eq!(median_of_same(&runs[..1]), None);
        assert_eq!(median_of_same(&[]), None);
    }
}
