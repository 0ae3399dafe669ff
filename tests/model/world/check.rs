//! Comparing builds and plans with the model.

use super::*;

/// The model's expectation of one step.
struct Expected {
    members: Members,
    outputs: BTreeMap<String, Value>,
    outcome: Outcome,
}

impl World {
    /// Returns the model's expectations, in the order of the steps.
    fn expect(&self) -> Vec<Expected> {
        let mut all: Vec<Expected> = Vec::new();
        let mut stored = self.stored.clone();
        let (mut flipped, mut deleted) = (self.flipped.clone(), self.deleted.clone());
        for config in &self.steps {
            let inputs = tree::inputs(&self.root(), PATTERNS[config.patterns]);
            let mut upstream = BTreeMap::new();
            for (position, &other) in config.upstream.iter().enumerate() {
                let outputs = all[other].outputs.iter();
                upstream.extend(outputs.map(|(path, value)| (self.steps[other].slot(position, path), value.clone())));
            }
            let members = config.members(&inputs, &upstream);
            let outputs = config.outputs(&members);
            let is_spoilt = |contents: &Vec<u8>| deleted.contains(contents) || flipped.contains(contents);
            // Without its tree the contents of an output directory are unknown.
            let outcome = if !stored.contains_key(&members) || tree_of(&outputs).as_ref().is_some_and(is_spoilt) {
                Outcome::Ran
            } else if standing(&self.root().join(&config.destination)) == outputs {
                Outcome::Cached
            } else if outputs.values().filter_map(contents_of).any(is_spoilt) {
                Outcome::Ran
            } else {
                Outcome::Restored
            };
            if outcome == Outcome::Ran {
                stored.insert(members.clone(), outputs.clone());
                for contents in blobs_of(&outputs) {
                    flipped.remove(&contents);
                    deleted.remove(&contents);
                }
            }
            all.push(Expected { members, outputs, outcome });
        }
        all
    }

    /// Plans, builds, and compares both with the model.
    pub fn check(&mut self) {
        let mut expected = self.expect();
        if self.check_refusals(&expected.iter().map(|expected| expected.outputs.clone()).collect::<Vec<_>>()) {
            expected = self.expect();
        }
        let texts = self.user_texts();
        // A question can't read the file system's clock, since that needs a new file.
        if !self.went_back {
            self.check_plan(&expected);
        }
        let jobs = 1 + self.chance.below(3);
        let (ends, warnings) = self.run(None, jobs);
        self.went_back = false;
        for (index, (expected, (outcome, reasons))) in expected.into_iter().zip(ends).enumerate() {
            let told = format!("step {index}: {outcome:?} because of {reasons:?}; warnings {warnings:?}");
            let found = standing(&self.root().join(&self.steps[index].destination));
            assert!(
                found == expected.outputs,
                "WRONG OUTPUT, {told}\nfound {}\nwanted {}",
                text_of(&found),
                text_of(&expected.outputs)
            );
            let is_hit = matches!(outcome, Outcome::Cached | Outcome::Restored);
            let unforeseen_hit = self.is_uncertain && expected.outcome == Outcome::Ran && is_hit;
            assert!(outcome == expected.outcome || unforeseen_hit, "expected {:?}, {told}", expected.outcome);
            if outcome == Outcome::Ran {
                self.check_reasons(index, &expected, &reasons, &told);
            } else {
                assert!(reasons.is_empty(), "{told}");
            }
            self.count(match outcome {
                Outcome::Ran => "steps that ran",
                Outcome::Restored => "steps restored",
                _ => "steps up to date",
            });
            if outcome == Outcome::Ran {
                for contents in blobs_of(&expected.outputs) {
                    self.flipped.remove(&contents);
                    self.deleted.remove(&contents);
                }
            }
            self.not_kept.remove(&expected.members);
            self.last.insert(index, expected.members.clone());
            self.stored.insert(expected.members, expected.outputs);
        }
        let lost: Vec<_> = texts.difference(&self.user_texts()).cloned().collect();
        assert!(lost.is_empty(), "lost what a user wrote: {lost:?}; warnings {warnings:?}");
        self.check_left_places();
        self.is_recorded = true;
    }

    /// Checks that each reason is true, and that none is missing.
    fn check_reasons(&self, index: usize, expected: &Expected, reasons: &[Reason], told: &str) {
        let spoilt = |set: &BTreeSet<Vec<u8>>| blobs_of(&expected.outputs).iter().any(|it| set.contains(it));
        // A question finds a damaged tree too, and removes it.
        let tree_was_flipped = tree_of(&expected.outputs).is_some_and(|tree| self.flipped.contains(&tree));
        if self.stored.contains_key(&expected.members) {
            let is_true = match reasons {
                [Reason::OutputMissing { .. }] => spoilt(&self.deleted) || tree_was_flipped,
                [Reason::Corrupt { .. }] => spoilt(&self.flipped),
                _ => false,
            };
            assert!(is_true, "not the reason, {told}");
            return;
        }
        if self.is_uncertain {
            return;
        }
        let Some(last) = self.last.get(&index) else {
            assert_eq!(reasons, [Reason::NoPrevious], "{told}");
            return;
        };
        if *last == expected.members {
            assert_eq!(reasons, [Reason::ResultGone], "{told}");
            return;
        }
        let names = |wanted: &'static str| {
            let changed =
                move |key: &&(&'static str, String)| key.0 == wanted && last.get(*key) != expected.members.get(*key);
            last.keys().chain(expected.members.keys()).collect::<BTreeSet<_>>().into_iter().filter(changed)
        };
        let mut wanted = Vec::new();
        for key in names("input") {
            let path = key.1.clone();
            wanted.push(match (last.get(key).cloned(), expected.members.get(key).cloned()) {
                (Some(old), Some(new)) => Reason::InputChanged { path, old, new },
                (None, new) => Reason::InputAdded { path, new: new.unwrap_or_default() },
                (old, None) => Reason::InputRemoved { path, old: old.unwrap_or_default() },
            });
        }
        wanted.extend(names("upstream").map(|key| {
            let (old, new) = (last.get(key).cloned(), expected.members.get(key).cloned());
            Reason::UpstreamChanged { path: key.1.clone(), old, new }
        }));
        let kinds: BTreeSet<&str> = ["environment", "tool", "setting", "argument"]
            .into_iter()
            .filter(|kind| names(kind).next().is_some())
            .collect();
        let (files, rest): (Vec<Reason>, Vec<Reason>) = reasons.iter().cloned().partition(|reason| {
            matches!(
                reason,
                Reason::InputChanged { .. }
                    | Reason::InputAdded { .. }
                    | Reason::InputRemoved { .. }
                    | Reason::UpstreamChanged { .. }
            )
        });
        assert_eq!(files, wanted, "not the files, {told}");
        let rest: BTreeSet<&str> = rest
            .iter()
            .map(|reason| match reason {
                Reason::EnvironmentChanged { .. } => "environment",
                Reason::ToolChanged { .. } => "tool",
                Reason::SettingChanged { .. } => "setting",
                Reason::ArgumentChanged { .. } => "argument",
                other => panic!("{other:?} is not true, {told}"),
            })
            .collect();
        assert_eq!(rest, kinds, "{told}");
    }

    /// Checks that `plan` agrees with the model as far as it can know.
    fn check_plan(&mut self, expected: &[Expected]) {
        let (graph, ids) = self.graph(None, None);
        let workspace = Workspace::open(&self.root(), &self.cache());
        let planned = plan(&graph, &ids, &workspace, rondel_engine::Asks::Nothing, &|_| {});
        for (index, id) in ids.iter().enumerate() {
            let outcome = expected[index].outcome;
            let agrees = match &planned[id] {
                Planned::UpToDate => outcome == Outcome::Cached,
                Planned::Restore => outcome == Outcome::Restored || !self.flipped.is_empty(),
                Planned::Run(_) => outcome == Outcome::Ran,
                Planned::Depends(on) => {
                    on.iter().any(|other| matches!(planned[other], Planned::Run(_) | Planned::Depends(_)))
                }
                _ => false,
            };
            let excused = self.is_uncertain && outcome == Outcome::Ran;
            assert!(agrees || excused, "plan says {:?} of step {index}, the model {outcome:?}", planned[id]);
        }
    }
}
