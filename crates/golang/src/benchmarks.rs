//! Benchmarks: what `go test -bench` prints of them, and whether two runs differ, judged as benchstat does: by medians, and
//! by a Mann-Whitney U test at 0.05. It knows nothing of commits and files.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The probability under which a difference is no accident.
const ALPHA: f64 = 0.05;
/// Number of values of both runs up to which the test is exact.
const EXACT_MAX: usize = 50;

/// Values by package, name and unit, in the order in which they were measured.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Measured {
    packages: BTreeMap<String, BTreeMap<String, BTreeMap<String, Vec<f64>>>>,
}

/// Reads the lines of a run one after the other.
#[derive(Debug, Default)]
pub(crate) struct BenchmarkReader {
    package: String,
    pub measured: Measured,
}

impl BenchmarkReader {
    /// Takes a line of standard output.
    pub fn see(&mut self, line: &str) {
        if let Some(package) = line.strip_prefix("pkg: ") {
            package.trim().clone_into(&mut self.package);
        }
        let mut words = line.split_whitespace();
        let Some(name) = words.next().and_then(|word| word.strip_prefix("Benchmark")) else { return };
        if words.next().is_none_or(|count| count.parse::<u64>().is_err()) {
            return;
        }
        while let (Some(value), Some(unit)) = (words.next().map(str::parse::<f64>), words.next()) {
            let Some(value) = value.ok().filter(|value| value.is_finite()) else { return };
            let of_package = self.measured.packages.entry(self.package.clone()).or_default();
            of_package.entry(name.to_owned()).or_default().entry(unit.to_owned()).or_default().push(value);
        }
    }
}

impl Measured {
    /// Returns true if nothing was measured.
    pub fn is_empty(&self) -> bool {
        self.packages.is_empty()
    }

    /// Compares this run with a former one: a line for each benchmark and unit that both have.
    pub fn compare(&self, former: &Measured) -> Vec<String> {
        let mut rows: Vec<[String; 4]> = Vec::new();
        let mut is_thin = false;
        for (package, benchmarks) in &self.packages {
            for (name, units) in benchmarks {
                let then = former.packages.get(package).and_then(|benchmarks| benchmarks.get(name));
                for (unit, now) in units {
                    let Some(then) = then.and_then(|units| units.get(unit)) else { continue };
                    is_thin |= least_p(then.len(), now.len()) > ALPHA;
                    let title = format!("{package} {name}");
                    let (old, new) = (median(then), median(now));
                    rows.push([
                        title,
                        format!("{} {unit}", short(old)),
                        format!("{} {unit}", short(new)),
                        verdict(then, now),
                    ]);
                }
            }
        }
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths = [width(0), width(1), width(2)];
        let mut lines: Vec<String> = rows
            .iter()
            .map(|[title, old, new, verdict]| {
                format!("{title:<0$}  {old:>1$} -> {new:>2$}  {verdict}", widths[0], widths[1], widths[2])
            })
            .collect();
        if is_thin {
            lines.push(
                "too few values to tell a difference from chance: 4 or more of each run are needed (`count: 10`)"
                    .to_owned(),
            );
        }
        lines
    }
}

/// Returns the change of the median, or `~` if the two samples may well be the same.
fn verdict(then: &[f64], now: &[f64]) -> String {
    let p = mann_whitney(then, now);
    let counts =
        if then.len() == now.len() { format!("n={}", now.len()) } else { format!("n={}+{}", then.len(), now.len()) };
    let (old, new) = (median(then), median(now));
    let change = if p >= ALPHA {
        "~".to_owned()
    } else if old == 0.0 {
        "?".to_owned()
    } else {
        format!("{:+.2}%", (new / old - 1.0) * 100.0)
    };
    format!("{change} (p={p:.3} {counts})")
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => 0.0,
        count if count % 2 == 1 => sorted[count / 2],
        count => (sorted[count / 2 - 1] + sorted[count / 2]) / 2.0,
    }
}

/// Returns the number with four digits that count.
fn short(value: f64) -> String {
    let digits = if value == 0.0 { 0 } else { (3 - value.abs().log10().floor() as i32).clamp(0, 9) as usize };
    format!("{value:.digits$}")
}

/// Returns the least probability that samples of these sizes can give.
fn least_p(one: usize, other: usize) -> f64 {
    let ways = (1..=one.min(other)).fold(1.0, |ways, index| ways * (one + other + 1 - index) as f64 / index as f64);
    (2.0 / ways).min(1.0)
}

/// Returns the probability, of two sides, that samples of one distribution differ as much as these. Values that are the same
/// share their ranks. Small samples are counted out; of large ones the distribution is close to the normal one.
fn mann_whitney(one: &[f64], other: &[f64]) -> f64 {
    let (count, all) = (one.len(), one.len() + other.len());
    if count == 0 || other.is_empty() {
        return 1.0;
    }
    let mut values: Vec<(f64, bool)> = one.iter().map(|value| (*value, true)).collect();
    values.extend(other.iter().map(|value| (*value, false)));
    values.sort_by(|(one, _), (other, _)| one.total_cmp(other));
    // Twice the mean rank of each value, which is a whole number; and the sum over ties of t³ - t.
    let mut ranks = Vec::with_capacity(all);
    let mut ties = 0.0;
    while ranks.len() < all {
        let begin = ranks.len();
        let equal = values[begin..].iter().take_while(|(value, _)| *value == values[begin].0).count();
        ranks.extend(std::iter::repeat_n(2 * begin + equal + 1, equal));
        ties += (equal as f64).powi(3) - equal as f64;
    }
    let sum: usize = std::iter::zip(&ranks, &values).filter(|(_, (_, is_one))| *is_one).map(|(rank, _)| rank).sum();
    if all > EXACT_MAX {
        return by_normal(sum as f64 / 2.0, count as f64, other.len() as f64, ties);
    }
    exact(&ranks, count, sum)
}

/// Counts the choices of `count` ranks whose sum is as far out as `sum`.
fn exact(ranks: &[usize], count: usize, sum: usize) -> f64 {
    let most: usize = ranks.iter().sum();
    // By number of ranks and their sum: how many choices there are.
    let mut ways = vec![vec![0.0_f64; most + 1]; count + 1];
    ways[0][0] = 1.0;
    for &rank in ranks {
        for taken in (1..=count).rev() {
            for total in (rank..=most).rev() {
                let more = ways[taken - 1][total - rank];
                ways[taken][total] += more;
            }
        }
    }
    let all: f64 = ways[count].iter().sum();
    let (below, above): (f64, f64) = (ways[count][..=sum].iter().sum(), ways[count][sum..].iter().sum());
    (2.0 * below.min(above) / all).min(1.0)
}

/// The normal distribution, with corrections for ties and for whole ranks.
fn by_normal(rank_sum: f64, one: f64, other: f64, ties: f64) -> f64 {
    let all = one + other;
    let u = rank_sum - one * (one + 1.0) / 2.0;
    let deviation = (one * other / 12.0 * (all + 1.0 - ties / (all * (all - 1.0)))).sqrt();
    if deviation == 0.0 {
        return 1.0;
    }
    let z = (((u - one * other / 2.0).abs() - 0.5) / deviation).max(0.0);
    erfc(z / std::f64::consts::SQRT_2).min(1.0)
}

/// The complementary error function, to seven digits (Abramowitz and Stegun, 7.1.26).
fn erfc(x: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.327_591_1 * x);
    let polynomial =
        ((((1.061_405_429 * t - 1.453_152_027) * t + 1.421_413_741) * t - 0.284_496_736) * t + 0.254_829_592) * t;
    polynomial * (-x * x).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(text: &str) -> Measured {
        let mut reader = BenchmarkReader::default();
        text.lines().for_each(|line| reader.see(line));
        reader.measured
    }

    fn run(name: &str, values: &[f64]) -> Measured {
        let lines = values.iter().map(|value| format!("Benchmark{name}-8 \t 100\t {value} ns/op\t 16 B/op\n"));
        measured(&format!("goos: linux\npkg: m/p\n{}PASS\nok  \tm/p\t1.0s\n", lines.collect::<String>()))
    }

    #[test]
    fn lines_of_go() {
        let text = "goos: linux\npkg: m/p\ncpu: x\nBenchmarkA/x-2 \t 10\t 111.1 ns/op\t 2.5 MB/s\nBenchmarkA/x-2 \t 10\t 79.10 ns/op\t 3.5 MB/s\nBenchmarkLog says no\nBenchmarkB\nPASS\npkg: m/q\nBenchmarkB   \t 10\t 1e3 ns/op\n";
        let found = measured(text);
        assert_eq!(found.packages["m/p"]["A/x-2"]["ns/op"], [111.1, 79.1]);
        assert_eq!(found.packages["m/p"]["A/x-2"]["MB/s"], [2.5, 3.5]);
        assert_eq!(found.packages["m/q"]["B"]["ns/op"], [1000.0]);
        assert_eq!(found.packages["m/p"].len(), 1);
        assert!(measured("PASS\n").is_empty());
    }

    #[test]
    fn differences_and_chance() {
        let former = run("A", &[100.0, 101.0, 102.0, 103.0, 104.0]);
        let faster = run("A", &[80.0, 81.0, 82.0, 83.0, 99.0]);
        assert_eq!(
            faster.compare(&former),
            [
                "m/p A-8  16.00 B/op -> 16.00 B/op  ~ (p=1.000 n=5)",
                "m/p A-8  102.0 ns/op -> 82.00 ns/op  -19.61% (p=0.008 n=5)"
            ]
            .map(|line| line.replace("16.00 B/op ->", " 16.00 B/op ->").replace("-> 16.00 B/op", "->  16.00 B/op"))
        );
        let other = run("A", &[99.0, 105.0, 102.5, 101.5, 103.5]);
        assert!(other.compare(&former)[1].contains("~ (p="), "{:?}", other.compare(&former));
        let thin = run("A", &[1.0, 2.0, 3.0]);
        let lines = thin.compare(&former);
        assert!(lines[1].ends_with("-98.04% (p=0.036 n=5+3)"), "{lines:?}");
        assert_eq!(run("A", &[1.0]).compare(&former).len(), 3, "a word about too few values");
        assert!(run("B", &[1.0]).compare(&former).is_empty());
    }

    /// All choices, one by one, as a second opinion.
    #[test]
    fn exact_as_counted_out() {
        let samples: [(&[f64], &[f64]); 5] = [
            (&[1.0, 2.0, 3.0], &[4.0, 5.0]),
            (&[1.0, 2.0, 2.0, 7.0], &[2.0, 3.0, 7.0]),
            (&[5.0, 5.0], &[5.0, 5.0, 5.0]),
            (&[9.0, 1.0, 4.0, 4.0, 6.0], &[2.0, 8.0, 4.0]),
            (&[1.0], &[2.0]),
        ];
        for (one, other) in samples {
            let values: Vec<f64> = one.iter().chain(other).copied().collect();
            // U: pairs in which the first is larger, a tie being half of one.
            let u = |mask: usize| -> f64 {
                let is_in = |index: usize| mask & (1 << index) != 0;
                let pairs = (0..values.len()).flat_map(|a| (0..values.len()).map(move |b| (a, b)));
                pairs
                    .filter(|(a, b)| is_in(*a) && !is_in(*b))
                    .map(|(a, b)| {
                        if values[a] > values[b] {
                            1.0
                        } else if values[a] == values[b] {
                            0.5
                        } else {
                            0.0
                        }
                    })
                    .sum()
            };
            let seen = u((1 << one.len()) - 1);
            let all: Vec<f64> =
                (0..1_usize << values.len()).filter(|mask| mask.count_ones() as usize == one.len()).map(u).collect();
            let share =
                |is_far: &dyn Fn(f64) -> bool| all.iter().filter(|u| is_far(**u)).count() as f64 / all.len() as f64;
            let expected = (2.0 * share(&|u| u <= seen).min(share(&|u| u >= seen))).min(1.0);
            assert!((mann_whitney(one, other) - expected).abs() < 1e-12, "{one:?} {other:?}");
        }
    }

    #[test]
    fn large_samples_are_close_to_the_normal_distribution() {
        let one: Vec<f64> = (0..25).map(f64::from).collect();
        for shift in [0.0, 2.5, 5.5, 10.5] {
            let other: Vec<f64> = one.iter().map(|value| value + shift).collect();
            let exact = mann_whitney(&one, &other);
            let more: Vec<f64> = other.iter().copied().chain([12.0 + shift]).collect();
            let close = mann_whitney(&one, &more);
            assert!((exact - close).abs() < 0.08, "{shift}: {exact} {close}");
        }
        assert_eq!(mann_whitney(&[1.0; 60], &[1.0; 60]), 1.0);
        assert_eq!(mann_whitney(&[], &[1.0]), 1.0);
    }
}
