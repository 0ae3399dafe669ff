//! A world: a module that edits change, and the comparison after each of them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rondel_cas::Digest;

use crate::chance::Chance;
use crate::compare::{Bare, Outcome, Programs, copy};
use crate::edits::{EDITS, Site};
use crate::module::{Config, write_world};
use crate::tree::Tree;

/// Before the age of files that Go's module index believes.
const LONG_AGO_S: u64 = 1_600_000_000;

pub struct World<'a> {
    pub seed: u64,
    directory: PathBuf,
    config: Config,
    chance: Chance,
    programs: &'a Programs,
    bare: &'a Bare<'a>,
    without: &'a [&'a str],
    /// What Go makes of a target in a tree, by their digest.
    known: BTreeMap<Digest, Outcome>,
    history: Vec<String>,
    /// Goes on after a difference, with nothing remembered.
    goes_on: bool,
    pub differences: Vec<String>,
    pub counts: BTreeMap<String, u64>,
}

impl<'a> World<'a> {
    pub fn new(
        seed: u64,
        programs: &'a Programs,
        bare: &'a Bare<'a>,
        without: &'a [&'a str],
        goes_on: bool,
    ) -> World<'a> {
        let mut chance = Chance::new(seed);
        let directory = programs.directory.join(format!("seed-{seed}"));
        let config = Config::draw(&mut chance, programs.has_compiler());
        write_world(&config, &directory.join("tree"), &mut chance);
        let world = World {
            seed,
            directory,
            config,
            chance,
            programs,
            bare,
            without,
            known: BTreeMap::new(),
            history: Vec::new(),
            goes_on,
            differences: Vec::new(),
            counts: BTreeMap::new(),
        };
        Tree::read(&world.top()).set_times(&world.top(), long_ago());
        world
    }

    fn top(&self) -> PathBuf {
        self.directory.join("tree")
    }

    /// Rondel's: shared by all worlds, unless a world goes on after a difference, when it is forgotten.
    fn cache(&self) -> PathBuf {
        if !self.goes_on {
            return self.programs.directory.join("cache");
        }
        let own = self.directory.join("cache");
        if !own.exists() {
            copy(&self.programs.directory.join("std-cache"), &own.join("go/build"));
        }
        own
    }

    pub fn remove(&self) {
        let _ = fs::remove_dir_all(&self.directory);
    }

    /// Edits and compares so many times, until a difference unless the world goes on after one.
    pub fn live(&mut self, edits: u64) {
        self.history.push("0. first build".to_owned());
        let (before, config) = (Tree::read(&self.top()), self.config.clone());
        let Some(mut is_refused) = self.check_and_tell(&before, config) else { return };
        // What to go back to if an edit leaves nothing to build.
        let (mut good, mut good_config) = (before, self.config.clone());
        for number in 1..=edits {
            let (before, config) = (Tree::read(&self.top()), self.config.clone());
            if !is_refused {
                (good, good_config) = (before.clone(), self.config.clone());
            }
            let what = if is_refused && !self.chance.once_in(3) {
                self.config = good_config.clone();
                let with_times = self.chance.once_in(2);
                good.restore(&self.top(), with_times);
                if with_times { "back, with times".to_owned() } else { "back".to_owned() }
            } else {
                self.edit(&before)
            };
            let changes = Tree::read(&self.top()).difference(&before);
            self.history.push(format!("{number}. {what}\n{changes}"));
            let Some(now_refused) = self.check_and_tell(&before, config) else { return };
            is_refused = now_refused;
        }
    }

    /// Compares, and keeps a difference; returns `None` if the world ends with it.
    fn check_and_tell(&mut self, before: &Tree, config: Config) -> Option<bool> {
        let difference = match self.check() {
            Ok(is_refused) => return Some(is_refused),
            Err(difference) => difference,
        };
        let kept = self.directory.join(format!("difference-{}", self.history.len() - 1));
        let _ = fs::create_dir_all(kept.join("before")).and_then(|()| fs::create_dir_all(kept.join("after")));
        before.restore(&kept.join("before"), true);
        Tree::read(&self.top()).restore(&kept.join("after"), true);
        let report = self.report(&difference, &kept);
        let _ = fs::write(kept.join("report"), &report);
        self.differences.push(report);
        if !self.goes_on || self.differences.len() >= 5 {
            return None;
        }
        let _ = fs::remove_dir_all(self.top().join("work/.rondel"));
        let _ = fs::remove_dir_all(self.cache());
        before.restore(&self.top(), true);
        self.config = config;
        self.history.push("   back, with nothing remembered".to_owned());
        self.check().ok()
    }

    /// Draws an edit that changes something, and does it.
    fn edit(&mut self, before: &Tree) -> String {
        loop {
            let total: usize = EDITS.iter().map(|edit| edit.weight).sum();
            let mut drawn = self.chance.below(total);
            let edit = EDITS.iter().find(|edit| {
                let is_it = drawn < edit.weight;
                drawn = drawn.saturating_sub(edit.weight);
                is_it
            });
            let edit = edit.expect("below the sum");
            if self.without.contains(&edit.name) {
                continue;
            }
            let top = self.top();
            let mut site = Site { top: &top, before, chance: &mut self.chance, config: &mut self.config };
            (edit.apply)(&mut site);
            fs::write(top.join("work/build.ron"), self.config.text()).expect("it can be written");
            let after = Tree::read(&top);
            if after.changed_since(before).is_empty() {
                continue;
            }
            *self.counts.entry(edit.name.to_owned()).or_default() += 1;
            return match self.chance.below(4) {
                0 => edit.name.to_owned(),
                _ => {
                    after.put_times_back(&top, before, long_ago());
                    format!("{}, times put back", edit.name)
                }
            };
        }
    }

    /// Builds by both; returns true if the first target is refused, or else what differs.
    fn check(&mut self) -> Result<bool, String> {
        let tree = Tree::read(&self.top()).digest();
        let work = self.top().join("work");
        let run = self.programs.rondel(&self.config, &work, &self.cache());
        self.count("hits", run.hits);
        let module = self.top().join(self.config.app());
        let mut is_refused = false;
        for (index, target) in self.config.targets.clone().iter().enumerate() {
            let packages = target.packages.join(" ");
            let key = Digest::of(format!("{tree} {packages} {} {}", target.tags.join(","), self.config.cgo).as_bytes());
            let bare = match self.known.get(&key) {
                Some(known) => known.clone(),
                None => self.bare.build(&self.config, target, &module),
            };
            self.known.insert(key, bare.clone());
            let own = &run.outcomes[&target.name];
            if let Some(difference) = own.difference_from(&bare) {
                let printed = &run.printed;
                return Err(format!("`{}` ({packages}): {difference}\n---- Rondel printed:\n{printed}", target.name));
            }
            is_refused |= index == 0 && matches!(bare, Outcome::Refused(_));
            self.count(if matches!(bare, Outcome::Refused(_)) { "refused" } else { "built" }, 1);
        }
        Ok(is_refused)
    }

    fn count(&mut self, what: &str, number: u64) {
        *self.counts.entry(what.to_owned()).or_default() += number;
    }

    fn report(&self, difference: &str, kept: &Path) -> String {
        let edits = self.history.len() - 1;
        format!(
            "==== seed {}: a difference after {edits} edits\n{}\n{}\nkept: {} (the tree before and after the last \
             edit)\nRONDEL_DIFFERENTIAL_SEED={} RONDEL_DIFFERENTIAL_EDITS={} brings it back\n",
            self.seed,
            self.history.join("\n"),
            difference,
            kept.display(),
            self.seed,
            edits.max(1),
        )
    }
}

fn long_ago() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(LONG_AGO_S)
}
