//! Profiles of coverage as `go test -coverprofile` writes them: split by package, put together again, and counted.
//!
//! Without `-coverpkg` the tests of a package measure that package alone. So the blocks of a file belong to the package
//! whose import path the file's name begins with.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What the tests of one package covered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Profile {
    /// `set`, `count` or `atomic`.
    pub mode: String,
    /// As Go writes them: `m/p/a.go:3.19,4.11 1 0`.
    pub blocks: Vec<String>,
}

/// Numbers of statements.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Covered {
    pub covered: u64,
    pub all: u64,
}

impl Profile {
    /// Splits the profile of a run by import path.
    pub fn split(text: &str) -> BTreeMap<String, Profile> {
        let mut lines = text.lines();
        let mode = lines.next().and_then(|line| line.strip_prefix("mode: ")).unwrap_or("set").to_owned();
        let mut profiles: BTreeMap<String, Profile> = BTreeMap::new();
        for line in lines {
            let Some((import_path, _)) = line.rsplit_once(':').and_then(|(file, _)| file.rsplit_once('/')) else {
                continue;
            };
            let profile = profiles.entry(import_path.to_owned()).or_default();
            profile.mode.clone_from(&mode);
            profile.blocks.push(line.to_owned());
        }
        profiles
    }

    /// Returns one profile of all, with the blocks in the order of `profiles`.
    pub fn merge<'a>(profiles: impl Iterator<Item = &'a Profile> + Clone) -> String {
        let mode = profiles.clone().map(|profile| profile.mode.as_str()).find(|mode| !mode.is_empty());
        let mut text = format!("mode: {}\n", mode.unwrap_or("set"));
        for block in profiles.flat_map(|profile| &profile.blocks) {
            text.push_str(block);
            text.push('\n');
        }
        text
    }

    /// Counts the statements. A block that stands there twice counts once, and is covered if one of the two is.
    pub fn count(&self) -> Covered {
        let mut blocks: BTreeMap<&str, (u64, bool)> = BTreeMap::new();
        for line in &self.blocks {
            let mut words = line.rsplitn(3, ' ');
            let (hits, statements) = (words.next().unwrap_or("0"), words.next().and_then(|word| word.parse().ok()));
            let (Some(statements), Some(place)) = (statements, words.next()) else { continue };
            let block = blocks.entry(place).or_insert((statements, false));
            block.1 |= hits != "0";
        }
        let mut found = Covered::default();
        for (statements, is_covered) in blocks.into_values() {
            found.all += statements;
            found.covered += if is_covered { statements } else { 0 };
        }
        found
    }
}

impl Covered {
    /// Adds those of another package.
    pub fn add(&mut self, other: Covered) {
        self.covered += other.covered;
        self.all += other.all;
    }

    /// Returns the share as Go prints it: `66.7%`.
    pub fn text(self) -> String {
        match self.all {
            0 => "[no statements]".to_owned(),
            all => format!("{:.1}%", self.covered as f64 * 100.0 / all as f64),
        }
    }

    /// Returns how many more statements would have to be covered for this share in percent; 0 if it is reached.
    pub fn missing(self, percent: u8) -> u64 {
        (self.all * u64::from(percent)).div_ceil(100).saturating_sub(self.covered)
    }
}

/// Returns the table for people: one line a package, and the sum.
pub(crate) fn table(packages: &[(&str, Covered)]) -> Vec<String> {
    let mut total = Covered::default();
    packages.iter().for_each(|(_, covered)| total.add(*covered));
    let mut rows: Vec<(&str, Covered)> = packages.to_vec();
    rows.push(("total", total));
    let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    rows.iter().map(|(name, covered)| format!("coverage: {name:<width$}  {:>6}", covered.text())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        "mode: atomic\nm/b/b.go:1.1,2.2 3 0\nm/a/a.go:3.19,4.11 1 7\nm/a/a.go:4.11,6.3 1 0\nm/a/c/c.go:1.1,2.2 10 1\n";

    #[test]
    fn split_and_merged() {
        let profiles = Profile::split(TEXT);
        assert_eq!(profiles.keys().collect::<Vec<_>>(), ["m/a", "m/a/c", "m/b"]);
        assert_eq!(profiles["m/a"].count(), Covered { covered: 1, all: 2 });
        let merged = Profile::merge(profiles.values());
        assert_eq!(
            merged,
            "mode: atomic\nm/a/a.go:3.19,4.11 1 7\nm/a/a.go:4.11,6.3 1 0\nm/a/c/c.go:1.1,2.2 10 1\nm/b/b.go:1.1,2.2 3 0\n"
        );
        assert_eq!(Profile::merge([].iter()), "mode: set\n");
        assert!(Profile::split("").is_empty() && Profile::split("mode: set\nnonsense\n").is_empty());
    }

    #[test]
    fn counted() {
        let profiles = Profile::split(TEXT);
        let rows: Vec<(&str, Covered)> = profiles
            .iter()
            .map(|(name, profile)| (name.as_str(), profile.count()))
            .chain([("m/none", Covered::default())])
            .collect();
        assert_eq!(
            table(&rows),
            [
                "coverage: m/a      50.0%",
                "coverage: m/a/c   100.0%",
                "coverage: m/b       0.0%",
                "coverage: m/none  [no statements]",
                "coverage: total    73.3%"
            ]
        );
        let twice = Profile {
            mode: "count".to_owned(),
            blocks: vec!["a/a.go:1.1,2.2 3 0".into(), "a/a.go:1.1,2.2 3 2".into()],
        };
        assert_eq!(twice.count(), Covered { covered: 3, all: 3 });
        let total = Covered { covered: 11, all: 15 };
        assert_eq!([73, 74, 100, 1].map(|percent| total.missing(percent)), [0, 1, 4, 0]);
    }
}
