//! Durations, as people read them.

use std::time::Duration;

/// `1.23 s` or `12 ms`
pub(crate) fn duration_text(duration: Duration) -> String {
    if duration.as_millis() < 1000 {
        format!("{} ms", duration.as_millis())
    } else {
        format!("{:.2} s", duration.as_secs_f64())
    }
}

/// `12 ms`, `1.2 s`, `38 s`, `4m12s`: for the last line, where hundredths say nothing.
pub(crate) fn rough_text(duration: Duration) -> String {
    match duration.as_millis() {
        0..1000 => format!("{} ms", duration.as_millis()),
        1000..9950 => format!("{:.1} s", duration.as_secs_f64()),
        9950..59_500 => format!("{:.0} s", duration.as_secs_f64()),
        _ => clock_text(Duration::from_secs(duration.as_secs_f64().round() as u64)),
    }
}

/// `12s`, `4m12s`, `1h02m`: for what counts up.
pub(crate) fn clock_text(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h{:02}m", seconds / 3600, seconds % 3600 / 60),
    }
}

/// ` (last 1m02)`; nothing if nobody knows.
pub(crate) fn last_text(last: Option<Duration>) -> String {
    let Some(last) = last else { return String::new() };
    let text = match last.as_millis() {
        0..1000 => format!("{}ms", last.as_millis()),
        _ => clock_text(last),
    };
    let text =
        if text.contains(['m', 'h']) && last.as_secs() >= 60 { text.trim_end_matches(['s', 'm']) } else { &text };
    format!(" (last {text})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_as_exact_as_they_are_read() {
        let of = |ms: u64| {
            let duration = Duration::from_millis(ms);
            [rough_text(duration), clock_text(duration), last_text(Some(duration)), duration_text(duration)].join(", ")
        };
        assert_eq!(of(12), "12 ms, 0s,  (last 12ms), 12 ms");
        assert_eq!(of(1234), "1.2 s, 1s,  (last 1s), 1.23 s");
        assert_eq!(of(37_520), "38 s, 37s,  (last 37s), 37.52 s");
        assert_eq!(of(59_900), "1m00s, 59s,  (last 59s), 59.90 s");
        assert_eq!(of(62_000), "1m02s, 1m02s,  (last 1m02), 62.00 s");
        assert_eq!(of(3_723_000), "1h02m, 1h02m,  (last 1h02), 3723.00 s");
        assert_eq!(last_text(None), "");
    }
}
