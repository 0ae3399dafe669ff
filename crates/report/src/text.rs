//! Texts: cut to a length, without what a screen would act on, and numbers for people.

/// Cuts `text` to `max` characters, with a sign that something is gone.
pub(crate) fn cut(text: &mut String, max: usize) {
    if text.len() <= max {
        return;
    }
    if let Some((end, _)) = text.char_indices().nth(max) {
        text.truncate(end);
        text.push('…');
    }
}

/// Keeps at most `max` bytes of the last lines, and returns the number of lines that go.
pub(crate) fn tail(text: &mut String, max: usize) -> u64 {
    if text.len() <= max {
        return 0;
    }
    let mut start = text.len() - max;
    while !text.is_char_boundary(start) {
        start += 1;
    }
    // A line that is longer than all is dropped whole: it is the last one, or what follows it is kept.
    let start = text[start..].find('\n').map_or(text.len(), |newline| start + newline + 1);
    let gone = text[..start].lines().count() as u64;
    text.drain(..start);
    gone
}

/// Returns `text` without control characters, colours and marks that turn the direction of a text. Newlines and
/// tabulators stay.
pub(crate) fn plain(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\u{1b}' if characters.peek() == Some(&'[') => {
                characters.next();
                while characters.next_if(|next| !('\u{40}'..='\u{7e}').contains(next)).is_some() {}
                characters.next();
            }
            '\n' | '\t' => result.push(character),
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' => {}
            other if other.is_control() => {}
            other => result.push(other),
        }
    }
    result
}

/// `0.4 ms`, `12 ms`, `1.23 s`, `2 min 03 s`, `1 h 02 min`
pub(crate) fn duration(us: u64) -> String {
    let ms = us as f64 / 1000.0;
    let seconds = us / 1_000_000;
    match us {
        0 => "0 ms".to_owned(),
        1..=9_949 => format!("{ms:.1} ms"),
        9_950..=999_499 => format!("{ms:.0} ms"),
        999_500..=59_994_999 => format!("{:.2} s", ms / 1000.0),
        59_995_000..=3_599_999_999 => format!("{} min {:02} s", seconds.max(60) / 60, seconds.max(60) % 60),
        _ => format!("{} h {:02} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// `1.2 MiB`
pub(crate) fn bytes(count: u64) -> String {
    let mut value = count as f64;
    let mut unit = "B";
    for next in ["KiB", "MiB", "GiB", "TiB"] {
        if value < 1024.0 {
            break;
        }
        value /= 1024.0;
        unit = next;
    }
    if unit == "B" { format!("{count} B") } else { format!("{value:.1} {unit}") }
}

/// Returns a time as ISO 8601 has it, in UTC, from milliseconds since 1970.
pub(crate) fn utc(ms: u64) -> String {
    // Nothing of this program is from after the year 9999.
    let seconds = (ms / 1000).min(253_402_300_799);
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Years that begin in March, so that the leap day is the last of a year; 400 years are 146,097 days.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", rest / 3600, rest % 3600 / 60, rest % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cut_and_tail_count_characters_and_lines() {
        let mut text = "ääää".to_owned();
        cut(&mut text, 3);
        assert_eq!(text, "äää…");
        cut(&mut text, 4);
        assert_eq!(text, "äää…");
        let mut log = "one\ntwo\nthräe\n".to_owned();
        assert_eq!((tail(&mut log, 100), log.as_str()), (0, "one\ntwo\nthräe\n"));
        assert_eq!((tail(&mut log, 12), log.as_str()), (1, "two\nthräe\n"));
        assert_eq!((tail(&mut log, 3), log.as_str()), (2, ""));
    }

    #[test]
    fn nothing_moves_a_cursor_or_turns_a_text() {
        assert_eq!(plain("a\x1b[31mb\x1b[0m\tc\nd\u{7}\u{202e}e\x1b[2J\x1b]0;t\x07"), "ab\tc\nde]0;t");
        assert_eq!(plain("\x1b["), "");
    }

    #[test]
    fn numbers_for_people() {
        let texts = [0, 400, 9_949, 12_300, 999_499, 999_500, 59_994_999, 59_995_000, 123_000_000, 3_720_000_000];
        let wanted = [
            "0 ms",
            "0.4 ms",
            "9.9 ms",
            "12 ms",
            "999 ms",
            "1.00 s",
            "59.99 s",
            "1 min 00 s",
            "2 min 03 s",
            "1 h 02 min",
        ];
        assert_eq!(texts.map(duration), wanted);
        assert_eq!([0, 1023, 1024, 4_823_449].map(bytes), ["0 B", "1023 B", "1.0 KiB", "4.6 MiB"]);
        assert_eq!(utc(0), "1970-01-01T00:00:00Z");
        assert_eq!(utc(951_782_399_000), "2000-02-28T23:59:59Z");
        assert_eq!(utc(951_782_400_000), "2000-02-29T00:00:00Z");
        assert_eq!(utc(1_796_022_188_123), "2026-11-30T07:03:08Z");
        assert_eq!(utc(u64::MAX), "9999-12-31T23:59:59Z");
    }
}
