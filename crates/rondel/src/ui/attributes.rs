//! What a line has turned on on a terminal (SGR): colours, bold, underlined, hidden.

/// The code that turns off what all other codes turn on.
const UNKNOWN: u8 = 0;

/// What is on, by the codes that turn it off.
#[derive(Debug, Default)]
pub(crate) struct Attributes {
    off_codes: Vec<u8>,
}

impl Attributes {
    /// Obeys the parameters of one sequence, such as `1;31`.
    pub fn apply(&mut self, parameters: &str) {
        let mut codes = parameters.split(';');
        while let Some(code) = codes.next() {
            let (code, detail) = code.split_once(':').unwrap_or((code, ""));
            let code = if code.is_empty() { 0 } else { code.parse().unwrap_or(u8::MAX) };
            match code {
                0 => self.off_codes.clear(),
                // `4:0`: not underlined.
                4 if detail == "0" => self.turn_off(24),
                10 | 22..=25 | 27..=29 | 39 | 49 | 50 | 54 | 55 | 59 | 65 | 75 => self.turn_off(code),
                other => self.off_codes.push(off_code(other)),
            }
            // What follows is of the colour: `5;n`, `2;r;g;b`.
            if matches!(code, 38 | 48 | 58) && detail.is_empty() {
                let count = match codes.next() {
                    Some("5") => 1,
                    Some("2") => 3,
                    _ => 0,
                };
                codes.by_ref().take(count).for_each(drop);
            }
        }
    }

    /// Returns true if anything is on.
    pub fn are_on(&self) -> bool {
        !self.off_codes.is_empty()
    }

    fn turn_off(&mut self, code: u8) {
        self.off_codes.retain(|other| *other != code);
    }
}

/// Returns the code that turns off what `code` turns on.
fn off_code(code: u8) -> u8 {
    match code {
        1 | 2 => 22,
        3 | 20 => 23,
        4 | 21 => 24,
        5 | 6 => 25,
        7 => 27,
        8 => 28,
        9 => 29,
        11..=19 => 10,
        26 => 50,
        30..=38 | 90..=97 => 39,
        40..=48 | 100..=107 => 49,
        51 | 52 => 54,
        53 => 55,
        58 => 59,
        60..=64 => 65,
        73 | 74 => 75,
        _ => UNKNOWN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_turned_off_is_not_on() {
        for (sequences, is_on) in [
            (&["1;31", "0"][..], false),
            (&["1;31", ""], false),
            (&["1;31", "39"], true),
            (&["1;31", "22;39"], false),
            (&["0;1"], true),
            (&["1;0"], false),
            (&["38;5;0"], true),
            (&["38;2;1;2;0", "39"], false),
            (&["38:2::1:2:0", "39"], false),
            (&["4:3", "4:0"], false),
            (&["300"], true),
        ] {
            let mut attributes = Attributes::default();
            sequences.iter().for_each(|sequence| attributes.apply(sequence));
            assert_eq!(attributes.are_on(), is_on, "{sequences:?}");
        }
    }
}
