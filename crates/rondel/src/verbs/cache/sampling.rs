//! Which stored results an audit takes, and in which order: by a number that is printed, so that another audit can take the
//! same ones. Knows no steps.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rondel_cas::{Digest, read_at_most};

use crate::cli::option::OptionValue;
use crate::exit::Failure;

/// A share of results, in millionths: the value of `--rate`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rate(u64);

/// All results.
const ALL: u64 = 1_000_000;

impl Default for Rate {
    fn default() -> Rate {
        Rate(ALL)
    }
}

impl OptionValue for Rate {
    fn accept(&mut self, option: &str, value: &str) -> Result<(), Failure> {
        let number = value.strip_suffix('%').map(str::trim);
        let share = number.and_then(millionths).filter(|share| (1..=ALL).contains(share));
        let wrong = || Failure::usage(format!("{option} takes a share, not `{}`", value.escape_debug()));
        self.0 = share.ok_or_else(|| wrong().hint(format!("for example `{option} 1%`, above 0% and at most 100%")))?;
        Ok(())
    }
}

/// Returns `0.25` per cent as 2500 millionths.
fn millionths(percent: &str) -> Option<u64> {
    let (whole, rest) = percent.split_once('.').unwrap_or((percent, "0"));
    let are_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !are_digits(whole) || !are_digits(rest) || rest.len() > 4 {
        return None;
    }
    whole.parse::<u64>().ok()?.checked_mul(10_000)?.checked_add(format!("{rest:0<4}").parse().ok()?)
}

impl Rate {
    /// Returns the number of results to take of `all`: at least one, if there is one.
    fn of(self, all: usize) -> usize {
        usize::try_from((all as u64).saturating_mul(self.0).div_ceil(ALL)).unwrap_or(all)
    }

    /// Returns `1%`; `None` for all.
    pub fn words(self) -> Option<String> {
        let rest = format!(".{:04}", self.0 % 10_000);
        (self.0 < ALL).then(|| format!("{}{}%", self.0 / 10_000, rest.trim_end_matches('0').trim_end_matches('.')))
    }
}

/// A time: the value of `--time`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TimeLimit(pub Duration);

impl OptionValue for TimeLimit {
    fn accept(&mut self, option: &str, value: &str) -> Result<(), Failure> {
        let digits = value.find(|character: char| !character.is_ascii_digit()).unwrap_or(value.len());
        let (number, unit) = value.split_at(digits);
        let unit = match unit {
            "" | "s" => Some(1),
            "m" | "min" => Some(60),
            "h" => Some(3600),
            _ => None,
        };
        let seconds = unit.and_then(|unit| number.parse::<u64>().ok()?.checked_mul(unit)).filter(|all| *all > 0);
        let wrong = || Failure::usage(format!("{option} takes a time, not `{}`", value.escape_debug()));
        let seconds = seconds.ok_or_else(|| wrong().hint(format!("for example `{option} 60s` or `{option} 5m`")))?;
        self.0 = Duration::from_secs(seconds.min(365 * 86_400));
        Ok(())
    }
}

/// The number that decides the choice: the value of `--seed`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seed(pub u64);

impl Seed {
    /// Returns a number that another run does not have.
    pub fn random() -> Seed {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
        let mixed = Digest::of(format!("{now} {}", std::process::id()).as_bytes());
        Seed(u64::from_str_radix(&mixed.hex()[..8], 16).unwrap_or(0))
    }
}

impl OptionValue for Seed {
    fn accept(&mut self, option: &str, value: &str) -> Result<(), Failure> {
        let wrong = || Failure::usage(format!("{option} takes a number, not `{}`", value.escape_debug()));
        self.0 = value.parse().map_err(|_| wrong())?;
        Ok(())
    }
}

/// Keys of results that are left out: the value of `--except`, which is a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Except(BTreeSet<String>);

/// Number of bytes of the largest file of keys: a million of them.
const KEYS_MAX: u64 = 72_000_000;

impl Except {
    pub fn contains(&self, key: &Digest) -> bool {
        self.0.contains(&key.oci())
    }
}

impl OptionValue for Except {
    fn accept(&mut self, option: &str, value: &str) -> Result<(), Failure> {
        let unreadable = |why: String| Failure::usage(format!("{option}: `{}` {why}", value.escape_debug()));
        let bytes = read_at_most(Path::new(value), KEYS_MAX);
        let bytes = bytes.map_err(|error| unreadable(format!("can't be read: {error}")))?;
        let text = String::from_utf8(bytes).map_err(|_| unreadable("is no text".to_owned()))?;
        for (index, line) in text.lines().enumerate() {
            let hex = line.strip_prefix("sha256:").filter(|hex| hex.len() == 64);
            if !hex.is_some_and(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit())) {
                let wrong = unreadable(format!("has no key in line {}", index + 1));
                return Err(wrong.hint("a line is a key as `cache audit --events json` has it: `sha256:…`"));
            }
            self.0.insert(line.to_owned());
        }
        Ok(())
    }
}

/// Returns the chosen ones of `all`, which have these keys, in the order of the audit.
pub(crate) fn choose<T: Clone>(all: &[(T, Digest)], rate: Rate, seed: Seed) -> Vec<T> {
    let rank = |key: &Digest| Digest::of(format!("{} {}", seed.0, key.hex()).as_bytes()).hex();
    let mut ranked: Vec<(String, &T)> = all.iter().map(|(one, key)| (rank(key), one)).collect();
    ranked.sort_by(|one, other| one.0.cmp(&other.0));
    ranked.into_iter().take(rate.of(all.len())).map(|(_, one)| one.clone()).collect()
}

#[cfg(test)]
mod tests {
    use rondel_cas::TemporaryDirectory;

    use super::*;

    fn rate(text: &str) -> Option<Rate> {
        let mut rate = Rate::default();
        rate.accept("--rate", text).ok().map(|()| rate)
    }

    #[test]
    fn rates() {
        for (text, millionths, words) in [
            ("1%", 10_000, Some("1%")),
            ("0.5%", 5_000, Some("0.5%")),
            ("12.25 %", 122_500, Some("12.25%")),
            ("0.0001%", 1, Some("0.0001%")),
            ("100%", ALL, None),
        ] {
            assert_eq!(rate(text), Some(Rate(millionths)), "{text}");
            assert_eq!(Rate(millionths).words().as_deref(), words);
        }
        for text in ["", "%", "1", "0%", "101%", "-1%", "1e1%", ".5%", "0.00001%", "a%"] {
            assert_eq!(rate(text), None, "{text}");
        }
    }

    #[test]
    fn times() {
        let time = |text: &str| {
            let mut time = TimeLimit::default();
            time.accept("--time", text).ok().map(|()| time.0.as_secs())
        };
        for (text, seconds) in [("60s", 60), ("90", 90), ("5m", 300), ("2h", 7200)] {
            assert_eq!(time(text), Some(seconds), "{text}");
        }
        for text in ["", "s", "0s", "5 parsec", "-1s", "99999999999999999999s"] {
            assert_eq!(time(text), None, "{text}");
        }
    }

    #[test]
    fn keys_that_are_left_out() {
        let directory = TemporaryDirectory::new_in(&std::env::temp_dir()).unwrap();
        let file = directory.path().join("keys");
        let read = |text: &str| {
            std::fs::write(&file, text).unwrap();
            let mut except = Except::default();
            except.accept("--except", &file.display().to_string()).map(|()| except)
        };
        let (one, other) = (Digest::of(b"one"), Digest::of(b"other"));
        let except = read(&format!("{}\n", one.oci())).ok().unwrap();
        assert!(except.contains(&one) && !except.contains(&other));
        assert_eq!(read("").ok(), Some(Except::default()));
        for text in ["sha256:12\n", &one.hex(), &format!("{}\n\n", one.oci()), &format!("sha256:{}", "g".repeat(64))] {
            assert!(read(text).is_err(), "{text}");
        }
        assert!(Except::default().accept("--except", "/nonexistent/keys").is_err());
    }

    #[test]
    fn a_seed_decides() {
        let all: Vec<(usize, Digest)> =
            (0..200).map(|number: usize| (number, Digest::of(&number.to_le_bytes()))).collect();
        let few = choose(&all, Rate(50_000), Seed(7));
        assert_eq!(few.len(), 10);
        assert_eq!(few, choose(&all, Rate(50_000), Seed(7)));
        assert_ne!(few, choose(&all, Rate(50_000), Seed(8)));
        // The order of what is found does not matter, and a larger share begins with the smaller one.
        let reversed: Vec<_> = all.iter().rev().copied().collect();
        assert_eq!(few, choose(&reversed, Rate(50_000), Seed(7)));
        assert_eq!(few, choose(&all, Rate::default(), Seed(7))[..10]);
        assert_eq!(choose(&all, Rate::default(), Seed(7)).len(), 200);
        // At least one, if there is one.
        assert_eq!(choose(&all[..3], Rate(1), Seed(7)).len(), 1);
        assert!(choose(&all[..0], Rate(1), Seed(7)).is_empty());
        assert_ne!(Seed::random(), Seed::random());
    }
}
