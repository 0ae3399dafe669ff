//! Outputs that a user edits, removes or occupies, steps that are killed, and the check that nothing of a user is lost.

use std::os::unix::fs::PermissionsExt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::*;
use crate::steps::Killed;

/// Beginning of every text that a user writes into an output.
const WRITTEN: &[u8] = b"written by a user, ";

impl World {
    fn user_text(&mut self) -> String {
        self.written += 1;
        format!("{}{}", String::from_utf8_lossy(WRITTEN), self.written)
    }

    /// Gives a step's output another place.
    pub fn move_output(&mut self, index: usize, name: &str) {
        let step = &mut self.steps[index];
        let to = format!("{}/{name}/{index}", step.destination.split('/').next().unwrap());
        let from = std::mem::replace(&mut step.destination, to.clone());
        if self.is_recorded {
            self.left.insert((index, from));
        }
        self.left.remove(&(index, to));
    }

    /// Edits, removes or occupies an output, or a part of it.
    pub fn spoil_output(&mut self, index: usize) {
        let path = self.root().join(&self.steps[index].destination);
        let below = |name: &String| if name.is_empty() { path.clone() } else { path.join(name) };
        let all: Vec<PathBuf> = standing(&path).keys().map(below).collect();
        let is_directory = |path: &Path| fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir());
        let text = self.user_text();
        if all.is_empty() {
            // A user's file, or a directory with one, where nothing stands yet.
            if !path.exists() {
                let place = if self.chance.once_in(2) { path.clone() } else { path.join("own") };
                let _ = fs::create_dir_all(place.parent().unwrap()).and_then(|()| fs::write(&place, text));
                self.note(format!("a user made {}", place.display()));
                self.count("occupied outputs");
            }
            return;
        }
        let one = self.chance.of(&all).clone();
        let remove = |path: &Path| if is_directory(path) { fs::remove_dir_all(path) } else { fs::remove_file(path) };
        match self.chance.below(6) {
            0 => drop(remove(&one)),
            1 => drop(remove(&path)),
            2 if is_directory(&one) => fs::write(one.join("stray"), text).unwrap(),
            3 if path.is_dir() => fs::write(path.join("stray"), text).unwrap(),
            4 if !one.is_symlink() => fs::set_permissions(&one, fs::Permissions::from_mode(0o711)).unwrap(),
            _ => {
                let _ = remove(&one);
                fs::write(&one, text).unwrap();
            }
        }
        self.note(format!("spoilt the output {}", one.display()));
        self.count("spoilt outputs");
    }

    /// Returns all texts of the user that stand somewhere in the workspace.
    pub fn user_texts(&self) -> BTreeSet<Vec<u8>> {
        fn read(directory: &Path, found: &mut BTreeSet<Vec<u8>>) {
            for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
                match entry.file_type() {
                    Ok(kind) if kind.is_dir() => read(&entry.path(), found),
                    Ok(kind) if kind.is_file() => {
                        found.extend(fs::read(entry.path()).ok().filter(|bytes| bytes.starts_with(WRITTEN)));
                    }
                    _ => {}
                }
            }
        }
        let mut found = BTreeSet::new();
        read(&self.root(), &mut found);
        found
    }

    /// Returns the files of a user that a step must not remove from its output.
    fn in_the_way(&self, index: usize, outputs: &BTreeMap<String, Value>) -> Vec<PathBuf> {
        let config = &self.steps[index];
        if config.destination.starts_with("dist/") {
            return Vec::new();
        }
        let place = self.root().join(&config.destination);
        let is_made = |path: &String| outputs.get(path).is_some_and(|value| !matches!(value, Value::Directory { .. }));
        let found = standing(&place).into_iter().filter(|(path, value)| {
            let is_users = contents_of(value).is_some_and(|contents| contents.starts_with(WRITTEN));
            // A file that Rondel has placed and the user has edited is kept.
            let was_ours = is_made(path);
            is_users && !was_ours
        });
        found.map(|(path, _)| if path.is_empty() { place.clone() } else { place.join(path) }).collect()
    }

    /// If files of a user are in the way of outputs: the build fails, and does not touch them. Then the user moves them.
    pub fn check_refusals(&mut self, outputs: &[BTreeMap<String, Value>]) -> bool {
        let all: Vec<PathBuf> =
            (0..self.steps.len()).flat_map(|index| self.in_the_way(index, &outputs[index])).collect();
        if all.is_empty() {
            return false;
        }
        let texts: Vec<_> = all.iter().map(|path| fs::read(path).unwrap()).collect();
        let (ends, said) = self.run(None, 1);
        assert!(ends.iter().any(|(outcome, _)| *outcome == Outcome::Failed), "not refused: {all:?}");
        assert!(said.iter().any(|text| text.contains("Rondel")), "{said:?}");
        for (path, text) in all.iter().zip(texts) {
            assert_eq!(fs::read(path).ok(), Some(text), "{} was touched: {said:?}", path.display());
            fs::remove_file(path).unwrap();
        }
        self.note(format!("refused, and moved away: {all:?}"));
        self.count("refused builds");
        self.is_uncertain = true;
        self.forget_records();
        true
    }

    /// Places that a step has left hold nothing but what a user wrote.
    pub fn check_left_places(&mut self) {
        for (index, place) in std::mem::take(&mut self.left) {
            let found = standing(&self.root().join(&place));
            let is_users = |value: &Value| contents_of(value).is_some_and(|contents| contents.starts_with(WRITTEN));
            let stays = found.iter().find(|(_, value)| !is_users(value) && !matches!(value, Value::Directory { .. }));
            assert!(stays.is_none(), "step {index} has left {place}, and {stays:?} is still there");
        }
    }

    /// Builds and is killed in the middle of a step. The next build puts everything back, whatever it builds.
    pub fn run_and_be_killed(&mut self) {
        self.is_uncertain = true;
        let index = self.chance.below(self.steps.len());
        self.note(format!("killed in step {index}"));
        self.count("killed builds");
        let place = self.root().join(&self.steps[index].destination);
        let (before, texts) = (standing(&place), self.user_texts());
        let killed = catch_unwind(AssertUnwindSafe(|| self.run_graph(self.graph(None, Some(index)), 1)));
        if let Err(payload) = killed {
            if !payload.is::<Killed>() {
                std::panic::resume_unwind(payload);
            }
            self.run_graph((Graph::new(), Vec::new()), 1);
            assert_eq!(standing(&place), before, "the former output is not back");
        }
        let lost: Vec<_> = texts.difference(&self.user_texts()).cloned().collect();
        assert!(lost.is_empty(), "lost: {lost:?}");
        self.forget_records();
    }
}
